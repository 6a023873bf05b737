"""The form of what an attribute holds: types nested like tuples, lists and dictionaries, NONE for None.

{"left": a tensor, "steps": (1, None)}    has the form    {"left": Float(2, 8), "steps": (int, None)}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from optc.eager.tensor import Tensor
from optc.ir.function import ScriptObject
from optc.ir.optimized import Parts
from optc.ir.structure import Literal
from optc.ir.types import (
    BOOL,
    FLOAT,
    NONE,
    STRING,
    DictType,
    IntType,
    ListType,
    OptionalType,
    TensorType,
    TupleType,
    Type,
)
from optc.ops.builder import constant_type

LARGEST = 64
"""A container of more parts than this stays whole."""


def form_of(held: Any, declared: Type, place: tuple[ScriptObject | Parts, Any], known: Mapping[Any, Type]) -> Any:
    """The form of what is held in a place; of tensors the element type and shape, or what is `known` of a place.

    What has no form of its own is of the type that is declared.
    """
    if isinstance(known.get(place), Literal):
        return known[place]
    if isinstance(declared, OptionalType):
        return NONE if held is None else form_of(held, declared.element, place, known)
    parts = parts_of(held, declared)
    if parts is None:
        return known.get(place) or (constant_type(held._array) if isinstance(held, Tensor) else declared)
    made = [form_of(item, type_, _inside(place, key), known) for key, item, type_ in parts]
    if isinstance(held, dict):
        return dict(zip(held, made))
    return made if isinstance(held, list) else tuple(made)


def parts_of(held: Any, declared: Type) -> list[tuple[Any, Any, Type]] | None:
    """The place, value and type of everything in a container; None for what stays whole."""
    if isinstance(declared, TupleType) and isinstance(held, tuple):
        return list(zip(range(len(held)), held, declared.elements))
    if isinstance(declared, ListType) and isinstance(held, list):
        element, entries = declared.element, list(enumerate(held))
    elif isinstance(declared, DictType) and isinstance(held, dict) and _is_key(declared.key):
        element, entries = declared.value, list(held.items())
    else:
        return None
    return [(key, item, element) for key, item in entries] if _has_form(element) and _is_small(held) else None


def _inside(place: tuple[ScriptObject | Parts, Any], key: Any) -> tuple[Parts, tuple[Any, ...]]:
    owner, name = place
    if isinstance(owner, Parts):
        return owner, (*name, key)
    return Parts(owner, name), (key,)


def _is_number(type_: Type) -> bool:
    return isinstance(type_, IntType) or type_ in (FLOAT, BOOL)


def _is_key(type_: Type) -> bool:
    return _is_number(type_) or type_ is STRING


def _has_form(type_: Type) -> bool:
    """True for the types of values of which native code has every part."""
    if isinstance(type_, TensorType) or _is_number(type_):
        return True
    if isinstance(type_, OptionalType | ListType):
        return _has_form(type_.element)
    if isinstance(type_, TupleType):
        return all(map(_has_form, type_.elements))
    return isinstance(type_, DictType) and _is_key(type_.key) and _has_form(type_.value)


def _is_small(held: Any) -> bool:
    """True for a container of few things, with no tensor or container in it twice."""
    parts = list(_parts_in(held))
    objects = [id(part) for part in parts if isinstance(part, Tensor | list | dict)]
    return len(parts) <= LARGEST and len(set(objects)) == len(objects)


def _parts_in(held: Any) -> Iterator[Any]:
    """A value, and everything in it."""
    yield held
    if isinstance(held, list | dict | tuple):
        for item in held.values() if isinstance(held, dict) else held:
            yield from _parts_in(item)


def is_taken_apart(given: Any, declared: Type) -> bool:
    """True for the form of a container, of what may be None, and of a truth value that is a constant."""
    return isinstance(given, tuple | list | dict | Literal) or isinstance(declared, OptionalType)


def leaves_in(given: Any, place: tuple[ScriptObject | Parts, Any]) -> Iterator[tuple[ScriptObject | Parts, Any]]:
    """The places of what is no container and no constant."""
    if isinstance(given, tuple | list | dict):
        for key, item in given.items() if isinstance(given, dict) else enumerate(given):
            yield from leaves_in(item, _inside(place, key))
    elif given is not NONE and not isinstance(given, Literal):
        yield place
