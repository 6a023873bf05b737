"""Histograms with their edges, of numbers and of points: how many lie in each bin, or what their weights sum to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from optc.ir.dims import product
from optc.ir.dtypes import FLOAT32, FLOAT64, INT64
from optc.ops.abstract import UndecidedShape, same_dim
from optc.ops.composite import declare_composite
from optc.ops.promotion import operand_type
from optc.ops.shapes import format_shape

NAME = "torch.histogramdd"


# Edges ---------------------------------------------------------------------------------------------------------------


def _even_edges(b: Any, points: Any, bins: Sequence[int], bounds: Sequence[float] | None) -> list[Any]:
    """The edges of bins that are equally wide, within `bounds` or else where the points lie, a list of each dimension's."""
    count = b.shape(points)[1]
    if len(bins) != count:
        raise RuntimeError("histogramdd: The size of bins must be equal to the innermost dimension of the input.")
    for place, number in enumerate(bins):
        if number <= 0:
            raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {number} for dimension {place}")
    if bounds is not None and len(bounds) != 2 * count:
        raise RuntimeError(
            f"{NAME}: for a {count}-dimensional histogram range should have {2 * count} elements, but got {len(bounds)}"
        )
    return [_edges(b, *_ends(b, points, place, bounds), number) for place, number in enumerate(bins)]


def _ends(b: Any, points: Any, place: int, bounds: Sequence[float] | None) -> tuple[Any, Any]:
    """Where the first bin of a dimension begins, and where the last one ends."""
    code = b.type(points).dtype.code
    if bounds is not None:
        low, high = bounds[2 * place : 2 * place + 2]
        if low > high:
            raise RuntimeError(
                f"{NAME}: min should not exceed max, but got min {low:g} max {high:g} for dimension {place}"
            )
        ends = [b("aten::full", [], float(end), dtype=code) for end in (low, high)]
    else:
        ends = _outermost(b, b("aten::select.int", points, 1, place))
    width = b("aten::sub.Tensor", ends[1], ends[0])
    shown = f"[{ends[0]:g}, {ends[1]:g}] " if isinstance(ends[0], np.ndarray) else ""
    b.require(b("aten::isfinite", width), f"{NAME}: dimension {place}'s range {shown}is not finite")
    alone = b("aten::mul.Scalar", b("aten::to.dtype", b("aten::eq.Scalar", width, 0), code), 0.5)
    return b("aten::sub.Tensor", ends[0], alone), b("aten::add.Tensor", ends[1], alone)


def _outermost(b: Any, column: Any) -> list[Any]:
    """The smallest and the largest of numbers; 0 and 1 where there are none."""
    extent, code = b.shape(column)[0], b.type(column).dtype.code
    if isinstance(extent, int) and extent > 0:
        return [b(f"aten::{name}", column, [0]) for name in ("amin", "amax")]
    low, high = (
        b(f"aten::{name}", b("aten::cat", [column, b("aten::full", [1], neutral, dtype=code)]), [0])
        for name, neutral in (("amin", float("inf")), ("amax", float("-inf")))
    )
    is_empty = b("aten::gt.Tensor", low, high)
    return [b("aten::where.ScalarSelf", is_empty, float(end), found) for end, found in ((0, low), (1, high))]


