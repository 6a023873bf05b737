"""TorchScript's operators on strings, formatting included."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from typing import Any

from optc.ir.stream_text import printed
from optc.ops.python_values import array_in, declare_host

_STRINGS = "it works on strings"


def _character(text: str, index: int) -> str:
    if not -len(text) <= index < len(text):
        raise RuntimeError(f"basic_string::at: __n (which is {index % 2**64}) >= this->size() (which is {len(text)})")
    return text[index]


def _end(text: str, end: int) -> int | None:
    """TorchScript's default end of -1 stands for the end of the string."""
    return None if end == -1 else end


def _find(text: str, part: str, start: int, end: int) -> int:
    return text.find(part, start, _end(text, end))


def _find_or_raise(text: str, part: str, start: int, end: int) -> int:
    place = _find(text, part, start, end)
    if place < 0:
        raise RuntimeError("ValueError: substring not found")
    return place


def _find_last(text: str, part: str, start: int, end: int) -> int:
    return text.rfind(part, start, _end(text, end))


def _find_last_or_raise(text: str, part: str, start: int, end: int) -> int:
    place = _find_last(text, part, start, end)
    if place < 0:
        raise RuntimeError("ValueError: substring not found")
    return place


def _single_character(width: int, fill: str) -> str:
    if len(fill) != 1:
        raise RuntimeError("TypeError: The fill character must be exactly one character long")
    return fill


def format_text(template: str, *values: Any) -> str:
    """`template.format(*values)` as TorchScript has it: only `{}` means something, everything else is itself."""
    parts = template.split("{}")
    if len(parts) - 1 > len(values):
        raise RuntimeError(f"Too few arguments for format string: {template}")
    filled = [part + printed(array_in(value)) for part, value in zip(parts, values)]
    return "".join(filled[: len(parts) - 1]) + parts[-1]


def _percent_format(template: str, *values: Any) -> str:
    """`template % values` with the conversions %s %d %i %f and %%. Raises RuntimeError as torch does."""
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
    return "".join(pieces) + template[place:]


def _percent_piece(kind: str, value: Any) -> str:
    if kind in ("d", "i"):
        if isinstance(value, str | bool) or not isinstance(value, int | float):
            raise RuntimeError(f"%{kind} requires a number for formatting, but got {type(value).__name__}")
        return str(int(value))
    if kind == "f":
        if not isinstance(value, int | float):
            raise RuntimeError(f"%{kind} requires a number for formatting, but got {type(value).__name__}")
        return f"{value:f}"
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


def _ordinal(text: str) -> int:
    if len(text) != 1:
        raise RuntimeError(f"String for ord() must be 1 character, found {len(text)}")
    return ord(text)


def _lines(text: str, keep_ends: bool) -> list[str]:
    """As PyTorch divides: after every character that ends a line, and ends that are kept are texts of their own."""
    parts = re.split(r"([\n\r\v\f\x1c-\x1e])", text)
    if not parts[-1]:
        parts.pop()
    return parts if keep_ends else parts[::2]


def _split(text: str, separator: str | None, maximum: int) -> list[str]:
    if separator == "":
        raise RuntimeError("ValueError: empty separator")
    return text.split(separator, maximum)


