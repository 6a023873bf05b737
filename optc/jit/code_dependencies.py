"""What printed code refers to by name and what therefore needs a definition too."""

from __future__ import annotations

from optc.ir.function import ClassType, Function
from optc.ir.types import EnumType, TupleType, Type, UnionType
from optc.jit.names import NameSpace


class Dependencies:
    """The classes, NamedTuples, enums and functions that code refers to, in the order in which they came up.

    Modules from different archives may come together in one, each with its own idea of `__torch__.models.Net`: `names`
    has the names of those whose own name was taken.
    """

    def __init__(self) -> None:
        self.items: list[Type | Function] = []
        self.names: dict[Type | Function, str] = {}
        self._space = NameSpace()
        self._known: set[Type | Function] = set()

    def add(self, item: Type | Function) -> None:
        """Note something with a definition of its own, once. Classes written in C++ have none."""
        if isinstance(item, ClassType) and item.is_native:
            return
        if item not in self._known:
            self._known.add(item)
            self.items.append(item)
            if isinstance(item, ClassType | Function):
                name = self._space.claim(item.name)
                if name != item.name:
                    self.names[item] = name

    def add_type(self, type_: Type) -> None:
        """Note a type if it is defined by code, and the types inside it: a class brings those of its attributes."""
        if isinstance(type_, ClassType | EnumType) or (isinstance(type_, TupleType) and type_.name is not None):
            if type_ in self._known:
                return
            self.add(type_)
        for inner in contained_types(type_):
            self.add_type(inner)


def contained_types(type_: Type) -> tuple[Type, ...]:
    """The types that a type is directly made of; of a class those of its attributes."""
    if isinstance(type_, TupleType):
        return type_.elements
    if isinstance(type_, UnionType):
        return type_.members
    if isinstance(type_, ClassType):
        return tuple(attribute.type for attribute in type_.attributes.values())
    parts = (getattr(type_, name, None) for name in ("element", "key", "value"))
    return tuple(part for part in parts if isinstance(part, Type)) if not isinstance(type_, EnumType) else ()
