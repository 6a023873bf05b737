"""Reads zip files without trusting them: every size and offset is checked before it is used.

The file is mapped, not read: stored entries are views of the mapping, deflated ones are unpacked when asked for.
"""

from __future__ import annotations

import itertools
import mmap
import os
import struct
import warnings
import zlib
from typing import Any, BinaryIO, NamedTuple

from optc import config
from optc.dataclass import dataclass
from optc.errors import ArchiveError, OptcWarning

_LOCAL = struct.Struct("<IHHHHHIIIHH")
_CENTRAL = struct.Struct("<IHHHHHHIIIHHHHHII")
_END64 = struct.Struct("<IQHHIIQQQQ")
_LOCATOR64 = struct.Struct("<IIQI")
_END = struct.Struct("<IHHHHIIH")
_LIMIT = 0xFFFFFFFF
_ALWAYS_UNPACKED = 64 << 20
"""So many bytes may be unpacked however small the file is."""

_ALWAYS_READ = 8 << 20
"""So many bytes of deflated code and pickles may be unpacked: what they describe takes far more memory than they do."""

_LARGEST_RATIO = 1100
"""Deflate cannot pack tighter than 1032 to 1: an entry that claims more is refused unread."""


Source = str | os.PathLike[str] | bytes | BinaryIO


@dataclass(frozen=True)
class Entry:
    """One entry as the directory describes it."""

    name: str
    method: int
    crc: int
    compressed: int
    size: int
    offset: int
    encrypted: bool


