"""Whole rows written to places that are data: `index_add`, `index_reduce`, `index_copy`, `index_fill`."""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.types import TensorType
from optc.ops.abstract import normalize_dim, same_dim
from optc.ops.element_types import BOOLS, COMPLEXES, Refusals, check_type, unimplemented
from optc.ops.elementwise import cast_array
from optc.ops.number_limits import check_number
from optc.ops.overlaps import Overlap
from optc.ops.promotion import operand_type
from optc.ops.registry import define
from optc.ops.scatters import HOW, REDUCTIONS, combined, mean_of, neutral_element, shape_of
from optc.ops.shapes import Shape, format_shape, known_shape, require_same

Array = np.ndarray[Any, Any]


def _check_vector(name: str, index: Any) -> None:
    shape = shape_of(index)
    if len(shape) > 1:
        raise IndexError(
            f"{name}(): Index is supposed to be a vector, but got dim: {len(shape)} with type: "
            f"{operand_type(index).label} and size: {format_shape(shape)}"
        )


def _without(shape: Shape, place: int) -> Shape:
    return shape[:place] + shape[place + 1 :]


def _check_rows(name: str, x: Any, dim: int, index: Any, source: Any) -> None:
    """What `index_add` and `index_reduce` ask of their arguments."""
    _check_vector(name, index)
    if operand_type(index) not in (dtypes.INT32, dtypes.INT64):
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index but got: {operand_type(index).label}")
    if operand_type(x) is not operand_type(source):
        raise RuntimeError(
            f"{name}(): self ({operand_type(x).label}) and source ({operand_type(source).label}) must have the same "
            "scalar type"
        )
    shape, source_shape = shape_of(x), shape_of(source)
    place = normalize_dim(dim, len(shape))
    if place and place >= len(source_shape):
        raise IndexError(
            f"{name}(): Indexing dim {place} is out of bounds of the source tensor with dim {len(source_shape)}"
        )
    count, given = (shape_of(index) or (1,))[0], source_shape[place] if source_shape else 1
    if same_dim(count, given) is False:
        raise RuntimeError(
            f"{name}(): Number of indices ({count}) should be equal to source.size(dim): ({given}), for dim: {place}"
        )
    mine, other = (_without(one, place) for one in (shape, source_shape))
    if len(shape) != len(source_shape) or any(same_dim(*pair) is False for pair in zip(mine, other)):
        raise RuntimeError(
            "source tensor shape must match self tensor shape, excluding the specified dimension. Got self.shape = "
            f"{format_shape(shape)} source.shape = {format_shape(source_shape)}"
        )
    require_same(count, given, "the number of indices and of rows")
    for pair in zip(mine, other):
        require_same(*pair, "the extents of rows")


def _check_row_index(index: Array, extent: int) -> None:
    if index.size and (index.min() < 0 or index.max() >= extent):
        raise IndexError("index out of range in self")


def _slice_along(x: Array, dim: int, index: Array) -> tuple[Any, ...]:
    place = normalize_dim(dim, x.ndim)
    return (slice(None),) * place + (index.reshape(-1),)


def _rows_of(x: Array) -> Array:
    return np.array(x) if x.ndim else np.array(x).reshape(1)


def _reduced_rows(x: Array, dim: int, index: Array, source: Array, combine: Any) -> Array:
    rows, values = _rows_of(x), source if source.ndim else source.reshape(1)
    _check_row_index(index, rows.shape[normalize_dim(dim, rows.ndim)])
    place = normalize_dim(dim, rows.ndim)
    for number, target in enumerate(index.reshape(-1)):
        where = (slice(None),) * place + (target,)
        row = values[(slice(None),) * place + (number,)]
        with np.errstate(all="ignore"):
            rows[where] = combine(rows[where], row)
    return rows.reshape(x.shape)


def _infer_index_add(x: TensorType, dim: int, index: TensorType, source: TensorType, alpha: Any) -> TensorType:
    _check_rows("index_add_", x, dim, index, source)
    return x.with_shape(x.shape)


def _reference_index_add(x: Array, dim: int, index: Array, source: Array, alpha: Any) -> Array:
    _check_rows("index_add_", x, dim, index, source)
    place = normalize_dim(dim, x.ndim)
    outside = index[(index < 0) | (index >= x.shape[place])] if x.ndim > 1 else index[:0]
    if outside.size:
        raise RuntimeError(f"index {outside.flat[0]} is out of bounds for dimension {place} with size {x.shape[place]}")
    with np.errstate(all="ignore"):
        scaled = np.asarray(source * cast_array(alpha, x.dtype)) if alpha != 1 else source
    return _reduced_rows(x, dim, index, scaled, np.add)


