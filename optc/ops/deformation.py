"""Convolutions whose kernels are pulled out of shape: torchvision's `deform_conv2d`.

Every element of the kernel reads between four pixels, at a place of its own for every output pixel. What is read becomes
the columns of a matrix, which the weights are multiplied with. Composed of other operators.

Formulas from torchvision 0.28, csrc/ops/cpu (deform_conv2d_kernel.cpp).
"""

from __future__ import annotations

from typing import Any

from optc.ir.dims import Dim
from optc.ops.abstract import same_dim
from optc.ops.composite import declare_composite
from optc.ops.grid_sampling import interpolated

Sides = tuple[Dim, ...]
"""One number for rows, one for columns."""


def _agree(b: Any, mine: Dim, other: Dim, text: str) -> None:
    """Raise with torchvision's text where two extents differ, now or when the program runs."""
    same = same_dim(mine, other)
    if same is False:
        raise RuntimeError(text)
    if same is None:
        b.require(b("aten::eq.int", mine, other), text)


def _extent(extent: Dim, kernel: Dim, stride: int, padding: int, dilation: int) -> Dim:
    return (extent + 2 * padding - (dilation * (kernel - 1) + 1)) // stride + 1


def _check_numbers(weight: Sides, stride: Sides, padding: Sides, dilation: Sides) -> None:
    for name, pair, least in (
        ("weight", weight, 1),
        ("stride", stride, 1),
        ("pad", padding, 0),
        ("dilation", dilation, 1),
    ):
        if any(isinstance(number, int) and number < least for number in pair):
            raise RuntimeError(f"{name}_h: {pair[0]} {name}_w: {pair[1]}")


def _check_shapes(
    b: Any, x: Any, weight: Any, offset: Any, mask: Any, groups: int, parts: int, use_mask: bool, size: Sides
) -> None:
    """Raises RuntimeError with torchvision's text."""
    read = [x, weight, offset, *([mask] if use_mask else [])]
    if any(len(b.shape(value)) != 4 for value in read):
        raise RuntimeError("deform_conv2d: images, weights, offsets and masks have four dimensions")
    batch, channels = b.shape(x)[:2]
    outputs, inputs, *kernel = b.shape(weight)
    taps = kernel[0] * kernel[1]
    _agree(b, inputs * groups, channels, "Expected weight_c.size(1) * n_weight_grps == input_c.size(1) to be true")
    if isinstance(outputs, int) and outputs % groups or isinstance(channels, int) and channels % parts:
        raise RuntimeError("deform_conv2d: channels must be a multiple of the number of groups")
    for name, value, each in (("offset", offset, 2 * taps), ("mask", mask, taps))[: 1 + use_mask]:
        given, rows, columns = b.shape(value)[1:]
        text = f"{name}.shape[1] is not valid: got: {given} expected: {parts * each}"
        _agree(b, given, parts * each, text)
        text = f"{name} output dims: ({rows}, {columns}) - computed output dims: ({size[0]}, {size[1]})"
        _agree(b, rows, size[0], text)
        _agree(b, columns, size[1], text)
    _agree(b, b.shape(offset)[0], batch, "invalid batch size of offset")
    _agree(b, b.shape(mask)[0], batch, "invalid batch size of mask")
    if any(isinstance(extent, int) and extent <= 0 for extent in size):
        raise RuntimeError(f"Calculated output size too small - out_h: {size[0]} out_w: {size[1]}")


def _places(b: Any, offsets: Any, axis: int, stride: int, padding: int, dilation: int) -> Any:
    """Where every output pixel reads along a side; offsets are (N, KH, KW, 2, OH, OW)."""
    shape = b.shape(offsets)
    code = b.type(offsets).dtype.code
    taps, pixels = b("aten::arange", shape[1 + axis]), b("aten::arange", shape[4 + axis])
    taps = b("aten::reshape", b("aten::mul.Scalar", taps, dilation), [-1, *[1] * (3 - axis)])
    pixels = b("aten::sub.Scalar", b("aten::mul.Scalar", pixels, stride), padding)
    start = b("aten::add.Tensor", taps, b("aten::reshape", pixels, [-1, *[1] * (1 - axis)]))
    return b("aten::add.Tensor", b("aten::to.dtype", start, code), b("aten::select.int", offsets, 3, axis))


def _convolve(
    b: Any, x: Any, weight: Any, offset: Any, mask: Any, bias: Any, stride_h: int, stride_w: int, pad_h: int, pad_w: int,
    dilation_h: int, dilation_w: int, groups: int, parts: int, use_mask: bool,
) -> Any:  # fmt: skip
    settings = ((stride_h, pad_h, dilation_h), (stride_w, pad_w, dilation_w))
    batch, channels, *extents = b.shape(x)
    outputs, inputs, *kernel = b.shape(weight)
    _check_numbers(tuple(kernel), *zip(*settings))
    computed = tuple(_extent(*side) for side in zip(extents, kernel, *zip(*settings)))
    _check_shapes(b, x, weight, offset, mask, groups, parts, use_mask, computed)
    size = b.shape(offset)[2:]
    count = kernel[0] * kernel[1] * size[0] * size[1]
    offsets = b("aten::reshape", offset, [batch * parts, *kernel, 2, *size])
    places = [b("aten::reshape", _places(b, offsets, axis, *settings[axis]), [batch * parts, count]) for axis in (0, 1)]
    images = b("aten::reshape", x, [batch * parts, channels // parts, extents[0] * extents[1]])
    read = interpolated(b, images, places, tuple(extents))
    if use_mask:
        read = b("aten::mul.Tensor", read, b("aten::reshape", mask, [batch * parts, 1, count]))
    columns = b("aten::reshape", read, [batch, groups, inputs * kernel[0] * kernel[1], size[0] * size[1]])
    rows = b("aten::reshape", weight, [1, groups, outputs // groups, inputs * kernel[0] * kernel[1]])
    result = b("aten::reshape", b("aten::matmul", rows, columns), [batch, outputs, *size])
    return b("aten::add.Tensor", result, b("aten::reshape", bias, [1, outputs, 1, 1]))


declare_composite(
    "torchvision::deform_conv2d(Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, SymInt stride_h, "
    "SymInt stride_w, SymInt pad_h, SymInt pad_w, SymInt dilation_h, SymInt dilation_w, SymInt groups, "
    "SymInt offset_groups, bool use_mask) -> Tensor",
    _convolve,
    may_fail=True,
)
