"""Parts of tensors as views: one element of a dimension, a slice, a diagonal, overlapping windows."""

from __future__ import annotations

import numpy as np

from optc.ir.dims import Dim, fresh
from optc.ir.types import TensorType
from optc.ops.abstract import UndecidedShape, normalize_dim
from optc.ops.memory_formats import element_strides
from optc.ops.registry import define
from optc.ops.shape import Array, Strides, Triple, declare_view, strided_view
from optc.ops.shapes import (
    Shape,
    contiguous_strides,
    format_shape,
    from_end,
    known,
    known_shape,
    slice_bounds,
    slice_length,
)


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
        raise IndexError(f"start out of range (expected to be in range of [{-extent}, {extent}], but got {start})")
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


def _start_in(start: Array) -> int:
    if start.ndim or start.dtype.kind not in "iu":
        raise RuntimeError("start must be an 0-dim integral Tensor.")
    return int(start)


def _narrowed(x: TensorType, dim: int, length: Dim) -> TensorType:
    """The type of a part that begins where only running tells."""
    shape = known_shape(x)
    return x.with_shape(_narrow(shape, contiguous_strides(shape), 0, dim, fresh(), length)[0])


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
    if size < 0:
        raise RuntimeError(f"size is {size} but must be >= 0")
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
define(
    "aten::narrow.Tensor(Tensor(a) self, int dim, Tensor start, SymInt length) -> Tensor(a)",
    infer=lambda x, dim, start, length: _narrowed(x, dim, length),
    reference=lambda x, dim, start, length: _narrow_reference(x, dim, _start_in(start), length),
    decompose=lambda b, x, dim, start, length: b("aten::narrow", x, dim, b("aten::IntImplicit", start), length),
    may_fail=True,
)
declare_view(
    "aten::diagonal(Tensor(a) self, int offset=0, int dim1=0, int dim2=1) -> Tensor(a)",
    _diagonal, _diagonal_reference,
)  # fmt: skip
declare_view(
    "aten::linalg_diagonal(Tensor(a) A, *, int offset=0, int dim1=-2, int dim2=-1) -> Tensor(a)",
    _diagonal, _diagonal_reference,
)  # fmt: skip
declare_view("aten::unfold(Tensor(a) self, int dimension, int size, int step) -> Tensor(a)", _unfold, _unfold_reference)
