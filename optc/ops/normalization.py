"""The normalisations of neural networks, all defined by reductions and arithmetic.

Code generation fuses the pieces around a row, so nothing here needs a kernel of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from optc.errors import UnsupportedError
from optc.ir import dtypes
from optc.ir.dims import Dim, product
from optc.ir.dtypes import DType
from optc.ir.graph import Value
from optc.ir.types import TensorType
from optc.ops.abstract import ShapeError, same_dim
from optc.ops.composite import declare_composite
from optc.ops.element_types import COMPLEXES, WHOLE, unimplemented
from optc.ops.promotion import compute_type, exact_type, operand_type
from optc.ops.reduction import decompose_variance, narrowed
from optc.ops.registry import define
from optc.ops.shapes import Shape, format_shape, known, known_shape

Array = np.ndarray[Any, Any]


# Over the last dimensions --------------------------------------------------------------------------------------------


def _check_normalized(shape: Shape, normalized: Sequence[Dim], *parameters: tuple[str, Any]) -> int:
    """The number of normalised dimensions. Raises RuntimeError with torch's text."""
    count = len(normalized)
    if count < 1:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got "
            f"normalized_shape = {format_shape(normalized)}"
        )
    for name, parameter in parameters:
        if parameter is not None and (
            len(_shape(parameter)) != count
            or any(same_dim(mine, other) is False for mine, other in zip(_shape(parameter), normalized))
        ):
            raise ShapeError(
                f"Expected {name} to be of same shape as normalized_shape, but got {name} of shape "
                f"{format_shape(_shape(parameter))} and normalized_shape = {format_shape(normalized)}"
            )
    certain = len(shape) < count or any(same_dim(a, b) is False for a, b in zip(shape[-count:], normalized))
    if certain:
        stars = "".join(f", {dim}" for dim in normalized)
        raise ShapeError(
            f"Given normalized_shape={format_shape(normalized)}, expected input with shape [*{stars}], but got input of "
            f"size{format_shape(shape)}"
        )
    return count


def _shape(tensor: Any) -> Shape:
    return known_shape(tensor) if isinstance(tensor, TensorType) else tuple(tensor.shape)


def _infer_layer_norm(x: TensorType, normalized: Sequence[Dim], weight: Any, bias: Any, *rest: Any) -> TensorType:
    _check_normalized(known_shape(x), normalized, ("weight", weight), ("bias", bias))
    return x.with_shape(x.shape)


def _statistics(x: Array, places: tuple[int, ...], eps: float) -> tuple[Array, Array, Array]:
    """x in double, its mean, and one over its deviation."""
    values = x.astype(np.float64)
    with np.errstate(all="ignore"):
        count = np.float64(math.prod(x.shape[place] for place in places))
        mean = values.sum(axis=places, keepdims=True) / count
        spread = np.square(values - mean).sum(axis=places, keepdims=True) / count
        return values, mean, 1.0 / np.sqrt(spread + eps)


def _reference_layer_norm(
    x: Array, normalized: Sequence[int], weight: Array | None, bias: Array | None, eps: float
) -> tuple[Array, Array, Array]:
    count = _check_normalized(x.shape, normalized, ("weight", weight), ("bias", bias))
    places = tuple(range(x.ndim - count, x.ndim))
    values, mean, scale = _statistics(x, places, eps)
    result = (values - mean) * scale
    result = result if weight is None else result * weight.astype(np.float64)
    result = result if bias is None else result + bias.astype(np.float64)
    return result.astype(x.dtype), mean.astype(x.dtype), scale.astype(x.dtype)


def _normalized(b: Any, x: Any, dims: list[int], eps: float) -> tuple[Any, Any, Any]:
    """(x - mean) / sqrt(variance + eps), the mean and the reciprocal deviation."""
    mean = b("aten::mean.dim", x, dims, True)
    centred = b("aten::sub.Tensor", x, mean)
    spread = b("aten::mean.dim", b("aten::mul.Tensor", centred, centred), dims, True)
    scale = b("aten::rsqrt", b("aten::add.Scalar", spread, eps))
    return b("aten::mul.Tensor", centred, scale), mean, scale


