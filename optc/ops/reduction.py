"""Sums, means, extremes and other values of many elements.

Dimensions are given as in torch: None or an empty list stands for all of them. Decompositions of floating-point
statistics widen half and bfloat16 to float32 first, as torch does inside its kernels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.dims import Dim, maximum, product
from optc.ir.dtypes import DType, from_numpy
from optc.ir.types import TensorType
from optc.ops import arithmetic
from optc.ops.abstract import ShapeError, known_dtype, normalize_dim, normalize_dims
from optc.ops.element_types import BOOLS, COMPLEXES, WHOLE, Refusals, check_type, refusal, unimplemented
from optc.ops.elementwise import array_type, truth
from optc.ops.promotion import compute_type, float_result, operand_type, real_type, sum_type
from optc.ops.registry import Reduction, define
from optc.ops.scalar import function
from optc.ops.shapes import Shape, known_shape, reduced_shape

Array = np.ndarray[Any, Any]
Dims = Sequence[int] | int | None


def reduced(x: TensorType, dims: Dims, keepdim: bool, dtype: DType | None = None) -> TensorType:
    """The type after reducing `dims` of x."""
    return TensorType(dtype or x.dtype, reduced_shape(known_shape(x), dims, keepdim))


def axes(x: Array, dims: Dims) -> tuple[int, ...]:
    """The numpy axes of `dims`."""
    return normalize_dims(dims, x.ndim)


def wide(x: Array) -> Array:
    """Floating-point elements in double, the type in which references sum; others as they are."""
    return x.astype(np.float64) if x.dtype.kind not in "iubc" else x


def widened(b: Any, x: Any) -> Any:
    """Half and bfloat16 as float32, the rest as it is."""
    dtype = b.type(x).dtype
    return b("aten::to.dtype", x, compute_type(dtype).code) if compute_type(dtype) is not dtype else x


def narrowed(b: Any, x: Any, dtype: DType | None) -> Any:
    """Cast to `dtype` where that is another type."""
    return x if dtype is None or b.type(x).dtype is dtype else b("aten::to.dtype", x, dtype.code)


# Sums and products ---------------------------------------------------------------------------------------------------


def sum_result(x: Any, code: int | None) -> DType:
    """The element type of sums: what is asked for, else int64 for integers and bools."""
    return known_dtype(code) if code is not None else sum_type(operand_type(x))


def _infer_sum(x: TensorType, dims: Dims, keepdim: bool, code: int | None) -> TensorType:
    return reduced(x, dims, keepdim, sum_result(x, code))


def _reference_sum(x: Array, dims: Dims, keepdim: bool, code: int | None) -> Array:
    dtype = sum_result(x, code).numpy
    with np.errstate(all="ignore"):
        total = np.sum(wide(x.astype(dtype)), axis=axes(x, dims), keepdims=keepdim)
        return np.asarray(total).astype(dtype)


def _reference_product(x: Array, dims: Dims, keepdim: bool, code: int | None) -> Array:
    dtype = sum_result(x, code)
    with np.errstate(all="ignore"):
        work = x.astype(dtype.numpy).astype(compute_type(dtype).numpy)
        return np.asarray(np.prod(work, axis=axes(x, dims), keepdims=keepdim)).astype(dtype.numpy)


_name: str
_compute: Callable[..., Any]

SUM = Reduction(arithmetic.combine_sum, lambda dtype: 0, accumulate=compute_type)
PRODUCT = Reduction(arithmetic.multiply, lambda dtype: 1, accumulate=compute_type)

define(
    "aten::sum(Tensor self, *, ScalarType? dtype=None) -> Tensor",
    infer=lambda x, dtype: _infer_sum(x, None, False, dtype),
    reference=lambda x, dtype: _reference_sum(x, None, False, dtype),
    reduce=SUM,
)
define(
    "aten::sum.dim_IntList(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor",
    infer=_infer_sum,
    reference=_reference_sum,
    reduce=SUM,
    out="IntList_out",
)
define(
    "aten::prod(Tensor self, *, ScalarType? dtype=None) -> Tensor",
    infer=lambda x, dtype: _infer_sum(x, None, False, dtype),
    reference=lambda x, dtype: _reference_product(x, None, False, dtype),
    reduce=PRODUCT,
)
define(
    "aten::prod.dim_int(Tensor self, int dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor",
    infer=_infer_sum,
    reference=_reference_product,
    reduce=PRODUCT,
)
define(
    "aten::nansum(Tensor self, int[1]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor",
    infer=_infer_sum,
    reference=lambda x, dims, keepdim, code: _reference_sum(
        np.where(np.isnan(x), x.dtype.type(0), x) if x.dtype.kind not in "iub" else x, dims, keepdim, code
    ),
    decompose=lambda b, x, dims, keepdim, code: b(
        "aten::sum.dim_IntList", b("aten::where.ScalarSelf", b("aten::isnan", x), 0, x), dims, keepdim, dtype=code
    ),
    refuses=refusal(COMPLEXES, "nansum on CPU does not support complex inputs", of="self")
    + unimplemented("nansum_cpu", COMPLEXES, of="dtype"),
)


def _infer_trace(x: TensorType) -> TensorType:
    if len(known_shape(x)) != 2:
        raise ShapeError("trace: expected a matrix, but got tensor with dim " + str(x.rank))
    return TensorType(sum_type(operand_type(x)), ())


def _reference_trace(x: Array) -> Array:
    _infer_trace(array_type(x))
    return _reference_sum(np.diagonal(x), None, False, None)


define(
    "aten::trace(Tensor self) -> Tensor",
    infer=_infer_trace,
    reference=_reference_trace,
    decompose=lambda b, x: b("aten::sum", b("aten::diagonal", x)),
    refuses=unimplemented("trace", BOOLS),
)


# How many ------------------------------------------------------------------------------------------------------------

COUNT = Reduction(arithmetic.combine_sum, lambda dtype: 0, prepare=lambda x: truth(x).cast(dtypes.INT64))


def _reference_count(x: Array, dims: Dims) -> Array:
    places = axes(x, dims)
    return np.asarray(np.count_nonzero(x, axis=places if x.ndim else None), np.int64)


for _overload, _type in (("", "int? dim=None"), (".dim_IntList", "int[] dim")):
    define(
        f"aten::count_nonzero{_overload}(Tensor self, {_type}) -> Tensor",
        infer=lambda x, dims: reduced(x, dims, False, dtypes.INT64),
        reference=_reference_count,
        reduce=COUNT,
    )


def _truth_type(dtype: DType | None) -> DType:
    return dtypes.UINT8 if dtype is dtypes.UINT8 else dtypes.BOOL


ANY = Reduction(lambda x, y: x | y, lambda dtype: False, prepare=truth, accumulate=lambda dtype: dtypes.BOOL)
ALL = Reduction(lambda x, y: x & y, lambda dtype: True, prepare=truth, accumulate=lambda dtype: dtypes.BOOL)


def _truth_axes(x: Array, dims: Dims) -> tuple[int, ...]:
    return () if isinstance(dims, list) and not dims else axes(x, dims)


def _infer_truth(x: TensorType, dims: Dims = None, keepdim: bool = False) -> TensorType:
    """An empty list stands for no dimension here."""
    if isinstance(dims, list) and not dims:
        return TensorType(_truth_type(x.dtype), x.shape)
    return reduced(x, dims, keepdim, _truth_type(x.dtype))


for _name, _reduction, _compute in (("any", ANY, np.any), ("all", ALL, np.all)):

    def _reference_truth(x: Array, dims: Dims = None, keepdim: bool = False, compute: Any = _compute) -> Array:
        result = compute(x != 0, axis=_truth_axes(x, dims), keepdims=keepdim)
        return np.array(result).astype(_truth_type(operand_type(x)).numpy)

    for _overload, _arguments in (("", ""), (".dim", ", int dim, bool keepdim=False")):
        define(
            f"aten::{_name}{_overload}(Tensor self{_arguments}) -> Tensor",
            infer=_infer_truth,
            reference=_reference_truth,
            reduce=_reduction,
        )
    define(
        f"aten::{_name}.dims(Tensor self, int[]? dim=None, bool keepdim=False) -> Tensor",
        infer=_infer_truth,
        reference=_reference_truth,
        decompose=lambda b, x, dims, keepdim, name=_name: _decompose_truth(b, x, dims, keepdim, name),
    )


def _decompose_truth(b: Any, x: Any, dims: Dims, keepdim: bool, name: str) -> Any:
    """One dimension after the other, the last first, so that the numbers of the others stay."""
    result = _truth_type(b.type(x).dtype)
    x = b("aten::ne.Scalar", x, 0)
    if not (isinstance(dims, list) and not dims):
        for dim in sorted(normalize_dims(dims, len(b.shape(x))), reverse=True):
            x = b(f"aten::{name}.dim", x, dim, keepdim)
    return narrowed(b, x, result)


# Extremes ------------------------------------------------------------------------------------------------------------


def _lowest(dtype: DType) -> int | float | bool:
    return -math.inf if dtype.kind == "float" else False if dtype.kind == "bool" else int(np.iinfo(dtype.numpy).min)


def _highest(dtype: DType) -> int | float | bool:
    return math.inf if dtype.kind == "float" else True if dtype.kind == "bool" else int(np.iinfo(dtype.numpy).max)


MAXIMUM = Reduction(arithmetic.maximum, _lowest, accumulate=compute_type)
MINIMUM = Reduction(arithmetic.minimum, _highest, accumulate=compute_type)


def check_not_empty(name: str, shape: Shape, dims: Dims, call: str = "()") -> None:
    """Extremes of nothing do not exist. `call` is what messages put behind the name."""
    if product(shape) != 0:
        return
    if dims is None and name.startswith("arg"):
        raise IndexError(f"{name}{call}: Expected reduction dim to be specified for input.numel() == 0.")
    if dims is None or (isinstance(dims, Sequence) and not dims):
        raise RuntimeError(
            f"{name}{call}: Expected reduction dim to be specified for input.numel() == 0. "
            "Specify the reduction dim with the 'dim' argument."
        )
    for dim in normalize_dims(dims, len(shape)):
        if shape[dim] == 0:
            raise IndexError(f"{name}{call}: Expected reduction dim {dim} to have non-zero size.")


def _infer_extreme(name: str) -> Callable[..., TensorType]:
    def infer(x: TensorType, dims: Dims = None, keepdim: bool = False) -> TensorType:
        check_not_empty(name, known_shape(x), dims)
        return reduced(x, dims, keepdim)

    return infer


def _reference_extreme(name: str, compute: Callable[..., Any]) -> Callable[..., Array]:
    def reference(x: Array, dims: Dims = None, keepdim: bool = False) -> Array:
        check_not_empty(name, x.shape, dims)
        with np.errstate(all="ignore"):
            return np.asarray(compute(x, axis=axes(x, dims), keepdims=keepdim), x.dtype)

    return reference


for _name, _reduction, _compute in (("max", MAXIMUM, np.max), ("min", MINIMUM, np.min)):
    define(
        f"aten::{_name}(Tensor self) -> Tensor",
        infer=_infer_extreme(_name),
        reference=_reference_extreme(_name, _compute),
        reduce=_reduction,
        needs_elements=True,
        refuses=unimplemented(f"{_name}_all", COMPLEXES),
    )
    define(
        f"aten::a{_name}(Tensor self, int[1] dim=[], bool keepdim=False) -> Tensor",
        infer=_infer_extreme("a" + _name),
        reference=_reference_extreme("a" + _name, _compute),
        reduce=_reduction,
        needs_elements=True,
        out="out",
        refuses=unimplemented(f"{_name}_values_cpu", COMPLEXES, takes_empty=True),
    )
define(
    "aten::aminmax(Tensor self, *, int? dim=None, bool keepdim=False) -> (Tensor min, Tensor max)",
    infer=lambda x, dim, keepdim: (_infer_extreme("aminmax")(x, dim, keepdim),) * 2,
    reference=lambda x, dim, keepdim: (
        _reference_extreme("aminmax", np.min)(x, dim, keepdim),
        _reference_extreme("aminmax", np.max)(x, dim, keepdim),
    ),
    decompose=lambda b, x, dim, keepdim: (
        b("aten::amin", x, [] if dim is None else [dim], keepdim),
        b("aten::amax", x, [] if dim is None else [dim], keepdim),
    ),
    refuses=unimplemented("aminmax_cpu", COMPLEXES, takes_empty=True),
)


define(
    # The part of softmax that is a maximum. It differs from `amax` for no elements, whose softmax is no elements either,
    # and need not find a nan: the power of one makes the total nan whatever is subtracted.
    "prim::Largest(Tensor self, int[1] dim, bool keepdim=False) -> Tensor",
    infer=reduced,
    reference=lambda x, dims, keepdim: np.asarray(
        np.max(x, axis=axes(x, dims), keepdims=keepdim, initial=_lowest(from_numpy(x.dtype))), x.dtype
    ),
    reduce=Reduction(lambda x, y: function("maxnum", x, y), _lowest, accumulate=compute_type),
)


# Places of extremes --------------------------------------------------------------------------------------------------


def _reference_place(name: str, compute: Callable[..., Any]) -> Callable[..., Array]:
    def reference(x: Array, dim: int | None = None, keepdim: bool = False) -> Array:
        check_not_empty(name, x.shape, dim)
        if dim is None:
            return np.asarray(compute(x.reshape(-1))).reshape((1,) * x.ndim if keepdim else ()).astype(np.int64)
        if not x.ndim:
            normalize_dim(dim, 0)
            return np.zeros((), np.int64)
        return np.asarray(compute(_comparable(x), axis=normalize_dim(dim, x.ndim), keepdims=keepdim), np.int64)

    return reference


def _comparable(x: Array) -> Array:
    """numpy orders the nans of its own float types only."""
    return x.astype(np.float32) if x.dtype.itemsize == 2 and x.dtype.kind not in "iu" else x


def _infer_place(name: str) -> Callable[..., TensorType]:
    def infer(x: TensorType, dim: int | None, keepdim: bool) -> TensorType:
        check_not_empty(name, known_shape(x), dim)
        return reduced(x, dim, keepdim, dtypes.INT64)

    return infer


def _reference_extreme_and_place(
    name: str, extreme: Callable[..., Any], place: Callable[..., Any]
) -> Callable[..., tuple[Array, Array]]:
    """The first of equal elements, zeros of both signs among them."""
    value_of, place_of = _reference_extreme(name, extreme), _reference_place(name, place)

    def reference(x: Array, dim: int, keepdim: bool) -> tuple[Array, Array]:
        value_of(x, dim, keepdim)
        places = place_of(x, dim, True)
        values = np.take_along_axis(x, places, dim) if x.ndim else x.copy()
        if keepdim or not x.ndim:
            return values, places
        return values.squeeze(dim), places.squeeze(dim)

    return reference


def _infer_extreme_and_place(name: str) -> Callable[..., tuple[TensorType, TensorType]]:
    value_of, place_of = _infer_extreme(name), _infer_place(name)
    return lambda x, dim, keepdim: (value_of(x, dim, keepdim), place_of(x, dim, keepdim))


def _countable(b: Any, x: Any) -> Any:
    """argmax and argmin refuse bools."""
    return b("aten::to.dtype", x, dtypes.UINT8.code) if b.type(x).dtype is dtypes.BOOL else x


for _name, _extreme, _place in (("max", np.max, np.argmax), ("min", np.min, np.argmin)):
    define(
        f"aten::arg{_name}(Tensor self, int? dim=None, bool keepdim=False) -> Tensor",
        infer=_infer_place("arg" + _name),
        reference=_reference_place("arg" + _name, _place),
        kernel="arg_reduce",
        needs_elements=True,
        refuses=refusal(BOOLS, f"arg{_name}(): does not support bool input")
        + refusal(COMPLEXES, f"arg{_name}(): does not support complex input"),
    )
    define(
        f"aten::{_name}.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)",
        infer=_infer_extreme_and_place(_name),
        reference=_reference_extreme_and_place(_name, _extreme, _place),
        decompose=lambda b, x, dim, keepdim, name=_name: (
            b(f"aten::a{name}", x, [dim], keepdim),
            b(f"aten::arg{name}", _countable(b, x), dim, keepdim),
        ),
        refuses=refusal(COMPLEXES, f"{_name}(): does not support complex input"),
    )


# Means and deviations ------------------------------------------------------------------------------------------------


def _no_mean(asked: str) -> Refusals:
    text = f"mean(): could not infer output dtype. {asked} must be either a floating point or complex dtype. "
    return refusal(WHOLE, text + "Got: {label}")


NO_MEAN = _no_mean("Input dtype")


def _mean_type(x: Any, code: int | None) -> DType:
    dtype = known_dtype(code) if code is not None else operand_type(x)
    check_type(_no_mean("Input dtype" if code is None else "Optional dtype"), dtype)
    return dtype


def _infer_mean(x: TensorType, dims: Dims, keepdim: bool, code: int | None) -> TensorType:
    return reduced(x, dims, keepdim, _mean_type(x, code))


def _reference_mean(x: Array, dims: Dims, keepdim: bool, code: int | None) -> Array:
    dtype = _mean_type(x, code)
    with np.errstate(all="ignore"):
        count = np.float64(math.prod(x.shape[axis] for axis in axes(x, dims)))
        total = np.sum(wide(x.astype(dtype.numpy)), axis=axes(x, dims), keepdims=keepdim)
        return np.asarray(total / count).astype(dtype.numpy)


def count_of(shape: Shape, dims: Dims) -> Dim:
    """How many elements a reduction combines."""
    return product([shape[dim] for dim in normalize_dims(dims, len(shape))] if shape else [])


def _decompose_mean(b: Any, x: Any, dims: Dims, keepdim: bool, code: int | None) -> Any:
    dtype = _mean_type(b.type(x), code)
    work = compute_type(dtype)
    total = b("aten::sum.dim_IntList", x, dims, keepdim, dtype=work.code)
    return narrowed(b, b("aten::div.Scalar", total, b.dim(count_of(b.shape(x), dims))), dtype)


define(
    "aten::mean(Tensor self, *, ScalarType? dtype=None) -> Tensor",
    infer=lambda x, dtype: _infer_mean(x, None, False, dtype),
    reference=lambda x, dtype: _reference_mean(x, None, False, dtype),
    decompose=lambda b, x, dtype: _decompose_mean(b, x, None, False, dtype),
)
define(
    "aten::mean.dim(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor",
    infer=_infer_mean,
    reference=_reference_mean,
    decompose=_decompose_mean,
    out="out",
)


def _check_deviation(name: str, dtype: DType | None) -> None:
    if dtype is not None and dtype.kind not in ("float", "complex"):
        named = "std and var" if name in ("std", "var") else name
        raise RuntimeError(f"{named} only support floating point and complex dtypes")


def _infer_deviation(name: str) -> Callable[..., TensorType]:
    def infer(x: TensorType, dims: Dims, correction: Any, keepdim: bool) -> TensorType:
        _check_deviation(name, x.dtype)
        return reduced(x, dims, keepdim, real_type(operand_type(x)))

    return infer


def _variance(x: Array, dims: Dims, correction: Any, keepdim: bool) -> Array:
    """In double, by two passes."""
    with np.errstate(all="ignore"):
        places, values = axes(x, dims), wide(x)
        count = math.prod(x.shape[axis] for axis in places)
        squares = np.square(np.abs(values - np.sum(values, axis=places, keepdims=True) / np.float64(count)))
        freedom = max(0.0, count - (1 if correction is None else correction))
        return np.asarray(np.sum(squares, axis=places, keepdims=keepdim) / np.float64(freedom))


def _reference_deviation(name: str, root: bool) -> Callable[..., Array]:
    def reference(x: Array, dims: Dims, correction: Any, keepdim: bool) -> Array:
        _check_deviation(name, operand_type(x))
        result = _variance(x, dims, correction, keepdim)
        return np.asarray(np.sqrt(result) if root else result).astype(real_type(operand_type(x)).numpy)

    return reference


def decompose_variance(b: Any, x: Any, dims: Dims, correction: Any, keepdim: bool) -> Any:
    """Sum of squared distances from the mean over the degrees of freedom; x is float32 or float64."""
    shape = b.shape(x)
    centred = b("aten::sub.Tensor", x, b("aten::mean.dim", x, dims, True))
    distance = b("aten::abs", centred) if b.type(x).dtype.is_complex else centred
    total = b("aten::sum.dim_IntList", b("aten::mul.Tensor", distance, distance), dims, keepdim)
    count, taken = count_of(shape, dims), 1 if correction is None else correction
    if isinstance(count, int):
        return b("aten::div.Scalar", total, max(0, count - taken))
    if taken == int(taken):
        return b("aten::div.Scalar", total, b.dim(maximum(count - int(taken), 0)))
    rest = b("aten::sub.Scalar", b("aten::full", [], b.dim(count), dtype=dtypes.FLOAT64.code), taken)
    return b("aten::div.Tensor", total, b("aten::clamp_min", rest, 0))


def _decompose_deviation(b: Any, x: Any, dims: Dims, correction: Any, keepdim: bool, root: bool) -> Any:
    """In double, as in PyTorch: distances from a mean that is rounded to single precision would all be off by the same."""
    result = decompose_variance(b, _doubled(b, x), dims, correction, keepdim)
    return narrowed(b, b("aten::sqrt", result) if root else result, real_type(b.type(x).dtype))


def _doubled(b: Any, x: Any) -> Any:
    return narrowed(b, x, dtypes.COMPLEX128 if b.type(x).dtype.is_complex else dtypes.FLOAT64)


def _decompose_both(b: Any, x: Any, root: bool, dims: Dims, correction: Any, keepdim: bool) -> tuple[Any, Any]:
    deviation = _decompose_deviation(b, x, dims, correction, keepdim, root)
    return deviation, narrowed(b, _decompose_mean(b, _doubled(b, x), dims, keepdim, None), b.type(x).dtype)


for _name, _root in (("var", False), ("std", True)):
    _infer, _reference = _infer_deviation(_name), _reference_deviation(_name, _root)
    _infer_both, _reference_both = _infer_deviation(_name + "_mean"), _reference_deviation(_name + "_mean", _root)
    define(
        f"aten::{_name}(Tensor self, bool unbiased=True) -> Tensor",
        infer=lambda x, unbiased, infer=_infer: infer(x, None, int(unbiased), False),
        reference=lambda x, unbiased, reference=_reference: reference(x, None, int(unbiased), False),
        decompose=lambda b, x, unbiased, root=_root: _decompose_deviation(b, x, None, int(unbiased), False, root),
    )
    define(
        f"aten::{_name}.dim(Tensor self, int[1]? dim, bool unbiased=True, bool keepdim=False) -> Tensor",
        infer=lambda x, dims, unbiased, keepdim, infer=_infer: infer(x, dims, int(unbiased), keepdim),
        reference=lambda x, dims, unbiased, keepdim, reference=_reference: reference(x, dims, int(unbiased), keepdim),
        decompose=lambda b, x, dims, unbiased, keepdim, root=_root: _decompose_deviation(
            b, x, dims, int(unbiased), keepdim, root
        ),
    )
    define(
        f"aten::{_name}.correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False) "
        "-> Tensor",
        infer=_infer,
        reference=_reference,
        decompose=lambda b, x, dims, correction, keepdim, root=_root: _decompose_deviation(
            b, x, dims, correction, keepdim, root
        ),
    )
    for _overload, _arguments, _parse in (
        ("", "bool unbiased=True", lambda unbiased: (None, int(unbiased), False)),
        (
            ".dim",
            "int[1]? dim, bool unbiased=True, bool keepdim=False",
            lambda dims, unbiased, keepdim: (dims, int(unbiased), keepdim),
        ),
        (
            ".correction",
            "int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False",
            lambda dims, correction, keepdim: (dims, correction, keepdim),
        ),
    ):
        define(
            f"aten::{_name}_mean{_overload}(Tensor self, {_arguments}) -> (Tensor, Tensor)",
            infer=lambda x, *rest, parse=_parse, infer=_infer_both: (
                infer(x, *parse(*rest)),
                reduced(x, parse(*rest)[0], parse(*rest)[2]),
            ),
            reference=lambda x, *rest, parse=_parse, reference=_reference_both: (
                reference(x, *parse(*rest)),
                _reference_mean(x, parse(*rest)[0], parse(*rest)[2], None),
            ),
            decompose=lambda b, x, *rest, parse=_parse, root=_root: _decompose_both(b, x, root, *parse(*rest)),
        )


# Logarithms of sums --------------------------------------------------------------------------------------------------


def _infer_logsumexp(x: TensorType, dims: Dims, keepdim: bool) -> TensorType:
    rank = len(known_shape(x))
    if rank and isinstance(dims, Sequence) and not dims:
        raise RuntimeError(f"output with shape [] doesn't match the broadcast shape {[1] * rank}")
    return reduced(x, dims, keepdim, float_result(operand_type(x)))


def _reference_logsumexp(x: Array, dims: Dims, keepdim: bool) -> Array:
    dtype = operand_type(_infer_logsumexp(array_type(x), dims, keepdim))
    with np.errstate(all="ignore"):
        values, places = x.astype(np.complex128 if dtype.is_complex else np.float64), axes(x, dims)
        top = np.max(values.real, axis=places, keepdims=True, initial=-np.inf)
        top = np.where(np.isinf(top), 0.0, top)
        total = np.log(np.sum(np.exp(values - top), axis=places, keepdims=True)) + top
        return np.asarray(total if keepdim else np.squeeze(total, places)).astype(dtype.numpy)


def _decompose_logsumexp(b: Any, x: Any, dims: Dims, keepdim: bool) -> Any:
    target = float_result(operand_type(b.type(x)))
    x = narrowed(b, x, compute_type(target))
    top = b("aten::amax", b("aten::real", x) if target.is_complex else x, dims, True)
    top = b("aten::where.ScalarSelf", b("aten::isinf", top), 0.0, top)
    total = b("aten::sum.dim_IntList", b("aten::exp", b("aten::sub.Tensor", x, top)), dims, True)
    result = b("aten::add.Tensor", b("aten::log", total), top)
    shape = reduced_shape(b.shape(x), dims, keepdim)
    return narrowed(b, result if keepdim else b("aten::reshape", result, list(shape)), target)


for _name in ("logsumexp", "special_logsumexp"):
    define(
        f"aten::{_name}(Tensor self, int[1] dim, bool keepdim=False) -> Tensor",
        infer=_infer_logsumexp,
        reference=_reference_logsumexp,
        decompose=_decompose_logsumexp,
    )
