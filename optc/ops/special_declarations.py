"""Special functions of one number, written once as expressions in double precision.

The reference evaluates the same expression with numpy, native code compiles it: both give the same value, rounded to
the type of the operand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from optc.ir.dtypes import FLOAT64
from optc.ops.element_types import COMPLEXES, HALVES, Refusals, unimplemented
from optc.ops.elementwise import declare_pointwise
from optc.ops.registry import Operator
from optc.ops.scalar import Expr, evaluate, literal, variable

Array = np.ndarray[Any, Any]


def series(x: Expr, coefficients: Sequence[float]) -> Expr:
    """The sum of Chebyshev polynomials of x in [-1, 1], by Clenshaw's recurrence."""
    twice = x + x
    before, value = literal(0.0, x.dtype), literal(coefficients[-1], x.dtype)
    for coefficient in reversed(coefficients[1:-1]):
        before, value = value, twice * value - before + coefficient
    return x * value - before + coefficients[0]


def without_halves(name: str) -> Refusals:
    """PyTorch computes these in single and double precision only."""
    return unimplemented(f"{name}_cpu", HALVES | COMPLEXES)


def declare_special(schema: str, meaning: Callable[..., Expr], *, refuses: Refusals = (), **traits: Any) -> Operator:
    """Declare a function of one or two real numbers, of which whole ones become the default float. Where nothing is said
    of element types, PyTorch's kernel has the operator's name and no complex numbers.
    """
    name = schema.partition("(")[0].partition(".")[0].removeprefix("aten::").removeprefix("special_")
    refuses = refuses or unimplemented(f"{name}_cpu", COMPLEXES)
    made: dict[int, Expr] = {}

    def compute(*arrays: Array) -> Array:
        count = len(arrays)
        if count not in made:
            made[count] = meaning(*(variable(place, FLOAT64) for place in range(count)))
        wide = {place: np.asarray(array).astype(np.float64) for place, array in enumerate(arrays)}
        return np.asarray(evaluate(made[count], wide))

    def scalar(*operands: Expr) -> Expr:
        value = meaning(*(operand.cast(FLOAT64) for operand in operands))
        return value.cast(operands[0].dtype)

    return declare_pointwise(schema, scalar, compute, promotion="float", refuses=refuses, **traits)
