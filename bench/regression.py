"""The performance-regression check: `python -m bench.regression`; `--bless` takes a new baseline.

Made for machines that are shared and never quiet, and for more than one kind of machine:

* times are ratios. Every workload takes turns with the program that optc generated for it when the baseline was taken
  (`bench/frozen.py`): the same kind of work on the same machine in the same moment, so the ratio is 1 everywhere.
* times are the processor's, not the clock's, so that waiting for other programs is no work; the order within a pair
  is drawn, so that no rhythm of the machine falls in with it; and two of three measurements have to agree.
* the cost of a call from Python and of a first compilation have no frozen twin. They take turns with work of their
  character (two small numpy arrays; LLVM compiling a frozen program), and the ratio is held against the baseline's,
  with more room.
* what a second thread brings is held against what it brings to two loops of multiply-adds that share nothing, in
  the same moment: where other programs keep the second core busy, both lose.
* counts (`bench/counts.py`) do not jitter at all.

All but the threads is measured on one thread. What a second thread brings is measured by the clock.

`--plant 1.3` gives every workload that has steps or rows 1.3 times as many, to see the check fail.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import optc
from bench import arguments, frozen
from bench.counts import OF_MACHINE_CODE, TARGETS, counts_of, grown, llvm_version
from bench.workloads import GUARDED, WORKLOADS, Workload, chosen
from optc.cli.timing import calls_per_sample, sample
from optc.codegen.machine import jit
from optc.runtime.collector import collector_paused
from optc.runtime.roofs import multiply_add_runner
from optc.thread_count import usable_processors

BASELINE = Path(__file__).parent / "baseline.json"

PAIRS = 80

FROZEN_TOLERANCE = 1.15
"""Against frozen code: identical code measured at most 1.09 in ten runs beside busy neighbours."""

STALE_BELOW = 0.8
"""Code that is so much faster than its baseline could lose 1.3x unnoticed: take a new baseline."""

ANCHORED_TOLERANCE = 1.6
"""Against work of another kind, whose ratio differs between processors and Python versions."""

COUNT_ALLOWANCE = 0.0

THREADED = ("mlp-64", "chain")
"""The workloads whose gain from a second thread is held."""

THREADED_LIMIT = 1.4
"""Against independent loops: 1 is perfect, 1.9 is nothing gained; loose, because a call waits for its slower thread."""

THREADED_PAIRS = 60

INDEPENDENT_TURNS = 1 << 18
"""Turns of the probe's loop: some milliseconds, so that starting threads costs nothing beside them."""

LOOP = "loop-1000"

Runner = Callable[[], Any]


@dataclass(frozen=True)
class Verdict:
    """One measured ratio, and the largest and smallest that pass."""

    name: str
    ratio: float
    limit: float
    stale_below: float = 0.0

    @property
    def is_slower(self) -> bool:
        return self.ratio > self.limit

    @property
    def is_stale(self) -> bool:
        return self.ratio < self.stale_below

    @property
    def state(self) -> str:
        if self.is_slower:
            return "SLOWER"
        return "much faster: take a new baseline (--bless)" if self.is_stale else "ok"

    def __str__(self) -> str:
        return f"{self.name:28} {self.ratio:7.3f}  (limit {self.limit:.2f})  {self.state}"


def processor_time(run: Runner, count: int) -> float:
    """Seconds per call over `count` calls that the processor worked for this process."""
    start = time.process_time()
    for _ in range(count):
        run()
    return (time.process_time() - start) / count


def ratio_in_turns(run: Runner, reference: Runner, pairs: int = PAIRS) -> float:
    """The median over many pairs of the time of `run` over that of `reference`, taken right after one another."""
    counts = calls_per_sample(run), calls_per_sample(reference)
    draw = random.Random(0)
    ratios: list[float] = []
    gc.collect()
    with collector_paused():
        for _ in range(pairs):
            order = draw.sample((0, 1), 2)
            taken = {index: processor_time((run, reference)[index], counts[index]) for index in order}
            ratios.append(taken[0] / taken[1])
    return statistics.median(ratios)


def judge(name: str, limit: float, measure: Callable[[], float], stale_below: float = 0.0) -> Verdict:
    """The median of three measurements; the third is left out where the first two say the same.

    What is called slower is so by the median of seven: equal code differs by more than a tenth where memory lies badly.
    """
    verdicts = [Verdict(name, measure(), limit, stale_below) for _ in range(2)]
    if verdicts[0].state != verdicts[1].state:
        verdicts.append(Verdict(name, measure(), limit, stale_below))
    if _middle(verdicts).is_slower:
        verdicts += [Verdict(name, measure(), limit, stale_below) for _ in range(7 - len(verdicts))]
    return _middle(verdicts)


