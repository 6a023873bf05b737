"""The driver of a matrix product: loops over units, blocks of K, panels and tiles around the kernels. See `gemm`."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import replace

from optc.codegen.gemm.kernel import Kernel
from optc.codegen.gemm.packing import column_packing, panel_packing, tile_packing
from optc.codegen.gemm.pieces import Block, Following, Panel
from optc.codegen.gemm.plan import CONFLICTING_BYTES, MOST_NARROW, SECOND_LEVEL_BYTES
from optc.codegen.gemm.product import ALIGNMENT, RANGE, Gemm
from optc.codegen.gemm.sums import PART
from optc.codegen.gemm.tiles import MAX_ROWS_IN_PLACE, Tile, element_bytes, last_columns, split_evenly
from optc.codegen.llvm import CALLS_ONLY, Builder, Module, Value


def product_modules(gemm: Gemm, known: Container[str] = ()) -> dict[str, Module]:
    """The driver and its kernels but those that are `known`, one module per function, by name.

    Modules of the same name are the same.
    """
    writer = _DriverWriter(gemm)
    kernels = {kernel.name: kernel for kernel in writer.kernels}
    made = {name: kernel.module() for name, kernel in kernels.items() if name not in known}
    return {gemm.name: writer.module, **made}


_LONG_KERNEL = 1536
"""Where a kernel multiplies and adds so many vectors, a driver that LLVM spends no effort on costs a product less than a
hundredth of its time; up to a thirtieth where it has less to do."""

TILES_TO_SPLIT_FOR = 8
"""Where extents are not known, half a vector behind others is computed apart from them for so many tiles of rows: on a Zen 4
192 x 22 x 182 takes 0.82 of the time, 23 x 21 x 195 1.08."""


class _DriverWriter:
    """Writes the loops around the kernels, and notes which kernels they call."""

    def __init__(self, gemm: Gemm) -> None:
        self.gemm = gemm
        self.plan = gemm.plan
        self.tile = gemm.tile
        self.kernels: list[Kernel] = []
        self.module = Module(gemm.name)
        function = self.module.function(gemm.name, "void", gemm.parameters)
        named = {p.name: value for p, value in zip(gemm.parameters, function.arguments, strict=True)}
        self.named = named
        last = len(function.arguments) - len(RANGE)
        self.extra = function.arguments[last - len(gemm.epilogue.parameters) : last]
        self.b = b = Builder(function)
        self.m, self.n, self.k = (
            named[name] if known is None else b.constant("i64", known)
            for known, name in ((gemm.m, "m"), (gemm.n, "n"), (gemm.k, "k"))
        )
        self._units()
        b.ret()
        self.module.remark = CALLS_ONLY if self._calls_only() else ""

    def _calls_only(self) -> bool:
        """Whether a call of a kernel takes so long that it does not matter how fast it is made."""
        steps = self.gemm.k if not self.plan.steps or self.gemm.k is None else min(self.gemm.k, self.plan.steps)
        plan = self.plan
        packs = plan.packs_a or plan.packs_b or plan.packs_from or plan.transposes or plan.few is not None
        return steps is not None and self.tile.rows * self.tile.vectors * steps >= _LONG_KERNEL and not packs

    # Arithmetic that is done here where the numbers are known

    def _ceiling(self, value: Value, divisor: int) -> Value:
        known = _known(value)
        if known is not None:
            return self.b.constant("i64", -(-known // divisor))
        return self.b.udiv(self.b.add(value, divisor - 1), divisor)

    def _scaled(self, value: Value, factor: Value | int) -> Value:
        """value * factor."""
        left, right = _known(value), factor if isinstance(factor, int) else _known(factor)
        if left is not None and isinstance(right, int):
            return self.b.constant("i64", left * right)
        return self.b.constant("i64", 0) if 0 in (left, right) else self.b.mul(value, factor)

    def _moved(self, pointer: Value, *offsets: Value) -> Value:
        for offset in offsets:
            pointer = self.b.gep(self.gemm.element, pointer, offset)
        return pointer

    # Units

    def _units(self) -> None:
        """Walks over the units of the groups asked for, as far as they share a chunk at a time."""
        b, gemm = self.b, self.gemm
        self.panels = self._ceiling(self.n, self.tile.columns)
        self.chunks = self._ceiling(self.m, self.plan.rows)
        lines = self.chunks if not gemm.is_batched else b.mul(self.chunks, self.named["batches"])
        units = self._product_of(lines, self.panels)
        first, last = (self._boundary(units, self.named[name]) for name in ("start", "stop"))
        self._scratch()
        each, emit = (self.chunks, self._chunks_of_panel) if self.plan.panel_by_panel else (self.panels, self._line)
        with b.while_loop([first]) as loop:
            unit = loop.carried[0]
            loop.while_(b.icmp("slt", unit, last))
            line = self._quotient(unit, each)
            place = b.sub(unit, b.mul(line, each))
            count = b.intrinsic("smin", "i64", b.sub(each, place), b.sub(last, unit))
            emit(line, place, b.add(place, count))
            loop.yield_([b.add(unit, count)])

    def _product_of(self, left: Value, right: Value) -> Value:
        return self._scaled(left, right) if _known(left) is not None else self.b.mul(left, right)

    def _quotient(self, value: Value, divisor: Value) -> Value:
        return value if _known(divisor) == 1 else self.b.udiv(value, divisor)

    def _boundary(self, units: Value, group: Value) -> Value:
        """Where the units of a group start."""
        if _known(units) == self.gemm.groups:
            return group
        return self.b.udiv(self.b.mul(units, group), self.gemm.groups)

    def _scratch(self) -> None:
        """Packed A first, then the panel of B."""
        b, gemm, plan = self.b, self.gemm, self.plan
        if not (plan.packs_a or plan.panel_columns):
            return
        size = element_bytes(gemm.element)
        steps = b.constant("i64", plan.steps) if plan.steps else self.k
        rows = plan.rows if plan.packs_a else 0
        chunk = b.mul(steps, -(-rows * size // ALIGNMENT) * ALIGNMENT)
        columns = plan.panel_columns
        whole = b.add(b.add(chunk, b.mul(steps, columns * size)), 3 * ALIGNMENT - 1)
        group_bytes = b.and_(whole, -ALIGNMENT)
        self.packed_a = b.gep("i8", self.named["scratch"], b.mul(self.named["start"], group_bytes))
        self.packed_b = b.gep("i8", self.packed_a, b.and_(b.add(chunk, 2 * ALIGNMENT - 1), -ALIGNMENT))

    def _line(self, line: Value, first: Value, last: Value) -> None:
        """Some panels of a chunk of rows of one product."""
        b, chunk, batch = self.b, line, None
        if self.gemm.is_batched:
            batch = self._quotient(line, self.chunks)
            chunk = b.sub(line, b.mul(batch, self.chunks))
        rows = self._first_row(chunk), self._first_row(b.add(chunk, 1))
        if _known(self.chunks) == 1:
            rows = b.constant("i64", 0), self.m
        self._panels_of_rows(batch, *rows, first, last)

    def _first_row(self, chunk: Value) -> Value:
        """Where a chunk of rows begins: all have about as many tiles, so that as many of them take about as long."""
        tiles = self._ceiling(self.m, self.tile.rows)
        first = self._quotient(self._product_of(tiles, chunk), self.chunks)
        return self.b.intrinsic("smin", "i64", self._scaled(first, self.tile.rows), self.m)

    def _chunks_of_panel(self, line: Value, first: Value, last: Value) -> None:
        """Some chunks of rows times a panel of one product."""
        b, panel, batch = self.b, line, None
        if self.gemm.is_batched:
            batch = self._quotient(line, self.panels)
            panel = b.sub(line, b.mul(batch, self.panels))
        self._panels_of_rows(batch, self._first_row(first), self._first_row(last), panel, b.add(panel, 1))

    def _panels_of_rows(self, batch: Value | None, start: Value, stop: Value, first: Value, last: Value) -> None:
        """Rows `start` to `stop` times panels `first` to `last` of one product."""
        b, gemm, named = self.b, self.gemm, self.named
        a, matrix, c = named["a"], named["b"], named["c"]
        if batch is not None:
            a, matrix = (
                self._moved(pointer, b.mul(named[step], batch)) for pointer, step in ((a, "step_a"), (matrix, "step_b"))
            )
            c = b.gep(gemm.epilogue.result or gemm.element, c, b.mul(named["step_c"], batch))
        whole = Block(batch, a, matrix, c, start, stop, b.constant("i64", 0), self.k, ())
        if self.plan.few is None:
            self._blocks(whole, first, last)
            return
        # By what they are alone, so that all products that could have these extents do the same.
        long = b.and_(b.icmp("sge", self.k, self.plan.few_along), b.icmp("sle", self.k, PART))
        with b.if_then_else(b.and_(b.icmp("sle", self.n, MOST_NARROW), long)) as (narrow, wide):
            with narrow:
                self._few_columns(whole, self.plan.few)
            with wide:
                self._blocks(whole, first, last)

    def _blocks(self, whole: Block, first: Value, last: Value) -> None:
        """Panels `first` to `last`, a block of K after the other."""
        if not self.plan.steps:
            self._block(whole, first, last)
            return
        b, steps = self.b, self.plan.steps
        blocks = b.intrinsic("smax", "i64", self._ceiling(self.k, steps), b.constant("i64", 1))
        with b.for_loop(0, blocks, nonempty=True) as loop:
            k = b.mul(loop.index, steps)
            here = b.intrinsic("smin", "i64", b.sub(self.k, k), b.constant("i64", steps))
            fresh = b.zext(b.icmp("eq", loop.index, 0), "i64")
            final = b.zext(b.icmp("eq", loop.index, b.sub(blocks, 1)), "i64")
            self._block(replace(whole, k=k, steps=here, flags=(fresh, final)), first, last)

    def _block(self, block: Block, first: Value, last: Value) -> None:
        """Panels `first` to `last` for a chunk of rows and a block of K."""
        if self.plan.packs_a:
            self._pack_rows(block)
        if self._splits_evenly():
            self._split(block, first, last)
            return
        b, columns = self.b, self.tile.columns
        known = _known(self.n)
        whole = b.constant("i64", known // columns) if known is not None else b.udiv(self.n, columns)
        if known is None or known >= columns:
            stop = b.intrinsic("smin", "i64", last, whole)
            with b.for_loop(first, stop) as loop:
                panel = self._in_turn(first, stop, loop.index)
                self._tiles(block, self._panel(block, b.mul(panel, columns), self.tile.vectors, None))
        if known is not None and known % columns == 0:
            return
        with b.if_then(b.icmp("sgt", last, whole)):
            column = b.mul(whole, columns)
            if known is None:
                self._last_columns(block, lambda: self._unknown_columns(block, column))
                return
            self._rest_of_columns(block, column, known % columns)

    def _in_turn(self, first: Value, stop: Value, index: Value) -> Value:
        """The panel whose turn it is, of those from `first` to `stop`."""
        if not self.plan.alternates:
            return index
        b = self.b
        mirrored = b.sub(b.sub(b.add(first, stop), 1), index)
        return b.select(b.icmp("ne", self.named["reverse"], 0), mirrored, index)

    def _few_columns(self, block: Block, tile: Tile) -> None:
        """All columns, with vectors along K."""
        b, gemm, pointer, stride = self.b, self.gemm, block.b, self.named["ldb"]
        if gemm.source == "rows":
            packing = column_packing(self.module, gemm.element)
            b.call(packing, pointer, stride, block.steps, self.n, self.packed_b)
            pointer, stride = self.packed_b, block.steps
        panel = Panel(pointer, stride, b.constant("i64", 0), 1, self.n, None, tile.lanes, is_along_k=True)
        with b.for_loop(block.start, block.stop, tile.rows) as loop:
            self._tile(replace(block, flags=()), panel, tile.rows, loop.index)

    def _last_columns(self, block: Block, otherwise: Callable[[], None]) -> None:
        """What no whole panel holds, where masks are cheap, or there is no other way: or else a panel as wide as the
        others that ends with the last column, where there are as many, and no sums wait in C between blocks of K, which
        would count twice."""
        b, gemm, plan, columns = self.b, self.gemm, self.plan, self.tile.columns
        dear = plan.dear_masks and gemm.n is None
        if not dear or plan.transposes or plan.along:
            otherwise()
            return
        fits = b.icmp("sge", self.n, columns)
        if plan.steps:
            fits = b.and_(fits, b.icmp("sle", self.k, plan.steps))
        with b.if_then_else(fits) as (whole, parts):
            with whole:
                self._tiles(block, self._panel(block, b.sub(self.n, columns), self.tile.vectors, None))
            with parts:
                otherwise()

    def _split(self, block: Block, first: Value, last: Value) -> None:
        """Even panels, or the only one that a vector or less of columns makes."""
        if self.gemm.n is not None:
            self._even_panels(block, first, last)
            return
        b = self.b
        with b.if_then_else(b.icmp("sgt", self.n, self.tile.lanes)) as (many, few):
            with many:
                self._even_panels(block, first, last)
            with few, b.if_then(b.icmp("slt", first, last)):
                self._tiles(block, self._part_of_vector(block))

    def _part_of_vector(self, block: Block) -> Panel:
        """A vector or less of columns, packed where there is memory for that: loads that have a mask take long."""
        b, plan, lanes = self.b, self.plan, self.tile.lanes
        panel = self._panel(block, b.constant("i64", 0), 1, self.n)
        if plan.packs_b or not plan.keeps_panel:
            return panel
        packing = panel_packing(self.module, self.gemm.element, self.gemm.source, lanes, 1)
        b.call(packing, panel.pointer, panel.stride, block.steps, self.n, self.packed_b)
        return replace(panel, pointer=self.packed_b, stride=b.constant("i64", lanes), packed=True)

    def _splits_evenly(self) -> bool:
        """Whether panels are about equally wide, and the last vector ends with the last column."""
        gemm, plan = self.gemm, self.plan
        if gemm.source == "packed" or plan.transposes or plan.along or not plan.dear_masks:
            return False
        if gemm.n is None:
            return self.tile.vectors in (2, 3)
        return gemm.n > self.tile.lanes and self.tile.vectors > 1

    def _even_panels(self, block: Block, first: Value, last: Value) -> None:
        """Panels `first` to `last` of `split_evenly`: every width has a loop of its own."""
        b, lanes, most = self.b, self.tile.lanes, self.tile.vectors
        begin, column = b.constant("i64", 0), b.constant("i64", 0)
        widths: list[tuple[Value, int]]
        if self.gemm.n is None:
            needed = b.udiv(b.add(self.n, lanes - 1), lanes)
            narrow = b.sub(b.mul(self.panels, most), needed)
            widths = [(b.sub(self.panels, narrow), most), (narrow, most - 1)]
            widths = widths if most > 2 else widths[::-1]
        else:
            widths = [(b.constant("i64", count), v) for count, v in split_evenly(-(-self.gemm.n // lanes), most)]
        for number, (count, vectors) in enumerate(widths):
            end = b.add(begin, count)
            floats = self.gemm.n is None or self.gemm.n % lanes != 0 and number == len(widths) - 1
            start, stop = b.intrinsic("smax", "i64", first, begin), b.intrinsic("smin", "i64", last, end)
            with b.for_loop(start, stop) as loop:
                here = b.add(column, b.mul(b.sub(loop.index, begin), vectors * lanes))
                self._tiles(block, self._panel(block, here, vectors, None, floats))
            begin, column = end, b.add(column, b.mul(count, vectors * lanes))

    def _unknown_columns(self, block: Block, column: Value) -> None:
        """As many vectors as are needed, the last of them masked, or where masks are dear halving numbers of vectors
        while they fit, then one after the other with a mask."""
        b, lanes = self.b, self.tile.lanes
        left = b.sub(self.n, column)
        whole = self._panel(block, column, self.tile.vectors, left)
        if not self.plan.dear_masks:
            self._some_vectors(block, whole, left)
            return
        done = b.constant("i64", 0)
        for vectors in _halves(self.tile.vectors // 2, 2):
            fits = b.icmp("sge", b.sub(left, done), vectors * lanes)
            with b.if_then(fits):
                self._tiles(block, self._part(whole, done, vectors, lanes, None))
            done = b.add(done, b.select(fits, b.constant("i64", vectors * lanes), 0))
        with b.for_loop(done, left, lanes) as loop:
            self._tiles(block, self._part(whole, loop.index, 1, lanes, b.sub(left, loop.index)))

    def _some_vectors(self, block: Block, panel: Panel, columns: Value) -> None:
        """So many columns of a panel that is not full; half a vector is computed by a kernel of its own, behind others where
        that takes half of the time and there are rows enough for it to be worth another pass over them."""
        b, lanes = self.b, self.tile.lanes
        narrow = last_columns(lanes, self.gemm.element, 1, self.plan.halves)[-1][1]
        rest = b.urem(columns, lanes)
        ends_narrow = b.and_(b.icmp("sgt", rest, 0), b.icmp("sle", columns, narrow))
        if self.plan.halves:
            many = b.icmp("sge", b.sub(block.stop, block.start), TILES_TO_SPLIT_FOR * self.tile.rows)
            behind = b.and_(b.icmp("sgt", rest, 0), b.icmp("sle", rest, narrow))
            ends_narrow = b.or_(ends_narrow, b.and_(behind, many))
        wide = b.sub(columns, b.select(ends_narrow, rest, b.constant("i64", 0)))
        start = b.constant("i64", 0)
        for vectors in range(1, self.tile.vectors + 1):
            with b.if_then(b.icmp("eq", b.udiv(b.add(wide, lanes - 1), lanes), vectors)):
                self._tiles(block, self._part(panel, start, vectors, lanes, wide))
        with b.if_then(ends_narrow):
            self._tiles(block, self._part(panel, wide, 1, narrow, rest))

    def _part(self, panel: Panel, done: Value, vectors: int, lanes: int, columns: Value | None) -> Panel:
        """Some vectors of a panel, behind `done` columns."""
        pointer, column = self._moved(panel.pointer, done), self.b.add(panel.column, done)
        return Panel(pointer, panel.stride, column, vectors, columns, panel.following, lanes)

    def _rest_of_columns(self, block: Block, column: Value, rest: int) -> None:
        """A known number of columns, with as many vectors as they need."""
        b, done, lanes = self.b, 0, self.tile.lanes
        if rest > lanes and rest % lanes and self.plan.dear_masks:
            self._tiles(block, self._panel(block, column, -(-rest // lanes), None, True))
            return
        whole = self._panel(block, column, -(-rest // lanes), b.constant("i64", rest))
        for vectors, lanes in last_columns(self.tile.lanes, self.gemm.element, rest, self.plan.halves):
            width = min(rest - done, vectors * lanes)
            columns = None if width == vectors * lanes else b.constant("i64", width)
            self._tiles(block, self._part(whole, b.constant("i64", done), vectors, lanes, columns))
            done += width

    def _panel(self, block: Block, column: Value, vectors: int, columns: Value | None, floats: bool = False) -> Panel:
        """Where a panel of B lies, packed if need be; `floats`: its last vector ends with the last column."""
        panel = self._place_of_panel(block, column, vectors, columns, floats)
        if not floats:
            return panel
        left = self.b.sub(self.n, column)
        width = self.b.constant("i64", vectors * self.tile.lanes)
        return replace(panel, columns=self.b.intrinsic("smin", "i64", left, width), floats=True)

    def _place_of_panel(self, block: Block, column: Value, vectors: int, columns: Value | None, floats: bool) -> Panel:
        b, plan, named = self.b, self.plan, self.named
        width = b.constant("i64", vectors * self.tile.lanes)
        if self.gemm.source == "packed":
            begin = b.add(b.mul(column, self.k), b.mul(block.k, width))
            following = self._next_packed(block, begin, width)
            return Panel(self._moved(block.b, begin), width, column, vectors, columns, following, self.tile.lanes)
        place = self._place_in_b(block, column)
        if not plan.packs_b:
            return Panel(place, named["ldb"], column, vectors, columns, self._next_rows(place, width), self.tile.lanes)
        if plan.along:
            packing = column_packing(self.module, self.gemm.element)
            b.call(packing, place, named["ldb"], block.steps, self.n, self.packed_b)
            return Panel(self.packed_b, block.steps, column, vectors, columns, None, self.tile.lanes)
        packing = panel_packing(self.module, self.gemm.element, self.gemm.source, self.tile.lanes, vectors, floats)
        exist = width if columns is None else columns
        if floats:
            exist = b.intrinsic("smin", "i64", b.sub(self.n, column), width)
        b.call(packing, place, named["ldb"], block.steps, exist, self.packed_b)
        return Panel(self.packed_b, width, column, vectors, columns, self._next_rows(place, width), self.tile.lanes)

    def _place_in_b(self, block: Block, column: Value) -> Value:
        row, across = (block.k, column) if self.gemm.source == "rows" else (column, block.k)
        return self._moved(block.b, self.b.mul(row, self.named["ldb"]), across)

    def _next_packed(self, block: Block, place: Value, width: Value) -> Following | None:
        """Packed panels lie one behind the other: `place` is where this one begins, in elements.

        What lies behind the matrix may be no memory at all, and asking for that is as slow as a miss: a quarter of the
        time of a perceptron with 64 rows on a Zen 1. So the last panels ask for the end of the matrix.
        """
        if not self.plan.prefetch:
            return None
        b, apart = self.b, self.b.constant("i64", self.plan.ahead or self.plan.prefetch * self._line_elements())
        part, lanes = b.mul(block.steps, apart), self.tile.lanes
        columns = b.mul(b.udiv(b.add(self.n, lanes - 1), lanes), lanes)
        latest = b.sub(b.mul(self.k, columns), b.mul(part, self._last_part() + 1))
        next_one = b.intrinsic("smin", "i64", b.add(place, b.mul(width, self.k)), latest)
        following = self._moved(block.b, b.intrinsic("smax", "i64", next_one, b.constant("i64", 0)))
        return Following(following, apart, part)

    def _last_part(self) -> int:
        """The number of the last of the parts in which tiles ask for the next panel."""
        each = self.plan.ahead or self.plan.prefetch * self.tile.lanes
        return -(-self.tile.columns // each) - 1

    def _next_rows(self, place: Value, width: Value) -> Following | None:
        """The next panel of a matrix K x N lies beside this one, a piece in every row."""
        if not self.plan.prefetch:
            return None
        line = self._line_elements()
        part = self.b.constant("i64", self.plan.prefetch * line)
        # Where rows are not aligned, this panel has brought the first line of the next one: ask for ends of vectors.
        ends = self._moved(place, width, self.b.constant("i64", line - 1))
        if _known(self.n) is not None and _known(self.k) is not None:
            return Following(ends, self.named["ldb"], part)
        # A small matrix is near already, and lines that compete for places are gone before they are used: ask for what
        # is here.
        b, none = self.b, self.b.constant("i64", 0)
        size = element_bytes(self.gemm.element)
        is_far = b.icmp("sge", b.mul(self.n, self.k), SECOND_LEVEL_BYTES // size)
        is_far = b.and_(is_far, b.icmp("ne", b.and_(self.named["ldb"], CONFLICTING_BYTES // size - 1), 0))
        ahead, apart, part = (
            b.select(is_far, far, near) for far, near in ((ends, place), (self.named["ldb"], none), (part, none))
        )
        return Following(ahead, apart, part)

    def _line_elements(self) -> int:
        return 64 // element_bytes(self.gemm.element)

    # Tiles

    def _heights(self) -> list[int]:
        """The kernel heights that cover the rows: the tile's, then the exact rest, or halves of it if unknown."""
        rows = self.tile.rows
        if self.gemm.m is not None:
            rest = self.gemm.m % rows
            return [size for size in (rows if self.gemm.m >= rows else 0, rest) if size]
        return _halves(rows, 1)

    def _for_each_tile(self, start: Value, stop: Value, emit: _EmitTile, vectors: int = 0) -> None:
        """Calls `emit` for all rows; with tiles of so many vectors of columns, whose kernels know how many rows exist."""
        b = self.b
        if self.gemm.clamps and vectors:
            self._for_each_clamped(start, stop, emit, vectors)
            return
        for size in self._heights():
            whole = b.sub(stop, b.srem(b.sub(stop, start), size))
            with b.for_loop(start, whole, size) as loop:
                emit(size, loop.index)
            start = whole

    def _for_each_clamped(self, start: Value, stop: Value, emit: _EmitTile, vectors: int) -> None:
        """Tiles, the last of which may have rows too many; of the usual width one of half as many rows where these suffice,
        for others that would be one kernel more to compile."""
        b = self.b
        rows = MAX_ROWS_IN_PLACE if vectors == 1 else self.tile.rows
        half = rows // 2 if vectors == self.tile.vectors > 1 else 0
        tiles = b.udiv(b.add(b.sub(stop, start), rows - 1 - half), rows)
        end = b.add(start, b.mul(tiles, rows))
        with b.for_loop(start, end, rows) as loop:
            emit(rows, loop.index)
        if not half:
            return
        with b.if_then(b.icmp("slt", end, stop)):
            emit(half, end)

    def _tile_of_a(self, block: Block, row: Value) -> Value:
        b, lda = self.b, self.named["lda"]
        if self.gemm.windows:
            return block.a
        if self.gemm.a == "rows":
            return self._moved(block.a, b.mul(row, lda), block.k)
        return self._moved(block.a, b.mul(block.k, lda), row)

    def _packed_tile(self, block: Block, row: Value) -> Value:
        return self._moved(self.packed_a, self.b.mul(self.b.sub(row, block.start), block.steps))

    def _pack_rows(self, block: Block) -> None:
        lanes = 1 << (self.tile.rows - 1).bit_length() if self.tile.rows > 1 else 2
        lanes = min(lanes, max(self.tile.lanes, 4))
        packing = tile_packing(self.module, self.gemm.element, self.gemm.a, lanes)

        def emit(rows: int, row: Value) -> None:
            source, target = self._tile_of_a(block, row), self._packed_tile(block, row)
            self.b.call(packing, source, self.named["lda"], rows, block.steps, target)

        self._for_each_tile(block.start, block.stop, emit)

    def _tiles(self, block: Block, panel: Panel) -> None:
        """One panel times all tiles of rows."""
        if self.plan.packs_from and (panel.columns is None or panel.floats):
            panel = self._packed_for_many(block, panel)
        if not self.plan.copies_b or panel.columns is not None or panel.vectors != self.tile.vectors:
            emit: _EmitTile = lambda rows, row: self._tile(block, panel, rows, row)
            self._for_each_tile(block.start, block.stop, emit, panel.vectors)
            return
        # The first tile leaves the panel packed behind it.
        b = self.b
        width = b.constant("i64", panel.vectors * panel.lanes)
        several = b.icmp("sge", b.sub(block.stop, block.start), 2 * self.tile.rows)
        with b.if_then_else(several) as (copied, used_in_place):
            with copied:
                self._tile(block, panel, self.tile.rows, block.start, self.packed_b)
                copied.yield_([self.packed_b, width, b.add(block.start, self.tile.rows)])
            with used_in_place:
                used_in_place.yield_([panel.pointer, panel.stride, b.add(block.start, 0)])
        pointer, stride, start = copied.results
        rest = replace(panel, pointer=pointer, stride=stride)
        self._for_each_tile(start, block.stop, lambda rows, row: self._tile(block, rest, rows, row))

    def _packed_for_many(self, block: Block, panel: Panel) -> Panel:
        """The panel where it is, or packed, where enough rows use it."""
        b, element = self.b, self.gemm.element
        packing = panel_packing(self.module, element, self.gemm.source, panel.lanes, panel.vectors, panel.floats)
        width = b.constant("i64", panel.vectors * panel.lanes)
        columns = width if panel.columns is None else panel.columns
        many = b.icmp("sge", b.sub(block.stop, block.start), self.plan.packs_from)
        with b.if_then_else(many) as (packed, in_place):
            with packed:
                b.call(packing, panel.pointer, panel.stride, block.steps, columns, self.packed_b)
                packed.yield_([self.packed_b, width])
            with in_place:
                in_place.yield_([panel.pointer, panel.stride])
        pointer, stride = packed.results
        return replace(panel, pointer=pointer, stride=stride)

    def _tile(self, block: Block, panel: Panel, rows: int, row: Value, copy: Value | None = None) -> None:
        """The call of a kernel; `copy`: where it leaves the panel packed."""
        b, named = self.b, self.named
        masked = panel.columns is not None and not panel.floats
        kernel = self.gemm.kernel(rows, panel.vectors, masked, copy is not None, panel.lanes, panel.floats)
        if panel.packed:
            kernel = replace(kernel, ragged=False)
        if panel.is_along_k:
            kernel = self.gemm.kernel_along_k(Tile(rows, 1, panel.lanes))
        if kernel not in self.kernels:
            self.kernels.append(kernel)
        callee = self.module.declare(kernel.name, "void", [parameter.type for parameter in kernel.parameters])
        if kernel.a == "columns" and self.plan.packs_a:
            a, lda = self._packed_tile(block, row), b.constant("i64", rows)
        else:
            a, lda = self._tile_of_a(block, row), named["lda"]
        columns = b.constant("i64", 0) if panel.columns is None else panel.columns
        exist = [b.intrinsic("smin", "i64", b.sub(block.stop, row), b.constant("i64", rows))] if kernel.clamped else []
        ahead = self._ahead(block, panel.following, row) if panel.following is not None else []
        ahead += [self._latest(block, panel)] if kernel.streams else []
        copies = [] if copy is None else [copy]
        lies = [named["windows"], block.k] if self.gemm.windows else []
        lies += [named["places"]] if self.gemm.places else []
        batch = [] if block.batch is None else [block.batch]
        b.call(
            callee, a, lda, panel.pointer, panel.stride, block.steps, block.c, named["ldc"], row, panel.column, columns,
            *exist, *ahead, *copies, *lies, *block.flags, *batch, *self.extra,
        )  # fmt: skip

    def _latest(self, block: Block, panel: Panel) -> Value:
        """Where the last step of K reads packed weights; what lies behind them is not asked for (see `_next_packed`)."""
        b, lanes = self.b, self.tile.lanes
        columns = self._scaled(self._ceiling(self.n, lanes), lanes)
        return self._moved(block.b, b.sub(b.mul(self.k, columns), panel.vectors * panel.lanes))

    def _ahead(self, block: Block, following: Following, row: Value) -> list[Value]:
        """The part of the next panel that this tile asks for; the tiles after the last part ask for that again."""
        b = self.b
        tile = b.udiv(b.sub(row, block.start), self.tile.rows)
        part = b.mul(b.intrinsic("smin", "i64", tile, b.constant("i64", self._last_part())), following.part)
        return [b.gep(self.gemm.element, following.pointer, part, inbounds=False), following.apart]


_EmitTile = Callable[[int, Value], None]


def _halves(number: int, least: int) -> list[int]:
    """The number, half of it, half of that, down to `least`."""
    halves = []
    while number >= least:
        halves.append(number)
        number //= 2
    return halves


def _known(value: Value) -> int | None:
    """The number that a value is, None for one only known at run time."""
    return int(value.name) if value.name.lstrip("-").isdigit() else None
