"""Values by rank: medians, k-th values, the most frequent value. All of them look at sorted rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.dims import product
from optc.ir.types import TensorType
from optc.ops.abstract import normalize_dim
from optc.ops.element_types import BOOLS, COMPLEXES, unimplemented
from optc.ops.ordering import sorted_places
from optc.ops.registry import define
from optc.ops.shapes import known, known_shape, reduced_shape

Array = np.ndarray[Any, Any]

FEW = 64
"""Of so many of the smallest elements, finding them is faster than sorting all."""


def _check_ranked(name: str, x: Any, dim: int) -> int:
    """The dimension, counted from the front. Raises where it has no elements, as torch does."""
    shape = known_shape(x) if isinstance(x, TensorType) else x.shape
    place = normalize_dim(dim, len(shape))
    if shape and shape[place] == 0:
        raise IndexError(f"{name}(): Expected reduction dim {place} to have non-zero size.")
    return place


def _infer_ranked(name: str, x: TensorType, dim: int, keepdim: bool) -> tuple[TensorType, TensorType]:
    place, shape = _check_ranked(name, x, dim), known_shape(x)
    result = reduced_shape(shape, [place] if shape else [], keepdim)
    return x.with_shape(result), TensorType(dtypes.INT64, result)


def _rows(x: Array, place: int) -> Array:
    return np.moveaxis(x if x.ndim else x.reshape(1), place, -1)


def _pick(x: Array, place: int, keepdim: bool, order: Array, rank: Array) -> tuple[Array, Array]:
    """The elements number `rank` of each row in sorted order, and where they are."""
    shape = known(reduced_shape(x.shape, [place] if x.ndim else [], keepdim))
    places = np.take_along_axis(order, rank[..., None], -1)
    values = np.take_along_axis(_rows(x, place), places, -1)
    return values.reshape(shape).copy(), places.reshape(shape).astype(np.int64)


def _picked(b: Any, values: Any, places: Any, place: int, keepdim: bool, rank: Any) -> tuple[Any, Any]:
    """The same as operators; `rank` keeps the dimension."""
    found = [b("aten::gather", one, place, rank) for one in (values, places)]
    return tuple(one if keepdim else b("aten::squeeze.dim", one, place) for one in found)


def _of_one(b: Any, x: Any) -> tuple[Any, Any]:
    """What a tensor without dimensions gives: itself, at place 0."""
    return b("aten::clone", x), b("aten::full", [], 0, dtype=dtypes.INT64.code)


# Medians -------------------------------------------------------------------------------------------------------------


def _reference_median(name: str, x: Array, dim: int, keepdim: bool) -> tuple[Array, Array]:
    """The lower of the two middle elements; a nan counts as the largest, and is the result unless skipped."""
    place = _check_ranked(name, x, dim)
    rows = _rows(x, place)
    order, length = sorted_places(rows, rows.ndim - 1, False), rows.shape[-1]
    count = np.equal(rows, rows).sum(-1)
    if name == "nanmedian":
        return _pick(x, place, keepdim, order, np.maximum(count - 1, 0) // 2)
    return _pick(x, place, keepdim, order, np.where(count < length, np.minimum(count, length - 1), (length - 1) // 2))


def _decompose_median(name: str, b: Any, x: Any, dim: int, keepdim: bool) -> tuple[Any, Any]:
    shape = b.shape(x)
    if not shape:
        return _of_one(b, x)
    place = normalize_dim(dim, len(shape))
    values, places = b("aten::sort", x, place)
    middle = (shape[place] - 1) // 2
    if b.type(x).dtype.kind != "float":
        chosen = [b("aten::slice.Tensor", one, place, middle, middle + 1, 1) for one in (values, places)]
        return tuple(one if keepdim else b("aten::select.int", one, place, 0) for one in chosen)
    count = b("aten::sum.dim_IntList", b("aten::eq.Tensor", x, x), [place], True)
    if name == "nanmedian":
        rank = b("aten::floor_divide.Scalar", b("aten::clamp_min", b("aten::sub.Scalar", count, 1), 0), 2)
    else:
        rank = b("aten::where.ScalarOther", b("aten::lt.Scalar", count, shape[place]), count, middle)
    return _picked(b, values, places, place, keepdim, rank)


def _reference_whole_median(name: str, x: Array) -> Array:
    if not x.size:
        return np.asarray(np.nan if x.dtype.kind not in "iub" else np.iinfo(x.dtype).min, x.dtype)
    return _reference_median(name, x.reshape(-1), 0, False)[0]


def _decompose_whole_median(name: str, b: Any, x: Any) -> Any:
    dtype = b.type(x).dtype
    if product(b.shape(x)) == 0:
        nothing = float("nan") if dtype.kind == "float" else int(np.iinfo(dtype.numpy).min)
        return b("aten::full", [], nothing, dtype=dtype.code)
    return b(f"aten::{name}.dim", b("aten::reshape", x, [-1]), 0, False)[0]


for _name in ("median", "nanmedian"):
    define(
        f"aten::{_name}(Tensor self) -> Tensor",
        infer=lambda x: x.with_shape(()),
        reference=lambda x, name=_name: _reference_whole_median(name, x),
        decompose=lambda b, x, name=_name: _decompose_whole_median(name, b, x),
        refuses=unimplemented("median_cpu", BOOLS | COMPLEXES, takes_empty=True),
    )
    define(
        f"aten::{_name}.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)",
        infer=lambda x, dim, keepdim: _infer_ranked("median", x, dim, keepdim),
        reference=lambda x, dim, keepdim, name=_name: _reference_median(name, x, dim, keepdim),
        decompose=lambda b, x, dim, keepdim, name=_name: _decompose_median(name, b, x, dim, keepdim),
        may_fail=True,
        refuses=unimplemented("median_out", BOOLS | COMPLEXES),
    )


# The k-th value ------------------------------------------------------------------------------------------------------


def _check_k(x: Any, k: Any, dim: int) -> int:
    shape = known_shape(x) if isinstance(x, TensorType) else x.shape
    place = normalize_dim(dim, len(shape))
    extent = shape[place] if shape else 1
    if isinstance(k, int) and (k < 1 or isinstance(extent, int) and extent < k and extent != 0):
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {place}")
    return _check_ranked("kthvalue", x, dim)


def _infer_kth(x: TensorType, k: Any, dim: int, keepdim: bool) -> tuple[TensorType, TensorType]:
    _check_k(x, k, dim)
    return _infer_ranked("kthvalue", x, dim, keepdim)


def _reference_kth(x: Array, k: int, dim: int, keepdim: bool) -> tuple[Array, Array]:
    place = _check_k(x, k, dim)
    rows = _rows(x, place)
    order = sorted_places(rows, rows.ndim - 1, False)
    return _pick(x, place, keepdim, order, np.full(rows.shape[:-1], k - 1))


def _decompose_kth(b: Any, x: Any, k: Any, dim: int, keepdim: bool) -> tuple[Any, Any]:
    shape = b.shape(x)
    if not shape:
        return _of_one(b, x)
    place = normalize_dim(dim, len(shape))
    if not isinstance(k, int):
        b.require(b("aten::ge.int", k, 1), "kthvalue(): selected number k out of range")
    if isinstance(k, int) and k <= FEW:
        found, rank = b("aten::topk", x, k, place, False), k - 1
    else:
        found, rank = b("aten::sort", x, place), k - 1 if isinstance(k, int) else b("aten::sub.int", k, 1)
    chosen = [b("aten::select.int", one, place, rank) for one in found]
    return tuple(b("aten::unsqueeze", one, place) if keepdim else one for one in chosen)


define(
    "aten::kthvalue(Tensor self, SymInt k, int dim=-1, bool keepdim=False) -> (Tensor values, Tensor indices)",
    infer=_infer_kth,
    reference=_reference_kth,
    decompose=_decompose_kth,
    may_fail=True,
    refuses=unimplemented("kthvalue_cpu", BOOLS | COMPLEXES),
)


# The most frequent value ---------------------------------------------------------------------------------------------


def _reference_mode(x: Array, dim: int, keepdim: bool) -> tuple[Array, Array]:
    """The smallest of the most frequent values, and the last place that holds it."""
    place = _check_ranked("mode", x, dim)
    rows = _rows(x, place)
    order = sorted_places(rows, rows.ndim - 1, False)
    ordered = np.take_along_axis(rows, order, -1)
    numbers = np.arange(rows.shape[-1])
    starts = np.ones(rows.shape, bool)
    starts[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    lengths = numbers - np.maximum.accumulate(np.where(starts, numbers, 0), -1)
    rank = lengths.argmax(-1) if rows.size else np.zeros(rows.shape[:-1], np.int64)
    return _pick(x, place, keepdim, order, rank)


def _decompose_mode(b: Any, x: Any, dim: int, keepdim: bool) -> tuple[Any, Any]:
    shape = b.shape(x)
    if not shape:
        return _of_one(b, x)
    place = normalize_dim(dim, len(shape))
    values, places = b("aten::sort", x, place)
    numbers = b("aten::arange", shape[place])
    before = b("aten::index_select", values, place, b("aten::clamp_min", b("aten::sub.Scalar", numbers, 1), 0))
    along = b("aten::reshape", numbers, [shape[place], *[1] * (len(shape) - place - 1)])
    starts = b("aten::logical_or", b("aten::ne.Tensor", values, before), b("aten::eq.Scalar", along, 0))
    started = b("aten::cummax", b("aten::where.ScalarOther", starts, along, 0), place)[0]
    rank = b("aten::argmax", b("aten::sub.Tensor", along, started), place, True)
    return _picked(b, values, places, place, keepdim, rank)


define(
    "aten::mode(Tensor self, int dim=-1, bool keepdim=False) -> (Tensor values, Tensor indices)",
    infer=lambda x, dim, keepdim: _infer_ranked("mode", x, dim, keepdim),
    reference=_reference_mode,
    decompose=_decompose_mode,
    may_fail=True,
    refuses=unimplemented("mode_cpu", COMPLEXES, takes_empty=True),
)
