"""The schedule that reads transposed operands in square tiles.

An operand that lies along another loop than the innermost one would be read one element per cache line. Both loops are
cut into tiles; each tile of the operand is read along its own rows, turned in registers, and kept in scratch, from
where the innermost loop reads it like any other operand.
"""

from __future__ import annotations

from dataclasses import replace

from optc.codegen.kernels.kernel import (
    Buffer,
    Define,
    Kernel,
    Loop,
    Statement,
    Store,
    Tile,
    load,
    stride_of,
    values_of,
)
from optc.codegen.machine.host import Target
from optc.ir.dims import minimum, substitute, symbol
from optc.ops.scalar import Expr, nodes, rewrite

TILES = 16
"""Tiles along the operand's rows that are read one after the other: whole runs of cache lines, for the prefetcher."""


def tile_transposes(kernel: Kernel, target: Target) -> Kernel:
    """Cut nests of loops with transposed operands into tiles."""
    body: list[Statement] = []
    scratch: list[Buffer] = []
    for statement in kernel.body:
        nest = _perfect_nest(statement)
        tiling = _Tiling.of(kernel, nest, target, len(scratch)) if nest else None
        if tiling is None:
            body.append(statement)
        else:
            body.extend(tiling.loops())
            scratch.extend(tiling.tiles.values())
    return replace(kernel, body=tuple(body), buffers=(*kernel.buffers, *scratch))


def _perfect_nest(statement: Statement) -> list[Loop]:
    """Loops that are all of each other's bodies, down to one to be widened that only computes and stores."""
    nest: list[Loop] = []
    while isinstance(statement, Loop) and statement.step == 1:
        nest.append(statement)
        if statement.lanes == 1:
            plain = all(isinstance(inner, Define | Store) for inner in statement.body)
            return nest if plain else []
        if len(statement.body) != 1:
            return []
        statement = statement.body[0]
    return []


class _Tiling:
    """How one nest is cut: `across` is the loop along which the transposed operands lie."""

    def __init__(self, nest: list[Loop], across: Loop, size: int, reads: list[Expr], first: int) -> None:
        self.nest = nest
        self.across = across
        self.along = nest[-1]
        self.size = size
        self.tiles = {
            read: Buffer(f"tile{first + number}", read.dtype, "scratch", size * size)
            for number, read in enumerate(reads)
        }

    @staticmethod
    def of(kernel: Kernel, nest: list[Loop], target: Target, first: int) -> _Tiling | None:
        """The tiling of a nest, None where no operand needs one."""
        along = nest[-1]
        stored = {s.buffer for s in along.body if isinstance(s, Store)}
        if any(stride_of(s.index, along.variable) != 1 for s in along.body if isinstance(s, Store)):
            return None
        reads: dict[str, list[Expr]] = {}
        for value in (value for statement in along.body for value in values_of(statement)):
            for node in nodes(value):
                if node.op == "load" and node.value[0] not in stored:
                    _add_transposed(node, nest, reads)
        if not reads:
            return None
        variable = max(reads, key=lambda name: len(reads[name]))
        across = next(loop for loop in nest if loop.variable == variable)
        chosen = list(dict.fromkeys(reads[variable]))
        size = target.vector_bytes // max(4, *(read.dtype.itemsize for read in chosen))
        lengths = [loop.stop - loop.start for loop in (along, across)]
        small = any(isinstance(length, int) and length < size for length in lengths)
        return None if small else _Tiling(nest, across, size, chosen, first)

    def loops(self) -> list[Statement]:
        """Whole tiles, then the turns of both loops that fill none."""
        across, size = self.across, self.size
        whole = across.start + (across.stop - across.start) // size * size
        block = f"{across.variable}.block"
        stop = minimum(symbol(block) + TILES * size, whole)
        inner = self.nest[self.nest.index(across) + 1 : -1]
        body: tuple[Statement, ...] = self.tiled(replace(across, start=symbol(block), stop=stop))
        for loop in reversed(inner):
            body = (replace(loop, body=body),)
        blocks: tuple[Statement, ...] = (Loop(block, across.start, whole, TILES * size, body),)
        rest = replace(across, start=whole)
        parts = (*blocks, rest) if rest.start != rest.stop else blocks
        for loop in reversed(self.nest[: self.nest.index(across)]):
            parts = (replace(loop, body=parts),)
        return list(parts)

    def tiled(self, across: Loop) -> tuple[Statement, ...]:
        """Tiles of `along` for one block of `across`, and what is left of `along` behind them."""
        along, size = self.along, self.size
        whole = along.start + (along.stop - along.start) // size * size
        rows, columns = f"{across.variable}.tile", f"{along.variable}.tile"
        corner = {across.variable: symbol(rows), along.variable: symbol(columns)}
        copies: list[Statement] = []
        for read, scratch in self.tiles.items():
            buffer, index = read.value
            stride = stride_of(index, along.variable)
            assert stride is not None
            first = substitute(index, corner)
            if stride_of(index, across.variable) == -1:  # the tile's rows lie the other way round
                first = first - (size - 1)
            copies.append(Tile(scratch.name, buffer, first, stride, size))
        body = tuple(self.reading_tiles(statement, rows, columns) for statement in along.body)
        one = replace(along, start=symbol(columns), stop=symbol(columns) + size, body=body)
        turns = replace(across, start=symbol(rows), stop=symbol(rows) + size, body=(one,))
        tile = Loop(rows, across.start, across.stop, size, (*copies, turns))
        parts: tuple[Statement, ...] = (Loop(columns, along.start, whole, size, (tile,)),)
        rest = replace(along, start=whole)
        return (*parts, replace(across, body=(rest,))) if rest.start != rest.stop else parts

    def reading_tiles(self, statement: Statement, rows: str, columns: str) -> Statement:
        """The statement, reading the tile at these corners."""
        row, column = symbol(self.across.variable) - symbol(rows), symbol(self.along.variable) - symbol(columns)

        def change(node: Expr) -> Expr | None:
            if node not in self.tiles:
                return None
            turned = stride_of(node.value[1], self.across.variable) == -1
            return load(self.tiles[node], ((self.size - 1 - row) if turned else row) * self.size + column)

        assert isinstance(statement, Define | Store)
        return replace(statement, value=rewrite(statement.value, change))


def _add_transposed(read: Expr, nest: list[Loop], reads: dict[str, list[Expr]]) -> None:
    """Note the loop along which a read moves by one, either way, where that is not the innermost."""
    index = read.value[1]
    if stride_of(index, nest[-1].variable) in (None, -1, 0, 1):
        return
    for loop in nest[:-1]:
        if stride_of(index, loop.variable) in (-1, 1):
            reads.setdefault(loop.variable, []).append(read)
            return
