"""erf, erfc, erfinv."""

from __future__ import annotations

import math

from optc.codegen.kernels.functions.arithmetic import (
    ROUNDING,
    at_least,
    at_most,
    fma,
    magnitude,
    polynomial,
    single,
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

_NORMAL_PARTS_PER_UNIT = 2.84403657913208  # 31 parts of the numbers from -5.45 to 5.45, where the function reaches 1
_NORMAL_BOUNDS = (-16.0 / _NORMAL_PARTS_PER_UNIT, 15.49 / _NORMAL_PARTS_PER_UNIT)
_NORMAL = (
    (
        0.5, 0.500028669834137, 0.5004523396492004, 0.497337281703949, 0.47333744168281555, 0.4150471091270447,
        0.3503926992416382, 0.3403056263923645, 0.4202980399131775, 0.5673325657844543, 0.7409088611602783,
        0.8682909607887268, 0.9423995614051819, 0.9781361222267151, 0.9942973256111145, 0.9979185461997986, 0.0,
        0.0016721144784241915, 0.0053755007684230804, 0.018016448244452477, 0.057976242154836655,
        0.13074630498886108, 0.26509371399879456, 0.4280277490615845, 0.5842818021774292, 0.6627509593963623,
        0.6504811644554138, 0.5850155353546143, 0.526806652545929, 0.5026857852935791, 0.499546617269516,
        0.49997061491012573,
    ),
    (
        0.398939311504364, 0.3984602093696594, 0.39513716101646423, 0.40821829438209534, 0.4848788380622864,
        0.6320959329605103, 0.7674254775047302, 0.7874027490615845, 0.6676004528999329, 0.4706319272518158,
        0.2622159421443939, 0.1241021528840065, 0.050679657608270645, 0.018025923520326614, 0.0043596005998551846,
        0.0015199276385828853, 0.0, 0.0012092965189367533, 0.004093530587852001, 0.014652665704488754,
        0.05103721469640732, 0.12310398370027542, 0.26907530426979065, 0.4647884666919708, 0.6741016507148743,
        0.7923890352249146, 0.7690736055374146, 0.6322394013404846, 0.48529577255249023, 0.40830689668655396,
        0.3951307535171509, 0.39845091104507446,
    ),
    (
        1.6131783695527702e-06, 0.003138879081234336, 0.01312820240855217, -0.007486410904675722,
        -0.0996616780757904, -0.23944196105003357, -0.3458254635334015, -0.36048105359077454, -0.2931564152240753,
        -0.19414880871772766, -0.10024560987949371, -0.044065479189157486, -0.01677853614091873,
        -0.005586882121860981, -0.0012517353752627969, -0.00041675797547213733, 0.0, 0.0003283764235675335,
        0.0011706111254170537, 0.004478083457797766, 0.016906071454286575, 0.04367752745747566, 0.10318396240472794,
        0.19139021635055542, 0.29661524295806885, 0.3635290265083313, 0.3469899892807007, 0.2395649254322052,
        0.10011301189661026, 0.0076133632101118565, -0.013142399489879608, -0.003182440297678113,
    ),
    (
        -0.06610864400863647, -0.0764494240283966, -0.09007352590560913, -0.07562309503555298, -0.026171568781137466,
        0.03296387195587158, 0.07018735259771347, 0.07491911947727203, 0.05809374153614044, 0.03596171736717224,
        0.017145896330475807, 0.006985049229115248, 0.0024765683338046074, 0.0007713441154919565,
        0.00015995917783584446, 5.085083103040233e-05, 0.0, 3.967653537984006e-05, 0.0001489683927502483,
        0.0006093996344134212, 0.002496780129149556, 0.006918058265000582, 0.017705118283629417,
        0.035383183509111404, 0.058911167085170746, 0.07574654370546341, 0.07055269181728363, 0.03301062807440758,
        -0.025954922661185265, -0.0755426362156868, -0.09008722752332687, -0.07653600722551346,
    ),
    (
        -5.240238897386007e-05, 0.01560353022068739, 0.022700516507029533, 0.018898624926805496,
        0.008909618481993675, -0.0004956762422807515, -0.005386922042816877, -0.005955246742814779,
        -0.004377439618110657, -0.0025210536550730467, -0.001106331474147737, -0.0004169012827333063,
        -0.0001374751445837319, -4.001961860922165e-05, -7.675405868212692e-06, -2.329399421796552e-06, 0.0,
        1.799693563953042e-06, 7.1171361923916265e-06, 3.115207073278725e-05, 0.00013867598318029195,
        0.00041256481199525297, 0.0011462282855063677, 0.0024755748454481363, 0.0044498443603515625,
        0.006039414554834366, 0.005429859738796949, 0.0005023324629291892, -0.00887070782482624,
        -0.018879584968090057, -0.02270543947815895, -0.015665285289287567,
    ),
)  # fmt: skip
"""Coefficients of the normal distribution function, from the constant on: for numbers around n / _NORMAL_PARTS_PER_UNIT at n modulo
32. What n = -16 stands for is 0."""


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
    of at most 4.8e-7 below. It is 2 from 4 on, and 0 below -4. On AVX-512 twice the normal distribution function.

    What erf loses near zero does not count in the sum, which the polynomials of `erf` would take more steps for than the
    division.
    """
    if x.dtype is FLOAT32 and target.avx512:
        return _normal(x, 2.0)
    if x.dtype is not FLOAT32 or not target.has_few_registers or not target.fma:
        return erf(x, target) + 1.0
    bounded = at_most(at_least(x, -_ONE_FROM), _ONE_FROM)
    square = bounded * bounded
    below = polynomial(square, _BELOW)
    return (bounded * polynomial(square, _ABOVE) + below) / below


def half_of_one_plus_erf(x: Expr) -> Expr:
    """(1 + erf x) / 2 in float32 on AVX-512: an error of at most 1.6e-7."""
    return _normal(x, 1.0)


def _normal(x: Expr, factor: float) -> Expr:
    """The normal distribution function of sqrt(2) x times a power of two: one of 31 polynomials, of the number that is
    multiplied by sqrt(1/2) where x is that."""
    number = _over_root_of_half(x)
    bounded = at_most(at_least(number, _NORMAL_BOUNDS[0]), _NORMAL_BOUNDS[1])
    shifted = fma(bounded, _NORMAL_PARTS_PER_UNIT, ROUNDING[FLOAT32])
    coefficients = (tuple(factor * coefficient for coefficient in part) for part in _NORMAL)
    return polynomial(bounded, [table(shifted.bitcast(INT32), part, FLOAT32) for part in coefficients])


def _over_root_of_half(x: Expr) -> Expr:
    """x sqrt(2): what x is the product of and sqrt(1/2), if it is one."""
    for factor, number in (x.args, x.args[::-1]) if x.op == "mul" else ():
        if factor.op == "const" and single(factor.value) == single(math.sqrt(0.5)):
            return number
    return x * math.sqrt(2.0)


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
