"""The pass `fold-convolutions`.

%2 = aten::conv2d(%1, %weight, %bias, ...)             %3 = aten::conv2d(%1, %scaled_weight, %moved_bias, ...)
%3 = aten::batch_norm(%2, %scale, %shift, ...)   =>

A batch normalization whose statistics are constants multiplies and moves every channel, and so does arithmetic with
constants; a convolution with constant weights does that on its own. Rounding changes. Works on captured graphs: the
result of the convolution has no other readers, but for questions for its shape, so nobody else can have written to it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.dataclass import dataclass
from optc.ir.graph import Graph, Node, Value
from optc.ops.builder import constant_type
from optc.ops.registry import operator_of
from optc.pipeline import graph_pass

Array = np.ndarray[Any, Any]

_CONVOLUTIONS = ("aten::conv1d", "aten::conv2d", "aten::conv3d", "aten::_convolution")
_SHAPE_QUESTIONS = ("aten::dim", "aten::size")
_ARITHMETIC = ("aten::add", "aten::sub", "aten::mul", "aten::div")
_ELEMENT_TYPES = (np.dtype(np.float32), np.dtype(np.float64))


@graph_pass("fold-convolutions", after={"freeze": "weights and statistics are constants then"})
def fold_convolutions(graph: Graph) -> bool:
    """Let the weights of convolutions do the batch normalization and the arithmetic with constants that follow."""
    changed = False
    for node in [node for node in graph.walk() if node.kind in _CONVOLUTIONS]:
        while _fold(graph, node):
            changed = True
    return changed


@dataclass(frozen=True)
class _Change:
    """What happens to every channel: times `scale`, plus `shift`; numbers, or one per channel."""

    scale: Any = 1.0
    shift: Any = 0.0


def _fold(graph: Graph, node: Node) -> bool:
    """Take what the only reader of a convolution does into its weights; False where there is nothing to take."""
    arguments = _arguments(node)
    weight, bias = arguments["weight"], arguments["bias"]
    is_transposed = "transposed" in arguments and _constant(arguments["transposed"]) is not False
    uses = [use for use in node.output.uses if use.node.kind not in _SHAPE_QUESTIONS]
    if len(uses) != 1 or is_transposed or not _is_foldable(weight) or not bias.is_constant:
        return False
    reader = uses[0].node
    change = _normalization(reader, weight.constant) or _arithmetic(reader, uses[0].slot, weight.constant)
    if change is None:
        return False
    _rewrite(graph, node, change)
    reader.output.replace_all_uses_with(node.output)
    reader.destroy()
    return True


def _rewrite(graph: Graph, node: Node, change: _Change) -> None:
    """Give a convolution weights and a bias that do the change as well."""
    places = {argument.name: place for place, argument in enumerate(_schema_arguments(node))}
    weight = node.inputs[places["weight"]].constant
    bias = node.inputs[places["bias"]].constant
    scale = np.broadcast_to(np.asarray(change.scale, np.float64), weight.shape[:1])
    scaled = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
    moved = (0.0 if bias is None else bias) * scale + change.shift
    for name, array in (("weight", scaled), ("bias", moved)):
        with graph.inserting(node):
            array = np.ascontiguousarray(array, weight.dtype)
            value = graph.insert_constant(array, constant_type(array))
        node.set_input(places[name], value)


def _normalization(node: Node, weight: Array) -> _Change | None:
    """What a batch normalization with constant statistics does."""
    if node.kind != "aten::batch_norm":
        return None
    arguments = _arguments(node)
    names = ("weight", "bias", "running_mean", "running_var", "training", "eps")
    values = {name: arguments[name] for name in names}
    if not all(value.is_constant for value in values.values()) or values["training"].constant:
        return None
    scale, shift, mean, variance = (values[name].constant for name in names[:4])
    given = [array for array in (scale, shift, mean, variance) if array is not None]
    if mean is None or variance is None or not all(_is_per_channel(array, weight) for array in given):
        return None
    factor = 1.0 / np.sqrt(variance.astype(np.float64) + values["eps"].constant)
    factor = factor if scale is None else factor * scale
    return _Change(factor, (0.0 if shift is None else shift) - mean * factor)


def _is_per_channel(array: Array, weight: Array) -> bool:
    return bool(array.dtype == weight.dtype) and array.shape == weight.shape[:1]


def _arithmetic(node: Node, slot: int, weight: Array) -> _Change | None:
    """What arithmetic with a constant does whose first operand is the result of the convolution."""
    if node.kind not in _ARITHMETIC or slot != 0 or node.overload not in ("Tensor", "Scalar"):
        return None
    other = _channel_numbers(node.inputs[1], weight)
    factor = _constant(node.inputs[2]) if len(node.inputs) > 2 else 1
    if other is None or type(factor) not in (int, float):
        return None
    if node.kind == "aten::mul":
        return _Change(scale=other)
    if node.kind == "aten::div":
        return _Change(scale=1.0 / other) if np.all(other != 0) else None
    return _Change(shift=other * factor if node.kind == "aten::add" else -other * factor)


def _channel_numbers(value: Value, weight: Array) -> Array | None:
    """A constant operand that changes neither shape nor element type of the result, as a number or one per channel."""
    held = _constant(value)
    if type(held) in (int, float):
        return np.asarray(held, np.float64)
    if not isinstance(held, np.ndarray) or (held.dtype != weight.dtype and held.ndim > 0):
        return None
    if held.dtype not in _ELEMENT_TYPES or held.ndim >= weight.ndim:
        return None
    channels = weight.ndim - 2  # counted from the end: after the spatial dimensions
    shape = (1,) * (weight.ndim - 1 - held.ndim) + held.shape
    is_by_channel = shape[0] in (1, weight.shape[0]) and shape[1:] == (1,) * channels
    return held.astype(np.float64).reshape(-1) if is_by_channel else None


def _is_foldable(value: Value) -> bool:
    held = _constant(value)
    return isinstance(held, np.ndarray) and held.dtype in _ELEMENT_TYPES


def _constant(value: Value) -> Any:
    return value.constant if value.is_constant else None


def _schema_arguments(node: Node) -> Any:
    operator = operator_of(node)
    assert operator is not None
    return operator.schema.arguments


def _arguments(node: Node) -> dict[str, Value]:
    return {argument.name: value for argument, value in zip(_schema_arguments(node), node.inputs)}
