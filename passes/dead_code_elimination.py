"""The pass `dead-code-elimination`."""

from __future__ import annotations

from optc.ir.dims import symbols
from optc.ir.graph import Block, Graph, Node, Value
from optc.ir.symbols import binders, type_symbols
from optc.ops.effects import is_removable
from optc.pipeline import graph_pass


@graph_pass("dead-code-elimination", functional=True, alias="dce")
def dead_code_elimination(graph: Graph) -> bool:
    """Remove what nobody reads and nobody would miss: nodes, outputs of branches, values carried by loops."""
    live = _Liveness(graph)
    return _sweep(graph.block, live)


class _Liveness:
    """Values and nodes that something observable needs, found backwards from results, effects and possible errors.

    An error that the user would see (an index out of range, a failing division) is observable.
    """

    def __init__(self, graph: Graph) -> None:
        self.values: set[Value] = set()
        self.nodes: set[Node] = set()
        self.queue: list[Value] = []
        self.binders = binders(graph)
        for value in graph.outputs:
            self.need(value)
        for node in graph.walk():
            if not node.blocks and not is_removable(node):
                self.need_node(node)
            if node.kind == "prim::Loop" and not _is_counted(node):
                self.need_node(node)
        while self.queue:
            self.explain(self.queue.pop())

    def need(self, value: Value) -> None:
        """Mark a value, and the values that bind the symbols in its type."""
        if value in self.values:
            return
        self.values.add(value)
        self.queue.append(value)
        for name in _symbols_of(value):
            binder = self.binders.get(name)
            if binder is not None:
                self.need(binder)

    def need_node(self, node: Node) -> None:
        """Mark a node, everything it reads, and the nodes it stands in."""
        if node in self.nodes:
            return
        self.nodes.add(node)
        if not node.blocks:
            for value in node.inputs:
                self.need(value)
        elif node.kind == "prim::If":
            self.need(node.inputs[0])
        else:
            self.need(node.inputs[0])
            self.need(node.inputs[1])
            self.need(node.blocks[0].outputs[0])
        owner = node.block.owning_node
        if owner is not None:
            self.need_node(owner)

    def explain(self, value: Value) -> None:
        """Mark what a needed value comes from."""
        node = value.node
        if node.kind == "prim::Param":
            self.explain_parameter(node.block, value.offset)
            return
        self.need_node(node)
        if node.kind == "prim::If":
            for block in node.blocks:
                self.need(block.outputs[value.offset])
        elif node.kind == "prim::Loop":
            self.need(node.inputs[value.offset + 2])
            self.need(node.blocks[0].outputs[value.offset + 1])
            self.need(node.blocks[0].inputs[value.offset + 1])

    def explain_parameter(self, block: Block, offset: int) -> None:
        """A needed loop parameter needs its start, its next value and so the loop's output."""
        loop = block.owning_node
        if loop is None:
            return
        self.need_node(loop)
        if offset > 0:
            self.need(loop.outputs[offset - 1])


def _is_counted(loop: Node) -> bool:
    """True when the loop certainly ends: its condition is always true, so its trip count decides."""
    condition = loop.blocks[0].outputs[0]
    return condition.is_constant and condition.constant is True


def _symbols_of(value: Value) -> frozenset[str]:
    if value.node.kind == "prim::Dim":
        return symbols(value.node.attributes["dim"])
    return type_symbols(value.type)


def _sweep(block: Block, live: _Liveness) -> bool:
    changed = False
    for node in block.reversed_nodes:
        if node not in live.nodes:
            node.destroy()
            changed = True
        elif node.kind == "prim::Loop":
            changed |= _sweep_loop(node, live)
        elif node.blocks:
            changed |= _sweep_branches(node, live)
    return changed


def _sweep_branches(node: Node, live: _Liveness) -> bool:
    dead = _dead_outputs(node, live)
    for offset in dead:
        node.remove_output(offset)
        for block in node.blocks:
            block.return_node.remove_input(offset)
    swept = [_sweep(block, live) for block in node.blocks]
    return bool(dead) or any(swept)


def _sweep_loop(node: Node, live: _Liveness) -> bool:
    body = node.blocks[0]
    dead = _dead_outputs(node, live)
    for offset in dead:
        node.remove_output(offset)
        node.remove_input(offset + 2)
        body.return_node.remove_input(offset + 1)
    swept = _sweep(body, live)
    for offset in dead:
        body.param_node.remove_output(offset + 1)
    return bool(dead) or swept


def _dead_outputs(node: Node, live: _Liveness) -> list[int]:
    """Offsets of outputs that nobody needs, last first."""
    return [offset for offset in reversed(range(len(node.outputs))) if node.outputs[offset] not in live.values]
