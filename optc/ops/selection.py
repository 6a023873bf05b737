"""Order statistics and sets: medians, k-th values, distinct elements; numpy does them in the interpreter."""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.dims import Dim, fresh
from optc.ir.types import TensorType
from optc.ops.abstract import normalize_dim
from optc.ops.registry import define
from optc.ops.shapes import known, known_shape, reduced_shape

Array = np.ndarray[Any, Any]
_REASON = "order statistics and sets have no kernel"


# Values by rank ------------------------------------------------------------------------------------------------------


def _is_nan(x: Array) -> Array:
    return np.isnan(x.astype(np.float64)) if x.dtype.kind not in "iub" else np.zeros(x.shape, bool)


def _infer_ranked(x: TensorType, dim: int, keepdim: bool) -> tuple[TensorType, TensorType]:
    shape = known_shape(x)
    result = reduced_shape(shape, [normalize_dim(dim, len(shape))] if shape else [], keepdim)
    return x.with_shape(result), TensorType(dtypes.INT64, result)


def _pick(rows: Array, order: Array, rank: Array, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """The elements number `rank` of each row in sorted order, and where they are."""
    places = np.take_along_axis(order, rank[..., None], -1)
    values = np.take_along_axis(rows, places, -1)
    return values.reshape(shape).copy(), places.reshape(shape).astype(np.int64)


def _rows(x: Array, dim: int) -> Array:
    return np.moveaxis(x if x.ndim else x.reshape(1), normalize_dim(dim, x.ndim), -1)


def _reference_median(x: Array, dim: int, keepdim: bool, skips_nan: bool) -> tuple[Array, Array]:
    """The lower of the two middle elements; a nan counts as the largest, and is the result unless skipped."""
    rows = _rows(x, dim)
    if not rows.shape[-1]:
        raise IndexError(f"median(): Expected reduction dim {normalize_dim(dim, x.ndim)} to have non-zero size.")
    shape = known(reduced_shape(x.shape, [dim] if x.ndim else [], keepdim))
    order, unordered = np.argsort(rows, axis=-1, kind="stable"), _is_nan(rows)
    count = rows.shape[-1] - unordered.sum(-1)
    if skips_nan:
        rank = np.where(count > 0, (count - 1) // 2, 0)
    else:
        rank = np.where(count < rows.shape[-1], np.minimum(count, rows.shape[-1] - 1), (rows.shape[-1] - 1) // 2)
    return _pick(rows, order, rank, shape)


def _reference_whole_median(x: Array, skips_nan: bool) -> Array:
    if not x.size:
        return np.asarray(np.nan if x.dtype.kind not in "iub" else np.iinfo(x.dtype).min, x.dtype)
    return _reference_median(x.reshape(-1), 0, False, skips_nan)[0]


for _name, _skips in (("median", False), ("nanmedian", True)):
    define(
        f"aten::{_name}(Tensor self) -> Tensor",
        infer=lambda x: x.with_shape(()),
        reference=lambda x, skips=_skips: _reference_whole_median(x, skips),
        interpreted=_REASON,
    )
    define(
        f"aten::{_name}.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)",
        infer=_infer_ranked,
        reference=lambda x, dim, keepdim, skips=_skips: _reference_median(x, dim, keepdim, skips),
        interpreted=_REASON,
        may_fail=True,
    )


def _reference_kth(x: Array, k: int, dim: int, keepdim: bool) -> tuple[Array, Array]:
    rows = _rows(x, dim)
    if not 0 < k <= rows.shape[-1]:
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {normalize_dim(dim, x.ndim)}")
    shape = known(reduced_shape(x.shape, [dim] if x.ndim else [], keepdim))
    rank = np.full(rows.shape[:-1], k - 1)
    return _pick(rows, np.argsort(rows, axis=-1, kind="stable"), rank, shape)


define(
    "aten::kthvalue(Tensor self, SymInt k, int dim=-1, bool keepdim=False) -> (Tensor values, Tensor indices)",
    infer=lambda x, k, dim, keepdim: _infer_ranked(x, dim, keepdim),
    reference=_reference_kth,
    interpreted=_REASON,
    may_fail=True,
)


# Distinct elements ---------------------------------------------------------------------------------------------------


def _optional(x: Array | None) -> Array:
    return np.zeros(0, np.int64) if x is None else x.astype(np.int64)


def _infer_unique(x: TensorType, inverse: bool, counts: bool, inverse_shape: tuple[Dim, ...]) -> tuple[Any, ...]:
    number = fresh()
    return (
        x.with_shape((number,)),
        TensorType(dtypes.INT64, inverse_shape if inverse else (0,)),
        TensorType(dtypes.INT64, (number,) if counts else (0,)),
    )


def _reference_unique(x: Array, inverse: bool, counts: bool) -> tuple[Array, Array, Array]:
    values, places, numbers = np.unique(x.reshape(-1), return_inverse=True, return_counts=True, equal_nan=False)
    return (
        values,
        _optional(places.reshape(x.shape) if inverse else None),
        _optional(numbers if counts else None),
    )


define(
    "aten::_unique2(Tensor self, bool sorted=True, bool return_inverse=False, bool return_counts=False) "
    "-> (Tensor, Tensor, Tensor)",
    infer=lambda x, in_order, inverse, counts: _infer_unique(x, inverse or counts, counts, known_shape(x)),
    reference=lambda x, in_order, inverse, counts: _reference_unique(x, inverse or counts, counts),
    interpreted=_REASON,
)


def _infer_unique_dim(x: TensorType, dim: int, in_order: bool, inverse: bool, counts: bool) -> tuple[Any, ...]:
    shape = known_shape(x)
    place, number = normalize_dim(dim, len(shape)), fresh()
    return (
        x.with_shape((*shape[:place], number, *shape[place + 1 :])),
        TensorType(dtypes.INT64, (shape[place],)),
        TensorType(dtypes.INT64, (number,)),
    )


def _reference_unique_dim(
    x: Array, dim: int, in_order: bool, inverse: bool, counts: bool
) -> tuple[Array, Array, Array]:
    values, places, numbers = np.unique(x, return_inverse=True, return_counts=True, axis=normalize_dim(dim, x.ndim))
    return values, _optional(places.reshape(-1)), _optional(numbers)


define(
    "aten::unique_dim(Tensor self, int dim, bool sorted=True, bool return_inverse=False, bool return_counts=False) "
    "-> (Tensor, Tensor, Tensor)",
    infer=_infer_unique_dim,
    reference=_reference_unique_dim,
    interpreted=_REASON,
)


def _reference_runs(x: Array, inverse: bool, counts: bool, dim: int | None) -> tuple[Array, Array, Array]:
    """Runs of equal elements (or of equal slices along `dim`) become one."""
    whole = x.reshape(-1) if dim is None else np.moveaxis(x, dim, 0)
    rows = whole.reshape(len(whole), -1)
    starts = np.ones(len(whole), bool)
    starts[1:] = np.any(rows[1:] != rows[:-1], axis=1)
    first = np.flatnonzero(starts)
    values = whole[first] if dim is None else np.moveaxis(whole[first], 0, dim)
    places = np.cumsum(starts) - 1
    numbers = np.diff([*first, len(whole)])
    shaped = places.reshape(x.shape) if dim is None else places
    return np.ascontiguousarray(values), _optional(shaped if inverse else None), _optional(numbers if counts else None)


def _infer_runs(x: TensorType, inverse: bool, counts: bool, dim: int | None) -> tuple[Any, ...]:
    shape = known_shape(x)
    if dim is None:
        return _infer_unique(x, inverse, counts, shape)
    place, number = normalize_dim(dim, len(shape)), fresh()
    return (
        x.with_shape((*shape[:place], number, *shape[place + 1 :])),
        TensorType(dtypes.INT64, (shape[place],) if inverse else (0,)),
        TensorType(dtypes.INT64, (number,) if counts else (0,)),
    )


define(
    "aten::unique_consecutive(Tensor self, bool return_inverse=False, bool return_counts=False, int? dim=None) "
    "-> (Tensor, Tensor, Tensor)",
    infer=_infer_runs,
    reference=_reference_runs,
    interpreted=_REASON,
)
