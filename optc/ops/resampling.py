"""Images of another size: `upsample_*` takes, per dimension, a few input places for every output place, weighted.

The places and weights are PyTorch's (aten/src/ATen/native/UpSample.h), computed in float32 as there: they decide which
neighbour is taken where two are equally near. All forms are separable, so one dimension is done after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from optc.ir.types import TensorType
from optc.ops.abstract import UndecidedShape, Unknown
from optc.ops.promotion import compute_type, operand_type
from optc.ops.reduction import narrowed
from optc.ops.registry import define
from optc.ops.shapes import Shape, known_shape

Array = np.ndarray[Any, Any]

_FEW = 4
"""With so many taps or fewer, places are gathered one after the other; with more, a matrix is multiplied."""


@dataclass(frozen=True)
class Taps:
    """For every output place the input places it is made of, and their weights; both of shape (outputs, taps)."""

    places: Array
    weights: Array | None

    def matrix(self, extent: int) -> Array:
        """The weights as a matrix of shape (outputs, inputs)."""
        found = np.zeros((len(self.places), extent))
        weights = np.ones(self.places.shape) if self.weights is None else self.weights
        for tap in range(self.places.shape[1]):
            np.add.at(found, (np.arange(len(found)), self.places[:, tap]), weights[:, tap])
        return found


TapRule = Callable[[int, int, bool, float | None], Taps]
"""The taps for (input extent, output extent, whether corners are aligned, the scale that was given)."""


def _step(extent: int, count: int, scale: float | None) -> np.float32:
    """The distance in the input between neighbours in the output."""
    if scale is not None and scale > 0:
        return np.float32(1.0 / scale)
    return np.float32(extent) / np.float32(count)


def _nearest(extent: int, count: int, align_corners: bool, scale: float | None) -> Taps:
    places = np.floor(np.arange(count, dtype=np.float32) * _step(extent, count, scale)).astype(np.int64)
    return Taps(np.minimum(places, extent - 1)[:, None], None)


def _nearest_in_images(extent: int, count: int, align_corners: bool, scale: float | None) -> Taps:
    """PyTorch ignores the scale for images of the same or twice the extent."""
    if count in (extent, 2 * extent):
        return Taps((np.arange(count) * extent // count)[:, None], None)
    return _nearest(extent, count, align_corners, scale)


def _nearest_exact(extent: int, count: int, align_corners: bool, scale: float | None) -> Taps:
    centres = (np.arange(count, dtype=np.float32) + np.float32(0.5)) * _step(extent, count, scale)
    return Taps(np.minimum(np.floor(centres).astype(np.int64), extent - 1)[:, None], None)


def _positions(extent: int, count: int, align_corners: bool, scale: float | None) -> Array:
    """Where the output places lie in the input."""
    numbers = np.arange(count, dtype=np.float32)
    if align_corners:
        step = np.float32(extent - 1) / np.float32(count - 1) if count > 1 else np.float32(0)
        return np.asarray(numbers * step)
    return np.asarray((numbers + np.float32(0.5)) * _step(extent, count, scale) - np.float32(0.5))


def _linear(extent: int, count: int, align_corners: bool, scale: float | None) -> Taps:
    if extent == count:
        return Taps(np.arange(count)[:, None], None)
    positions = np.maximum(_positions(extent, count, align_corners, scale), np.float32(0))
    left = np.minimum(positions.astype(np.int64), extent - 1)
    right = left + (left < extent - 1)
    share = np.clip(positions - left.astype(np.float32), 0, 1)
    return Taps(np.stack([left, right], 1), np.stack([1 - share, share], 1))


def _cubic_weight(distance: Array, sharpness: float) -> Array:
    """Keys' cubic convolution kernel."""
    x = np.abs(distance)
    near = ((sharpness + 2) * x - (sharpness + 3)) * x * x + 1
    far = ((x - 5) * x + 8) * x * sharpness - 4 * sharpness
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def _cubic(extent: int, count: int, align_corners: bool, scale: float | None) -> Taps:
    positions = _positions(extent, count, align_corners, scale)
    first = np.floor(positions)
    share = (positions - first).astype(np.float64)
    offsets = np.arange(-1, 3)
    places = np.clip(first.astype(np.int64)[:, None] + offsets, 0, extent - 1)
    return Taps(places, _cubic_weight(share[:, None] - offsets, -0.75))


