"""Elements chosen by indices that are data: lookups, gathers, advanced indexing, masks, scatters.

Native code knows the kernels "gather" and "scatter". Indices are checked when the program runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.dims import fresh
from optc.ir.types import TensorType
from optc.ops.abstract import UndecidedShape, normalize_dim, same_dim
from optc.ops.elementwise import cast_array
from optc.ops.promotion import operand_type
from optc.ops.registry import define
from optc.ops.shapes import Shape, broadcast_shapes, format_shape, known, known_shape

Array = np.ndarray[Any, Any]


def _check_range(index: Array, extent: int, message: str = "index out of range in self") -> None:
    if index.size and (index.min() < 0 or index.max() >= extent):
        raise IndexError(message)


def _check_index_type(name: str, index: Any, allowed: tuple[dtypes.DType, ...] = (dtypes.INT32, dtypes.INT64)) -> None:
    if operand_type(index) not in allowed:
        raise RuntimeError(f"{name}(): Expected dtype int32 or int64 for index")


# Rows of a table -----------------------------------------------------------------------------------------------------


def _check_embedding(weight_shape: Shape, indices: Any) -> None:
    if len(weight_shape) != 2:
        raise RuntimeError("'weight' must be 2-D")
    if operand_type(indices) not in (dtypes.INT32, dtypes.INT64):
        label = operand_type(indices).label
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
            f"torch.{label}Tensor instead (while checking arguments for embedding)"
        )


def _infer_embedding(weight: TensorType, indices: TensorType, *rest: Any) -> TensorType:
    _check_embedding(known_shape(weight), indices)
    return weight.with_shape((*known_shape(indices), known_shape(weight)[1]))


def _reference_embedding(weight: Array, indices: Array, *rest: Any) -> Array:
    _check_embedding(weight.shape, indices)
    _check_range(indices, weight.shape[0])
    return np.asarray(weight[indices])


define(
    "aten::embedding(Tensor weight, Tensor indices, SymInt padding_idx=-1, bool scale_grad_by_freq=False, "
    "bool sparse=False) -> Tensor",
    infer=_infer_embedding,
    reference=_reference_embedding,
    kernel="gather",
    may_fail=True,
)
# What scripts of `nn.functional.embedding` call for `max_norm`. PyTorch declares it without a mark of mutation and drops
# it, because nothing reads its result: scripted embeddings never change their weights.
define(
    "aten::_no_grad_embedding_renorm_(Tensor weight, Tensor input, float max_norm, float norm_type) -> Tensor",
    infer=lambda weight, *rest: weight,
    reference=lambda weight, *rest: weight.copy(),
    decompose=lambda b, weight, *rest: weight,
)


def _selected_shape(shape: Shape, dim: int, index: Shape) -> Shape:
    if len(index) > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    count = index[0] if index else 1
    place = normalize_dim(dim, len(shape))
    return (*shape[:place], count, *shape[place + 1 :]) if shape else ()


def _infer_index_select(x: TensorType, dim: int, index: TensorType) -> TensorType:
    _check_index_type("index_select", index)
    return x.with_shape(_selected_shape(known_shape(x), dim, known_shape(index)))


def _reference_index_select(x: Array, dim: int, index: Array) -> Array:
    _check_index_type("index_select", index)
    shape = _selected_shape(x.shape, dim, index.shape)
    rows = x if x.ndim else x.reshape(1)
    place = normalize_dim(dim, x.ndim)
    _check_range(index, rows.shape[place], "index out of range in self")
    return np.take(rows, index.reshape(-1), axis=place).reshape(known(shape))


define("aten::index_select(Tensor self, int dim, Tensor index) -> Tensor", infer=_infer_index_select,
       reference=_reference_index_select, kernel="gather", may_fail=True)  # fmt: skip


# Elements along a dimension ------------------------------------------------------------------------------------------


def _check_gather(name: str, shape: Shape, dim: int, index: Any, index_shape: Shape) -> int:
    if operand_type(index) is not dtypes.INT64 and name != "gather":
        raise RuntimeError(f"{name}(): Expected dtype int64 for index")
    if operand_type(index) not in (dtypes.INT64, dtypes.INT32):
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index")
    place = normalize_dim(dim, len(shape))
    if max(len(shape), 1) != max(len(index_shape), 1):
        raise RuntimeError("Index tensor must have the same number of dimensions as input tensor")
    for axis, (mine, other) in enumerate(zip(shape, index_shape)):
        if axis != place and isinstance(mine, int) and isinstance(other, int) and other > mine:
            raise RuntimeError(
                f"Size does not match at dimension {axis} expected index {format_shape(index_shape)} to be no larger "
                f"than self {format_shape(shape)} apart from dimension {place}"
            )
    return place


def _infer_gather(x: TensorType, dim: int, index: TensorType, sparse_grad: bool = False) -> TensorType:
    _check_gather("gather", known_shape(x), dim, index, known_shape(index))
    return x.with_shape(known_shape(index))


def _along(shape: tuple[int, ...], place: int, index: Array) -> tuple[Array, ...]:
    """Index arrays that address `index` along `place` and the same position everywhere else."""
    grid = np.indices(index.shape, sparse=True)
    return tuple(index if axis == place else grid[axis] for axis in range(index.ndim))


def _reference_gather(x: Array, dim: int, index: Array, sparse_grad: bool = False) -> Array:
    place = _check_gather("gather", x.shape, dim, index, index.shape)
    if not index.size:
        return np.empty(index.shape, x.dtype)
    table = x if x.ndim else x.reshape(1)
    extent = table.shape[place]
    outside = index[(index < 0) | (index >= extent)]
    if outside.size:
        raise RuntimeError(f"index {outside.flat[0]} is out of bounds for dimension {place} with size {extent}")
    flat = index if index.ndim else index.reshape(1)
    return np.asarray(table[_along(table.shape, place, flat)]).reshape(index.shape)


define("aten::gather(Tensor self, int dim, Tensor index, *, bool sparse_grad=False) -> Tensor", infer=_infer_gather,
       reference=_reference_gather, kernel="gather", may_fail=True)  # fmt: skip


def _reference_take(x: Array, index: Array) -> Array:
    if operand_type(index) is not dtypes.INT64:
        raise RuntimeError(f"take(): Expected a long tensor for index, but got {operand_type(index).label}")
    if index.size and (index.min() < -x.size or index.max() >= x.size):
        outside = index[(index < -x.size) | (index >= x.size)].flat[0]
        raise IndexError(f"out of range: tried to access index {outside} on a tensor of {x.size} elements.")
    return np.asarray(x.reshape(-1)[index])


define(
    "aten::take(Tensor self, Tensor index) -> Tensor",
    infer=lambda x, index: x.with_shape(known_shape(index)),
    reference=_reference_take,
    kernel="gather",
    may_fail=True,
)
define(
    "aten::take_along_dim(Tensor self, Tensor indices, int? dim=None) -> Tensor",
    infer=lambda x, index, dim: x.with_shape(known_shape(index)),
    reference=lambda x, index, dim: np.take_along_axis(x, index, dim),
    kernel="gather",
    may_fail=True,
)


# Advanced indexing ---------------------------------------------------------------------------------------------------

Indices = Sequence[Any]
"""One index tensor or None (all of the dimension) per dimension; masks stand for as many dimensions as they have."""


def _check_index(index: Any) -> None:
    if operand_type(index).kind not in ("int", "bool") or operand_type(index) in (dtypes.INT8, dtypes.INT16):
        raise IndexError("tensors used as indices must be long, int, byte or bool tensors")


def _is_mask(index: Any) -> bool:
    return index is not None and operand_type(index) in (dtypes.BOOL, dtypes.UINT8)


def _check_mask(mask: Shape, shape: Shape, place: int) -> None:
    for axis, extent in enumerate(mask):
        if place + axis >= len(shape) or same_dim(extent, shape[place + axis]) is False:
            raise IndexError(
                f"The shape of the mask {format_shape(mask)} at index {axis} does not match the shape of the indexed "
                f"tensor {format_shape(shape)} at index {place + axis}"
            )


def _expand_masks(indices: Indices, shape: tuple[int, ...]) -> list[Array | None]:
    """Masks as the index arrays of their true places."""
    expanded: list[Array | None] = []
    for index in indices:
        if index is None:
            expanded.append(None)
            continue
        _check_index(index)
        if _is_mask(index):
            _check_mask(index.shape, shape, len(expanded))
            expanded.extend(np.nonzero(index) if index.ndim else np.nonzero(index.reshape(1)))
        else:
            expanded.append(index)
    return expanded


def _check_count(count: int, rank: int) -> None:
    if count > rank:
        raise IndexError(f"too many indices for tensor of dimension {rank} (got {count})")


def _numpy_index(indices: Indices, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """The numpy index; numpy and torch agree on where the indexed dimensions go. Raises IndexError."""
    expanded = _expand_masks(indices, shape)
    _check_count(len(expanded), len(shape))
    given = [index for index in expanded if index is not None]
    try:
        np.broadcast_shapes(*(index.shape for index in given))
    except ValueError:
        shapes = ", ".join(format_shape(index.shape) for index in given)
        raise IndexError(
            f"shape mismatch: indexing tensors could not be broadcast together with shapes {shapes}"
        ) from None
    for axis, index in enumerate(expanded):
        if index is None or not index.size:
            continue
        extent = shape[axis]
        outside = index[(index < -extent) | (index >= extent)]
        if outside.size:
            raise IndexError(f"index {outside.flat[0]} is out of bounds for dimension {axis} with size {extent}")
    return tuple(slice(None) if index is None else index for index in expanded)


def _reference_index(x: Array, indices: Indices) -> Array:
    index = _numpy_index(indices, x.shape)
    if any(_is_mask(item) and item.ndim == 0 for item in indices):
        return _index_by_truth(x, indices)
    return np.array(x[index], order="C")


def _index_by_truth(x: Array, indices: Indices) -> Array:
    """A 0-d mask adds a dimension of 0 or 1 elements."""
    return np.array(x[tuple(slice(None) if item is None else item.astype(bool) if _is_mask(item) else item
                            for item in indices)])  # fmt: skip


def _indexed_shape(shape: Shape, indices: Indices) -> Shape:
    """The shape of `x[indices]`; the number of true places of a mask is a new symbol."""
    tensors: list[Shape | None] = []
    for index in indices:
        if index is None:
            tensors.append(None)
            continue
        _check_index(index)
        mask = known_shape(index)
        if _is_mask(index):
            _check_mask(mask, shape, len(tensors))
            count = fresh()
            tensors.extend([(count,)] * max(len(mask), 1))
        else:
            tensors.append(mask)
    _check_count(len(tensors), len(shape))
    places = [place for place, item in enumerate(tensors) if item is not None]
    common = broadcast_shapes(*(item for item in tensors if item is not None))
    rest = [dim for place, dim in enumerate(shape) if place not in places]
    adjacent = places == list(range(places[0], places[-1] + 1)) if places else True
    start = places[0] if places and adjacent else 0
    return (*rest[:start], *common, *rest[start:])


def _infer_index(x: TensorType, indices: Indices) -> TensorType:
    return x.with_shape(_indexed_shape(known_shape(x), indices))


for _overload, _element in (("Tensor", "Tensor?"), ("Tensor_hacked_twin", "Tensor")):
    define(
        f"aten::index.{_overload}(Tensor self, {_element}[] indices) -> Tensor",
        infer=_infer_index,
        reference=_reference_index,
        kernel="index",
        may_fail=True,
    )


def _reference_index_put(x: Array, indices: Indices, values: Array, accumulate: bool, *rest: Any) -> Array:
    result = x.copy()
    index = _numpy_index(indices, x.shape)
    target = result[index].shape
    lead = len(target) - values.ndim
    if lead < 0 or any(extent not in (1, wide) for extent, wide in zip(values.shape, target[lead:])):
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {format_shape(values.shape)} cannot be broadcast to indexing "
            f"result of shape {format_shape(target)}"
        )
    if x.dtype != values.dtype:
        raise RuntimeError(
            "Index put requires the source and destination dtypes match, got "
            f"{operand_type(x).label} for the destination and {operand_type(values).label} for the source."
        )
    if accumulate:
        np.add.at(result, index, values)
    else:
        result[index] = values
    return result


def _infer_written(x: TensorType, *rest: Any) -> TensorType:
    return x.with_shape(x.shape)


for _overload, _element in (("", "Tensor?"), (".hacked_twin", "Tensor")):
    define(
        f"aten::index_put{_overload}(Tensor self, {_element}[] indices, Tensor values, bool accumulate=False) -> Tensor",
        infer=_infer_written,
        reference=_reference_index_put,
        kernel="scatter",
        may_fail=True,
        inplace=True,
    )


# Masks ---------------------------------------------------------------------------------------------------------------


def _check_selection_mask(mask: Any) -> None:
    if operand_type(mask) not in (dtypes.BOOL, dtypes.UINT8):
        raise RuntimeError("masked_select: expected BoolTensor for mask")


def _infer_masked_select(x: TensorType, mask: TensorType) -> TensorType:
    _check_selection_mask(mask)
    broadcast_shapes(known_shape(x), known_shape(mask))
    return x.with_shape((fresh(),))


def _reference_masked_select(x: Array, mask: Array) -> Array:
    _check_selection_mask(mask)
    shape = known(broadcast_shapes(x.shape, mask.shape))
    return np.array(np.broadcast_to(x, shape)[np.broadcast_to(mask != 0, shape)])


_COUNTED = "the number of results is only known when the program runs"
define("aten::masked_select(Tensor self, Tensor mask) -> Tensor", infer=_infer_masked_select,
       reference=_reference_masked_select, interpreted=_COUNTED)  # fmt: skip
for _name in ("nonzero", "argwhere"):
    define(
        f"aten::{_name}(Tensor self) -> Tensor",
        infer=lambda x: TensorType(dtypes.INT64, (fresh(), len(known_shape(x)))),
        reference=lambda x: np.argwhere(x).astype(np.int64),
        interpreted=_COUNTED,
    )


def _infer_places(x: TensorType) -> list[TensorType]:
    count = fresh()
    return [TensorType(dtypes.INT64, (count,))] * max(len(known_shape(x)), 1)


for _schema in ("nonzero_numpy(Tensor self) -> Tensor[]", "where(Tensor condition) -> Tensor[]"):
    define(
        f"aten::{_schema}",
        infer=_infer_places,
        reference=lambda x: [np.asarray(places, np.int64) for places in np.nonzero(x if x.ndim else x.reshape(1))],
        interpreted=_COUNTED,
    )


def _reference_masked_scatter(x: Array, mask: Array, source: Array) -> Array:
    shape = known(broadcast_shapes(x.shape, mask.shape))
    result = np.array(np.broadcast_to(x, shape))
    chosen = np.broadcast_to(mask, shape)
    count = int(np.count_nonzero(chosen))
    if count > source.size:
        raise RuntimeError("masked_scatter: expected self and source to have same dtypes and enough elements")
    result[chosen] = source.reshape(-1)[:count]
    return result


define(
    "aten::masked_scatter(Tensor self, Tensor mask, Tensor source) -> Tensor",
    infer=lambda x, mask, source: x.with_shape(broadcast_shapes(known_shape(x), known_shape(mask))),
    reference=_reference_masked_scatter,
    interpreted="elements are taken in the order in which the mask is true",
    inplace=True,
)


# Scatters ------------------------------------------------------------------------------------------------------------

_REDUCTIONS = {
    "add": np.add, "sum": np.add, "multiply": np.multiply, "prod": np.multiply, "amax": np.maximum, "amin": np.minimum,
}  # fmt: skip


def _scatter(x: Array, dim: int, index: Array, source: Any, reduce: str | None) -> Array:
    place = _check_gather("scatter", x.shape, dim, index, index.shape)
    result = np.array(x) if x.ndim else np.array(x).reshape(1)
    flat = index if index.ndim else index.reshape(1)
    extent = result.shape[place]
    outside = flat[(flat < 0) | (flat >= extent)]
    if outside.size:
        raise RuntimeError(f"index {outside.flat[0]} is out of bounds for dimension {place} with size {extent}")
    values = source
    if isinstance(source, np.ndarray) and source.ndim:
        values = source[tuple(slice(0, size) for size in flat.shape)]
    where = _along(result.shape, place, flat)
    if reduce is None:
        result[where] = cast_array(values, result.dtype)
    else:
        with np.errstate(all="ignore"):
            _REDUCTIONS[reduce].at(result, where, cast_array(values, result.dtype))
    return result.reshape(x.shape)


def _reference_scatter_reduce(
    x: Array, dim: int, index: Array, source: Array, reduce: str, include_self: bool
) -> Array:
    if reduce == "mean":
        start = x if include_self else _scatter(x, dim, index, 0, None)
        total = _scatter(start, dim, index, source, "sum")
        ones = np.ones_like(x, np.int64) if include_self else _scatter(np.ones_like(x, np.int64), dim, index, 0, None)
        count = _scatter(ones, dim, index, np.ones(index.shape, np.int64), "sum")
        return np.asarray(total / count if x.dtype.kind != "i" else total // count).astype(x.dtype)
    if not include_self:
        neutral: dict[str, Any] = {"sum": 0, "prod": 1}
        limits = np.iinfo(x.dtype) if x.dtype.kind in "iu" else None
        neutral["amax"] = -np.inf if limits is None else limits.min
        neutral["amin"] = np.inf if limits is None else limits.max
        x = _scatter(x, dim, index, neutral[reduce], None)
    return _scatter(x, dim, index, source, reduce)


for _schema, _function in (
    ("scatter.src(Tensor self, int dim, Tensor index, Tensor src)", lambda x, d, i, s: _scatter(x, d, i, s, None)),
    ("scatter.value(Tensor self, int dim, Tensor index, Scalar value)", lambda x, d, i, s: _scatter(x, d, i, s, None)),
    ("scatter.reduce(Tensor self, int dim, Tensor index, Tensor src, *, str reduce)", _scatter),
    ("scatter.value_reduce(Tensor self, int dim, Tensor index, Scalar value, *, str reduce)", _scatter),
    ("scatter_add(Tensor self, int dim, Tensor index, Tensor src)", lambda x, d, i, s: _scatter(x, d, i, s, "add")),
    (
        "scatter_reduce.two(Tensor self, int dim, Tensor index, Tensor src, str reduce, *, bool include_self=True)",
        _reference_scatter_reduce,
    ),
):
    define(
        f"aten::{_schema} -> Tensor",
        infer=_infer_written,
        reference=_function,
        kernel="scatter",
        may_fail=True,
        inplace=True,
    )


def _slice_along(x: Array, dim: int, index: Array) -> tuple[Any, ...]:
    place = normalize_dim(dim, x.ndim)
    return (slice(None),) * place + (index.reshape(-1),)


def _reference_index_add(x: Array, dim: int, index: Array, source: Array, alpha: Any) -> Array:
    result = np.array(x)
    scaled = source * cast_array(alpha, x.dtype) if alpha != 1 else source
    np.add.at(result, _slice_along(x, dim, index), scaled)
    return result


def _reference_index_copy(x: Array, dim: int, index: Array, source: Array) -> Array:
    result = np.array(x)
    result[_slice_along(x, dim, index)] = source
    return result


def _reference_index_fill(x: Array, dim: int, index: Array, value: Any) -> Array:
    result = np.array(x)
    result[_slice_along(x, dim, index)] = cast_array(value, x.dtype)
    return result


define("aten::index_add(Tensor self, int dim, Tensor index, Tensor source, *, Scalar alpha=1) -> Tensor",
       infer=_infer_written, reference=_reference_index_add, kernel="scatter", may_fail=True, inplace=True)  # fmt: skip
define("aten::index_copy(Tensor self, int dim, Tensor index, Tensor source) -> Tensor",
       infer=_infer_written, reference=_reference_index_copy, kernel="scatter", may_fail=True, inplace=True)  # fmt: skip
for _kind in ("Scalar", "Tensor"):
    define(f"aten::index_fill.int_{_kind}(Tensor self, int dim, Tensor index, {_kind} value) -> Tensor",
           infer=_infer_written, reference=_reference_index_fill, kernel="scatter", may_fail=True,
           inplace=True)  # fmt: skip


# Order ---------------------------------------------------------------------------------------------------------------


def sorted_places(x: Array, place: int, descending: bool) -> Array:
    """The stable order along a dimension; nan counts as the largest number."""
    keys = x.astype(np.float32) if x.dtype.itemsize == 2 and x.dtype.kind not in "iu" else x
    if not descending:
        return np.argsort(keys, axis=place, kind="stable")
    turned = np.argsort(np.flip(keys, place), axis=place, kind="stable")
    return np.asarray(x.shape[place] - 1 - np.flip(turned, place))


def _sort(x: Array, dim: int, descending: bool) -> tuple[Array, Array]:
    place = normalize_dim(dim, x.ndim)
    if not x.ndim:
        return x.copy(), np.zeros((), np.int64)
    order = sorted_places(x, place, descending)
    return np.take_along_axis(x, order, place), order


def _infer_sort(x: TensorType, dim: int, *rest: Any) -> tuple[TensorType, TensorType]:
    normalize_dim(dim, len(known_shape(x)))
    return x.with_shape(x.shape), TensorType(dtypes.INT64, x.shape)


define("aten::sort(Tensor self, int dim=-1, bool descending=False) -> (Tensor values, Tensor indices)",
       infer=_infer_sort, reference=_sort, kernel="sort")  # fmt: skip
define("aten::sort.stable(Tensor self, *, bool? stable, int dim=-1, bool descending=False) "
       "-> (Tensor values, Tensor indices)", infer=lambda x, stable, dim, descending: _infer_sort(x, dim),
       reference=lambda x, stable, dim, descending: _sort(x, dim, descending), kernel="sort")  # fmt: skip
define("aten::argsort(Tensor self, int dim=-1, bool descending=False) -> Tensor",
       infer=lambda x, *rest: _infer_sort(x, *rest)[1], reference=lambda x, *rest: _sort(x, *rest)[1],
       decompose=lambda b, x, dim, descending: b("aten::sort", x, dim, descending)[1])  # fmt: skip


def _top_shape(shape: Shape, k: Any, dim: int) -> tuple[int, Shape]:
    place = normalize_dim(dim, len(shape))
    extent = shape[place] if shape else 1
    if isinstance(k, int) and (k < 0 or (isinstance(extent, int) and k > extent)):
        raise RuntimeError("selected index k out of range")
    return place, (*shape[:place], k, *shape[place + 1 :]) if shape else ()


def _infer_topk(x: TensorType, k: Any, dim: int, *rest: Any) -> tuple[TensorType, TensorType]:
    shape = _top_shape(known_shape(x), k, dim)[1]
    return x.with_shape(shape), TensorType(dtypes.INT64, shape)


def _reference_topk(x: Array, k: int, dim: int, largest: bool, is_sorted: bool) -> tuple[Array, Array]:
    place, _ = _top_shape(x.shape, k, dim)
    values, places = _sort(x, dim, largest)
    if not x.ndim:
        return values, places
    chosen = (slice(None),) * place + (slice(0, k),)
    return values[chosen].copy(), places[chosen].copy()


define(
    "aten::topk(Tensor self, SymInt k, int dim=-1, bool largest=True, bool sorted=True) "
    "-> (Tensor values, Tensor indices)",
    infer=_infer_topk,
    reference=_reference_topk,
    kernel="sort",
    may_fail=True,
)


# Counting ------------------------------------------------------------------------------------------------------------


def _infer_one_hot(x: TensorType, classes: Any) -> TensorType:
    if classes == -1:
        raise UndecidedShape("the number of classes is the largest index")
    return TensorType(dtypes.INT64, (*known_shape(x), classes))


def _reference_one_hot(x: Array, classes: int) -> Array:
    if operand_type(x) is not dtypes.INT64:
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    if x.size and x.min() < 0:
        raise RuntimeError("Class values must be non-negative.")
    count = int(x.max()) + 1 if classes == -1 else classes
    if x.size and x.max() >= count:
        raise RuntimeError("Class values must be smaller than num_classes.")
    return np.equal(x[..., None], np.arange(count)).astype(np.int64)


define("aten::one_hot(Tensor self, int num_classes=-1) -> Tensor", infer=_infer_one_hot, reference=_reference_one_hot,
       interpreted="it checks every index", may_fail=True)  # fmt: skip


def _reference_bincount(x: Array, weights: Array | None, minlength: int) -> Array:
    if x.ndim != 1 or (x.size and x.min() < 0):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    counts = np.bincount(x, None if weights is None else weights, minlength)
    return counts.astype(np.int64 if weights is None else weights.dtype if weights.dtype == np.float32 else np.float64)


define(
    "aten::bincount(Tensor self, Tensor? weights=None, SymInt minlength=0) -> Tensor",
    infer=lambda x, weights, minlength: TensorType(
        dtypes.INT64 if weights is None else dtypes.FLOAT32 if weights.dtype is dtypes.FLOAT32 else dtypes.FLOAT64,
        (fresh(),),
    ),
    reference=_reference_bincount,
    interpreted=_COUNTED,
    may_fail=True,
)
