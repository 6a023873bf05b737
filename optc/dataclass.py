"""`dataclasses.dataclass`, with the work left until the first instance: a process makes 60 to 200 of optc's 230
dataclasses, and half of them only to name them.

The library compiles source text for each method of each class. Here that is done for `__init__` alone; the other methods
are closures over the names of the fields. They do what the library's do, but that the fields of a frozen class are not
written is left to the type checker.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

from optc.locks import ForkLock

__all__ = ["dataclass"]

Method = Callable[..., Any]

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
            # Python has given a class with a method `__eq__` of its own the attribute `__hash__ = None`.
            hashes = eq and cls.__dict__.get("__hash__") is None
            makers = {"__init__": _initializer}
            makers |= {"__repr__": _representation} if repr else {}
            makers |= {"__eq__": _equality} if eq else {}
            makers |= _ORDER if order else {}
            makers = {name: maker for name, maker in makers.items() if name not in cls.__dict__}
            makers |= {"__hash__": _hash if frozen else _no_hash} if hashes else {}
            if slots:
                cls = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True)(cls)
                return _complete(cls, makers)
            return _postponed(cls, makers)

        return made if cls is None else made(cls)


# Postponing ----------------------------------------------------------------------------------------------------------

_FIELDS = "__dataclass_fields__"
_completing = ForkLock()


class _PostponedFields:
    """Stands for the fields of a class until something asks for them."""

    def __init__(self, cls: type) -> None:
        self._cls = cls

    def __get__(self, instance: object, owner: type) -> Any:
        with _completing:
            if self._cls.__dict__[_FIELDS] is self:
                dataclasses.dataclass(init=False, repr=False, eq=False)(self._cls)
        return self._cls.__dict__[_FIELDS]


def _postponed(cls: type, makers: Mapping[str, Callable[[type], Method]]) -> type:
    """The class, with methods that make themselves when one of them is called."""

    def postponed(name: str) -> Method:
        def method(*arguments: Any, **keywords: Any) -> Any:
            with _completing:
                if cls.__dict__[name] is method:
                    _complete(cls, makers)
            return cls.__dict__[name](*arguments, **keywords)

        return method

    setattr(cls, _FIELDS, _PostponedFields(cls))
    for name, maker in makers.items():
        setattr(cls, name, None if maker is _no_hash else postponed(name))
    return cls


def _complete(cls: type, makers: Mapping[str, Callable[[type], Method]]) -> type:
    """The class with its methods. Those that it has are replaced, not removed: other threads may be calling them."""
    for name, maker in makers.items():
        method = maker(cls)
        if method is not None:
            method.__name__, method.__qualname__ = name, f"{cls.__qualname__}.{name}"
        setattr(cls, name, method)
    return cls


# Methods -------------------------------------------------------------------------------------------------------------


def _initializer(cls: type) -> Method:
    """Takes the fields in their order, and calls `__post_init__`."""
    space: dict[str, Any] = {"missing": dataclasses.MISSING}
    parameters, lines = ["self"], []
    for number, field in enumerate(dataclasses.fields(cls)):
        name, default, factory = field.name, field.default, field.default_factory
        assert field.init and not field.kw_only, f"{cls.__name__}.{name}"
        lines.append(f"self.{name} = {name}")
        if default is not dataclasses.MISSING:
            space[f"default_{number}"] = default
            parameters.append(f"{name}=default_{number}")
        elif factory is not dataclasses.MISSING:
            space[f"factory_{number}"] = factory
            parameters.append(f"{name}=missing")
            lines[-1] = f"self.{name} = factory_{number}() if {name} is missing else {name}"
        else:
            parameters.append(name)
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    body = "\n ".join(lines or ["pass"])
    exec(f"def __init__({', '.join(parameters)}):\n {body}", space)  # noqa: S102 - names of fields are names
    return space["__init__"]  # type: ignore[no-any-return]


def _names(cls: type, use: str) -> list[str]:
    """The fields that take part in what `use` names."""
    return [field.name for field in dataclasses.fields(cls) if getattr(field, use)]


def _values(cls: type) -> Callable[[Any], tuple[Any, ...]]:
    """What gets the values that are compared."""
    names = _names(cls, "compare")
    if len(names) > 1:
        return attrgetter(*names)
    return lambda item: tuple(getattr(item, name) for name in names)


def _equality(cls: type) -> Method:
    values = _values(cls)

    def __eq__(self: Any, other: Any) -> Any:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return values(self) == values(other)

    return __eq__


def _hash(cls: type) -> Method:
    values = _values(cls)

    def __hash__(self: Any) -> int:
        return hash(values(self))

    return __hash__


def _no_hash(cls: type) -> Any:
    return None


def _less(cls: type) -> Method:
    values = _values(cls)

    def __lt__(self: Any, other: Any) -> Any:
        return values(self) < values(other) if other.__class__ is self.__class__ else NotImplemented

    return __lt__


def _greater(cls: type) -> Method:
    values = _values(cls)

    def __gt__(self: Any, other: Any) -> Any:
        return values(self) > values(other) if other.__class__ is self.__class__ else NotImplemented

    return __gt__


def _at_most(cls: type) -> Method:
    values = _values(cls)

    def __le__(self: Any, other: Any) -> Any:
        return values(self) <= values(other) if other.__class__ is self.__class__ else NotImplemented

    return __le__


def _at_least(cls: type) -> Method:
    values = _values(cls)

    def __ge__(self: Any, other: Any) -> Any:
        return values(self) >= values(other) if other.__class__ is self.__class__ else NotImplemented

    return __ge__


_ORDER = {"__lt__": _less, "__gt__": _greater, "__le__": _at_most, "__ge__": _at_least}


def _representation(cls: type) -> Method:
    names = _names(cls, "repr")

    @recursive_repr()
    def __repr__(self: Any) -> str:
        return f"{self.__class__.__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    return __repr__