def _scaled_and_shifted(b: Any, x: Any, weight: Any, bias: Any, work: DType) -> Any:
    if weight is not None:
        x = b("aten::mul.Tensor", x, narrowed(b, weight, work))
    return x if bias is None else b("aten::add.Tensor", x, narrowed(b, bias, work))


def _decompose_layer_norm(b: Any, x: Any, normalized: Any, weight: Any, bias: Any, eps: float) -> tuple[Any, ...]:
    dtype, rank = b.type(x).dtype, len(b.shape(x))
    work = compute_type(dtype)
    dims = list(range(rank - len(normalized), rank))
    result, mean, scale = _normalized(b, narrowed(b, x, work), dims, eps)
    result = _scaled_and_shifted(b, result, weight, bias, work)
    return tuple(narrowed(b, item, dtype) for item in (result, mean, scale))


def _row_statistics(x: TensorType, normalized: Sequence[Dim], *rest: Any) -> TensorType:
    shape = known_shape(x)
    return x.with_shape((*shape[: len(shape) - len(normalized)], *([1] * len(normalized))))


_NO_LAYER_NORM = unimplemented("LayerNormKernelImpl", WHOLE | COMPLEXES, of="input")
define(
    "aten::layer_norm(Tensor input, SymInt[] normalized_shape, Tensor? weight=None, Tensor? bias=None, "
    "float eps=1.0000000000000001e-05, bool cudnn_enable=True) -> Tensor",
    infer=_infer_layer_norm,
    reference=lambda x, normalized, weight, bias, eps, cudnn: _reference_layer_norm(x, normalized, weight, bias, eps)[
        0
    ],
    decompose=lambda b, x, normalized, weight, bias, eps, cudnn: _decompose_layer_norm(
        b, x, normalized, weight, bias, eps
    )[0],
    in_rows=True,
    refuses=_NO_LAYER_NORM,
)
define(
    "aten::native_layer_norm(Tensor input, SymInt[] normalized_shape, Tensor? weight, Tensor? bias, float eps) "
    "-> (Tensor, Tensor, Tensor)",
    infer=lambda x, *rest: (_infer_layer_norm(x, *rest), _row_statistics(x, *rest), _row_statistics(x, *rest)),
    reference=_reference_layer_norm,
    decompose=_decompose_layer_norm,
    refuses=_NO_LAYER_NORM,
)


def _reference_rms_norm(x: Array, normalized: Sequence[int], weight: Array | None, eps: float | None) -> Array:
    count = _check_normalized(x.shape, normalized, ("weight", weight))
    places = tuple(range(x.ndim - count, x.ndim))
    work = exact_type(operand_type(x)).numpy
    values = x.astype(work)
    with np.errstate(all="ignore"):
        squares = np.square(values).mean(axis=places, keepdims=True)
        result = values / np.sqrt(squares + _rms_epsilon(operand_type(x), eps))
    scaled = result if weight is None else result * weight.astype(work)
    return np.asarray(scaled).astype(x.dtype)


def _rms_epsilon(dtype: DType, eps: float | None) -> float:
    """The machine epsilon of the type torch computes in."""
    if eps is not None:
        return eps
    return 2.220446049250313e-16 if dtype is dtypes.FLOAT64 else 1.1920928955078125e-07


def _infer_rms_norm(x: TensorType, normalized: Sequence[Dim], weight: Any, eps: Any) -> TensorType:
    _check_normalized(known_shape(x), normalized, ("weight", weight))
    return x.with_shape(x.shape)


