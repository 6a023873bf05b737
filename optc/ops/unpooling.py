"""The way back from pooled maxima, and maxima of windows at drawn places."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from optc.ir.dims import Dim
from optc.ir.dtypes import INT64
from optc.ir.types import TensorType
from optc.ops.composite import REFERENCES, declare_composite
from optc.ops.convolution import each
from optc.ops.element_types import COMPLEXES, WHOLE, unimplemented
from optc.ops.hosted import declare_hosted
from optc.ops.shapes import format_shape, known_shape

Array = np.ndarray[Any, Any]


# Back to the places of maxima ----------------------------------------------------------------------------------------


def _count(extents: Any) -> Any:
    total: Any = 1
    for extent in extents:
        total = total * extent
    return total


def _check_unpooling(b: Any, x: Any, indices: Any, size: Any, spatial: int) -> None:
    name = f"max_unpooling{spatial}d"
    if b.type(indices).dtype is not INT64:
        raise RuntimeError(f"elements in indices should be type int64 but got: {b.type(indices).dtype.label}")
    if len(size) != spatial:
        raise RuntimeError(
            f"There should be exactly {'two' if spatial == 2 else 'three'} elements "
            f"{'(height, width)' if spatial == 2 else '(depth, height, width)'} in output_size, but got {len(size)} elements."
        )
    shape = b.shape(x)
    if len(shape) not in (spatial + 1, spatial + 2):
        raise RuntimeError(
            f"Input to {name} should be a {spatial + 1}d or {spatial + 2}d Tensor, but got a tensor with {len(shape)} dimensions."
        )
    if shape != b.shape(indices):
        raise RuntimeError(
            f"Expected shape of indices to be same as that of the input tensor ({format_shape(shape)}) but got indices "
            f"tensor with shape: {format_shape(b.shape(indices))}"
        )


def _unpooled(spatial: int) -> Any:
    def build(b: Any, x: Any, indices: Any, size: Any, *rest: Any) -> Any:
        _check_unpooling(b, x, indices, size, spatial)
        shape = b.shape(x)
        outer, area = shape[:-spatial], _count(shape[-spatial:])
        flat = b("aten::reshape", x, [*outer, area])
        places = b("aten::reshape", indices, [*outer, area])
        zeros = b("aten::zeros", [*outer, _count(size)], dtype=b.type(x).dtype.code)
        placed = b("aten::scatter.src", zeros, len(outer), places, flat)
        return b("aten::reshape", placed, [*outer, *size])

    return build


def _places_inside(spatial: int) -> Any:
    def check(x: Array, indices: Array, size: Any, *rest: Any) -> None:
        _check_unpooling(REFERENCES, x, indices, size, spatial)
        outside = indices[(indices < 0) | (indices >= _count(size))]
        if outside.size:
            shown = "x".join(map(str, size))
            raise RuntimeError(f"Found an invalid max index: {outside[-1]} (output volumes are of size {shown})")

    return check


for _name, _spatial, _arguments in (
    ("max_unpool2d", 2, "SymInt[2] output_size"),
    ("max_unpool3d", 3, "SymInt[3] output_size, int[3] stride, int[3] padding"),
):
    declare_composite(
        f"aten::{_name}(Tensor self, Tensor indices, {_arguments}) -> Tensor",
        _unpooled(_spatial),
        check=_places_inside(_spatial),
        may_fail=True,
        refuses=unimplemented(_name, WHOLE | COMPLEXES, of="self", takes_empty=True),
    )


# Windows at drawn places ---------------------------------------------------------------------------------------------


def _infer_fractional(spatial: int) -> Any:
    name = f"fractional_max_pool{spatial}d"
    checked = f"{name}_out" if spatial == 3 else name

    def infer(x: TensorType, kernel: Any, size: Any, samples: TensorType) -> Any:
        shape = known_shape(x)
        windows, results = each(kernel, spatial), each(size, spatial)
        if len(shape) not in (spatial + 1, spatial + 2):
            raise RuntimeError(
                f"{name}: Expected {spatial + 1}D or {spatial + 2}D tensor, but got: {format_shape(shape)}"
            )
        if 0 in shape[1:]:
            raise RuntimeError(
                f"{checked}(): Expected input to have non-zero size for non-batch dimensions, "
                f"but got{format_shape(shape)} with dimension {shape.index(0, 1)} being empty."
            )
        axes = ("time", "height", "width")[-spatial:]
        for axis, extent, window, count in zip(axes, shape[-spatial:], windows, results):
            if isinstance(extent, int) and count + window - 1 + (spatial == 3) > extent:
                raise RuntimeError(f"{checked}(): pool {axis} {window} too large relative to input {axis} {extent}")
        if None not in (x.dtype, samples.dtype) and x.dtype is not samples.dtype:
            raise RuntimeError("Expect _random_samples to have the same dtype as input")
        result: tuple[Dim, ...] = (*shape[:-spatial], *results)
        return x.with_shape(result), TensorType(INT64, result)

    return infer


def _starts(extent: int, count: int, window: int, sample: float, dtype: np.dtype[Any]) -> Array:
    """Where the windows of a dimension begin: about evenly, by a random share of a step further; the last at the end."""
    starts = np.empty(count, np.int64)
    if count > 1:
        alpha = dtype.type(extent - window) / dtype.type(count - 1)
        steps = np.arange(count - 1).astype(dtype) + dtype.type(sample)
        starts[:-1] = (steps * alpha).astype(np.int64) - np.int64(dtype.type(sample) * alpha)
    starts[-1] = extent - window
    return starts


def _fractional(spatial: int) -> Any:
    def compute(x: Array, kernel: Any, size: Any, samples: Array) -> tuple[Array, Array]:
        windows, results = each(kernel, spatial), each(size, spatial)
        extents = x.shape[-spatial:]
        batched = x if x.ndim == spatial + 2 else x[None]
        flat = batched.reshape(*batched.shape[:2], math.prod(extents))
        found = np.empty((*batched.shape[:2], *results), x.dtype)
        places = np.empty(found.shape, np.int64)
        work = samples.dtype if samples.dtype.kind == "f" else np.dtype(np.float32)
        numbers = np.arange(int(np.prod(extents))).reshape(extents)
        for batch, channel in np.ndindex(*batched.shape[:2]):
            # The last dimension's sample comes first.
            axes = [
                _starts(
                    extents[axis], results[axis], windows[axis], samples[batch, channel, _sample(axis, spatial)], work
                )
                for axis in range(spatial)
            ]
            for place in np.ndindex(*results):
                begin = [axes[axis][place[axis]] for axis in range(spatial)]
                window = numbers[tuple(slice(at, at + length) for at, length in zip(begin, windows))].reshape(-1)
                values = flat[batch, channel][window]
                unordered = np.flatnonzero(np.isnan(values)) if values.dtype.kind == "f" else np.zeros(0)
                best = unordered[-1] if unordered.size else int(np.argmax(values))
                found[batch, channel][place] = values[int(best)]
                places[batch, channel][place] = window[int(best)]
        return (found, places) if x.ndim == spatial + 2 else (found[0], places[0])

    return compute


def _sample(axis: int, spatial: int) -> int:
    return spatial - 1 - axis if spatial == 2 else axis


for _spatial in (2, 3):
    declare_hosted(
        f"aten::fractional_max_pool{_spatial}d(Tensor self, int[{_spatial}] kernel_size, int[{_spatial}] output_size, "
        "Tensor random_samples) -> (Tensor, Tensor)",
        _infer_fractional(_spatial),
        _fractional(_spatial),
        refuses=unimplemented(f"fractional_max_pool{_spatial}d_out_frame", COMPLEXES, of="self", takes_empty=True),
    )
