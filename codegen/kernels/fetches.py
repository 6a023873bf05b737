"""The schedule that asks for memory before it is used: what is read and written next, while this is computed.

Processors fetch ahead themselves, but not from one page to the next, and rows are about as long as pages. A row that is
walked several times (softmax, layer norm) is waited for in the first pass, which does little else, while the passes
behind it compute and leave the memory idle: they fetch the next row's part of what they read. Memory is read before it
is written, too, and a store that waits for that holds up those behind it.

Only kernels are changed that go through more than stays in the second-level cache. Some processors see better what comes
next: on a Zen 5, fetches take 5 to 15 % of the time of a kernel away from it, be its memory in the third-level cache or
behind it. Only rows that are walked several times gain from them there: in memory, if their passes `overlap` (a softmax
15 %, layer norm of 2048 columns 10 %), and where they do not, rows with functions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

from optc.codegen.kernels.cost import FUNCTION, body_operations, is_heavy
from optc.codegen.kernels.kernel import (
    START,
    STOP,
    Fetch,
    Kernel,
    Loop,
    Statement,
    Store,
    statements,
    stride_of,
    values_of,
)
from optc.codegen.machine.host import Target
from optc.dataclass import dataclass
from optc.ir.dims import Dim, minimum, substitute
from optc.ops.scalar import nodes

AHEAD_BYTES = 2048
"""From a place to the one that is asked for. On an Emerald Rapids whose memory others use too, gelu takes 0.7 to 0.8 of
the time, layer norm 0.7 to 0.9, softmax 0.75 to 0.9, and 0.9 to 1.05 in quiet moments; 1024 and 4096 bytes are no better."""
MOST_BYTES = 1 << 16
"""From a row to the next one: longer ones would drive each other out of the second-level cache."""
_LINE_BYTES = 64


def fetch_ahead(kernel: Kernel, target: Target) -> Kernel:
    """Add `Fetch`es to loops with lanes that store."""
    size = _bytes(kernel)
    if size is not None and size < target.second_level_bytes:
        return kernel
    if target.fetches_alone and not _is_waited_for(kernel, size, target):
        return kernel
    fetcher = _Fetcher(kernel, size is None, target.fetches_alone)
    return replace(kernel, body=tuple(fetcher.statements(kernel.body, ())))


def stays_near(kernel: Kernel, row: Loop, target: Target) -> bool:
    """Whether the rows that all passes over a row work on, a different one each, lie in the first-level cache together.
    Rows of unknown length are taken to do so."""
    total = 0
    for loop in row.body:
        if not isinstance(loop, Loop):
            continue
        if not loop.lanes:
            return False
        length = loop.stop - loop.start
        if not isinstance(length, int):
            return True
        places = chain.from_iterable(map(places_of, loop.body))
        names = {name for name, index in places if stride_of(index, row.variable) != 0}
        total += length * sum(kernel.buffer(name).dtype.itemsize for name in names)
    return total <= target.first_level_bytes


def _is_waited_for(kernel: Kernel, size: int | None, target: Target) -> bool:
    """Whether a processor that fetches by itself still waits for memory in a kernel of some size."""
    is_in_cache = target.avx512 and size is not None and size < target.third_level_bytes
    return not is_in_cache and any(_waits(kernel, loop, target) for loop in kernel.body if isinstance(loop, Loop))


def _waits(kernel: Kernel, row: Loop, target: Target) -> bool:
    """Whether rows are walked several times, with a function or by passes over several rows at once."""
    passes = [statement for statement in row.body if isinstance(statement, Loop) and _is_pass(statement)]
    if len(passes) > 1:
        overlaps = target.avx512 and row.step == 1 and stays_near(kernel, row, target)
        return overlaps or any(map(is_heavy, passes))
    return any(isinstance(statement, Loop) and _waits(kernel, statement, target) for statement in row.body)


def _bytes(kernel: Kernel) -> int | None:
    """What the kernel reads and writes, from the first to the last element of every buffer; None where that is not known."""
    reach: dict[str, int] = {}
    for name, index, loops in _placed(kernel.body, ()):
        if kernel.buffer(name).role != "scratch":
            reaches = [_reach(index, loop, {START: 0, STOP: kernel.units, **_first(loops)}) for loop in loops]
            if None in reaches:
                return None
            reach[name] = max(reach.get(name, 0), sum(filter(None, reaches)))
    return sum(elements * kernel.buffer(name).dtype.itemsize for name, elements in reach.items())


def _placed(body: tuple[Statement, ...], loops: tuple[Loop, ...]) -> Iterator[tuple[str, Dim, tuple[Loop, ...]]]:
    """All accesses with the loops around each."""
    for statement in body:
        if isinstance(statement, Loop):
            yield from _placed(statement.body, (*loops, statement))
        else:
            yield from ((name, index, loops) for name, index in places_of(statement))


def _first(loops: tuple[Loop, ...]) -> dict[str, Dim]:
    """The variables of loops in their first turns: blocks of a long loop have their turns at most then."""
    return {loop.variable: loop.start for loop in loops if isinstance(loop.start, int)}


def _reach(index: Dim, loop: Loop, known: dict[str, Dim]) -> int | None:
    """Elements from the first to the last place of an index in a loop; None where that is not known."""
    stride, turns = stride_of(index, loop.variable), substitute(loop.stop - loop.start, known)
    return abs(stride) * turns if isinstance(stride, int) and isinstance(turns, int) else None


@dataclass(frozen=True)
class _Fetcher:
    """confined: nothing beyond the last place is asked for, since the kernel may have little to do. alone: see
    `Target.fetches_alone`."""

    kernel: Kernel
    confined: bool
    alone: bool

    def statements(
        self, body: tuple[Statement, ...], around: tuple[Loop, ...], near: frozenset[str] = frozenset()
    ) -> Iterator[Statement]:
        """A body with the loops around it; if it is that of a row, its loops with lanes are passes over the row. What is
        `near` is not fetched: blocks of the row that come before have stored it."""
        is_walked_again = sum(_is_pass(statement) for statement in body) > 1
        is_in_parts = sum(isinstance(statement, Loop) for statement in body) > 1
        fetched = set(near)
        for statement in body:
            if isinstance(statement, Loop) and not statement.lanes:
                stored = _stored(statement)
                near = frozenset(fetched | stored if is_in_parts and self.alone else fetched)
                yield replace(statement, body=tuple(self.statements(statement.body, (*around, statement), near)))
                fetched |= stored
            elif isinstance(statement, Loop) and _is_pass(statement) and self.may_wait(statement, is_walked_again):
                yield self.storing(statement, around, is_walked_again, fetched)
            else:
                yield statement

    def may_wait(self, loop: Loop, is_walked_again: bool) -> bool:
        """Whether a pass stores, and does so much besides that fetches for nothing cost little, if they may be that."""
        is_heavy = is_walked_again or body_operations(loop.body) >= FUNCTION
        return any(isinstance(statement, Store) for statement in loop.body) and (is_heavy or not self.confined)

    def storing(self, loop: Loop, around: tuple[Loop, ...], is_walked_again: bool, fetched: set[str]) -> Loop:
        """A pass with fetches of what no pass before it has fetched."""
        row = around[-1] if around else None
        fetches: list[Fetch] = []
        for statement in loop.body:
            written = statement.buffer if isinstance(statement, Store) else ""
            for name, index in places_of(statement):
                if name in fetched or stride_of(index, loop.variable) != 1:
                    continue
                step = self.distance(name, index, loop, row, is_walked_again and name != written)
                if not step or any(self.is_near(name, index + step, other) for other in fetches):
                    continue
                place = minimum(index + step, _last(index, (*around, loop))) if self.confined else index + step
                fetches.append(Fetch(name, place, name == written))
        fetched.update(fetch.buffer for fetch in fetches)
        return replace(loop, body=(*fetches, *loop.body))

    def distance(self, name: str, index: Dim, loop: Loop, row: Loop | None, is_walked_again: bool) -> int:
        """Elements from a vector to the one to ask for, 0 where there is nothing to fetch."""
        buffer = self.kernel.buffer(name)
        ahead = AHEAD_BYTES // buffer.dtype.itemsize
        if buffer.role == "scratch":
            return 0
        if row is None:
            return 0 if is_walked_again else ahead
        stride, turns = stride_of(index, row.variable), loop.stop - loop.start
        if not isinstance(stride, int) or stride <= 0:
            return 0
        to_next = stride * row.step
        has_no_gaps = isinstance(turns, int) and stride <= turns + loop.step
        if has_no_gaps and not is_walked_again and to_next > ahead:
            return ahead
        return to_next * max(1, ahead // to_next) if to_next * buffer.dtype.itemsize <= MOST_BYTES else 0

    def is_near(self, name: str, index: Dim, other: Fetch) -> bool:
        """Whether a place is in the cache line that is fetched already, as a rule."""
        distance = index - other.index
        itemsize = self.kernel.buffer(name).dtype.itemsize
        return name == other.buffer and isinstance(distance, int) and abs(distance) * itemsize < _LINE_BYTES


def _last(index: Dim, loops: tuple[Loop, ...]) -> Dim:
    """The place that an index has in the last turns of all loops, those that step by more than one rounded up."""
    return substitute(index, {loop.variable: loop.stop - 1 for loop in loops})


def _stored(loop: Loop) -> set[str]:
    return {statement.buffer for statement in statements(loop.body) if isinstance(statement, Store)}


def _is_pass(statement: Statement) -> bool:
    return isinstance(statement, Loop) and statement.lanes > 1 and not statement.masked


def places_of(statement: Statement) -> Iterator[tuple[str, Dim]]:
    """The places that a statement reads and writes."""
    for value in values_of(statement):
        for node in nodes(value):
            if node.op == "load":
                yield node.value
    if isinstance(statement, Store):
        yield statement.buffer, statement.index
