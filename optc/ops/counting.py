"""Counting: how often numbers occur, where numbers lie among others in order, one place in a row for a class.

Counts are scatters of ones. Native code knows the kernel "sorted_places", a binary search for every element.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.dims import Dim, fresh, product
from optc.ir.types import TensorType
from optc.ops.abstract import normalize_dim, same_dim
from optc.ops.element_types import BOOLS, COMPLEXES, INTEGERS, check_type, refusal, unimplemented
from optc.ops.promotion import operand_type, result_type
from optc.ops.registry import define
from optc.ops.scatters import shape_of
from optc.ops.shapes import format_shape, known_shape, require_same

Array = np.ndarray[Any, Any]

INT64 = dtypes.INT64.code


# Classes -------------------------------------------------------------------------------------------------------------


def _check_classes(x: Any, classes: Any) -> None:
    if operand_type(x) is not dtypes.INT64:
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    if 0 in shape_of(x) and isinstance(classes, int) and classes <= 0:
        raise RuntimeError("Can not infer total number of classes from empty tensor.")


def _infer_one_hot(x: TensorType, classes: Any) -> TensorType:
    _check_classes(x, classes)
    return TensorType(dtypes.INT64, (*known_shape(x), fresh() if classes == -1 else classes))


def _reference_one_hot(x: Array, classes: int) -> Array:
    _check_classes(x, classes)
    if x.size and x.min() < 0:
        raise RuntimeError("Class values must be non-negative.")
    count = int(x.max()) + 1 if classes == -1 else classes
    if x.size and x.max() >= count:
        raise RuntimeError("Class values must be smaller than num_classes.")
    return np.equal(x[..., None], np.arange(count)).astype(np.int64)


def _decompose_one_hot(b: Any, x: Any, classes: Any) -> Any:
    if classes == -1:
        classes = b("aten::add.int", b("aten::Int.Tensor", b("aten::max", x)), 1)
    zeros = b("aten::full", [*b.shape(x), classes], 0, dtype=INT64)
    return b("aten::scatter.value", zeros, -1, b("aten::unsqueeze", x, -1), 1)


define("aten::one_hot(Tensor self, int num_classes=-1) -> Tensor", infer=_infer_one_hot, reference=_reference_one_hot,
       decompose=_decompose_one_hot, may_fail=True, makes_rows=True)  # fmt: skip


# How often numbers occur ---------------------------------------------------------------------------------------------


def _check_counted(x: Any, weights: Any, minlength: Any) -> None:
    shape = shape_of(x)
    if operand_type(x).kind != "int":
        raise NotImplementedError(f"\"bincount_cpu\" not implemented for '{operand_type(x).label}'")
    if isinstance(minlength, int) and minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    if len(shape) != 1:
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if weights is None:
        return
    given = shape_of(weights)
    if len(given) != 1 or same_dim(given[0], shape[0]) is False:
        raise RuntimeError("weights should be 1-d and have the same length as input")
    require_same(given[0], shape[0], "the number of weights")


def _count_type(weights: Any) -> dtypes.DType:
    if weights is None:
        return dtypes.INT64
    return dtypes.FLOAT32 if operand_type(weights) is dtypes.FLOAT32 else dtypes.FLOAT64


def _infer_bincount(x: TensorType, weights: TensorType | None, minlength: Any) -> TensorType:
    _check_counted(x, weights, minlength)
    return TensorType(_count_type(weights), (minlength if known_shape(x)[0] == 0 else fresh(),))


def _reference_bincount(x: Array, weights: Array | None, minlength: int) -> Array:
    _check_counted(x, weights, minlength)
    if x.size and x.min() < 0:
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    dtype = _count_type(weights).numpy
    counts = np.bincount(x, None if weights is None else weights.astype(np.float64), minlength)
    return counts.astype(np.int64 if not x.size and weights is None else dtype)


def _decompose_bincount(b: Any, x: Any, weights: Any, minlength: Any) -> Any:
    dtype = _count_type(None if weights is None else b.type(weights))
    if b.shape(x)[0] == 0:
        return b("aten::full", [minlength], 0, dtype=dtype.code)
    numbers = b("aten::to.dtype", x, INT64)
    least = b("aten::sub.int", minlength, 1) if not isinstance(minlength, int) else minlength - 1
    largest = b("aten::max", b("aten::cat", [numbers, b("aten::full", [1], least, dtype=INT64)]))
    count = b("aten::add.int", b("aten::Int.Tensor", largest), 1)
    zeros = b("aten::full", [count], 0, dtype=dtype.code)
    if weights is None:
        weights = b("aten::full", [b.shape(x)[0]], 1, dtype=INT64)
    return b("aten::scatter_add", zeros, 0, numbers, b("aten::to.dtype", weights, dtype.code))


define(
    "aten::bincount(Tensor self, Tensor? weights=None, SymInt minlength=0) -> Tensor",
    infer=_infer_bincount,
    reference=_reference_bincount,
    decompose=_decompose_bincount,
    may_fail=True,
)


def _check_histogram(x: Any, bins: int, low: Any, high: Any) -> None:
    check_type(
        unimplemented("linspace_cpu", BOOLS) + unimplemented("histogram_cpu", INTEGERS | COMPLEXES), operand_type(x)
    )
    if bins <= 0:
        raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {bins} for dimension 0")
    if low > high:
        raise RuntimeError("torch.histc: max must be larger than min")


def _infer_histogram(x: TensorType, bins: int, low: Any, high: Any) -> TensorType:
    _check_histogram(x, bins, low, high)
    return x.with_shape((bins,))


def _reference_histogram(x: Array, bins: int, low: Any, high: Any) -> Array:
    """How many elements lie in each of `bins` parts of [low, high], or of where all of them lie."""
    _check_histogram(x, bins, low, high)
    start, stop = x.dtype.type(low), x.dtype.type(high)
    if start == stop and x.size:
        start, stop = x.min(), x.max()
    if not (np.isfinite(start) and np.isfinite(stop)):
        raise RuntimeError(f"torch.histc: range of [{start:g}, {stop:g}] is not finite")
    if start == stop:
        start, stop = start - 1, stop + 1
    with np.errstate(all="ignore"):
        inside = x[(x >= start) & (x <= stop)]
        places = ((inside - start) * x.dtype.type(bins) / (stop - start)).astype(np.int64)
    return np.bincount(np.minimum(places, bins - 1).reshape(-1), minlength=bins).astype(x.dtype)


def _decompose_histogram(b: Any, x: Any, bins: int, low: Any, high: Any) -> Any:
    code = b.type(x).dtype.code
    flat, zeros = b("aten::reshape", x, [-1]), b("aten::full", [bins], 0, dtype=code)
    if product(b.shape(x)) == 0:
        return zeros
    if low == high:
        start, stop = (
            b(f"aten::a{extreme}", b("aten::cat", [flat, b("aten::full", [1], neutral, dtype=code)]), [])
            for extreme, neutral in (("min", np.inf), ("max", -np.inf))
        )
        size = b("aten::sub.Tensor", stop, start)  # minus infinity where there are no elements
        b.require(b("aten::lt.Scalar", size, np.inf), "torch.histc: range of the elements is not finite")
    else:
        start, stop = (b("aten::full", [], float(bound), dtype=code) for bound in (low, high))
    alone = b("aten::to.dtype", b("aten::eq.Tensor", start, stop), code)
    start, stop = b("aten::sub.Tensor", start, alone), b("aten::add.Tensor", stop, alone)
    inside = b("aten::logical_and", b("aten::ge.Tensor", flat, start), b("aten::le.Tensor", flat, stop))
    scaled = b("aten::mul.Scalar", b("aten::sub.Tensor", flat, start), float(bins))
    place = b("aten::div.Tensor", scaled, b("aten::sub.Tensor", stop, start))
    place = b("aten::to.dtype", b("aten::where.ScalarOther", inside, place, 0.0), INT64)
    return b("aten::scatter_add", zeros, 0, b("aten::clamp_max", place, bins - 1), b("aten::to.dtype", inside, code))


define(
    "aten::histc(Tensor self, int bins=100, Scalar min=0, Scalar max=0) -> Tensor",
    infer=_infer_histogram,
    reference=_reference_histogram,
    decompose=_decompose_histogram,
    may_fail=True,
)


# Where numbers lie among others --------------------------------------------------------------------------------------


def sorted_places(boundaries: Array, values: Array, right: bool) -> Array:
    """Into which gap of boundaries in order each value falls, by bisection: nan lies behind everything."""
    low, high = np.zeros(values.shape, np.int64), np.full(values.shape, boundaries.shape[-1], np.int64)
    rows = boundaries.reshape(math.prod(boundaries.shape[:-1]), boundaries.shape[-1])
    lead = np.arange(len(rows)).repeat(values.size // len(rows)) if len(rows) else np.zeros(0, np.int64)
    lead = lead.reshape(values.shape)
    while np.any(low < high):
        middle = (low + high) // 2
        found = rows[lead, np.minimum(middle, boundaries.shape[-1] - 1)]
        further = ~(found > values if right else found >= values) & (low < high)
        low, high = np.where(further, middle + 1, low), np.where(further, high, np.minimum(middle, high))
    return low


define(
    "prim::SortedPlaces(Tensor boundaries, Tensor values, bool right) -> Tensor",
    infer=lambda boundaries, values, right: TensorType(dtypes.INT64, known_shape(values)),
    reference=sorted_places,
    kernel="sorted_places",
)


def _check_search(boundaries: Any, values: Any, right: Any, side: Any, sorter: Any) -> bool:
    """Whether equal boundaries lie before a value. Raises what torch's checks raise."""
    if side is not None and side not in ("left", "right"):
        raise RuntimeError(f"torch.searchsorted(): side can only be 'left' or 'right' but got {side}")
    if side == "left" and right:
        raise RuntimeError(
            "torch.searchsorted(): side and right can't be set to opposites, got side of left while right was True"
        )
    shape, given = shape_of(boundaries), shape_of(values) if isinstance(values, TensorType | np.ndarray) else ()
    if not shape:
        raise RuntimeError(
            "torch.searchsorted(): boundaries tensor should have positive dimension, but got 0 dimension"
        )
    if len(shape) > 1 and (
        len(shape) != len(given) or any(same_dim(*pair) is False for pair in zip(shape[:-1], given[:-1]))
    ):
        raise RuntimeError(
            "torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries "
            f"tensor and input value tensor must match, but we got boundaries tensor {format_shape(shape)} and input "
            f"value tensor {format_shape(given)}"
        )
    for pair in zip(shape[:-1], given[:-1]) if len(shape) > 1 else ():
        require_same(*pair, "the rows of boundaries and values")
    if sorter is not None and tuple(shape_of(sorter)) != tuple(shape):
        raise RuntimeError(
            "torch.searchsorted(): boundary and sorter must have the same size, but got boundary tensor "
            f"{format_shape(shape)}and got sorter tensor {format_shape(shape_of(sorter))}"
        )
    if 0 not in (*shape, *given):
        common = result_type(boundaries, values)
        check_type(unimplemented("searchsorted_out_cpu", BOOLS | COMPLEXES), common)
    return bool(right) or side == "right"


