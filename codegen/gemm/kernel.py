"""The kernels of matrix products: an R x V tile of accumulator vectors that stays in registers while K goes by.

The K loop is never unrolled (that spills). Every element of C is one sum in the order of K, whatever the kernel, so a
row of the result does not depend on the rows that were computed with it. A long K is summed in parts (see `sums`).
Where K is cut into blocks, which end where parts end, what there is so far waits in C between them, which rounds
nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Literal

from optc.codegen.gemm.epilogue import Epilogue, Place
from optc.codegen.gemm.packing import transpose
from optc.codegen.gemm.sums import PART, SumPart, added, multiply_add, sums_of_parts, widened
from optc.codegen.gemm.tiles import Tile, element_bytes, sum_type
from optc.codegen.gemm.windows import PARAMETERS as WINDOWED
from optc.codegen.gemm.windows import PLACES, RowFinder, WindowReader
from optc.codegen.llvm import WRITTEN_OUT, Block, Builder, Module, Parameter, Value, element_type, vector_of
from optc.dataclass import dataclass

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
_CLAMPED = (Parameter("i64", "rows"),)
_PREFETCHING = (Parameter("ptr", "ahead", "readonly"), Parameter("i64", "apart"))
_STREAMING = (Parameter("ptr", "latest", "readonly"),)
_COPYING = (Parameter("ptr", "copy", "noalias"),)
_BLOCKED = (Parameter("i64", "first"), Parameter("i64", "final"))
_BATCHED = (Parameter("i64", "batch"),)

APART_BYTES = 1024
"""Rows of C that are so far apart are not fetched by the processor itself: 512x512x512 takes 0.89 of the time on an
Emerald Rapids when the kernel asks for them, 128x768x768 and 128x3072x768 0.98. Near ones are, and take longer then.
A Zen 5 takes as long without asking, 0.97 to 1.01 (twelve products on one thread)."""

_UNROLLED_OPERATIONS = 200  # a longer epilogue of a whole tile becomes a loop over its rows
_LINE_BYTES = 64


@dataclass(frozen=True)
class Kernel:
    """One register tile, with its epilogue: C[row:, column:] = epilogue(a @ b).

    a: how the tile of A lies.  b: how B lies; "columns" are transposed in registers, a square block at a time, and need
    a tile of one vector.  masked: only the first `columns` columns exist in C, so the last vector is incomplete.
    ragged: nor do more exist in `b`.  floats: the last vector ends with the last of `columns` columns and shares some with
    the one before it.  pieces: what exists of the last vector is stored without a mask, a half, a quarter and so on.
    clamped: only the first `rows` rows exist; the last of them is computed again for each that is missing.
    blocked: the kernel gets a part of K and is told whether it is the first, which starts from zero and not from C, and
    the final one, which has the epilogue.  prefetch: how many cache lines each
    step of K asks for: the first step at `ahead`, the next `apart` elements behind it.  streams: so many bytes before a
    row of B is read it is asked for, 0 for never; rows behind `latest` are not.  copies: what is read of B is
    also written to `copy`, where other kernels find it packed (not for masked kernels, which need a register more).
    fetches: lines of C are asked for before the sums.
    batched: the kernel is told the number of the product.  along: so many elements of K at a time, 0 for one: rows of A
    and columns of B ("columns") are multiplied as vectors, and the lanes of every sum are added up at the end.
    overlaps: what is left of K is the end of a vector that K is long enough for.
    cut: K is summed in parts, which begin where a block begins. adds: a block is a part, whose sums are added to those that
    wait in C. Else blocks go on with the sums that wait in C.
    windows: rows of A are windows of a tensor, at so many levels (see `windows`), 0 for rows at equal distances.
    places: rows of C lie at so many levels, 0 for equal distances.
    """

    element: str
    tile: Tile
    epilogue: Epilogue
    a: Order = "rows"
    b: Order = "rows"
    masked: bool = False
    ragged: bool = False
    floats: bool = False
    pieces: bool = False
    clamped: bool = False
    blocked: bool = False
    prefetch: int = 0
    streams: int = 0
    copies: bool = False
    fetches: bool = False
    batched: bool = False
    along: int = 0
    overlaps: bool = False
    cut: bool = False
    adds: bool = False
    windows: int = 0
    places: int = 0

    @property
    def name(self) -> str:
        flags = {
            "packed": self.a == "columns",
            "transposed": self.b == "columns" and not self.along,
            f"along{self.along}": bool(self.along),
            "overlapping": self.overlaps,
            "masked": self.masked,
            "ragged": self.ragged,
            "floating": self.floats,
            "pieces": self.pieces,
            "clamped": self.clamped,
            "blocked": self.blocked,
            f"ahead{self.prefetch}": bool(self.prefetch),
            f"streams{self.streams}": bool(self.streams),
            "copying": self.copies,
            "fetching": self.fetches,
            f"windows{self.windows}": bool(self.windows),
            f"places{self.places}": bool(self.places),
            "batched": self.batched,
            f"cut{PART}": self.cut,
            "adding": self.adds,
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
            *(_CLAMPED if self.clamped else ()),
            *(_PREFETCHING if self.prefetch else ()),
            *(_STREAMING if self.streams else ()),
            *(_COPYING if self.copies else ()),
            *(WINDOWED if self.windows else ()),
            *(PLACES if self.places else ()),
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
        self.module.remark = WRITTEN_OUT
        function = self.module.function(kernel.name, "void", kernel.parameters)
        named = {p.name: value for p, value in zip(kernel.parameters, function.arguments, strict=True)}
        self.named = named
        self.extra = function.arguments[len(function.arguments) - len(kernel.epilogue.parameters) :]
        self.b = b = Builder(function)
        self.mask = self._lane_mask() if kernel.masked else None
        self.last = b.sub(named["columns"], self.tile.lanes) if kernel.floats else b.constant("i64", 0)
        self.below: list[Value | int] = [self._clamped(r) for r in range(kernel.tile.rows)]
        self.windows = self._windows()
        self.rows = self._rows_of_result()
        self.origin = self._origin()
        self.below_origin: dict[tuple[Block, int], Value] = {}
        starts = self._starts()
        sums = self._all_sums(starts)
        self._finish(self._added_to_waiting(sums) if kernel.adds else sums)
        b.ret()

    def _windows(self) -> WindowReader | None:
        if not self.kernel.windows:
            return None
        return WindowReader(self.b, self.element, self.kernel.windows, self.named["windows"], self.named["from"])

    def _clamped(self, row: int) -> Value | int:
        """The row of the matrices that a row of the tile stands for, from the first one."""
        if not self.kernel.clamped or row == 0:
            return row
        return self.b.intrinsic("smin", "i64", self.b.constant("i64", row), self.b.sub(self.named["rows"], 1))

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
        if self.rows is not None:
            pointer = b.load("ptr", b.gep("ptr", self.rows, row))
            return b.gep(self.stored, pointer, b.add(named["column"], self._across(vector)))
        return b.gep(self.stored, self._row_address(row), self._across(vector))

    def _origin(self) -> Value:
        """The first element of the tile in C."""
        b, named = self.b, self.named
        if self.rows is not None:
            return named["c"]
        return b.gep(self.stored, named["c"], b.add(b.mul(named["ldc"], named["row"]), named["column"]))

    def _row_address(self, row: Value | int) -> Value:
        """Of the first element of a row: where it is one behind another row of this block, it lies one row further."""
        b, distance = self.b, self.named["ldc"]
        if not isinstance(row, int):
            return b.gep(self.stored, self.origin, b.mul(distance, row))
        known = self.below_origin.get((b.block, row))
        if known is not None:
            return known
        above = self.below_origin.get((b.block, row - 1))
        address = b.gep(self.stored, above or self.origin, distance if above else b.mul(distance, row))
        return self.below_origin.setdefault((b.block, row), address)

    def _across(self, vector: int) -> Value:
        """Where a vector begins in the panel."""
        if self.kernel.floats and vector == self.tile.vectors - 1:
            return self.last
        return self.b.constant("i64", vector * self.tile.lanes)

    def _rows_of_result(self) -> Value | None:
        """Pointers to the rows of C in the order of the tile, where these are not at equal distances."""
        b, named, levels = self.b, self.named, self.kernel.places
        if not levels:
            return None
        finder = RowFinder(b, self.stored, levels, named["places"])
        pointers = b.alloca("ptr", self.tile.rows, 8)
        for number, pointer in enumerate(finder.rows(named["c"], named["row"], self.tile.rows)):
            b.store(pointer, b.gep("ptr", pointers, number))
        return pointers

    def _starts(self) -> list[Value]:
        b = self.b
        zeros = [b.constant(self.vector, 0)] * (self.tile.rows * self.tile.vectors)
        self._fetch_result()
        if not self.kernel.blocked or self.kernel.adds:
            return zeros
        with b.if_then_else(b.icmp("ne", self.named["first"], 0)) as (fresh, continued):
            with fresh:
                fresh.yield_(zeros)
            with continued:
                continued.yield_(self._waiting())
        return fresh.results

    def _waiting(self) -> list[Value]:
        """The sums of the blocks before this one, which wait in C."""
        return [
            self.b.load(self.vector, self._address(r, v), mask=self._mask_of(v))
            for r in self.below
            for v in range(self.tile.vectors)
        ]

    def _added_to_waiting(self, sums: list[Value]) -> list[Value]:
        b = self.b
        with b.if_then_else(b.icmp("ne", self.named["first"], 0)) as (fresh, continued):
            with fresh:
                fresh.yield_(sums)
            with continued:
                continued.yield_([added(b, total, value) for total, value in zip(self._waiting(), sums, strict=True)])
        return fresh.results

    def _fetch_result(self) -> None:
        """Asks for the lines of C where its rows are apart: stores that come all at once would wait for each of them."""
        b = self.b
        if not self.kernel.fetches or self.tile.rows == 1 or self.kernel.pieces:
            return
        stored_bytes = element_bytes(self.stored)
        step = max(1, _LINE_BYTES // (self.tile.lanes * stored_bytes))
        with b.if_then(b.icmp("sge", self.named["ldc"], APART_BYTES // stored_bytes)):
            for r in self.below:
                for v in range(0, self.tile.vectors, step):
                    b.prefetch(self._address(r, v), write=True)

    def _finish(self, sums: list[Value]) -> None:
        if not self.kernel.blocked or not self.kernel.epilogue.key:
            self._conclude(sums)
            return
        with self.b.if_then_else(self.b.icmp("ne", self.named["final"], 0)) as (final, interim):
            with final:
                self._conclude(sums)
            with interim:
                self._each_row(sums, lambda value, row, v: self._write(value, self._address(row, v), v))

    def _conclude(self, sums: list[Value]) -> None:
        """Applies the epilogue to all sums."""
        vectors, kernel = self.tile.vectors, self.kernel
        if kernel.clamped or kernel.pieces or kernel.epilogue.operations * len(sums) > _UNROLLED_OPERATIONS:
            self._each_row(sums, lambda value, row, v: self._store([value], row, v))
            return
        for v in range(vectors):
            self._store(sums[v::vectors], 0, v)

    def _each_row(self, sums: list[Value], emit: Callable[[Value, Value | int, int], None]) -> None:
        """Code for every sum; what is long is written once and runs row by row."""
        b, vectors = self.b, self.tile.vectors
        if not self.kernel.pieces and self.kernel.epilogue.operations * len(sums) <= _UNROLLED_OPERATIONS:
            for number, value in enumerate(sums):
                emit(value, self.below[number // vectors], number % vectors)
            return
        waiting = b.alloca(self.vector, len(sums), 64)
        for number, value in enumerate(sums):
            b.store(value, b.gep(self.vector, waiting, number))
        exist = self.named["rows"] if self.kernel.clamped else self.tile.rows
        with b.for_loop(0, exist, nonempty=True) as loop:
            row = b.gep(self.vector, waiting, b.mul(loop.index, vectors))
            for v in range(vectors):
                emit(b.load(self.vector, b.gep(self.vector, row, v)), loop.index, v)

    def _write(self, value: Value, address: Value, vector: int) -> None:
        """Stores what exists of a vector."""
        mask = self._mask_of(vector)
        if mask is None or not self.kernel.pieces:
            self.b.store(value, address, mask=mask)
            return
        b, lanes = self.b, self.tile.lanes
        left = b.sub(self.named["columns"], vector * lanes)
        with b.if_then_else(b.icmp("sge", left, lanes)) as (whole, parts):
            with whole:
                b.store(value, address)
            with parts:
                self._write_pieces(value, address, left)

    def _write_pieces(self, value: Value, address: Value, count: Value) -> None:
        """The first `count` lanes: powers of two of them."""
        b, size = self.b, value.lanes // 2
        scalar = element_type(value.type)
        while size:
            there = b.icmp("ne", b.and_(count, size), 0)
            low, high = (b.shuffle(value, None, range(start, start + size)) for start in (0, size))
            with b.if_then(there):
                b.store(low if size > 1 else b.extractelement(value, 0), address)
            address = b.gep(scalar, address, b.and_(count, size))
            value = b.select(there, high, low)
            size //= 2

    def _store(self, sums: list[Value], row: Value | int, vector: int) -> None:
        """The epilogue of some rows of a vector of columns, and the store."""
        b, named, mask = self.b, self.named, self._mask_of(vector)
        column = b.add(named["column"], self._across(vector))
        place = Place(b.add(named["row"], row), column, mask, self.extra, named.get("batch"))
        values = self.kernel.epilogue.emit(b, sums, place)
        for number, value in enumerate(values):
            if not self.kernel.epilogue.result and self.total != self.element:
                value = b.fptrunc(value, self.element)
            self._write(value, self._address(self._below(row, number), vector), vector)

    def _below(self, row: Value | int, number: int) -> Value | int:
        return row + number if isinstance(row, int) else self.b.add(row, number)

    # The loop over K

    def _all_sums(self, starts: list[Value]) -> list[Value]:
        if self.kernel.along:
            return self._sums_along_k()
        k = self.named["k"]
        transposes = self.kernel.b == "columns"
        moving, sum_part = ([], self._transposed_part()) if transposes else (self._moving(), self._part())
        if self.kernel.cut:
            return sums_of_parts(self.b, k, moving, starts, sum_part)
        return sum_part(self.b.constant("i64", 0), k, moving, starts)[1]

    def _moving(self) -> list[Value]:
        """The pointers that move along K: B, a packed tile of A, what is asked for ahead, where B is copied to."""
        kernel, named = self.kernel, self.named
        names = {"b": True, "a": kernel.a == "columns", "ahead": bool(kernel.prefetch), "copy": kernel.copies}
        return [named[name] for name, moves in names.items() if moves]

    def _part(self) -> SumPart:
        """The products of the tile, row by row."""
        b, named, kernel = self.b, self.named, self.kernel
        factors = self._factors()

        def sum_part(
            start: Value, stop: Value, moving: list[Value], sums: list[Value]
        ) -> tuple[list[Value], list[Value]]:
            with b.for_loop(start, stop, carried=[*moving, *sums]) as loop:
                position, *others = loop.carried[: len(moving)]
                columns = [self._column(position, v) for v in range(self.tile.vectors)]
                following = [b.gep(self.element, position, named["ldb"])]
                tile = others.pop(0) if kernel.a == "columns" else None
                if tile is not None:
                    following.append(b.gep(self.element, tile, named["lda"]))
                if kernel.prefetch:
                    following.append(self._prefetch(others.pop(0)))
                if kernel.copies:
                    following.append(self._copy(columns, others.pop(0)))
                wide = [widened(b, column, self.element) for column in columns]
                updated = self._row_by_row(factors, loop.index, tile, wide, loop.carried[len(moving) :])
                if kernel.streams:
                    self._fetch_stream(position)
                loop.yield_([*following, *updated])
            return loop.results[: len(moving)], loop.results[len(moving) :]

        return sum_part if self.windows is None else self._run_by_run(self.windows, sum_part)

    def _run_by_run(self, windows: WindowReader, sum_run: SumPart) -> SumPart:
        """A part of K whose elements of A lie in runs: each is summed as if its elements had these numbers."""
        b = self.b

        def sum_part(
            start: Value, stop: Value, moving: list[Value], sums: list[Value]
        ) -> tuple[list[Value], list[Value]]:
            count = len(moving)
            with b.while_loop([start, *moving, *sums]) as loop:
                here, *others = loop.carried
                loop.while_(b.icmp("slt", here, stop))
                shift, end = windows.piece(here, stop)
                moved, added_up = sum_run(b.add(here, shift), b.add(end, shift), others[:count], others[count:])
                loop.yield_([end, *moved, *added_up])
            return others[:count], others[count:]

        return sum_part

    def _copy(self, columns: Sequence[Value], copy: Value) -> Value:
        for v, column in enumerate(columns):
            self.b.store(column, self.b.gep(self.element, copy, v * self.tile.lanes))
        return self.b.gep(self.element, copy, self.tile.vectors * self.tile.lanes)

    def _factors(self) -> list[Value]:
        """Pointers to the rows of A where they are."""
        if self.kernel.a == "columns":
            return []
        if self.windows is not None:
            return self.windows.rows(self.named["a"], self.named["row"], self.tile.rows)
        b, lda = self.b, self.named["lda"]
        pointers = [self.named["a"]]
        for r in self.below[1:]:
            behind = b.gep(self.element, pointers[-1], lda) if isinstance(r, int) else None
            pointers.append(behind or b.gep(self.element, self.named["a"], b.mul(lda, r)))
        return pointers

    def _column(self, position: Value, vector: int) -> Value:
        b = self.b
        mask = self._mask_of(vector) if self.kernel.ragged else None
        address = b.gep(self.element, position, self._across(vector))
        return b.load(vector_of(self.element, self.tile.lanes), address, mask=mask)

    def _fetch_stream(self, position: Value) -> None:
        b, size = self.b, element_bytes(self.element)
        ahead, latest = b.gep(self.element, position, self.kernel.streams // size, inbounds=False), self.named["latest"]
        ahead = b.select(b.icmp("ult", ahead, latest), ahead, latest)
        for start in range(0, self.tile.columns * size, _LINE_BYTES):
            b.prefetch(b.gep(self.element, ahead, start // size))

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

    def _transposed_part(self) -> SumPart:
        b, lanes = self.b, self.tile.lanes
        columns, factors = self._column_pointers(), self._factors()
        type_ = vector_of(self.element, lanes)

        def sum_part(
            start: Value, stop: Value, moving: list[Value], sums: list[Value]
        ) -> tuple[list[Value], list[Value]]:
            whole = b.sub(stop, b.urem(b.sub(stop, start), lanes))
            with b.for_loop(start, whole, lanes, carried=sums) as loop:
                square = [b.load(type_, b.gep(self.element, column, loop.index)) for column in columns]
                sums = loop.carried
                for step, column in enumerate(transpose(b, square)):
                    wide = widened(b, column, self.element)
                    sums = self._row_by_row(factors, b.add(loop.index, step), None, [wide], sums)
                loop.yield_(sums)
            with b.for_loop(whole, stop, carried=loop.results) as rest:
                column = widened(b, self._collected(columns, rest.index), self.element)
                rest.yield_(self._row_by_row(factors, rest.index, None, [column], rest.carried))
            return moving, rest.results

        return sum_part

    # Vectors along K

    def _sums_along_k(self) -> list[Value]:
        """A vector of sums for every row and column; what is left of K fills a part of one more."""
        b, k, width = self.b, self.named["k"], self.kernel.along
        rows, columns = self._factors(), self._column_pointers()
        none = b.constant(vector_of(self.total, width), 0)
        whole = b.sub(k, b.urem(k, width))
        with b.for_loop(0, whole, width, carried=[none] * (len(rows) * len(columns))) as loop:
            loop.yield_(self._step_along_k(rows, columns, loop.index, loop.carried, None))
        sums = self._rest_along_k(rows, columns, whole, loop.results)
        lanes = len(columns)
        return [self._folded(sums[row * lanes : (row + 1) * lanes]) for row in range(len(rows))]

    def _rest_along_k(self, rows: list[Value], columns: list[Value], whole: Value, sums: list[Value]) -> list[Value]:
        """What fills no vector: by a mask, or where that is dear as the end of a vector whose other lanes are zeros."""
        b, k, width = self.b, self.named["k"], self.kernel.along
        if not self.kernel.overlaps:
            with b.for_loop(whole, k, width, carried=sums) as rest:
                mask = b.lane_mask(b.sub(k, rest.index), width)
                rest.yield_(self._step_along_k(rows, columns, rest.index, rest.carried, mask))
            return rest.results
        with b.for_loop(whole, k, width, carried=sums) as rest:
            before = b.lane_mask(b.add(b.sub(rest.index, k), width), width)
            rest.yield_(self._step_along_k(rows, columns, b.sub(k, width), rest.carried, None, before))
        return rest.results

    def _step_along_k(
        self, rows: list[Value], columns: list[Value], k: Value, sums: list[Value], mask: Value | None,
        zeros: Value | None = None,
    ) -> list[Value]:  # fmt: skip
        """One step; `zeros`: lanes that have been counted already."""
        b, type_ = self.b, vector_of(self.element, self.kernel.along)

        def read(pointer: Value) -> Value:
            value = b.load(type_, b.gep(self.element, pointer, k), mask=mask)
            value = value if zeros is None else b.select(zeros, b.constant(type_, 0), value)
            return widened(b, value, self.element)

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
