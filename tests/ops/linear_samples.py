"""Arguments to try the operators of linear algebra with; see `tests.ops.samples`."""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.ir import dtypes

Array = np.ndarray[Any, Any]
FLOAT64 = dtypes.FLOAT64.code


def _numbers(*shape: int, dtype: str = "float32", seed: int = 0) -> Array:
    numbers = np.random.default_rng([seed, *shape]).standard_normal(shape)
    return np.asarray(numbers).astype(dtypes.BY_NAME[dtype].numpy)


def _regular(*shape: int, dtype: str = "float32") -> Array:
    """Square matrices far from singular."""
    return np.asarray(_numbers(*shape, dtype=dtype) + 3 * np.eye(shape[-1], dtype=dtype))


def _definite(*shape: int, dtype: str = "float32") -> Array:
    """Symmetric matrices with positive eigenvalues."""
    numbers = _numbers(*shape, dtype=dtype)
    return np.asarray(numbers @ np.swapaxes(numbers, -1, -2) + np.eye(shape[-1], dtype=dtype))


def _symmetric(*shape: int, dtype: str = "float32") -> Array:
    """Symmetric matrices with eigenvalues of both signs."""
    numbers = _numbers(*shape, dtype=dtype)
    return np.asarray(numbers + np.swapaxes(numbers, -1, -2))


_SYMMETRIC, _INDEFINITE = _symmetric(2, 6, 6), np.array([[0.0, 1.0, 2.0], [1.0, 0.0, 3.0], [2.0, 3.0, 0.0]], np.float32)
_HERMITIAN = (_symmetric(4, 4) + 1j * (_numbers(4, 4) - _numbers(4, 4).T)).astype(np.complex64)
_COMPLEX = (_numbers(2, 3, 3) + 1j * _numbers(2, 3, 3, seed=1) + 3 * np.eye(3)).astype(np.complex64)
_SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]], np.float32)
_WHOLE = np.arange(9).reshape(3, 3)
_HALF = _numbers(3, 3, dtype="float16")
_SQUARES: list[Any] = [_regular(3, 3), _regular(2, 3, 3, dtype="float64"), _COMPLEX, np.zeros((0, 0), np.float32),
                       np.zeros((0, 3, 3), np.float32), _numbers(3), _numbers(2, 3), _WHOLE, _HALF]  # fmt: skip
_MATRICES: list[Any] = [_numbers(3, 2), _numbers(2, 3, dtype="float64"), _numbers(2, 2, 2), np.zeros((0, 2), np.float32),
                        _numbers(3), _WHOLE]  # fmt: skip
_LOWER = np.tril(_regular(3, 3))
_CHAIN = [_numbers(2, 3), _numbers(3, 4), _numbers(4, 2)]
_NORMED = [_numbers(3, 4), _numbers(2, 3, 4, dtype="float64")]

