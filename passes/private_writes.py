"""Which writes change a tensor, list or dictionary that nothing else refers to yet.

    rows = []
    for i in range(n):
        row = []            nothing holds this list ...
        row.append(i)       ... so that rows, which holds those of earlier turns, stays as it is
        rows.append(row)

`optc.passes.aliasing` forgets the order of the program: to it, every row may be in `rows` all the time. So it is with
tensors that are filled, through views of them too, before a list gets them.
"""

from __future__ import annotations

from collections.abc import Iterable

from optc.ir.graph import Block, Graph, Node, Value
from optc.ir.types import TensorType
from optc.ops.registry import operator_of
from optc.passes.aliasing import Aliasing, Storage, is_container, is_reference, written_argument

_MADE = ("prim::ListConstruct", "prim::DictConstruct")


def private_writes(graph: Graph, aliasing: Aliasing) -> set[Node]:
    """The nodes that write to a tensor, list or dictionary before anything but itself and its views refers to it."""
    walk = _Walk(aliasing)
    walk.block(graph.block, set())
    return walk.found


class _Walk:
    """Follows what is private through the blocks, in the order of the program, as far as it is written anywhere."""

    def __init__(self, aliasing: Aliasing) -> None:
        self.aliasing = aliasing
        self.found: set[Node] = set()
        self.written = self.storages(write.target for write in aliasing.writes)

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
        made = {self.aliasing.places[value].storage for value in node.outputs if self.is_new(value)}
        return private | (made & self.written)

    def told(self, node: Node) -> set[Storage]:
        """Those of which a node tells somebody: it stores them, or gives what may be them."""
        values = [*node.inputs, *(value for block in node.blocks for value in block.outputs)]
        target = written_argument(node)
        if target is not None:
            stored = [value for value in values if value is not target]
            return self.storages(stored) if is_container(target.type) else self.containers(stored)
        if operator_of(node) is None:
            return self.storages(values)
        if not any(is_reference(output.type) for output in node.outputs):
            return set()
        given = self.storages(node.outputs)
        return {each for each in self.storages(values) if each.is_container or _shares(each, given)}

    def is_new(self, value: Value) -> bool:
        """True for memory that is made here, and has no other name."""
        place = self.aliasing.places.get(value)
        if place is None or place.storage.value is not value:
            return False
        is_tensor = isinstance(value.type, TensorType) and place.storage.roots == {place.storage}
        return value.node.kind in _MADE or (is_tensor and self.aliasing.made.get(place.storage) is value.node)

    def containers(self, values: Iterable[Value]) -> set[Storage]:
        return {storage for storage in self.storages(values) if storage.is_container}

    def storages(self, values: Iterable[Value]) -> set[Storage]:
        return {self.aliasing.places[value].storage for value in values if value in self.aliasing.places}


def _shares(storage: Storage, given: set[Storage]) -> bool:
    """True where a node gives what may be this memory under another name than this one's views."""
    return any(other is not storage and other.may_be(storage) for other in given)
