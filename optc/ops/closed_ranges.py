"""`range`: numbers up to an end that is one of them. PyTorch has deprecated it; old archives hold it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from optc.ir.types import TensorType
from optc.ops.abstract import UndecidedShape, dtype_of_code
from optc.ops.creation import OPTIONS
from optc.ops.promotion import default_float
from optc.ops.registry import define

Array = np.ndarray[Any, Any]


def _range_count(start: Any, end: Any, step: Any) -> int:
    """How many numbers there are up to `end`, which is one of them."""
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {start:g} -> {end:g}")
    if (end < start) if step > 0 else (end > start):
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    count: int = math.floor((end - start) / step) + 1
    return count


def _infer_range(start: Any, end: Any, step: Any, code: int | None) -> TensorType:
    if not all(isinstance(number, int | float) for number in (start, end, step)):
        raise UndecidedShape("the length of range depends on numbers that only running tells")
    return TensorType(dtype_of_code(code, default_float()), (_range_count(start, end, step),))


def _reference_range(start: Any, end: Any, step: Any, code: int | None) -> Array:
    dtype = dtype_of_code(code, default_float())
    number = int if dtype.kind == "int" else float
    places = np.arange(_range_count(start, end, step), dtype=number)
    return np.asarray(number(start) + places * number(step)).astype(dtype.numpy)


define(
    f"aten::range(Scalar start, Scalar end, {OPTIONS}) -> Tensor",
    infer=lambda start, end, dtype, *rest: _infer_range(start, end, 1, dtype),
    reference=lambda start, end, dtype, *rest: _reference_range(start, end, 1, dtype),
    decompose=lambda b, start, end, dtype, *rest: b("aten::range.step", start, end, 1, dtype=dtype),
    may_fail=True,
)
define(
    f"aten::range.step(Scalar start, Scalar end, Scalar step=1, {OPTIONS}) -> Tensor",
    infer=lambda start, end, step, dtype, *rest: _infer_range(start, end, step, dtype),
    reference=lambda start, end, step, dtype, *rest: _reference_range(start, end, step, dtype),
    interpreted="PyTorch has deprecated it: arange is native",
    may_fail=True,
)
