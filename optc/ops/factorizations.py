"""Factorisations of matrices: Cholesky, LU and QR."""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.ir.dtypes import INT32
from optc.ir.types import TensorType
from optc.ops.element_types import HALVES, WHOLE, check_type, unimplemented
from optc.ops.hosted import declare_hosted
from optc.ops.matrices import (
    LinAlgError,
    adjoint,
    check_fraction,
    check_matrix,
    check_square,
    first_failure,
    minimum_extent,
    per_matrix,
)
from optc.ops.promotion import operand_type
from optc.ops.shapes import format_shape, known_shape

Array = np.ndarray[Any, Any]


# Cholesky ------------------------------------------------------------------------------------------------------------


def _infer_cholesky(x: TensorType, upper: bool, check: bool = True, name: str = "linalg.cholesky") -> Any:
    check_fraction(x, name, kernel="cholesky_cpu")
    batch, _ = check_square(x, name)
    return x.with_shape(known_shape(x)), TensorType(INT32, batch)


def _one_cholesky(a: Array) -> tuple[Array, int]:
    """The lower factor, and the order of the first leading minor that is not positive (0 when all are)."""
    try:
        found = np.linalg.cholesky(a)
        if not np.isnan(np.diagonal(found)).any():  # numpy lets a nan pass
            return found, 0
    except np.linalg.LinAlgError:
        pass
    factor = np.tril(a).copy()
    for k in range(len(a)):
        rest = (factor[k, k] - np.sum(np.abs(factor[k, :k]) ** 2)).real
        if not rest > 0:
            return factor, k + 1
        factor[k, k] = np.sqrt(rest)
        below = factor[k + 1 :, k] - factor[k + 1 :, :k] @ np.conj(factor[k, :k])
        factor[k + 1 :, k] = below / factor[k, k]
    return factor, 0


def cholesky_factor(a: Array, upper: bool) -> tuple[Array, Array]:
    """The factors of a stack of matrices, of which one triangle is read, and the `info` of each."""
    if not a.size:
        return a.copy(), np.zeros(a.shape[:-2], np.int32)
    lower = adjoint(a) if upper else a
    factor, info = per_matrix(_one_cholesky, 2, np.ascontiguousarray(lower))
    return adjoint(factor) if upper else factor, info


def checked_cholesky(a: Array, upper: bool, name: str = "linalg.cholesky") -> tuple[Array, Array]:
    """The same; RuntimeError with torch's text for the first matrix that is not positive-definite."""
    factor, info = cholesky_factor(a, upper)
    failure = first_failure(info)
    if failure is not None:
        where, order = failure
        raise LinAlgError(
            f"{name}: {where}The factorization could not be completed because the input is not positive-definite "
            f"(the leading minor of order {order} is not positive-definite)."
        )
    return factor, info


declare_hosted(
    "aten::linalg_cholesky(Tensor self, *, bool upper=False) -> Tensor",
    lambda x, upper: _infer_cholesky(x, upper)[0],
    lambda x, upper: checked_cholesky(x, upper)[0],
    kernel="matrix_cholesky",
    may_fail=True,
    out="out",
)
declare_hosted(
    "aten::cholesky(Tensor self, bool upper=False) -> Tensor",
    lambda x, upper: _infer_cholesky(x, upper, name="cholesky")[0],
    lambda x, upper: checked_cholesky(x, upper, "cholesky")[0],
    kernel="matrix_cholesky",
    may_fail=True,
    out="out",
    refuses=unimplemented("cholesky_cpu", WHOLE | HALVES, takes_empty=True),
)
declare_hosted(
    "aten::linalg_cholesky_ex(Tensor self, *, bool upper=False, bool check_errors=False) -> (Tensor L, Tensor info)",
    _infer_cholesky,
    lambda x, upper, check: checked_cholesky(x, upper) if check else cholesky_factor(x, upper),
    kernel="matrix_cholesky",
    may_fail=True,
)


# LU ------------------------------------------------------------------------------------------------------------------


