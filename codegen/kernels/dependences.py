"""Whether the turns of a loop may run in another order, or side by side."""

from __future__ import annotations

from optc.codegen.kernels.kernel import (
    Kernel,
    Loop,
    Scatter,
    Statement,
    Store,
    changed,
    defined,
    statements,
    stride_of,
    values_of,
)
from optc.ir.dims import Dim, symbols
from optc.ops.scalar import nodes


def turns_are_independent(kernel: Kernel, loop: Loop) -> bool:
    """True when no turn reads or writes what another one writes.

    Scratch that every turn uses from its start does not count: whoever runs turns side by side gives each its own.
    """
    inside = list(statements(loop.body))
    if changed(loop.body) - defined(loop.body) or any(isinstance(statement, Scatter) for statement in inside):
        return False
    if any(isinstance(s, Loop) and loop.variable in symbols(s.start) | symbols(s.stop) for s in inside):
        return False
    written: dict[str, set[Dim]] = {}
    for statement in inside:
        if isinstance(statement, Store):
            written.setdefault(statement.buffer, set()).add(statement.index)
    scratch = {buffer.name for buffer in kernel.buffers if buffer.role == "scratch"}
    for buffer, places in written.items():
        moves = {stride_of(place, loop.variable) == 0 for place in places}
        if len(moves) > 1 or any(stride_of(place, loop.variable) is None for place in places):
            return False
        if True in moves and (buffer not in scratch or _reads_first(inside, buffer)):
            return False
    return all(
        node.value[1] in written[node.value[0]]
        for statement in inside for value in values_of(statement) for node in nodes(value)
        if node.op in ("load", "at") and node.value[0] in written and node.value[0] not in scratch
    )  # fmt: skip


def _reads_first(inside: list[Statement], buffer: str) -> bool:
    """True when a turn reads the buffer before it writes it: then it goes on where the turn before it stopped."""
    for statement in inside:
        if any(
            node.op in ("load", "at") and node.value[0] == buffer for v in values_of(statement) for node in nodes(v)
        ):
            return True
        if isinstance(statement, Store) and statement.buffer == buffer:
            return False
    return False


def shared_scratch(kernel: Kernel, loop: Loop) -> set[str]:
    """The scratch buffers that every turn of the loop uses from their start."""
    scratch = {buffer.name for buffer in kernel.buffers if buffer.role == "scratch"}
    return {
        statement.buffer for statement in statements(loop.body)
        if isinstance(statement, Store) and statement.buffer in scratch
        and stride_of(statement.index, loop.variable) == 0
    }  # fmt: skip
