"""The pass `split-dictionaries`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from optc.ir.graph import Block, Graph, Node, Value
from optc.ir.types import DictType, IntType, TupleType
from optc.ops.builder import constant_type
from optc.passes.lower_containers import entries_of
from optc.passes.lower_tuples import insert_outputs
from optc.pipeline import graph_pass

Keys: TypeAlias = tuple[Any, ...]


@graph_pass(
    "split-dictionaries",
    functional=True,
    after={"functionalize": "a dictionary has the keys it was made with only if nobody changes it"},
)
def split_dictionaries(graph: Graph) -> bool:
    """Let branches and loops hand on the values of dictionaries whose keys are known."""
    changed = False
    for node in list(graph.walk()):
        split = {"prim::If": _split_result, "prim::Loop": _split_carried}.get(node.kind)
        for offset in reversed(range(len(node.outputs))) if split is not None else ():
            type_ = node.outputs[offset].type
            if split is not None and isinstance(type_, DictType):
                changed |= split(node, offset, type_)
    return changed


def _keys(value: Value, assumed: Mapping[Value, Keys]) -> Keys | None:
    """The keys of a dictionary in order; None where only running tells them."""
    node = value.node
    if value in assumed:
        return assumed[value]
    if node.kind == "prim::DictSet" and node.inputs[1].is_constant:
        base, key = _keys(node.inputs[0], assumed), node.inputs[1].constant
        return base if base is None or key in base else (*base, key)
    if node.kind == "prim::If":
        return _common(node, value.offset, assumed)
    entries = entries_of(node)
    return None if entries is None else tuple(key.constant for key, _ in entries)


def _common(node: Node, offset: int, assumed: Mapping[Value, Keys]) -> Keys | None:
    """The keys that both sides of a branch give; a side that never ends says nothing."""
    results = [block.outputs[offset] for block in node.blocks]
    told = [_keys(result, assumed) for result in results if result.node.kind != "prim::Uninitialized"]
    return told[0] if told and all(keys == told[0] for keys in told) else None


def _split_result(node: Node, offset: int, type_: DictType) -> bool:
    keys = _common(node, offset, {})
    if keys is None:
        return False
    for block in node.blocks:
        _give_values(block, offset, keys, type_)
    _put_together(node, offset, keys, type_)
    return True


def _split_carried(node: Node, offset: int, type_: DictType) -> bool:
    """The keys are those of the start, if a turn that begins with them ends with them."""
    body = node.blocks[0]
    start, parameter, result = node.inputs[offset + 2], body.inputs[offset + 1], body.outputs[offset + 1]
    keys = _keys(start, {})
    if keys is None or _keys(result, {parameter: keys}) != keys:
        return False
    values = _values(start, keys, type_, node)
    node.set_inputs([*node.inputs[: offset + 2], *values, *node.inputs[offset + 3 :]])
    _give_values(body, offset + 1, keys, type_)
    _put_together(body.param_node, offset + 1, keys, type_)
    _put_together(node, offset, keys, type_)
    return True


def _values(value: Value, keys: Keys, type_: DictType, reader: Node) -> list[Value]:
    """The values of a dictionary, read just before `reader`."""
    graph = reader.graph
    with graph.inserting(reader):
        if value.node.kind == "prim::Uninitialized":
            return [graph.insert("prim::Uninitialized", (), (type_.value,)).output for _ in keys]
        name = "int" if isinstance(type_.key, IntType) else str(type_.key)
        constants = [graph.insert_constant(key, constant_type(key)) for key in keys]
        return [
            graph.insert("aten::__getitem__", [value, key], (type_.value,), overload=f"Dict_{name}").output
            for key in constants
        ]


def _give_values(block: Block, offset: int, keys: Keys, type_: DictType) -> None:
    outputs = block.outputs
    values = _values(outputs[offset], keys, type_, block.return_node)
    block.return_node.set_inputs([*outputs[:offset], *values, *outputs[offset + 1 :]])


def _put_together(node: Node, offset: int, keys: Keys, type_: DictType) -> None:
    """Output number `offset` becomes one output per key, and a dictionary of them behind the node."""
    old, graph = node.outputs[offset], node.graph
    values = insert_outputs(node, offset + 1, TupleType((type_.value,) * len(keys)))
    assert node.next is not None
    with graph.inserting(node.next):
        constants = [graph.insert_constant(key, constant_type(key)) for key in keys]
        pairs = [value for pair in zip(constants, values) for value in pair]
        old.replace_all_uses_with(graph.insert("prim::DictConstruct", pairs, (type_,)).output)
    node.remove_output(offset)
