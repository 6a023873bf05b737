"""Quantiles: values between sorted elements, interpolated as asked for."""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.ir.types import TensorType
from optc.ops.abstract import normalize_dim
from optc.ops.composite import declare_composite
from optc.ops.promotion import operand_type
from optc.ops.registry import Operator

Array = np.ndarray[Any, Any]

_MODES = ("linear", "lower", "higher", "midpoint", "nearest")
_ROUNDED = {"lower": "aten::floor", "higher": "aten::ceil", "nearest": "aten::round"}


def _check(x: TensorType, q: Any, mode: str) -> None:
    if operand_type(x).name not in ("float32", "float64"):
        raise RuntimeError("quantile() input tensor must be either float or double dtype")
    if isinstance(q, TensorType):
        assert q.shape is not None
        if len(q.shape) > 1:
            raise RuntimeError("quantile() q must be a scalar or 1D tensor")
        if q.dtype is not x.dtype:
            raise RuntimeError("quantile() q tensor must be same dtype as the input tensor")
    elif not 0 <= q <= 1:
        raise RuntimeError(f"quantile() q must be in the range [0, 1] but got {q:g}")
    if mode not in _MODES:
        raise RuntimeError(
            f"quantile() interpolation must be one of linear, lower, higher, midpoint or nearest, but got {mode}"
        )
    if x.shape is not None and 0 in x.shape:
        raise RuntimeError("quantile() input tensor must be non-empty")


def _ranks(b: Any, ordered: Any, fractions: Any, ignore_nan: bool) -> Any:
    """Where in its row each quantile lies: a number between two places; the last place, nan, where nan counts."""
    last = b.shape(ordered)[-1] - 1
    missing = b("aten::isnan", ordered)
    if ignore_nan:
        count = b("aten::sum.dim_IntList", b("aten::logical_not", missing), [-1], True)
        top = b("aten::to.dtype", b("aten::sub.Scalar", count, 1), b.type(ordered).dtype.code)
        return b("aten::clamp_min", b("aten::mul.Tensor", fractions, top), 0)
    ranks = b("aten::mul.Scalar", fractions, last)
    ranks = b("aten::expand", ranks, [*b.shape(ordered)[:-1], b.shape(fractions)[-1]])
    return b("aten::masked_fill.Scalar", ranks, b("aten::any.dim", missing, -1, True), last)


def _between(b: Any, ordered: Any, ranks: Any, mode: str) -> Any:
    ranks = b(_ROUNDED[mode], ranks) if mode in _ROUNDED else ranks
    low = b("aten::floor", ranks)
    below = b("aten::gather", ordered, -1, b("aten::to.dtype", low, 4))
    if mode in _ROUNDED:
        return below
    above = b("aten::gather", ordered, -1, b("aten::to.dtype", b("aten::ceil", ranks), 4))
    if mode == "midpoint":
        return b("aten::lerp.Scalar", below, above, 0.5)
    return b("aten::lerp.Tensor", below, above, b("aten::sub.Tensor", ranks, low))


def _build(b: Any, x: Any, q: Any, dim: int | None, keepdim: bool, mode: str, ignore_nan: bool, is_tensor: bool) -> Any:
    _check(b.type(x), b.type(q) if is_tensor else q, mode)
    if is_tensor:
        inside = b("aten::logical_and", b("aten::ge.Scalar", q, 0), b("aten::le.Scalar", q, 1))
        b.require(b("aten::all", inside), "quantile() q values must be in the range [0, 1]")
    shape = b.shape(x)
    rank = len(shape)
    if dim is None or not rank:
        normalize_dim(dim or 0, rank)
        rows, outer, place = b("aten::reshape", x, [-1]), [1] * rank, 0
    else:
        place = normalize_dim(dim, rank)
        rows = b("aten::movedim.int", x, place, -1)
        outer = [1 if axis == place else extent for axis, extent in enumerate(shape)]
    ordered = b("aten::sort", rows, -1, False)[0]
    fractions = b("aten::reshape", q, [-1]) if is_tensor else b("aten::full", [1], q, dtype=b.type(x).dtype.code)
    found = _between(b, ordered, _ranks(b, ordered, fractions, ignore_nan), mode)
    listed = is_tensor and len(b.shape(q)) == 1
    moved = b("aten::movedim.int", found, -1, 0)
    kept = (
        outer if keepdim else [extent for axis, extent in enumerate(shape) if axis != place] if dim is not None else []
    )
    kept = [] if not rank else kept
    return b("aten::reshape", moved, [b.shape(fractions)[0], *kept] if listed else kept)


def _declare(name: str, overload: str, ignore_nan: bool) -> Operator:
    is_tensor = not overload
    return declare_composite(
        f"aten::{name}{overload}(Tensor self, {'Tensor' if is_tensor else 'float'} q, int? dim=None, bool keepdim=False, "
        '*, str interpolation="linear") -> Tensor',
        lambda b, x, q, dim, keepdim, mode: _build(b, x, q, dim, keepdim, mode, ignore_nan, is_tensor),
        may_fail=is_tensor,
        out="out" if is_tensor else "scalar_out",
    )


for _name, _ignores in (("quantile", False), ("nanquantile", True)):
    for _overload in ("", ".scalar"):
        _declare(_name, _overload, _ignores)
