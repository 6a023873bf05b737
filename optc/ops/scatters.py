"""Elements written to places that are data: scatters along a dimension, whole rows by index, flat places.

Writes happen in the order of the index, so that the last of several writes to one place counts and sums add up in
order. Native code knows the kernel "scatter": `scatter`, `scatter_reduce` with the tensor's own elements, `index_copy`,
`index_fill`, `index_add` and `index_put`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.dtypes import DType
from optc.ir.types import TensorType
from optc.ops.abstract import normalize_dim, same_dim
from optc.ops.element_types import BOOLS, COMPLEXES, Refusals, check_type, unimplemented
from optc.ops.elementwise import cast_array
from optc.ops.overlaps import Overlap
from optc.ops.promotion import exact_type, operand_type
from optc.ops.registry import define
from optc.ops.shapes import Shape, format_shape, known_shape, require_same

Array = np.ndarray[Any, Any]

REDUCTIONS: dict[str, Callable[..., Any]] = {
    "add": np.add, "sum": np.add, "multiply": np.multiply, "prod": np.multiply, "amax": np.maximum, "amin": np.minimum,
}  # fmt: skip


def shape_of(operand: Any) -> Shape:
    """The shape of an abstract tensor or of an array."""
    return known_shape(operand) if isinstance(operand, TensorType) else operand.shape


def _is_certainly_empty(shape: Shape) -> bool:
    return any(extent == 0 for extent in shape)


# Along a dimension ---------------------------------------------------------------------------------------------------


def check_along(name: str, x: Any, dim: int, index: Any, source: Any = None) -> int:
    """The dimension that an index of a gather or scatter stands for, counted from the front. Raises as torch does.

    `source`: the tensor whose elements are written, None for a gather or a number.
    """
    shape, index_shape = shape_of(x), shape_of(index)
    place = normalize_dim(dim, len(shape))
    is_empty = _is_certainly_empty(index_shape)
    if not is_empty and operand_type(index) not in (dtypes.INT64, dtypes.INT32):
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index")
    if source is not None and operand_type(source) is not operand_type(x):
        raise RuntimeError(f"{name}(): Expected self.dtype to be equal to src.dtype")
    if is_empty:
        return place
    what = "input" if name == "gather" else "self"
    if max(len(shape), 1) != max(len(index_shape), 1):
        raise RuntimeError(f"Index tensor must have the same number of dimensions as {what} tensor")
    if source is not None and max(len(shape_of(source)), 1) != max(len(index_shape), 1):
        raise RuntimeError("Index tensor must have the same number of dimensions as src tensor")
    fits = all(
        axis == place or not _is_certainly_larger(other, mine)
        for axis, (mine, other) in enumerate(zip(shape, index_shape))
    )
    if name == "gather" and not fits:
        axis = next(a for a, pair in enumerate(zip(index_shape, shape)) if a != place and _is_certainly_larger(*pair))
        raise RuntimeError(
            f"Size does not match at dimension {axis} expected index {format_shape(index_shape)} to be no larger "
            f"than self {format_shape(shape)} apart from dimension {place}"
        )
    source_shape = index_shape if source is None else shape_of(source)
    if not fits or any(map(_is_certainly_larger, index_shape, source_shape)):
        more = "" if source is None else f" and to be no larger size than src {format_shape(source_shape)}"
        raise RuntimeError(
            f"Expected index {format_shape(index_shape)} to be no larger than self {format_shape(shape)} apart from "
            f"dimension {place}{more}"
        )
    return place


def _is_certainly_larger(left: Any, right: Any) -> bool:
    return isinstance(left, int) and isinstance(right, int) and left > right


def _tensor_source(source: Any) -> Any:
    return source if isinstance(source, TensorType | np.ndarray) else None


def along(place: int, index: Array) -> tuple[Array, ...]:
    """Index arrays that address `index` along `place` and the same position everywhere else."""
    grid = np.indices(index.shape, sparse=True)
    return tuple(index if axis == place else grid[axis] for axis in range(index.ndim))


def check_bounds(index: Array, place: int, extent: int) -> None:
    """Indices of gathers and scatters count from the front. Raises RuntimeError with torch's text."""
    outside = index[(index < 0) | (index >= extent)]
    if outside.size:
        raise RuntimeError(f"index {outside.flat[0]} is out of bounds for dimension {place} with size {extent}")


def _scatter(x: Array, dim: int, index: Array, source: Any, reduce: str | None) -> Array:
    place = check_along("scatter", x, dim, index, _tensor_source(source))
    result = np.array(x) if x.ndim else np.array(x).reshape(1)
    if not index.size:
        return result.reshape(x.shape)
    flat = index if index.ndim else index.reshape(1)
    check_bounds(flat, place, result.shape[place])
    values = source
    if isinstance(source, np.ndarray) and source.ndim:
        values = source[tuple(slice(0, size) for size in flat.shape)]
    where = along(place, flat)
    if reduce is None:
        result[where] = cast_array(values, result.dtype)
        return result.reshape(x.shape)
    with np.errstate(all="ignore"):
        return _reduced_at(result, where, cast_array(values, result.dtype), REDUCTIONS[reduce]).reshape(x.shape)


