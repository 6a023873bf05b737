"""Every exception optc raises on purpose, and the source ranges they point at.

A message says what is wrong, where (the user's file and line, or the entry of an archive) and why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from functools import lru_cache
from itertools import accumulate

from optc.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class SourceRange:
    """A place in a user's source: file, 1-based line, 0-based column, and the text to quote.

    `text` is the whole source the line numbers of which start at `first_line`; it may be empty when unknown.
    `end_line`/`end_column` close the range (exclusive column); 0 means "not known". For code that was generated from
    a user's source, `origin` finds the place there.
    """

    filename: str
    line: int
    column: int
    text: str = ""
    first_line: int = 1
    function: str = ""
    end_line: int = 0
    end_column: int = 0
    origin: Callable[[], SourceRange | None] | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        place = self.original() or self
        return f"{place.filename}:{place.line}:{place.column}"

    def original(self) -> SourceRange | None:
        """The place in the user's source that generated this one, None when it is not known or not generated."""
        return None if self.origin is None else self.origin()

    def extent(self) -> tuple[int, int]:
        """Where the place begins and ends in the bytes of `text`; (0, 0) when the text does not have it."""
        starts = _line_starts(self.text)
        row, last = self.line - self.first_line, (self.end_line or self.line) - self.first_line
        if not 0 <= row <= last < len(starts) - 1:
            return 0, 0
        start = min(starts[row] + self.column, starts[row + 1] - 1)
        end = min(starts[last] + self.end_column, starts[last + 1] - 1) if self.end_column else starts[row + 1] - 1
        return start, max(start, end)

    def excerpt(self, context: int = 3, message: str = "") -> str:
        """The quoted line with some lines around it and tildes under the range, as PyTorch prints it."""
        lines = self.text.splitlines()
        index = self.line - self.first_line
        if not 0 <= index < len(lines):
            return f"  {self}"
        first = max(0, index - context)
        head = f'  File "{self.filename}", line {self.line}' + (f", in {self.function}" if self.function else "")
        shown = [head, *lines[first : index + 1]]
        width = self.end_column - self.column if self.end_line in (0, self.line) and self.end_column else 0
        stop = max(width, 1) if width else max(len(lines[index].rstrip()) - self.column, 1)
        shown.append(" " * self.column + "~" * stop + " <--- HERE" + (f" {message}" if message else ""))
        shown.extend(lines[index + 1 : index + 1 + context])
        return "\n".join(shown)


@lru_cache(maxsize=8)
def _line_starts(text: str) -> tuple[int, ...]:
    """The byte at which each line begins, and where one more would. Many places are asked for in the same text."""
    return tuple(accumulate((len(line) + 1 for line in text.encode().split(b"\n")), initial=0))


class OptcError(RuntimeError):
    """Base of optc's own errors. A RuntimeError, because that is what PyTorch raises in the same places."""

    def __init__(self, message: str, source: SourceRange | None = None) -> None:
        self.message = message
        self.source = source
        super().__init__(f"{message}:\n{source.excerpt()}" if source is not None else message)


class ScriptError(OptcError):
    """Source code that TorchScript does not accept; quotes the user's line."""


class UnsupportedNodeError(ScriptError):
    """A Python construct that the script language does not have."""


class ExecutionError(OptcError):
    """A program failed while it ran (in the interpreter or in native code); `torch.jit.Error` in PyTorch."""


class VerifyError(OptcError):
    """A graph or kernel breaks an invariant: a bug in whatever produced it."""


class ParseError(OptcError):
    """Text that is not valid IR, a valid schema or a valid type."""


class ArchiveError(OptcError):
    """An archive that is damaged, hostile or of a kind optc does not read: names file, entry and reason."""


class InvalidIR(OptcError):
    """LLVM refused the code optc generated: a bug in optc, caught before LLVM could abort the process."""


class UnsupportedError(OptcError):
    """A capability that optc does not have; the message names it."""


class SettingError(OptcError, ValueError):
    """An environment variable of optc's that has a value which means nothing."""


class OptcWarning(UserWarning):
    """Something worth knowing that does not stop the work, such as a part that runs in the interpreter."""


class TracerWarning(Warning):
    """Tracing met something it cannot record, such as a Python branch on the data of a tensor."""
