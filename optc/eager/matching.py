"""Overload resolution: which schema the arguments of a call fit, and the values in the schema's order.

The rules are those of PyTorch's argument parser. Numbers fit Scalar; ints fit float; bools fit neither int nor the
other way round; a 0-d tensor without gradient fits where a number is expected (and stays a tensor, so that a trace
sees where the number came from); one int fits `int[2]`; trailing ints fit a lone `int[]`; None fits a list that is empty by default; dtypes, layouts, memory
formats and devices fit their codes and names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from optc.eager.base import TensorBase, is_number, is_number_like
from optc.eager.device import Device, Layout, MemoryFormat
from optc.eager.generator import Generator
from optc.ir import dtypes, types
from optc.ir.dtypes import DType
from optc.ir.schema import Argument
from optc.ir.types import IntType, ListType, OptionalType, TensorType, Type
from optc.ops.registry import Operator


class _Mismatch:
    def __repr__(self) -> str:
        return "MISMATCH"


MISMATCH: Final = _Mismatch()
"""What a converter returns for a value that does not fit."""

Converter = Callable[[Any], Any]

_PYTHON_NAMES: Final = {"input": "self", "axis": "dim", "keepdims": "keepdim", "x": "self", "x2": "other"}
"""What callers may write instead of a schema's own argument name."""


def _tensor(value: Any) -> Any:
    return value if isinstance(value, TensorBase) else MISMATCH


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _scalar(value: Any) -> Any:
    if is_number(value):
        return _plain(value)
    return value if is_number_like(value) else MISMATCH


def _int(value: Any) -> Any:
    if type(value) is int:
        return value
    if isinstance(value, bool | np.bool_):
        return MISMATCH
    if isinstance(value, int | np.integer):
        return int(value)
    if is_number_like(value) and value._array.dtype.kind in "iu":
        return value
    return MISMATCH


_PYTHON_TYPES: Final = {float: dtypes.FLOAT64, int: dtypes.INT64, bool: dtypes.BOOL, complex: dtypes.COMPLEX128}


def as_dtype(value: Any) -> Any:
    """The dtype that a Python number type stands for; any other value as it is."""
    return _PYTHON_TYPES.get(value, value) if isinstance(value, type) else value


def _code(value: Any) -> Any:
    """The code of a dtype, layout or memory format."""
    named = as_dtype(value)
    if isinstance(named, DType | Layout | MemoryFormat):
        return named.code
    return value if type(value) is int else MISMATCH


def _is_code(argument: Argument) -> bool:
    return argument.name.endswith("dtype") or argument.name in ("layout", "memory_format")


def _float(value: Any) -> Any:
    if isinstance(value, complex | np.complexfloating):
        return MISMATCH
    if is_number(value):
        return float(value)
    return value if is_number_like(value) and value._array.dtype.kind != "c" else MISMATCH


def _bool(value: Any) -> Any:
    return bool(value) if isinstance(value, bool | np.bool_) else MISMATCH


def _string(value: Any) -> Any:
    return value if isinstance(value, str) else MISMATCH


def _device(value: Any) -> Any:
    if isinstance(value, Device):
        return str(value)
    return str(Device(value)) if isinstance(value, str) else MISMATCH


def _generator(value: Any) -> Any:
    return value if isinstance(value, Generator) else MISMATCH


def _anything(value: Any) -> Any:
    return value


def _optional(convert: Converter) -> Converter:
    return lambda value: None if value is None else convert(value)


def _listed(convert: Converter, size: int | None) -> Converter:
    def convert_list(value: Any) -> Any:
        if isinstance(value, list | tuple):
            items = [convert(item) for item in value]
            return MISMATCH if MISMATCH in map(_identity_or_none, items) else items
        if size is None:
            return MISMATCH
        item = convert(value)
        return MISMATCH if item is MISMATCH else [item] * size

    return convert_list


def _identity_or_none(item: Any) -> Any:
    """MISMATCH or None: tensors compare element by element, which must not happen here."""
    return item if item is MISMATCH else None


def _no_tensor(convert: Converter) -> Converter:
    """Numbers only: a 0-d tensor does not fit."""
    return lambda value: MISMATCH if isinstance(value, TensorBase) else convert(value)


