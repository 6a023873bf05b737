"""pytest-benchmark suites: `python -m pytest bench --benchmark-enable`.

`compiled` is a call from Python to Python on one thread and, where that should be faster, on two; `interpreter` the same
call on the captured program; `first call` everything from the captured program to the first result without the disk
cache, `cached call` the same with a cache that has seen the program.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import optc
from bench.workloads import WORKLOADS, Workload

EVERY = pytest.mark.parametrize("workload", WORKLOADS.values(), ids=list(WORKLOADS))
ON_TWO_THREADS = {name: workload for name, workload in WORKLOADS.items() if 2 in workload.reach or workload.flops}


def time_call(benchmark: Any, workload: Workload, threads: int) -> None:
    arguments = workload.arguments()
    compiled = optc.compile(workload.program(), fallback="error", threads=threads)
    compiled(*arguments)
    benchmark.group = workload.name
    benchmark(compiled, *arguments)


@EVERY
def test_compiled(benchmark: Any, workload: Workload) -> None:
    time_call(benchmark, workload, threads=1)


@pytest.mark.parametrize("workload", ON_TWO_THREADS.values(), ids=list(ON_TWO_THREADS))
def test_compiled_for_two_threads(benchmark: Any, workload: Workload) -> None:
    time_call(benchmark, workload, threads=2)


@EVERY
def test_interpreter(benchmark: Any, workload: Workload) -> None:
    benchmark.group = workload.name
    benchmark(workload.program(), *workload.arguments())


@pytest.mark.parametrize("cache", [False, True], ids=["first", "cached"])
@EVERY
def test_first_call(
    benchmark: Any, workload: Workload, cache: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPTC_CACHE_DIR", str(tmp_path))
    program, arguments = workload.program(), workload.arguments()

    def first_call() -> Any:
        return optc.compile(program, fallback="error", cache=cache)(*arguments)

    first_call()
    benchmark.group = workload.name
    benchmark.pedantic(first_call, rounds=5)
