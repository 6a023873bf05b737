"""Diagonals, cross products, differences, spaced numbers and other small things of linear algebra."""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.dims import Dim
from optc.ir.dtypes import DType
from optc.ir.types import TensorType
from optc.ops.abstract import UndecidedShape, dtype_of_code, known_dtype, normalize_dim, normalize_dims, same_dim
from optc.ops.creation import are_few_numbers, ends_with_tensors
from optc.ops.element_types import BOOLS, COMPLEXES, WHOLE, check_type, expect_type, refusal, unimplemented
from optc.ops.elementwise import array_type
from optc.ops.promotion import compute_type, default_float, operand_type, result_type
from optc.ops.reduction import narrowed, reduced
from optc.ops.registry import define, define_inplace, lookup
from optc.ops.shapes import Shape, broadcast_shapes, known_shape

Array = np.ndarray[Any, Any]


# Diagonals -----------------------------------------------------------------------------------------------------------


def _infer_diag(x: TensorType, diagonal: int) -> TensorType:
    shape = known_shape(x)
    if len(shape) == 1:
        return x.with_shape((shape[0] + abs(diagonal),) * 2)
    if len(shape) != 2:
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {len(shape)}D")
    found = lookup("aten::diagonal")
    assert found is not None
    result: TensorType = found.infer(x, diagonal, 0, 1)
    return result


def _reference_diag(x: Array, diagonal: int) -> Array:
    _infer_diag(array_type(x), diagonal)
    return np.diag(x, diagonal).copy()


def _decompose_diag(b: Any, x: Any, diagonal: int) -> Any:
    if len(b.shape(x)) == 2:
        return b("aten::clone", b("aten::diagonal", x, diagonal, 0, 1))
    return b("aten::diag_embed", x, diagonal, -2, -1)


define("aten::diag(Tensor self, int diagonal=0) -> Tensor", infer=_infer_diag, reference=_reference_diag,
       decompose=_decompose_diag)  # fmt: skip


# Products ------------------------------------------------------------------------------------------------------------


def _cross_dim(shape: Shape, dim: int | None) -> int:
    if dim is not None:
        return normalize_dim(dim, len(shape))
    for place, extent in enumerate(shape):
        same = same_dim(extent, 3)
        if same is None:
            raise UndecidedShape("which dimension has three elements?")
        if same:
            return place
    raise RuntimeError("no dimension of size 3 in input")


_NO_CROSS = unimplemented("cross", BOOLS)


def _infer_cross(x: TensorType, y: TensorType, dim: int | None) -> TensorType:
    left, right = known_shape(x), known_shape(y)
    if len(left) != len(right):
        raise RuntimeError(
            "linalg.cross: inputs must have the same number of dimensions."
            if dim is not None else
            f"inconsistent tensors dimensions input: {len(left)} other: {len(right)}"
        )  # fmt: skip
    place = _cross_dim(left, dim)
    same = [same_dim(shape[place], 3) for shape in (left, right)]
    if False in same:
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got {left[place]} and {right[place]}"
        )
    if None in same:
        raise UndecidedShape("have the vectors of a cross product three elements?")
    check_type(_NO_CROSS, operand_type(x))
    expect_type(operand_type(x), operand_type(y))
    return TensorType(result_type(x, y), broadcast_shapes(left, right))


def _reference_cross(x: Array, y: Array, dim: int | None) -> Array:
    result = _infer_cross(array_type(x), array_type(y), dim)
    place = _cross_dim(x.shape, dim)
    work = compute_type(operand_type(result)).numpy
    left, right = np.broadcast_arrays(x.astype(work), y.astype(work))
    crossed = np.cross(left, right, axis=place)
    return np.ascontiguousarray(crossed).astype(operand_type(result).numpy)


def _decompose_cross(b: Any, x: Any, y: Any, dim: int | None) -> Any:
    dtype, place = result_type(b.type(x), b.type(y)), _cross_dim(b.shape(x), dim)
    parts = [[b("aten::narrow", narrowed(b, item, dtype), place, number, 1) for number in range(3)] for item in (x, y)]

    def component(first: int, second: int) -> Any:
        straight = b("aten::mul.Tensor", parts[0][first], parts[1][second])
        return b("aten::sub.Tensor", straight, b("aten::mul.Tensor", parts[0][second], parts[1][first]))

    return b("aten::cat", [component(1, 2), component(2, 0), component(0, 1)], place)


define("aten::cross(Tensor self, Tensor other, int? dim=None) -> Tensor", infer=_infer_cross,
       reference=_reference_cross, decompose=_decompose_cross, refuses=_NO_CROSS)  # fmt: skip
