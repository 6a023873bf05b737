"""The roofs of the machine: plausible, kept, and measured again when the file is old or damaged."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from optc.codegen.machine import jit
from optc.codegen.machine.host import AVX2, AVX512, GENERIC, NEON, Target
from optc.codegen.machine.probes import module
from optc.runtime import roofs
from optc.runtime.roofs import Level, Roofs

KNOWN = Roofs("a processor", 100e9, (Level("L1", 1000, 400e9), Level("L2", 9000, 100e9), Level("memory", 0, 10e9)), 1.0)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """A cache folder of one's own, and every measurement that is made (they cost nothing here)."""
    made: list[float] = []

    def measured() -> Roofs:
        made.append(time.time())
        return Roofs(KNOWN.processor, KNOWN.flops_per_second, KNOWN.levels, made[-1])

    monkeypatch.setenv("OPTC_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("OPTC_CACHE", "1")
    monkeypatch.setattr(roofs, "measure", measured)
    yield made


def file_of(folder: Path) -> Path:
    (found,) = folder.glob("roofs-*.json")
    return found


def test_they_are_measured_once(kept: list[float]) -> None:
    assert roofs.roofs() == roofs.roofs()
    assert len(kept) == 1
    roofs.roofs(fresh=True)
    assert len(kept) == 2


def test_without_a_cache_they_are_measured_every_time(kept: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTC_CACHE", "0")
    roofs.roofs()
    roofs.roofs()
    assert len(kept) == 2


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"levels": [], "flops_per_second": 1}', '{"levels": 3}'])
def test_a_damaged_file_is_not_trusted(text: str, kept: list[float], tmp_path: Path) -> None:
    roofs.roofs()
    file_of(tmp_path).write_text(text, encoding="utf-8")
    assert roofs.roofs().levels == KNOWN.levels
    assert len(kept) == 2


@pytest.mark.parametrize("age_days", [roofs.MAXIMUM_AGE_DAYS + 1, -1])
def test_old_ones_are_measured_again(age_days: int, kept: list[float], tmp_path: Path) -> None:
    roofs.roofs()
    path = file_of(tmp_path)
    stored = json.loads(path.read_text(encoding="utf-8"))
    stored["measured"] = time.time() - age_days * 86400
    path.write_text(json.dumps(stored), encoding="utf-8")
    roofs.roofs()
    assert len(kept) == 2


def test_data_lives_in_the_smallest_level_that_holds_it() -> None:
    assert [KNOWN.level_of(size).name for size in (10, 1000, 1001, 9001, 1e12)] == [
        "L1",
        "L1",
        "L2",
        "memory",
        "memory",
    ]


def test_the_lower_roof_counts() -> None:
    assert KNOWN.shortest_seconds(flops=1000e9, bytes_=1e9, working_set=500) == (10.0, "FMA")
    assert KNOWN.shortest_seconds(flops=1e9, bytes_=1000e9, working_set=5000) == (10.0, "L2")
    assert KNOWN.flops_of(8) == KNOWN.flops_of(4) / 2 == KNOWN.flops_of(2) / 2


def test_real_ones_are_plausible() -> None:
    assert 1e9 < roofs.multiply_add_rate() < 1e12
    assert roofs.read_rate(16 << 10) > 1e9
    sizes = roofs.cache_sizes()
    assert list(sizes) == sorted(sizes)
    assert 1 << 12 <= sizes[0] <= 1 << 20


@pytest.mark.parametrize("target", [AVX512, AVX2, GENERIC, NEON], ids=["avx512", "avx2", "generic", "neon"])
def test_the_multiply_adds_stay_in_registers(target: Target) -> None:
    text = jit.assembly(str(module(target)), target)
    function = text[text.index("multiply_adds:") : text.index("read_memory:")]
    loop = function[function.index("BB0_") :] if target is not NEON else function
    spilled = [line for line in loop.splitlines() if "rsp" in line or "[sp" in line]
    assert not spilled
