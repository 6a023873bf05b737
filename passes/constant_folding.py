"""The pass `constant-folding`."""

from __future__ import annotations

from enum import Enum
from typing import Any

import numpy as np

from optc.ir.graph import Graph, Node, Value
from optc.ir.origins import remember
from optc.ir.symbols import Replacements
from optc.ir.types import STRING, ListType, TensorType
from optc.ops.abstract import PLAIN_CLASSES
from optc.ops.builder import constant_type
from optc.ops.complex_numbers import is_at_border
from optc.ops.effects import has_effects, may_fail
from optc.ops.effort import effort, result_bytes
from optc.ops.reference import apply_operator
from optc.ops.registry import Operator, operator_of
from optc.pipeline import graph_pass

MISSING = object()

_MOST_EFFORT = 1 << 24
"""Bytes that folding an operator may go through where it is not known how much comes out of it."""


@graph_pass(
    "constant-folding",
    functional=True,
    after={"inline": "calls hide the constants of what they call", "freeze": "attributes become constants there"},
)
def constant_folding(graph: Graph, *, limit: int = 65536) -> bool:
    """Compute operators on constants now, unless the result is larger than its inputs and `limit` bytes."""
    changed, replacements = False, Replacements(graph)
    for node in graph.walk():
        replacements.renew(node)
        changed |= node.owner is not None and (fold_node(graph, node, limit, replacements) or _fold_choice(node))
    replacements.finish()
    return changed


def fold_node(graph: Graph, node: Node, limit: int, replacements: Replacements) -> bool:
    """Replace one node by its value if its inputs are constants; True when that was done."""
    if node.blocks or node.kind == "prim::Constant" or not node.inputs or is_at_border(node):
        return False
    operator = operator_of(node)
    if operator is None or has_effects(node) or not (any(out.has_uses for out in node.outputs) or may_fail(node)):
        return False
    arguments = [constant_argument(value) for value in node.inputs]
    if any(argument is MISSING for argument in arguments):
        return False
    results = compute(operator, arguments) if _is_modest(operator, arguments, limit) else None
    if results is None or len(results) != len(node.outputs) or not _is_small(results, arguments, limit):
        return False
    if not all(map(_is_storable, results, node.outputs)):
        return False
    for place, result in enumerate(results):
        if isinstance(result, np.ndarray):
            only = len(operator.schema.returns) == 1
            remember(result, apply_operator, operator.name, *arguments, result=None if only else place)
    with graph.replacing(node):
        for output, result in zip(node.outputs, results):
            constant = graph.insert_constant(result, constant_type(result))
            constant.name = output.name
            replacements.replace(output, constant)
    node.destroy()
    return True


def _fold_choice(node: Node) -> bool:
    """Answer questions about what two branches give, texts above all, in the branches: native code has no texts."""
    chosen = {value for value in node.inputs if value.node.kind == "prim::If"}
    operator = operator_of(node)
    if node.blocks or operator is None or has_effects(node) or len(node.outputs) != 1 or len(chosen) != 1:
        return False
    choice = chosen.pop()
    answers = [_answer(node, operator, {choice: block.outputs[choice.offset]}) for block in choice.node.blocks]
    expected = bool | int | str if choice.type is STRING else bool
    if not all(isinstance(answer, expected) for answer in answers):
        return False
    for block, answer in zip(choice.node.blocks, answers):
        with node.graph.inserting(block):
            block.add_output(node.graph.insert_constant(answer, constant_type(answer)))
    node.output.replace_all_uses_with(choice.node.add_output(node.output.type, node.output.name))
    node.destroy()
    return True


def _answer(node: Node, operator: Operator, values: dict[Value, Value]) -> Any:
    """What a node gives for other inputs, `MISSING` where that is not known."""
    arguments = [constant_argument(values.get(value, value)) for value in node.inputs]
    results = None if any(argument is MISSING for argument in arguments) else compute(operator, arguments)
    return MISSING if results is None else results[0]


def constant_argument(value: Value) -> Any:
    """The Python value of a constant or of a list of constants, `MISSING` for anything else."""
    if value.is_constant:
        constant = value.constant
        if constant is None and value.node.attributes:
            return MISSING
        return constant if _is_plain(constant) else MISSING
    if value.node.kind != "prim::ListConstruct":
        return MISSING
    items = [constant_argument(item) for item in value.node.inputs]
    return MISSING if any(item is MISSING for item in items) else items


def _is_plain(constant: Any) -> bool:
    if isinstance(constant, list | tuple):
        return all(map(_is_plain, constant))
    return constant is None or isinstance(constant, bool | int | float | str | Enum | np.ndarray)


def _is_modest(operator: Operator, arguments: list[Any], limit: int) -> bool:
    """False for what would take very much to compute, or be thrown away because it is large."""
    given, made = _bytes(arguments), result_bytes(operator, arguments)
    if given and made is not None:
        return made <= max(limit, given)
    return effort(operator, arguments) <= max(_MOST_EFFORT, limit)


def compute(operator: Operator, arguments: list[Any]) -> list[Any] | None:
    """The results, None when the operator refuses these arguments: then it must fail where the program runs it."""
    try:
        result = apply_operator(operator.name, *arguments)
    except (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError, RuntimeError):
        return None
    return [result] if len(operator.schema.returns) == 1 else list(result)


def _is_small(results: list[Any], arguments: list[Any], limit: int) -> bool:
    size = _bytes(results)
    return size <= limit or size <= _bytes(arguments)


def _bytes(value: Any) -> int:
    """The memory of all tensors in a value."""
    if isinstance(value, list | tuple):
        return 0 if PLAIN_CLASSES.issuperset(map(type, value)) else sum(map(_bytes, value))
    return value.nbytes if isinstance(value, np.ndarray) else 0


def _is_storable(result: Any, output: Value) -> bool:
    """A graph constant holds a tensor, a number, a string, None, or a list of numbers."""
    if isinstance(result, np.ndarray):
        return isinstance(output.type, TensorType)
    if isinstance(result, list):
        return isinstance(output.type, ListType) and all(type(item) in (int, float, bool) for item in result)
    return result is None or isinstance(result, bool | int | float | str)
