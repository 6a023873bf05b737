"""Nested values taken apart: a graph in core form takes and returns leaves, a `Structure` says how they belong together."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from optc.dataclass import dataclass
from optc.ir.types import ListType, TensorType, TupleType, Type


@dataclass(frozen=True)
class Literal(Type):
    """The type of an argument that is always the same text, or the same truth value."""

    value: str | bool

    def __str__(self) -> str:
        return repr(self.value)


@dataclass(frozen=True)
class Structure:
    """One level of a nested value.

    `kind` is "leaf" (of type `type`), "none", "text" (a `Literal`: `keys` has it), "optional" (whether there is
    a value, and the value), "tuple", "list" or "dict"; `items` are the parts, `keys` the dictionary's
    keys. A tuple's `type` tells a NamedTuple. "rows" is a list, of type `type`, whose elements are the rows of one
    leaf: how many there are, only running tells; "zipped" is a list of tuples, whose places are the lists `items`;
    "ragged" is a list of lists: the list of all their items, and the places where they begin and the last one ends.
    """

    kind: str
    items: tuple[Structure, ...] = ()
    keys: tuple[Any, ...] = ()
    type: Type | None = None

    @property
    def leaf_count(self) -> int:
        """How many leaves a value of this structure has."""
        return 1 if self.kind in ("leaf", "rows") else sum(item.leaf_count for item in self.items)


def paths_of(structure: Structure, path: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """Where the leaves are, in their order: the numbers of the items on the way to each."""
    if structure.kind in ("leaf", "rows"):
        yield path
    for place, item in enumerate(structure.items):
        yield from paths_of(item, (*path, place))


def leaves_of(value: Any, structure: Structure) -> Iterator[Any]:
    """The leaves of a nested value, in order. Raises TypeError for a value of another structure."""
    if structure.kind == "leaf":
        yield value
        return
    if structure.kind in ("none", "text"):
        expected = structure.keys[0] if structure.keys else None
        if value != expected:
            raise TypeError(f"expected {expected!r}, got {type(value).__name__}")
        return
    parts = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(parts, list | tuple) or len(parts) != len(structure.items):
        raise TypeError(f"expected a {structure.kind} of {len(structure.items)} items")
    for part, item in zip(parts, structure.items):
        yield from leaves_of(part, item)


def rebuild(leaves: Sequence[Any], structure: Structure) -> Any:
    """The nested value made of leaves, the inverse of `leaves_of`."""
    return _rebuild(iter(leaves), structure)


def _rebuild(leaves: Iterator[Any], structure: Structure) -> Any:
    if structure.kind == "leaf":
        return next(leaves)
    if structure.kind == "rows":
        return _rows(next(leaves), structure.type)
    if structure.kind == "none":
        return None
    parts = [_rebuild(leaves, item) for item in structure.items]
    if structure.kind == "optional":
        return parts[1] if parts[0] else None
    if structure.kind == "dict":
        return dict(zip(structure.keys, parts))
    if structure.kind == "zipped":
        assert isinstance(structure.type, ListType)
        return [make_tuple(items, structure.type.element) for items in zip(*parts)]
    if structure.kind == "ragged":
        return cut_at(*parts)
    return parts if structure.kind == "list" else make_tuple(parts, structure.type)


def _rows(tensor: Any, type_: Type | None) -> list[Any]:
    """The rows of a tensor, each a tensor of its own, or numbers."""
    assert isinstance(type_, ListType)
    if not isinstance(type_.element, TensorType):
        numbers: list[Any] = tensor.tolist()
        return numbers
    return [row.clone() for row in tensor.unbind(0)]


def cut_at(items: list[Any], starts: Sequence[int]) -> list[list[Any]]:
    """The lists that begin at these places of the list of all their items; the last place is where the last one ends."""
    return [items[first:end] for first, end in itertools.pairwise(starts)]


def make_tuple(items: Sequence[Any], type_: Type | None) -> tuple[Any, ...]:
    """The items as a tuple, or as a NamedTuple with the fields that its type names."""
    class_ = class_of_tuples(type_)
    made: tuple[Any, ...] = tuple(items) if class_ is tuple else class_(*items)
    return made


def class_of_tuples(type_: Type | None) -> Any:
    """The class of a type's values, `tuple` itself where it names none."""
    if isinstance(type_, TupleType) and type_.fields and type_.name is not None:
        return tuple_class(type_)
    return tuple


def tuple_class(type_: TupleType) -> Any:
    """The class of a NamedTuple's values."""
    return _named_tuple_class((type_.name or "").rpartition(".")[2], type_.fields)


@cache
def _named_tuple_class(name: str, fields: tuple[str, ...]) -> Any:
    return collections.namedtuple(name, fields)