def _decompose_rms_norm(b: Any, x: Any, normalized: Any, weight: Any, eps: float | None) -> Any:
    dtype, rank = b.type(x).dtype, len(b.shape(x))
    work = compute_type(dtype)
    wide = narrowed(b, x, work)
    dims = list(range(rank - len(normalized), rank))
    squares = b("aten::mean.dim", b("aten::mul.Tensor", wide, wide), dims, True)
    scale = b("aten::rsqrt", b("aten::add.Scalar", squares, _rms_epsilon(dtype, eps)))
    return narrowed(b, _scaled_and_shifted(b, b("aten::mul.Tensor", wide, scale), weight, None, work), dtype)


define(
    "aten::rms_norm(Tensor input, SymInt[] normalized_shape, Tensor? weight=None, float? eps=None) -> Tensor",
    infer=_infer_rms_norm,
    reference=_reference_rms_norm,
    decompose=_decompose_rms_norm,
    refuses=unimplemented("rms_norm", WHOLE, of="input"),
)


# Over groups of channels ---------------------------------------------------------------------------------------------


def _check_groups(shape: Shape, groups: int) -> None:
    if len(shape) < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {len(shape)}")
    channels = shape[1]
    if isinstance(channels, int) and channels % groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of shape "
            f"{format_shape(shape)} and num_groups={groups}"
        )


def _channel_shape(rank: int, channels: Dim) -> list[Dim]:
    return [1, channels] + [1] * (rank - 2)


def _infer_group_norm(x: TensorType, groups: int, *rest: Any) -> TensorType:
    _check_groups(known_shape(x), groups)
    return x.with_shape(x.shape)


