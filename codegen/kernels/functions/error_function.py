"""erf, erfc, erfinv."""

from __future__ import annotations

import math

from optc.codegen.kernels.functions.arithmetic import (
    at_least,
    at_most,
    fma,
    magnitude,
    polynomial,
    split_polynomial,
    square_root,
    two_product,
    with_sign_of,
)
from optc.codegen.kernels.functions.exponential import exp, exp_of_sum
from optc.codegen.kernels.functions.logarithm import log
from optc.codegen.machine.host import Target
from optc.ir.dtypes import FLOAT32, FLOAT64, INT32
from optc.ops.scalar import Expr, literal, select, table

_SMALL = {
    FLOAT32: (
        0.12837916612625122, -0.37612631916999817, 0.11283687502145767, -0.026858940720558167, 0.005199906416237354,
        -0.0008130011265166104, 8.316768798977137e-05,
    ),
    FLOAT64: (
        0.1283791670955126, -0.3761263890318416, 0.11283791670977154, -0.026866170649794893, 0.005223977676128004,
        -0.0008548330237216203, 0.00012055459865584503, -1.4928857532276613e-05, 1.6513836290698205e-06,
        -1.6875690862562046e-07, 1.7521027408122765e-08, -1.7174233309864549e-09,
    ),
}  # fmt: skip
"""P in erf x = x + x P(x**2), for |x| < 0.93 and 0.85."""
_LARGE_CENTRE = 2.4625000953674316
_LARGE = (
    0.9995032548904419, 0.002623691689223051, -0.00646117702126503, 0.00973453838378191, -0.009829197078943253,
    0.006752292159944773, -0.002929853741079569, 0.00047195705701597035, 0.00035026599653065205,
    -0.0003023020690307021, 7.572983304271474e-05, 2.5983497835113667e-05, -1.7059515812434256e-05,
    -1.3554478073274367e-07, 1.057722101904801e-06,
)  # fmt: skip
"""erf x = P(x - centre) for 0.925 < x < 4, in float32; 1 at 4."""
_SCALED_CENTRE = {FLOAT32: 2.0, FLOAT64: 3.0}
_SCALED = {
    FLOAT32: (
        1.2769783735275269, -0.09276369959115982, -0.16602957248687744, 0.16404637694358826, -0.05423198640346527,
        -0.007977651432156563, 0.008767185732722282, 0.001010562409646809, -0.0014417545171454549,
    ),
    FLOAT64: (
        1.2530080582697296, -0.135621106124582, -0.04756229435343245, 0.1296451587028697, -0.11927366341656671,
        0.06830802733987967, -0.023770514884687483, 0.0025293918839307795, 0.001888689887412636,
        -0.000779832852952318, -0.00010515598562366514, 0.00012510202804782224, 4.930473359034617e-06,
        -2.0106501611456826e-05, -6.720682436754882e-07, 3.4734344281718304e-06, 2.425093375857453e-07,
        -5.92987856122231e-07, -1.5708115651161695e-08, 5.544523186708396e-08, -2.3951244295387e-08,
        1.602932333377386e-08,
    ),
}  # fmt: skip
"""P in erfc x = exp(-x**2) P((x - k) / (x + k)) / (1 + 2 x) for x > 0.6 and the k above."""
_INVERSE_CENTRAL = (
    1.6536545627150625, 0.24015818181902154, -0.006033671280720105, -0.0007407005086825265, 0.00018673496602959215,
    -1.3884493764562269e-05, -1.3659580812103077e-06, 4.243314212422449e-07, -2.893158931192743e-08,
    -4.304065802760305e-09, 1.0338638497161097e-09, -3.07879634479728e-11, -1.248370755462857e-11,
    1.1420384922948423e-12,
)  # fmt: skip
"""P in erfinv x = x P(w - 25/8) for w = -log(1 - x**2) <= 25/4; after M. Giles, "Approximating the erfinv function"."""
_INVERSE_TAIL = (
    3.839783908011832, 1.0094939997343093, 0.001257394780179715, -0.0008748206703672331, 0.00033059708191662856,
    -0.00010610878047605802, 4.056639719745635e-05, -4.089645810245625e-05, 2.9942450379308347e-05,
    -7.676876932251237e-06, -7.619215464674083e-07, 4.394123364216549e-07,
)  # fmt: skip
"""P in erfinv x = x P(sqrt(w) - 4) for larger w."""
_INVERSE_CENTRAL_SINGLE = (
    1.623542070388794, 0.24163033068180084, -0.005738559179008007, -0.0008360744104720652, 0.00019546729163266718,
    -1.2756860087392852e-05, -1.8839554059013608e-06, 4.5559096406577737e-07, -4.404207221142542e-09,
    -5.82911940938402e-09,
)  # fmt: skip
_INVERSE_TAIL_SINGLE = (
    3.083885669708252, 1.0052582025527954, 0.005368845537304878, -0.0037368913181126118, 0.0025054023135453463,
    -0.0017574956873431802, 0.0009332797490060329, -0.00023147647152654827,
)  # fmt: skip
"""The same for float32: in w - 3 for w <= 6, in sqrt(w) - 13/4 above."""
_BEYOND = {FLOAT32: 10.5, FLOAT64: 27.5}
"""Where erfc is below the smallest number."""
_ABOVE = (
    1.392277479171753, 0.23402655124664307, 0.0649859830737114, 0.004612716846168041, 0.00035173227661289275,
    2.5497545266262023e-06,
)  # fmt: skip
_BELOW = (
    1.2338738441467285, 0.6186912059783936, 0.14043889939785004, 0.018402474001049995, 0.001428073039278388,
    4.722032099380158e-05,
)  # fmt: skip
"""P and Q in erf x = x P(x**2) / Q(x**2) for |x| below this number, in float32:"""
_ONE_FROM = 3.9049997329711914
"""where x P rounds to Q."""
_PART_ROUNDING = 1.5 * 2.0**21  # adding it leaves the quarters in the low bits
_PARTS = (
    (
        0.0, 0.27632638812065125, 0.5204998850822449, 0.7111556529998779, 0.8427007794380188, 0.9229001402854919,
        0.9661051630973816, 0.9866716861724854, 0.9953222870826721, 0.9985373020172119, 0.9995930194854736,
        0.9998993873596191, 0.9999778866767883, 0.9999957084655762, 0.9999992847442627, 0.9999998807907104,
    ),
    (
        1.128379225730896, 1.060014247894287, 0.8787826299667358, 0.6429311037063599, 0.41510748863220215,
        0.23652112483978271, 0.11893028765916824, 0.05277499556541443, 0.02066698484122753, 0.00714231887832284,
        0.002178284339606762, 0.0005862775142304599, 0.00013925321400165558, 2.918909740401432e-05,
        5.3994517656974494e-06, 9.714390216686297e-07,
    ),
    (
        -1.4823775018157903e-05, -0.26499900221824646, -0.4393883943557739, -0.4822045564651489, -0.41510120034217834,
        -0.2956567406654358, -0.17840610444545746, -0.09236236661672592, -0.04133966192603111, -0.016074661165475845,
        -0.005438130348920822, -0.00161445583216846, -0.00041184783913195133, -9.770884935278445e-05,
        -2.600305015221238e-05, -2.1988377341131127e-07,
    ),
    (
        -0.37554118037223816, -0.3091975748538971, -0.14648038148880005, 0.026774026453495026, 0.1383710354566574,
        0.1675347536802292, 0.13875220715999603, 0.09015792608261108, 0.04822345823049545, 0.021724656224250793,
        0.008350004442036152, 0.002760250587016344, 0.0007890175329521298, 0.00019577299826778471,
        4.228284888085909e-05, 9.886112820822746e-06,
    ),
    (
        -0.007364776451140642, 0.1260923594236374, 0.18212482333183289, 0.15066422522068024, 0.06885503232479095,
        -0.0055380817502737045, -0.04361657425761223, -0.04761242866516113, -0.03414618968963623, -0.01890384405851364,
        -0.009055646136403084, -0.003173304023221135, -0.0013586200075224042, -0.00014557407121174037,
        0.00029404772794805467, -0.00013527322153095156,
    ),
    (
        0.14145685732364655, 0.08112391829490662, 0.008329910226166248, -0.05208207666873932, -0.06905926018953323,
        -0.04706713929772377, -0.014936696738004684, 0.006494399160146713, 0.013008399866521358, 0.01064147986471653,
        0.006130540743470192, 0.00277348468080163, 0.001027212361805141, 0.00031847477657720447, 8.372376032639295e-05,
        1.881894604593981e-05,
    ),
)  # fmt: skip
"""Coefficients of erf(n / 4 + u) for |u| <= 1/8, from the constant on. The last part reaches 1 at 3.87."""


