"""The pass `own-results`: a result that is a copy of an argument is memory of its own.

Simplification makes `x` of `x.clone()` and of `x * 1`, which is right as long as only values count. A result that is an
argument is given back as the same object, though: right for `return x`, wrong where the program returned a copy, and
where the argument, or the state of a module, holds other numbers when the call has ended. `returned-arguments` looks at
which arguments may be results before anything is simplified, and here the others are copied again.
"""

from __future__ import annotations

from optc.ir.graph import Graph, Value
from optc.ir.optimized import Slot
from optc.ir.types import INT, TensorType
from optc.pipeline import Context, graph_pass


@graph_pass("own-results", functional=True, after={"canonicalize": "copies are taken for what they copy there"})
def own_results(graph: Graph, *, context: Context) -> bool:
    """Copy arguments that are results, where PyTorch's results are not these arguments."""
    outputs = list(graph.outputs)
    changed = {graph.inputs[slot.input] for slot in context.slots if _is_written(slot, graph)}
    unchanged = {slot.output for slot in context.slots if not _is_written(slot, graph) and slot.kind != "attribute"}
    copies: dict[Value, Value] = {}
    for place, value in enumerate(outputs):
        if place in unchanged or value not in graph.inputs or not isinstance(value.type, TensorType):
            continue
        if value not in changed and (context.returned is None or value in context.returned):
            continue
        if value not in copies:
            copies[value] = _copied(graph, value)
        outputs[place] = copies[value]
    graph.block.return_node.set_inputs(outputs)
    return bool(copies)


def _is_written(slot: Slot, graph: Graph) -> bool:
    """True where the numbers in the memory of an input change, in place."""
    if slot.output is None or slot.kind == "attribute":
        return False
    return graph.outputs[slot.output] is not graph.inputs[slot.input]


def _copied(graph: Graph, value: Value) -> Value:
    with graph.inserting(graph.block.return_node):
        rows = graph.insert_constant(0, INT)
        return graph.insert("aten::clone", (value, rows), (value.type,), overload="").output
