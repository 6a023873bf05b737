"""The pass `handed-lists`.

%past : Tensor[] = prim::Loop(%n, True, [%k0, %v0])        %k, %v = prim::Loop(%n, True, %k0, %v0)
  block0(%i, %held : Tensor[]):                              block0(%i, %k1, %v1):
    %a = %held[0]                                    =>        %a = %k1
    -> (True, [%a + 1, %a])                                    -> (True, %a + 1, %a)
                                                           %past : Tensor[] = [%k, %v]
"""

from __future__ import annotations

from collections.abc import Mapping

from optc.ir.graph import Block, Graph, Node, Value
from optc.ir.types import BOOL, FLOAT, STRING, IntType, ListType, TupleType
from optc.ops.builder import constant_type
from optc.passes.lower_tuples import insert_outputs
from optc.pipeline import graph_pass


@graph_pass(
    "handed-lists",
    functional=True,
    after={"functionalize": "a list has the length it was made with only if nobody changes it"},
)
def handed_lists(graph: Graph, *, longest: int = 64) -> bool:
    """Let branches and loops hand on what is in lists of tensors, tuples or optional values whose lengths are known."""
    changed = False
    for node in list(graph.walk()):
        split = {"prim::If": _split_result, "prim::Loop": _split_carried}.get(node.kind)
        for offset in reversed(range(len(node.outputs))) if split is not None else ():
            type_ = node.outputs[offset].type
            if split is not None and isinstance(type_, ListType) and not _holds_numbers(type_):
                changed |= split(node, offset, longest)
    return changed


def _holds_numbers(type_: ListType) -> bool:
    return isinstance(type_.element, IntType) or type_.element in (BOOL, FLOAT, STRING)


def _length(value: Value, assumed: Mapping[Value, int]) -> int | None:
    """How many elements a list has; None where only running tells, or where they are not known one by one."""
    node = value.node
    if value in assumed:
        return assumed[value]
    if node.kind == "prim::ListConstruct":
        return len(node.inputs)
    if node.kind == "prim::ListSet" and node.inputs[1].is_constant:
        return _length(node.inputs[0], assumed)
    if node.kind == "prim::If":
        return _common(node, value.offset, assumed)
    return None


def _common(node: Node, offset: int, assumed: Mapping[Value, int]) -> int | None:
    """The length that both sides of a branch give; a side that never ends says nothing."""
    results = [block.outputs[offset] for block in node.blocks]
    told = [_length(result, assumed) for result in results if result.node.kind != "prim::Uninitialized"]
    return told[0] if told and all(length == told[0] for length in told) else None


def _is_searched(value: Value) -> bool:
    """True where somebody takes an element whose number only running tells."""
    return any(use.node.kind == "aten::__getitem__" and not use.node.inputs[1].is_constant for use in value.uses)


def _split_result(node: Node, offset: int, longest: int) -> bool:
    length = _common(node, offset, {})
    if length is None or length > longest or _is_searched(node.outputs[offset]):
        return False
    for block in node.blocks:
        _give_elements(block, offset, length)
    _put_together(node, offset, length)
    return True


def _split_carried(node: Node, offset: int, longest: int) -> bool:
    """The length is that of the start, if a turn that begins with it ends with it."""
    body = node.blocks[0]
    start, parameter, result = node.inputs[offset + 2], body.inputs[offset + 1], body.outputs[offset + 1]
    length = _length(start, {})
    if length is None or length > longest or _length(result, {parameter: length}) != length:
        return False
    if _is_searched(parameter) or _is_searched(node.outputs[offset]):
        return False
    elements = _elements(start, length, node)
    node.set_inputs([*node.inputs[: offset + 2], *elements, *node.inputs[offset + 3 :]])
    _give_elements(body, offset + 1, length)
    _put_together(body.param_node, offset + 1, length)
    _put_together(node, offset, length)
    return True


def _elements(value: Value, length: int, reader: Node) -> list[Value]:
    """What is in a list, read just before `reader`."""
    graph, type_ = reader.graph, value.type
    assert isinstance(type_, ListType)
    if value.node.kind == "prim::ListConstruct":
        return list(value.node.inputs)
    with graph.inserting(reader):
        if value.node.kind == "prim::Uninitialized":
            return [graph.insert("prim::Uninitialized", (), (type_.element,)).output for _ in range(length)]
        places = [graph.insert_constant(place, constant_type(place)) for place in range(length)]
        return [
            graph.insert("aten::__getitem__", [value, place], (type_.element,), overload="t").output for place in places
        ]


def _give_elements(block: Block, offset: int, length: int) -> None:
    outputs = block.outputs
    elements = _elements(outputs[offset], length, block.return_node)
    block.return_node.set_inputs([*outputs[:offset], *elements, *outputs[offset + 1 :]])


def _put_together(node: Node, offset: int, length: int) -> None:
    """Output number `offset` becomes one output per element, and a list of them behind the node."""
    old, graph = node.outputs[offset], node.graph
    assert isinstance(old.type, ListType)
    elements = insert_outputs(node, offset + 1, TupleType((old.type.element,) * length))
    assert node.next is not None
    with graph.inserting(node.next):
        old.replace_all_uses_with(graph.insert("prim::ListConstruct", elements, (old.type,)).output)
    node.remove_output(offset)