_SIMPLE: Final[dict[Type, Converter]] = {
    types.NUMBER: _scalar,
    types.FLOAT: _float,
    types.BOOL: _bool,
    types.STRING: _string,
    types.DEVICE: _device,
    types.GENERATOR: _generator,
}


def _argument_converter(argument: Argument, tensors_as_numbers: bool) -> Converter:
    if not _is_code(argument):
        convert = _converter(argument.type, tensors_as_numbers)
        is_list_of_none = isinstance(argument.type, ListType) and argument.has_default and argument.default == []
        return (lambda value: convert([] if value is None else value)) if is_list_of_none else convert
    return _optional(_code) if isinstance(argument.type, OptionalType) else _code


def _converter(type_: Type, tensors_as_numbers: bool) -> Converter:
    if isinstance(type_, TensorType):
        return _tensor
    if isinstance(type_, OptionalType):
        return _optional(_converter(type_.element, tensors_as_numbers))
    if isinstance(type_, ListType):
        return _listed(_converter(type_.element, tensors_as_numbers), type_.size)
    if isinstance(type_, IntType):
        return _int if tensors_as_numbers else _no_tensor(_int)
    if type_ in (types.NUMBER, types.FLOAT) and not tensors_as_numbers:
        return _no_tensor(_SIMPLE[type_])
    return _SIMPLE.get(type_, _anything)


class Signature:
    """The schema of one overload, prepared for matching."""

    __slots__ = ("arguments", "converters", "names", "number_converters", "operator", "positional")

    def __init__(self, operator: Operator) -> None:
        self.operator = operator
        self.arguments = operator.schema.arguments
        self.number_converters = [_argument_converter(argument, False) for argument in self.arguments]
        self.converters = [_argument_converter(argument, True) for argument in self.arguments]
        self.names = {argument.name: place for place, argument in enumerate(self.arguments)}
        self.positional = sum(not argument.keyword_only for argument in self.arguments)

    def match(
        self, arguments: Sequence[Any], keywords: dict[str, Any], is_method: bool, tensors_as_numbers: bool
    ) -> list[Any] | None:
        """The values in the schema's order, or None when they do not fit.

        `tensors_as_numbers` lets 0-d tensors stand for numbers: the overloads that take tensors are asked before.
        """
        converters = self.converters if tensors_as_numbers else self.number_converters
        given = self._collected(arguments, is_method)
        if len(given) > self.positional:
            return None
        values: list[Any] = []
        for convert, value in zip(converters, given):
            converted = convert(value)
            if converted is MISMATCH:
                return None
            values.append(converted)
        rest = self.arguments[len(values) :]
        if not keywords and all(argument.has_default for argument in rest):
            values.extend(argument.default for argument in rest)
            return values
        return self._with_keywords(values, keywords, converters)

    def _collected(self, arguments: Sequence[Any], is_method: bool) -> Sequence[Any]:
        """The positional arguments, with trailing ints gathered where the only parameter is a list of ints."""
        first = 1 if is_method else 0
        if self.positional != first + 1 or len(arguments) <= first or not self._takes_ints(first):
            return arguments
        if isinstance(arguments[first], list | tuple):
            return arguments
        return (*arguments[:first], list(arguments[first:]))

    def _takes_ints(self, place: int) -> bool:
        type_ = self.arguments[place].type
        if isinstance(type_, OptionalType):
            type_ = type_.element
        return isinstance(type_, ListType) and isinstance(type_.element, IntType)

    def _with_keywords(
        self, values: list[Any], keywords: dict[str, Any], converters: list[Converter]
    ) -> list[Any] | None:
        remaining = {self._schema_name(name): value for name, value in keywords.items()}
        for place in range(len(values), len(self.arguments)):
            argument = self.arguments[place]
            if argument.name not in remaining:
                if not argument.has_default:
                    return None
                values.append(argument.default)
                continue
            converted = converters[place](remaining.pop(argument.name))
            if converted is MISMATCH:
                return None
            values.append(converted)
        return None if remaining else values

    def _schema_name(self, name: str) -> str:
        return name if name in self.names else _PYTHON_NAMES.get(name, name)

    def takes(self, count: int) -> bool:
        """True when a call with so many arguments can be one of this overload."""
        needed = sum(not argument.has_default for argument in self.arguments)
        return needed <= count <= len(self.arguments)

    def complaint(self, name: str, arguments: Sequence[Any], keywords: dict[str, Any], is_method: bool) -> str:
        """Why the arguments do not fit, in PyTorch's words; `self` of a method is not counted."""
        shift = 1 if is_method else 0
        given = self._collected(arguments, is_method)
        if len(given) > self.positional:
            most = self.positional - shift
            plural = "argument" if most == 1 else "arguments"
            verb = "was" if len(given) - shift == 1 else "were"
            return f"{name}() takes {most} positional {plural} but {len(given) - shift} {verb} given"
        for place, value in enumerate(given):
            if self.converters[place](value) is MISMATCH:
                shown = f"argument '{self._shown_name(place)}' (position {place + 1 - shift})"
                wanted, got = type_text(self.arguments[place].type), value_text(arguments[place])
                if isinstance(value, list | tuple) and wanted == "tuple of Tensors":
                    wrong = next(item for item in range(len(value)) if not isinstance(value[item], TensorBase))
                    got = type(value[wrong]).__name__
                    return f"expected Tensor as element {wrong} in argument {place - shift}, but got {got}"
                return f"{name}(): {shown} must be {wanted}, not {got}"
        missing = []
        for place, argument in enumerate(self.arguments):
            value = next((keywords[key] for key in keywords if self._schema_name(key) == argument.name), MISMATCH)
            if value is MISMATCH:
                if place >= len(given) and not argument.has_default:
                    missing.append(f'"{self._shown_name(place)}"')
                continue
            if place < len(given):
                return f"{name}() got multiple values for argument '{argument.name}'"
            if self.converters[place](value) is MISMATCH:
                wanted = type_text(argument.type)
                return f"{name}(): argument '{self._shown_name(place)}' must be {wanted}, not {value_text(value)}"
        if missing:
            return f"{name}() missing {len(missing)} required positional arguments: {', '.join(missing)}"
        unknown = [key for key in keywords if self._schema_name(key) not in self.names]
        return f"{name}() got an unexpected keyword argument '{unknown[0]}'"

    def _shown_name(self, place: int) -> str:
        return "input" if self.arguments[place].name == "self" else self.arguments[place].name

    def text(self, is_method: bool) -> str:
        """The signature as PyTorch's messages show it."""
        shown: list[str] = []
        for place, argument in enumerate(self.arguments[1 if is_method else 0 :], 1 if is_method else 0):
            if argument.keyword_only and "*" not in shown:
                shown.append("*")
            default = f" = {argument.default}" if argument.has_default else ""
            kind = "torch.dtype" if argument.name == "dtype" else type_text(argument.type)
            shown.append(f"{kind} {self._shown_name(place)}{default}")
        return f"({', '.join(shown)})"


