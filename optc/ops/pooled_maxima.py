"""Pooling that also says where: the largest element of every window and its place in the input, flattened.

Adaptive windows differ in size and may overlap: they run from floor(i * n / m) to ceil((i + 1) * n / m).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.dims import product
from optc.ir.types import TensorType
from optc.ops.abstract import UndecidedShape, is_runtime
from optc.ops.adaptive_windows import build_maxima
from optc.ops.convolution import build_windows, windows_of
from optc.ops.creation import check_size
from optc.ops.element_types import BOOLS, COMPLEXES, WHOLE, unimplemented
from optc.ops.pooling import Pooling, build_padded, describe_pooling, padded
from optc.ops.promotion import operand_type
from optc.ops.registry import define
from optc.ops.shapes import Shape, format_shape, known_shape

Array = np.ndarray[Any, Any]


def _largest(windows: Array) -> Array:
    """Where the largest element of each window (the last dimension) is: the first NaN, else the first of the largest."""
    missing = np.isnan(windows)
    return np.asarray(
        np.where(missing.any(-1), missing.argmax(-1), np.argmax(np.where(missing, -np.inf, windows), axis=-1))
    )


def _flat_places(how: Pooling, extents: tuple[int, ...]) -> Array:
    """The place in the flattened input of every element of every window; of those in the padding, -1."""
    whole = np.arange(math.prod(extents)).reshape(extents)
    edges = np.pad(whole, how.pads, constant_values=-1)
    windows = windows_of(edges, how.kernel, how.stride, how.dilation)
    return np.ascontiguousarray(windows).reshape(*windows.shape[: len(extents)], -1)


def _declare_with_indices(spatial: int) -> None:
    name = f"max_pool{spatial}d_with_indices"

    def read(shape: Shape, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> Pooling:
        return describe_pooling(f"max_pool{spatial}d", shape, spatial, kernel, stride, padding, dilation, ceil_mode)

    def infer(x: TensorType, *arguments: Any) -> tuple[TensorType, TensorType]:
        shape = known_shape(x)
        result = TensorType(operand_type(x), (*shape[:-spatial], *read(shape, *arguments).places))
        return result, result.with_dtype(dtypes.INT64)

    def reference(x: Array, *arguments: Any) -> tuple[Array, Array]:
        how = read(x.shape, *arguments)
        windows = windows_of(padded(x, how, -math.inf), how.kernel, how.stride, how.dilation)
        flat = np.ascontiguousarray(windows).reshape(*windows.shape[:-spatial], -1)
        chosen = _largest(flat)
        places = np.broadcast_to(_flat_places(how, x.shape[-spatial:]), flat.shape)
        values = np.take_along_axis(flat, chosen[..., None], -1)[..., 0].astype(x.dtype)
        return values, np.take_along_axis(places, chosen[..., None], -1)[..., 0].astype(np.int64)

    def decompose(b: Any, x: Any, *arguments: Any) -> tuple[Any, Any]:
        shape = b.shape(x)
        how = read(shape, *arguments)
        if not all(isinstance(extent, int) for extent in shape[-spatial:]):
            raise UndecidedShape("the places of maxima need the extents before the program runs")
        windows = build_windows(b, build_padded(b, x, how, -math.inf), how.kernel, how.stride, how.dilation)
        outer = [*shape[:-spatial], *how.places]
        flat = b("aten::reshape", windows, [*outer, math.prod(how.kernel)])
        values, chosen = b("aten::max.dim", flat, -1)
        return values, _build_places(b, chosen, _flat_places(how, shape[-spatial:]))

    arguments = (
        f"Tensor self, int[{spatial}] kernel_size, int[{spatial}] stride=[], int[{spatial}] padding=0, "
        f"int[{spatial}] dilation=1, bool ceil_mode=False"
    )
    define(
        f"aten::{name}({arguments}) -> (Tensor, Tensor)", infer=infer, reference=reference, decompose=decompose,
        refuses=unimplemented("max_pool3d" if spatial == 3 else "max_pool2d", BOOLS | COMPLEXES),
    )  # fmt: skip


def _build_places(b: Any, chosen: Any, places: Array) -> Any:
    """`places[window, chosen]`: the table of places is a constant."""
    count = places.shape[-1]
    starts = np.arange(math.prod(places.shape[:-1])).reshape(places.shape[:-1]) * count
    rows = b("aten::add.Tensor", chosen, b.value(starts))
    found = b(
        "aten::index_select", b.value(np.ascontiguousarray(places.reshape(-1))), 0, b("aten::reshape", rows, [-1])
    )
    return b("aten::reshape", found, list(b.shape(chosen)))


for _spatial in (1, 2, 3):
    _declare_with_indices(_spatial)


# Adaptive ------------------------------------------------------------------------------------------------------------


def _bounds(extent: int, count: int) -> list[slice]:
    return [slice(place * extent // count, -(-(place + 1) * extent // count)) for place in range(count)]


def _adaptive_table(extents: tuple[int, ...], counts: tuple[int, ...]) -> Array:
    """For every window the places of its elements in the flattened input; short windows repeat their first element."""
    whole = np.arange(math.prod(extents)).reshape(extents)
    axes = [_bounds(extent, count) for extent, count in zip(extents, counts)]
    windows = [whole[tuple(axis[at] for axis, at in zip(axes, place))].reshape(-1) for place in np.ndindex(*counts)]
    most = max(map(len, windows), default=1)
    rows = [[*window, *[window[0]] * (most - len(window))] for window in windows]
    return np.array(rows, np.int64).reshape(*counts, most)


def _declare_adaptive(spatial: int) -> None:
    name = f"adaptive_max_pool{spatial}d"

    def counts_of(shape: Shape, size: Any) -> list[Any]:
        if len(shape) not in (spatial + 1, spatial + 2):
            raise RuntimeError(
                f"{name}(): Expected {spatial + 1}D or {spatial + 2}D tensor, but got: {format_shape(shape)}"
            )
        if len(size) != spatial:
            raise RuntimeError(f"{name}(): internal error: output_size.size() must be {spatial}")
        empty = next((axis for axis in range(1, len(shape)) if shape[axis] == 0), None)
        if empty is not None:
            raise RuntimeError(
                f"{name}(): Expected input to have non-zero size for non-batch dimensions, but input has sizes "
                f"{format_shape(shape)} with dimension {empty} being empty"
            )
        return list(check_size([*shape[:-spatial], *size])[-spatial:])

    def infer(x: TensorType, size: Any) -> tuple[TensorType, TensorType]:
        shape = known_shape(x)
        result = TensorType(operand_type(x), (*shape[:-spatial], *counts_of(shape, size)))
        return result, result.with_dtype(dtypes.INT64)

    def reference(x: Array, size: Any) -> tuple[Array, Array]:
        table = _adaptive_table(x.shape[-spatial:], tuple(counts_of(x.shape, size)))
        flat = x.reshape(*x.shape[:-spatial], math.prod(x.shape[-spatial:]))
        windows = flat[..., table].astype(np.float64)
        chosen = _largest(windows)
        places = np.take_along_axis(np.broadcast_to(table, windows.shape), chosen[..., None], -1)[..., 0]
        return np.take_along_axis(flat[..., table], chosen[..., None], -1)[..., 0], places.astype(np.int64)

    def decompose(b: Any, x: Any, size: Any) -> tuple[Any, Any]:
        shape = b.shape(x)
        counts, extents = tuple(counts_of(shape, size)), shape[-spatial:]
        if any(map(is_runtime, extents)) and all(isinstance(count, int) and count for count in counts):
            return build_maxima(b, x, tuple(extents), counts)
        if not all(isinstance(number, int) for number in (*counts, *extents)):
            raise UndecidedShape("adaptive pooling needs the extents before the program runs")
        table = _adaptive_table(extents, counts)
        outer = list(shape[:-spatial])
        flat = b("aten::reshape", x, [*outer, product(extents)])
        taken = b("aten::index_select", flat, len(outer), b.value(np.ascontiguousarray(table.reshape(-1))))
        windows = b("aten::reshape", taken, [*outer, *counts, table.shape[-1]])
        values, chosen = b("aten::max.dim", windows, -1)
        return values, _build_places(b, chosen, table)

    extent = f"int[{spatial}]"
    define(
        f"aten::{name}(Tensor self, {extent} output_size) -> (Tensor, Tensor)",
        infer=infer,
        reference=reference,
        decompose=decompose,
        refuses=unimplemented("adaptive_max_pool3d_cpu" if spatial == 3 else "adaptive_max_pool2d", WHOLE | COMPLEXES),
    )


for _spatial in (1, 2, 3):
    _declare_adaptive(_spatial)
