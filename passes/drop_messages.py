"""The pass `drop-messages`."""

from __future__ import annotations

from optc.ir.graph import Graph, Node
from optc.ir.types import STRING
from optc.pipeline import graph_pass


@graph_pass("drop-messages", functional=True)
def drop_messages(graph: Graph) -> bool:
    """Forget what errors say: native code only says that there is one, the second run of the program says which."""
    raising = [node for node in graph.walk() if node.kind == "prim::RaiseException" and not _is_constant(node)]
    for node in raising:
        with graph.inserting(node):
            node.set_input(0, graph.insert_constant("", STRING))
    return bool(raising)


def _is_constant(node: Node) -> bool:
    return node.inputs[0].is_constant
