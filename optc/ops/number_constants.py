"""0-d tensor constants of captured programs, which PyTorch takes for numbers.

A trace writes the 2.5 of `x * 2.5` down as the constant tensor {2.5} of type Double. PyTorch's interpreter marks such
constants as "wrapped numbers", so that they weigh no more in type promotion than the 2.5 did: a float32 `x` of any
rank stays float32. Here operators with such operands get their overload for numbers instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from optc.ir.graph import Graph, Node, Value
from optc.ir.types import BOOL, COMPLEX, FLOAT, INT, NUMBER, TENSOR, Type
from optc.ops.registry import Operator, operator_of, overloads


def has_number_constants(graph: Graph) -> bool:
    """True when `take_number_constants` would change the graph."""
    return next(_candidates(graph), None) is not None


def take_number_constants(graph: Graph) -> bool:
    """Give operators with 0-d constants as tensors the overload for numbers, where they have one."""
    found = list(_candidates(graph))
    for node, index, operator in found:
        with graph.inserting(node):
            number = _number(node.inputs[index].constant)
            node.set_input(index, graph.insert_constant(number, _number_type(number)))
        node.overload, node.operator = operator.schema.overload, operator
    return bool(found)


def _candidates(graph: Graph) -> Iterator[tuple[Node, int, Operator]]:
    for node in graph.walk():
        index = next((index for index, value in enumerate(node.inputs) if _is_number_constant(value)), None)
        if index is None:
            continue
        operator = operator_of(node)
        taking_number = None if operator is None else _overload_for_number(operator, node.kind, index)
        if taking_number is not None:
            yield node, index, taking_number


def _is_number_constant(value: Value) -> bool:
    return value.is_constant and isinstance(value.constant, np.ndarray) and value.constant.ndim == 0


def _overload_for_number(operator: Operator, kind: str, index: int) -> Operator | None:
    """The overload that differs in one argument: a number where this one takes a tensor."""
    wanted = [argument.type for argument in operator.schema.arguments]
    if wanted[index] is not TENSOR:
        return None
    wanted[index] = NUMBER
    for other in overloads(kind):
        if [argument.type for argument in other.schema.arguments] == wanted and other.schema.returns[0].type is TENSOR:
            return other
    return None


def _number(constant: np.ndarray[Any, Any]) -> bool | int | float | complex:
    number: bool | int | float | complex = constant.item()
    return number


def _number_type(number: object) -> Type:
    types: dict[type, Type] = {bool: BOOL, int: INT, float: FLOAT, complex: COMPLEX}
    return types[type(number)]
