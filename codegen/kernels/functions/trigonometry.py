"""sin, cos, tan and their inverses."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from optc.codegen.kernels.functions.arithmetic import (
    BITS,
    MANTISSA_BITS,
    ROUNDING,
    at_least,
    fma,
    is_nan,
    magnitude,
    ordered_sum,
    polynomial,
    power_of_two,
    reduced,
    rounded,
    rounded_bits,
    square_root,
    two_sum,
    upper_half,
    with_sign_of,
)
from optc.codegen.machine.host import Target
from optc.ir.dtypes import FLOAT32, FLOAT64, INT64
from optc.ops.scalar import Expr, apply, function, literal, rarely, select, table

_SINE = {
    FLOAT32: (-0.16666655242443085, 0.00833215843886137, -0.00019514957966748625),
    FLOAT64: (
        -0.1666666666666663, 0.00833333333332184, -0.00019841269829358569, 2.755731353856076e-06,
        -2.505073440372871e-08, 1.589543465204884e-10,
    ),
}  # fmt: skip
"""P in sin r = r + r**3 P(r**2) for |r| <= pi / 4."""
_COSINE = {
    FLOAT32: (0.04166664555668831, -0.0013887312961742282, 2.4432787540717982e-05),
    FLOAT64: (
        0.041666666666666595, -0.0013888888888873325, 2.4801587288983702e-05, -2.7557314210088654e-07,
        2.087570427382197e-09, -1.135868352374332e-11,
    ),
}  # fmt: skip
"""P in cos r = 1 - r**2 / 2 + r**4 P(r**2) for |r| <= pi / 4."""
_ARCTANGENT = {
    FLOAT32: (-0.33333316445350647, 0.19998526573181152, -0.14244341850280762, 0.105987049639225, -0.06088678538799286),
    FLOAT64: (
        -0.3333333333333319, 0.1999999999995218, -0.1428571428005375, 0.11111110776292515, -0.09090897551532919,
        0.0769205655603111, -0.06663062660528965, 0.05847590243072366, -0.05037969099977585, 0.038030985935265216,
        -0.017870886245824405,
    ),
}  # fmt: skip
"""P in atan r = r + r**3 P(r**2) for |r| <= tan(pi / 8)."""
_ARCSINE = {
    FLOAT32: (0.16666752099990845, 0.07495306432247162, 0.04546976462006569, 0.024180827662348747, 0.04216628894209862),
    FLOAT64: (
        0.1666666666666676, 0.07499999999970812, 0.04464285717464394, 0.030381942704805737, 0.02237221510250831,
        0.017351609495554646, 0.013980855413959726, 0.01139859288164456, 0.010782217206890956, 0.0036983735681565106,
        0.021728416371530695, -0.021030665912337557, 0.03264955807712109,
    ),
}  # fmt: skip
"""P in asin r = r + r**3 P(r**2) for |r| <= 1/2."""

_TWO_OVER_PI = 2.0 / math.pi
_HALF_PI = {
    FLOAT32: (1.5707963705062866, -4.371138828673793e-08, -1.7151245100058819e-15),
    # few bits, so that products with integers below 2**20 are exact
    FLOAT64: (1.5707963267341256, 6.077100506303966e-11, 2.0222662487111665e-21, 8.4784276603689e-32),
}
_HALF_PI_LOW = {FLOAT32: -4.371138828673793e-08, FLOAT64: 6.123233995736766e-17}
"""What pi / 2, rounded to the type, leaves over."""
_LARGE = {FLOAT32: 2.0**17, FLOAT64: 2.0**20}
_EIGHTH = math.tan(math.pi / 8)

_CHUNK = 24
_TWO_OVER_PI_CHUNKS = (
    10680707, 7228996, 1387004, 2578385, 16069853, 12639074, 9804092, 4427841, 16666979, 11263675, 12935607, 2387514,
    4345298, 14681673, 3074569, 13734428, 16653803, 1880361, 10960616, 8533493, 3062596, 8710556, 7349940, 6258241,
    3772886, 3769171, 3798172, 8675211, 12450088, 3874808, 9961438, 366607, 15675153, 9132554, 7151469, 3571407,
    2607881, 12013382, 4155038, 6285869, 7677882, 13102053, 15825725, 473591, 9065106, 15363067, 6271263, 9264392,
    5636912, 4652155, 7056368, 13614112, *([0] * 12),
)  # fmt: skip
"""The bits of 2 / pi, 24 at a time."""


Evaluate = Callable[[Expr, Expr], Expr]
"""From r in [-pi/4, pi/4] and n (an integer) to the function's value at r + n pi / 2."""


