"""Zeta, polygamma and incomplete gamma functions, computed by numpy over whole arrays, in double precision."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from optc.ir.types import TensorType
from optc.ops import special
from optc.ops.composite import declare_composite
from optc.ops.element_types import BOOLS, COMPLEXES, HALVES, WHOLE, check_type, refusal, unimplemented
from optc.ops.hosted import declare_hosted
from optc.ops.promotion import default_float, float_result, operand_type, result_type
from optc.ops.shapes import broadcast_shapes, known_shape

Array = np.ndarray[Any, Any]


def _infer_pair(x: Any, y: Any) -> TensorType:
    dtype = float_result(result_type(x, y))
    return TensorType(dtype, broadcast_shapes(*(known_shape(item) for item in (x, y) if isinstance(item, TensorType))))


def _doubles(*operands: Any) -> list[Array]:
    return list(np.broadcast_arrays(*(np.asarray(item).astype(np.float64) for item in operands)))


# Hurwitz' zeta function ----------------------------------------------------------------------------------------------

_EULER_MACLAURIN = (
    12.0, -720.0, 30240.0, -1209600.0, 47900160.0, -1.8924375803183791606e9, 7.47242496e10, -2.950130727918164224e12,
    1.1646782814350067249e14, -4.5979787224074726105e15, 1.8152105401943546773e17, -7.1661652561756670113e18,
)  # fmt: skip
"""(2 k)! over the Bernoulli number of 2 k, for k = 1, 2 ..."""


def zeta(x: Any, q: Any) -> Array:
    """The sum of (k + q)**-x over k = 0, 1 ...: terms up to 9, then the Euler-Maclaurin formula.

    Infinite for x = 1 and at the poles q = 0, -1 ...; nan for x < 1, and for q < 0 unless x is whole.
    """
    power, start = _doubles(x, q)
    total = np.zeros(power.shape)
    place = start.copy()
    pole = (start <= 0) & (start == np.floor(start))
    turns = np.where((start <= 0) & ~pole, np.ceil(9 - start), 9.0)
    for turn in range(int(np.max(np.where(np.isfinite(turns), turns, 0), initial=0)) + 1):
        active = turn <= turns
        total = np.where(active, total + place**-power, total)
        place = np.where(active & (turn < turns), place + 1, place)
    last = place**-power
    total += last * place / (power - 1) - 0.5 * last
    factor, falling = np.ones(power.shape), last
    for number, divisor in enumerate(_EULER_MACLAURIN):
        factor = factor * (power + 2 * number)
        falling = falling / place
        total += factor * falling / divisor
        factor = factor * (power + 2 * number + 1)
        falling = falling / place
    total = np.where((start < 0) & ~pole & (power != np.floor(power)), np.nan, total)
    total = np.where(pole, np.inf, total)
    total = np.where(power < 1, np.nan, total)
    return np.where(power == 1, np.inf, total)


for _overload, _arguments in (
    ("", "Tensor self, Tensor other"),
    (".other_scalar", "Tensor self, Scalar other"),
    (".self_scalar", "Scalar self, Tensor other"),
):
    declare_hosted(
        f"aten::special_zeta{_overload}({_arguments}) -> Tensor",
        _infer_pair,
        zeta,
        refuses=unimplemented("zeta_cpu", HALVES | COMPLEXES),
    )


# Derivatives of lgamma -----------------------------------------------------------------------------------------------


def _infer_polygamma(n: int, x: TensorType) -> TensorType:
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    dtype = operand_type(x)
    check_type(unimplemented(("digamma", "trigamma")[n] if n < 2 else "polygamma", COMPLEXES), dtype)
    return TensorType(float_result(dtype) if dtype.kind != "float" else dtype, known_shape(x))


def _trigamma(x: Array) -> Array:
    """The asymptotic series behind six steps of the recurrence; reflection below 1/2, in the type of x, as PyTorch
    does it: near the poles the result is what is left of pi in that type.
    """
    one, pi = x.dtype.type(1), x.dtype.type(math.pi)
    mirrored = x < 0.5
    place = np.where(mirrored, one - x, x)
    total = np.where(mirrored, -((pi / np.sin(pi * x)) ** 2), one - one)
    for _ in range(6):
        total = total + one / (place * place)
        place = place + one
    square = one / (place * place)
    series = (one / 6) - square * ((one / 30) - square * (one / 42))
    total = total + (one + one / (2 * place) + square * series) / place
    return np.asarray(np.where(mirrored, -total, total))


def _polygamma(n: int, x: Array) -> Array:
    if n == 1:
        return _trigamma(x.astype(np.float64 if x.dtype == np.float64 else np.float32))
    wide = x.astype(np.float64)
    if n == 0:
        return np.asarray(special.digamma(wide))
    return np.asarray((1.0 if n % 2 else -1.0) * math.gamma(n + 1.0) * zeta(n + 1.0, wide))


declare_hosted("aten::polygamma(int n, Tensor self) -> Tensor", _infer_polygamma, _polygamma)
declare_hosted("aten::special_polygamma(int n, Tensor self) -> Tensor", _infer_polygamma, _polygamma)


def _build_multigamma(b: Any, x: Any, p: int) -> Any:
    if p < 1:
        raise RuntimeError("p has to be greater than or equal to 1")
    dtype = operand_type(b.type(x))
    check_type(refusal(BOOLS, "The input tensor may not be a boolean tensor."), dtype)
    code = (dtype if dtype.kind == "float" else default_float()).code
    check_type(unimplemented("arange_cpu", COMPLEXES), dtype)
    halves = b("aten::arange.start_step", -p / 2 + 0.5, 0.5, 0.5, dtype=code)
    spread = b("aten::add.Tensor", b("aten::unsqueeze", x, -1), halves)
    total = b("aten::sum.dim_IntList", b("aten::lgamma", spread), [-1])
    return b("aten::add.Scalar", total, p * (p - 1) / 4 * math.log(math.pi))


for _name in ("mvlgamma", "special_multigammaln"):
    declare_composite(
        f"aten::{_name}(Tensor self, int p) -> Tensor", _build_multigamma, inplace=_name == "mvlgamma", out="out"
    )


# Incomplete gamma functions ------------------------------------------------------------------------------------------

_EPSILON = 2.0**-53
_TURNS = 2000


def _prefactor(a: Array, x: Array) -> Array:
    """x**a exp(-x) / gamma(a)."""
    return np.asarray(np.exp(a * np.log(x) - x - special.lgamma(a)))


def _lower_series(a: Array, x: Array) -> Array:
    """P(a, x) by its power series; for x <= 1 or x <= a."""
    term = np.ones(a.shape)
    total, step = term.copy(), a.copy()
    for _ in range(_TURNS):
        step = step + 1
        term = term * x / step
        total = total + term
        if not np.any(term > _EPSILON * total):
            break
    return total * _prefactor(a, x) / a


def _upper_fraction(a: Array, x: Array) -> Array:
    """Q(a, x) by its continued fraction (Lentz' method); for x > 1 and x > a."""
    tiny = 1e-300
    b = x + 1 - a
    c = np.full(a.shape, 1 / tiny)
    d = 1 / np.where(b == 0, tiny, b)
    value = d.copy()
    for turn in range(1, _TURNS):
        step = -turn * (turn - a)
        b = b + 2
        d = step * d + b
        d = 1 / np.where(np.abs(d) < tiny, tiny, d)
        c = b + step / c
        c = np.where(np.abs(c) < tiny, tiny, c)
        change = c * d
        value = value * change
        if not np.any(np.abs(change - 1) > _EPSILON):
            break
    return value * _prefactor(a, x)


def _regularized(a: Any, x: Any, upper: bool) -> Array:
    shape_, place = _doubles(a, x)
    inside = (shape_ > 0) & (place > 0) & np.isfinite(shape_) & np.isfinite(place)
    safe_shape, safe_place = np.where(inside, shape_, 1.0), np.where(inside, place, 1.0)
    series_fits = (safe_place <= 1) | (safe_place <= safe_shape)
    low = _lower_series(safe_shape, np.where(series_fits, safe_place, 0.5))
    high = _upper_fraction(np.where(series_fits, 1.0, safe_shape), np.where(series_fits, 2.0, safe_place))
    value = np.where(series_fits, 1 - low if upper else low, high if upper else 1 - high)
    return _limits(shape_, place, np.where(inside, value, np.nan), upper)


def _limits(a: Array, x: Array, value: Array, upper: bool) -> Array:
    all_, none = (0.0, 1.0) if upper else (1.0, 0.0)
    value = np.where(np.isinf(x) & (a > 0) & np.isfinite(a), all_, value)
    value = np.where(np.isinf(a) & (a > 0) & np.isfinite(x) & (x >= 0), none, value)
    value = np.where((x == 0) & (a > 0), none, value)
    value = np.where((a == 0) & (x > 0), all_, value)
    return np.where((a < 0) | (x < 0) | ((a == 0) & (x == 0)), np.nan, value)


def _declare_incomplete(name: str, compute: Callable[..., Array], **traits: Any) -> None:
    declare_hosted(f"aten::{name}(Tensor self, Tensor other) -> Tensor", _infer_pair, compute, **traits)


for _name, _is_upper in (
    ("igamma", False),
    ("igammac", True),
    ("special_gammainc", False),
    ("special_gammaincc", True),
):
    _declare_incomplete(
        _name, lambda a, x, upper=_is_upper: _regularized(a, x, upper), inplace=_name.startswith("igamma"), out="out",
        refuses=unimplemented("igammac_cpu" if _is_upper else "igamma_cpu", WHOLE | COMPLEXES),
    )  # fmt: skip
