"""The pass `flatten-outputs`."""

from __future__ import annotations

from collections.abc import Sequence

from optc.errors import UnsupportedError
from optc.ir.graph import Graph, Node, Value
from optc.ir.optimized import Kept, Slot
from optc.ir.structure import Structure
from optc.ir.types import DictType, ListType, TensorType
from optc.ops.abstract import UndecidedShape, abstract
from optc.ops.registry import operator_of
from optc.ops.tensors_of_numbers import is_settled_list
from optc.passes.aliasing import is_reference
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
    for kept in context.kept:
        if kept.output is not None:
            kept.output += len(leaves) - 1
    for kept in context.kept:
        if kept.output is not None:
            _take_kept_apart(graph, kept, context)
    return structure.kind != "leaf" or bool(context.kept)


def _take_kept_apart(graph: Graph, kept: Kept, context: Context) -> None:
    """Give back what an attribute holds at the end one by one. Raises UnsupportedError where its form is not known."""
    place, outputs = kept.output, graph.outputs
    assert place is not None
    leaves: list[Value] = []
    kept.structure = _take_apart(outputs[place], leaves)
    if _is_whole(kept.structure):
        raise UnsupportedError(f"only running tells what the attribute {kept.name} holds in the end")
    graph.block.return_node.set_inputs([*outputs[:place], *leaves, *outputs[place + 1 :]])
    written: list[Slot | Kept] = [*context.slots, *context.kept]
    for other in written:
        if other.output is not None and other.output > place:
            other.output += len(leaves) - 1


def _is_whole(structure: Structure) -> bool:
    """True where a list or dictionary that is to be taken apart has not been, so that no version would be for it."""
    if structure.kind == "leaf":
        type_ = structure.type
        return isinstance(type_, DictType) or (isinstance(type_, ListType) and is_reference(type_.element))
    return any(map(_is_whole, structure.items))


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
    if node.kind in _JOINED and _are_rows(node):
        return Structure(_JOINED[node.kind], tuple(_take_apart(p, leaves) for p in node.inputs), type=value.type)
    if _are_rows(node):
        leaves.append(node.inputs[0])
        return Structure("rows", type=value.type)
    parts = _unpacked(value)
    if parts is not None:
        leaves += parts
        return Structure("list", tuple(Structure("leaf", type=part.type) for part in parts), type=value.type)
    leaves.append(value)
    return Structure("leaf", type=value.type)


def _unpacked(value: Value) -> Sequence[Value] | None:
    """The tensors of a list that an operator makes, such as `aten::split`, where it is known how many they are."""
    operator, graph = operator_of(value.node), value.node.graph
    if operator is None or not isinstance(value.type, ListType) or not isinstance(value.type.element, TensorType):
        return None
    try:
        items = operator.infer(*map(abstract, value.node.inputs))
    except (UndecidedShape, RuntimeError, TypeError, IndexError):
        return None
    if not isinstance(items, list):
        return None
    with graph.replacing(value.node, before=graph.block.return_node):
        return graph.insert("prim::ListUnpack", [value], items).outputs


_JOINED = {"prim::ListOfTuples": "zipped", "prim::ListOfLists": "ragged"}
"""Lists that are put together of other lists, by the names of their structures."""


def _are_rows(node: Node) -> bool:
    """True for a list of all rows of a tensor: as tensors, as the numbers in it, or put together of such lists."""
    if node.kind in _JOINED:
        return all(_are_rows(part.node) for part in node.inputs)
    if node.kind == "aten::unbind":
        return node.inputs[1].is_constant and node.inputs[1].constant == 0
    return node.kind == "prim::tolist" and is_settled_list(node)
