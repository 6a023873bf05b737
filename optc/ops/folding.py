"""Blocks of images as columns and back (`im2col`, `col2im`), and channels as places (`pixel_shuffle`)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from optc.dataclass import dataclass
from optc.ir.dims import Dim, product
from optc.ir.types import TensorType
from optc.ops.abstract import same_dim
from optc.ops.composite import declare_composite
from optc.ops.convolution import build_windows, each, pad_list, window_span, windows_of
from optc.ops.element_types import INTEGERS, unimplemented
from optc.ops.elementwise import array_type
from optc.ops.promotion import operand_type
from optc.ops.registry import define
from optc.ops.shapes import Shape, format_shape, known_shape

Array = np.ndarray[Any, Any]


# Pixels --------------------------------------------------------------------------------------------------------------


def _shuffled(shape: Shape, factor: int) -> tuple[Dim, ...]:
    if len(shape) < 3:
        raise RuntimeError(
            f"pixel_shuffle expects input to have at least 3 dimensions, but got input with {len(shape)} dimension(s)"
        )
    if factor <= 0:
        raise RuntimeError(f"pixel_shuffle expects a positive upscale_factor, but got {factor}")
    channels, height, width = shape[-3:]
    if isinstance(channels, int) and channels % (factor * factor):
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but "
            f"input.size(-3)={channels} is not divisible by {factor * factor}"
        )
    return (*shape[:-3], channels // (factor * factor), height * factor, width * factor)


def _unshuffled(shape: Shape, factor: int) -> tuple[Dim, ...]:
    if len(shape) < 3:
        raise RuntimeError(
            f"pixel_unshuffle expects input to have at least 3 dimensions, but got input with {len(shape)} dimension(s)"
        )
    if factor <= 0:
        raise RuntimeError(f"pixel_unshuffle expects a positive downscale_factor, but got {factor}")
    channels, *extents = shape[-3:]
    for name, place, extent in zip(("height", "width"), (-2, -1), extents):
        if isinstance(extent, int) and extent % factor:
            raise RuntimeError(
                f"pixel_unshuffle expects {name} to be divisible by downscale_factor, but input.size({place})={extent} is "
                f"not divisible by {factor}"
            )
    return (*shape[:-3], channels * factor * factor, *(extent // factor for extent in extents))


def _shuffle_steps(shape: Shape, factor: int) -> tuple[list[Dim], list[int]]:
    """The shape to view the input in, and the order of its dimensions in the result."""
    outer = len(shape) - 3
    channels, height, width = shape[-3:]
    viewed = [*shape[:-3], channels // (factor * factor), factor, factor, height, width]
    return viewed, [*range(outer + 1), *(outer + place for place in (3, 1, 4, 2))]


def _unshuffle_steps(shape: Shape, factor: int) -> tuple[list[Dim], list[int]]:
    outer = len(shape) - 3
    channels, height, width = shape[-3:]
    viewed = [*shape[:-3], channels, height // factor, factor, width // factor, factor]
    return viewed, [*range(outer + 1), *(outer + place for place in (2, 4, 1, 3))]


for _name, _factor, _shape_of, _steps in (
    ("pixel_shuffle", "upscale_factor", _shuffled, _shuffle_steps),
    ("pixel_unshuffle", "downscale_factor", _unshuffled, _unshuffle_steps),
):

    def _infer_pixels(x: TensorType, factor: int, shape_of: Any = _shape_of) -> TensorType:
        return TensorType(operand_type(x), shape_of(known_shape(x), factor))

    def _reference_pixels(x: Array, factor: int, shape_of: Any = _shape_of, steps: Any = _steps) -> Array:
        wanted = shape_of(x.shape, factor)
        viewed, order = steps(x.shape, factor)
        return np.ascontiguousarray(x.reshape(viewed).transpose(order)).reshape(wanted)

    def _decompose_pixels(b: Any, x: Any, factor: int, shape_of: Any = _shape_of, steps: Any = _steps) -> Any:
        wanted = shape_of(b.shape(x), factor)
        viewed, order = steps(b.shape(x), factor)
        return b("aten::reshape", b("aten::permute", b("aten::reshape", x, viewed), order), list(wanted))

    define(
        f"aten::{_name}(Tensor self, int {_factor}) -> Tensor",
        infer=_infer_pixels,
        reference=_reference_pixels,
        decompose=_decompose_pixels,
    )


# Columns -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Blocks:
    """The numbers of `im2col` and `col2im`, one per dimension of the image, and the places of the blocks."""

    kernel: list[int]
    dilation: list[int]
    padding: list[int]
    stride: list[int]
    places: list[Any]

    def starts(self, offset: Sequence[int]) -> list[slice]:
        """Where element `offset` of all blocks lies in the padded image."""
        return [
            slice(at * gap, at * gap + count * step, step)
            for at, gap, count, step in zip(offset, self.dilation, self.places, self.stride)
        ]


def _parenthesized(numbers: Sequence[Any]) -> str:
    """As torch writes sizes here."""
    return f"({', '.join(map(str, numbers))})"


def _blocks(extents: Shape, kernel: Any, dilation: Any, padding: Any, stride: Any) -> Blocks:
    numbers = [each(item, 2) for item in (kernel, dilation, padding, stride)]
    for name, values, least in zip(("kernel size", "dilation", "padding", "stride"), numbers, (1, 1, 0, 1)):
        if any(value < least for value in values):
            raise RuntimeError(f"{name} should be {'greater than zero' if least else 'non-negative'}, but got {values}")
    sizes, gaps, edges, steps = numbers
    places = [
        (extent + 2 * edge - window_span(size, gap)) // step + 1
        for extent, edge, size, gap, step in zip(extents, edges, sizes, gaps, steps)
    ]
    if any(isinstance(count, int) and count < 1 for count in places):
        raise RuntimeError(
            f"Given input with spatial size {_parenthesized(extents)}, kernel_size={_parenthesized(sizes)}, "
            f"dilation={_parenthesized(gaps)}, padding={_parenthesized(edges)}, calculated shape of the array of sliding blocks "
            f"as {_parenthesized(places)}, but its components must be at least one."
        )
    return Blocks(sizes, gaps, edges, steps, places)


def _infer_columns(x: TensorType, *arguments: Any) -> TensorType:
    shape = known_shape(x)
    if len(shape) not in (3, 4):
        raise RuntimeError(f"Expected 3D or 4D (batch mode) tensor, but got input of size: {format_shape(shape)}")
    if 0 in shape[-3:]:
        raise RuntimeError(
            "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, but "
            f"got: {format_shape(shape)}"
        )
    how = _blocks(shape[-2:], *arguments)
    return x.with_shape((*shape[:-3], shape[-3] * math.prod(how.kernel), product(how.places)))


def _reference_columns(x: Array, *arguments: Any) -> Array:
    _infer_columns(array_type(x), *arguments)
    how = _blocks(x.shape[-2:], *arguments)
    outside = [(0, 0)] * (x.ndim - 2)
    padded = np.pad(x, [*outside, *((edge, edge) for edge in how.padding)])
    windows = windows_of(padded, how.kernel, how.stride, how.dilation)
    moved = np.moveaxis(windows, (-2, -1), (-4, -3))
    count = x.shape[-3] * how.kernel[0] * how.kernel[1]
    return np.ascontiguousarray(moved).reshape(*x.shape[:-3], count, math.prod(how.places))


def _decompose_columns(b: Any, x: Any, *arguments: Any) -> Any:
    shape = b.shape(x)
    how = _blocks(shape[-2:], *arguments)
    if any(how.padding):
        x = b("aten::constant_pad_nd", x, pad_list([(edge, edge) for edge in how.padding]), 0)
    windows = build_windows(b, x, how.kernel, how.stride, how.dilation)
    outer = len(shape) - 2
    order = [*range(outer), outer + 2, outer + 3, outer, outer + 1]
    wanted = [*shape[:-3], shape[-3] * math.prod(how.kernel), product(how.places)]
    return b("aten::reshape", b("aten::permute", windows, order), wanted)


define(
    "aten::im2col(Tensor self, int[2] kernel_size, int[2] dilation, int[2] padding, int[2] stride) -> Tensor",
    infer=_infer_columns,
    reference=_reference_columns,
    decompose=_decompose_columns,
    refuses=unimplemented("im2col_out_cpu", INTEGERS),
)


def _infer_image(x: TensorType, size: Any, *arguments: Any) -> TensorType:
    shape, extents = known_shape(x), each(size, 2)
    if len(shape) not in (2, 3):
        raise RuntimeError(
            f"Expected 2D or 3D (batch mode) tensor for input, but got input of sizes {format_shape(shape)}"
        )
    how = _blocks(tuple(extents), *arguments)
    area, columns = math.prod(how.kernel), product(how.places)
    if isinstance(shape[-2], int) and isinstance(area, int) and shape[-2] % area:
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got "
            f"input.size(1)={shape[-2]} and kernel_size={_parenthesized(how.kernel)}."
        )
    if isinstance(shape[-1], int) and isinstance(columns, int) and shape[-1] != columns:
        raise RuntimeError(
            f"Given output_size={_parenthesized(extents)}, kernel_size={_parenthesized(how.kernel)}, "
            f"dilation={_parenthesized(how.dilation)}, padding={_parenthesized(how.padding)}, "
            f"stride={_parenthesized(how.stride)}, expected size of input's dimension 2 to match the calculated number of "
            f"sliding blocks {' * '.join(map(str, how.places))} = {columns}, but got input.size(2)={shape[-1]}."
        )
    return x.with_shape((*shape[:-2], shape[-2] // area, *extents))


def _reference_image(x: Array, size: Any, *arguments: Any) -> Array:
    extents = each(size, 2)
    _infer_image(array_type(x), size, *arguments)
    how = _blocks(tuple(extents), *arguments)
    channels = x.shape[-2] // math.prod(how.kernel)
    columns = x.reshape((*x.shape[:-2], channels, *how.kernel, *how.places)).astype(np.result_type(x.dtype, np.float32))
    padded = np.zeros(
        (*columns.shape[:-4], *(extent + 2 * edge for extent, edge in zip(extents, how.padding))), columns.dtype
    )
    for row in range(how.kernel[0]):
        for column in range(how.kernel[1]):
            rows, places = how.starts((row, column))
            padded[..., rows, places] += columns[..., row, column, :, :]
    rows, places = (slice(edge, edge + extent) for edge, extent in zip(how.padding, extents))
    return np.ascontiguousarray(padded[..., rows, places]).astype(x.dtype)


def _decompose_image(b: Any, x: Any, size: Any, *arguments: Any) -> Any:
    """Images of the rows and columns of every phase of the stride, each the sum of what the blocks have there."""
    shape, extents = b.shape(x), each(size, 2)
    how = _blocks(tuple(extents), *arguments)
    outer = [*shape[:-2], shape[-2] // math.prod(how.kernel)]
    columns = b("aten::reshape", x, [*outer, *how.kernel, *how.places])
    phases = [
        [_build_phase(b, columns, how, (row, column), extents) for column in range(how.stride[1])]
        for row in range(how.stride[0])
    ]
    lines = [_interleaved(b, line, len(outer) + 1, extents[1]) for line in phases]
    return _interleaved(b, lines, len(outer), extents[0])


def _build_phase(b: Any, columns: Any, how: Blocks, phase: Sequence[int], extents: Sequence[Dim]) -> Any:
    """The part of the image at places that leave these remainders when divided by the strides."""
    outer = len(b.shape(columns)) - 4
    shape = [
        -((first - extent) // step) for first, extent, step in zip(phase, extents, how.stride)
    ]  # so many places from the phase on
    total: Any = None
    for row, column in itertools.product(*map(range, how.kernel)):
        starts = [at * gap - edge for at, gap, edge in zip((row, column), how.dilation, how.padding)]
        if any((start - first) % step for start, first, step in zip(starts, phase, how.stride)):
            continue
        part = b("aten::select.int", b("aten::select.int", columns, outer, row), outer, column)
        before = [start // step for start, step in zip(starts, how.stride)]
        pads = [(first, extent - first - count) for first, extent, count in zip(before, shape, how.places)]
        part = b("aten::constant_pad_nd", part, pad_list(pads), 0) if any(map(any, pads)) else part
        total = part if total is None else b("aten::add.Tensor", total, part)
    if total is not None:
        return total
    return b("aten::zeros", [*b.shape(columns)[:outer], *shape], dtype=b.type(columns).dtype.code)


def _interleaved(b: Any, parts: Sequence[Any], axis: int, extent: Dim) -> Any:
    """Tensors whose elements take turns along a dimension, the first of them until the end."""
    if len(parts) == 1:
        return parts[0]
    shape = list(b.shape(parts[0]))
    count = shape[axis]
    level = [_lengthened(b, part, axis, count) for part in parts]
    turns = b(
        "aten::reshape", b("aten::stack", level, axis + 1), [*shape[:axis], count * len(parts), *shape[axis + 1 :]]
    )
    if same_dim(count * len(parts), extent) is True:
        return turns
    return b("aten::slice.Tensor", turns, axis, 0, extent, 1)


def _lengthened(b: Any, x: Any, axis: int, count: Dim) -> Any:
    """With an element more at the end of a dimension, where there are fewer than `count`."""
    shape = b.shape(x)
    if same_dim(shape[axis], count) is True:
        return x
    return b("aten::constant_pad_nd", x, [*[0, 0] * (len(shape) - axis - 1), 0, count - shape[axis]], 0)


define(
    "aten::col2im(Tensor self, SymInt[2] output_size, int[2] kernel_size, int[2] dilation, int[2] padding, int[2] stride) "
    "-> Tensor",
    infer=_infer_image,
    reference=_reference_image,
    decompose=_decompose_image,
    refuses=unimplemented("col2im_out_cpu", INTEGERS),
)


# Channels in another order -------------------------------------------------------------------------------------------


def _build_shuffle(b: Any, x: Any, groups: Any) -> Any:
    shape = b.shape(x)
    if len(shape) < 3:
        raise RuntimeError(
            f"channel_shuffle expects input with > 2 dims, but got input with sizes {format_shape(shape)}"
        )
    if groups <= 0:
        raise RuntimeError(f"Number of groups to divide channels in must be positive. Value of groups:{groups}")
    channels = shape[1]
    if isinstance(channels, int) and channels % groups:
        raise RuntimeError(
            f"Number of channels must be divisible by groups. Got {channels} channels and {groups} groups."
        )
    parted = b("aten::reshape", x, [shape[0], groups, channels // groups, *shape[2:]])
    return b("aten::reshape", b("aten::clone", b("aten::transpose.int", parted, 1, 2)), list(shape))


for _name in ("channel_shuffle", "native_channel_shuffle"):
    declare_composite(f"aten::{_name}(Tensor self, SymInt groups) -> Tensor", _build_shuffle)