class ZipReader:
    """The entries of a zip file: `names` in order, `read(name)` the bytes. Raises ArchiveError for damaged files."""

    def __init__(self, source: Source | MappedFile) -> None:
        self.filename, self._data = source if isinstance(source, MappedFile) else map_file(source)
        self.entries = {entry.name: entry for entry in self._directory()}
        self._checked: set[str] = set()
        self._unpacked = 0
        self._deflated_text = 0

    def fail(self, entry: str, reason: str) -> ArchiveError:
        """The error for something wrong with an entry: names file, entry and reason."""
        return ArchiveError(f"{self.filename}: {entry}: {reason}" if entry else f"{self.filename}: {reason}")

    @property
    def names(self) -> list[str]:
        """The names of all entries, in the order of the directory."""
        return list(self.entries)

    def check_limit(self, entry: str, amount: int, limit: int, unit: str = "bytes") -> None:
        """Raise ArchiveError for what is more than an archive of this size should hold."""
        if amount > limit:
            raise self.fail(entry, f"the archive unpacks to more than {limit} {unit}; OPTC_UNPACK_RATIO can allow more")

    @property
    def size(self) -> int:
        """The bytes of the whole file."""
        return len(self._data)

    def read(self, name: str) -> memoryview:
        """The bytes of an entry that is code or a pickle, held against their checksum. Raises ArchiveError."""
        entry = self.entries.get(name)
        if entry is not None and entry.method != 0 and name not in self._checked:
            self._deflated_text += entry.size
            self.check_limit(entry.name, self._deflated_text, max(_ALWAYS_READ, config.UNPACK_RATIO() * self.size // 4))
        data = self.map(name)
        self._check_sum(self.entries[name], data)
        return data

    def map(self, name: str) -> memoryview:
        """The bytes of an entry where they lie in the file, unread: writable, and never written back to the file.

        Raises ArchiveError.
        """
        entry = self.entries.get(name)
        if entry is None:
            raise self.fail(name, "the entry is missing")
        if entry.encrypted:
            raise self.fail(name, "encrypted entries cannot be read")
        raw = self._raw(entry)
        return raw if entry.method == 0 else self._inflated(entry, raw)

    def _raw(self, entry: Entry) -> memoryview:
        header = self._struct(_LOCAL, entry.offset, entry.name)
        if header[0] != 0x04034B50:
            raise self.fail(entry.name, "there is no entry where the directory says")
        start = entry.offset + _LOCAL.size + header[9] + header[10]
        if start + entry.compressed > len(self._data):
            raise self.fail(entry.name, "the entry reaches past the end of the file")
        if entry.method == 0 and entry.compressed != entry.size:
            raise self.fail(entry.name, "a stored entry has two different sizes")
        return self._data[start : start + entry.compressed]

    def _inflated(self, entry: Entry, raw: memoryview) -> memoryview:
        if entry.method != 8:
            raise self.fail(entry.name, f"compression method {entry.method} is not supported")
        if entry.size > entry.compressed * _LARGEST_RATIO + 64:
            raise self.fail(entry.name, f"{entry.compressed} bytes cannot unpack to {entry.size}")
        self._unpacked += entry.size
        self.check_limit(entry.name, self._unpacked, max(_ALWAYS_UNPACKED, config.UNPACK_RATIO() * self.size))
        unpacker = zlib.decompressobj(-15)
        try:
            data = unpacker.decompress(raw, entry.size + 1)
        except zlib.error as error:
            raise self.fail(entry.name, f"cannot be unpacked: {error}") from error
        if len(data) != entry.size:
            raise self.fail(entry.name, f"unpacks to {len(data)} bytes, not to the {entry.size} announced")
        return memoryview(bytearray(data))

    def _check_sum(self, entry: Entry, data: memoryview) -> None:
        """Torch can be told not to compute checksums, so a wrong one is worth a warning only."""
        if entry.name in self._checked:
            return
        self._checked.add(entry.name)
        if zlib.crc32(data) != entry.crc:
            warnings.warn(f"{self.filename}: {entry.name}: the checksum does not match", OptcWarning, stacklevel=5)

    def _directory(self) -> list[Entry]:
        count, position, end = self._end_records()
        entries: list[Entry] = []
        seen: set[str] = set()
        for _ in range(count):
            entry, position = self._directory_entry(position, end)
            if entry.name in seen:
                raise self.fail(entry.name, "two entries have this name")
            seen.add(entry.name)
            entries.append(entry)
        self._check_overlaps(entries)
        return entries

    def _check_overlaps(self, entries: list[Entry]) -> None:
        """Entries that share bytes are how small files claim to be large ones."""
        ordered = sorted(entries, key=lambda entry: entry.offset)
        for before, after in itertools.pairwise(ordered):
            if before.offset + _LOCAL.size + before.compressed > after.offset:
                raise self.fail(after.name, f"the entry overlaps {before.name}")

    def _end_records(self) -> tuple[int, int, int]:
        """Number of entries, and where the directory starts and ends."""
        place = self._find_end()
        _, _, _, _, count, size, start, _ = self._struct(_END, place, "")
        if place >= _LOCATOR64.size:
            magic, _, place64, _ = self._struct(_LOCATOR64, place - _LOCATOR64.size, "")
            if magic == 0x07064B50:
                record = self._struct(_END64, place64, "")
                if record[0] != 0x06064B50:
                    raise self.fail("", "the directory's end record is damaged")
                count, size, start = record[7], record[8], record[9]
        if start + size > len(self._data) or count * _CENTRAL.size > size:
            raise self.fail("", "the directory reaches past the end of the file")
        return count, start, start + size

    def _find_end(self) -> int:
        tail = bytes(self._data[-(_END.size + 0xFFFF) :])
        place = tail.rfind(b"PK\x05\x06")
        if place < 0 or place + _END.size > len(tail):
            if bytes(self._data[:2]) == b"\x80\x02":
                raise self.fail("", "this is a pickle, as torch.save wrote before PyTorch 1.6: read it with optc.load")
            raise self.fail("", "this is no zip file, or it is cut off (the directory is missing)")
        return len(self._data) - len(tail) + place

    def _directory_entry(self, position: int, end: int) -> tuple[Entry, int]:
        header = self._struct(_CENTRAL, position, "")
        magic, _, _, flags, method, _, _, crc, compressed, size, name_length, extra_length, comment_length = header[:13]
        offset = header[16]
        name_start = position + _CENTRAL.size
        following = name_start + name_length + extra_length + comment_length
        if magic != 0x02014B50 or following > end:
            raise self.fail("", "the directory is damaged")
        try:
            name = bytes(self._data[name_start : name_start + name_length]).decode()
        except UnicodeDecodeError as error:
            raise self.fail("", "the directory has a name that is not UTF-8") from error
        extra = bytes(self._data[name_start + name_length : name_start + name_length + extra_length])
        size, compressed, offset = self._wide(extra, name, size, compressed, offset)
        return Entry(name, method, crc, compressed, size, offset, bool(flags & 1)), following

    def _wide(self, extra: bytes, name: str, *values: int) -> list[int]:
        """Replace the fields that do not fit 32 bits by those of the ZIP64 extension."""
        result = list(values)
        wide = [place for place, value in enumerate(values) if value == _LIMIT]
        position = 0
        while wide and position + 4 <= len(extra):
            tag, length = struct.unpack_from("<HH", extra, position)
            if tag == 1:
                if length < 8 * len(wide) or position + 4 + length > len(extra):
                    raise self.fail(name, "the ZIP64 extension is damaged")
                for place, value in zip(wide, struct.unpack_from(f"<{len(wide)}Q", extra, position + 4)):
                    result[place] = value
                return result
            position += 4 + length
        return result

    def _struct(self, layout: struct.Struct, position: int, name: str) -> tuple[Any, ...]:
        if position < 0 or position + layout.size > len(self._data):
            raise self.fail(name, "the file is cut off")
        return layout.unpack_from(self._data, position)


def _read_stream(source: Any) -> MappedFile:
    if not hasattr(source, "read"):
        raise TypeError(f"an archive is a path, bytes or a binary stream, not {type(source).__name__}")
    data = source.read()
    if not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(
            f"an archive is read from a binary stream, and this one gives {type(data).__name__}: open(..., 'rb')"
        )
    return MappedFile(getattr(source, "name", "<stream>"), memoryview(bytearray(data)))


class MappedFile(NamedTuple):
    """A file's bytes, and the name to use in messages."""

    name: str
    data: memoryview


def map_file(source: Source) -> MappedFile:
    """A private mapping of a file, or a copy of what a stream gives.

    Raises ArchiveError for an empty file, TypeError for what is neither a path nor bytes nor a binary stream.
    """
    if isinstance(source, bytes | bytearray):
        return MappedFile("<bytes>", memoryview(bytearray(source)))
    if not isinstance(source, str | os.PathLike):
        return _read_stream(source)
    filename = os.fspath(source)
    with open(filename, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            raise ArchiveError(f"{filename}: the file is empty")
        return MappedFile(filename, memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY)))
