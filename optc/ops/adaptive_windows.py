"""Adaptive pooling of extents that only running tells: windows are places that the program works out.

Window i of c over n elements goes from i * n // c up to, not including, (i + 1) * n / c rounded up.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.ir.dims import Dim, add, floordiv, multiply


class Windows:
    """The windows over one axis: `places` says what is in them, [count, most], what is behind an end being the last."""

    def __init__(self, b: Any, extent: Dim, count: int) -> None:
        numbers = np.arange(count)
        self.count, self.most = count, add(floordiv(extent, count), 2)
        starts = _divided(b, b("aten::mul.Scalar", b.value(numbers), extent), count)
        reached = b("aten::add.Scalar", b("aten::mul.Scalar", b.value(numbers + 1), extent), count - 1)
        self.starts = b("aten::unsqueeze", starts, 1)
        self.ends = b("aten::unsqueeze", _divided(b, reached, count), 1)
        self.steps = b("aten::add.Tensor", self.starts, b("aten::arange", self.most))
        last = b("aten::sub.Scalar", self.ends, 1)
        self.places = b("aten::minimum", self.steps, last)

    def apart(self, b: Any, x: Any, axis: int) -> Any:
        """What is in the windows of an axis, along two axes in its place."""
        shape = b.shape(x)
        taken = b("aten::index_select", x, axis, b("aten::reshape", self.places, [-1]))
        return b("aten::reshape", taken, [*shape[:axis], self.count, self.most, *shape[axis + 1 :]])

    def along(self, b: Any, x: Any, axis: int, rank: int) -> Any:
        """A matrix of windows as it goes with what `apart` gives for a tensor of a rank."""
        return b("aten::reshape", x, [*b.shape(x), *[1] * (rank - axis - 1)])


def _divided(b: Any, x: Any, count: int) -> Any:
    return b("aten::div.Scalar_mode", x, count, "floor")


def build_averages(b: Any, x: Any, axis: int, extent: Dim, count: int) -> Any:
    """The means of all windows of an axis."""
    windows, rank, dtype = Windows(b, extent, count), len(b.shape(x)), b.type(x).dtype
    inside = windows.along(b, b("aten::lt.Tensor", windows.steps, windows.ends), axis, rank)
    kept = b("aten::where.ScalarOther", inside, windows.apart(b, x, axis), 0.0)
    length = b("aten::sub.Tensor", windows.ends, windows.starts)
    length = b("aten::to.dtype", windows.along(b, length, axis, rank), dtype.code)
    return b("aten::div.Tensor", b("aten::sum.dim_IntList", kept, [axis + 1]), b("aten::squeeze.dim", length, 1))


def build_maxima(b: Any, x: Any, extents: tuple[Dim, ...], counts: tuple[int, ...]) -> tuple[Any, Any]:
    """The largest of all windows, and their places in the flattened image: the last axis first, so that of equal ones the
    first in the image is found.
    """
    rank, places = len(b.shape(x)), None
    apart: Dim = 1
    for axis in reversed(range(rank - len(counts), rank)):
        extent, count = extents[axis - rank], counts[axis - rank]
        windows = Windows(b, extent, count)
        x, chosen = b("aten::max.dim", windows.apart(b, x, axis), axis + 1, True)
        place = b("aten::add.Tensor", windows.along(b, windows.starts, axis, rank), chosen)
        place = b("aten::minimum", place, windows.along(b, b("aten::sub.Scalar", windows.ends, 1), axis, rank))
        place = b("aten::mul.Scalar", place, apart)
        if places is not None:
            place = b("aten::add.Tensor", place, b("aten::gather", windows.apart(b, places, axis), axis + 1, chosen))
        x, places = b("aten::squeeze.dim", x, axis + 1), b("aten::squeeze.dim", place, axis + 1)
        apart = multiply(apart, extent)
    return x, places
