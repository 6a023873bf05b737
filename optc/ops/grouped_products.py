"""`_grouped_mm`: one matrix product per group of rows, as mixtures of experts compute them.

`offs` says where groups end along the dimension that they share. What lies behind the last group is left as it is in
memory by PyTorch; here it is 0.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from optc.ir.dims import Dim
from optc.ir.dtypes import BFLOAT16, FLOAT16, FLOAT32, INT32, DType
from optc.ir.types import TensorType
from optc.ops.abstract import UndecidedShape, known_dtype
from optc.ops.elementwise import array_type
from optc.ops.promotion import compute_type
from optc.ops.reduction import narrowed
from optc.ops.registry import define
from optc.ops.shapes import known_shape, require_same

Array = np.ndarray[Any, Any]


def _check(x: TensorType, other: TensorType, offs: TensorType | None, bias: Any) -> None:
    if bias is not None:
        raise RuntimeError("Bias not supported yet")
    for operand, name in ((x, "mat_a"), (other, "mat_b")):
        if operand.dtype not in (FLOAT32, BFLOAT16, FLOAT16):
            raise RuntimeError(
                f"Expected {name} to be Float32, BFloat16 or Float16 matrix, got {operand.dtype and operand.dtype.label}"
            )
    if (offs is None) != (len(known_shape(x)) == 3 and len(known_shape(other)) == 3):
        raise RuntimeError("Have to provide offsets if there is a 2d matrix, or no offset if both matrices are 3d")
    if offs is not None and offs.dtype is not INT32:
        raise RuntimeError("Offsets have to be int32")


def _infer(x: TensorType, other: TensorType, offs: TensorType | None, bias: Any, dtype: int | None) -> TensorType:
    _check(x, other, offs, bias)
    mine, theirs = known_shape(x), known_shape(other)
    require_same(mine[-1], theirs[-2], "contraction dimension of mat_a and mat_b must match")
    result = x.dtype if dtype is None else known_dtype(dtype)
    return TensorType(result, _shape(mine, theirs, None if offs is None else known_shape(offs)[0]))


def _shape(mine: tuple[Dim, ...], theirs: tuple[Dim, ...], groups: Dim | None) -> tuple[Dim, ...]:
    if len(mine) == 2 and len(theirs) == 2:
        assert groups is not None
        return groups, mine[0], theirs[1]
    batches = [shape[0] for shape in (mine, theirs) if len(shape) == 3]
    for batch in batches:
        require_same(batch, batches[0] if groups is None else groups, "matrix batch sizes have to match")
    return (batches[0], mine[-2], theirs[-1]) if groups is None else (mine[-2], theirs[-1])


def _reference(x: Array, other: Array, offs: Array | None, bias: Any, dtype: int | None) -> Array:
    type_ = _infer(array_type(x), array_type(other), None if offs is None else array_type(offs), bias, dtype)
    assert type_.shape is not None and type_.dtype is not None
    left, right = x.astype(np.float32), other.astype(np.float32)
    if offs is None:
        return (left @ right).astype(type_.dtype.numpy)
    result = np.zeros([int(dim) for dim in type_.shape if isinstance(dim, int)], np.float32)
    for group, (start, end) in enumerate(pairwise([0, *(int(end) for end in offs)])):
        if x.ndim == 2 and other.ndim == 2:
            result[group] = left[:, start:end] @ right[start:end]
        elif x.ndim == 2:
            result[start:end] = left[start:end] @ right[group]
        else:
            result[:, start:end] = left[group] @ right[:, start:end]
    return result.astype(type_.dtype.numpy)


def _decompose(b: Any, x: Any, other: Any, offs: Any, bias: Any, dtype: int | None) -> Any:
    """One product per group, of rows or columns that are known when the program runs."""
    result = b.type(x).dtype if dtype is None else known_dtype(dtype)
    work = compute_type(b.type(x).dtype)
    left, right = narrowed(b, x, work), narrowed(b, other, work)
    if offs is None:
        return narrowed(b, b("aten::bmm", left, right), result)
    groups = b.shape(offs)[0]
    if not isinstance(groups, int) or groups > LARGEST:
        raise UndecidedShape(f"{groups} products are not written out")
    ends = [b("aten::Int.Tensor", b("aten::select.int", offs, 0, group)) for group in range(groups)]
    bounds = list(pairwise([0, *ends]))
    if len(b.shape(left)) == len(b.shape(right)):
        return narrowed(b, b("aten::stack", _summed(b, left, right, bounds), 0), result)
    return narrowed(b, _joined(b, left, right, bounds, work), result)


def _summed(b: Any, left: Any, right: Any, bounds: list[tuple[Any, Any]]) -> list[Any]:
    """Groups of what products sum over."""
    parts = [
        (b("aten::slice.Tensor", left, 1, *pair, 1), b("aten::slice.Tensor", right, 0, *pair, 1)) for pair in bounds
    ]
    return [b("aten::mm", *pair) for pair in parts]


def _joined(b: Any, left: Any, right: Any, bounds: list[tuple[Any, Any]], work: DType) -> Any:
    """Groups of rows of the left matrix, or of columns of the right one, side by side in one matrix."""
    along = 0 if len(b.shape(left)) == 2 else 1
    whole = b("aten::zeros", [b.shape(left)[-2], b.shape(right)[-1]], dtype=work.code)
    for group, (start, end) in enumerate(bounds):
        operands = [left, right]
        operands[along] = b("aten::slice.Tensor", operands[along], along, start, end, 1)
        operands[1 - along] = b("aten::select.int", operands[1 - along], 0, group)
        whole = b("aten::slice_scatter", whole, b("aten::mm", *operands), along, start, end, 1)
    return whole


LARGEST = 64
"""More groups than this are not written out."""

define(
    "aten::_grouped_mm(Tensor self, Tensor mat2, Tensor? offs=None, Tensor? bias=None, ScalarType? out_dtype=None) "
    "-> Tensor",
    infer=_infer,
    reference=_reference,
    decompose=_decompose,
    may_fail=True,
)
