"""exp, exp2, expm1."""

from __future__ import annotations

import math

from optc.codegen.kernels.functions.arithmetic import (
    BITS,
    MANTISSA_BITS,
    ROUNDING,
    at_least,
    at_most,
    fma,
    is_nan,
    polynomial,
    power_of_two,
    reduced,
    rounded_bits,
    rounded_power_of_two,
    scale,
)
from optc.codegen.machine.host import Target
from optc.ir.dtypes import FLOAT32, FLOAT64
from optc.ops.scalar import Expr, function, literal, select, table

LN2 = {
    # few bits at first, so that products with small integers are exact
    FLOAT32: (0.693359375, -2.12194440054690583e-4),
    FLOAT64: (6.93147180369123816490e-01, 1.90821492927058770002e-10),
}
"""ln 2 in two parts."""
SERIES = {
    FLOAT32: (0.4999999403953552, 0.1666652113199234, 0.04166839271783829, 0.00836874544620514, 0.0013814534759148955),
    FLOAT64: (
        0.5000000000000011, 0.16666666666666438, 0.041666666666525756, 0.008333333333473742, 0.0013888888944881051,
        0.0001984126956099765, 2.4801491712854497e-05, 2.7557529014509147e-06, 2.7630772909414616e-07,
        2.5021022200218088e-08,
    ),
}  # fmt: skip
"""P in e**r = 1 + r + r**2 P(r) for |r| <= ln(2) / 2."""
_DOUBLED_SERIES = tuple(-((-2.0) ** power) * factor for power, factor in enumerate(SERIES[FLOAT32], 2))
"""P in 1 - e**(-2 r) = 2 r + r**2 P(r)."""
_WIDE_SERIES = (
    0.5000003576278687, 0.16666613519191742, 0.04166126623749733, 0.008336103521287441, 0.0014104482252150774,
    0.00019611601601354778,
)  # fmt: skip
"""The same for |r| <= ln(2)."""
_LOWEST = {FLOAT32: -104.0, FLOAT64: -746.0}
_HIGHEST = {FLOAT32: 90.0, FLOAT64: 711.0}

_STEPS = 32  # in which a factor of two is divided, a power of two
_STEP_ROUNDING = ROUNDING[FLOAT32] / _STEPS
_STEP_POWERS = tuple(2.0 ** (step / _STEPS) for step in range(_STEPS))
_STEP_SERIES = (0.6931573152542114, 0.24022647738456726)
_LOG2_E = 1.0 / math.log(2.0)
_LOG2_E_HIGH = float.fromhex("0x1.715476p+0")
_LOG2_E_LOW = _LOG2_E - _LOG2_E_HIGH


def exp(x: Expr, target: Target) -> Expr:
    """e**x, 1 ulp (1.8 in float32): x = n ln 2 + r, e**r = 1 + r + r**2 P(r)."""
    if target.avx512 and x.dtype is FLOAT32:
        return _power_by_steps(x, _LOG2_E_HIGH, _LOG2_E_LOW)
    if x.dtype is FLOAT32:
        return _by_even_powers(x)
    rest, exponent = reduce_by_ln2(x, target)
    return times_power(series(rest) + 1.0, exponent, target)


def exp_of_sum(x: Expr, low: Expr, target: Target) -> Expr:
    """e**(x + low), 1 ulp, where low is below the precision of x."""
    rest, exponent = reduce_by_ln2(x, target)
    return times_power(series(rest + low) + 1.0, exponent, target)


def exp2(x: Expr, target: Target) -> Expr:
    """2**x, 1.1 ulp (1.8 in float32 on AVX-512)."""
    if target.avx512 and x.dtype is FLOAT32:
        return _power_by_steps(x, 1.0, 0.0)
    if target.avx512:
        number = function("round", x)
        rest = function("confine", x - number, literal(0.5, x.dtype)) * math.log(2.0)
        return function("scale", series(rest) + 1.0, number)
    bits = MANTISSA_BITS[x.dtype]
    bounded = at_most(at_least(x, -152.0 if bits == 23 else -1077.0), 129.0 if bits == 23 else 1025.0)
    shifted = bounded + ROUNDING[x.dtype]
    rest = (bounded - (shifted - ROUNDING[x.dtype])) * math.log(2.0)
    return scale(series(rest) + 1.0, rounded_bits(shifted))