def _middle(verdicts: Sequence[Verdict]) -> Verdict:
    return sorted(verdicts, key=lambda verdict: verdict.ratio)[len(verdicts) // 2]


def compiled_workload(workload: Workload, plant: float = 1.0) -> tuple[Any, list[Any]]:
    """The compiled program and its arguments; a plant makes the sequence longer, or the matrix higher."""
    arguments = workload.arguments()
    if len(arguments) == 1 and plant != 1.0:
        rows, *others = workload.shapes[0]
        arguments = [optc.from_numpy(np.resize(arguments[0].numpy(), (round(rows * plant), *others)))]
    compiled = optc.compile(workload.program(), fallback="error", threads=1)
    compiled(*arguments)
    return compiled, arguments


def against_frozen(workload: Workload, target: str, plant: float = 1.0) -> Verdict:
    """The workload against the code that optc once generated for it."""
    return judge(workload.name, FROZEN_TOLERANCE, lambda: frozen_ratio(workload, target, plant), STALE_BELOW)


def frozen_ratio(workload: Workload, target: str, plant: float) -> float:
    """The time of a call over that of the frozen program.

    Both are loaded anew every time: where their memory happens to lie makes a tenth of the time of a row kernel.
    """
    compiled, arguments = compiled_workload(workload, plant)
    original = arguments if plant == 1.0 else workload.arguments()
    reference = frozen.thaw(workload, target)
    return ratio_in_turns(lambda: compiled(*arguments), lambda: reference(*original))


def call_ratio() -> float:
    """A call of the compiled cell, in units of making two small numpy arrays."""
    compiled, arguments = compiled_workload(WORKLOADS["cell"])
    return ratio_in_turns(lambda: compiled(*arguments), lambda: (np.empty((3, 4)), np.empty((3, 4))))


def threads_ratio(workload: Workload) -> float:
    """The time on two threads over that on one, in units of the same ratio of independent loops."""
    arguments = workload.arguments()
    alone, together = (optc.compile(workload.program(), fallback="error", threads=threads) for threads in (1, 2))
    run, _ = multiply_add_runner(INDEPENDENT_TURNS)
    half, _ = multiply_add_runner(INDEPENDENT_TURNS // 2)
    ratios: list[float] = []
    with ThreadPoolExecutor(2) as pool:
        steps: list[Runner] = [
            lambda: together(*arguments), lambda: alone(*arguments),
            lambda: [waiting.result() for waiting in [pool.submit(half), pool.submit(half)]], run,
        ]  # fmt: skip
        counts = [calls_per_sample(step) for step in steps]
        for _ in range(THREADED_PAIRS):
            mine, base, best, best_base = (sample(step, count) for step, count in zip(steps, counts))
            ratios.append(mine / base / (best / best_base))
    return statistics.median(ratios)


@contextmanager
def no_object_cache() -> Iterator[None]:
    """Nothing is read from or written to the disk cache."""
    before = os.environ.get("OPTC_CACHE")
    os.environ["OPTC_CACHE"] = "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ["OPTC_CACHE"]
        else:
            os.environ["OPTC_CACHE"] = before


def first_call_ratio(target: str) -> float:
    """Compiling and calling the loop for the first time, in units of what LLVM takes for its frozen code."""
    workload = WORKLOADS[LOOP]
    program, arguments = workload.program(), workload.arguments()
    texts = frozen.texts_of(workload, target)
    with no_object_cache():
        return ratio_in_turns(
            lambda: optc.compile(program, fallback="error")(*arguments),
            lambda: [jit.compile_module(text) for text in texts],
            pairs=10,
        )


def anchored_ratios(target: str) -> dict[str, Callable[[], float]]:
    """What is measured against work of another kind."""
    return {"call of the cell": call_ratio, "first call of the loop": lambda: first_call_ratio(target)}


def threaded_ratios() -> dict[str, Callable[[], float]]:
    """What is measured on two threads; nothing where this process may not use two."""
    if usable_processors() < 2:
        return {}
    return {f"{name}, second thread": partial(threads_ratio, WORKLOADS[name]) for name in THREADED}


def check_counts(workload: Workload, baseline: dict[str, Any]) -> list[str]:
    """The counts that have grown, per target. Raises StaleBaseline when there are none to compare with."""
    if workload.name not in baseline["counts"]:
        raise frozen.StaleBaseline(f"it has no counts of {workload.name}")
    compiled, _ = compiled_workload(workload)
    complaints: list[str] = []
    for target, found in counts_of(compiled.graph).items():
        known = dict(baseline["counts"][workload.name][target])
        if baseline["llvmlite"] != llvm_version():
            for name in OF_MACHINE_CODE:
                del known[name]
        complaints.extend(f"{workload.name}, {target}, {text}" for text in grown(found, known, COUNT_ALLOWANCE))
    return complaints


def check(workloads: Sequence[Workload], plant: float = 1.0) -> bool:
    """Print every verdict; True when nothing is slower or larger than the baseline, which is still of use.

    Raises StaleBaseline when it cannot be used at all.
    """
    baseline = json.loads(BASELINE.read_text(encoding="utf-8"))
    complaints = [text for workload in workloads for text in check_counts(workload, baseline)]
    print("\n".join(f"count grown: {text}" for text in complaints) or "counts: ok")
    if baseline["llvmlite"] != llvm_version():
        print(f"counts of machine code: not checked, the baseline was taken with llvmlite {baseline['llvmlite']}")
    target = frozen.host_target_name()
    if target is None:
        print("times: not checked, there is no baseline for the vectors of this processor")
        return not complaints
    verdicts: list[Verdict] = []
    for workload in workloads:
        verdicts.append(against_frozen(workload, target, plant))
        print(verdicts[-1], flush=True)
    for name, measure in anchored_ratios(target).items():
        verdicts.append(judge(name, baseline["ratios"][name] * ANCHORED_TOLERANCE, measure))
        print(verdicts[-1], flush=True)
    for name, measure in threaded_ratios().items():
        verdicts.append(judge(name, THREADED_LIMIT, measure))
        print(verdicts[-1], flush=True)
    return not complaints and not any(verdict.is_slower or verdict.is_stale for verdict in verdicts)


def bless(workloads: Sequence[Workload], is_whole: bool = True) -> None:
    """Take a new baseline: freeze the programs for every target, count, and measure the other ratios here.

    One that is not whole adds these workloads to the baseline there is, or replaces them in it.
    """
    baseline = {} if is_whole else json.loads(BASELINE.read_text(encoding="utf-8"))
    counts: dict[str, Any] = baseline.setdefault("counts", {})
    for workload in workloads:
        compiled, _ = compiled_workload(workload)
        counts[workload.name] = counts_of(compiled.graph)
        signature = compiled.specializations[0].native.signature
        for name in TARGETS:
            frozen.freeze(workload, name, compiled.graph, signature)
    if is_whole:
        baseline.update(processor=jit.host_target().cpu, llvmlite=llvm_version(), ratios=measured_ratios())
    BASELINE.write_text(json.dumps(baseline, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    print(f"wrote {BASELINE} and {len(workloads) * len(TARGETS)} programs in {frozen.FOLDER}")


def measured_ratios() -> dict[str, float]:
    """What the baseline knows about the ratios that are not to frozen programs."""
    here = frozen.host_target_name()
    if here is None:
        raise SystemExit("a baseline can only be taken on a processor with AVX2 or AVX-512")
    return {name: round(measure(), 2) for name, measure in anchored_ratios(here).items()}


def main() -> int:
    """Run the check. Exit code 1 when something is slower."""
    parser = argparse.ArgumentParser(prog="python -m bench.regression", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "workloads", nargs="*", type=arguments.workload, help="names of workloads (default: those that are guarded)"
    )
    parser.add_argument("--bless", action="store_true", help="take a new baseline")
    parser.add_argument(
        "--plant", type=float, default=1.0, metavar="FACTOR", help="give programs so many times the work"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        os.environ["OPTC_CACHE_DIR"] = cache
        if options.bless:
            bless(chosen(options.workloads or GUARDED), is_whole=not options.workloads)
            return 0
        try:
            passed = check(chosen(options.workloads or GUARDED), options.plant)
        except frozen.StaleBaseline as reason:
            print(f"the baseline does not fit this version: {reason}; take a new one with --bless")
            return 1
    print(
        "no regression"
        if passed
        else "FAILED: see the lines above; python -m bench.regression --bless takes a new baseline"
    )
    return 0 if passed else 1


if __name__ == "__main__":
    raise SystemExit(main())
