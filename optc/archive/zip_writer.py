"""Writes zip files as TorchScript archives want them: every entry's data starts at a multiple of 64 bytes.

Aligned and stored (not compressed) entries can be mapped from the file and used as tensors where they lie.
"""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

from optc.dataclass import dataclass

ALIGNMENT = 64
_LOCAL = struct.Struct("<IHHHHHIIIHH")
_CENTRAL = struct.Struct("<IHHHHHHIIIHHHHHII")
_END64 = struct.Struct("<IQHHIIQQQQ")
_LOCATOR64 = struct.Struct("<IIQI")
_END = struct.Struct("<IHHHHIIH")
_FLAGS = 0x0808
_VERSION = 45
_LIMIT = 0xFFFFFFFF
_MIDNIGHT_1980 = (0, 0)


@dataclass
class _Entry:
    name: bytes
    method: int
    crc: int
    compressed: int
    size: int
    offset: int


class ZipWriter:
    """Writes entries one after the other to a binary file; `close` writes the directory. The file stays open."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._position = 0
        self._entries: list[_Entry] = []

    def add(self, name: str, data: bytes | memoryview, compress: bool = False) -> None:
        """Write one entry; `compress` deflates it when that makes it smaller."""
        size = len(data) if isinstance(data, bytes) else data.nbytes
        method, stored = 0, data
        if compress:
            packer = zlib.compressobj(9, zlib.DEFLATED, -15)
            packed = packer.compress(data) + packer.flush()
            if len(packed) < size:
                method, stored = 8, packed
        length = len(stored) if isinstance(stored, bytes) else stored.nbytes
        entry = _Entry(name.encode(), method, zlib.crc32(data), length, size, self._position)
        self._entries.append(entry)
        self._write(self._local_header(entry))
        self._write(stored)
        if length <= _LIMIT and size <= _LIMIT:
            self._write(struct.pack("<IIII", 0x08074B50, entry.crc, length, size))
        else:
            self._write(struct.pack("<IIQQ", 0x08074B50, entry.crc, length, size))

    def _local_header(self, entry: _Entry) -> bytes:
        wide = entry.size > _LIMIT or entry.compressed > _LIMIT
        extra = struct.pack("<HHQQ", 1, 16, entry.size, entry.compressed) if wide else b""
        start = entry.offset + _LOCAL.size + len(entry.name) + len(extra) + 4
        padding = -start % ALIGNMENT
        extra += b"FB" + struct.pack("<H", padding) + b"Z" * padding
        sizes = (_LIMIT, _LIMIT) if wide else (entry.compressed, entry.size)
        return (
            _LOCAL.pack(0x04034B50, _VERSION if wide else 0, _FLAGS, entry.method, *_MIDNIGHT_1980, entry.crc, *sizes,
                        len(entry.name), len(extra))
            + entry.name
            + extra
        )  # fmt: skip

    def _write(self, data: bytes | memoryview) -> None:
        self._file.write(data)
        self._position += len(data) if isinstance(data, bytes) else data.nbytes

    def close(self) -> None:
        """Write the central directory and its end records."""
        start = self._position
        for entry in self._entries:
            self._write(self._central_header(entry))
        size, count = self._position - start, len(self._entries)
        end64 = self._position
        self._write(_END64.pack(0x06064B50, _END64.size - 12, 0x031E, 0x002D, 0, 0, count, count, size, start))
        self._write(_LOCATOR64.pack(0x07064B50, 0, end64, 1))
        self._write(
            _END.pack(0x06054B50, 0, 0, min(count, 0xFFFF), min(count, 0xFFFF), min(size, _LIMIT),
                      min(start, _LIMIT), 0)
        )  # fmt: skip

    @staticmethod
    def _central_header(entry: _Entry) -> bytes:
        values = (entry.size, entry.compressed, entry.offset)
        wide = [value for value in values if value > _LIMIT]
        extra = struct.pack(f"<HH{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
        size, compressed, offset = (min(value, _LIMIT) for value in values)
        return (
            _CENTRAL.pack(0x02014B50, 0, _VERSION if wide else 0, _FLAGS, entry.method, *_MIDNIGHT_1980, entry.crc,
                          compressed, size, len(entry.name), len(extra), 0, 0, 0, 0, offset)
            + entry.name
            + extra
        )  # fmt: skip
