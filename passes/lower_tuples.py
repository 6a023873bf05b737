"""The pass `lower-tuples`."""

from __future__ import annotations

from optc.ir.graph import Block, Graph, Node, Value
from optc.ir.types import TupleType
from optc.passes.object_constants import insert_held
from optc.pipeline import graph_pass


@graph_pass("lower-tuples", after={"inline": "calls return tuples"})
def lower_tuples(graph: Graph) -> bool:
    """Take tuples apart: branches and loops give and carry their elements instead."""
    changed = False
    while _split_blocks(graph) or _forward(graph):
        changed = True
    return changed


def _forward(graph: Graph) -> bool:
    """Readers of a tuple that is made in the graph read its elements."""
    changed = False
    for node in graph.walk():
        if node.owner is None or node.kind not in ("prim::TupleUnpack", "prim::TupleIndex", "prim::TupleSlice"):
            continue
        if node.kind == "prim::TupleIndex" and not _is_index_known(node):
            continue
        source = _spelled_out(graph, node.inputs[0])
        if source.kind != "prim::TupleConstruct":
            continue
        _read_elements(graph, node, source.inputs)
        changed = True
    for node in list(graph.walk()):
        if node.kind == "prim::TupleConstruct" and node.owner is not None and not node.output.has_uses:
            node.destroy()
            changed = True
    return changed


def _is_index_known(node: Node) -> bool:
    """True for an index that is there; another one fails when the program runs."""
    type_, index = node.inputs[0].type, node.inputs[1]
    count = len(type_.elements) if isinstance(type_, TupleType) else 0
    return index.is_constant and -count <= index.constant < count


def _spelled_out(graph: Graph, value: Value) -> Node:
    """The node that makes a tuple; constant ones are built from their elements."""
    if not (value.is_constant and isinstance(value.constant, tuple) and isinstance(value.type, TupleType)):
        return value.node
    with graph.replacing(value.node):
        made = insert_held(graph, value.constant, value.type)
    return value.node if made is None else made.node


def _read_elements(graph: Graph, node: Node, elements: tuple[Value, ...]) -> None:
    if node.kind == "prim::TupleUnpack":
        for output, element in zip(node.outputs, elements):
            output.replace_all_uses_with(element)
    elif node.kind == "prim::TupleIndex":
        node.output.replace_all_uses_with(elements[node.inputs[1].constant])
    else:
        begin, end = node.attributes["beg"], node.attributes["end"]
        part = elements[begin:end]
        with graph.replacing(node):
            made = graph.insert("prim::TupleConstruct", part, (TupleType(tuple(value.type for value in part)),))
        node.output.replace_all_uses_with(made.output)
    node.destroy()


def _split_blocks(graph: Graph) -> bool:
    changed = False
    for node in graph.walk():
        if node.kind == "prim::If":
            for offset in reversed(range(len(node.outputs))):
                changed |= _split_branch_output(node, offset)
        elif node.kind == "prim::Loop":
            for offset in reversed(range(len(node.outputs))):
                changed |= _split_carried(node, offset)
    return changed


def _split_branch_output(node: Node, offset: int) -> bool:
    type_ = node.outputs[offset].type
    if not isinstance(type_, TupleType) or any(not _can_unpack(block.outputs[offset], type_) for block in node.blocks):
        return False
    _split_outputs(node, offset, type_)
    for block in node.blocks:
        _split_returned(block, offset, type_)
    return True


def _split_carried(node: Node, offset: int) -> bool:
    type_ = node.outputs[offset].type
    body = node.blocks[0]
    start, result = node.inputs[offset + 2], body.outputs[offset + 1]
    if not isinstance(type_, TupleType) or not _can_unpack(start, type_) or not _can_unpack(result, type_):
        return False
    elements = _unpack(start, type_, node)
    node.set_inputs([*node.inputs[: offset + 2], *elements, *node.inputs[offset + 3 :]])
    _split_outputs(node, offset, type_)
    _split_returned(body, offset + 1, type_)
    _split_parameter(body, offset + 1, type_)
    return True


def _can_unpack(value: Value, type_: TupleType) -> bool:
    return isinstance(value.type, TupleType) and len(value.type.elements) == len(type_.elements)


def _unpack(value: Value, type_: TupleType, before: Node) -> list[Value]:
    graph = before.graph
    if value.node.kind == "prim::Uninitialized":
        made = [graph.create("prim::Uninitialized", (), (element,)) for element in type_.elements]
        return [node.insert_before(before).output for node in made]
    node = graph.create("prim::TupleUnpack", [value], type_.elements).insert_before(before)
    return list(node.outputs)


def _split_returned(block: Block, offset: int, type_: TupleType) -> None:
    outputs = block.outputs
    elements = _unpack(outputs[offset], type_, block.return_node)
    block.return_node.set_inputs([*outputs[:offset], *elements, *outputs[offset + 1 :]])


def _split_outputs(node: Node, offset: int, type_: TupleType) -> None:
    """Output number `offset` becomes one output per element, and a tuple of them after the node."""
    old = node.outputs[offset]
    elements = insert_outputs(node, offset + 1, type_)
    made = node.graph.create("prim::TupleConstruct", elements, (type_,)).insert_after(node)
    old.replace_all_uses_with(made.output)
    node.remove_output(offset)


def _split_parameter(block: Block, offset: int, type_: TupleType) -> None:
    old = block.inputs[offset]
    elements = insert_outputs(block.param_node, offset + 1, type_)
    made = block.graph.create("prim::TupleConstruct", elements, (type_,)).insert_after(block.param_node)
    old.replace_all_uses_with(made.output)
    block.param_node.remove_output(offset)


def insert_outputs(node: Node, place: int, type_: TupleType) -> list[Value]:
    """New outputs at `place`, one per element; later ones move up."""
    elements = [Value(node, 0, element) for element in type_.elements]
    node.outputs[place:place] = elements
    for offset, value in enumerate(node.outputs):
        value.offset = offset
    return elements
