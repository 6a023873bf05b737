"""Pooling: the maximum or mean of every window, over 1 to 3 dimensions, and adaptive means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from optc.dataclass import dataclass
from optc.ir import dtypes
from optc.ir.dims import Dim
from optc.ir.dtypes import DType
from optc.ir.types import TensorType
from optc.ops.abstract import UndecidedShape, is_runtime
from optc.ops.adaptive_windows import build_averages
from optc.ops.convolution import build_last_windows, each, pad_list, window_span, windows_of
from optc.ops.element_types import BOOLS, COMPLEXES, HALVES, WHOLE, check_type, unimplemented
from optc.ops.elementwise import array_type
from optc.ops.promotion import compute_type, exact_type, operand_type
from optc.ops.reduction import NO_MEAN, narrowed
from optc.ops.registry import define
from optc.ops.shapes import Shape, format_shape, known, known_shape

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Pooling:
    """The numbers of a pooling, one per spatial dimension. `pads` cover what `ceil_mode` adds at the end."""

    kernel: list[int]
    stride: list[int]
    dilation: list[int]
    padding: list[int]
    pads: list[tuple[int, int]]
    places: list[Dim]


def describe_pooling(
    name: str, shape: Shape, spatial: int, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> Pooling:
    """Sort the arguments of `name`. Raises RuntimeError with torch's text."""
    if len(shape) not in (spatial + 1, spatial + 2):
        raise RuntimeError(
            f"{name}(): Expected {spatial + 1}D or {spatial + 2}D (batch mode) tensor, but got: {format_shape(shape)}"
        )
    sizes, edges, gaps = (
        _numbers(name, title, given, spatial)
        for title, given in (("kernel_size", kernel), ("padding", padding), ("dilation", dilation))
    )
    steps = _numbers(name, "stride", stride, spatial) or sizes
    _check_numbers(name, {"kernel_size": sizes, "stride": steps, "dilation": gaps})
    _check_elements(name, shape, spatial)
    for edge, size in zip(edges, sizes):
        if edge < 0:
            raise RuntimeError(f"pad must be non-negative, but got pad: {edge}")
        if edge * 2 > size:
            raise RuntimeError(
                f"pad should be at most half of effective kernel size, but got pad={edge}, kernel_size={size} and dilation="
                f"{gaps[0]}"
            )
    places, pads = [], []
    for extent, size, step, edge, gap in zip(shape[-spatial:], sizes, steps, edges, gaps):
        count, extra = _places(extent, window_span(size, gap), step, edge, ceil_mode)
        places.append(count)
        pads.append((edge, edge + extra))
    if any(isinstance(count, int) and count < 1 for count in places):
        raise RuntimeError(
            f"{name}(): the input of size {format_shape(shape)} is too small for windows of {format_shape(sizes)}"
        )
    return Pooling(sizes, steps, gaps, edges, pads, places)


def _numbers(name: str, argument: str, given: Any, spatial: int) -> list[int]:
    """One number per dimension, of one for all or of so many; a stride may be left out."""
    listed = each(given, spatial)
    if len(listed) == spatial or (argument == "stride" and not listed):
        return listed
    if spatial == 1:
        raise RuntimeError(f"{name}() argument '{argument}' should contain one int (got {len(listed)})")
    wanted = (
        f"{'omitted, ' if argument == 'stride' else ''}a single int, or a tuple of {('two', 'three')[spatial - 2]} ints"
    )
    must = "must" if name == "avg_pool3d" else "must be either" if argument == "dilation" else "must either"
    raise RuntimeError(f"{name}: {argument} {must}{'' if must.endswith('be either') else ' be'} {wanted}")


def _check_numbers(name: str, numbers: dict[str, list[int]]) -> None:
    for argument, listed in numbers.items():
        wrong = [number for number in listed if isinstance(number, int) and number <= 0]
        if wrong and len(listed) > 1 and argument == "kernel_size":
            shown = " ".join(
                f"{letter}: {number}" for letter, number in zip(("kT", "kH", "kW")[-len(listed) :], listed)
            )
            raise RuntimeError(f"kernel size should be greater than zero, but got {shown}")
        if wrong and len(listed) > 1 and argument == "stride" and 0 in wrong:
            raise RuntimeError("stride should not be zero")
        if wrong:
            raise RuntimeError(f"{name}() {argument} must be greater than zero, but got {wrong[0]}")


