"""Quantised tensors as their integers: how operators work on these where the quantiser is known while compiling.

Native code has no quantised tensors, but it has integers and numbers. Every rule here computes what the operator's
reference does, in the same order and with the same roundings: results are PyTorch's to the last integer. Sums of
products are floats that hold them exactly (`quantized_products`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from optc.ir import dtypes
from optc.ir.dtypes import DType
from optc.ir.graph import Value
from optc.ops.abstract import UndecidedShape, known_dtype
from optc.ops.quantization import QUANTIZED_OF
from optc.ops.quantizers import Quantizer, integers_of, is_quantized, per_tensor, quantizer_of
from optc.ops.registry import Interpreted, Operator, lookup

Array = np.ndarray[Any, Any]

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
    """A constant, its integers still an array. Raises UndecidedShape for what `parts_of` does not take."""
    return parts_of(np.ascontiguousarray(integers_of(array)), quantizer_of(array))


def parts_of(integers: Any, quantizer: Quantizer) -> Quantized:
    """Integers that come from somewhere. Raises UndecidedShape where they have no one quantiser, or too many bits."""
    if quantizer.axis is not None:
        raise UndecidedShape("a tensor that is quantised per channel is no tensor of integers with one quantiser")
    if quantizer.dtype is dtypes.QINT32:
        raise UndecidedShape("integers of 32 bits are more than float32 holds")
    return Quantized(integers, quantizer)


def joined(b: Any, parts: Quantized) -> Any:
    """The quantised tensor."""
    quantizer = parts.quantizer
    return b(MADE, parts.integers, quantizer.scale, quantizer.zero_point)


def require_known(*numbers: Any) -> None:
    """Raises UndecidedShape for numbers and objects that are no constants."""
    if any(isinstance(number, Value) for number in numbers):
        raise UndecidedShape("the quantiser is needed before the program runs")


def cast(b: Any, x: Any, dtype: DType) -> Any:
    """The tensor in an element type."""
    return x if b.type(x).dtype is dtype else b("aten::_to_copy", x, dtype=dtype.code)


# Numbers and integers ------------------------------------------------------------------------------------------------


def stored(b: Any, numbers: Any, quantizer: Quantizer, least: int | None = None) -> Quantized:
    """Whole numbers as integers of the type."""
    low, high = quantizer.bounds
    clipped = b("aten::clamp", numbers, float(low if least is None else max(low, least)), float(high))
    return Quantized(cast(b, clipped, dtypes.from_numpy(quantizer.dtype.numpy)), quantizer)


def requantized(b: Any, numbers: Any, factor: Any, quantizer: Quantizer, least: int | None = None) -> Quantized:
    """`quantized_result` of numbers times a factor, a float or a tensor of them."""
    name = "aten::mul.Tensor" if isinstance(factor, Value) else "aten::mul.Scalar"
    rounded = b("aten::round", b(name, numbers, factor))
    return stored(b, b("aten::add.Scalar", rounded, quantizer.zero_point), quantizer, least)


def _reciprocal(scale: float) -> float:
    return float(np.float32(1) / np.float32(scale))


def result_of(b: Any, numbers: Any, quantizer: Quantizer) -> Quantized:
    """`quantized_result` of numbers."""
    return requantized(b, numbers, _reciprocal(quantizer.scale), quantizer)


def centred_floats(b: Any, parts: Quantized, dtype: DType = dtypes.FLOAT32) -> Any:
    """The integers less the zero point, as floats."""
    numbers = cast(b, parts.integers, dtype)
    point = parts.quantizer.zero_point
    return numbers if point == 0 else b("aten::sub.Scalar", numbers, point)


def numbers_of(b: Any, parts: Quantized) -> Any:
    """The numbers that the integers stand for, in float32."""
    return b("aten::mul.Scalar", centred_floats(b, parts), float(np.float32(parts.quantizer.scale)))


@rule_of("aten::quantize_per_tensor")
def _quantize(b: Any, x: Any, scale: Any, zero_point: Any, dtype: Any) -> Quantized:
    require_known(scale, zero_point, dtype)
    quantizer = per_tensor(known_dtype(dtype), scale, zero_point)
    if b.type(x).dtype is not dtypes.FLOAT32 or quantizer.dtype is dtypes.QINT32:
        raise UndecidedShape("only float32 becomes integers of 8 bits here")
    scaled = b("aten::add.Scalar", b("aten::mul.Scalar", x, _reciprocal(scale)), zero_point)
    rounded = b("aten::nan_to_num", b("aten::round", scaled), float(quantizer.bounds[1]))
    return stored(b, rounded, quantizer)


@rule_of(MADE)
def _made(b: Any, integers: Any, scale: Any, zero_point: Any) -> Quantized:
    require_known(scale, zero_point)
    kind = QUANTIZED_OF.get(b.type(integers).dtype)
    if kind is None:
        raise UndecidedShape("the type of the integers is needed before the program runs")
    return parts_of(integers, per_tensor(kind, scale, zero_point))


@rule_of("aten::quantize_per_tensor.tensor_qparams")
def _quantize_by_tensors(b: Any, x: Any, scale: Value, zero_point: Value, dtype: Any) -> Quantized:
    if not (scale.is_constant and zero_point.is_constant):
        raise UndecidedShape("the quantiser is needed before the program runs")
    found: Quantized = _quantize(b, x, scale.constant.item(), zero_point.constant.item(), dtype)
    return found


@rule_of("aten::dequantize.self")
def _dequantize(b: Any, x: Quantized) -> Any:
    return numbers_of(b, x)


@rule_of("aten::int_repr")
def _integers(b: Any, x: Quantized) -> Any:
    return b("aten::clone", x.integers)


RULES["aten::q_scale"] = lambda b, x: b.value(float(x.quantizer.scale))
RULES["aten::q_zero_point"] = lambda b, x: b.value(x.quantizer.zero_point)


def is_quantized_constant(value: Any) -> bool:
    """True for a constant that is a quantised array."""
    return isinstance(value, Value) and value.is_constant and is_quantized(value.constant)


def works_on_integers(operator: Operator) -> bool:
    """Whether an operator that is interpreted is native where scales and zero points are constants."""
    return isinstance(operator.lowering, Interpreted) and operator.name in RULES
