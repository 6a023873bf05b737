"""TorchScript's operators on strings, formatting included."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from typing import Any

from optc.ir.stream_text import printed
from optc.ops import byte_strings
from optc.ops.byte_strings import bytes_of, joined, on_bytes, text_of
from optc.ops.python_values import array_in, declare_host

_STRINGS = "it works on strings"


def _character(data: bytes, index: int) -> bytes:
    if not -len(data) <= index < len(data):
        raise RuntimeError(f"basic_string::at: __n (which is {index % 2**64}) >= this->size() (which is {len(data)})")
    return data[index : index + 1 or None]


def _bounds(data: bytes, start: int, end: int) -> tuple[int, int]:
    """Bounds of a part of a string: a negative end counts from behind the last byte, so that -1 is that place."""
    size = len(data)
    return max(0, size + start) if start < 0 else start, max(0, size + 1 + end) if end < 0 else end


def _part(data: bytes, start: int, end: int) -> bytes:
    """What PyTorch looks at: the rest of the string where the end comes before the start."""
    start, end = _bounds(data, start, end)
    if start > len(data):
        raise RuntimeError(f"basic_string::substr: __pos (which is {start}) > this->size() (which is {len(data)})")
    return data[start:] if end < start else data[start:end]


def _search(find: Callable[[bytes, bytes], int], data: bytes, part: bytes, start: int, end: int) -> int:
    """Where a part begins; nothing is found at `start`, also where the end does not come behind it."""
    first, last = _bounds(data, start, end)
    place = find(_part(data, start, end) if last > first else b"", part)
    return place if place < 0 else first + place


def _find(data: bytes, part: bytes, start: int, end: int) -> int:
    return _search(bytes.find, data, part, start, end)


def _find_last(data: bytes, part: bytes, start: int, end: int) -> int:
    return _search(bytes.rfind, data, part, start, end)


def _found(place: int) -> int:
    if place < 0:
        raise RuntimeError("ValueError: substring not found")
    return place


def _count(data: bytes, part: bytes, start: int, end: int) -> int:
    """Occurrences that begin in that part of the string, wherever they end."""
    first, last = _bounds(data, start, end)
    return data.count(part, first, min(last, len(data)) + len(part) - 1)


def _single_character(width: int, fill: bytes) -> bytes:
    if len(fill) != 1:
        raise RuntimeError("TypeError: The fill character must be exactly one character long")
    return fill


def format_text(template: str, *values: Any) -> str:
    """`template.format(*values)` as TorchScript has it: only `{}` means something, everything else is itself."""
    parts = template.split("{}")
    if len(parts) - 1 > len(values):
        raise RuntimeError(f"Too few arguments for format string: {template}")
    filled = [part + printed(array_in(value)) for part, value in zip(parts, values)]
    return joined("".join(filled[: len(parts) - 1]) + parts[-1])


_KINDS = {str: "String", bool: "Bool", int: "Int", float: "Double", complex: "ComplexDouble", tuple: "Tuple",
          list: "GenericList", dict: "GenericDict", type(None): "None"}  # fmt: skip


def _kind(value: Any) -> str:
    """What PyTorch calls the kind of a run-time value."""
    return _KINDS.get(type(value), "Tensor")


def _percent_format(template: str, *values: Any) -> str:
    """`template % values` with the conversions %s %c %d %i %f %F %e %E and %%. Raises RuntimeError as torch does."""
    given = values[0] if len(values) == 1 and isinstance(values[0], tuple) else values
    pieces: list[str] = []
    place = used = 0
    while (mark := template.find("%", place)) >= 0:
        pieces.append(template[place:mark])
        if mark + 1 >= len(template):
            raise RuntimeError("Incomplete format specifier")
        kind = template[mark + 1]
        place = mark + 2
        if kind == "%":
            pieces.append("%")
            continue
        if used >= len(given):
            raise RuntimeError("Too few arguments for format string")
        pieces.append(_percent_piece(kind, given[used]))
        used += 1
    if used < len(given):
        raise RuntimeError("Too many arguments for format string")
    return joined("".join(pieces) + template[place:])


def _as_int32(value: float) -> int:
    """What a processor makes of a number that C++ casts to int: beyond its range, the smallest one."""
    return int(value) if -(2**31) - 1 < value < 2**31 else -(2**31)


def _percent_piece(kind: str, value: Any) -> str:
    if kind in ("d", "i"):
        if isinstance(value, str | bool) or not isinstance(value, int | float):
            raise RuntimeError(f"%{kind} requires a number for formatting, but got {_kind(value)}")
        return str(_as_int32(value) if isinstance(value, float) else value)
    if kind in "fFeE":
        if not isinstance(value, int | float):
            raise RuntimeError(f"%{kind} requires a number for formatting, but got {_kind(value)}")
        return f"{value:{'f' if kind == 'F' else kind}}"  # only exponents know capitals
    if kind == "c":
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise RuntimeError(f"%c requires an int or char for formatting, but got {_kind(value)}")
        return value if isinstance(value, str) else text_of(bytes((value & 255,)))
    if kind != "s":
        raise RuntimeError(f"The specifier %{kind} is not supported in TorchScript format strings")
    return printed(array_in(value))


_SPACES = " \t\n\v\f\r"
_INTEGER = re.compile(rf"[{_SPACES}]*([+-]?[0-9]+)", re.ASCII)
_FLOAT = re.compile(
    rf"[{_SPACES}]*([+-]?(?:0x(?:[0-9a-f]+\.?[0-9a-f]*|\.[0-9a-f]+)(?:p[+-]?[0-9]+)?"
    r"|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|infinity|inf|nan(?:\([a-z0-9_]*\))?))",
    re.ASCII | re.IGNORECASE,
)
"""What C++'s stoll and stod read at the start of a text."""