def _reference_group_norm(
    x: Array, groups: int, weight: Array | None, bias: Array | None, eps: float, *rest: Any
) -> Array:
    _check_groups(x.shape, groups)
    grouped = x.reshape(x.shape[0], groups, x[:1].size // groups)
    values, mean, scale = _statistics(grouped, (2,), eps)
    result = ((values - mean) * scale).reshape(x.shape)
    shape = known(_channel_shape(x.ndim, x.shape[1]))
    result = result if weight is None else result * weight.astype(np.float64).reshape(shape)
    result = result if bias is None else result + bias.astype(np.float64).reshape(shape)
    return result.astype(x.dtype)


def _decompose_group_norm(b: Any, x: Any, groups: int, weight: Any, bias: Any, eps: float, *rest: Any) -> Any:
    """Over groups x channels of a group x elements, weights included, so that one kernel does all of it."""
    shape, dtype = b.shape(x), b.type(x).dtype
    work = compute_type(dtype)
    members = shape[1] // groups
    if members == 1 and len(shape) > 2:  # no view splits the channels, so that they may lie beside each other
        weight, bias = _channel_parameters(b, (weight, bias), len(shape), shape[1])
        result = _normalized(b, narrowed(b, x, work), list(range(2, len(shape))), eps)[0]
        return narrowed(b, _scaled_and_shifted(b, result, weight, bias, work), dtype)
    grouped = b("aten::reshape", narrowed(b, x, work), [shape[0], groups, members, product(shape[2:])])
    result = _normalized(b, grouped, [2, 3], eps)[0]
    weight, bias = (None if item is None else b("aten::reshape", item, [groups, members, 1]) for item in (weight, bias))
    scaled = _scaled_and_shifted(b, result, weight, bias, work)
    return narrowed(b, b("aten::reshape", scaled, list(shape)), dtype)


def _channel_parameters(b: Any, parameters: Sequence[Any], rank: int, channels: Dim) -> list[Any]:
    """Vectors of one number per channel, shaped to broadcast against tensors of `rank` dimensions."""
    shape = _channel_shape(rank, channels)
    return [None if item is None else b("aten::reshape", item, shape) for item in parameters]


define(
    "aten::group_norm(Tensor input, int num_groups, Tensor? weight=None, Tensor? bias=None, "
    "float eps=1.0000000000000001e-05, bool cudnn_enabled=True) -> Tensor",
    infer=_infer_group_norm,
    reference=_reference_group_norm,
    decompose=_decompose_group_norm,
    in_rows=True,
    refuses=unimplemented("GroupNormKernelImpl", WHOLE | COMPLEXES, of="input"),
)


def _build_group_norm_and_statistics(
    b: Any, x: Any, weight: Any, bias: Any, batch: Any, channels: Any, size: Any, groups: int, eps: float
) -> tuple[Any, Any, Any]:
    """The normalised tensor, and for every group the mean and one over the deviation."""
    found = b("aten::group_norm", x, groups, weight, bias, eps)  # first: it checks the groups
    dtype = b.type(x).dtype
    shape = b.shape(x)
    members = shape[1] // groups * product(shape[2:])
    grouped = b("aten::reshape", narrowed(b, x, compute_type(dtype)), [shape[0], groups, members])
    mean = b("aten::mean.dim", grouped, [2], False)
    centred = b("aten::sub.Tensor", grouped, b("aten::unsqueeze", mean, 2))
    spread = b("aten::mean.dim", b("aten::mul.Tensor", centred, centred), [2], False)
    scale = b("aten::rsqrt", b("aten::add.Scalar", spread, eps))
    stored = dtype if weight is None else b.type(weight).dtype
    return found, narrowed(b, mean, stored), narrowed(b, scale, stored)


declare_composite(
    "aten::native_group_norm(Tensor input, Tensor? weight, Tensor? bias, SymInt N, SymInt C, SymInt HxW, int group, "
    "float eps) -> (Tensor, Tensor, Tensor)",
    _build_group_norm_and_statistics,
    refuses=unimplemented("GroupNormKernelImpl", WHOLE | COMPLEXES, of="input"),
)


# Over batches --------------------------------------------------------------------------------------------------------


def _check_channels(shape: Shape, statistics: Any, name: str) -> None:
    if len(shape) < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {len(shape)}")
    if statistics is None:
        return
    given = _shape(statistics)[0]
    if same_dim(given, shape[1]) is False:
        raise ShapeError(f"{name} should contain {shape[1]} elements not {given}")


def _infer_batch_norm(x: TensorType, weight: Any, bias: Any, mean: Any, *rest: Any) -> TensorType:
    """PyTorch looks at nothing else of a tensor without elements."""
    if 0 in known_shape(x):
        return x.with_shape(x.shape)
    _check_channels(known_shape(x), mean, "running_mean")
    return x.with_shape(x.shape)


def _batch_places(rank: int) -> tuple[int, ...]:
    return (0, *range(2, rank))


def _reference_batch_norm(
    x: Array,
    weight: Array | None,
    bias: Array | None,
    running_mean: Array | None,
    running_var: Array | None,
    training: bool,
    momentum: float,
    eps: float,
    *rest: Any,
) -> Array:
    """In training mode the statistics are the batch's, and the running ones are updated in place."""
    if not x.size:
        return x.copy()
    _check_channels(x.shape, running_mean, "running_mean")
    shape = known(_channel_shape(x.ndim, x.shape[1]))
    values, places = x.astype(np.float64), _batch_places(x.ndim)
    if training or running_mean is None or running_var is None:
        mean, spread = values.mean(axis=places), values.var(axis=places)
        _update_statistics(running_mean, running_var, mean, spread, values.size // max(mean.size, 1), momentum)
    else:
        mean, spread = running_mean.astype(np.float64), running_var.astype(np.float64)
    with np.errstate(all="ignore"):
        result = (values - mean.reshape(shape)) / np.sqrt(spread.reshape(shape) + eps)
    result = result if weight is None else result * weight.astype(np.float64).reshape(shape)
    result = result if bias is None else result + bias.astype(np.float64).reshape(shape)
    return np.asarray(result).astype(x.dtype)


def _update_statistics(
    running_mean: Array | None, running_var: Array | None, mean: Array, spread: Array, count: int, momentum: float
) -> None:
    if count <= 1 and running_mean is not None:
        raise ValueError("Expected more than 1 value per channel when training")
    if running_mean is not None:
        running_mean[...] = running_mean * (1 - momentum) + mean * momentum
    if running_var is not None:
        running_var[...] = running_var * (1 - momentum) + spread * (count / max(count - 1, 1)) * momentum


def _decompose_batch_norm(
    b: Any,
    x: Any,
    weight: Any,
    bias: Any,
    mean: Any,
    variance: Any,
    training: bool,
    momentum: float,
    eps: float,
    *_: Any,
) -> Any:
    """From the running statistics, or from the batch's where there are none.

    Raises UnsupportedError in training mode with running statistics, which would have to be written.
    """
    if 0 in b.shape(x):
        return b("aten::clone", x)
    if training and mean is not None:
        raise UnsupportedError("batch_norm in training mode updates its running statistics; call eval() first")
    shape, dtype = b.shape(x), b.type(x).dtype
    work = compute_type(dtype)
    wide = narrowed(b, x, work)
    rank, channels = len(shape), shape[1]
    weight, bias, mean, variance = _channel_parameters(b, (weight, bias, mean, variance), rank, channels)
    if mean is None or variance is None:
        places = list(_batch_places(rank))
        mean = b("aten::mean.dim", wide, places, True)
        variance = decompose_variance(b, wide, places, 0, True)
        result = b("aten::mul.Tensor", b("aten::sub.Tensor", wide, mean), _inverse_deviation(b, variance, eps))
        return narrowed(b, _scaled_and_shifted(b, result, weight, bias, work), dtype)
    # As PyTorch does it: a factor and a summand for each channel, which are constants where the statistics are.
    factor = _inverse_deviation(b, narrowed(b, variance, work), eps)
    factor = factor if weight is None else b("aten::mul.Tensor", factor, narrowed(b, weight, work))
    below = b("aten::mul.Tensor", narrowed(b, mean, work), factor)
    summand = b("aten::neg", below) if bias is None else b("aten::sub.Tensor", narrowed(b, bias, work), below)
    return narrowed(b, b("aten::add.Tensor", b("aten::mul.Tensor", wide, factor), summand), dtype)


def _inverse_deviation(b: Any, variance: Any, eps: float) -> Any:
    return b("aten::rsqrt", b("aten::add.Scalar", variance, eps))


def _infer_running(x: TensorType, running: TensorType, momentum: Any) -> TensorType:
    _check_channels(known_shape(x), running, "running_mean")
    return running


def _running_mean(b: Any, x: Any, running: Any, momentum: float) -> Any:
    wide = narrowed(b, x, compute_type(b.type(x).dtype))
    batch = b("aten::mean.dim", wide, list(_batch_places(len(b.shape(x)))), False)
    return _unless_empty(b, x, running, _moved(b, running, batch, momentum))


def _running_variance(b: Any, x: Any, running: Any, momentum: float) -> Any:
    wide = narrowed(b, x, compute_type(b.type(x).dtype))
    batch = decompose_variance(b, wide, list(_batch_places(len(b.shape(x)))), 1, False)
    return _unless_empty(b, x, running, _moved(b, running, batch, momentum))


def _running_instance_variance(b: Any, x: Any, running: Any, momentum: float) -> Any:
    wide = narrowed(b, x, compute_type(b.type(x).dtype))
    each = decompose_variance(b, wide, list(range(2, len(b.shape(x)))), 1, False)
    return _moved(b, running, b("aten::mean.dim", each, [0], False), momentum)


def _unless_empty(b: Any, x: Any, running: Any, moved: Any) -> Any:
    """A batch of no elements has no statistics: what is running stays."""
    count = product(b.shape(x))
    if isinstance(count, int):
        return moved if count else running
    is_empty = b("aten::eq.Scalar", b("prim::NumToTensor.Scalar", b.value(count)), 0)
    return b("aten::where.self", is_empty, running, moved)


def _moved(b: Any, running: Any, batch: Any, momentum: Any) -> Any:
    """(1 - momentum) running + momentum batch, in the element type of what is running; momentum may be a value."""
    dtype = b.type(running).dtype
    rest = b("aten::sub.float", 1.0, momentum) if isinstance(momentum, Value) else 1 - momentum
    kept = b("aten::mul.Scalar", narrowed(b, running, b.type(batch).dtype), rest)
    return narrowed(b, b("aten::add.Tensor", kept, b("aten::mul.Scalar", batch, momentum)), dtype)


def _running_reference(is_mean: bool) -> Any:
    def reference(x: Array, running: Array, momentum: float) -> Array:
        values, places, result = x.astype(np.float64), _batch_places(x.ndim), running.copy()
        if not x.size:
            return result
        count = values.size // max(x.shape[1], 1)
        mean, variance = (result, None) if is_mean else (None, result)
        _update_statistics(mean, variance, values.mean(axis=places), values.var(axis=places), count, momentum)
        return result

    return reference


def _running_instance_reference(x: Array, running: Array, momentum: float) -> Array:
    result = running.copy()
    _update_instance_statistics(None, result, x, momentum)
    return result


def _update_instance_statistics(mean: Array | None, variance: Array | None, x: Array, momentum: float) -> None:
    """The running statistics move towards the mean of what single images have."""
    values, places = x.astype(np.float64), tuple(range(2, x.ndim))
    count = int(np.prod(x.shape[2:]))
    batch_mean, batch_spread = values.mean(axis=places).mean(axis=0), values.var(axis=places).mean(axis=0)
    _update_statistics(mean, variance, batch_mean, batch_spread, count, momentum)


for _name, _reference, _updated in (
    ("Mean", _running_reference(is_mean=True), _running_mean),
    ("Variance", _running_reference(is_mean=False), _running_variance),
    ("InstanceVariance", _running_instance_reference, _running_instance_variance),
):
    define(
        f"prim::Running{_name}(Tensor input, Tensor running, float momentum) -> Tensor",
        infer=_infer_running,
        reference=_reference,
        decompose=_updated,
    )

_NO_BATCH_NORM = unimplemented("batch_norm", WHOLE | COMPLEXES, of="input", takes_empty=True)
_STATISTICS = "Tensor? running_mean, Tensor? running_var, bool training, float momentum, float eps"
define(
    f"aten::batch_norm(Tensor input, Tensor? weight, Tensor? bias, {_STATISTICS}, bool cudnn_enabled) -> Tensor",
    infer=_infer_batch_norm,
    reference=_reference_batch_norm,
    decompose=_decompose_batch_norm,
    in_rows=True,
    refuses=_NO_BATCH_NORM,
)


def _infer_instance_norm(x: TensorType, *rest: Any) -> TensorType:
    _check_channels(known_shape(x), None, "running_mean")
    return x.with_shape(x.shape)


def _reference_instance_norm(
    x: Array,
    weight: Any,
    bias: Any,
    mean: Any,
    variance: Any,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    *_: Any,
) -> Array:
    if not use_input_stats:
        return _reference_batch_norm(x, weight, bias, mean, variance, False, momentum, eps)
    if x.size:
        _update_instance_statistics(mean, variance, x, momentum)
    return _reference_group_norm(x, x.shape[1], weight, bias, eps)


def _decompose_instance_norm(
    b: Any, x: Any, weight: Any, bias: Any, mean: Any, variance: Any, use_input_stats: bool, momentum: float, eps: float,
    *_: Any,
) -> Any:  # fmt: skip
    if not use_input_stats:
        return _decompose_batch_norm(b, x, weight, bias, mean, variance, False, momentum, eps)
    if mean is not None or variance is not None:
        raise UnsupportedError("instance_norm of the input's statistics updates its running statistics")
    return _decompose_group_norm(b, x, b.shape(x)[1], weight, bias, eps)


define(
    "aten::instance_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, "
    "bool use_input_stats, float momentum, float eps, bool cudnn_enabled) -> Tensor",
    infer=_infer_instance_norm,
    reference=_reference_instance_norm,
    decompose=_decompose_instance_norm,
    in_rows=True,
    refuses=_NO_BATCH_NORM,
)
