"""log, log2, log10, log1p."""

from __future__ import annotations

import math

from optc.codegen.kernels.functions.arithmetic import (
    BITS,
    MANTISSA_BITS,
    SMALLEST_NORMAL,
    fma,
    polynomial,
    single,
    with_sign_of,
)
from optc.codegen.machine.host import Target
from optc.dataclass import dataclass
from optc.ir.dtypes import FLOAT32, FLOAT64, INT32
from optc.ops.scalar import Expr, apply, function, literal, select, table

_SERIES = {
    FLOAT32: (
        0.33333316445350647, -0.25000810623168945, 0.2000228613615036, -0.16624552011489868, 0.1418120115995407,
        -0.1312878429889679, 0.1288158893585205, -0.07859456539154053,
    ),
    FLOAT64: (
        0.666666666666666, 0.40000000000056635, 0.2857142855584352, 0.2222222429439475, 0.18181666014230047,
        0.1539110708962587, 0.13173685186473147, 0.13842435500861397,
    ),
}  # fmt: skip
"""float32: P in log(1 + f) = f - f**2 / 2 + f**3 P(f); float64: R in log((1 + s) / (1 - s)) = 2 s + s**3 R(s**2)."""
_STEP_SERIES = (-0.5000012516975403, 0.3333677351474762, -0.24397936463356018)


@dataclass(frozen=True)
class _Base:
    """What turns log2 of the power of two, and the natural logarithm of the mantissa, into a logarithm."""

    of_two: float
    of_two_rest: float
    of_e: float


_NATURAL = {
    FLOAT32: _Base(0.693359375, -2.12194440054690583e-4, 1.0),
    FLOAT64: _Base(6.93147180369123816490e-01, 1.90821492927058770002e-10, 1.0),
}
_BINARY = _Base(1.0, 0.0, 1.0 / math.log(2.0))
_DECIMAL = {
    FLOAT32: _Base(0.301025390625, 4.605038981195214e-06, 1.0 / math.log(10.0)),
    FLOAT64: _Base(3.01029995663611771306e-01, 3.69423907715893078616e-13, 1.0 / math.log(10.0)),
}


def log(x: Expr, target: Target) -> Expr:
    """Natural logarithm, 1.5 ulp (0.9 but for float32 on AVX-512)."""
    return _logarithm(x, _NATURAL[x.dtype], target)


def log2(x: Expr, target: Target) -> Expr:
    """Logarithm to base 2, 1.9 ulp; exact for powers of two."""
    return _logarithm(x, _BINARY, target)


def log10(x: Expr, target: Target) -> Expr:
    """Logarithm to base 10, 3 ulp."""
    return _logarithm(x, _DECIMAL[x.dtype], target)


def log1p(x: Expr, target: Target) -> Expr:
    """log(1 + x), 1.5 ulp: what rounding 1 + x lost is put back to first order."""
    total = x + 1.0
    lost = x - (total - 1.0)  # exact, but where one is below the precision of x and nothing matters
    if target.avx512 and x.dtype is FLOAT32:
        return with_sign_of(_by_steps(total, _NATURAL[FLOAT32], lost), x)
    correction = lost / total
    correction = select(function("abs", correction) < 1.0, correction, 0.0)  # not where 1 + x is 0, inf or nan
    return with_sign_of(_logarithm(total, _NATURAL[x.dtype], target, correction), x)


def _logarithm(x: Expr, base: _Base, target: Target, extra: Expr | None = None) -> Expr:
    """The logarithm of x, plus `extra`, which is small beside it."""
    if target.avx512 and x.dtype is FLOAT32:
        return _by_steps(x, base)
    mantissa, power = mantissa_and_power(x, target)
    finite = _sum(power, mantissa - 1.0, base, extra)
    if target.avx512:
        return finite
    special = select(x.equal(0.0), literal(-math.inf, x.dtype), literal(math.nan, x.dtype))
    return select(x > 0.0, select(x.equal(math.inf), x, finite), special)


