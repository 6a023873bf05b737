"""Arguments to try special functions with, where generated ones are of no use; see `tests.ops.samples`."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

_PLACES = np.array([-30, -8.5, -2.5, -1, -0.5, 0, 0.3, 1, 2.5, 7.5, 8.5, 40, np.inf, np.nan], np.float32)
_DEGREES = np.array([0, 1, 2, 5, 9, -1])
_POLYNOMIALS = [
    *(f"{kind}chebyshev_polynomial_{letter}" for kind in ("", "shifted_") for letter in "tuvw"),
    "hermite_polynomial_h", "hermite_polynomial_he", "laguerre_polynomial_l", "legendre_polynomial_p",
]  # fmt: skip

_ROWS = np.array([[3.0, 1, 2, 5], [np.nan, 4, 0, 1], [-1, 2, 2, 7]], np.float32)
_QUANTILES = [(_ROWS, 0.3), (_ROWS, 0.5, 1, True), (_ROWS[:, 1:], 0.4, 0, False, "midpoint"), (_ROWS, 0.3, 1, False, "x"),
              (np.arange(4), 0.5), (_ROWS, 1.5), (_ROWS[:0], 0.5), (_ROWS, 0.6, 1, False, "higher")]  # fmt: skip
_FRACTIONS = np.array([0, 0.25, 0.9], np.float32)

_NUMBERS, _EDGES = np.arange(24, dtype=np.float32).reshape(8, 3) % 7, np.array([-1, 0.5, 2, 5.5], np.float32)
_SHARES = np.linspace(0.5, 2, 8).astype(np.float32)
_HISTOGRAMS: dict[str, list[Any]] = {
    "aten::histogram.bins_tensor": [(_NUMBERS, _EDGES), (_NUMBERS[:, 0], _EDGES, _SHARES, True), (_PLACES, _EDGES), (_NUMBERS, _EDGES[:1]),
                                    (_NUMBERS, _EDGES[None]), (_NUMBERS, _EDGES.astype("f8")), (_NUMBERS, _EDGES[:0])],
    "aten::histogram.bin_ct": [(_NUMBERS, 4), (_NUMBERS[:, 0], 5, [0.5, 4.5], _SHARES, True), (_NUMBERS[:0], 3), (np.ones(3), 2), (_PLACES, 3, [-2.0, 2.0]),
                               (_PLACES, 3), (_NUMBERS, 0), (_NUMBERS, 3, [1.0, 0.0]), (_NUMBERS, 3, [1.0]), (np.arange(3), 2), (_NUMBERS, 3, None, _SHARES)],
    "aten::histogramdd": [(_NUMBERS, [2, 3, 1]), (_NUMBERS, [2, 1, 3], [0.0, 4, 1, 6, 0, 5], _SHARES, True), (_NUMBERS, [2, 3]), (_NUMBERS[:, 0], [3])],
    "aten::histogramdd.int_bins": [(_NUMBERS, 2), (_NUMBERS[..., None].reshape(2, 4, 3), 3, None, _SHARES.reshape(2, 4))],
    "aten::histogramdd.TensorList_bins": [(_NUMBERS, [_EDGES, _EDGES[:2], _EDGES[1:]]), (_NUMBERS, [_EDGES], None, _SHARES, True)],
}  # fmt: skip

SPECIAL: dict[str, list[Any]] = {
    **_HISTOGRAMS,
    "aten::equal": [(_ROWS, _ROWS), (_ROWS[1:], _ROWS[1:]), (_ROWS, _ROWS[:1]), (np.ones(2), np.ones(2, np.int64)), (_ROWS[:0], _ROWS[:0])],
    "aten::quantile.scalar": _QUANTILES, "aten::nanquantile.scalar": _QUANTILES,
    **{f"aten::{name}": [(_ROWS, _FRACTIONS, 1), (_ROWS, np.array(0.25, np.float32), 0, True), (_ROWS, _FRACTIONS + 1), (_ROWS, _FRACTIONS.astype("f8")),
                         (_ROWS, _FRACTIONS, 1, True, "nearest")] for name in ("quantile", "nanquantile")},
    **{f"aten::special_{name}": [_PLACES, np.linspace(-1, 2, 7), np.arange(4)]
       for name in ("erfcx", "log_ndtr", "spherical_bessel_j0", "modified_bessel_k0", "scaled_modified_bessel_k1")},
    **{f"aten::special_{name}": [_PLACES, np.arange(4), np.ones(2, np.float16)] for name in ("bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "airy_ai")},
    "aten::special_ndtri": [np.array([0, 1e-8, 0.01, 0.3, 0.5, 0.8, 1, 1.5, np.nan], np.float32), np.linspace(0, 1, 9)],
    **{f"aten::special_{name}": [(np.linspace(-1.5, 1.5, 7)[:, None].astype(np.float32), _DEGREES)] for name in _POLYNOMIALS},
    **{f"aten::special_{name}.x_scalar": [(0.5, _DEGREES)] for name in _POLYNOMIALS},
    **{f"aten::special_{name}.n_scalar": [(np.linspace(-1.5, 1.5, 7), 3)] for name in _POLYNOMIALS},
    "aten::polygamma": [(n, np.array([-1.5, 0.3, 1, 4.5, 20], np.float32)) for n in (0, 1, 2, 4)] + [(-1, np.ones(2, np.float32)), (1, np.arange(1, 4))],
    "aten::special_polygamma": [(2, np.array([0.5, 3]))],
    "aten::special_zeta": [(np.array([0.5, 1, 1.5, 2, 3], np.float32)[:, None], np.array([-1.5, -1, 0, 0.5, 4, 20], np.float32))],
    "aten::special_zeta.self_scalar": [(2, np.array([0.5, 3], np.float32))], "aten::special_zeta.other_scalar": [(np.array([2.5, 3]), 1)],
    "aten::mvlgamma": [(np.array([1.5, 4], np.float32), 2), (np.array([3, 4]), 3), (np.ones(2, np.float32), 0)],
    "aten::special_multigammaln": [(np.array([1.5, 4]), 2)],
    **{f"aten::{name}": [(np.array([0, 0.5, 3, 40, np.inf], np.float32)[:, None], np.array([0, 0.2, 3, 50, np.inf, -1], np.float32))]
       for name in ("igamma", "igammac", "special_gammainc", "special_gammaincc")},
    "aten::special_logit": [(np.array([0.1, 0.5, 0.9], np.float32), 1e-6)],
    "aten::special_round": [(np.array([0.123, 4.567], np.float32),)],
}  # fmt: skip
