"""The pass `inline`."""

from __future__ import annotations

from optc.ir.graph import Graph
from optc.ir.inline import inline_calls
from optc.ir.types import unrefined
from optc.pipeline import graph_pass


@graph_pass("inline")
def inline(graph: Graph) -> bool:
    """Replace calls of functions, methods and submodules by their bodies."""
    if not inline_calls(graph):
        return False
    erase_types(graph)
    return True


def erase_types(graph: Graph) -> None:
    """Forget the dimensions a trace has recorded: they are those of its example, not of this call."""
    for value in graph.values():
        if not value.is_constant and value.node is not graph.block.param_node:
            value.type = unrefined(value.type)
