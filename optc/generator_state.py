"""What a generator of random numbers holds, in memory that Python and native code share: neither has a copy.

The words of the Mersenne twister stay where numpy keeps them (624 words of 32 bits, and the place of the next one); a
`GeneratorState` says where that is, and has what PyTorch's generator holds besides. Its lock, a mutex of the C library, is
taken for every draw, of a whole tensor at a time, by whoever draws: threads that use one generator at once get different
numbers, tensor by tensor in an order that nobody promises, as in PyTorch.
"""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from functools import cache
from types import TracebackType
from typing import Any, Final

TWISTER_WORDS: Final = 624
TWISTER_BYTES: Final = 4 * (TWISTER_WORDS + 1)
"""numpy's twister in memory: its words, and the place of the next one."""

_MUTEX_BYTES = 128


class GeneratorState(ctypes.Structure):
    """The fields, as native code reads them (`OFFSETS`)."""

    _fields_ = (
        ("is_untouched", ctypes.c_int64),  # no word has been drawn since the generator was seeded
        ("has_spare", ctypes.c_int64),  # one normal number of a pair waits for the next call
        ("spare", ctypes.c_double),
        ("twister", ctypes.c_void_p),
        ("mutex", ctypes.c_char * _MUTEX_BYTES),
    )


OFFSETS: Final[dict[str, int]] = {
    name: getattr(GeneratorState, name).offset for name in ("is_untouched", "has_spare", "spare", "twister", "mutex")
}

KEPT_FIELDS_BYTES: Final = OFFSETS["twister"]
"""The fields in front, which belong to a copy of the state."""

COPY_BYTES: Final = KEPT_FIELDS_BYTES + (TWISTER_BYTES + 7) // 8 * 8
"""The size of a copy: the fields in front, then the twister."""


def copy_from(state: GeneratorState, address: int) -> None:
    """Go back to a copy of `COPY_BYTES` bytes."""
    ctypes.memmove(ctypes.addressof(state), address, KEPT_FIELDS_BYTES)
    ctypes.memmove(state.twister, address + KEPT_FIELDS_BYTES, TWISTER_BYTES)


_live: weakref.WeakSet[StateLock] = weakref.WeakSet()


class StateLock:
    """The lock of a state, for `with`; not re-entrant. In a forked child it is open.

    Systems without POSIX threads have no native code that draws: a lock of Python's is enough there.
    """

    def __init__(self, state: GeneratorState) -> None:
        self._state = state  # keeps the memory
        self._mutex = ctypes.addressof(state) + OFFSETS["mutex"]
        self._lock = threading.Lock()
        self.open()
        _live.add(self)

    def open(self) -> None:
        """Make it a lock that nobody holds."""
        self._lock = threading.Lock()
        if os.name == "posix":
            ctypes.memset(self._mutex, 0, _MUTEX_BYTES)
            _function("pthread_mutex_init")(self._mutex, None)

    def __enter__(self) -> None:
        if os.name == "posix":
            _function("pthread_mutex_lock")(self._mutex)
        else:
            self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if os.name == "posix":
            _function("pthread_mutex_unlock")(self._mutex)
        else:
            self._lock.release()


@cache
def _function(name: str) -> Any:
    """A function of the C library; other Python threads run while it waits."""
    function = ctypes.CDLL(None)[name]
    function.restype = ctypes.c_int
    function.argtypes = (ctypes.c_void_p, ctypes.c_void_p) if name.endswith("init") else (ctypes.c_void_p,)
    return function


def _open_all() -> None:
    for lock in list(_live):
        lock.open()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_open_all)
