"""Sums, products, activations and normalisations of quantised tensors.

The rule is always the same: the numbers that the integers stand for, in float32, through the function, rounded to the
integers of the result. Where PyTorch stays with integers the functions here do too, so that results are its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from optc.ir.types import TensorType
from optc.ops.abstract import normalize_dim
from optc.ops.promotion import operand_type
from optc.ops.quantization import declare_quantized
from optc.ops.quantizers import (
    dequantized,
    integers_of,
    per_tensor,
    quantized,
    quantized_result,
    quantizer_of,
    with_quantizer,
)
from optc.ops.registry import lookup
from optc.ops.shapes import broadcast_shapes, known_shape

Array = np.ndarray[Any, Any]


def _same_type(x: TensorType, *rest: Any) -> TensorType:
    return TensorType(operand_type(x), known_shape(x))


def through(function: Callable[[Array], Array], x: Array, scale: float, zero_point: int) -> Array:
    """`function` of the numbers, quantised anew."""
    with np.errstate(all="ignore"):
        return quantized_result(function(dequantized(x)), per_tensor(quantizer_of(x).dtype, scale, zero_point))


def _relu(x: Array) -> Array:
    return np.maximum(x, np.float32(0))


# Two tensors ---------------------------------------------------------------------------------------------------------


def _common_type(x: TensorType, y: TensorType, *rest: Any) -> TensorType:
    return TensorType(operand_type(x), broadcast_shapes(known_shape(x), known_shape(y)))


def _sum(x: Array, y: Array, scale: float, zero_point: int) -> Array:
    return quantized_result(dequantized(x) + dequantized(y), per_tensor(quantizer_of(x).dtype, scale, zero_point))


def _relu_of_sum(x: Array, y: Array, scale: float, zero_point: int) -> Array:
    return quantized_result(
        _relu(dequantized(x) + dequantized(y)), per_tensor(quantizer_of(x).dtype, scale, zero_point)
    )


def _product(x: Array, y: Array, scale: float, zero_point: int, has_relu: bool) -> Array:
    """The product of the centred integers, rescaled."""
    left, right = quantizer_of(x), quantizer_of(y)
    result = per_tensor(left.dtype, scale, zero_point)
    product = (integers_of(x).astype(np.int64) - left.zero_point) * (integers_of(y).astype(np.int64) - right.zero_point)
    factor = np.float32(left.scale) * np.float32(right.scale) * (np.float32(1) / np.float32(scale))
    rounded = np.rint(product.astype(np.float32) * factor) + zero_point
    low, high = result.bounds
    low = max(low, zero_point) if has_relu else low
    return with_quantizer(np.clip(rounded, low, high).astype(result.dtype.numpy), result)


_BINARY = "(Tensor qa, Tensor qb, float scale, int zero_point) -> Tensor qc"
declare_quantized(f"quantized::add{_BINARY}", _common_type, _sum)
declare_quantized(f"quantized::add_relu{_BINARY}", _common_type, _relu_of_sum)
declare_quantized(
    f"quantized::mul{_BINARY}", _common_type, lambda x, y, scale, point: _product(x, y, scale, point, False)
)
declare_quantized(
    f"quantized::mul_relu{_BINARY}", _common_type, lambda x, y, scale, point: _product(x, y, scale, point, True)
)

# A number ------------------------------------------------------------------------------------------------------------


def _plus_number(x: Array, number: float) -> Array:
    """The zero point moves; where it would leave the integers, the scale grows so that it stays at their end."""
    old = quantizer_of(x)
    low, high = old.bounds
    point = old.zero_point - int(np.rint(number / old.scale))
    if low <= point <= high:
        return with_quantizer(integers_of(x).copy(), per_tensor(old.dtype, old.scale, point))
    stays = low if point < low else high
    scale = (high - point if point < low else point - low) / (high - low) * old.scale
    factor = np.float32(old.scale) / np.float32(scale)
    rounded = np.rint((integers_of(x).astype(np.float32) - np.float32(point)) * factor) + stays
    return with_quantizer(np.clip(rounded, low, high).astype(old.dtype.numpy), per_tensor(old.dtype, scale, stays))


def _times_number(x: Array, number: float) -> Array:
    """The scale changes; where the number is negative, the integers are turned round."""
    old = quantizer_of(x)
    low, high = old.bounds
    if number == 0:
        return with_quantizer(np.zeros(x.shape, old.dtype.numpy), per_tensor(old.dtype, 1.0, 0))
    if number > 0:
        return with_quantizer(integers_of(x).copy(), per_tensor(old.dtype, old.scale * number, old.zero_point))
    turned = (low + high - integers_of(x).astype(np.int64)).astype(old.dtype.numpy)
    return with_quantizer(turned, per_tensor(old.dtype, old.scale * -number, low + high - old.zero_point))


def clipped(x: Array, least: float | None, largest: float | None) -> Array:
    """The integers between those of two numbers."""
    quantizer = quantizer_of(x)
    low, high = quantizer.bounds
    if least is not None:
        low = int(integers_of(quantized(np.array(least), quantizer)))
    if largest is not None:
        high = int(integers_of(quantized(np.array(largest), quantizer)))
    clipped = np.minimum(np.maximum(integers_of(x), low), high)
    return with_quantizer(clipped.astype(quantizer.dtype.numpy), quantizer)


def _nonnegative(x: Array) -> Array:
    return clipped(x, 0.0, None)


for _name, _change in (("add", _plus_number), ("mul", _times_number)):
    for _suffix, _after in (("", np.asarray), ("_relu", _nonnegative)):

        def _with_number(x: Array, number: Any, change: Any = _change, after: Any = _after) -> Array:
            found: Array = after(change(x, float(number)))
            return found

        for _schema in (
            f"{_name}_scalar{_suffix}(Tensor qa, Scalar b) -> Tensor qc",
            f"{_name}_scalar{_suffix}.Tensor(Tensor qa, Tensor b) -> Tensor qc",
            f"{_name}{_suffix}.Scalar(Tensor qa, Scalar b) -> Tensor qc",
        ):
            declare_quantized(f"quantized::{_schema}", _same_type, _with_number)

# Activations ---------------------------------------------------------------------------------------------------------


def sigmoid(x: Array) -> Array:
    """Of numbers."""
    return np.asarray(1 / (1 + np.exp(-x)))


def _hardswish(x: Array) -> Array:
    return np.asarray(x * np.clip(x + 3, 0, 6) / 6)


def _elu(x: Array, alpha: float, scale: float, input_scale: float) -> Array:
    return np.asarray(
        np.where(x <= 0, np.expm1(x * np.float32(input_scale)) * np.float32(alpha * scale), x * np.float32(scale))
    )


def _softmax(x: Array, dim: int) -> Array:
    powers = np.exp(x - x.max(dim, keepdims=True))
    return np.asarray(powers / powers.sum(dim, keepdims=True))


def leaky(x: Array, slope: float) -> Array:
    """Numbers with the negative ones times `slope`."""
    return np.asarray(np.where(x > 0, x, x * np.float32(slope)))


def _along_channels(numbers: Array, rank: int) -> Array:
    return numbers if numbers.size == 1 else numbers.reshape([-1 if dim == 1 else 1 for dim in range(rank)])


_RESULT = "float output_scale, int output_zero_point"
for _schema, _function in (
    (f"sigmoid(Tensor qx, {_RESULT}) -> Tensor", lambda x, scale, point: through(sigmoid, x, scale, point)),
    (f"hardswish(Tensor input, {_RESULT}) -> Tensor", lambda x, scale, point: through(_hardswish, x, scale, point)),
    (
        f"leaky_relu(Tensor qx, Scalar negative_slope, bool inplace, {_RESULT}) -> Tensor",
        lambda x, slope, inplace, scale, point: through(lambda numbers: leaky(numbers, slope), x, scale, point),
    ),
    (
        f"elu(Tensor self, {_RESULT}, Scalar alpha=1, Scalar scale=1, Scalar input_scale=1) -> Tensor",
        lambda x, result, point, alpha, scale, input_scale: through(
            lambda numbers: _elu(numbers, alpha, scale, input_scale), x, result, point
        ),
    ),
    (
        f"celu(Tensor self, {_RESULT}, Scalar alpha=1) -> Tensor",
        lambda x, scale, point, alpha: through(lambda numbers: _elu(numbers, alpha, 1.0, 1 / alpha), x, scale, point),
    ),
    (
        f"softmax(Tensor qx, int dim, {_RESULT}) -> Tensor",
        lambda x, dim, scale, point: through(lambda numbers: _softmax(numbers, dim), x, scale, point),
    ),
    (
        f"prelu(Tensor qx, Tensor weight, {_RESULT}) -> Tensor",
        lambda x, weight, scale, point: through(
            lambda numbers: np.where(
                numbers > 0, numbers, numbers * _along_channels(_numbers_of(weight), numbers.ndim)
            ),
            x, scale, point,
        ),
    ),
    (
        f"dropout(Tensor self, {_RESULT}, Scalar p=0.5, bool training=False) -> Tensor",
        lambda x, scale, point, p, training: _undropped(x, training),
    ),
    ("relu6(Tensor qx, bool inplace=False) -> Tensor", lambda x, inplace: clipped(x, 0.0, 6.0)),
    ("clamp(Tensor qx, Scalar? min=None, Scalar? max=None) -> Tensor qy", clipped),
    (
        "threshold(Tensor qx, Scalar threshold, Scalar value) -> Tensor qy",
        lambda x, threshold, value: thresholded(x, threshold, value),
    ),
):  # fmt: skip
    declare_quantized(f"quantized::{_schema}", _same_type, _function)


def _numbers_of(x: Array) -> Array:
    return dequantized(x) if x.dtype.names is not None else x


def _undropped(x: Array, training: bool) -> Array:
    if training:
        raise RuntimeError("Quantized dropout is only for inference")
    return x.copy()


def thresholded(x: Array, threshold: float, value: float) -> Array:
    """A quantised array with `value` for all that is not above `threshold`."""
    quantizer = quantizer_of(x)
    return through(
        lambda numbers: np.where(numbers > threshold, numbers, value), x, quantizer.scale, quantizer.zero_point
    )


# Normalisations ------------------------------------------------------------------------------------------------------


def _normalised(x: Array, axes: tuple[int, ...], eps: float) -> Array:
    work = x.astype(np.float64)
    centred = work - work.mean(axes, keepdims=True)
    return np.asarray(centred / np.sqrt(np.mean(centred * centred, axes, keepdims=True) + eps))


def _scaled(x: Array, weight: Array | None, bias: Array | None) -> Array:
    x = x if weight is None else x * weight
    return (x if bias is None else x + bias).astype(np.float32)


def _by_channel(numbers: Array | None, rank: int) -> Array | None:
    return None if numbers is None else _along_channels(numbers.reshape(-1), rank)


def _layer_norm(x: Array, shape: Sequence[int], weight: Any, bias: Any, eps: float) -> Array:
    return _scaled(_normalised(x, tuple(range(x.ndim - len(shape), x.ndim)), eps), weight, bias)


def _group_norm(x: Array, groups: int, weight: Any, bias: Any, eps: float) -> Array:
    grouped = x.reshape(len(x), groups, -1)
    found = _normalised(grouped, (2,), eps).reshape(x.shape)
    return _scaled(found, _by_channel(weight, x.ndim), _by_channel(bias, x.ndim))


def _batch_norm(x: Array, weight: Any, bias: Any, mean: Array, variance: Array, eps: float) -> Array:
    mean, variance = (np.asarray(_by_channel(numbers.astype(np.float64), x.ndim)) for numbers in (mean, variance))
    return _scaled((x - mean) / np.sqrt(variance + eps), _by_channel(weight, x.ndim), _by_channel(bias, x.ndim))


_AFFINE = f"Tensor? weight, Tensor? bias, float eps, {_RESULT}"
declare_quantized(
    f"quantized::layer_norm(Tensor input, int[] normalized_shape, {_AFFINE}) -> Tensor",
    _same_type,
    lambda x, shape, weight, bias, eps, scale, point: through(
        lambda numbers: _layer_norm(numbers, shape, weight, bias, eps), x, scale, point
    ),
)
declare_quantized(
    f"quantized::group_norm(Tensor input, int num_groups, {_AFFINE}) -> Tensor",
    _same_type,
    lambda x, groups, weight, bias, eps, scale, point: through(
        lambda numbers: _group_norm(numbers, groups, weight, bias, eps), x, scale, point
    ),
)
declare_quantized(
    f"quantized::instance_norm(Tensor input, {_AFFINE}) -> Tensor",
    _same_type,
    lambda x, weight, bias, eps, scale, point: through(
        lambda numbers: _group_norm(numbers, numbers.shape[1], weight, bias, eps), x, scale, point
    ),
)
for _kind in ("", "1d", "2d", "3d"):
    for _suffix, _after_norm in (("", np.asarray), ("_relu", _relu)):

        def _normalise(
            x: Array, weight: Any, bias: Any, mean: Array, variance: Array, eps: float, scale: float, point: int,
            after: Any = _after_norm,
        ) -> Array:  # fmt: skip
            return through(
                lambda numbers: after(_batch_norm(numbers, weight, bias, mean, variance, eps)), x, scale, point
            )

        declare_quantized(
            f"quantized::batch_norm{_kind}{_suffix}(Tensor qx, Tensor? weight, Tensor? bias, Tensor mean, Tensor var, "
            f"float eps, {_RESULT}) -> Tensor",
            _same_type,
            _normalise,
        )

# Lists ---------------------------------------------------------------------------------------------------------------


def _joined_type(tensors: Any, dim: int, *rest: Any) -> TensorType:
    joined = lookup("aten::cat")
    assert joined is not None
    found: TensorType = joined.infer(list(tensors), dim)
    return found


def _joined(tensors: list[Array], dim: int, scale: float | None, zero_point: int | None, has_relu: bool) -> Array:
    first = quantizer_of(tensors[0])
    result = per_tensor(
        first.dtype,
        first.scale if scale is None else scale,
        first.zero_point if zero_point is None else zero_point,
    )
    parts = [x if quantizer_of(x) == result else quantized_result(dequantized(x), result) for x in tensors]
    found = np.concatenate(parts, normalize_dim(dim, parts[0].ndim))
    return _nonnegative(found) if has_relu else found


for _suffix, _has_relu in (("", False), ("_relu", True)):
    declare_quantized(
        f"quantized::cat{_suffix}(Tensor[] qx, int dim, float? scale, int? zero_point) -> Tensor",
        _joined_type,
        lambda tensors, dim, scale, point, has_relu=_has_relu: _joined(tensors, dim, scale, point, has_relu),
    )
