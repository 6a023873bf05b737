"""The frame around every archive: top folder, version, byte order, storages under numbered names."""

from __future__ import annotations

import errno
import io
import os
import zlib
from typing import Any, BinaryIO

from optc.archive.pickle_writer import StoredTensor
from optc.archive.zip_writer import ZipWriter


class ArchiveWriter:
    """Writes an archive to a path (atomically: the file appears when it is complete) or to a binary stream."""

    def __init__(self, target: str | os.PathLike[str] | BinaryIO, *, for_state: bool = False) -> None:
        self._path = os.fspath(target) if isinstance(target, str | os.PathLike) else None
        self._stream: Any = target
        self._buffer: Any = None
        self._folder = _stem(self._path)
        self._for_state = for_state
        self._digest = 0
        self._kept: list[Any] = []
        """Memory that storages were written from: its addresses tell storages apart until the archive is complete."""

    def __enter__(self) -> ArchiveWriter:
        if self._path is not None:
            self._temporary = f"{self._path}.{os.getpid()}.part"
            self._buffer = _opened(self._temporary, self._path)
        else:
            self._buffer = io.BytesIO()
        self._zip = ZipWriter(self._buffer)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._finish()
        self._buffer_done(kind is None)

    def _buffer_done(self, succeeded: bool) -> None:
        if self._path is None:
            if succeeded:
                self._stream.write(self._buffer.getvalue())
            return
        self._buffer.close()
        if succeeded:
            os.replace(self._temporary, self._path)
        else:
            os.unlink(self._temporary)

    def add(self, name: str, data: bytes | memoryview, compress: bool = False) -> None:
        """Write an entry below the archive's folder."""
        self._digest = zlib.crc32(name.encode(), zlib.crc32(data, self._digest))
        self._zip.add(f"{self._folder}/{name}", data, compress)

    def add_storage(self, folder: str, stored: StoredTensor, keys: dict[Any, str]) -> str:
        """Write a storage under the next number of `folder`; returns the number. One that is known is not repeated."""
        identity = (stored.key, stored.dtype)
        if identity not in keys:
            keys[identity] = str(len(keys))
            self._kept.append(stored.base)
            self.add(f"{folder}/{keys[identity]}", stored.content())
        return keys[identity]

    def _finish(self) -> None:
        if self._for_state:
            self.add(".format_version", b"1")
            self.add(".storage_alignment", b"64")
            self.add("version", b"3\n")
        self.add("byteorder", b"little")
        self.add(".data/serialization_id", f"{self._digest:040d}".encode())
        self._zip.close()


def _opened(temporary: str, path: str) -> BinaryIO:
    """The file that becomes `path`, which errors name. Raises OSError where there can be no such file."""
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    try:
        return open(temporary, "wb")
    except OSError as error:
        raise type(error)(error.errno, error.strerror, path) from None


def _stem(path: str | None) -> str:
    """The name of the top folder: the file's name without its ending."""
    return os.path.splitext(os.path.basename(path or ""))[0] or "archive"
