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
_BIT_OF_TWO = 1 << 30  # set in numbers from 2 on, and the only one that is set in 2
_PARTS = (
    (
        0.9644319415092468, 0.964011013507843, 0.9640275835990906, 0.9640275835990906, 0.9640488624572754,
        0.9642783403396606, 0.9650037884712219, 0.9665409922599792, 0.9701179265975952, 0.9768865704536438,
        0.9837125539779663, 0.9892532229423523, 0.9938715696334839, 0.9963034391403198, 0.9980484247207642,
        0.9989139437675476, 0.9995737075805664, 0.999901533126831, 0.0, 0.0, 0.0, 7.015991627667972e-07,
        9.923139259626623e-06, 4.482400618144311e-05, 0.00018674350576475263, 0.00035931222373619676,
        -0.0007874612929299474, -0.006025225855410099, -0.01852235198020935, -0.04008474573493004,
        -0.07022878527641296, -0.10104575753211975,
    ),
    (
        0.07338354736566544, 0.07040110975503922, 0.07064955681562424, 0.070649154484272, 0.07033708691596985,
        0.06853526085615158, 0.06466852128505707, 0.058508481830358505, 0.04748941585421562, 0.031876448541879654,
        0.019631072878837585, 0.011466690339148045, 0.00574151985347271, 0.003147709183394909, 0.0014978515682742,
        0.000767977035138756, 0.0002681115292944014, 5.3405306971399114e-05, 0.0, 0.0, 1.0, 0.9999591112136841,
        0.9996711015701294, 0.9989255666732788, 0.9967575073242188, 0.9947598576545715, 1.003617286682129,
        1.0368272066116333, 1.1033271551132202, 1.201871395111084, 1.322242259979248, 1.4316223859786987,
    ),
    (
        -0.061707768589258194, -0.06961942464113235, -0.06815926730632782, -0.06805413961410522,
        -0.06628026068210602, -0.06090365722775459, -0.05313374102115631, -0.043844856321811676,
        -0.031066611409187317, -0.01750173605978489, -0.009243713691830635, -0.004725669510662556,
        -0.0020601379219442606, -0.0010221826378256083, -0.00043674121843650937, -0.00020585241145454347,
        -6.371502968249843e-05, -1.0920413842541166e-05, 0.0, 0.0, 5.943917585682357e-06, 0.0009395165834575891,
        0.0043562958016991615, 0.010357447899878025, 0.0228512492030859, 0.031522199511528015, 0.005822872277349234,
        -0.0732857957482338, -0.20616666972637177, -0.3752369284629822, -0.5556455850601196, -0.7013067007064819,
    ),
    (
        0.046803124248981476, 0.03749174252152443, 0.04150532931089401, 0.04148471727967262, 0.03680714964866638,
        0.029576895758509636, 0.022600406780838966, 0.016353663057088852, 0.009741273708641529, 0.00448058545589447,
        0.0019995132461190224, 0.0008867082069627941, 0.00033431549672968686, 0.0001496270124334842,
        5.722433343180455e-05, 2.4751310775172897e-05, 6.773273071303265e-06, 9.97103597910609e-07, 0.0, 0.0,
        -0.3339109420776367, -0.3439805209636688, -0.36224308609962463, -0.38381874561309814, -0.41601991653442383,
        -0.4327473044395447, -0.3995462656021118, -0.315635085105896, -0.19746033847332, -0.06840036809444427,
        0.05188046395778656, 0.1381365954875946,
    ),
    (
        -0.021032994613051414, -0.025134030729532242, -0.020780490711331367, -0.014995521865785122,
        -0.010143092833459377, -0.00644586281850934, -0.004084225744009018, -0.002503525000065565,
        -0.001215027878060937, -0.00044674420496448874, -0.00016655898070894182, -6.363193097058684e-05,
        -2.0640591174014844e-05, -8.311605597555172e-06, -2.8381894026097143e-06, -1.1249529734413954e-06,
        -2.715183882173733e-07, -3.4280304817002616e-08, 0.0, 0.0, 0.015964748337864876, 0.05966956540942192,
        0.0967884361743927, 0.12602202594280243, 0.15735109150409698, 0.1694524586200714, 0.15333658456802368,
        0.11989519000053406, 0.0804290920495987, 0.043444808572530746, 0.01334579847753048, -0.005818326957523823,
    ),
)  # fmt: skip
"""Coefficients, from the constant on, of the 30 parts of |x| that the exponent and three bits of the fraction of |x| + 3/4
tell apart: of polynomials in |x| where that sum is below 2, else in |x| - 2, which they know better."""


def tanh(x: Expr, target: Target) -> Expr:
    """Hyperbolic tangent, 2.5 ulp. In float32 on AVX-512 one of 30 polynomials (2.1 ulp), else by e**(-2 |x|)."""
    size = at_most(magnitude(x), _SATURATED[x.dtype])
    if target.avx512 and x.dtype is FLOAT32:
        shifted = (size + _PART_OFFSET).bitcast(INT32)
        index = apply("lshr", shifted, literal(20, INT32))
        centre = (shifted & _BIT_OF_TWO).bitcast(FLOAT32)
        return with_sign_of(polynomial(size - centre, [table(index, part, FLOAT32) for part in _PARTS]), x)
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
