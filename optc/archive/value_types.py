"""Whether the values in an archive are of the types that its code declares for them.

Code is compiled for the declared types, so values that are of others must not come in. Lists and dictionaries may refer
to each other as often as they like, and each is looked at once for every type.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from optc.eager.tensor import Tensor
from optc.ir.function import ClassType, ScriptObject
from optc.ir.types import (
    BOOL,
    COMPLEX,
    DEVICE,
    FLOAT,
    NONE,
    NUMBER,
    STRING,
    DictType,
    EnumType,
    IntType,
    ListType,
    OptionalType,
    TensorType,
    TupleType,
    Type,
    UnionType,
)

_SIMPLE: dict[Type, Callable[[Any], bool]] = {
    FLOAT: lambda value: type(value) in (float, int),  # PyTorch takes integers for floats here
    BOOL: lambda value: isinstance(value, bool) or (type(value) is int and value in (0, 1)),
    COMPLEX: lambda value: type(value) in (complex, float, int),
    STRING: lambda value: isinstance(value, str),
    NONE: lambda value: value is None,
    NUMBER: lambda value: isinstance(value, int | float | complex),
    DEVICE: lambda value: isinstance(value, str),
}


def _is_same(first: ClassType, second: ClassType) -> bool:
    """Classes written in C++ are known by their names: operators make objects of them too."""
    return first is second or (first.is_native and first.name == second.name)


class Fitting:
    """Holds values against types; an instance remembers the containers that it has seen."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, Type], bool] = {}
        self._kept: list[Any] = []

    def fits(self, value: Any, type_: Type) -> bool:
        """True when a value is of a type. What the type does not tell, such as the class behind an interface, fits."""
        if isinstance(type_, OptionalType):
            return value is None or self.fits(value, type_.element)
        if isinstance(type_, UnionType):
            return any(self.fits(value, member) for member in type_.members)
        if isinstance(type_, TensorType):
            return isinstance(value, Tensor)
        if isinstance(type_, IntType):
            return type(value) is int and -(1 << 63) <= value < 1 << 63
        if isinstance(type_, EnumType):
            return isinstance(value, Enum)
        if isinstance(type_, ClassType):
            return isinstance(value, ScriptObject) and (type_.is_interface or _is_same(value.type, type_))
        if isinstance(type_, ListType | DictType | TupleType):
            return self._container_fits(value, type_)
        check = _SIMPLE.get(type_)
        return check is None or check(value)

    def _container_fits(self, value: Any, type_: ListType | DictType | TupleType) -> bool:
        key = (id(value), type_)
        if key not in self._seen:
            self._kept.append(value)
            self._seen[key] = True  # until something in it is found that does not fit
            self._seen[key] = self._contents_fit(value, type_)
        return self._seen[key]

    def _contents_fit(self, value: Any, type_: ListType | DictType | TupleType) -> bool:
        if isinstance(type_, ListType):
            return isinstance(value, list) and all(self.fits(item, type_.element) for item in value)
        if isinstance(type_, DictType):
            return isinstance(value, dict) and all(
                self.fits(key, type_.key) and self.fits(item, type_.value) for key, item in value.items()
            )
        return (
            isinstance(value, tuple)
            and len(value) == len(type_.elements)
            and all(self.fits(item, element) for item, element in zip(value, type_.elements))
        )
