"""`out=`: what PyTorch asks of the tensor, and functions whose declarations have no such argument.

Where a declaration has none, the result is computed and then written. Scripts only know `out=` where it is declared.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from optc.eager.base import TensorBase
from optc.eager.matching import value_text
from optc.eager.memory import refuse_overlaps
from optc.ir import dtypes
from optc.ir.dtypes import DType
from optc.ops.number_limits import C_NAMES
from optc.ops.overlaps import Overlap
from optc.ops.registry import check_castable

_CAST: Final = frozenset(
    f"aten::{name}"
    for name in (
        "all", "any", "bernoulli", "bitwise_and", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift",
        "bitwise_xor", "clamp_max", "clamp_min", "column_stack", "div", "divide", "dstack", "float_power", "fmax", "fmin",
        "gcd", "heaviside", "hstack", "hypot", "inner", "kron", "lcm", "ldexp", "linalg_cond", "linalg_matrix_rank",
        "linalg_norm", "linalg_pinv", "linalg_tensorinv", "linalg_tensorsolve", "logaddexp", "logaddexp2", "logit",
        "logsumexp", "max", "maximum", "mean", "min", "minimum", "nanmean", "nansum", "nextafter", "outer", "polygamma",
        "prod", "special_polygamma", "special_zeta", "std", "sum", "true_divide", "var", "vstack", "xlogy",
    )
)  # fmt: skip
"""Functions that convert their result to the type of `out`."""

_EXACT: Final = frozenset(
    f"aten::{name}"
    for name in (
        "argmax", "argmin", "cross", "diag", "diff", "dot", "histc", "index_add", "index_copy", "index_reduce", "isin",
        "linalg_cross", "linalg_det", "linalg_ldl_solve", "linalg_multi_dot", "linalg_vector_norm", "log_softmax",
        "msort", "multinomial", "nan_to_num", "nonzero", "norm", "ormqr", "scatter", "scatter_add", "scatter_reduce",
        "slice_scatter", "softmax", "take_along_dim", "tril", "triu", "vdot", "logcumsumexp",
    )
)  # fmt: skip
"""Functions whose `out` must have the type of the result."""

_SAME: Final = "Expected out tensor to have dtype {c_wanted}, but got {c_found} instead"
_FOUND: Final = "Found dtype {found} but expected {wanted}"
_OBJECT: Final = "Expected object of scalar type {wanted} but got scalar type {found} for argument 'out'"
_INPUT: Final = (
    "Expected the dtype for input and out to match, but got {wanted} for input's dtype and {found} for out's dtype."
)

_TEXTS: Final = {
    **dict.fromkeys(_EXACT, _SAME),
    **dict.fromkeys(
        (
            "aten::addmm", "aten::addmv", "aten::baddbmm", "aten::bmm", "aten::gather", "aten::linalg_cholesky",
            "aten::linalg_eigvalsh", "aten::linalg_inv", "aten::linalg_lu_solve", "aten::linalg_matrix_power",
            "aten::linalg_solve", "aten::linalg_svdvals", "aten::lu_solve", "aten::mm", "aten::renorm",
        ),
        _SAME,
    ),
    **dict.fromkeys(
        (
            "aten::abs", "aten::bitwise_not", "aten::ceil", "aten::conj_physical", "aten::floor", "aten::frac",
            "aten::neg", "aten::round", "aten::sgn", "aten::sign", "aten::trunc", "aten::gelu", "aten::softplus",
        ),
        _FOUND,
    ),
    **dict.fromkeys(("aten::amax", "aten::amin"), _INPUT),
    **dict.fromkeys(("aten::complex", "aten::polar"), _OBJECT),
    "aten::index_select": "index_select(): self and result must have the same scalar type",
    "aten::masked_select": "masked_select(): self and result must have the same scalar type",
    "aten::multinomial": "multinomial expects Long tensor out, got: {found}",
    "aten::take": "take(): self and out expected to have the same dtype, but got self.dtype = {wanted} and "
    "out.dtype = {found}",
}  # fmt: skip
"""What functions say of an `out` that has another type than their result."""


def _check_type(text: str | None, wanted: DType, found: DType) -> None:
    if text is None:
        check_castable(wanted, found)
    elif wanted is not found:
        names = {"wanted": wanted.label, "found": found.label}
        short = {f"c_{key}": C_NAMES.get(dtype, dtype.label) for key, dtype in (("wanted", wanted), ("found", found))}
        raise RuntimeError(text.format(**names, **short))


def write_out(name: str, target: TensorBase, result: npt.NDArray[Any]) -> None:
    """Store the result of a function in the tensor given as `out=`, which takes the result's shape. Raises RuntimeError,
    with PyTorch's text, for a tensor of a type that the function does not convert to.
    """
    _write(_TEXTS.get(name), target, result)


def _write(text: str | None, target: TensorBase, result: npt.NDArray[Any]) -> None:
    _check_type(text, dtypes.from_numpy(result.dtype), dtypes.from_numpy(target._array.dtype))
    if target._array.shape == result.shape:
        np.copyto(target._array, result, casting="unsafe")
        return
    if target._array.size:
        warnings.warn(
            f"An output with one or more elements was resized since it had shape {list(target._array.shape)}, which "
            f"does not match the required output shape {list(result.shape)}. Resize it to zero elements before.",
            stacklevel=6,
        )
    target._array = np.ascontiguousarray(result.astype(target._array.dtype)).reshape(result.shape)


def takes_out(name: str, out: Any) -> bool:
    """True for a function that has `out=` although its declaration has not: a tensor, or as many as it has results."""
    return isinstance(out, tuple | list) or name in _CAST or name in _EXACT


def called_with_out(
    name: str, run: Callable[[], Any], out: Any, operands: Sequence[npt.NDArray[Any]], is_recorded: bool
) -> Any:
    """`out`, with the results of a function written into it. Raises TypeError for what is no tensor."""
    if is_recorded:
        raise NotImplementedError(f"{name} is not recorded with out=: assign its result instead")
    outs = list(out) if isinstance(out, tuple | list) else [out]
    for target in outs:
        if not isinstance(target, TensorBase):
            raise TypeError(f"{name.partition('::')[2]}(): argument 'out' must be Tensor, not {value_text(target)}")
        refuse_overlaps(Overlap.ALIGNED, target._array, operands)
    found = run()
    results = list(found) if isinstance(found, tuple) else [found]
    text = None if name in _CAST and not isinstance(found, tuple) else _TEXTS.get(name, _SAME)
    if len(results) != len(outs):
        raise TypeError(
            f"{name.partition('::')[2]}(): expected {len(results)} elements in 'out', but found {len(outs)}"
        )
    for target, result in zip(outs, results):
        _write(text, target, result._array)
    if not isinstance(found, tuple):
        return out
    return type(found)(*outs) if hasattr(found, "_fields") else tuple(outs)
