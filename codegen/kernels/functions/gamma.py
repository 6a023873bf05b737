"""lgamma and digamma, in double precision for both types."""

from __future__ import annotations

import math

from optc.codegen.kernels.functions.arithmetic import fma, is_nan, magnitude, polynomial
from optc.codegen.kernels.functions.logarithm import log
from optc.codegen.kernels.functions.trigonometry import sine_and_cosine
from optc.codegen.machine.host import Target
from optc.ir.dtypes import FLOAT64
from optc.ops.scalar import Expr, function, literal, rarely, select

_NEAR_TWO = (
    0.42278433509846713, 0.3224670334241132, -0.06735230105319367, 0.020580808427796804, -0.007385551029306199,
    0.0028905103283736913, -0.001192753880380846, 0.0005096696870929678, -0.00022315530653637774,
    9.945280064152534e-05, -4.4927887985173584e-05, 2.056222218401322e-05, -9.299330940591622e-06,
    4.288900367085641e-06, -3.0052380833455333e-06, -8.422154051805262e-07, -1.6651529660637187e-06,
    6.253636896177665e-07, 1.0126362613882524e-06, 5.796931761745937e-07,
)  # fmt: skip
"""P in lgamma(2 + d) = d P(d) for -3/4 <= d <= 1/4."""
_STIRLING = (
    0.08333333333333333, -0.0027777777777661552, 0.0007936507855480794, -0.0005952356285423307, 0.0008413650130709495,
    -0.0018848584159156612, 0.004954450199033688,
)  # fmt: skip
"""P in lgamma x = (x - 1/2) log x - x + log(2 pi) / 2 + P(1 / x**2) / x for x >= 8."""
_HALF_LOG_TWO_PI = 0.91893853320467274178
_ROOT = 1.4616321449683622
_ROOT_LOW = 9.549995429965697e-17
_NEAR_ROOT = (
    0.951055876031833, -0.4236274212814683, 0.24054248424072974, -0.14840492305159453, 0.09498872446087267,
    -0.0619221334751038, 0.04076083350617839, -0.026975788680587396, 0.01790726045926834, -0.011908395212400084,
    0.007926824132947523, -0.005277629604342493, 0.00352010799295307, -0.002364540585432246, 0.0015504037523244648,
    -0.0009372699568902427, 0.000744592993698015, -0.0008024784974234215, 0.0001870481863117793,
    0.0004202452432724805, 0.0002919441947459485, -0.0006103447603391005,
)  # fmt: skip
"""P in digamma x = (x - root) P(x - 3/2) for 1 <= x <= 2."""
_DIGAMMA_TAIL = (
    0.08333333333333333, -0.008333333333316434, 0.003968253951298426, -0.004166659106155253, 0.007573999982657503,
    -0.020869639118284225, 0.06841308010112081,
)  # fmt: skip
"""P in digamma x = log x - 1 / (2 x) - P(1 / x**2) / x**2 for x >= 10."""


def lgamma(x: Expr, target: Target) -> Expr:
    """log |gamma(x)|, 2.5 ulp, infinite at the poles.

    Below zero, where it crosses zero between poles, float64 has 2.5 units of the last place of the sum it is.
    """
    wide = x.cast(FLOAT64)
    size = magnitude(wide)
    value = _positive_lgamma(size, target)
    mirrored = log(math.pi / (size * magnitude(_sine_of_turns(size)[0])), target) - value
    mirrored = select(size.equal(math.inf), size, mirrored)
    return rarely(wide < 0.0, mirrored, value).cast(x.dtype)


def _positive_lgamma(x: Expr, target: Target) -> Expr:
    """Below 8 moved next to 2 by the recurrence, Stirling's series above. One logarithm serves both."""
    small = x < 8.0
    steps = function("floor", x + 0.75) - 2.0
    rest = x - (steps + 2.0)
    product = literal(1.0, FLOAT64)
    for step in range(1, 7):
        product = product * select(steps >= step, x - float(step), 1.0)
    product = select(steps.equal(-1.0), x, select(steps.equal(-2.0), x * (x + 1.0), product))
    logarithm = log(select(small, product, x), target)
    near = rest * polynomial(rest, _NEAR_TWO)
    near = select(steps < 0.0, near - logarithm, near + logarithm)
    inverse = 1.0 / x
    tail = inverse * polynomial(inverse * inverse, _STIRLING)
    far = (x - 0.5) * (logarithm - 1.0) + ((_HALF_LOG_TWO_PI - 0.5) + tail)
    return select(small, near, far)


def digamma(x: Expr, target: Target) -> Expr:
    """The derivative of lgamma, 4.1 ulp (of the sum it is, below zero): -inf at 0, inf at -0, nan at other poles."""
    wide = x.cast(FLOAT64)
    negative = wide < 0.0
    value = _positive_digamma(select(negative, 1.0 - wide, wide), target)
    sine, cosine = _sine_of_turns(wide)
    mirrored = value - math.pi * (cosine / sine)
    mirrored = select(sine.equal(0.0) | is_nan(sine), literal(math.nan, FLOAT64), mirrored)
    pole = function("copysign", literal(math.inf, FLOAT64), -wide)
    return select(wide.equal(0.0), pole, rarely(negative, mirrored, value)).cast(x.dtype)


def _positive_digamma(x: Expr, target: Target) -> Expr:
    """Below 10 moved to [1, 2) by the recurrence, the asymptotic series above."""
    steps = function("floor", x) - 1.0
    rest = x - steps
    moved = _sum_of_inverses(rest, steps, range(4)) + _sum_of_inverses(rest, steps, range(4, 8))
    moved = select(steps < 0.0, -1.0 / x, moved)
    slope = polynomial(rest - 1.5, _NEAR_ROOT)
    near = fma(rest - _ROOT, slope, moved - slope * _ROOT_LOW)
    inverse = 1.0 / x
    square = inverse * inverse
    far = log(x, target) - (0.5 * inverse + square * polynomial(square, _DIGAMMA_TAIL))
    return select(x < 10.0, near, select(x.equal(math.inf), x, far))


def _sum_of_inverses(x: Expr, count: Expr, places: range) -> Expr:
    """The sum of 1 / (x + i) for the places i below count, as one fraction."""
    above, below = literal(0.0, FLOAT64), literal(1.0, FLOAT64)
    for place in places:
        term = x + float(place)
        above = select(count > place, above * term + below, above)
        below = select(count > place, below * term, below)
    return above / below


def _sine_of_turns(x: Expr) -> tuple[Expr, Expr]:
    """sin(pi x) and cos(pi x) up to a common sign; their ratio keeps its own."""
    rest = x - function("round", x)  # in [-1/2, 1/2]
    size = magnitude(rest)
    steep = size > 0.25
    sine, cosine = sine_and_cosine(select(steep, 0.5 - size, size) * math.pi)
    sine, cosine = select(steep, cosine, sine), select(steep, sine, cosine)
    return select(rest.equal(0.0), rest, function("copysign", sine, rest)), cosine