def lu_factors(a: Array) -> tuple[Array, Array, Array]:
    """L below and U on and above the diagonal, the row each row was exchanged with (from 1), the first zero pivot.

    Gaussian elimination of all matrices of a stack at once, with the largest element of a column as its pivot.
    """
    batch, rows, columns = a.shape[:-2], a.shape[-2], a.shape[-1]
    lu = a.reshape(int(np.prod(batch)), rows, columns).copy()
    count = min(rows, columns)
    pivots = np.tile(np.arange(1, count + 1, dtype=np.int32), (len(lu), 1))
    info = np.zeros(len(lu), np.int32)
    every = np.arange(len(lu))
    for k in range(count):
        largest = k + np.argmax(np.abs(lu[:, k:, k].real) + np.abs(lu[:, k:, k].imag), axis=1)
        pivots[:, k] = largest + 1
        lu[every, k], lu[every, largest] = lu[every, largest].copy(), lu[every, k].copy()
        diagonal = lu[:, k, k]
        zero = diagonal == 0
        info[zero & (info == 0)] = k + 1
        lu[:, k + 1 :, k] /= np.where(zero, lu.dtype.type(1), diagonal)[:, None]
        lu[:, k + 1 :, k + 1 :] -= lu[:, k + 1 :, k, None] * lu[:, k, None, k + 1 :]
    return lu.reshape(a.shape), pivots.reshape(*batch, count), info.reshape(batch)


def permutation_of(pivots: Array, rows: int) -> Array:
    """The order of rows that exchanging each row with its pivot's leaves."""
    flat = pivots.reshape(-1, pivots.shape[-1]) if pivots.shape[-1] else np.zeros((int(np.prod(pivots.shape[:-1])), 0))
    order = np.tile(np.arange(rows), (len(flat), 1))
    every = np.arange(len(flat))
    for k in range(flat.shape[1]):
        other = flat[:, k].astype(np.int64) - 1
        order[every, k], order[every, other] = order[every, other].copy(), order[every, k].copy()
    return order.reshape(*pivots.shape[:-1], rows)


def permutation_matrix(pivots: Array, rows: int, dtype: np.dtype[Any]) -> Array:
    """P with A = P L U."""
    order = permutation_of(pivots, rows)
    return np.asarray(np.arange(rows)[:, None] == order[..., None, :]).astype(dtype)


def triangles(lu: Array) -> tuple[Array, Array]:
    """L with ones on its diagonal, and U."""
    count = min(lu.shape[-2:])
    return np.tril(lu[..., :count], -1) + np.eye(lu.shape[-2], count, dtype=lu.dtype), np.triu(lu[..., :count, :])


def _check_pivoting(pivot: bool, name: str) -> None:
    if not pivot:
        raise RuntimeError(f"linalg.{name}: LU without pivoting is not implemented on the CPU")


def _infer_lu_factor(a: TensorType, pivot: bool, check: bool = True, name: str = "linalg.lu_factor_ex") -> Any:
    batch, rows, columns = check_matrix(a, f"torch.{name}")
    if 0 not in known_shape(a):
        check_type(unimplemented("lu_cpu", WHOLE | HALVES), operand_type(a))
    _check_pivoting(pivot, "lu_factor")
    return (
        a.with_shape(known_shape(a)), TensorType(INT32, (*batch, minimum_extent(rows, columns))),
        TensorType(INT32, batch),
    )  # fmt: skip


def _checked_lu(a: Array) -> tuple[Array, Array, Array]:
    lu, pivots, info = lu_factors(a)
    failure = first_failure(info)
    if failure is not None:
        raise LinAlgError(
            f"torch.linalg.lu_factor: {failure[0]}U[{failure[1]},{failure[1]}] is zero and using it on lu_solve would "
            "result in a division by zero. If you still want to perform the factorization, consider calling "
            "linalg.lu(A, pivot) or linalg.lu_factor_ex(A, pivot)"
        )
    return lu, pivots, info


declare_hosted(
    "aten::linalg_lu_factor(Tensor A, *, bool pivot=True) -> (Tensor LU, Tensor pivots)",
    lambda a, pivot: _infer_lu_factor(a, pivot)[:2],
    lambda a, pivot: _checked_lu(a)[:2],
    kernel="matrix_factor",
    may_fail=True,
)
declare_hosted(
    "aten::linalg_lu_factor_ex(Tensor A, *, bool pivot=True, bool check_errors=False) -> "
    "(Tensor LU, Tensor pivots, Tensor info)",
    _infer_lu_factor,
    lambda a, pivot, check: _checked_lu(a) if check else lu_factors(a),
    kernel="matrix_factor",
    may_fail=True,
)
declare_hosted(
    "aten::_lu_with_info(Tensor self, bool pivot=True, bool check_errors=True) -> "
    "(Tensor LU, Tensor pivots, Tensor info)",
    _infer_lu_factor,
    lambda a, pivot, check: _checked_lu(a) if check else lu_factors(a),
    kernel="matrix_factor",
    may_fail=True,
)


