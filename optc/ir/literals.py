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
from optc.ir.types import EnumType, TensorType, Type

_SHOWN_ELEMENTS = 10
_LINE_WIDTH = 80
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
    flat = array.reshape(-1)
    if dtype.kind == "float":
        shown = [_shortest(item) for item in flat]
    elif dtype.kind == "complex":
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
        return "{" + _element_text(array.reshape(-1)[0]) + "}"
    if array.size > _SHOWN_ELEMENTS:
        return "<Tensor>"
    label = dtypes.from_numpy(array.dtype).label
    dims = ",".join(map(str, array.shape))
    return f"{_CppTensor(array).text()}[ CPU{label}Type{{{dims}}} ]".replace("\n", " ")


def _element_text(item: Any) -> str:
    if item.dtype.kind == "c":
        return f"({item.real:g},{item.imag:g})"
    if item.dtype.kind in "biu":
        return str(int(item))
    return f"{float(item):g}"


class _CppTensor:
    """The columns of numbers that C++ prints for a tensor, without the `[ CPUFloatType{2} ]` at the end."""

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self.array = np.real(array).astype(np.float64)
        self.width, self.scientific, self.scale, self.integral = self._format()

    def _format(self) -> tuple[int, bool, float, bool]:
        finite = self.array[np.isfinite(self.array)]
        integral = bool(np.all(finite == np.floor(finite)))
        exponents = [self._exponent(value) for value in np.abs(finite)]
        low, high = (min(exponents), max(exponents)) if exponents else (0, 0)
        if integral:
            return (11, True, 1.0, True) if high > 9 else (high + 1, False, 1.0, True)
        if high - low > 4:
            return 11 + (abs(high) > 99 or abs(low) > 99), True, 1.0, False
        if high > 5 or high < 0:
            return 7, False, 10.0 ** (high - 1), False
        return (7 if high == 0 else high + 6), False, 1.0, False

    @staticmethod
    def _exponent(value: float) -> int:
        return math.floor(math.log10(value)) + 1 if value else 1

    def text(self) -> str:
        if self.array.size == 0:
            return ""
        if self.array.ndim == 1:
            return self._scale_text("") + "".join(f"{self._number(value)}\n" for value in self.array)
        if self.array.ndim == 2:
            return self._matrix(self.array, "")
        return "\n".join(self._slice(place) for place in self._slices())

    def _slices(self) -> list[tuple[int, ...]]:
        """Places of the matrices, the first dimension running fastest."""
        counted = np.ndindex(*reversed(self.array.shape[:-2]))
        return [tuple(reversed(place)) for place in counted]

    def _slice(self, place: tuple[int, ...]) -> str:
        numbers = "".join(f"{number + 1}," for number in place)
        return f"({numbers}.,.) =\n" + " " + self._matrix(self.array[place], " ")

    def _scale_text(self, indent: str) -> str:
        return "" if self.scale == 1 else f"{self.scale:g} *\n{indent}"

    def _matrix(self, matrix: np.ndarray[Any, Any], indent: str) -> str:
        columns = matrix.shape[1]
        per_line = min(max((_LINE_WIDTH - len(indent)) // (self.width + 1), 1), columns)
        blocks = []
        for first in range(0, columns, per_line):
            last = min(first + per_line, columns)
            head = f"Columns {first + 1} to {last}\n{indent}" if per_line != columns else ""
            rows = (" ".join(map(self._number, row[first:last])) + "\n" for row in matrix)
            blocks.append(head + self._scale_text(indent) + indent.join(rows))
        return ("\n" + indent).join(blocks)

    def _number(self, value: float) -> str:
        if not math.isfinite(value):
            return f"{value:>{self.width}}"
        if self.scientific:
            return f"{value:{self.width}.4e}"
        if self.integral:
            return f"{value:{self.width}.0f}"
        return f"{value / self.scale:{self.width}.4f}"
