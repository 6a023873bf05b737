"""Transcendental functions as expressions over primitives, so that a vector of lanes costs what one element costs.

All are for float32, branch-free, and take inf, nan, denormals and signed zeros as C's functions do. The polynomials
are weighted minimax fits made for this file (Lawson iteration on Chebyshev nodes); the errors stated are the largest
found in sweeps, in units in the last place. Functions without an entry, and all of float64, are calls of libm.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from optc.codegen.host import Target
from optc.ir.dtypes import FLOAT32, INT32
from optc.ops.scalar import Expr, function, literal, rewrite, select

_LN2_HIGH = 0.693359375  # few bits, so that products with small integers are exact
_LN2_LOW = -2.12194440054690583e-4
_ROUNDING = 12582912.0  # 1.5 * 2**23: adding it leaves the rounded integer in the low bits
_EXP = (0.4999999403953552, 0.1666652113199234, 0.04166839271783829, 0.00836874544620514, 0.0013814534759148955)
_LOG = (
    0.33333316445350647, -0.25000810623168945, 0.2000228613615036, -0.16624552011489868, 0.1418120115995407,
    -0.1312878429889679, 0.1288158893585205, -0.07859456539154053,
)  # fmt: skip
_TANH = (-0.3333328366279602, 0.13331490755081177, -0.05374349281191826, 0.02065056934952736, -0.005717025604099035)
_ERF_SMALL = (
    0.12837916612625122, -0.37612631916999817, 0.11283687502145767, -0.026858940720558167, 0.005199906416237354,
    -0.0008130011265166104, 8.316768798977137e-05,
)  # fmt: skip
_ERF_LARGE = (
    0.12855175137519836, 0.6356252431869507, 0.10526271164417267, -0.022674154490232468, 0.0029301673639565706,
    -4.959036232321523e-05, -4.558046566671692e-05, 4.938154688716168e-06,
)  # fmt: skip


def fma(x: Expr, y: Expr | float, z: Expr | float) -> Expr:
    """x * y + z, rounded once where the target can."""
    return function("fma", x, literal(y, x.dtype), literal(z, x.dtype))


def polynomial(x: Expr, coefficients: Sequence[float]) -> Expr:
    """The polynomial with the given coefficients, constant first, by Horner's rule."""
    result = literal(coefficients[-1], x.dtype)
    for coefficient in reversed(coefficients[:-1]):
        result = fma(result, x, coefficient)
    return result


def _at_least(x: Expr, bound: float) -> Expr:
    return function("maxnum", literal(bound, x.dtype), x)  # NaN passes: the machine's max keeps its second operand


def _at_most(x: Expr, bound: float) -> Expr:
    return function("minnum", literal(bound, x.dtype), x)


def _power_of_two(exponent: Expr) -> Expr:
    """2**exponent for int32 exponents in [-126, 127]."""
    return ((exponent + 127) << 23).bitcast(FLOAT32)


def _scale(x: Expr, exponent: Expr) -> Expr:
    """x * 2**exponent for exponents in [-252, 254], in two steps so that denormals and infinity come out right."""
    half = exponent >> 1
    return x * _power_of_two(half) * _power_of_two(exponent - half)


def exp(x: Expr) -> Expr:
    """e**x, 1 ulp: x = n ln 2 + r, e**r = 1 + r + r**2 P(r)."""
    bounded = _at_most(_at_least(x, -104.0), 89.0)
    shifted = fma(bounded, 1.0 / math.log(2.0), _ROUNDING)
    number = shifted - _ROUNDING
    exponent = shifted.bitcast(INT32) - literal(_ROUNDING, FLOAT32).bitcast(INT32)
    rest = fma(number, -_LN2_LOW, fma(number, -_LN2_HIGH, bounded))
    return _scale(fma(rest * rest, polynomial(rest, _EXP), rest) + 1.0, exponent)


