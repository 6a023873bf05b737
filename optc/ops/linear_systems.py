"""Systems of linear equations: solutions, inverses, determinants."""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.ir.dims import Dim
from optc.ir.dtypes import INT32
from optc.ir.types import TensorType
from optc.ops.abstract import UndecidedExtents, UndecidedShape, same_dim
from optc.ops.composite import declare_composite
from optc.ops.element_types import HALVES, WHOLE, check_type, unimplemented
from optc.ops.factorizations import lu_factors, permutation_of
from optc.ops.hosted import declare_hosted
from optc.ops.matrices import (
    LinAlgError,
    adjoint,
    check_fraction,
    check_matrix,
    check_same_type,
    check_square,
    first_failure,
)
from optc.ops.promotion import operand_type, real_type
from optc.ops.shapes import Shape, broadcast_shapes, known_shape

Array = np.ndarray[Any, Any]


# Determinants --------------------------------------------------------------------------------------------------------


def _check_factored(a: TensorType, name: str) -> None:
    """`det` refuses half where it is factored, the others before."""
    check_fraction(a, name, kernel="lu_cpu" if name == "linalg.det" else "")


def _infer_det(a: TensorType, name: str = "linalg.det") -> TensorType:
    batch, _ = check_square(a, name)
    _check_factored(a, name)
    return a.with_shape(batch)


def _diagonal_and_sign(b: Any, a: Any) -> tuple[Any, Any]:
    """The diagonal of U, and the sign of the order of rows in which A = L U."""
    factors, pivots, _ = b("aten::linalg_lu_factor_ex", a)
    own_places = b("aten::arange.start", 1, b.shape(a)[-1] + 1, dtype=INT32.code)
    exchanged = b("aten::sum.dim_IntList", b("aten::ne.Tensor", pivots, own_places), [-1])
    odd = b("aten::bitwise_and.Scalar", exchanged, 1)
    sign = b("aten::sub.Tensor", b("aten::ones_like", odd), b("aten::mul.Scalar", odd, 2))
    return b("aten::diagonal", factors, 0, -2, -1), b("aten::to.dtype", sign, real_type(b.type(a).dtype).code)


def _build_det(b: Any, a: Any) -> Any:
    diagonal, sign = _diagonal_and_sign(b, a)
    return b("aten::mul.Tensor", b("aten::prod.dim_int", diagonal, -1), sign)


def _build_slogdet(b: Any, a: Any) -> Any:
    diagonal, sign = _diagonal_and_sign(b, a)
    signs = b("aten::prod.dim_int", b("aten::sgn", diagonal), -1)
    sizes = b("aten::sum.dim_IntList", b("aten::log", b("aten::abs", diagonal)), [-1])
    return b("aten::mul.Tensor", signs, sign), sizes


def _build_logdet(b: Any, a: Any) -> Any:
    sign, size = _build_slogdet(b, a)
    if b.type(a).dtype.is_complex:
        return b("aten::add.Tensor", b("aten::log", sign), size)
    return b("aten::where.ScalarSelf", b("aten::eq.Scalar", sign, -1), np.nan, size)


for _schema in ("linalg_det(Tensor A)", "det(Tensor self)"):
    declare_hosted(f"aten::{_schema} -> Tensor", _infer_det, np.linalg.det, decompose=_build_det)


def _infer_slogdet(a: TensorType) -> Any:
    batch, _ = check_square(a, "linalg.slogdet")
    _check_factored(a, "linalg.slogdet")
    return a.with_shape(batch), TensorType(real_type(operand_type(a)), batch)


for _schema in ("linalg_slogdet(Tensor A)", "slogdet(Tensor self)"):
    declare_hosted(f"aten::{_schema} -> (Tensor sign, Tensor logabsdet)", _infer_slogdet, np.linalg.slogdet,
                   decompose=_build_slogdet)  # fmt: skip


def _logdet(a: Array) -> Array:
    sign, size = np.linalg.slogdet(a)
    if a.dtype.kind == "c":
        return np.asarray(np.log(sign) + size)
    return np.asarray(np.where(sign == -1, np.nan, size))


