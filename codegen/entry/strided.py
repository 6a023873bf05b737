"""Arguments with gaps between their elements, or in another order: copies for the time of a call."""

from __future__ import annotations

from optc.codegen.entry.code import Code
from optc.codegen.entry.layout import DESCRIPTION, INPUT, SCRATCH
from optc.codegen.llvm import Value

_TILE = 8
"""Rows and columns that are turned in registers."""
_TURNED_BYTES = 4
"""The size of elements for which there is such code."""
_BLOCK = 128
"""So many elements of a column are read one behind the other, and as many rows written side by side."""


def write_strided_functions(code: Code) -> None:
    """`read_strided`, and what it calls. Most programs never run it."""
    _copy_row(code)
    _copy_plane(code)
    _copy_strided(code)
    _read_strided(code)


def _read_strided(code: Code) -> None:
    """A copy without gaps; `strides` count in `unit` bytes."""
    signature = (
        "ptr description", "ptr record", "ptr source", "ptr strides", "i64 unit", "ptr target", "ptr scratch",
    )  # fmt: skip
    with code.define("read_strided", "i1", *signature, rare=True) as arguments:
        description, record, source, strides, unit, target, scratch = arguments
        b = code.b
        rank, itemsize = code.word(record, INPUT, "rank"), code.word(record, INPUT, "itemsize")
        code.require(b.icmp("ne", rank, 0))
        dims = b.gep("i64", target, 1)
        with b.for_loop(0, rank, carried=[itemsize]) as loop:
            extent = b.load("i64", b.gep("i64", dims, loop.index), 8)
            loop.yield_([b.mul(loop.carried[0], extent)])
        bytes_ = loop.results[0]
        memory = code.python("allocate", "ptr", bytes_)
        code.require(code.is_set(memory))
        copies = code.word(scratch, SCRATCH, "copies")
        b.store(memory, b.gep("ptr", code.region(scratch, description, DESCRIPTION, "copies_at"), copies), 8)
        code.set_word(scratch, SCRATCH, "copies", b.add(copies, 1))
        b.store(memory, target, 8)
        with b.if_then(b.icmp("ne", bytes_, 0)):
            code.call("copy_strided", memory, source, dims, strides, unit, rank, itemsize)
        b.ret(True)


def _copy_strided(code: Code) -> None:
    """No extent is 0, the rank at least 1. The last dimension is copied together with the one along which elements lie
    beside each other; the others count up like an odometer."""
    signature = (
        "ptr target", "ptr source", "ptr dims", "ptr strides", "i64 unit", "i64 rank", "i64 itemsize",
    )  # fmt: skip
    with code.define("copy_strided", "void", *signature, rare=True) as arguments:
        target, source, dims, strides, unit, rank, itemsize = arguments
        b = code.b
        tables = [b.stack(rank) for _ in range(4)]
        counts, places, steps, _ = tables
        last, one = b.sub(rank, 1), b.constant("i64", 1)
        with b.for_loop(last, -1, -1, carried=[itemsize, last]) as loop:
            size, joined = loop.carried
            extent = b.load("i64", b.gep("i64", dims, loop.index), 8)
            step = b.mul(b.load("i64", b.gep("i64", strides, loop.index), 8), unit)
            for table, value in zip(tables, (one, size, step, b.constant("i64", 0)), strict=True):
                b.store(value, b.gep("i64", table, loop.index), 8)
            loop.yield_([b.mul(size, extent), _joined(code, counts, steps, loop.index, joined, extent, step)])
        width, step = (b.load("i64", b.gep("i64", table, last), 8) for table in (counts, steps))
        with b.for_loop(0, last, carried=[last]) as search:
            near = b.icmp("eq", b.load("i64", b.gep("i64", steps, search.index), 8), itemsize)
            turns = b.icmp("ne", b.load("i64", b.gep("i64", counts, search.index), 8), 1)
            search.yield_([b.select(b.and_(near, turns), search.index, search.carried[0])])
        across = b.select(b.icmp("eq", step, itemsize), last, search.results[0])
        high = b.select(b.icmp("eq", across, last), one, b.load("i64", b.gep("i64", counts, across), 8))
        pitch = b.load("i64", b.gep("i64", places, across), 8)
        b.store(one, b.gep("i64", counts, last), 8)
        b.store(one, b.gep("i64", counts, across), 8)
        with b.for_loop(0, rank, carried=[one]) as planes:
            planes.yield_([b.mul(planes.carried[0], b.load("i64", b.gep("i64", counts, planes.index), 8))])
        with b.for_loop(0, planes.results[0], carried=[target, source]) as plane:
            code.call("copy_plane", *plane.carried, high, pitch, width, step, itemsize)
            plane.yield_(_counted_up(code, plane.carried, tables, last))
        b.ret()


