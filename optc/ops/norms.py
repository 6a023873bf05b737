"""Norms of vectors and of matrices, under all the names that torch has for them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from optc.ir.dtypes import BOOL, INT64, DType
from optc.ir.types import TensorType
from optc.ops.abstract import UndecidedShape, Unknown, known_dtype, normalize_dims
from optc.ops.composite import declare_composite
from optc.ops.elementwise import array_type
from optc.ops.matrices import check_fraction
from optc.ops.promotion import compute_type, operand_type, real_type
from optc.ops.reduction import axes, narrowed, reduced, wide
from optc.ops.registry import define

Array = np.ndarray[Any, Any]
Dims = Sequence[int] | int | None


# Vectors -------------------------------------------------------------------------------------------------------------


def _input_type(x: TensorType, code: int | None) -> DType:
    """The type in which a norm is computed. Raises RuntimeError for types without fraction and for narrowing."""
    own = operand_type(x)
    dtype = own if code is None else known_dtype(code)
    if own.kind not in ("float", "complex"):
        raise RuntimeError(f"linalg.vector_norm: Expected a floating point or complex tensor as input. Got {own.label}")
    if code is None:
        return dtype
    if dtype.kind not in ("float", "complex"):
        raise RuntimeError(f"linalg.vector_norm: dtype should be floating point or complex. Got {dtype.label}")
    if own.is_complex != dtype.is_complex:
        kinds = ("complex", "complex") if own.is_complex else ("real", "real")
        raise RuntimeError(
            f"linalg.vector_norm: dtype should be {kinds[0]} for {kinds[1]} inputs, but got {dtype.label}"
        )
    return dtype


def _infer_norm(x: TensorType, order: Any, dims: Dims, keepdim: bool, code: int | None) -> TensorType:
    if x.shape is not None and not isinstance(order, Unknown):
        _check_identity(x.shape, _power(order), dims)
    return reduced(x, dims, keepdim, real_type(_input_type(x, code)))


def _check_identity(shape: Sequence[Any], power: float, dims: Dims) -> None:
    """Raises RuntimeError for a norm of no elements that has no value."""
    if (power >= 0 and power != math.inf) or 0 not in shape:
        return
    text = f"linalg.vector_norm cannot compute the {power:g} norm on"
    if dims is None or dims == []:
        raise RuntimeError(f"{text} an empty tensor because the operation does not have an identity")
    for dim in [dims] if isinstance(dims, int) else dims:
        if -len(shape) <= dim < len(shape) and shape[dim] == 0:
            raise RuntimeError(
                f"{text} the dimension {dim}because this dimension is empty and the operation does not have an identity"
            )


def _power(order: Any) -> Any:
    if isinstance(order, Unknown):
        raise UndecidedShape("the order of a norm is needed before the program runs")
    return 2 if order is None else order


def _reference_norm(x: Array, order: Any, dims: Dims, keepdim: bool, code: int | None) -> Array:
    result = _infer_norm(array_type(x), order, dims, keepdim, code)
    values = x.astype(_input_type(array_type(x), code).numpy, copy=False)
    with np.errstate(all="ignore"):
        size, places, power = np.abs(wide(values)), axes(x, dims), _power(order)
        if math.isinf(power):
            found = (np.max if power > 0 else np.min)(size, axis=places, keepdims=keepdim)
        elif power == 0:
            found = np.sum(size != 0, axis=places, keepdims=keepdim)
        else:
            found = np.sum(size ** np.float64(power), axis=places, keepdims=keepdim) ** np.float64(1 / power)
        return np.asarray(found).astype(operand_type(result).numpy)


def _decompose_norm(b: Any, x: Any, order: Any, dims: Dims, keepdim: bool, code: int | None) -> Any:
    dtype = _input_type(b.type(x), code)
    if _power(order) < 0:
        _require_elements(b, b.shape(x), dims)
    x = narrowed(b, x, compute_type(dtype))
    return narrowed(b, _norm(b, x, _power(order), dims, keepdim), real_type(dtype))


def _require_elements(b: Any, shape: Sequence[Any], dims: Dims) -> None:
    """Fail where the run finds nothing to take a norm of that has no value then; what is known has been checked."""
    rank = len(shape)
    places = range(rank) if dims is None or dims == [] else [dims] if isinstance(dims, int) else dims
    for extent in (shape[place] for place in places if -rank <= place < rank):
        if not isinstance(extent, int):
            b.require(b("aten::gt.int", b.value(extent), 0), "linalg.vector_norm of no elements has no value")


def _norm(b: Any, x: Any, power: float, dims: Dims, keepdim: bool) -> Any:
    if power == 2 and not b.type(x).dtype.is_complex:
        return b("aten::sqrt", b("aten::sum.dim_IntList", b("aten::mul.Tensor", x, x), dims, keepdim))
    size = b("aten::abs", x)
    if math.isinf(power):
        return b("aten::amax" if power > 0 else "aten::amin", size, dims or [], keepdim)
    if power == 0:
        counted = b("aten::to.dtype", b("aten::ne.Scalar", x, 0), b.type(size).dtype.code)
        return b("aten::sum.dim_IntList", counted, dims, keepdim)
    if power == 1:
        return b("aten::sum.dim_IntList", size, dims, keepdim)
    total = b("aten::sum.dim_IntList", b("aten::pow.Tensor_Scalar", size, float(power)), dims, keepdim)
    return b("aten::pow.Tensor_Scalar", total, 1.0 / power)


for _schema, _order in (
    ("norm.Scalar(Tensor self, Scalar p=2) -> Tensor", lambda p: (p, None, False, None)),
    (
        "norm.ScalarOpt_dim(Tensor self, Scalar? p, int[1] dim, bool keepdim=False) -> Tensor",
        lambda p, dims, keepdim: (p, dims, keepdim, None),
    ),
    (
        "norm.ScalarOpt_dtype(Tensor self, Scalar? p, *, ScalarType dtype) -> Tensor",
        lambda p, code: (p, None, False, code),
    ),
    (
        "norm.ScalarOpt_dim_dtype(Tensor self, Scalar? p, int[1] dim, bool keepdim, *, ScalarType dtype) -> Tensor",
        lambda p, dims, keepdim, code: (p, dims, keepdim, code),
    ),
    (
        (
            "linalg_vector_norm(Tensor self, Scalar ord=2, int[1]? dim=None, bool keepdim=False, *, "
            "ScalarType? dtype=None) -> Tensor"
        ),
        lambda p, dims, keepdim, code: (p, dims, keepdim, code),
    ),
    (
        "frobenius_norm.dim(Tensor self, int[1] dim, bool keepdim=False) -> Tensor",
        lambda dims, keepdim: (2, dims, keepdim, None),
    ),
):
    define(
        f"aten::{_schema}",
        infer=lambda x, *rest, parse=_order: _infer_norm(x, *parse(*rest)),
        reference=lambda x, *rest, parse=_order: _reference_norm(x, *parse(*rest)),
        decompose=lambda b, x, *rest, parse=_order: _decompose_norm(b, x, *parse(*rest)),
    )


# Matrices ------------------------------------------------------------------------------------------------------------


def _planes(b: Any, x: Any, dims: Sequence[int]) -> tuple[int, int]:
    """The two dimensions of the matrices. Raises RuntimeError with torch's texts."""
    name = "linalg.matrix_norm"
    rank = len(b.shape(x))
    check_fraction(b.type(x), name, low_precision=True)
    if rank < 2:
        raise RuntimeError(f"{name}: The input tensor A must have at least 2 dimensions.")
    if len(dims) != 2:
        raise RuntimeError(f"{name}: dim must be a 2-tuple. Got {' '.join(map(str, dims))}")
    first, second = (dim % rank if -rank <= dim < rank else normalize_dims([dim], rank)[0] for dim in dims)
    if first == second:
        raise RuntimeError(f"{name}: dims must be different. Got ({dims[0]}, {dims[1]})")
    return first, second