declare_hosted(
    "aten::logdet(Tensor self) -> Tensor", lambda a: _infer_det(a, "logdet"), _logdet, decompose=_build_logdet
)


# Inverses ------------------------------------------------------------------------------------------------------------


def _infer_inverse(a: TensorType, check: bool = False, name: str = "linalg.inv") -> Any:
    batch, _ = check_square(a, name)
    check_fraction(a, name)
    return a.with_shape(known_shape(a)), TensorType(INT32, batch)


def _inverse(a: Array) -> tuple[Array, Array]:
    """Inverses, and for every matrix the place of the first zero pivot (0 where there is none)."""
    info = np.zeros(a.shape[:-2], np.int32)
    try:
        return np.linalg.inv(a), info
    except np.linalg.LinAlgError:
        pass
    info = lu_factors(a)[2]
    safe = np.where((info != 0)[..., None, None], np.eye(a.shape[-1], dtype=a.dtype), a)
    return np.linalg.inv(safe), info


def _checked_inverse(a: Array, name: str = "linalg.inv") -> tuple[Array, Array]:
    inverse, info = _inverse(a)
    failure = first_failure(info)
    if failure is not None:
        where, place = failure
        raise LinAlgError(
            f"{name}: {where}The diagonal element {place} is zero, the inversion could not be completed because the "
            "input matrix is singular."
        )
    return inverse, info


def _identity(b: Any, a: Any) -> Any:
    """As many unit matrices as there are matrices."""
    shape = b.shape(a)
    return b("aten::expand", b("aten::eye.m", shape[-2], shape[-1], dtype=b.type(a).dtype.code), list(shape))


def _build_inverse(b: Any, a: Any) -> Any:
    return b("aten::linalg_solve", a, _identity(b, a))


def _build_inverse_ex(b: Any, a: Any, check: bool) -> Any:
    return b("aten::linalg_solve_ex", a, _identity(b, a), True, check)


for _schema in ("linalg_inv(Tensor A)", "inverse(Tensor self)"):
    declare_hosted(
        f"aten::{_schema} -> Tensor", lambda a: _infer_inverse(a)[0], lambda a: _checked_inverse(a)[0],
        decompose=_build_inverse, may_fail=True, out="out",
    )  # fmt: skip
declare_hosted(
    "aten::linalg_inv_ex(Tensor A, *, bool check_errors=False) -> (Tensor inverse, Tensor info)",
    _infer_inverse,
    lambda a, check: _checked_inverse(a, "linalg.inv_ex") if check else _inverse(a),
    decompose=_build_inverse_ex,
    may_fail=True,
)


# Solutions -----------------------------------------------------------------------------------------------------------


def is_vector(a: Shape, b: Shape) -> bool:
    """True where the right side of a system holds vectors, not matrices: one for each matrix of a batch, or one at all."""
    if len(b) == 1:
        return True
    if len(b) != len(a) - 1:
        return False
    same = [same_dim(mine, other) for mine, other in zip(a[:-1], b)]
    if False in same:
        return False
    if None in same:
        raise UndecidedShape("are the right sides of a system vectors or matrices?")
    return True


def _infer_solve(a: TensorType, b: TensorType, left: bool, check: bool = True, name: str = "linalg.solve") -> Any:
    batch, count = check_square(a, name)
    check_fraction(a, name, kernel="lu_cpu")
    check_same_type(a, b, name)
    shape = known_shape(b)
    vector = is_vector(known_shape(a), shape)
    if not left and vector:
        raise RuntimeError(
            "linalg.solve: Vector broadcasting of the left hand side is not supported for left=False. In this case "
            "linalg.solve is equivalent to B / A.squeeze(-1)"
        )
    if vector:
        rows: Dim = shape[-1]
        result: Shape = (*batch, count)
    else:
        check_matrix(b, name, "B")
        rows = shape[-2 if left else -1]
        result = (*broadcast_shapes(batch, shape[:-2]), *shape[-2:])
    _check_rows(a, b.with_shape((*shape, 1)) if vector else b, rows, count, left, name)
    return b.with_shape(result), TensorType(INT32, batch)


