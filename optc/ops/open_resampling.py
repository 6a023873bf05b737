"""Places and weights of resampling where only running tells the extents: see `optc.ops.resampling`, whose arithmetic this
repeats as operators, in the same type and order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from optc.ir.dims import Dim
from optc.ir.dtypes import FLOAT32, FLOAT64, INT64, DType


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


OpenRule = Callable[[OpenGrid], OpenTaps]


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
    if offset in (0, 1):
        inner = b("aten::sub.Scalar", b("aten::mul.Scalar", x, sharpness + 2), sharpness + 3)
        return b("aten::add.Scalar", _times(b, inner, x, x), 1)
    outer = b("aten::add.Scalar", _times(b, b("aten::sub.Scalar", x, 5), x), 8)
    scaled = b("aten::mul.Scalar", _times(b, outer, x), sharpness)
    return b("aten::sub.Scalar", scaled, 4 * sharpness)


def _times(b: Any, *factors: Any) -> Any:
    result = factors[0]
    for factor in factors[1:]:
        result = b("aten::mul.Tensor", result, factor)
    return result