def _decompose_index_add(b: Any, x: Any, dim: int, index: Any, source: Any, alpha: Any) -> Any:
    if not (isinstance(alpha, int) and alpha == 1):
        source = b("aten::to.dtype", b("aten::mul.Scalar", source, alpha), b.type(x).dtype.code)
    return b("prim::IndexReduce", x, dim, index, source, "sum")


define(
    "aten::index_add(Tensor self, int dim, Tensor index, Tensor source, *, Scalar alpha=1) -> Tensor",
    infer=_infer_index_add,
    reference=_reference_index_add,
    decompose=_decompose_index_add,
    may_fail=True,
    inplace=True,
    overlap=Overlap.APART,
)
define(
    "prim::IndexReduce(Tensor self, int dim, Tensor index, Tensor source, str reduce) -> Tensor",
    infer=lambda x, dim, index, source, reduce: _infer_index_add(x, dim, index, source, 1),
    reference=lambda x, dim, index, source, reduce: _reduced_rows(x, dim, index, source, REDUCTIONS[reduce]),
    kernel="scatter",
    may_fail=True,
)


def _check_row_reduction(reduce: Any) -> None:
    if isinstance(reduce, str) and reduce not in HOW[1:]:
        raise RuntimeError(f"index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got {reduce}.")


def _missing_row_kernel(rank: int, reduce: str, include_self: bool) -> Refusals:
    if not include_self:
        return unimplemented("index_reduce_func_exclude_input_init", BOOLS | COMPLEXES)
    if rank < 2:
        return unimplemented("index_func_", BOOLS | COMPLEXES)
    if reduce == "mean":
        return unimplemented("div_floor_cpu", BOOLS)
    if reduce == "prod":
        return ()
    return unimplemented("maximum_cpu" if reduce == "amax" else "minimum_cpu", COMPLEXES)


def _infer_index_reduce(
    x: TensorType, dim: int, index: TensorType, source: TensorType, reduce: Any, include_self: Any
) -> TensorType:
    _check_row_reduction(reduce)
    check_type(_missing_row_kernel(len(known_shape(x)), reduce, include_self), operand_type(x))
    _check_rows("index_reduce_", x, dim, index, source)
    return x.with_shape(x.shape)


def _reference_index_reduce(x: Array, dim: int, index: Array, source: Array, reduce: str, include_self: bool) -> Array:
    _check_row_reduction(reduce)
    check_type(_missing_row_kernel(x.ndim, reduce, include_self), operand_type(x))
    _check_rows("index_reduce_", x, dim, index, source)
    if not include_self:
        x = _filled_rows(x, dim, index, neutral_element(reduce, operand_type(x)))
    if reduce != "mean":
        return _reduced_rows(x, dim, index, source, REDUCTIONS[reduce])
    total = _reduced_rows(x, dim, index, source, np.add)
    count = np.full(x.shape, int(include_self))
    count = _reduced_rows(count, dim, index, np.ones(source.shape, np.int64), np.add)
    return mean_of(total, np.maximum(count, 1))


def _decompose_index_reduce(b: Any, x: Any, dim: int, index: Any, source: Any, reduce: str, include_self: bool) -> Any:
    if not include_self:
        wide = b("aten::to.dtype", index, dtypes.INT64.code)
        x = b("aten::index_fill.int_Scalar", x, dim, wide, neutral_element(reduce, b.type(x).dtype))
    return combined(b, "prim::IndexReduce", x, dim, index, source, reduce, include_self)


define(
    "aten::index_reduce(Tensor self, int dim, Tensor index, Tensor source, str reduce, *, bool include_self=True) "
    "-> Tensor",
    infer=_infer_index_reduce,
    reference=_reference_index_reduce,
    decompose=_decompose_index_reduce,
    may_fail=True,
    inplace=True,
    overlap=Overlap.APART,
)


