"""Objects on disk between processes."""

import hashlib
import os
import sys
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from optc import config

_MAGIC = b"optc-object-1\n"
_DIGEST_BYTES = 32
_CACHE_BYTES = 256 << 20
_lock = threading.RLock()


@dataclass(frozen=True)
class ObjectCache:
    """Objects on disk, one file each.

    A file is a magic line, the SHA-256 of the object, and the object.  Writes are atomic (a temporary file that is
    renamed), so processes may share the directory; what does not check out is deleted and compiled again.  When the
    directory outgrows `limit` bytes, the files that were not used for longest go.
    """

    directory: Path
    limit: int = _CACHE_BYTES

    def _path(self, key: str) -> Path:
        return self.directory / key[:2] / f"{key}.o"

    def get(self, key: str) -> bytes | None:
        """The object stored under `key`, or None."""
        path = self._path(key)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        start = len(_MAGIC) + _DIGEST_BYTES
        content = data[start:]
        if data[: len(_MAGIC)] != _MAGIC or data[len(_MAGIC) : start] != hashlib.sha256(content).digest():
            self._discard(path)
            return None
        with suppress(OSError):  # a cache that may only be read, or whose file has just been deleted, still serves
            os.utime(path)
        return content

    def _discard(self, path: Path) -> None:
        """Deletes a file; where that is not allowed, it stays and is refused again."""
        with suppress(OSError):
            path.unlink()

    def put(self, key: str, content: bytes) -> None:
        """Stores an object; where the directory cannot be written, nothing is stored."""
        path = self._path(key)
        data = _MAGIC + hashlib.sha256(content).digest() + content
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as file:
                file.write(data)
            os.replace(file.name, path)
        except OSError:
            return
        _Usage.of(self).add(len(data))

    def trim(self) -> int:
        """Deletes the oldest files until three quarters of the limit are left free of them; returns the bytes kept."""
        files = sorted(
            (
                (stat.st_mtime, stat.st_size, path)
                for path in self.directory.glob("??/*")
                if (stat := _stat(path)) is not None
            ),
            reverse=True,
        )
        if sum(size for _, size, _ in files) <= self.limit:
            return sum(size for _, size, _ in files)
        kept = 0
        for _, size, path in files:
            if kept + size <= self.limit * 3 // 4:
                kept += size
                continue
            self._discard(path)
        return kept


def _stat(path: Path) -> os.stat_result | None:
    """The file's facts, None if another process has just deleted it."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


class _Usage:
    """How full a cache directory is, counted by this process so that a write does not list the directory."""

    _known: dict[ObjectCache, "_Usage"] = {}

    def __init__(self, cache: ObjectCache) -> None:
        self._cache = cache
        self._bytes = cache.trim()

    @classmethod
    def of(cls, cache: ObjectCache) -> "_Usage":
        with _lock:
            known = cls._known.get(cache)
            return known or cls._known.setdefault(cache, cls(cache))

    def add(self, size: int) -> None:
        with _lock:
            self._bytes += size
            if self._bytes > self._cache.limit:
                self._bytes = self._cache.trim()


def object_cache() -> ObjectCache | None:
    """The cache that the environment asks for: OPTC_CACHE=0 turns it off, OPTC_CACHE_DIR moves it."""
    return ObjectCache(_cache_directory()) if config.CACHE() else None


def _cache_directory() -> Path:
    named = config.CACHE_DIR()
    if named:
        return Path(named)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", str(Path.home()))) / "optc" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "optc"
    return Path(os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))) / "optc"
