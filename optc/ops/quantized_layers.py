"""Linear layers, convolutions and embeddings whose weights are quantised.

Sums of products of integers are exact; what follows is computed in float32 in the order of fbgemm
(`requantizeOutputProcessing`), so that results are PyTorch's to the last integer.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.dims import Dim, fresh
from optc.ir.function import ScriptObject
from optc.ir.types import TensorType
from optc.ops import convolution, transposed_convolution
from optc.ops.abstract import UNKNOWN, normalize_dim
from optc.ops.packed_parameters import (
    CONV2D,
    CONV3D,
    EMBEDDING,
    LINEAR,
    PackedConvolution,
    PackedLinear,
    convolution_of,
    embedding_of,
    linear_of,
    pack_convolution,
    pack_embedding,
    pack_linear,
)
from optc.ops.promotion import operand_type
from optc.ops.quantization import declare_quantized, dynamic_quantizer
from optc.ops.quantizers import (
    Quantizer,
    dequantized,
    integers_of,
    per_tensor,
    quantized,
    quantizer_of,
    with_quantizer,
)
from optc.ops.shapes import Shape, known_shape

Array = np.ndarray[Any, Any]


def centred(array: Array) -> Array:
    """The integers of a quantised array less their zero points, as floats in which sums of products stay exact."""
    quantizer = quantizer_of(array)
    points = quantizer.along_axis(quantizer.zero_points, array.ndim, np.int64)
    return np.asarray((integers_of(array).astype(np.int64) - points).astype(np.float64))


def requantized(
    sums: Array, axis: int, bias: Array | None, scale: float, weights: Quantizer, result: Quantizer, has_relu: bool
) -> Array:
    """Sums of products as integers of `result`. `axis` is the dimension of the output channels."""
    shape = [-1 if dim == axis % sums.ndim else 1 for dim in range(sums.ndim)]
    product = (np.float32(scale) * np.array(weights.scales, np.float32)).reshape(
        shape if len(weights.scales) > 1 else ()
    )
    values = sums.astype(np.float32)
    if bias is not None:
        shaped = bias.astype(np.float32).reshape(shape)
        values = values + (shaped / product if weights.axis is not None else shaped * (np.float32(1) / product))
    rounded = np.rint(values * (product / np.float32(result.scale))) + result.zero_point
    low, high = result.bounds
    if has_relu:
        low = max(low, result.zero_point)
    return with_quantizer(np.clip(rounded, low, high).astype(result.dtype.numpy), result)


# Linear layers -------------------------------------------------------------------------------------------------------


def _products(x: Array, packed: PackedLinear) -> Array:
    """Sums of products of centred integers, over the last dimension."""
    if x.ndim == 0 or x.shape[-1] != packed.weight.shape[1]:
        raise RuntimeError(
            f"The number of columns in the input ({x.shape[-1] if x.ndim else 0}) does not fit the weight's "
            f"({packed.weight.shape[1]})"
        )
    return x @ centred(packed.weight).T


def _linear(x: Array, packed: Any, scale: float, zero_point: int, has_relu: bool) -> Array:
    layer, mine = linear_of(packed), quantizer_of(x)
    result = per_tensor(mine.dtype, scale, zero_point)
    sums = _products(centred(x), layer)
    return requantized(sums, -1, layer.bias, mine.scale, quantizer_of(layer.weight), result, has_relu)


def dynamic_linear(x: Array, layer: PackedLinear, reduce_range: bool) -> Array:
    """A float32 layer that quantises its input for the product. x: (*, inputs)."""
    if not x.size:
        return np.zeros((*x.shape[:-1], layer.weight.shape[0]), np.float32)
    quantizer = dynamic_quantizer(x, dtypes.QUINT8, reduce_range)
    weights = quantizer_of(layer.weight)
    sums = _products(centred(quantized(x, quantizer)), layer).astype(np.float32)
    result = sums * (np.float32(quantizer.scale) * np.array(weights.scales, np.float32))
    return result if layer.bias is None else result + layer.bias.astype(np.float32)


def half_linear(x: Array, layer: PackedLinear) -> Array:
    """A float32 layer whose weights are held in half."""
    with np.errstate(over="ignore"):
        weight = layer.weight.astype(np.float16).astype(np.float64)
    result = x.astype(np.float64) @ weight.T
    return (result if layer.bias is None else result + layer.bias).astype(np.float32)


def _with_new_last(dtype: dtypes.DType | None, x: TensorType, packed: Any) -> TensorType:
    outputs = len(linear_of(packed).weight) if isinstance(packed, ScriptObject) else fresh()
    return TensorType(dtype or operand_type(x), (*known_shape(x)[:-1], outputs))


def _relu(x: Array) -> Array:
    return np.maximum(x, np.float32(0))


for _suffix, _has_relu in (("", False), ("_relu", True)):
    declare_quantized(
        f"quantized::linear{_suffix}(Tensor X, {LINEAR} W_prepack, float Y_scale_i, int Y_zero_point_i) -> Tensor Y",
        lambda x, packed, *rest: _with_new_last(None, x, packed),
        lambda x, packed, scale, zero_point, has_relu=_has_relu: _linear(x, packed, scale, zero_point, has_relu),
    )
    declare_quantized(
        f"quantized::linear{_suffix}_dynamic(Tensor X, {LINEAR} W_prepack, bool reduce_range=False) -> Tensor Y",
        lambda x, packed, *rest: _with_new_last(dtypes.FLOAT32, x, packed),
        lambda x, packed, reduce_range, after=_relu if _has_relu else np.asarray: after(
            dynamic_linear(x, linear_of(packed), reduce_range)
        ),
    )
    declare_quantized(
        f"quantized::linear{_suffix}_dynamic_fp16(Tensor X, {LINEAR} W_prepack) -> Tensor Y",
        lambda x, packed, *rest: _with_new_last(dtypes.FLOAT32, x, packed),
        lambda x, packed, after=_relu if _has_relu else np.asarray: after(half_linear(x, linear_of(packed))),
    )


def _unpack(parameters: PackedLinear | PackedConvolution) -> tuple[Array, Array | None]:
    return parameters.weight, parameters.bias


def _pack_quantized_linear(weight: Array, bias: Array | None) -> Any:
    quantizer_of(weight)
    return pack_linear(weight, bias)


def _pack_half_linear(weight: Array, bias: Array | None) -> Any:
    if weight.ndim == 0:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    normalize_dim(1, weight.ndim)
    return pack_linear(weight.astype(np.float16).astype(np.float32), bias)


_UNPACKED = TensorType(), TensorType()

declare_quantized(
    f"quantized::linear_prepack(Tensor W, Tensor? B=None) -> {LINEAR} W_prepack",
    lambda weight, bias: UNKNOWN,
    _pack_quantized_linear,
)
declare_quantized(
    f"quantized::linear_prepack_fp16(Tensor W, Tensor? B=None) -> {LINEAR} W_prepack",
    lambda weight, bias: UNKNOWN,
    _pack_half_linear,
)
declare_quantized(
    f"quantized::linear_unpack({LINEAR} W_prepack) -> (Tensor W_origin, Tensor? B_origin)",
    lambda packed: _UNPACKED,
    lambda packed: _unpack(linear_of(packed)),
)
declare_quantized(
    f"quantized::linear_unpack_fp16({LINEAR} W_prepack) -> (Tensor W_origin, Tensor? B_origin)",
    lambda packed: _UNPACKED,
    lambda packed: _unpack(linear_of(packed)),
)

# Convolutions --------------------------------------------------------------------------------------------------------


def _sums(x: Array, packed: PackedConvolution) -> Array:
    weight = centred(packed.weight)
    if packed.is_transposed:
        return transposed_convolution.reference(
            x, weight, None, packed.stride, packed.padding, packed.output_padding, packed.groups, packed.dilation
        )
    return convolution.reference(x, weight, None, packed.stride, packed.padding, packed.dilation, packed.groups)


def _lifted(x: Array, spatial: int) -> Array:
    """A batch of one spatial dimension with another of extent 1 before it, as its packed parameters have."""
    if x.ndim != spatial + 2:
        raise RuntimeError(f"Expected activation data tensor to have {spatial + 2} dimensions, got {x.ndim}")
    return x[:, :, None] if spatial == 1 else x


def _convolution(x: Array, packed: Any, scale: float, zero_point: int, spatial: int, has_relu: bool) -> Array:
    layer, mine = convolution_of(packed, spatial), quantizer_of(x)
    result = per_tensor(mine.dtype, scale, zero_point)
    sums = _sums(centred(_lifted(x, spatial)), layer)
    found = requantized(sums, 1, layer.bias, mine.scale, quantizer_of(layer.weight), result, has_relu)
    return found[:, :, 0] if spatial == 1 else found


def _dynamic_convolution(x: Array, packed: Any, reduce_range: bool, spatial: int) -> Array:
    layer = convolution_of(packed, spatial)
    lifted = _lifted(x, spatial)
    quantizer = dynamic_quantizer(lifted, dtypes.QUINT8, reduce_range)
    sums = _sums(centred(quantized(lifted, quantizer)), layer).astype(np.float32)
    shape = (-1, *[1] * (sums.ndim - 2))
    scales = np.float32(quantizer.scale) * np.array(quantizer_of(layer.weight).scales, np.float32)
    found = sums * scales.reshape(shape)
    if layer.bias is not None:
        found = found + layer.bias.astype(np.float32).reshape(shape)
    return found[:, :, 0] if spatial == 1 else found


def _convolved_type(dtype: dtypes.DType | None, x: TensorType, packed: Any, spatial: int) -> TensorType:
    shape = known_shape(x)
    found: tuple[Dim, ...] = (shape[0], *(fresh() for _ in shape[1:]))
    if isinstance(packed, ScriptObject) and len(shape) == spatial + 2:
        found = _convolved_shape(shape, convolution_of(packed, spatial), spatial)
    return TensorType(dtype or operand_type(x), found)


def _convolved_shape(shape: Shape, layer: PackedConvolution, spatial: int) -> Shape:
    lifted = (*shape[:2], 1, *shape[2:]) if spatial == 1 else shape
    x, weight = (TensorType(dtypes.FLOAT32, tuple(extents)) for extents in (lifted, layer.weight.shape))
    if layer.is_transposed:
        more = (layer.stride, layer.padding, layer.output_padding, layer.groups, layer.dilation)
        found = known_shape(transposed_convolution.infer(x, weight, None, *more))
    else:
        how = (layer.stride, layer.padding, layer.dilation, layer.groups)
        found = known_shape(convolution.infer(x, weight, None, *how))
    return (*found[:2], *found[3:]) if spatial == 1 else found


def _declare_convolutions(spatial: int) -> None:
    packed = CONV3D if spatial == 3 else CONV2D
    numbers = "int[] stride, int[] padding, int[] dilation, int groups"
    old = "int[] stride, int[] padding, int[] dilation, int groups, "
    names = [("conv", False), ("conv_transpose", False)]
    for name, has_relu in (*names, ("conv", True)):
        operator = f"quantized::{name}{spatial}d" + ("_relu" if has_relu else "")
        fresh_schema = f"(Tensor qx, {packed} packed_weight, float output_scale, int output_zero_point) -> Tensor"
        is_overloaded = name == "conv" and spatial > 1
        declare_quantized(
            operator + (".new" if is_overloaded else "") + fresh_schema,
            lambda x, packed, *rest: _convolved_type(None, x, packed, spatial),
            lambda x, packed, scale, zero_point, has_relu=has_relu: _convolution(
                x, packed, scale, zero_point, spatial, has_relu
            ),
        )
        if is_overloaded:  # with parameters that the packed weights hold as well
            declare_quantized(
                f"{operator}(Tensor qx, {packed} weight, {old}float output_scale, int output_zero_point) -> Tensor",
                lambda x, packed, *rest: _convolved_type(None, x, packed, spatial),
                lambda x, packed, stride, padding, dilation, groups, scale, zero_point, has_relu=has_relu: _convolution(
                    x, packed, scale, zero_point, spatial, has_relu
                ),
            )
    for name, more in (("conv", ""), ("conv_transpose", "int[] output_padding, ")):
        operator = f"quantized::{name}{spatial}d"
        declare_quantized(
            f"{operator}_dynamic(Tensor qx, {packed} packed_weight, bool reduce_range=False) -> Tensor",
            lambda x, packed, *rest: _convolved_type(dtypes.FLOAT32, x, packed, spatial),
            lambda x, packed, reduce_range: _dynamic_convolution(x, packed, reduce_range, spatial),
        )
        prepack_numbers = numbers.replace("int[] dilation", f"{more}int[] dilation")
        declare_quantized(
            f"{operator}_prepack(Tensor weight, Tensor? bias, {prepack_numbers}) -> {packed}",
            lambda *arguments: UNKNOWN,
            _pack_transposed if more else _pack,
        )
        declare_quantized(
            f"{operator}_unpack({packed} packed_weights) -> (Tensor unpacked_weights, Tensor? B_origin)",
            lambda packed: _UNPACKED,
            lambda packed: _unpacked(packed, spatial),
        )


def _in_two(weight: Array, *lists: Any) -> tuple[Any, ...]:
    """A convolution over one dimension as one over two, the first of extent 1."""
    if weight.ndim != 3:
        return (weight, *lists)
    fillers = (1, 0, *[0] * (len(lists) - 3), 1)
    return (weight[:, :, None], *([filler, *numbers] for filler, numbers in zip(fillers, lists)))


def _pack(weight: Array, bias: Array | None, stride: Any, padding: Any, dilation: Any, groups: int) -> ScriptObject:
    weight, stride, padding, dilation = _in_two(weight, stride, padding, dilation)
    return pack_convolution(weight, bias, stride, padding, dilation, groups)


def _pack_transposed(
    weight: Array, bias: Array | None, stride: Any, padding: Any, output_padding: Any, dilation: Any, groups: int
) -> ScriptObject:
    weight, stride, padding, output_padding, dilation = _in_two(weight, stride, padding, output_padding, dilation)
    return pack_convolution(weight, bias, stride, padding, dilation, groups, output_padding, True)


def _unpacked(packed: Any, spatial: int) -> tuple[Array, Array | None]:
    weight, bias = _unpack(convolution_of(packed, spatial))
    return weight[:, :, 0] if spatial == 1 else weight, bias


for _spatial in (1, 2, 3):
    _declare_convolutions(_spatial)

# Embeddings ----------------------------------------------------------------------------------------------------------


def _rows(table: Array, indices: Array) -> Array:
    if indices.size and not 0 <= indices.min() <= indices.max() < len(table):
        raise RuntimeError("an index is out of range of the embedding's rows")
    return dequantized(table)[indices]


def _bags(
    packed: Any, indices: Array, offsets: Array | None, scale_grad: bool, mode: int, pruned: bool,
    weights: Array | None, mapping: Array | None, include_last: bool,
) -> Array:  # fmt: skip
    """Sums of rows: `offsets` say where each bag begins, unless indices are a matrix of bags."""
    if indices.ndim == 2:
        offsets = np.arange(0, indices.size, indices.shape[1])
        indices = indices.reshape(-1)
        include_last = False
    if offsets is None:
        raise RuntimeError("embedding_bag_byte operator supports 1 or 2d indices, offsets are needed for 1d")
    rows = _rows(embedding_of(packed), indices)
    if weights is not None:
        rows = rows * weights.reshape(-1, 1)
    ends = offsets[1:] if include_last else np.append(offsets[1:], len(indices))
    starts = offsets[: len(ends)]
    if len(starts) and (np.any(ends < starts) or starts[0] != 0 or ends[-1] != len(indices)):
        raise RuntimeError("Expected i < index_size to be true, but got false.")
    found = [rows[start:end].sum(0) for start, end in zip(starts, ends)]
    return np.array(found, np.float32).reshape(len(starts), rows.shape[1])


declare_quantized(
    f"quantized::embedding_bag_prepack(Tensor weight) -> {EMBEDDING} W_prepack", lambda weight: UNKNOWN, pack_embedding
)
declare_quantized(
    f"quantized::embedding_bag_unpack({EMBEDDING} W_prepack) -> Tensor W_origin",
    lambda packed: TensorType(),
    embedding_of,
)
declare_quantized(
    f"quantized::embedding_byte({EMBEDDING} weight, Tensor indices, bool pruned_weights=False) -> Tensor",
    lambda packed, indices, pruned: TensorType(dtypes.FLOAT32, (*known_shape(indices), fresh())),
    lambda packed, indices, pruned: _rows(embedding_of(packed), indices),
)
declare_quantized(
    f"quantized::embedding_bag_byte({EMBEDDING} weight, Tensor indices, Tensor? offsets=None, bool "
    "scale_grad_by_freq=False, int mode=0, bool pruned_weights=False, Tensor? per_sample_weights=None, Tensor? "
    "compressed_indices_mapping=None, bool include_last_offset=False) -> Tensor",
    lambda packed, indices, *rest: TensorType(dtypes.FLOAT32, (fresh(), fresh())),
    _bags,
)