def _search_result(boundaries: Any, values: Any, int32: Any, right: Any, side: Any, sorter: Any) -> TensorType:
    _check_search(boundaries, values, right, side, sorter)
    shape = shape_of(values) if isinstance(values, TensorType | np.ndarray) else ()
    return TensorType(dtypes.INT32 if int32 else dtypes.INT64, tuple(shape))


def _reference_search(
    boundaries: Array, values: Any, int32: bool, right: bool, side: str | None, sorter: Array | None
) -> Array:
    is_right = _check_search(boundaries, values, right, side, sorter)
    if sorter is not None:
        if sorter.size and (sorter.min() < 0 or sorter.max() >= boundaries.shape[-1]):
            raise RuntimeError("torch.searchsorted(): sorter index out of range")
        boundaries = np.take_along_axis(boundaries, sorter, -1)
    common = result_type(boundaries, values).numpy
    found = sorted_places(boundaries.astype(common), np.asarray(values).astype(common), is_right)
    return found.astype(np.int32 if int32 else np.int64)


def _decompose_search(
    b: Any, boundaries: Any, values: Any, int32: bool, right: bool, side: str | None, sorter: Any
) -> Any:
    known = [b.abstract(one) for one in (boundaries, values)]
    is_right = _check_search(known[0], known[1], right, side, None)
    common = result_type(*known).code
    if sorter is not None:
        boundaries = b("aten::gather", boundaries, -1, sorter)
    if not isinstance(known[1], TensorType):
        values = b("aten::full", [], values, dtype=common)
    both = [b("aten::to.dtype", one, common) for one in (boundaries, values)]
    places = b("prim::SortedPlaces", *both, is_right)
    return b("aten::to.dtype", places, dtypes.INT32.code) if int32 else places