def expm1(x: Expr, target: Target) -> Expr:
    """e**x - 1, 2 ulp: 2**n (e**r - 1 + 1 - 2**-n), where nothing cancels that has been rounded."""
    near_one = -18.0 if x.dtype is FLOAT32 else -40.0
    rest, exponent = reduce_by_ln2(at_least(x, near_one), target)
    lifted = series(rest) + (1.0 - inverse_power(exponent, x, target))
    result = times_power(lifted, exponent, target)
    return select(x.equal(0.0) | is_nan(x), x, result)


def series(rest: Expr) -> Expr:
    """e**rest - 1 for |rest| <= ln(2) / 2."""
    return fma(rest * rest, polynomial(rest, SERIES[rest.dtype]), rest)


def reduce_by_ln2(x: Expr, target: Target) -> tuple[Expr, Expr]:
    """r and n with x = n ln 2 + r; n is a float where the target scales by floats, else an integer."""
    dtype = x.dtype
    if target.avx512:
        number = function("round", x * _LOG2_E)
        rest = reduced(x, number, LN2[dtype])
        return function("confine", rest, literal(0.35, dtype)), number
    bounded = at_most(at_least(x, _LOWEST[dtype]), _HIGHEST[dtype])
    shifted = fma(bounded, _LOG2_E, ROUNDING[dtype])
    return reduced(bounded, shifted - ROUNDING[dtype], LN2[dtype]), rounded_bits(shifted)


def times_power(x: Expr, exponent: Expr, target: Target) -> Expr:
    """x * 2**n for the n of `reduce_by_ln2`."""
    return function("scale", x, exponent) if target.avx512 else scale(x, exponent)


def inverse_power(exponent: Expr, x: Expr, target: Target) -> Expr:
    """2**-n for the n of `reduce_by_ln2`, 0 where it is below the precision."""
    if target.avx512:
        return function("scale", literal(1.0, x.dtype), -exponent)
    bounded = select(exponent > 60, literal(60, BITS[x.dtype]), exponent)
    return power_of_two(-bounded, x.dtype)


def exp2_of_sum(x: Expr, low: Expr) -> Expr:
    """2**(x + low) in float32 on AVX-512, 2 ulp; low counts for nothing where it is not small."""
    shifted = x + _STEP_ROUNDING
    number = shifted - _STEP_ROUNDING
    return _root_times_series(shifted, number, (x - number) + low)


def _by_even_powers(x: Expr) -> Expr:
    """e**x in float32, with an even n: 2**n is a square, and times its root twice is right for denormals, too.

    Of -y the sign goes into the constants.
    """
    size, sign = (x.args[0], -1.0) if x.op == "neg" else (x, 1.0)
    lowest, highest = sorted((sign * _LOWEST[FLOAT32], sign * _HIGHEST[FLOAT32]))
    bounded = at_most(at_least(size, lowest), highest)
    half, root = rounded_power_of_two(bounded, sign * _LOG2_E / 2.0)
    rest = reduced(bounded, half, [2.0 * sign * part for part in LN2[FLOAT32]])
    series_ = [sign**power * factor for power, factor in enumerate((1.0, 1.0, *_WIDE_SERIES))]
    return polynomial(rest, series_) * root * root


def decay(x: Expr) -> Expr:
    """1 - e**(-2 x) in float32 for 0 <= x < 40, 1.5 ulp.

    -2 x = n ln 2 - 2 r; the nearest number to ln 2 is so near (2.7e-9 of it) that it takes no second one.
    """
    number, power = rounded_power_of_two(x, -2.0 * _LOG2_E)
    rest = fma(number, math.log(2.0) / 2.0, x)
    return fma(fma(rest * rest, polynomial(rest, _DOUBLED_SERIES), rest * 2.0), power, 1.0 - power)


def _power_by_steps(x: Expr, factor: float, factor_low: float) -> Expr:
    """2**(x * factor) in float32."""
    shifted = fma(x, factor, _STEP_ROUNDING)
    number = shifted - _STEP_ROUNDING
    rest = fma(x, factor, -number)
    if factor_low:
        rest = fma(x, factor_low, rest)
    return _root_times_series(shifted, number, rest)


def _root_times_series(shifted: Expr, number: Expr, rest: Expr) -> Expr:
    """2**n times one of 32 roots of two times a square polynomial, given n + a root's number, and what is left over.

    Infinities need no test: `scale` gives infinity and zero for infinite exponents, whatever `confine` made of the rest.
    """
    rest = function("confine", rest, literal(1.0 / _STEPS, FLOAT32))
    root = table(shifted.bitcast(BITS[FLOAT32]), _STEP_POWERS, FLOAT32)
    power = fma(root * rest, polynomial(rest, _STEP_SERIES), root)
    return function("scale", power, number)
