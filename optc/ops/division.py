"""Quotients and what is left of them: true, floor and truncating division, remainders.

Halves are divided as PyTorch divides them: rounded to halves after every step, unless the divisor is a single number.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.dtypes import DType
from optc.ir.types import TensorType
from optc.ops.arithmetic import declare_binary
from optc.ops.element_types import BOOLS, COMPLEXES, Refusals, check_type, unimplemented
from optc.ops.elementwise import declare_pointwise, pointwise_reference, pointwise_rule
from optc.ops.promotion import result_type
from optc.ops.registry import define, define_inplace
from optc.ops.scalar import Expr, apply, function, literal, select

Array = np.ndarray[Any, Any]


# Per element, over expressions ---------------------------------------------------------------------------------------


def floor_divide(x: Expr, y: Expr) -> Expr:
    """The quotient rounded down; on floats by way of fmod, as Python does it, so that it agrees with `remainder`."""
    if x.dtype.kind != "float":
        quotient = x / y
        rest = x - quotient * y
        return select(rest.not_equal(0) & (rest < 0).not_equal(y < 0), quotient - 1, quotient)
    step = _step_of(x, y)
    rest = function("fmod", x, y)
    quotient = step(step(x - rest) / y)
    quotient = select(rest.not_equal(0) & (rest < 0).not_equal(y < 0), step(quotient - 1.0), quotient)
    floor = function("floor", quotient)
    floor = select((quotient - floor) > 0.5, step(floor + 1.0), floor)
    floor = select(quotient.equal(0.0), function("copysign", literal(0.0, x.dtype), x / y), floor)
    return select(y.equal(0.0), x / y, floor)


def _step_of(x: Expr, y: Expr) -> Callable[[Expr], Expr]:
    """What happens between the steps of a division: halves divided by a tensor of halves are rounded to halves.

    Single numbers are held in double precision (see `optc.ops.elementwise`).
    """
    held = [operand.args[0].dtype if operand.op == "cast" else operand.dtype for operand in (x, y)]
    halves = {dtype for dtype in held if dtype.kind == "float" and dtype.itemsize == 2}
    is_number = y.op == "const" or held[1] is dtypes.FLOAT64
    if is_number or y.dtype is not dtypes.FLOAT32 or len(halves) != 1 or dtypes.FLOAT32 in held[:1] and x.op != "const":
        return lambda value: value
    half = halves.pop()
    return lambda value: value.cast(half).cast(value.dtype)


def remainder(x: Expr, y: Expr) -> Expr:
    """The rest of floor division: the sign is the divisor's."""
    rest = modulo(x, y)
    return select(rest.not_equal(0) & (rest < 0).not_equal(y < 0), rest + y, rest)


def modulo(x: Expr, y: Expr) -> Expr:
    """The rest of truncating division: the sign is the dividend's."""
    return apply("fmod" if x.dtype.kind == "float" else "rem", x, y)


def _divide(x: Expr, y: Expr, rounding_mode: str | None) -> Expr:
    if rounding_mode == "floor":
        return floor_divide(x, y)
    if rounding_mode == "trunc" and x.dtype.kind == "float":
        return function("trunc", _step_of(x, y)(x / y))
    return x / y


# Per element, over arrays --------------------------------------------------------------------------------------------


def _refuse_zero(y: Array) -> None:
    if y.dtype.kind in "iu" and not np.all(y):
        raise RuntimeError("ZeroDivisionError")


def _true_divide(x: Array, y: Array) -> Array:
    return np.true_divide(x, y)


Step = Callable[[Array], Array]


def _floor_divide_arrays(x: Array, y: Array, step: Step | None = None) -> Array:
    _refuse_zero(y)
    if step is None:
        return np.floor_divide(x, y)
    rest = np.fmod(x, y)
    quotient = step(step(x - rest) / y)
    quotient = np.where((rest != 0) & ((rest < 0) != (y < 0)), step(quotient - 1), quotient)
    floor = np.floor(quotient)
    floor = np.where(quotient - floor > 0.5, step(floor + 1), floor)
    return np.where(y == 0, x / y, np.where(quotient == 0, np.copysign(np.float32(0), x / y), floor))


def _truncating_divide(x: Array, y: Array, step: Step | None = None) -> Array:
    _refuse_zero(y)
    if x.dtype.kind == "f":
        quotient = np.true_divide(x, y)
        return np.trunc(quotient if step is None else step(quotient))
    quotient = np.floor_divide(x, y)
    inexact = (np.multiply(quotient, y) != x) & ((x < 0) != (y < 0))
    return np.asarray(quotient + inexact.astype(quotient.dtype))


