"""Systems of equations without one exact solution: least squares, pseudo-inverses, ranks."""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.ir.dtypes import INT64
from optc.ir.types import TensorType
from optc.ops.abstract import UndecidedShape, same_dim
from optc.ops.element_types import HALVES, WHOLE, check_type, refusal
from optc.ops.hosted import REASON, declare_hosted
from optc.ops.matrices import adjoint, check_matrix, check_square, minimum_extent
from optc.ops.promotion import operand_type, real_type
from optc.ops.shapes import broadcast_shapes, format_shape, known_shape

Array = np.ndarray[Any, Any]


# Least squares -------------------------------------------------------------------------------------------------------

_SINGLE_OR_DOUBLE = refusal(WHOLE | HALVES, "This function doesn't handle types other than float and double")

DRIVERS = ("gels", "gelsy", "gelsd", "gelss")


def _infer_lstsq(a: TensorType, b: TensorType, rcond: float | None, driver: str | None) -> Any:
    name = "torch.linalg.lstsq"
    if len(known_shape(a)) < 2:
        raise RuntimeError(f"{name}: input must have at least 2 dimensions.")
    if not known_shape(b):
        raise RuntimeError(f"{name}: other must have at least 1 dimension.")
    check_type(_SINGLE_OR_DOUBLE, operand_type(a))
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"{name}: Expected input and other to have the same dtype, but got input's dtype {a.dtype} and other's dtype {b.dtype}"
        )
    if driver is not None and driver not in DRIVERS:
        raise RuntimeError(f"{name}: parameter `driver` should be one of (gels, gelsy, gelsd, gelss)")
    batch, rows, columns = check_matrix(a, name)
    vector = len(known_shape(a)) - 1 == len(known_shape(b)) and known_shape(b) == known_shape(a)[:-1]
    right = (*known_shape(b), 1) if vector else known_shape(b)
    if same_dim(right[-2], rows) is False:
        raise RuntimeError(f"{name}: input.size(-2) should match other.size({-1 if vector else -2})")
    together = broadcast_shapes(batch, right[:-2])
    count = minimum_extent(rows, columns)
    solution = (*together, columns) if vector else (*together, columns, right[-1])
    real = TensorType(real_type(operand_type(a)))
    overdetermined = isinstance(rows, int) and isinstance(columns, int) and rows > columns
    chosen = driver or "gelsy"
    residuals = (*together, right[-1]) if overdetermined and chosen != "gelsy" else (0,)
    rank = batch if chosen != "gels" else (0,)
    values = (*batch, count) if chosen in ("gelsd", "gelss") else (0,)
    return a.with_shape(solution), real.with_shape(residuals), TensorType(INT64, rank), real.with_shape(values)


def _lstsq(a: Array, b: Array, rcond: float | None, driver: str | None) -> tuple[Array, Array, Array, Array]:
    vector = a.ndim - 1 == b.ndim and b.shape == a.shape[:-1]
    right = b[..., None] if vector else b
    batch = np.broadcast_shapes(a.shape[:-2], right.shape[:-2])
    cutoff = np.finfo(a.real.dtype).eps * max(a.shape[-2:]) if rcond is None else rcond
    u, s, v = np.linalg.svd(a, full_matrices=False)
    kept = s > cutoff * (s[..., :1] if s.shape[-1] else 0)
    if (driver or "gelsy") == "gels":
        kept = np.ones_like(kept)
    scaled = np.where(kept, 1 / np.where(kept, s, 1), 0)[..., None] * (adjoint(u) @ right)
    solution = np.broadcast_to(adjoint(v) @ scaled, (*batch, a.shape[-1], right.shape[-1]))
    rank = np.sum(kept, -1)
    residuals: Array = np.zeros(0)
    chosen = driver or "gelsy"
    if a.shape[-2] > a.shape[-1] and chosen != "gelsy" and bool(np.all(rank == a.shape[-1])):
        residuals = np.sum(np.abs(a @ solution - right) ** 2, -2)
    return (
        solution[..., 0] if vector else solution, residuals, rank if chosen != "gels" else np.zeros(0),
        s if chosen in ("gelsd", "gelss") else np.zeros(0),
    )  # fmt: skip


def _build_lstsq(b: Any, a: Any, right: Any, rcond: Any, driver: Any) -> tuple[Any, ...]:
    """As many equations as unknowns, of full rank as `gels` expects, have one exact solution."""
    rows, columns = b.shape(a)[-2:]
    if driver != "gels" or same_dim(rows, columns) is not True:
        raise UndecidedShape(REASON)
    dtype = b.type(a).dtype
    solution = b("aten::linalg_solve", a, right)
    return solution, *(b("aten::zeros", [0], dtype=kind.code) for kind in (dtype, INT64, dtype))


declare_hosted(
    "aten::linalg_lstsq(Tensor self, Tensor b, float? rcond=None, *, str? driver=None) -> "
    "(Tensor solution, Tensor residuals, Tensor rank, Tensor singular_values)",
    _infer_lstsq,
    _lstsq,
    decompose=_build_lstsq,
)


# Pseudo-inverses and ranks -------------------------------------------------------------------------------------------


