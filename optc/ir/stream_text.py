"""Values as a C++ stream prints them: by `print` inside a script, in formatted strings, tensors in the text of graphs.

     1.0000  2.0000
     3.0000  0.0010
    [ CPUFloatType{2,2} ]

Python's own printing of tensors looks different; see `optc.eager.printing`.
"""

from __future__ import annotations

import enum
import math
from typing import Any

import numpy as np

from optc.ir import dtypes

_LINE_WIDTH = 80


def printed(value: Any) -> str:
    """A run-time value as `print` inside a script shows it; tensors are arrays, also inside lists and the like."""
    if isinstance(value, enum.Enum):
        return f"Enum<{type(value).__name__}.{value.name}>"
    if isinstance(value, np.ndarray):
        return stream_text(value)
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        return _float_text(value)
    if isinstance(value, complex):
        imaginary = _float_text(value.imag)
        return f"{_float_text(value.real)}{'' if imaginary.startswith('-') else '+'}{imaginary}j"
    if isinstance(value, list):
        return f"[{', '.join(map(printed, value))}]"
    if isinstance(value, tuple):
        return f"({printed(value[0])},)" if len(value) == 1 else f"({', '.join(map(printed, value))})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{printed(key)}: {printed(item)}" for key, item in value.items()) + "}"
    return str(value)


def _float_text(value: float) -> str:
    if math.isfinite(value) and abs(value) < 2**63 and value == int(value):
        return f"{int(value)}."
    return f"{value:.17g}"


def stream_text(array: np.ndarray[Any, Any]) -> str:
    """The tensor's numbers, then its type and shape. Of complex numbers the real part is shown, as torch does."""
    dims = ",".join(map(str, array.shape))
    return f"{_Numbers(array).text()}[ CPU{dtypes.from_numpy(array.dtype).label}Type{{{dims}}} ]"


def numbers_in(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The numbers in an array of records, which is how arrays look whose elements numpy has no type for."""
    while array.dtype.names is not None and array.dtype.names[0] != "real":
        array = np.asarray(array[array.dtype.names[0]])
    if array.dtype.names is None:
        return array
    return np.asarray(array["real"] + 1j * array["imag"].astype(np.float32))


class _Numbers:
    """The columns of numbers: one width and one notation for the whole tensor."""

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self.array = np.real(numbers_in(array)).astype(np.float64)
        self.width, self.scientific, self.scale, self.integral = self._format()

    def _format(self) -> tuple[int, bool, float, bool]:
        finite = self.array[np.isfinite(self.array)]
        integral = bool(np.all(finite == np.floor(finite)))
        exponents = (
            [self._exponent(value) for value in (np.abs(finite).min(), np.abs(finite).max())] if finite.size else []
        )
        low, high = (exponents[0], exponents[1]) if exponents else (0, 0)
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
        if self.array.ndim == 0:
            return f"{float(self.array):.17g}\n"
        if self.array.size == 0:
            return ""
        if self.array.ndim == 1:
            scale = f"{self.scale:.15g} *\n" if self.scale != 1 else ""
            return scale + "".join(f"{self._number(value)}\n" for value in self.array)
        if self.array.ndim == 2:
            return self._matrix(self.array, "")
        places = [tuple(reversed(place)) for place in np.ndindex(*reversed(self.array.shape[:-2]))]
        return "\n".join(self._slice(place) for place in places)

    def _slice(self, place: tuple[int, ...]) -> str:
        numbers = "".join(f"{number + 1}," for number in place)
        return f"({numbers}.,.) = \n{self._matrix(self.array[place], ' ')}"

    def _matrix(self, matrix: np.ndarray[Any, Any], indent: str) -> str:
        columns = matrix.shape[1]
        per_line = min(max((_LINE_WIDTH - len(indent)) // (self.width + 1), 1), columns)
        blocks = []
        for first in range(0, columns, per_line):
            last = min(first + per_line, columns)
            head = f"Columns {first + 1} to {last}{indent}" if per_line != columns else ""
            if self.scale != 1:
                head += f"{self.scale:.15g} *\n{indent}"
            rows = (" ".join(map(self._number, row[first:last])) + "\n" for row in matrix)
            blocks.append(head + (indent + " " * (self.scale != 1)).join(rows))
        return "\n".join(blocks)

    def _number(self, value: float) -> str:
        if not math.isfinite(value):
            return f"{value:>{self.width}}"
        if self.scientific:
            return f"{value:{self.width}.4e}"
        if self.integral:
            return f"{value:{self.width}.0f}"
        return f"{value / self.scale:{self.width}.4f}"
