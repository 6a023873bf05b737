"""Objects and plans on disk between processes."""

import hashlib
import itertools
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from optc import config
from optc.dataclass import dataclass
from optc.locks import ForkLock

_MAGIC = b"optc-cache-1\n"
_DIGEST_BYTES = 32
_CACHE_BYTES = 256 << 20
_FRESH_SECONDS = 3600
"""An entry whose time of last use is younger is not stamped again."""

_FOLDER = r"[0-9a-f]{2}"
_ENTRY = r"[0-9a-f]{64}\.(bin|[0-9]+-[0-9]+\.tmp)"
_USAGE = "last-use.txt"
_lock = ForkLock()
_numbers = itertools.count()


@dataclass(frozen=True)
class ObjectCache:
    """Contents by key on disk, one file each; keys are 64 hexadecimal digits.

    A file is a magic line, the SHA-256 of the content, and the content. Writes are atomic (a temporary file that is
    renamed), so processes may share the directory; what does not check out is deleted and made again. When the
    directory outgrows `limit` bytes, the files that were not used for longest go.
    """

    directory: Path
    limit: int = _CACHE_BYTES

    def _path(self, key: str) -> str:
        return f"{self.directory}{os.sep}{key[:2]}{os.sep}{key}.bin"

    def has(self, key: str) -> bool:
        """True where something is stored under `key`; `get` may still refuse it."""
        return os.path.exists(self._path(key))

    def get(self, key: str) -> bytes | None:
        """The content stored under `key`, or None."""
        path = self._path(key)
        try:
            with open(path, "rb", 0) as file:
                data = file.read()
                used = os.fstat(file.fileno()).st_mtime
        except OSError:
            return None
        start = len(_MAGIC) + _DIGEST_BYTES
        content = data[start:]
        if data[: len(_MAGIC)] != _MAGIC or data[len(_MAGIC) : start] != hashlib.sha256(content).digest():
            _discard(path)
            return None
        if time.time() - used > _FRESH_SECONDS:
            with suppress(OSError):  # a cache that may only be read, or whose file has just been deleted, still serves
                os.utime(path)
        return content

    def put(self, key: str, content: bytes) -> None:
        """Stores a content; where the directory cannot be written, nothing is stored."""
        path = self._path(key)
        data = _MAGIC + hashlib.sha256(content).digest() + content
        temporary = f"{path[: -len('bin')]}{os.getpid()}-{next(_numbers)}.tmp"
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(temporary, "xb", opener=_private) as file:
                file.write(data)
            os.replace(temporary, path)
        except OSError:
            _discard(temporary)
            return
        _Usage.of(self).add(len(data))

    def files(self) -> Iterator[tuple[os.stat_result, str]]:
        """What optc has stored: the facts and the path of every file."""
        folders = (folder for folder in _listed(self.directory) if re.fullmatch(_FOLDER, folder.name))
        entries = (entry for folder in folders for entry in _listed(folder.path) if re.fullmatch(_ENTRY, entry.name))
        for entry in entries:
            with suppress(OSError):  # another process has just deleted it
                yield entry.stat(), entry.path

    def trim(self) -> int:
        """Deletes the oldest files until three quarters of the limit are left free of them; returns the bytes kept."""
        files = sorted(((stat.st_mtime, stat.st_size, path) for stat, path in self.files()), reverse=True)
        if sum(size for _, size, _ in files) <= self.limit:
            return sum(size for _, size, _ in files)
        kept = 0
        for _, size, path in files:
            if kept + size <= self.limit * 3 // 4:
                kept += size
                continue
            _discard(path)
        return kept

    def clear(self) -> int:
        """Deletes everything that optc has stored, and nothing else; returns how many files that were."""
        paths = [path for _, path in self.files()]
        for path in paths:
            _discard(path)
        _discard(f"{self.directory}{os.sep}{_USAGE}")
        for folder in _listed(self.directory):
            if re.fullmatch(_FOLDER, folder.name):
                with suppress(OSError):  # something else lies there
                    os.rmdir(folder.path)
        _Usage.forget(self)
        return len(paths)

    def note_use(self, text: str) -> None:
        """Leave a line about how the last process used the cache."""
        with suppress(OSError):
            Path(self.directory, _USAGE).write_text(text, encoding="utf-8")

    def last_use(self) -> str:
        """What the last process that used the cache has left; empty when there is nothing."""
        try:
            return Path(self.directory, _USAGE).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return ""


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _discard(path: str) -> None:
    """Deletes a file; where that is not allowed, it stays and is refused again."""
    with suppress(OSError):
        os.unlink(path)


def _listed(folder: str | Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


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

    @classmethod
    def forget(cls, cache: ObjectCache) -> None:
        with _lock:
            cls._known.pop(cache, None)

    def add(self, size: int) -> None:
        with _lock:
            self._bytes += size
            if self._bytes > self._cache.limit:
                self._bytes = self._cache.trim()


def object_cache() -> ObjectCache | None:
    """The cache that the environment asks for: OPTC_CACHE=0 turns it off, OPTC_CACHE_DIR moves it."""
    return ObjectCache(cache_directory()) if config.CACHE() else None


def cache_directory() -> Path:
    """Where the cache is, or would be."""
    named = config.CACHE_DIR()
    if named:
        return Path(named)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", str(Path.home()))) / "optc" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "optc"
    return Path(os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))) / "optc"