def sin(x: Expr, target: Target) -> Expr:
    """Sine, 1.6 ulp in float32, 2.3 in float64, however large x is."""
    return select(x.equal(0.0), x, _periodic(x, _sine_at, target))  # only here would the sign of zero be lost


def cos(x: Expr, target: Target) -> Expr:
    """Cosine, 1.6 ulp in float32, 2.3 in float64, however large x is."""
    return _periodic(x, lambda rest, quadrant: _sine_at(rest, quadrant + 1), target)


def tan(x: Expr, target: Target) -> Expr:
    """Tangent, 3.8 ulp, however large x is."""
    return select(x.equal(0.0), x, _periodic(x, _tangent_at, target))


def _periodic(x: Expr, evaluate: Evaluate, target: Target) -> Expr:
    """A function of x modulo 2 pi."""
    small = evaluate(*_reduce_small(x, target))
    rest, quadrant = _reduce_large(x.cast(FLOAT64))
    large = evaluate(rest.cast(x.dtype), quadrant.cast(BITS[x.dtype]))
    return rarely(magnitude(x) > _LARGE[x.dtype], large, small)


def _reduce_small(x: Expr, target: Target) -> tuple[Expr, Expr]:
    """r and n with x = r + n pi / 2, for |x| up to `_LARGE`."""
    if x.dtype is FLOAT32 and not target.fma:
        rest, quadrant = _reduce_small(x.cast(FLOAT64), target)
        return rest.cast(FLOAT32), quadrant.cast(BITS[FLOAT32])
    shifted = fma(x, _TWO_OVER_PI, ROUNDING[x.dtype])
    return reduced(x, shifted - ROUNDING[x.dtype], _HALF_PI[x.dtype]), rounded_bits(shifted)


def _reduce_large(x: Expr) -> tuple[Expr, Expr]:
    """The same for doubles of any size, by multiplying with the part of 2 / pi that matters (Payne and Hanek).

    Chunks whose products are multiples of 8 are left out; halves of x times chunks of 24 bits are exact.
    """
    exponent = (apply("lshr", x.bitcast(INT64), literal(52, INT64)) & 0x7FF) - 1023
    first = (exponent.cast(FLOAT64) - 55.0) * (1.0 / _CHUNK)
    skipped = function("floor", at_least(first, 0.0)).cast(INT64)
    lowered = x * power_of_two(skipped * -_CHUNK, FLOAT64)
    upper = upper_half(lowered)
    parts = (upper, lowered - upper)

    def products(place: int) -> list[Expr]:
        chunk = table(skipped + place, _TWO_OVER_PI_CHUNKS, FLOAT64) * 2.0 ** (-_CHUNK * (place + 1))
        return [part * chunk for part in parts]

    leading = [_modulo_eight(product) for place in range(4) for product in products(place)]
    whole, whole_low = _exact_sum(leading)
    number, quadrant = rounded(whole)
    whole, whole_low = two_sum(whole - number, whole_low)
    tail, tail_low = _exact_sum([product for place in range(4, 9) for product in products(place)])
    high, middle = two_sum(whole, tail)
    low, lowest = two_sum(whole_low, tail_low)
    middle, low_rest = two_sum(middle, low)
    turns = high + (middle + (low_rest + lowest))
    number, more = rounded(turns)
    rest = (high - number) + (middle + (low_rest + lowest))
    return rest * (math.pi / 2) + (x - x), quadrant + more  # inf - inf is nan


def _modulo_eight(x: Expr) -> Expr:
    return x - function("round", x * 0.125) * 8.0


def _exact_sum(terms: Sequence[Expr]) -> tuple[Expr, Expr]:
    """The sum, and what rounding it lost."""
    total, lost = terms[0], literal(0.0, terms[0].dtype)
    for term in terms[1:]:
        total, rest = two_sum(total, term)
        lost = lost + rest
    return ordered_sum(total, lost)


def sine_and_cosine(rest: Expr) -> tuple[Expr, Expr]:
    """Both for |rest| <= pi / 4."""
    square = rest * rest
    sine = fma(rest * square, polynomial(square, _SINE[rest.dtype]), rest)
    cosine = fma(square * square, polynomial(square, _COSINE[rest.dtype]), fma(square, -0.5, 1.0))
    return sine, cosine


