"""Transposed convolutions: every input element spreads a filter over the output.

As a convolution: zeros between the input's elements, a border of them, and the filters turned round, with the roles of
their channels exchanged (Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", section 4).

Most of its products would be by these zeros. Outputs whose places have the same remainder by the stride see the same
part of a filter, so compiled code makes a channel of each part, convolves the input as it is, and lays the channels of
a filter out beside each other (Shi et al., "Is the deconvolution layer the same as a convolutional layer?").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from optc.dataclass import dataclass
from optc.ir import dtypes
from optc.ir.dims import Dim
from optc.ir.types import TensorType
from optc.ops.convolution import build_convolution, check_elements, check_types, convolved, each, pad_list
from optc.ops.element_types import WHOLE, check_type, unimplemented
from optc.ops.elementwise import array_type
from optc.ops.promotion import operand_type
from optc.ops.registry import define
from optc.ops.shapes import Shape, format_shape, known, known_shape

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Transposed:
    """The numbers of a transposed convolution, one per spatial dimension."""

    stride: list[int]
    padding: list[int]
    extra: list[int]
    groups: int
    dilation: list[int]

    @property
    def spatial(self) -> int:
        """How many dimensions are convolved."""
        return len(self.stride)

    def borders(self, kernel: Shape) -> list[tuple[Any, Any]]:
        """Zeros (where negative: elements to cut off) before and after the spread input."""
        reach = [gap * (extent - 1) - pad for gap, extent, pad in zip(self.dilation, kernel, self.padding)]
        return [(before, before + more) for before, more in zip(reach, self.extra)]


def _described(weight: Shape, stride: Any, padding: Any, extra: Any, groups: Any, dilation: Any) -> Transposed:
    spatial = len(weight) - 2
    steps, pads, more = (each(item, spatial) for item in (stride, padding, extra))
    how = Transposed(steps, pads, more, groups, each(dilation, spatial))
    for rest, step, gap in zip(how.extra, how.stride, how.dilation):
        if rest >= step and rest >= gap:
            raise RuntimeError(f"output padding must be smaller than either stride or dilation, but got {_listed(how)}")
    return how


def _listed(how: Transposed) -> str:
    """The numbers as torch lists them, dimension by dimension; a line is an image of height 1."""
    missing = 2 - how.spatial if how.spatial < 2 else 0
    names = ("depth", "height", "width")[-max(how.spatial, 2) :]
    listed = []
    for title, numbers, filler in (
        ("output_padding", how.extra, 0),
        ("stride", how.stride, 1),
        ("dilation", how.dilation, 1),
    ):
        listed += [f"{title}_{name}: {number}" for name, number in zip(names, [*[filler] * missing, *numbers])]
    return " ".join(listed)


def infer(x: TensorType, weight: TensorType, bias: TensorType | None, *arguments: Any) -> TensorType:
    """The result's type; arguments are stride, padding, output padding, groups and dilation. Raises RuntimeError."""
    shape, filters = known_shape(x), known_shape(weight)
    how = _described(filters, *arguments)
    spatial = how.spatial
    check_types(x, weight, bias)
    if 0 not in shape:
        kernel = f"slow_conv_transpose{max(spatial, 2)}d_out_cpu"
        check_type(unimplemented(kernel, WHOLE - {dtypes.INT64}), operand_type(x))
    if len(shape) not in (spatial + 1, spatial + 2):
        raise RuntimeError(
            f"Expected {spatial + 1}D (unbatched) or {spatial + 2}D (batched) input to conv_transpose{spatial}d, but got "
            f"input of size: {format_shape(shape)}"
        )
    channels = shape[-spatial - 1]
    if isinstance(channels, int) and isinstance(filters[0], int) and channels != filters[0]:
        raise RuntimeError(
            f"Given transposed=1, weight of size {format_shape(filters)}, expected input{format_shape(shape)} to have "
            f"{filters[0]} channels, but got {channels} channels instead"
        )
    check_elements(shape, spatial)
    extents: list[Dim] = [
        (extent - 1) * step - 2 * pad + gap * (size - 1) + more + 1
        for extent, step, pad, gap, size, more in zip(
            shape[-spatial:], how.stride, how.padding, how.dilation, filters[2:], how.extra
        )
    ]
    if any(isinstance(extent, int) and extent < 0 for extent in extents):
        raise RuntimeError(
            f"Given input size per channel: {format_shape(shape[-spatial:])}. Calculated output size per channel: "
            f"{format_shape(extents)}. Output size is too small"
        )
    return TensorType(operand_type(x), (*shape[: -spatial - 1], filters[1] * how.groups, *extents))


