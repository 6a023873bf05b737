"""In which order the elements of results lie, where it is not what numpy's functions give.

Seen by `stride`, by `view`, which fails or not, by `reshape`, which copies or not, and in the order of random numbers.
Element-by-element operators are not named here: they take the order of all their operands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from optc.eager.memory import in_operand_order, is_channels_last
from optc.ops.memory_formats import has_channels_last

Array = npt.NDArray[Any]
Order = Callable[[Array, Sequence[Array]], Array]
"""(result, tensors among the arguments) -> the result as it lies in PyTorch."""


def in_rows(result: Array, operands: Sequence[Array]) -> Array:
    """Row by row, whatever order the operands have."""
    return result if result.flags.c_contiguous else np.ascontiguousarray(result).reshape(result.shape)


def _as_first(result: Array, operands: Sequence[Array]) -> Array:
    """The order of the first tensor, where the result has its shape."""
    if not operands or operands[0].shape != result.shape or operands[0].flags.c_contiguous:
        return in_rows(result, operands)
    return in_operand_order(result, operands[:1])


def _from_the_right(result: Array, operands: Sequence[Array]) -> Array:
    """The order of all operands, of which the last is asked first."""
    return in_operand_order(result, operands[::-1])


def _channels_last(result: Array, operands: Sequence[Array]) -> Array:
    """Channels last where the input, or the filters, have them so; otherwise in rows."""
    if result.ndim != 4 or not any(map(_is_channels_last, operands[:2])):
        return in_rows(result, operands)
    return np.ascontiguousarray(result.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def _is_channels_last(array: Array) -> bool:
    """True for elements that lie so, where the step of a single batch says so too: PyTorch asks strides alone."""
    return is_channels_last(array) and not array.flags.c_contiguous and has_channels_last(array)


def _in_columns(result: Array, operands: Sequence[Array]) -> Array:
    """Matrices column by column, as LAPACK leaves them; what has fewer dimensions than the matrices given is none."""
    if operands and result.ndim < operands[0].ndim:
        return result
    return np.ascontiguousarray(result.swapaxes(-1, -2)).swapaxes(-1, -2)


def _named(text: str, order: Order) -> dict[str, Order]:
    return {f"aten::{name}": order for name in text.split()}


ORDERS: dict[str, Order] = {
    **_named(
        "softmax _softmax _safe_softmax log_softmax _log_softmax cumsum cumprod logcumsumexp gather scatter scatter_add "
        "scatter_reduce index_add index_copy index_reduce renorm layer_norm native_layer_norm masked_fill "
        "masked_scatter diag_embed take_along_dim expand_copy permute_copy transpose_copy unsqueeze_copy view_copy "
        "unfold_copy narrow_copy as_strided_copy instance_norm prod",
        in_rows,
    ),
    **_named("rsub", _from_the_right),
    **_named(
        "linalg_inv linalg_inv_ex inverse linalg_solve linalg_solve_ex linalg_solve_triangular triangular_solve cholesky_solve "
        "cholesky_inverse linalg_lu_solve linalg_lu_factor linalg_lu_factor_ex linalg_ldl_factor linalg_eigh linalg_eig linalg_qr "
        "qr linalg_svd linalg_lstsq geqrf linalg_householder_product orgqr ormqr",
        _in_columns,
    ),
    **_named("flip fliplr flipud sort argsort msort index_put select_scatter slice_scatter diagonal_scatter put", _as_first),
    **_named(
        "conv2d convolution _convolution conv_transpose2d max_pool2d max_pool2d_with_indices avg_pool2d adaptive_avg_pool2d "
        "adaptive_max_pool2d max_unpool2d upsample_nearest2d _upsample_nearest_exact2d upsample_bilinear2d upsample_bicubic2d "
        "_upsample_bilinear2d_aa _upsample_bicubic2d_aa constant_pad_nd pad channel_shuffle cat concat concatenate hstack vstack "
        "dstack column_stack stack roll rms_norm group_norm native_group_norm",
        _channels_last,
    ),
}  # fmt: skip
"""By name of the operator."""
