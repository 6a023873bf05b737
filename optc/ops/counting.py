"""Counting: how often numbers occur, where numbers lie among others, one place in a row for a class."""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.dims import fresh
from optc.ir.types import TensorType
from optc.ops.abstract import UndecidedShape
from optc.ops.promotion import operand_type
from optc.ops.registry import define
from optc.ops.shapes import known_shape

Array = np.ndarray[Any, Any]


def _infer_one_hot(x: TensorType, classes: Any) -> TensorType:
    if classes == -1:
        raise UndecidedShape("the number of classes is the largest index")
    return TensorType(dtypes.INT64, (*known_shape(x), classes))


def _reference_one_hot(x: Array, classes: int) -> Array:
    if operand_type(x) is not dtypes.INT64:
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    if x.size and x.min() < 0:
        raise RuntimeError("Class values must be non-negative.")
    count = int(x.max()) + 1 if classes == -1 else classes
    if x.size and x.max() >= count:
        raise RuntimeError("Class values must be smaller than num_classes.")
    return np.equal(x[..., None], np.arange(count)).astype(np.int64)


define("aten::one_hot(Tensor self, int num_classes=-1) -> Tensor", infer=_infer_one_hot, reference=_reference_one_hot,
       interpreted="it checks every index", may_fail=True)  # fmt: skip


def _reference_bincount(x: Array, weights: Array | None, minlength: int) -> Array:
    if x.ndim != 1 or (x.size and x.min() < 0):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    counts = np.bincount(x, None if weights is None else weights, minlength)
    return counts.astype(np.int64 if weights is None else weights.dtype if weights.dtype == np.float32 else np.float64)


define(
    "aten::bincount(Tensor self, Tensor? weights=None, SymInt minlength=0) -> Tensor",
    infer=lambda x, weights, minlength: TensorType(
        dtypes.INT64 if weights is None else dtypes.FLOAT32 if weights.dtype is dtypes.FLOAT32 else dtypes.FLOAT64,
        (fresh(),),
    ),
    reference=_reference_bincount,
    interpreted="the number of results is only known when the program runs",
    may_fail=True,
)
