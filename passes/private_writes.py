"""Which writes change a list or dictionary that nothing else refers to yet.

    rows = []
    for i in range(n):
        row = []            nothing holds this list ...
        row.append(i)       ... so that rows, which holds those of earlier turns, stays as it is
        rows.append(row)

`optc.passes.aliasing` forgets the order of the program: to it, every row may be in `rows` all the time.
"""

from __future__ import annotations

from collections.abc import Iterable

from optc.ir.graph import Block, Graph, Node, Value
from optc.ops.registry import operator_of
from optc.passes.aliasing import Aliasing, Storage, is_reference, written_argument

_MADE = ("prim::ListConstruct", "prim::DictConstruct")


def private_writes(graph: Graph, aliasing: Aliasing) -> set[Node]:
    """The nodes that write to a list or dictionary before anything but its own name refers to it."""
    walk = _Walk(aliasing)
    walk.block(graph.block, set())
    return walk.found


class _Walk:
    """Follows the lists and dictionaries that are private through the blocks, in the order of the program."""

    def __init__(self, aliasing: Aliasing) -> None:
        self.aliasing = aliasing
        self.found: set[Node] = set()

    def block(self, block: Block, private: set[Storage]) -> set[Storage]:
        """Those that are still private at the end, of those at the start and those made inside."""
        for node in block.nodes:
            private = self.node(node, private)
        return private - self.storages(block.outputs)

    def node(self, node: Node, private: set[Storage]) -> set[Storage]:
        """Those that are private behind a node."""
        if node.kind == "prim::Loop":
            for inner in node.walk():
                private = private - self.told(inner)
            self.block(node.blocks[0], private)
            return private
        if node.blocks:
            before = private - self.told(node)
            for end in [self.block(block, before) for block in node.blocks]:
                private = private & end
            return private
        target = written_argument(node)
        if target is not None and not self.storages([target]).isdisjoint(private):
            self.found.add(node)
        private = private - self.told(node)
        if node.kind in _MADE and self.is_storage(node.output):
            private = private | self.storages(node.outputs)
        return private

    def told(self, node: Node) -> set[Storage]:
        """Those of which a node tells somebody: it stores them, or gives what may be them."""
        values = [*node.inputs, *(value for block in node.blocks for value in block.outputs)]
        target = written_argument(node)
        if target is not None:
            return self.storages(value for value in values if value is not target)
        is_reader = operator_of(node) is not None and not any(is_reference(output.type) for output in node.outputs)
        return set() if is_reader else self.storages(values)

    def is_storage(self, value: Value) -> bool:
        place = self.aliasing.places.get(value)
        return place is not None and place.storage.value is value

    def storages(self, values: Iterable[Value]) -> set[Storage]:
        return {self.aliasing.places[value].storage for value in values if value in self.aliasing.places}
