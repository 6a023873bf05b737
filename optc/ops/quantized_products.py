"""Layers on the integers of quantised tensors: convolutions, linear layers, and those that quantise what comes in.

Sums of products of integers are floats that hold them exactly: float32 where no sum can exceed 2 ** 24, else float64.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.dtypes import DType
from optc.ops.abstract import UndecidedShape
from optc.ops.packed_parameters import PackedConvolution, PackedLinear, convolution_of, embedding_of, linear_of
from optc.ops.quantization import NO_RANGE, SMALLEST_SCALE
from optc.ops.quantized_layers import centred
from optc.ops.quantized_parts import RULES, Quantized, cast, centred_floats, requantized, require_known, rule_of
from optc.ops.quantizers import Quantizer, dequantized, per_tensor, quantizer_of
from optc.ops.registry import lookup

Array = np.ndarray[Any, Any]

EXACT_FLOATS = 2**24
"""Up to here every integer is a float32."""

# Layers --------------------------------------------------------------------------------------------------------------


def _sum_type(weights: Array, quantizer: Quantizer) -> DType:
    """The floats that hold all sums of integers of the quantiser times rows of weights, and of parts of the rows."""
    low, high = quantizer.bounds
    above, below = high - quantizer.zero_point, quantizer.zero_point - low
    rows = weights.reshape(len(weights), -1)
    positive, negative = np.maximum(rows, 0).sum(1), np.maximum(-rows, 0).sum(1)
    bounds = np.maximum(above * positive + below * negative, above * negative + below * positive)
    return dtypes.FLOAT32 if bounds.max(initial=0) <= EXACT_FLOATS else dtypes.FLOAT64


def _layer_result(
    b: Any, sums: Any, axis: int, bias: Array | None, scale: float, weights: Quantizer, result: Quantizer, has_relu: bool
) -> Quantized:  # fmt: skip
    """`requantized` of `optc.ops.quantized_layers`."""
    rank = len(b.shape(sums))
    shape = [-1 if dim == axis % rank else 1 for dim in range(rank)]
    product = np.float32(scale) * np.array(weights.scales, np.float32)
    values = cast(b, sums, dtypes.FLOAT32)
    if bias is not None:
        narrow = bias.astype(np.float32)
        moved = narrow / product if weights.axis is not None else narrow * (np.float32(1) / product)
        values = b("aten::add.Tensor", values, b.constant(moved.reshape(shape)))
    factors = product / np.float32(result.scale)
    factor = float(factors[0]) if len(factors) == 1 else b.constant(factors.reshape(shape))
    return requantized(b, values, factor, result, result.zero_point if has_relu else None)


def _linear(b: Any, x: Quantized, packed: Any, scale: Any, zero_point: Any, has_relu: bool) -> Quantized:
    require_known(packed, scale, zero_point)
    layer, mine = linear_of(packed), x.quantizer
    weights, result = centred(layer.weight), per_tensor(mine.dtype, scale, zero_point)
    dtype = _sum_type(weights, mine)
    sums = b("aten::linear", centred_floats(b, x, dtype), b.constant(weights.astype(dtype.numpy)))
    return _layer_result(b, sums, -1, layer.bias, mine.scale, quantizer_of(layer.weight), result, has_relu)


def _sums(b: Any, x: Quantized, layer: PackedConvolution) -> Any:
    spatial, weights = len(layer.stride), centred(layer.weight)
    by_output = weights
    if layer.is_transposed:
        inputs, outputs, *kernel = weights.shape
        grouped = weights.reshape(layer.groups, inputs // layer.groups, outputs, *kernel)
        by_output = grouped.swapaxes(1, 2).reshape(layer.groups * outputs, -1)
    dtype = _sum_type(by_output, x.quantizer)
    numbers, filters = centred_floats(b, x, dtype), b.constant(weights.astype(dtype.numpy))
    if layer.is_transposed:
        more = (layer.stride, layer.padding, layer.output_padding, layer.groups, layer.dilation)
        return b(f"aten::conv_transpose{spatial}d{'.input' if spatial > 1 else ''}", numbers, filters, None, *more)
    return b(f"aten::conv{spatial}d", numbers, filters, None, layer.stride, layer.padding, layer.dilation, layer.groups)


def _convolution(
    b: Any, x: Quantized, packed: Any, scale: Any, zero_point: Any, spatial: int, has_relu: bool
) -> Quantized:  # fmt: skip
    require_known(packed, scale, zero_point)
    layer, mine = convolution_of(packed, spatial), x.quantizer
    if len(b.shape(x.integers)) != spatial + 2:
        raise UndecidedShape("a batch is needed")
    if spatial == 1:  # its parameters are of two dimensions, the first of extent 1
        x = x._replace(integers=b("aten::unsqueeze", x.integers, 2))
    result = per_tensor(mine.dtype, scale, zero_point)
    sums = _sums(b, x, layer)
    found = _layer_result(b, sums, 1, layer.bias, mine.scale, quantizer_of(layer.weight), result, has_relu)
    return found._replace(integers=b("aten::squeeze.dim", found.integers, 2)) if spatial == 1 else found


def _declare_layers() -> None:
    for suffix, has_relu in (("", False), ("_relu", True)):
        RULES[f"quantized::linear{suffix}"] = partial(_linear, has_relu=has_relu)
        for spatial in (1, 2, 3):

            def convolution(b: Any, x: Quantized, packed: Any, *rest: Any, at: Any = (spatial, has_relu)) -> Quantized:
                return _convolution(b, x, packed, *rest[-2:], *at)  # the packed parameters hold the numbers between

            for name in (f"conv{spatial}d{suffix}", f"conv{spatial}d{suffix}.new", f"conv_transpose{spatial}d{suffix}"):
                if lookup(f"quantized::{name}") is not None:
                    RULES[f"quantized::{name}"] = convolution


_declare_layers()


# Layers that quantise what comes in --------------------------------------------------------------------------------


def _extremes(b: Any, x: Any) -> tuple[Any, Any]:
    """The least and the largest number of a tensor and zero, in float64."""
    if not all(isinstance(extent, int) and extent > 0 for extent in b.shape(x)):
        x = b("aten::cat", [b("aten::reshape", x, [-1]), b.constant(np.zeros(1, np.float32))], 0)
    wide = [cast(b, b(f"aten::{name}", x), dtypes.FLOAT64) for name in ("amin", "amax")]
    return b("aten::clamp", wide[0], None, 0.0), b("aten::clamp", wide[1], 0.0, None)


def _chosen(b: Any, x: Any, low: int, high: int) -> tuple[Any, Any]:
    """`choose_quantizer` of what a tensor holds: the scale, and the zero point as a whole number, in float64."""

    def scalar(name: str, value: Any, number: float) -> Any:
        return b(f"aten::{name}.Scalar", value, number)

    least, largest = _extremes(b, x)
    scale = scalar("div", b("aten::sub.Tensor", largest, least), high - low)
    narrow = cast(b, scale, dtypes.FLOAT32)
    is_endless = b("aten::isinf", b("aten::reciprocal", narrow))
    is_useless = b("aten::logical_or", scalar("eq", narrow, 0.0), is_endless)
    scale = b("aten::where.ScalarSelf", is_useless, 0.1, scale)
    amplifier = b("aten::where.ScalarOther", scalar("lt", scale, SMALLEST_SCALE), scale, SMALLEST_SCALE)
    amplifier = b("aten::div.Tensor", b.constant(np.array(SMALLEST_SCALE)), amplifier)
    least, largest = (b("aten::mul.Tensor", number, amplifier) for number in (least, largest))
    scale = b("aten::clamp", scale, SMALLEST_SCALE, None)
    below, above = (b("aten::div.Tensor", number, scale) for number in (least, largest))
    from_least = scalar("add", b("aten::neg", below), low)
    from_largest = scalar("add", b("aten::neg", above), high)
    far, near = (
        scalar("add", b("aten::neg", b("aten::abs", number)), abs(end)) for number, end in ((below, low), (above, high))
    )
    point = b("aten::where.self", b("aten::lt.Tensor", far, near), from_least, from_largest)
    b.require(b("aten::isfinite", point), NO_RANGE)
    return scale, b("aten::round", b("aten::clamp", point, float(low), float(high)))


def _dynamically(b: Any, x: Any, reduce_range: Any) -> tuple[Any, Any]:
    """Numbers as integers of 8 bits, less the zero point, in float32; and their scale in float32."""
    require_known(reduce_range)
    if b.type(x).dtype is not dtypes.FLOAT32:
        raise UndecidedShape("only float32 is quantised")
    scale, point = (cast(b, number, dtypes.FLOAT32) for number in _chosen(b, x, 0, 127 if reduce_range else 255))
    scaled = b("aten::mul.Tensor", x, b("aten::reciprocal", scale))
    rounded = b("aten::round", b("aten::add.Tensor", scaled, point))
    return b("aten::sub.Tensor", b("aten::clamp", rounded, 0.0, 255.0), point), scale


_ANY_POINT = (per_tensor(dtypes.QUINT8, 1.0, 0), per_tensor(dtypes.QUINT8, 1.0, 255))


def _any_sum_type(weights: Array) -> DType:
    """The floats that hold all sums, whatever the zero point: bounds are largest where it is the first or the last."""
    kinds = {_sum_type(weights, quantizer) for quantizer in _ANY_POINT}
    return dtypes.FLOAT32 if kinds == {dtypes.FLOAT32} else dtypes.FLOAT64


def build_dynamic_linear(b: Any, x: Any, layer: PackedLinear, reduce_range: Any) -> Any:
    """`dynamic_linear` of `optc.ops.quantized_layers` as operators."""
    weights, scales = centred(layer.weight), np.array(quantizer_of(layer.weight).scales, np.float32)
    numbers, scale = _dynamically(b, x, reduce_range)
    dtype = _any_sum_type(weights)
    sums = b("aten::linear", cast(b, numbers, dtype), b.constant(weights.astype(dtype.numpy)))
    result = b("aten::mul.Tensor", cast(b, sums, dtypes.FLOAT32), b("aten::mul.Tensor", b.constant(scales), scale))
    return result if layer.bias is None else b("aten::add.Tensor", result, b.constant(layer.bias.astype(np.float32)))


def build_half_linear(b: Any, x: Any, layer: PackedLinear) -> Any:
    """`half_linear` of `optc.ops.quantized_layers` as operators, in float32."""
    with np.errstate(over="ignore"):
        weight = layer.weight.astype(np.float16).astype(np.float32)
    bias = None if layer.bias is None else b.constant(layer.bias.astype(np.float32))
    return b("aten::linear", x, b.constant(weight), bias)


def _dynamic_linear(b: Any, x: Any, packed: Any, reduce_range: Any = False, has_relu: bool = False) -> Any:
    require_known(packed)
    result = build_dynamic_linear(b, x, linear_of(packed), reduce_range)
    return b("aten::relu", result) if has_relu else result


def _half_linear(b: Any, x: Any, packed: Any, has_relu: bool = False) -> Any:
    require_known(packed)
    result = build_half_linear(b, x, linear_of(packed))
    return b("aten::relu", result) if has_relu else result


RULES["quantized::linear_dynamic"] = _dynamic_linear
RULES["quantized::linear_relu_dynamic"] = partial(_dynamic_linear, has_relu=True)
RULES["quantized::linear_dynamic_fp16"] = _half_linear
RULES["quantized::linear_relu_dynamic_fp16"] = partial(_half_linear, has_relu=True)


@rule_of("quantized::embedding_byte")
def _embedding(b: Any, packed: Any, indices: Any, pruned: Any = False) -> Any:
    require_known(packed)
    return b("aten::embedding", b.constant(dequantized(embedding_of(packed))), indices)
