"""What the functions are made of: polynomials, bounds, scaling by powers of two, sums and products without error."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optc.codegen.machine.host import Target
from optc.ir.dtypes import FLOAT32, FLOAT64, INT32, INT64, DType
from optc.ops.scalar import Expr, function, literal

MANTISSA_BITS = {FLOAT32: 23, FLOAT64: 52}
"""How many bits of the fraction are stored."""
BITS = {FLOAT32: INT32, FLOAT64: INT64}
"""The integer type of the same size."""
SMALLEST_NORMAL = {FLOAT32: 2.0**-126, FLOAT64: 2.0**-1022}
ROUNDING = {FLOAT32: 1.5 * 2.0**23, FLOAT64: 1.5 * 2.0**52}
"""Adding it leaves the rounded integer in the low bits."""
_BIAS = {FLOAT32: 127, FLOAT64: 1023}


def single(number: float) -> float:
    """The nearest float32."""
    return float(np.float32(number))


def fma(x: Expr, y: Expr | float, z: Expr | float) -> Expr:
    """x * y + z, rounded once where the target can."""
    return function("fma", x, literal(y, x.dtype), literal(z, x.dtype))


def polynomial(x: Expr, coefficients: Sequence[float | Expr]) -> Expr:
    """The polynomial with the given coefficients, constant first, by Horner's rule."""
    result = literal(coefficients[-1], x.dtype)
    for coefficient in reversed(coefficients[:-1]):
        result = fma(result, x, coefficient)
    return result


def split_polynomial(x: Expr, coefficients: Sequence[float]) -> Expr:
    """The same by two chains half as long, of even and odd powers: for many coefficients on processors that wait for
    one sum after the other."""
    square = x * x
    return fma(polynomial(square, coefficients[1::2]), x, polynomial(square, coefficients[::2]))


def magnitude(x: Expr) -> Expr:
    """|x|."""
    return function("abs", x)


def with_sign_of(x: Expr, sign: Expr) -> Expr:
    """The magnitude of x with the sign bit of the other."""
    return function("copysign", x, sign)


def at_least(x: Expr, bound: float) -> Expr:
    """The larger of the two; NaN passes, because the machine's max keeps its second operand."""
    return function("maxnum", literal(bound, x.dtype), x)


def at_most(x: Expr, bound: float) -> Expr:
    """The smaller of the two; NaN passes."""
    return function("minnum", literal(bound, x.dtype), x)


def is_nan(x: Expr) -> Expr:
    """True for NaN."""
    return x.not_equal(x)


def rounded(x: Expr) -> tuple[Expr, Expr]:
    """The nearest integer as a float and as an integer, for |x| < 2**22 (2**51)."""
    shifted = x + ROUNDING[x.dtype]
    return shifted - ROUNDING[x.dtype], rounded_bits(shifted)


def rounded_bits(shifted: Expr) -> Expr:
    """The integer in the low bits of a number that `ROUNDING` was added to."""
    bits = BITS[shifted.dtype]
    return shifted.bitcast(bits) - literal(ROUNDING[shifted.dtype], shifted.dtype).bitcast(bits)


def power_of_two(exponent: Expr, dtype: DType) -> Expr:
    """2**exponent for integers in the range of normal numbers."""
    return ((exponent + _BIAS[dtype]) << MANTISSA_BITS[dtype]).bitcast(dtype)


def rounded_power_of_two(x: Expr, factor: float) -> tuple[Expr, Expr]:
    """n = x * factor, rounded, as a float, and 2**n, in float32 for n in the range of normal exponents.

    The sum that rounds adds the bias of exponents as well, so its low bits are those of the power.
    """
    shift = ROUNDING[FLOAT32] + _BIAS[FLOAT32]
    shifted = fma(x, factor, shift)
    power = (shifted.bitcast(INT32) << MANTISSA_BITS[FLOAT32]).bitcast(FLOAT32)
    return shifted - shift, power


def scale(x: Expr, exponent: Expr) -> Expr:
    """x * 2**exponent for integers in twice the range of normal exponents.

    In two steps, so that denormals and infinity come out right.
    """
    half = exponent >> 1
    return x * power_of_two(half, x.dtype) * power_of_two(exponent - half, x.dtype)


def two_sum(x: Expr, y: Expr) -> tuple[Expr, Expr]:
    """x + y and what rounding it lost."""
    total = x + y
    other = total - x
    return total, (x - (total - other)) + (y - other)


def ordered_sum(larger: Expr, smaller: Expr) -> tuple[Expr, Expr]:
    """`two_sum` for |larger| >= |smaller|."""
    total = larger + smaller
    return total, smaller - (total - larger)


def upper_half(x: Expr) -> Expr:
    """The leading half of the bits: products of two such numbers are exact."""
    bits = BITS[x.dtype]
    dropped = (MANTISSA_BITS[x.dtype] + 2) // 2
    return (x.bitcast(bits) & -(1 << dropped)).bitcast(x.dtype)


def two_product(x: Expr, y: Expr, target: Target) -> tuple[Expr, Expr]:
    """x * y and what rounding it lost (but for overflow, and what underflows)."""
    product = x * y
    if target.fma:
        return product, fma(x, y, -product)
    left, right = upper_half(x), upper_half(y)
    left_rest, right_rest = x - left, y - right
    return product, ((left * right - product) + left * right_rest + left_rest * right) + left_rest * right_rest


def square_root(x: Expr) -> Expr:
    """Correctly rounded."""
    return function("sqrt", x)


def reduced(x: Expr, count: Expr, parts: Sequence[float]) -> Expr:
    """x minus count times a constant given as a sum of parts, largest first."""
    for part in parts:
        x = fma(count, -part, x)
    return x
