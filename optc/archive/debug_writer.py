"""Writes `.debug_pkl` entries: the user's own file and line for every place in the code of an archive.

The format is the one with a table of strings (see `optc.archive.debug_information`): each text is a list of lines in
the table, offsets are bytes of the code and of the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optc.archive.pickle_writer import PickleWriter
from optc.errors import SourceRange
from optc.ir.types import INT, STRING, ListType, TupleType, Type
from optc.jit.code_sources import Place

_SOURCE = TupleType((ListType(INT), INT, INT))
_RECORD = TupleType((INT, TupleType((_SOURCE, INT, INT)), INT))


def debug_information(places: Sequence[Place]) -> bytes | None:
    """The entry for the places of one code file; None when nothing is known of any."""
    if all(place.source is None for place in places):
        return None
    table = _Table()
    records = tuple((place.offset, table.range(place.source), number) for number, place in enumerate(places))
    strings = tuple(table.numbers)
    type_ = TupleType((STRING, TupleType((STRING,) * len(strings)), TupleType((_RECORD,) * len(records))))
    return _DebugWriter(lambda stored: "").finish(("FORMAT_WITH_STRING_TABLE", strings, records), type_)


class _Table:
    """Strings by number, and the sources that are made of them, each kept once."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {"": 0}
        self._sources: dict[tuple[str, str, int], tuple[list[int], int, int]] = {}

    def range(self, source: SourceRange | None) -> tuple[Any, int, int]:
        """(source, start, end) as records have it."""
        shown = source if source is None or source.origin is None else source.original()
        if shown is None:
            return self._source("", "", 0), 0, 0
        start, end = shown.extent()
        return self._source(shown.text, shown.filename, shown.first_line), start, end

    def _source(self, text: str, filename: str, first_line: int) -> tuple[list[int], int, int]:
        key = (text, filename, first_line)
        found = self._sources.get(key)
        if found is None:
            lines = [self._number(line) for line in _lines(text)] if text else []
            found = self._sources[key] = (lines, self._number(filename), first_line)
        return found

    def _number(self, text: str) -> int:
        return self.numbers.setdefault(text, len(self.numbers))


def _lines(text: str) -> list[str]:
    """The lines with their ends; together they are the text."""
    *lines, last = text.split("\n")
    return [f"{line}\n" for line in lines] + [last]


class _DebugWriter(PickleWriter):
    """Writes a source once, however many records refer to it."""

    def _tuple(self, value: tuple[Any, ...], type_: Type) -> None:
        if type_ is _SOURCE:
            self._shared(value, lambda: super(_DebugWriter, self)._tuple(value, type_))
        else:
            super()._tuple(value, type_)
