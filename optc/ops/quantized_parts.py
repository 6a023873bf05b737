"""Quantised tensors as their integers: how operators work on these where the quantiser is known while compiling.

Native code has no quantised tensors, but it has integers and numbers. Every rule here computes what the operator's
reference does, in the same order and with the same roundings: results are PyTorch's to the last integer. Sums of
products are floats that hold them exactly: float32 where no sum can exceed 2 ** 24, else float64.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from optc.ir import dtypes
from optc.ir.dtypes import DType
from optc.ir.graph import Value
from optc.ops.abstract import UndecidedShape, known_dtype, normalize_dim
from optc.ops.packed_parameters import PackedConvolution, PackedLinear, convolution_of, embedding_of, linear_of
from optc.ops.quantization import NO_RANGE, QUANTIZED_OF, SMALLEST_SCALE
from optc.ops.quantized_layers import centred
from optc.ops.quantizers import (
    Quantizer,
    dequantized,
    integers_of,
    is_quantized,
    per_tensor,
    quantizer_of,
    with_quantizer,
)
from optc.ops.registry import Decomposition, Interpreted, Operator, lookup

Array = np.ndarray[Any, Any]

EXACT_FLOATS = 2**24
"""Up to here every integer is a float32."""

MADE = "aten::_make_per_tensor_quantized_tensor"
"""The operator that makes a quantised tensor of its integers."""


class Quantized(NamedTuple):
    """A tensor quantised as a whole: its integers, as a tensor of them, and how these stand for numbers."""

    integers: Any
    quantizer: Quantizer


Rule = Callable[..., Any]

RULES: dict[str, Rule] = {}
"""By operator: `rule(builder, *arguments)`, with `Quantized` for quantised tensors, gives the same for its result."""


def rule_of(*names: str) -> Callable[[Rule], Rule]:
    """Declares the rule of operators."""

    def declare(rule: Rule) -> Rule:
        for name in names:
            if lookup(name) is None or name in RULES:
                raise ValueError(f"{name} is not declared, or has two rules")
            RULES[name] = rule
        return rule

    return declare


def constant_parts(array: Array) -> Quantized:
    """A constant, its integers still an array. Raises UndecidedShape for one that is quantised per channel."""
    quantizer = quantizer_of(array)
    if quantizer.axis is not None:
        raise UndecidedShape("a tensor that is quantised per channel is no tensor of integers with one quantiser")
    return Quantized(np.ascontiguousarray(integers_of(array)), quantizer)


def joined(b: Any, parts: Quantized) -> Any:
    """The quantised tensor."""
    quantizer = parts.quantizer
    return b(MADE, parts.integers, quantizer.scale, quantizer.zero_point)


def _known(*numbers: Any) -> None:
    if any(isinstance(number, Value) for number in numbers):
        raise UndecidedShape("the quantiser is needed before the program runs")


def _cast(b: Any, x: Any, dtype: DType) -> Any:
    return x if b.type(x).dtype is dtype else b("aten::_to_copy", x, dtype=dtype.code)


# Numbers and integers ------------------------------------------------------------------------------------------------


def _stored(b: Any, numbers: Any, quantizer: Quantizer, least: int | None = None) -> Quantized:
    """Whole numbers as integers of the type."""
    low, high = quantizer.bounds
    clipped = b("aten::clamp", numbers, float(low if least is None else max(low, least)), float(high))
    return Quantized(_cast(b, clipped, dtypes.from_numpy(quantizer.dtype.numpy)), quantizer)


def _requantized(b: Any, numbers: Any, factor: Any, quantizer: Quantizer, least: int | None = None) -> Quantized:
    """`quantized_result` of numbers times a factor, a float or a tensor of them."""
    name = "aten::mul.Tensor" if isinstance(factor, Value) else "aten::mul.Scalar"
    rounded = b("aten::round", b(name, numbers, factor))
    return _stored(b, b("aten::add.Scalar", rounded, quantizer.zero_point), quantizer, least)


def _reciprocal(scale: float) -> float:
    return float(np.float32(1) / np.float32(scale))


def _result(b: Any, numbers: Any, quantizer: Quantizer) -> Quantized:
    return _requantized(b, numbers, _reciprocal(quantizer.scale), quantizer)


def _centred(b: Any, parts: Quantized, dtype: DType = dtypes.FLOAT32) -> Any:
    """The integers less the zero point, as floats."""
    numbers = _cast(b, parts.integers, dtype)
    point = parts.quantizer.zero_point
    return numbers if point == 0 else b("aten::sub.Scalar", numbers, point)


def _numbers(b: Any, parts: Quantized) -> Any:
    if parts.quantizer.dtype is dtypes.QINT32:
        raise UndecidedShape("integers of 32 bits are more than float32 holds")
    return b("aten::mul.Scalar", _centred(b, parts), float(np.float32(parts.quantizer.scale)))


@rule_of("aten::quantize_per_tensor")
def _quantize(b: Any, x: Any, scale: Any, zero_point: Any, dtype: Any) -> Quantized:
    _known(scale, zero_point, dtype)
    quantizer = per_tensor(known_dtype(dtype), scale, zero_point)
    if b.type(x).dtype is not dtypes.FLOAT32 or quantizer.dtype is dtypes.QINT32:
        raise UndecidedShape("only float32 becomes integers of 8 bits here")
    scaled = b("aten::add.Scalar", b("aten::mul.Scalar", x, _reciprocal(scale)), zero_point)
    rounded = b("aten::nan_to_num", b("aten::round", scaled), float(quantizer.bounds[1]))
    return _stored(b, rounded, quantizer)


@rule_of(MADE)
def _made(b: Any, integers: Any, scale: Any, zero_point: Any) -> Quantized:
    _known(scale, zero_point)
    kind = QUANTIZED_OF.get(b.type(integers).dtype)
    if kind is None:
        raise UndecidedShape("the type of the integers is needed before the program runs")
    return Quantized(integers, per_tensor(kind, scale, zero_point))


@rule_of("aten::quantize_per_tensor.tensor_qparams")
def _quantize_by_tensors(b: Any, x: Any, scale: Value, zero_point: Value, dtype: Any) -> Quantized:
    if not (scale.is_constant and zero_point.is_constant):
        raise UndecidedShape("the quantiser is needed before the program runs")
    found: Quantized = _quantize(b, x, scale.constant.item(), zero_point.constant.item(), dtype)
    return found


@rule_of("aten::dequantize.self")
def _dequantize(b: Any, x: Quantized) -> Any:
    return _numbers(b, x)


@rule_of("aten::int_repr")
def _integers(b: Any, x: Quantized) -> Any:
    return b("aten::clone", x.integers)


RULES["aten::q_scale"] = lambda b, x: b.value(float(x.quantizer.scale))
RULES["aten::q_zero_point"] = lambda b, x: b.value(x.quantizer.zero_point)

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
    values = _cast(b, sums, dtypes.FLOAT32)
    if bias is not None:
        narrow = bias.astype(np.float32)
        moved = narrow / product if weights.axis is not None else narrow * (np.float32(1) / product)
        values = b("aten::add.Tensor", values, b.constant(moved.reshape(shape)))
    factors = product / np.float32(result.scale)
    factor = float(factors[0]) if len(factors) == 1 else b.constant(factors.reshape(shape))
    return _requantized(b, values, factor, result, result.zero_point if has_relu else None)


def _linear(b: Any, x: Quantized, packed: Any, scale: Any, zero_point: Any, has_relu: bool) -> Quantized:
    _known(packed, scale, zero_point)
    layer, mine = linear_of(packed), x.quantizer
    weights, result = centred(layer.weight), per_tensor(mine.dtype, scale, zero_point)
    dtype = _sum_type(weights, mine)
    sums = b("aten::linear", _centred(b, x, dtype), b.constant(weights.astype(dtype.numpy)))
    return _layer_result(b, sums, -1, layer.bias, mine.scale, quantizer_of(layer.weight), result, has_relu)


def _sums(b: Any, x: Quantized, layer: PackedConvolution) -> Any:
    spatial, weights = len(layer.stride), centred(layer.weight)
    by_output = weights
    if layer.is_transposed:
        inputs, outputs, *kernel = weights.shape
        grouped = weights.reshape(layer.groups, inputs // layer.groups, outputs, *kernel)
        by_output = grouped.swapaxes(1, 2).reshape(layer.groups * outputs, -1)
    dtype = _sum_type(by_output, x.quantizer)
    numbers, filters = _centred(b, x, dtype), b.constant(weights.astype(dtype.numpy))
    if layer.is_transposed:
        more = (layer.stride, layer.padding, layer.output_padding, layer.groups, layer.dilation)
        return b(f"aten::conv_transpose{spatial}d{'.input' if spatial > 1 else ''}", numbers, filters, None, *more)
    return b(f"aten::conv{spatial}d", numbers, filters, None, layer.stride, layer.padding, layer.dilation, layer.groups)


def _convolution(
    b: Any, x: Quantized, packed: Any, scale: Any, zero_point: Any, spatial: int, has_relu: bool
) -> Quantized:  # fmt: skip
    _known(packed, scale, zero_point)
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
    wide = [_cast(b, b(f"aten::{name}", x), dtypes.FLOAT64) for name in ("amin", "amax")]
    return b("aten::clamp", wide[0], None, 0.0), b("aten::clamp", wide[1], 0.0, None)


def _chosen(b: Any, x: Any, low: int, high: int) -> tuple[Any, Any]:
    """`choose_quantizer` of what a tensor holds: the scale, and the zero point as a whole number, in float64."""

    def scalar(name: str, value: Any, number: float) -> Any:
        return b(f"aten::{name}.Scalar", value, number)

    least, largest = _extremes(b, x)
    scale = scalar("div", b("aten::sub.Tensor", largest, least), high - low)
    narrow = _cast(b, scale, dtypes.FLOAT32)
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
    _known(reduce_range)
    if b.type(x).dtype is not dtypes.FLOAT32:
        raise UndecidedShape("only float32 is quantised")
    scale, point = (_cast(b, number, dtypes.FLOAT32) for number in _chosen(b, x, 0, 127 if reduce_range else 255))
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
    sums = b("aten::linear", _cast(b, numbers, dtype), b.constant(weights.astype(dtype.numpy)))
    result = b("aten::mul.Tensor", _cast(b, sums, dtypes.FLOAT32), b("aten::mul.Tensor", b.constant(scales), scale))
    return result if layer.bias is None else b("aten::add.Tensor", result, b.constant(layer.bias.astype(np.float32)))


def build_half_linear(b: Any, x: Any, layer: PackedLinear) -> Any:
    """`half_linear` of `optc.ops.quantized_layers` as operators, in float32."""
    with np.errstate(over="ignore"):
        weight = layer.weight.astype(np.float16).astype(np.float32)
    bias = None if layer.bias is None else b.constant(layer.bias.astype(np.float32))
    return b("aten::linear", x, b.constant(weight), bias)


def _dynamic_linear(b: Any, x: Any, packed: Any, reduce_range: Any = False, has_relu: bool = False) -> Any:
    _known(packed)
    result = build_dynamic_linear(b, x, linear_of(packed), reduce_range)
    return b("aten::relu", result) if has_relu else result


def _half_linear(b: Any, x: Any, packed: Any, has_relu: bool = False) -> Any:
    _known(packed)
    result = build_half_linear(b, x, linear_of(packed))
    return b("aten::relu", result) if has_relu else result


RULES["quantized::linear_dynamic"] = _dynamic_linear
RULES["quantized::linear_relu_dynamic"] = partial(_dynamic_linear, has_relu=True)
RULES["quantized::linear_dynamic_fp16"] = _half_linear
RULES["quantized::linear_relu_dynamic_fp16"] = partial(_half_linear, has_relu=True)


@rule_of("quantized::embedding_byte")
def _embedding(b: Any, packed: Any, indices: Any, pruned: Any = False) -> Any:
    _known(packed)
    return b("aten::embedding", b.constant(dequantized(embedding_of(packed))), indices)


# Two tensors ---------------------------------------------------------------------------------------------------------


def _sum(b: Any, x: Quantized, y: Quantized, scale: Any, zero_point: Any, has_relu: bool) -> Quantized:
    _known(scale, zero_point)
    total = b("aten::add.Tensor", _numbers(b, x), _numbers(b, y))
    total = b("aten::relu", total) if has_relu else total
    return _result(b, total, per_tensor(x.quantizer.dtype, scale, zero_point))


def _product(b: Any, x: Quantized, y: Quantized, scale: Any, zero_point: Any, has_relu: bool) -> Quantized:
    _known(scale, zero_point)
    if dtypes.QINT32 in (x.quantizer.dtype, y.quantizer.dtype):
        raise UndecidedShape("products of integers of 32 bits are more than float32 holds")
    left, right = x.quantizer, y.quantizer
    factor = np.float32(left.scale) * np.float32(right.scale) * (np.float32(1) / np.float32(scale))
    product = b("aten::mul.Tensor", _centred(b, x), _centred(b, y))
    result = per_tensor(left.dtype, scale, zero_point)
    return _requantized(b, product, float(factor), result, zero_point if has_relu else None)


for _suffix, _has_relu in (("", False), ("_relu", True)):
    for _name, _function in (("add", _sum), ("mul", _product)):
        RULES[f"quantized::{_name}{_suffix}"] = partial(_function, has_relu=_has_relu)


def _joined(b: Any, tensors: list[Quantized], dim: int, result: Quantizer) -> Quantized:
    parts = [x if x.quantizer == result else _result(b, _numbers(b, x), result) for x in tensors]
    return Quantized(b("aten::cat", [part.integers for part in parts], dim), result)


@rule_of("aten::stack")
def _stack(b: Any, tensors: list[Quantized], dim: int) -> Quantized:
    parts = [x._replace(integers=b("aten::unsqueeze", x.integers, dim)) for x in tensors]
    return _joined(b, parts, dim, tensors[0].quantizer)


@rule_of("aten::cat")
def _cat(b: Any, tensors: list[Quantized], dim: int) -> Quantized:
    return _joined(b, tensors, dim, tensors[0].quantizer)


def _cat_as(b: Any, tensors: list[Quantized], dim: int, scale: Any, zero_point: Any, has_relu: bool) -> Quantized:
    _known(scale, zero_point)
    first = tensors[0].quantizer
    result = per_tensor(
        first.dtype,
        first.scale if scale is None else scale,
        first.zero_point if zero_point is None else zero_point,
    )
    found = _joined(b, tensors, normalize_dim(dim, len(b.shape(tensors[0].integers))), result)
    return _looked_up(b, "quantized::clamp", found, (0.0, None)) if has_relu else found


RULES["quantized::cat"] = partial(_cat_as, has_relu=False)
RULES["quantized::cat_relu"] = partial(_cat_as, has_relu=True)

# Functions of one number ---------------------------------------------------------------------------------------------


def _looked_up(b: Any, name: str, x: Quantized, arguments: tuple[Any, ...]) -> Quantized:
    """The operator of every integer there is, by its reference; then each element is looked up, or clipped where that
    is all the operator does."""
    low, high = x.quantizer.bounds
    if high - low >= 1 << 8:
        raise UndecidedShape("there are more integers than a table should have")
    _known(*arguments)
    operator = lookup(name)
    assert operator is not None
    kind = x.quantizer.dtype.numpy
    entries = operator.reference(with_quantizer(np.arange(low, high + 1).astype(kind), x.quantizer), *arguments)
    table, result = constant_parts(entries)
    least, largest = int(table.min()), int(table.max())
    if np.array_equal(table, np.clip(np.arange(low, high + 1), least, largest)):
        return Quantized(b("aten::clamp", x.integers, least, largest), result)
    places = _cast(b, x.integers, dtypes.INT64)
    places = places if low == 0 else b("aten::sub.Scalar", places, low)
    flat = b("aten::index_select", b.constant(table), 0, b("aten::reshape", places, [-1]))
    return Quantized(b("aten::reshape", flat, list(b.shape(x.integers))), result)


for _name in (
    "aten::relu", "aten::relu6", "aten::hardtanh", "aten::clamp", "aten::sigmoid", "aten::hardsigmoid", "aten::tanh",
    "aten::threshold", "aten::leaky_relu", "aten::gelu", "quantized::sigmoid", "quantized::hardswish",
    "quantized::leaky_relu", "quantized::elu", "quantized::celu", "quantized::dropout", "quantized::relu6",
    "quantized::clamp", "quantized::threshold",
    *(f"quantized::{name}" for name in ("add_scalar", "add_scalar_relu", "mul_scalar", "mul_scalar_relu")),
    *(f"quantized::{name}.Scalar" for name in ("add", "add_relu", "mul", "mul_relu")),
):  # fmt: skip
    RULES[_name] = lambda b, x, *rest, name=_name: _looked_up(b, name, x, rest)

# Functions of many numbers -------------------------------------------------------------------------------------------


def _along_channels(b: Any, numbers: Any, rank: int) -> Any:
    return b("aten::reshape", _cast(b, numbers, dtypes.FLOAT64), [1, -1, *[1] * (rank - 2)])


def _batch_norm(
    b: Any, x: Quantized, weight: Any, bias: Any, mean: Any, variance: Any, eps: float, scale: Any, zero_point: Any,
    has_relu: bool,
) -> Quantized:  # fmt: skip
    _known(scale, zero_point)
    rank = len(b.shape(x.integers))
    mean, variance = (_along_channels(b, numbers, rank) for numbers in (mean, variance))
    found = b("aten::sub.Tensor", _cast(b, _numbers(b, x), dtypes.FLOAT64), mean)
    found = b("aten::div.Tensor", found, b("aten::sqrt", b("aten::add.Scalar", variance, eps)))
    found = found if weight is None else b("aten::mul.Tensor", found, _along_channels(b, weight, rank))
    found = found if bias is None else b("aten::add.Tensor", found, _along_channels(b, bias, rank))
    found = _cast(b, found, dtypes.FLOAT32)
    found = b("aten::relu", found) if has_relu else found
    return _result(b, found, per_tensor(x.quantizer.dtype, scale, zero_point))


for _kind in ("", "1d", "2d", "3d"):
    for _suffix, _has_relu in (("", False), ("_relu", True)):
        RULES[f"quantized::batch_norm{_kind}{_suffix}"] = partial(_batch_norm, has_relu=_has_relu)


@rule_of("quantized::layer_norm")
def _layer_norm(
    b: Any, x: Quantized, shape: Any, weight: Any, bias: Any, eps: float, scale: Any, zero_point: Any
) -> Quantized:  # fmt: skip
    _known(scale, zero_point)
    wide = [None if item is None else _cast(b, item, dtypes.FLOAT64) for item in (_numbers(b, x), weight, bias)]
    found = b("aten::layer_norm", wide[0], shape, wide[1], wide[2], eps)
    return _result(b, _cast(b, found, dtypes.FLOAT32), per_tensor(x.quantizer.dtype, scale, zero_point))


@rule_of("quantized::softmax")
def _softmax(b: Any, x: Quantized, dim: Any, scale: Any, zero_point: Any) -> Quantized:
    _known(scale, zero_point)
    found = b("aten::softmax.int", _numbers(b, x), dim)
    return _result(b, found, per_tensor(x.quantizer.dtype, scale, zero_point))


def _compared(name: str) -> Rule:
    def rule(b: Any, x: Any, y: Any) -> Any:
        return b(name, *(_numbers(b, item) if isinstance(item, Quantized) else item for item in (x, y)))

    return rule


for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    for _overload in ("Tensor", "Scalar"):
        RULES[f"aten::{_name}.{_overload}"] = _compared(f"aten::{_name}.{_overload}")

# What moves, orders and averages integers ----------------------------------------------------------------------------


def _moved(name: str) -> Rule:
    """The operator does the same with the integers."""

    def rule(b: Any, x: Quantized, *rest: Any) -> Quantized:
        return Quantized(b(name, x.integers, *rest), x.quantizer)

    return rule


for _name in (
    "aten::view", "aten::reshape", "aten::flatten.using_ints", "aten::permute", "aten::transpose.int", "aten::t",
    "aten::squeeze", "aten::squeeze.dim", "aten::unsqueeze", "aten::select.int", "aten::slice.Tensor", "aten::narrow",
    "aten::contiguous", "aten::clone", "aten::detach", "aten::alias", "aten::expand", "aten::unflatten.int",
    "aten::channel_shuffle", "aten::pixel_shuffle", "aten::flip", "aten::dropout", "aten::view_as", "aten::movedim.int",
    "aten::repeat",
):  # fmt: skip
    if lookup(_name) is not None:
        RULES[_name] = _moved(_name)


def _cut(name: str) -> Rule:
    """A list of parts, cut as other tensors are."""

    def rule(b: Any, x: Quantized, *rest: Any) -> list[Quantized]:
        operator = lookup(name)
        assert operator is not None and isinstance(operator.lowering, Decomposition)
        parts = operator.lowering.function(b, x.integers, *rest)
        return [Quantized(part, x.quantizer) for part in parts]

    return rule


for _name in ("chunk", "split.Tensor", "split", "split.sizes", "split_with_sizes", "unbind.int"):
    RULES[f"aten::{_name}"] = _cut(f"aten::{_name}")

for _name in ("aten::size", "aten::size.int", "aten::dim", "aten::numel", "aten::len.Tensor"):
    if lookup(_name) is not None:
        RULES[_name] = lambda b, x, *rest, name=_name: b(name, x.integers, *rest)


def _through(name: str, dtype: DType) -> Rule:
    """The operator gives whole numbers for whole numbers."""

    def rule(b: Any, x: Quantized, *rest: Any) -> Quantized:
        integers = b.type(x.integers).dtype
        return Quantized(_cast(b, b(name, _cast(b, x.integers, dtype), *rest), integers), x.quantizer)

    return rule


for _name in (
    "max_pool1d", "max_pool2d", "max_pool3d", "upsample_nearest1d", "upsample_nearest1d.vec", "upsample_nearest2d",
    "upsample_nearest2d.vec", "upsample_nearest3d", "upsample_nearest3d.vec",
):  # fmt: skip
    RULES[f"aten::{_name}"] = _through(f"aten::{_name}", dtypes.FLOAT32)


def _averaged(name: str) -> Rule:
    """Means of integers: rounded to float32, those that are halves are exact, and go to even integers as in PyTorch."""

    def rule(b: Any, x: Quantized, *rest: Any) -> Quantized:
        means = _cast(b, b(name, _centred(b, x, dtypes.FLOAT64), *rest), dtypes.FLOAT32)
        moved = b("aten::add.Scalar", means, x.quantizer.zero_point)
        return _stored(b, b("aten::round", moved), x.quantizer)

    return rule


for _name in ("avg_pool2d", "avg_pool3d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"):
    RULES[f"aten::{_name}"] = _averaged(f"aten::{_name}")


def _by_numbers(name: str) -> Rule:
    """The operator of the numbers, rounded to the integers of the argument."""

    def rule(b: Any, x: Quantized, *rest: Any) -> Quantized:
        return _result(b, b(name, _numbers(b, x), *rest), x.quantizer)

    return rule


for _name in (
    "aten::mean", "aten::mean.dim", "aten::upsample_bilinear2d", "aten::upsample_bilinear2d.vec",
    "aten::constant_pad_nd", "aten::pad", "aten::reflection_pad1d", "aten::reflection_pad2d",
):  # fmt: skip
    RULES[_name] = _by_numbers(_name)


def is_quantized_constant(value: Any) -> bool:
    """True for a constant that is a quantised array."""
    return isinstance(value, Value) and value.is_constant and is_quantized(value.constant)


def works_on_integers(operator: Operator) -> bool:
    """Whether an operator that is interpreted is native where scales and zero points are constants."""
    return isinstance(operator.lowering, Interpreted) and operator.name in RULES
