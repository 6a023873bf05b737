"""The regression check: what it counts, how it measures, that it catches a plant and stays quiet otherwise."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path

import numpy as np
import pytest

import optc
from bench import frozen, regression
from bench.counts import TARGETS, counts_of, grown, llvm_instructions, loop_lines, vector_stack_references
from bench.workloads import GUARDED, WORKLOADS, chosen

ASSEMBLY = """
\t.globl\tfirst
first:
\tvmovaps\t%zmm0, 64(%rsp)
.LBB0_1:
\tvmovaps\t64(%rsp), %zmm1
\tmovq\t8(%rsp), %rax
.LBB0_2:
\tvaddps\t%zmm1, %zmm0, %zmm0
\tjne\t.LBB0_2
\tvmovaps\t%ymm1, 32(%rsp)
\tjb\t.LBB0_1
\tjmp\t.LBB0_3
\tvmovaps\t%zmm7, 64(%rsp)
.LBB0_3:
\tretq
\t.size\tfirst, 1
"""


def test_only_what_lies_in_a_loop_is_counted() -> None:
    inside = list(loop_lines(ASSEMBLY))
    assert "\tvaddps\t%zmm1, %zmm0, %zmm0" in inside
    assert "\tvmovaps\t%zmm0, 64(%rsp)" not in inside
    assert "\tvmovaps\t%zmm7, 64(%rsp)" not in inside
    assert vector_stack_references(ASSEMBLY) == 2, "one reload and one spill; the scalar does not count"


def test_labels_of_other_functions_make_no_loops() -> None:
    text = ".LBB0_1:\n\tnop\n\t.size\tfirst, 1\nsecond:\n\tjne\t.LBB0_1\n"
    assert list(loop_lines(text)) == []


def test_llvm_instructions() -> None:
    text = "define i32 @f() {\nstart:\n  %a = add i32 1, 2\n  store i32 %a, ptr %p\n  ; note\n  ret i32 %a\n}\n"
    assert llvm_instructions(text) == 3


def test_grown_counts_are_named() -> None:
    assert grown({"kernels": 2, "nodes": 5}, {"kernels": 1, "nodes": 6}, 0.0) == ["kernels: 2, was 1"]
    assert grown({"nodes": 102}, {"nodes": 100}, 0.05) == []


def test_counts_do_not_depend_on_the_run() -> None:
    workload = WORKLOADS["loop-10"]
    first, second = (optc.compile(workload.program(), tuple(workload.arguments())) for _ in range(2))
    counts = counts_of(first.graph)
    assert counts == counts_of(second.graph)
    assert set(counts) == set(TARGETS)
    assert counts["avx512"]["graph nodes"] > 5
    assert counts["avx512"]["instructions in loops"] > 10


@pytest.mark.parametrize(("llvmlite", "complaints"), [("the same", 2), ("another", 1)])
def test_machine_code_is_compared_for_one_llvm(llvmlite: str, complaints: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regression, "llvm_version", lambda: "the same")
    known = {"graph nodes": 9, "kernels": 0, "instructions in loops": 99}
    monkeypatch.setattr(
        regression, "counts_of", lambda graph: {"avx2": {**known, "kernels": 1, "instructions in loops": 100}}
    )
    baseline = {"llvmlite": llvmlite, "counts": {"cell": {"avx2": {**known, "vector stack references in loops": 0}}}}
    assert len(regression.check_counts(WORKLOADS["cell"], baseline)) == complaints


def test_a_workload_that_was_never_counted_makes_the_baseline_stale() -> None:
    with pytest.raises(frozen.StaleBaseline, match="no counts of cell"):
        regression.check_counts(WORKLOADS["cell"], {"llvmlite": "", "counts": {}})


def test_a_part_of_the_baseline_can_be_taken_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen, "FOLDER", tmp_path / "programs")
    monkeypatch.setattr(regression, "BASELINE", tmp_path / "baseline.json")
    known = {"llvmlite": "old", "ratios": {"call": 1.0}, "counts": {"chain": {}, "cell": {}}}
    regression.BASELINE.write_text(json.dumps(known), encoding="utf-8")
    regression.bless([WORKLOADS["cell"]], is_whole=False)
    found = json.loads(regression.BASELINE.read_text(encoding="utf-8"))
    assert {**found, "counts": {**found["counts"], "cell": {}}} == known
    assert set(found["counts"]["cell"]) == set(TARGETS)
    assert sorted(path.name for path in frozen.FOLDER.iterdir()) == ["cell.avx2.json.gz", "cell.avx512.json.gz"]


@pytest.mark.parametrize(
    ("together", "independent", "is_slower"),
    [(0.55, 0.52, False), (0.7, 0.52, False), (1.0, 0.52, True), (1.0, 0.95, False)],
    ids=["twice as fast", "somewhat faster", "nothing gained", "the other core is busy"],
)
def test_what_a_second_thread_brings(
    together: float, independent: float, is_slower: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = itertools.cycle([together, 1.0, independent, 1.0])
    monkeypatch.setattr(regression, "calls_per_sample", lambda step: 1)
    monkeypatch.setattr(regression, "sample", lambda step, count: next(samples))
    ratio = regression.threads_ratio(WORKLOADS["chain"])
    assert (ratio > regression.THREADED_LIMIT) == is_slower


def test_ratio_of_functions_that_work() -> None:
    ratio = regression.ratio_in_turns(lambda: sum(range(13_000)), lambda: sum(range(10_000)), pairs=9)
    assert 1.15 < ratio < 1.45


def test_waiting_is_no_work() -> None:
    assert regression.processor_time(lambda: time.sleep(0.02), 1) < 0.01


@pytest.mark.parametrize(
    ("measured", "state"),
    [
        ([1.0, 1.1], "ok"),
        ([1.4, 1.0, 1.1], "ok"),
        ([1.3, 1.0, 1.3, 1.2, 1.0, 1.0, 1.2], "SLOWER"),
        ([1.3, 1.2, 1.2, 1.3, 1.2, 1.3, 1.2], "SLOWER"),
        ([1.3, 1.2, 1.0, 1.1, 1.2, 1.1, 1.1], "ok"),
        ([0.5, 0.9, 0.9], "ok"),
    ],
    ids=["fast", "a moment's noise", "a moment's luck", "slow", "memory that lies badly", "once fast"],
)
def test_two_of_three_measurements_have_to_agree_and_four_of_seven_on_what_is_slower(
    measured: list[float], state: str
) -> None:
    left = iter(measured)
    assert regression.judge("work", 1.15, lambda: next(left), stale_below=0.8).state == state
    assert list(left) == []


def test_code_that_is_much_faster_makes_the_baseline_stale() -> None:
    assert regression.judge("fast", 1.15, lambda: 0.5, stale_below=0.8).is_stale


@pytest.mark.parametrize("name", ["cell", "loop-10", "chain"])
def test_frozen_program_computes_what_it_did(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = frozen.host_target_name()
    if target is None:
        pytest.skip("programs are frozen for AVX2 and AVX-512")
    monkeypatch.setattr(frozen, "FOLDER", tmp_path)
    workload = WORKLOADS[name]
    arguments = workload.arguments()
    compiled = optc.compile(workload.program(), tuple(arguments))
    frozen.freeze(workload, target, compiled.graph, compiled.specializations[0].native.signature)
    results = frozen.thaw(workload, target)(*arguments), compiled(*arguments)
    for left, right in zip(*(result if isinstance(result, tuple) else (result,) for result in results)):
        np.testing.assert_allclose(left.detach().numpy(), right.detach().numpy(), rtol=1e-6)


def test_frozen_program_of_another_convention_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workload = WORKLOADS["cell"]
    compiled = optc.compile(workload.program(), tuple(workload.arguments()))
    monkeypatch.setattr(frozen, "FOLDER", tmp_path)
    with pytest.raises(frozen.StaleBaseline, match="is missing"):
        frozen.thaw(workload, "avx512")
    frozen.freeze(workload, "avx512", compiled.graph, compiled.specializations[0].native.signature)
    monkeypatch.setattr(frozen, "convention", lambda: "another")
    with pytest.raises(frozen.StaleBaseline, match="another calling convention"):
        frozen.thaw(workload, "avx512")


def test_unknown_workload_names_those_there_are() -> None:
    with pytest.raises(KeyError, match="loop-1000"):
        chosen(["loops"])


def test_baseline_covers_every_guarded_workload() -> None:
    for workload in chosen(GUARDED):
        assert all(frozen.path_of(workload, target).exists() for target in TARGETS)


@pytest.mark.alone
@pytest.mark.skipif(frozen.host_target_name() is None, reason="there is no baseline for this processor")
@pytest.mark.parametrize("name", ["loop-1000", "rnn-200", "mlp-64", "softmax-1024"])
def test_planted_slowdown_is_caught_and_its_absence_is_not(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workload, target = WORKLOADS[name], frozen.host_target_name() or ""
    monkeypatch.setattr(frozen, "FOLDER", tmp_path)
    compiled, _ = regression.compiled_workload(workload)
    frozen.freeze(workload, target, compiled.graph, compiled.specializations[0].native.signature)
    assert regression.against_frozen(workload, target, plant=1.3).is_slower
    assert not regression.against_frozen(workload, target).is_slower