def erf(x: Expr, target: Target) -> Expr:
    """Error function, 1.9 ulp: a polynomial near zero, another beyond, an exponential in float64.

    In float32 on AVX-512 one of 16 polynomials, 2.3 ulp.
    """
    size = magnitude(x)
    if target.avx512 and x.dtype is FLOAT32:
        bounded = at_most(size, 3.87)
        shifted = bounded + _PART_ROUNDING
        coefficients = [table(shifted.bitcast(INT32), part, FLOAT32) for part in _PARTS]
        return with_sign_of(polynomial(bounded - (shifted - _PART_ROUNDING), coefficients), x)
    small = _near_zero(x)
    if x.dtype is FLOAT64:
        return select(size < 0.7, small, with_sign_of(1.0 - _complement(size, target), x))
    large = split_polynomial(at_most(size, 4.0) - _LARGE_CENTRE, _LARGE)
    return select(size < 0.9277, small, with_sign_of(large, x))


def erfc(x: Expr, target: Target) -> Expr:
    """1 - erf x, 3.8 ulp, without cancellation where x is positive."""
    size = magnitude(x)
    outer = _complement(size, target)
    return select(size < 0.61, 1.0 - _near_zero(x), select(x < 0.0, 2.0 - outer, outer))


def one_plus_erf(x: Expr, target: Target) -> Expr:
    """1 + erf x. In float32, with few registers, a quotient of polynomials: 4 ulp where the sum is at least one, an error
    of at most 4.8e-7 below. It is 2 from 4 on, and 0 below -4.

    What erf loses near zero does not count in the sum, which the polynomials of `erf` would take more steps for than the
    division.
    """
    if x.dtype is not FLOAT32 or not target.has_few_registers or not target.fma:
        return erf(x, target) + 1.0
    bounded = at_most(at_least(x, -_ONE_FROM), _ONE_FROM)
    square = bounded * bounded
    below = polynomial(square, _BELOW)
    return (bounded * polynomial(square, _ABOVE) + below) / below