def type_text(type_: Type) -> str:
    """A parameter's type in PyTorch's messages."""
    if isinstance(type_, OptionalType):
        return type_text(type_.element)
    if isinstance(type_, ListType):
        return f"tuple of {type_text(type_.element)}s"
    if type_ is types.NUMBER:
        return "Number"
    return "Tensor" if isinstance(type_, TensorType) else str(type_)


def value_text(value: Any) -> str:
    """A value's type in PyTorch's messages."""
    if isinstance(value, tuple | list) and value:
        return f"{type(value).__name__} of ({', '.join(type(item).__name__ for item in value)})"
    kind: type = type(value)
    return (
        kind.__name__
        if kind.__module__.partition(".")[0] in ("builtins", "optc")
        else f"{kind.__module__}.{kind.__name__}"
    )


def combination_message(
    name: str, signatures: Sequence[Signature], arguments: Sequence[Any], keywords: dict[str, Any], is_method: bool
) -> str:
    """PyTorch's message for arguments that fit none of several overloads."""
    positional = ", ".join(type(value).__name__ for value in arguments[1 if is_method else 0 :])
    named = "".join(f"{key}={type(value).__name__}, " for key, value in keywords.items())
    got = f"{positional}, {named}" if positional and named else positional + named
    lines = "\n".join(f" * {signature.text(is_method)}" for signature in signatures)
    return f"{name}() received an invalid combination of arguments - got ({got}), but expected one of:\n{lines}\n"
