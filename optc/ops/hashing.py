"""What `hash` gives in TorchScript: the numbers of the C++ library that PyTorch is built with, the same in all processes."""

from __future__ import annotations

import struct
from typing import Any

from optc.ops.byte_strings import bytes_of

_WORD = (1 << 64) - 1
_FACTOR, _SEED = 0xC6A4A7935BD1E995, 0xC70F6907
_GOLDEN_RATIO = 0x9E3779B9


def hash_of(value: Any) -> int:
    """The hash of a number, a text, None, a tensor, or a tuple of such. Raises RuntimeError for what has none."""
    found = _unsigned(value)
    return found - (1 << 64) if found >> 63 else found


def _unsigned(value: Any) -> int:
    if value is None:
        return 0
    if isinstance(value, int):
        return value & _WORD
    if isinstance(value, float):
        return _hash_of_bytes(struct.pack("<d", value)) if value != 0 else 0
    if isinstance(value, str):
        return _hash_of_bytes(bytes_of(value))
    if isinstance(value, tuple):
        result = 0
        for item in value:
            result ^= (_unsigned(item) + _GOLDEN_RATIO + (result << 6 & _WORD) + (result >> 2)) & _WORD
        return result
    if hasattr(value, "__array_interface__"):
        return int(value.__array_interface__["data"][0])
    raise RuntimeError(f"unhashable type: '{type(value).__name__}'")


def _hash_of_bytes(data: bytes) -> int:
    """MurmurHash64A, eight bytes at a time."""
    result = _SEED ^ len(data) * _FACTOR & _WORD
    whole = len(data) & ~7
    for place in range(0, whole, 8):
        word = _mixed(int.from_bytes(data[place : place + 8], "little") * _FACTOR & _WORD) * _FACTOR & _WORD
        result = (result ^ word) * _FACTOR & _WORD
    if whole < len(data):
        result = (result ^ int.from_bytes(data[whole:], "little")) * _FACTOR & _WORD
    return _mixed(_mixed(result) * _FACTOR & _WORD)


def _mixed(word: int) -> int:
    return word ^ word >> 47
