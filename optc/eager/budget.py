"""A limit for programs that run although nobody called them: what restores the objects of an archive at load."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from optc.ir.graph import Node
from optc.ops.effort import STEP, effort
from optc.ops.registry import operator_of


class Budget:
    """How much effort (see `optc.ops.effort`) programs may still make."""

    def __init__(self, left: int) -> None:
        self.left = left

    def spend(self, amount: int) -> None:
        """Take a part of what is left. Raises RuntimeError when that is too little."""
        self.left -= amount
        if self.left < 0:
            raise RuntimeError(
                "it takes more time or memory than the code of an archive may take at load; OPTC_RESTORE_EFFORT can "
                "allow more"
            )

    def spend_on(self, node: Node, arguments: Sequence[Any]) -> None:
        """Take what a node will need for these arguments. Raises RuntimeError as `spend` does."""
        operator = operator_of(node)
        values = [_as_array(value) for value in arguments]
        self.spend(STEP + sum(map(_size, values)) if operator is None else effort(operator, values))


_BUDGET: ContextVar[Budget | None] = ContextVar("_BUDGET", default=None)


def current_budget() -> Budget | None:
    """What the interpreter may spend; None for as much as it likes."""
    return _BUDGET.get()


@contextmanager
def limited(budget: Budget) -> Iterator[None]:
    """Programs that run inside fail once the budget is spent."""
    token = _BUDGET.set(budget)
    try:
        yield
    finally:
        _BUDGET.reset(token)


def _as_array(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [getattr(item, "_array", item) for item in value]
    return getattr(value, "_array", value)


def _size(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return value.size
    return len(value) if isinstance(value, str | list | dict) else 0