def _edges(b: Any, low: Any, high: Any, bins: int) -> Any:
    """Numbers at equal distances, the lower half counted from the low end, the upper one from the high end."""
    code = b.type(low).dtype.code
    step = b("aten::div.Scalar", b("aten::sub.Tensor", high, low), bins)
    places = b("aten::arange", bins + 1, dtype=code)
    upwards = b("aten::add.Tensor", b("aten::mul.Tensor", places, step), low)
    rest = b("aten::rsub.Scalar", places, bins)
    downwards = b("aten::sub.Tensor", high, b("aten::mul.Tensor", rest, step))
    return b("aten::where.self", b("aten::lt.Scalar", places, (bins + 1) // 2), upwards, downwards)


def _check_edges(b: Any, points: Any, edges: Sequence[Any]) -> None:
    count, own = b.shape(points)[1], operand_type(b.type(points))
    if len(edges) != count:
        raise RuntimeError(
            f"{NAME}: expected {count} sequences of bin edges for a {count}-dimensional histogram but got {len(edges)}"
        )
    for place, line in enumerate(edges):
        shape, dtype = b.shape(line), operand_type(b.type(line))
        if dtype is not own:
            raise RuntimeError(
                f"{NAME}: input tensor and bins tensors should have the same dtype, but got input with dtype "
                f"{own.label.lower()} and bins for dimension {place} with dtype {dtype.label.lower()}"
            )
        if len(shape) != 1:
            raise RuntimeError(
                f"{NAME}: bins tensor should have one dimension, but got {len(shape)} dimensions in the bins tensor "
                f"for dimension {place}"
            )
        if shape[0] == 0:
            raise RuntimeError(
                f"{NAME}: bins tensor should have at least 1 element, but got 0 elements in the bins tensor "
                f"for dimension {place}"
            )
        if shape[0] == 1:
            raise RuntimeError(f"torch.histogram(): bins must be > 0, but got 0 for dimension {place}")


# Counts --------------------------------------------------------------------------------------------------------------


def _points(b: Any, x: Any, weight: Any) -> tuple[Any, Any]:
    """The points as rows, and their weights as one row."""
    shape, dtype = b.shape(x), operand_type(b.type(x))
    if len(shape) < 2:
        raise RuntimeError(f"{NAME}: input tensor should have at least 2 dimensions")
    if dtype not in (FLOAT32, FLOAT64):
        raise NotImplementedError(f"\"histogramdd\" not implemented for '{dtype.label}'")
    if not isinstance(shape[-1], int):
        raise UndecidedShape("how many dimensions the points have is needed before the program runs")
    count = product(shape[:-1])
    rows = b("aten::reshape", x, [count, shape[-1]])
    if weight is None:
        return rows, b("aten::full", [count], 1.0, dtype=dtype.code)
    own, weighted = b.shape(weight), operand_type(b.type(weight))
    if weighted is not dtype:
        raise RuntimeError(
            f"{NAME}: if weight tensor is provided, input tensor and weight tensor should have the same dtype, "
            f"but got input({dtype.label.lower()}), and weight({weighted.label.lower()})"
        )
    if len(own) != len(shape) - 1 or any(same_dim(one, two) is False for one, two in zip(own, shape)):
        raise RuntimeError(
            f"{NAME}: if weight tensor is provided it should have the same shape as the input tensor excluding its "
            f"innermost dimension, but got input with shape {format_shape(shape)} and weight with shape "
            f"{format_shape(own)}"
        )
    return rows, b("aten::reshape", weight, [count])


def _counted(b: Any, points: Any, weights: Any, edges: Sequence[Any], density: bool) -> Any:
    """What the weights of the points in each bin sum to; the last bin holds its upper edge too."""
    code, bins = b.type(points).dtype.code, [b.shape(line)[0] - 1 for line in edges]
    cell: Any = b("aten::full", [b.shape(points)[0]], 0, dtype=INT64.code)
    inside: Any = None
    for place, (line, number) in enumerate(zip(edges, bins)):
        column = b("aten::contiguous", b("aten::select.int", points, 1, place))
        low, high = (b("aten::select.int", line, 0, end) for end in (0, number))
        within = b("aten::logical_and", b("aten::ge.Tensor", column, low), b("aten::le.Tensor", column, high))
        inside = within if inside is None else b("aten::logical_and", inside, within)
        found = b("aten::sub.Scalar", b("aten::bucketize.Tensor", column, line, right=True), 1)
        found = b("aten::clamp", found, 0, number - 1)
        cell = b("aten::add.Tensor", b("aten::mul.Scalar", cell, number), found)
    zeros = b("aten::full", [product(bins)], 0.0, dtype=code)
    counted = b("aten::where.ScalarOther", inside, weights, 0.0)
    total = b("aten::reshape", b("aten::scatter_add", zeros, 0, cell, counted), bins)
    return _dense(b, total, edges) if density else total


def _dense(b: Any, total: Any, edges: Sequence[Any]) -> Any:
    """The share of each bin, by its width."""
    total = b("aten::div.Tensor", total, b("aten::sum", total))
    for place, line in enumerate(edges):
        widths = b("aten::diff", line)
        shape = [-1 if place == other else 1 for other in range(len(edges))]
        total = b("aten::div.Tensor", total, b("aten::reshape", widths, shape))
    return total


def _of_points(b: Any, x: Any, bins: Any, bounds: Any, weight: Any, density: bool) -> tuple[Any, list[Any]]:
    points, weights = _points(b, x, weight)
    if isinstance(bins, int):
        bins = [bins] * b.shape(points)[1]
    if all(isinstance(number, int) for number in bins):
        edges = _even_edges(b, points, bins, bounds)
    else:
        _check_edges(b, points, bins)
        edges = list(bins)
    return _counted(b, points, weights, edges, density), edges


def _of_numbers(b: Any, x: Any, bins: Any, bounds: Any, weight: Any, density: bool) -> tuple[Any, Any]:
    column = b("aten::reshape", x, [product(b.shape(x)), 1])
    weights = None if weight is None else b("aten::reshape", weight, [product(b.shape(weight))])
    total, edges = _of_points(b, column, [bins], bounds, weights, density)
    return total, edges[0]


declare_composite(
    "aten::histogram.bins_tensor(Tensor self, Tensor bins, *, Tensor? weight=None, bool density=False) "
    "-> (Tensor hist, Tensor bin_edges)",
    lambda b, x, edges, weight, density: _of_numbers(b, x, edges, None, weight, density),
    may_fail=True,
)
declare_composite(
    "aten::histogram.bin_ct(Tensor self, int bins=100, *, float[]? range=None, Tensor? weight=None, "
    "bool density=False) -> (Tensor hist, Tensor bin_edges)",
    _of_numbers,
    may_fail=True,
)
for _overload, _bins in (("", "int[]"), (".int_bins", "int"), (".TensorList_bins", "Tensor[]")):
    declare_composite(
        f"aten::histogramdd{_overload}(Tensor self, {_bins} bins, float[]? range=None, Tensor? weight=None, "
        "bool density=False) -> (Tensor hist, Tensor[] bin_edges)",
        _of_points,
        may_fail=True,
    )
