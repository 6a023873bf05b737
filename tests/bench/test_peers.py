"""The table of peers: which rows it has, what it compares, and how it judges."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import optc
from bench.workloads import WORKLOADS, chosen

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]  # PyTorch says that its exporter is old


@pytest.mark.parametrize(
    ("reach", "ratio", "peak", "share", "expected"),
    [
        (2.0, 2.1, None, None, ("2x", "ok")),
        (2.0, 1.9, None, None, ("2x", "short")),
        (None, 1.9, None, None, ("-", "")),
        (2.0, None, None, None, ("2x", "")),
        (None, 0.5, 0.93, 0.95, ("93%", "ok")),
        (None, 9.0, 0.93, 0.9, ("93%", "short")),
        (None, 9.0, None, 0.5, ("-", "")),
    ],
)
def test_verdicts(
    reach: float | None, ratio: float | None, peak: float | None, share: float | None, expected: tuple[str, str]
) -> None:
    from bench.peers import judged

    assert judged(reach, ratio, peak, share) == expected


def test_rows_have_something_to_reach_unless_they_are_named() -> None:
    from bench.peers import rows_for

    every = list(WORKLOADS.values())
    assert rows_for(every, 1, is_named=False) == every
    on_two = [workload.name for workload in rows_for(every, 2, is_named=False)]
    assert "lstm" in on_two
    assert "cell" not in on_two
    assert rows_for(chosen(["cell"]), 2, is_named=True) == chosen(["cell"])


def test_results_are_compared_before_anything_is_timed() -> None:
    from bench.peers import agrees

    ones = np.ones((2, 3), np.float32)
    assert agrees([ones, ones], [ones, ones * (1 + 1e-6)])
    assert not agrees([ones], [ones * 1.01])
    assert not agrees([ones], [ones, ones])
    assert not agrees([ones], [ones.T])


def test_results_of_all_libraries_are_arrays() -> None:
    from bench.engines import as_arrays, torch

    ones = np.ones((2, 3), np.float32)
    found = as_arrays([ones, (torch.from_numpy(ones), optc.from_numpy(ones))])
    assert [type(array) for array in found] == [np.ndarray] * 3


COMPARED = ["cell", "loop-10", "rnn-200", "lstm", "mlp-1", "layernorm-64", "gemm-64x1024x1024"]


@pytest.mark.parametrize("engine", ["torch eager", "TorchScript", "ONNX Runtime", "OpenVINO"])
def test_every_engine_gets_the_same_programs(engine: str) -> None:
    # In a process of its own: PyTorch's ONNX exporter changes functions that later scripts of the process use.
    program = (
        "from bench.engines import ENGINES, as_arrays, use_threads\n"
        "from bench.peers import agrees\n"
        "from bench.workloads import chosen\n"
        "use_threads(1)\n"
        f"for workload in chosen({COMPARED!r}):\n"
        f"    theirs, mine = [as_arrays(ENGINES[name](workload, 1)()) for name in ({engine!r}, 'optc')]\n"
        "    assert agrees(theirs, mine), workload.name\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    from bench.peers import compare_engines

    text = compare_engines(chosen(["cell", "gemm-64x1024x1024"]), ["optc", "torch eager"], 1, 3, [])
    header, cell, product = text.splitlines()
    assert header.split()[:4] == ["1", "thread", "optc", "torch"]
    assert re.search(r"torch eager +\S+x +- +35x +(ok|short)$", cell)
    assert re.search(r"torch eager +\S+x +\d+% +93% +(ok|short)$", product)
    assert "bench: cell, 1 threads" in capsys.readouterr().err


def test_an_engine_fails_aloud_and_stands_still_between_its_turns() -> None:
    from bench.processes import EngineError, EngineProcess

    process = EngineProcess("optc", 1)
    try:
        with pytest.raises(EngineError, match="not ready after 0 s"):
            process.prepare("mlp-1", seconds=0)
        with pytest.raises(EngineError, match="KeyError: 'no such workload'"):
            process.prepare("no such workload")
        state = Path(f"/proc/{process.number}/stat")
        if state.exists():
            assert state.read_text(encoding="utf-8").rpartition(") ")[2][0] == "T"
        (result, *_), calls = process.prepare("cell")
        assert result.shape == (3, 4)
        assert 0 < process.sample(calls) < 1
    finally:
        process.close()


def test_the_readme_has_a_row_for_every_workload() -> None:
    readme = (Path(__file__).parent.parent.parent / "README.md").read_text(encoding="utf-8")
    table = readme.partition("<!-- generated: peers -->")[2].partition("<!-- end -->")[0]
    assert [name for name in WORKLOADS if not re.search(rf"^{re.escape(name)} ", table, re.MULTILINE)] == []
