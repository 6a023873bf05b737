"""What `prim::` nodes do to run-time values: type tests, conversions, printing, futures."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

import numpy as np

from optc.eager.base import TensorBase
from optc.eager.dispatch import wrap
from optc.ir import dtypes, types
from optc.ir.function import ClassType, ScriptObject
from optc.ir.stream_text import printed
from optc.ir.types import DictType, EnumType, IntType, ListType, OptionalType, TensorType, TupleType, Type, UnionType
from optc.ops.tensors_of_numbers import fits_list


class Future:
    """The result of a fork, which ran at once: a value, or the error that waiting for it raises."""

    def __init__(self, value: Any = None, error: Exception | None = None) -> None:
        self._value = value
        self._error = error

    def wait(self) -> Any:
        """The value. Raises the error of the function that was forked."""
        if self._error is not None:
            raise self._error
        return self._value

    def value(self) -> Any:
        """The same as `wait`."""
        return self.wait()

    def done(self) -> bool:
        """Always True: the function has run."""
        return True


def as_run_time_value(constant: Any) -> Any:
    """A graph's constant as the interpreter holds it: arrays become tensors, also inside lists and the like."""
    if isinstance(constant, np.ndarray):
        return wrap(constant)
    return _map_items(as_run_time_value, constant)


def as_constant(value: Any) -> Any:
    """The inverse of `as_run_time_value`: tensors become arrays."""
    if isinstance(value, TensorBase):
        return value._array
    return _map_items(as_constant, value)


def _map_items(convert: Callable[[Any], Any], value: Any) -> Any:
    if isinstance(value, list | tuple):
        items = [convert(item) for item in value]
        return items if isinstance(value, list) else tuple(items)
    if isinstance(value, dict):
        return {convert(key): convert(item) for key, item in value.items()}
    return value


def print_text(values: tuple[Any, ...]) -> str:
    """The line that `print` inside a script writes."""
    return " ".join(_printed(value) for value in values)


def _printed(value: Any) -> str:
    if isinstance(value, ScriptObject):
        return f"<{value.type.name} object at {id(value):#x}>"
    return printed(as_constant(value))


_CLASSES: dict[Type, type] = {
    types.FLOAT: float,
    types.STRING: str,
    types.COMPLEX: complex,
    types.NONE: type(None),
    types.BOOL: bool,
    types.ANY_LIST: list,
    types.ANY_TUPLE: tuple,
    types.DEVICE: str,
}


def is_instance(value: Any, type_: Type) -> bool:
    """True when a run-time value is of a type; empty lists and dicts are of every element type."""
    if type_ is types.ANY:
        return True
    if isinstance(type_, TensorType):
        return isinstance(value, TensorBase)
    if isinstance(type_, IntType):
        return isinstance(value, int) and not isinstance(value, bool)
    if isinstance(type_, OptionalType):
        return value is None or is_instance(value, type_.element)
    if isinstance(type_, UnionType):
        return any(is_instance(value, member) for member in type_.members)
    if isinstance(type_, ListType):
        return isinstance(value, list) and all(is_instance(item, type_.element) for item in value)
    if isinstance(type_, TupleType):
        if not isinstance(value, tuple) or len(value) != len(type_.elements):
            return False
        return all(is_instance(item, element) for item, element in zip(value, type_.elements))
    if isinstance(type_, DictType):
        if not isinstance(value, dict):
            return False
        return all(is_instance(key, type_.key) and is_instance(item, type_.value) for key, item in value.items())
    if isinstance(type_, ClassType):
        return isinstance(value, ScriptObject) and _is_of_class(value.type, type_)
    if isinstance(type_, EnumType):
        return isinstance(value, enum.Enum) and type(value).__name__ == type_.name.rpartition(".")[2]
    if type_ is types.NUMBER:
        return isinstance(value, int | float | complex) and not isinstance(value, bool)
    return type_ in _CLASSES and isinstance(value, _CLASSES[type_])


def _is_of_class(actual: ClassType, wanted: ClassType) -> bool:
    if wanted.is_interface:
        return all(name in actual.methods for name in wanted.methods)
    return actual is wanted or actual.name == wanted.name


def number_to_tensor(number: Any) -> Any:
    """`prim::NumToTensor`: a 0-d tensor of int64, float64, complex128 or bool."""
    return wrap(np.asarray(number))


def to_list(tensor: TensorBase, rank: int, element: int) -> Any:
    """`prim::tolist`: nested lists of `rank` levels; `element` says int, float, bool or complex (0, 1, 2, 3).

    Raises RuntimeError when the tensor has another rank or element type.
    """
    array = tensor._array
    if array.ndim != rank:
        raise RuntimeError("Output annotation list dimension and runtime tensor dimension must match for tolist()")
    dtype = dtypes.from_numpy(array.dtype)
    if not fits_list(dtype, element):
        wanted = ("Long", "Float", "Bool", "ComplexFloat")[element]
        raise RuntimeError(
            "Output annotation element type and runtime tensor element type must match for tolist(): "
            f"{wanted} vs {dtype.label}"
        )
    if array.dtype.kind not in "iub" and array.dtype.itemsize == 2:
        raise RuntimeError("tolist() gives the numbers of float and double tensors, not of half and bfloat16")
    return array.tolist()


def unwrap_optional(value: Any) -> Any:
    """The value. Raises RuntimeError when it is None."""
    if value is None:
        raise RuntimeError("Unwrapping null optional")
    return value


def unpack_list(items: list[Any], count: int) -> list[Any]:
    """The elements of a list that must have `count` of them. Raises RuntimeError."""
    if len(items) != count:
        raise RuntimeError(f"Expected {count} elements in a list but found {len(items)}")
    return items


def dtype_code(tensor: TensorBase) -> int:
    """torch's number of a tensor's element type."""
    return dtypes.from_numpy(tensor._array.dtype).code
