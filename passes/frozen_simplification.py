"""The pass `frozen-simplification`, for graphs that are printed as TorchScript again: they may write to memory.

Constants are folded and equal expressions computed once only where nobody writes to what they read and give, and where
nobody outside gets hold of what they give, who could write to it later.
"""

from __future__ import annotations

from collections.abc import Iterable

from optc.ir.graph import Graph, Node, Value
from optc.ir.symbols import Replacements
from optc.ops.effects import has_effects
from optc.ops.registry import operator_of
from optc.passes.aliasing import Aliasing, Storage
from optc.passes.common_subexpressions import share_equal
from optc.passes.constant_folding import fold_node
from optc.passes.dead_code_elimination import dead_code_elimination
from optc.pipeline import graph_pass


@graph_pass("frozen-simplification", after={"freeze": "attributes become constants there"})
def frozen_simplification(graph: Graph, *, limit: int = 65536) -> bool:
    """Fold constants, compute equal expressions once, and remove what nobody reads, in graphs that write to memory."""
    steady = _Steady(graph)
    changed, replacements = False, Replacements(graph)
    for node in list(graph.walk()):
        changed |= node.owner is not None and node in steady and fold_node(graph, node, limit, replacements)
    replacements.finish()
    changed |= share_equal(graph, steady.__contains__)
    return dead_code_elimination(graph) or changed


class _Steady:
    """The nodes that give the same wherever they run, since nobody writes to what they read and give.

    Arguments may be one tensor, so a write to one of them is a write to all. Attributes are left because of writes.
    """

    def __init__(self, graph: Graph) -> None:
        self.aliasing = Aliasing(graph)
        strange = [value for node in graph.walk() if _is_strange(node) for value in (*node.inputs, *node.outputs)]
        read = [node.output for node in graph.walk() if node.kind == "prim::GetAttr"]
        self.touched = self.roots((*strange, *read))
        if not all(map(self.is_untouched, graph.inputs)):
            self.touched |= self.roots(graph.inputs)
        stored = [node.inputs[1] for node in graph.walk() if node.kind == "prim::SetAttr"]
        self.given_away = self.roots((*graph.outputs, *stored))

    def __contains__(self, node: Node) -> bool:
        if node.kind == "prim::GetAttr" or node.blocks or _is_strange(node):
            return False
        kept = all(self.roots([value]).isdisjoint(self.given_away) for value in node.outputs)
        return kept and all(map(self.is_untouched, (*node.inputs, *node.outputs)))

    def roots(self, values: Iterable[Value]) -> set[Storage]:
        """The memory that the values may be, or hold."""
        places = [self.aliasing.places[value] for value in values if value in self.aliasing.places]
        return self.aliasing.as_made(root for place in places for root in place.storage.roots)

    def is_untouched(self, value: Value) -> bool:
        """True when no write may reach the value."""
        place = self.aliasing.places.get(value)
        if place is None:
            return True
        return not self.aliasing.reached(place.storage) and self.roots([value]).isdisjoint(self.touched)


def _is_strange(node: Node) -> bool:
    """True for a node of which it is not known what it does to its arguments, such as a call of a Python function."""
    return not node.blocks and operator_of(node) is None and has_effects(node) and node.kind != "prim::SetAttr"
