"""The pass `loop-trip-counts`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optc.ir.graph import Graph, Node, Value
from optc.ir.types import BOOL, IntType, TensorType
from optc.ops.effects import has_effects
from optc.ops.registry import operator_of
from optc.passes.constant_folding import MISSING, compute, constant_argument
from optc.pipeline import graph_pass

CONTAINERS: dict[str, Callable[[list[Any]], Any]] = {"prim::ListConstruct": list, "prim::TupleConstruct": tuple}

DEEPEST = 100
"""How many nodes may stand one behind another between what is known and what is asked for."""


@graph_pass(
    "loop-trip-counts",
    functional=True,
    after={"constant-folding": "what a loop starts from must have become constants"},
)
def loop_trip_counts(graph: Graph, *, trips: int = 512) -> bool:
    """Count the turns of loops that go on while known numbers say so, such as those that `continue` is written with."""
    changed = False
    for node in graph.walk():
        if node.kind == "prim::Loop" and _is_open(node):
            changed |= _count(node, trips)
    return changed


def _is_open(loop: Node) -> bool:
    """The loop starts for certain, and something computed in a turn says whether there is another."""
    condition, going_on = loop.inputs[1], loop.blocks[0].outputs[0]
    return condition.is_constant and condition.constant is True and not going_on.is_constant


def _count(loop: Node, trips: int) -> bool:
    count = _turns(loop, trips)
    if count is None:
        return False
    with loop.graph.inserting(loop):
        loop.set_input(0, loop.graph.insert_constant(count, IntType(count)))
        loop.blocks[0].return_node.set_input(0, loop.graph.insert_constant(True, BOOL))
    return True


def _turns(loop: Node, trips: int) -> int | None:
    """Go through the turns with what is known at their start. None where data have a say, or after too many turns."""
    limit, body = loop.inputs[0], loop.blocks[0]
    if not limit.is_constant:
        return None
    carried = [_evaluate(value, {}, 0) for value in loop.inputs[2:]]
    for count in range(min(limit.constant, trips)):
        known = dict(zip(body.inputs, (count, *carried)))
        going_on = _evaluate(body.outputs[0], known, 0)
        if going_on is MISSING:
            return None
        if not going_on:
            return count + 1
        carried = [_evaluate(value, known, 0) for value in body.outputs[1:]]
    return int(limit.constant) if limit.constant <= trips else None


def _evaluate(value: Value, known: dict[Value, Any], depth: int) -> Any:
    """What a value is, given those that are known; MISSING for tensors and whatever depends on them."""
    if value not in known:
        known[value] = _evaluate_anew(value, known, depth) if depth < DEEPEST else MISSING
    return known[value]


def _evaluate_anew(value: Value, known: dict[Value, Any], depth: int) -> Any:
    if isinstance(value.type, TensorType) or value.is_parameter:
        return MISSING
    constant = constant_argument(value)
    if constant is not MISSING:
        return constant
    node = value.node
    if node.kind == "prim::If":
        taken = _evaluate(node.inputs[0], known, depth + 1)
        if taken is MISSING:
            return MISSING
        return _evaluate(node.blocks[0 if taken else 1].outputs[value.offset], known, depth + 1)
    operator = operator_of(node)
    if node.kind not in CONTAINERS and (operator is None or node.blocks or has_effects(node)):
        return MISSING
    arguments = [_evaluate(argument, known, depth + 1) for argument in node.inputs]
    if any(argument is MISSING for argument in arguments):
        return MISSING
    if node.kind in CONTAINERS:
        return CONTAINERS[node.kind](arguments)
    assert operator is not None
    results = compute(operator, arguments)
    return MISSING if results is None or len(results) != len(node.outputs) else results[value.offset]
