"""Images of another size: `upsample_*` takes, per dimension, a few input places for every output place, weighted.

The places and weights are PyTorch's (aten/src/ATen/native/UpSample.h), computed in the same type as there, float32 unless
the images are of doubles: they decide which neighbour is taken where two are equally near. All forms are separable, so
one dimension is done after the other, the last one first. Weighted sums of bytes are PyTorch's and Pillow's: weights are
rounded to 16 bits, sums to bytes after every dimension.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from optc.dataclass import dataclass
from optc.ir.dtypes import FLOAT32, FLOAT64, INT32, UINT8, DType
from optc.ir.types import TensorType
from optc.ops.abstract import UndecidedShape, Unknown
from optc.ops.open_resampling import (
    OpenGrid,
    OpenMatrix,
    OpenRule,
    OpenTaps,
    cubic,
    cubic_antialiased,
    linear,
    linear_antialiased,
    nearest,
    nearest_exact,
)
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


@dataclass(frozen=True)
class Grid:
    """One dimension of a call: the extents in the input and in the output, whether corners are aligned, the scale that was
    given, and the type in which PyTorch computes places and weights.
    """

    extent: int
    count: int
    align_corners: bool
    scale: float | None
    kind: type[np.floating[Any]]

    def step(self) -> Any:
        """The distance in the input between neighbours in the output."""
        if self.scale is not None and self.scale > 0:
            return self.kind(1.0 / self.scale)
        return self.kind(self.extent) / self.kind(self.count)

    def numbers(self) -> Array:
        """The places in the output."""
        return np.arange(self.count, dtype=self.kind)

    def positions(self) -> Array:
        """Where the output places lie in the input."""
        half = self.kind(0.5)
        if not self.align_corners:
            return np.asarray((self.numbers() + half) * self.step() - half)
        return np.asarray(self.numbers() * self.step_between_corners())

    def step_between_corners(self) -> Any:
        """The distance where the corners of input and output lie on each other."""
        return self.kind(self.extent - 1) / self.kind(self.count - 1) if self.count > 1 else self.kind(0)


TapRule = Callable[[Grid], Taps]


def _floor(positions: Array, grid: Grid) -> Taps:
    """The places below; PyTorch rounds positions to float32 first."""
    places = np.floor(positions.astype(np.float32)).astype(np.int64)
    return Taps(np.minimum(places, grid.extent - 1)[:, None], None)


def _nearest(grid: Grid) -> Taps:
    return _floor(grid.numbers() * grid.step(), grid)


def _nearest_in_images(grid: Grid) -> Taps:
    """PyTorch ignores the scale for images of the same or twice the extent."""
    if grid.count in (grid.extent, 2 * grid.extent):
        return Taps((np.arange(grid.count) * grid.extent // grid.count)[:, None], None)
    return _nearest(grid)


def _nearest_exact(grid: Grid) -> Taps:
    return _floor((grid.numbers() + grid.kind(0.5)) * grid.step(), grid)


def _linear(grid: Grid) -> Taps:
    if grid.extent == grid.count:
        return Taps(np.arange(grid.count)[:, None], None)
    positions = np.maximum(grid.positions(), grid.kind(0))
    left = np.minimum(positions.astype(np.int64), grid.extent - 1)
    right = left + (left < grid.extent - 1)
    share = np.clip(positions - left.astype(grid.kind), 0, 1)
    return Taps(np.stack([left, right], 1), np.stack([1 - share, share], 1))


def _cubic_weight(distance: Array, sharpness: float) -> Array:
    """Keys' cubic convolution kernel, in the type of the distances."""
    x, given = np.abs(distance), distance.dtype.type(sharpness)
    near = _fused(_fused(x, given + 2, -(given + 3)) * x, x, 1)
    far = _fused(_fused(_fused(x, given, -5 * given), x, 8 * given), x, -4 * given)
    return np.where(x < 1, near, np.where(x < 2, far, x.dtype.type(0)))


def _fused(x: Array, factor: Any, term: Any) -> Array:
    """`x * factor + term` rounded once where they are float32, as PyTorch's compilers have it."""
    if x.dtype != np.float32:
        return np.asarray(x * factor + term)
    return np.asarray(x.astype(np.float64) * factor + term, np.float32)


