"""The pass `flatten-outputs`."""

from __future__ import annotations

from optc.ir.graph import Graph, Value
from optc.ir.structure import Structure
from optc.pipeline import Context, graph_pass


@graph_pass(
    "flatten-outputs",
    functional=True,
    after={"functionalize": "a list is what was built only if nobody changes it", "freeze": "state is output there"},
)
def flatten_outputs(graph: Graph, *, context: Context) -> bool:
    """Return the elements of tuples, lists and dictionaries one by one; what they were is kept beside the graph."""
    if context.output_structure is not None or not graph.outputs:
        return False
    result, *state = graph.outputs
    leaves: list[Value] = []
    structure = _take_apart(result, leaves)
    context.output_structure = structure
    graph.block.return_node.set_inputs([*leaves, *state])
    for slot in context.slots:
        if slot.output is not None:
            slot.output += len(leaves) - 1
    return structure.kind != "leaf"


def _take_apart(value: Value, leaves: list[Value]) -> Structure:
    node = value.node
    if value.is_constant and value.constant is None and not node.attributes:
        return Structure("none")
    if node.kind == "prim::TupleConstruct":
        return Structure("tuple", tuple(_take_apart(item, leaves) for item in node.inputs), type=value.type)
    if node.kind == "prim::ListConstruct":
        return Structure("list", tuple(_take_apart(item, leaves) for item in node.inputs), type=value.type)
    if node.kind == "prim::DictConstruct" and all(key.is_constant for key in node.inputs[::2]):
        keys = tuple(key.constant for key in node.inputs[::2])
        items = tuple(_take_apart(item, leaves) for item in node.inputs[1::2])
        return Structure("dict", items, keys, value.type)
    if node.kind == "prim::OptionalConstruct":
        return Structure("optional", tuple(_take_apart(item, leaves) for item in node.inputs), type=value.type)
    leaves.append(value)
    return Structure("leaf", type=value.type)
