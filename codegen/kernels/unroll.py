"""The schedule that writes out short loops inside of vectors: windows, whose turns share what they read.

Neighbouring windows overlap, and all of them meet the same filter: where `interleave` computes several side by side and
the loops over a window are gone, LLVM sees equal loads and does each once.
"""

from __future__ import annotations

from dataclasses import replace

from optc.codegen.kernels.kernel import Accumulate, Assign, Define, Kernel, Loop, Statement, copied, defined
from optc.codegen.machine.host import Target

SHORT = 8
"""A loop with at most so many turns may be written out."""
MOST_STATEMENTS = 96
"""What a loop becomes must not be longer than this."""


def is_short(loop: Loop) -> bool:
    """True for a loop with few turns, whose number is known."""
    length = loop.stop - loop.start
    return not loop.lanes and loop.step == 1 and isinstance(length, int) and 0 < length <= SHORT


def sums_windows(loop: Loop) -> bool:
    """True for a loop over columns whose sums go over windows: a few elements each, the last of them in a short loop."""
    sums = [statement for statement in loop.body if isinstance(statement, Loop)]
    return loop.lanes > 0 and bool(sums) and all(map(_is_window, sums))


def _is_window(loop: Loop) -> bool:
    *before, last = loop.body
    if isinstance(last, Loop) and not before:
        return not loop.lanes and isinstance(loop.stop - loop.start, int) and _is_window(last)
    return is_short(loop) and all(isinstance(statement, Accumulate | Assign | Define) for statement in loop.body)


def unroll(kernel: Kernel, target: Target) -> Kernel:
    """Write out short loops that only sum up, inside of loops with lanes."""
    return replace(kernel, body=_body(kernel.body, False))


def _body(body: tuple[Statement, ...], has_lanes: bool) -> tuple[Statement, ...]:
    result: list[Statement] = []
    for statement in body:
        if isinstance(statement, Loop):
            result.extend(_loop(statement, has_lanes))
        else:
            result.append(statement)
    return tuple(result)


def _loop(loop: Loop, has_lanes: bool) -> tuple[Statement, ...]:
    loop = replace(loop, body=_body(loop.body, has_lanes or loop.lanes > 0))
    if not has_lanes or not is_short(loop) or not all(isinstance(s, Accumulate | Assign | Define) for s in loop.body):
        return (loop,)
    length = loop.stop - loop.start
    assert isinstance(length, int)
    if length * len(loop.body) > MOST_STATEMENTS:
        return (loop,)
    turns: list[Statement] = []
    for turn in range(length):
        names = {name: f"{name}.t{turn}" for name in defined(loop.body)}
        turns.extend(copied(loop.body, names, {loop.variable: loop.start + turn}))
    return tuple(turns)
