"""Transposed convolutions: every input element spreads a filter over the output.

As a convolution: zeros between the input's elements, a border of them, and the filters turned round, with the roles of
their channels exchanged (Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", section 4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from optc.ir.dims import Dim
from optc.ir.types import TensorType
from optc.ops.convolution import build_convolution, check_types, convolved, each, pad_list
from optc.ops.elementwise import array_type
from optc.ops.promotion import operand_type
from optc.ops.registry import define
from optc.ops.shapes import Shape, format_shape, known_shape

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
    borders = how.borders(kernel)
    return b("aten::constant_pad_nd", x, pad_list(borders), 0) if any(map(any, borders)) else x


def _build_turned(b: Any, weight: Any, groups: int) -> Any:
    inputs, outputs, *kernel = b.shape(weight)
    turned = b("aten::flip", weight, list(range(2, 2 + len(kernel))))
    grouped = b("aten::reshape", turned, [groups, inputs // groups, outputs, *kernel])
    grouped = b("aten::transpose.int", grouped, 1, 2)
    return b("aten::reshape", grouped, [groups * outputs, inputs // groups, *kernel])


def decompose(b: Any, x: Any, weight: Any, bias: Any, *arguments: Any) -> Any:
    """The result as a convolution of the spread input."""
    filters = b.shape(weight)
    shape = known_shape(infer(b.type(x), b.type(weight), None, *arguments))
    if 0 in shape:
        return b("aten::new_zeros", x, list(shape))
    how = _described(filters, *arguments)
    batched = len(b.shape(x)) == how.spatial + 2
    x = x if batched else b("aten::unsqueeze", x, 0)
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