def _sine_at(rest: Expr, quadrant: Expr) -> Expr:
    """sin(rest + quadrant pi / 2)."""
    sine, cosine = sine_and_cosine(rest)
    value = select((quadrant & 1).equal(0), sine, cosine).bitcast(quadrant.dtype)
    sign = (quadrant & 2) << (MANTISSA_BITS[rest.dtype] + (7 if rest.dtype is FLOAT32 else 10))
    return (value ^ sign).bitcast(rest.dtype)


def _tangent_at(rest: Expr, quadrant: Expr) -> Expr:
    sine, cosine = sine_and_cosine(rest)
    even = (quadrant & 1).equal(0)
    return select(even, sine, -cosine) / select(even, cosine, sine)


def atan(x: Expr, target: Target) -> Expr:
    """Arctangent, 2.1 ulp, by way of pi / 2 - atan(1 / a) and pi / 4 + atan((a - 1) / (a + 1)) for a = |x|."""
    size = magnitude(x)
    steep, middling = size > 1.0 / _EIGHTH, size > _EIGHTH
    above = select(steep, literal(-1.0, x.dtype), select(middling, size - 1.0, size))
    below = select(steep, size, select(middling, size + 1.0, literal(1.0, x.dtype)))
    quarters = select(steep, literal(math.pi / 2, x.dtype), select(middling, literal(math.pi / 4, x.dtype), 0.0))
    return with_sign_of(_arctangent(above / below, quarters), x)


def _arctangent(ratio: Expr, start: Expr) -> Expr:
    """start + atan(ratio), where start is a rounded multiple of pi / 4 and |ratio| <= tan(pi / 8)."""
    square = ratio * ratio
    lost = start * (_HALF_PI_LOW[ratio.dtype] / (math.pi / 2))
    return start + (fma(ratio * square, polynomial(square, _ARCTANGENT[ratio.dtype]), ratio) + lost)


def atan2(y: Expr, x: Expr, target: Target) -> Expr:
    """The angle of the point (x, y), 2.1 ulp."""
    width, height = magnitude(x), magnitude(y)
    lying = width >= height
    longer, shorter = select(lying, width, height), select(lying, height, width)
    huge = longer > 2.0 ** (100 if x.dtype is FLOAT32 else 1000)  # where the sum below overflows
    longer, shorter = select(huge, longer * 2.0**-24, longer), select(huge, shorter * 2.0**-24, shorter)
    middling = shorter > longer * _EIGHTH
    above, below = select(middling, shorter - longer, shorter), select(middling, shorter + longer, longer)
    both_infinite = width.equal(math.inf) & height.equal(math.inf)
    ratio = select(both_infinite | (above.equal(0.0)), literal(0.0, x.dtype), above / below)
    middling = middling | both_infinite
    # The angle of (longer, shorter), then mirrored at the diagonal and the vertical axis: signs of the two summands.
    quarter = select(middling, literal(math.pi / 4, x.dtype), 0.0)
    ratio, start = select(lying, ratio, -ratio), select(lying, quarter, math.pi / 2 - quarter)
    negative = function("copysign", literal(1.0, x.dtype), x) < 0.0
    ratio, start = select(negative, -ratio, ratio), select(negative, math.pi - start, start)
    angle = with_sign_of(_arctangent(ratio, start), y)
    return select(is_nan(x) | is_nan(y), x + y, angle)


def asin(x: Expr, target: Target) -> Expr:
    """Arcsine, 2.3 ulp: a series, above one half by way of pi / 2 - 2 asin(sqrt((1 - a) / 2)) for a = |x|."""
    size = magnitude(x)
    small = size < 0.5
    series = _arcsine(*_arcsine_argument(size, small))
    outer = math.pi / 2 - (series + series - _HALF_PI_LOW[x.dtype])
    return with_sign_of(select(small, series, outer), x)


def acos(x: Expr, target: Target) -> Expr:
    """Arccosine, 1.2 ulp, by the same series."""
    size = magnitude(x)
    small = size < 0.5
    series = _arcsine(*_arcsine_argument(size, small))
    low = _HALF_PI_LOW[x.dtype]
    middle = math.pi / 2 - (with_sign_of(series, x) - low)
    twice = series + series
    return select(small, middle, select(x < 0.0, math.pi - (twice - 2.0 * low), twice))


def _arcsine_argument(size: Expr, small: Expr) -> tuple[Expr, Expr]:
    """What the series is taken of, and its square."""
    square = select(small, size * size, 0.5 - size * 0.5)
    return select(small, size, square_root(square)), square


def _arcsine(x: Expr, square: Expr) -> Expr:
    return fma(x * square, polynomial(square, _ARCSINE[x.dtype]), x)
