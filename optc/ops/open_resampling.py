"""Places and weights of resampling where only running tells the extents: see `optc.ops.resampling`, whose arithmetic this
repeats as operators, in the same type and order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from optc.dataclass import dataclass
from optc.ir.dims import Dim
from optc.ir.dtypes import FLOAT32, FLOAT64, INT32, INT64, DType


@dataclass(frozen=True)
class OpenGrid:
    """One dimension of a call, of extents that the program finds, none of which is zero."""

    b: Any
    extent: Dim
    count: Dim
    align_corners: bool
    kind: DType

    def number(self, size: Dim) -> Any:
        """An extent as a tensor in the type of positions."""
        return self.b("aten::full", [], size, dtype=self.kind.code)

    def step(self) -> Any:
        return self.b("aten::div.Tensor", self.number(self.extent), self.number(self.count))

    def aligned_step(self) -> Any:
        """The step where the outermost places lie on each other; 0 for a single place, which is the first."""
        b, steps = self.b, self.number(self.count - 1)
        step = b("aten::div.Tensor", self.number(self.extent - 1), b("aten::clamp", steps, 1))
        return b("aten::mul.Tensor", step, b("aten::clamp", steps, None, 1))

    def numbers(self) -> Any:
        return self.b("aten::arange", self.count, dtype=self.kind.code)

    def centres(self) -> Any:
        """Where the middles of the output places lie in the input."""
        return self.b("aten::mul.Tensor", self.b("aten::add.Scalar", self.numbers(), 0.5), self.step())

    def positions(self) -> Any:
        if self.align_corners:
            return self.b("aten::mul.Tensor", self.numbers(), self.aligned_step())
        return self.b("aten::sub.Scalar", self.centres(), 0.5)

    def whole(self, positions: Any) -> Any:
        """Positions without what is behind the point, as places that are in the input."""
        return self.b("aten::clamp", self.b("aten::to.dtype", positions, INT64.code), 0, self.extent - 1)


@dataclass(frozen=True)
class OpenTaps:
    """Per tap, the input places of all output places, and their weights; `same` where all of them may be copies."""

    places: Sequence[Any]
    weights: Sequence[Any] = ()
    same: Any = None


@dataclass(frozen=True)
class OpenMatrix:
    """The weights of all input places for all output places, of shape (outputs, inputs)."""

    weights: Any

    def whole(self, b: Any) -> tuple[Any, Any]:
        """The weights as whole numbers of 16 bits, and how many of these are behind the point."""
        wide = b("aten::mul.Tensor", b("aten::amax", self.weights), b.value(2.0 ** np.arange(1, 23)))
        fits = b("aten::lt.Scalar", b("aten::add.Scalar", wide, 0.5), 1 << 15)
        precision = b("aten::sum", fits, dtype=INT32.code)
        scale = b("aten::exp2", b("aten::to.dtype", precision, FLOAT64.code))
        scaled = b("aten::mul.Tensor", self.weights, scale)
        half = b("aten::mul.Scalar", b("aten::sign", scaled), 0.5)
        return b("aten::to.dtype", b("aten::add.Tensor", scaled, half), INT32.code), precision


OpenRule = Callable[[OpenGrid], OpenTaps | OpenMatrix]


def _floor(grid: OpenGrid, positions: Any) -> OpenTaps:
    below = grid.b("aten::floor", grid.b("aten::to.dtype", positions, FLOAT32.code))
    return OpenTaps([grid.whole(below)])


def nearest(grid: OpenGrid) -> OpenTaps:
    return _floor(grid, grid.b("aten::mul.Tensor", grid.numbers(), grid.step()))


def nearest_exact(grid: OpenGrid) -> OpenTaps:
    return _floor(grid, grid.centres())


def linear(grid: OpenGrid) -> OpenTaps:
    b = grid.b
    positions = b("aten::clamp", grid.positions(), 0)
    left = grid.whole(positions)
    right = b("aten::clamp", b("aten::add.Scalar", left, 1), None, grid.extent - 1)
    share = b("aten::sub.Tensor", positions, b("aten::to.dtype", left, grid.kind.code))
    share = b("aten::clamp", share, 0, 1)
    same = b("aten::eq.Tensor", grid.number(grid.extent), grid.number(grid.count))
    return OpenTaps([left, right], [b("aten::rsub.Scalar", share, 1), share], same)


def cubic(grid: OpenGrid) -> OpenTaps:
    b = grid.b
    positions = grid.positions()
    first = b("aten::floor", positions)
    share = b("aten::to.dtype", b("aten::sub.Tensor", positions, first), FLOAT64.code)
    start = b("aten::to.dtype", first, INT64.code)
    places = [
        b("aten::clamp", b("aten::add.Scalar", start, offset), 0, grid.extent - 1) for offset in (-1, 0, 1, 2)
    ]  # fmt: skip
    return OpenTaps(places, [_cubic_weight(b, share, offset, -0.75) for offset in (-1, 0, 1, 2)])


def _cubic_weight(b: Any, share: Any, offset: int, sharpness: float) -> Any:
    """Keys' kernel at a distance of which is known on which side of 1 it lies: by the place's own offset."""
    x = b("aten::abs", b("aten::sub.Scalar", share, offset))
    return _cubic_near(b, x, sharpness) if offset in (0, 1) else _cubic_far(b, x, sharpness)


def _cubic_near(b: Any, x: Any, sharpness: float) -> Any:
    inner = b("aten::sub.Scalar", b("aten::mul.Scalar", x, sharpness + 2), sharpness + 3)
    return b("aten::add.Scalar", _times(b, inner, x, x), 1)


def _cubic_far(b: Any, x: Any, sharpness: float) -> Any:
    outer = b("aten::add.Scalar", _times(b, b("aten::sub.Scalar", x, 5), x), 8)
    scaled = b("aten::mul.Scalar", _times(b, outer, x), sharpness)
    return b("aten::sub.Scalar", scaled, 4 * sharpness)


def _linear_filter(b: Any, x: Any) -> Any:
    return b("aten::clamp", b("aten::rsub.Scalar", b("aten::abs", x), 1), 0)


def _cubic_filter(b: Any, x: Any) -> Any:
    distance = b("aten::abs", x)
    inner = _times(b, _fused(b, distance, 1.5, -2.5), distance)
    near = _fused(b, inner, distance, 1.0)
    far = _fused(b, _fused(b, _fused(b, distance, -0.5, 2.5), distance, -4.0), distance, 2.0)
    far = b("aten::where.ScalarOther", b("aten::lt.Scalar", distance, 2), far, 0.0)
    return b("aten::where.self", b("aten::lt.Scalar", distance, 1), near, far)


def _fused(b: Any, x: Any, factor: Any, term: float) -> Any:
    """`x * factor + term` rounded once, as PyTorch's compilers have it."""
    kind = b.type(x).dtype.numpy
    given = b.value(np.asarray(factor, kind)) if isinstance(factor, float) else factor
    return b("aten::addcmul", b.value(np.asarray(term, kind)), x, given)


