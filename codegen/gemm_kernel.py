"""The kernels of matrix products: an R x V tile of accumulator vectors that stays in registers while K goes by.

The K loop is never unrolled (that spills). Every element of C is one sum in the order of K, whatever the kernel, so a
row of the result does not depend on the rows that were computed with it. Where K is cut into blocks, the sums wait in
C between them, which rounds nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from optc.codegen.gemm_epilogue import Epilogue, Place
from optc.codegen.gemm_packing import transpose
from optc.codegen.gemm_tiles import Tile, element_bytes, sum_type
from optc.codegen.llvm import Builder, Module, Parameter, Value, is_float, vector_of

Order = Literal["rows", "columns"]
"""How a matrix lies: "rows", element (i, j) at i * stride + j, or "columns", at j * stride + i."""

_PARAMETERS = (
    Parameter("ptr", "a", "readonly"),
    Parameter("i64", "lda"),
    Parameter("ptr", "b", "readonly"),
    Parameter("i64", "ldb"),
    Parameter("i64", "k"),
    Parameter("ptr", "c"),
    Parameter("i64", "ldc"),
    Parameter("i64", "row"),
    Parameter("i64", "column"),
    Parameter("i64", "columns"),
)
_PREFETCHING = (Parameter("ptr", "ahead", "readonly"), Parameter("i64", "apart"))
_COPYING = (Parameter("ptr", "copy", "noalias"),)
_BLOCKED = (Parameter("i64", "first"), Parameter("i64", "final"))
_BATCHED = (Parameter("i64", "batch"),)

_UNROLLED_OPERATIONS = 200  # a longer epilogue of a whole tile becomes a loop over its rows
_LINE_BYTES = 64


def widened(b: Builder, value: Value, element: str) -> Value:
    """An element, or a vector of them, in the type of the sums."""
    wide = sum_type(element)
    return value if wide == element else b.fpext(value, wide)


def multiply_add(b: Builder, factor: Value, column: Value, total: Value) -> Value:
    """total + factor * column, rounded once where the processor can."""
    if not is_float(total.type):
        return b.add(b.mul(factor, column), total)
    return b.fadd(b.fmul(factor, column), total)


def added(b: Builder, left: Value, right: Value) -> Value:
    """left + right."""
    return b.fadd(left, right) if is_float(left.type) else b.add(left, right)


@dataclass(frozen=True)
class Kernel:
    """One register tile, with its epilogue: C[row:, column:] = epilogue(a @ b).

    a: how the tile of A lies.  b: how B lies; "columns" are transposed in registers, a square block at a time, and need
    a tile of one vector.  masked: only the first `columns` columns exist in C, so the last vector is incomplete.
    ragged: nor do more exist in `b`.  blocked: the kernel gets a part of K and is told whether it is the first, which
    starts from zero and not from C, and the final one, which has the epilogue.  prefetch: how many cache lines each
    step of K asks for: the first step at `ahead`, the next `apart` elements behind it.  copies: what is read of B is
    also written to `copy`, where other kernels find it packed (not for masked kernels, which need a register more).
    batched: the kernel is told the number of the product.  along: so many elements of K at a time, 0 for one: rows of A
    and columns of B ("columns") are multiplied as vectors, and the lanes of every sum are added up at the end.
    """

    element: str
    tile: Tile
    epilogue: Epilogue
    a: Order = "rows"
    b: Order = "rows"
    masked: bool = False
    ragged: bool = False
    blocked: bool = False
    prefetch: int = 0
    copies: bool = False
    batched: bool = False
    along: int = 0

    @property
    def name(self) -> str:
        flags = {
            "packed": self.a == "columns",
            "transposed": self.b == "columns" and not self.along,
            f"along{self.along}": bool(self.along),
            "masked": self.masked,
            "ragged": self.ragged,
            "blocked": self.blocked,
            f"ahead{self.prefetch}": bool(self.prefetch),
            "copying": self.copies,
            "batched": self.batched,
            self.epilogue.result: bool(self.epilogue.result),
            digest(self.epilogue.key): bool(self.epilogue.key),
        }
        suffix = "".join(f"_{flag}" for flag, holds in flags.items() if holds)
        tile = self.tile
        return f"gemm_{self.element}_{tile.rows}x{tile.columns}_by{tile.lanes}{suffix}"

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return (
            *_PARAMETERS,
            *(_PREFETCHING if self.prefetch else ()),
            *(_COPYING if self.copies else ()),
            *(_BLOCKED if self.blocked else ()),
            *(_BATCHED if self.batched else ()),
            *self.epilogue.parameters,
        )

    def module(self) -> Module:
        """The kernel as a module of its own; kernels of the same name are the same."""
        return _KernelWriter(self).module


def digest(key: str) -> str:
    """A short name for a text."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]