def _spread(x: Array, how: Transposed, kernel: Shape) -> Array:
    """The input with zeros between its elements and around them."""
    extents = [(extent - 1) * step + 1 if extent else 0 for extent, step in zip(x.shape[2:], how.stride)]
    spread = np.zeros((*x.shape[:2], *extents), x.dtype)
    spread[(slice(None), slice(None), *(slice(None, None, step) for step in how.stride))] = x
    borders = how.borders(kernel)
    padded = np.pad(spread, [(0, 0), (0, 0), *((max(before, 0), max(after, 0)) for before, after in borders)])
    cut = [slice(max(-before, 0), -max(-after, 0) or None) for before, after in borders]
    return np.asarray(padded[(slice(None), slice(None), *cut)])


def _turned(weight: Array, groups: int) -> Array:
    """The filters of the convolution that does the same: turned round, output channels first."""
    inputs, outputs, *kernel = weight.shape
    turned = np.flip(weight, tuple(range(2, weight.ndim)))
    grouped = turned.reshape(groups, inputs // groups, outputs, *kernel).swapaxes(1, 2)
    return grouped.reshape(groups * outputs, inputs // groups, *kernel)


def reference(x: Array, weight: Array, bias: Array | None, *arguments: Any) -> Array:
    """The result, summed in float64."""
    bias_type = None if bias is None else array_type(bias)
    result = infer(array_type(x), array_type(weight), bias_type, *arguments)
    assert result.shape is not None
    if 0 in result.shape:
        return np.empty(result.shape, x.dtype)
    how = _described(weight.shape, *arguments)
    batched = x if x.ndim == how.spatial + 2 else x[None]
    spread = _spread(batched, how, weight.shape[2:])
    found = convolved(spread, _turned(weight, how.groups), bias, how.dilation, how.groups)
    return found.reshape(result.shape)


@dataclass(frozen=True)
class _Parts:
    """How one dimension is cut: filters of `taps` elements for each of `step` remainders, `gap` apart, zeros (where
    negative: elements to cut off) before and after the input, and where the first output lies among all."""

    step: int
    taps: int
    gap: int
    before: int
    after: int
    first: int

    @staticmethod
    def of(size: int, step: int, padding: int, extra: int, gap: int) -> _Parts:
        taps = -(-size // step)
        skipped = padding // step
        reach = gap * (size - 1) + 1 - padding + extra
        return _Parts(step, taps, gap, gap * (taps - 1) - skipped, -(-reach // step) - 1, padding - skipped * step)


def _parts(how: Transposed, kernel: Shape) -> list[_Parts]:
    numbers = zip(known(kernel), how.stride, how.padding, how.extra, how.dilation)
    return [_Parts.of(*each_dimension) for each_dimension in numbers]


def _build_spread(b: Any, x: Any, how: Transposed, kernel: Shape) -> Any:
    for place, step in enumerate(how.stride):
        axis = place + 2
        if step == 1:
            continue
        extents = b.shape(x)
        apart = b(
            "aten::constant_pad_nd",
            b("aten::unsqueeze", x, axis + 1),
            [*[0, 0] * (len(extents) - axis - 1), 0, step - 1],
            0,
        )
        x = b("aten::reshape", apart, [*extents[:axis], extents[axis] * step, *extents[axis + 1 :]])
        x = b("aten::slice.Tensor", x, axis, 0, extents[axis] * step - (step - 1), 1)
    return _bordered(b, x, how.borders(kernel))


def _bordered(b: Any, x: Any, borders: list[tuple[Any, Any]]) -> Any:
    return b("aten::constant_pad_nd", x, pad_list(borders), 0) if any(map(any, borders)) else x


def _build_turned(b: Any, weight: Any, groups: int) -> Any:
    inputs, outputs, *kernel = b.shape(weight)
    turned = b("aten::flip", weight, list(range(2, 2 + len(kernel))))
    grouped = b("aten::reshape", turned, [groups, inputs // groups, outputs, *kernel])
    grouped = b("aten::transpose.int", grouped, 1, 2)
    return b("aten::reshape", grouped, [groups * outputs, inputs // groups, *kernel])


def _build_parts_of_filters(b: Any, weight: Any, parts: list[_Parts], groups: int) -> Any:
    """A filter for every output channel and remainder: elements of one remainder, turned round."""
    inputs, outputs, *kernel = b.shape(weight)
    spatial = len(parts)
    missing = [(0, part.taps * part.step - size) for part, size in zip(parts, kernel)]
    cut = [extent for part in parts for extent in (part.taps, part.step)]
    weight = b("aten::reshape", _bordered(b, weight, missing), [inputs, outputs, *cut])
    taps, remainders = range(2, 2 + 2 * spatial, 2), range(3, 3 + 2 * spatial, 2)
    sorted_out = b("aten::permute", weight, [0, 1, *remainders, *taps])
    channels = outputs * math.prod(part.step for part in parts)
    filters = b("aten::reshape", sorted_out, [inputs, channels, *(part.taps for part in parts)])
    return _build_turned(b, filters, groups)


def _build_side_by_side(b: Any, x: Any, parts: list[_Parts], extents: Sequence[Dim]) -> Any:
    """Channels of one filter's parts, in turn along every dimension; of that, so many elements."""
    batch, channels, *blocks = b.shape(x)
    spatial, steps = len(parts), [part.step for part in parts]
    x = b("aten::reshape", x, [batch, channels // math.prod(steps), *steps, *blocks])
    order = [axis for place in range(spatial) for axis in (2 + spatial + place, 2 + place)]
    whole = [block * step for block, step in zip(blocks, steps)]
    x = b("aten::reshape", b("aten::permute", x, [0, 1, *order]), [batch, channels // math.prod(steps), *whole])
    for place, (part, extent) in enumerate(zip(parts, extents)):
        if part.first != 0 or whole[place] != extent:
            x = b("aten::slice.Tensor", x, 2 + place, part.first, extent + part.first, 1)
    return x


def _build_from_parts(b: Any, x: Any, weight: Any, bias: Any, how: Transposed, extents: Sequence[Dim]) -> Any:
    parts = _parts(how, b.shape(weight)[2:])
    count = math.prod(part.step for part in parts)
    if bias is not None:
        (channels,) = b.shape(bias)
        repeated = b("aten::expand", b("aten::unsqueeze", bias, 1), [channels, count], False)
        bias = b("aten::reshape", repeated, [channels * count])
    padded = _bordered(b, x, [(part.before, part.after) for part in parts])
    filters = _build_parts_of_filters(b, weight, parts, how.groups)
    result = build_convolution(b, padded, filters, bias, [part.gap for part in parts], how.groups)
    return _build_side_by_side(b, result, parts, extents)


def decompose(b: Any, x: Any, weight: Any, bias: Any, *arguments: Any) -> Any:
    """The result as a convolution of the spread input."""
    filters = b.shape(weight)
    shape = known_shape(infer(b.type(x), b.type(weight), None, *arguments))
    if 0 in shape:
        return b("aten::new_zeros", x, list(shape))
    how = _described(filters, *arguments)
    batched = len(b.shape(x)) == how.spatial + 2
    x = x if batched else b("aten::unsqueeze", x, 0)
    if all(step == 1 or gap == 1 for step, gap in zip(how.stride, how.dilation)):
        result = _build_from_parts(b, x, weight, bias, how, shape[-how.spatial :])
    else:
        spread = _build_spread(b, x, how, filters[2:])
        result = build_convolution(b, spread, _build_turned(b, weight, how.groups), bias, how.dilation, how.groups)
    return result if batched else b("aten::squeeze.dim", result, 0)


for _spatial, _ones, _zeros in ((1, "[1]", "[0]"), (2, "[1, 1]", "[0, 0]"), (3, "[1, 1, 1]", "[0, 0, 0]")):
    define(
        f"aten::conv_transpose{_spatial}d{'' if _spatial == 1 else '.input'}(Tensor input, Tensor weight, "
        f"Tensor? bias=None, SymInt[{_spatial}] stride={_ones}, SymInt[{_spatial}] padding={_zeros}, "
        f"SymInt[{_spatial}] output_padding={_zeros}, SymInt groups=1, SymInt[{_spatial}] dilation={_ones}) -> Tensor",
        infer=infer,
        reference=reference,
        decompose=decompose,
    )