def _check_elements(name: str, shape: Shape, spatial: int) -> None:
    """Only the batch may be empty."""
    if 0 not in shape[len(shape) - spatial - 1 :]:
        return
    if spatial == 3:
        inside = {"max_pool3d": "max_pool3d_with_indices_out_cpu_template"}.get(name, name)
        raise RuntimeError(
            f"{inside}(): Expected input's non-batch dimensions to have positive length, but input has a shape of "
            f"{format_shape(shape)} and non-batch dimension 0 has length zero!"
        )
    images = 2 if name == "avg_pool1d" else spatial
    inner = (1, *shape[-1:]) if images > spatial else shape[-spatial:]
    raise RuntimeError(
        f"{'max_pool1d: ' if name == 'max_pool1d' else ''}Expected {images + 1}D or {images + 2}D (batch mode) tensor with "
        f"optional 0 dim batch size for input, but got:{format_shape((*shape[:-spatial], *inner))}"
    )


def _places(extent: Dim, span: int, step: int, edge: int, ceil_mode: bool) -> tuple[Dim, int]:
    """How many windows there are, and how far the last one reaches over the padding."""
    room = extent + 2 * edge - span
    if not ceil_mode:
        return room // step + 1, 0
    if not isinstance(room, int) or not isinstance(extent, int):
        raise UndecidedShape("ceil_mode needs the extents before the program runs")
    count = -(-room // step) + 1
    if (count - 1) * step >= extent + edge:
        count -= 1
    return count, max((count - 1) * step - room, 0)


def _pooled(x: TensorType, how: Pooling) -> TensorType:
    shape = known_shape(x)
    return TensorType(operand_type(x), (*shape[: len(shape) - len(how.places)], *how.places))


def padded(x: Array, how: Pooling, value: float) -> Array:
    """The input in float64 with its padding."""
    outside = [(0, 0)] * (x.ndim - len(how.pads))
    return np.pad(x.astype(np.float64), [*outside, *how.pads], constant_values=value)


def _inner(how: Pooling) -> tuple[int, ...]:
    return tuple(range(-len(how.kernel), 0))


def _build_pooled(b: Any, x: Any, how: Pooling, value: float, reduction: str) -> Any:
    """All windows reduced to one element each, in the input's order of dimensions.

    Channels are put last for it, as convolutions do: what is reduced together lies in other rows, not beside each other.
    """
    spatial, rank = len(how.kernel), len(b.shape(x))
    batch = range(rank - spatial - 1)
    x = b("aten::permute", x, [*batch, *range(rank - spatial, rank), rank - spatial - 1])
    if any(number for pair in how.pads for number in pair):
        x = b("aten::constant_pad_nd", x, [0, 0, *pad_list(how.pads)], value)
    windows = build_last_windows(b, x, how.kernel, how.stride, how.dilation, len(batch))
    found = b(reduction, windows, list(range(rank - 1, rank - 1 + spatial)))
    return b("aten::permute", found, [*batch, rank - 1, *range(len(batch), rank - 1)])


def build_padded(b: Any, x: Any, how: Pooling, value: float) -> Any:
    if not any(number for pair in how.pads for number in pair):
        return x
    return b("aten::constant_pad_nd", x, pad_list(how.pads), value)


# The largest ---------------------------------------------------------------------------------------------------------


def _declare_max(spatial: int, schema: str) -> None:
    name = f"max_pool{spatial}d"

    def describe(shape: Shape, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> Pooling:
        return describe_pooling(name, shape, spatial, kernel, stride, padding, dilation, ceil_mode)

    def infer(x: TensorType, *arguments: Any) -> TensorType:
        return _pooled(x, describe(known_shape(x), *arguments))

    def reference(x: Array, *arguments: Any) -> Array:
        how = describe(x.shape, *arguments)
        windows = windows_of(padded(x, how, -math.inf), how.kernel, how.stride, how.dilation)
        return np.asarray(windows.max(axis=_inner(how))).astype(x.dtype)

    def decompose(b: Any, x: Any, *arguments: Any) -> Any:
        how = describe(b.shape(x), *arguments)
        return _build_pooled(b, x, how, -math.inf, "aten::amax")

    no_kernel = unimplemented("max_pool1d_impl", WHOLE) if spatial == 1 else unimplemented(name, BOOLS)
    no_kernel += unimplemented(name if spatial > 1 else "max_pool1d_impl", COMPLEXES)
    define(
        f"aten::{name}{schema} -> Tensor", infer=infer, reference=reference, decompose=decompose, in_rows=True,
        refuses=no_kernel,
    )  # fmt: skip


_declare_max(1, "(Tensor self, int[1] kernel_size, int[1] stride=[], int[1] padding=[0], int[1] dilation=[1], "
             "bool ceil_mode=False)")  # fmt: skip
_declare_max(2, "(Tensor self, int[2] kernel_size, int[2] stride=[], int[2] padding=0, int[2] dilation=1, "
             "bool ceil_mode=False)")  # fmt: skip
_declare_max(3, "(Tensor self, int[3] kernel_size, int[3] stride=[], int[3] padding=0, int[3] dilation=1, "
             "bool ceil_mode=False)")  # fmt: skip


# Means ---------------------------------------------------------------------------------------------------------------


def _divisor(shape: tuple[int, ...], how: Pooling, includes_pad: bool, override: int | None) -> Array:
    """What the sum of each window is divided by: how many elements it has, those that `ceil_mode` added excepted."""
    if override is not None:
        return np.asarray(float(override))
    spatial = len(how.kernel)
    ones = np.ones(shape[-spatial:])
    if includes_pad:
        ones = np.pad(ones, [(edge, edge) for edge in how.padding], constant_values=1)
        missing = [(0, after - before) for before, after in how.pads]
    else:
        missing = how.pads
    windows = windows_of(np.pad(ones, missing), how.kernel, how.stride, how.dilation)
    return np.asarray(windows.sum(axis=_inner(how)))


def _declare_mean(spatial: int, schema: str) -> None:
    name = f"avg_pool{spatial}d"

    def describe(shape: Shape, kernel: Any, stride: Any, padding: Any, ceil_mode: bool) -> Pooling:
        return describe_pooling(name, shape, spatial, kernel, stride, padding, 1, ceil_mode)

    def infer(
        x: TensorType, kernel: Any, stride: Any, padding: Any, ceil_mode: bool, includes_pad: bool,
        override: int | None = None,
    ) -> TensorType:  # fmt: skip
        if override == 0:
            raise RuntimeError("divisor must be not zero")
        return _pooled(x, describe(known_shape(x), kernel, stride, padding, ceil_mode))

    def reference(
        x: Array, kernel: Any, stride: Any, padding: Any, ceil_mode: bool, includes_pad: bool,
        override: int | None = None,
    ) -> Array:  # fmt: skip
        infer(array_type(x), kernel, stride, padding, ceil_mode, includes_pad, override)
        how = describe(x.shape, kernel, stride, padding, ceil_mode)
        windows = windows_of(padded(x, how, 0.0), how.kernel, how.stride, how.dilation)
        return np.asarray(windows.sum(axis=_inner(how)) / _divisor(x.shape, how, includes_pad, override)).astype(
            x.dtype
        )

    def decompose(
        b: Any, x: Any, kernel: Any, stride: Any, padding: Any, ceil_mode: bool, includes_pad: bool,
        override: int | None = None,
    ) -> Any:  # fmt: skip
        dtype, shape = b.type(x).dtype, b.shape(x)
        how = describe(shape, kernel, stride, padding, ceil_mode)
        total = _build_pooled(b, narrowed(b, x, compute_type(dtype)), how, 0.0, "aten::sum.dim_IntList")
        edgeless = not any(number for pair in how.pads for number in pair)
        if edgeless or override is not None or (includes_pad and not ceil_mode):
            return narrowed(b, b("aten::div.Scalar", total, override or math.prod(how.kernel)), dtype)
        if not all(isinstance(extent, int) for extent in shape[-spatial:]):
            raise UndecidedShape("the windows at the edge need the extents before the program runs")
        counts = _divisor(shape, how, includes_pad, override).astype(b.type(total).dtype.numpy)
        return narrowed(b, b("aten::div.Tensor", total, b.value(counts)), dtype)

    kernel = "avg_pool3d_out_frame" if spatial == 3 else "avg_pool2d"
    refused = WHOLE - {dtypes.INT64} | COMPLEXES | (HALVES if spatial == 3 else frozenset())
    define(
        f"aten::{name}{schema} -> Tensor", infer=infer, reference=reference, decompose=decompose, in_rows=True,
        refuses=unimplemented(kernel, refused),
    )  # fmt: skip


_declare_mean(1, "(Tensor self, int[1] kernel_size, int[1] stride=[], int[1] padding=[0], bool ceil_mode=False, "
              "bool count_include_pad=True)")  # fmt: skip
_declare_mean(2, "(Tensor self, int[2] kernel_size, int[2] stride=[], int[2] padding=0, bool ceil_mode=False, "
              "bool count_include_pad=True, int? divisor_override=None)")  # fmt: skip
_declare_mean(3, "(Tensor self, int[3] kernel_size, int[3] stride=[], int[3] padding=0, bool ceil_mode=False, "
              "bool count_include_pad=True, int? divisor_override=None)")  # fmt: skip


# Means of a given number of windows ----------------------------------------------------------------------------------


_FEW_WINDOWS = 32
"""So many windows along a dimension are averaged one after the other, more of them from a table of their places."""


def _windows(extent: int, count: int) -> list[tuple[int, int]]:
    """Where windows begin and end: at floor(i * n / m) and ceil((i + 1) * n / m)."""
    return [(place * extent // count, -(-(place + 1) * extent // count)) for place in range(count)]


def _averages(x: Array, axis: int, count: int) -> Array:
    """Means of windows along an axis."""
    moved = np.moveaxis(x, axis, -1)
    result = np.empty((*moved.shape[:-1], count), x.dtype)
    with np.errstate(all="ignore"):
        for place, (start, end) in enumerate(_windows(x.shape[axis], count)):
            result[..., place] = moved[..., start:end].sum(axis=-1) / np.float64(end - start)
    return np.moveaxis(result, -1, axis)


def _build_averages(b: Any, x: Any, axis: int, extent: int, count: int) -> Any:
    if count > _FEW_WINDOWS:
        return _build_many_averages(b, x, axis, extent, count)
    windows = [b("aten::slice.Tensor", x, axis, start, end, 1) for start, end in _windows(extent, count)]
    return b("aten::cat", [b("aten::mean.dim", window, [axis], True) for window in windows], axis)


def _build_many_averages(b: Any, x: Any, axis: int, extent: int, count: int) -> Any:
    """All windows as long as the longest; what is behind the end of one does not count, whatever it is."""
    shape, dtype = b.shape(x), b.type(x).dtype
    starts, ends = np.array(_windows(extent, count), np.int64).T
    most = int(np.max(ends - starts))
    places = starts[:, None] + np.arange(most)
    taken = b("aten::index_select", x, axis, b.value(np.minimum(places, extent - 1).reshape(-1)))
    apart = b("aten::reshape", taken, [*shape[:axis], count, most, *shape[axis + 1 :]])
    inner = [1] * (len(shape) - axis - 1)
    inside = b.value((places < ends[:, None]).reshape(count, most, *inner))
    total = b("aten::sum.dim_IntList", b("aten::where.ScalarOther", inside, apart, 0.0), [axis + 1])
    return b("aten::div.Tensor", total, b.value((ends - starts).astype(dtype.numpy).reshape(count, *inner)))


def _check_not_empty(shape: Shape, spatial: int, counts: Sequence[Any]) -> None:
    """Means of everything may be means of nothing; means of windows may not. A line is an image of height 1."""
    if spatial == 1:
        _check_not_empty((*shape[:-1], 1, shape[-1]), 2, (1, *counts))
        return
    first = 1 if spatial == 3 else len(shape) - spatial
    empty = next((axis for axis in range(first, len(shape)) if shape[axis] == 0), None)
    if empty is None or all(count == 1 for count in counts):
        return
    raise RuntimeError(
        f"adaptive_avg_pool{spatial}d(): Expected input to have non-zero size for non-batch dimensions, but input has "
        f"sizes {format_shape(shape)} with dimension {empty} being empty"
    )


def _declare_adaptive(spatial: int, schema: str) -> None:
    kernel = "adaptive_avg_pool3d_cpu" if spatial == 3 else "adaptive_avg_pool2d"

    def outputs(shape: Shape, size: Any) -> list[Dim]:
        if len(shape) not in (spatial + 1, spatial + 2):
            raise RuntimeError(
                f"adaptive_avg_pool{spatial}d(): Expected {spatial + 1}D or {spatial + 2}D tensor, but got "
                f"{format_shape(shape)}"
            )
        if isinstance(size, Sequence) and len(size) != spatial:
            raise RuntimeError(f"adaptive_avg_pool{spatial}d: output_size must be {spatial}")
        counts = each(size, spatial)
        _check_not_empty(shape, spatial, counts)
        if any(isinstance(count, int) and count < 0 for count in counts):
            raise RuntimeError(
                f"adaptive_avg_pool{spatial}d: elements of output_size must be greater than or equal to 0 but received "
                f"{{{', '.join(map(str, counts))}}}"
            )
        return counts

    def refuse_type(dtype: DType, shape: Shape, counts: list[Dim]) -> None:
        if all(count == 1 for count in counts):
            check_type(NO_MEAN, dtype)
        elif spatial == 3 or 0 not in (*shape, *counts):
            check_type(unimplemented(kernel, WHOLE | COMPLEXES), dtype)

    def infer(x: TensorType, size: Any) -> TensorType:
        shape = known_shape(x)
        counts = outputs(shape, size)
        refuse_type(operand_type(x), shape, counts)
        return TensorType(operand_type(x), (*shape[:-spatial], *counts))

    def reference(x: Array, size: Any) -> Array:
        counts = outputs(x.shape, size)
        refuse_type(operand_type(x), x.shape, counts)
        result = x.astype(exact_type(operand_type(x)).numpy)
        for place, count in enumerate(known(counts)):
            result = _averages(result, x.ndim - spatial + place, count)
        return np.ascontiguousarray(result).astype(x.dtype)

    def decompose(b: Any, x: Any, size: Any) -> Any:
        dtype, shape = b.type(x).dtype, b.shape(x)
        counts, extents = outputs(shape, size), shape[-spatial:]
        if tuple(counts) == tuple(extents):
            return b("aten::clone", x)
        x = narrowed(b, x, compute_type(dtype))
        if all(count == 1 for count in counts):
            return narrowed(b, b("aten::mean.dim", x, list(range(-spatial, 0)), True), dtype)
        if any(map(is_runtime, extents)) and all(isinstance(count, int) and count for count in counts):
            for place, (extent, count) in enumerate(zip(extents, known(counts))):
                x = build_averages(b, x, len(shape) - spatial + place, extent, count)
            return narrowed(b, x, dtype)
        if not all(isinstance(number, int) for number in (*counts, *extents)):
            raise UndecidedShape("adaptive pooling needs the extents before the program runs")
        if all(count and extent % count == 0 for extent, count in zip(extents, counts)):
            windows = [extent // count for extent, count in zip(extents, counts)]
            return narrowed(b, b(f"aten::avg_pool{spatial}d", x, windows, windows), dtype)
        for place, (extent, count) in enumerate(zip(known(extents), known(counts))):
            x = _build_averages(b, x, len(shape) - spatial + place, extent, count)
        return narrowed(b, x, dtype)

    for name in (f"adaptive_avg_pool{spatial}d", *([f"_adaptive_avg_pool{spatial}d"] if spatial > 1 else [])):
        define(f"aten::{name}{schema} -> Tensor", infer=infer, reference=reference, decompose=decompose, in_rows=True)


_declare_adaptive(1, "(Tensor self, int[1] output_size)")
_declare_adaptive(2, "(Tensor self, SymInt[2] output_size)")
_declare_adaptive(3, "(Tensor self, SymInt[3] output_size)")
