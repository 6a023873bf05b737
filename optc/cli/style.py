"""How the command's text looks: colours on a terminal, plain text in a pipe, tables, and notes while one waits."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from optc.dataclass import dataclass

BOLD, DIM, RED, GREEN, YELLOW, BLUE, CYAN = "1", "2", "31", "32", "33", "34", "36"

WAIT_SECONDS = 1.0
"""A note says what goes on when it takes longer than this."""

_KIND = re.compile(r"\b(?:aten|prim)::\w+(?:\.\w+)?")
_COMMENT = re.compile(r"\s(?:#|;) .*$")


@dataclass(frozen=True)
class Style:
    """Text with or without colours."""

    coloured: bool

    @staticmethod
    def of(stream: TextIO) -> Style:
        """Colours for a terminal, unless `NO_COLOR` is set or the terminal is dumb."""
        allowed = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        return Style(allowed and stream.isatty())

    def paint(self, text: str, *codes: str) -> str:
        """The text in a colour."""
        return f"\x1b[{';'.join(codes)}m{text}\x1b[0m" if self.coloured and text else text

    def heading(self, text: str) -> str:
        """A line that starts a section."""
        return self.paint(f"== {text}", BOLD, CYAN)

    def graph(self, text: str) -> str:
        """Graph text: operators stand out, source places step back."""
        return "\n".join(map(self._graph_line, text.splitlines())) if self.coloured else text

    def _graph_line(self, line: str) -> str:
        place = _COMMENT.search(line)
        code, comment = (line[: place.start()], place[0]) if place else (line, "")
        return _KIND.sub(lambda kind: self.paint(kind[0], BLUE), code) + self.paint(comment, DIM)

    def code(self, text: str) -> str:
        """LLVM or assembly text: comments step back."""
        if not self.coloured:
            return text
        return "\n".join(_COMMENT.sub(lambda note: self.paint(note[0], DIM), line) for line in text.splitlines())

    def diff(self, text: str) -> str:
        """A unified diff."""
        colours = {"+": GREEN, "-": RED, "@": CYAN}
        return "\n".join(
            self.paint(line, colours[line[0]]) if line[:1] in colours else line for line in text.splitlines()
        )


def table(header: Sequence[str], rows: Sequence[Sequence[str]], style: Style) -> str:
    """Columns as wide as they need; the first one to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows)]

    def line(cells: Sequence[str]) -> str:
        padded = [cell.ljust(width) if place == 0 else cell.rjust(width) for place, (cell, width) in
                  enumerate(zip(cells, widths))]  # fmt: skip
        return "  ".join(padded).rstrip()

    return "\n".join([style.paint(line(header), BOLD), *map(line, rows)])


def duration(seconds: float) -> str:
    """A time in the unit that suits it: 312 ns, 4.70 us, 12.3 ms, 1.20 s."""
    for factor, unit in ((1e9, "ns"), (1e6, "us"), (1e3, "ms")):
        scaled = seconds * factor
        if scaled < 999.5:
            return f"{scaled:.3g} {unit}" if scaled < 100 or unit != "ns" else f"{scaled:.0f} {unit}"
    return f"{seconds:.3g} s"


def factor(ratio: float) -> str:
    """A ratio with three digits: 1.05x, 70.6x, 1060x."""
    return f"{ratio:.0f}x" if ratio >= 99.95 else f"{ratio:.3g}x"


@contextmanager
def waiting(what: str, stream: TextIO | None = None) -> Iterator[None]:
    """Say on stderr what takes so long, once it has taken a second."""
    timer = threading.Timer(WAIT_SECONDS, lambda: print(f"optc: {what} ...", file=stream or sys.stderr, flush=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
