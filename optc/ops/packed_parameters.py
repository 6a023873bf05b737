"""Weights of quantised layers as objects: classes that PyTorch wrote in C++, known by their names and their state.

An object of such a class keeps what archives say of it, arrays for tensors, in `values["state"]`. What is read from
the state is remembered as long as the object lives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from optc.dataclass import dataclass
from optc.ir.function import ClassType, ScriptObject
from optc.ir.types import BOOL, INT, NATIVE_CLASSES, TENSOR, ListType, OptionalType, TupleType, Type
from optc.ops.quantizers import quantizer_of

Array = np.ndarray[Any, Any]

LINEAR = f"{NATIVE_CLASSES}quantized.LinearPackedParamsBase"
CONV2D = f"{NATIVE_CLASSES}quantized.Conv2dPackedParamsBase"
CONV3D = f"{NATIVE_CLASSES}quantized.Conv3dPackedParamsBase"
EMBEDDING = f"{NATIVE_CLASSES}quantized.EmbeddingPackedParamsBase"
CELL = f"{NATIVE_CLASSES}rnn.CellParamsBase"


@dataclass(frozen=True, eq=False)
class PackedLinear:
    """weight: (outputs, inputs), quantised to int8 or a float array; bias: float32 (outputs) or None."""

    weight: Array
    bias: Array | None


@dataclass(frozen=True, eq=False)
class PackedConvolution:
    """weight: as of `conv2d`, quantised to int8; bias: float32 or None. Extents are per spatial dimension."""

    weight: Array
    bias: Array | None
    stride: list[int]
    padding: list[int]
    dilation: list[int]
    output_padding: list[int]
    groups: int
    is_transposed: bool


@dataclass(frozen=True, eq=False)
class PackedCell:
    """What a recurrent cell multiplies by: of its inputs and of its state."""

    input: PackedLinear
    hidden: PackedLinear
    reduce_range: bool
    is_dynamic: bool


_KNOWN: WeakKeyDictionary[ScriptObject, Any] = WeakKeyDictionary()
_CLASSES: dict[str, ClassType] = {}


def native_object(name: str, state: Any) -> ScriptObject:
    """An object of a class written in C++."""
    return ScriptObject(_CLASSES.setdefault(name, ClassType(name)), {"state": state})


def _read(packed: Any, name: str, read: Any) -> Any:
    if not isinstance(packed, ScriptObject) or packed.type.name != name:
        raise RuntimeError(f"Expected an object of the class {name}")
    found = _KNOWN.get(packed)
    if found is None:
        try:
            found = _KNOWN[packed] = read(packed.values["state"])
        except (TypeError, ValueError, IndexError, KeyError, AttributeError) as error:
            raise RuntimeError(f"the state of {name} is not what this class has: {error}") from error
    return found


def linear_of(packed: Any) -> PackedLinear:
    """The parameters of a linear layer. Raises RuntimeError for other objects."""
    found: PackedLinear = _read(packed, LINEAR, lambda state: PackedLinear(state[0], state[1]))
    return found


def pack_linear(weight: Array, bias: Array | None) -> ScriptObject:
    """The parameters of a linear layer as an object."""
    return native_object(LINEAR, (weight, bias))


def convolution_of(packed: Any, spatial: int) -> PackedConvolution:
    """The parameters of a convolution over `spatial` dimensions (2 stands for 1 too)."""
    found: PackedConvolution = _read(packed, CONV3D if spatial == 3 else CONV2D, _convolution)
    return found


def _convolution(state: Any) -> PackedConvolution:
    if isinstance(state[0], np.ndarray):
        return _first_version(*state)
    if str(state[0]) == "2":
        (parameters, weight), (bias,) = state[1:]
        numbers = parameters.tolist()
    else:
        numbers, (_, weight, bias) = state[1], state[2]
    spatial, rest = int(numbers[0]), [int(number) for number in numbers[1:]]
    stride, padding, dilation, output_padding = (rest[place * spatial : (place + 1) * spatial] for place in range(4))
    groups, flags = rest[4 * spatial : 4 * spatial + 2]
    return PackedConvolution(weight, bias, stride, padding, dilation, output_padding, groups, bool(flags & 1))


def _first_version(
    weight: Array, bias: Array | None, stride: Any, padding: Any, dilation: Any, groups: Array, *rest: Any
) -> PackedConvolution:
    stride, padding, dilation = ([int(number) for number in numbers] for numbers in (stride, padding, dilation))
    return PackedConvolution(weight, bias, stride, padding, dilation, [0] * len(stride), int(groups), False)


def pack_convolution(
    weight: Array,
    bias: Array | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    output_padding: Sequence[int] = (),
    is_transposed: bool = False,
) -> ScriptObject:
    """The parameters of a convolution as an object, in the second version of its state, which PyTorch writes."""
    spatial = len(stride)
    extra = [*output_padding] or [0] * spatial
    numbers = [spatial, *stride, *padding, *dilation, *extra, groups, int(is_transposed)]
    state = ("2", [np.array(numbers, np.int16), weight], [bias])
    return native_object(CONV3D if spatial == 3 else CONV2D, state)


def embedding_of(packed: Any) -> Array:
    """The table of an embedding, quantised per row."""
    found: Array = _read(packed, EMBEDDING, lambda state: state[1][0])
    return found


def pack_embedding(weight: Array) -> ScriptObject:
    """The table of an embedding as an object. Raises RuntimeError for one that is not quantised."""
    quantizer_of(weight)
    return native_object(EMBEDDING, (1, [weight], [], [8, 1]))


def cell_of(packed: Any) -> PackedCell:
    """The parameters of a recurrent cell."""
    found: PackedCell = _read(packed, CELL, _cell)
    return found


def _cell(state: Any) -> PackedCell:
    kind, _, _, numbers, packed = state
    if kind not in ("quantized_dynamic", "quantized_fp16"):
        raise RuntimeError(f"cells of kind {kind!r} are not supported")
    inputs, hidden = map(linear_of, packed)
    if kind == "quantized_fp16":
        return PackedCell(inputs, hidden, False, False)
    return PackedCell(inputs, hidden, bool(numbers and numbers[0]), True)


# Methods -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NativeMethod:
    """A method without arguments of a class written in C++: what it returns, and how it is computed, on arrays."""

    returns: Type
    function: Callable[[Any], Any]


_WEIGHT_AND_BIAS = TupleType((TENSOR, OptionalType(TENSOR)))


def _conv(spatial: int, tell: Callable[[PackedConvolution], Any]) -> Callable[[Any], Any]:
    return lambda packed: tell(convolution_of(packed, spatial))


_METHODS = {
    (LINEAR, "unpack"): NativeMethod(
        _WEIGHT_AND_BIAS, lambda packed: (linear_of(packed).weight, linear_of(packed).bias)
    ),
    (LINEAR, "bias"): NativeMethod(OptionalType(TENSOR), lambda packed: linear_of(packed).bias),
    (EMBEDDING, "unpack"): NativeMethod(TENSOR, embedding_of),
    (EMBEDDING, "bit_rate"): NativeMethod(INT, lambda packed: packed.values["state"][3][0]),
    (EMBEDDING, "version"): NativeMethod(INT, lambda packed: packed.values["state"][0]),
}
for _class, _spatial in ((CONV2D, 2), (CONV3D, 3)):
    _tells: dict[str, tuple[Type, Callable[[PackedConvolution], Any]]] = {
        "unpack": (_WEIGHT_AND_BIAS, lambda layer: (layer.weight, layer.bias)),
        "weight": (TENSOR, lambda layer: layer.weight),
        "bias": (OptionalType(TENSOR), lambda layer: layer.bias),
        "groups": (INT, lambda layer: layer.groups),
        "transpose": (BOOL, lambda layer: layer.is_transposed),
        "stride": (ListType(INT), lambda layer: list(layer.stride)),
        "padding": (ListType(INT), lambda layer: list(layer.padding)),
        "dilation": (ListType(INT), lambda layer: list(layer.dilation)),
        "output_padding": (ListType(INT), lambda layer: list(layer.output_padding)),
    }
    for _name, (_returns, _tell) in _tells.items():
        _METHODS[_class, _name] = NativeMethod(_returns, _conv(_spatial, _tell))


def native_method(class_name: str, name: str) -> NativeMethod | None:
    """A method of a class written in C++; None for those that optc does not know."""
    return _METHODS.get((class_name, name))
