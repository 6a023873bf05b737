"""Every environment variable optc reads: name, type, default and one line of documentation.

A variable is read when it is needed, never at import, so a test or a session can set it at any time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from optc.dataclass import dataclass
from optc.errors import SettingError

T = TypeVar("T")


@dataclass(frozen=True)
class Variable(Generic[T]):
    """One environment variable; calling it gives its present value, the default when it is unset or empty.

    Raises SettingError for a value that means nothing.
    """

    name: str
    parse: Callable[[str], T]
    default: T
    documentation: str

    def __call__(self) -> T:
        text = os.environ.get(self.name, "").strip()
        if not text:
            return self.default
        try:
            return self.parse(text)
        except ValueError as error:
            raise self.refused(error) from error

    def refused(self, reason: object) -> SettingError:
        """What to raise for the present value."""
        return SettingError(f"{self.name}={os.environ.get(self.name, '').strip()!r} is not valid: {reason}")


def _switch(text: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if text.lower() not in known:
        raise ValueError("use 1 or 0")
    return known[text.lower()]


def _count(text: str) -> int:
    if not text.isdigit():
        raise ValueError("a number is needed")
    return int(text)


def _level(text: str) -> int:
    if text not in ("0", "1", "2"):
        raise ValueError("use 0, 1 or 2")
    return int(text)


def _limit(text: str) -> tuple[str, int]:
    name, separator, number = text.rpartition("=")
    if not number.isdigit() or (separator and not name):
        raise ValueError("use a number of pass runs, such as 12, or a pass and a number, such as canonicalize=3")
    return name, int(number)


PRINT = Variable("OPTC_PRINT", str, "", "print the graph after passes: all, changed, or names separated by commas")
DUMP = Variable("OPTC_DUMP", str, "", "folder that receives the graph after every pass that changed it")
PASSES = Variable("OPTC_PASSES", str, "", "pipeline that replaces the default one")
PASS_LIMIT: Variable[tuple[str, int] | None] = Variable(
    "OPTC_PASS_LIMIT", _limit, None, "stop after so many pass runs (12) or rewrites of one pass (canonicalize=3)"
)
VERIFY = Variable(
    "OPTC_VERIFY", _level, 0, "0: trust passes, 1: verify after each, 2: also check what they say changed"
)
COMPARE = Variable("OPTC_COMPARE", _switch, False, "run the interpreter on the same inputs after every pass")
TIME = Variable("OPTC_TIME", _switch, False, "print the time every pass took")
WHY = Variable("OPTC_WHY", str, "", "name of a rule: print why it did not apply where it nearly did")
CACHE = Variable("OPTC_CACHE", _switch, True, "keep compiled objects on disk")
CACHE_DIR = Variable("OPTC_CACHE_DIR", str, "", "folder of compiled objects (default: the user's cache folder)")
NUM_THREADS = Variable("OPTC_NUM_THREADS", _count, 0, "threads per call (0: the cores this process may use)")
UNPACK_RATIO = Variable(
    "OPTC_UNPACK_RATIO", _count, 64, "an archive may unpack to this many times its size (and to 64 MB in any case)"
)
RESTORE_EFFORT = Variable(
    "OPTC_RESTORE_EFFORT",
    _count,
    256,
    "megabytes that the code of an archive may go through while it is loaded (and 8 times its size in any case)",
)
DEBUG = Variable("OPTC_DEBUG", _switch, False, "let the command show tracebacks instead of one line")


def watches_passes() -> bool:
    """True when the environment asks for something that only happens while passes run."""
    return any(bool(variable()) for variable in (PRINT, DUMP, VERIFY, COMPARE, TIME, WHY)) or PASS_LIMIT() is not None


def variables() -> Iterator[Variable[object]]:
    """All variables, in the order in which they are declared."""
    for value in globals().values():
        if isinstance(value, Variable):
            yield value
