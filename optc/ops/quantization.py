"""From numbers to quantised tensors and back, and what a quantised tensor tells of itself.

Formulas: `aten/src/ATen/native/quantized` of PyTorch with its x86 engine, which computes scales in float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.dims import fresh
from optc.ir.types import TensorType
from optc.ops.abstract import UNKNOWN_FLOAT, ShapeError, known_dtype
from optc.ops.promotion import operand_type
from optc.ops.quantizers import (
    Quantizer,
    dequantized,
    integers_of,
    is_quantized,
    per_tensor,
    quantized,
    quantizer_of,
    with_quantizer,
)
from optc.ops.registry import Operator, define
from optc.ops.shapes import known_shape

Array = np.ndarray[Any, Any]

REASON = "quantised tensors are computed by numpy"


def declare_quantized(schema: str, infer: Callable[..., Any], reference: Callable[..., Any], **traits: Any) -> Operator:
    """Declare an operator that takes or gives quantised tensors: the interpreter runs it."""
    return define(schema, infer=infer, reference=reference, interpreted=REASON, may_fail=True, **traits)


# Into integers -------------------------------------------------------------------------------------------------------


def _quantized_type(x: TensorType, dtype: Any) -> TensorType:
    kind = known_dtype(dtype)
    if not kind.is_quantized:
        raise RuntimeError(f"Creation of quantized tensor requires quantized dtype like torch.quint8, not {kind}")
    if operand_type(x) is not dtypes.FLOAT32:
        raise RuntimeError(f"Quantize only works on Float Tensor, got {operand_type(x).label}")
    return TensorType(kind, known_shape(x))


def _reference_per_tensor(x: Array, scale: Any, zero_point: Any, dtype: int) -> Array:
    kind = _checked(x, dtype)
    return quantized(x, per_tensor(kind, float(scale), int(zero_point)))


def _checked(x: Array, dtype: int) -> dtypes.DType:
    kind = _quantized_type(TensorType(dtypes.from_numpy(x.dtype), x.shape), dtype).dtype
    assert kind is not None
    return kind


declare_quantized(
    "aten::quantize_per_tensor(Tensor self, float scale, int zero_point, ScalarType dtype) -> Tensor",
    lambda x, scale, zero_point, dtype: _quantized_type(x, dtype),
    _reference_per_tensor,
)
declare_quantized(
    "aten::quantize_per_tensor.tensor_qparams(Tensor self, Tensor scale, Tensor zero_point, ScalarType dtype) -> Tensor",
    lambda x, scale, zero_point, dtype: _quantized_type(x, dtype),
    lambda x, scale, zero_point, dtype: _reference_per_tensor(x, scale.item(), zero_point.item(), dtype),
)


def _per_channel(dtype: dtypes.DType, scales: Array, zero_points: Array, axis: int) -> Quantizer:
    if scales.ndim != 1 or scales.shape != zero_points.shape:
        raise RuntimeError("scales and zero_points must be vectors of one length")
    has_float_points = zero_points.dtype.kind == "f"
    points = tuple(zero_points.astype(np.float32).tolist()) if has_float_points else tuple(zero_points.tolist())
    return Quantizer(dtype, tuple(scales.astype(np.float64).tolist()), points, axis, has_float_points)


def _reference_per_channel(x: Array, scales: Array, zero_points: Array, axis: int, dtype: int) -> Array:
    kind = _checked(x, dtype)
    if not 0 <= axis < x.ndim or len(scales) != x.shape[axis]:
        raise RuntimeError("length of scales must equal to channel")
    return quantized(x, _per_channel(kind, scales, zero_points, axis))


declare_quantized(
    "aten::quantize_per_channel(Tensor self, Tensor scales, Tensor zero_points, int axis, ScalarType dtype) -> Tensor",
    lambda x, scales, zero_points, axis, dtype: _quantized_type(x, dtype),
    _reference_per_channel,
)

SMALLEST_SCALE = 6.1e-5
NO_RANGE = "In ChooseQuantizationParams, min should be less than or equal to max"


def choose_quantizer(least: float, largest: float, low: int, high: int) -> tuple[float, int]:
    """The scale and zero point with which integers from `low` to `high` cover the numbers from `least` to `largest`.

    Zero has an integer of its own. `ChooseQuantizationParams` of `quant_utils.h`.
    """
    least, largest = min(least, 0.0), max(largest, 0.0)
    scale = (largest - least) / (high - low)
    if np.float32(scale) == 0.0 or np.isinf(np.float32(1) / np.float32(scale)):
        scale = 0.1
    if scale < SMALLEST_SCALE:
        amplifier = SMALLEST_SCALE / scale
        scale = SMALLEST_SCALE
        least, largest = least * amplifier, largest * amplifier
    from_least, from_largest = low - least / scale, high - largest / scale
    is_first = abs(low) - abs(least / scale) < abs(high) - abs(largest / scale)
    point = from_least if is_first else from_largest
    if not math.isfinite(point):
        raise RuntimeError(NO_RANGE)
    return scale, round(min(max(point, low), high))


def dynamic_quantizer(x: Array, dtype: dtypes.DType, reduce_range: bool) -> Quantizer:
    """The quantiser that covers the numbers of an array."""
    info = np.iinfo(dtype.numpy)
    low, high = int(info.min), int(info.max)
    if reduce_range:
        low, high = int(low / 2), high // 2
    least, largest = (float(x.min()), float(x.max())) if x.size else (0.0, 0.0)
    scale, zero_point = choose_quantizer(least, largest, low, high)
    return Quantizer(dtype, (scale,), (zero_point,))


declare_quantized(
    "aten::quantize_per_tensor_dynamic(Tensor self, ScalarType dtype, bool reduce_range) -> Tensor",
    lambda x, dtype, reduce_range: _quantized_type(x, dtype),
    lambda x, dtype, reduce_range: quantized(x, dynamic_quantizer(x, _checked(x, dtype), reduce_range)),
)

QUANTIZED_OF = {dtypes.UINT8: dtypes.QUINT8, dtypes.INT8: dtypes.QINT8, dtypes.INT32: dtypes.QINT32}


def _of_integers(x: TensorType) -> TensorType:
    kind = QUANTIZED_OF.get(operand_type(x))
    if kind is None:
        raise RuntimeError(f"{operand_type(x).label} are no integers of quantized tensors")
    return TensorType(kind, known_shape(x))


def _kind_of(x: Array) -> dtypes.DType:
    kind = _of_integers(TensorType(dtypes.from_numpy(x.dtype), x.shape)).dtype
    assert kind is not None
    return kind


declare_quantized(
    "aten::_make_per_tensor_quantized_tensor(Tensor self, float scale, int zero_point) -> Tensor",
    lambda x, scale, zero_point: _of_integers(x),
    lambda x, scale, zero_point: with_quantizer(x.copy(), per_tensor(_kind_of(x), scale, zero_point)),
)
declare_quantized(
    "aten::_make_per_channel_quantized_tensor(Tensor self, Tensor scale, Tensor zero_point, int axis) -> Tensor",
    lambda x, scale, zero_point, axis: _of_integers(x),
    lambda x, scale, zero_point, axis: with_quantizer(x.copy(), _per_channel(_kind_of(x), scale, zero_point, axis)),
)


def _empty_dtype(dtype: Any) -> dtypes.DType:
    kind = None if dtype is None else known_dtype(dtype)
    if kind is None or not kind.is_quantized:
        raise RuntimeError("Creation of quantized tensor requires quantized dtype like torch.quint8")
    return kind


def _empty(size: Any, dtype: Any, scale: float, zero_point: int) -> Array:
    kind = _empty_dtype(dtype)
    return with_quantizer(np.zeros(size, kind.numpy), per_tensor(kind, scale, zero_point))


declare_quantized(
    "aten::_empty_affine_quantized(SymInt[] size, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, "
    "bool? pin_memory=None, float scale=1., int zero_point=0, MemoryFormat? memory_format=0) -> Tensor",
    lambda size, dtype, *rest: TensorType(_empty_dtype(dtype), tuple(size)),
    lambda size, dtype, layout, device, pinned, scale, zero_point, order: _empty(size, dtype, scale, zero_point),
)

# Out of integers -----------------------------------------------------------------------------------------------------


def _numbers_type(x: TensorType) -> TensorType:
    return TensorType(dtypes.FLOAT32, known_shape(x))


def _numbers(x: Array) -> Array:
    return dequantized(x) if is_quantized(x) else x.astype(np.float32)


declare_quantized("aten::dequantize.self(Tensor self) -> Tensor", _numbers_type, _numbers)
declare_quantized(
    "aten::dequantize.tensors(Tensor[] tensors) -> Tensor[]",
    lambda tensors: [_numbers_type(x) for x in tensors],
    lambda tensors: [_numbers(x) for x in tensors],
)


def _integers_type(x: TensorType) -> TensorType:
    dtype = operand_type(x)
    if not dtype.is_quantized:
        raise ShapeError("the operator takes a quantized tensor")
    return TensorType(dtypes.from_numpy(dtype.numpy), known_shape(x))


def _integers(x: Array) -> Array:
    quantizer_of(x)
    return integers_of(x).copy()


declare_quantized("aten::int_repr(Tensor self) -> Tensor", _integers_type, _integers)


def _per_channel_quantizer(x: Array) -> Quantizer:
    quantizer = quantizer_of(x)
    if quantizer.axis is None:
        raise RuntimeError("Expected quantizer->qscheme() == kPerChannelAffine to be true, but got false.")
    return quantizer


def _points(x: Array) -> Array:
    quantizer = _per_channel_quantizer(x)
    return np.array(quantizer.zero_points, np.float32 if quantizer.has_float_points else np.int64)


_SCHEMES = {(False, False): 0, (True, False): 1, (True, True): 4}
"""The codes of torch.qscheme by per channel, float zero points."""


def _scheme(x: Array) -> int:
    quantizer = quantizer_of(x)
    return _SCHEMES[quantizer.axis is not None, quantizer.has_float_points]


declare_quantized("aten::q_scale(Tensor self) -> float", lambda x: UNKNOWN_FLOAT, lambda x: quantizer_of(x).scale)
declare_quantized("aten::q_zero_point(Tensor self) -> int", lambda x: fresh(), lambda x: quantizer_of(x).zero_point)
declare_quantized("aten::qscheme(Tensor self) -> QScheme", lambda x: fresh(), _scheme)
declare_quantized(
    "aten::q_per_channel_axis(Tensor self) -> int", lambda x: fresh(), lambda x: _per_channel_quantizer(x).axis
)
declare_quantized(
    "aten::q_per_channel_scales(Tensor self) -> Tensor",
    lambda x: TensorType(dtypes.FLOAT64, (fresh(),)),
    lambda x: np.array(_per_channel_quantizer(x).scales),
)
declare_quantized(
    "aten::q_per_channel_zero_points(Tensor self) -> Tensor",
    lambda x: TensorType(dtypes.INT64, (fresh(),)),
    _points,
)

# Pretending ----------------------------------------------------------------------------------------------------------


def _pretended(x: Array, scale: Array, zero_point: Array, low: int, high: int) -> Array:
    """Numbers as they would be after quantising, in float32."""
    scale = scale.astype(np.float32)
    rounded = np.rint(x.astype(np.float32) * (np.float32(1) / scale)) + zero_point
    integers = np.clip(np.where(np.isnan(rounded), low, rounded), low, high)
    return np.asarray(((integers - zero_point).astype(np.float32) * scale).astype(x.dtype))


def _pretended_per_channel(x: Array, scale: Array, zero_point: Array, axis: int, low: int, high: int) -> Array:
    shape = [-1 if dim == axis else 1 for dim in range(x.ndim)]
    return _pretended(x, scale.reshape(shape), zero_point.reshape(shape), low, high)


declare_quantized(
    "aten::fake_quantize_per_tensor_affine(Tensor self, float scale, int zero_point, int quant_min, int quant_max) "
    "-> Tensor",
    lambda x, *rest: TensorType(operand_type(x), known_shape(x)),
    lambda x, scale, zero_point, low, high: _pretended(x, np.array(scale), np.array(zero_point), low, high),
)
declare_quantized(
    "aten::fake_quantize_per_tensor_affine.tensor_qparams(Tensor self, Tensor scale, Tensor zero_point, int quant_min, "
    "int quant_max) -> Tensor",
    lambda x, *rest: TensorType(operand_type(x), known_shape(x)),
    lambda x, scale, zero_point, low, high: _pretended(x, scale.reshape(()), zero_point.reshape(()), low, high),
)
declare_quantized(
    "aten::fake_quantize_per_channel_affine(Tensor self, Tensor scale, Tensor zero_point, int axis, int quant_min, "
    "int quant_max) -> Tensor",
    lambda x, *rest: TensorType(operand_type(x), known_shape(x)),
    _pretended_per_channel,
)
