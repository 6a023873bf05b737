"""The schedule that lets lanes run where what they read lies together.

Lowering marks the last dimension for lanes. Where windows are reduced for every element of that, and the operands lie
along another one (channels that come first, and are walked last), every lane would be read on its own: there the two
loops change places. A result that is then written lane by lane is written once for all that is read.
"""

from __future__ import annotations

from dataclasses import replace

from optc.codegen.kernels.dependences import turns_are_independent
from optc.codegen.kernels.kernel import (
    Kernel,
    Loop,
    Statement,
    is_near,
    statements,
    stride_of,
    values_of,
    with_loops,
)
from optc.codegen.kernels.vectorise import FEWEST_LANES
from optc.ops.scalar import nodes


def reorder(kernel: Kernel) -> Kernel:
    """Exchange the loop that lanes run along with one around it, along which operands have no gaps."""
    return replace(kernel, body=with_loops(kernel.body, lambda loop: [_reordered(kernel, loop)]))


def _reordered(kernel: Kernel, loop: Loop) -> Loop:
    nest = _nest(loop)
    if len(nest) < 2 or not any(isinstance(statement, Loop) for statement in nest[-1].body):
        return loop
    along = nest[-1]
    if _scattered_reads(along, along.variable) == 0 or not turns_are_independent(kernel, along):
        return loop
    for place, across in enumerate(nest[:-1]):
        extent = across.stop - across.start
        is_long = not isinstance(extent, int) or extent >= FEWEST_LANES
        if is_long and _scattered_reads(along, across.variable) == 0 and turns_are_independent(kernel, across):
            return _exchanged(nest, place)
    return loop


def _nest(loop: Loop) -> list[Loop]:
    """Loops that hold nothing but each other, down to one for lanes; empty where there is none."""
    nest = [loop]
    while nest[-1].lanes != 1:
        body = nest[-1].body
        if nest[-1].step != 1 or len(body) != 1 or not isinstance(body[0], Loop):
            return []
        nest.append(body[0])
    return nest


def _scattered_reads(loop: Loop, variable: str) -> int:
    """How many reads of the loops inside would find every lane in a place of its own, were lanes along a variable."""
    inner = [statement for statement in loop.body if isinstance(statement, Loop)]
    reads = (
        node.value[1] for statement in statements(tuple(inner)) for value in values_of(statement)
        for node in nodes(value) if node.op in ("load", "at")
    )  # fmt: skip
    strides = [stride_of(index, variable) for index in reads]
    return sum(not (is_near(stride) or isinstance(stride, int) and stride in (-1, 0, 1)) for stride in strides)


def _exchanged(nest: list[Loop], place: int) -> Loop:
    across, along = nest[place], nest[-1]
    body: tuple[Statement, ...] = along.body
    order = [*nest[:place], *nest[place + 1 : -1], replace(along, lanes=0), replace(across, lanes=1)]
    for loop in reversed(order):
        body = (replace(loop, body=body),)
    found = body[0]
    assert isinstance(found, Loop)
    return found