define("aten::linalg_cross(Tensor self, Tensor other, *, int dim=-1) -> Tensor", infer=_infer_cross,
       reference=_reference_cross, decompose=_decompose_cross, refuses=_NO_CROSS)  # fmt: skip


# Differences ---------------------------------------------------------------------------------------------------------


def _joined_extent(x: TensorType, dim: int, prepend: TensorType | None, append: TensorType | None) -> TensorType:
    shape = known_shape(x)
    if not shape:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    place = normalize_dim(dim, len(shape))
    total = shape[place]
    for item in (prepend, append):
        if item is not None:
            if len(known_shape(item)) != len(shape):
                raise RuntimeError("diff expects prepend or append to be the same dimension as input")
            total = total + known_shape(item)[place]
    return TensorType(
        result_type(x, *(item for item in (prepend, append) if item is not None)),
        (*shape[:place], total, *shape[place + 1 :]),
    )


def _infer_diff(x: TensorType, n: int, dim: int, prepend: Any, append: Any) -> TensorType:
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    whole = _joined_extent(x, dim, prepend, append)
    if n == 0:
        return x.with_shape(x.shape)
    shape = known_shape(whole)
    place = normalize_dim(dim, len(shape))
    extent = _known_extent(shape[place])
    return whole.with_shape((*shape[:place], max(extent - n, 0), *shape[place + 1 :]))


def _known_extent(extent: Dim) -> int:
    if not isinstance(extent, int):
        raise UndecidedShape("has a tensor more elements than the order of its differences?")
    return extent


def _reference_diff(x: Array, n: int, dim: int, prepend: Array | None, append: Array | None) -> Array:
    types = [None if item is None else array_type(item) for item in (prepend, append)]
    result = _infer_diff(array_type(x), n, dim, *types)
    if n == 0:
        return x.copy()
    dtype = operand_type(result).numpy
    place = normalize_dim(dim, x.ndim)
    whole = np.concatenate([item.astype(dtype) for item in (prepend, x, append) if item is not None], place)
    for _ in range(min(n, whole.shape[place])):
        later, earlier = (
            np.take(whole, range(1, whole.shape[place]), place),
            np.take(whole, range(whole.shape[place] - 1), place),
        )
        whole = later ^ earlier if dtype.kind == "b" else later - earlier
    return whole


def _decompose_diff(b: Any, x: Any, n: int, dim: int, prepend: Any, append: Any) -> Any:
    if n == 0:
        return b("aten::clone", x)
    given = [item for item in (prepend, x, append) if item is not None]
    whole = given[0] if len(given) == 1 else b("aten::cat", given, dim)
    place = normalize_dim(dim, len(b.shape(whole)))
    for _ in range(min(n, _known_extent(b.shape(whole)[place]))):
        extent = b.shape(whole)[place]
        later, earlier = b("aten::narrow", whole, place, 1, extent - 1), b("aten::narrow", whole, place, 0, extent - 1)
        flips = b.type(whole).dtype is dtypes.BOOL
        whole = b("aten::logical_xor" if flips else "aten::sub.Tensor", later, earlier)
    return whole


define(
    "aten::diff(Tensor self, int n=1, int dim=-1, Tensor? prepend=None, Tensor? append=None) -> Tensor",
    infer=_infer_diff,
    reference=_reference_diff,
    decompose=_decompose_diff,
)


# Means without nan ---------------------------------------------------------------------------------------------------


def _infer_nanmean(x: TensorType, dims: Any, keepdim: bool, code: int | None) -> TensorType:
    dtype = operand_type(x)
    if dtype.kind not in ("float", "complex"):
        raise RuntimeError(f"nanmean(): expected input to have floating point or complex dtype but got {dtype.label}")
    result = dtype if code is None else known_dtype(code)
    text = "nanmean(): could not infer output dtype. Optional dtype must be either a floating point or complex dtype. "
    check_type(refusal(WHOLE, text + "Got: {label}") + unimplemented("nansum_cpu", COMPLEXES), result)
    return reduced(x, dims, keepdim, result)


def _reference_nanmean(x: Array, dims: Any, keepdim: bool, code: int | None) -> Array:
    result = _infer_nanmean(array_type(x), dims, keepdim, code)
    places = normalize_dims(dims, x.ndim)
    values = x.astype(np.float64)
    with np.errstate(all="ignore"):
        total = np.nansum(values, axis=places, keepdims=keepdim)
        count = np.sum(~np.isnan(values), axis=places, keepdims=keepdim)
        return np.asarray(total / count).astype(operand_type(result).numpy)


