"""Attribute values as graph text writes them: numbers, strings, lists, tensors.

Tensors print in torch's three ways: `{5}` for one element, the numbers as C++ prints them for up to ten, `<Tensor>` for
more. None of these holds a tensor exactly; `exact` text writes `tensor([1.0, 2.0], Float(2))` instead, which does.
"""

from __future__ import annotations

import enum
import math
from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.stream_text import numbers_in, stream_text
from optc.ir.types import EnumType, TensorType, Type

_SHOWN_ELEMENTS = 10
_ESCAPES = {
    "\\": "\\\\", "'": "\\'", '"': '\\"', "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r",
    "\t": "\\t", "\v": "\\v",
}  # fmt: skip


class Elided:
    """A constant that some text names without showing it, such as `<Tensor>`; it prints as that text again."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Elided) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


def quoted(text: str) -> str:
    """The string as torch quotes it: C escapes, and three octal digits for each byte that is not printable ASCII.

    torch counts the digits of a negative `signed char`, so bytes above 127 come out as odd characters; so do ours.
    """
    shown = []
    for character in text:
        if character in _ESCAPES:
            shown.append(_ESCAPES[character])
        elif " " <= character <= "~":
            shown.append(character)
        else:
            shown.extend(_octal(byte) for byte in character.encode("utf-8", "surrogateescape"))
    return '"' + "".join(shown) + '"'


def _octal(byte: int) -> str:
    sign, magnitude = (1, byte) if byte < 128 else (-1, 256 - byte)
    digits = (magnitude // 64, magnitude // 8 % 8, magnitude % 8)
    return "\\" + "".join(chr(ord("0") + sign * digit) for digit in digits)


def float_text(value: float) -> str:
    """A float as torch writes it: `1.`, `-0.`, `0.10000000000000001`, `1e+22`, `inf`."""
    if math.isfinite(value) and abs(value) < 1e10 and value == int(value):
        return "-0." if value == 0 and math.copysign(1, value) < 0 else f"{int(value)}."
    return f"{value:.17g}"


def complex_text(value: complex) -> str:
    """A complex number as torch writes it: `0.+1.j`."""
    imaginary = float_text(value.imag)
    return float_text(value.real) + ("" if imaginary.startswith("-") else "+") + imaginary + "j"


def attribute_text(value: Any, type_: Type | None = None, exact: bool = False) -> str:
    """The text of a node's attribute; `type_` is the type of the constant it defines."""
    if isinstance(value, bool):
        return str(int(value))
    return value_text(value, type_, exact)


def value_text(value: Any, type_: Type | None = None, exact: bool = False) -> str:
    """The text of a value inside an attribute."""
    if isinstance(value, enum.Enum):
        owner = type_.name if isinstance(type_, EnumType) else type(value).__name__
        return f"{owner}.{value.name}"
    if isinstance(value, float):
        return float_text(value)
    if isinstance(value, complex):
        return complex_text(value)
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, np.ndarray):
        return exact_tensor_text(value) if exact else tensor_text(value)
    if isinstance(value, list | tuple | dict):
        return _container_text(value, type_, exact)
    return str(value)


def _container_text(value: list[Any] | tuple[Any, ...] | dict[Any, Any], type_: Type | None, exact: bool) -> str:
    if isinstance(value, dict):
        pairs = (f"{value_text(key, None, exact)}: {value_text(item, None, exact)}" for key, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list) and any(isinstance(item, np.ndarray) for item in value) and not exact:
        return "[<Tensors>]"
    types = getattr(type_, "elements", None) or [getattr(type_, "element", None)] * len(value)
    items = [value_text(item, item_type, exact) for item, item_type in zip(value, types)]
    if isinstance(value, list):
        return f"[{', '.join(items)}]"
    return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"


def exact_tensor_text(array: np.ndarray[Any, Any]) -> str:
    """`tensor([1.0, 2.0, 3.0, 4.0], Float(2, 2))`: all elements in order, then dtype and shape."""
    dtype = dtypes.from_numpy(array.dtype)
    flat = numbers_in(array).reshape(-1)
    if dtype.kind == "float":
        shown = [_shortest(item) for item in flat]
    elif dtype.is_complex:
        shown = [complex_text(complex(item)) for item in flat]
    else:
        shown = [str(item) for item in flat.tolist()]
    return f"tensor([{', '.join(shown)}], {TensorType(dtype, tuple(array.shape))})"


def _shortest(item: Any) -> str:
    """The fewest digits that read back as the same number in its own precision."""
    return repr(float(item)) if item.dtype.itemsize == 8 else str(item)


def tensor_text(array: np.ndarray[Any, Any]) -> str:
    """A tensor as torch's graphs show it."""
    if array.size == 1:
        return "{" + _element_text(numbers_in(array).reshape(-1)[0]) + "}"
    if array.size > _SHOWN_ELEMENTS:
        return "<Tensor>"
    return stream_text(array).replace("\n", " ")


def _element_text(item: Any) -> str:
    if item.dtype.kind == "c":
        return f"({item.real:g},{item.imag:g})"
    if item.dtype.kind in "biu":
        return str(int(item))
    return f"{float(item):g}"
