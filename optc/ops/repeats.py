"""Tensors turned round, repeated and rolled along their dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from optc.ir.dims import Dim, product
from optc.ops.abstract import ShapeError, normalize_dim, normalize_dims
from optc.ops.registry import define
from optc.ops.shape import Array, Strides, Triple, same_type
from optc.ops.shapes import (
    Shape,
    contiguous_strides,
    format_shape,
    known,
    known_shape,
)


def _flip(sizes: Shape, strides: Strides, offset: Dim, dims: Sequence[int]) -> Triple:
    turned = normalize_dims(dims, len(sizes)) if dims else ()
    for place in turned if sizes else ():
        offset = offset + (sizes[place] - 1) * strides[place] if sizes[place] != 0 else offset
    return sizes, tuple(-1 * step if place in turned else step for place, step in enumerate(strides)), offset


define(
    "aten::flip(Tensor self, int[] dims) -> Tensor",
    infer=lambda x, dims: x.with_shape(_flip(known_shape(x), contiguous_strides(known_shape(x)), 0, dims)[0]),
    reference=lambda x, dims: np.array(np.flip(x, normalize_dims(dims, x.ndim)) if dims else x),
    layout=_flip,
)


def _at_least(shape: Shape, rank: int) -> Shape:
    if len(shape) < rank:
        raise RuntimeError(f"Input must be >= {rank}-d.")
    return shape


for _name, _dim in (("flipud", 0), ("fliplr", 1)):
    define(
        f"aten::{_name}(Tensor self) -> Tensor",
        infer=lambda x, dim=_dim: x.with_shape(_at_least(known_shape(x), dim + 1)),
        reference=lambda x, dim=_dim: np.flip(x, dim).copy() if _at_least(x.shape, dim + 1) else x,
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
    if not shape:
        raise IndexError(f"Dimension specified as {dims[0]} but tensor has no dimensions")
    if 0 in shape and len(dims) == 1:  # there is nothing to move along whatever dimension
        return []
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
    infer=lambda x, shifts, dims: (_rolls(known_shape(x), shifts, dims), same_type(x))[1],
    reference=_roll_reference,
    decompose=_decompose_roll,
)
