"""The pass `objects-as-tuples`.

%p : Point = prim::CreateObject()
prim::SetAttr[name="x"](%p, %a)         =>    %p : (Tensor, int) = prim::TupleConstruct(%a, %n)
prim::SetAttr[name="n"](%p, %n)

An object that nobody changes once it is made is a tuple of what it holds: lists, branches and loops may have it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from optc.ir.function import ClassType
from optc.ir.graph import Graph, Node
from optc.ir.types import (
    ANY,
    ANY_LIST,
    ANY_TUPLE,
    INT,
    NONE,
    DictType,
    FutureType,
    ListType,
    OptionalType,
    TupleType,
    Type,
    UnionType,
)
from optc.pipeline import graph_pass

_ASK_FOR_THE_OBJECT = frozenset(("aten::__is__", "aten::__isnot__"))
_ASK_FOR_MORE = _ASK_FOR_THE_OBJECT | {
    "aten::sort", "aten::sorted", "prim::isinstance", "prim::CallMethod", "prim::CallFunction", "prim::fork",
    "prim::GetAttr", "prim::SetAttr", "prim::Constant",
}  # fmt: skip
"""Kinds to which an object is more than what it holds."""


@graph_pass("objects-as-tuples", after={"scalar-replacement": "objects that stay where they are made may even change"})
def objects_as_tuples(graph: Graph) -> bool:
    """Make tuples of the objects of classes of which the graph only makes and reads objects."""
    made = [node for node in graph.walk() if node.kind == "prim::CreateObject" and _class_of(node) is not None]
    if not made or any(_is_open(value.type) for value in graph.values()):
        return False
    beginnings = {node: found for node in made if (found := _Beginning.of(node)) is not None}
    classes = _unchanging(graph, made, beginnings)
    if not classes:
        return False
    tuples = _Tuples(classes)
    for node, beginning in beginnings.items():
        if _class_of(node) in classes:
            beginning.replace(graph, tuples)
    for node in list(graph.walk()):
        if node.kind == "prim::GetAttr" and node.inputs[0].type in classes:
            _read(graph, node)
    for value in graph.values():
        value.type = tuples.of(value.type)
    return True


def _class_of(node: Node) -> ClassType | None:
    type_ = node.output.type
    return type_ if isinstance(type_, ClassType) and not type_.is_module and not type_.is_interface else None


class _Beginning:
    """What happens to an object before anybody but itself knows of it: `setters` set its attributes, `getters` read them.

    `held` has the last setter of each attribute, `getters` the last one before each.
    """

    def __init__(self, creation: Node) -> None:
        self.creation = creation
        self.held: dict[str, Node] = {}
        self.setters: list[Node] = []
        self.getters: dict[Node, Node] = {}
        self.end: Node | None = None

    @classmethod
    def of(cls, creation: Node) -> _Beginning | None:
        """None for an object whose attributes are not all set where it is made."""
        beginning = cls(creation)
        uses: dict[Node, list[Node]] = {}
        for use in creation.output.uses:
            uses.setdefault(use.node.standing_in(creation.block), []).append(use.node)
        node = creation.next
        while node is not None and node.next is not None and beginning.follow(node, uses.get(node, [])):
            node = node.next
        beginning.end = node
        type_ = _class_of(creation)
        return beginning if type_ is not None and beginning.held.keys() >= type_.attributes.keys() else None

    def follow(self, node: Node, uses: list[Node]) -> bool:
        """Go past one node, with the uses in it; False for the first that others may see the object in."""
        target = self.creation.output
        if uses == [node] and node.kind == "prim::SetAttr" and node.inputs[1] is not target:
            self.held[str(node.attributes["name"])] = node
            self.setters.append(node)
            return True
        if not all(use.kind == "prim::GetAttr" and use.attributes["name"] in self.held for use in uses):
            return False
        self.getters |= {use: self.held[str(use.attributes["name"])] for use in uses}
        return True

    def replace(self, graph: Graph, tuples: _Tuples) -> None:
        """Put the tuple behind the last setter."""
        type_ = _class_of(self.creation)
        assert type_ is not None and self.end is not None
        for node, setter in self.getters.items():
            node.output.replace_all_uses_with(setter.inputs[1])
            node.destroy()
        with graph.replacing(self.creation, before=self.end):
            items = [self.held[name].inputs[1] for name in type_.attributes]
            made = graph.insert("prim::TupleConstruct", items, (tuples.of(type_),)).output
        made.name = self.creation.output.name
        for node in self.setters:
            node.destroy()
        self.creation.output.replace_all_uses_with(made)
        self.creation.destroy()


def _unchanging(graph: Graph, made: list[Node], beginnings: dict[Node, _Beginning]) -> set[ClassType]:
    """The classes all of whose objects are made here, go nowhere else, and stay as they are."""
    classes = {type_ for node in made if (type_ := _class_of(node)) is not None}
    classes -= {type_ for node in made if node not in beginnings and (type_ := _class_of(node)) is not None}
    setters = {setter for found in beginnings.values() for setter in found.setters}
    while True:
        fewer = {type_ for type_ in classes if not _holds_itself(type_, classes)}
        for value in (*graph.inputs, *graph.outputs):
            fewer -= set(_classes_in(value.type))
        for node in graph.walk():
            fewer -= set(_refused(node, classes, setters))
        if fewer == classes:
            return classes
        classes = fewer


def _refused(node: Node, classes: set[ClassType], setters: set[Node]) -> Iterator[ClassType]:
    """The classes of whose objects a node wants to know more than what they hold."""
    if node.kind == "prim::GetAttr" and node.inputs[0].type in classes:
        return
    if node.kind == "prim::SetAttr" and node.inputs[0].type in classes and node in setters:
        return
    values = [*node.inputs, *node.outputs]
    if node.kind in _ASK_FOR_THE_OBJECT and any(value.type is NONE for value in values):
        return
    if node.kind in _ASK_FOR_MORE:
        yield from (type_ for value in values for type_ in _classes_in(value.type))


def _parts(type_: Type) -> tuple[Type, ...]:
    if isinstance(type_, ListType | OptionalType | FutureType):
        return (type_.element,)
    if isinstance(type_, DictType):
        return type_.key, type_.value
    if isinstance(type_, TupleType):
        return type_.elements
    return type_.members if isinstance(type_, UnionType) else ()


def _classes_in(type_: Type) -> Iterator[ClassType]:
    """The classes that a type names; not those of attributes."""
    if isinstance(type_, ClassType):
        yield type_
    for part in _parts(type_):
        yield from _classes_in(part)


def _is_open(type_: Type) -> bool:
    """True for types of values of which it is only known that they have certain methods, or nothing."""
    if isinstance(type_, ClassType):
        return type_.is_interface
    return type_ in (ANY, ANY_LIST, ANY_TUPLE) or any(map(_is_open, _parts(type_)))


def _holds_itself(type_: ClassType, classes: set[ClassType]) -> bool:
    """True for a class whose objects may hold, however deep, objects of that class."""
    seen: set[ClassType] = set()
    waiting = [type_]
    while waiting:
        for attribute in waiting.pop().attributes.values():
            found = set(_classes_in(attribute.type)) & classes
            if type_ in found:
                return True
            waiting += found - seen
            seen |= found
    return False


class _Tuples:
    """Types with tuples in place of some classes."""

    def __init__(self, classes: set[ClassType]) -> None:
        self.classes = classes

    def of(self, type_: Type) -> Type:
        """The type of values that were of this type."""
        if isinstance(type_, ClassType):
            if type_ not in self.classes:
                return type_
            return TupleType(tuple(self.of(attribute.type) for attribute in type_.attributes.values()))
        if not any(found in self.classes for found in _classes_in(type_)):
            return type_
        return self.within(type_)

    def within(self, type_: Type) -> Type:
        """The type with its parts replaced."""
        if isinstance(type_, ListType | OptionalType | FutureType):
            return replace(type_, element=self.of(type_.element))
        if isinstance(type_, DictType):
            return DictType(type_.key, self.of(type_.value))
        if isinstance(type_, TupleType):
            return replace(type_, elements=tuple(map(self.of, type_.elements)))
        assert isinstance(type_, UnionType)
        return UnionType(tuple(map(self.of, type_.members)))


def _read(graph: Graph, node: Node) -> None:
    """Reading an attribute is taking an element."""
    type_ = node.inputs[0].type
    assert isinstance(type_, ClassType)
    place = list(type_.attributes).index(str(node.attributes["name"]))
    with graph.replacing(node):
        index = graph.insert_constant(place, INT)
        found = graph.insert("prim::TupleIndex", (node.inputs[0], index), (node.output.type,)).output
    node.output.replace_all_uses_with(found)
    node.destroy()
