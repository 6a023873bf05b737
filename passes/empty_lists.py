"""The pass `empty-lists`.

%past : Tensor[] = prim::Loop(%n, True, [])                 %is, %k, %v = prim::Loop(%n, True, False, <nothing>, <nothing>)
  block0(%i, %held : Tensor[]):                               block0(%i, %is0, %k0, %v0):
    %y = prim::If(len(%held) == 0): ... %held[1] ...   =>       %y = prim::If((2 if %is0 else 0) == 0): ... %v0 ...
    -> (True, [%y, %x])                                         -> (True, True, %y, %x)
"""

from __future__ import annotations

from collections.abc import Sequence

from optc.ir.graph import Graph, Node, Value
from optc.ir.types import BOOL, FLOAT, INT, STRING, IntType, ListType, Type
from optc.ops.builder import Builder
from optc.passes.list_families import ListFamily, Replacement
from optc.pipeline import graph_pass

Parts = tuple[Value, ...]
"""Whether the list has elements, and the elements."""


@graph_pass(
    "empty-lists",
    functional=True,
    after={
        "functionalize": "a list has the length it was made with only if nobody changes it",
        "handed-lists": "where there is one length, nobody need ask whether there are elements",
    },
)
def empty_lists(graph: Graph, *, longest: int = 64) -> bool:
    """Hand on whether a list is empty, and what is in it otherwise, where one other length is known."""
    changed = False
    for node in list(graph.walk()):
        if node.kind != "prim::ListConstruct" or node.owner is None or node.inputs or _holds_numbers(node.output.type):
            continue
        family = ListFamily()
        length = _length(family) if family.add(node.output) else None
        if length is not None and length <= longest:
            Replacement(graph, family, _Elements(graph, length)).run()
            changed = True
    return changed


def _holds_numbers(type_: Type) -> bool:
    assert isinstance(type_, ListType)
    return isinstance(type_.element, IntType) or type_.element in (BOOL, FLOAT, STRING)


def _length(family: ListFamily) -> int | None:
    """How many elements a list has that is not empty; None where there are several lengths, or nobody can say."""
    if family.steps or family.leavers or any(start.kind != "prim::ListConstruct" for start in family.starts):
        return None
    lengths = {len(start.inputs) for start in family.starts} - {0}
    length = lengths.pop() if len(lengths) == 1 else None
    return length if length and all(_is_told(reader, length) for reader in family.readers) else None


def _is_told(reader: Node, length: int) -> bool:
    """True for what asks for the length, or for an element whose number is known."""
    if reader.kind == "aten::len":
        return True
    number = reader.inputs[1].constant if reader.kind == "aten::__getitem__" and reader.inputs[1].is_constant else None
    return number is not None and -length <= number < length


class _Elements:
    """A list of one length, or none, as whether it has its elements, and these."""

    def __init__(self, graph: Graph, length: int) -> None:
        self.graph = graph
        self.builder = Builder(graph)
        self.length = length

    def types(self, value: Value) -> Sequence[Type]:
        assert isinstance(value.type, ListType)
        return BOOL, *[value.type.element] * self.length

    def make(self, values: Sequence[Value]) -> Parts:
        return tuple(values)

    def start(self, node: Node) -> Parts:
        if node.inputs:
            return self.builder.value(True), *node.inputs
        assert isinstance(node.output.type, ListType)
        types = (node.output.type.element,)
        nothing = [self.graph.insert("prim::Uninitialized", (), types).output for _ in range(self.length)]
        return self.builder.value(False), *nothing

    def step(self, node: Node, *lists: Parts) -> Parts:
        raise AssertionError("such lists are only made and read")

    def read(self, node: Node, parts: Parts) -> Value:
        """The length, or an element: the program raises where there is none."""
        has_elements, *elements = parts
        if node.kind == "aten::__getitem__":
            self.builder.require(has_elements, "list index out of range", "IndexError")
            element: Value = elements[node.inputs[1].constant]
            return element
        branch = self.graph.insert("prim::If", [has_elements], (INT,))
        for length in (self.length, 0):
            block = branch.add_block()
            with self.graph.inserting(block):
                block.add_output(self.builder.value(length))
        return branch.output

    def leave(self, node: Node, slot: int, parts: Parts) -> Value:
        raise AssertionError("such lists are never asked for")
