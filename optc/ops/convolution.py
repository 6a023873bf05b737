"""Convolutions over 1 to 3 dimensions: every window of the input times every filter.

Native code gathers the windows (views by `unfold`, then one copy) and multiplies them with the filters as matrices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from optc.dataclass import dataclass
from optc.ir import dtypes
from optc.ir.dims import Dim, product
from optc.ir.types import TensorType
from optc.ops.abstract import UndecidedShape, Unknown, same_dim
from optc.ops.element_types import BOOLS, WHOLE, Refusals, check_type, unimplemented
from optc.ops.elementwise import array_type
from optc.ops.matrix import c_name
from optc.ops.promotion import compute_type, exact_type, operand_type
from optc.ops.reduction import narrowed
from optc.ops.registry import define
from optc.ops.shapes import Shape, format_shape, known_shape

Array = np.ndarray[Any, Any]
Pads = list[tuple[int, int]]

_FEW_CHANNELS, _FEW_OUTPUTS = 4, 8  # of a group of filters
_LEAST_CHANNELS, _LEAST_OUTPUTS, _MOST_PLACES = 4, 4, 256  # of a group whose windows are read where they are


@dataclass(frozen=True)
class Convolution:
    """The numbers of a convolution, one per spatial dimension."""

    stride: list[int]
    pads: Pads
    dilation: list[int]
    groups: int

    @property
    def spatial(self) -> int:
        """How many dimensions are convolved."""
        return len(self.stride)


def each(numbers: Any, spatial: int) -> list[Any]:
    """One number per spatial dimension, from a number or a list of one or of all. Raises UndecidedShape."""
    if isinstance(numbers, Unknown) or (isinstance(numbers, Sequence) and any(isinstance(n, Unknown) for n in numbers)):
        raise UndecidedShape("the numbers of windows are needed before the program runs")
    listed = list(numbers) if isinstance(numbers, Sequence) else [numbers]
    return listed * spatial if len(listed) == 1 else listed


def window_span(kernel: Any, dilation: int) -> Any:
    """The extent of the input that one window covers."""
    return (kernel - 1) * dilation + 1


def _described(weight: Shape, stride: Any, padding: Any, dilation: Any, groups: Any) -> Convolution:
    """Sort the arguments. Raises RuntimeError with torch's text."""
    spatial = len(weight) - 2
    steps, gaps = each(stride, spatial), each(dilation, spatial)
    if isinstance(padding, str):
        pads = _named_pads(padding, weight[2:], steps, gaps)
    else:
        pads = [(number, number) for number in each(padding, spatial)]
    if any(isinstance(number, int) and number < 0 for pair in pads for number in pair):
        raise RuntimeError("negative padding is not supported")
    if any(isinstance(number, int) and number <= 0 for number in steps):
        raise RuntimeError("non-positive stride is not supported")
    if any(isinstance(number, int) and number <= 0 for number in gaps):
        raise RuntimeError("dilation should be greater than zero")
    return Convolution(steps, pads, gaps, groups)


