"""Constants in printed code: literals, and the table of those that have none."""

from __future__ import annotations

import enum
from typing import Any

import numpy as np

from optc.ir import types
from optc.ir.function import ClassType, ScriptObject
from optc.ir.literals import float_text, quoted
from optc.ir.schema import Argument
from optc.ir.types import DictType, EnumType, ListType, OptionalType, TupleType, Type, UnionType


class ConstantTable:
    """The values that code calls `CONSTANTS.c0`, `CONSTANTS.c1` ...: tensors, objects, strings that are not ASCII."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def place(self, value: Any) -> int:
        """The number of a constant; tensors with equal elements share one."""
        if isinstance(value, np.ndarray):
            for place, known in enumerate(self.values):
                if isinstance(known, np.ndarray) and _are_equal(known, value):
                    return place
        self.values.append(value)
        return len(self.values) - 1


def _are_equal(left: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> bool:
    return left.dtype == right.dtype and left.shape == right.shape and bool(np.array_equal(left, right))


def can_be_inferred(element: Type) -> bool:
    """True when the type of a container's elements follows from the elements that code writes into it."""
    if isinstance(element, OptionalType | UnionType) or element in (types.NUMBER, types.ANY):
        return False
    return not (isinstance(element, ClassType) and element.is_interface)


def constant_text(value: Any, type_: Type, constants: ConstantTable) -> str:
    """The code of a constant of a type; what cannot be written down goes into the table."""
    if isinstance(value, np.ndarray | ScriptObject) or _is_foreign(value):
        return f"CONSTANTS.c{constants.place(value)}"
    if isinstance(type_, OptionalType) and value is not None:
        type_ = type_.element
    if isinstance(value, enum.Enum):
        owner = type_.name if isinstance(type_, EnumType) else type(value).__name__
        return f"{owner}.{value.name}"
    if type_ is types.DEVICE and isinstance(value, str):
        return f"torch.device({quoted(value)})"
    if isinstance(value, list):
        return _list_text(value, type_, constants)
    if isinstance(value, dict):
        return _dict_text(value, type_, constants)
    if isinstance(value, tuple):
        return _tuple_text(value, type_, constants)
    return _plain_text(value)


def _is_foreign(value: Any) -> bool:
    """True for strings that are not ASCII and for containers of such."""
    if isinstance(value, str):
        return not value.isascii()
    if isinstance(value, dict):
        return any(map(_is_foreign, (*value.keys(), *value.values())))
    return isinstance(value, list | tuple) and any(map(_is_foreign, value))


def _plain_text(value: Any) -> str:
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, float):
        return float_text(value)
    if isinstance(value, complex):
        sign = "+" if value.imag >= 0 else "-"
        return f"{float_text(value.real)}{sign}{float_text(abs(value.imag))}j"
    return str(value)


def _list_text(value: list[Any], type_: Type, constants: ConstantTable) -> str:
    element = type_.element if isinstance(type_, ListType) else types.TENSOR
    text = f"[{', '.join(constant_text(item, element, constants) for item in value)}]"
    return text if value and can_be_inferred(element) else f"annotate({type_.annotation}, {text})"


def _dict_text(value: dict[Any, Any], type_: Type, constants: ConstantTable) -> str:
    key_type, item_type = (type_.key, type_.value) if isinstance(type_, DictType) else (types.STRING, types.TENSOR)
    pairs = (
        f"{constant_text(key, key_type, constants)}: {constant_text(item, item_type, constants)}"
        for key, item in value.items()
    )
    text = "{" + ", ".join(pairs) + "}"
    is_clear = bool(value) and can_be_inferred(key_type) and can_be_inferred(item_type)
    return text if is_clear else f"annotate({type_.annotation}, {text})"


def _tuple_text(value: tuple[Any, ...], type_: Type, constants: ConstantTable) -> str:
    elements = type_.elements if isinstance(type_, TupleType) else (types.ANY,) * len(value)
    items = [constant_text(item, element, constants) for item, element in zip(value, elements)]
    text = f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"
    return type_.annotation + text if isinstance(type_, TupleType) and type_.name is not None else text


def default_text(argument: Argument, constants: ConstantTable) -> str:
    """The default value of a parameter, as its declaration has it."""
    default = expanded_default(argument)
    return constant_text(getattr(default, "_array", default), argument.type, constants)


def expanded_default(argument: Argument) -> Any:
    """An argument's default; a number that stands for `int[2]` is written out."""
    default, type_ = argument.default, argument.type
    if isinstance(type_, OptionalType):
        type_ = type_.element
    if isinstance(type_, ListType) and type_.size is not None and isinstance(default, int | float):
        return [default] * type_.size
    return default
