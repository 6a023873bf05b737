"""Where an archive's code came from: the user's own file and line for every place in it, as `.debug_pkl` entries say.

Two formats exist (torch/csrc/jit/serialization/source_range_serialization.cpp documents both): a list of
(offset, (text, filename, line), start, end), and one with a table of strings where text is a list of line numbers in
the table. Both are optional, and a damaged one is as good as none: it only makes messages poorer.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from functools import cached_property
from typing import Any

from optc.archive.pickle_reader import Callee, PickleError, PickleReader
from optc.errors import ArchiveError, SourceRange
from optc.jit.trace_frames import TraceRange

_WITH_TABLE = "FORMAT_WITH_STRING_TABLE"

_MOST_TEXT = 64 << 20
"""Characters of source that are put together: lines are numbers in a table, and any may occur as often as they like."""


class DebugInformation:
    """The records of one code file, read when they are first asked for. `read` gives the entry's bytes."""

    def __init__(self, text: str, read: Callable[[], bytes | memoryview]) -> None:
        self._text = text
        self._read = read
        self._sources: dict[int, tuple[str, bytes, str, int]] = {}
        self._room = _MOST_TEXT

    def original(self, line: int, column: int) -> SourceRange | None:
        """The place in the user's source behind a place (1-based line, column in bytes) in the code; None if unknown."""
        offset = self._line_starts[line - 1] + column if line <= len(self._line_starts) else -1
        place = bisect_right(self._offsets, offset) - 1
        return self._range(self._records[place]) if place >= 0 else None

    @cached_property
    def _line_starts(self) -> list[int]:
        starts = [0]
        for line in self._text.encode().split(b"\n"):
            starts.append(starts[-1] + len(line) + 1)
        return starts

    @cached_property
    def _offsets(self) -> list[int]:
        return [record[0] for record in self._records]

    @cached_property
    def _records(self) -> list[tuple[int, Any, int, int]]:
        """(offset, source, start, end), in order; sources as they are stored."""
        self._table: tuple[Any, ...] | None = None
        try:
            found = PickleReader(self._read(), _NoGlobals()).read()
        except (PickleError, RecursionError, ArchiveError):
            return []
        if isinstance(found, tuple) and len(found) == 3 and found[0] == _WITH_TABLE and isinstance(found[1], tuple):
            self._table, found = found[1], found[2]
        if not isinstance(found, tuple | list):
            return []
        return sorted((record for record in map(_record, found) if record is not None), key=lambda record: record[0])

    def _range(self, record: tuple[int, Any, int, int]) -> SourceRange | None:
        _, source, start, end = record
        found = self._sources.get(id(source))
        if found is None:
            try:
                found = self._source(source)
            except (TypeError, ValueError, IndexError):
                return None
            self._sources[id(source)] = found  # records are kept, and with them this source
        text, data, filename, first_line = found
        if not filename or not 0 <= start <= end <= len(data):
            return None
        if (start, end) == (0, len(data)):
            return TraceRange(filename, first_line, 0, text, first_line)
        column = start - (data.rfind(b"\n", 0, start) + 1)
        line = first_line + data.count(b"\n", 0, start)
        end_column = end - (data.rfind(b"\n", 0, end) + 1)
        end_line = first_line + data.count(b"\n", 0, end)
        return SourceRange(filename, line, column, text, first_line, "", end_line, end_column)

    def _source(self, source: Any) -> tuple[str, bytes, str, int]:
        """Text, the text's bytes, file and first line. Raises TypeError, ValueError, IndexError for what is none."""
        text, filename, first_line = source
        if self._table is not None:
            text = self._joined(self._table, text)
            filename = self._table[filename] if type(filename) is int else filename
        if not isinstance(text, str) or not isinstance(filename, str | None) or type(first_line) is not int:
            raise TypeError("a record is no source range")
        filename = filename or ""
        filename.encode()  # what cannot be written down is no name
        return text, text.encode(), filename, first_line

    def _joined(self, table: tuple[Any, ...], numbers: Any) -> str:
        """The lines of these numbers. Raises ValueError when they and those before are too many."""
        lines = []
        for number in numbers:
            lines.append(table[number])
            self._room -= len(lines[-1]) + 1
            if self._room < 0:
                raise ValueError("the sources are too long")
        return "".join(lines)


def _record(item: Any) -> tuple[int, Any, int, int] | None:
    """(offset, (source, start, end), tag) or (offset, source, start, end), checked; None for anything else."""
    if not isinstance(item, tuple) or len(item) < 2 or type(item[0]) is not int:
        return None
    rest = item[1] if isinstance(item[1], tuple) and len(item) <= 3 else item[1:]
    if not isinstance(rest, tuple) or len(rest) < 3 or type(rest[1]) is not int or type(rest[2]) is not int:
        return None
    return item[0], rest[0], rest[1], rest[2]


class _NoGlobals:
    """The only name in these pickles is the one of typed lists."""

    def find(self, module: str, name: str) -> Any:
        if (module, name) in (("torch.jit._pickle", "build_intlist"), ("torch.jit._pickle", "restore_type_tag")):
            return Callee(name, lambda value, *_: value)
        raise PickleError(f"{module}.{name} is not allowed here")

    def persistent(self, identity: Any) -> Any:
        raise PickleError("there are no tensors here")

    def create(self, class_: Any, arguments: tuple[Any, ...]) -> Any:
        raise PickleError("there are no objects here")

    def set_state(self, target: Any, state: Any) -> Any:
        raise PickleError("there are no objects here")
