"""Dropout inside of larger operators: of values that these have computed themselves, which lie row by row."""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.ir.graph import Node, Value
from optc.ops.reference import apply_operator

Array = np.ndarray[Any, Any]


def dropped_array(x: Array, probability: float) -> Array:
    """Elements set to zero with a probability, the others scaled so that the mean stays."""
    return np.asarray(apply_operator("aten::dropout", np.ascontiguousarray(x), probability, True))


def dropped(b: Any, x: Any, probability: float) -> Any:
    """The same in a graph."""
    if probability == 1:
        return b("aten::mul.Scalar", x, 0)
    rows = b("aten::full", list(b.shape(x)), 0, dtype=b.type(x).dtype.code)
    noise = b("prim::bernoulli.float", rows, 1 - probability)
    return b("aten::mul.Tensor", x, b("aten::div.Scalar", noise, 1 - probability))


def is_constant(value: Value, *numbers: float | bool) -> bool:
    """True for a value that is known to be one of some numbers."""
    return value.is_constant and value.constant in numbers


def drops(node: Node, place: int) -> bool:
    """True unless the probability, at a place among the inputs, is known to be 0."""
    return not is_constant(node.inputs[place], 0)
