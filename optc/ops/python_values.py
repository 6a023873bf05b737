"""Operators that work on the host, on Python's values: how they are declared.

The interpreter runs them. What shape inference and the passes need is what they do to values that are known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optc.ir.dims import Symbolic, fresh
from optc.ir.types import IntType, TensorType, Type
from optc.ops.abstract import Unknown, unknown
from optc.ops.effort import is_modest
from optc.ops.registry import Operator, define


def is_concrete(value: Any) -> bool:
    """True for a Python value without anything unknown in it."""
    if isinstance(value, list | tuple):
        return all(map(is_concrete, value))
    return not isinstance(value, TensorType | Symbolic | Unknown)


def unknown_of(type_: Type) -> Any:
    """The abstract value of a type of which nothing is known."""
    return fresh() if isinstance(type_, IntType) else unknown(type_)


def declare_host(
    schema: str,
    reference: Callable[..., Any],
    reason: str,
    *,
    rule: Callable[..., Any] | None = None,
    pure: bool = True,
    may_fail: bool = False,
) -> Operator:
    """Declare an operator that runs on the host.

    Without a rule the result is computed where all arguments are known, and unknown otherwise. A failure on known
    arguments happens when the program runs, not before.
    """
    made: list[Operator] = []

    def infer(*arguments: Any) -> Any:
        returns = made[0].schema.returns
        if pure and not made[0].mutates and all(map(is_concrete, arguments)) and is_modest(made[0], arguments):
            try:
                return reference(*arguments)
            except (RuntimeError, ValueError):
                pass
        if len(returns) == 1:
            return unknown_of(returns[0].type)
        return tuple(unknown_of(declared.type) for declared in returns)

    made.append(define(schema, infer=rule or infer, reference=reference, interpreted=reason, pure=pure,
                       may_fail=may_fail, accepts_untyped=True))  # fmt: skip
    return made[0]


def array_in(value: Any) -> Any:
    """The array inside a run-time tensor, also inside lists and tuples."""
    if isinstance(value, list | tuple):
        return type(value)(map(array_in, value))
    return getattr(value, "_array", value)