def _tolerances(a: Array, atol: Any, rtol: Any, largest: Array) -> Array:
    """max(atol, rtol * largest); without both, rtol is the extent times the type's rounding error."""
    default = np.finfo(a.real.dtype).eps * max(a.shape[-2:])
    absolute = np.asarray(0.0 if atol is None else atol)
    if rtol is None:
        relative = np.where(absolute > 0, 0.0, default)
    else:
        relative = np.asarray(rtol)
    return np.asarray(np.maximum(absolute, relative * largest))


def _spectrum(a: Array, hermitian: bool) -> tuple[Array, Array, Array]:
    """U, S, V^H; of a hermitian matrix from its eigenvalues."""
    if not hermitian:
        u, s, v = np.linalg.svd(a, full_matrices=False)
        return u, s, v
    values, vectors = np.linalg.eigh(a)
    return vectors * np.sign(values)[..., None, :], np.abs(values), adjoint(vectors)


def _pinv(a: Array, atol: Any, rtol: Any, hermitian: bool) -> Array:
    if not a.size:
        return np.zeros((*a.shape[:-2], a.shape[-1], a.shape[-2]), a.dtype)
    u, s, v = _spectrum(a, hermitian)
    limit = _tolerances(a, atol, rtol, np.max(s, -1))
    kept = s > limit[..., None]
    return np.asarray(
        adjoint(v) @ (np.where(kept, 1 / np.where(kept, s, 1), 0)[..., None].astype(s.dtype) * adjoint(u))
    )


def _infer_pinv(a: TensorType, atol: Any, rtol: Any, hermitian: bool) -> TensorType:
    if operand_type(a) in WHOLE | HALVES:
        shown = f"{operand_type(a).label}{{{format_shape(known_shape(a))}}}"
        raise RuntimeError(
            f"linalg.pinv({shown}): expected a tensor with 2 or more dimensions of float, double, cfloat or cdouble types"
        )
    batch, rows, columns = check_matrix(a, "linalg.pinv")
    if hermitian:
        check_square(a, "linalg.pinv")
    return a.with_shape((*batch, columns, rows))


def _infer_pinv_by_numbers(a: TensorType, atol: Any, rtol: Any, hermitian: bool) -> TensorType:
    if rtol is None:  # the tolerance is made of the type's epsilon, which only these have
        check_type(_SINGLE_OR_DOUBLE, operand_type(a))
    return _infer_pinv(a, atol, rtol, hermitian)


def _infer_rank(a: TensorType, atol: Any, rtol: Any, hermitian: bool) -> TensorType:
    check_type(_SINGLE_OR_DOUBLE, operand_type(a))
    batch, _, _ = check_matrix(a, "torch.linalg.matrix_rank")
    if hermitian:
        check_square(a, "torch.linalg.matrix_rank")
    shapes = [known_shape(item) for item in (atol, rtol) if isinstance(item, TensorType)]
    return TensorType(INT64, broadcast_shapes(batch, *shapes))


def _rank(a: Array, atol: Any, rtol: Any, hermitian: bool) -> Array:
    if not a.size:
        return np.zeros(a.shape[:-2], np.int64)
    s = np.abs(np.linalg.eigvalsh(a)) if hermitian else np.linalg.svd(a, compute_uv=False)
    return np.asarray(np.sum(s > _tolerances(a, atol, rtol, np.max(s, -1))[..., None], -1))


for _overload, _arguments, _infer, _order in (
    (
        ".atol_rtol_tensor",
        "*, Tensor? atol=None, Tensor? rtol=None, bool hermitian=False",
        _infer_pinv,
        lambda *given: given,
    ),
    (
        ".atol_rtol_float",
        "*, float? atol=None, float? rtol=None, bool hermitian=False",
        _infer_pinv_by_numbers,
        lambda *given: given,
    ),
    ("", "float rcond, bool hermitian=False", _infer_pinv, lambda rcond, hermitian: (0.0, rcond, hermitian)),
    (
        ".rcond_tensor",
        "Tensor rcond, bool hermitian=False",
        _infer_pinv,
        lambda rcond, hermitian: (0.0, rcond, hermitian),
    ),
):
    declare_hosted(
        f"aten::linalg_pinv{_overload}(Tensor self, {_arguments}) -> Tensor",
        lambda a, *rest, infer=_infer, order=_order: infer(a, *order(*rest)),
        lambda a, *rest, order=_order: _pinv(a, *order(*rest)),
    )
declare_hosted(
    "aten::pinverse(Tensor self, float rcond=1e-15) -> Tensor",
    lambda a, rcond: _infer_pinv(a, 0.0, rcond, False),
    lambda a, rcond: _pinv(a, 0.0, rcond, False),
)
for _overload, _arguments, _order in (
    (".atol_rtol_tensor", "*, Tensor? atol=None, Tensor? rtol=None, bool hermitian=False", lambda *given: given),
    (".atol_rtol_float", "*, float? atol=None, float? rtol=None, bool hermitian=False", lambda *given: given),
    ("", "float tol, bool hermitian=False", lambda tol, hermitian: (tol, 0.0, hermitian)),
    (".tol_tensor", "Tensor tol, bool hermitian=False", lambda tol, hermitian: (tol, 0.0, hermitian)),
):
    _argument = "input" if "ensor" in _overload else "self"
    declare_hosted(
        f"aten::linalg_matrix_rank{_overload}(Tensor {_argument}, {_arguments}) -> Tensor",
        lambda a, *rest, order=_order: _infer_rank(a, *order(*rest)),
        lambda a, *rest, order=_order: _rank(a, *order(*rest)),
    )