def _infer_lu(a: TensorType, pivot: bool) -> Any:
    if len(known_shape(a)) < 2:
        raise RuntimeError(
            f"linalg.lu: Expected tensor with 2 or more dimensions. Got size: {format_shape(known_shape(a))} instead"
        )
    if operand_type(a).kind not in ("float", "complex") or operand_type(a).itemsize == 2:
        raise NotImplementedError(f"\"lu_cpu\" not implemented for '{operand_type(a).label}'")
    _check_pivoting(pivot, "lu_factor")
    batch, rows, columns = check_matrix(a, "linalg.lu")
    count = minimum_extent(rows, columns)
    permutation = (*batch, rows, rows)
    return a.with_shape(permutation), a.with_shape((*batch, rows, count)), a.with_shape((*batch, count, columns))


def _lu(a: Array, pivot: bool) -> tuple[Array, Array, Array]:
    lu, pivots, _ = lu_factors(a)
    return (permutation_matrix(pivots, a.shape[-2], a.dtype), *triangles(lu))


declare_hosted("aten::linalg_lu(Tensor A, *, bool pivot=True) -> (Tensor P, Tensor L, Tensor U)", _infer_lu, _lu)


def _infer_lu_unpack(lu: TensorType, pivots: TensorType, data: bool, unpack_pivots: bool) -> Any:
    batch, rows, columns = check_matrix(lu, "torch.lu_unpack", "LU_data")
    if unpack_pivots and pivots.dtype is not INT32:
        raise RuntimeError(
            "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 dtype.\n"
            "Note: this function is intended to be used with the output produced by torch.linalg.lu_factor"
        )
    count = minimum_extent(rows, columns)
    none = lu.with_shape((0,))
    permutation = lu.with_shape((*batch, rows, rows)) if unpack_pivots else none
    if not data:
        return permutation, none, none
    return permutation, lu.with_shape((*batch, rows, count)), lu.with_shape((*batch, count, columns))


def _lu_unpack(lu: Array, pivots: Array, data: bool, unpack_pivots: bool) -> tuple[Array, Array, Array]:
    none = np.zeros(0, lu.dtype)
    permutation = permutation_matrix(pivots, lu.shape[-2], lu.dtype) if unpack_pivots else none
    lower, upper = triangles(lu) if data else (none, none)
    return permutation, lower, upper


declare_hosted(
    "aten::lu_unpack(Tensor LU_data, Tensor LU_pivots, bool unpack_data=True, bool unpack_pivots=True) -> "
    "(Tensor P, Tensor L, Tensor U)",
    _infer_lu_unpack,
    _lu_unpack,
)


# QR ------------------------------------------------------------------------------------------------------------------


def _infer_qr(a: TensorType, mode: str, name: str = "linalg.qr") -> Any:
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or 'complete'"
        )
    batch, rows, columns = check_matrix(a, "linalg.qr")
    check_fraction(a, "linalg.qr", kernel="geqrf_cpu")
    count = rows if mode == "complete" else minimum_extent(rows, columns)
    q = (0,) if mode == "r" else (*batch, rows, count)
    return a.with_shape(q), a.with_shape((*batch, count, columns))


def _qr(a: Array, mode: str) -> tuple[Array, Array]:
    if mode == "r":
        return np.zeros(0, a.dtype), np.asarray(np.linalg.qr(a, "r"))
    rows, columns = a.shape[-2:]
    if not min(rows, columns) or not a.size:
        count = rows if mode == "complete" else min(rows, columns)
        q = np.broadcast_to(np.eye(rows, count, dtype=a.dtype), (*a.shape[:-2], rows, count))
        return q, np.zeros((*a.shape[:-2], count, columns), a.dtype)
    q, r = np.linalg.qr(a, "complete" if mode == "complete" else "reduced")
    return q, r


declare_hosted('aten::linalg_qr(Tensor A, str mode="reduced") -> (Tensor Q, Tensor R)', _infer_qr, _qr)
declare_hosted(
    "aten::qr(Tensor self, bool some=True) -> (Tensor Q, Tensor R)",
    lambda a, some: _infer_qr(a, "reduced" if some else "complete"),
    lambda a, some: _qr(a, "reduced" if some else "complete"),
)


