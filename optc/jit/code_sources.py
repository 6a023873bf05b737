"""Where the pieces of printed code come from: marks in the text while it grows, and a list of places when it is done.

Marks are control characters. Code has none of its own but line ends: strings are printed with escapes.
"""

from __future__ import annotations

import re

from optc.dataclass import dataclass
from optc.errors import SourceRange

_BEGIN, _NUMBERED, _END = "\x01", "\x02", "\x03"
_MARK = re.compile(f"{_BEGIN}([0-9]+){_NUMBERED}|({_END})")


@dataclass(frozen=True)
class Place:
    """From this byte of the code on, up to the next place, `source` is what it was made of; None: nobody's."""

    offset: int
    source: SourceRange | None


class SourceMarks:
    """The sources of marked text, by the numbers that the marks have."""

    def __init__(self) -> None:
        self._sources: list[SourceRange] = []

    def around(self, text: str, source: SourceRange | None) -> str:
        """The text, marked as coming from a source; what is marked already inside of it stays so."""
        if source is None:
            return text
        self._sources.append(source)
        return f"{_BEGIN}{len(self._sources) - 1}{_NUMBERED}{text}{_END}"

    def resolve(self, text: str) -> tuple[str, list[Place]]:
        """The text without marks, and its places in order, the first at byte 0."""
        parts: list[str] = []
        open_sources: list[SourceRange | None] = [None]
        places = {0: Place(0, None)}
        offset = position = 0
        for mark in _MARK.finditer(text):
            part = text[position : mark.start()]
            position = mark.end()
            parts.append(part)
            offset += len(part.encode())
            if mark[1] is None:
                open_sources.pop()
            else:
                open_sources.append(self._sources[int(mark[1])])
            places[offset] = Place(offset, open_sources[-1])
        parts.append(text[position:])
        return "".join(parts), list(places.values())


def visible_length(text: str) -> int:
    """How many columns the text takes without its marks."""
    return len(_MARK.sub("", text)) if _BEGIN in text else len(text)
