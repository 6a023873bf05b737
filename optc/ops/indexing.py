"""Elements chosen by indices that are data: lookups, gathers, advanced indexing.

Native code knows the kernels "gather", "index" and "scatter". Indices are checked when the program runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.dims import Dim, fresh, product
from optc.ir.types import TensorType
from optc.ops.abstract import UndecidedShape, is_runtime, normalize_dim, same_dim
from optc.ops.masks import coordinates
from optc.ops.overlaps import Overlap
from optc.ops.promotion import operand_type
from optc.ops.registry import define
from optc.ops.scatters import along, check_along, check_bounds, shape_of
from optc.ops.shapes import Shape, broadcast_shapes, format_shape, known, known_shape, require_same

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
    shape = _selected_shape(known_shape(x), dim, known_shape(index))
    _check_index_type("index_select", index)
    return x.with_shape(shape)


def _reference_index_select(x: Array, dim: int, index: Array) -> Array:
    shape = _selected_shape(x.shape, dim, index.shape)
    _check_index_type("index_select", index)
    rows = x if x.ndim else x.reshape(1)
    place = normalize_dim(dim, x.ndim)
    _check_range(index, rows.shape[place], "index out of range in self")
    return np.take(rows, index.reshape(-1), axis=place).reshape(known(shape))


define("aten::index_select(Tensor self, int dim, Tensor index) -> Tensor", infer=_infer_index_select,
       reference=_reference_index_select, kernel="gather", may_fail=True, out="out", overlap=Overlap.APART)  # fmt: skip


# Elements along a dimension ------------------------------------------------------------------------------------------


def _infer_gather(x: TensorType, dim: int, index: TensorType, sparse_grad: bool = False) -> TensorType:
    check_along("gather", x, dim, index)
    return x.with_shape(known_shape(index))


def _reference_gather(x: Array, dim: int, index: Array, sparse_grad: bool = False) -> Array:
    place = check_along("gather", x, dim, index)
    if not index.size:
        return np.empty(index.shape, x.dtype)
    table = x if x.ndim else x.reshape(1)
    check_bounds(index, place, table.shape[place])
    flat = index if index.ndim else index.reshape(1)
    return np.asarray(table[along(place, flat)]).reshape(index.shape)


define("aten::gather(Tensor self, int dim, Tensor index, *, bool sparse_grad=False) -> Tensor", infer=_infer_gather,
       reference=_reference_gather, kernel="gather", may_fail=True, out="out", overlap=Overlap.APART)  # fmt: skip


def _check_take(x: Any, index: Any) -> None:
    if operand_type(index) is not dtypes.INT64:
        raise RuntimeError(f"take(): Expected a long tensor for index, but got {operand_type(index).label}")
    if 0 in shape_of(x) and 0 not in shape_of(index):
        raise IndexError("take(): tried to take from an empty tensor")


def _infer_take(x: TensorType, index: TensorType) -> TensorType:
    _check_take(x, index)
    return x.with_shape(known_shape(index))


def _reference_take(x: Array, index: Array) -> Array:
    _check_take(x, index)
    outside = index[(index < -x.size) | (index >= x.size)]
    if outside.size:
        raise IndexError(f"out of range: tried to access index {outside.flat[0]} on a tensor of {x.size} elements.")
    return np.array(x.reshape(-1)[index])


define(
    "aten::take(Tensor self, Tensor index) -> Tensor",
    infer=_infer_take,
    reference=_reference_take,
    decompose=lambda b, x, index: b("prim::Index", b("aten::reshape", x, [-1]), [index]),
    may_fail=True,
    out="out",
    overlap=Overlap.APART,
)


def _along_shapes(shape: Shape, index_shape: Shape, dim: int) -> tuple[Shape, Shape]:
    """The shapes that self and indices of `take_along_dim` are broadcast to: equal but for `dim`."""
    place = normalize_dim(dim, len(shape))
    kept = broadcast_shapes(*((*one[:place], 1, *one[place + 1 :]) for one in (shape, index_shape)))
    return (
        (*kept[:place], shape[place], *kept[place + 1 :]),
        (*kept[:place], index_shape[place], *kept[place + 1 :]),
    )


def _check_take_along(x: Any, index: Any, dim: int | None) -> None:
    if dim is not None and operand_type(index) is not dtypes.INT64:
        raise RuntimeError(
            f"torch.take_along_dim(): dtype of indices should be Long but got {operand_type(index).label}"
        )
    if dim is not None and len(shape_of(x)) != len(shape_of(index)):
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, but got "
            f"{len(shape_of(x))} dimensions for input, and {len(shape_of(index))} dimensions for indices"
        )


def _infer_take_along(x: TensorType, index: TensorType, dim: int | None) -> TensorType:
    _check_take_along(x, index, dim)
    if dim is None:
        return x.with_shape((product(known_shape(index)),))
    return x.with_shape(_along_shapes(known_shape(x), known_shape(index), dim)[1])


def _reference_take_along(x: Array, index: Array, dim: int | None) -> Array:
    """Gathers where the extents but that of `dim` are broadcast; along a given dimension indices count from the end too."""
    _check_take_along(x, index, dim)
    if dim is None:
        return _reference_gather(x.reshape(-1), 0, index.reshape(-1))
    wide, places = _along_shapes(x.shape, index.shape, dim)
    place = normalize_dim(dim, x.ndim)
    table, spread = np.broadcast_to(x, known(wide)), np.broadcast_to(index, known(places))
    extent = table.shape[place]
    spread = np.where(spread < 0, spread + extent, spread)
    return _reference_gather(table, place, spread)


def _decompose_take_along(b: Any, x: Any, index: Any, dim: int | None) -> Any:
    if dim is None:
        return b("aten::gather", b("aten::reshape", x, [-1]), 0, b("aten::reshape", index, [-1]))
    wide, places = _along_shapes(b.shape(x), b.shape(index), dim)
    place = normalize_dim(dim, len(wide))
    spread = b("aten::expand", index, list(places))
    counted = b("aten::add.Scalar", spread, wide[place])
    spread = b("aten::where.self", b("aten::lt.Scalar", spread, 0), counted, spread)
    return b("aten::gather", b("aten::expand", x, list(wide)), place, spread)


define(
    "aten::take_along_dim(Tensor self, Tensor indices, int? dim=None) -> Tensor",
    infer=_infer_take_along,
    reference=_reference_take_along,
    decompose=_decompose_take_along,
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
    found = [item for item in tensors if item is not None]
    common = _common_shape(found) if any(map(_is_mask, indices)) else broadcast_shapes(*found)
    rest = [dim for place, dim in enumerate(shape) if place not in places]
    adjacent = places == list(range(places[0], places[-1] + 1)) if places else True
    start = places[0] if places and adjacent else 0
    return (*rest[:start], *common, *rest[start:])


def _common_shape(shapes: list[Shape]) -> Shape:
    """The shape of all indices together, with new extents where it depends on how many places masks have."""
    try:
        return broadcast_shapes(*shapes)
    except UndecidedShape:
        columns = _columns(shapes)
        return tuple(column[0] if len(set(column)) == 1 else fresh() for column in columns)


def _columns(shapes: Sequence[Shape]) -> list[tuple[Dim, ...]]:
    """The extents that meet at each dimension of the common shape."""
    rank = max(map(len, shapes), default=0)
    return list(zip(*((1,) * (rank - len(shape)) + tuple(shape) for shape in shapes)))


def _infer_index(x: TensorType, indices: Indices) -> TensorType:
    return x.with_shape(_indexed_shape(known_shape(x), indices))


def _places_of_masks(b: Any, x: Any, indices: Indices) -> list[Any]:
    """The indices with every mask replaced by the coordinates of its true places."""
    expanded: list[Any] = []
    for index in indices:
        if index is None or not _is_mask(b.type(index)):
            expanded.append(index)
            continue
        mask = b.shape(index)
        if not mask:
            raise UndecidedShape("a mask without dimensions adds one")
        for axis, extent in enumerate(mask):
            require_same(extent, b.shape(x)[len(expanded) + axis], "the extents of a mask and of what it masks")
        expanded.extend(coordinates(b, index))
    return _of_equal_extents(b, expanded)


def _of_equal_extents(b: Any, indices: list[Any]) -> list[Any]:
    """The indices, checked to have equal extents where only running tells. Raises UndecidedShape for a runtime extent
    that meets another one: it may be 1.
    """
    shapes = [b.shape(index) for index in indices if index is not None]
    wanted = [next((extent for extent in column if extent != 1), 1) for column in _columns(shapes)]
    return [index if index is None else _with_extents(b, index, wanted) for index in indices]


def _with_extents(b: Any, index: Any, wanted: list[Dim]) -> Any:
    shape = b.shape(index)
    for axis, (extent, other) in enumerate(zip(shape, wanted[len(wanted) - len(shape) :])):
        if extent == 1 or same_dim(extent, other) is not None:
            continue
        if not (is_runtime(extent) and is_runtime(other)):
            raise UndecidedShape(f"are {extent} places shown {other} times, or as many?")
        b.require(b("aten::eq.int", b.dim(extent), b.dim(other)), "indexing tensors could not be broadcast together")
        index = b("aten::narrow", index, axis, 0, b.dim(other))
    return index


def _decompose_index(b: Any, x: Any, indices: Indices) -> Any:
    return b("prim::Index", x, _places_of_masks(b, x, indices))


for _overload, _element in (("Tensor", "Tensor?"), ("Tensor_hacked_twin", "Tensor")):
    define(
        f"aten::index.{_overload}(Tensor self, {_element}[] indices) -> Tensor",
        infer=_infer_index,
        reference=_reference_index,
        decompose=_decompose_index,
        may_fail=True,
    )
define(
    "prim::Index(Tensor self, Tensor?[] indices) -> Tensor",
    infer=_infer_index,
    reference=_reference_index,
    kernel="index",
    may_fail=True,
)


def _check_put_type(x: Any, values: Any) -> None:
    if operand_type(x) is not operand_type(values):
        raise RuntimeError(
            "Index put requires the source and destination dtypes match, got "
            f"{operand_type(x).label} for the destination and {operand_type(values).label} for the source."
        )


def _check_put_shape(target: Shape, values: Shape) -> None:
    lead = len(target) - len(values)
    if lead < 0 or any(same_dim(mine, wide) is False and mine != 1 for mine, wide in zip(values, target[lead:])):
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {format_shape(values)} cannot be broadcast to indexing "
            f"result of shape {format_shape(target)}"
        )


def _reference_index_put(x: Array, indices: Indices, values: Array, accumulate: bool, *rest: Any) -> Array:
    result = x.copy()
    index = _numpy_index(indices, x.shape)
    _check_put_shape(result[index].shape, values.shape)
    _check_put_type(x, values)
    if accumulate:
        with np.errstate(all="ignore"):
            np.add.at(result, index, values)
    else:
        result[index] = values
    return result


def _infer_index_put(x: TensorType, indices: Indices, values: TensorType, accumulate: Any, *rest: Any) -> TensorType:
    _check_put_shape(_indexed_shape(known_shape(x), indices), known_shape(values))
    _check_put_type(x, values)
    return x.with_shape(x.shape)


def _decompose_index_put(b: Any, x: Any, indices: Indices, values: Any, accumulate: Any, *rest: Any) -> Any:
    """One value for all places of one mask is a choice for every element: no place has to be found."""
    given = [place for place, index in enumerate(indices) if index is not None]
    if len(given) == 1 and accumulate is False and all(extent == 1 for extent in b.shape(values)):
        mask = indices[given[0]]
        if _is_mask(b.type(mask)):
            return _masked(b, x, given[0], mask, values)
    return b("prim::IndexPut", x, _places_of_masks(b, x, indices), values, accumulate)


def _masked(b: Any, x: Any, place: int, mask: Any, values: Any) -> Any:
    shape = b.shape(mask)
    after = len(b.shape(x)) - place - len(shape)
    truth = mask if b.type(mask).dtype is dtypes.BOOL else b("aten::ne.Scalar", mask, 0)
    wide = b("aten::reshape", truth, [*shape, *[1] * after])
    return b("aten::where.self", wide, b("aten::reshape", values, []), x)


for _overload, _element in (("", "Tensor?"), (".hacked_twin", "Tensor")):
    define(
        f"aten::index_put{_overload}(Tensor self, {_element}[] indices, Tensor values, bool accumulate=False) -> Tensor",
        infer=_infer_index_put,
        reference=_reference_index_put,
        decompose=_decompose_index_put,
        may_fail=True,
        inplace=True,
        overlap=Overlap.APART,
    )
define(
    "prim::IndexPut(Tensor self, Tensor?[] indices, Tensor values, bool accumulate) -> Tensor",
    infer=_infer_index_put,
    reference=_reference_index_put,
    kernel="scatter",
    may_fail=True,
)