def _named_pads(padding: str, kernel: Shape, stride: list[int], dilation: list[int]) -> Pads:
    if padding == "valid":
        return [(0, 0)] * len(kernel)
    if padding != "same":
        raise RuntimeError(f"Invalid padding string: '{padding}'")
    if any(step != 1 for step in stride):
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    totals = [window_span(extent, gap) - 1 for extent, gap in zip(kernel, dilation)]
    if not all(isinstance(total, int) for total in totals):
        raise UndecidedShape("the extent of a filter is needed before the program runs")
    return [(total // 2, total - total // 2) for total in totals]


def check_types(x: TensorType, weight: TensorType, bias: TensorType | None) -> None:
    """Raise RuntimeError where the element types differ, or the numbers of dimensions cannot belong together."""
    dtype, shape, filters = operand_type(x), known_shape(x), known_shape(weight)
    if operand_type(weight) is not dtype:
        raise RuntimeError(f"expected scalar type {dtype.label} but found {operand_type(weight).label}")
    if bias is not None and operand_type(bias) is not dtype:
        raise RuntimeError(
            f"Input type ({c_name(dtype)}) and bias type ({c_name(operand_type(bias))}) should be the same"
        )
    if len(shape) > len(filters):
        raise RuntimeError(
            f"Expected {len(filters)}-dimensional input for {len(filters)}-dimensional weight{format_shape(filters)}, but "
            f"got {len(shape)}-dimensional input of size {format_shape(shape)} instead"
        )


def _check(shape: Shape, weight: Shape, bias: TensorType | None, how: Convolution) -> None:
    spatial = how.spatial
    if len(shape) not in (spatial + 1, spatial + 2):
        raise RuntimeError(
            f"Expected {spatial + 1}D (unbatched) or {spatial + 2}D (batched) input to conv{spatial}d, but got input of "
            f"size: {format_shape(shape)}"
        )
    channels = shape[-spatial - 1]
    if same_dim(channels, weight[1] * how.groups) is False:
        raise RuntimeError(
            f"Given groups={how.groups}, weight of size {format_shape(weight)}, expected input{format_shape(shape)} to have "
            f"{weight[1] * how.groups} channels, but got {channels} channels instead"
        )
    if bias is not None and (len(known_shape(bias)) != 1 or same_dim(known_shape(bias)[0], weight[0]) is False):
        raise RuntimeError(
            f"Given weight of size {format_shape(weight)}, expected bias to be 1-dimensional with {weight[0]} elements, "
            f"but got bias of size {format_shape(known_shape(bias))} instead"
        )


def _output_extents(shape: Shape, weight: Shape, how: Convolution) -> list[Dim]:
    padded = [extent + before + after for extent, (before, after) in zip(shape[-how.spatial :], how.pads)]
    spans = [window_span(extent, gap) for extent, gap in zip(weight[2:], how.dilation)]
    if any(isinstance(whole, int) and isinstance(span, int) and whole < span for whole, span in zip(padded, spans)):
        sizes, windows = (" x ".join(map(str, dims)) for dims in (padded, spans))
        raise RuntimeError(
            f"Calculated padded input size per channel: ({sizes}). Kernel size: ({windows}). Kernel size can't be greater "
            "than actual input size"
        )
    return [(whole - span) // step + 1 for whole, span, step in zip(padded, spans, how.stride)]


def infer(x: TensorType, weight: TensorType, bias: TensorType | None, *arguments: Any) -> TensorType:
    """The result's type; arguments are stride, padding, dilation and groups. Raises RuntimeError."""
    shape, filters = known_shape(x), known_shape(weight)
    how = _described(filters, *arguments)
    check_types(x, weight, bias)
    _check(shape, filters, bias, how)
    if 0 not in shape:
        check_type(_missing_kernel(how), operand_type(x))
    batch = shape[: len(shape) - how.spatial - 1]
    result = TensorType(operand_type(x), (*batch, filters[0], *_output_extents(shape, filters, how)))
    check_elements(shape, how.spatial)
    return result


def check_elements(shape: Shape, spatial: int) -> None:
    """Only batch and channels may be empty. Raises RuntimeError."""
    if 0 not in shape[-spatial:] or 0 in shape[:-spatial]:
        return
    batch, line = [1] * (spatial + 2 - len(shape)), [1] * (spatial == 1)
    raise RuntimeError(
        "Only zero batch or zero channel inputs are supported, but got input shape: "
        f"{format_shape([*batch, *shape[:-spatial], *line, *shape[-spatial:]])}"
    )


def _missing_kernel(how: Convolution) -> Refusals:
    if any(gap != 1 for gap in how.dilation):
        return unimplemented("slow_conv_dilated<>", WHOLE - {dtypes.INT64})
    return unimplemented("compute_columns3d" if how.spatial == 3 else "slow_conv2d_cpu", BOOLS)


def windows_of(x: Array, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> Array:
    """All windows over the last dimensions: their places, then the elements of each."""
    spatial = len(kernel)
    spans = [window_span(extent, gap) for extent, gap in zip(kernel, dilation)]
    axes = tuple(range(x.ndim - spatial, x.ndim))
    found = np.lib.stride_tricks.sliding_window_view(x, spans, axes)
    whole = [slice(None)] * (x.ndim - spatial)
    steps = [slice(None, None, step) for step in (*stride, *dilation)]
    return np.asarray(found[tuple(whole + steps)])


def reference(x: Array, weight: Array, bias: Array | None, *arguments: Any) -> Array:
    """The result, summed in double."""
    bias_type = None if bias is None else array_type(bias)
    result = infer(array_type(x), array_type(weight), bias_type, *arguments)
    how = _described(weight.shape, *arguments)
    batched = x if x.ndim == how.spatial + 2 else x[None]
    padded = np.pad(batched, [(0, 0), (0, 0), *how.pads])
    return _convolved(padded, weight, bias, how).astype(x.dtype).reshape(result.shape)


def _convolved(padded: Array, weight: Array, bias: Array | None, how: Convolution) -> Array:
    """The convolution of a batch that has its padding, in double."""
    work = exact_type(operand_type(padded)).numpy
    windows = windows_of(padded.astype(work), weight.shape[2:], how.stride, how.dilation)
    count, places, kernel = len(padded), windows.shape[2 : 2 + how.spatial], weight.shape[2:]
    grouped = windows.reshape(count, how.groups, weight.shape[1], *places, *kernel)
    filters = weight.astype(work).reshape(how.groups, weight.shape[0] // how.groups, *weight.shape[1:])
    letters, inner = "xyz"[: how.spatial], "uvw"[: how.spatial]
    found = np.einsum(f"ngc{letters}{inner},goc{inner}->ngo{letters}", grouped, filters, optimize=True)
    found = found.reshape(count, weight.shape[0], *places)
    if bias is not None:
        found = found + bias.astype(work).reshape(-1, *[1] * how.spatial)
    return np.ascontiguousarray(found)


def convolved(x: Array, weight: Array, bias: Array | None, dilation: list[int], groups: int) -> Array:
    """The convolution of a batch with stride 1 and no padding, in the input's element type."""
    how = Convolution([1] * len(dilation), [(0, 0)] * len(dilation), dilation, groups)
    return _convolved(x, weight, bias, how).astype(x.dtype)


def build_windows(
    b: Any, x: Any, kernel: Sequence[Dim], stride: Sequence[int], dilation: Sequence[int], first: int | None = None
) -> Any:
    """`windows_of` as views; over the dimensions from `first` on, where those are not the last."""
    begin = len(b.shape(x)) - len(kernel) if first is None else first
    for place, (extent, step, gap) in enumerate(zip(kernel, stride, dilation)):
        x = b("aten::unfold", x, begin + place, window_span(extent, gap), step)
        if gap != 1:
            last = len(b.shape(x)) - 1
            x = b("aten::slice.Tensor", x, last, 0, b.shape(x)[last], gap)
    return x


def pad_list(pads: Sequence[tuple[int, int]]) -> list[int]:
    """Pads as `constant_pad_nd` takes them: the last dimension first."""
    return [number for pair in reversed(pads) for number in pair]


def channels_last(spatial: int) -> list[int]:
    """The permutation that puts the channels of a batch behind what is convolved."""
    return [0, *range(2, 2 + spatial), 1]


def channels_first(spatial: int) -> list[int]:
    """The inverse of `channels_last`."""
    return [0, 1 + spatial, *range(1, 1 + spatial)]


def decompose(b: Any, x: Any, weight: Any, bias: Any, *arguments: Any) -> Any:
    """The result as a product of windows and filters.

    The channels of the windows lie beside each other, so that windows are copied in long runs and products write what
    the next convolution reads: the pass `layout` lets the permutations around convolutions meet.
    """
    how = _described(b.shape(weight), *arguments)
    batched = len(b.shape(x)) == how.spatial + 2
    x = x if batched else b("aten::unsqueeze", x, 0)
    x = b("aten::permute", x, channels_last(how.spatial))
    if any(number != 0 for pair in how.pads for number in pair):
        x = b("aten::constant_pad_nd", x, [0, 0, *pad_list(how.pads)], 0)
    result = b("aten::permute", _build(b, x, weight, bias, how), channels_first(how.spatial))
    return result if batched else b("aten::squeeze.dim", result, 0)


def build_convolution(b: Any, x: Any, weight: Any, bias: Any, dilation: list[int], groups: int) -> Any:
    """`convolved` as operators."""
    spatial = len(dilation)
    how = Convolution([1] * spatial, [(0, 0)] * spatial, dilation, groups)
    x = b("aten::permute", x, channels_last(spatial))
    return b("aten::permute", _build(b, x, weight, bias, how), channels_first(spatial))


def _build(b: Any, x: Any, weight: Any, bias: Any, how: Convolution) -> Any:
    """The convolution of padded input; the channels of input and result are the last dimension."""
    if how.groups == 1:
        return _whole(b, x, weight, bias, how)
    return _by_channels(b, x, weight, bias, how) if b.shape(weight)[1] == 1 else _by_groups(b, x, weight, bias, how)


def build_last_windows(
    b: Any, x: Any, kernel: Sequence[Dim], stride: Sequence[int], dilation: Sequence[int], first: int = 1
) -> Any:
    """Windows over the dimensions between the first ones and the last: (*batch, *places, *kernel, channels)."""
    windows = build_windows(b, x, kernel, stride, dilation, first)
    outer = first + len(kernel)
    return b("aten::permute", windows, [*range(outer), *range(outer + 1, outer + 1 + len(kernel)), outer])


def _whole(b: Any, x: Any, weight: Any, bias: Any, how: Convolution) -> Any:
    outputs, channels, *kernel = b.shape(weight)
    windows = build_last_windows(b, x, kernel, how.stride, how.dilation)
    places = b.shape(windows)[: 1 + how.spatial]
    size = product(kernel) * channels
    rows = b("aten::reshape", windows, [product(places), size])
    filters = b("aten::reshape", b("aten::permute", weight, channels_last(how.spatial)), [outputs, size])
    return b("aten::reshape", b("aten::linear", rows, filters, bias), [*places, outputs])


def _by_channels(b: Any, x: Any, weight: Any, bias: Any, how: Convolution) -> Any:
    """Filters of one channel each: products of elements, summed over the window."""
    outputs, _, *kernel = b.shape(weight)
    spatial, dtype = how.spatial, b.type(x).dtype
    windows = narrowed(b, build_last_windows(b, x, kernel, how.stride, how.dilation), compute_type(dtype))
    filters, summed = b("aten::squeeze.dim", weight, 1), list(range(1 + spatial, 1 + 2 * spatial))
    filters = b("aten::permute", filters, [*range(1, 1 + spatial), 0])
    several = outputs != how.groups
    if several:
        windows = b("aten::unsqueeze", windows, -1)
        filters = b("aten::reshape", filters, [*kernel, how.groups, outputs // how.groups])
    found = b("aten::sum.dim_IntList", b("aten::mul.Tensor", windows, filters), summed)
    found = b("aten::reshape", found, [*b.shape(found)[: 1 + spatial], outputs]) if several else found
    found = narrowed(b, found, dtype)
    return found if bias is None else b("aten::add.Tensor", found, bias)


def _has_small_groups(weight: Shape, groups: int) -> bool:
    """Whether products of matrices would leave most of their vectors empty, and copy windows in short pieces.

    On Zen 3 they take 1.7 to 11 times as long for up to four outputs, as long for eight; windows of one place are no copies.
    """
    outputs, channels, *kernel = weight
    if not isinstance(outputs, int) or not isinstance(channels, int):
        return False
    return 0 < channels <= _FEW_CHANNELS and 0 < outputs // groups <= _FEW_OUTPUTS and product(kernel) != 1


def _by_few_channels(b: Any, x: Any, weight: Any, bias: Any, how: Convolution) -> Any:
    """Filters of few channels each: what the outputs of a group share stands before each of them, so that products of
    elements, summed over window and channels, fill whole vectors."""
    outputs, channels, *kernel = b.shape(weight)
    spatial, dtype = how.spatial, b.type(x).dtype
    groups = np.arange(outputs) // (outputs // how.groups)
    sources = groups * channels + np.arange(channels)[:, None]
    x = b("aten::index_select", x, 1 + spatial, b.constant(sources.reshape(-1).astype(np.int64)))
    windows = narrowed(b, build_last_windows(b, x, kernel, how.stride, how.dilation), compute_type(dtype))
    windows = b("aten::reshape", windows, [*b.shape(windows)[:-1], channels, outputs])
    filters = b("aten::permute", weight, [*range(2, 2 + spatial), 1, 0])
    summed = list(range(1 + spatial, 2 + 2 * spatial))
    found = narrowed(b, b("aten::sum.dim_IntList", b("aten::mul.Tensor", windows, filters), summed), dtype)
    return found if bias is None else b("aten::add.Tensor", found, bias)


def _has_large_groups(weight: Shape, groups: int) -> bool:
    """Whether runs of channels are long enough to be multiplied where they are, and results fill enough of a vector."""
    outputs, channels, *kernel = weight
    places = product(kernel)
    if not isinstance(outputs, int) or not isinstance(channels, int) or not isinstance(places, int):
        return False
    return channels >= _LEAST_CHANNELS and outputs // groups >= _LEAST_OUTPUTS and 0 < places <= _MOST_PLACES


def _by_large_groups(b: Any, x: Any, weight: Any, bias: Any, how: Convolution) -> Any:
    """One product that reads the windows of all groups and writes their results side by side."""
    outputs, channels, *kernel = b.shape(weight)
    runs = product(kernel)
    windows = build_last_windows(b, x, kernel, how.stride, how.dilation)
    places = b.shape(windows)[: 1 + how.spatial]
    rows = b("aten::reshape", windows, [product(places), runs * channels * how.groups])
    filters = b("aten::permute", weight, channels_last(how.spatial))
    filters = b("aten::reshape", filters, [how.groups, outputs // how.groups, runs * channels])
    found = b("prim::GroupProducts", rows, b("aten::transpose.int", filters, 1, 2), runs)
    found = found if bias is None else b("aten::add.Tensor", found, bias)
    return b("aten::reshape", found, [*places, outputs])


def _by_groups(b: Any, x: Any, weight: Any, bias: Any, how: Convolution) -> Any:
    outputs, channels, *kernel = b.shape(weight)
    groups, spatial = how.groups, how.spatial
    if _has_large_groups(b.shape(weight), groups):
        return _by_large_groups(b, x, weight, bias, how)
    if _has_small_groups(b.shape(weight), groups):
        return _by_few_channels(b, x, weight, bias, how)
    windows = build_last_windows(b, x, kernel, how.stride, how.dilation)
    places = b.shape(windows)[: 1 + spatial]
    windows = b("aten::reshape", windows, [*b.shape(windows)[:-1], groups, channels])
    last = 1 + 2 * spatial
    rows = b("aten::permute", windows, [last, *range(last), last + 1])
    size = product(kernel) * channels
    rows = b("aten::reshape", rows, [groups, product(places), size])
    filters = b("aten::permute", weight, channels_last(spatial))
    filters = b("aten::reshape", filters, [groups, outputs // groups, size])
    found = b("aten::bmm", rows, b("aten::transpose.int", filters, 1, 2))
    found = b("aten::reshape", b("aten::transpose.int", found, 0, 1), [*places, outputs])
    return found if bias is None else b("aten::add.Tensor", found, bias)


for _spatial, _ones, _zeros in ((1, "[1]", "[0]"), (2, "[1, 1]", "[0, 0]"), (3, "[1, 1, 1]", "[0, 0, 0]")):
    for _overload, _padding in (
        ("", f"SymInt[{_spatial}] padding={_zeros}"),
        (".padding", 'str padding="valid"'),
    ):
        define(
            f"aten::conv{_spatial}d{_overload}(Tensor input, Tensor weight, Tensor? bias=None, SymInt[{_spatial}] "
            f"stride={_ones}, {_padding}, SymInt[{_spatial}] dilation={_ones}, SymInt groups=1) -> Tensor",
            infer=infer,
            reference=reference,
            decompose=decompose,
            in_rows=True,
        )
