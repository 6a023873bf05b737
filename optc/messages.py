"""What programs tell the user while they run (`print`, `warnings.warn`), said once.

Native code that fails is followed by the interpreter, from the start, for the exact error. What the program has said
by then is not said again.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

_OWN_FILES = str(Path(__file__).parent) + os.sep


class _Messages(threading.local):
    said = 0
    """How many messages programs of this thread have shown."""
    repeated = 0
    """How many of the next ones have been shown before."""


_messages = _Messages()


def say(show: Callable[[], None]) -> None:
    """Call `show` unless an earlier run of the same program has said this already."""
    if _messages.repeated:
        _messages.repeated -= 1
        return
    show()
    _messages.said += 1


def said() -> int:
    """How many messages programs of this thread have shown so far."""
    return _messages.said


def callers_level() -> int:
    """The `stacklevel` with which a warning shows the line that called optc, however deep inside it is given."""
    frame: FrameType | None = sys._getframe(1)
    level = 1
    while frame is not None and frame.f_code.co_filename.startswith(_OWN_FILES):
        frame, level = frame.f_back, level + 1
    return level


@contextmanager
def repeating(count: int) -> Iterator[None]:
    """Inside, a program runs again that has shown its first `count` messages."""
    before, _messages.repeated = _messages.repeated, count
    try:
        yield
    finally:
        _messages.repeated = before