def _cubic(grid: Grid) -> Taps:
    positions = grid.positions()
    first = np.floor(positions)
    share = (positions - first).astype(np.float64)
    offsets = np.arange(-1, 3)
    places = np.clip(first.astype(np.int64)[:, None] + offsets, 0, grid.extent - 1)
    return Taps(places, _cubic_weight(share[:, None] - offsets, -0.75))


def _antialiased(weight: Callable[[Array], Array], width: int) -> TapRule:
    """Every output place averages all inputs below a filter that grows as the image shrinks."""

    def taps(grid: Grid) -> Taps:
        extent, kind = grid.extent, grid.kind
        step = grid.step_between_corners() if grid.align_corners else grid.step()
        support = kind(width / 2) * max(step, kind(1))
        centres = (float(step) * (np.arange(grid.count) + 0.5)).astype(kind)
        starts = np.maximum(((centres - support) + np.float64(0.5)).astype(np.int64), 0)
        ends = np.minimum(((centres + support) + np.float64(0.5)).astype(np.int64), extent)
        most = int(np.max(ends - starts, initial=1))
        places = starts[:, None] + np.arange(most)
        distances = (places.astype(kind) - centres[:, None]).astype(np.float64) + 0.5
        weights = weight((distances * kind(1 / float(max(step, kind(1))))).astype(kind))
        weights = np.where(places < ends[:, None], weights, kind(0))
        totals = np.add.accumulate(weights, 1)[:, -1:]  # one after the other, as PyTorch adds them
        return Taps(np.minimum(places, extent - 1), weights / np.where(totals == 0, kind(1), totals))

    return taps


def _lanczos_weight(x: Array) -> Array:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


_linear_antialiased = _antialiased(lambda x: np.maximum(1 - np.abs(x), 0.0), 2)
_cubic_antialiased = _antialiased(lambda x: _cubic_weight(x, -0.5), 4)
_lanczos_antialiased = _antialiased(_lanczos_weight, 6)
_WEIGHTED = (_linear, _cubic, _linear_antialiased, _cubic_antialiased, _lanczos_antialiased)
"""The rules whose taps have weights."""


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


def _check_type(dtype: DType, rule: TapRule, spatial: int) -> None:
    """Images have fractions, or are of bytes where PyTorch has a kernel for these."""
    antialiased = rule in (_linear_antialiased, _cubic_antialiased, _lanczos_antialiased)
    takes_bytes = rule is not _linear or spatial == 2
    takes_halves = dtype.itemsize != 2 or not antialiased
    if dtype.kind == "float" and takes_halves or dtype is UINT8 and takes_bytes:
        return
    kernel = "upsample_nearest2d_channels_last" if spatial == 2 else "compute_indices_weights_nearest"
    if antialiased:
        kernel = "compute_index_ranges_weights"
    elif rule is _cubic:
        kernel = "compute_indices_weights_cubic"
    elif rule is _linear:
        kernel = "upsample_bilinear2d_channels_last" if spatial == 2 else "compute_indices_weights_linear"
    raise NotImplementedError(f"\"{kernel}\" not implemented for '{dtype.label}'")


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


def _taps_of(rule: TapRule, how: Resampling, shape: Sequence[Any], dtype: DType) -> list[tuple[int, Taps]]:
    """The axes and their taps, in the order in which they are done."""
    kind = np.float32 if dtype.itemsize < 8 and not (dtype is UINT8 and rule in _WEIGHTED) else np.float64
    found = [
        (place + 2, rule(Grid(shape[place + 2], count, how.align_corners, scale, kind)))
        for place, (count, scale) in enumerate(zip(how.extents, how.scales))
    ]
    return found[::-1]


def _whole(taps: Taps) -> tuple[Taps, int]:
    """Taps with weights that are whole numbers of 16 bits, and how many of these are behind the point. A place that
    stands several times in a row, at the edges, has its whole weight the first time.
    """
    assert taps.weights is not None
    weights = taps.weights.astype(np.float64)
    for tap in range(1, weights.shape[1]):
        for earlier in range(tap):
            again = taps.places[:, tap] == taps.places[:, earlier]
            weights[again, earlier] += weights[again, tap]
            weights[again, tap] = 0
    most = float(np.max(weights, initial=0.0))
    precision = next((bits for bits in range(22) if int(0.5 + most * (1 << (bits + 1))) >= 1 << 15), 22)
    rounded = np.trunc(weights * (1 << precision) + np.copysign(0.5, weights))
    return Taps(taps.places, rounded.astype(np.int32)), precision