def _antialiased(weight: Callable[[Array], Array], width: int) -> TapRule:
    """Every output place averages all inputs below a filter that grows as the image shrinks."""

    def taps(extent: int, count: int, align_corners: bool, scale: float | None) -> Taps:
        if align_corners:
            step = (extent - 1) / (count - 1) if count > 1 else 0.0
        else:
            step = float(_step(extent, count, scale))
        support = width / 2 * max(step, 1.0)
        centres = step * (np.arange(count) + 0.5)
        starts = np.maximum((centres - support + 0.5).astype(np.int64), 0)
        ends = np.minimum((centres + support + 0.5).astype(np.int64), extent)
        most = int(np.max(ends - starts, initial=1))
        places = starts[:, None] + np.arange(most)
        weights = weight((places - centres[:, None] + 0.5) / max(step, 1.0))
        weights = np.where(places < ends[:, None], weights, 0.0)
        totals = weights.sum(1, keepdims=True)
        return Taps(np.minimum(places, extent - 1), weights / np.where(totals == 0, 1, totals))

    return taps


def _lanczos_weight(x: Array) -> Array:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


_linear_antialiased = _antialiased(lambda x: np.maximum(1 - np.abs(x), 0.0), 2)
_cubic_antialiased = _antialiased(lambda x: _cubic_weight(x, -0.5), 4)
_lanczos_antialiased = _antialiased(_lanczos_weight, 6)


# One dimension after the other ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Resampling:
    """What a call asks for: one output extent and scale per spatial dimension."""

    extents: tuple[Any, ...]
    scales: tuple[float | None, ...]
    align_corners: bool


def _check(name: str, shape: Shape, spatial: int, how: Resampling) -> None:
    if any(isinstance(number, Unknown) for number in (*how.extents, *how.scales, how.align_corners)):
        raise UndecidedShape("the size of the result is needed before the program runs")
    if len(shape) != spatial + 2:
        raise RuntimeError(f"It is expected input_size equals to {spatial + 2}, but got size {len(shape)}")
    if len(how.extents) != spatial:
        raise RuntimeError(f"It is expected output_size equals to {spatial}, but got size {len(how.extents)}")
    if any(isinstance(extent, int) and extent <= 0 for extent in (*shape[2:], *how.extents)):
        sizes = f"input ({', '.join(map(str, shape[2:]))}) output ({', '.join(map(str, how.extents))})"
        raise RuntimeError(f"Input and output sizes should be greater than 0, but got {sizes}")


def _scaled(shape: Shape, spatial: int, sizes: Any, scales: Any) -> tuple[tuple[Any, ...], tuple[float | None, ...]]:
    """Extents and scales of the `.vec` overloads, where exactly one of the two is given."""
    if (sizes is None) == (scales is None):
        raise RuntimeError("Must specify exactly one of output_size and scale_factors")
    if isinstance(sizes, Unknown):
        raise UndecidedShape("the size of the result is needed before the program runs")
    if sizes is not None:
        return tuple(sizes), (None,) * spatial
    known = shape[len(shape) - spatial :]
    if isinstance(scales, Unknown) or any(isinstance(scale, Unknown) for scale in scales):
        raise UndecidedShape("a scale factor is needed before the program runs")
    if not all(isinstance(extent, int) for extent in known):
        raise UndecidedShape("scaling needs the extents before the program runs")
    return tuple(int(extent * scale) for extent, scale in zip(known, scales)), tuple(map(float, scales))


def _resampled(x: Array, rule: TapRule, how: Resampling) -> Array:
    result = x.astype(np.float64)
    for place, (count, scale) in enumerate(zip(how.extents, how.scales)):
        axis = place + 2
        taps = rule(x.shape[axis], count, how.align_corners, scale)
        if taps.weights is None:
            result = np.take(result, taps.places[:, 0], axis)
        else:
            moved = np.moveaxis(result, axis, -1) @ taps.matrix(x.shape[axis]).T
            result = np.moveaxis(moved, -1, axis)
    if x.dtype.kind in "iu":
        result = np.clip(np.round(result), np.iinfo(x.dtype).min, np.iinfo(x.dtype).max)
    return np.ascontiguousarray(result).astype(x.dtype)


def _build(b: Any, x: Any, rule: TapRule, how: Resampling) -> Any:
    shape = b.shape(x)
    if not all(isinstance(extent, int) for extent in (*shape[2:], *how.extents)):
        raise UndecidedShape("resampling needs the extents before the program runs")
    for place, (count, scale) in enumerate(zip(how.extents, how.scales)):
        taps = rule(shape[place + 2], count, how.align_corners, scale)
        x = _build_axis(b, x, place + 2, taps)
    return x