def _parse_int(text: str) -> int:
    found = _INTEGER.match(text)
    if found is None or not -(2**63) <= int(found[1]) < 2**63:
        raise RuntimeError("stoll")
    if found.end() < len(text):
        raise RuntimeError(f"invalid literal for int() with base 10: '{text}'")
    return int(found[1])


def _parse_float(text: str) -> float:
    found = _FLOAT.match(text)
    value = None if found is None else _float_of(found[1].lower().partition("(")[0])
    if found is None or value is None:
        raise RuntimeError("stod")
    if found.end() < len(text):
        raise RuntimeError(f"could not convert string to float: '{text}'")
    return value


def _float_of(text: str) -> float | None:
    """The value of a literal; None for one that float64 cannot hold as a normal number."""
    try:
        value = float.fromhex(text) if "x" in text else float(text)
    except OverflowError:
        return None
    digits = text.lstrip("+-0x").partition("p" if "x" in text else "e")[0]
    is_too_large = math.isinf(value) and "inf" not in text
    is_too_small = abs(value) < sys.float_info.min and any(digit not in "0." for digit in digits)
    return None if is_too_large or is_too_small else value


def _center(data: bytes, width: int, fill: bytes) -> bytes:
    return data.center(width, _single_character(width, fill))


_SPACE = '" \\n\\t\\f\\v"'
_ON_BYTES: tuple[tuple[str, Callable[..., Any]], ...] = (
    ("aten::lt.str(str a, str b) -> bool", lambda a, b: a < b),
    ("aten::le.str(str a, str b) -> bool", lambda a, b: a <= b),
    ("aten::gt.str(str a, str b) -> bool", lambda a, b: a > b),
    ("aten::ge.str(str a, str b) -> bool", lambda a, b: a >= b),
    ("aten::slice.str(str string, int? start=None, int? end=None, int step=1) -> str", lambda s, a, b, c: s[a:b:c]),
    ("aten::list(str t) -> str[]", byte_strings.characters),
    ("aten::ord(str string) -> int", byte_strings.ordinal),
    ("aten::chr(int i) -> str", byte_strings.character),
    ("aten::upper(str self) -> str", bytes.upper),
    ("aten::lower(str self) -> str", bytes.lower),
    ("aten::capitalize(str self) -> str", bytes.capitalize),
    ("aten::title(str self) -> str", bytes.title),
    ("aten::swapcase(str self) -> str", bytes.swapcase),
    ("aten::isalnum(str self) -> bool", bytes.isalnum),
    ("aten::isalpha(str self) -> bool", bytes.isalpha),
    ("aten::isdecimal(str self) -> bool", bytes.isdigit),
    ("aten::isdigit(str self) -> bool", bytes.isdigit),
    ("aten::isidentifier(str self) -> bool", byte_strings.is_identifier),
    ("aten::islower(str self) -> bool", bytes.islower),
    ("aten::isnumeric(str self) -> bool", bytes.isdigit),
    ("aten::isprintable(str self) -> bool", byte_strings.is_printable),
    ("aten::isspace(str self) -> bool", bytes.isspace),
    ("aten::istitle(str self) -> bool", bytes.istitle),
    ("aten::isupper(str self) -> bool", bytes.isupper),
    ("aten::join(str self, str[] values) -> str", bytes.join),
    ("aten::replace(str self, str old, str new, int max=-1) -> str", bytes.replace),
    ("aten::split.str(str self, str? separator=None, int max=-1) -> str[]", byte_strings.split),
    ('aten::rsplit(str self, str separator=" ", int max=-1) -> str[]', bytes.rsplit),
    ("aten::splitlines(str self, bool keepends=False) -> str[]", byte_strings.split_lines),
    ("aten::partition(str self, str separator) -> (str, str, str)", bytes.partition),
    ("aten::rpartition(str self, str separator) -> (str, str, str)", bytes.rpartition),
    (f"aten::strip(str self, str chars={_SPACE}) -> str", bytes.strip),
    (f"aten::lstrip(str self, str chars={_SPACE}) -> str", bytes.lstrip),
    (f"aten::rstrip(str self, str chars={_SPACE}) -> str", bytes.rstrip),
    ("aten::startswith(str self, str substr, int start=0, int end=-1) -> bool",
     lambda s, part, start, end: _part(s, start, end).startswith(part)),
    ("aten::endswith(str self, str substr, int start=0, int end=-1) -> bool",
     lambda s, part, start, end: _part(s, start, end).endswith(part)),
    ("aten::find(str self, str substr, int start=0, int end=-1) -> int", _find),
    ("aten::rfind(str self, str substr, int start=0, int end=-1) -> int", _find_last),
    ("aten::index.str(str self, str substr, int start=0, int end=-1) -> int", lambda *arguments: _found(_find(*arguments))),
    ("aten::rindex(str self, str substr, int start=0, int end=-1) -> int", lambda *arguments: _found(_find_last(*arguments))),
    ("aten::count(str self, str substr, int start=0, int end=-1) -> int",
     _count),
    ("aten::zfill(str self, int width) -> str", lambda s, width: s.rjust(width, b"0")),
    ("aten::expandtabs(str self, int tabsize=8) -> str", byte_strings.expand_tabs),
    ('aten::center(str self, int width, str fillchar=" ") -> str', _center),
    ('aten::ljust(str self, int width, str fillchar=" ") -> str',
     lambda s, width, fill: s.ljust(width, _single_character(width, fill))),
    ('aten::rjust(str self, int width, str fillchar=" ") -> str',
     lambda s, width, fill: s.rjust(width, _single_character(width, fill))),
)  # fmt: skip
_ON_TEXT: tuple[tuple[str, Callable[..., Any]], ...] = (
    ("aten::add.str(str a, str b) -> str", lambda a, b: joined(a + b)),
    ("aten::eq.str(str a, str b) -> bool", lambda a, b: a == b),
    ("aten::ne.str(str a, str b) -> bool", lambda a, b: a != b),
    ("aten::Int.str(str a) -> int", _parse_int),
    ("aten::Float.str(str a) -> float", _parse_float),
    ("aten::bin(int i) -> str", bin),
    ("aten::hex(int i) -> str", hex),
    ("aten::oct(int i) -> str", oct),
    ("aten::len.str(str s) -> int", lambda text: len(bytes_of(text))),
)
for _schema, _text in _ON_TEXT:
    declare_host(_schema, _text, _STRINGS)
for _schema, _bytewise in _ON_BYTES:
    declare_host(_schema, on_bytes(_bytewise), _STRINGS)
declare_host("aten::__getitem__.str(str s, int index) -> str", on_bytes(_character), _STRINGS, may_fail=True)
declare_host("prim::StringIndex(str string, int index) -> str", on_bytes(_character), _STRINGS, may_fail=True)
declare_host("aten::format(str self, ...) -> str", format_text, _STRINGS)
declare_host("aten::percentFormat(str self, ...) -> str", _percent_format, _STRINGS, may_fail=True)