def _remainder_arrays(x: Array, y: Array) -> Array:
    _refuse_zero(y)
    if x.dtype.kind != "f":
        return np.remainder(x, y)
    rest = np.fmod(x, y)
    return np.where((rest != 0) & ((rest < 0) != (y < 0)), rest + y, rest)


def _fmod_arrays(x: Array, y: Array) -> Array:
    _refuse_zero(y)
    return np.fmod(x, y)


# Declarations --------------------------------------------------------------------------------------------------------


def _no_kernel(name: str) -> Refusals:
    return unimplemented(name, BOOLS | COMPLEXES)


def _check_rounding_mode(dtype: DType, x: Any, y: Any, rounding_mode: Any) -> None:
    if rounding_mode not in (None, "trunc", "floor"):
        raise RuntimeError(
            f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'"
        )
    if rounding_mode is not None:
        check_type(_no_kernel(f"div_{rounding_mode}_cpu"), dtype)


for _name in ("div", "divide", "true_divide"):
    declare_binary(_name, lambda x, y: x / y, _true_divide, promotion="float", exact=(1,))
declare_binary("remainder", remainder, _remainder_arrays, may_fail=True, refuses=_no_kernel("remainder_cpu"))
declare_binary("fmod", modulo, _fmod_arrays, may_fail=True, refuses=_no_kernel("fmod_cpu"))
declare_pointwise(
    "aten::remainder.Scalar_Tensor(Scalar self, Tensor other) -> Tensor",
    remainder,
    _remainder_arrays,
    may_fail=True,
    refuses=_no_kernel("remainder_cpu"),
)


def _rounded_promotion(rounding_mode: str | None) -> str:
    return "float" if rounding_mode is None else "common"


def _infer_rounded(x: Any, y: Any, rounding_mode: Any) -> TensorType:
    return pointwise_rule(_rounded_promotion(rounding_mode), check=_check_rounding_mode)(x, y, rounding_mode)


def _rounding_step(x: Any, y: Any) -> Step | None:
    """PyTorch rounds halves after every step of a division, unless the divisor is a single number."""
    common = result_type(x, y)
    if common.kind != "float" or common.itemsize != 2 or not isinstance(y, np.ndarray) or y.size == 1:
        return None
    return lambda array: array.astype(common.numpy).astype(np.float32)


def _reference_rounded(x: Any, y: Any, rounding_mode: str | None) -> Array:
    step = _rounding_step(x, y)

    def divide(left: Array, right: Array, mode: str | None) -> Array:
        if mode is None:
            return _true_divide(left, right)
        return (_floor_divide_arrays if mode == "floor" else _truncating_divide)(left, right, step)

    promotion = _rounded_promotion(rounding_mode)
    return pointwise_reference(divide, promotion, check=_check_rounding_mode, exact=(1,))(x, y, rounding_mode)


for _name, _type in itertools.product(("div", "divide"), ("Tensor", "Scalar")):
    define(
        f"aten::{_name}.{_type}_mode(Tensor self, {_type} other, *, str? rounding_mode) -> Tensor",
        infer=_infer_rounded,
        reference=_reference_rounded,
        scalar=_divide,
        promotion="result",
        exact=(1,),
        may_fail=True,
        inplace=True,
    )


def _reference_floor_divide(x: Any, y: Any) -> Array:
    step = _rounding_step(x, y)
    floor_divided = pointwise_reference(lambda left, right: _floor_divide_arrays(left, right, step), exact=(1,))
    return floor_divided(x, y)


_floor_divide_tensor = define(
    "aten::floor_divide(Tensor self, Tensor other) -> Tensor",
    infer=pointwise_rule(),
    reference=_reference_floor_divide,
    scalar=floor_divide,
    exact=(1,),
    may_fail=True,
    out="out",
    refuses=_no_kernel("div_floor_cpu"),
)
define_inplace(_floor_divide_tensor, "Tensor")
declare_pointwise(
    "aten::floor_divide.Scalar(Tensor self, Scalar other) -> Tensor",
    floor_divide, _floor_divide_arrays, exact=(1,), may_fail=True, inplace=True,
    refuses=_no_kernel("div_floor_cpu"),
)  # fmt: skip
