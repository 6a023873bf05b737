"""Memory for constants that kernels read in every call, on huge pages where the system has them.

A core finds few small pages quickly: on a Zen 1, a perceptron whose weights of 7 megabytes lie on small ones takes a sixth
longer. Memory that the process has used before keeps its small pages whatever is advised later, so
constants get memory that is mapped for them; several share what is mapped.
"""

from __future__ import annotations

import mmap
import sys
from typing import Any

import numpy as np

from optc.locks import ForkLock

ALIGNMENT = 64
HUGE_PAGE = 2 << 20

_OWN_BYTES = 64 << 10
"""Smaller constants lie in memory of their own: they need few pages in any case."""


class ConstantMemory:
    """Hands out pieces of mapped memory. A mapping is given back when nobody refers to any of its pieces."""

    def __init__(self) -> None:
        self._lock = ForkLock()
        self._free: np.ndarray[Any, np.dtype[np.uint8]] = np.empty(0, np.uint8)
        """What is left of a mapping, from a multiple of the alignment on."""

    def zeros(self, size: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """So many bytes, all zero, that start at a multiple of 64.  Raises: MemoryError."""
        taken = -(-size // ALIGNMENT) * ALIGNMENT
        with self._lock:
            source = self._free if taken <= self._free.size else _mapped(taken)
            rest = source[taken:]
            if source is self._free or rest.size > self._free.size:
                self._free = rest
        return source[:size]


def _mapped(size: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """At least so many bytes of new memory, in whole huge pages."""
    pages = -(-size // HUGE_PAGE)
    try:
        mapping = mmap.mmap(-1, (pages + 1) * HUGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError(f"no memory for {size} bytes of constants: {error}") from error
    memory = np.frombuffer(mapping, np.uint8)
    start = -memory.ctypes.data % HUGE_PAGE
    if hasattr(mmap, "MADV_HUGEPAGE"):
        mapping.madvise(mmap.MADV_HUGEPAGE)
    return memory[start : start + pages * HUGE_PAGE]


_memory = ConstantMemory()


def constant_zeros(count: int, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """A flat array of zeros that starts at a multiple of 64 bytes.  Raises: MemoryError."""
    size = count * dtype.itemsize
    if size >= _OWN_BYTES and sys.platform.startswith("linux"):
        return _memory.zeros(size).view(dtype)
    memory = np.zeros(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view(dtype)
