"""The pass `inline`."""

from __future__ import annotations

from optc.ir.graph import Graph
from optc.ir.inline import inline_calls
from optc.pipeline import graph_pass


@graph_pass("inline")
def inline(graph: Graph) -> bool:
    """Replace calls of functions, methods and submodules by their bodies."""
    return inline_calls(graph)
