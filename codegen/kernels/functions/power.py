"""pow."""

from __future__ import annotations

import math

from optc.codegen.kernels.functions.arithmetic import (
    fma,
    magnitude,
    ordered_sum,
    polynomial,
    two_product,
    two_sum,
    with_sign_of,
)
from optc.codegen.kernels.functions.exponential import LN2, exp2, exp2_of_sum, exp_of_sum
from optc.codegen.kernels.functions.logarithm import log2, mantissa_and_power
from optc.codegen.machine.host import Target
from optc.ir.dtypes import FLOAT32, FLOAT64, INT32
from optc.ops.scalar import Expr, apply, function, literal, select, table

_SERIES = (
    0.2, 0.14285714285713413, 0.11111111111358551, 0.09090909055227596, 0.07692310680861505, 0.06666512617759769,
    0.05887305863222652, 0.05166700347006121, 0.05791133310301411,
)  # fmt: skip
"""P in atanh s = s + s**3 / 3 + s**5 P(s**2) for |s| <= 1/5."""
_THIRD = 1.0 / 3.0
_THIRD_LOW = 1.850371707708594e-17

_STEP_SERIES = (-0.721347451210022, 0.48089835047721863, -0.36095911264419556, 0.2885289490222931)
"""P in log2(1 + r) = r / log 2 + r**2 P(r) for |r| <= 1/32."""


def _few_bits() -> tuple[float, ...]:
    """Inverses of the middles of 32 parts of [3/4, 3/2), by the leading bits of the fraction: 1 beside 1."""
    upper = [round(64.0 / (1.0 + (part + 0.5) / 32)) / 64.0 for part in range(1, 16)]
    lower = [round(32.0 / (0.5 + (part + 0.5) / 64)) / 32.0 for part in range(16, 31)]
    return (1.0, *upper, *lower, 1.0)


_INVERSES = _few_bits()
_CENTRES = tuple(round(-math.log2(inverse) * 2.0**14) / 2.0**14 for inverse in _INVERSES)
_CENTRES_LOW = tuple(-math.log2(inverse) - centre for inverse, centre in zip(_INVERSES, _CENTRES))
_LOG2_E = 1.4426950216293335
_LOG2_E_LOW = 1.925963033500011e-08


def power(x: Expr, y: Expr, target: Target) -> Expr:
    """x to the power of y, 1.2 ulp (2.8 in float32 on AVX-512).

    float64 takes the logarithm to 66 bits; float32 is computed in float64, or on AVX-512 from a logarithm of 36 bits.
    """
    if x.dtype is FLOAT32 and target.avx512:
        logarithm, low = _logarithm_by_steps(magnitude(x))
        product = y * logarithm
        lost = fma(y, low, fma(y, logarithm, -product))
        return _with_special_cases(x, y, exp2_of_sum(product, lost))
    if x.dtype is FLOAT32:
        exponent = y.cast(FLOAT64) * log2(magnitude(x).cast(FLOAT64), target)
        return _with_special_cases(x, y, exp2(exponent, target).cast(FLOAT32))
    high, low = _logarithm(magnitude(x), target)
    product, lost = two_product(y, high, target)
    lost = lost + y * low
    lost = select(magnitude(lost) < 1.0, lost, 0.0)  # beside infinity it is nan
    return _with_special_cases(x, y, exp_of_sum(product, lost, target))


def _logarithm_by_steps(x: Expr) -> tuple[Expr, Expr]:
    """The binary logarithm of a float32 x >= 0 as a sum of two numbers.

    The mantissa times the inverse of one of 32 numbers near it is 1 + r without error, as the inverses have few bits.
    """
    mantissa = function("mantissa", x)
    power = function("exponent", x) - function("exponent", mantissa)
    index = apply("lshr", mantissa.bitcast(INT32), literal(18, INT32))
    rest = fma(mantissa, table(index, _INVERSES, FLOAT32), -1.0)
    whole = power + table(index, _CENTRES, FLOAT32)
    near = rest * _LOG2_E
    near_low = fma(rest, _LOG2_E_LOW, fma(rest, _LOG2_E, -near))
    high, lost = ordered_sum(whole, near)
    low = fma(rest * rest, polynomial(rest, _STEP_SERIES), near_low + table(index, _CENTRES_LOW, FLOAT32))
    bounded = function("confine", lost + low, literal(0.05, FLOAT32))  # beside infinity it is nan
    return ordered_sum(high, bounded)


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
