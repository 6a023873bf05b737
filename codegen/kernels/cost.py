"""What expressions and loops cost, as a number of vector instructions: enough to choose between two schedules."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from optc.codegen.kernels.kernel import Accumulate, Loop, Scatter, Statement, Store, values_of
from optc.ops.scalar import PRIMITIVES, Expr, nodes

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
