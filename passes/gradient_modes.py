"""The pass `gradient-modes`.

%before = aten::is_grad_enabled()
aten::set_grad_enabled(%off)
...                                     =>      ...
aten::set_grad_enabled(%before)
"""

from __future__ import annotations

from optc.ir.graph import Block, Graph, Node, Value
from optc.pipeline import graph_pass

_READ, _WRITE = "aten::is_grad_enabled", "aten::set_grad_enabled"
_CALLS = frozenset(("prim::CallMethod", "prim::CallFunction", "prim::fork", "aten::wait"))
"""What may read and write the mode without saying so."""


@graph_pass("gradient-modes", after={"scalar-replacement": "`with torch.no_grad()` keeps the mode in an object"})
def gradient_modes(graph: Graph) -> bool:
    """Forget switches of the gradient mode that are switched back: code that is compiled computes no gradients."""
    nodes = [node for node in graph.walk() if node.kind == _WRITE]
    if not nodes:
        return False
    return _Modes().block(graph.block)


class _Modes:
    """Follows the mode through a block: what it is now, and what it was where the block began, as far as is known."""

    def __init__(self) -> None:
        self.first: Value | None = None
        self.now: Value | None = None
        self.pending: Node | None = None
        """The last switch, while nothing has run that may notice it."""

    def block(self, block: Block) -> bool:
        """Go through the nodes. True when one was removed."""
        changed = [self.node(node) for node in list(block.nodes)]
        return any(changed)

    def node(self, node: Node) -> bool:
        if node.kind == _READ:
            return self.read(node)
        if node.kind == _WRITE:
            return self.write(node)
        changed = [_Modes().block(inner) for inner in node.blocks]
        if node.kind in _CALLS or any(_concerns(inner) for block in node.blocks for inner in block.nodes):
            self.first = self.now = self.pending = None
        return any(changed)

    def read(self, node: Node) -> bool:
        if self.now is not None:
            node.output.replace_all_uses_with(self.now)
            node.destroy()
            return True
        if self.pending is None:
            self.first = self.now = node.output
        return False

    def write(self, node: Node) -> bool:
        changed = self.pending is not None
        if self.pending is not None:
            self.pending.destroy()
        if _is_same(node.inputs[0], self.first):
            self.pending, self.now = None, self.first
            node.destroy()
            return True
        self.pending, self.now = node, node.inputs[0]
        return changed


def _concerns(node: Node) -> bool:
    if node.kind in (_READ, _WRITE) or node.kind in _CALLS:
        return True
    return any(_concerns(inner) for block in node.blocks for inner in block.nodes)


def _is_same(value: Value, other: Value | None) -> bool:
    if value is other:
        return True
    return other is not None and value.is_constant and other.is_constant and value.constant == other.constant
