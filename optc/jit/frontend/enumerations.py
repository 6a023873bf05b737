"""Enumerations: Python's `Enum` classes and the types that stand for them in graphs."""

from __future__ import annotations

import enum

from optc.ir.types import FLOAT, INT, STRING, EnumType, Type
from optc.jit.names import qualified_name

_VALUE_TYPES: dict[type, Type] = {int: INT, float: FLOAT, str: STRING}

_types: dict[type[enum.Enum], EnumType] = {}


class EnumError(TypeError):
    """An enumeration that has no type: its values differ in type or are of an unsupported one."""


def enum_type(class_: type[enum.Enum]) -> EnumType:
    """The type of an enumeration. Raises EnumError."""
    found = _types.get(class_)
    if found is None:
        found = _types[class_] = _make_type(class_, qualified_name(class_))
    return found


def register_enum(name: str, members: list[tuple[str, object]]) -> EnumType:
    """The type of an enumeration that an archive defines; its values are members of a Python class.

    That is the program's own class where it has an equal one, so that what it passes in and gets out are the members
    it knows.
    """
    class_ = enum.Enum(name.rpartition(".")[2], members)  # type: ignore[misc]
    made = _make_type(class_, name)
    if not any(_is_same(known, made) for known in _types.values()):
        _types[class_] = made
    return made


def _is_same(first: EnumType, second: EnumType) -> bool:
    """Types are equal by name, but archives may have enumerations of one name that differ in their members."""
    return first == second and first.members == second.members


def enum_class(type_: EnumType) -> type[enum.Enum]:
    """The Python class whose members are the values of the type. Raises KeyError for a type made elsewhere."""
    for class_, known in _types.items():
        if _is_same(known, type_):
            return class_
    raise KeyError(type_.name)


def member_like(value: enum.Enum, type_: EnumType) -> enum.Enum | None:
    """The member of the type with the name and value of a member of some other class; None when there is none."""
    found = enum_class(type_).__members__.get(value.name)
    return found if found is not None and found.value == value.value else None


def _make_type(class_: type[enum.Enum], name: str) -> EnumType:
    members = tuple((member.name, member.value) for member in class_)
    if not members:
        raise EnumError(f"No enum values defined for: '{class_.__name__}'")
    kinds = {type(value) for _, value in members}
    if len(kinds) != 1 or (kind := kinds.pop()) not in _VALUE_TYPES:
        raise EnumError(
            f"Cannot determine the type of the values of enum '{class_.__name__}': "
            "they must all be int, all float or all str"
        )
    return EnumType(name, _VALUE_TYPES[kind], members)
