"""pytest-benchmark suites: `python -m pytest bench --benchmark-enable`.

`compiled` is a call from Python to Python, `interpreter` the same call on the captured program, `first call` everything
from the captured program to the first result with an empty object cache.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import optc
from bench.workloads import WORKLOADS, Workload

EVERY = pytest.mark.parametrize("workload", WORKLOADS.values(), ids=list(WORKLOADS))


@EVERY
def test_compiled(benchmark: Any, workload: Workload) -> None:
    arguments = workload.arguments()
    compiled = optc.compile(workload.program(), fallback="error")
    compiled(*arguments)
    benchmark.group = workload.name
    benchmark(compiled, *arguments)


@EVERY
def test_interpreter(benchmark: Any, workload: Workload) -> None:
    benchmark.group = workload.name
    benchmark(workload.program(), *workload.arguments())


@EVERY
def test_first_call(benchmark: Any, workload: Workload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTC_CACHE_DIR", str(tmp_path))
    program, arguments = workload.program(), workload.arguments()

    def first_call() -> Any:
        return optc.compile(program, fallback="error")(*arguments)

    def empty_cache() -> None:
        for file in tmp_path.rglob("*.o"):
            file.unlink()

    benchmark.group = workload.name
    benchmark.pedantic(first_call, setup=empty_cache, rounds=5)
