"""Matrix products whose columns are parts that belong together: the gates of recurrent cells.

A product of N = G H columns is cut into G parts of H columns, and element j of the results needs element j of every
part. So the weights are packed interleaved: a panel holds the columns of some units j for all parts, and the kernel has
all parts of its units in registers when the sums are finished; what follows (sigmoid, tanh, the new state) is computed
there and stored once. Panels are independent, so threads share them, each its own units in every step.

Every element is one sum in the order of K, whatever the tile, of parts where K is long (see `sums`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from optc.codegen.gemm.kernel import digest
from optc.codegen.gemm.sums import PART, is_cut, multiply_add, sums_of_parts
from optc.codegen.gemm.tiles import ENOUGH_SUMS, element_bytes
from optc.codegen.llvm import Builder, Declaration, Function, Module, Parameter, Value, vector_of
from optc.codegen.machine.host import Target
from optc.codegen.process.constant_memory import constant_zeros
from optc.dataclass import dataclass

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Tile:
    """Sums in registers: `rows` rows of A times `units` vectors of units, all parts of each."""

    rows: int
    units: int
    lanes: int


def choose_tile(target: Target, element: str, rows: int | None, parts: int, width: int) -> Tile | None:
    """The tile for `rows` rows (None: any number) and `parts` parts of `width` columns; None where parts do not fit."""
    lanes = target.lanes(element)
    free = target.vector_registers - (1 if target.fma else 2)  # besides sums and a row of weights, one factor
    if parts >= free:
        return None
    vectors = -(-width // lanes)
    units = 1
    # For a single row the multiply-adds of x86 read the weights, which need no registers.
    wanted = 2 if rows == 1 and target.is_x86 and target.fma else 4
    while _height(free, rows, parts * units) * units * parts < ENOUGH_SUMS and wanted * units * parts <= free:
        if units * 2 > vectors:
            break
        units *= 2
    return Tile(_height(free, rows, parts * units), units, lanes)


def _height(free: int, rows: int | None, vectors: int) -> int:
    """The rows of a tile of so many vectors: as many as fit, or so many that the last tile is about as high."""
    most = max(1, min(8, free // vectors - 1))
    return most if rows is None else -(-rows // -(-rows // most))


def pack(weights: Array, parts: int, tile: Tile) -> Array:
    """A K x N matrix as panels: [units of the panel][K][part][vector of units][lane], padded with zeros."""
    k, n = weights.shape
    width, step = n // parts, tile.units * tile.lanes
    panels = -(-width // step)
    padded = np.zeros((k, parts, panels * step), weights.dtype)
    padded[:, :, :width] = weights.reshape(k, parts, width)
    ordered = padded.reshape(k, parts, panels, step).transpose(2, 0, 1, 3)
    packed = constant_zeros(ordered.size, weights.dtype)
    packed.reshape(ordered.shape)[...] = ordered
    return packed


@dataclass(frozen=True)
class Spot:
    """Where a vector of units belongs: row (i64) and first unit (i64) of the result, which lanes exist (None: all)."""

    row: Value
    unit: Value
    mask: Value | None
    extra: Sequence[Value]


Conclude = Callable[[Builder, list[Value], Spot], None]
"""Gets the sums of all parts of a vector of units, computes what follows and stores it."""

Announce = Callable[[Builder, Spot], None]
"""Asks for the memory that `Conclude` will read for a vector of units."""


@dataclass(frozen=True)
class GatedProduct:
    """The function `name`: (a, lda, panels, m, k, reverse, *parameters, start, stop) computes panels start to stop.

    k: None where it is only known at run time; what is known only decides whether sums are cut into parts.
    `key` says everything that decides the code of `conclude`. `reverse` (i64): take the panels from the last to the
    first, so that a step begins with the weights that the step before has left in the cache.
    """

    element: str
    tile: Tile
    parts: int
    width: int
    rows: int | None
    k: int | None
    key: str
    parameters: tuple[Parameter, ...]
    conclude: Conclude
    announce: Announce

    @property
    def is_cut(self) -> bool:
        return is_cut(self.k, self.element)

    @property
    def panels(self) -> int:
        return -(-self.width // (self.tile.units * self.tile.lanes))

    @property
    def name(self) -> str:
        rows = "any" if self.rows is None else str(self.rows)
        tile = f"{self.tile.rows}x{self.tile.units}by{self.tile.lanes}"
        cut = f"_cut{PART}" if self.is_cut else ""
        return f"gated_{self.element}_{rows}x{self.parts}x{self.width}_{tile}{cut}_{digest(self.key)}"

    @property
    def all_parameters(self) -> tuple[Parameter, ...]:
        return (
            Parameter("ptr", "a", "readonly"), Parameter("i64", "lda"), Parameter("ptr", "panels", "readonly"),
            Parameter("i64", "m"), Parameter("i64", "k"), Parameter("i64", "reverse"), *self.parameters,
            Parameter("i64", "start"), Parameter("i64", "stop"),
        )  # fmt: skip

    def declaration(self) -> Declaration:
        """What the caller's module needs."""
        return Declaration(self.name, "void", tuple(parameter.type for parameter in self.all_parameters))

    def module(self) -> Module:
        """The function as a module of its own; functions of the same name are the same."""
        return _Writer(self).module


