"""Activation functions of neural networks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.dtypes import DType
from optc.ir.types import TensorType
from optc.ops import arithmetic
from optc.ops.abstract import ShapeError, normalize_dim
from optc.ops.element_types import BOOLS, COMPLEXES, WHOLE, Refusals, check_type, refusal, unimplemented
from optc.ops.elementary import sigmoid, sigmoid_array
from optc.ops.elementwise import array_type, declare_pointwise, pointwise_reference
from optc.ops.number_limits import check_number
from optc.ops.promotion import operand_type
from optc.ops.reference import apply_operator
from optc.ops.registry import define
from optc.ops.scalar import Expr, function, literal, select
from optc.ops.shapes import known_shape
from optc.ops.special import erf

Array = np.ndarray[Any, Any]

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


def _float_only(kernel: str) -> Refusals:
    return unimplemented(kernel, WHOLE | COMPLEXES, of="self")


# Rectifiers ----------------------------------------------------------------------------------------------------------


_NO_BOOL = refusal(BOOLS, "Bool inputs not supported for hardtanh", of="self") + arithmetic.NO_COMPLEX_CLAMP


def _check_hardtanh(dtype: DType, x: Any, low: Any, high: Any) -> None:
    if (
        dtype.kind == "int"
        and not dtype.is_signed
        and any(isinstance(end, int | float) and end < 0 for end in (low, high))
    ):
        raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")


def _leaky(x: Expr, slope: Expr) -> Expr:
    return select(x > 0.0, x, x * slope)


def elu(x: Expr, alpha: Expr, scale: Expr, input_scale: Expr) -> Expr:
    """scale * x above 0, scale * alpha * (exp(input_scale * x) - 1) below."""
    return select(x > 0.0, x * scale, function("expm1", x * input_scale) * (alpha * scale))


def _elu_array(x: Array, alpha: Any, scale: Any, input_scale: Any) -> Array:
    negative = np.expm1(np.minimum(x * input_scale, 80)) * (alpha * scale)
    return np.asarray(np.where(x > 0, np.multiply(x, scale), negative))


def hard_clip(x: Expr, low: float, high: float) -> Expr:
    """min(max(x, low), high)."""
    return arithmetic.clamp(x, literal(low, x.dtype), literal(high, x.dtype))


declare_pointwise(
    "aten::relu(Tensor self) -> Tensor",
    lambda x: arithmetic.maximum(x, literal(0, x.dtype)), lambda x: arithmetic.raised(x, x.dtype.type(0)),
    refuses=refusal(BOOLS, "Boolean inputs not supported for relu") + arithmetic.NO_COMPLEX_CLAMP,
    inplace=True, out="out",
)  # fmt: skip
declare_pointwise(
    "aten::relu6(Tensor self) -> Tensor",
    lambda x: hard_clip(x, 0, 6), lambda x: np.clip(x, x.dtype.type(0), x.dtype.type(6)), inplace=True, refuses=_NO_BOOL,
)  # fmt: skip
declare_pointwise(
    "aten::hardtanh(Tensor self, Scalar min_val=-1, Scalar max_val=1) -> Tensor",
    arithmetic.clamp, arithmetic.clamp_arrays, promoting=1, inplace=True,
    check=_check_hardtanh, refuses=_NO_BOOL,
)  # fmt: skip
declare_pointwise(
    "aten::leaky_relu(Tensor self, Scalar negative_slope=0.01) -> Tensor",
    _leaky, lambda x, slope: np.where(x > 0, x, x * slope),
    promoting=1, refuses=_float_only("leaky_relu_cpu"), inplace=True, out="out",
)  # fmt: skip


def _check_threshold(dtype: DType, x: Any, threshold: Any, value: Any) -> None:
    for number in (threshold, value):
        check_number(number, dtype)


declare_pointwise(
    "aten::_prelu_kernel(Tensor self, Tensor weight) -> Tensor",
    _leaky, lambda x, slope: np.where(x > 0, x, x * slope), promoting=1, refuses=_float_only("prelu_cpu"),
)  # fmt: skip
declare_pointwise(
    "aten::threshold(Tensor self, Scalar threshold, Scalar value) -> Tensor",
    lambda x, threshold, value: select(x <= threshold, value, x),
    lambda x, threshold, value: np.where(x <= threshold, value, x),
    promoting=1,
    check=_check_threshold,
    inplace=True,
    refuses=unimplemented("threshold_cpu", BOOLS | COMPLEXES, of="self"),
)
declare_pointwise(
    "aten::elu(Tensor self, Scalar alpha=1, Scalar scale=1, Scalar input_scale=1) -> Tensor",
    elu, _elu_array, promoting=1, refuses=_float_only("elu_cpu"), inplace=True,
)  # fmt: skip
declare_pointwise(
    "aten::celu(Tensor self, Scalar alpha=1.) -> Tensor",
    lambda x, alpha: elu(x, alpha, literal(1.0, x.dtype), 1.0 / alpha),
    lambda x, alpha: _elu_array(x, alpha, 1, 1 / alpha),
    promoting=1,
    refuses=_float_only("elu_cpu"),
    inplace=True,
)
declare_pointwise(
    "aten::selu(Tensor self) -> Tensor",
    lambda x: elu(x, literal(SELU_ALPHA, x.dtype), literal(SELU_SCALE, x.dtype), literal(1.0, x.dtype)),
    lambda x: _elu_array(x, x.dtype.type(SELU_ALPHA), x.dtype.type(SELU_SCALE), x.dtype.type(1)),
    refuses=_float_only("elu_cpu"),
    inplace=True,
)


def _prelu_weight_shape(x: tuple[Any, ...], weight: tuple[Any, ...]) -> list[Any]:
    if not x and weight and weight[0] != 1:
        raise RuntimeError("Not allow zero-dim input tensor.")
    count = 1 if len(weight) == 0 else weight[0]
    if count == 1 or len(x) < 2:
        return [1] * len(x)
    if isinstance(x[1], int) and isinstance(count, int) and count != x[1]:
        raise ShapeError(
            "Mismatch of parameter numbers and input channel size. "
            f"Found parameter numbers = {count} and channel size = {x[1]}."
        )
    return [1, count] + [1] * (len(x) - 2)


def _infer_prelu(x: TensorType, weight: TensorType) -> TensorType:
    _prelu_weight_shape(known_shape(x), known_shape(weight))
    if operand_type(x) is not operand_type(weight):
        raise RuntimeError(
            f"prelu: Type promoting not supported. Got {operand_type(x).label} and {operand_type(weight).label}"
        )
    check_type(_float_only("prelu_cpu"), operand_type(x))
    return x.with_shape(x.shape)


def _prelu(b: Any, x: Any, weight: Any) -> Any:
    shaped = b("aten::reshape", weight, _prelu_weight_shape(b.shape(x), b.shape(weight)))
    return b("aten::_prelu_kernel", x, shaped)


def _prelu_reference(x: Array, weight: Array) -> Array:
    _infer_prelu(array_type(x), array_type(weight))
    shaped = weight.reshape(_prelu_weight_shape(x.shape, weight.shape))
    return np.asarray(np.where(x > 0, x, x * shaped)).astype(x.dtype).reshape(x.shape)


define(
    "aten::prelu(Tensor self, Tensor weight) -> Tensor",
    infer=_infer_prelu,
    reference=_prelu_reference,
    decompose=_prelu,
)


# Smooth ones ---------------------------------------------------------------------------------------------------------

_KAPPA = 0.044715
_BETA = math.sqrt(2.0 / math.pi)


def gelu(x: Expr, approximate: str) -> Expr:
    """x times the normal distribution function of x, or its tanh approximation."""
    if approximate == "tanh":
        return 0.5 * x * (1.0 + function("tanh", _BETA * (x + _KAPPA * (x * x * x))))
    return 0.5 * x * (1.0 + function("erf", x * math.sqrt(0.5)))


def _gelu_array(x: Array, approximate: str) -> Array:
    wide = x.astype(np.float64)
    if approximate == "tanh":
        return np.asarray(0.5 * wide * (1 + np.tanh(_BETA * (wide + _KAPPA * wide**3))))
    return np.asarray(0.5 * wide * (1 + erf(wide * math.sqrt(0.5))))


def _check_gelu(dtype: DType, x: Any, approximate: str) -> None:
    if approximate not in ("none", "tanh"):
        raise RuntimeError("approximate argument must be either none or tanh.")


declare_pointwise(
    "aten::gelu(Tensor self, *, str approximate=\"none\") -> Tensor",
    gelu, _gelu_array, check=_check_gelu, inplace=True, out="out", refuses=_float_only("GeluKernelImpl"),
)  # fmt: skip
declare_pointwise(
    "aten::silu(Tensor self) -> Tensor",
    lambda x: x * sigmoid(x), lambda x: x / (1 + np.exp(-x)), refuses=unimplemented("silu_cpu", WHOLE), inplace=True, out="out",
)  # fmt: skip


def softplus(x: Expr) -> Expr:
    """log(1 + exp(x)) without overflow."""
    return arithmetic.maximum(x, literal(0.0, x.dtype)) + function("log1p", function("exp", -function("abs", x)))


def _softplus_array(x: Array) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


declare_pointwise(
    "aten::mish(Tensor self) -> Tensor",
    lambda x: x * function("tanh", softplus(x)), lambda x: x * np.tanh(_softplus_array(x)),
    refuses=_float_only("mish_cpu"), inplace=True,
)  # fmt: skip
declare_pointwise(
    "aten::softplus(Tensor self, Scalar beta=1, Scalar threshold=20) -> Tensor",
    lambda x, beta, threshold: select(x * beta > threshold, x, softplus(x * beta) / beta),
    lambda x, beta, threshold: np.where(x * beta > threshold, x, _softplus_array(x * beta) / beta),
    promoting=1,
    refuses=_float_only("softplus_cpu"),
    out="out",
)
declare_pointwise(
    "aten::log_sigmoid(Tensor self) -> Tensor",
    lambda x: -softplus(-x), lambda x: np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x))),
    refuses=_float_only("log_sigmoid_cpu"),
)  # fmt: skip


# Piecewise linear ----------------------------------------------------------------------------------------------------

declare_pointwise(
    "aten::hardsigmoid(Tensor self) -> Tensor",
    lambda x: hard_clip(x + 3.0, 0.0, 6.0) / 6.0, lambda x: np.clip(x + 3, 0, 6) / x.dtype.type(6),
    refuses=_float_only("hardsigmoid_cpu"), inplace=True,
)  # fmt: skip
declare_pointwise(
    "aten::hardswish(Tensor self) -> Tensor",
    lambda x: x * hard_clip(x + 3.0, 0.0, 6.0) / 6.0, lambda x: x * np.clip(x + 3, 0, 6) / x.dtype.type(6),
    refuses=_float_only("hardswish_cpu"), inplace=True,
)  # fmt: skip
declare_pointwise(
    "aten::hardshrink(Tensor self, Scalar lambd=0.5) -> Tensor",
    lambda x, bound: select((x >= -bound) & (x <= bound), 0.0, x),
    lambda x, bound: np.where((x >= -bound) & (x <= bound), 0, x),
    promoting=1,
    refuses=_float_only("hardshrink_cpu"),
)


def _check_softshrink(dtype: DType, x: Any, bound: Any) -> None:
    if isinstance(bound, int | float) and bound < 0:
        largest = {"Half": "65504", "BFloat16": "3.38953e+38", "Double": "1.79769e+308"}.get(dtype.label, "3.40282e+38")
        raise RuntimeError(f"lambda must be in range [0, {largest}] for input dtype {dtype.label}, but found {bound:g}")


declare_pointwise(
    "aten::softshrink(Tensor self, Scalar lambd=0.5) -> Tensor",
    lambda x, bound: select(x > bound, x - bound, select(x < -bound, x + bound, x * 0.0)),
    lambda x, bound: np.where(x > bound, x - bound, np.where(x < -bound, x + bound, x * 0)),
    promoting=1,
    check=_check_softshrink,
    refuses=_float_only("softshrink_check"),
)


# Gated ---------------------------------------------------------------------------------------------------------------


def _glu_half(shape: tuple[Any, ...], dim: int) -> tuple[int, Any]:
    if not shape:
        raise RuntimeError("glu does not support 0-dimensional tensors")
    place = normalize_dim(dim, len(shape))
    if isinstance(shape[place], int) and shape[place] % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {place} is size {shape[place]}")
    return place, shape[place] // 2


def _infer_glu(x: TensorType, dim: int) -> TensorType:
    shape = known_shape(x)
    place, half = _glu_half(shape, dim)
    return x.with_shape((*shape[:place], half, *shape[place + 1 :]))


def _glu(b: Any, x: Any, dim: int) -> Any:
    place, half = _glu_half(b.shape(x), dim)
    kept = b("aten::slice.Tensor", x, place, 0, half, 1)
    gate = b("aten::slice.Tensor", x, place, half, b.shape(x)[place], 1)
    return b("aten::mul.Tensor", kept, b("aten::sigmoid", gate))


def _glu_reference(x: Array, dim: int) -> Array:
    place, half = _glu_half(x.shape, dim)
    kept, gate = np.split(x, [half], axis=place)
    return pointwise_reference(lambda value, logit: value * sigmoid_array(logit))(kept, gate)


define("aten::glu(Tensor self, int dim=-1) -> Tensor", infer=_infer_glu, reference=_glu_reference, decompose=_glu,
       refuses=_float_only("glu_cpu"))  # fmt: skip


def _check_rrelu(dtype: DType, lower: Any, upper: Any, training: Any) -> None:
    check_type(_float_only("leaky_relu_cpu" if training is False else "rrelu_with_noise_out_cpu"), dtype)
    if training is True:
        check_type(unimplemented("rrelu_with_noise_out_cpu", frozenset((dtypes.FLOAT16,))), dtype)
    if isinstance(lower, int | float) and isinstance(upper, int | float) and lower > upper:
        raise RuntimeError("Lower bound should be less than or equal to the upper bound")


def _infer_rrelu(x: TensorType, lower: Any, upper: Any, training: Any, generator: Any) -> TensorType:
    _check_rrelu(operand_type(x), lower, upper, training)
    return x.with_shape(x.shape)


def _rrelu_reference(x: Array, lower: float, upper: float, training: bool, generator: Any) -> Array:
    _check_rrelu(operand_type(x), lower, upper, training)
    if training:
        return np.asarray(x * apply_operator("prim::RandomSlopes", x, lower, upper, generator)).astype(x.dtype)
    return np.asarray(np.where(x > 0, x, x * ((lower + upper) / 2))).astype(x.dtype)


def _rrelu(b: Any, x: Any, lower: Any, upper: Any, training: Any, generator: Any) -> Any:
    if training:
        return b("aten::mul.Tensor", x, b("prim::RandomSlopes", x, lower, upper, generator))
    return b("aten::leaky_relu", x, (lower + upper) / 2)


define(
    "aten::rrelu(Tensor self, Scalar lower=0.125, Scalar upper=0.33333333333333331, bool training=False, "
    "Generator? generator=None) -> Tensor",
    infer=_infer_rrelu,
    reference=_rrelu_reference,
    decompose=_rrelu,
    random=True,
    inplace=True,
)
