"""What `freeze` does first: branches on settings (`self.training`) are taken, so that what they leave out is gone
before anybody asks what the program writes. Works on captured graphs, where tensors and lists may still change."""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.ir.graph import Graph, Node, Value
from optc.ir.types import BOOL, TensorType
from optc.ops.registry import operator_of
from optc.ops.writes import VIEWS
from optc.passes.branch_simplification import splice
from optc.passes.constant_folding import fold_node
from optc.pipeline import Context

_LARGEST = 4096
_IDENTITY = {"aten::__is__": True, "aten::__isnot__": False}
"""What questions for identity give for one and the same value."""


def take_settled_branches(graph: Graph, context: Context) -> bool:
    """Fold operators on scalar constants and take the branches they decide, until nothing changes."""
    changed = False
    while _once(graph, context):
        changed = True
    return changed


def _once(graph: Graph, context: Context) -> bool:
    changed = False
    for node in list(graph.walk()):
        if node.owner is None:
            continue
        if node.kind == "prim::If" and node.inputs[0].is_constant:
            taken = node.blocks[0 if node.inputs[0].constant else 1]
            splice(node, taken)
            changed = True
        elif node.kind in _IDENTITY:
            changed |= _compare_objects(graph, node, context)
        elif _is_scalar(node):
            changed |= fold_node(graph, node, _LARGEST)
    return changed


def _compare_objects(graph: Graph, node: Node, context: Context) -> bool:
    """Answer `a is b`, here before copies are taken for what they copy."""
    left, right = node.inputs
    answer = is_one_object(graph, left, right, context)
    if answer is None:
        return False
    with graph.inserting(node):
        constant = graph.insert_constant(answer == _IDENTITY[node.kind], BOOL)
    node.output.replace_all_uses_with(constant)
    node.destroy()
    return True


def is_one_object(graph: Graph, left: Value, right: Value, context: Context) -> bool | None:
    """Whether two tensors are one object, None where that is not known.

    Arguments of the call that are one object are one value (`optc.passes.pipelines.optimize`), and nodes make objects
    of their own, so two values are two objects.
    """
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


def _is_scalar(node: Node) -> bool:
    """True for a node that computes on nothing that could be changed in place."""
    return bool(node.inputs) and all(value.is_constant and _is_immutable(value.constant) for value in node.inputs)


def _is_immutable(constant: Any) -> bool:
    return not isinstance(constant, np.ndarray | list | dict)
