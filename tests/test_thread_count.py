"""How many threads a call may use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from optc import thread_count


def group(folder: Path, **files: str) -> None:
    """A control group with the given files (`cpu_max` is `cpu.max`)."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("cpu_", "cpu.", 1)).write_text(text + "\n")


def membership(folder: Path, text: str) -> Path:
    file = folder / "membership"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("limit", "processors"), [("max 100000", None), ("150000 100000", 1.5), ("50000 100000", 0.5), ("", None)]
)
def test_version_2_groups_say_quota_and_period_in_one_file(
    tmp_path: Path, limit: str, processors: float | None
) -> None:
    group(tmp_path / "slice" / "job", cpu_max=limit)
    assert thread_count.quota_processors(tmp_path, membership(tmp_path, "0::/slice/job\n")) == processors


def test_groups_above_limit_too(tmp_path: Path) -> None:
    group(tmp_path / "slice", cpu_max="200000 100000")
    group(tmp_path / "slice" / "job", cpu_max="max 100000")
    assert thread_count.quota_processors(tmp_path, membership(tmp_path, "0::/slice/job\n")) == 2


@pytest.mark.parametrize(("quota", "processors"), [("-1", None), ("300000", 3.0)])
def test_version_1_groups_have_two_files(tmp_path: Path, quota: str, processors: float | None) -> None:
    group(tmp_path / "cpu,cpuacct" / "job", cpu_cfs_quota_us=quota, cpu_cfs_period_us="100000")
    file = membership(tmp_path, "7:memory:/job\n3:cpu,cpuacct:/job\n")
    assert thread_count.quota_processors(tmp_path, file) == processors


def test_a_container_may_not_see_its_own_name(tmp_path: Path) -> None:
    group(tmp_path, cpu_max="100000 100000")
    assert thread_count.quota_processors(tmp_path, membership(tmp_path, "0::/docker/0123abcd\n")) == 1


def test_without_control_groups_there_is_no_limit(tmp_path: Path) -> None:
    assert thread_count.quota_processors(tmp_path, tmp_path / "missing") is None


def told_by_a_fresh_process(**variables: str) -> int:
    code = "import optc; print(optc.get_num_threads())"
    finished = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **variables}, capture_output=True, text=True, check=True
    )
    return int(finished.stdout)


def test_the_environment_says_how_many() -> None:
    assert told_by_a_fresh_process(OPTC_NUM_THREADS="3") == 3


def test_by_default_the_processors_this_process_may_use_count() -> None:
    assert told_by_a_fresh_process(OPTC_NUM_THREADS="") == thread_count.usable_processors()
