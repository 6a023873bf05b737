"""Special functions that numpy lacks, in double precision over whole arrays.

`erf`, `erfc`: the rational approximations of W. J. Cody, "Rational Chebyshev approximation for the error function",
Mathematics of Computation 23 (1969), accurate to a few units of the last place of a double. `erfinv`: the rational
approximation of P. J. Acklam's normal quantile, refined by Halley's method on `erfc`. `lgamma`, `digamma`: Lanczos'
and the asymptotic series with recurrence and reflection (Abramowitz and Stegun 6.1 and 6.3).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from optc.ops.scalar import register_numpy

Array = np.ndarray[Any, Any]

_SMALL_P = (1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2, 3.77485237685302021e2,
            3.20937758913846947e3)  # fmt: skip
_SMALL_Q = (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3)
_MIDDLE_P = (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e1,
             2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
             1.23033935479799725e3)  # fmt: skip
_MIDDLE_Q = (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
             3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3)  # fmt: skip
_LARGE_P = (1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
            1.60837851487422766e-2, 6.58749161529837803e-4)  # fmt: skip
_LARGE_Q = (1.0, 2.56852019228982242e0, 1.87295284992346725e0, 5.27905102951428412e-1, 6.05183413124413191e-2,
            2.33520497626869185e-3)  # fmt: skip


def _polynomial(x: Array, coefficients: tuple[float, ...]) -> Array:
    result = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        result = result * x + coefficient
    return result


def _erf_small(x: Array) -> Array:
    """erf for |x| <= 0.46875."""
    square = x * x
    return x * _polynomial(square, _SMALL_P) / _polynomial(square, _SMALL_Q)


def _erfc_positive(y: Array) -> Array:
    """erfc for y > 0.46875, with the exponential split so that squaring loses no digits."""
    middle = _polynomial(y, _MIDDLE_P) / _polynomial(y, _MIDDLE_Q)
    inverse = 1.0 / (y * y)
    tail = inverse * _polynomial(inverse, _LARGE_P) / _polynomial(inverse, _LARGE_Q)
    large = (1.0 / math.sqrt(math.pi) - tail) / y
    rounded = np.trunc(y * 16.0) / 16.0
    rest = (y - rounded) * (y + rounded)
    return np.exp(-rounded * rounded) * np.exp(-rest) * np.where(y <= 4.0, middle, large)


def erf(x: Any) -> Array:
    """The error function; the result has the type of x, computed in double."""
    given = np.asarray(x)
    value = given.astype(np.float64)
    magnitude = np.minimum(np.abs(value), 30.0)
    with np.errstate(all="ignore"):
        outer = np.copysign(1.0 - _erfc_positive(np.maximum(magnitude, 0.4)), value)
        result = np.where(magnitude <= 0.46875, _erf_small(value), outer)
    return np.asarray(np.where(np.isnan(value), value, result)).astype(given.dtype)


def erfc(x: Any) -> Array:
    """1 - erf(x) without cancellation; the result has the type of x, computed in double."""
    given = np.asarray(x)
    value = given.astype(np.float64)
    magnitude = np.minimum(np.abs(value), 30.0)
    with np.errstate(all="ignore"):
        tail = _erfc_positive(np.maximum(magnitude, 0.4))
        result = np.where(magnitude <= 0.46875, 1.0 - _erf_small(value), np.where(value < 0, 2.0 - tail, tail))
    return np.asarray(np.where(np.isnan(value), value, result)).astype(given.dtype)


_ACKLAM_CENTRE_P = (-3.969683028665376e01, 2.209460984245205e02, -2.759285104469687e02, 1.383577518672690e02,
                    -3.066479806614716e01, 2.506628277459239e00)  # fmt: skip
_ACKLAM_CENTRE_Q = (-5.447609879822406e01, 1.615858368580409e02, -1.556989798598866e02, 6.680131188771972e01,
                    -1.328068155288572e01, 1.0)  # fmt: skip
_ACKLAM_TAIL_P = (-7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e00, -2.549732539343734e00,
                  4.374664141464968e00, 2.938163982698783e00)  # fmt: skip
_ACKLAM_TAIL_Q = (7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e00, 3.754408661907416e00,
                  1.0)  # fmt: skip


def _normal_quantile(p: Array) -> Array:
    """The quantile of p <= 1/2, to nine digits."""
    q = p - 0.5
    r = q * q
    centre = q * _polynomial(r, _ACKLAM_CENTRE_P) / _polynomial(r, _ACKLAM_CENTRE_Q)
    t = np.sqrt(-2.0 * np.log(p))
    return np.where(p < 0.02425, _polynomial(t, _ACKLAM_TAIL_P) / _polynomial(t, _ACKLAM_TAIL_Q), centre)


def erfinv(x: Any) -> Array:
    """The inverse of erf; infinite at -1 and 1, nan outside. The result has the type of x, computed in double."""
    given = np.asarray(x)
    value = given.astype(np.float64)
    with np.errstate(all="ignore"):
        target = 1.0 - np.abs(value)
        y = -_normal_quantile(target / 2.0) / math.sqrt(2.0)
        for _ in range(3):
            missing = np.where(target > 0.5, np.abs(value) - erf(y), erfc(y) - target)
            error = missing / (2.0 / math.sqrt(math.pi) * np.exp(-y * y))
            y = y + error / (1.0 + y * error)
        small = np.abs(value) < 1e-3
        cubed = value * value
        series = value * math.sqrt(math.pi) / 2.0 * (1.0 + cubed * (math.pi / 12.0 + cubed * 7.0 * math.pi**2 / 480.0))
        result = np.where(small, series, np.copysign(y, value))
        result = np.where(np.abs(value) == 1.0, np.copysign(np.inf, value), result)
    return np.asarray(np.where(np.abs(value) > 1.0, np.nan, result)).astype(given.dtype)


def lgamma(x: Any) -> Array:
    """log |gamma(x)|, infinite at the poles; computed by the C library in double."""
    given = np.asarray(x)

    def one(value: float) -> float:
        if math.isnan(value):
            return value
        if math.isinf(value) or (value <= 0 and value == math.floor(value)):
            return math.inf
        try:
            return math.lgamma(value)
        except OverflowError:  # beyond 2.55e305
            return math.inf

    return np.asarray(np.vectorize(one, otypes=[np.float64])(given.astype(np.float64))).astype(given.dtype)


_DIGAMMA_SERIES = (1.0 / 12.0, -1.0 / 120.0, 1.0 / 252.0, -1.0 / 240.0, 1.0 / 132.0, -691.0 / 32760.0, 1.0 / 12.0)


def digamma(x: Any) -> Array:
    """The derivative of lgamma: recurrence up to 10, then the asymptotic series; reflection below 0.

    -inf at 0, +inf at -0.0, nan at the other poles, as in torch.
    """
    given = np.asarray(x)
    value = given.astype(np.float64)
    with np.errstate(all="ignore"):
        positive = np.where(value < 0, 1.0 - value, value)
        shift = np.zeros_like(positive)
        for _ in range(10):
            low = positive < 10.0
            shift = np.where(low, shift - 1.0 / positive, shift)
            positive = np.where(low, positive + 1.0, positive)
        inverse = 1.0 / (positive * positive)
        series = inverse * _polynomial(inverse, tuple(reversed(_DIGAMMA_SERIES)))
        result = np.log(positive) - 0.5 / positive - series + shift
        result = np.where(value < 0, result - math.pi / np.tan(math.pi * (value - np.trunc(value))), result)
        result = np.where(value == 0, np.copysign(np.inf, -value), result)
        pole = (value < 0) & (value == np.floor(value))
    return np.asarray(np.where(pole, np.nan, result)).astype(given.dtype)


for _name, _meaning in (("erf", erf), ("erfc", erfc), ("erfinv", erfinv), ("lgamma", lgamma), ("digamma", digamma)):
    register_numpy(_name, _meaning)


# Sums of powers -------------------------------------------------------------------------------------------------------


def log_of_powers(x: Array, y: Array) -> Array:
    """log(exp(x) + exp(y)), of complex numbers as well."""
    if x.dtype.kind != "c":
        return np.logaddexp(x, y)
    is_lower = (x.real < y.real) | np.isnan(x.real)
    low, high = np.where(is_lower, x, y), np.where(is_lower, y, x)
    is_same_end = ~np.isfinite(low.real) & (low.real == high.real)
    value = np.log1p(np.exp(low - np.where(is_same_end, 0, high))) + high
    value = np.where(is_same_end, np.where(low.real < 0, low, np.log(np.exp(low) + np.exp(high))), value)
    return np.asarray(np.where(np.isnan(low), complex(math.nan, math.nan), value)).astype(x.dtype)


def log_of_powers_so_far(x: Array, axis: int) -> Array:
    """log(sum(exp)) of all elements up to each."""
    if x.dtype.kind != "c":
        return np.asarray(np.logaddexp.accumulate(x, axis))
    moved = np.moveaxis(x, axis, 0).copy()
    for place in range(1, len(moved)):
        moved[place] = log_of_powers(moved[place - 1], moved[place])
    return np.moveaxis(moved, 0, axis).copy()
