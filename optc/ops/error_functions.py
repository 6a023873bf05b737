"""Functions around the normal distribution and the entropy: erfcx, ndtr, log_ndtr, ndtri, entr, x log y."""

from __future__ import annotations

import math
from typing import Any

from optc.ops.composite import declare_composite
from optc.ops.element_types import COMPLEXES, unimplemented
from optc.ops.scalar import Expr, function, literal, select
from optc.ops.special_declarations import declare_special, series, without_halves

_ERFCX = (
    0.40802446954913146, 0.37635823567636745, 0.14758035457222363, 0.049571317930027586, 0.014227107557117175,
    0.003443493262717524, 0.000682254183283808, 0.00010340451975756187, 9.728545951990157e-06,
    -1.1988713758412968e-07, -2.1747767703448806e-07, -3.029176773599385e-08, 9.479917565167083e-10,
    8.633411695072945e-10, 6.872156425065975e-11, -1.7034898432805623e-11, -3.3921306864551433e-12,
    2.6158087066872634e-13, 1.2127676688766454e-13, -2.1146971605363106e-15, -4.1173380305059954e-15,
    -6.328403341086355e-17, 1.439234991168841e-16, 4.570084558308791e-18, -5.344710919575391e-18,
)  # fmt: skip
"""Chebyshev coefficients of erfcx(x) / t in t = 4 / (4 + x), interpolated with 40 digits."""


def erfcx(x: Expr) -> Expr:
    """exp(x**2) erfc(x)."""
    size = function("abs", x)
    t = 4.0 / (size + 4.0)
    above = series(t + t - 1.0, _ERFCX) * t
    return select(x < 0.0, function("exp", x * x) * 2.0 - above, above)


def ndtr(x: Expr) -> Expr:
    """The normal distribution function."""
    return function("erfc", x * -math.sqrt(0.5)) * 0.5


def log_ndtr(x: Expr) -> Expr:
    """log(ndtr(x)), exact far below 0."""
    t = x * math.sqrt(0.5)
    low = function("log", erfcx(-t) * 0.5) - t * t
    return select(x < -1.0, low, function("log1p", function("erfc", t) * -0.5))


_CENTRE_P = (-3.969683028665376e01, 2.209460984245205e02, -2.759285104469687e02, 1.383577518672690e02,
             -3.066479806614716e01, 2.506628277459239e00)  # fmt: skip
_CENTRE_Q = (-5.447609879822406e01, 1.615858368580409e02, -1.556989798598866e02, 6.680131188771972e01,
             -1.328068155288572e01, 1.0)  # fmt: skip
_TAIL_P = (-7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e00, -2.549732539343734e00,
           4.374664141464968e00, 2.938163982698783e00)  # fmt: skip
_TAIL_Q = (7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e00, 3.754408661907416e00, 1.0)


def _polynomial(x: Expr, coefficients: tuple[float, ...]) -> Expr:
    value = literal(coefficients[0], x.dtype)
    for coefficient in coefficients[1:]:
        value = value * x + coefficient
    return value


def _lower_quantile(p: Expr) -> Expr:
    """The quantile of p <= 1/2: P. J. Acklam's approximation, then two steps of Halley's method."""
    centred = p - 0.5
    square = centred * centred
    centre = centred * _polynomial(square, _CENTRE_P) / _polynomial(square, _CENTRE_Q)
    depth = function("sqrt", function("log", p) * -2.0)
    value = select(p < 0.02425, _polynomial(depth, _TAIL_P) / _polynomial(depth, _TAIL_Q), centre)
    for _ in range(2):
        missing = (ndtr(value) - p) * math.sqrt(2 * math.pi) * function("exp", value * value * 0.5)
        value = value - missing / (value * missing * 0.5 + 1.0)
    return value


def ndtri(p: Expr) -> Expr:
    """The normal quantile: infinite at 0 and 1, nan outside."""
    upper = p > 0.5
    value = _lower_quantile(select(upper, 1.0 - p, p))
    value = select(upper, -value, value)
    value = select(p.equal(0.0), literal(-math.inf, p.dtype), value)
    value = select(p.equal(1.0), literal(math.inf, p.dtype), value)
    outside = (p < 0.0) | (p > 1.0)
    return select(outside, literal(math.nan, p.dtype), value)


def entr(x: Expr) -> Expr:
    """-x log x: 0 at 0, -inf below."""
    value = select(x.equal(0.0), literal(0.0, x.dtype), -(x * function("log", x)))
    return select(x < 0.0, literal(-math.inf, x.dtype), value)


for _name, _function, _refused in (
    ("erfcx", erfcx, without_halves("erfcx")),
    ("ndtr", ndtr, unimplemented("erf_vml_cpu", COMPLEXES)),
    ("log_ndtr", log_ndtr, without_halves("log_ndtr")),
    ("ndtri", ndtri, without_halves("ndtri")),
    ("entr", entr, ()),
):
    declare_special(f"aten::special_{_name}(Tensor self) -> Tensor", _function, out="out", refuses=_refused)


def xlog1py(x: Expr, y: Expr) -> Expr:
    """x log(1 + y), 0 where x is 0 and y is no nan."""
    product = x * function("log1p", y)
    value = select(x.equal(0.0), literal(0.0, x.dtype), product)
    return select(y.not_equal(y), y, value)


declare_special("aten::special_xlog1py(Tensor self, Tensor other) -> Tensor", xlog1py, out="out")
declare_special("aten::special_xlog1py.other_scalar(Tensor self, Scalar other) -> Tensor", xlog1py)
declare_special("aten::special_xlog1py.self_scalar(Scalar self, Tensor other) -> Tensor", xlog1py)


# The same under other names ------------------------------------------------------------------------------------------


def _alias(schema: str, name: str, **traits: Any) -> None:
    declare_composite(f"aten::special_{schema} -> Tensor", lambda b, *arguments: b(name, *arguments), **traits)


_alias("xlogy(Tensor self, Tensor other)", "aten::xlogy.Tensor", out="out")
_alias("xlogy.other_scalar(Tensor self, Scalar other)", "aten::xlogy.Scalar_Other")
_alias("xlogy.self_scalar(Scalar self, Tensor other)", "aten::xlogy.Scalar_Self")
_alias("psi(Tensor self)", "aten::digamma", out="out")
_alias("gammaln(Tensor self)", "aten::lgamma", out="out")
_alias("sinc(Tensor self)", "aten::sinc", out="out")
_alias("logit(Tensor self, float? eps=None)", "aten::logit", out="out")
_alias("round(Tensor self, *, int decimals=0)", "aten::round.decimals", out="out")
