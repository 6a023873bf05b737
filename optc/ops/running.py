"""Running values: sums, products, extremes and log-sum-exps of all elements so far along a dimension.

Native code knows the kernels "cumulative" and "running_extreme".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.types import TensorType
from optc.ops.abstract import normalize_dim
from optc.ops.element_types import BOOLS, COMPLEXES, WHOLE, check_type, unimplemented
from optc.ops.promotion import operand_type
from optc.ops.reduction import sum_result, wide
from optc.ops.registry import define
from optc.ops.shapes import known_shape
from optc.ops.special import log_of_powers_so_far

Array = np.ndarray[Any, Any]


def _infer_running(x: TensorType, dim: int, code: int | None) -> TensorType:
    normalize_dim(dim, len(known_shape(x)))
    return TensorType(sum_result(x, code), x.shape)


def _reference_running(compute: Callable[..., Any]) -> Callable[..., Array]:
    def reference(x: Array, dim: int, code: int | None) -> Array:
        place, dtype = normalize_dim(dim, x.ndim), sum_result(x, code).numpy
        if not x.ndim:
            return x.astype(dtype)
        with np.errstate(all="ignore"):
            return np.asarray(compute(wide(x.astype(dtype)), axis=place)).astype(dtype)

    return reference


def _sums_so_far(x: Array, axis: int) -> Array:
    """Sums that begin with 0.0, which -0.0 does not change."""
    return np.asarray(np.cumsum(x, axis=axis) + x.dtype.type(0))


for _name, _compute in (("cumsum", _sums_so_far), ("cumprod", np.cumprod)):
    define(
        f"aten::{_name}(Tensor self, int dim, *, ScalarType? dtype=None) -> Tensor",
        infer=_infer_running,
        reference=_reference_running(_compute),
        kernel="cumulative",
        inplace=True,
        out="out",
        refuses=unimplemented(f"{_name}_out_cpu", BOOLS, of="dtype", takes_empty=True),
    )


# As `aten::cumsum`, in the precision of the elements: so PyTorch sums up inside of some operators.
define(
    "prim::RunningSum(Tensor self, int dim) -> Tensor",
    infer=lambda x, dim: TensorType(x.dtype, x.shape),
    reference=lambda x, dim: np.asarray(np.add.accumulate(x, axis=dim)),
    kernel="cumulative",
)


def _check_running_extreme(name: str, x: Any) -> None:
    """PyTorch has no kernel for complex numbers, and needs none where there is one number or none."""
    shape = known_shape(x) if isinstance(x, TensorType) else x.shape
    if shape and 0 not in shape:
        check_type(unimplemented(f"{name}_cpu", COMPLEXES), operand_type(x))


def _infer_running_extreme(name: str, x: TensorType) -> tuple[TensorType, TensorType]:
    _check_running_extreme(name, x)
    return x.with_shape(x.shape), TensorType(dtypes.INT64, x.shape)


def _reference_running_extreme(name: str, x: Array, dim: int, is_new: Any) -> tuple[Array, Array]:
    """Values and places; a later equal element takes the place over, a nan stays."""
    place = normalize_dim(dim, x.ndim)
    _check_running_extreme(name, x)
    if not x.ndim:
        return x.copy(), np.zeros((), np.int64)
    moved = np.moveaxis(x, place, 0)
    values, places = moved.copy(), np.zeros(moved.shape, np.int64)
    for index in range(1, moved.shape[0]):
        with np.errstate(all="ignore"):
            taken = is_new(moved[index], values[index - 1]) | (moved[index] != moved[index])
        taken = taken & ~((values[index - 1] != values[index - 1]) & (moved[index] == moved[index]))
        values[index] = np.where(taken, moved[index], values[index - 1])
        places[index] = np.where(taken, index, places[index - 1])
    return np.moveaxis(values, 0, place).copy(), np.moveaxis(places, 0, place).copy()


for _name, _is_new in (("cummax", np.greater_equal), ("cummin", np.less_equal)):
    define(
        f"aten::{_name}(Tensor self, int dim) -> (Tensor values, Tensor indices)",
        infer=lambda x, dim, name=_name: _infer_running_extreme(name, x),
        reference=lambda x, dim, name=_name, is_new=_is_new: _reference_running_extreme(name, x, dim, is_new),
        kernel="running_extreme",
    )


def _check_log(x: Any, dim: int) -> None:
    normalize_dim(dim, len(known_shape(x) if isinstance(x, TensorType) else x.shape))


def _infer_log(x: TensorType, dim: int) -> TensorType:
    _check_log(x, dim)
    return x.with_shape(x.shape)


def _reference_log(x: Array, dim: int) -> Array:
    """log(sum(exp)) of all elements so far."""
    _check_log(x, dim)
    with np.errstate(all="ignore"):
        if not x.ndim:
            return x.copy()
        return (log_of_powers_so_far(wide(x), normalize_dim(dim, x.ndim)) + 0.0).astype(x.dtype)


define("aten::logcumsumexp(Tensor self, int dim) -> Tensor", infer=_infer_log, reference=_reference_log,
       kernel="cumulative", refuses=unimplemented("logcumsumexp_out_cpu", WHOLE))  # fmt: skip