def _build_axis(b: Any, x: Any, axis: int, taps: Taps) -> Any:
    shape, dtype = b.shape(x), b.type(x).dtype
    if taps.weights is None:
        return b("aten::index_select", x, axis, b.value(np.ascontiguousarray(taps.places[:, 0])))
    if taps.places.shape[1] > _FEW:
        matrix = b.value(np.ascontiguousarray(taps.matrix(shape[axis]).T.astype(dtype.numpy)))
        return b("aten::transpose.int", b("aten::matmul", b("aten::transpose.int", x, axis, -1), matrix), axis, -1)
    total: Any = None
    column = [-1, *[1] * (len(shape) - axis - 1)]
    for tap in range(taps.places.shape[1]):
        taken = b("aten::index_select", x, axis, b.value(np.ascontiguousarray(taps.places[:, tap])))
        weights = b.value(taps.weights[:, tap].astype(dtype.numpy).reshape(column))
        part = b("aten::mul.Tensor", taken, weights)
        total = part if total is None else b("aten::add.Tensor", total, part)
    return total


# Declarations --------------------------------------------------------------------------------------------------------


def _declare(name: str, spatial: int, rule: TapRule, has_corners: bool) -> None:
    corners = "bool align_corners, " if has_corners else ""
    letters = [""] if spatial == 1 else [f"_{letter}" for letter in "dhw"[3 - spatial :]]
    scales = ", ".join(f"float? scales{letter}=None" for letter in letters)

    def with_sizes(shape: Shape, sizes: Sequence[Any], *rest: Any) -> Resampling:
        align_corners, given = (rest[0], rest[1:]) if has_corners else (False, rest)
        if isinstance(sizes, Unknown):
            raise UndecidedShape("the size of the result is needed before the program runs")
        how = Resampling(tuple(sizes), tuple(given), align_corners)
        _check(name, shape, spatial, how)
        return how

    def with_scales(shape: Shape, sizes: Any, *rest: Any) -> Resampling:
        align_corners, given = (rest[0], rest[1]) if has_corners else (False, rest[0])
        extents, factors = _scaled(shape, spatial, sizes, given)
        how = Resampling(extents, factors, align_corners)
        _check(name, shape, spatial, how)
        return how

    sized = f"Tensor self, SymInt[{spatial}] output_size, {corners}{scales}"
    scaled = f"Tensor input, SymInt[]? output_size, {corners}float[]? scale_factors"
    forms = [("", sized, with_sizes), (".vec", scaled, with_scales)]
    for overload, arguments, read in forms if spatial == 1 else reversed(forms):  # the order of overload resolution
        _declare_overload(f"aten::{name}{overload}({arguments}) -> Tensor", rule, read)


def _declare_overload(schema: str, rule: TapRule, read: Callable[..., Resampling]) -> None:
    def infer(x: TensorType, *arguments: Any) -> TensorType:
        shape = known_shape(x)
        return TensorType(operand_type(x), (*shape[:2], *read(shape, *arguments).extents))

    def reference(x: Array, *arguments: Any) -> Array:
        return _resampled(x, rule, read(x.shape, *arguments))

    def decompose(b: Any, x: Any, *arguments: Any) -> Any:
        how, dtype = read(b.shape(x), *arguments), b.type(x).dtype
        if dtype.kind != "float":
            return narrowed(b, b("aten::round", _build(b, b("aten::to.dtype", x, 7), rule, how)), dtype)
        return narrowed(b, _build(b, narrowed(b, x, compute_type(dtype)), rule, how), dtype)

    define(schema, infer=infer, reference=reference, decompose=decompose)


for _spatial in (1, 2, 3):
    _declare(f"upsample_nearest{_spatial}d", _spatial, _nearest_in_images if _spatial == 2 else _nearest, False)
    _declare(f"_upsample_nearest_exact{_spatial}d", _spatial, _nearest_exact, False)
_declare("upsample_linear1d", 1, _linear, True)
_declare("upsample_bilinear2d", 2, _linear, True)
_declare("upsample_trilinear3d", 3, _linear, True)
_declare("upsample_bicubic2d", 2, _cubic, True)
_declare("_upsample_bilinear2d_aa", 2, _linear_antialiased, True)
_declare("_upsample_bicubic2d_aa", 2, _cubic_antialiased, True)
_declare("_upsample_lanczos2d_aa", 2, _lanczos_antialiased, True)
