"""The schedule that lets long rows of exponentials be read once: every block of a row is lowered by a maximum of its own.

A softmax takes the maximum of a row, and then exponentials of what lies below it. A row that does not stay in the
first-level cache is fetched for both. In blocks it is there for the second one: a block's exponentials are those of
what lies below the block's maximum m, and e**(m - M) is what they are too large by, where M is the row's maximum (the
"online softmax" of Milakov and Gimelshein, arXiv 1805.02867, with blocks that do not wait for each other). The sums of
the blocks are multiplied by that before they are added up, the exponentials where they are read; a block that holds the
row's maximum has a factor of one. Blocks depend on the length of a row alone, and their order is fixed. On a Zen 5 a
softmax of 6200 columns takes 0.96 of the time, of 8192 0.85, of 65536 0.9; of 4100 it would take 1.08, of 5800 as long.

It is done where passes can `overlap`: without, the ends of the many short passes cost what the memory does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from optc.codegen.kernels.blocks import MOST_BLOCKS, first_values
from optc.codegen.kernels.kernel import (
    Accumulate,
    Buffer,
    Define,
    Kernel,
    Loop,
    Statement,
    Store,
    copied,
    leaves,
    load,
    local,
    statements,
    stride_of,
    values_of,
)
from optc.codegen.machine.host import Target
from optc.dataclass import dataclass
from optc.ir.dims import Dim, symbol
from optc.ops.scalar import Expr, function, literal, nodes, rewrite

BLOCK = 1 << 10
"""Elements of a block. Twice as many are as good for rows of 65536 and take 3 % longer for those of 8192, four times as
many 7 %: what is written meanwhile, and read ahead, has to stay in the first-level cache as well."""


def block_maxima(kernel: Kernel, target: Target) -> Kernel:
    """Take maxima by blocks for the exponentials of all long rows."""
    if not target.avx512:
        return kernel
    writing = _Writing(kernel, target)
    body = writing.body(kernel.body)
    return replace(kernel, buffers=(*kernel.buffers, *writing.scratch), body=body)


@dataclass(frozen=True)
class _Passes:
    """Two passes over a row, at places of a body: its `largest` element, and the `powers` of what lies below that, summed
    up in `sums`. `lowered` are the locals that hold the largest element between them, `stored` the places where powers are
    kept until later passes read them."""

    first: int
    second: int
    largest: Accumulate
    sums: tuple[Accumulate, ...]
    lowered: frozenset[str]
    stored: dict[str, Dim]


class _Writing:
    """Finds the passes of a kernel and writes them anew."""

    def __init__(self, kernel: Kernel, target: Target) -> None:
        self.kernel = kernel
        self.target = target
        self.scratch: list[Buffer] = []

    def body(self, body: tuple[Statement, ...]) -> tuple[Statement, ...]:
        passes = next(self.found(body), None)
        if passes is not None:
            return tuple(self.in_blocks(body, passes))
        return tuple(
            replace(statement, body=self.body(statement.body)) if isinstance(statement, Loop) else statement
            for statement in body
        )

    # Finding

    def found(self, body: tuple[Statement, ...]) -> Iterator[_Passes]:
        """Passes that may be done in blocks."""
        places = [place for place, statement in enumerate(body) if isinstance(statement, Loop)]
        for first, second in pairwise(places):
            passes = _passes(body, first, second)
            if passes and self.is_long(body[first], body[second]) and self.may_wait(body, passes):
                yield passes

    def is_long(self, *loops: Statement) -> bool:
        """Whether little of what two passes read and write stays in the first-level cache from one to the other."""
        sizes: dict[str, int] = {}
        for loop in loops:
            assert isinstance(loop, Loop)
            length = loop.stop - loop.start
            for name, index in _places(loop.body):
                stride = stride_of(index, loop.variable)
                if not isinstance(length, int) or stride not in (0, 1):
                    return False
                sizes[name] = max(sizes.get(name, 0), length * stride * self.kernel.buffer(name).dtype.itemsize)
        return 2 * sum(sizes.values()) > 3 * self.target.first_level_bytes

    def may_wait(self, body: tuple[Statement, ...], passes: _Passes) -> bool:
        """Whether nobody sees powers before they are multiplied: only passes behind, element by element, that write over
        them if they are in memory that is seen."""
        behind = [loop for loop in body[passes.second + 1 :] if isinstance(loop, Loop) and _reads(loop, passes.stored)]
        model = body[passes.second]
        assert isinstance(model, Loop)
        overwritten: set[str] = set()
        for loop in behind:
            if (loop.start, loop.stop, loop.step, loop.lanes) != (model.start, model.stop, 1, 1):
                return False
            renamed = copied(loop.body, {}, {loop.variable: symbol(model.variable)})
            if not all(isinstance(statement, Define | Store) for statement in renamed):
                return False
            used = [place for place in _places(renamed) if place[0] in passes.stored]
            if any(passes.stored[name] != index for name, index in used):
                return False
            overwritten |= {statement.buffer for statement in renamed if isinstance(statement, Store)}
        seen = {name for name in passes.stored if self.kernel.buffer(name).role != "scratch"}
        reading = sum(_reads(s, passes.stored) for s in statements(self.kernel.body) if not isinstance(s, Loop))
        inside = sum(_reads(statement, passes.stored) for loop in behind for statement in loop.body)
        return seen <= overwritten and reading == inside and bool(behind or not passes.stored)

    # Writing

    def in_blocks(self, body: tuple[Statement, ...], passes: _Passes) -> Iterator[Statement]:
        """The statements of a body with what takes the place of two passes, and of those behind that read the powers."""
        model = body[passes.second]
        assert isinstance(model, Loop)
        maxima = self.new("maxima", passes.largest, model)
        sums = [self.new("sums", total, model) for total in passes.sums]
        yield from body[: passes.first]
        yield from _over_blocks(model, self.block(body, passes, maxima, sums))
        number = symbol(_number(model))
        combined = replace(passes.largest, value=load(maxima, number))
        yield Loop(_number(model), 0, maxima.size, 1, (combined,), lanes=1)
        yield from body[passes.first + 1 : passes.second]
        yield Loop(_number(model), 0, maxima.size, 1, tuple(_totals(passes, maxima, sums, number)), lanes=1)
        for statement in body[passes.second + 1 :]:
            if not isinstance(statement, Loop) or not _reads(statement, passes.stored):
                yield statement
                continue
            yield from _over_blocks(statement, _multiplied(statement, passes, maxima, number))

    def block(
        self, body: tuple[Statement, ...], passes: _Passes, maxima: Buffer, sums: list[Buffer]
    ) -> tuple[Statement, ...]:
        """Both passes over a block, with locals of its own; what they find out is kept last, so that the first one only
        reads."""
        first, second = body[passes.first], body[passes.second]
        assert isinstance(first, Loop) and isinstance(second, Loop)
        dtype = passes.largest.value.dtype
        best, lowered = f"{passes.largest.name}.block", f"{passes.largest.name}.finite"
        parts = {total.name: f"{total.name}.block" for total in passes.sums}
        number = symbol(_number(second))
        names = {**parts, **dict.fromkeys(passes.lowered, lowered)}
        return (
            Define(best, literal(-np.inf, dtype)),
            replace(first, body=copied(first.body, {passes.largest.name: best}, {})),
            Define(lowered, _finite(local(best, dtype))),
            *(Define(parts[total.name], literal(0.0, total.value.dtype)) for total in passes.sums),
            replace(second, body=copied(second.body, names, {})),
            Store(maxima.name, number, local(best, dtype)),
            *(Store(kept.name, number, local(parts[s.name], kept.dtype)) for kept, s in zip(sums, passes.sums)),
        )

    def new(self, kind: str, accumulator: Accumulate, loop: Loop) -> Buffer:
        """Memory for a number of every block."""
        count = -(-_turns(loop) // _length(loop))
        buffer = Buffer(f"{accumulator.name}.{kind}", accumulator.value.dtype, "scratch", count)
        self.scratch.append(buffer)
        return buffer


def _passes(body: tuple[Statement, ...], first: int, second: int) -> _Passes | None:
    """The passes at two places of a body, if they are of the kind."""
    known, loops = first_values(body[:second]), (body[first], body[second])
    if not all(isinstance(loop, Loop) and loop.lanes == 1 and loop.step == 1 for loop in loops):
        return None
    reducing, raising = loops
    assert isinstance(reducing, Loop) and isinstance(raising, Loop)
    if (reducing.start, reducing.stop) != (raising.start, raising.stop) or len(reducing.body) != 1:
        return None
    (largest,) = reducing.body
    if not isinstance(largest, Accumulate) or largest.combine.op != "maxnum" or not _starts(largest, known, -np.inf):
        return None
    between = body[first + 1 : second]
    held = local(largest.name, largest.value.dtype)
    lowered = {largest.name} | {s.name for s in between if isinstance(s, Define) and s.value == held}
    element = copied((largest,), {}, {reducing.variable: symbol(raising.variable)})
    powers = {
        function("exp", value - local(name, held.dtype))
        for statement in element for value in values_of(statement) for name in lowered
    }  # fmt: skip
    return _raising(raising, powers, known, _Passes(first, second, largest, (), frozenset(lowered), {}))


def _raising(loop: Loop, powers: set[Expr], known: dict[str, Expr], passes: _Passes) -> _Passes | None:
    """The passes, if the second one only keeps some powers and sums them up."""
    powers = set(powers)
    sums: list[Accumulate] = []
    stored: dict[str, Dim] = {}
    for statement in loop.body:
        if not isinstance(statement, Define | Accumulate | Store) or statement.value not in powers:
            return None
        if isinstance(statement, Define):
            powers.add(local(statement.name, statement.value.dtype))
        elif isinstance(statement, Store):
            stored[statement.buffer] = statement.index
        elif statement.combine.op == "add" and _starts(statement, known, 0.0):
            sums.append(statement)
        else:
            return None
    is_once = sum(isinstance(statement, Store) for statement in loop.body) == len(stored)
    if not sums or not is_once or _reads(loop, stored):
        return None
    return replace(passes, sums=tuple(sums), stored=stored)


def _starts(accumulator: Accumulate, known: dict[str, Expr], value: float) -> bool:
    first = known.get(accumulator.name)
    return first is not None and first.op == "const" and first.value == value


def _places(body: Iterable[Statement]) -> set[tuple[str, Dim]]:
    """What statements read and write in memory."""
    found = {leaf.value for s in body for value in values_of(s) for leaf in leaves(value) if leaf.op == "load"}
    return found | {(statement.buffer, statement.index) for statement in body if isinstance(statement, Store)}


def _reads(statement: Statement, names: Iterable[str]) -> bool:
    """Whether a statement, or one inside of it, reads one of some buffers."""
    wanted = set(names)
    return any(
        node.op in ("load", "at") and node.value[0] in wanted
        for inner in statements((statement,)) for value in values_of(inner) for node in nodes(value)
    )  # fmt: skip


def _number(loop: Loop) -> str:
    """The variable that counts the blocks of a loop."""
    return f"{loop.variable}.part"


def _turns(loop: Loop) -> int:
    turns = loop.stop - loop.start
    assert isinstance(turns, int)
    return turns


def _length(loop: Loop) -> int:
    """The elements of a block: a multiple of BLOCK that depends on nothing but the length of the row."""
    return (_turns(loop) // (BLOCK * MOST_BLOCKS) + 1) * BLOCK


def _over_blocks(loop: Loop, body: tuple[Statement, ...]) -> Iterator[Loop]:
    """A body, whose loops go over a row as `loop` does, for all blocks: those that are full, and what is left."""
    length, number = _length(loop), symbol(_number(loop))
    full, rest = divmod(_turns(loop), length)
    for first, count, turns in ((0, full, length), (full, 1, rest)):
        if turns and count:
            inside = tuple(_of_block(s, length * number, turns) if isinstance(s, Loop) else s for s in body)
            yield Loop(_number(loop), first, first + count, 1, inside)


def _of_block(loop: Loop, place: Dim, turns: int) -> Loop:
    """A loop over `turns` elements of a row from a place on."""
    moved = loop.start + place + symbol(loop.variable)
    return replace(loop, start=0, stop=turns, body=copied(loop.body, {}, {loop.variable: moved}))


def _finite(largest: Expr) -> Expr:
    """What a block is lowered by: infinity less itself would be no number, where a whole block is masked."""
    return function("maxnum", literal(float(np.finfo(largest.dtype.numpy).min), largest.dtype), largest)


def _totals(passes: _Passes, maxima: Buffer, sums: list[Buffer], number: Dim) -> Iterator[Statement]:
    """One turn of adding up the sums of blocks; the factor takes the place of the maximum."""
    dtype = passes.largest.value.dtype
    name = f"{passes.largest.name}.factor"
    factor = local(name, dtype)
    yield Define(name, function("exp", _finite(load(maxima, number)) - local(passes.largest.name, dtype)))
    yield Store(maxima.name, number, factor)
    for total, kept in zip(passes.sums, sums):
        yield replace(total, value=load(kept, number) * factor)


def _multiplied(loop: Loop, passes: _Passes, maxima: Buffer, number: Dim) -> tuple[Statement, ...]:
    """A later pass over a block of powers."""
    name, dtype = f"{passes.largest.name}.factor", passes.largest.value.dtype

    def change(node: Expr) -> Expr | None:
        return node * local(name, dtype) if node.op == "load" and node.value[0] in passes.stored else None

    body = tuple(replace(s, value=rewrite(s.value, change)) for s in loop.body if isinstance(s, Define | Store))
    return Define(name, load(maxima, number)), replace(loop, body=body)
