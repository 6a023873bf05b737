"""The clean-up a trace gets before anybody sees it: tuples that are built and taken apart, and unused nodes, go.

Constants stay where they were recorded. The full optimiser is in `passes/`; a trace only gets what PyTorch gives it.
"""

from __future__ import annotations

from optc.ir.graph import Block, Graph, Node, Value
from optc.ir.types import DictType, ListType, OptionalType, TensorType, TupleType, Type
from optc.jit.aliases import normalize_operators
from optc.ops.registry import operator_of

_CALLS = frozenset(("prim::CallMethod", "prim::CallFunction", "prim::SetAttr", "prim::RaiseException", "prim::Print"))
_CONTAINERS = frozenset((
    "prim::ListConstruct", "prim::ListUnpack", "prim::TupleConstruct", "prim::TupleUnpack", "prim::DictConstruct",
    "aten::__getitem__", "prim::GetAttr",
))  # fmt: skip


def clean_trace(graph: Graph) -> None:
    """Give operators their usual names, lower tuples and remove dead nodes."""
    normalize_operators(graph)
    forward_tuples(graph.block)
    remove_dead_nodes(graph)


def forward_tuples(block: Block) -> None:
    """Replace the parts of a tuple that is taken apart by what it was made of."""
    for node in block.nodes:
        for nested in node.blocks:
            forward_tuples(nested)
        if node.kind != "prim::TupleUnpack" or node.inputs[0].node.kind != "prim::TupleConstruct":
            continue
        for value, part in zip(node.outputs, node.inputs[0].node.inputs):
            value.replace_all_uses_with(part)


def remove_dead_nodes(graph: Graph) -> None:
    """Destroy nodes without effect whose results nobody uses; writes to memory that is used count as effects."""
    live = _LiveNodes(graph)
    for block in list(graph.blocks()):
        for node in block.reversed_nodes:
            if node not in live.nodes and not any(value.has_uses for value in node.outputs):
                node.destroy()


class _LiveNodes:
    """The nodes a graph needs, found from its results and effects backwards."""

    def __init__(self, graph: Graph) -> None:
        self.memory = _Memory(graph)
        self.nodes: set[Node] = set()
        self._live_memory: set[Value] = self.memory.visible_outside
        self._writers = [node for node in graph.walk() if _writes(node)]
        for block in graph.blocks():
            self._mark_values(block.outputs)
        for node in graph.walk():
            if node.kind in _CALLS:
                self._mark(node)
        while any(self._mark_writer(node) for node in self._writers):
            pass

    def _mark_writer(self, node: Node) -> bool:
        if node in self.nodes or self.memory.of(node.inputs[0]) not in self._live_memory:
            return False
        self._mark(node)
        return True

    def _mark(self, node: Node) -> None:
        """Mark a node and everything it needs; not by recursion, because programs may be deep."""
        waiting = [node]
        while waiting:
            found = waiting.pop()
            if found in self.nodes:
                continue
            self.nodes.add(found)
            waiting += self._needed(found.inputs)
            if found.owner is not None and found.owner.owning_node is not None:
                waiting.append(found.owner.owning_node)

    def _mark_values(self, values: tuple[Value, ...]) -> None:
        for node in self._needed(values):
            self._mark(node)

    def _needed(self, values: tuple[Value, ...]) -> list[Node]:
        """The nodes that make values; the memory of the values is live from now on."""
        self._live_memory.update(self.memory.of(value) for value in values if _has_memory(value.type))
        return [value.node for value in values]


class _Memory:
    """Which values may share memory: each group of them is known by one of its values."""

    def __init__(self, graph: Graph) -> None:
        self._group: dict[Value, Value] = {}
        for node in graph.walk():
            self._join(node)
        outside = [*graph.inputs, *(value for node in graph.walk() if _from_outside(node) for value in node.outputs)]
        self.visible_outside = {self.of(value) for value in outside}

    def of(self, value: Value) -> Value:
        """The value that stands for everything `value` shares memory with."""
        while value in self._group:
            value = self._group[value]
        return value

    def _join(self, node: Node) -> None:
        operator = operator_of(node)
        shares = node.kind in _CONTAINERS or (operator is not None and (operator.is_view or operator.mutates))
        if not shares:
            return
        values = [value for value in (*node.inputs, *node.outputs) if _has_memory(value.type)]
        for value in values[1:]:
            first, other = self.of(values[0]), self.of(value)
            if first is not other:
                self._group[other] = first


def _writes(node: Node) -> bool:
    operator = operator_of(node)
    return operator is not None and operator.mutates


def _from_outside(node: Node) -> bool:
    return node.kind in ("prim::GetAttr", "prim::CallMethod", "prim::CallFunction")


def _has_memory(type_: Type) -> bool:
    if isinstance(type_, OptionalType):
        return _has_memory(type_.element)
    return isinstance(type_, TensorType | ListType | DictType | TupleType)