def _joined(code: Code, counts: Value, steps: Value, index: Value, joined: Value, extent: Value, step: Value) -> Value:
    """The dimension that stands for this one from now on: the one inside of it where elements lie on in the same steps,
    or one of them has one element."""
    b = code.b
    held, distance = (b.load("i64", b.gep("i64", table, joined), 8) for table in (counts, steps))
    is_empty = b.icmp("eq", held, 1)
    joins = b.or_(b.or_(is_empty, b.icmp("eq", extent, 1)), b.icmp("eq", step, b.mul(distance, held)))
    chosen = b.select(joins, joined, index)
    b.store(b.select(joins, b.mul(held, extent), extent), b.gep("i64", counts, chosen), 8)
    keeps = b.and_(joins, b.not_(is_empty))
    b.store(b.select(keeps, distance, step), b.gep("i64", steps, chosen), 8)
    return chosen


def _counted_up(code: Code, cursors: list[Value], tables: list[Value], last: Value) -> list[Value]:
    """Where the next elements are written and read."""
    b = code.b
    counts, places, steps, position = tables
    with b.while_loop(carried=[last, *cursors]) as odometer:
        axis, written, read = odometer.carried
        odometer.while_(b.icmp("sge", axis, 0))
        counter = b.gep("i64", position, axis)
        following = b.add(b.load("i64", counter, 8), 1)
        extent = b.load("i64", b.gep("i64", counts, axis), 8)
        wraps = b.icmp("eq", following, extent)
        b.store(b.select(wraps, b.constant("i64", 0), following), counter, 8)
        moved: list[Value] = []
        for cursor, table in ((written, places), (read, steps)):
            stride = b.load("i64", b.gep("i64", table, axis), 8)
            moved.append(b.gep("i8", cursor, b.select(wraps, b.mul(stride, b.sub(1, extent)), stride), inbounds=False))
        odometer.yield_([b.select(wraps, b.sub(axis, 1), b.constant("i64", -1)), *moved])
    return [odometer.results[1], odometer.results[2]]


def _copy_plane(code: Code) -> None:
    """`high` rows, `pitch` bytes apart, of `width` elements; those of a row are read `step` bytes apart, those of a
    column beside each other."""
    signature = ("ptr target", "ptr source", "i64 high", "i64 pitch", "i64 width", "i64 step", "i64 itemsize")
    with code.define("copy_plane", "void", *signature, rare=True) as arguments:
        target, source, high, pitch, width, step, itemsize = arguments
        b = code.b
        is_turned = b.icmp("eq", itemsize, _TURNED_BYTES)
        none = b.constant("i64", 0)
        high_tiles, wide_tiles = (
            b.select(is_turned, b.and_(extent, -_TILE), none) for extent in (high, width)
        )  # fmt: skip
        with b.for_loop(0, high_tiles, _BLOCK) as block:
            stop = b.intrinsic("smin", "i64", b.add(block.index, _BLOCK), high_tiles)
            with b.for_loop(0, wide_tiles, _TILE) as column, b.for_loop(block.index, stop, _TILE) as row:
                _copy_tile(code, target, source, row.index, column.index, pitch, step)
        with b.for_loop(0, high) as row:
            first = b.select(b.icmp("slt", row.index, high_tiles), wide_tiles, none)
            written = b.gep("i8", target, b.add(b.mul(row.index, pitch), b.mul(first, itemsize)))
            read = b.gep("i8", source, b.add(b.mul(row.index, itemsize), b.mul(first, step)), inbounds=False)
            code.call("copy_row", written, read, b.sub(width, first), step, itemsize)
        b.ret()


def _copy_tile(code: Code, target: Value, source: Value, row: Value, column: Value, pitch: Value, step: Value) -> None:
    b = code.b
    read = b.gep("i8", source, b.add(b.mul(row, _TURNED_BYTES), b.mul(column, step)), inbounds=False)
    columns = [
        b.load(f"<{_TILE} x i32>", b.gep("i8", read, b.mul(step, number), inbounds=False), 1) for number in range(_TILE)
    ]
    written = b.gep("i8", target, b.add(b.mul(row, pitch), b.mul(column, _TURNED_BYTES)))
    for number, values in enumerate(b.turned(columns)):
        b.store(values, b.gep("i8", written, b.mul(pitch, number)), _TURNED_BYTES)


def _copy_row(code: Code) -> None:
    """`width` elements that lie `step` bytes apart. Elements need not be aligned."""
    signature = ("ptr target", "ptr source", "i64 width", "i64 step", "i64 itemsize")
    with code.define("copy_row", "void", *signature, rare=True) as (target, source, width, step, itemsize):
        b = code.b
        with b.if_then(b.icmp("eq", step, itemsize)):
            b.memcpy(target, source, b.mul(width, itemsize))
            b.ret()
        for bytes_ in (1, 2, 4, 8):
            with b.if_then(b.icmp("eq", itemsize, bytes_)):
                type_ = f"i{8 * bytes_}"
                with b.for_loop(0, width) as loop:
                    element = b.load(type_, b.gep("i8", source, b.mul(loop.index, step), inbounds=False), 1)
                    b.store(element, b.gep(type_, target, loop.index), 1)
                b.ret()
        with b.for_loop(0, width) as loop:
            origin = b.gep("i8", source, b.mul(loop.index, step), inbounds=False)
            b.memcpy(b.gep("i8", target, b.mul(loop.index, itemsize)), origin, itemsize)
        b.ret()
