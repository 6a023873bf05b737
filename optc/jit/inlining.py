"""Decides which nodes are printed inside the expression that reads them.

Printing walks the nodes in order, so an expression that is printed later than its place must not pass another one.
Seen from its reader backwards, the inlined inputs of a node must therefore be exactly the nodes before it, last input
first: the walk below goes through the inputs in reverse while the *point*, the node that would have to come next,
moves up the block.
"""

from __future__ import annotations

from optc.dataclass import dataclass
from optc.ir.graph import Block, Node, Value
from optc.jit.code_names import has_own_name

_NEVER_INTO = ("prim::fork",)


@dataclass
class _Visit:
    """A node whose inputs are looked at, last one first."""

    node: Node
    point: Node | None
    remaining: list[Value]


class Inlining:
    """The nodes of a function (`in` tells) that get no line of their own."""

    def __init__(self) -> None:
        self._inlined: set[Node] = set()

    def __contains__(self, node: Node) -> bool:
        return node in self._inlined

    def scan_block(self, block: Block) -> None:
        """Decide about the nodes of a block and of the blocks in it."""
        self._scan(block.return_node)
        for node in block.reversed_nodes:
            self._scan(node)

    def _scan(self, start: Node) -> None:
        if start in self._inlined:
            return
        for block in start.blocks:
            self.scan_block(block)
        visits = [_visit(start)]
        while visits:
            visit = visits[-1]
            if not visit.remaining:
                visits.pop()
                self._leave(visit, visits)
                continue
            value = visit.remaining.pop()
            if value.node is visit.point and _may_be_inlined(value):
                visits.append(_visit(value.node))
            elif value.node.kind == "prim::Constant":
                self._inlined.add(value.node)

    def _leave(self, visit: _Visit, outer: list[_Visit]) -> None:
        if outer:
            self._inlined.add(visit.node)
            outer[-1].point = visit.point


def _visit(node: Node) -> _Visit:
    point = node.previous
    while point is not None and point.kind == "prim::Constant":
        point = point.previous
    return _Visit(node, point, list(node.inputs))


def _may_be_inlined(value: Value) -> bool:
    uses = value.uses
    if len(value.node.outputs) != 1 or len(uses) != 1 or value.node.kind in ("prim::isinstance", "prim::Param"):
        return False
    reader = uses[0].node
    if has_own_name(value.name) and reader.kind != "prim::Return":
        return False
    if value.node.blocks or reader.kind in _NEVER_INTO:
        return False
    return not (reader.kind == "prim::Loop" and uses[0].slot >= 2)