def _singular_values(b: Any, x: Any, planes: tuple[int, int]) -> Any:
    rank = len(b.shape(x))
    others = [place for place in range(rank) if place not in planes]
    return b("aten::linalg_svdvals", b("aten::permute", x, [*others, *planes]))


def _restored(b: Any, found: Any, planes: tuple[int, int], keepdim: bool) -> Any:
    if keepdim:
        for place in sorted(planes):
            found = b("aten::unsqueeze", found, place)
    return found


def _extreme(b: Any, sizes: Any, dim: int, order: float, keepdim: bool) -> Any:
    """The smallest size for an order below zero, the largest for others: zero where there is none."""
    if order < 0:
        return b("aten::amin", sizes, [dim], keepdim)
    shape = b.shape(sizes)
    place = dim % len(shape)
    if not isinstance(shape[place], int) or not shape[place]:
        sizes = b("aten::constant_pad_nd", sizes, [0, 0] * (len(shape) - 1 - place) + [0, 1], 0.0)
    return b("aten::amax", sizes, [dim], keepdim)


def _matrix_norm(b: Any, x: Any, order: Any, dims: Sequence[int], keepdim: bool, code: int | None) -> Any:
    order = _power(order)
    planes = _planes(b, x, dims)
    if abs(order) not in (1, 2, math.inf):
        raise RuntimeError(f"linalg.matrix_norm: Order {order} not supported.")
    x = x if code is None else narrowed(b, x, known_dtype(code))
    if abs(order) == 2:
        return _restored(b, _extreme(b, _singular_values(b, x, planes), -1, order, False), planes, keepdim)
    summed, other = planes if abs(order) == 1 else planes[::-1]
    totals = b("aten::linalg_vector_norm", x, 1, [summed], True)
    found = _extreme(b, totals, other, order, True)
    return found if keepdim else b("aten::squeeze.dims", found, sorted(planes))


