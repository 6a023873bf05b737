"""Functions whose result has another type when a flag is set: a script compiles the one that the flag chooses.

`max_pool2d(x, 2, return_indices=True)` returns a pair. The flag has to be known while compiling.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optc.dataclass import dataclass

_CHOICE = "_torchscript_choice"


@dataclass(frozen=True)
class Choice:
    """Which argument decides (its name and place), and between what: functions, compiled or not, or further choices.

    It is False where it is not given.
    """

    argument: str
    place: int
    when_true: Any
    when_false: Any


def chosen_by(
    argument: str, place: int, when_true: Callable[..., Any], when_false: Callable[..., Any]
) -> Callable[..., Any]:
    """A function that calls one of two, by the flag among its arguments."""

    def choose(*arguments: Any, **keywords: Any) -> Any:
        flag = arguments[place] if len(arguments) > place else keywords.get(argument, False)
        return (when_true if flag else when_false)(*arguments, **keywords)

    choose.__doc__ = when_false.__doc__
    choose.__name__ = choose.__qualname__ = when_false.__name__.lstrip("_")
    choose.__module__ = when_false.__module__
    setattr(choose, _CHOICE, Choice(argument, place, when_true, when_false))
    return choose


def choice_of(function: Any) -> Choice | None:
    """The choice behind a function made by `chosen_by`, None for others."""
    found = getattr(function, _CHOICE, None)
    return found if isinstance(found, Choice) else None
