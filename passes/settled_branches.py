"""The pass `settled-branches`, which `freeze` begins with too: branches on settings (`self.training`) are taken, so that
what they leave out is gone before anybody asks what the program writes. Works on captured graphs, where tensors and
lists may still change."""

from __future__ import annotations

import numpy as np

from optc.ir.function import ClassType
from optc.ir.graph import Graph, Node, Value
from optc.ir.symbols import Replacements
from optc.ir.types import BOOL, FLOAT, NONE, STRING, DictType, IntType, ListType, TensorType, TupleType, Type
from optc.ops.conversion import SETTLED_ANSWERS
from optc.ops.registry import operator_of
from optc.ops.writes import VIEWS
from optc.passes.branch_simplification import splice
from optc.passes.constant_folding import fold_node
from optc.passes.type_questions import answer_type
from optc.pipeline import Context, graph_pass

_LARGEST = 4096
_IDENTITY = {"aten::__is__": True, "aten::__isnot__": False}
"""What questions for identity give for one and the same value."""


@graph_pass("settled-branches", after={"freeze": "settings are constants then"})
def settled_branches(graph: Graph, *, context: Context) -> bool:
    """Take branches that scalars, types, or whether there is a value decide, while the program still writes to memory."""
    return take_settled_branches(graph, context)


def take_settled_branches(graph: Graph, context: Context) -> bool:
    """Fold operators on scalar constants and take the branches they decide, until nothing changes."""
    changed = False
    while _once(graph, context):
        changed = True
    return changed


def _once(graph: Graph, context: Context) -> bool:
    changed, replacements = False, Replacements(graph)
    for node in list(graph.walk()):
        if node.owner is None:
            continue
        if node.kind == "prim::If" and node.inputs[0].is_constant:
            taken = node.blocks[0 if node.inputs[0].constant else 1]
            splice(node, taken)
            changed = True
        elif node.kind in _IDENTITY:
            changed |= _compare_objects(graph, node, context)
        elif node.kind in SETTLED_ANSWERS:
            _answer(graph, node, SETTLED_ANSWERS[node.kind])
            changed = True
        elif node.kind == "prim::isinstance":
            changed |= answer_type(graph, node)
        elif node.kind == "prim::unchecked_cast" and _is_never_none(node.inputs[0].type):
            node.output.replace_all_uses_with(node.inputs[0])
            node.destroy()
            changed = True
        elif node.kind == "prim::Loop":
            changed |= _drop_fixed(node)
        elif _is_scalar(node):
            changed |= fold_node(graph, node, _LARGEST, replacements)
    replacements.finish()
    return changed


def _compare_objects(graph: Graph, node: Node, context: Context) -> bool:
    """Answer `a is b`, here before copies are taken for what they copy."""
    left, right = node.inputs
    answer = is_one_object(graph, left, right, context)
    if answer is None:
        return False
    _answer(graph, node, answer == _IDENTITY[node.kind])
    return True


def _answer(graph: Graph, node: Node, answer: bool | int) -> None:
    with graph.inserting(node):
        constant = graph.insert_constant(answer, node.output.type)
    node.output.replace_all_uses_with(constant)
    node.destroy()


def is_one_object(graph: Graph, left: Value, right: Value, context: Context) -> bool | None:
    """Whether two tensors, or a value and None, are one object; None where that is not known.

    Arguments of the call that are one object are one value (`optc.passes.pipelines.optimize`), and nodes make objects
    of their own, so two values are two objects.
    """
    none = [value.type is NONE for value in (left, right)]
    if any(none):
        return all(none) or (False if _is_never_none((right if none[0] else left).type) else None)
    if not (isinstance(left.type, TensorType) and isinstance(right.type, TensorType)):
        return left is right or None
    given = [value.node is graph.block.param_node for value in (left, right)]
    context.compares_arguments |= all(given)
    if left is right or all(is_given or _is_made(value) for is_given, value in zip(given, (left, right))):
        return left is right
    return None


def _is_made(value: Value) -> bool:
    """True for a tensor that is an object of its own: its node makes it, if only as a view."""
    operator = None if value.is_parameter else operator_of(value.node)
    return operator is not None and not operator.mutates and (not operator.is_view or operator.name in VIEWS)


def _is_never_none(type_: Type) -> bool:
    simple = type_ in (BOOL, FLOAT, STRING)
    return simple or isinstance(type_, TensorType | ListType | DictType | TupleType | IntType | ClassType)


def _drop_fixed(loop: Node) -> bool:
    """What a loop carries and never changes is what it began with."""
    changed = False
    body = loop.blocks[0]
    for offset in reversed(range(len(loop.outputs))):
        start, parameter, result = loop.inputs[offset + 2], body.inputs[offset + 1], body.outputs[offset + 1]
        if result is not parameter and result is not start:
            continue
        if not parameter.has_uses and not loop.outputs[offset].has_uses:
            continue
        parameter.replace_all_uses_with(start)
        loop.outputs[offset].replace_all_uses_with(start)
        changed = True
    return changed


def _is_scalar(node: Node) -> bool:
    """True for a node that computes on nothing, and makes nothing, that could be changed in place."""
    if any(isinstance(output.type, TensorType | ListType | DictType) for output in node.outputs):
        return False
    return bool(node.inputs) and all(_is_immutable(value) or _is_constant_list(value) for value in node.inputs)


def _is_immutable(value: Value) -> bool:
    return value.is_constant and not isinstance(value.constant, np.ndarray | list | dict)


def _is_constant_list(value: Value) -> bool:
    """True for a list of constants that nobody changes, keeps or gives back."""
    made = value.node
    is_constant = made.kind == "prim::ListConstruct" and all(map(_is_immutable, made.inputs))
    return is_constant and all(_only_reads(use.node) for use in value.uses)


def _only_reads(node: Node) -> bool:
    operator = operator_of(node)
    gives_list = any(isinstance(output.type, ListType | DictType) for output in node.outputs)
    return operator is not None and not operator.mutates and not operator.has_effects and not gives_list