def _resampled(x: Array, rule: TapRule, how: Resampling) -> Array:
    dtype = operand_type(x)
    result = x.astype(np.int64 if dtype is UINT8 else np.float64)
    for axis, taps in _taps_of(rule, how, x.shape, dtype):
        if taps.weights is None:
            result = np.take(result, taps.places[:, 0], axis)
        elif dtype is UINT8:
            whole, precision = _whole(taps)
            matrix = whole.matrix(x.shape[axis]).astype(np.int64)
            total: Any = np.moveaxis(np.moveaxis(result, axis, -1) @ matrix.T, -1, axis)
            result = np.clip((total + (1 << precision >> 1)) >> precision, 0, 255)
        elif taps.places.shape[1] <= _FEW:
            result = _sum(result, axis, taps, compute_type(dtype).numpy)
        else:
            moved = np.moveaxis(result, axis, -1) @ taps.matrix(x.shape[axis]).T
            result = np.moveaxis(moved, -1, axis)
    return np.ascontiguousarray(result).astype(x.dtype)


def _sum(x: Array, axis: int, taps: Taps, rounded: Any) -> Array:
    """The sum along an axis of the elements at the taps, times their weights: infinity elsewhere does not matter.

    Every step is `rounded` to a type once, so that what is half-way between two bytes becomes the one that it is there.
    """
    assert taps.weights is not None
    columns = (-1, *[1] * (x.ndim - axis - 1))
    pairs = zip(taps.places.T, taps.weights.T)
    total: Any = None
    with np.errstate(invalid="ignore"):
        for places, weights in pairs:
            part = np.take(x, places, axis) * weights.reshape(columns).astype(x.dtype)
            total = part if total is None else total + part
            total = total.astype(rounded).astype(x.dtype)
    return np.asarray(total)


def _build(b: Any, x: Any, rule: TapRule, how: Resampling, dtype: DType) -> Any:
    """The resampled image; `x` is of the type to compute in, `dtype` the type of the image."""
    shape = b.shape(x)
    if not all(isinstance(extent, int) for extent in (*shape[2:], *how.extents)):
        return _build_open(b, x, rule, how, dtype)
    for axis, taps in _taps_of(rule, how, shape, dtype):
        if taps.weights is None:
            x = b("aten::index_select", x, axis, b.value(np.ascontiguousarray(taps.places[:, 0])))
        elif dtype is UINT8:
            whole, precision = _whole(taps)
            total = _build_sum(b, x, axis, whole)
            rounded = b("aten::add.Scalar", total, 1 << precision >> 1)
            x = b("aten::clamp", b("aten::__rshift__.Scalar", rounded, precision), 0, 255)
        else:
            x = _build_sum(b, x, axis, taps)
    return x


def _build_sum(b: Any, x: Any, axis: int, taps: Taps) -> Any:
    """The sum along an axis of the elements at the taps, times their weights."""
    shape, dtype = b.shape(x), b.type(x).dtype
    assert taps.weights is not None
    if taps.places.shape[1] > _FEW:
        matrix = b.value(np.ascontiguousarray(taps.matrix(shape[axis]).T.astype(dtype.numpy)))
        return b("aten::transpose.int", b("aten::matmul", b("aten::transpose.int", x, axis, -1), matrix), axis, -1)
    total: Any = None
    column = [-1, *[1] * (len(shape) - axis - 1)]
    for tap in range(taps.places.shape[1]):
        taken = b("aten::index_select", x, axis, b.value(np.ascontiguousarray(taps.places[:, tap])))
        weights = b.value(taps.weights[:, tap].astype(dtype.numpy).reshape(column))
        total = _plus_weighted(b, total, taken, weights)
    return total


def _plus_weighted(b: Any, total: Any, taken: Any, weights: Any) -> Any:
    """What a tap adds to a sum, rounded once."""
    if total is None:
        return b("aten::mul.Tensor", taken, weights)
    return b("aten::addcmul", total, taken, weights)