class _KernelWriter:
    """Writes one kernel."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.tile = kernel.tile
        self.element = kernel.element
        self.total = sum_type(kernel.element)
        self.vector = vector_of(self.total, kernel.tile.lanes)
        self.stored = kernel.epilogue.result or kernel.element
        self.module = Module(kernel.name)
        function = self.module.function(kernel.name, "void", kernel.parameters)
        named = {p.name: value for p, value in zip(kernel.parameters, function.arguments, strict=True)}
        self.named = named
        self.extra = function.arguments[len(function.arguments) - len(kernel.epilogue.parameters) :]
        self.b = b = Builder(function)
        self.mask = self._lane_mask() if kernel.masked else None
        starts = self._starts()
        self._finish(self._all_sums(starts))
        b.ret()

    def _lane_mask(self) -> Value:
        """Which lanes of the last vector exist."""
        last = self.tile.vectors - 1
        return self.b.lane_mask(self.b.sub(self.named["columns"], last * self.tile.lanes), self.tile.lanes)

    def _mask_of(self, vector: int) -> Value | None:
        return self.mask if vector == self.tile.vectors - 1 else None

    # Where the sums start and end

    def _address(self, row: Value | int, vector: int) -> Value:
        """Of a vector of C, `row` rows below the first of the tile."""
        b, named = self.b, self.named
        below = b.mul(named["ldc"], b.add(named["row"], row))
        return b.gep(self.stored, named["c"], b.add(below, b.add(named["column"], vector * self.tile.lanes)))

    def _starts(self) -> list[Value]:
        b = self.b
        zeros = [b.constant(self.vector, 0)] * (self.tile.rows * self.tile.vectors)
        if not self.kernel.blocked:
            return zeros
        with b.if_then_else(b.icmp("ne", self.named["first"], 0)) as (fresh, continued):
            with fresh:
                fresh.yield_(zeros)
            with continued:
                continued.yield_(
                    [
                        b.load(self.vector, self._address(r, v), mask=self._mask_of(v))
                        for r in range(self.tile.rows)
                        for v in range(self.tile.vectors)
                    ]
                )
        return fresh.results

    def _finish(self, sums: list[Value]) -> None:
        if not self.kernel.blocked or not self.kernel.epilogue.key:
            self._conclude(sums)
            return
        with self.b.if_then_else(self.b.icmp("ne", self.named["final"], 0)) as (final, interim):
            with final:
                self._conclude(sums)
            with interim:
                for number, value in enumerate(sums):
                    r, v = divmod(number, self.tile.vectors)
                    self.b.store(value, self._address(r, v), mask=self._mask_of(v))

    def _conclude(self, sums: list[Value]) -> None:
        """Applies the epilogue to all sums; a long one is written once and runs row by row."""
        vectors = self.tile.vectors
        if self.kernel.epilogue.operations * len(sums) <= _UNROLLED_OPERATIONS:
            for v in range(vectors):
                self._store(sums[v::vectors], 0, v)
            return
        b = self.b
        waiting = b.alloca(self.vector, len(sums), 64)
        for number, value in enumerate(sums):
            b.store(value, b.gep(self.vector, waiting, number))
        with b.for_loop(0, self.tile.rows, nonempty=True) as loop:
            row = b.gep(self.vector, waiting, b.mul(loop.index, vectors))
            for v in range(vectors):
                self._store([b.load(self.vector, b.gep(self.vector, row, v))], loop.index, v)

    def _store(self, sums: list[Value], row: Value | int, vector: int) -> None:
        """The epilogue of some rows of a vector of columns, and the store."""
        b, named, mask = self.b, self.named, self._mask_of(vector)
        column = b.add(named["column"], vector * self.tile.lanes)
        place = Place(b.add(named["row"], row), column, mask, self.extra, named.get("batch"))
        values = self.kernel.epilogue.emit(b, sums, place)
        for number, value in enumerate(values):
            if not self.kernel.epilogue.result and self.total != self.element:
                value = b.fptrunc(value, self.element)
            b.store(value, self._address(b.add(b.constant("i64", 0), row) if number == 0 else self._below(row, number),
                                         vector), mask=mask)  # fmt: skip

    def _below(self, row: Value | int, number: int) -> Value | int:
        return row + number if isinstance(row, int) else self.b.add(row, number)

    # The loop over K

    def _all_sums(self, starts: list[Value]) -> list[Value]:
        if self.kernel.along:
            return self._sums_along_k()
        return self._transposed_sums(starts) if self.kernel.b == "columns" else self._sums(starts)

    def _sums(self, starts: list[Value]) -> list[Value]:
        """The products of the tile, row by row."""
        b, named = self.b, self.named
        factors, moving = self._factors()
        flags = {"ahead": bool(self.kernel.prefetch), "copy": self.kernel.copies}
        optional = [name for name, holds in flags.items() if holds]
        pointers = [named["b"], *moving, *(named[name] for name in optional)]
        with b.for_loop(0, named["k"], carried=[*pointers, *starts]) as loop:
            position, sums = loop.carried[0], loop.carried[len(pointers) :]
            optional_pointers = dict(zip(optional, loop.carried[1 + len(moving) :]))
            columns = [self._column(position, v) for v in range(self.tile.vectors)]
            following = [b.gep(self.element, position, named["ldb"])]
            if moving:
                following.append(b.gep(self.element, loop.carried[1], named["lda"]))
            if self.kernel.prefetch:
                following.append(self._prefetch(optional_pointers["ahead"]))
            if self.kernel.copies:
                following.append(self._copy(columns, optional_pointers["copy"]))
            wide = [widened(b, column, self.element) for column in columns]
            updated = self._row_by_row(factors, loop.index, loop.carried[1] if moving else None, wide, sums)
            loop.yield_([*following, *updated])
        return loop.results[len(pointers) :]

    def _copy(self, columns: Sequence[Value], copy: Value) -> Value:
        for v, column in enumerate(columns):
            self.b.store(column, self.b.gep(self.element, copy, v * self.tile.lanes))
        return self.b.gep(self.element, copy, self.tile.vectors * self.tile.lanes)

    def _factors(self) -> tuple[list[Value], list[Value]]:
        """Pointers to the rows of A, or the one that moves along K."""
        if self.kernel.a == "columns":
            return [], [self.named["a"]]
        b, lda = self.b, self.named["lda"]
        return [b.gep(self.element, self.named["a"], b.mul(lda, r)) for r in range(self.tile.rows)], []

    def _column(self, position: Value, vector: int) -> Value:
        b = self.b
        mask = self._mask_of(vector) if self.kernel.ragged else None
        address = b.gep(self.element, position, vector * self.tile.lanes)
        return b.load(vector_of(self.element, self.tile.lanes), address, mask=mask)

    def _prefetch(self, ahead: Value) -> Value:
        b, step = self.b, _LINE_BYTES // element_bytes(self.element)
        for line in range(self.kernel.prefetch):
            b.prefetch(b.gep(self.element, ahead, line * step, inbounds=False), locality=2)
        return b.gep(self.element, ahead, self.named["apart"], inbounds=False)

    def _row_by_row(
        self, rows: list[Value], k: Value, tile: Value | None, columns: Sequence[Value], sums: list[Value]
    ) -> list[Value]:
        """One step of K: every row's element of A times the row of B."""
        b, vectors = self.b, self.tile.vectors
        updated: list[Value] = []
        for r in range(self.tile.rows):
            address = b.gep(self.element, rows[r], k) if tile is None else b.gep(self.element, tile, r)
            factor = b.splat(widened(b, b.load(self.element, address), self.element), self.tile.lanes)
            group = sums[r * vectors : (r + 1) * vectors]
            updated += [multiply_add(b, factor, column, total) for column, total in zip(columns, group, strict=True)]
        return updated

    # The loop over K where the columns of B are to be transposed

    def _transposed_sums(self, starts: list[Value]) -> list[Value]:
        b, lanes, k = self.b, self.tile.lanes, self.named["k"]
        columns = self._column_pointers()
        factors, _ = self._factors()
        whole = b.sub(k, b.urem(k, lanes))
        type_ = vector_of(self.element, lanes)
        with b.for_loop(0, whole, lanes, carried=starts) as loop:
            square = [b.load(type_, b.gep(self.element, column, loop.index)) for column in columns]
            sums = loop.carried
            for step, column in enumerate(transpose(b, square)):
                wide = widened(b, column, self.element)
                sums = self._row_by_row(factors, b.add(loop.index, step), None, [wide], sums)
            loop.yield_(sums)
        with b.for_loop(whole, k, carried=loop.results) as rest:
            column = widened(b, self._collected(columns, rest.index), self.element)
            rest.yield_(self._row_by_row(factors, rest.index, None, [column], rest.carried))
        return rest.results

    # Vectors along K

    def _sums_along_k(self) -> list[Value]:
        """A vector of sums for every row and column; what is left of K fills a part of one more."""
        b, k, width = self.b, self.named["k"], self.kernel.along
        rows, columns = self._factors()[0], self._column_pointers()
        none = b.constant(vector_of(self.total, width), 0)
        whole = b.sub(k, b.urem(k, width))
        with b.for_loop(0, whole, width, carried=[none] * (len(rows) * len(columns))) as loop:
            loop.yield_(self._step_along_k(rows, columns, loop.index, loop.carried, None))
        with b.for_loop(whole, k, width, carried=loop.results) as rest:
            mask = b.lane_mask(b.sub(k, rest.index), width)
            rest.yield_(self._step_along_k(rows, columns, rest.index, rest.carried, mask))
        lanes = len(columns)
        return [self._folded(rest.results[row * lanes : (row + 1) * lanes]) for row in range(len(rows))]

    def _step_along_k(
        self, rows: list[Value], columns: list[Value], k: Value, sums: list[Value], mask: Value | None
    ) -> list[Value]:
        b, type_ = self.b, vector_of(self.element, self.kernel.along)

        def read(pointer: Value) -> Value:
            return widened(b, b.load(type_, b.gep(self.element, pointer, k), mask=mask), self.element)

        factors = [read(column) for column in columns]
        updated: list[Value] = []
        for number, row in enumerate(map(read, rows)):
            group = sums[number * len(columns) : (number + 1) * len(columns)]
            updated += [multiply_add(b, row, column, total) for column, total in zip(factors, group, strict=True)]
        return updated

    def _folded(self, sums: list[Value]) -> Value:
        """Lane i of the result: all lanes of vector i, neighbours first, then pairs, in one order however many there are."""
        b, width, distance = self.b, self.kernel.along, 1
        while len(sums) > 1:
            lower = [width + lane - distance if lane & distance else lane for lane in range(width)]
            upper = [width + lane if lane & distance else lane + distance for lane in range(width)]
            pairs = zip(sums[::2], sums[1::2], strict=True)
            sums = [added(b, b.shuffle(*pair, lower), b.shuffle(*pair, upper)) for pair in pairs]
            distance *= 2
        total = sums[0]
        while distance < width:
            total = added(b, total, b.shuffle(total, None, [lane ^ distance for lane in range(width)]))
            distance *= 2
        return total if self.tile.lanes == width else b.shuffle(total, None, range(self.tile.lanes))

    def _column_pointers(self) -> list[Value]:
        """In place of columns that do not exist stands the last one that does."""
        b, named = self.b, self.named
        number: Callable[[int], Value | int] = lambda lane: lane
        if self.kernel.masked:
            last = b.sub(named["columns"], 1)
            number = lambda lane: b.intrinsic("smin", "i64", b.constant("i64", lane), last)
        return [b.gep(self.element, named["b"], b.mul(named["ldb"], number(lane))) for lane in range(self.tile.lanes)]

    def _collected(self, pointers: Sequence[Value], k: Value) -> Value:
        """Element `k` of each column."""
        b = self.b
        vector = b.constant(vector_of(self.element, len(pointers)), 0)
        for lane, pointer in enumerate(pointers):
            vector = b.insertelement(vector, b.load(self.element, b.gep(self.element, pointer, k)), lane)
        return vector