def exp2(x: Expr) -> Expr:
    """2**x, 1 ulp."""
    bounded = _at_most(_at_least(x, -151.0), 129.0)
    shifted = bounded + _ROUNDING
    exponent = shifted.bitcast(INT32) - literal(_ROUNDING, FLOAT32).bitcast(INT32)
    rest = (bounded - (shifted - _ROUNDING)) * math.log(2.0)
    return _scale(fma(rest * rest, polynomial(rest, _EXP), rest) + 1.0, exponent)


def expm1(x: Expr) -> Expr:
    """e**x - 1, 3 ulp: the polynomial itself near zero, where the difference would cancel."""
    near = fma(x * x, polynomial(x, _EXP), x)
    nonzero = select(function("abs", x) < 0.34, near, exp(x) - 1.0)
    return select(x.equal(0.0), x, nonzero)


def log(x: Expr) -> Expr:
    """Natural logarithm, 1 ulp: x = 2**e m with m in [sqrt 1/2, sqrt 2), log m = f - f**2/2 + f**3 P(f), f = m - 1."""
    tiny = x < 1.17549435e-38
    scaled = select(tiny, x * 8388608.0, x)
    bits = scaled.bitcast(INT32)
    exponent = (bits - 0x3F3504F3) >> 23
    fraction = (bits - (exponent << 23)).bitcast(FLOAT32) - 1.0
    power = exponent.cast(FLOAT32) + select(tiny, literal(-23.0, FLOAT32), 0.0)
    square = fraction * fraction
    tail = fma(power, _LN2_LOW, fma(fraction * square, polynomial(fraction, _LOG), square * -0.5))
    finite = fma(power, _LN2_HIGH, fraction + tail)
    special = select(x.equal(0.0), literal(-math.inf, FLOAT32), literal(math.nan, FLOAT32))
    return select(x > 0.0, select(x.equal(math.inf), x, finite), special)


def log1p(x: Expr) -> Expr:
    """log(1 + x), 3 ulp: the rounding error of 1 + x is put back to first order."""
    total = x + 1.0
    corrected = log(total) - ((total - 1.0) - x) / total
    regular = (total > 0.0) & (total < math.inf)
    return select(x.equal(0.0), x, select(regular, corrected, log(total)))


def tanh(x: Expr) -> Expr:
    """Hyperbolic tangent, 2 ulp: an odd polynomial below 5/8, 1 - 2 / (e**2x + 1) above."""
    size = function("abs", x)
    square = x * x
    small = fma(size * square, polynomial(square, _TANH), size)
    large = 1.0 - 2.0 / (exp(size * 2.0) + 1.0)
    return function("copysign", select(size < 0.625, small, large), x)


def erf(x: Expr) -> Expr:
    """Error function, 2 ulp: an odd polynomial below 0.93, 1 - exp(-t Q(t)) above."""
    size = function("abs", x)
    small = fma(x, polynomial(x * x, _ERF_SMALL), x)
    bounded = _at_most(size, 4.0)
    large = 1.0 - exp(-fma(bounded, polynomial(bounded, _ERF_LARGE), bounded))
    return select(size < 0.9277, small, function("copysign", large, x))


VECTORIZED: dict[str, Callable[[Expr], Expr]] = {
    "exp": exp,
    "exp2": exp2,
    "expm1": expm1,
    "log": log,
    "log2": lambda x: log(x) * (1.0 / math.log(2.0)),
    "log10": lambda x: log(x) * (1.0 / math.log(10.0)),
    "log1p": log1p,
    "tanh": tanh,
    "erf": erf,
}


def expand(expr: Expr, target: Target) -> Expr:
    """The expression with every float32 function that has a vector form replaced by the one for `target`."""

    def change(node: Expr) -> Expr | None:
        if node.dtype is not FLOAT32 or node.op not in VECTORIZED:
            return None
        return VECTORIZED[node.op](node.args[0])

    return rewrite(expr, change)
