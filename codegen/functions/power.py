"""pow."""

from __future__ import annotations

import math

from optc.codegen.functions.arithmetic import (
    fma,
    magnitude,
    ordered_sum,
    polynomial,
    two_product,
    two_sum,
    with_sign_of,
)
from optc.codegen.functions.exponential import LN2, exp2, exp_of_sum
from optc.codegen.functions.logarithm import log2, mantissa_and_power
from optc.codegen.host import Target
from optc.ir.dtypes import FLOAT32, FLOAT64
from optc.ops.scalar import Expr, function, literal, select

_SERIES = (
    0.2, 0.14285714285713413, 0.11111111111358551, 0.09090909055227596, 0.07692310680861505, 0.06666512617759769,
    0.05887305863222652, 0.05166700347006121, 0.05791133310301411,
)  # fmt: skip
"""P in atanh s = s + s**3 / 3 + s**5 P(s**2) for |s| <= 1/5."""
_THIRD = 1.0 / 3.0
_THIRD_LOW = 1.850371707708594e-17


def power(x: Expr, y: Expr, target: Target) -> Expr:
    """x to the power of y; float32 is computed in float64, which in turn takes the logarithm to 66 bits."""
    if x.dtype is FLOAT32:
        exponent = y.cast(FLOAT64) * log2(magnitude(x).cast(FLOAT64), target)
        return _with_special_cases(x, y, exp2(exponent, target).cast(FLOAT32))
    high, low = _logarithm(magnitude(x), target)
    product, lost = two_product(y, high, target)
    lost = lost + y * low
    lost = select(magnitude(lost) < 1.0, lost, 0.0)  # beside infinity it is nan
    return _with_special_cases(x, y, exp_of_sum(product, lost, target))


def _logarithm(x: Expr, target: Target) -> tuple[Expr, Expr]:
    """The natural logarithm of x >= 0 as a sum of two numbers."""
    mantissa, power = mantissa_and_power(x, target)
    above, (below, below_low) = mantissa - 1.0, two_sum(mantissa, literal(1.0, x.dtype))
    quotient = above / below
    product, lost = two_product(quotient, below, target)
    quotient_low = (((above - product) - lost) - quotient * below_low) / below
    square, square_low = two_product(quotient, quotient, target)
    square_low = fma(quotient + quotient, quotient_low, square_low)
    third, third_low = two_product(square, literal(_THIRD, x.dtype), target)
    third_low = fma(square, _THIRD_LOW, fma(square_low, _THIRD, third_low))
    series, series_low = ordered_sum(third, square * square * polynomial(square, _SERIES))
    series_low = series_low + third_low
    twice, twice_low = quotient + quotient, quotient_low + quotient_low
    cubic, cubic_low = two_product(twice, series, target)
    cubic_low = fma(twice, series_low, fma(twice_low, series, cubic_low))
    near, near_low = ordered_sum(twice, cubic)
    whole, whole_low = two_sum(power * LN2[x.dtype][0], near)
    low = whole_low + (near_low + (cubic_low + twice_low) + power * LN2[x.dtype][1])
    high, low = ordered_sum(whole, low)
    return _with_limits(x, high), select((x > 0.0) & (x < math.inf), low, 0.0)


def _with_limits(x: Expr, finite: Expr) -> Expr:
    """log x with the limits at 0 and infinity, and nan for nan."""
    limit = select(x.equal(0.0), literal(-math.inf, x.dtype), x)
    return select((x > 0.0) & (x < math.inf), finite, limit)


def _with_special_cases(x: Expr, y: Expr, size: Expr) -> Expr:
    """C's rules, given |x|**y."""
    whole = function("trunc", y).equal(y)
    half = y * 0.5
    odd = whole & function("trunc", half).not_equal(half)
    signed = select(odd, with_sign_of(size, x), size)
    signed = select((x < 0.0) & ~whole & (x > -math.inf), literal(math.nan, x.dtype), signed)
    one = literal(1.0, x.dtype)
    sure = x.equal(1.0) | y.equal(0.0) | (x.equal(-1.0) & magnitude(y).equal(math.inf))
    return select(sure, one, signed)
