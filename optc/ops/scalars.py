"""TorchScript's operators on Python numbers. Integers have 64 bits and wrap; floats never raise.

Dimensions are numbers too: where a rule can, it computes with symbols.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from optc.ir import dims, dtypes
from optc.ir.bounds import is_not_negative
from optc.ir.dims import Dim
from optc.ops import arithmetic, division, special
from optc.ops.abstract import same_dim
from optc.ops.number_rules import (
    PAIRS,
    Number,
    Reference,
    as_float,
    declare_function,
    declare_pairs,
    in_float,
    in_numpy,
    number_rule,
    pair_rule,
    together,
    wrap,
)
from optc.ops.registry import ScalarFunction, define
from optc.ops.scalar import Expr, apply, function, literal, select

# Arithmetic ----------------------------------------------------------------------------------------------------------


def _wrapped(reference: Reference) -> Reference:
    def wrapped(*operands: Number) -> Number:
        result = reference(*operands)
        return wrap(result) if isinstance(result, int) else result

    return wrapped


def _quotient(x: Number, y: Number) -> float:
    with np.errstate(all="ignore"):
        return float(np.float64(x) / np.float64(y))


def _floor_quotient(x: Number, y: Number) -> Number:
    if isinstance(x, float) or isinstance(y, float):
        return float(np.floor(_quotient(x, y)))
    if y == 0:
        raise RuntimeError("division by 0")
    return wrap(x // y)


def _truncated_quotient(x: int, y: int) -> int:
    quotient = abs(x) // abs(_divisor(y))
    return wrap(quotient if (x < 0) == (y < 0) else -quotient)


def _divisor(y: int) -> int:
    if y == 0:
        raise RuntimeError("division by 0")
    return y


def _rest(x: Number, y: Number) -> Number:
    if isinstance(x, float) or isinstance(y, float):
        with np.errstate(all="ignore"):
            wide = np.float64(y)
            return float(np.fmod(wide + np.fmod(np.float64(x), wide), wide))
    if y == 0:
        raise RuntimeError("division by 0")
    return x % y


def _power_float(x: Number, y: Number) -> float:
    if x == 0 and y < 0:
        raise RuntimeError("0.0 cannot be raised to a negative power")
    with np.errstate(all="ignore"):
        return float(np.power(np.float64(x), np.float64(y)))


def _power_int(x: int, y: int) -> int:
    with np.errstate(all="ignore"):
        value = np.power(np.float64(x), np.float64(y))
    return float_to_int(float(value))


def float_to_int(value: float) -> int:
    """A C cast to 64 bits; what does not fit becomes the smallest integer, as on x86."""
    if not math.isfinite(value) or not -(2.0**63) <= value < 2.0**63:
        return -(2**63)
    return int(value)


def _floor_quotient_expr(x: Expr, y: Expr) -> Expr:
    return function("floor", x / y) if x.dtype.kind == "float" else division.floor_divide(x, y)


def _rest_expr(x: Expr, y: Expr) -> Expr:
    if x.dtype.kind != "float":
        return division.remainder(x, y)
    return function("fmod", y + function("fmod", x, y), y)


def _checked(symbolic: Callable[[Dim, Dim], Dim]) -> Reference:
    """Division by a symbol might be division by zero; then the result is not known."""
    return lambda x, y: symbolic(x, y) if isinstance(y, int) and y > 0 else None


declare_pairs("aten::add", together(lambda x, y: x + y), _wrapped(lambda x, y: x + y), symbolic=dims.add,
              commutative=True)  # fmt: skip
declare_pairs("aten::sub", together(lambda x, y: x - y), _wrapped(lambda x, y: x - y),
              symbolic=lambda x, y: dims.add(x, dims.multiply(y, -1)))  # fmt: skip
declare_pairs("aten::mul", together(lambda x, y: x * y), _wrapped(lambda x, y: x * y), symbolic=dims.multiply,
              commutative=True)  # fmt: skip
declare_pairs("aten::floordiv", together(_floor_quotient_expr), _floor_quotient, symbolic=_checked(dims.floordiv),
              may_fail=True)  # fmt: skip
declare_pairs("aten::remainder", together(_rest_expr), _rest, symbolic=_checked(dims.modulo), may_fail=True)
_name: str
_scalar: ScalarFunction
_reference: Reference
_compute: Callable[..., Any]
for _overload, _type in ((".int", "int"), (".float", "float"), ("", "Scalar")):
    define(
        f"aten::div{_overload}({_type} a, {_type} b) -> float",
        infer=number_rule(_quotient, "float"),
        reference=_quotient,
        scalar=in_float(lambda x, y: x / y),
        promotion="none",
    )
define(
    "aten::__round_to_zero_floordiv.int(int a, int b) -> int",
    infer=number_rule(_truncated_quotient, "int", lambda x, y: None),
    reference=_truncated_quotient,
    scalar=lambda x, y: x / y,
    promotion="none",
    may_fail=True,
)
declare_pairs("aten::pow", in_float(lambda x, y: arithmetic.power(x, y)), _power_float,
              results=("float", "float", "float"), generic="Scalar_Scalar", may_fail=True)  # fmt: skip
define(
    "aten::pow.int_to_int(int a, int b) -> int",
    infer=number_rule(_power_int, "int"),
    reference=_power_int,
    scalar=lambda x, y: arithmetic.power(as_float(x), as_float(y)).cast(dtypes.INT64),
    promotion="none",
)


def _fmod(x: Number, y: Number) -> float:
    with np.errstate(all="ignore"):
        return float(np.fmod(np.float64(x), np.float64(y)))


def _ieee_remainder(x: Number, y: Number) -> float:
    return math.remainder(x, y) if y and math.isfinite(x) else math.nan


for _name, _scalar, _reference in (
    ("fmod", lambda x, y: function("fmod", x, y), _fmod),
    ("atan2", lambda x, y: function("atan2", x, y), in_numpy(np.arctan2)),
    ("copysign", lambda x, y: function("copysign", x, y), in_numpy(np.copysign)),
):
    declare_pairs(f"aten::{_name}", in_float(_scalar), _reference, results=("float", "float", "float"),
                  generic="Scalar_Scalar" if _name == "atan2" else "")  # fmt: skip


declare_pairs("aten::mathremainder", None, _ieee_remainder, results=("float", "float", "float"),
              interpreted="exact remainders have no native form")  # fmt: skip


# Comparisons ---------------------------------------------------------------------------------------------------------


def _order(positive: bool, strict: bool) -> Callable[[Dim, Dim], bool | None]:
    """The order of two dimensions, None when only running tells; `positive` for greater, not less."""

    def decide(x: Dim, y: Dim) -> bool | None:
        difference = x - y if positive else y - x
        if isinstance(difference, int):
            return difference > 0 if strict else difference >= 0
        if is_not_negative(difference - int(strict)):
            return True
        return False if is_not_negative(int(strict) - 1 - difference) else None

    return decide


def _opposite(decide: Callable[[Dim, Dim], bool | None]) -> Callable[[Dim, Dim], bool | None]:
    def decided(x: Dim, y: Dim) -> bool | None:
        result = decide(x, y)
        return None if result is None else not result

    return decided


for _name, _scalar, _reference, _symbolic in (
    ("eq", lambda x, y: x.equal(y), lambda x, y: x == y, same_dim),
    ("ne", lambda x, y: x.not_equal(y), lambda x, y: x != y, _opposite(same_dim)),
    ("lt", lambda x, y: x < y, lambda x, y: x < y, _order(positive=False, strict=True)),
    ("le", lambda x, y: x <= y, lambda x, y: x <= y, _order(positive=False, strict=False)),
    ("gt", lambda x, y: x > y, lambda x, y: x > y, _order(positive=True, strict=True)),
    ("ge", lambda x, y: x >= y, lambda x, y: x >= y, _order(positive=True, strict=False)),
):
    declare_pairs(f"aten::{_name}", together(_scalar), _reference, results=("bool", "bool", "bool"),
                  symbolic=_symbolic, commutative=_name in ("eq", "ne"))  # fmt: skip
    if _name in ("eq", "ne"):
        define(
            f"aten::{_name}.bool(bool a, bool b) -> bool", infer=number_rule(_reference, "bool"), reference=_reference,
            scalar=_scalar, promotion="none", commutative=True,
        )  # fmt: skip


# Extremes ------------------------------------------------------------------------------------------------------------


def _smaller(x: Number, y: Number) -> Number:
    """The second where they do not compare, so that a nan on the right wins."""
    return _number_of(x, y, x < y)


def _larger(x: Number, y: Number) -> Number:
    return _number_of(x, y, x > y)


def _number_of(x: Number, y: Number, first: bool) -> Number:
    chosen = x if first else y
    return float(chosen) if isinstance(x, float) or isinstance(y, float) else chosen


declare_pairs("prim::min", together(lambda x, y: select(x < y, x, y)), _smaller, symbolic=dims.minimum)
declare_pairs("prim::max", together(lambda x, y: select(x > y, x, y)), _larger, symbolic=dims.maximum)


# Logic and bits ------------------------------------------------------------------------------------------------------


def _shift_left(x: int, y: int) -> int:
    return wrap(x << (y & 63))


for _name, _scalar, _reference in (
    ("and", lambda x, y: x & y, lambda x, y: x & y),
    ("or", lambda x, y: x | y, lambda x, y: x | y),
    ("xor", lambda x, y: x ^ y, lambda x, y: x ^ y),
):
    for _type in ("bool", "int"):
        define(
            f"aten::__{_name}__.{_type}({_type} a, {_type} b) -> {_type}",
            infer=number_rule(_reference, _type),
            reference=_reference,
            scalar=_scalar,
            promotion="none",
            commutative=True,
        )
define(
    "aten::__lshift__.int(int a, int b) -> int", infer=number_rule(_shift_left, "int"), reference=_shift_left,
    scalar=lambda x, y: x << (y & 63), promotion="none",
)  # fmt: skip
define(
    "aten::__rshift__.int(int a, int b) -> int", infer=number_rule(lambda x, y: x >> (y & 63), "int"),
    reference=lambda x, y: x >> (y & 63), scalar=lambda x, y: x >> (y & 63), promotion="none",
)  # fmt: skip
define(
    "aten::__not__(bool self) -> bool", infer=number_rule(lambda x: not x, "bool"), reference=lambda x: not x,
    scalar=lambda x: ~x, promotion="none",
)  # fmt: skip


# One number ----------------------------------------------------------------------------------------------------------


def _to_integer(compute: Callable[[float], float]) -> Reference:
    """Rounding that gives an int. Raises RuntimeError for what has none."""

    def reference(value: Number) -> int:
        if isinstance(value, int):
            return value
        if not math.isfinite(value) or abs(value) >= 2.0**63:
            raise RuntimeError(f"Cannot convert float {value:f} to integer")
        return int(compute(value))

    return reference


def _rounded(name: str) -> ScalarFunction:
    return lambda x: function(name, x).cast(dtypes.INT64) if x.dtype.kind == "float" else x


def _negative(x: Number) -> Number:
    return wrap(-x) if isinstance(x, int) else -x


def _absolute(x: Number) -> Number:
    return wrap(abs(x)) if isinstance(x, int) else abs(x)


declare_function("aten::neg", lambda x: -x, _negative, results=("int", "float", "Scalar"),
                 symbolic=lambda x: x * -1)  # fmt: skip
declare_function("prim::abs", lambda x: function("abs", x), _absolute, results=("int", "float", "Scalar"),
                 symbolic=lambda x: x if is_not_negative(x) else None)  # fmt: skip
declare_function("aten::ceil", _rounded("ceil"), _to_integer(math.ceil), results=("int", "int", "Scalar"),
                 symbolic=lambda x: x, may_fail=True)  # fmt: skip
declare_function("aten::floor", _rounded("floor"), _to_integer(math.floor), results=("int", "int", "Scalar"),
                 symbolic=lambda x: x, may_fail=True)  # fmt: skip
declare_function("aten::round", in_float(lambda x: function("round", x)), in_numpy(np.rint))
declare_function("aten::fabs", in_float(lambda x: function("abs", x)), in_numpy(np.abs))
for _name, _compute in (
    ("sqrt", np.sqrt), ("exp", np.exp), ("expm1", np.expm1), ("log", np.log), ("log10", np.log10), ("log1p", np.log1p),
    ("sin", np.sin), ("cos", np.cos), ("tan", np.tan), ("asin", np.arcsin), ("acos", np.arccos), ("atan", np.arctan),
    ("sinh", np.sinh), ("cosh", np.cosh), ("tanh", np.tanh), ("asinh", np.arcsinh), ("acosh", np.arccosh),
    ("atanh", np.arctanh), ("erf", special.erf), ("erfc", special.erfc), ("lgamma", special.lgamma),
):  # fmt: skip
    declare_function(f"aten::{_name}", in_float(lambda x, name=_name: function(name, x)), in_numpy(_compute))
declare_function("aten::degrees", in_float(lambda x: x * (180.0 / math.pi)), in_numpy(np.degrees))
declare_function("aten::radians", in_float(lambda x: x * (math.pi / 180.0)), in_numpy(np.radians))


def _gamma(x: Number) -> float:
    if math.isnan(x) or x == math.inf:
        return float(x)
    if x == 0:
        return math.copysign(math.inf, x)
    if x == -math.inf or (x < 0 and float(x).is_integer()):
        return math.nan
    try:
        return math.gamma(x)
    except OverflowError:
        return math.inf


for _overload, _type, _kind in (("int", "int", "float"), ("float", "float", "float"), ("Scalar", "Scalar", "Scalar")):
    define(
        f"aten::gamma.{_overload}({_type} a) -> {_kind}",
        infer=number_rule(_gamma, _kind),
        reference=_gamma,
        interpreted="the gamma function has no native form",
    )
for _left, _right in (*PAIRS, ("Scalar", "Scalar")):
    define(
        f"aten::log.{_left}_{_right}({_left} a, {_right} b) -> float",
        infer=number_rule(in_numpy(lambda x, y: np.log(x) / np.log(y)), "float"),
        reference=in_numpy(lambda x, y: np.log(x) / np.log(y)),
        scalar=in_float(lambda x, y: function("log", x) / function("log", y)),
        promotion="none",
    )
for _name, _scalar, _compute in (
    ("isnan", lambda x: x.not_equal(x), math.isnan),
    ("isinf", lambda x: function("abs", x).equal(math.inf), math.isinf),
    ("isfinite", lambda x: (x - x).equal(x - x), math.isfinite),
):
    define(
        f"aten::{_name}.float(float a) -> bool", infer=number_rule(_compute, "bool"), reference=_compute,
        scalar=_scalar, promotion="none",
    )  # fmt: skip


_INTEGERS = "it works on single integers on the host"


def _factorial(x: int) -> int:
    if x < 0:
        raise RuntimeError("factorial() not defined for negative values")
    return wrap(math.factorial(x))


define("aten::factorial.int(int a) -> int", infer=number_rule(_factorial, "int"), reference=_factorial,
       interpreted=_INTEGERS)  # fmt: skip
define("aten::gcd.int(int a, int b) -> int", infer=number_rule(math.gcd, "int"), reference=math.gcd,
       interpreted=_INTEGERS)  # fmt: skip
define(
    "aten::ldexp(float x, int i) -> float",
    infer=number_rule(in_numpy(lambda x, i: x * np.exp2(i)), "float"),
    reference=in_numpy(lambda x, i: x * np.exp2(i)),
    scalar=lambda x, i: x * function("exp2", as_float(i)),
    promotion="none",
)


def _modf(x: float) -> tuple[float, float]:
    fraction, whole = np.modf(np.float64(x))
    return float(fraction), float(whole)


define("aten::frexp(float a) -> (float, int)", infer=pair_rule(math.frexp, ("float", "int")), reference=math.frexp,
       interpreted="it returns two numbers")  # fmt: skip
define("aten::modf(float a) -> (float, float)", infer=pair_rule(_modf, ("float", "float")), reference=_modf,
       interpreted="it returns two numbers")  # fmt: skip


def _divmod(x: Number, y: Number) -> tuple[Number, Number]:
    if y == 0:
        integers = isinstance(x, int) and isinstance(y, int)
        what = "integer division or modulo by zero" if integers else "float divmod()"
        raise RuntimeError(f"ZeroDivisionError: {what}")
    if type(x) is not type(y):
        _require_finite(x if isinstance(x, float) else y)
    quotient, rest = divmod(x, y)
    return quotient, rest


def _require_finite(value: float) -> None:
    if not math.isfinite(value):
        raise RuntimeError(f"Cannot convert float {value} to integer")


define(
    "aten::divmod.int(int x, int y) -> (int, int)",
    infer=pair_rule(_divmod, ("int", "int")),
    reference=_divmod,
    decompose=lambda b, x, y: (b("aten::floordiv.int", x, y), b("aten::remainder.int", x, y)),
    may_fail=True,
)
for _left, _right in PAIRS[1:]:
    define(
        f"aten::divmod.{_left if _left == _right else f'{_left}_{_right}'}({_left} x, {_right} y) -> (float, float)",
        infer=pair_rule(_divmod, ("float", "float")),
        reference=_divmod,
        interpreted="it returns two numbers",
        may_fail=True,
    )


# Conversions ---------------------------------------------------------------------------------------------------------


def _int_of(value: Number) -> int:
    return float_to_int(value) if isinstance(value, float) else int(value)


def _symbol(x: Dim) -> Dim:
    return x


for _overload, _type in (("int", "int"), ("bool", "bool"), ("float", "float"), ("Scalar", "Scalar")):
    if _type != "int":
        define(
            f"aten::Int.{_overload}({_type} a) -> int", infer=number_rule(_int_of, "int", _symbol), reference=_int_of,
            scalar=lambda x: x.cast(dtypes.INT64), promotion="none",
        )  # fmt: skip
    if _type != "float":
        define(
            f"aten::Float.{_overload}({_type} a) -> float", infer=number_rule(float, "float"), reference=float,
            scalar=as_float, promotion="none",
        )  # fmt: skip
    if _type in ("int", "float"):
        define(
            f"aten::Bool.{_overload}({_type} a) -> bool",
            infer=number_rule(bool, "bool", lambda x: None),
            reference=bool,
            scalar=lambda x: x.not_equal(literal(0, x.dtype)),
            promotion="none",
        )


# Loops over ranges ---------------------------------------------------------------------------------------------------


def _range_length(low: int, high: int, step: int) -> int:
    if step == 0:
        raise RuntimeError("range() arg 3 must not be zero")
    return len(range(low, high, step))


def _range_length_symbolic(low: Dim, high: Dim, step: Dim) -> Dim | None:
    if not isinstance(step, int) or step <= 0:
        return None
    length = (high - low + (step - 1)) // step
    return length if is_not_negative(length) else dims.maximum(length, 0)


def _range_length_expr(low: Expr, high: Expr, step: Expr) -> Expr:
    one = literal(1, dtypes.INT64)
    up = (high - low - one) / step + one
    down = (low - high - one) / (-step) + one
    length = select(step > 0, select(low < high, up, 0), select(high < low, down, 0))
    return apply("maximum", length, literal(0, dtypes.INT64))


define(
    "aten::__range_length(int lo, int hi, int step) -> int",
    infer=number_rule(_range_length, "int", _range_length_symbolic),
    reference=_range_length,
    scalar=_range_length_expr,
    promotion="none",
    may_fail=True,
)
define(
    "aten::__derive_index(int index, int start, int step) -> int",
    infer=number_rule(lambda index, start, step: index * step + start, "int",
                      lambda index, start, step: index * step + start),
    reference=lambda index, start, step: wrap(index * step + start),
    scalar=lambda index, start, step: start + index * step,
    promotion="none",
)  # fmt: skip