def _reduced_at(target: Array, where: Any, values: Any, combine: Any) -> Array:
    """target[where] = combine(target[where], values), one element behind the other; halves round at every step."""
    if target.dtype.kind in "fiubc":
        combine.at(target, where, values)
        return target
    places = np.broadcast_arrays(*where)
    for place, value in zip(zip(*(part.reshape(-1) for part in places)), np.broadcast_to(values, places[0].shape).flat):
        target[place] = combine(np.float32(target[place]), np.float32(value))
    return target


def _infer_scatter(x: TensorType, dim: int, index: TensorType, source: Any, reduce: Any = None) -> TensorType:
    check_along("scatter", x, dim, index, _tensor_source(source))
    _check_how(reduce)
    return x.with_shape(x.shape)


def _check_how(reduce: Any) -> None:
    if isinstance(reduce, str) and reduce not in ("add", "multiply"):
        raise RuntimeError("reduce argument must be either add or multiply.")


def _reference_scatter(x: Array, dim: int, index: Array, source: Any, reduce: str | None = None) -> Array:
    _check_how(reduce)
    return _scatter(x, dim, index, source, reduce)


for _schema in (
    "scatter.src(Tensor self, int dim, Tensor index, Tensor src)",
    "scatter.value(Tensor self, int dim, Tensor index, Scalar value)",
    "scatter.reduce(Tensor self, int dim, Tensor index, Tensor src, *, str reduce)",
    "scatter.value_reduce(Tensor self, int dim, Tensor index, Scalar value, *, str reduce)",
):
    define(
        f"aten::{_schema} -> Tensor",
        infer=_infer_scatter,
        reference=_reference_scatter,
        kernel="scatter",
        may_fail=True,
        inplace=True,
        overlap=Overlap.APART,
    )
define(
    "aten::scatter_add(Tensor self, int dim, Tensor index, Tensor src) -> Tensor",
    infer=_infer_scatter,
    reference=lambda x, dim, index, source: _scatter(x, dim, index, source, "sum"),
    decompose=lambda b, *arguments: b("aten::scatter_reduce.two", *arguments, "sum"),
    may_fail=True,
    inplace=True,
    overlap=Overlap.APART,
)


def neutral_element(reduce: str, dtype: DType) -> float | bool:
    """What a reduction starts from where the tensor's own elements take no part."""
    if reduce in ("sum", "mean"):
        return 0
    if reduce == "prod":
        return 1
    if dtype.kind == "float":
        return -np.inf if reduce == "amax" else np.inf
    if dtype is dtypes.BOOL:
        return reduce == "amin"
    limits = np.iinfo(dtype.numpy)
    return int(limits.min if reduce == "amax" else limits.max)


_HOW = ("sum", "prod", "mean", "amax", "amin")


def _check_reduction(reduce: Any) -> None:
    if isinstance(reduce, str) and reduce not in _HOW:
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")


def _missing_kernel(reduce: Any) -> Refusals:
    if reduce not in ("amax", "amin", "mean"):
        return ()
    return unimplemented(f"scatter_gather_tensor_cpu_reduce_{reduce}", BOOLS if reduce == "mean" else COMPLEXES)


def _infer_scatter_reduce(
    x: TensorType, dim: int, index: TensorType, source: TensorType, reduce: Any, include_self: Any
) -> TensorType:
    check_along("scatter", x, dim, index, source)
    _check_reduction(reduce)
    if 0 not in shape_of(index):
        check_type(_missing_kernel(reduce), operand_type(x))
    return x.with_shape(x.shape)


def _reference_scatter_reduce(
    x: Array, dim: int, index: Array, source: Array, reduce: str, include_self: bool
) -> Array:
    check_along("scatter", x, dim, index, source)
    _check_reduction(reduce)
    if 0 not in shape_of(index):
        check_type(_missing_kernel(reduce), operand_type(x))
    if not include_self:
        x = _scatter(x, dim, index, neutral_element(reduce, operand_type(x)), None)
    if reduce != "mean":
        return _scatter(x, dim, index, source, reduce)
    total = _scatter(x, dim, index, source, "sum")
    count = _scatter(np.full(x.shape, int(include_self)), dim, index, np.ones(index.shape, np.int64), "sum")
    return mean_of(total, np.maximum(count, 1))


