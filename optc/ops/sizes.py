"""Arithmetic on sizes that a program does with tensors: traces hold `x.size(0) + 1` as an addition of 0-d tensors.

The scalar expression of a pointwise operator, read over dimensions instead of elements, says which dimension the
result is. Whatever is not certain (a sign, a quotient of what may be negative) has no answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optc.ir import dtypes
from optc.ir.dims import Apply, Dim, Symbolic, maximum, minimum
from optc.ir.types import TensorType
from optc.ops.elementwise import element_expression
from optc.ops.registry import Operator, Pointwise
from optc.ops.scalar import Expr


class _Uncertain(Exception):
    """The value is no dimension that can be written down."""


def size_of_result(operator: Operator, arguments: Sequence[Any], sizes: Mapping[int, Dim]) -> Dim | None:
    """The int64 that a pointwise operator gives, None when it is not certain.

    `arguments` are abstract values, one per schema argument; `sizes` has the elements of those that are 0-d tensors.
    """
    if not isinstance(operator.lowering, Pointwise):
        return None
    known = dict(sizes)
    for place, argument in enumerate(arguments):
        if isinstance(argument, TensorType) and (place not in sizes or argument.dtype is not dtypes.INT64):
            return None
        if isinstance(argument, Symbolic):
            known[place] = argument
    try:
        value = _evaluate(element_expression(operator, arguments, dtypes.INT64), known)
    except (_Uncertain, TypeError):
        return None
    return None if isinstance(value, bool) else value


def _evaluate(expr: Expr, inputs: Mapping[int, Dim]) -> Dim:
    if expr.op == "input":
        if expr.value not in inputs:
            raise _Uncertain
        return inputs[expr.value]
    if expr.op == "const" and expr.dtype in (dtypes.INT64, dtypes.BOOL):
        constant: int = expr.value
        return constant
    if expr.op == "and":
        return all(_evaluate(argument, inputs) for argument in _decided_first(expr.args, inputs))
    if expr.op == "select":
        return _evaluate(expr.args[1 if _evaluate(expr.args[0], inputs) else 2], inputs)
    compute = _MEANINGS.get(expr.op)
    if compute is None or expr.dtype not in (dtypes.INT64, dtypes.BOOL):
        raise _Uncertain
    return compute(*(_evaluate(argument, inputs) for argument in expr.args))


def _decided_first(conditions: Sequence[Expr], inputs: Mapping[int, Dim]) -> list[Expr]:
    """Conditions in an order that lets one that is certainly false decide before those that are not certain."""

    def is_open(condition: Expr) -> bool:
        try:
            _evaluate(condition, inputs)
        except _Uncertain:
            return True
        return False

    return sorted(conditions, key=is_open)


def is_natural(dim: Dim) -> bool:
    """True when a dimension is certainly not negative: extents, their sums, products and quotients."""
    if isinstance(dim, int):
        return dim >= 0
    return all(
        coefficient > 0
        and all(
            is_natural(atom.left) and is_natural(atom.right) if isinstance(atom, Apply) else atom.name[0] in "si"
            for atom in monomial
        )
        for monomial, coefficient in dim.terms
    )


def _certain_sign(dim: Dim) -> tuple[int, ...]:
    """The signs a dimension may have: (0,), (1,), (-1,), or several."""
    if isinstance(dim, int):
        return ((dim > 0) - (dim < 0),)
    if is_natural(dim - 1):
        return (1,)
    return (0, 1) if is_natural(dim) or _is_rest(dim) else (-1, 0) if is_natural(-dim) else (-1, 0, 1)


def _is_rest(dim: Symbolic) -> bool:
    """True for `x - n * floordiv(x, n)`, what is left of a natural number."""
    quotients = [atom for monomial, _ in dim.terms for atom in monomial if isinstance(atom, Apply)]
    return any(
        isinstance(atom.right, int)
        and atom.right > 0
        and is_natural(atom.left)
        and dim == atom.left - atom.right * (atom.left // atom.right)
        for atom in quotients
    )


def _comparison(holds: Callable[[int], bool]) -> Callable[[Dim, Dim], bool]:
    def compare(left: Dim, right: Dim) -> bool:
        answers = {holds(sign) for sign in _certain_sign(left - right)}
        if len(answers) > 1:
            raise _Uncertain
        return answers.pop()

    return compare


def _require_naturals(left: Dim, right: Dim) -> None:
    if not (is_natural(left) and _certain_sign(right) == (1,)):
        raise _Uncertain


def _quotient(left: Dim, right: Dim) -> Dim:
    _require_naturals(left, right)
    return left // right


def _rest(left: Dim, right: Dim) -> Dim:
    _require_naturals(left, right)
    return left % right


_MEANINGS: dict[str, Callable[..., Dim]] = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "neg": lambda x: -x,
    "div": _quotient,
    "rem": _rest,
    "maximum": maximum,
    "minimum": minimum,
    "eq": _comparison(lambda sign: sign == 0),
    "ne": _comparison(lambda sign: sign != 0),
    "lt": _comparison(lambda sign: sign < 0),
    "le": _comparison(lambda sign: sign <= 0),
    "gt": _comparison(lambda sign: sign > 0),
    "ge": _comparison(lambda sign: sign >= 0),
}
