"""Tensors joined into one and taken apart into several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from optc.ir.dims import Dim, Symbolic, fresh
from optc.ir.dtypes import INT64, from_numpy
from optc.ir.graph import Value
from optc.ir.types import TensorType
from optc.ops.abstract import ShapeError, UndecidedExtents, UndecidedShape, abstract, normalize_dim, same_dim
from optc.ops.elementwise import array_type
from optc.ops.overlaps import Overlap
from optc.ops.promotion import result_type
from optc.ops.registry import Operator, always_shares, define, lookup
from optc.ops.shape import expand_reference
from optc.ops.shapes import Shape, broadcast_shapes, format_shape, known, known_shape, require_same

Array = np.ndarray[Any, Any]


# Joining -------------------------------------------------------------------------------------------------------------


def _is_skipped(shape: Shape) -> bool:
    """Empty 1-d tensors join with anything, as torch keeps them for old programs."""
    return len(shape) == 1 and shape[0] == 0


def _joined_shape(shapes: Sequence[Shape], dim: int) -> Shape:
    if not shapes:
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    for place, shape in enumerate(shapes):
        if not shape:
            raise RuntimeError(f"zero-dimensional tensor (at position {place}) cannot be concatenated")
    if len(set(map(len, shapes))) > 1 and any(len(shape) == 1 and isinstance(shape[0], Symbolic) for shape in shapes):
        raise UndecidedShape("is a joined 1-d tensor empty?")
    kept = [(place, shape) for place, shape in enumerate(shapes) if not _is_skipped(shape)]
    if not kept:
        normalize_dim(dim, 1)
        return (0,)
    first = kept[0][1]
    along = normalize_dim(dim, len(first))
    total: Dim = 0
    undecided: list[tuple[Dim, Dim]] = []
    for place, shape in kept:
        undecided += _undecided_pairs(first, shape, along, place)
        total = total + shape[along]
    if undecided:
        mine, other = undecided[0]
        raise UndecidedExtents(f"are the extents {mine} and {other} of joined tensors equal?", *undecided)
    return (*first[:along], total, *first[along + 1 :])


def _undecided_pairs(first: Shape, shape: Shape, along: int, place: int) -> list[tuple[Dim, Dim]]:
    """The pairs of extents of which only running tells whether they are equal. Raises ShapeError for what cannot be."""
    if len(shape) != len(first):
        raise ShapeError(f"Tensors must have same number of dimensions: got {len(first)} and {len(shape)}")
    undecided: list[tuple[Dim, Dim]] = []
    for dim, (mine, other) in enumerate(zip(first, shape)):
        same = True if dim == along else same_dim(mine, other)
        if same is False:
            raise ShapeError(
                f"Sizes of tensors must match except in dimension {along}. Expected size {mine} but got size {other} "
                f"for tensor number {place} in the list."
            )
        if same is None:
            undecided.append((mine, other))
    return undecided


def _infer_cat(tensors: Sequence[TensorType], dim: int) -> TensorType:
    shape = _joined_shape([known_shape(tensor) for tensor in tensors], dim)
    return TensorType(result_type(*tensors), shape)


def _reference_cat(tensors: Sequence[Array], dim: int) -> Array:
    shape = _joined_shape([tensor.shape for tensor in tensors], dim)
    dtype = result_type(*tensors).numpy
    kept = [tensor.astype(dtype, copy=False) for tensor in tensors if not _is_skipped(tensor.shape)]
    return np.concatenate(kept, normalize_dim(dim, len(shape))) if kept else np.empty(0, dtype)


define("aten::cat(Tensor[] tensors, int dim=0) -> Tensor", infer=_infer_cat, reference=_reference_cat,
       kernel="concatenate", out="out", overlap=Overlap.APART)  # fmt: skip
for _name in ("concat", "concatenate"):
    define(
        f"aten::{_name}(Tensor[] tensors, int dim=0) -> Tensor",
        infer=_infer_cat,
        reference=_reference_cat,
        decompose=lambda b, tensors, dim: b("aten::cat", tensors, dim),
    )


def _stacked_shape(shapes: Sequence[Shape], dim: int) -> Shape:
    if not shapes:
        raise RuntimeError("stack expects a non-empty TensorList")
    first = shapes[0]
    for place, shape in enumerate(shapes):
        if shape == first:
            continue
        certain = len(shape) != len(first) or any(same_dim(a, b) is False for a, b in zip(first, shape))
        message = (
            f"stack expects each tensor to be equal size, but got {format_shape(first)} at entry 0 and "
            f"{format_shape(shape)} at entry {place}"
        )
        if certain:
            raise ShapeError(message)
        for mine, other in zip(first, shape):
            require_same(mine, other, message)
    along = normalize_dim(dim, len(first) + 1)
    return (*first[:along], len(shapes), *first[along:])


def _infer_stack(tensors: Sequence[TensorType], dim: int) -> TensorType:
    return TensorType(result_type(*tensors), _stacked_shape([known_shape(tensor) for tensor in tensors], dim))


def _reference_stack(tensors: Sequence[Array], dim: int) -> Array:
    _stacked_shape([tensor.shape for tensor in tensors], dim)
    dtype = result_type(*tensors).numpy
    return np.stack([tensor.astype(dtype, copy=False) for tensor in tensors], dim)


def _decompose_stack(b: Any, tensors: Sequence[Any], dim: int) -> Any:
    along = normalize_dim(dim, len(b.shape(tensors[0])) + 1)
    return b("aten::cat", [b("aten::unsqueeze", tensor, along) for tensor in tensors], along)


define("aten::stack(Tensor[] tensors, int dim=0) -> Tensor", infer=_infer_stack, reference=_reference_stack,
       decompose=_decompose_stack, out="out", overlap=Overlap.APART)  # fmt: skip


def _column(shape: Shape) -> Shape:
    return (*shape, *([1] * (2 - len(shape)))) if len(shape) < 2 else shape


def _at_least_3d(shape: Shape) -> Shape:
    return (*shape, 1) if len(shape) == 2 else (1, *(shape or (1,)), 1) if len(shape) < 2 else shape


def declare_stacking(name: str, shaped: Callable[[Shape], Shape], along: Callable[[int], int]) -> None:
    """`hstack`, `vstack` ...: cat after every tensor has got the shape that `shaped` gives."""

    def infer(tensors: Sequence[TensorType]) -> TensorType:
        _check_stacked(name, tensors)
        shapes = [shaped(known_shape(tensor)) for tensor in tensors]
        return TensorType(result_type(*tensors), _joined_shape(shapes, along(len(shapes[0]))))

    def reference(tensors: Sequence[Array]) -> Array:
        _check_stacked(name, tensors)
        reshaped = [tensor.reshape(known(shaped(tensor.shape))) for tensor in tensors]
        return _reference_cat(reshaped, along(reshaped[0].ndim))

    def decompose(b: Any, tensors: Sequence[Any]) -> Any:
        reshaped = [b("aten::reshape", tensor, list(shaped(b.shape(tensor)))) for tensor in tensors]
        return b("aten::cat", reshaped, along(len(b.shape(reshaped[0]))))

    define(f"aten::{name}(Tensor[] tensors) -> Tensor", infer=infer, reference=reference, decompose=decompose)


def _check_stacked(name: str, tensors: Sequence[Any]) -> None:
    if not tensors:
        raise RuntimeError(f"{name} expects a non-empty TensorList")


declare_stacking("hstack", lambda shape: shape or (1,), lambda rank: 0 if rank == 1 else 1)
for _name in ("vstack", "row_stack"):
    declare_stacking(_name, lambda shape: shape if len(shape) > 1 else (1, *(shape or (1,))), lambda rank: 0)
declare_stacking("column_stack", _column, lambda rank: 1)
declare_stacking("dstack", _at_least_3d, lambda rank: 2)


# Taking apart --------------------------------------------------------------------------------------------------------

Bounds = list[tuple[Dim, Dim]]
"""Start and end of every part."""


def _extent(shape: Shape, dim: int, name: str) -> tuple[int, int]:
    if not shape:
        raise RuntimeError(f"{name} expects at least a 1-dimensional tensor")
    place = normalize_dim(dim, len(shape))
    extent = shape[place]
    if not isinstance(extent, int):
        raise UndecidedShape(f"the number of parts depends on the extent {extent}")
    return place, extent


def _even_bounds(extent: int, size: int) -> Bounds:
    starts = range(0, extent, size) if size and extent else [0]
    return [(start, min(start + size, extent)) for start in starts]


def _split_bounds(shape: Shape, size: int, dim: int) -> tuple[int, Bounds]:
    if isinstance(size, int) and size < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}")
    place, extent = _extent(shape, dim, "split")
    if size == 0 and extent:
        raise RuntimeError(f"split_size can only be 0 if dimension size is 0, but got dimension size of {extent}")
    return place, _even_bounds(extent, size)


def _chunk_bounds(shape: Shape, chunks: int, dim: int) -> tuple[int, Bounds]:
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    place, extent = _extent(shape, dim, "chunk")
    size = -(-extent // chunks)
    return place, _even_bounds(extent, size) if extent else [(0, 0)] * chunks


def _sizes_bounds(shape: Shape, sizes: Sequence[Dim], dim: int) -> tuple[int, Bounds]:
    if not shape:
        raise RuntimeError("split_with_sizes expects at least a 1-dimensional tensor")
    place = normalize_dim(dim, len(shape))
    for size in sizes:
        if isinstance(size, int) and size < 0:
            raise RuntimeError(
                f"split_with_sizes expects split_sizes have only non-negative entries, but got split_sizes={sizes}"
            )
    total: Dim = 0
    bounds: Bounds = []
    for size in sizes:
        bounds.append((total, total + size))
        total = total + size
    message = (
        f"split_with_sizes expects split_sizes to sum exactly to {shape[place]} (input tensor's size at dimension "
        f"{place}), but got split_sizes={format_shape(sizes)}"
    )
    same = same_dim(total, shape[place])
    if same is not True:
        raise ShapeError(message) if same is False else UndecidedShape(message)
    return place, bounds


def _section_bounds(shape: Shape, sections: int, dim: int) -> tuple[int, Bounds]:
    place, extent = _extent(shape, dim, "tensor_split")
    if sections <= 0:
        raise RuntimeError(f"number of sections must be larger than 0, got {sections}")
    short, longer = divmod(extent, sections)
    starts = [section * short + min(section, longer) for section in range(sections + 1)]
    return place, list(pairwise(starts))


def _index_bounds(shape: Shape, indices: Sequence[int], dim: int) -> tuple[int, Bounds]:
    place, extent = _extent(shape, dim, "tensor_split")
    edges = [0, *indices, extent]
    return place, [slice(*pair).indices(extent)[:2] for pair in pairwise(edges)]


def declare_splitting(schema: str, bounds_of: Callable[..., tuple[int, Bounds]], copied: bool = False) -> None:
    """Declare an operator that returns slices of a tensor along one dimension, or copies of them."""

    def infer(x: TensorType, *arguments: Any) -> list[TensorType]:
        shape = known_shape(x)
        place, bounds = bounds_of(shape, *arguments)
        return [x.with_shape((*shape[:place], _positive(end - start), *shape[place + 1 :])) for start, end in bounds]

    def reference(x: Array, *arguments: Any) -> list[Array]:
        place, bounds = bounds_of(x.shape, *arguments)
        parts = [x[(slice(None),) * place + (slice(start, end),)] for start, end in bounds]
        return [part.copy() for part in parts] if copied else parts

    def decompose(b: Any, x: Any, sizes: Any, *arguments: Any) -> list[Any]:
        given = list(map(_number_of, sizes)) if isinstance(sizes, list) else _number_of(sizes)
        place, bounds = bounds_of(b.shape(x), given, *arguments)
        parts = [_part(b, x, place, start, end) for start, end in bounds]
        return [b("aten::clone", part) for part in parts] if copied else parts

    operator = define(schema, infer=infer, reference=reference, decompose=decompose)
    if bounds_of is _sizes_bounds:
        _SPLIT_BY_SIZES.add(operator)


def _number_of(size: Any) -> Any:
    """A dimension for an int that only running tells."""
    return abstract(size) if isinstance(size, Value) else size


def _part(b: Any, x: Any, place: int, start: Dim, end: Dim) -> Any:
    if isinstance(start, int) and isinstance(end, int):
        return b("aten::slice.Tensor", x, place, start, end, 1)
    return b("aten::narrow", x, place, start, end - start)


_SPLIT_BY_SIZES: set[Operator] = set()


def splits_by_sizes(operator: Operator) -> bool:
    """True for operators on (tensor, sizes, dim) whose sizes have to sum to the extent."""
    return operator in _SPLIT_BY_SIZES


def _positive(length: Dim) -> Dim:
    return max(length, 0) if isinstance(length, int) else length


declare_splitting("aten::split.Tensor(Tensor(a -> *) self, SymInt split_size, int dim=0) -> Tensor(a)[]", _split_bounds)
declare_splitting("aten::split(Tensor(a -> *) self, int[] split_sizes, int dim=0) -> Tensor(a)[]", _sizes_bounds)
declare_splitting("aten::split.sizes(Tensor(a -> *) self, SymInt[] split_size, int dim=0) -> Tensor(a)[]",
                  _sizes_bounds)  # fmt: skip
declare_splitting(
    "aten::split_with_sizes(Tensor(a -> *) self, SymInt[] split_sizes, int dim=0) -> Tensor(a)[]", _sizes_bounds
)
declare_splitting("aten::chunk(Tensor(a -> *) self, int chunks, int dim=0) -> Tensor(a)[]", _chunk_bounds)
for _name, _arguments, _bounds in (
    ("unsafe_split.Tensor", "SymInt split_size", _split_bounds),
    ("unsafe_split_with_sizes", "SymInt[] split_sizes", _sizes_bounds),
    ("unsafe_chunk", "int chunks", _chunk_bounds),
):  # views as well: nobody may tell by the results
    declare_splitting(f"aten::{_name}(Tensor(a -> *) self, {_arguments}, int dim=0) -> Tensor(a)[]", _bounds)
declare_splitting(
    "aten::tensor_split.sections(Tensor(a -> *) self, SymInt sections, int dim=0) -> Tensor(a)[]", _section_bounds
)
declare_splitting(
    "aten::tensor_split.indices(Tensor(a -> *) self, SymInt[] indices, int dim=0) -> Tensor(a)[]", _index_bounds
)


def _refuse_places(label: str, rank: int) -> None:
    """Raises RuntimeError for a tensor that says no places, or how many parts."""
    if label != INT64.label:
        raise RuntimeError(f"tensor_split expected tensor_indices_or_sections to have dtype of long, but got {label}")
    if rank > 1:
        raise RuntimeError(
            "tensor_split expected tensor_indices_or_sections to be a zero-dimensional or one-dimensional tensor, but got "
            f"a tensor with {rank} dims"
        )


def _split_by_tensor(x: Array, places: Array, dim: int) -> list[Array]:
    _refuse_places(from_numpy(places.dtype).label, places.ndim)
    of_numbers = lookup("aten::tensor_split.indices" if places.ndim else "aten::tensor_split.sections")
    assert of_numbers is not None
    parts: list[Array] = of_numbers.reference(x, places.tolist(), dim)
    return parts


def _infer_split_by_tensor(x: TensorType, places: TensorType, dim: int) -> list[TensorType]:
    shape, counted = known_shape(x), known_shape(places)
    if places.dtype is not None:
        _refuse_places(places.dtype.label, len(counted))
    place, _ = _extent(shape, dim, "tensor_split")
    return [x.with_shape((*shape[:place], fresh(), *shape[place + 1 :])) for _ in range(_number_of_places(counted) + 1)]


def _number_of_places(shape: Shape) -> int:
    """How many places a tensor of this shape names. Raises UndecidedShape where it says how many parts there are."""
    if not shape or not isinstance(shape[0], int):
        raise UndecidedShape("into how many parts a tensor splits another is in its elements")
    return shape[0]


def _decompose_split_by_tensor(b: Any, x: Any, places: Any, dim: int) -> list[Any]:
    count = _number_of_places(b.shape(places))
    numbers = [b("aten::Int.Tensor", b("aten::select.int", places, 0, number)) for number in range(count)]
    return [b("aten::slice.Tensor", x, dim, *bounds, 1) for bounds in pairwise([0, *numbers, None])]


define(
    "aten::tensor_split.tensor_indices_or_sections(Tensor(a -> *) self, Tensor tensor_indices_or_sections, int dim=0) "
    "-> Tensor(a)[]",
    infer=_infer_split_by_tensor,
    reference=_split_by_tensor,
    decompose=_decompose_split_by_tensor,
    may_fail=True,
)


declare_splitting(
    "aten::split_copy.Tensor(Tensor self, SymInt split_size, int dim=0) -> Tensor[]", _split_bounds, copied=True
)
declare_splitting(
    "aten::split_with_sizes_copy(Tensor self, SymInt[] split_sizes, int dim=0) -> Tensor[]", _sizes_bounds, copied=True
)


def _divided_dim(name: str, shape: Shape) -> int:
    """Which dimension `hsplit`, `vsplit` and `dsplit` divide. Raises RuntimeError for too few dimensions."""
    needed = {"hsplit": 1, "vsplit": 2, "dsplit": 3}[name]
    if len(shape) < needed:
        raise RuntimeError(
            f"torch.{name} requires a tensor with at least {needed} dimension, but got a "
            f"tensor with {len(shape)} dimensions!"
        )
    return 0 if name == "vsplit" or len(shape) == 1 else 1 if name == "hsplit" else 2


def _equal_bounds(name: str) -> Callable[[Shape, int], tuple[int, Bounds]]:
    def bounds(shape: Shape, sections: int) -> tuple[int, Bounds]:
        dim = _divided_dim(name, shape)
        extent = shape[dim]
        if sections == 0 or (isinstance(extent, int) and extent % sections):
            raise RuntimeError(
                f"torch.{name} attempted to split along dimension {dim}, but the size of the dimension {extent} is not "
                f"divisible by the split_size {sections}!"
            )
        return _section_bounds(shape, sections, dim)

    return bounds


for _name in ("hsplit", "vsplit", "dsplit"):
    declare_splitting(f"aten::{_name}.int(Tensor(a -> *) self, int sections) -> Tensor(a)[]", _equal_bounds(_name))
    declare_splitting(
        f"aten::{_name}.array(Tensor(a -> *) self, int[] indices) -> Tensor(a)[]",
        lambda shape, indices, name=_name: _index_bounds(shape, indices, _divided_dim(name, shape)),
    )


def _unbound(shape: Shape, dim: int) -> tuple[int, int]:
    if not shape:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    return _extent(shape, dim, "unbind")


def _infer_unbind(x: TensorType, dim: int) -> list[TensorType]:
    shape = known_shape(x)
    place, extent = _unbound(shape, dim)
    return [x.with_shape((*shape[:place], *shape[place + 1 :]))] * extent


def _reference_unbind(x: Array, dim: int) -> list[Array]:
    place, extent = _unbound(x.shape, dim)
    return [x[(slice(None),) * place + (index, ...)] for index in range(extent)]


def _decompose_unbind(b: Any, x: Any, dim: int) -> list[Any]:
    place, extent = _unbound(b.shape(x), dim)
    return [b("aten::select.int", x, place, index) for index in range(extent)]


define("aten::unbind.int(Tensor(a -> *) self, int dim=0) -> Tensor(a)[]", infer=_infer_unbind,
       reference=_reference_unbind, decompose=_decompose_unbind)  # fmt: skip


define(
    "aten::unbind_copy.int(Tensor self, int dim=0) -> Tensor[]",
    infer=_infer_unbind,
    reference=lambda x, dim: [part.copy() for part in _reference_unbind(x, dim)],
    decompose=lambda b, x, dim: [b("aten::clone", part) for part in _decompose_unbind(b, x, dim)],
)


# Broadcasting several ------------------------------------------------------------------------------------------------


def _infer_broadcast(tensors: Sequence[TensorType]) -> list[TensorType]:
    shape = broadcast_shapes(*(known_shape(tensor) for tensor in tensors))
    return [tensor.with_shape(shape) for tensor in tensors]


def _common_shape(tensors: Sequence[Array]) -> tuple[int, ...]:
    return known(broadcast_shapes(*(tensor.shape for tensor in tensors)))


def _decompose_broadcast(b: Any, tensors: Sequence[Any]) -> list[Any]:
    shape = list(broadcast_shapes(*(b.shape(tensor) for tensor in tensors)))
    return [b("aten::expand", tensor, shape) for tensor in tensors]


define(
    "aten::broadcast_tensors(Tensor[] tensors) -> Tensor[]",
    infer=_infer_broadcast,
    reference=lambda tensors: [expand_reference(tensor, _common_shape(tensors)) for tensor in tensors],
    decompose=_decompose_broadcast,
    shares=always_shares,
)


def _grid_order(count: int, indexing: str) -> list[int]:
    """Which dimension of the grid each tensor varies along."""
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    order = list(range(count))
    if indexing == "xy" and count >= 2:
        order[0], order[1] = 1, 0
    return order


def _grid_lengths(shapes: Sequence[Shape]) -> list[Dim]:
    for shape in shapes:
        if len(shape) > 1:
            raise RuntimeError(
                f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: {format_shape(shape)}"
            )
    return [shape[0] if shape else 1 for shape in shapes]


def _grid_shape(lengths: Sequence[Dim], order: Sequence[int]) -> tuple[Dim, ...]:
    result: list[Dim] = [0] * len(lengths)
    for length, place in zip(lengths, order):
        result[place] = length
    return tuple(result)


def _infer_grid(tensors: Sequence[TensorType], indexing: str = "ij") -> list[TensorType]:
    lengths = _grid_lengths([known_shape(tensor) for tensor in tensors])
    shape = _grid_shape(lengths, _grid_order(len(tensors), indexing))
    return [tensor.with_shape(shape) for tensor in tensors]


def _decompose_grid(b: Any, tensors: Sequence[Any], indexing: str = "ij") -> list[Any]:
    lengths = _grid_lengths([b.shape(tensor) for tensor in tensors])
    order = _grid_order(len(tensors), indexing)
    shape = list(_grid_shape(lengths, order))
    return [
        b("aten::expand", b("aten::reshape", tensor, _placed(length, place, len(shape))), shape)
        for tensor, length, place in zip(tensors, lengths, order)
    ]


def _placed(length: Dim, place: int, rank: int) -> list[Dim]:
    return [length if dim == place else 1 for dim in range(rank)]


for _overload, _extra in (("", ""), (".indexing", ", *, str indexing")):
    define(
        f"aten::meshgrid{_overload}(Tensor[] tensors{_extra}) -> Tensor[]",
        infer=_infer_grid,
        reference=lambda tensors, indexing="ij": (
            _infer_grid(list(map(array_type, tensors)), indexing),
            list(np.meshgrid(*tensors, indexing=indexing, copy=False)),
        )[1],
        decompose=_decompose_grid,
        shares=always_shares,
    )


# Padding -------------------------------------------------------------------------------------------------------------


def pad_pairs(shape: Shape, pad: Sequence[Dim]) -> list[tuple[Dim, Dim]]:
    """Before and after for every dimension; the list starts with the last one."""
    if len(pad) % 2:
        raise RuntimeError(f"Length of pad must be even but instead it equals {len(pad)}")
    if len(pad) > 2 * len(shape):
        raise RuntimeError(
            "Length of pad should be no more than twice the number of dimensions of the input. "
            f"Pad length is {len(pad)}while the input has {len(shape)}dimensions."
        )
    pairs = [(pad[place], pad[place + 1]) for place in range(0, len(pad), 2)]
    return [(0, 0)] * (len(shape) - len(pairs)) + pairs[::-1]


def _infer_pad(x: TensorType, pad: Sequence[Dim], value: Any) -> TensorType:
    shape = known_shape(x)
    pairs = pad_pairs(shape, pad)
    if any(all(isinstance(number, int) for number in (dim, *pair)) and _kept(dim, *pair) < 0
           for dim, pair in zip(shape, pairs)):  # fmt: skip
        raise RuntimeError("narrow(): length must be non-negative.")
    return x.with_shape(tuple(dim + before + after for dim, (before, after) in zip(shape, pairs)))


def _kept(extent: Any, before: Any, after: Any) -> Any:
    """How many elements are left before zeros are added."""
    return extent + min(before, 0) + min(after, 0)


def _reference_pad(x: Array, pad: Sequence[int], value: Any) -> Array:
    _infer_pad(array_type(x), pad, value)
    pairs = [known(pair) for pair in pad_pairs(x.shape, pad)]
    kept = x[tuple(slice(max(-a, 0), size - max(-b, 0)) for size, (a, b) in zip(x.shape, pairs))]
    fill = np.asarray(value).astype(from_numpy(x.dtype).numpy)
    widths = [(max(a, 0), max(b, 0)) for a, b in pairs]
    return np.pad(kept, widths, constant_values=fill) if widths else kept.copy()


define(
    "aten::constant_pad_nd(Tensor self, SymInt[] pad, Scalar value=0) -> Tensor",
    infer=_infer_pad,
    reference=_reference_pad,
    kernel="pad",
)

for _name in ("broadcast_shapes", "_infer_size"):
    define(
        f"aten::{_name}(int[] a, int[] b) -> int[]",
        infer=lambda a, b: list(broadcast_shapes(a, b)),
        reference=lambda a, b: list(broadcast_shapes(a, b)),
        decompose=lambda b, first, second: list(broadcast_shapes(first, second)),
    )