def _antialiased(weight: Callable[[Any, Any], Any], width: int) -> OpenRule:
    """Every output place averages all inputs below a filter that grows as the image shrinks."""

    def matrix(grid: OpenGrid) -> OpenMatrix:
        b = grid.b
        step = grid.aligned_step() if grid.align_corners else grid.step()
        scale = b("aten::clamp", step, 1)
        support = b("aten::mul.Scalar", scale, width / 2)
        halves = b("aten::add.Scalar", replace(grid, kind=FLOAT64).numbers(), 0.5)
        centres = b("aten::mul.Tensor", halves, _wide(b, step))
        centres = b("aten::unsqueeze", b("aten::to.dtype", centres, grid.kind.code), 1)
        starts, ends = (
            b("aten::trunc", b("aten::add.Scalar", _wide(b, b(f"aten::{side}.Tensor", centres, support)), 0.5))
            for side in ("sub", "add")
        )
        places = b("aten::arange", grid.extent, dtype=grid.kind.code)
        distances = b("aten::add.Scalar", _wide(b, b("aten::sub.Tensor", places, centres)), 0.5)
        distances = b("aten::mul.Tensor", distances, _wide(b, b("aten::reciprocal", scale)))
        weights = weight(b, b("aten::to.dtype", distances, grid.kind.code))
        after, before = b("aten::ge.Tensor", places, starts), b("aten::lt.Tensor", places, ends)
        weights = b("aten::where.ScalarOther", b("aten::bitwise_and.Tensor", after, before), weights, 0.0)
        last = b("aten::full", [1], grid.extent - 1, dtype=INT64.code)
        totals = b("aten::index_select", b("prim::RunningSum", weights, 1), 1, last)  # added one after the other
        totals = b("aten::where.ScalarOther", b("aten::ne.Scalar", totals, 0), totals, 1.0)
        return OpenMatrix(b("aten::div.Tensor", weights, totals))

    return matrix


def _wide(b: Any, x: Any) -> Any:
    """In double precision, of which PyTorch's halves are."""
    return b("aten::to.dtype", x, FLOAT64.code)


linear_antialiased = _antialiased(_linear_filter, 2)
cubic_antialiased = _antialiased(_cubic_filter, 4)


def _times(b: Any, *factors: Any) -> Any:
    result = factors[0]
    for factor in factors[1:]:
        result = b("aten::mul.Tensor", result, factor)
    return result