def _check_rows(a: TensorType, b: TensorType, rows: Dim, count: Dim, left: bool, name: str) -> None:
    same = same_dim(rows, count)
    if same is None:
        raise UndecidedExtents("do the sides of a system of equations fit?", (rows, count))
    if same:
        return
    mine, other = known_shape(a)[-2:], known_shape(b)[-2:]
    raise RuntimeError(
        f"{name}: Incompatible shapes of A and B for the equation {'AX = B' if left else 'XA = B'} "
        f"({mine[0]}x{mine[1]} and {'x'.join(map(str, other))})"
    )


def _solve(a: Array, b: Array, left: bool) -> tuple[Array, Array]:
    info = np.zeros(a.shape[:-2], np.int32)
    vector = is_vector(a.shape, b.shape)
    right = b[..., None] if vector else b
    system = a if left else np.swapaxes(a, -1, -2)
    right = right if left else np.swapaxes(right, -1, -2)
    batch = np.broadcast_shapes(a.shape[:-2], right.shape[:-2])
    try:
        found = np.linalg.solve(system, np.broadcast_to(right, (*batch, *right.shape[-2:])))
    except np.linalg.LinAlgError:
        info = lu_factors(a)[2]
        safe = np.where((info != 0)[..., None, None], np.eye(a.shape[-1], dtype=a.dtype), system)
        found = np.linalg.solve(safe, np.broadcast_to(right, (*batch, *right.shape[-2:])))
    found = found if left else np.swapaxes(found, -1, -2)
    return found[..., 0] if vector else found, info


def _checked_solve(a: Array, b: Array, left: bool) -> tuple[Array, Array]:
    found, info = _solve(a, b, left)
    failure = first_failure(info)
    if failure is not None:
        raise LinAlgError(f"torch.linalg.solve: {failure[0]}The solver failed because the input matrix is singular.")
    return found, info


declare_hosted(
    "aten::linalg_solve(Tensor A, Tensor B, *, bool left=True) -> Tensor",
    lambda a, b, left: _infer_solve(a, b, left)[0],
    lambda a, b, left: _checked_solve(a, b, left)[0],
    kernel="matrix_solve",
    may_fail=True,
    out="out",
)
declare_hosted(
    "aten::linalg_solve_ex(Tensor A, Tensor B, *, bool left=True, bool check_errors=False) -> "
    "(Tensor result, Tensor info)",
    _infer_solve,
    lambda a, b, left, check: _checked_solve(a, b, left) if check else _solve(a, b, left),
    kernel="matrix_solve",
    may_fail=True,
)


# Systems that are factored already -----------------------------------------------------------------------------------


def substituted(a: Array, b: Array, upper: bool, unit: bool) -> Array:
    """X with A X = B for triangular A, for all matrices of a stack at once."""
    count = a.shape[-1]
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    found = np.broadcast_to(b, (*batch, *b.shape[-2:])).astype(np.result_type(a, b)).copy()
    for k in reversed(range(count)) if upper else range(count):
        known = slice(k + 1, count) if upper else slice(0, k)
        found[..., k, :] -= np.einsum("...i,...ij->...j", a[..., k, known], found[..., known, :])
        if not unit:
            found[..., k, :] /= a[..., k, k, None]
    return found


def _infer_triangular(a: TensorType, b: TensorType, upper: bool, left: bool, unit: bool) -> TensorType:
    name = "linalg.solve_triangular"
    check_type(unimplemented("triangular_solve_cpu", WHOLE | HALVES), operand_type(a))
    check_same_type(a, b, name)
    batch, count = check_square(a, name)
    other, rows, columns = check_matrix(b, name, "B")
    _check_rows(a, b, rows if left else columns, count, left, name)
    return b.with_shape((*broadcast_shapes(batch, other), rows, columns))


def _solve_triangular(a: Array, b: Array, upper: bool, left: bool, unit: bool) -> Array:
    if left:
        return substituted(a, b, upper, unit)
    return np.swapaxes(substituted(np.swapaxes(a, -1, -2), np.swapaxes(b, -1, -2), not upper, unit), -1, -2)


