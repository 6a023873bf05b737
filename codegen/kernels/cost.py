"""What expressions and loops cost, as a number of vector instructions: enough to choose between two schedules."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from optc.codegen.kernels.kernel import Accumulate, Loop, Scatter, Statement, Store, values_of
from optc.ops.scalar import PRIMITIVES, Expr, nodes, ordered

SLOW = {"div": 8, "rem": 8, "sqrt": 8}
"""Primitives that keep an execution unit busy for several cycles."""
FUNCTION = 20
"""A transcendental function, once it is a polynomial."""
TRAFFIC = 3
"""Storing an element in the nearest cache and loading it again, the wait included."""


def operations(expr: Expr) -> int:
    """The instructions that compute an expression; shared parts count once, leaves other than loads not at all."""
    return sum(map(_operation, nodes(expr)))


@cache
def _primitive(op: str) -> int:
    return SLOW.get(op, 1) if op in PRIMITIVES else FUNCTION


def _operation(node: Expr) -> int:
    if node.op in ("load", "at"):
        return 1
    return _primitive(node.op) if node.args else 0


def usual_operands(node: Expr) -> tuple[Expr, ...]:
    """The operands that are computed every time."""
    return node.args[::2] if node.op == "rarely" else node.args


def values_in_use(expr: Expr) -> int:
    """How many values wait at the same time, at most, while an expression is computed operand after operand. Constants
    are no values."""
    order = [node for node in ordered(expr, usual_operands) if node.op != "const"]
    last = {arg: place for place, node in enumerate(order) for arg in usual_operands(node)}
    most = waiting = 0
    for place, node in enumerate(order):
        waiting += 1 - sum(last[arg] == place for arg in set(usual_operands(node)) if arg.op != "const")
        most = max(most, waiting)
    return most


def body_operations(body: Iterable[Statement]) -> int:
    """The instructions of one turn of a loop, loops inside it counted as if they turned once."""
    total = 0
    for statement in body:
        if isinstance(statement, Loop):
            total += body_operations(statement.body)
            continue
        total += sum(map(operations, values_of(statement)))
        total += isinstance(statement, Store | Scatter | Accumulate)
    return total


def is_heavy(loop: Loop) -> bool:
    """Whether a vector of a loop takes so much to compute that memory can be read and written meanwhile."""
    return body_operations(loop.body) * loop.lanes >= FUNCTION * loop.step
