"""The pass `ragged-lists`.

paths = []                              items, starts = [], [0]
for b in range(n):                      for b in range(n):
    path = walk(b)              =>          items += walk(b)
    paths.append(path)                      starts.append(len(items))
for place in paths[i]: ...              for place in items[starts[i] : starts[i + 1]]: ...
"""

from __future__ import annotations

from collections.abc import Sequence

from optc.ir.graph import Graph, Node, Value
from optc.ir.types import BOOL, FLOAT, INT, IntType, ListType, TensorType, TupleType, Type
from optc.ops.builder import Builder
from optc.passes.list_families import READS, ListFamily, Replacement, part_lists
from optc.passes.list_steps import STEPS
from optc.pipeline import graph_pass

_STEPS = ("prim::ListAppend", "aten::list", "aten::copy")


@graph_pass(
    "ragged-lists",
    functional=True,
    after={"functionalize": "a list is a value there", "loop-unrolling": "short loops give lists of known elements"},
)
def ragged_lists(graph: Graph) -> bool:
    """Keep a list of lists that grows as one list of all their items and a list that says where each of them begins."""
    changed = part_lists(graph)
    for node in list(graph.walk()):
        if node.kind != "prim::ListConstruct" or node.owner is None or not _holds_lists(node.output.type):
            continue
        family = ListFamily()
        if family.add(node.output) and _is_understood(family):
            Replacement(graph, family, _Ragged(graph)).run()
            changed = True
    return changed


def _holds_lists(type_: Type) -> bool:
    """True for lists of lists of what native code knows."""
    return isinstance(type_, ListType) and isinstance(type_.element, ListType) and _is_plain(type_.element.element)


def _is_plain(type_: Type) -> bool:
    if isinstance(type_, ListType):
        return _is_plain(type_.element)
    if isinstance(type_, TupleType):
        return bool(type_.elements) and all(map(_is_plain, type_.elements))
    return isinstance(type_, TensorType | IntType) or type_ in (FLOAT, BOOL)


def _is_understood(family: ListFamily) -> bool:
    return all(step.kind in _STEPS for step in family.steps) and all(reader.kind in READS for reader in family.readers)


class _Ragged:
    """All items one behind another, and where the lists begin; the last of these places is where they end."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.builder = Builder(graph)

    def types(self, value: Value) -> Sequence[Type]:
        assert isinstance(value.type, ListType)
        return value.type.element, ListType(INT)

    def make(self, values: Sequence[Value]) -> tuple[Value, ...]:
        return tuple(values)

    def start(self, node: Node) -> tuple[Value, ...]:
        item_type = self.types(node.output)[0]
        items = self.graph.insert("prim::ListConstruct", [], (item_type,)).output
        places = [self.builder.value(0)]
        for element in node.inputs:
            items = self.joined(items, element)
            places.append(self.length(items))
        return items, self.graph.insert("prim::ListConstruct", places, (ListType(INT),)).output

    def step(self, node: Node, *lists: tuple[Value, ...]) -> tuple[Value, ...]:
        """The lists with one more, or as they are."""
        (items, starts), element = lists[0], STEPS[node.kind].element
        if element is None:
            return items, starts
        items = self.joined(items, node.inputs[element])
        longer = self.graph.insert("prim::ListAppend", [starts, self.length(items)], (starts.type,))
        return items, longer.output

    def read(self, node: Node, parts: tuple[Value, ...]) -> Value:
        """How many lists there are, or one of them."""
        items, starts = parts
        b = self.builder
        if node.kind == "aten::len":
            count: Value = b("aten::sub.int", self.length(starts), 1)
            return count
        # Counted from the end, the place where the last list begins is the last but one.
        first = b("aten::sub.int", node.inputs[1], b("aten::Int.bool", b("aten::lt.int", node.inputs[1], 0)))
        bounds = [self.item(starts, place) for place in (first, b("aten::add.int", first, 1))]
        inputs = [items, *bounds, b.value(1)]
        return self.graph.insert("aten::slice", inputs, (items.type,), overload="t").output

    def leave(self, node: Node, slot: int, parts: tuple[Value, ...]) -> Value:
        return self.graph.insert("prim::ListOfLists", list(parts), (ListType(parts[0].type),)).output

    def joined(self, items: Value, more: Value) -> Value:
        return self.graph.insert("aten::add", [items, more], (items.type,), overload="t").output

    def length(self, items: Value) -> Value:
        return self.graph.insert("aten::len", [items], (INT,), overload="t").output

    def item(self, items: Value, place: Value) -> Value:
        return self.graph.insert("aten::__getitem__", [items, place], (INT,), overload="t").output
