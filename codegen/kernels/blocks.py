"""The schedule that cuts long reductions into blocks: the order of a sum depends on its length alone.

Every loop that reduces more than a block becomes a loop over blocks, each reduced on its own and then combined in
order. The blocks of a row may then be reduced by several threads (see `phases`) without a change in the result.
"""

from __future__ import annotations

from dataclasses import replace

from optc.codegen.kernels.kernel import (
    Accumulate,
    Define,
    Kernel,
    Loop,
    Statement,
    Store,
    copied,
    defined,
    local,
    with_loops,
)
from optc.ir.dims import Dim, minimum, symbol
from optc.ops.scalar import Expr

BLOCK = 1 << 14
"""Elements that are reduced in one go: 64 kilobytes of float32, which lie in the second cache."""

MOST_BLOCKS = 1 << 10
"""Longer rows have longer blocks, so that the partial results take little memory however long the row is."""


def block_reductions(kernel: Kernel) -> Kernel:
    """Cut every innermost loop that reduces more than a block, or may, as far as its bounds say."""
    return replace(kernel, body=_cut(kernel.body, {}))


def _cut(body: tuple[Statement, ...], outer: dict[str, Expr]) -> tuple[Statement, ...]:
    known = outer | first_values(body)

    def change(loop: Loop) -> list[Statement]:
        if is_long(loop) and accumulators(loop, known):
            return [_in_blocks(loop, known)]
        return [replace(loop, body=_cut(loop.body, known))]

    return with_loops(body, change)


def _in_blocks(loop: Loop, known: dict[str, Expr]) -> Loop:
    combined = [replace(a, value=local(part_name(a), a.value.dtype)) for a in accumulators(loop, known)]
    return Loop(block_variable(loop), 0, block_count(loop), 1, (*reduced_block(loop, known), *combined))


def first_values(body: tuple[Statement, ...]) -> dict[str, Expr]:
    """The values with which statements define locals: the neutral elements of what is accumulated."""
    return {statement.name: statement.value for statement in body if isinstance(statement, Define)}


def is_long(loop: Loop) -> bool:
    """True for a loop over elements that has, or may have, several blocks. A block itself starts at no fixed place."""
    if loop.lanes != 1 or loop.step != 1 or not isinstance(loop.start, int):
        return False
    count = block_count(loop)
    plain = all(isinstance(statement, Define | Store | Accumulate) for statement in loop.body)
    return plain and not (isinstance(count, int) and count < 2)


def accumulators(loop: Loop, known: dict[str, Expr]) -> list[Accumulate]:
    """What a loop reduces into locals whose first values are known."""
    own = defined(loop.body)
    return [s for s in loop.body if isinstance(s, Accumulate) and s.name not in own and s.name in known]


def reduced_block(loop: Loop, known: dict[str, Expr]) -> list[Statement]:
    """Block number `block_variable` of a loop, reduced into accumulators of its own."""
    parts = {accumulator.name: part_name(accumulator) for accumulator in accumulators(loop, known)}
    length = _block_length(loop)
    start = loop.start + length * symbol(block_variable(loop))
    body = copied(loop.body, parts, {})
    definitions: list[Statement] = [Define(part, known[name]) for name, part in parts.items()]
    stop = start + length
    if (loop.stop - loop.start) % length != 0:
        stop = minimum(stop, loop.stop)
    return [*definitions, replace(loop, start=start, stop=stop, body=body)]


def part_name(accumulator: Accumulate) -> str:
    """The local that holds what one block gives."""
    return f"{accumulator.name}.block"


def block_variable(loop: Loop) -> str:
    """The variable that counts the blocks of a loop."""
    return f"{loop.variable}.block"


def block_count(loop: Loop) -> Dim:
    """How many blocks a loop has."""
    length = _block_length(loop)
    return (loop.stop - loop.start + length - 1) // length


def _block_length(loop: Loop) -> Dim:
    """A multiple of BLOCK that depends on nothing but the loop's turns."""
    return ((loop.stop - loop.start) // (BLOCK * MOST_BLOCKS) + 1) * BLOCK
