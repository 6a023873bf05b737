"""The pass `number-constants`."""

from __future__ import annotations

from optc.ir.graph import Graph
from optc.ops.number_constants import take_number_constants
from optc.pipeline import graph_pass


@graph_pass("number-constants")
def number_constants(graph: Graph) -> bool:
    """Take 0-d tensor constants for the numbers they were in the traced program, as PyTorch's interpreter does."""
    return take_number_constants(graph)
