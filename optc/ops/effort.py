"""What running an operator takes, told beforehand from its arguments: for code that runs although nobody called it.

Archives run code while they are loaded (`__setstate__`), and constants are folded while programs are compiled. Either
may be told to make a tensor that fills the machine. These are upper bounds, rough ones where an operator is no simple
loop over its elements.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np

from optc.ir.types import NATIVE_CLASSES, IntType, ListType, OptionalType, TensorType, Type
from optc.ops.abstract import abstract_constant
from optc.ops.registry import Layout, Operator, Pointwise, Reduction

STEP, CALL = 512, 4096
"""What anything takes at least, and an operator on tensors."""

_NUMBERS = frozenset({int, float, bool, type(None)})

_ENDLESS = 1 << 62
"""Numbers from here on stand for "to the end"; nothing has so many elements."""

_OBJECT = 64
"""Bytes of a small Python object."""

_MODEST = 1 << 20

_MOST_SUMMED = 1 << 24
"""Elements that are looked at to tell how large something is."""


def result_bytes(operator: Operator, arguments: Sequence[Any]) -> int | None:
    """The size of the tensors that an operator makes of arrays and Python values; None when only running it tells."""
    try:
        result = operator.infer(*map(abstract_constant, arguments))
    except Exception:  # noqa: BLE001 - the operator itself says what is wrong with its arguments
        return None
    return _bytes(result)


def _bytes(result: Any) -> int | None:
    if isinstance(result, list | tuple):
        parts = list(map(_bytes, result))
        return None if None in parts else sum(part or 0 for part in parts)
    if not isinstance(result, TensorType):
        return 0
    shape, dtype = result.shape, result.dtype
    if shape is None or dtype is None or not all(type(dim) is int for dim in shape):
        return None
    return math.prod(int(str(dim)) for dim in shape) * dtype.itemsize


def effort(operator: Operator, arguments: Sequence[Any]) -> int:
    """An upper bound for the bytes that an operator reads and makes, and for its multiplications."""
    if not _concerns_tensors(operator):
        return _effort_of_values(operator, arguments)
    arrays = list(_arrays(arguments))
    read = CALL + sum(array.size * array.itemsize for array in arrays)
    if any(isinstance(returned.type, ListType) for returned in operator.schema.returns):
        read += _OBJECT * max((extent for array in arrays for extent in array.shape), default=0)
    made = result_bytes(operator, arguments)
    if made is None:
        made = (read + 8) * (1 + _largest(arguments) + sum(map(_magnitude, arrays)))
    if isinstance(operator.lowering, Pointwise | Reduction | Layout) or _packs(operator):
        return read + made
    return read + made + _combinations(arguments) * max(_counts(operator, arguments), 1)


def is_modest(operator: Operator, arguments: Sequence[Any]) -> bool:
    """True for what may be computed while a program is compiled: a program can write down how to make a long text."""
    return effort(operator, arguments) <= _MODEST


@cache
def _packs(operator: Operator) -> bool:
    """True where tensors are put into an object of PyTorch's own as they are."""
    return any(str(returned.type).startswith(NATIVE_CLASSES) for returned in operator.schema.returns)


@cache
def _concerns_tensors(operator: Operator) -> bool:
    """True where tensors are read or made; what lists of anything are asked leaves what is in them alone."""
    return any(_is_tensor(value.type) for value in (*operator.schema.arguments, *operator.schema.returns))


def _is_tensor(type_: Type) -> bool:
    if isinstance(type_, OptionalType | ListType):
        return _is_tensor(type_.element)
    return isinstance(type_, TensorType)


def _effort_of_values(operator: Operator, arguments: Sequence[Any]) -> int:
    """Of text, lists and dictionaries: whatever is made has no more parts than all lengths multiplied."""
    if all(type(value) in _NUMBERS for value in arguments):
        return STEP
    if operator.schema.is_mutable:
        return STEP + sum(map(_length, arguments[1:]))
    lengths = [_length(value) for value in arguments]
    return STEP + math.prod(length + 1 for length in lengths) * (1 + _largest(arguments))


def _length(value: Any) -> int:
    if isinstance(value, str | dict):
        return len(value)
    if isinstance(value, list | tuple):
        return len(value) + sum(len(item) for item in value if isinstance(item, str))
    return 0


def _arrays(arguments: Sequence[Any]) -> Iterator[np.ndarray[Any, Any]]:
    for value in arguments:
        if isinstance(value, np.ndarray):
            yield value
        elif isinstance(value, list | tuple):
            yield from (item for item in value if isinstance(item, np.ndarray))


def _combinations(arguments: Sequence[Any]) -> int:
    """How often every element of one tensor can meet every element of the others. Text says how a list is combined."""
    by_text = any(isinstance(value, str) and "," in value for value in arguments)
    result = 1
    for value in arguments:
        sizes = [array.size for array in _arrays([value])]
        result *= max(1, math.prod(max(size, 1) for size in sizes) if by_text else sum(sizes))
    return result


def _counts(operator: Operator, arguments: Sequence[Any]) -> int:
    """The largest number that may say how often something is done."""
    numbers = [value for value, declared in zip(arguments, operator.schema.arguments) if _is_count(declared.type)]
    return _largest(numbers)


def _is_count(type_: Type) -> bool:
    return isinstance(type_.element if isinstance(type_, OptionalType) else type_, IntType)


def _largest(arguments: Sequence[Any]) -> int:
    sizes = [abs(value) for value in arguments if isinstance(value, int)]
    return max((size for size in sizes if size < _ENDLESS), default=0)


def _magnitude(array: np.ndarray[Any, Any]) -> int:
    """The sum of an array of integers: some operators make so many elements of it."""
    if array.dtype.kind not in "iu" or not array.size:
        return 0
    if array.size > _MOST_SUMMED:
        return _ENDLESS
    return int(np.abs(array.astype(np.float64)).sum())
