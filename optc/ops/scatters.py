"""Elements written to places that are data: scatters along a dimension, and flat places.

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


HOW = ("sum", "prod", "mean", "amax", "amin")


def _check_reduction(reduce: Any) -> None:
    if isinstance(reduce, str) and reduce not in HOW:
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


def combined(b: Any, operator: str, x: Any, dim: int, index: Any, source: Any, reduce: str, include_self: bool) -> Any:
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
    return combined(b, "prim::ScatterReduce", x, dim, index, source, reduce, include_self)


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
