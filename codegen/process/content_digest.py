"""Digests of the contents of large arrays: sums that native code makes at the speed of memory, and SHA-256 of these."""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from optc.codegen.machine import jit

BLOCK_BYTES = 1024
SUMS = 4
"""Words per block."""
KEY_BYTES = SUMS * BLOCK_BYTES
_NAME = "content_sums"
_WORTH_BYTES = 64 << 10
"""Less is hashed before a function is called that may have to be compiled first."""


def content_digest(data: memoryview) -> bytes:
    """32 bytes that differ for different contents, the same in every process and on every machine.

    No protection against somebody who looks for two contents with one digest.
    """
    if not is_native(len(data)):
        return hashlib.sha256(data).digest()
    sum_blocks, key = _native()
    blocks = len(data) // BLOCK_BYTES
    sums = np.empty(blocks * SUMS, np.uint64)
    sum_blocks(np.frombuffer(data, np.uint8).ctypes.data, blocks, key.ctypes.data, sums.ctypes.data)
    digest = hashlib.sha256(sums.data)
    digest.update(data[blocks * BLOCK_BYTES :])
    return digest.digest()


def is_native(size: int) -> bool:
    """True where native code digests that many bytes."""
    return size >= _WORTH_BYTES


def prepare() -> None:
    """Have the native code compiled, if it is not yet."""
    jit.compile_generated(_NAME, _written)


def is_compiled() -> bool:
    """True where the native code is at hand, or in the disk cache."""
    return jit.is_generated(_NAME)


@cache
def _native() -> tuple[Callable[..., Any], np.ndarray[Any, Any]]:
    """The function, which leaves Python's lock alone, and its key."""
    library = jit.link([jit.compile_generated(_NAME, _written)[0]])
    pointer, count = ctypes.c_void_p, ctypes.c_int64
    prototype = ctypes.CFUNCTYPE(None, pointer, count, pointer, pointer)
    key = np.frombuffer(hashlib.shake_256(b"content_sums").digest(KEY_BYTES), np.uint32)
    function = prototype(library.address(_NAME))
    function.library = library  # type: ignore[attr-defined]  # its memory must live as long
    return function, key


def _written() -> tuple[str, tuple[str, ...]]:
    from optc.codegen.process.content_sums import content_sums_module

    return str(content_sums_module()), ()