def mantissa_and_power(x: Expr, target: Target) -> tuple[Expr, Expr]:
    """m in [sqrt(1/2), sqrt 2) (on AVX-512 [3/4, 3/2)) and e, a float, with x = m * 2**e.

    On AVX-512 m is nan for negative numbers, 1 for zero and infinity, which have an infinite e; elsewhere they, nan and
    negative numbers give arbitrary results.
    """
    if target.avx512:
        mantissa = function("mantissa", x)
        return mantissa, function("exponent", x) - function("exponent", mantissa)
    bits = MANTISSA_BITS[x.dtype]
    tiny = x < SMALLEST_NORMAL[x.dtype]
    scaled = select(tiny, x * 2.0**bits, x).bitcast(BITS[x.dtype])
    exponent = (scaled - literal(math.sqrt(0.5), x.dtype).bitcast(BITS[x.dtype])) >> bits
    mantissa = (scaled - (exponent << bits)).bitcast(x.dtype)
    return mantissa, exponent.cast(x.dtype) + select(tiny, literal(-float(bits), x.dtype), 0.0)


def _sum(power: Expr, fraction: Expr, base: _Base, extra: Expr | None) -> Expr:
    """The logarithm of 2**power * (1 + fraction); fraction in [sqrt(1/2) - 1, sqrt 2 - 1] or [-1/4, 1/2]."""
    square = fraction * fraction
    if fraction.dtype is FLOAT32:
        tail = fma(fraction * square, polynomial(fraction, _SERIES[FLOAT32]), square * -0.5)
    else:
        half = square * 0.5
        quotient = fraction / (fraction + 2.0)
        tail = quotient * fma(quotient * quotient, polynomial(quotient * quotient, _SERIES[FLOAT64]), half) - half
    if extra is not None:
        tail = tail + extra
    if base.of_e == 1.0:
        return fma(power, base.of_two, fraction + fma(power, base.of_two_rest, tail))
    mantissa = (fraction + tail) * base.of_e
    if base.of_two_rest:
        mantissa = fma(power, base.of_two_rest, mantissa)
    return fma(power, base.of_two, mantissa)


def _by_steps(x: Expr, base: _Base, lost: Expr | None = None) -> Expr:
    """The logarithm of x + lost in float32, where lost is below the precision of x.

    The mantissa times the inverse of one of 32 numbers near it is 1 + r; log(1 + r) = r + r**2 P(r). Nothing is tested:
    `mantissa` is nan for negative numbers, `exponent` infinite for zero and infinity.
    """
    mantissa = function("mantissa", x)
    down = function("exponent", mantissa) - function("exponent", x)
    index = apply("lshr", mantissa.bitcast(INT32), literal(18, INT32))
    inverse = table(index, _INVERSES, FLOAT32)
    rest = fma(mantissa, inverse, -1.0)
    if lost is not None:
        scaled = function("scale", lost, down)
        rest = fma(function("confine", scaled, literal(2.0**-23, FLOAT32)), inverse, rest)  # beside infinity it is nan
    near = fma(rest * rest, polynomial(rest, _STEP_SERIES), rest)
    centre = table(index, tuple(-math.log(inverse) * base.of_e for inverse in _INVERSES), FLOAT32)
    whole = near + centre if base.of_e == 1.0 else fma(near, base.of_e, centre)
    return fma(down, -(base.of_two + base.of_two_rest), whole)


def _inverses() -> tuple[float, ...]:
    """The inverse of a number in the middle of each of 32 parts of [3/4, 3/2), by the leading bits of the fraction.

    It is 1 beside 1, where the logarithm vanishes.
    """
    upper = [1.0 + (part + 0.5) / 32 for part in range(1, 16)]
    lower = [0.5 + (part + 0.5) / 64 for part in range(16, 31)]
    return tuple(map(single, (1.0, *(1.0 / centre for centre in (*upper, *lower)), 1.0)))


_INVERSES = _inverses()
