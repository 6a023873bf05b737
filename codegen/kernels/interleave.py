"""The schedule that works on several rows, or several vectors of columns, at once.

A short row ends in additions that wait for each other, and a column is a chain of them: turns of the loop around are
independent, so that a processor can work on one while another waits.
"""

from __future__ import annotations

from dataclasses import replace

from optc.codegen.kernels.cost import FUNCTION, body_operations
from optc.codegen.kernels.dependences import shared_scratch, turns_are_independent
from optc.codegen.kernels.kernel import (
    Define,
    Fold,
    Kernel,
    Loop,
    Statement,
    copied,
    defined,
    statements,
    with_loops,
)
from optc.codegen.kernels.unroll import sums_windows
from optc.codegen.kernels.vectorise import ABREAST, SHORT_ROW
from optc.codegen.machine.host import Target
from optc.ir.dims import symbol

ROWS = ((4, 4), (SHORT_ROW, 2))
"""Rows of at most so many vectors, and how many of them at once. Longer ones have more to do than to wait for, and get
into each other's way in the cache."""
ROWS_OF_FEW = ((8, 4), (SHORT_ROW, 2))
"""The same for rows with functions where registers are few: those wait longer there, for one another as well. What only
waits for memory does not gain by more rows."""
WINDOW_REGISTERS = 4
"""Registers for each of the windows that are summed up at once: the sum, and what it adds."""
LONG_WAITS = 40
"""A loop with so many instructions for a vector has chains of them: rows that have one are worked on two at a time up to
a length of `WAITING_ROW` vectors, unless vectors go abreast already."""
WAITING_ROW = 28
HEAVY = 48
"""Bodies with more instructions keep too much in registers to be worth it more than twice."""


def interleave(kernel: Kernel, target: Target) -> Kernel:
    """Unroll loops around loops, and join what their turns do: one loop that does the work of several rows."""
    return _Interleaving(kernel, target).kernel()


class _Interleaving:
    def __init__(self, kernel: Kernel, target: Target) -> None:
        self.original = kernel
        self.target = target
        self.areas: dict[str, int] = {}

    def kernel(self) -> Kernel:
        body = self.body(self.original.body)
        buffers = tuple(
            replace(buffer, size=buffer.size * self.areas.get(buffer.name, 1)) for buffer in self.original.buffers
        )
        return replace(self.original, body=body, buffers=buffers)

    def body(self, body: tuple[Statement, ...]) -> tuple[Statement, ...]:
        return with_loops(body, self.loop)

    def loop(self, loop: Loop) -> list[Statement]:
        if not any(isinstance(statement, Loop) for statement in loop.body):
            return [loop]
        count = self.copies(loop)
        if count < 2 or not turns_are_independent(self.original, loop):
            return [replace(loop, body=self.body(loop.body))]
        step = loop.step * count
        stop = loop.start + (loop.stop - loop.start) // step * step
        several = [self.copy(loop, number) for number in range(count)]
        rest = replace(loop, start=stop)
        if _holds_windows(loop):
            rest = replace(rest, body=self.body(rest.body))
        loops = [replace(loop, stop=stop, step=step, body=_joined(several, self.target)), rest]
        return [part for part in loops if part.start != part.stop]

    def copies(self, loop: Loop) -> int:
        """How many turns at once."""
        if _holds_windows(loop):
            return self.windows(loop)
        count = self.columns(loop) if loop.lanes else _rows(loop, self.target)
        if body_operations(loop.body) > HEAVY:
            count = min(count, 2)
        length = loop.stop - loop.start
        while count > 1 and isinstance(length, int) and length < loop.step * count:
            count //= 2
        return count

    def windows(self, loop: Loop) -> int:
        """Windows at once: what they read in common stays in registers beside their sums. Parts of about equal size."""
        most, length = self.target.vector_registers // WINDOW_REGISTERS, loop.stop - loop.start
        if not isinstance(length, int) or length < 1:
            return most // 2
        return -(-length // -(-length // most))

    def columns(self, loop: Loop) -> int:
        """Vectors of columns: what each keeps must fit registers, with as many left for what is computed."""
        if loop.masked:
            return 1
        kept = sum(isinstance(statement, Define) for statement in loop.body)
        count = 8
        while count > 1 and count * kept > self.target.vector_registers // 2:
            count //= 2
        return count

    def copy(self, loop: Loop, number: int) -> tuple[Statement, ...]:
        """The body of turn `number` of those at once: own locals, own area of scratch that every turn uses."""
        shared = shared_scratch(self.original, loop)
        for name in shared:
            self.areas[name] = max(self.areas.get(name, 1), number + 1)
        if not number:
            return loop.body
        names = {name: f"{name}.r{number}" for name in defined(loop.body)}
        places = {name: self.original.buffer(name).size * number for name in shared}
        variables = {loop.variable: symbol(loop.variable) + loop.step * number}
        return copied(loop.body, names, variables, places)


def _holds_windows(loop: Loop) -> bool:
    """True for a loop around columns whose sums go over windows."""
    inside = [statement for statement in loop.body if isinstance(statement, Loop)]
    return not loop.lanes and bool(inside) and all(map(sums_windows, inside))


def _rows(loop: Loop, target: Target) -> int:
    """Rows at once: more the shorter they are; rows without sums to wait for only where they are very short."""
    longest = 1
    for statement in statements(loop.body):
        if isinstance(statement, Loop):
            length = statement.stop - statement.start
            if not statement.lanes or not isinstance(length, int):
                return 1
            longest = max(longest, -(-length // statement.lanes))
    if not any(isinstance(statement, Fold) for statement in loop.body):
        return ROWS[0][1] if longest <= ROWS[0][0] else 1
    table = ROWS_OF_FEW if target.has_few_registers and _has_functions(loop) else ROWS
    count = next((count for limit, count in table if longest <= limit), 1)
    if count == 1 and longest <= WAITING_ROW and _operations_of_a_vector(loop, target) > LONG_WAITS:
        return 2
    return count


def _has_functions(loop: Loop) -> bool:
    """True where a loop inside does more for an element than arithmetic."""
    return any(isinstance(s, Loop) and body_operations(s.body) >= FUNCTION for s in statements(loop.body))


def _operations_of_a_vector(loop: Loop, target: Target) -> int:
    """Of the longest loop body inside, where many registers are filled by turns that go abreast: of none."""
    inside = [s for s in statements(loop.body) if isinstance(s, Loop) and s.lanes]
    if target.avx512 and any(inner.abreast > 1 for inner in inside):
        return 0
    return max((body_operations(inner.body) * inner.lanes // inner.step for inner in inside), default=0)


def _joined(copies: list[tuple[Statement, ...]], target: Target) -> tuple[Statement, ...]:
    """Statements of equal copies side by side; loops become one loop over all their bodies, whose turns go abreast where
    registers are few."""
    result: list[Statement] = []
    for same in zip(*copies, strict=True):
        first = same[0]
        if isinstance(first, Loop):
            bodies = [statement.body for statement in same if isinstance(statement, Loop)]
            is_plain = first.lanes > 1 and not any(isinstance(statement, Loop) for statement in first.body)
            abreast = (
                min(first.abreast * len(copies), ABREAST) if is_plain and target.has_few_registers else first.abreast
            )
            result.append(replace(first, body=_joined(bodies, target), abreast=abreast))
        else:
            result.extend(same)
    return tuple(result)
