"""TorchScript's strings are bytes: what their operators do where Python's text would do something else.

A string is Python text at run time. Text that is not ASCII is worked on as the bytes of its UTF-8 encoding, and bytes
that are no whole characters stand in text as Python's `surrogateescape` writes them, so that what is put together again
is the text it was. Only Python cannot have such pieces: `optc.jit` refuses them as PyTorch does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

LINE_ENDS = b"\n\r\x0b\x0c\x1c\x1d\x1e\x80\x85\xa8\xa9\xe2"
"""Where PyTorch cuts lines: at each of these bytes, which are also those of Unicode's own line ends."""

_SEPARATORS = re.compile(rb"[ \t" + re.escape(LINE_ENDS) + rb"]+")


def bytes_of(text: str) -> bytes:
    """The bytes of a string."""
    return text.encode("utf-8", "surrogateescape")


def text_of(data: bytes) -> str:
    """The string of some bytes."""
    return data.decode("utf-8", "surrogateescape")


def on_bytes(compute: Callable[..., Any]) -> Callable[..., Any]:
    """A function on bytes as one on strings: arguments are encoded, results decoded, in lists and tuples too."""

    @wraps(compute)
    def computed(*arguments: Any) -> Any:
        return _decoded(compute(*map(_encoded, arguments)))

    return computed


def joined(text: str) -> str:
    """Text that was put together, with the characters that its pieces are the bytes of."""
    return text if text.isascii() else text_of(bytes_of(text))


def _encoded(value: Any) -> Any:
    if isinstance(value, str):
        return bytes_of(value)
    return list(map(_encoded, value)) if isinstance(value, list) else value


def _decoded(value: Any) -> Any:
    if isinstance(value, bytes):
        return text_of(value)
    return type(value)(map(_decoded, value)) if isinstance(value, list | tuple) else value


def characters(data: bytes) -> list[bytes]:
    """A string for every byte."""
    return [bytes((number,)) for number in data]


def split_lines(data: bytes, keeps_ends: bool) -> list[bytes]:
    """The lines; their ends are strings of their own where they are kept."""
    found: list[bytes] = []
    start = 0
    for place, number in enumerate(data):
        if number in LINE_ENDS:
            found.append(data[start:place])
            found.extend([data[place : place + 1]] * keeps_ends)
            start = place + 1
    return found + [data[start:]] * (start < len(data))


def split(data: bytes, separator: bytes | None, most: int) -> list[bytes]:
    """The pieces between separators, between runs of white space where there are none. Raises RuntimeError for ''."""
    if separator == b"":
        raise RuntimeError("ValueError: empty separator")
    if separator is not None:
        return data.split(separator, most)
    start = _SEPARATORS.match(data)
    data = data[start.end() if start else 0 :]
    found: list[bytes] = []
    while data and (most <= 0 or len(found) < most):
        gap = _SEPARATORS.search(data)
        found.append(data[: gap.start()] if gap else data)
        data = data[gap.end() :] if gap else b""
    return found + [data] * bool(data)


def expand_tabs(data: bytes, size: int) -> bytes:
    """Blanks up to the next multiple of `size` for tabs; the end of a line is a character like others."""
    found = bytearray()
    for number in data:
        if number != 9:
            found.append(number)
        elif size > 0:
            found += b" " * (size - len(found) % size)
    return bytes(found)


def is_identifier(data: bytes) -> bool:
    """PyTorch's rule: letters and digits, no digit first."""
    return data[:1].isalpha() and data.isalnum()


def is_printable(data: bytes) -> bool:
    """True where all bytes are printable ASCII."""
    return all(32 <= number < 127 for number in data)


def character(number: int) -> bytes:
    """The string of one byte, the last of the number. Raises RuntimeError for what is no Unicode character."""
    if not 0 <= number < 0x110000:
        raise RuntimeError(f"chr() arg not in range(0x110000), found {number}")
    return bytes((number & 255,))


def ordinal(data: bytes) -> int:
    """The number of the only byte. Raises RuntimeError for strings of more or none."""
    if len(data) != 1:
        raise RuntimeError(f"String for ord() must be 1 character, found {len(data)}")
    return data[0]