for _overload, _kind in (("Tensor", "Tensor"), ("Scalar", "Scalar")):
    define(
        f"aten::searchsorted.{_overload}(Tensor sorted_sequence, {_kind} self, *, bool out_int32=False, "
        "bool right=False, str? side=None, Tensor? sorter=None) -> Tensor",
        infer=_search_result,
        reference=_reference_search,
        decompose=_decompose_search,
        may_fail=True,
        out=f"{_overload}_out",
    )


def _check_buckets(boundaries: Any) -> None:
    if len(shape_of(boundaries)) != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({len(shape_of(boundaries))})")


def _infer_buckets(values: Any, boundaries: TensorType, int32: bool, right: bool) -> TensorType:
    _check_buckets(boundaries)
    return _search_result(boundaries, values, int32, right, None, None)


def _reference_buckets(values: Any, boundaries: Array, int32: bool, right: bool) -> Array:
    _check_buckets(boundaries)
    return _reference_search(boundaries, values, int32, right, None, None)


for _overload, _kind in (("Tensor", "Tensor"), ("Scalar", "Scalar")):
    define(
        f"aten::bucketize.{_overload}({_kind} self, Tensor boundaries, *, bool out_int32=False, bool right=False) "
        "-> Tensor",
        infer=_infer_buckets,
        reference=_reference_buckets,
        decompose=lambda b, values, boundaries, int32, right: _decompose_search(
            b, boundaries, values, int32, right, None, None
        ),
        out=f"{_overload}_out",
    )


