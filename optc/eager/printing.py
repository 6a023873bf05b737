"""The text of a tensor, as PyTorch prints it.

All numbers of a tensor share one format, chosen from those that will be shown: whole floats print as ``1.``, others
with `precision` decimals, and in scientific notation when magnitudes reach from below 1e-4, above 1e8, or over more than
three decades. Columns are as wide as the widest number. More than `threshold` elements are summarised to `edgeitems` at
either end of each dimension.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from optc.dataclass import dataclass

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class PrintOptions:
    """What `set_printoptions` sets."""

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


PROFILES: Final = {
    "default": PrintOptions(),
    "short": PrintOptions(precision=2, edgeitems=2),
    "full": PrintOptions(threshold=math.inf),
}

_options = PrintOptions()


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Change how tensors print from now on; what is not named stays, except `sci_mode`, which goes back to automatic.

    Args:
        precision: decimals of a float (4).
        threshold: number of elements above which a tensor is summarised (1000).
        edgeitems: elements shown at either end of a summarised dimension (3).
        linewidth: characters per line (80).
        profile: ``"default"``, ``"short"`` or ``"full"``; the other arguments override it.
        sci_mode: scientific notation always (True), never (False) or where the numbers ask for it (None).
    """
    global _options
    chosen = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    named: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
    _options = replace(PROFILES.get(profile or "", _options), sci_mode=sci_mode, **named)


def get_printoptions() -> dict[str, Any]:
    """The current options by name: what `set_printoptions` takes."""
    return asdict(_options)


@contextmanager
def printoptions(**options: Any) -> Iterator[None]:
    """`set_printoptions` for the body of a ``with``."""
    before = get_printoptions()
    set_printoptions(**options)
    try:
        yield
    finally:
        set_printoptions(**before)


Format = Callable[[Any], str]


@dataclass(frozen=True)
class _Column:
    """How each number of a tensor is written, and how wide."""

    width: int
    text: Format

    def padded(self, value: Any) -> str:
        return self.text(value).rjust(self.width)


def _column(shown: Array) -> _Column:
    """The format that fits the numbers `shown`: real floats, integers or booleans."""
    if shown.dtype.kind in "biu":
        return _Column(max((len(str(value)) for value in shown.ravel().tolist()), default=1), str)
    magnitudes = np.abs(shown.astype(np.float64).ravel())
    counted = magnitudes[np.isfinite(magnitudes) & (magnitudes != 0)]
    if counted.size == 0:
        return _Column(1, _whole)
    scientific = _options.sci_mode
    if scientific is None:
        smallest, largest = float(counted.min()), float(counted.max())
        scientific = largest / smallest > 1000.0 or largest > 1.0e8 or smallest < 1.0e-4
    whole = bool(np.all(counted == np.ceil(counted)))
    text = _scientific if scientific else _whole if whole else _decimal
    values = shown.astype(np.float64).ravel()
    return _Column(max(len(text(value)) for value in values[np.isfinite(values) & (values != 0)].tolist()), text)


def _whole(value: float) -> str:
    return f"{value:.0f}." if math.isfinite(value) else f"{value:.0f}"


def _decimal(value: float) -> str:
    return f"{value:.{_options.precision}f}"


def _scientific(value: float) -> str:
    return f"{value:.{_options.precision}e}"


def _cell_format(shown: Array) -> tuple[int, Format]:
    """The width of one cell and the function that writes it."""
    if shown.dtype.kind != "c":
        column = _column(shown)
        return column.width, column.padded
    real, imaginary = _column(shown.real), _column(shown.imag)

    def write(value: complex) -> str:
        second = imaginary.padded(value.imag).lstrip() + "j"
        return real.padded(value.real) + (second if second[0] in "+-" else "+" + second)

    return real.width + imaginary.width + 1, write


def _summarised(array: Array) -> Array:
    """The elements a summary shows: the first and last `edgeitems` of every long dimension."""
    edge = _options.edgeitems
    for axis, extent in enumerate(array.shape):
        if extent > 2 * edge:
            ahead = (slice(None),) * axis
            array = np.concatenate([array[(*ahead, slice(edge))], array[(*ahead, slice(extent - edge, None))]], axis)
    return array


class _Writer:
    """Writes nested brackets, one bracket per dimension."""

    def __init__(self, array: Array) -> None:
        self.summarise = array.size > _options.threshold
        self.width, self.write = _cell_format(_summarised(array) if self.summarise else array)

    def text(self, array: Array, indent: int) -> str:
        if array.ndim == 0:
            return self.write(array.item())
        if array.ndim == 1:
            return self._vector(array, indent)
        separator = "," + "\n" * (array.ndim - 1) + " " * (indent + 1)
        if not self._is_long(array):
            return "[" + separator.join(self.text(part, indent + 1) for part in array) + "]"
        edge = _options.edgeitems
        first = [self.text(part, indent + 1) for part in array[:edge]]
        last = [self.text(part, indent + 1) for part in array[len(array) - edge :]]
        return "[" + separator.join([*first, "...", *last]) + "]"

    def _is_long(self, array: Array) -> bool:
        return self.summarise and len(array) > 2 * _options.edgeitems

    def _vector(self, array: Array, indent: int) -> str:
        edge = _options.edgeitems
        if self.summarise and edge == 0:
            cells = ["..."]
        elif self._is_long(array):
            first = [self.write(value) for value in array[:edge].tolist()]
            cells = [*first, " ...", *(self.write(value) for value in array[len(array) - edge :].tolist())]
        else:
            cells = [self.write(value) for value in array.tolist()]
        per_line = max(1, (_options.linewidth - indent) // (self.width + 2))
        lines = [", ".join(cells[start : start + per_line]) for start in range(0, len(cells), per_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _with_suffixes(text: str, suffixes: list[str], indent: int) -> str:
    """The suffixes after the text, on new lines where the line would become too long."""
    parts = [text]
    length = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if length + len(suffix) + 2 > _options.linewidth:
            parts.append(",\n" + " " * indent + suffix)
            length = indent + len(suffix)
        else:
            parts.append(", " + suffix)
            length += len(suffix) + 2
    return "".join(parts) + ")"


def format_tensor(
    array: Array,
    *,
    dtype_name: str,
    default_dtype_name: str = "float32",
    requires_grad: bool = False,
    parameter: bool = False,
    type_name: str = "tensor",
    quantizer: Sequence[str] = (),
) -> str:
    """The text of a tensor of these elements.

    `dtype_name` is the dtype's name without ``torch.``; it is shown unless it is the default float or complex dtype,
    int64 or bool. `type_name` is what stands before the bracket; `parameter` puts ``Parameter containing:`` above;
    `quantizer` is what is said of the quantiser of a quantised tensor.
    """
    prefix = type_name + "("
    default_complex = "complex128" if default_dtype_name == "float64" else "complex64"
    suffixes = [f"size={array.shape}"] if quantizer and array.size else []
    if array.size == 0:
        contents = "[]"
        if array.ndim != 1:
            suffixes.append(f"size={array.shape}")
        if dtype_name != default_dtype_name:
            suffixes.append(f"dtype=torch.{dtype_name}")
    else:
        contents = _Writer(array).text(array, len(prefix))
        if _options.edgeitems == 0:
            suffixes.append(f"size={array.shape}")
        if dtype_name not in (default_dtype_name, default_complex, "int64", "bool"):
            suffixes.append(f"dtype=torch.{dtype_name}")
    suffixes += quantizer
    if requires_grad:
        suffixes.append("requires_grad=True")
    text = _with_suffixes(prefix + contents, suffixes, len(prefix))
    return "Parameter containing:\n" + text if parameter else text
