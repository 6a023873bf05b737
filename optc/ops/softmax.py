"""Softmax and its logarithm, defined by reductions and arithmetic: code generation fuses the pieces around a row."""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.dtypes import DType
from optc.ir.types import TensorType
from optc.ops.abstract import known_dtype, normalize_dim
from optc.ops.composite import declare_composite
from optc.ops.element_types import COMPLEXES, WHOLE, check_type, unimplemented
from optc.ops.elementwise import cast_array
from optc.ops.promotion import compute_type, operand_type
from optc.ops.reduction import narrowed
from optc.ops.registry import define
from optc.ops.shapes import known_shape

Array = np.ndarray[Any, Any]


def _softmax_type(name: str, x: Any, dim: int, code: int | None) -> DType:
    dtype = operand_type(x) if code is None else known_dtype(code)
    if 0 not in x.shape:
        is_last = len(x.shape) < 2 or dim in (-1, len(x.shape) - 1)
        check_type(unimplemented(f"{name}_{'lastdim_' if is_last else ''}kernel_impl", WHOLE | COMPLEXES), dtype)
    return dtype


def _softmax_array(x: Array, dim: int, log: bool) -> Array:
    place = normalize_dim(dim, x.ndim)
    values = x.reshape(-1) if not x.ndim else x
    with np.errstate(all="ignore"):
        shifted = values - np.max(values, axis=place, keepdims=True, initial=-np.inf)
        powers = np.exp(shifted)
        total = np.sum(powers, axis=place, keepdims=True)
        return np.asarray(shifted - np.log(total) if log else powers / total).reshape(x.shape)


def _decompose_softmax(b: Any, x: Any, dim: int, log: bool) -> Any:
    if not b.shape(x):
        return b("aten::reshape", _decompose_softmax(b, b("aten::reshape", x, [1]), 0, log), [])
    place = [normalize_dim(dim, len(b.shape(x)))]
    shifted = b("aten::sub.Tensor", x, b("prim::Largest", x, place, True))
    powers = b("aten::exp", shifted)
    total = b("aten::sum.dim_IntList", powers, place, True)
    if log:
        return b("aten::sub.Tensor", shifted, b("aten::log", total))
    # The total is at least 1, the largest element's power: its reciprocal neither overflows nor loses digits.
    return b("aten::mul.Tensor", powers, b("aten::reciprocal", total))


def declare_softmax(name: str, overload: str, log: bool) -> None:
    """`softmax.int` with its dtype argument, and `_softmax` with `half_to_float`."""

    def result(x: Any, dim: int, option: Any) -> DType:
        code = dtypes.FLOAT32.code if option is True else None if option is False else option
        return _softmax_type("log_softmax" if log else "softmax", x, dim, code)

    def infer(x: TensorType, dim: int, option: Any) -> TensorType:
        normalize_dim(dim, len(known_shape(x)))
        return TensorType(result(x, dim, option), x.shape)

    def reference(x: Array, dim: int, option: Any) -> Array:
        dtype = result(x, dim, option).numpy
        return _softmax_array(cast_array(x, dtype).astype(np.float64), dim, log).astype(dtype)

    def decompose(b: Any, x: Any, dim: int, option: Any) -> Any:
        dtype = result(b.type(x), dim, option)
        prepared = narrowed(b, narrowed(b, x, dtype), compute_type(dtype))
        return narrowed(b, _decompose_softmax(b, prepared, dim, log), dtype)

    option = "bool half_to_float" if overload == "" and name.startswith("_") else "ScalarType? dtype=None"
    define(
        f"aten::{name}{overload}(Tensor self, int dim, {option}) -> Tensor",
        infer=infer,
        reference=reference,
        decompose=decompose,
        in_rows=True,
    )


declare_softmax("softmax", ".int", log=False)
declare_softmax("log_softmax", ".int", log=True)
declare_softmax("_softmax", "", log=False)
declare_softmax("_log_softmax", "", log=True)
for _name, _star in (("softmax", ""), ("log_softmax", "*, ")):
    declare_composite(
        f"aten::special_{_name}(Tensor self, int dim, {_star}ScalarType? dtype=None) -> Tensor",
        lambda b, x, dim, code, operator=f"aten::{_name}.int": b(operator, x, dim, code),
    )


def _build_safe_softmax(b: Any, x: Any, dim: int, code: int | None) -> Any:
    """Zero, not nan, where all elements are minus infinity."""
    found = b("aten::softmax.int", x, dim, code)
    nothing = b("aten::all.dim", b("aten::isneginf", x), dim, True)
    return b("aten::masked_fill.Scalar", found, nothing, 0.0)


def _build_softmax_gradient(b: Any, gradient: Any, found: Any, dim: int, code: int) -> Any:
    gradient, found = (narrowed(b, item, compute_type(b.type(item).dtype)) for item in (gradient, found))
    total = b("aten::sum.dim_IntList", b("aten::mul.Tensor", gradient, found), [dim], True)
    return narrowed(b, b("aten::mul.Tensor", b("aten::sub.Tensor", gradient, total), found), known_dtype(code))


declare_composite("aten::_safe_softmax(Tensor self, int dim, ScalarType? dtype=None) -> Tensor", _build_safe_softmax)
declare_composite(
    "aten::_softmax_backward_data(Tensor grad_output, Tensor output, int dim, ScalarType input_dtype) -> Tensor",
    _build_softmax_gradient,
)
