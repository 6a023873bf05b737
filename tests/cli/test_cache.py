"""`optc cache`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import optc
from tests.cli.conftest import Command


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OPTC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("OPTC_CACHE", raising=False)
    return tmp_path / "cache"


def test_an_empty_cache(command: Command, directory: Path) -> None:
    outcome = command("cache")
    assert outcome.code == 0
    assert [line.split() for line in outcome.out.splitlines()] == [
        ["directory", str(directory)],
        ["entries", "0"],
        ["bytes", "0", "of", str(256 << 20)],
        ["last", "used", "never"],
    ]


def test_info_counts_what_compiling_left(command: Command) -> None:
    optc.compile(lambda x: x + 1, optc.ones(100))
    lines = dict(line.split(maxsplit=1) for line in command("cache", "--info").out.splitlines())
    assert int(lines["entries"]) > 0
    assert int(lines["bytes"].split()[0]) > 1000


def test_info_tells_of_the_last_process(command: Command) -> None:
    program = "import optc; optc.compile(lambda x: x + 1, optc.ones(100))"
    for _ in range(2):
        subprocess.run([sys.executable, "-c", program], check=True)
    assert "1 plans and" in command("cache").out
    assert ", 0 objects compiled" in command("cache").out


def test_clear_empties_it(command: Command) -> None:
    optc.compile(lambda x: x + 1, optc.ones(100))
    assert "deleted" in command("cache", "--clear").out
    assert "entries    0\n" in command("cache").out


def test_clear_and_info_exclude_each_other(command: Command) -> None:
    assert command("cache", "--clear", "--info").code == 2