# Elements repeated as often as data says -----------------------------------------------------------------------------


def _check_repeats(repeats: Any) -> None:
    if len(shape_of(repeats)) != 1:
        raise RuntimeError("repeat_interleave only accept 1D vector as repeat")
    if operand_type(repeats) not in (dtypes.INT32, dtypes.INT64):
        raise NotImplementedError(f"\"repeat_interleave_cpu\" not implemented for '{operand_type(repeats).label}'")


def _infer_repeats(repeats: TensorType, size: Any) -> TensorType:
    _check_repeats(repeats)
    return TensorType(operand_type(repeats), (fresh() if size is None else size,))


def _reference_repeats(repeats: Array, size: int | None) -> Array:
    """0 as often as the first number says, 1 as often as the second, ..."""
    _check_repeats(repeats)
    if repeats.size and repeats.min() < 0:
        raise RuntimeError("repeats can not be negative")
    if size is not None and size != repeats.sum():
        raise RuntimeError("allocated size does not match required size")
    return np.repeat(np.arange(repeats.size), repeats).astype(repeats.dtype)


def _decompose_repeats(b: Any, repeats: Any, size: Any) -> Any:
    b.require(b("aten::all", b("aten::ge.Scalar", repeats, 0)), "repeats can not be negative")
    total = b("aten::Int.Tensor", b("aten::sum", repeats))
    if size is not None:
        b.require(b("aten::eq.int", total, size), "allocated size does not match required size")
    numbers = b("aten::arange", total if size is None else size)
    places = b("prim::SortedPlaces", b("aten::cumsum", repeats, 0), numbers, True)
    return b("aten::to.dtype", places, b.type(repeats).dtype.code)


define(
    "aten::repeat_interleave.Tensor(Tensor repeats, *, SymInt? output_size=None) -> Tensor",
    infer=_infer_repeats,
    reference=_reference_repeats,
    decompose=_decompose_repeats,
    may_fail=True,
)