def _check_copied_rows(x: Any, dim: int, index: Any, source: Any) -> None:
    shape, source_shape, index_shape = shape_of(x), shape_of(source), shape_of(index)
    place = normalize_dim(dim, len(shape))
    if len(index_shape) > 1:
        raise IndexError(f"index_copy_(): Index should have dimension 1 or 0 (got {len(index_shape)})")
    count = (index_shape or (1,))[0]
    if not source_shape and same_dim(count, 1) is False:
        raise IndexError(f"index_copy_(): When source is scalar, index should have one element (got {count})")
    if source_shape and shape and len(source_shape) != len(shape):
        raise IndexError(
            "index_copy_(): When source and destination are not scalars, their dimensionality must match. Source "
            f"dimensionality ({len(source_shape)}), destination dimensionality ({len(shape)})"
        )
    if operand_type(index) is not dtypes.INT64:
        raise RuntimeError(f"index_copy_(): Expected a long tensor for index, but got {operand_type(index).label}")
    if operand_type(x) is not operand_type(source):
        raise RuntimeError(
            "index_copy_(): self and source expected to have the same dtype, but got (self) "
            f"{operand_type(x).label} and (source) {operand_type(source).label}"
        )
    mine, other = _without(shape, place), _without(source_shape, place)
    if len(mine) != len(other) or any(same_dim(*pair) is False for pair in zip(mine, other)):
        shown = [" ".join(map(str, one)) for one in (mine, other)]
        raise RuntimeError(
            "index_copy_(): Source/destination tensor must have same slice shapes. Destination slice shape: "
            f"{shown[0]} at dimension {place} and source slice shape: {shown[1]} at dimension 0."
        )
    given = source_shape[place] if source_shape else 1
    if source_shape and same_dim(count, given) is False:
        raise IndexError(f"index_copy_(): Number of indices ({count}) should be equal to source.size(dim) ({given})")
    require_same(count, given, "the number of indices and of rows")
    for pair in zip(mine, other):
        require_same(*pair, "the extents of rows")


def _infer_index_copy(x: TensorType, dim: int, index: TensorType, source: TensorType) -> TensorType:
    _check_copied_rows(x, dim, index, source)
    return x.with_shape(x.shape)


def _reference_index_copy(x: Array, dim: int, index: Array, source: Array) -> Array:
    _check_copied_rows(x, dim, index, source)
    rows, place = _rows_of(x), normalize_dim(dim, x.ndim)
    outside = index[(index < 0) | (index >= rows.shape[place])]
    if outside.size:
        raise IndexError(
            f"index_copy_(): index {outside.flat[0]} is out of bounds for dimension {place} with size {rows.shape[place]}"
        )
    rows[_slice_along(rows, place, index)] = source
    return rows.reshape(x.shape)


define("aten::index_copy(Tensor self, int dim, Tensor index, Tensor source) -> Tensor", infer=_infer_index_copy,
       reference=_reference_index_copy, kernel="scatter", may_fail=True, inplace=True,
       overlap=Overlap.APART)  # fmt: skip


def _filled_rows(x: Array, dim: int, index: Array, value: Any) -> Array:
    rows = _rows_of(x)
    rows[_slice_along(rows, dim, index)] = cast_array(value, x.dtype)
    return rows.reshape(x.shape)


def _check_filled(x: Any, dim: int, index: Any, value: Any) -> int:
    place = normalize_dim(dim, len(shape_of(x)))
    if isinstance(value, TensorType | np.ndarray) and shape_of(value):
        raise RuntimeError(
            "index_fill_ only supports a 0-dimensional value tensor, but got tensor with "
            f"{len(shape_of(value))} dimension(s)."
        )
    if operand_type(index) is not dtypes.INT64:
        raise IndexError("index_fill_(): Expected dtype int64 for index.")
    if len(shape_of(index)) > 1:
        raise RuntimeError("Index has to be a vector/scalar")
    check_number(value.item() if isinstance(value, np.ndarray) else value, operand_type(x))
    return place


def _infer_index_fill(x: TensorType, dim: int, index: TensorType, value: Any) -> TensorType:
    _check_filled(x, dim, index, value)
    return x.with_shape(x.shape)


def _reference_index_fill(x: Array, dim: int, index: Array, value: Any) -> Array:
    place = _check_filled(x, dim, index, value)
    extent = x.shape[place] if x.ndim else 1
    outside = index[(index < -extent) | (index >= extent)]
    if outside.size:
        raise IndexError(f"index {outside.flat[0]} is out of bounds for dimension {place} with size {extent}")
    return _filled_rows(x, dim, index, value)


for _kind in ("Scalar", "Tensor"):
    define(f"aten::index_fill.int_{_kind}(Tensor self, int dim, Tensor index, {_kind} value) -> Tensor",
           infer=_infer_index_fill, reference=_reference_index_fill, kernel="scatter", may_fail=True,
           inplace=True, overlap=Overlap.ANY)  # fmt: skip