def _named_matrix_norm(b: Any, x: Any, order: str, dims: Sequence[int], keepdim: bool, code: int | None) -> Any:
    planes = _planes(b, x, dims)
    if order not in ("fro", "nuc"):
        raise RuntimeError(f"linalg.matrix_norm: Order {order} not supported.")
    if order == "fro":
        return b("aten::linalg_vector_norm", x, 2, list(planes), keepdim, dtype=code)
    x = x if code is None else narrowed(b, x, known_dtype(code))
    return _restored(b, b("aten::sum.dim_IntList", _singular_values(b, x, planes), [-1]), planes, keepdim)


declare_composite(
    "aten::linalg_matrix_norm(Tensor self, Scalar ord, int[] dim=[-2, -1], bool keepdim=False, *, "
    "ScalarType? dtype=None) -> Tensor",
    _matrix_norm,
)
declare_composite(
    'aten::linalg_matrix_norm.str_ord(Tensor self, str ord="fro", int[] dim=[-2, -1], bool keepdim=False, *, '
    "ScalarType? dtype=None) -> Tensor",
    _named_matrix_norm,
)


# Either --------------------------------------------------------------------------------------------------------------


def _norm_of_either(b: Any, x: Any, order: Any, dims: Any, keepdim: bool, code: int | None) -> Any:
    rank = len(b.shape(x))
    if dims is not None and len(dims) not in (1, 2):
        raise RuntimeError(f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {list(dims)}")
    if order is None:
        return b("aten::linalg_vector_norm", x, 2, dims, keepdim, dtype=code)
    if dims is None and rank not in (1, 2):
        raise RuntimeError(f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {rank}D.")
    if (rank if dims is None else len(dims)) == 2:
        return b("aten::linalg_matrix_norm", x, order, [0, 1] if dims is None else dims, keepdim, dtype=code)
    return b("aten::linalg_vector_norm", x, order, dims, keepdim, dtype=code)


def _named_norm(b: Any, x: Any, order: str, dims: Any, keepdim: bool, code: int | None) -> Any:
    rank = len(b.shape(x))
    if dims is not None and len(dims) not in (1, 2):
        raise RuntimeError(f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {list(dims)}")
    if dims is None and rank not in (1, 2):
        raise RuntimeError(f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {rank}D.")
    return b("aten::linalg_matrix_norm.str_ord", x, order, [0, 1] if dims is None else dims, keepdim, dtype=code)


declare_composite(
    "aten::linalg_norm(Tensor self, Scalar? ord=None, int[1]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) "
    "-> Tensor",
    _norm_of_either,
)
declare_composite(
    "aten::linalg_norm.ord_str(Tensor self, str ord, int[1]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) "
    "-> Tensor",
    _named_norm,
)
declare_composite(
    "aten::nuclear_norm(Tensor self, bool keepdim=False) -> Tensor",
    lambda b, x, keepdim: b("aten::linalg_matrix_norm.str_ord", x, "nuc", [-2, -1], keepdim),
)
declare_composite(
    "aten::nuclear_norm.dim(Tensor self, int[2] dim, bool keepdim=False) -> Tensor",
    lambda b, x, dims, keepdim: b("aten::linalg_matrix_norm.str_ord", x, "nuc", dims, keepdim),
)


# Distances -----------------------------------------------------------------------------------------------------------


declare_composite(
    "aten::dist(Tensor self, Tensor other, Scalar p=2) -> Tensor",
    lambda b, x, y, p: b("aten::linalg_vector_norm", b("aten::sub.Tensor", x, y), p),
)


# Rows of a table -----------------------------------------------------------------------------------------------------


def _embedding_renorm(b: Any, weight: Any, indices: Any, max_norm: float, norm_type: float) -> Any:
    """The table with the rows that `indices` name scaled down to the norm `max_norm` where theirs is greater."""
    if len(b.shape(weight)) != 2:
        raise RuntimeError(
            f"Expected 2-dimensional tensor, but got {len(b.shape(weight))}-dimensional tensor for argument"
        )
    rows = b.shape(weight)[0]
    unnamed = b("aten::zeros", [rows], dtype=BOOL.code)
    places = b("aten::to.dtype", b("aten::reshape", indices, [-1]), INT64.code)
    named = b("aten::index_fill.int_Scalar", unnamed, 0, places, True)
    lengths = b("aten::linalg_vector_norm", weight, norm_type, [1])
    scale = b("aten::mul.Scalar", b("aten::reciprocal", b("aten::add.Scalar", lengths, 1e-7)), max_norm)
    long = b("aten::logical_and", named, b("aten::gt.Scalar", lengths, max_norm))
    factors = b("aten::where.ScalarOther", long, scale, 1.0)
    return b(
        "aten::mul.Tensor", weight, b("aten::unsqueeze", b("aten::to.dtype", factors, b.type(weight).dtype.code), 1)
    )


declare_composite(
    "aten::embedding_renorm(Tensor self, Tensor indices, float max_norm, float norm_type) -> Tensor",
    _embedding_renorm,
    inplace=True,
)
