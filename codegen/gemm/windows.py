"""Products of tensors where they are: rows that are windows, convolutions without a copy of what they multiply, and
results that lie in a frame.

A row of A is made of *runs*, elements that lie beside each other (a line of a window, all channels), and a window lies
some lines and places behind the one before. What kernels have to know of that is a table of i64 in memory: an extent and
a distance for each level of rows, the innermost first, then the length of a run, then where the runs of a window begin.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from optc.codegen.kernels.native import contiguous_strides
from optc.codegen.llvm import Builder, Parameter, Value
from optc.dataclass import dataclass
from optc.ir.dims import Dim, multiply, product

PARAMETERS = (Parameter("ptr", "windows", "readonly"), Parameter("i64", "from"))
"""What a kernel takes: the table, and where in K its part begins."""

PLACES = (Parameter("ptr", "places", "readonly"),)
"""A table of the levels of rows of C, and nothing behind them."""

MOST_RUNS = 256
SHORTEST_RUN = 8
"""Shorter runs take longer to begin than to multiply."""


LONGEST_STEP = 8
LEAST_GAIN = 2.0
"""So many times more elements must windows have than the tensor for a turned copy of that."""

Levels: TypeAlias = tuple[tuple[Dim, Dim], ...]


@dataclass(frozen=True)
class Windows:
    """How the rows of a matrix lie in a tensor: (extent, distance) of each level of rows, the innermost first; the
    length of a run; where the runs of a row begin, from the first."""

    levels: Levels
    run: Dim
    starts: tuple[Dim, ...]

    @property
    def table(self) -> tuple[Dim, ...]:
        """What kernels read."""
        return (*flat(self.levels), self.run, *self.starts)

    @property
    def span(self) -> Dim:
        """Elements from the first to the last one of all rows."""
        return sum((distance * (extent - 1) for extent, distance in self.levels), start=self.starts[-1] + self.run)


def flat(levels: Levels) -> tuple[Dim, ...]:
    """Extents and distances in turn."""
    return tuple(number for level in levels for number in level)


def levels_of(shape: Sequence[Dim], strides: Sequence[Dim]) -> Levels:
    """The levels of rows that are dimensions of a tensor, the innermost first: at least one, as few as possible."""
    return tuple(reversed(_merged(shape, strides))) or ((1, 0),)


def windows_of(shape: Sequence[Dim], strides: Sequence[Dim], rows: int) -> Windows | None:
    """A matrix whose rows are the first `rows` dimensions of a tensor, and the others its columns; None where its runs
    are too short, too many, or not known."""
    outer, inner = _merged(shape[:rows], strides[:rows]), _merged(shape[rows:], strides[rows:])
    if not outer or not inner or inner[-1][1] != 1:
        return None
    *around, (run, _) = inner
    count = product([extent for extent, _ in around])
    if not isinstance(count, int) or not 0 < count <= MOST_RUNS or isinstance(run, int) and run < SHORTEST_RUN:
        return None
    return Windows(tuple(reversed(outer)), run, _starts(around))


def parts_of_windows(shape: Sequence[Dim], strides: Sequence[Dim], rows: int, run: int) -> Windows:
    """Rows as in `windows_of`, of whose runs, the last dimension, only the first `run` elements belong to the matrix."""
    around = zip(shape[rows:-1], strides[rows:-1], strict=True)
    return Windows(levels_of(shape[:rows], strides[:rows]), run, _starts(around))


def _starts(around: Iterable[tuple[Dim, Dim]]) -> tuple[Dim, ...]:
    """Where runs begin, by the extents and distances of what lies around them."""
    starts: list[Dim] = [0]
    for extent, distance in around:
        assert isinstance(extent, int)
        starts = [start + distance * number for start in starts for number in range(extent)]
    return tuple(starts)


def turned(shape: Sequence[Dim], strides: Sequence[Dim], rows: int) -> tuple[Levels, tuple[Dim, ...]] | None:
    """The tensor that windows look at, as (extent, distance) of its dimensions with that of the last columns last, and
    the strides by which the windows look at a copy of it without gaps. None where copying the windows is as good."""
    extents, distances = list(shape[:rows]), list(strides[:rows])
    walked: dict[int, tuple[int, int]] = {row: (row, 1) for row in range(rows)}
    gain = 1.0
    for column in range(rows, len(shape) - 1):
        taken = {row for place, (row, _) in walked.items() if place >= rows}
        found = _walked_along(strides, set(range(rows)) - taken, column)
        if found is None:
            return None
        (row, step), extent = found, shape[column]
        extents[row], distances[row] = (shape[row] - 1) * step + extent, strides[column]
        walked[row], walked[column] = (row, step), (row, 1)
        gain *= extent / step if isinstance(extent, int) else 1
    if gain < LEAST_GAIN:
        return None
    walked[len(shape) - 1] = (rows, 1)
    axes = (*zip(extents, distances, strict=True), (shape[-1], strides[-1]))
    made = contiguous_strides(tuple(extent for extent, _ in axes))
    seen = tuple(multiply(made[walked[place][0]], walked[place][1]) for place in range(len(shape)))
    return None if windows_of(shape, seen, rows) is None else (axes, seen)


def _walked_along(strides: Sequence[Dim], rows: set[int], column: int) -> tuple[int, int] | None:
    """The level of rows along which a dimension of the windows lies too, and the step from window to window."""
    for step in range(1, LONGEST_STEP + 1):
        for row in sorted(rows):
            if strides[column] != 0 and multiply(strides[column], step) == strides[row]:
                return row, step
    return None


def _merged(shape: Sequence[Dim], strides: Sequence[Dim]) -> list[tuple[Dim, Dim]]:
    """As few dimensions as the strides allow."""
    merged: list[tuple[Dim, Dim]] = []
    for extent, stride in zip(shape, strides, strict=True):
        if extent == 1:
            continue
        if merged and merged[-1][1] == stride * extent:
            merged[-1] = merged[-1][0] * extent, stride
        else:
            merged.append((extent, stride))
    return merged


class RowFinder:
    """The code by which a kernel finds rows that lie at several levels."""

    def __init__(self, b: Builder, element: str, levels: int, table: Value) -> None:
        self.b = b
        self.element = element
        entries = [b.load("i64", b.gep("i64", table, place)) for place in range(2 * levels)]
        self.extents, self.distances = entries[::2], entries[1::2]

    def rows(self, matrix: Value, row: Value, count: int) -> list[Value]:
        """Where `count` rows begin: the first by division, the others one step behind each other."""
        b = self.b
        places: list[Value] = []
        for extent in self.extents[:-1]:
            above = b.udiv(row, extent)
            places.append(b.sub(row, b.mul(above, extent)))
            row = above
        pointer = matrix
        for place, distance in zip([*places, row], self.distances, strict=True):
            pointer = b.gep(self.element, pointer, b.mul(place, distance))
        found = [pointer]
        while len(found) < count:
            found.append(self._following(found[-1], places))
        return found

    def _following(self, pointer: Value, places: list[Value]) -> Value:
        """The row behind one; behind the last of a level the next level moves."""
        b = self.b
        pointer = b.gep(self.element, pointer, self.distances[0])
        ends: Value | None = None
        for level, place in enumerate(places):
            moved = b.add(place, 1 if ends is None else b.zext(ends, "i64"))
            ends = b.icmp("eq", moved, self.extents[level])
            places[level] = b.select(ends, b.constant("i64", 0), moved)
            back = b.mul(self.extents[level], self.distances[level])
            step = b.sub(self.distances[level + 1], back)
            pointer = b.gep(self.element, pointer, b.select(ends, step, b.constant("i64", 0)))
        return pointer


class WindowReader(RowFinder):
    """The code by which a kernel finds its elements of A."""

    def __init__(self, b: Builder, element: str, levels: int, table: Value, start: Value) -> None:
        super().__init__(b, element, levels, table)
        self.start = start
        self.run = b.load("i64", b.gep("i64", table, 2 * levels))
        self.starts = b.gep("i64", table, 2 * levels + 1)

    def piece(self, here: Value, stop: Value) -> tuple[Value, Value]:
        """From a place in this part of K: how far the elements up to the end of its run, or to `stop`, lie behind their
        number in it; and that end."""
        b = self.b
        number = b.udiv(b.add(here, self.start), self.run)
        first = b.sub(b.mul(number, self.run), self.start)
        shift = b.sub(b.load("i64", b.gep("i64", self.starts, number)), first)
        return shift, b.intrinsic("smin", "i64", stop, b.add(first, self.run))
