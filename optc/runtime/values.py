"""The border between Python and compiled code: what comes in, what goes out, and as which type."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from optc.eager.base import TensorBase
from optc.eager.creation import from_numpy
from optc.eager.device import Device
from optc.eager.dispatch import wrap
from optc.eager.generator import Generator
from optc.ir import dtypes, types
from optc.ir.structure import Literal
from optc.ir.types import Type
from optc.jit.torch_objects import is_torch
from optc.ops.abstract import tensor_type_of
from optc.ops.held import is_held


def kind_of(arguments: Sequence[Any], keywords: Mapping[str, Any], default: str = "optc") -> str:
    """Whose tensors the caller uses: "numpy", "torch" or "optc"; `default` when there are none."""
    for value in (*arguments, *keywords.values()):
        kind = _kind_in(value)
        if kind is not None:
            return kind
    return default


def _kind_in(value: Any) -> str | None:
    """Whose the first tensor in nested containers is, None where there is none."""
    if isinstance(value, np.ndarray):
        return "numpy"
    if isinstance(value, TensorBase):
        return "optc"
    if isinstance(value, list | tuple | dict):
        kinds = map(_kind_in, value.values() if isinstance(value, dict) else value)
        return next((kind for kind in kinds if kind is not None), None)
    return "torch" if is_torch(value) else None


def map_structure(convert: Callable[[Any], Any], value: Any) -> Any:
    """`convert` applied to everything inside tuples, lists and dictionaries."""
    if isinstance(value, tuple):
        items = [map_structure(convert, item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if isinstance(value, list):
        return [map_structure(convert, item) for item in value]
    if isinstance(value, dict):
        return {key: map_structure(convert, item) for key, item in value.items()}
    return convert(value)


def tensors_of(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments with Tensors for arrays and torch tensors; what is one object stays one."""
    made: dict[int, Any] = {}

    def convert(value: Any) -> Any:
        if id(value) not in made:
            made[id(value)] = to_tensor(value)
        return made[id(value)]

    given = tuple(map_structure(convert, value) for value in arguments)
    return given, {name: map_structure(convert, value) for name, value in keywords.items()}


def to_tensor(value: Any) -> Any:
    """numpy arrays (and torch tensors) as Tensors over the same memory; the rest as it is."""
    if isinstance(value, np.ndarray):
        return tensor_of_array(value)
    if is_torch(value):
        from optc.interop.torch import from_torch

        return from_torch(value)
    return value


def tensor_of_array(array: np.ndarray[Any, Any]) -> Any:
    """A Tensor over an array. from_numpy warns of read-only arrays; reading them does no harm. Raises TypeError."""
    if array.flags.writeable:
        return from_numpy(array)
    dtypes.from_numpy(array.dtype)
    return wrap(np.ascontiguousarray(array))


def from_tensor(kind: str) -> Callable[[Any], Any]:
    """What turns a Tensor (and a Device) into what the caller uses, without a copy."""

    def convert(value: Any) -> Any:
        if not isinstance(value, TensorBase | Device):
            return value
        if kind == "torch":
            from optc.interop.torch import to_torch

            return to_torch(value)
        return value._array if kind == "numpy" and isinstance(value, TensorBase) else value

    return convert


def type_of(value: Any) -> Any:
    """The type of an argument: a Type, or a tuple, list or dictionary of them; None for what has no native form."""
    if isinstance(value, TensorBase):
        return None if is_held(value._array) else tensor_type_of(value._array)
    if value is None:
        return types.NONE
    if isinstance(value, tuple | list):
        return type_of_items(value)
    if isinstance(value, dict):
        return {key: type_of(item) for key, item in value.items()}
    if isinstance(value, str):
        return Literal(value)
    if isinstance(value, Generator):
        return types.GENERATOR
    simple: dict[type, Type] = {int: types.INT, float: types.FLOAT, bool: types.BOOL}
    return simple.get(type(value))


def type_of_items(value: tuple[Any, ...] | list[Any]) -> Any:
    """The types of the items, as a list for a list and a tuple for tuples of any kind."""
    items = [type_of(item) for item in value]
    return items if isinstance(value, list) else tuple(items)


def signature_key(value: Any) -> Any:
    """What must be equal for two arguments to share the history of their extents."""
    if isinstance(value, TensorBase):
        return value._array.dtype, value._array.ndim
    if isinstance(value, list | tuple):
        return type(value), tuple(map(signature_key, value))
    if isinstance(value, dict):
        return tuple(value), tuple(map(signature_key, value.values()))
    return value if isinstance(value, str) else type(value)
