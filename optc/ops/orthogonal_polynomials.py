"""Orthogonal polynomials of given degrees, by their three-term recurrences, over whole arrays in double precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from optc.ir.types import TensorType
from optc.ops.hosted import declare_hosted
from optc.ops.promotion import float_result, result_type
from optc.ops.shapes import broadcast_shapes, known_shape
from optc.ops.special_declarations import without_halves

Array = np.ndarray[Any, Any]
Step = Callable[[Array, Array, Array, int], Array]

_HERMITE_LIMIT = {"float64": 512}
"""Degrees above this (128 for other types) give nan, as in PyTorch."""


def _infer(x: Any, n: Any) -> TensorType:
    shapes = [known_shape(item) for item in (x, n) if isinstance(item, TensorType)]
    return TensorType(float_result(result_type(x, n)), broadcast_shapes(*shapes))


def _run(x: Array, degrees: Array, first: Array, step: Step) -> Array:
    """p_0 = 1, p_1 = `first`, p_{k + 1} = step(x, p_k, p_{k - 1}, k), of each element's own degree."""
    before, value = np.ones(x.shape), first
    found = np.where(degrees == 0, before, np.where(degrees == 1, value, 0.0))
    for k in range(1, int(np.max(degrees, initial=0))):
        before, value = value, step(x, value, before, k)
        found = np.where(degrees == k + 1, value, found)
    return found


def _twice(x: Array, value: Array, before: Array, k: int) -> Array:
    return np.asarray(2 * x * value - before)


def _even(degrees: Array) -> Array:
    return np.asarray(degrees % 2 == 0)


def _signs(x: Array, degrees: Array, size: Any, sign_size: Any) -> Array:
    """`size` where x is positive or the degree even, else `sign_size`."""
    return np.asarray(np.where((x > 0) | _even(degrees), size, sign_size))


def _chebyshev_t(x: Array, n: Array) -> Array:
    value = _run(x, np.where(np.abs(x) < 1, np.minimum(n, 6), n), x, _twice)
    value = np.where((np.abs(x) < 1) & (n > 6), np.cos(n * np.arccos(np.clip(x, -1, 1))), value)
    return np.where(np.abs(x) == 1, _signs(x, n, 1.0, -1.0), value)


def _chebyshev_u(x: Array, n: Array) -> Array:
    angle = np.arccos(np.clip(x, -1, 1))
    waves = np.where(np.sin(angle) != 0, np.sin((n + 1) * angle) / np.sin(angle), (n + 1) * np.cos((n + 1) * angle) / x)
    value = _run(x, np.where(np.abs(x) < 1, np.minimum(n, 8), n), 2 * x, _twice)
    value = np.where((np.abs(x) < 1) & (n > 8), waves, value)
    return np.where(np.abs(x) == 1, _signs(x, n, n + 1.0, -(n + 1.0)), value)


def _chebyshev_v(x: Array, n: Array) -> Array:
    half = np.arccos(np.clip(x, -1, 1)) / 2
    waves = np.where(
        np.sin(half) != 1, np.cos((n + 0.5) * 2 * half) / np.cos(half), np.where(_even(n), n + 1.0, -(n + 1.0))
    )
    value = _run(x, np.where(np.abs(x) < 1, np.minimum(n, 8), n), 2 * x - 1, _twice)
    value = np.where((np.abs(x) < 1) & (n > 8), waves, value)
    value = np.where(x == -1, np.where(_even(n), 2 * n + 1.0, -(2 * n + 1.0)), value)
    return np.where(x == 1, 1.0, value)


def _chebyshev_w(x: Array, n: Array) -> Array:
    half = np.arccos(np.clip(x, -1, 1)) / 2
    waves = np.where(
        np.cos(half) != 1,
        np.sin((n + 0.5) * 2 * half) / np.sin(half),
        np.where(x > 0, 2 * n + 1.0, np.where(_even(n), 1.0, -1.0)),
    )
    value = _run(x, np.where(np.abs(x) < 1, np.minimum(n, 8), n), 2 * x + 1, _twice)
    value = np.where((np.abs(x) < 1) & (n > 8), waves, value)
    value = np.where(x == 1, 2 * n + 1.0, value)
    return np.where(x == -1, np.where(_even(n), 1.0, -1.0), value)


def _shifted(base: Callable[[Array, Array], Array]) -> Callable[[Array, Array], Array]:
    return lambda x, n: base(2 * x - 1, n)


def _hermite_h(x: Array, n: Array) -> Array:
    return _run(x, n, 2 * x, lambda x, value, before, k: 2 * (x * value - k * before))


def _hermite_he(x: Array, n: Array) -> Array:
    return _run(x, n, x, lambda x, value, before, k: x * value - k * before)


def _laguerre(x: Array, n: Array) -> Array:
    value = _run(x, n, 1 - x, lambda x, value, before, k: ((2 * k + 1 - x) * value - k * before) / (k + 1))
    return np.where(x == 0, 1.0, value)


def _legendre(x: Array, n: Array) -> Array:
    value = _run(x, n, x, lambda x, value, before, k: ((2 * k + 1) * x * value - k * before) / (k + 1))
    return np.where(np.abs(x) == 1, _signs(x, n, 1.0, -1.0), value)


def _frame(base: Callable[[Array, Array], Array], is_hermite: bool) -> Callable[[Any, Any], Array]:
    def compute(x: Any, n: Any) -> Array:
        places, degrees = np.broadcast_arrays(np.asarray(x).astype(np.float64), np.asarray(n).astype(np.float64))
        whole = np.trunc(np.where(np.isfinite(degrees), degrees, -1)).astype(np.int64)
        limit = _HERMITE_LIMIT.get(float_result(result_type(x, n)).name, 128)
        value = base(places, np.minimum(whole, limit) if is_hermite else whole)
        value = np.where(whole > limit, np.nan, value) if is_hermite else value
        return np.where(whole < 0, 0.0, value)

    return compute


for _name, _base in (
    ("chebyshev_polynomial_t", _chebyshev_t),
    ("chebyshev_polynomial_u", _chebyshev_u),
    ("chebyshev_polynomial_v", _chebyshev_v),
    ("chebyshev_polynomial_w", _chebyshev_w),
    ("shifted_chebyshev_polynomial_t", _shifted(_chebyshev_t)),
    ("shifted_chebyshev_polynomial_u", _shifted(_chebyshev_u)),
    ("shifted_chebyshev_polynomial_v", _shifted(_chebyshev_v)),
    ("shifted_chebyshev_polynomial_w", _shifted(_chebyshev_w)),
    ("hermite_polynomial_h", _hermite_h),
    ("hermite_polynomial_he", _hermite_he),
    ("laguerre_polynomial_l", _laguerre),
    ("legendre_polynomial_p", _legendre),
):
    for _overload, _arguments in (("", "Tensor x, Tensor n"), (".x_scalar", "Scalar x, Tensor n"),
                                  (".n_scalar", "Tensor x, Scalar n")):  # fmt: skip
        declare_hosted(
            f"aten::special_{_name}{_overload}({_arguments}) -> Tensor",
            _infer,
            _frame(_base, "hermite" in _name),
            refuses=without_halves(_name),
        )