_SPACE = '" \\n\\t\\f\\v"'
_TEXT_OPERATORS: tuple[tuple[str, Callable[..., Any]], ...] = (
    ("aten::add.str(str a, str b) -> str", lambda a, b: a + b),
    ("aten::eq.str(str a, str b) -> bool", lambda a, b: a == b),
    ("aten::ne.str(str a, str b) -> bool", lambda a, b: a != b),
    ("aten::lt.str(str a, str b) -> bool", lambda a, b: a < b),
    ("aten::le.str(str a, str b) -> bool", lambda a, b: a <= b),
    ("aten::gt.str(str a, str b) -> bool", lambda a, b: a > b),
    ("aten::ge.str(str a, str b) -> bool", lambda a, b: a >= b),
    ("aten::slice.str(str string, int? start=None, int? end=None, int step=1) -> str", lambda s, a, b, c: s[a:b:c]),
    ("aten::list(str t) -> str[]", list),
    ("aten::Int.str(str a) -> int", _parse_int),
    ("aten::Float.str(str a) -> float", _parse_float),
    ("aten::ord(str string) -> int", _ordinal),
    ("aten::chr(int i) -> str", chr),
    ("aten::bin(int i) -> str", bin),
    ("aten::hex(int i) -> str", hex),
    ("aten::oct(int i) -> str", oct),
    ("aten::upper(str self) -> str", str.upper),
    ("aten::lower(str self) -> str", str.lower),
    ("aten::capitalize(str self) -> str", str.capitalize),
    ("aten::title(str self) -> str", str.title),
    ("aten::swapcase(str self) -> str", str.swapcase),
    ("aten::isalnum(str self) -> bool", str.isalnum),
    ("aten::isalpha(str self) -> bool", str.isalpha),
    ("aten::isdecimal(str self) -> bool", str.isdecimal),
    ("aten::isdigit(str self) -> bool", str.isdigit),
    ("aten::isidentifier(str self) -> bool", str.isidentifier),
    ("aten::islower(str self) -> bool", str.islower),
    ("aten::isnumeric(str self) -> bool", str.isnumeric),
    ("aten::isprintable(str self) -> bool", str.isprintable),
    ("aten::isspace(str self) -> bool", str.isspace),
    ("aten::istitle(str self) -> bool", str.istitle),
    ("aten::isupper(str self) -> bool", str.isupper),
    ("aten::join(str self, str[] values) -> str", str.join),
    ("aten::replace(str self, str old, str new, int max=-1) -> str", str.replace),
    ("aten::split.str(str self, str? separator=None, int max=-1) -> str[]", _split),
    ('aten::rsplit(str self, str separator=" ", int max=-1) -> str[]', str.rsplit),
    ("aten::splitlines(str self, bool keepends=False) -> str[]", _lines),
    ("aten::partition(str self, str separator) -> (str, str, str)", str.partition),
    ("aten::rpartition(str self, str separator) -> (str, str, str)", str.rpartition),
    (f"aten::strip(str self, str chars={_SPACE}) -> str", str.strip),
    (f"aten::lstrip(str self, str chars={_SPACE}) -> str", str.lstrip),
    (f"aten::rstrip(str self, str chars={_SPACE}) -> str", str.rstrip),
    ("aten::startswith(str self, str substr, int start=0, int end=-1) -> bool",
     lambda s, part, start, end: s.startswith(part, start, _end(s, end))),
    ("aten::endswith(str self, str substr, int start=0, int end=-1) -> bool",
     lambda s, part, start, end: s.endswith(part, start, _end(s, end))),
    ("aten::find(str self, str substr, int start=0, int end=-1) -> int", _find),
    ("aten::rfind(str self, str substr, int start=0, int end=-1) -> int", _find_last),
    ("aten::index.str(str self, str substr, int start=0, int end=-1) -> int", _find_or_raise),
    ("aten::rindex(str self, str substr, int start=0, int end=-1) -> int", _find_last_or_raise),
    ("aten::count(str self, str substr, int start=0, int end=-1) -> int",
     lambda s, part, start, end: s.count(part, start, _end(s, end))),
    ("aten::zfill(str self, int width) -> str", lambda s, width: s.rjust(width, "0")),
    ("aten::expandtabs(str self, int tabsize=8) -> str", str.expandtabs),
    ('aten::center(str self, int width, str fillchar=" ") -> str',
     lambda s, width, fill: s.center(width, _single_character(width, fill))),
    ('aten::ljust(str self, int width, str fillchar=" ") -> str',
     lambda s, width, fill: s.ljust(width, _single_character(width, fill))),
    ('aten::rjust(str self, int width, str fillchar=" ") -> str',
     lambda s, width, fill: s.rjust(width, _single_character(width, fill))),
)  # fmt: skip
for _schema, _text in _TEXT_OPERATORS:
    declare_host(_schema, _text, _STRINGS)
declare_host("aten::len.str(str s) -> int", lambda text: len(text.encode()), _STRINGS)
declare_host("aten::__getitem__.str(str s, int index) -> str", _character, _STRINGS, may_fail=True)
declare_host("prim::StringIndex(str string, int index) -> str", _character, _STRINGS, may_fail=True)
declare_host("aten::format(str self, ...) -> str", format_text, _STRINGS)
declare_host("aten::percentFormat(str self, ...) -> str", _percent_format, _STRINGS, may_fail=True)
