"""Constant propagation over immutable types, as TorchScript does before anybody sees the graph.

Numbers, strings, None and tuples of them are computed; ifs with a known condition are inlined, loops that cannot run
and values that do not change are removed. Tensors, lists and dicts are left alone: they may be changed in place.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.ir.graph import Block, Graph, Node, Value
from optc.ir.types import NONE, Type, is_subtype
from optc.jit.frontend.constants import constant_type, insert_constant, is_known, known
from optc.jit.frontend.dead_code import SIDE_EFFECTS, remove_loop_value
from optc.jit.frontend.type_rules import is_mutable
from optc.ops.effort import is_modest
from optc.ops.registry import operator_of

_KEPT = frozenset(
    {
        "prim::Constant", "prim::Uninitialized", "prim::unchecked_unwrap_optional", "prim::CreateObject",
        "aten::is_grad_enabled", "aten::is_autocast_enabled", "aten::is_autocast_cpu_enabled",
    }
)  # fmt: skip
"""What stays: it is no computation, or depends on the state of the process."""


def propagate_constants(graph: Graph) -> bool:
    """Fold what is known. Returns whether anything changed."""
    return _block(graph.block)


def _block(block: Block) -> bool:
    changed = False
    node = block.param_node.next
    while node is not None and node is not block.return_node:
        following = node.next
        changed |= _node(node)
        node = following
    return changed


def _node(node: Node) -> bool:
    known_inputs = all(is_known(value) for value in node.inputs)
    if node.kind == "prim::If":
        if known_inputs:
            _inline_branch(node)
            return True
        changed = _blocks(node)
        return _remove_equal_outputs(node) or changed
    if node.kind == "prim::Loop":
        return _loop(node)
    if known_inputs and _is_foldable(node):
        return _fold(node)
    return _blocks(node)


def _blocks(node: Node) -> bool:
    changed = False
    for block in node.blocks:
        changed |= _block(block)
    return changed


def _is_foldable(node: Node) -> bool:
    if node.kind in _KEPT or node.kind in SIDE_EFFECTS or node.blocks or not node.outputs:
        return False
    if any(is_mutable(value.type) for value in (*node.inputs, *node.outputs)):
        return False
    operator = operator_of(node)
    if operator is None:
        return node.kind in ("prim::TupleConstruct", "prim::isinstance")
    return not operator.has_effects and not operator.schema.is_variadic


def _fold(node: Node) -> bool:
    inputs = [value.constant for value in node.inputs]
    if node.kind == "prim::TupleConstruct":
        if getattr(node.output.type, "fields", ()):
            return False
        results: list[Any] = [tuple(inputs)]
    elif node.kind == "prim::isinstance":
        results = [any(is_subtype(node.inputs[0].type, type_) for type_ in node.attributes["types"])]
    else:
        found = _evaluate(node, inputs)
        if found is None:
            return False
        results = found
    with node.graph.inserting(node):
        for output, result in zip(node.outputs, results):
            constant = _constant(node.graph, result, output.type)
            if constant is None:
                return False
            output.replace_all_uses_with(constant)
    return True


def _evaluate(node: Node, inputs: list[Any]) -> list[Any] | None:
    """The results of the operator's reference; None where that is much work, or raises: as the program will later."""
    operator = operator_of(node)
    assert operator is not None
    if not is_modest(operator, inputs):
        return None
    try:
        result = operator.reference(*inputs)
    except Exception:  # noqa: BLE001 - whatever it is belongs to the run, not to compilation
        return None
    return [result] if len(node.outputs) == 1 else list(result)


def _constant(graph: Graph, value: Any, type_: Type) -> Value | None:
    if value is None:
        return insert_constant(graph, None, type_=type_ if type_ is not NONE else None)
    try:
        constant_type(value)
    except TypeError:
        return None
    return insert_constant(graph, value, type_=type_ if not is_mutable(type_) else None)


def _inline_branch(node: Node) -> None:
    chosen = node.blocks[0 if node.inputs[0].constant else 1]
    _block(chosen)
    node.give_way_to(chosen)


def _remove_equal_outputs(node: Node) -> bool:
    """Outputs that are the same value, or the same constant, in both branches."""
    changed = False
    place = 0
    while place < len(node.outputs):
        first, second = node.blocks[0].outputs[place], node.blocks[1].outputs[place]
        replacement: Value | None = None
        if first is second:
            replacement = first
        elif same_constant(first, second):
            with node.graph.inserting(node):
                replacement = insert_constant(node.graph, first.constant, type_=first.type)
        if replacement is None:
            place += 1
            continue
        node.outputs[place].replace_all_uses_with(replacement)
        node.remove_output(place)
        for block in node.blocks:
            block.return_node.remove_input(place)
        changed = True
    return changed


def same_constant(first: Value, second: Value) -> bool:
    """True for two constants of the same type and value."""
    if not (first.is_constant and second.is_constant) or first.type != second.type:
        return False
    return constant_key(first.node) == constant_key(second.node)


def constant_key(node: Node) -> tuple[object, ...]:
    """What makes two constants equal: type, kind of value, value (with the sign of zero), referenced function."""
    value = node.attributes.get("value")
    return (node.output.type, type(value), _content(value), id(node.attributes.get("function")))


def _content(value: object) -> object:
    """The elements of tensors, which a text of them rounds and leaves out; the text of anything else."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, list | tuple):
        return tuple(map(_content, value))
    return repr(value)


def _loop(node: Node) -> bool:
    trips, start = node.inputs[0], node.inputs[1]
    count = known(trips, int)
    if (count is not None and count <= 0) or known(start, bool) is False:
        for output, value in zip(node.outputs, node.inputs[2:]):
            output.replace_all_uses_with(value)
        node.destroy()
        return True
    changed = _block(node.blocks[0])
    body = node.blocks[0]
    for place in reversed(range(len(node.outputs))):
        parameter = body.inputs[place + 1]
        if body.outputs[place + 1] is not parameter:
            continue
        start_value = node.inputs[place + 2]
        node.outputs[place].replace_all_uses_with(start_value)
        parameter.replace_all_uses_with(start_value)
        remove_loop_value(node, place)
        changed = True
    return changed
