"""Singular values and eigenvalues of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.ir.types import TensorType
from optc.ops.composite import declare_composite
from optc.ops.element_types import HALVES, WHOLE, check_type, unimplemented
from optc.ops.hosted import declare_hosted
from optc.ops.matrices import (
    LinAlgError,
    adjoint,
    check_fraction,
    check_matrix,
    check_square,
    minimum_extent,
)
from optc.ops.promotion import complex_type, operand_type, real_type
from optc.ops.shapes import known_shape

Array = np.ndarray[Any, Any]


# Singular values -----------------------------------------------------------------------------------------------------


def _infer_svd(a: TensorType, full: bool, driver: str | None, compute: bool = True) -> Any:
    check_fraction(a, "linalg.svd", kernel="linalg_svd_cpu")
    batch, rows, columns = check_matrix(a, "linalg.svd")
    if driver is not None:
        raise RuntimeError(
            "torch.linalg.svd: keyword argument `driver=` is only supported on CUDA inputs with cuSOLVER backend."
        )
    count = minimum_extent(rows, columns)
    values = TensorType(real_type(operand_type(a)), (*batch, count))
    left, right = (rows, columns) if full else (count, count)
    return a.with_shape((*batch, rows, left)), values, a.with_shape((*batch, right, columns))


def _decomposed(a: Array, full: bool) -> tuple[Array, Array, Array]:
    if a.size:
        try:
            u, s, v = np.linalg.svd(a, full_matrices=full)
            return u, s, v
        except np.linalg.LinAlgError:
            raise LinAlgError(
                "linalg.svd: The algorithm failed to converge because the input matrix is ill-conditioned or has too many "
                "repeated singular values (error code: 1)."
            ) from None
    rows, columns = a.shape[-2:]
    left, right = (rows, columns) if full else (min(rows, columns),) * 2
    u = np.broadcast_to(np.eye(rows, left, dtype=a.dtype), (*a.shape[:-2], rows, left))
    v = np.broadcast_to(np.eye(right, columns, dtype=a.dtype), (*a.shape[:-2], right, columns))
    return u, np.zeros((*a.shape[:-2], min(rows, columns)), a.real.dtype), v


declare_hosted(
    "aten::linalg_svd(Tensor A, bool full_matrices=True, *, str? driver=None) -> (Tensor U, Tensor S, Tensor Vh)",
    _infer_svd,
    lambda a, full, driver: _decomposed(a, full),
    may_fail=True,
)
declare_hosted(
    "aten::linalg_svdvals(Tensor A, *, str? driver=None) -> Tensor",
    lambda a, driver: _infer_svd(a, False, driver)[1],
    lambda a, driver: np.linalg.svd(a, compute_uv=False) if a.size else _decomposed(a, False)[1],
    may_fail=True,
    out="out",
)


def _infer_old_svd(a: TensorType, some: bool, compute: bool) -> Any:
    if len(known_shape(a)) < 2:
        raise RuntimeError(
            f"linalg.svd: input should have at least 2 dimensions, but has {len(known_shape(a))} dimensions instead"
        )
    u, s, v = _infer_svd(a, not some and compute, None)
    batch, rows, columns = check_matrix(a, "linalg.svd")
    if not compute:
        return a.with_shape((*batch, rows, rows)), s, a.with_shape((*batch, columns, columns))
    return u, s, a.with_shape((*known_shape(v)[:-2], known_shape(v)[-1], known_shape(v)[-2]))


def _old_svd(a: Array, some: bool, compute: bool) -> tuple[Array, Array, Array]:
    u, s, v = _decomposed(a, not some and compute)
    if compute:
        return u, s, adjoint(v)
    rows, columns = a.shape[-2:]
    return np.zeros((*a.shape[:-2], rows, rows), a.dtype), s, np.zeros((*a.shape[:-2], columns, columns), a.dtype)


declare_hosted(
    "aten::svd(Tensor self, bool some=True, bool compute_uv=True) -> (Tensor U, Tensor S, Tensor V)",
    _infer_old_svd,
    _old_svd,
    may_fail=True,
)


# Eigenvalues ---------------------------------------------------------------------------------------------------------


def _infer_eigh(a: TensorType, triangle: str, name: str = "linalg.eigh") -> Any:
    batch, count = check_square(a, name)
    dtype = operand_type(a)
    if 0 not in known_shape(a):
        check_type(unimplemented("linalg_eigh_cpu", WHOLE | HALVES), dtype)
    if triangle.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {triangle}")
    return TensorType(real_type(dtype), (*batch, count)), a.with_shape(known_shape(a))


def _eigh(a: Array, triangle: str) -> tuple[Array, Array]:
    if not a.size:
        return np.zeros(a.shape[:-1], a.real.dtype), a.copy()
    values, vectors = np.linalg.eigh(a, "U" if triangle.upper() == "U" else "L")
    return values, vectors


declare_hosted(
    'aten::linalg_eigh(Tensor self, str UPLO="L") -> (Tensor eigenvalues, Tensor eigenvectors)', _infer_eigh, _eigh
)
declare_composite(
    'aten::linalg_eigvalsh(Tensor self, str UPLO="L") -> Tensor',
    lambda b, a, triangle: b("aten::linalg_eigh", a, triangle)[0],
    out="out",
)


def _infer_eig(a: TensorType, name: str = "linalg.eig") -> Any:
    batch, count = check_square(a, name)
    dtype = complex_type(operand_type(a))
    check_fraction(a, name, kernel="linalg_eig_out_cpu")
    return TensorType(dtype, (*batch, count)), TensorType(dtype, known_shape(a))


def _finite(a: Array) -> Array:
    if not np.isfinite(a).all():
        raise RuntimeError("torch.linalg.eig: input tensor should not contain infs or NaNs.")
    return a


def _eig(a: Array) -> tuple[Array, Array]:
    if not a.size:
        return np.zeros(a.shape[:-1], np.complex64), np.zeros(a.shape, np.complex64)
    values, vectors = np.linalg.eig(_finite(a))
    return values, vectors


declare_hosted("aten::linalg_eig(Tensor self) -> (Tensor eigenvalues, Tensor eigenvectors)", _infer_eig, _eig,
               may_fail=True)  # fmt: skip
declare_hosted(
    "aten::linalg_eigvals(Tensor self) -> Tensor",
    lambda a: _infer_eig(a)[0],
    lambda a: np.linalg.eigvals(_finite(a)) if a.size else np.zeros(a.shape[:-1], np.complex64),
    may_fail=True,
    out="out",
)