class _Writer:
    """Writes the loops over panels, rows and K."""

    def __init__(self, gated: GatedProduct) -> None:
        self.gated = gated
        self.tile = gated.tile
        self.vector = vector_of(gated.element, gated.tile.lanes)
        self.module = Module(gated.name)
        function = self.module.function(gated.name, "void", gated.all_parameters)
        self.a, self.lda, self.packed, m, self.k, reverse, *rest = function.arguments
        *self.extra, start, stop = rest
        self.b = b = Builder(function)
        self.m = m if gated.rows is None else b.constant("i64", gated.rows)
        last = b.sub(b.add(start, stop), 1)
        with b.for_loop(start, stop) as loop:
            panel = b.select(b.icmp("ne", reverse, 0), b.sub(last, loop.index), loop.index)
            self.panel(panel)
        b.ret()

    def panel(self, number: Value) -> None:
        b, step = self.b, self.tile.units * self.tile.lanes
        size = b.mul(self.k, self.gated.parts * step)
        panel = b.gep(self.gated.element, self.packed, b.mul(number, size))
        unit = b.mul(number, step)
        if self.gated.width % step == 0:
            self.row_tiles(panel, unit, False)
            return
        with b.if_then_else(b.icmp("sge", b.sub(self.gated.width, unit), step)) as (whole, ragged):
            with whole:
                self.row_tiles(panel, unit, False)
            with ragged:
                self.row_tiles(panel, unit, True)

    def row_tiles(self, panel: Value, unit: Value, ragged: bool) -> None:
        """All rows of A: whole tiles, then what is left, in one smaller tile or row by row where that is not known."""
        b, height, rows = self.b, self.tile.rows, self.gated.rows
        whole = b.sub(self.m, b.urem(self.m, height)) if rows is None else b.constant("i64", rows - rows % height)
        with b.for_loop(0, whole, height) as loop:
            self.row_tile(height, loop.index, panel, unit, ragged)
        if rows is not None and rows % height:
            self.row_tile(rows % height, whole, panel, unit, ragged)
        elif rows is None and height > 1:
            with b.for_loop(whole, self.m) as single:
                self.row_tile(1, single.index, panel, unit, ragged)

    def row_tile(self, rows: int, row: Value, panel: Value, unit: Value, ragged: bool) -> None:
        """A tile; its sums wait on the stack for what follows, which is written once and runs for one vector of units
        at a time."""
        b, units = self.b, self.tile.units
        for number in range(rows * units):
            below, beside = divmod(number, units)
            spot = Spot(b.add(row, below), b.add(unit, beside * self.tile.lanes), None, self.extra)
            self.gated.announce(b, spot)
        waiting = b.alloca(self.vector, rows * self.gated.parts * units, 64)
        first_row = b.gep(self.gated.element, self.a, b.mul(row, self.lda))
        b.call(self.summing(rows), first_row, self.lda, panel, self.k, waiting)
        with b.for_loop(0, rows, nonempty=True) as line, b.for_loop(0, units, nonempty=True) as place:
            first = b.add(b.mul(line.index, self.gated.parts * units), place.index)
            mine = [
                b.load(self.vector, b.gep(self.vector, waiting, b.add(first, part * units)))
                for part in range(self.gated.parts)
            ]
            here = b.add(unit, b.mul(place.index, self.tile.lanes))
            self.conclude(mine, b.add(row, line.index), here, ragged)

    def conclude(self, sums: list[Value], row: Value, unit: Value, ragged: bool) -> None:
        b = self.b
        mask = b.lane_mask(b.sub(self.gated.width, unit), self.tile.lanes) if ragged else None
        self.gated.conclude(b, sums, Spot(row, unit, mask, self.extra))

    def summing(self, rows: int) -> Function:
        """`void sum(a, lda, panel, k, sums)`: the products of a tile, row by row, part by part, vector by vector.

        Apart from what follows: LLVM keeps the constants of that in registers, at the price of sums that leave them.
        """
        name = f"sum_{rows}"
        if name in self.module.functions:
            return self.module.functions[name]
        parameters = (
            Parameter("ptr", "a", "readonly"), Parameter("i64", "lda"), Parameter("ptr", "panel", "readonly"),
            Parameter("i64", "k"), Parameter("ptr", "sums", "noalias"),
        )  # fmt: skip
        function = self.module.function(name, "void", parameters, private=True, attributes="nounwind noinline")
        a, lda, panel, k, place = function.arguments
        b = Builder(function)
        pointers = [b.gep(self.gated.element, a, b.mul(lda, r)) for r in range(rows)]
        for number, value in enumerate(self.sums(b, pointers, panel, k)):
            b.store(value, b.gep(self.vector, place, number))
        b.ret()
        return function

    def sums(self, b: Builder, pointers: list[Value], panel: Value, k: Value) -> list[Value]:
        """The sums of the rows at some pointers."""
        element, rows = self.gated.element, len(pointers)
        count = self.gated.parts * self.tile.units
        zeros = [b.constant(self.vector, 0)] * (rows * count)

        def sum_part(
            start: Value, stop: Value, moving: list[Value], sums: list[Value]
        ) -> tuple[list[Value], list[Value]]:
            with b.for_loop(start, stop, carried=[*moving, *sums]) as loop:
                position, *sums = loop.carried
                alignment = self.tile.lanes * element_bytes(element)
                columns = [
                    b.load(self.vector, b.gep(element, position, v * self.tile.lanes), alignment) for v in range(count)
                ]
                updated: list[Value] = []
                for r, pointer in enumerate(pointers):
                    factor = b.splat(b.load(element, b.gep(element, pointer, loop.index)), self.tile.lanes)
                    mine = sums[r * count : (r + 1) * count]
                    updated += [multiply_add(b, factor, column, total) for column, total in zip(columns, mine)]
                loop.yield_([b.gep(element, position, count * self.tile.lanes), *updated])
            return loop.results[:1], loop.results[1:]

        if self.gated.is_cut:
            return sums_of_parts(b, k, [panel], zeros, sum_part)
        return sum_part(b.constant("i64", 0), k, [panel], zeros)[1]
