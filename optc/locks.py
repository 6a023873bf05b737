"""Locks that a forked child finds open.

A fork copies locks as they are, but not the threads that hold them. What such a thread was doing under a lock of this
kind may be half done: it protects things that a reader can find in that state, such as lists that are added to last.
"""

from __future__ import annotations

import os
import threading
import weakref
from types import TracebackType

_live: weakref.WeakSet[ForkLock] = weakref.WeakSet()


class ForkLock:
    """A re-entrant lock, for `with`. In a child it is free, also if another thread of the parent held it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._entered = [self._lock][:0]
        _live.add(self)

    def __enter__(self) -> None:
        lock = self._lock
        lock.acquire()
        self._entered.append(lock)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The one that was entered: a child may leave a block that its parent entered.
        self._entered.pop().release()


def _open_all() -> None:
    for lock in list(_live):
        lock._lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_open_all)