declare_hosted(
    "aten::linalg_solve_triangular(Tensor self, Tensor B, *, bool upper, bool left=True, bool unitriangular=False) -> "
    "Tensor",
    _infer_triangular,
    _solve_triangular,
    kernel="matrix_triangular",
    out="out",
)


def _infer_old_triangular(b: TensorType, a: TensorType, upper: bool, transpose: bool, unit: bool) -> Any:
    found = _infer_triangular(a, b, upper, True, unit)
    return found, a.with_shape((*known_shape(found)[:-2], *known_shape(a)[-2:]))


def _old_triangular(b: Array, a: Array, upper: bool, transpose: bool, unit: bool) -> tuple[Array, Array]:
    system = np.swapaxes(a, -1, -2) if transpose else a
    found = substituted(system, b, upper != transpose, unit)
    return found, np.broadcast_to(a, (*found.shape[:-2], *a.shape[-2:])).copy()


def _build_old_triangular(b: Any, right: Any, a: Any, upper: bool, transpose: bool, unit: bool) -> Any:
    system = b("aten::transpose.int", a, -1, -2) if transpose else a
    found = b("aten::linalg_solve_triangular", system, right, upper != transpose, True, unit)
    return found, b("aten::clone", b("aten::expand", a, [*b.shape(found)[:-2], *b.shape(a)[-2:]]))


declare_hosted(
    "aten::triangular_solve(Tensor self, Tensor A, bool upper=True, bool transpose=False, bool unitriangular=False) -> "
    "(Tensor solution, Tensor cloned_coefficient)",
    _infer_old_triangular,
    _old_triangular,
    decompose=_build_old_triangular,
)


def _infer_cholesky_solve(b: TensorType, factor: TensorType, upper: bool) -> TensorType:
    if len(known_shape(b)) < 2:
        raise RuntimeError(f"b should have at least 2 dimensions, but has {len(known_shape(b))} dimensions instead")
    if len(known_shape(factor)) < 2:
        raise RuntimeError(
            f"u should have at least 2 dimensions, but has {len(known_shape(factor))} dimensions instead"
        )
    batch, count = check_square(factor, "cholesky_solve")
    _check_rows(factor, b, known_shape(b)[-2], count, True, "cholesky_solve")
    return b.with_shape((*broadcast_shapes(batch, known_shape(b)[:-2]), *known_shape(b)[-2:]))


def _cholesky_solve(b: Array, factor: Array, upper: bool) -> Array:
    lower = adjoint(factor) if upper else factor
    return substituted(adjoint(lower), substituted(lower, b, False, False), True, False)


def _build_cholesky_solve(b: Any, right: Any, factor: Any, upper: bool) -> Any:
    turned = b("aten::transpose.int", factor, -1, -2)
    turned = b("aten::conj_physical", turned) if b.type(factor).dtype.is_complex else turned
    lower, other = (turned, factor) if upper else (factor, turned)
    half = b("aten::linalg_solve_triangular", lower, right, False)
    return b("aten::linalg_solve_triangular", other, half, True)


declare_hosted(
    "aten::cholesky_solve(Tensor self, Tensor input2, bool upper=False) -> Tensor",
    _infer_cholesky_solve,
    _cholesky_solve,
    decompose=_build_cholesky_solve,
    out="out",
    refuses=unimplemented("cholesky_solve_cpu", WHOLE | HALVES, of="self", takes_empty=True),
)


def _infer_cholesky_inverse(factor: TensorType, upper: bool) -> TensorType:
    check_square(factor, "cholesky_inverse")
    return factor.with_shape(known_shape(factor))


declare_hosted(
    "aten::cholesky_inverse(Tensor self, bool upper=False) -> Tensor",
    _infer_cholesky_inverse,
    lambda factor, upper: _cholesky_solve(np.eye(factor.shape[-1], dtype=factor.dtype), factor, upper),
    decompose=lambda b, factor, upper: _build_cholesky_solve(b, _identity(b, factor), factor, upper),
    out="out",
    refuses=unimplemented("cholesky_inverse_out_cpu", WHOLE | HALVES, takes_empty=True),
)


