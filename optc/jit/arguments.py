"""Binds the Python arguments of a call to the schema of a compiled function, with PyTorch's messages when they do not fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any

import numpy as np

from optc.eager.device import Device, Layout, MemoryFormat
from optc.eager.generator import Generator
from optc.eager.tensor import Tensor
from optc.ir.dtypes import DType
from optc.ir.function import ClassType, ScriptObject
from optc.ir.schema import Argument, FunctionSchema
from optc.ir.structure import make_tuple
from optc.ir.types import (
    ANY,
    ANY_LIST,
    ANY_TUPLE,
    BOOL,
    COMPLEX,
    DEVICE,
    FLOAT,
    GENERATOR,
    NONE,
    NUMBER,
    STREAM,
    STRING,
    DictType,
    EnumType,
    IntType,
    ListType,
    OptionalType,
    TensorType,
    TupleType,
    Type,
    UnionType,
)
from optc.jit.annotations import SCRIPT_CLASSES, Annotations, CannotInfer, infer_type
from optc.jit.frontend.enumerations import member_like
from optc.jit.frontend.type_rules import subtype


class WrongType(Exception):
    """A Python value that is not of the declared type; the message is the detail PyTorch gives."""


def bind_arguments(
    schema: FunctionSchema, arguments: Sequence[Any], keywords: Mapping[str, Any], receiver: ScriptObject | None = None
) -> list[Any]:
    """The values of all parameters in order, `receiver` first for methods, defaults filled in.

    Lists and dictionaries are copied, as PyTorch does at this border. Raises RuntimeError for missing, superfluous and
    unknown arguments and for values of the wrong type.
    """
    given = [receiver, *arguments] if receiver is not None else list(arguments)
    declared = schema.arguments
    if len(given) > len(declared):
        raise RuntimeError(
            f"{schema.name}() expected at most {len(declared)} argument(s) but received "
            f"{len(given) + len(keywords)} argument(s). Declaration: {schema}"
        )
    if len(given) + len(keywords) > len(declared):
        _refuse_unknown(schema, keywords)
        raise RuntimeError(
            f"{schema.name}() expected at most {len(declared)} argument(s) but received "
            f"{len(given) + len(keywords)} argument(s). Declaration: {schema}"
        )
    for argument in declared[: len(given)]:
        if argument.name in keywords:
            raise RuntimeError(
                f"Argument '{argument.name}' specified both as positional and keyword argument. Schema: {schema}"
            )
    bound = [_converted(schema, argument, value, place) for place, (argument, value) in enumerate(zip(declared, given))]
    for place, argument in enumerate(declared[len(given) :], len(given)):
        if argument.name in keywords:
            bound.append(_converted(schema, argument, keywords[argument.name], place))
        elif argument.has_default:
            bound.append(_copied_default(argument.default))
        else:
            raise RuntimeError(
                f"{schema.name}() is missing value for argument '{argument.name}'. Declaration: {schema}"
            )
    _refuse_unknown(schema, keywords)
    return bound


def _copied_default(default: Any) -> Any:
    return list(default) if isinstance(default, list) else default


def _refuse_unknown(schema: FunctionSchema, keywords: Mapping[str, Any]) -> None:
    for name in keywords:
        if name not in schema.positions:
            raise RuntimeError(f"Unknown keyword argument '{name}' for operator '{schema.name}'. Schema: {schema}")


def _converted(schema: FunctionSchema, argument: Argument, value: Any, place: int) -> Any:
    try:
        return convert(value, argument.type)
    except WrongType as detail:
        raise RuntimeError(
            f"{schema.name}() Expected a value of type '{argument.type.annotation}' for argument '{argument.name}' but "
            f"instead found type '{type(value).__name__}'.\nPosition: {place}\nValue: {value!r}\n"
            f"Declaration: {schema}\nCast error details: {detail}"
        ) from None


def convert(value: Any, type_: Type) -> Any:
    """The run-time form of a Python value of a declared type. Raises WrongType."""
    if isinstance(type_, TensorType):
        if not isinstance(value, Tensor):
            raise WrongType(f"Unable to cast {value!r} to Tensor")
        return value
    if isinstance(type_, OptionalType):
        return None if value is None else convert(value, type_.element)
    if isinstance(type_, IntType):
        return _integer(value)
    if isinstance(type_, ListType | TupleType | DictType):
        return _container(value, type_)
    if isinstance(type_, ClassType):
        return _object(value, type_)
    if isinstance(type_, UnionType):
        return _member_of(value, type_)
    if isinstance(type_, EnumType):
        return _member(value, type_)
    converter = _SIMPLE.get(type_)
    return converter(value) if converter is not None else value


def _refuse(value: Any) -> Any:
    raise WrongType(
        f"Unable to cast Python instance of type {type(value)} to C++ type '?' "
        "(#define PYBIND11_DETAILED_ERROR_MESSAGES or compile in debug mode for details)"
    )


def _integer(value: Any) -> int:
    if isinstance(value, int | np.integer) and -(2**63) <= value < 2**63:
        return int(value)
    if isinstance(value, DType | Layout | MemoryFormat):
        return value.code
    if isinstance(value, Tensor) and value._array.size == 1 and value._array.dtype.kind in "biu":
        return int(value)
    result: int = _refuse(value)
    return result


def _float(value: Any) -> Any:
    if isinstance(value, int | float | np.number) and not isinstance(value, np.complexfloating):
        return float(value)
    return float(value) if isinstance(value, Tensor) and value._array.size == 1 else _refuse(value)


def _number(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Tensor) and value._array.size == 1:
        return value.item()
    return value if isinstance(value, int | float | complex) else _refuse(value)


def _none(value: Any) -> None:
    if value is not None:
        _refuse(value)


def _device(value: Any) -> Any:
    return str(Device(value)) if isinstance(value, str | Device) else _refuse(value)


def _only(*kinds: type) -> Callable[[Any], Any]:
    return lambda value: value if isinstance(value, kinds) else _refuse(value)


def _bool(value: Any) -> Any:
    return bool(value) if isinstance(value, bool | np.bool_) else _refuse(value)


def _anything(value: Any) -> Any:
    """A value of type Any keeps its own type; objects are taken out of their wrappers."""
    if isinstance(value, DType | Layout | MemoryFormat):
        return value.code
    if isinstance(value, Device):
        return str(value)
    return script_object_of(value) or value


_SIMPLE: dict[Type, Callable[[Any], Any]] = {
    FLOAT: _float,
    BOOL: _bool,
    STRING: _only(str),
    COMPLEX: lambda value: complex(value) if isinstance(value, int | float | complex) else _refuse(value),
    NONE: _none,
    NUMBER: _number,
    DEVICE: _device,
    GENERATOR: _only(Generator),
    STREAM: _only(),  # nobody has one: they belong to other devices
    ANY_LIST: _only(list, tuple),
    ANY_TUPLE: _only(tuple),
    ANY: _anything,
}


def _container(value: Any, type_: ListType | TupleType | DictType) -> Any:
    if isinstance(type_, ListType):
        if not isinstance(value, list | tuple):
            _refuse(value)
        return [convert(item, type_.element) for item in value]
    if isinstance(type_, DictType):
        if not isinstance(value, dict):
            _refuse(value)
        return {convert(key, type_.key): convert(item, type_.value) for key, item in value.items()}
    return _tuple(value, type_)


def _tuple(value: Any, type_: TupleType) -> tuple[Any, ...]:
    """Whatever can be iterated is taken for a tuple, as in PyTorch."""
    try:
        given = tuple(value)
    except TypeError:
        raise WrongType(f"Object {value!r} is not a tuple") from None
    if len(given) != len(type_.elements):
        raise WrongType(f"Object {value!r} had a different number of elements than type {type_.annotation}")
    return make_tuple([convert(item, element) for item, element in zip(given, type_.elements)], type_)


def _member(value: Any, type_: EnumType) -> Enum:
    """The member of an enumeration: classes are not compared, as in PyTorch, but names and values."""
    found = member_like(value, type_) if isinstance(value, Enum) else _refuse(value)
    if found is None:
        raise WrongType(f"{value!r} is no member of {type_.name}")
    return found


def script_object_of(value: Any) -> ScriptObject | None:
    """The object inside a wrapper (a script module, an instance of a script class), None for other values."""
    if isinstance(value, ScriptObject):
        return value
    found = getattr(value, "_c", None) if not isinstance(value, Tensor) else None
    return found if isinstance(found, ScriptObject) else None


def _object(value: Any, type_: ClassType) -> ScriptObject:
    found = script_object_of(value)
    if found is None and not type_.is_interface and not type_.is_module:
        return _object_like(value, type_)
    if found is None:
        raise WrongType(f"Object {value!r} is not an instance of {type_.name}")
    if found.type is not type_ and not (type_.is_interface and set(type_.methods) <= set(found.type.methods)):
        raise WrongType(f"Object of type {found.type.name} is not an instance of {type_.name}")
    return found


def _object_like(value: Any, type_: ClassType) -> ScriptObject:
    """A new object that holds what an object of any class in Python holds, as PyTorch makes it."""
    lacking = [name for name in type_.attributes if not hasattr(value, name)]
    if lacking:
        raise WrongType(f"Object {value!r} has no attribute {lacking[0]}")
    held = {name: convert(getattr(value, name), each.type) for name, each in type_.attributes.items()}
    return ScriptObject(type_, held)


def _member_of(value: Any, type_: UnionType) -> Any:
    """The value as the type that it has: nothing is converted for a union."""
    try:
        inferred = infer_type(value, _COMPILED)
    except CannotInfer:
        return _first_that_fits(value, type_)
    if not subtype(inferred, type_):
        raise WrongType(f"Expected a member of {type_.annotation} but instead found type {inferred.annotation}")
    return convert(value, inferred)


def _first_that_fits(value: Any, type_: UnionType) -> Any:
    """A value that does not say what it is, such as an empty list."""
    for member in type_.members:
        try:
            return convert(value, member)
        except WrongType:
            continue
    return _refuse(value)


_COMPILED = Annotations(SCRIPT_CLASSES.get)
"""Knows the classes that have been compiled."""
