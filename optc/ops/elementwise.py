"""What all pointwise operators share: their shape and dtype rule, the frame of their references, their expressions.

A pointwise declaration is two functions of one element: `scalar` over expressions, for native code, and `compute` over
numpy arrays, for the reference. Both get their operands already promoted; `promotion` says how (see
`optc.ops.registry.Pointwise`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.dims import Symbolic
from optc.ir.dtypes import DType, from_numpy
from optc.ir.types import TensorType
from optc.ops.abstract import UNKNOWN_BOOL, Unknown
from optc.ops.element_types import Refusals
from optc.ops.promotion import compute_type, float_result, is_operand, operand_type, result_type
from optc.ops.registry import Operator, Pointwise, ScalarFunction, define
from optc.ops.scalar import Expr, literal, variable
from optc.ops.shapes import broadcast_shapes, known, known_shape

Array = np.ndarray[Any, Any]
Compute = Callable[..., Any]
Result = DType | Callable[[DType], DType] | None
"""The type of a result where it is fixed or follows from the promoted type; None for the promoted type itself."""

Check = Callable[..., None]
"""Raises torch's error for refused arguments; gets the promoted element type and all arguments."""


def promoted_type(promotion: str, operands: Sequence[Any]) -> DType:
    """The type that `promotion` brings operands to."""
    promoted = result_type(*operands)
    return float_result(promoted) if promotion == "float" else promoted


def pointwise_rule(
    promotion: str = "common",
    result: Result = None,
    check: Check | None = None,
    promoting: int | None = None,
) -> Callable[..., TensorType]:
    """The shape and dtype rule: broadcast all tensors; the promoted type, or `result` where it is fixed.

    Only the first `promoting` operands (all when None) decide the promoted type.
    """

    def infer(*arguments: Any) -> TensorType:
        operands = [argument for argument in arguments if is_operand(argument)]
        dtype = promoted_type(promotion, operands[:promoting])
        shape = broadcast_shapes(*(known_shape(item) for item in operands if isinstance(item, TensorType)))
        if check is not None:
            check(dtype, *arguments)
        return TensorType(_resulting(result, dtype), shape)

    return infer


def _resulting(result: Result, promoted: DType) -> DType:
    if result is None or isinstance(result, DType):
        return result or promoted
    return result(promoted)


def pointwise_reference(
    compute: Compute,
    promotion: str = "common",
    result: Result = None,
    check: Check | None = None,
    promoting: int | None = None,
    exact: Sequence[int] = (),
) -> Callable[..., Array]:
    """The frame of a reference: promote, compute in float32 where the type is half, round to the result's type."""

    def reference(*arguments: Any) -> Array:
        operands = [argument for argument in arguments if is_operand(argument)]
        dtype = promoted_type(promotion, operands[:promoting])
        shape = broadcast_shapes(*(item.shape for item in operands if isinstance(item, np.ndarray)))
        if check is not None:
            check(dtype, *arguments)
        work = compute_type(dtype).numpy
        prepared = tuple(
            _prepared(item, dtype, work, place in exact) if is_operand(item) else item
            for place, item in enumerate(arguments)
        )
        with np.errstate(all="ignore"):
            value = np.asarray(compute(*prepared))
            value = value.astype(_resulting(result, dtype).numpy, copy=False)
        return value if value.shape == shape else np.array(np.broadcast_to(value, known(shape)))

    return reference


def _prepared(value: Any, dtype: DType, work: np.dtype[Any], is_exact: bool) -> Array:
    """An operand in the type to compute in. What stands beside halves is rounded to a half, but for exact numbers."""
    keeps = dtype.numpy == work or is_exact and (not isinstance(value, np.ndarray) or value.size == 1)
    return cast_array(value if keeps else rounded_to(value, dtype), work)


def rounded_to(value: Any, half: DType) -> Array:
    """Elements rounded to halves, by way of single precision as in PyTorch."""
    with np.errstate(all="ignore"):
        return cast_array(cast_array(value, np.dtype(np.float32)), half.numpy)


def cast_array(value: Any, dtype: np.dtype[Any]) -> Array:
    """An operand as an array of a type; integers wrap as in C."""
    array = np.asarray(value) if not isinstance(value, int) or isinstance(value, bool) else _integer_array(value)
    if array.dtype.kind == "c" and dtype.kind != "c":
        array = array.real
    with np.errstate(all="ignore"):
        if array.dtype.kind == "V" and dtype.kind in "iu":
            # ml_dtypes gives 0 for what an integer cannot hold, from its version 0.7 on; numpy does what C does.
            array = array.astype(np.float32)
        return array.astype(dtype, copy=False)


def _integer_array(value: int) -> Array:
    return np.array((value + 2**63) % 2**64 - 2**63, np.int64)


