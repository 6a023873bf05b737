"""Assertions on tensors: what their element says, and what they are like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from optc.ir.dtypes import BY_CODE, from_numpy
from optc.ops.matrix import c_name
from optc.ops.memory_formats import element_strides
from optc.ops.registry import define

Array = np.ndarray[Any, Any]

_ZERO = "Expected Tensor with single nonzero value, but got zero"
_REASON = "traces and scripts leave it out, as in PyTorch"
_LAYOUTS = {0: "Strided", 1: "Sparse", 2: "SparseCsr", 3: "Mkldnn", 4: "SparseCsc", 5: "SparseBsr", 6: "SparseBsc"}


def _check_element(x: Array, message: str) -> None:
    if x.size != 1:
        count = "more than one value" if x.size else "no values"
        raise RuntimeError(f"Boolean value of Tensor with {count} is ambiguous")
    if not x.item():
        raise RuntimeError(message)


define(
    "aten::_assert_async(Tensor self) -> ()",
    infer=lambda x: (),
    reference=lambda x: _check_element(x, _ZERO),
    interpreted=_REASON,
    pure=False,
    may_fail=True,
)
define(
    "aten::_assert_async.msg(Tensor self, str assert_msg) -> ()",
    infer=lambda x, message: (),
    reference=_check_element,
    interpreted=_REASON,
    pure=False,
    may_fail=True,
)


def _check_metadata(
    x: Array,
    size: Sequence[int] | None,
    stride: Sequence[int] | None,
    dtype: int | None,
    device: str | None,
    layout: int | None,
) -> None:
    """Raise RuntimeError for the first thing that is not as it should be. Every tensor is strided and on the CPU."""
    found = from_numpy(x.dtype)
    _check("sizes", size, list(x.shape))
    _check("strides", stride, list(element_strides(x)))
    if dtype is not None and dtype != found.code:
        raise RuntimeError(f"Tensor dtype mismatch! Expected: {BY_CODE[dtype].label}, Got: {c_name(found)}")
    _check("device", device if device is None else device.removesuffix(":0"), "cpu")
    _check("layout", None if layout is None else _LAYOUTS.get(layout, layout), _LAYOUTS[0])


def _check(what: str, expected: Any, found: Any) -> None:
    if expected is not None and expected != found:
        raise RuntimeError(f"Tensor {what} mismatch! Expected: {expected}, Got: {found}")


define(
    "aten::_assert_tensor_metadata(Tensor a, SymInt[]? size=None, SymInt[]? stride=None, ScalarType? dtype=None, *, "
    "Device? device=None, Layout? layout=None) -> ()",
    infer=lambda x, *expected: (),
    reference=_check_metadata,
    interpreted=_REASON,
    pure=False,
    may_fail=True,
)