def _infer_geqrf(a: TensorType) -> Any:
    batch, rows, columns = check_matrix(a, "torch.geqrf", "input")
    if 0 not in known_shape(a):
        check_type(unimplemented("geqrf_cpu", WHOLE | HALVES), operand_type(a))
    return a.with_shape(known_shape(a)), a.with_shape((*batch, minimum_extent(rows, columns)))


def _geqrf(a: Array) -> tuple[Array, Array]:
    if not a.size:
        return a.copy(), np.zeros((*a.shape[:-2], min(a.shape[-2:])), a.dtype)
    reflectors, scales = np.linalg.qr(a, "raw")
    return np.swapaxes(reflectors, -1, -2), scales


declare_hosted("aten::geqrf(Tensor self) -> (Tensor a, Tensor tau)", _infer_geqrf, _geqrf)


def _infer_householder(a: TensorType, tau: TensorType) -> TensorType:
    name = "torch.linalg.householder_product"
    batch, rows, columns = check_matrix(a, name, "input")
    if isinstance(rows, int) and isinstance(columns, int) and rows < columns:
        raise RuntimeError(f"{name}: input.shape[-2] must be greater than or equal to input.shape[-1]")
    if len(known_shape(tau)) != len(known_shape(a)) - 1:
        raise RuntimeError(
            f"{name}: Expected tau to have one dimension less than input, but got tau.ndim equal to "
            f"{len(known_shape(tau))} and input.ndim is equal to {len(known_shape(a))}"
        )
    if a.dtype is not tau.dtype:
        raise RuntimeError(f"{name}: tau dtype {tau.dtype} does not match input dtype {a.dtype}")
    return a.with_shape((*batch, rows, columns))


def reflect(a: Array, tau: Array, target: Array, order: Any) -> Array:
    """Apply the reflections 1 - tau v v^H, v below the diagonal of `a`, to the rows of `target` in the given order."""
    target = target.copy()
    for k in order:
        v = a[..., :, k].copy()
        v[..., :k], v[..., k] = 0, 1
        projected = np.einsum("...r,...rc->...c", np.conj(v), target)
        target -= tau[..., k, None, None] * v[..., :, None] * projected[..., None, :]
    return target


def _householder_product(a: Array, tau: Array) -> Array:
    start = np.broadcast_to(np.eye(*a.shape[-2:], dtype=a.dtype), a.shape)
    return reflect(a, tau, start, reversed(range(tau.shape[-1])))


_NO_REFLECTIONS = unimplemented("orgqr_cpu", WHOLE | HALVES)
declare_hosted(
    "aten::linalg_householder_product(Tensor input, Tensor tau) -> Tensor",
    _infer_householder,
    _householder_product,
    refuses=_NO_REFLECTIONS,
)
declare_hosted("aten::orgqr(Tensor self, Tensor input2) -> Tensor", _infer_householder, _householder_product,
               refuses=_NO_REFLECTIONS)  # fmt: skip


def _ormqr(a: Array, tau: Array, other: Array, left: bool, transpose: bool) -> Array:
    forwards = range(tau.shape[-1])
    if left:
        return reflect(a, np.conj(tau) if transpose else tau, other, forwards if transpose else reversed(forwards))
    # other Q is the adjoint of Q^H other^H.
    turned = reflect(
        a, tau if transpose else np.conj(tau), adjoint(other), reversed(forwards) if transpose else forwards
    )
    return adjoint(turned)


def _infer_ormqr(a: TensorType, tau: TensorType, other: TensorType, left: bool, transpose: bool) -> TensorType:
    for item, argument in ((a, "input"), (other, "other")):
        if len(known_shape(item)) < 2:
            raise RuntimeError(f"torch.ormqr: {argument} must have at least 2 dimensions.")
    rows = known_shape(other)[-2 if left else -1]
    if rows != known_shape(a)[-2]:
        raise RuntimeError(f"torch.ormqr: other.shape[{-2 if left else -1}] must be equal to input.shape[-2]")
    return other.with_shape(known_shape(other))


declare_hosted(
    "aten::ormqr(Tensor self, Tensor input2, Tensor input3, bool left=True, bool transpose=False) -> Tensor",
    _infer_ormqr,
    _ormqr,
)
