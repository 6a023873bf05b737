"""Types of the values a trace sees: tensors in full, and containers of tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.eager.tensor import Tensor
from optc.ir.dtypes import INT64
from optc.ir.function import ScriptObject
from optc.ir.types import (
    BOOL,
    COMPLEX,
    FLOAT,
    INT,
    NONE,
    STRING,
    TENSOR,
    DictType,
    ListType,
    TensorType,
    TupleType,
    Type,
)

SIZE_TYPE = TensorType(INT64, (), (), None, "cpu")
"""The type of a traced size: a 0-d tensor."""

_SCALARS: dict[type, Type] = {bool: BOOL, int: INT, float: FLOAT, complex: COMPLEX, str: STRING, type(None): NONE}


class UntraceableValue(RuntimeError):
    """A value of a kind that no type of the language describes; the message says why."""


def tensor_type(tensor: Tensor) -> TensorType:
    """Everything a trace notes about a tensor."""
    return TensorType(
        tensor.dtype, tuple(tensor._array.shape), tuple(tensor.stride()), bool(tensor.requires_grad), "cpu"
    )


def array_type(array: np.ndarray[Any, Any]) -> TensorType:
    """The type of a tensor constant."""
    from_array = Tensor.__new__(Tensor)
    from_array._array, from_array._gradient = array, 0
    return tensor_type(from_array)


def type_of(value: Any) -> Type:
    """The type of a value that enters a trace. Raises UntraceableValue for containers without one."""
    if isinstance(value, Tensor):
        return tensor_type(value)
    if isinstance(value, tuple):
        return TupleType(tuple(type_of(item) for item in value))
    if isinstance(value, list):
        return _list_type(value)
    if isinstance(value, dict):
        return _dict_type(value)
    if isinstance(value, ScriptObject):
        return value.type
    found = _SCALARS.get(type(value))
    if found is None:
        raise UntraceableValue(
            f"Only tensors and (possibly nested) tuples of tensors, lists, or dicts are supported "
            f"as inputs or outputs of traced functions, but instead got value of type "
            f"{type(value).__name__}."
        )
    return found


def _element_type(value: Any) -> Type:
    return TENSOR if isinstance(value, Tensor) else type_of(value)


def _list_type(value: list[Any]) -> Type:
    if not value:
        raise UntraceableValue("List trace inputs must have elements")
    first = _element_type(value[0])
    for item in value[1:]:
        other = _element_type(item)
        if other != first:
            raise UntraceableValue(
                "List inputs to traced functions must have consistent element type. "
                f"Found {first.annotation} and {other.annotation}"
            )
    return ListType(first)


def _dict_type(value: dict[Any, Any]) -> Type:
    if not value:
        raise UntraceableValue("Dictionary inputs must have entries")
    pairs = [(_element_type(key), _element_type(item)) for key, item in value.items()]
    for place, kind in enumerate(("key", "value")):
        for pair in pairs[1:]:
            if pair[place] != pairs[0][place]:
                label = "consistent type" if kind == "value" else "consistent key type"
                raise UntraceableValue(
                    f"Dictionary inputs to traced functions must have {label}. "
                    f"Found {pairs[0][place].annotation} and {pair[place].annotation}"
                )
    return DictType(*pairs[0])


def is_traceable(type_: Type) -> bool:
    """True for tensors and for tuples, lists and dictionaries of them."""
    if isinstance(type_, TensorType):
        return True
    if isinstance(type_, TupleType):
        return all(map(is_traceable, type_.elements))
    if isinstance(type_, ListType):
        return is_traceable(type_.element)
    return isinstance(type_, DictType) and is_traceable(type_.value)


def check_traceable(inputs: tuple[Any, ...]) -> tuple[Type, ...]:
    """The types of the example inputs. Raises RuntimeError, in PyTorch's words, for inputs a trace cannot take."""
    try:
        types = tuple(type_of(value) for value in inputs)
    except UntraceableValue as reason:
        raise RuntimeError(f"Tracer cannot infer type of {inputs}\n:{reason}") from None
    if not all(map(is_traceable, types)):
        raise RuntimeError(
            f"Type '{TupleType(types).annotation}' cannot be traced. "
            "Only Tensors and (possibly nested) Lists, Dicts, and Tuples of Tensors can be traced"
        )
    return types
