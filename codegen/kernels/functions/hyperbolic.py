"""tanh, sinh, cosh and their inverses."""

from __future__ import annotations

import math

from optc.codegen.kernels.functions.arithmetic import at_most, magnitude, polynomial, square_root, with_sign_of
from optc.codegen.kernels.functions.exponential import decay, expm1, inverse_power, reduce_by_ln2, series, times_power
from optc.codegen.kernels.functions.logarithm import log1p
from optc.codegen.machine.host import Target
from optc.ir.dtypes import FLOAT32, FLOAT64, INT32
from optc.ops.scalar import Expr, apply, literal, select, table

_SATURATED = {FLOAT32: 9.2, FLOAT64: 20.0}
_LARGE = {FLOAT32: 1e10, FLOAT64: 1e20}
"""Where adding one to the square changes nothing."""
_LINEAR = {FLOAT32: 2.0**-14, FLOAT64: 2.0**-28}
"""Below it sinh x is x, while half of it may not be a number of full precision."""
_SIGN = -(1 << 31)
_PART_OFFSET = 0.75
_PARTS = (
    (
        1.5, 2.0, 2.5, 3.0, 3.75, 4.75, 5.75, 6.75, 8.25, 0.0, 0.0, 0.1875, 0.375, 0.625, 0.875, 1.125,
    ),
    (
        0.9051483273506165, 0.9640275835990906, 0.9866142868995667, 0.9950547218322754, 0.9988943934440613,
        0.9998502731323242, 0.9999797344207764, 0.9999972581863403, 0.9999998807907104, 0.0, 0.0, 0.18533320724964142,
        0.35835739970207214, 0.5545997023582458, 0.7039055824279785, 0.8093010783195496,
    ),
    (
        0.18070665001869202, 0.07065082341432571, 0.026592226698994637, 0.009866037406027317, 0.002209943253546953,
        0.0002993628731928766, 4.051960786455311e-05, 5.483938366523944e-06, 2.7305853222969745e-07, 0.0, 1.0,
        0.9656516313552856, 0.8715800642967224, 0.6924191117286682, 0.5045168995857239, 0.3450317680835724,
    ),
    (
        -0.16358335316181183, -0.06810951232910156, -0.026234323158860207, -0.009814571589231491,
        -0.0022040389012545347, -0.0002983948797918856, -4.037860708194785e-05, -5.478939783643e-06,
        -3.3616362316024606e-07, 0.0, 3.1345271622740256e-07, -0.17898179590702057, -0.31233033537864685,
        -0.38400259613990784, -0.35512298345565796, -0.2792406976222992,
    ),
    (
        0.08782442659139633, 0.042110636830329895, 0.01702084019780159, 0.00647983280941844, 0.0014666537754237652,
        0.00019935394811909646, 2.699339711398352e-05, 3.651528004411375e-06, 1.799114102141175e-07, 0.0,
        -0.33335572481155396, -0.28878405690193176, -0.1786271631717682, -0.01781928725540638, 0.08181115239858627,
        0.11097567528486252,
    ),
    (
        -0.024276042357087135, -0.017896730452775955, -0.00811978243291378, -0.00323429424315691,
        -0.0007671249331906438, -0.00010617543739499524, -1.443402925360715e-05, -1.9081558093603235e-06,
        -5.431861183069486e-08, 0.0, 0.0004742590244859457, 0.1166265606880188, 0.1666339784860611, 0.1367003172636032,
        0.0604059211909771, 0.00394588615745306,
    ),
    (
        -0.0030365181155502796, 0.004714128561317921, 0.0028646562714129686, 0.0012273495085537434,
        0.0003024651960004121, 4.127650390728377e-05, 5.5992209126998205e-06, 7.642224773007911e-07,
        4.204808945473815e-08, 0.0, 0.1299789845943451, 0.1149430125951767, 0.02044093981385231, -0.055413007736206055,
        -0.058981433510780334, -0.03204493224620819,
    ),
)  # fmt: skip
"""Centres, then coefficients from the constant on, of the parts of |x| that the exponent and two bits of the fraction of
|x| + 3/4 tell apart."""


def tanh(x: Expr, target: Target) -> Expr:
    """Hyperbolic tangent, 2.5 ulp. In float32 on AVX-512 one of 15 polynomials (1.8 ulp), else by e**(-2 |x|)."""
    size = at_most(magnitude(x), _SATURATED[x.dtype])
    if target.avx512 and x.dtype is FLOAT32:
        index = apply("lshr", (size + _PART_OFFSET).bitcast(INT32), literal(21, INT32))
        centre, *coefficients = (table(index, part, FLOAT32) for part in _PARTS)
        return with_sign_of(polynomial(size - centre, coefficients), x)
    if x.dtype is FLOAT64:
        grown = expm1(size * -2.0, target)
        return with_sign_of(grown / (grown + 2.0), x)
    lost = decay(size)
    sign = x.bitcast(INT32) & _SIGN
    return ((lost / (2.0 - lost)).bitcast(INT32) | sign).bitcast(FLOAT32)


def sinh(x: Expr, target: Target) -> Expr:
    """Hyperbolic sine, 2.5 ulp: (t + t / (t + 1)) / 2 for t = e**|x| - 1."""
    rest, exponent = reduce_by_ln2(magnitude(x), target)
    half = times_power(series(rest) + (1.0 - inverse_power(exponent, x, target)), exponent - 1, target)
    bounded = at_most(half, 2.0**60)  # infinity over infinity is nan
    result = half + bounded / (bounded + bounded + 1.0)
    return select(magnitude(x) < _LINEAR[x.dtype], x, with_sign_of(result, x))


def cosh(x: Expr, target: Target) -> Expr:
    """Hyperbolic cosine, 1.5 ulp: half of e**|x| and its inverse."""
    rest, exponent = reduce_by_ln2(magnitude(x), target)
    half = times_power(series(rest) + 1.0, exponent - 1, target)
    return half + 0.25 / half


def asinh(x: Expr, target: Target) -> Expr:
    """Inverse hyperbolic sine, 2.4 ulp: log1p(a + a**2 / (1 + sqrt(1 + a**2))) for a = |x|."""
    size = magnitude(x)
    large = size > _LARGE[x.dtype]
    small = at_most(size, _LARGE[x.dtype])
    square = small * small
    grown = small + square / (square_root(square + 1.0) + 1.0)
    result = log1p(select(large, size, grown), target) + select(large, literal(math.log(2.0), x.dtype), 0.0)
    return with_sign_of(result, x)


def acosh(x: Expr, target: Target) -> Expr:
    """Inverse hyperbolic cosine, 3.1 ulp: log1p(t + sqrt(2 t + t**2)) for t = x - 1."""
    large = x > _LARGE[x.dtype]
    above = at_most(x, _LARGE[x.dtype]) - 1.0
    square = select(above < 0.0, literal(math.nan, x.dtype), above * (above + 2.0))
    grown = above + square_root(square)
    return log1p(select(large, x, grown), target) + select(large, literal(math.log(2.0), x.dtype), 0.0)


def atanh(x: Expr, target: Target) -> Expr:
    """Inverse hyperbolic tangent, 2.7 ulp: log1p(2 a / (1 - a)) / 2 for a = |x|."""
    size = magnitude(x)
    return with_sign_of(log1p((size + size) / (1.0 - size), target) * 0.5, x)