def _check_repeated(shape: Sequence[Dim], repeats: Any, dim: int | None) -> tuple[int, Dim, bool]:
    """The dimension whose elements are repeated, its extent, and whether one number stands for all of them."""
    place = 0 if dim is None else normalize_dim(dim, len(shape))
    extent = product(tuple(shape)) if dim is None or not shape else shape[place]
    given = shape_of(repeats)
    if len(given) == 0 or len(given) == 1 and given[0] == 1:
        return place, extent, True
    if len(given) != 1:
        raise RuntimeError("repeats must be 0-dim or 1-dim tensor")
    if same_dim(given[0], extent) is False:
        raise RuntimeError(
            f"repeats must have the same size as input along dim, but got repeats.size(0) = {given[0]} and "
            f"input.size({place}) = {extent}"
        )
    require_same(given[0], extent, "the number of repeats")
    return place, extent, False


def _infer_repeated(x: TensorType, repeats: TensorType, dim: int | None, size: Any) -> TensorType:
    shape = known_shape(x)
    place, _, _ = _check_repeated(shape, repeats, dim)
    count = fresh() if size is None else size
    return x.with_shape((count,) if dim is None else (*shape[:place], count, *shape[place + 1 :]))


def _reference_repeated(x: Array, repeats: Array, dim: int | None, size: int | None) -> Array:
    place, extent, _ = _check_repeated(x.shape, repeats, dim)
    places = _reference_repeats(np.array(np.broadcast_to(repeats, (int(str(extent)),))), size)
    return np.take(x.reshape(-1) if dim is None or not x.ndim else x, places, place)


def _decompose_repeated(b: Any, x: Any, repeats: Any, dim: int | None, size: Any) -> Any:
    place, extent, is_one = _check_repeated(b.shape(x), b.type(repeats), dim)
    if is_one:
        repeats = b("aten::expand", b("aten::reshape", repeats, [1]), [extent])
    places = b("aten::repeat_interleave.Tensor", repeats, size)
    return b("aten::index_select", b("aten::reshape", x, [-1]) if dim is None else x, place, places)


define(
    "aten::repeat_interleave.self_Tensor(Tensor self, Tensor repeats, int? dim=None, *, SymInt? output_size=None) "
    "-> Tensor",
    infer=_infer_repeated,
    reference=_reference_repeated,
    decompose=_decompose_repeated,
    may_fail=True,
)


# Which elements are among others -------------------------------------------------------------------------------------


def _infer_isin(elements: Any, tests: Any, assume_unique: bool, invert: bool) -> TensorType:
    return TensorType(dtypes.BOOL, tuple(shape_of(elements)) if isinstance(elements, TensorType) else ())


def _reference_isin(elements: Any, tests: Any, assume_unique: bool, invert: bool) -> Array:
    found = np.asarray(elements)[..., None] == np.asarray(tests).reshape(-1)
    return np.asarray(found.any(-1) != invert)


def _decompose_isin(b: Any, elements: Any, tests: Any, assume_unique: bool, invert: bool) -> Any:
    if not isinstance(b.abstract(tests), TensorType):
        return b("aten::ne.Scalar" if invert else "aten::eq.Scalar", elements, tests)
    flat = b("aten::reshape", tests, [-1])
    if isinstance(b.abstract(elements), TensorType):
        same = b("aten::eq.Tensor", b("aten::unsqueeze", elements, -1), flat)
    else:
        same = b("aten::eq.Scalar", flat, elements)
    found = b("aten::any.dim", same, -1, False)
    return b("aten::logical_not", found) if invert else found


for _overload, _left, _right in (
    ("Tensor_Tensor", "Tensor elements", "Tensor test_elements"),
    ("Tensor_Scalar", "Tensor elements", "Scalar test_element"),
    ("Scalar_Tensor", "Scalar element", "Tensor test_elements"),
):
    define(
        f"aten::isin.{_overload}({_left}, {_right}, *, bool assume_unique=False, bool invert=False) -> Tensor",
        infer=_infer_isin,
        reference=_reference_isin,
        decompose=_decompose_isin,
        refuses=tuple(
            rule
            for given in (_left, _right)
            for rule in refusal(
                BOOLS | COMPLEXES, "Unsupported input type encountered for isin(): {label}", of=given.split()[1]
            )
        ),
    )