def _build_open(b: Any, x: Any, rule: TapRule, how: Resampling, dtype: DType) -> Any:
    """The same where only running tells the extents."""
    taps_of = _OPEN.get(rule)
    if taps_of is None or how.scales.count(None) < len(how.scales):
        raise UndecidedShape("resampling needs the extents before the program runs")
    if dtype is UINT8 and rule in (_linear, _cubic):
        raise UndecidedShape("resampling needs the extents before the program runs")
    kind = FLOAT32 if dtype.itemsize < 8 and not (dtype is UINT8 and rule in _WEIGHTED) else FLOAT64
    shape = b.shape(x)
    counts = [b.abstract(count) for count in how.extents]
    for extent in (*shape[2:], *counts):
        if not isinstance(extent, int):
            b.require(b("aten::gt.int", extent, 0), "Input and output sizes should be greater than 0")
    for axis, count in reversed(list(enumerate(counts, 2))):
        taps = taps_of(OpenGrid(b, shape[axis], count, how.align_corners, kind))
        if isinstance(taps, OpenTaps):
            x = _build_open_sum(b, x, axis, taps)
        elif dtype is UINT8:
            x = _build_open_bytes(b, x, axis, taps)
        else:
            x = _times_matrix(b, x, axis, b("aten::to.dtype", taps.weights, b.type(x).dtype.code))
    return x


def _times_matrix(b: Any, x: Any, axis: int, weights: Any) -> Any:
    """An image whose rows (axis 3) or columns (axis 2) are multiplied by weights of shape (outputs, inputs)."""
    if axis == 2:
        return b("aten::matmul", weights, x)
    return b("aten::matmul", x, b("aten::transpose.int", weights, 0, 1))


def _build_open_bytes(b: Any, x: Any, axis: int, taps: OpenMatrix) -> Any:
    weights, precision = taps.whole(b)
    half = b("aten::__rshift__.Scalar", b("aten::__lshift__.Tensor", b("aten::ones_like", precision), precision), 1)
    rounded = b("aten::add.Tensor", _times_matrix(b, x, axis, weights), half)
    return b("aten::clamp", b("aten::__rshift__.Tensor", rounded, precision), 0, 255)


def _build_open_sum(b: Any, x: Any, axis: int, taps: OpenTaps) -> Any:
    taken = [b("aten::index_select", x, axis, places) for places in taps.places]
    if not taps.weights:
        return taken[0]
    column, dtype = [-1, *[1] * (len(b.shape(x)) - axis - 1)], b.type(x).dtype
    total: Any = None
    for part, weights in zip(taken, taps.weights):
        total = _plus_weighted(b, total, part, b("aten::view", b("aten::to.dtype", weights, dtype.code), column))
    return total if taps.same is None else b("aten::where.self", taps.same, taken[0], total)


_OPEN: dict[TapRule, OpenRule] = {
    _nearest: nearest, _nearest_in_images: nearest, _nearest_exact: nearest_exact, _linear: linear, _cubic: cubic,
    _linear_antialiased: linear_antialiased, _cubic_antialiased: cubic_antialiased,
}  # fmt: skip
"""The rules that are written out where only running tells the extents."""


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
    _declare_overload(f"aten::{name}({sized}) -> Tensor", rule, with_sizes)
    _declare_overload(f"aten::{name}.vec({scaled}) -> Tensor", rule, with_scales, asked_first=spatial > 1)


def _declare_overload(
    schema: str, rule: TapRule, read: Callable[..., Resampling], *, asked_first: bool = False
) -> None:
    def infer(x: TensorType, *arguments: Any) -> TensorType:
        shape, how = known_shape(x), read(known_shape(x), *arguments)
        _check_type(operand_type(x), rule, len(how.extents))
        return TensorType(operand_type(x), (*shape[:2], *how.extents))

    def reference(x: Array, *arguments: Any) -> Array:
        how = read(x.shape, *arguments)
        _check_type(operand_type(x), rule, len(how.extents))
        return _resampled(x, rule, how)

    def decompose(b: Any, x: Any, *arguments: Any) -> Any:
        how, dtype = read(b.shape(x), *arguments), b.type(x).dtype
        work = INT32 if dtype is UINT8 and rule in _WEIGHTED else compute_type(dtype)
        return narrowed(b, _build(b, narrowed(b, x, work), rule, how, dtype), dtype)

    define(schema, infer=infer, reference=reference, decompose=decompose, asked_first=asked_first)


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
