"""One table of optc against its peers, by number of threads: `python -m bench.peers [NAME...]`.

The peers are PyTorch (eager, TorchScript frozen, Inductor with freezing and max-autotune), ONNX Runtime and OpenVINO,
each in its best configuration (`bench/engines.py`) and in a process of its own, which stands still while another's turn
is (`bench/processes.py`). Outputs are compared with optc's before anything is timed, then the engines take turns, and
medians are shown with the ratio of the best peer to optc, what that ratio should be, and for products the share of the
multiply-adds that a core was seen to do in the same turns. An engine that cannot run a program says why below the table.
Small products of odd extents are held against numpy (`bench/gemm.py`).
Needs `pip install .[peers]`; `python docs/generate.py peers` writes the table into the README.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import numpy as np

import optc
from bench import arguments
from bench.processes import PREPARATION_SECONDS, Arrays, EngineError, EngineProcess, in_turn
from bench.workloads import SHARE_OF_PEAK, WORKLOADS, Workload, chosen
from optc.cli.style import Style, duration, factor, table
from optc.cli.timing import Times
from optc.runtime.roofs import multiply_add_runner, processor_name
from optc.thread_count import usable_processors

ENGINES = ("optc", "torch eager", "TorchScript", "Inductor", "ONNX Runtime", "OpenVINO")
"""Of `bench/engines.py`, which imports the peers."""

TOLERANCE = 1e-4

ODD_PRODUCTS = 100
"""How many products of odd extents are held against numpy; `python -m bench.gemm --odd 500` takes more."""

PEAK = "peak"
PEAK_TURNS = 1 << 12
"""Multiply-adds per call of the probe: long enough to be at full speed, short enough to be one of many samples."""


@contextmanager
def started(engines: Sequence[str], threads: int) -> Iterator[list[EngineProcess]]:
    """A process for each engine; they end with the block."""
    processes: list[EngineProcess] = []
    try:
        for name in engines:
            processes.append(EngineProcess(name, threads))
        yield processes
    finally:
        for process in processes:
            process.close()


def agrees(found: Arrays, expected: Arrays) -> bool:
    """True when two results are the same up to rounding."""
    return len(found) == len(expected) and all(
        left.shape == right.shape and np.allclose(left, right, rtol=TOLERANCE, atol=TOLERANCE)
        for left, right in zip(found, expected)
    )


def prepare(workload: Workload, engines: Sequence[EngineProcess], notes: list[str]) -> dict[EngineProcess, int]:
    """The engines that can run the program and agree with optc, with the calls of a sample; the reasons of the others
    go to `notes`. optc comes first. Raises EngineError where optc cannot run the program."""
    ready: dict[EngineProcess, int] = {}
    expected: Arrays | None = None
    for process in engines:
        try:
            results, calls = process.prepare(workload.name, PREPARATION_SECONDS)
        except EngineError as error:
            if process.engine == "optc":
                raise
            notes.append(f"{workload.name}, {process.engine}: {error}")
            continue
        expected = results if expected is None else expected
        if agrees(results, expected):
            ready[process] = calls
        else:
            notes.append(f"{workload.name}, {process.engine}: the result differs from optc's")
    return ready


def measured(
    workload: Workload, engines: Sequence[EngineProcess], threads: int, rounds: int, notes: list[str]
) -> Mapping[str, Times]:
    """The times of the engines that can run the program; for a product also of PEAK, as many multiply-adds as it has
    on a core that does nothing else."""
    ready = prepare(workload, engines, notes)
    probes: dict[str, Callable[[], Any]] = {}
    if workload.flops:
        probes[PEAK], operations = multiply_add_runner(PEAK_TURNS)
    times = in_turn(ready, rounds, probes)
    if PEAK in times:
        scale = workload.flops / operations / threads
        times[PEAK] = Times(tuple(seconds * scale for seconds in times[PEAK].samples))
    return times


def row(workload: Workload, engines: Sequence[EngineProcess], threads: int, rounds: int, notes: list[str]) -> list[str]:
    """One line of the table."""
    times = measured(workload, engines, threads, rounds, notes)
    base = times["optc"].median
    peers = {name: taken.median for name, taken in times.items() if name not in ("optc", PEAK)}
    best = min(peers, key=lambda name: peers[name]) if peers else ""
    ratio = peers[best] / base if peers else None
    share = times[PEAK].median / base if PEAK in times else None
    shown = "-" if share is None else f"{share:.0%}"
    return [
        workload.name,
        *(duration(times[process.engine].median) if process.engine in times else "-" for process in engines),
        best or "-",
        "-" if ratio is None else factor(ratio),
        shown,
        *judged(workload.reach.get(threads), ratio, SHARE_OF_PEAK if threads == 1 else None, share),
    ]


def judged(reach: float | None, ratio: float | None, peak: float | None, share: float | None) -> tuple[str, str]:
    """What should be reached, and whether it is: a ratio to the best peer, or for a product a share of the peak."""
    wanted, found = (reach, ratio) if share is None else (peak, share)
    if wanted is None:
        return "-", ""
    text = factor(wanted) if share is None else f"{wanted:.0%}"
    return text, "" if found is None else "ok" if found >= wanted else "short"


def rows_for(workloads: Sequence[Workload], threads: int, is_named: bool) -> list[Workload]:
    """The rows to show: those that were named, else those from which something is expected with so many threads."""
    return [workload for workload in workloads if is_named or workload.flops or threads in workload.reach]


def compare_engines(
    workloads: Sequence[Workload], engines: Sequence[str], threads: int, rounds: int, notes: list[str]
) -> str:
    """The table for one number of threads; what could not be run goes to `notes`."""
    rows: list[list[str]] = []
    with started(engines, threads) as processes:
        for workload in workloads:
            print(f"bench: {workload.name}, {threads} threads ...", file=sys.stderr, flush=True)
            rows.append(row(workload, processes, threads, rounds, notes))
    title = "1 thread" if threads == 1 else f"{threads} threads"
    return table([title, *engines, "best peer", "ratio", "of peak", "reach", ""], rows, Style.of(sys.stdout))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "workloads",
        nargs="*",
        type=arguments.workload,
        help=f"which (default: all; `softmax-` means all that start so): {', '.join(WORKLOADS)}",
    )
    parser.add_argument(
        "--engines",
        type=arguments.names_out_of(ENGINES),
        default=",".join(ENGINES),
        help="which, separated by commas (default: %(default)s)",
    )
    parser.add_argument(
        "--threads", type=arguments.counts, default="1,2", help="numbers of threads (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=arguments.count, default=30, help="samples per engine (default: %(default)s)")
    options = parser.parse_args()
    engines = ["optc", *(name for name in options.engines if name != "optc")]
    print(f"{processor_name()}, {usable_processors()} cores, median of {options.rounds} turns")
    print(
        f"optc {optc.__version__}, torch {version('torch')}, ONNX Runtime {version('onnxruntime')}, "
        f"OpenVINO {version('openvino')}"
    )
    notes: list[str] = []
    for threads in options.threads:
        workloads = rows_for(chosen(options.workloads), threads, bool(options.workloads))
        print(compare_engines(workloads, engines, threads, options.rounds, notes), flush=True)
    if not options.workloads:
        print(odd_products(), flush=True)
    print("\n".join(notes))


def odd_products() -> str:
    """Small matrix products of random extents against numpy, whose BLAS must be told its threads before it loads."""
    program = f"from bench.gemm import odd; print(odd({ODD_PRODUCTS}, seed=0))"
    alone = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPTC_NUM_THREADS": "1"}
    finished = subprocess.run([sys.executable, "-c", program], env=alone, stdout=subprocess.PIPE, text=True, check=True)
    return finished.stdout.rstrip()


if __name__ == "__main__":
    main()