def mean_of(total: Array, count: Array) -> Array:
    """Sums divided by how many elements they have, rounded down for integers."""
    if total.dtype.kind in "iu":
        return np.asarray(total // count).astype(total.dtype)
    with np.errstate(all="ignore"):
        return np.asarray(total.astype(exact_type(operand_type(total)).numpy) / count).astype(total.dtype)


def divided(b: Any, total: Any, count: Any) -> Any:
    """`mean_of` as operators; `count` has the type of `total`."""
    if b.type(total).dtype.kind == "int":
        return b("aten::floor_divide", total, count)
    return b("aten::div.Tensor", total, count)


def _combined(b: Any, operator: str, x: Any, dim: int, index: Any, source: Any, reduce: str, include_self: bool) -> Any:
    """What comes of combining elements of `source` with those of x; a mean is a sum by a count of both."""
    if reduce != "mean":
        return b(operator, x, dim, index, source, reduce)
    total = b(operator, x, dim, index, source, "sum")
    counts = b("aten::full", list(b.shape(x)), int(include_self), dtype=b.type(x).dtype.code)
    counts = b(operator, counts, dim, index, b("aten::ones_like", source), "sum")
    return divided(b, total, b("aten::clamp_min", counts, 1))


def _decompose_scatter_reduce(
    b: Any, x: Any, dim: int, index: Any, source: Any, reduce: str, include_self: bool
) -> Any:
    if not include_self:
        x = b("aten::scatter.value", x, dim, index, neutral_element(reduce, b.type(x).dtype))
    return _combined(b, "prim::ScatterReduce", x, dim, index, source, reduce, include_self)


define(
    "aten::scatter_reduce.two(Tensor self, int dim, Tensor index, Tensor src, str reduce, *, "
    "bool include_self=True) -> Tensor",
    infer=_infer_scatter_reduce,
    reference=_reference_scatter_reduce,
    decompose=_decompose_scatter_reduce,
    may_fail=True,
    inplace=True,
    overlap=Overlap.APART,
)
define(
    "prim::ScatterReduce(Tensor self, int dim, Tensor index, Tensor src, str reduce) -> Tensor",
    infer=lambda x, dim, index, source, reduce: _infer_scatter_reduce(x, dim, index, source, reduce, True),
    reference=_scatter,
    kernel="scatter",
    may_fail=True,
)


# Rows ----------------------------------------------------------------------------------------------------------------


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
    if isinstance(reduce, str) and reduce not in _HOW[1:]:
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
    return _combined(b, "prim::IndexReduce", x, dim, index, source, reduce, include_self)


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


# Flat places ---------------------------------------------------------------------------------------------------------


def _check_put(x: Any, index: Any, source: Any) -> None:
    if operand_type(index) is not dtypes.INT64:
        raise RuntimeError(f"put_(): Expected a long tensor for index, but got {operand_type(index).label}")
    if operand_type(x) is not operand_type(source):
        raise RuntimeError(
            f"put_(): self and source expected to have the same dtype, but got self.dtype = {operand_type(x).label} and "
            f"source.dtype = {operand_type(source).label}"
        )


def _put_sizes(index: Any, source: Any) -> None:
    counts = [_count(shape_of(one)) for one in (source, index)]
    if same_dim(*counts) is False:
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got source.numel() = "
            f"{counts[0]}, index.numel() = {counts[1]}"
        )
    require_same(counts[0], counts[1], "the number of indices and of elements to put")


def _count(shape: Shape) -> Any:
    count: Any = 1
    for extent in shape:
        count = count * extent
    return count


def _infer_put(x: TensorType, index: TensorType, source: TensorType, accumulate: Any) -> TensorType:
    _check_put(x, index, source)
    _put_sizes(index, source)
    return x.with_shape(x.shape)


def _reference_put(x: Array, index: Array, source: Array, accumulate: bool) -> Array:
    _check_put(x, index, source)
    _put_sizes(index, source)
    outside = index[(index < -x.size) | (index >= x.size)]
    if outside.size:
        if not x.size:
            raise IndexError("put_(): Expected self to be a non-empty tensor")
        raise IndexError(f"out of range: tried to access index {outside.flat[0]} on a tensor of {x.size} elements.")
    flat = x.reshape(-1).copy()
    if accumulate:
        return _reduced_at(flat, (index.reshape(-1),), source.reshape(-1), np.add).reshape(x.shape)
    flat[index.reshape(-1)] = source.reshape(-1)
    return flat.reshape(x.shape)


def _decompose_put(b: Any, x: Any, index: Any, source: Any, accumulate: Any) -> Any:
    flat, places, values = (b("aten::reshape", one, [-1]) for one in (x, index, source))
    written = b("aten::index_put", flat, [places], values, accumulate)
    return b("aten::reshape", written, list(b.shape(x)))


define(
    "aten::put(Tensor self, Tensor index, Tensor source, bool accumulate=False) -> Tensor",
    infer=_infer_put,
    reference=_reference_put,
    decompose=_decompose_put,
    may_fail=True,
    inplace=True,
    overlap=Overlap.APART,
)
