"""How arrays came about while a program is compiled, so that another process can make them again from the parameters.

Passes and code generation `remember` the arrays they compute. Nothing is kept unless somebody is `tracking`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from optc.dataclass import dataclass


@dataclass(frozen=True)
class Origin:
    """A call that makes an array: a function that can be imported, its arguments, and which of its results it is."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    result: int | None = None


class Origins:
    """The arrays that were made so far, each with its origin."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[np.ndarray[Any, Any], Origin]] = {}

    def add(self, array: np.ndarray[Any, Any], origin: Origin) -> None:
        """Record how an array was made."""
        self._made[id(array)] = array, origin

    def of(self, array: np.ndarray[Any, Any]) -> Origin | None:
        """How an array was made; None when nobody said."""
        known = self._made.get(id(array))
        return None if known is None else known[1]

    def __iter__(self) -> Iterator[np.ndarray[Any, Any]]:
        return iter([array for array, _ in self._made.values()])


_tracked: ContextVar[Origins | None] = ContextVar("origins", default=None)


@contextmanager
def tracking() -> Iterator[Origins]:
    """Collect the origins of the arrays that are made inside, by this thread."""
    origins = Origins()
    token = _tracked.set(origins)
    try:
        yield origins
    finally:
        _tracked.reset(token)


def remember(
    array: np.ndarray[Any, Any], function: Callable[..., Any], *arguments: Any, result: int | None = None
) -> np.ndarray[Any, Any]:
    """Say that `array` is `function(*arguments)` (or one of its results); gives the array back.

    The function must depend on nothing but its arguments, and be found under its name in its module. One that hands an
    argument back has made nothing.
    """
    origins = _tracked.get()
    if origins is not None and not any(argument is array for argument in arguments):
        origins.add(array, Origin(function, arguments, result))
    return array