def _decompose_nanmean(b: Any, x: Any, dims: Any, keepdim: bool, code: int | None) -> Any:
    total = b("aten::nansum", x, dims, keepdim, dtype=code)
    present = b("aten::logical_not", b("aten::isnan", x))
    return b("aten::div.Tensor", total, b("aten::sum.dim_IntList", present, dims, keepdim))


define(
    "aten::nanmean(Tensor self, int[1]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor",
    infer=_infer_nanmean,
    reference=_reference_nanmean,
    decompose=_decompose_nanmean,
    refuses=refusal(COMPLEXES, "nansum on CPU does not support complex inputs", of="self"),
)


# Spaced numbers ------------------------------------------------------------------------------------------------------


def _infer_logspace(start: Any, end: Any, steps: Dim, base: Any, code: int | None, *rest: Any) -> TensorType:
    if isinstance(steps, int) and steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    if steps not in (0, 1):
        check_type(unimplemented("logspace_cpu", BOOLS), dtype_of_code(code, default_float()))
    return TensorType(dtype_of_code(code, default_float()), (steps,))


def _reference_logspace(start: float, end: float, steps: int, base: float, code: int | None, *rest: Any) -> Array:
    dtype = operand_type(_infer_logspace(start, end, steps, base, code))
    with np.errstate(all="ignore"):
        if compute_type(dtype) is not dtype:
            return _halved_powers(start, end, steps, base, dtype)
        exponents = (
            _exponents(start, end, steps) if dtype.kind == "int" else np.linspace(float(start), float(end), steps)
        )
        return np.asarray(np.float64(base) ** exponents).astype(dtype.numpy)


def _halved_powers(start: float, end: float, steps: int, base: float, half: DType) -> Array:
    """Powers between exponents that are rounded to halves, as is the distance between them: counted from both ends."""

    def rounded(value: Any) -> Array:
        return np.asarray(value, np.float32).astype(half.numpy).astype(np.float32)

    first, last = rounded(start), rounded(end)
    step = rounded(last - first) / np.float32(max(steps - 1, 1))
    places = np.arange(steps, dtype=np.float32)
    rising, falling = first + step * places, last - step * places[::-1]
    exponents = np.where(places < steps // 2, rising, falling) if steps > 1 else np.full(steps, first)
    return np.asarray(rounded(base) ** exponents).astype(half.numpy)


def _exponents(start: float, end: float, steps: int) -> Array:
    """Between whole numbers, where the powers are: counted from both ends in single precision, as torch does."""
    if steps == 1:
        return np.array([float(start)])
    step = np.float32(int(end) - int(start)) / np.float32(max(steps - 1, 1))
    places = np.arange(steps, dtype=np.float32)
    rising, falling = np.float32(int(start)) + step * places, np.float32(int(end)) - step * places[::-1]
    return np.where(places < steps // 2, rising, falling).astype(np.float64)


def _decompose_logspace(b: Any, start: Any, end: Any, steps: Any, base: Any, code: int | None, *rest: Any) -> Any:
    dtype = dtype_of_code(code, default_float())
    if are_few_numbers(start, end, steps, base):
        return b.constant(_reference_logspace(start, end, steps, base, dtype.code))
    if dtype.kind == "int" and not (isinstance(start, int | float) and isinstance(end, int | float)):
        raise UndecidedShape("where do the exponents of whole powers begin and end, without their fractions?")
    if dtype.kind == "int":
        start, end = int(start), int(end)
    exponents = b("aten::linspace", start, end, steps, dtype=dtypes.FLOAT64.code)
    return b("aten::to.dtype", b("aten::pow.Scalar", base, exponents), dtype.code)


define(
    "aten::logspace(Scalar start, Scalar end, int steps, float base=10., *, ScalarType? dtype=None, "
    "Layout? layout=None, Device? device=None, bool? pin_memory=None) -> Tensor",
    infer=_infer_logspace,
    reference=_reference_logspace,
    decompose=_decompose_logspace,
)
ends_with_tensors("logspace", "int steps, float base=10.", _reference_logspace)


# Operators on bits, in place -----------------------------------------------------------------------------------------

for _name, _written in (
    ("__lshift__", "__ilshift__"), ("__rshift__", "__irshift__"), ("__and__", "__iand__"), ("__or__", "__ior__"),
    ("__xor__", "__ixor__"),
):  # fmt: skip
    for _overload in ("Tensor", "Scalar"):
        _functional = lookup(f"aten::{_name}.{_overload}")
        assert _functional is not None
        define_inplace(_functional, _overload, f"aten::{_written}")
