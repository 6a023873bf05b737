"""The pass `flatten-outputs`."""

from __future__ import annotations

from optc.errors import UnsupportedError
from optc.ir.graph import Graph, Value
from optc.ir.optimized import ListElements, Slot
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
    state_changed = _take_lists_apart(graph, context.slots)
    return structure.kind != "leaf" or state_changed


def _take_lists_apart(graph: Graph, slots: list[Slot]) -> bool:
    """Give back the elements of lists that attributes hold one by one. Raises UnsupportedError for another length."""
    lists: dict[tuple[int, str], list[Slot]] = {}
    for slot in slots:
        if isinstance(slot.owner, ListElements):
            lists.setdefault((id(slot.owner.owner), slot.owner.name), []).append(slot)
    for (_, name), elements in lists.items():
        place, outputs = elements[0].output, graph.outputs
        assert place is not None
        made = outputs[place].node
        if made.kind != "prim::ListConstruct" or len(made.inputs) != len(elements):
            raise UnsupportedError(f"the list {name} is assigned with another, or an unknown, number of elements")
        graph.block.return_node.set_inputs([*outputs[:place], *made.inputs, *outputs[place + 1 :]])
        for slot in slots:
            if slot.output is not None and slot.output > place:
                slot.output += len(elements) - 1
        for number, slot in enumerate(elements):
            slot.output = place + number
    return bool(lists)


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