def _infer_lu_solve(lu: TensorType, pivots: TensorType, b: TensorType, left: bool, adjoint: bool) -> TensorType:
    name = "torch.linalg.lu_solve"
    batch, count = check_square(lu, name, "LU")
    check_fraction(lu, name, kernel="linalg.lu_solve_cpu")
    if pivots.dtype is not INT32:
        raise RuntimeError("linalg.lu_solve: pivots should be a Tensor of scalar type torch.int32")
    check_same_type(lu, b, name, "LU", "B")
    other, rows, columns = check_matrix(b, name, "B")
    _check_rows(lu, b, rows if left else columns, count, left, name)
    return b.with_shape((*broadcast_shapes(batch, other), rows, columns))


def _lu_solve(lu: Array, pivots: Array, b: Array, left: bool, adjoint_: bool) -> Array:
    if not left:
        # X A = B is A^H X^H = B^H.
        return adjoint(_lu_solve(lu, pivots, adjoint(b), True, not adjoint_))
    batch = np.broadcast_shapes(lu.shape[:-2], b.shape[:-2])
    order = np.broadcast_to(permutation_of(pivots, lu.shape[-1]), (*batch, lu.shape[-1]))
    right = np.broadcast_to(b, (*batch, *b.shape[-2:]))
    if not adjoint_:
        permuted = np.take_along_axis(right, order[..., None], -2)
        return substituted(lu, substituted(lu, permuted, False, True), True, False)
    turned = adjoint(lu)
    found = substituted(turned, substituted(turned, right, False, False), True, True)
    return np.take_along_axis(found, np.argsort(order, -1)[..., None], -2)


declare_hosted(
    "aten::linalg_lu_solve(Tensor LU, Tensor pivots, Tensor B, *, bool left=True, bool adjoint=False) -> Tensor",
    _infer_lu_solve,
    _lu_solve,
    out="out",
)
declare_hosted(
    "aten::lu_solve(Tensor self, Tensor LU_data, Tensor LU_pivots) -> Tensor",
    lambda b, lu, pivots: _infer_lu_solve(lu, pivots, b, True, False),
    lambda b, lu, pivots: _lu_solve(lu, pivots, b, True, False),
    out="out",
)


# Tensors as matrices -------------------------------------------------------------------------------------------------


def _count(extents: Shape) -> Any:
    product: Any = 1
    for extent in extents:
        product = product * extent
    return product


def _build_tensorinv(b: Any, a: Any, ind: int) -> Any:
    if ind <= 0:
        raise RuntimeError("Expected a strictly positive integer for 'ind'")
    shape = b.shape(a)
    outer, inner = shape[:ind], shape[ind:]
    if same_dim(_count(outer), _count(inner)) is False:
        raise RuntimeError(
            f"Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got "
            f"{_count(inner)} != {_count(outer)}"
        )
    inverse = b("aten::linalg_inv", b("aten::reshape", a, [_count(outer), _count(inner)]))
    return b("aten::reshape", inverse, [*inner, *outer])


declare_composite("aten::linalg_tensorinv(Tensor self, int ind=2) -> Tensor", _build_tensorinv)


def _build_tensorsolve(b: Any, a: Any, right: Any, dims: list[int] | None) -> Any:
    if dims:
        rank = len(b.shape(a))
        moved = [dim % rank for dim in dims]
        a = b("aten::permute", a, [place for place in range(rank) if place not in moved] + moved)
    solution = b.shape(a)[len(b.shape(right)) :]
    size = _count(b.shape(right))
    if same_dim(size, _count(solution)) is False:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == prod(self.shape[:other.ndim]), but got "
            f"{_count(solution)} != {size}"
        )
    check_type(unimplemented("lu_cpu", HALVES), operand_type(b.type(a)))
    system = b("aten::reshape", a, [size, _count(solution)])
    return b("aten::reshape", b("aten::linalg_solve", system, b("aten::reshape", right, [-1])), list(solution))


declare_composite("aten::linalg_tensorsolve(Tensor self, Tensor other, int[]? dims=None) -> Tensor", _build_tensorsolve)
