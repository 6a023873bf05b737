"""The pass `split-lists`.

found = []                              places, scores = [], []
while ...:                              while ...:
    found.append((i, s))        =>          places.append(i)
                                            scores.append(s)
for i, s in found: ...                  for i, s in zip(places, scores): ...
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from optc.ir.graph import Graph, Node, Value
from optc.ir.types import INT, ListType, TupleType, Type
from optc.passes.list_families import READS, ListFamily, Replacement, part_lists
from optc.passes.list_steps import STEPS
from optc.pipeline import graph_pass


@graph_pass(
    "split-lists",
    functional=True,
    after={"functionalize": "a list is a value there", "loop-unrolling": "short loops give lists of known elements"},
)
def split_lists(graph: Graph) -> bool:
    """Keep a list of tuples whose length only running tells as one list for every place in its tuples."""
    changed = part_lists(graph)
    for node in list(graph.walk()):
        if node.kind != "prim::ListConstruct" or node.owner is None or not _holds_tuples(node.output.type):
            continue
        family = ListFamily()
        if family.add(node.output) and all(reader.kind in READS for reader in family.readers):
            Replacement(graph, family, _Columns(graph, family.types[0])).run()
            changed = True
    return changed


def _holds_tuples(type_: Type) -> bool:
    return isinstance(type_, ListType) and isinstance(type_.element, TupleType) and bool(type_.element.elements)


def _places(type_: Type) -> tuple[Type, ...]:
    """The types of the elements of a list's tuples."""
    assert isinstance(type_, ListType) and isinstance(type_.element, TupleType)
    return type_.element.elements


class _Columns:
    """A list for every place in the tuples."""

    def __init__(self, graph: Graph, tuple_type: Type) -> None:
        self.graph = graph
        self.tuple_type = tuple_type

    def types(self, value: Value) -> Sequence[Type]:
        return [ListType(element) for element in _places(value.type)]

    def make(self, values: Sequence[Value]) -> tuple[Value, ...]:
        return tuple(values)

    def start(self, node: Node) -> tuple[Value, ...]:
        parts = [self.parts_of(element) for element in node.inputs]
        columns = zip(*parts) if parts else ((),) * len(_places(node.output.type))
        made = zip(self.types(node.output), columns)
        return tuple(self.graph.insert("prim::ListConstruct", list(items), (type_,)).output for type_, items in made)

    def parts_of(self, element: Value) -> Sequence[Value]:
        """What is in a tuple."""
        if element.node.kind == "prim::TupleConstruct":
            return element.node.inputs
        assert isinstance(element.type, TupleType)
        return self.graph.insert("prim::TupleUnpack", [element], element.type.elements).outputs

    def step(self, node: Node, *lists: tuple[Value, ...]) -> tuple[Value, ...]:
        """The same step of every list."""
        element = STEPS[node.kind].element
        parts = None if element is None else self.parts_of(node.inputs[element])
        made = []
        for place, type_ in enumerate(self.types(node.output)):
            inputs = [*(columns[place] for columns in lists), *node.inputs[len(lists) :]]
            if parts is not None and element is not None:
                inputs[element] = parts[place]
            made.append(self.graph.insert(node.kind, inputs, (type_,), overload=node.overload).output)
        return tuple(made)

    def read(self, node: Node, columns: tuple[Value, ...]) -> Value:
        """The length, or a tuple."""
        if node.kind == "aten::len":
            return self.graph.insert("aten::len", [columns[0]], (INT,), overload="t").output
        inputs = node.inputs[1:]
        types = _places(node.inputs[0].type)
        items = [
            self.graph.insert(node.kind, [column, *inputs], (type_,), overload=node.overload).output
            for column, type_ in zip(columns, types)
        ]
        return self.graph.insert("prim::TupleConstruct", items, (node.output.type,)).output

    def leave(self, node: Node, slot: int, columns: tuple[Value, ...]) -> Value:
        # The tuples themselves say whether they are of a class; a list that grows may not know it.
        assert isinstance(self.tuple_type, TupleType)
        type_ = ListType(replace(self.tuple_type, elements=_places(node.inputs[slot].type)))
        return self.graph.insert("prim::ListOfTuples", list(columns), (type_,)).output