LINEAR: dict[str, list[Any]] = {
    "aten::linalg_cholesky": [(_definite(3, 3),), (_definite(2, 3, 3, dtype="float64"), True), (-np.eye(2, dtype="f4"),),
                              (np.stack([np.eye(2), np.array([[1.0, 0], [0, -1]])]),), (_numbers(2, 3),), (_WHOLE,)],
    "aten::cholesky": [(_definite(3, 3),), (_definite(2, 3, 3, dtype="float64"), True)],
    "aten::linalg_cholesky_ex": [(_definite(3, 3),), (np.stack([np.eye(2), np.zeros((2, 2))]),)],
    "aten::cholesky_solve": [(_numbers(3, 2), np.linalg.cholesky(_definite(3, 3))), (_numbers(2, 3, 1), _LOWER.T, True)],
    "aten::cholesky_inverse": [(np.linalg.cholesky(_definite(3, 3)),), (_LOWER.T.copy(), True)],
    "aten::linalg_lu_factor": [(_regular(3, 3),), (_numbers(2, 2, 4),), (_SINGULAR, False)],
    "aten::linalg_lu_factor_ex": [(_regular(3, 3),), (_numbers(4, 2, dtype="float64"),), (np.zeros((2, 2, 2)),)],
    "aten::_lu_with_info": [(_regular(3, 3),)],
    "aten::linalg_lu": [(_numbers(3, 3),), (_numbers(2, 3, 2),), (_numbers(2, 3),), (_numbers(3),), (_WHOLE,)],
    "aten::lu_unpack": [(_numbers(3, 3), np.array([2, 3, 3], np.int32)), (_numbers(3, 2), np.array([3, 2], np.int32), False)],
    "aten::linalg_lu_solve": [(_regular(3, 3), np.array([2, 2, 3], np.int32), _numbers(3, 2)),
                              (_regular(3, 3), np.array([2, 2, 3], np.int32), _numbers(2, 2, 3), False, True)],
    "aten::lu_solve": [(_numbers(3, 2), _regular(3, 3), np.array([2, 2, 3], np.int32))],
    "aten::linalg_ldl_factor": [(_SYMMETRIC,), (_INDEFINITE,), (_symmetric(7, 7, dtype="float64"),), (_HERMITIAN, True),
                                (_HERMITIAN, False), (_numbers(2, 3),), (_WHOLE,)],
    "aten::linalg_ldl_factor_ex": [(_SYMMETRIC,), (_INDEFINITE,), (np.zeros((2, 2), np.float32),), (np.zeros((0, 2, 2)),)],
    "aten::linalg_ldl_solve": [
        (_symmetric(5, 5), np.array([-3, -3, 3, 5, 5], np.int32), _numbers(5, 2)),
        (_symmetric(2, 5, 5), np.array([[1, 2, 3, 4, 5], [1, -4, -4, 4, 5]], np.int32), _numbers(5, 2)),
        (_HERMITIAN, np.array([2, -4, -4, 4], np.int32), _HERMITIAN[..., :2], True),
        (_numbers(2, 3), np.array([1, 2], np.int32), _numbers(2, 2)),
    ],
    "aten::linalg_qr": [(_numbers(4, 3),), (_numbers(2, 3, 4), "complete"), (_numbers(3, 2), "r"), (_numbers(3), "reduced"),
                        (_numbers(2, 2), "x")],
    "aten::qr": [(_numbers(4, 3),), (_numbers(4, 3), False)],
    "aten::geqrf": [(_numbers(4, 3),), (_numbers(2, 2, 3, dtype="float64"),)],
    "aten::linalg_householder_product": [(_numbers(4, 3), _numbers(3)), (_numbers(2, 3, 2), _numbers(2, 2)), (_numbers(2, 3), _numbers(2))],
    "aten::orgqr": [(_numbers(4, 3), _numbers(3))],
    "aten::ormqr": [(_numbers(3, 2), _numbers(2), _numbers(3, 4)), (_numbers(3, 2), _numbers(2), _numbers(4, 3), False, True)],
    "aten::linalg_svd": [(_numbers(3, 3),), (_numbers(2, 4, 2), False), (_numbers(3), True)],
    "aten::svd": [(_numbers(3, 2),), (_numbers(3, 2), True, False)],
    "aten::linalg_svdvals": _MATRICES[:-2],
    "aten::linalg_eigh": [(_definite(3, 3),), (_numbers(2, 3), "L"), (_definite(3, 3), "x")],
    "aten::linalg_eigvalsh": [(_definite(3, 3),), (_definite(2, 3, 3, dtype="float64"), "U")],
    "aten::linalg_eig": [(_numbers(2, 3),), (_WHOLE,)],
    "aten::linalg_eigvals": [(_definite(3, 3, dtype="float64"),)],
    "aten::linalg_det": _SQUARES, "aten::det": _SQUARES[:-1], "aten::linalg_slogdet": _SQUARES[:-3],
    "aten::slogdet": _SQUARES[:-3], "aten::logdet": [_regular(3, 3), -_regular(3, 3)],
    "aten::linalg_inv": [*_SQUARES, _SINGULAR, np.stack([np.eye(2), np.zeros((2, 2))])],
    "aten::inverse": [_regular(3, 3), _SINGULAR],
    "aten::linalg_inv_ex": [(_regular(3, 3),), (np.eye(3)[None],), (_SINGULAR, True)],
    "aten::linalg_solve": [(_regular(3, 3), _numbers(3)), (_regular(2, 3, 3), _numbers(2, 3)), (_regular(2, 3, 3), _numbers(3, 2)),
                           (_regular(3, 3), _numbers(2, 3), False), (_regular(3, 3), _numbers(4)), (_SINGULAR, _numbers(2)),
                           (_regular(3, 3), _numbers(3, dtype="float64")), (_WHOLE, _numbers(3))],
    "aten::linalg_solve_ex": [(_regular(3, 3), _numbers(3))],
    "aten::linalg_solve_triangular": [(_LOWER, _numbers(3, 2), False), (_LOWER.T, _numbers(2, 3), True, False, True)],
    "aten::triangular_solve": [(_numbers(3, 2), _LOWER, False), (_numbers(3, 2), _LOWER, False, True)],
    "aten::linalg_lstsq": [(_numbers(4, 2), _numbers(4, 1)), (_numbers(4, 2), _numbers(4, 2), None, "gels"),
                           (_numbers(2, 4), _numbers(2, 3), None, "gelsd"), (_numbers(4, 2), _numbers(4, 1), None, "x")],
    "aten::linalg_pinv": [(_numbers(3, 2), 1e-6), (_definite(3, 3), 1e-6, True)],
    "aten::linalg_pinv.rcond_tensor": [(_numbers(2, 3, 2), np.array([1e-6, 1e-5], np.float32))],
    "aten::linalg_pinv.atol_rtol_tensor": [(_numbers(3, 2),), (_numbers(2, 3, 2), np.array([0.1, 0.2], np.float32))],
    "aten::linalg_pinv.atol_rtol_float": [(_numbers(3, 2),), (_numbers(3, 2), 0.5, 0.1), (_WHOLE,)],
    "aten::pinverse": [_numbers(3, 2)],
    "aten::linalg_matrix_rank": [(_numbers(3, 2), 0.1)],
    "aten::linalg_matrix_rank.tol_tensor": [(_numbers(2, 3, 2), np.array([0.1, 5.0], np.float32))],
    "aten::linalg_matrix_rank.atol_rtol_tensor": [(_SINGULAR,), (_numbers(2, 3, 3), np.array([0.1, 9.0], np.float32))],
    "aten::linalg_matrix_rank.atol_rtol_float": [(_SINGULAR,), (_definite(3, 3), 0.5, None, True)],
    "aten::linalg_tensorinv": [(_regular(6, 6).reshape(2, 3, 6), 2), (_regular(6, 6).reshape(6, 3, 2), 1), (_numbers(2, 2), 1), (_numbers(2, 3), 1)],
    "aten::linalg_tensorsolve": [(_regular(6, 6).reshape(2, 3, 6), _numbers(2, 3)), (_regular(6, 6).reshape(6, 2, 3), _numbers(2, 3), [0])],
    "aten::addbmm": [(_numbers(2, 4), _numbers(5, 2, 3), _numbers(5, 3, 4)), (_numbers(4), _numbers(5, 2, 3), _numbers(5, 3, 4), 0.5, 2)],
    "aten::addmv": [(_numbers(2), _numbers(2, 3), _numbers(3)), (_numbers(2), _numbers(2, 3), _numbers(3), 0, 0.5)],
    "aten::addr": [(_numbers(2, 3), _numbers(2), _numbers(3)), (_numbers(3), _numbers(2), _numbers(3), 2, 0.5)],
    "aten::linalg_matmul": [(_numbers(2, 3), _numbers(3))],
    "aten::linalg_vecdot": [(_numbers(2, 3), _numbers(2, 3, seed=1)), (_numbers(2, 3), _numbers(2, 1), 0)],
    "aten::linalg_multi_dot": [(_CHAIN,), ([_numbers(2), *_CHAIN],), ([*_CHAIN, _numbers(2)],), (_CHAIN[:1],),
                               ([_numbers(2, 2, 2), _numbers(2)],)],
    "aten::chain_matmul": [(_CHAIN,), (_CHAIN[:1],), ([_numbers(2)],)],
    "aten::linalg_matrix_power": [(_regular(3, 3), power) for power in (0, 1, 2, 5, -2)] + [(_numbers(2, 3), 2)],
    "aten::matrix_power": [(_regular(2, 3, 3), 3)],
    "aten::linalg_matrix_exp": [_numbers(3, 3), 9 * _numbers(2, 3, 3, dtype="float64"), np.zeros((0, 0), np.float32)],
    "aten::matrix_exp": [_numbers(3, 3)],
    "aten::linalg_vander": [(_numbers(3),), (_numbers(2, 3), 2), (np.arange(3), 4), (_numbers(3), 1)],
    "aten::linalg_cond": [(_regular(3, 3), order) for order in (None, 1, -1, 2, -2, np.inf, -np.inf)] + [(_numbers(3, 2),), (_SINGULAR, 1)],
    "aten::linalg_cond.p_str": [(_regular(3, 3), "fro"), (_regular(3, 3), "nuc")],
    "aten::cdist": [(_numbers(4, 3), _numbers(2, 3, seed=1), p) for p in (0.0, 1.0, 2.0, 3.0, np.inf)]
    + [(_numbers(2, 4, 3), _numbers(5, 3)), (_numbers(3), _numbers(2, 3)), (_numbers(2, 3), _numbers(2, 4))],
    "aten::_cdist_forward": [(_numbers(4, 3), _numbers(2, 3, seed=1), 1.5, None)],
    "aten::pdist": [(_numbers(4, 3),), (_numbers(4, 3), 1.0), (_numbers(1, 3),), (_numbers(3),)],
    "aten::renorm": [(_numbers(3, 4), 2, 0, 1.0), (_numbers(2, 3, 2), 1, -1, 0.5), (_numbers(3), 2, 0, 1.0)],
    "aten::dist": [(_numbers(3), _numbers(2, 3)), (_numbers(3), _numbers(3, seed=1), 1)],
    "aten::linalg_norm": [(x, order) for x in (_numbers(3, 4), _numbers(5)) for order in (None, 1, np.inf, -2)]
    + [(_numbers(2, 3, 4),), (_numbers(2, 3, 4), 1), (_numbers(2, 3, 4), 1, [0, 2], True), (_numbers(3), 0), (_WHOLE,),
       (_COMPLEX, None, [1]), (_numbers(3, 4), None, None, False, FLOAT64)],
    "aten::linalg_norm.ord_str": [(_numbers(3, 4), "fro"), (_numbers(3, 4), "nuc"), (_numbers(3), "fro")],
    "aten::linalg_matrix_norm": [(x, order) for x in _NORMED for order in (1, -1, 2, -2, np.inf, -np.inf)]
    + [(_numbers(2, 3, 4), 1, [0, 2], True), (_numbers(2, 3), 3), (_numbers(3), 1), (_numbers(2, 3), 1, [0, 0]), (_WHOLE, 1)]
    + [(np.zeros(shape, "f4"), order) for shape in ((0, 3), (2, 3, 0)) for order in (1, 2, np.inf, -np.inf)],
    "aten::linalg_matrix_norm.str_ord": [(x, order) for x in _NORMED for order in ("fro", "nuc")] + [(_numbers(2, 3), "x")],
    "aten::nuclear_norm": [_numbers(3, 4)], "aten::nuclear_norm.dim": [(_numbers(2, 3, 4), [2, 0])],
}  # fmt: skip
