"""What operators of the `aten` namespace do with quantised tensors.

Views need nothing: a quantised array can be cut and turned as others. For the operators here PyTorch has a kernel of
its own; all others refuse quantised tensors, as numpy does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.types import TensorType
from optc.ops import (  # noqa: F401  they declare the operators
    activation,
    comparison,
    conversion,
    copies,
    joining,
    masks,
    ordering,
    padding,
    pooled_maxima,
    pooling,
    reduction,
    resampling,
    selection,
    statistics,
    writes,
)
from optc.ops.quantized_arithmetic import clipped, leaky, sigmoid, thresholded, through
from optc.ops.quantizers import (
    Quantizer,
    dequantized,
    integers_of,
    is_quantized,
    quantized_result,
    quantizer_of,
    with_quantizer,
)
from optc.ops.registry import lookup

Array = np.ndarray[Any, Any]


def _is_quantized_type(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and _is_quantized_type(value[0])
    return isinstance(value, TensorType) and value.dtype is not None and value.dtype.is_quantized


def _give_form(name: str, function: Callable[..., Any]) -> None:
    """Let `function` do what an operator does where its first argument is quantised."""
    operator = lookup(name)
    assert operator is not None, name
    rule, reference = operator.rule, operator.reference

    def infer(x: Any, *rest: Any) -> Any:
        if not _is_quantized_type(x):
            return rule(x, *rest)
        dtype = (x[0] if isinstance(x, list) else x).dtype
        return _like(rule(_as_numbers(x), *map(_as_numbers, rest)), dtype)

    def run(x: Any, *rest: Any) -> Any:
        is_mine = is_quantized(x[0] if isinstance(x, list) and x else x)
        return function(x, *rest) if is_mine else reference(x, *rest)

    operator.rule, operator.reference = infer, run


def _as_numbers(value: Any) -> Any:
    """The abstract value with numbers for the integers that stand for them."""
    if isinstance(value, list):
        return [_as_numbers(item) for item in value]
    return value.with_dtype(dtypes.FLOAT32) if _is_quantized_type(value) else value


def _like(result: Any, dtype: dtypes.DType) -> Any:
    if isinstance(result, tuple):
        return tuple(_like(item, dtype) for item in result)
    if isinstance(result, TensorType) and result.dtype is dtypes.FLOAT32:
        return result.with_dtype(dtype)
    return result


def _own(function: Callable[..., Array]) -> Callable[..., Array]:
    """A function of numbers whose results have the quantiser of the argument."""

    def run(x: Array, *rest: Any) -> Array:
        return quantized_result(function(dequantized(x), *rest), quantizer_of(x))

    return run


def _reference_of(name: str) -> Callable[..., Any]:
    """What the operator does with tensors of numbers."""
    operator = lookup(name)
    assert operator is not None, name
    return operator.reference


def _by_reference(name: str) -> Callable[..., Array]:
    """The operator's own reference over numbers, rounded to the integers of the argument."""
    return _own(_reference_of(name))


def _averaged(name: str) -> Callable[..., Array]:
    """The operator's own reference over integers: rounded to float32, means that are halves are exact, and go to even
    integers as in PyTorch."""
    reference = _reference_of(name)

    def run(x: Array, *rest: Any) -> Array:
        quantizer = quantizer_of(x)
        means = reference(integers_of(x) - np.float64(quantizer.zero_point), *rest).astype(np.float32)
        integers = np.clip(np.rint(means + quantizer.zero_point), *quantizer.bounds)
        return with_quantizer(integers.astype(quantizer.dtype.numpy), quantizer)

    return run


def _by_integers(name: str) -> Callable[..., Any]:
    """The operator's own reference over integers: for what only orders and moves them."""
    reference = _reference_of(name)

    def run(x: Array, *rest: Any) -> Any:
        quantizer = quantizer_of(x)
        result = reference(integers_of(x), *rest)
        if isinstance(result, tuple):
            return (with_quantizer(result[0], quantizer), *result[1:])
        return with_quantizer(result, quantizer)

    return run


def _bounded(x: Array) -> Quantizer:
    """The quantiser of results from -1 or 0 to 1: sigmoid and tanh have all integers of the type for them."""
    dtype = quantizer_of(x).dtype
    info = np.iinfo(dtype.numpy)
    return Quantizer(dtype, (1.0 / 256,), (int(info.min) if dtype is not dtypes.QINT32 else 0,))


def _to_unit(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    def run(x: Array) -> Array:
        quantizer = _bounded(x)
        return through(function, x, quantizer.scale, quantizer.zero_point)

    return run


def _tanh(x: Array) -> Array:
    return through(np.tanh, x, 2.0 / 256, 128 if quantizer_of(x).dtype is dtypes.QUINT8 else 0)


def _clamp(x: Array, least: Any = None, largest: Any = None) -> Array:
    return clipped(x, least, largest)


def _compared(name: str) -> Callable[..., Any]:
    """The operator's own reference over the numbers."""
    reference = _reference_of(name)
    return lambda x, y: reference(dequantized(x), dequantized(y) if is_quantized(y) else y)


def _joined(tensors: list[Array], dim: int) -> Array:
    """One after the other, with the quantiser of the first."""
    first = quantizer_of(tensors[0])
    parts = [x if quantizer_of(x) == first else quantized_result(dequantized(x), first) for x in tensors]
    return np.concatenate(parts, dim)


for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    for _overload in ("Tensor", "Scalar"):
        _give_form(f"aten::{_name}.{_overload}", _compared(f"aten::{_name}.{_overload}"))
_give_form("aten::item", lambda x: dequantized(x).item())
_give_form("aten::cat", _joined)
_give_form("aten::stack", lambda tensors, dim: _joined([np.expand_dims(x, dim) for x in tensors], dim))
_give_form("aten::relu", lambda x: clipped(x, 0.0, None))
_give_form("aten::relu6", lambda x: clipped(x, 0.0, 6.0))
for _name in ("aten::hardtanh", "aten::clamp"):
    _give_form(_name, _clamp)
_give_form("aten::sigmoid", _to_unit(sigmoid))
_give_form("aten::hardsigmoid", _to_unit(lambda x: np.clip(x + 3, 0, 6) / np.float32(6)))
_give_form("aten::tanh", _tanh)
_give_form("aten::threshold", thresholded)
_give_form("aten::leaky_relu", _own(leaky))
for _name in (
    "aten::gelu", "aten::mean", "aten::mean.dim", "aten::std.dim", "aten::upsample_bilinear2d",
    "aten::upsample_bilinear2d.vec", "aten::masked_fill.Scalar", "aten::constant_pad_nd", "aten::pad",
    "aten::reflection_pad1d", "aten::reflection_pad2d", "aten::fill.Scalar",
):  # fmt: skip
    _give_form(_name, _by_reference(_name))
for _name in ("avg_pool2d", "avg_pool3d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"):
    _give_form(f"aten::{_name}", _averaged(f"aten::{_name}"))
for _name in (
    "aten::max_pool1d", "aten::max_pool2d", "aten::max_pool3d", "aten::max", "aten::min", "aten::sort", "aten::topk",
):  # fmt: skip
    _give_form(_name, _by_integers(_name))
for _name in ("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d"):
    for _overload in ("", ".vec"):
        _give_form(f"aten::{_name}{_overload}", _by_reference(f"aten::{_name}{_overload}"))
