"""Views and other changes of shape: what moves no numbers, or only moves them.

A view is declared by its `layout`: a function of sizes, strides and offset, followed by the operator's arguments after
the tensor. The shape rule is the layout's first result. References use numpy's own views.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from optc.ir.dims import Dim, product
from optc.ir.types import TensorType
from optc.ops.abstract import ShapeError, UndecidedShape, normalize_dim, normalize_dims
from optc.ops.registry import define
from optc.ops.shapes import (
    Shape,
    contiguous_strides,
    expanded_shape,
    format_shape,
    from_end,
    is_extent,
    known,
    known_shape,
    resolve_view,
    slice_bounds,
    slice_length,
    view_strides,
)

Array = np.ndarray[Any, Any]
Strides = tuple[Dim, ...]
Triple = tuple[Shape, Strides, Dim]


def declare_view(
    schema: str, layout: Callable[..., Triple], reference: Callable[..., Array], may_fail: bool = False
) -> None:
    """Declare a view from its layout, which is possible whatever the strides are, and its numpy equivalent."""

    def infer(x: TensorType, *arguments: Any) -> TensorType:
        shape = known_shape(x)
        return x.with_shape(layout(shape, contiguous_strides(shape), 0, *arguments)[0])

    define(schema, infer=infer, reference=reference, layout=layout, may_fail=may_fail)


def strided_view(x: Array, sizes: Sequence[int], strides: Sequence[int]) -> Array:
    """A numpy view with strides given in elements, starting at the first element of x."""
    return np.lib.stride_tricks.as_strided(x, tuple(sizes), tuple(stride * x.itemsize for stride in strides))


def element_strides(x: Array) -> tuple[int, ...]:
    """Strides in elements as torch reports them (row-major for contiguous arrays, also empty ones)."""
    if x.flags.c_contiguous:
        return known(contiguous_strides(x.shape))
    return tuple(stride // x.itemsize for stride in x.strides)


# Order of dimensions -------------------------------------------------------------------------------------------------


def _permutation(dims: Sequence[int], rank: int) -> tuple[int, ...]:
    if len(dims) != rank:
        raise ShapeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired "
            f"ordering of dimensions i.e. input.dim() = {rank} is not equal to len(dims) = {len(dims)}"
        )
    normal = tuple(normalize_dim(dim, rank) for dim in dims)
    if len(set(normal)) != rank:
        raise ShapeError("permute(): duplicate dims are not allowed.")
    return normal


def _permute(sizes: Shape, strides: Strides, offset: Dim, dims: Sequence[int]) -> Triple:
    order = _permutation(dims, len(sizes))
    return tuple(sizes[dim] for dim in order), tuple(strides[dim] for dim in order), offset


def _swapped(rank: int, first: int, second: int) -> list[int]:
    order = list(range(rank))
    first, second = normalize_dim(first, rank), normalize_dim(second, rank)
    if rank:
        order[first], order[second] = order[second], order[first]
    return order


def _transpose(sizes: Shape, strides: Strides, offset: Dim, first: int, second: int) -> Triple:
    return _permute(sizes, strides, offset, _swapped(len(sizes), first, second))


def _check_matrix_transpose(rank: int) -> None:
    if rank > 2:
        raise ShapeError(f"t() expects a tensor with <= 2 dimensions, but self is {rank}D")


def _t(sizes: Shape, strides: Strides, offset: Dim) -> Triple:
    _check_matrix_transpose(len(sizes))
    return sizes[::-1], strides[::-1], offset


def _t_reference(x: Array) -> Array:
    _check_matrix_transpose(x.ndim)
    return x.T


def _moved(rank: int, source: Sequence[int] | int, destination: Sequence[int] | int) -> list[int]:
    sources = normalize_dims([source] if isinstance(source, int) else source, rank)
    targets = normalize_dims([destination] if isinstance(destination, int) else destination, rank)
    if len(sources) != len(targets):
        raise RuntimeError(
            "movedim: Invalid source or destination dims: source "
            f"({format_shape(sources)} dims) should contain the same number of dims as destination "
            f"({format_shape(targets)} dims)"
        )
    order = [dim for dim in range(rank) if dim not in sources]
    for target, origin in sorted(zip(targets, sources)):
        order.insert(target, origin)
    return order


def _movedim(sizes: Shape, strides: Strides, offset: Dim, source: Any, destination: Any) -> Triple:
    return _permute(sizes, strides, offset, _moved(len(sizes), source, destination))


declare_view("aten::t(Tensor(a) self) -> Tensor(a)", _t, _t_reference)
declare_view("aten::numpy_T(Tensor(a) self) -> Tensor(a)", lambda n, s, o: (n[::-1], s[::-1], o), np.transpose)
declare_view(
    "aten::permute(Tensor(a) self, int[] dims) -> Tensor(a)",
    _permute,
    lambda x, dims: x.transpose(_permutation(dims, x.ndim)),
)
for _name, _first, _second in (
    ("transpose.int", "dim0", "dim1"),
    ("swapaxes", "axis0", "axis1"),
    ("swapdims", "dim0", "dim1"),
):
    declare_view(
        f"aten::{_name}(Tensor(a) self, int {_first}, int {_second}) -> Tensor(a)",
        _transpose,
        lambda x, first, second: x.transpose(_swapped(x.ndim, first, second)),
    )


def check_matrices(name: str, rank: int) -> None:
    """Vectors have no rows and columns to swap. Raises RuntimeError."""
    if rank == 1:
        raise RuntimeError(f"tensor.{name} is only supported on matrices or batches of matrices. Got 1-D tensor.")


def _matrix_transpose(sizes: Shape, strides: Strides, offset: Dim) -> Triple:
    check_matrices("mT", len(sizes))
    return _transpose(sizes, strides, offset, -2, -1) if sizes else (sizes, strides, offset)


def _matrix_transpose_reference(x: Array) -> Array:
    check_matrices("mT", x.ndim)
    return x.transpose(_swapped(x.ndim, -2, -1)) if x.ndim else x.view()


declare_view("aten::mT(Tensor(a) self) -> Tensor(a)", _matrix_transpose, _matrix_transpose_reference)
for _name in ("movedim", "moveaxis"):
    for _overload, _type in (("int", "int"), ("intlist", "int[]")):
        declare_view(
            f"aten::{_name}.{_overload}(Tensor(a) self, {_type} source, {_type} destination) -> Tensor(a)",
            _movedim,
            lambda x, source, destination: x.transpose(_moved(x.ndim, source, destination)),
        )


# The same numbers in another shape -----------------------------------------------------------------------------------

_VIEW_ERROR = (
    "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
    "contiguous subspaces). Use .reshape(...) instead."
)


def _view_layout(sizes: Shape, strides: Strides, offset: Dim, wanted: Sequence[Dim]) -> Triple | None:
    resolved = resolve_view(sizes, wanted)
    found = view_strides(sizes, strides, resolved)
    return None if found is None else (resolved, found, offset)


def _view_reference(x: Array, sizes: Sequence[Dim]) -> Array:
    resolved = known(resolve_view(x.shape, sizes))
    if x.flags.c_contiguous:
        return x.reshape(resolved)
    found = view_strides(x.shape, element_strides(x), resolved)
    if found is None:
        raise RuntimeError(_VIEW_ERROR)
    return strided_view(x, resolved, known(found))


def _reshape_reference(x: Array, sizes: Sequence[Dim]) -> Array:
    resolved = known(resolve_view(x.shape, sizes))
    if x.flags.c_contiguous:
        return x.reshape(resolved)
    found = view_strides(x.shape, element_strides(x), resolved)
    if found is None:
        return x.copy(order="C").reshape(resolved)
    return strided_view(x, resolved, known(found))


def _infer_view(x: TensorType, sizes: Sequence[Dim]) -> TensorType:
    return x.with_shape(resolve_view(known_shape(x), sizes))


def declare_reshaping(
    schema: str, shape_of: Callable[..., Sequence[Dim]], must_view: bool = False, layout: bool = True
) -> None:
    """Declare an operator that is `view` or `reshape` to `shape_of(shape, *arguments)`."""
    reference = _view_reference if must_view else _reshape_reference
    define(
        schema,
        infer=lambda x, *rest: _infer_view(x, shape_of(known_shape(x), *rest)),
        reference=lambda x, *rest: reference(x, shape_of(x.shape, *rest)),
        layout=lambda sizes, strides, offset, *rest: _view_layout(sizes, strides, offset, shape_of(sizes, *rest)),
        may_fail=must_view,
    )


def _shape_of_other(shape: Shape, other: Any) -> Sequence[Dim]:
    return known_shape(other) if isinstance(other, TensorType) else other.shape


def flattened(shape: Shape, start_dim: int, end_dim: int) -> Sequence[Dim]:
    """The shape with dimensions start..end made one."""
    if not shape:
        return [1]
    first, last = normalize_dim(start_dim, len(shape)), normalize_dim(end_dim, len(shape))
    if first > last:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    return [*shape[:first], product(shape[first : last + 1]), *shape[last + 1 :]]


def _unflattened(shape: Shape, dim: int, sizes: Sequence[Dim]) -> Sequence[Dim]:
    if not sizes:
        raise RuntimeError("unflatten: sizes must be non-empty")
    place = normalize_dim(dim, len(shape))
    try:
        inner = resolve_view((shape[place],), sizes)
    except ShapeError:
        raise ShapeError(
            f"unflatten: Provided sizes {format_shape(sizes)} don't multiply up to the size of dim {place} "
            f"({shape[place]}) in the input tensor"
        ) from None
    return [*shape[:place], *inner, *shape[place + 1 :]]


def _unsqueezed(shape: Shape, dim: int) -> Sequence[Dim]:
    place = normalize_dim(dim, len(shape) + 1)
    return [*shape[:place], 1, *shape[place:]]


def _squeezed(shape: Shape, dims: Sequence[int] | int | None = None) -> Sequence[Dim]:
    places = range(len(shape)) if dims is None else normalize_dims_or_none(dims, len(shape))
    for place in places:
        if not isinstance(shape[place], int) and not is_extent(shape[place]):
            raise UndecidedShape(f"is dimension {place} of extent {shape[place]} a single element?")
    return [dim for place, dim in enumerate(shape) if place not in places or dim != 1]


def normalize_dims_or_none(dims: Sequence[int] | int, rank: int) -> tuple[int, ...]:
    """Dimension numbers from the front, where an empty list means none of them (0-d tensors have none either)."""
    listed = [dims] if isinstance(dims, int) else list(dims)
    return tuple(normalize_dim(dim, rank) for dim in listed) if rank else ()


declare_reshaping("aten::view(Tensor(a) self, SymInt[] size) -> Tensor(a)", lambda shape, size: size, must_view=True)
declare_reshaping("aten::view_as(Tensor(a) self, Tensor other) -> Tensor(a)", _shape_of_other, must_view=True)
declare_reshaping("aten::reshape(Tensor(a) self, SymInt[] shape) -> Tensor(a)", lambda shape, size: size)
declare_reshaping("aten::reshape_as(Tensor(a) self, Tensor other) -> Tensor(a)", _shape_of_other)
declare_reshaping("aten::flatten.using_ints(Tensor(a) self, int start_dim=0, int end_dim=-1) -> Tensor(a)", flattened)
declare_reshaping("aten::ravel(Tensor(a) self) -> Tensor(a)", lambda shape: [product(shape)])
declare_reshaping("aten::unflatten.int(Tensor(a) self, int dim, SymInt[] sizes) -> Tensor(a)", _unflattened)
declare_reshaping("aten::unsqueeze(Tensor(a) self, int dim) -> Tensor(a)", _unsqueezed)
declare_reshaping("aten::squeeze(Tensor(a) self) -> Tensor(a)", _squeezed)
declare_reshaping("aten::squeeze.dim(Tensor(a) self, int dim) -> Tensor(a)", _squeezed)
declare_reshaping("aten::squeeze.dims(Tensor(a) self, int[] dim) -> Tensor(a)", _squeezed)
declare_reshaping("aten::atleast_1d(Tensor self) -> Tensor", lambda shape: shape or [1])
declare_reshaping(
    "aten::atleast_2d(Tensor self) -> Tensor",
    lambda shape: shape if len(shape) > 1 else [1, *(shape or [1])],
)
declare_reshaping(
    "aten::atleast_3d(Tensor self) -> Tensor",
    lambda shape: shape if len(shape) > 2 else [*shape, 1] if len(shape) == 2 else [1, *(shape or [1]), 1],
)


# Repeating without copying -------------------------------------------------------------------------------------------


def _expand(sizes: Shape, strides: Strides, offset: Dim, wanted: Sequence[Dim], implicit: bool = False) -> Triple:
    shape = expanded_shape(sizes, wanted)
    missing = len(shape) - len(sizes)
    stepped = [stride if size != 1 else 0 for stride, size in zip(strides, sizes)]
    kept = [
        stride if target == size else step
        for target, size, stride, step in zip(shape[missing:], sizes, strides, stepped)
    ]
    return shape, (*([0] * missing), *kept), offset


def _expand_reference(x: Array, sizes: Sequence[int], implicit: bool = False) -> Array:
    shape = known(expanded_shape(x.shape, sizes))
    if shape == x.shape:
        return x.view()
    missing = len(shape) - x.ndim
    strides = [0 if x.shape[place] != shape[missing + place] else step for place, step in enumerate(x.strides)]
    return np.lib.stride_tricks.as_strided(x, shape, (*([0] * missing), *strides))


declare_view(
    "aten::expand(Tensor(a) self, SymInt[] size, *, bool implicit=False) -> Tensor(a)",
    _expand, _expand_reference,
)  # fmt: skip
declare_view("aten::broadcast_to(Tensor(a) self, SymInt[] size) -> Tensor(a)", _expand, _expand_reference)
declare_view(
    "aten::expand_as(Tensor(a) self, Tensor other) -> Tensor(a)",
    lambda sizes, strides, offset, other: _expand(sizes, strides, offset, _shape_of_other(sizes, other)),
    lambda x, other: _expand_reference(x, other.shape),
)


# Parts ---------------------------------------------------------------------------------------------------------------


def _select_place(shape: Shape, dim: int, index: Dim) -> tuple[int, Dim]:
    if not shape:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    place = normalize_dim(dim, len(shape))
    extent = shape[place]
    if isinstance(index, int) and isinstance(extent, int) and not -extent <= index < extent:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {format_shape(shape)} at dimension {place}"
        )
    return place, from_end(index, extent)


def _select(sizes: Shape, strides: Strides, offset: Dim, dim: int, index: Dim) -> Triple:
    place, position = _select_place(sizes, dim, index)
    remaining = sizes[:place] + sizes[place + 1 :]
    return remaining, strides[:place] + strides[place + 1 :], offset + position * strides[place]


def _select_reference(x: Array, dim: int, index: int) -> Array:
    place, position = known(_select_place(x.shape, dim, index))
    return x[(slice(None),) * place + (position, ...)]


def _check_step(step: Dim) -> None:
    if isinstance(step, int) and step <= 0:
        raise RuntimeError("slice step must be positive")


def _slice(
    sizes: Shape, strides: Strides, offset: Dim, dim: int, start: Dim | None, end: Dim | None, step: Dim
) -> Triple:
    if not sizes:
        raise IndexError("slice() cannot be applied to a 0-dim tensor.")
    _check_step(step)
    place = normalize_dim(dim, len(sizes))
    first, last = slice_bounds(sizes[place], start, end)
    length = slice_length(first, last, step)
    return (
        (*sizes[:place], length, *sizes[place + 1 :]),
        (*strides[:place], strides[place] * step, *strides[place + 1 :]),
        offset + first * strides[place],
    )


def _slice_reference(x: Array, dim: int, start: int | None, end: int | None, step: int) -> Array:
    if not x.ndim:
        raise IndexError("slice() cannot be applied to a 0-dim tensor.")
    _check_step(step)
    return x[(slice(None),) * normalize_dim(dim, x.ndim) + (slice(start, end, step),)]


def _narrow_bounds(shape: Shape, dim: int, start: Dim, length: Dim) -> tuple[int, Dim, Dim]:
    if not shape:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    place = normalize_dim(dim, len(shape))
    extent = shape[place]
    if isinstance(length, int) and length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    if isinstance(start, int) and isinstance(extent, int) and not -extent <= start <= extent:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-extent}, {extent}], but got {start})")
    first = from_end(start, extent)
    rest = extent - first - length
    if isinstance(rest, int) and rest < 0:
        raise RuntimeError(f"start ({first}) + length ({length}) exceeds dimension size ({extent}).")
    return place, first, length


def _narrow(sizes: Shape, strides: Strides, offset: Dim, dim: int, start: Dim, length: Dim) -> Triple:
    place, first, length = _narrow_bounds(sizes, dim, start, length)
    return (*sizes[:place], length, *sizes[place + 1 :]), strides, offset + first * strides[place]


def _narrow_reference(x: Array, dim: int, start: int, length: int) -> Array:
    place, first, length = known(_narrow_bounds(x.shape, dim, start, length))
    return x[(slice(None),) * place + (slice(first, first + length),)]


def _diagonal(sizes: Shape, strides: Strides, offset: Dim, diagonal: int, dim1: int, dim2: int) -> Triple:
    first, second = normalize_dim(dim1, len(sizes)), normalize_dim(dim2, len(sizes))
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    rows, columns = sizes[first], sizes[second]
    if not (isinstance(rows, int) and isinstance(columns, int)):
        raise UndecidedShape("the length of a diagonal depends on extents that only running tells")
    length = max(min(rows, columns - diagonal) if diagonal >= 0 else min(rows + diagonal, columns), 0)
    kept = [place for place in range(len(sizes)) if place not in (first, second)]
    start = strides[second] * diagonal if diagonal >= 0 else strides[first] * -diagonal
    return (
        (*(sizes[place] for place in kept), length),
        (*(strides[place] for place in kept), strides[first] + strides[second]),
        offset + start if length else offset,
    )


def _diagonal_reference(x: Array, diagonal: int, dim1: int, dim2: int) -> Array:
    first, second = normalize_dim(dim1, x.ndim), normalize_dim(dim2, x.ndim)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    result = np.diagonal(x, diagonal, first, second)
    if x.flags.writeable:
        result.flags.writeable = True
    return result


def _unfold(sizes: Shape, strides: Strides, offset: Dim, dimension: int, size: int, step: int) -> Triple:
    place = normalize_dim(dimension, len(sizes))
    extent: Dim = sizes[place] if sizes else 1
    if isinstance(extent, int) and size > extent:
        raise RuntimeError(f"maximum size for tensor at dimension {place} is {extent} but size is {size}")
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    if not sizes:
        return (size,), (1,), offset
    count = (extent - size) // step + 1
    return (
        (*sizes[:place], count, *sizes[place + 1 :], size),
        (*strides[:place], strides[place] * step, *strides[place + 1 :], strides[place]),
        offset,
    )


def _unfold_reference(x: Array, dimension: int, size: int, step: int) -> Array:
    sizes, strides, _ = _unfold(x.shape, element_strides(x), 0, dimension, size, step)
    return strided_view(x, known(sizes), known(strides))


declare_view(
    "aten::select.int(Tensor(a) self, int dim, SymInt index) -> Tensor(a)",
    _select, _select_reference, may_fail=True,
)  # fmt: skip
declare_view(
    "aten::slice.Tensor(Tensor(a) self, int dim=0, SymInt? start=None, SymInt? end=None, SymInt step=1) -> Tensor(a)",
    _slice, _slice_reference,
)  # fmt: skip
declare_view(
    "aten::narrow(Tensor(a) self, int dim, SymInt start, SymInt length) -> Tensor(a)",
    _narrow, _narrow_reference, may_fail=True,
)  # fmt: skip
declare_view(
    "aten::diagonal(Tensor(a) self, int offset=0, int dim1=0, int dim2=1) -> Tensor(a)",
    _diagonal, _diagonal_reference,
)  # fmt: skip
declare_view(
    "aten::linalg_diagonal(Tensor(a) A, *, int offset=0, int dim1=-2, int dim2=-1) -> Tensor(a)",
    _diagonal, _diagonal_reference,
)  # fmt: skip
declare_view("aten::unfold(Tensor(a) self, int dimension, int size, int step) -> Tensor(a)", _unfold, _unfold_reference)


# Copies of the whole -------------------------------------------------------------------------------------------------


def is_contiguous(x: Array) -> bool:
    """True when the elements lie in row-major order without gaps."""
    return bool(x.flags.c_contiguous)


def _same(x: TensorType, *rest: Any) -> TensorType:
    return x.with_shape(x.shape)


define(
    "aten::contiguous(Tensor(a) self, *, MemoryFormat memory_format=0) -> Tensor(a)",
    infer=_same,
    reference=lambda x, memory_format: x if x.flags.c_contiguous else x.copy(order="C"),
    kernel="copy",
)
define(
    "aten::clone(Tensor self, *, MemoryFormat? memory_format=None) -> Tensor",
    infer=_same,
    reference=lambda x, memory_format: x.copy(order="C" if memory_format == 0 else "K"),
    kernel="copy",
)
for _name in ("detach", "alias", "lift_fresh"):
    declare_view(f"aten::{_name}(Tensor(a) self) -> Tensor(a)", lambda n, s, o: (n, s, o), lambda x: x.view())


def _flip(sizes: Shape, strides: Strides, offset: Dim, dims: Sequence[int]) -> Triple:
    turned = normalize_dims(dims, len(sizes)) if dims else ()
    for place in turned if sizes else ():
        offset = offset + (sizes[place] - 1) * strides[place] if sizes[place] != 0 else offset
    return sizes, tuple(-1 * step if place in turned else step for place, step in enumerate(strides)), offset


define(
    "aten::flip(Tensor self, int[] dims) -> Tensor",
    infer=lambda x, dims: x.with_shape(_flip(known_shape(x), contiguous_strides(known_shape(x)), 0, dims)[0]),
    reference=lambda x, dims: np.flip(x, normalize_dims(dims, x.ndim)).copy() if dims and x.ndim else x.copy(),
    layout=_flip,
)
for _name, _dim in (("flipud", 0), ("fliplr", 1)):
    define(
        f"aten::{_name}(Tensor self) -> Tensor",
        infer=_same,
        reference=lambda x, dim=_dim: np.flip(x, dim).copy(),
        decompose=lambda b, x, dim=_dim: b("aten::flip", x, [dim]),
    )


def _repeated(shape: Shape, repeats: Sequence[Dim]) -> Shape:
    if len(repeats) < len(shape):
        raise ShapeError("Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor")
    padded = (1,) * (len(repeats) - len(shape)) + tuple(shape)
    for count in repeats:
        if isinstance(count, int) and count < 0:
            raise ShapeError(f"Trying to create tensor with negative dimension {count}: {format_shape(repeats)}")
    return tuple(dim * count for dim, count in zip(padded, repeats))


def _tile_repeats(shape: Shape, dims: Sequence[Dim]) -> list[Dim]:
    return [1] * (len(shape) - len(dims)) + list(dims)


def _decompose_repeat(b: Any, x: Any, repeats: Sequence[Any]) -> Any:
    shape = b.shape(x)
    _repeated(shape, [1] * len(repeats))
    padded: list[Any] = [1] * (len(repeats) - len(shape)) + list(shape)
    apart: list[Any] = [extent for dim in padded for extent in (1, dim)]
    wide = [item for count, dim in zip(repeats, padded) for item in (count, dim)]
    whole = [b.multiply(count, dim) for count, dim in zip(repeats, padded)]
    return b("aten::reshape", b("aten::expand", b("aten::reshape", x, apart), wide), whole)


define(
    "aten::repeat(Tensor self, SymInt[] repeats) -> Tensor",
    infer=lambda x, repeats: x.with_shape(_repeated(known_shape(x), repeats)),
    reference=lambda x, repeats: (_repeated(x.shape, repeats), np.tile(x, repeats))[1].copy(),
    decompose=_decompose_repeat,
)
define(
    "aten::tile(Tensor self, SymInt[] dims) -> Tensor",
    infer=lambda x, dims: x.with_shape(_repeated(known_shape(x), _tile_repeats(known_shape(x), dims))),
    reference=lambda x, dims: np.tile(x, dims).copy(),
    decompose=lambda b, x, dims: b("aten::repeat", x, _tile_repeats(b.shape(x), dims)),
)


def _interleaved(shape: Shape, repeats: Dim, dim: int | None) -> tuple[Shape, int, Shape]:
    """The shape before, the dimension that is repeated, the shape after."""
    if dim is None:
        shape = (product(shape),)
    place = normalize_dim(dim or 0, len(shape))
    return shape, place, (*shape[:place], shape[place] * repeats, *shape[place + 1 :])


def _decompose_interleave(b: Any, x: Any, repeats: Any, dim: int | None, output_size: Any) -> Any:
    shape, place, _ = _interleaved(b.shape(x), 1, dim)
    apart = b("aten::reshape", x, [*shape[: place + 1], 1, *shape[place + 1 :]])
    wide = b("aten::expand", apart, [*shape[: place + 1], repeats, *shape[place + 1 :]])
    return b("aten::reshape", wide, [*shape[:place], b.multiply(repeats, shape[place]), *shape[place + 1 :]])


define(
    "aten::repeat_interleave.self_int(Tensor self, SymInt repeats, int? dim=None, *, SymInt? output_size=None) "
    "-> Tensor",
    infer=lambda x, repeats, dim, size: x.with_shape(_interleaved(known_shape(x), repeats, dim)[2]),
    reference=lambda x, repeats, dim, size: np.repeat(x, repeats, dim),
    decompose=_decompose_interleave,
)


def _rolls(shape: Shape, shifts: Sequence[Dim], dims: Sequence[int]) -> list[tuple[int, Dim]]:
    if not shifts:
        raise RuntimeError("`shifts` required")
    if not dims and len(shifts) == 1:
        return []
    if len(shifts) != len(dims):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}")
    return [(normalize_dim(dim, len(shape)), shift) for dim, shift in zip(dims, shifts)]


def _roll_once(b: Any, x: Any, dim: int, shift: Dim) -> Any:
    extent = b.shape(x)[dim]
    if extent == 0:
        return b("aten::clone", x)
    cut = (extent - shift) % extent
    tail = b("aten::slice.Tensor", x, dim, cut, extent, 1)
    return b("aten::cat", [tail, b("aten::slice.Tensor", x, dim, 0, cut, 1)], dim)


def _decompose_roll(b: Any, x: Any, shifts: Sequence[Dim], dims: Sequence[int]) -> Any:
    shape = b.shape(x)
    moves = _rolls(shape, shifts, dims)
    if not moves:
        flat = _roll_once(b, b("aten::reshape", x, [product(shape)]), 0, shifts[0])
        return b("aten::reshape", flat, list(shape))
    for dim, shift in moves:
        x = _roll_once(b, x, dim, shift)
    return x


def _roll_reference(x: Array, shifts: Sequence[int], dims: Sequence[int]) -> Array:
    moves = _rolls(x.shape, shifts, dims)
    if not moves:
        return np.roll(x, shifts[0])
    return np.roll(x, known([shift for _, shift in moves]), [dim for dim, _ in moves])


define(
    "aten::roll(Tensor self, SymInt[1] shifts, int[1] dims=[]) -> Tensor",
    infer=lambda x, shifts, dims: (_rolls(known_shape(x), shifts, dims), _same(x))[1],
    reference=_roll_reference,
    decompose=_decompose_roll,
)


# Sizes as numbers ----------------------------------------------------------------------------------------------------


def _size_of(shape: Shape, dim: int) -> Dim:
    if not shape:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions" if dim in (0, -1) else
                         f"Dimension specified as {dim} but tensor has no dimensions")  # fmt: skip
    return shape[normalize_dim(dim, len(shape))]


for _name in ("size", "sym_size"):
    define(
        f"aten::{_name}(Tensor self) -> int[]",
        infer=lambda x: list(known_shape(x)),
        reference=lambda x: list(x.shape),
        decompose=lambda b, x: [b.dim(dim) for dim in b.shape(x)],
    )
    define(
        f"aten::{_name}.int(Tensor self, int dim) -> int",
        infer=lambda x, dim: _size_of(known_shape(x), dim),
        reference=lambda x, dim: _size_of(x.shape, dim),
        decompose=lambda b, x, dim: b.dim(_size_of(b.shape(x), dim)),
    )
for _name in ("dim", "ndimension"):
    define(
        f"aten::{_name}(Tensor self) -> int",
        infer=lambda x: len(known_shape(x)),
        reference=lambda x: x.ndim,
        decompose=lambda b, x: b.dim(len(b.shape(x))),
    )
define(
    "aten::numel(Tensor self) -> int",
    infer=lambda x: product(known_shape(x)),
    reference=lambda x: x.size,
    decompose=lambda b, x: b.dim(product(b.shape(x))),
)


def _length(shape: Shape) -> Dim:
    if not shape:
        raise TypeError("len() of a 0-d tensor")
    return shape[0]


define(
    "aten::len.Tensor(Tensor t) -> int",
    infer=lambda x: _length(known_shape(x)),
    reference=lambda x: _length(x.shape),
    decompose=lambda b, x: b.dim(_length(b.shape(x))),
)


def _stride_of(strides: tuple[int, ...], dim: int) -> int:
    return strides[normalize_dim(dim, len(strides))]


_STRIDES = "strides belong to arrays, which exist when the program runs"


def _unknown_strides(x: TensorType, *rest: Any) -> Any:
    raise UndecidedShape(_STRIDES)


define(
    "aten::stride(Tensor self) -> int[]",
    infer=_unknown_strides,
    reference=lambda x: list(element_strides(x)),
    interpreted=_STRIDES,
    needs_strides=True,
)
define(
    "aten::stride.int(Tensor self, int dim) -> int",
    infer=_unknown_strides,
    reference=lambda x, dim: _stride_of(element_strides(x), dim),
    interpreted=_STRIDES,
    needs_strides=True,
)
define(
    "aten::is_contiguous(Tensor self) -> bool",
    infer=_unknown_strides,
    reference=is_contiguous,
    interpreted=_STRIDES,
    needs_strides=True,
)
define(
    "aten::is_contiguous.memory_format(Tensor self, MemoryFormat memory_format) -> bool",
    infer=_unknown_strides,
    reference=lambda x, memory_format: is_contiguous(x),
    interpreted=_STRIDES,
    needs_strides=True,
)
define(
    "aten::is_same_size(Tensor self, Tensor other) -> bool",
    infer=lambda x, y: known_shape(x) == known_shape(y),
    reference=lambda x, y: x.shape == y.shape,
    decompose=lambda b, x, y: b.value(b.shape(x) == b.shape(y)),
)
