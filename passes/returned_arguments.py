"""The pass `returned-arguments`: which arguments may be results, or share memory with one, before copies are simplified
away. `own-results` needs to know in the end."""

from __future__ import annotations

from optc.ir.graph import Graph
from optc.passes.aliasing import Aliasing
from optc.pipeline import Context, graph_pass


@graph_pass("returned-arguments", functional=True, after={"functionalize": "what is written is another value then"})
def returned_arguments(graph: Graph, *, context: Context) -> bool:
    """Note which arguments may be, or share memory with, a result; the graph stays as it is."""
    if context.returned is not None:
        return False
    aliasing = Aliasing(graph)
    results = [aliasing.places[value].storage for value in graph.outputs if value in aliasing.places]
    context.returned = {
        value for value in graph.inputs
        if value in aliasing.places and any(aliasing.places[value].storage.may_be(result) for result in results)
    }  # fmt: skip
    return False
