"""`optc bench`: the table of engines, the profile, the roofs."""

from __future__ import annotations

from pathlib import Path

import pytest

from optc.cli import benchmark
from optc.runtime import profile, roofs
from optc.runtime.roofs import Level, Roofs
from tests.cli.conftest import Command

KNOWN = Roofs(
    "a processor", 100e9, (Level("L1", 32 << 10, 200e9), Level("L2", 1 << 20, 90e9), Level("memory", 0, 9e9)), 0.0
)


@pytest.fixture(autouse=True)
def known_roofs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roofs, "roofs", lambda fresh=False: KNOWN)
    monkeypatch.setattr(profile, "roofs", lambda: KNOWN)
    monkeypatch.setattr(profile, "RUN_SECONDS", 0.01)


def test_bench_prints_a_table(command: Command, programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "torch_candidate", lambda target, arguments: None)
    out = command("bench", f"{programs}:add_one", "--shape", "8x8", "--rounds", "3").out
    lines = out.splitlines()
    assert lines[0].split() == ["median", "best", "spread", "to", "compiled"]
    assert [line.split()[0] for line in lines[1:]] == ["interpreter", "compiled"]
    assert lines[2].endswith(" 1x")


@pytest.mark.peers
def test_bench_includes_torch(command: Command, programs: Path) -> None:
    pytest.importorskip("torch")
    outcome = command("bench", f"{programs}:traced", "--rounds", "3")
    assert outcome.code == 0, outcome.error
    assert [line.split()[0] for line in outcome.out.splitlines()[1:]] == ["interpreter", "compiled", "torch"]
    assert "another result" not in outcome.error


def test_profile_shows_the_kernels(command: Command, programs: Path) -> None:
    outcome = command("bench", f"{programs}:add_one", "--shape", "300x400", "--profile")
    assert outcome.code == 0, outcome.error
    lines = outcome.out.splitlines()
    assert lines[0].split()[:3] == ["calls", "us", "share"]
    assert any(line.startswith("kernel_") and line.endswith("add") for line in lines)
    assert any(line.startswith("registers and control flow") for line in lines)
    assert lines[-1].endswith("a processor: 100 GFLOP/s; L1 200, L2 90, memory 9 GB/s")


def test_roofs_need_no_program(command: Command) -> None:
    lines = command("bench", "--roofs").out.splitlines()
    assert lines[0].split() == ["a", "processor", "size", "one", "core"]
    assert [line.split() for line in lines[1:3]] == [
        ["multiply-adds,", "float32", "100", "GFLOP/s"], ["reading", "from", "L1", "32", "KB", "200", "GB/s"],
    ]  # fmt: skip
    assert lines[-1].split() == ["reading", "from", "memory", "9", "GB/s"]


def test_without_a_program_there_is_nothing_to_time(command: Command) -> None:
    outcome = command("bench")
    assert outcome.code == 2
    assert "name a TARGET to time, or --roofs" in outcome.error
