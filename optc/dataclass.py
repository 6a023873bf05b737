"""`dataclasses.dataclass`, made in about a third of the time: of optc's 230 dataclasses every process makes most.

The library compiles source text for each method of each class. Here that is done for `__init__` alone; the other methods
are closures over the names of the fields. They do what the library's do, but that the fields of a frozen class are not
written is left to the type checker.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(
        cls: type | None = None,
        /,
        *,
        repr: bool = True,
        eq: bool = True,
        order: bool = False,
        frozen: bool = False,
        slots: bool = False,
    ) -> Any:
        """The decorator, with the library's arguments and their meaning."""

        def made(cls: type) -> type:
            hashes = cls.__dict__.get("__hash__")
            result = dataclasses.dataclass(repr=False, eq=False, slots=slots)(cls)
            if repr:
                _define(result, "__repr__", _representation(_names(result, "repr")))
            if eq:
                _add_comparison(result, frozen, hashes)
            if order:
                _add_order(result)
            return result

        return made if cls is None else made(cls)


def _names(cls: type, use: str) -> list[str]:
    """The fields that take part in what `use` names."""
    return [field.name for field in dataclasses.fields(cls) if getattr(field, use)]


def _define(cls: type, name: str, function: Callable[..., Any]) -> None:
    """Gives the class a method unless its source has one of the name."""
    if name not in cls.__dict__:
        function.__qualname__ = f"{cls.__qualname__}.{name}"
        setattr(cls, name, function)


def _values(cls: type) -> Callable[[Any], tuple[Any, ...]]:
    """What gets the values that are compared."""
    names = _names(cls, "compare")
    if len(names) > 1:
        return attrgetter(*names)
    return lambda item: tuple(getattr(item, name) for name in names)


def _add_comparison(cls: type, frozen: bool, own_hash: Any) -> None:
    values = _values(cls)

    def __eq__(self: Any, other: Any) -> Any:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return values(self) == values(other)

    def __hash__(self: Any) -> int:
        return hash(values(self))

    _define(cls, "__eq__", __eq__)
    if own_hash is None:
        # A class with a method `__eq__` of its own has been given the attribute `__hash__ = None` by Python.
        cls.__hash__ = __hash__ if frozen else None  # type: ignore[assignment]


def _add_order(cls: type) -> None:
    values = _values(cls)

    def __lt__(self: Any, other: Any) -> Any:
        return values(self) < values(other) if other.__class__ is self.__class__ else NotImplemented

    def __gt__(self: Any, other: Any) -> Any:
        return values(self) > values(other) if other.__class__ is self.__class__ else NotImplemented

    def __le__(self: Any, other: Any) -> Any:
        return values(self) <= values(other) if other.__class__ is self.__class__ else NotImplemented

    def __ge__(self: Any, other: Any) -> Any:
        return values(self) >= values(other) if other.__class__ is self.__class__ else NotImplemented

    for function in (__lt__, __gt__, __le__, __ge__):
        _define(cls, function.__name__, function)


def _representation(names: list[str]) -> Callable[[Any], str]:
    @recursive_repr()
    def __repr__(self: Any) -> str:
        return f"{self.__class__.__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    return __repr__
