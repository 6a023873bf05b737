"""`linalg.norm`: of vectors (see `aten::linalg_vector_norm`) and, where no singular values are needed, of matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from optc.errors import UnsupportedError
from optc.ir.types import TensorType
from optc.ops.abstract import known_dtype, normalize_dim, normalize_dims
from optc.ops.elementwise import array_type
from optc.ops.promotion import compute_type, operand_type
from optc.ops.reduction import narrowed, reduced
from optc.ops.registry import define
from optc.ops.shapes import known_shape

Array = np.ndarray[Any, Any]


def _planes(rank: int, order: Any, dims: Sequence[int] | None) -> list[int] | None:
    """The two dimensions of matrices, None where the norm is that of vectors."""
    if order is None or rank == 1:
        return None
    listed = list(range(rank)) if dims is None else list(dims)
    if len(listed) == 1:
        return None
    if len(listed) != 2:
        raise RuntimeError(
            f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {rank}D."
            if dims is None else
            f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {list(dims)}"
        )  # fmt: skip
    return list(normalize_dims(listed, rank))


def _infer(x: TensorType, order: Any, dims: Sequence[int] | None, keepdim: bool, code: int | None) -> TensorType:
    dtype = operand_type(x) if code is None else known_dtype(code)
    if operand_type(x).kind not in ("float", "complex"):
        raise RuntimeError(
            f"linalg.vector_norm: Expected a floating point or complex tensor as input. Got {operand_type(x).label}"
        )
    planes = _planes(len(known_shape(x)), order, dims)
    if planes is not None and order not in (1, -1, math.inf, -math.inf):
        raise UnsupportedError(f"the matrix norm of order {order} is not available")
    return reduced(x, list(dims) if dims is not None else None, keepdim, dtype)


def _reference(x: Array, order: Any, dims: Sequence[int] | None, keepdim: bool, code: int | None) -> Array:
    result = _infer(array_type(x), order, dims, keepdim, code)
    planes = _planes(x.ndim, order, dims)
    axes = tuple(planes) if planes else tuple(normalize_dim(dim, x.ndim) for dim in dims or range(x.ndim))
    size = np.abs(x.astype(np.float64))
    if planes is not None:
        found = np.linalg.norm(size, order, axis=(axes[0], axes[1]), keepdims=keepdim)
    elif order is not None and math.isinf(order):
        found = (np.max if order > 0 else np.min)(size, axis=axes, keepdims=keepdim)
    elif order == 0:
        found = np.sum(size != 0, axis=axes, keepdims=keepdim)
    else:
        power = 2.0 if order is None else float(order)
        found = np.sum(size**power, axis=axes, keepdims=keepdim) ** (1 / power)
    return np.asarray(found).astype(operand_type(result).numpy)


def _decompose(b: Any, x: Any, order: Any, dims: Any, keepdim: bool, code: int | None) -> Any:
    planes = _planes(len(b.shape(x)), order, dims)
    if planes is None:
        return b("aten::linalg_vector_norm", x, 2 if order is None else order, dims, keepdim, dtype=code)
    dtype = b.type(x).dtype if code is None else known_dtype(code)
    summed, other = planes if abs(order) == 1 else planes[::-1]
    totals = b("aten::sum.dim_IntList", b("aten::abs", narrowed(b, x, compute_type(dtype))), [summed], True)
    found = b("aten::amax" if order > 0 else "aten::amin", totals, [other], True)
    if not keepdim:
        found = b("aten::squeeze.dims", found, planes)
    return narrowed(b, found, dtype)


define(
    "aten::linalg_norm(Tensor self, Scalar? ord=None, int[1]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) "
    "-> Tensor",
    infer=_infer,
    reference=_reference,
    decompose=_decompose,
)