def _near_zero(x: Expr) -> Expr:
    return fma(x, polynomial(x * x, _SMALL[x.dtype]), x)


def _complement(size: Expr, target: Target) -> Expr:
    """erfc for size > 0.6: the exponential of the exact square, times a polynomial that hardly varies."""
    dtype = size.dtype
    bounded = at_most(size, _BEYOND[dtype])
    square, lost = two_product(bounded, bounded, target)
    centre = _SCALED_CENTRE[dtype]
    scaled = polynomial((bounded - centre) / (bounded + centre), _SCALED[dtype]) / fma(bounded, 2.0, 1.0)
    return exp_of_sum(-square, -lost, target) * scaled


def erfinv(x: Expr, target: Target) -> Expr:
    """The inverse of erf, 2.7 ulp, infinite at -1 and 1, nan beyond; float64 is refined by one step."""
    size = magnitude(x)
    missing = 1.0 - size
    depth = -log(missing * (1.0 + size), target)
    value = size * (_slope_single(depth) if x.dtype is FLOAT32 else _slope(depth))
    if x.dtype is FLOAT64:
        value = _halley(value, size, missing, target)
    return with_sign_of(select(size.equal(1.0), literal(math.inf, x.dtype), value), x)


def _slope_single(depth: Expr) -> Expr:
    """erfinv x over x, of -log(1 - x**2)."""
    central = polynomial(depth - 3.0, _INVERSE_CENTRAL_SINGLE)
    tail = polynomial(square_root(at_most(depth, 17.0)) - 3.25, _INVERSE_TAIL_SINGLE)
    return select(depth < 6.0, central, tail)


def _slope(depth: Expr) -> Expr:
    central = polynomial(depth - 3.125, _INVERSE_CENTRAL)
    tail = polynomial(square_root(at_most(depth, 40.0)) - 4.0, _INVERSE_TAIL)
    return select(depth < 6.25, central, tail)


def _halley(value: Expr, size: Expr, missing: Expr, target: Target) -> Expr:
    """One step towards erf(result) = size, by erfc where that is small."""
    error = select(value < 0.6, size - _near_zero(value), _complement(value, target) - missing)
    step = error * (math.sqrt(math.pi) / 2.0) * exp(value * value, target)
    return value + step / (1.0 - value * step)
