"""Functions of the integers of quantised tensors: sums and products, tables, norms, moves, pools and means."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.dtypes import DType
from optc.ops.abstract import normalize_dim
from optc.ops.quantized_parts import (
    RULES,
    Quantized,
    Rule,
    cast,
    centred_floats,
    constant_parts,
    numbers_of,
    requantized,
    require_known,
    result_of,
    rule_of,
    stored,
)
from optc.ops.quantizers import Quantizer, per_tensor, with_quantizer
from optc.ops.registry import Decomposition, lookup

# Two tensors ---------------------------------------------------------------------------------------------------------


def _sum(b: Any, x: Quantized, y: Quantized, scale: Any, zero_point: Any, has_relu: bool) -> Quantized:
    require_known(scale, zero_point)
    total = b("aten::add.Tensor", numbers_of(b, x), numbers_of(b, y))
    total = b("aten::relu", total) if has_relu else total
    return result_of(b, total, per_tensor(x.quantizer.dtype, scale, zero_point))


def _product(b: Any, x: Quantized, y: Quantized, scale: Any, zero_point: Any, has_relu: bool) -> Quantized:
    require_known(scale, zero_point)
    left, right = x.quantizer, y.quantizer
    factor = np.float32(left.scale) * np.float32(right.scale) * (np.float32(1) / np.float32(scale))
    product = b("aten::mul.Tensor", centred_floats(b, x), centred_floats(b, y))
    result = per_tensor(left.dtype, scale, zero_point)
    return requantized(b, product, float(factor), result, zero_point if has_relu else None)


for _suffix, _has_relu in (("", False), ("_relu", True)):
    for _name, _function in (("add", _sum), ("mul", _product)):
        RULES[f"quantized::{_name}{_suffix}"] = partial(_function, has_relu=_has_relu)


def _joined(b: Any, tensors: list[Quantized], dim: int, result: Quantizer) -> Quantized:
    parts = [x if x.quantizer == result else result_of(b, numbers_of(b, x), result) for x in tensors]
    return Quantized(b("aten::cat", [part.integers for part in parts], dim), result)


@rule_of("aten::stack")
def _stack(b: Any, tensors: list[Quantized], dim: int) -> Quantized:
    parts = [x._replace(integers=b("aten::unsqueeze", x.integers, dim)) for x in tensors]
    return _joined(b, parts, dim, tensors[0].quantizer)


@rule_of("aten::cat")
def _cat(b: Any, tensors: list[Quantized], dim: int) -> Quantized:
    return _joined(b, tensors, dim, tensors[0].quantizer)


def _cat_as(b: Any, tensors: list[Quantized], dim: int, scale: Any, zero_point: Any, has_relu: bool) -> Quantized:
    require_known(scale, zero_point)
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
    require_known(*arguments)
    operator = lookup(name)
    assert operator is not None
    kind = x.quantizer.dtype.numpy
    entries = operator.reference(with_quantizer(np.arange(low, high + 1).astype(kind), x.quantizer), *arguments)
    table, result = constant_parts(entries)
    least, largest = int(table.min()), int(table.max())
    if np.array_equal(table, np.clip(np.arange(low, high + 1), least, largest)):
        return Quantized(b("aten::clamp", x.integers, least, largest), result)
    places = cast(b, x.integers, dtypes.INT64)
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
    return b("aten::reshape", cast(b, numbers, dtypes.FLOAT64), [1, -1, *[1] * (rank - 2)])


def _batch_norm(
    b: Any, x: Quantized, weight: Any, bias: Any, mean: Any, variance: Any, eps: float, scale: Any, zero_point: Any,
    has_relu: bool,
) -> Quantized:  # fmt: skip
    require_known(scale, zero_point)
    rank = len(b.shape(x.integers))
    mean, variance = (_along_channels(b, numbers, rank) for numbers in (mean, variance))
    found = b("aten::sub.Tensor", cast(b, numbers_of(b, x), dtypes.FLOAT64), mean)
    found = b("aten::div.Tensor", found, b("aten::sqrt", b("aten::add.Scalar", variance, eps)))
    found = found if weight is None else b("aten::mul.Tensor", found, _along_channels(b, weight, rank))
    found = found if bias is None else b("aten::add.Tensor", found, _along_channels(b, bias, rank))
    found = cast(b, found, dtypes.FLOAT32)
    found = b("aten::relu", found) if has_relu else found
    return result_of(b, found, per_tensor(x.quantizer.dtype, scale, zero_point))


for _kind in ("", "1d", "2d", "3d"):
    for _suffix, _has_relu in (("", False), ("_relu", True)):
        RULES[f"quantized::batch_norm{_kind}{_suffix}"] = partial(_batch_norm, has_relu=_has_relu)


@rule_of("quantized::layer_norm")
def _layer_norm(
    b: Any, x: Quantized, shape: Any, weight: Any, bias: Any, eps: float, scale: Any, zero_point: Any
) -> Quantized:  # fmt: skip
    require_known(scale, zero_point)
    wide = [None if item is None else cast(b, item, dtypes.FLOAT64) for item in (numbers_of(b, x), weight, bias)]
    found = b("aten::layer_norm", wide[0], shape, wide[1], wide[2], eps)
    return result_of(b, cast(b, found, dtypes.FLOAT32), per_tensor(x.quantizer.dtype, scale, zero_point))


@rule_of("quantized::softmax")
def _softmax(b: Any, x: Quantized, dim: Any, scale: Any, zero_point: Any) -> Quantized:
    require_known(scale, zero_point)
    found = b("aten::softmax.int", numbers_of(b, x), dim)
    return result_of(b, found, per_tensor(x.quantizer.dtype, scale, zero_point))


def _compared(name: str) -> Rule:
    def rule(b: Any, x: Any, y: Any) -> Any:
        return b(name, *(numbers_of(b, item) if isinstance(item, Quantized) else item for item in (x, y)))

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
        return Quantized(cast(b, b(name, cast(b, x.integers, dtype), *rest), integers), x.quantizer)

    return rule


for _name in (
    "max_pool1d", "max_pool2d", "max_pool3d", "upsample_nearest1d", "upsample_nearest1d.vec", "upsample_nearest2d",
    "upsample_nearest2d.vec", "upsample_nearest3d", "upsample_nearest3d.vec",
):  # fmt: skip
    RULES[f"aten::{_name}"] = _through(f"aten::{_name}", dtypes.FLOAT32)


def _averaged(name: str) -> Rule:
    """Means of integers: rounded to float32, those that are halves are exact, and go to even integers as in PyTorch."""

    def rule(b: Any, x: Quantized, *rest: Any) -> Quantized:
        means = cast(b, b(name, centred_floats(b, x, dtypes.FLOAT64), *rest), dtypes.FLOAT32)
        moved = b("aten::add.Scalar", means, x.quantizer.zero_point)
        return stored(b, b("aten::round", moved), x.quantizer)

    return rule


for _name in ("avg_pool2d", "avg_pool3d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"):
    RULES[f"aten::{_name}"] = _averaged(f"aten::{_name}")


def _by_numbers(name: str) -> Rule:
    """The operator of the numbers, rounded to the integers of the argument."""

    def rule(b: Any, x: Quantized, *rest: Any) -> Quantized:
        return result_of(b, b(name, numbers_of(b, x), *rest), x.quantizer)

    return rule


for _name in (
    "aten::mean", "aten::mean.dim", "aten::upsample_bilinear2d", "aten::upsample_bilinear2d.vec",
    "aten::constant_pad_nd", "aten::pad", "aten::reflection_pad1d", "aten::reflection_pad2d",
):  # fmt: skip
    RULES[_name] = _by_numbers(_name)
