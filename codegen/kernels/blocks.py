"""The schedule that cuts long reductions into blocks: the order of a sum depends on its length alone.

Every loop that reduces more than a block becomes a loop over blocks, each reduced on its own and then combined in
order. The blocks of a row may then be reduced by several threads (see `phases`) without a change in the result.

Columns have shorter blocks: a row is summed up in as many sums as a vector has lanes, and several vectors of them, a
column in one, whose rounding errors grow with every element. PyTorch adds columns up in a cascade for that reason.
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
    is_near,
    leaves,
    local,
    statements,
    stride_of,
    values_of,
    with_loops,
)
from optc.ir.dims import Dim, minimum, symbol
from optc.ops.scalar import Expr, nodes

BLOCK = 1 << 14
"""Elements that are reduced in one go: 64 kilobytes of float32, which lie in the second cache."""

MOST_BLOCKS = 1 << 10
"""Longer rows have longer blocks, so that the partial results take little memory however long the row is."""

COLUMN_BLOCK = 1 << 8
"""Elements of a column that are reduced in one go. A sum of 20000 is then off by 1e-7 instead of 5e-6."""

NEST_BLOCK = 1 << 12
"""Elements that are reduced in one go by several loops inside of each other: 256 vectors of float32."""

FEWEST = 16
"""Elements of a vector, which takes as long where a row has fewer."""

MOST_COLUMN_BLOCKS = 1 << 8
"""Longer columns have longer blocks: their results are added up one after the other as well."""


def block_reductions(kernel: Kernel) -> Kernel:
    """Cut every loop that reduces more than a block, or may, as far as its bounds say."""
    return replace(kernel, body=_cut(kernel.body, {}, ()))


def _cut(body: tuple[Statement, ...], outer: dict[str, Expr], around: tuple[str, ...]) -> tuple[Statement, ...]:
    """`around`: the variables of the loops that a body is in."""
    known = outer | first_values(body)

    def change(loop: Loop) -> list[Statement]:
        inside = (*around, loop.variable)
        length = _length_of_blocks(loop, around)
        if length is None or not _has_blocks(loop, length) or _tells_totals(loop) or not accumulators(loop, known):
            return [replace(loop, body=_cut(loop.body, known, inside))]
        cut = _in_blocks(loop, known, length)
        return [replace(cut, body=_cut(cut.body, known, around))]

    return with_loops(body, change)


def _length_of_blocks(loop: Loop, around: tuple[str, ...]) -> Dim | None:
    """How many turns a block of a loop should have, if it is one that may be cut."""
    inner = _loops(loop.body)
    if inner:
        return max(1, _elements_of_blocks(inner, around) // max(map(_elements, inner)))
    if _goes_down_columns(loop, around):
        return _column_block_length(loop)
    return _block_length(loop) if loop.lanes == 1 else None


def _elements_of_blocks(loops: list[Loop], around: tuple[str, ...]) -> int:
    """How many elements are reduced in one go by loops inside of each other: vectors of them, where they are rows."""
    innermost = [s for s in statements(tuple(loops)) if isinstance(s, Loop) and not any(_loops(s.body))]
    return COLUMN_BLOCK if any(_goes_down_columns(loop, around) for loop in innermost) else NEST_BLOCK


def _elements(loop: Loop) -> int:
    """How many elements a loop and those inside of it go through, or more: an innermost one goes through a vector."""
    length = loop.stop - loop.start
    known, inner = length if isinstance(length, int) else 1, _loops(loop.body)
    return max(known, 1) * max(map(_elements, inner)) if inner else max(known, FEWEST)


def _loops(body: tuple[Statement, ...]) -> list[Loop]:
    return [statement for statement in body if isinstance(statement, Loop)]


def _in_blocks(loop: Loop, known: dict[str, Expr], length: Dim) -> Loop:
    combined = [replace(a, value=local(part_name(a), a.value.dtype)) for a in accumulators(loop, known)]
    body = (*reduced_block(loop, known, length), *combined)
    return Loop(block_variable(loop), 0, block_count(loop, length), 1, body)


def _goes_down_columns(loop: Loop, around: tuple[str, ...]) -> bool:
    """True where a loop steps over what lies side by side, which one of the loops around it goes through."""
    read = {leaf.value for s in loop.body for value in values_of(s) for leaf in leaves(value) if leaf.op == "load"}
    return any(
        stride_of(index, loop.variable) not in (0, 1) and any(_lies_side_by_side(index, outer) for outer in around)
        for _, index in read
    )


def _lies_side_by_side(index: Dim, variable: str) -> bool:
    """Whether lanes along a loop hold neighbours, or every second of them, as in complex numbers."""
    stride = stride_of(index, variable)
    return stride == 1 or is_near(stride)


def _tells_totals(loop: Loop) -> bool:
    """True where turns use what was reduced so far: those of running sums."""
    inside = list(statements(loop.body))
    reduced = {statement.name for statement in inside if isinstance(statement, Accumulate)} - defined(loop.body)
    read = (node.value for s in inside for value in values_of(s) for node in nodes(value) if node.op == "local")
    return any(name in reduced for name in read)


def first_values(body: tuple[Statement, ...]) -> dict[str, Expr]:
    """The values with which statements define locals: the neutral elements of what is accumulated."""
    return {statement.name: statement.value for statement in body if isinstance(statement, Define)}


def is_long(loop: Loop) -> bool:
    """True for a loop over elements that has, or may have, several blocks."""
    return loop.lanes == 1 and not _loops(loop.body) and _has_blocks(loop, _block_length(loop))


def _has_blocks(loop: Loop, length: Dim) -> bool:
    """True for a loop that has, or may have, several blocks. A block itself starts at no fixed place."""
    if loop.step != 1 or not isinstance(loop.start, int):
        return False
    count = block_count(loop, length)
    plain = all(isinstance(statement, Define | Store | Accumulate | Loop) for statement in statements(loop.body))
    return plain and not (isinstance(count, int) and count < 2)


def accumulators(loop: Loop, known: dict[str, Expr]) -> list[Accumulate]:
    """What a loop reduces into locals whose first values are known."""
    own = defined(loop.body)
    found = {s.name: s for s in statements(loop.body) if isinstance(s, Accumulate)}
    return [accumulator for name, accumulator in found.items() if name not in own and name in known]


def reduced_block(loop: Loop, known: dict[str, Expr], length: Dim | None = None) -> list[Statement]:
    """Block number `block_variable` of a loop, reduced into accumulators of its own."""
    parts = {accumulator.name: part_name(accumulator) for accumulator in accumulators(loop, known)}
    length = _block_length(loop) if length is None else length
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


def block_count(loop: Loop, length: Dim | None = None) -> Dim:
    """How many blocks a loop has: of some length, or of that for rows."""
    length = _block_length(loop) if length is None else length
    return (loop.stop - loop.start + length - 1) // length


def _block_length(loop: Loop) -> Dim:
    """A multiple of BLOCK that depends on nothing but the loop's turns."""
    return ((loop.stop - loop.start) // (BLOCK * MOST_BLOCKS) + 1) * BLOCK


def _column_block_length(loop: Loop) -> Dim:
    """The same for columns."""
    return ((loop.stop - loop.start) // (COLUMN_BLOCK * MOST_COLUMN_BLOCKS) + 1) * COLUMN_BLOCK
