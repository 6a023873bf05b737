"""The pass `split-optionals`.

%y : Tensor? = prim::If(%c)             %f : bool, %v : Tensor = prim::If(%c)
  block0():                               block0():
    -> (%a)                       =>        -> (True, %a)
  block1():                               block1():
    -> (None)                               -> (False, <nothing>)
                                        %y : Tensor? = prim::OptionalConstruct(%f, %v)

An operator that takes an optional value is asked in a branch, with the value or without; not while there are nested
tensors, which only some branches give, and with them what reads them without a mask.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeAlias

from optc.ir.graph import Block, Graph, Node, Use, Value, copy_node
from optc.ir.types import BOOL, FLOAT, NONE, STRING, IntType, OptionalType, TensorType, TupleType, Type
from optc.ops.nested import makes_nested
from optc.ops.registry import operator_of
from optc.passes.lower_tuples import insert_outputs
from optc.pipeline import graph_pass

Parts: TypeAlias = tuple[Value, Value]
"""Whether there is a value, and the value."""

_CHECKED = ("prim::unchecked_unwrap_optional", "aten::_unwrap_optional")
"""Casts that fail for None."""


@graph_pass(
    "split-optionals",
    functional=True,
    after={"functionalize": "what is changed in place may be reached through an optional value"},
)
def split_optionals(graph: Graph) -> bool:
    """Let branches and loops hand on whether there is a value, and the value, where it may be None."""
    changed = False
    for node in list(graph.walk()):
        split = {"prim::If": _split_result, "prim::Loop": _split_carried}.get(node.kind)
        for offset in reversed(range(len(node.outputs))) if split is not None else ():
            type_ = node.outputs[offset].type
            if split is not None and isinstance(type_, OptionalType) and _is_splittable(type_.element):
                changed |= split(node, offset, type_)
    for node in list(graph.walk()):
        if node.kind == "prim::OptionalConstruct" and node.owner is not None:
            changed |= _see_through(node)
    return changed


def _is_splittable(type_: Type) -> bool:
    if isinstance(type_, TupleType):
        return all(map(_is_splittable, type_.elements))
    return isinstance(type_, TensorType | IntType) or type_ in (BOOL, FLOAT)


def _is_told(value: Value, assumed: Collection[Value]) -> bool:
    """True where it can be told whether there is a value."""
    if value in assumed or not isinstance(value.type, OptionalType):
        return True
    node = value.node
    if node.kind == "prim::If":
        return all(_is_told(block.outputs[value.offset], assumed) for block in node.blocks)
    if node.kind == "prim::Loop" and not value.is_parameter:
        parameter, result = (of[value.offset + 1] for of in (node.blocks[0].inputs, node.blocks[0].outputs))
        return _is_told(node.inputs[value.offset + 2], assumed) and _is_told(result, {*assumed, parameter})
    return node.kind in ("prim::OptionalConstruct", "prim::Uninitialized")


# Branches and loops --------------------------------------------------------------------------------------------------


def _split_result(node: Node, offset: int, type_: OptionalType) -> bool:
    if not all(_is_told(block.outputs[offset], frozenset()) for block in node.blocks):
        return False
    for block in node.blocks:
        _give_parts(block, offset, type_.element)
    _put_together(node, offset, type_)
    return True


def _split_carried(node: Node, offset: int, type_: OptionalType) -> bool:
    body = node.blocks[0]
    start, parameter, result = node.inputs[offset + 2], body.inputs[offset + 1], body.outputs[offset + 1]
    if not _is_told(start, frozenset()) or not _is_told(result, {parameter}):
        return False
    parts = _parts(start, type_.element, node)
    node.set_inputs([*node.inputs[: offset + 2], *parts, *node.inputs[offset + 3 :]])
    _give_parts(body, offset + 1, type_.element)
    _put_together(body.param_node, offset + 1, type_)
    _put_together(node, offset, type_)
    return True


def _parts(value: Value, type_: Type, reader: Node) -> Parts:
    """The parts of a value, made just before `reader`."""
    graph = reader.graph
    with graph.inserting(reader):
        if value.node.kind == "prim::OptionalConstruct":
            return value.node.inputs[0], value.node.inputs[1]
        if value.type is NONE or value.node.kind == "prim::Uninitialized":
            return graph.insert_constant(False, BOOL), graph.insert("prim::Uninitialized", (), (type_,)).output
        if not isinstance(value.type, OptionalType):
            return graph.insert_constant(True, BOOL), value
        none = graph.insert_constant(None, NONE)
        is_there = graph.insert("aten::__isnot__", [value, none], (BOOL,), overload="").output
        return is_there, graph.insert("prim::unchecked_cast", [value], (type_,)).output


def _give_parts(block: Block, offset: int, type_: Type) -> None:
    outputs = block.outputs
    parts = _parts(outputs[offset], type_, block.return_node)
    block.return_node.set_inputs([*outputs[:offset], *parts, *outputs[offset + 1 :]])


def _put_together(node: Node, offset: int, type_: OptionalType) -> None:
    """Output number `offset` becomes two, and what they say together a value behind the node."""
    old, graph = node.outputs[offset], node.graph
    parts = insert_outputs(node, offset + 1, TupleType((BOOL, type_.element)))
    assert node.next is not None
    with graph.inserting(node.next):
        old.replace_all_uses_with(graph.insert("prim::OptionalConstruct", parts, (type_,), overload="").output)
    node.remove_output(offset)


# Readers -------------------------------------------------------------------------------------------------------------


def _see_through(node: Node) -> bool:
    """Readers that ask whether there is a value, or know it, read the parts."""
    is_there, value = node.inputs
    changed = False
    for use in node.output.uses:
        reader = use.node
        if reader.kind in ("aten::__is__", "aten::__isnot__") and reader.inputs[1 - use.slot].type is NONE:
            reader.output.replace_all_uses_with(_answer(reader, is_there))
        elif reader.kind == "prim::unchecked_cast" or reader.kind in _CHECKED:
            if reader.kind in _CHECKED:
                _require(reader, is_there)
            reader.output.replace_all_uses_with(value)
        elif _takes_optional(use) and not any(makes_nested(operator_of(other)) for other in node.graph.walk()):
            _ask_twice(use, is_there, value)
        else:
            continue
        reader.destroy()
        changed = True
    if is_there.is_constant and node.output.has_uses:
        node.output.replace_all_uses_with(value if is_there.constant else _nothing(node))
        changed = True
    return changed


def _takes_optional(use: Use) -> bool:
    operator = operator_of(use.node)
    return operator is not None and isinstance(operator.schema.arguments[use.slot].type, OptionalType)


def _ask_twice(use: Use, is_there: Value, value: Value) -> None:
    """Put what a reader makes of the value, or of none, in the place of the reader."""
    graph, reader = use.node.graph, use.node
    with graph.inserting(reader):
        branch = graph.insert("prim::If", [is_there])
    for has_value in (True, False):
        block = branch.add_block()
        copied = copy_node(reader, graph, {})
        block.append(copied)
        copied.set_input(use.slot, value if has_value else _nothing(copied))
        for output in copied.outputs:
            block.add_output(output)
    for output in reader.outputs:
        output.replace_all_uses_with(branch.add_output(output.type, output.name))


def _answer(reader: Node, is_there: Value) -> Value:
    if reader.kind == "aten::__isnot__":
        return is_there
    with reader.graph.inserting(reader):
        return reader.graph.insert("aten::__not__", [is_there], (BOOL,), overload="").output


def _require(reader: Node, is_there: Value) -> None:
    """Fail where there is no value."""
    graph = reader.graph
    with graph.replacing(reader):
        branch = graph.insert("prim::If", [is_there])
    branch.add_block()
    with graph.inserting(branch.add_block()):
        text = graph.insert_constant("Unwrapping null optional", STRING)
        graph.insert("prim::RaiseException", [text, graph.insert_constant("RuntimeError", STRING)])


def _nothing(node: Node) -> Value:
    with node.graph.inserting(node):
        return node.graph.insert_constant(None, NONE)
