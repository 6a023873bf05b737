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
from optc.ops.memory_formats import PRESERVE, element_strides, in_format
from optc.ops.registry import Operator, Shares, always_shares, define
from optc.ops.shapes import (
    Shape,
    contiguous_strides,
    expanded_shape,
    format_shape,
    is_extent,
    known,
    known_shape,
    resolve_view,
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


def _moved_dims(name: str, dims: Sequence[int], rank: int) -> tuple[int, ...]:
    places = tuple(normalize_dim(dim, rank) for dim in dims)
    if len({*places}) < len(places):
        raise RuntimeError(f"movedim: repeated dim in `{name}` ({format_shape(dims)})")
    return places if rank else ()


def _moved(rank: int, source: Sequence[int] | int, destination: Sequence[int] | int) -> list[int]:
    named = {"source": source, "destination": destination}
    sources, targets = (
        _moved_dims(name, [dims] if isinstance(dims, int) else dims, rank) for name, dims in named.items()
    )
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


RESHAPING: dict[str, Callable[..., bool]] = {}
"""Operators that give a view where the strides allow one and a copy elsewhere: by name, whether a result is the tensor
itself, as a function of its shape and the other arguments.
"""


NEEDING_ROWS: set[str] = set()
"""Those of them that copy what does not lie row by row, whatever its strides are."""


SAYING_EXTENTS = frozenset({"aten::view", "aten::reshape"})
"""Operators whose second argument holds the extents of the result, but for one -1."""


_ASKED: dict[str, Callable[..., Sequence[Dim]]] = {}


def _row_reference(x: Array, sizes: Sequence[Dim]) -> Array:
    return _reshape_reference(x if x.flags.c_contiguous else x.copy(order="C"), sizes)


def declare_reshaping(
    schema: str,
    shape_of: Callable[..., Sequence[Dim]],
    must_view: bool = False,
    layout: bool = True,
    shares: Shares | None = None,
    is_same: Callable[..., bool] = lambda *rest: False,
    needs_rows: bool = False,
) -> None:
    """Declare an operator that is `view` or `reshape` to `shape_of(shape, *arguments)`.

    `is_same(shape, *arguments)`: the result is the tensor itself. `needs_rows`: it is a copy of any tensor that does not
    lie row by row, even where strides would do.
    """
    reference = _view_reference if must_view else _row_reference if needs_rows else _reshape_reference
    if needs_rows:
        NEEDING_ROWS.add(schema.partition("(")[0])
    if not must_view and shares is None:
        RESHAPING[schema.partition("(")[0]] = is_same
    _ASKED[schema.partition("(")[0]] = shape_of
    define(
        schema,
        infer=lambda x, *rest: _infer_view(x, shape_of(known_shape(x), *rest)),
        reference=lambda x, *rest: x if is_same(x.shape, *rest) else reference(x, shape_of(x.shape, *rest)),
        layout=lambda sizes, strides, offset, *rest: _view_layout(sizes, strides, offset, shape_of(sizes, *rest)),
        may_fail=must_view,
        shares=shares,
    )


def asked_shape(operator: Operator) -> Callable[..., Sequence[Dim]] | None:
    """For operators that give the same elements in another shape: that shape, of the tensor's and other arguments."""
    return _ASKED.get(operator.name)


def _shape_of_other(shape: Shape, other: Any) -> Sequence[Dim]:
    return known_shape(other) if isinstance(other, TensorType) else other.shape


def flattened(shape: Shape, start_dim: int, end_dim: int) -> Sequence[Dim]:
    """The shape with dimensions start..end made one."""
    first, last = normalize_dim(start_dim, len(shape)), normalize_dim(end_dim, len(shape))
    if not shape:
        return [1]
    if first > last:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    return [*shape[:first], product(shape[first : last + 1]), *shape[last + 1 :]]


def _unflattened(shape: Shape, dim: int, sizes: Sequence[Dim]) -> Sequence[Dim]:
    if not sizes:
        raise RuntimeError("unflatten: sizes must be non-empty")
    place = normalize_dim(dim, len(shape))
    if not shape:
        raise RuntimeError("unflatten got an unexpected error:\nInput tensor must have at least one dimension")
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
    return normalize_dims(listed, rank) if listed else ()


def _is_one_dim(shape: Shape, start_dim: int, end_dim: int) -> bool:
    return bool(shape) and normalize_dim(start_dim, len(shape)) == normalize_dim(end_dim, len(shape))


declare_reshaping("aten::view(Tensor(a) self, SymInt[] size) -> Tensor(a)", lambda shape, size: size, must_view=True)
declare_reshaping("aten::view_as(Tensor(a) self, Tensor other) -> Tensor(a)", _shape_of_other, must_view=True)
declare_reshaping("aten::reshape(Tensor(a) self, SymInt[] shape) -> Tensor(a)", lambda shape, size: size)
declare_reshaping("aten::reshape_as(Tensor(a) self, Tensor other) -> Tensor(a)", _shape_of_other)
declare_reshaping(
    "aten::flatten.using_ints(Tensor(a) self, int start_dim=0, int end_dim=-1) -> Tensor(a)",
    flattened,
    is_same=_is_one_dim,
)
declare_reshaping("aten::ravel(Tensor(a) self) -> Tensor(a)", lambda shape: [product(shape)], needs_rows=True)
declare_reshaping("aten::unflatten.int(Tensor(a) self, int dim, SymInt[] sizes) -> Tensor(a)", _unflattened)
declare_reshaping("aten::unsqueeze(Tensor(a) self, int dim) -> Tensor(a)", _unsqueezed)
declare_reshaping("aten::squeeze(Tensor(a) self) -> Tensor(a)", _squeezed)
declare_reshaping("aten::squeeze.dim(Tensor(a) self, int dim) -> Tensor(a)", _squeezed)
declare_reshaping("aten::squeeze.dims(Tensor(a) self, int[] dim) -> Tensor(a)", _squeezed)
declare_reshaping("aten::atleast_1d(Tensor self) -> Tensor", lambda shape: shape or [1], shares=always_shares)
declare_reshaping(
    "aten::atleast_2d(Tensor self) -> Tensor",
    lambda shape: shape if len(shape) > 1 else [1, *(shape or [1])],
    shares=always_shares,
)
declare_reshaping(
    "aten::atleast_3d(Tensor self) -> Tensor",
    lambda shape: shape if len(shape) > 2 else [*shape, 1] if len(shape) == 2 else [1, *(shape or [1]), 1],
    shares=always_shares,
)


# Repeating without copying -------------------------------------------------------------------------------------------


def _expand(sizes: Shape, strides: Strides, offset: Dim, wanted: Sequence[Dim]) -> Triple:
    shape = expanded_shape(sizes, wanted)
    missing = len(shape) - len(sizes)
    stepped = [stride if size != 1 else 0 for stride, size in zip(strides, sizes)]
    kept = [
        stride if target == size else step
        for target, size, stride, step in zip(shape[missing:], sizes, strides, stepped)
    ]
    return shape, (*([0] * missing), *kept), offset


def expand_reference(x: Array, sizes: Sequence[int]) -> Array:
    shape = known(expanded_shape(x.shape, sizes))
    if shape == x.shape:
        return x.view()
    missing = len(shape) - x.ndim
    strides = [0 if x.shape[place] != shape[missing + place] else step for place, step in enumerate(x.strides)]
    return np.lib.stride_tricks.as_strided(x, shape, (*([0] * missing), *strides))


def _given_sizes(sizes: Sequence[Dim], implicit: bool = False) -> Sequence[Dim]:
    return sizes


def _sizes_of_other(other: Any) -> Sequence[Dim]:
    return _shape_of_other((), other)


_EXPANSIONS: dict[str, Callable[..., Sequence[Dim]]] = {
    "aten::expand": _given_sizes,
    "aten::broadcast_to": _given_sizes,
    "aten::expand_as": _sizes_of_other,
}


def expanded_sizes(operator: Operator) -> Callable[..., Sequence[Dim]] | None:
    """For operators that repeat a tensor along dimensions: the sizes that their other arguments ask for."""
    return _EXPANSIONS.get(operator.name)


def fits_second_to_first(operator: Operator) -> bool:
    """For operators that repeat their second tensor to the shape of the first, which is that of the result."""
    return operator.name == "aten::copy"


def _declare_expansion(schema: str) -> None:
    sizes_of = _EXPANSIONS[schema.partition("(")[0]]
    declare_view(
        schema,
        lambda sizes, strides, offset, *rest: _expand(sizes, strides, offset, sizes_of(*rest)),
        lambda x, *rest: expand_reference(x, known(sizes_of(*rest))),
    )


_declare_expansion("aten::expand(Tensor(a) self, SymInt[] size, *, bool implicit=False) -> Tensor(a)")
_declare_expansion("aten::broadcast_to(Tensor(a) self, SymInt[] size) -> Tensor(a)")
_declare_expansion("aten::expand_as(Tensor(a) self, Tensor other) -> Tensor(a)")


# The whole tensor again ----------------------------------------------------------------------------------------------


def same_type(x: TensorType, *rest: Any) -> TensorType:
    """The rule of operators whose result has the type of their first argument."""
    return x.with_shape(x.shape)


def _reference_contiguous(x: Array, memory_format: int) -> Array:
    if memory_format == PRESERVE:
        raise RuntimeError("preserve memory format is unsupported by the contiguous operator")
    return in_format(x, memory_format)


define(
    "aten::contiguous(Tensor(a) self, *, MemoryFormat memory_format=0) -> Tensor(a)",
    infer=same_type,
    reference=_reference_contiguous,
    kernel="copy",
)
define(
    "prim::InRows(Tensor self) -> Tensor",
    infer=same_type,
    reference=lambda x: x.copy(order="C"),
    kernel="rows",
)
define(
    "prim::OutOfRows(Tensor self) -> Tensor",
    infer=same_type,
    reference=lambda x: x.copy(order="F"),
    interpreted="native code keeps rows only",
)
define(
    "aten::clone(Tensor self, *, MemoryFormat? memory_format=None) -> Tensor",
    infer=same_type,
    reference=lambda x, memory_format: x.copy(order="C" if memory_format == 0 else "K"),
    kernel="copy",
)
for _schema in (
    "aten::detach(Tensor(a) self)", "aten::alias(Tensor(a) self)", "aten::lift_fresh(Tensor(a) self)", "prim::data(Tensor(a) a)",
):  # fmt: skip
    declare_view(f"{_schema} -> Tensor(a)", lambda n, s, o: (n, s, o), lambda x: x.view())


NO_GRADIENT = "Only Tensors of floating point and complex dtype can require gradients"


def _requires_grad(x: TensorType, mode: bool) -> TensorType:
    if mode and x.dtype is not None and x.dtype.kind not in ("float", "complex"):
        raise ShapeError(NO_GRADIENT)
    return x


def _reference_requires_grad(x: Array, mode: bool) -> Array:
    if mode and x.dtype.kind in "iub":
        raise RuntimeError(NO_GRADIENT)
    return x


declare_view("aten::detach_(Tensor(a) self) -> Tensor(a)", lambda n, s, o: (n, s, o), lambda x: x)
define(
    "aten::requires_grad_(Tensor(a) self, bool requires_grad=True) -> Tensor(a)",
    infer=_requires_grad,
    reference=_reference_requires_grad,
    layout=lambda n, s, o, mode: (n, s, o),
)
