"""The schedule that sums few columns up in several sums each: with one, every addition waits for the one before.

Many columns are worked on side by side instead (see `interleave`), or row by row (see `columns`).
"""

from __future__ import annotations

from dataclasses import replace

from optc.codegen.kernels.blocks import accumulators, first_values
from optc.codegen.kernels.kernel import Accumulate, Define, Kernel, Loop, Statement, copied, defined, local, with_loops
from optc.codegen.machine.host import Target
from optc.ir.dims import symbol
from optc.ops.scalar import Expr

SUMS = 4
"""Sums for one vector of columns: an addition takes as many cycles."""
TALL = 16
"""Rows that every sum must get at least."""


def split_tall_columns(kernel: Kernel, target: Target) -> Kernel:
    """Give few columns several sums each, which are added up behind the last row."""
    lanes = target.vector_bytes // 4

    def change(loop: Loop) -> list[Statement]:
        count = _sums(loop, lanes)
        body = loop.body if loop.lanes else with_loops(loop.body, change)
        return [replace(loop, body=_split(body, count) if count > 1 else body)]

    return replace(kernel, body=with_loops(kernel.body, change))


def _sums(columns: Loop, lanes: int) -> int:
    """How many sums each column should have; 1 where there are many columns, or running tells how many."""
    length = columns.stop - columns.start
    if columns.lanes != 1 or not isinstance(length, int):
        return 1
    return SUMS // max(1, -(-length // lanes))


def _split(body: tuple[Statement, ...], count: int) -> tuple[Statement, ...]:
    known = first_values(body)

    def change(rows: Loop) -> list[Statement]:
        if any(isinstance(statement, Loop) for statement in rows.body):
            return [replace(rows, body=_split(rows.body, count))]
        return _with_sums(rows, known, count) if _is_tall(rows, known, count) else [rows]

    return with_loops(body, change)


def _is_tall(rows: Loop, known: dict[str, Expr], count: int) -> bool:
    """True for a loop that does nothing but reduce many rows, or who knows how many."""
    length = rows.stop - rows.start
    if rows.lanes or rows.step != 1 or isinstance(length, int) and length < TALL * count:
        return False
    own, reduced = defined(rows.body), {statement.name for statement in accumulators(rows, known)}
    return bool(reduced) and all(known[name].op == "const" for name in reduced) and all(
        isinstance(s, Define) or (isinstance(s, Accumulate) and s.name in own | reduced) for s in rows.body
    )  # fmt: skip


def _with_sums(rows: Loop, known: dict[str, Expr], count: int) -> list[Statement]:
    """Turns of several rows, those that are left, and all sums into the first."""
    reduced = accumulators(rows, known)
    stop = rows.start + (rows.stop - rows.start) // count * count
    turns: list[Statement] = []
    before: list[Statement] = []
    after: list[Statement] = []
    for number in range(count):
        names = {name: f"{name}.s{number}" for name in (*defined(rows.body), *(a.name for a in reduced)) if number}
        turns.extend(copied(rows.body, names, {rows.variable: symbol(rows.variable) + number}))
        if number:
            before.extend(Define(names[a.name], known[a.name]) for a in reduced)
            after.extend(replace(a, value=local(names[a.name], a.value.dtype)) for a in reduced)
    rest = replace(rows, start=stop)
    main = replace(rows, stop=stop, step=count, body=tuple(turns))
    return [*before, main, *([rest] if rest.start != rest.stop else []), *after]