def declare_pointwise(
    schema: str,
    scalar: ScalarFunction,
    compute: Compute,
    *,
    promotion: str = "common",
    result: Result = None,
    check: Check | None = None,
    promoting: int | None = None,
    exact: Sequence[int] | None = None,
    commutative: bool = False,
    may_fail: bool = False,
    inplace: bool = False,
    out: str | None = None,
    refuses: Refusals = (),
) -> Operator:
    """Declare a pointwise operator from its two per-element functions. Operands that have no say in promotion are exact
    numbers, unless `exact` says which are.
    """
    exact = (() if promoting is None else range(promoting, 8)) if exact is None else exact
    return define(
        schema,
        infer=pointwise_rule(promotion, result, check, promoting),
        reference=pointwise_reference(compute, promotion, result, check, promoting, exact),
        scalar=scalar,
        exact=exact,
        promotion="result" if promoting is not None else promotion,
        commutative=commutative,
        may_fail=may_fail,
        inplace=inplace,
        out=out,
        refuses=refuses,
    )


def element_expression(operator: Operator, arguments: Sequence[Any], result: DType) -> Expr:
    """What one element of the result is, in terms of the operands' elements.

    `arguments` are abstract values, one per schema argument, `result` the inferred element type. Operand number `i` is
    `variable(i, its type)`; known numbers become constants. The promotion the declaration asks for is applied, and
    the result has type `result`. Raises TypeError for an operator that is not pointwise.
    """
    if not isinstance(operator.lowering, Pointwise):
        raise TypeError(f"{operator.name} is not pointwise")
    promotion = operator.lowering.promotion
    operands = [argument for argument in arguments if _is_scalar_operand(argument)]
    target: DType | None = None
    if promotion == "result":
        target = result
    elif promotion != "none":
        target = promoted_type(promotion, operands)
    prepared = [
        _operand_expression(place, argument, target, place in operator.lowering.exact)
        if _is_scalar_operand(argument)
        else argument
        for place, argument in enumerate(arguments)
    ]
    value = operator.lowering.function(*prepared)
    return cast_expression(value, result)


def _is_scalar_operand(argument: Any) -> bool:
    return is_operand(argument) or argument is UNKNOWN_BOOL


def _operand_expression(place: int, argument: Any, target: DType | None, is_exact: bool) -> Expr:
    is_halved = target is not None and compute_type(target) is not target
    if not isinstance(argument, TensorType | Symbolic | Unknown):
        number = rounded_to(argument, target).item() if target and is_halved and not is_exact else argument
        return constant_expression(number, compute_type(target or stored_type(argument)))
    expr = variable(place, stored_type(argument))
    if target is None:
        return expr.cast(compute_type(expr.dtype))
    if is_halved:
        expr = _beside_halves(expr, argument, target, is_exact)
    return cast_expression(expr, compute_type(target))


def _beside_halves(expr: Expr, type_: Any, half: DType, is_exact: bool) -> Expr:
    """An operand among those that are promoted to a half: rounded to the half first, but for exact numbers. A tensor of
    one element counts as a number, which Python holds in double precision.
    """
    if is_exact and _is_single(type_):
        return expr.cast(dtypes.FLOAT64) if expr.dtype.kind == "float" else expr
    return expr if expr.dtype is half else expr.cast(dtypes.FLOAT32).cast(half)


def _is_single(type_: Any) -> bool:
    """True for a number, and for a tensor of one element."""
    if not isinstance(type_, TensorType):
        return True
    return type_.shape is not None and all(extent == 1 for extent in type_.shape)


def stored_type(operand: Any) -> DType:
    """The type in which an operand is held: tensors as they say, Python numbers as int64, float64 or bool."""
    if isinstance(operand, TensorType):
        return operand_type(operand)
    if isinstance(operand, bool) or operand is UNKNOWN_BOOL:
        return dtypes.BOOL
    return dtypes.INT64 if isinstance(operand, int | Symbolic) else dtypes.FLOAT64


def constant_expression(number: float | bool, dtype: DType) -> Expr:
    """A number as a constant of a type, converted as a cast at run time would."""
    return literal(cast_array(number, dtype.numpy).item(), dtype)


def cast_expression(expr: Expr, dtype: DType) -> Expr:
    """`expr.cast(dtype)`, where constants are converted at once and a conversion to bool asks for non-zero."""
    if expr.dtype is dtype:
        return expr
    if expr.op == "const":
        return constant_expression(expr.value, dtype)
    if dtype is dtypes.BOOL:
        return expr.not_equal(0)
    return expr.cast(dtype)


def truth(expr: Expr) -> Expr:
    """An operand as a condition, seeing through the cast that promotion put around a bool."""
    if expr.dtype is dtypes.BOOL:
        return expr
    if expr.op == "cast" and expr.args[0].dtype is dtypes.BOOL:
        return expr.args[0]
    return expr.not_equal(0)


def is_constant(expr: Expr, number: float) -> bool:
    """True for the constant `number`."""
    return expr.op == "const" and bool(expr.value == number)


def array_type(array: Array) -> TensorType:
    """The type of an array, for references that share a rule."""
    return TensorType(from_numpy(array.dtype), tuple(array.shape))
