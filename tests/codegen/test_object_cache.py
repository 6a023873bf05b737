"""The directory of compiled things: what it survives, and what it leaves alone."""

import errno
import os
import stat
from pathlib import Path

import pytest

from optc.codegen.machine import object_cache
from optc.codegen.machine.object_cache import ObjectCache

KEYS = [f"{number:064x}" for number in range(200)]


@pytest.fixture
def cache(tmp_path: Path) -> ObjectCache:
    return ObjectCache(tmp_path / "cache", limit=100_000)


def files(cache: ObjectCache) -> list[Path]:
    return sorted(path for path in cache.directory.rglob("*") if path.is_file())


def test_what_is_stored_is_found(cache: ObjectCache) -> None:
    assert cache.get(KEYS[0]) is None
    cache.put(KEYS[0], b"first")
    cache.put(KEYS[0], b"second")
    assert cache.get(KEYS[0]) == b"second"
    assert cache.get(KEYS[1]) is None
    assert len(files(cache)) == 1


def test_empty_contents_are_contents(cache: ObjectCache) -> None:
    cache.put(KEYS[0], b"")
    assert cache.get(KEYS[0]) == b""


@pytest.mark.parametrize("damage", [b"", b"optc", b"optc-cache-1\n", b"garbage" * 100])
def test_what_does_not_check_out_is_deleted(cache: ObjectCache, damage: bytes) -> None:
    cache.put(KEYS[0], b"content" * 10)
    (path,) = files(cache)
    path.write_bytes(damage)
    assert cache.get(KEYS[0]) is None
    assert files(cache) == []


def test_every_flipped_bit_is_noticed(cache: ObjectCache) -> None:
    cache.put(KEYS[0], b"content")
    (path,) = files(cache)
    good = path.read_bytes()
    for place in range(len(good)):
        path.write_bytes(good[:place] + bytes([good[place] ^ 16]) + good[place + 1 :])
        assert cache.get(KEYS[0]) is None
    path.write_bytes(good)
    assert cache.get(KEYS[0]) == b"content"


def test_a_full_disk_leaves_nothing_behind(cache: ObjectCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: str, target: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    cache.put(KEYS[0], b"content")
    assert files(cache) == []
    assert cache.get(KEYS[0]) is None


def test_directories_that_cannot_be_written_still_serve(cache: ObjectCache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.put(KEYS[0], b"content")
    os.utime(files(cache)[0], (0, 0))

    def denied(*arguments: object, **keywords: object) -> None:
        raise PermissionError(errno.EROFS, "Read-only file system")

    for name in ("makedirs", "unlink", "utime", "open"):
        monkeypatch.setattr(os, name, denied)
    assert cache.get(KEYS[0]) == b"content"
    cache.put(KEYS[1], b"more")
    assert cache.get(KEYS[1]) is None


def test_a_file_in_the_place_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    cache = ObjectCache(tmp_path / "file")
    cache.put(KEYS[0], b"content")
    assert cache.get(KEYS[0]) is None
    assert (cache.clear(), list(cache.files())) == (0, [])
    assert (tmp_path / "file").read_text() == "mine"


def test_the_least_recently_used_go_first(cache: ObjectCache) -> None:
    for number, key in enumerate(KEYS[:60]):
        cache.put(key, bytes(1000))
        os.utime(cache._path(key), (1000 + number, 1000 + number))
    assert cache.get(KEYS[5]) is not None, "used just now, because it was last used long ago"
    small = ObjectCache(cache.directory, limit=20_000)
    assert small.trim() <= 15_000
    assert small.get(KEYS[5]) is not None
    assert small.get(KEYS[59]) is not None
    assert small.get(KEYS[6]) is None


def test_the_limit_holds_while_entries_are_added(tmp_path: Path) -> None:
    cache = ObjectCache(tmp_path, limit=50_000)
    for key in KEYS:
        cache.put(key, bytes(1000))
        assert sum(path.stat().st_size for path in files(cache)) <= 50_000


def test_clear_deletes_only_what_optc_wrote(cache: ObjectCache) -> None:
    for key in KEYS[:5]:
        cache.put(key, b"content")
    cache.note_use("now")
    (cache.directory / "00" / "note.txt").write_text("mine")
    (cache.directory / "own").mkdir()
    (cache.directory / "own" / f"{KEYS[0]}.bin").write_text("mine too")
    left_over = cache.directory / "00" / f"{KEYS[0]}.123-4.tmp"
    left_over.write_text("of a process that was killed")
    assert cache.clear() == 6
    assert [path.name for path in files(cache)] == ["note.txt", f"{KEYS[0]}.bin"]
    cache.put(KEYS[0], b"again")
    assert cache.get(KEYS[0]) == b"again"


def test_entries_are_private(cache: ObjectCache) -> None:
    cache.put(KEYS[0], b"content")
    assert stat.S_IMODE(files(cache)[0].stat().st_mode) == 0o600


def test_the_directory_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTC_CACHE_DIR", str(tmp_path / "here"))
    assert object_cache.cache_directory() == tmp_path / "here"
    monkeypatch.delenv("OPTC_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert object_cache.cache_directory() == tmp_path / "optc"
    monkeypatch.setenv("OPTC_CACHE", "0")
    assert object_cache.object_cache() is None
