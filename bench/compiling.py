"""How long it takes to compile: `python -m bench.compiling`.

Every row is the median of fresh processes. `import` is what `import optc` takes where numpy is there; `perceptron` the
first result of 784-1024-1024-10 with a batch of 64 behind it, from `optc.compile` on, with an empty disk cache and with
what the last process left there. The other rows are programs of one kernel for shapes that were not seen before, in a
process that has compiled some: from `optc.compile` to the first result, and what of it LLVM took.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from typing import Any

_PROCESSES = 5

_FIRST_RESULT = """
import json, time
import numpy as np
started = time.perf_counter()
import optc
imported = time.perf_counter() - started
from examples.networks import perceptron
optc.manual_seed(0)
module, x = perceptron(), np.ones((64, 784), np.float32)
started = time.perf_counter()
optc.compile(module)(x)
print(json.dumps({"import": imported, "perceptron": time.perf_counter() - started}))
"""

_KERNELS = """
import json, statistics, time
import optc

programs = {
    "x + y": lambda x, y: x + y,
    "gelu": lambda x, y: optc.nn.functional.gelu(x),
    "softmax": lambda x, y: optc.softmax(x, 1),
    "x @ y": lambda x, y: x @ y,
}
taken = {}
for name, program in programs.items():
    samples = []
    for number in range(13):
        x, y = optc.rand(2, 72 + 8 * number, 72 + 8 * number)
        started = time.perf_counter()
        compiled = optc.compile(program, (x, y), cache=False, dynamic=False)
        samples.append((time.perf_counter() - started, compiled.specializations[0].seconds["llvm"]))
    taken[name] = [statistics.median(column) for column in zip(*samples[3:])]
print(json.dumps(taken))
"""


def _run(program: str, folder: str) -> dict[str, Any]:
    """What a fresh process prints that keeps its compiled code in a folder."""
    environment = {**os.environ, "OPTC_CACHE_DIR": folder}
    command = [sys.executable, "-c", program]
    return dict(json.loads(subprocess.run(command, capture_output=True, check=True, env=environment).stdout))


def first_results(processes: int) -> dict[str, float]:
    """Median seconds of the import, and of the first result without and with a cache."""
    runs: dict[str, list[float]] = {"import optc": [], "perceptron, cold": [], "perceptron, from the cache": []}
    for _ in range(processes):
        with tempfile.TemporaryDirectory() as folder:
            cold, cached = (_run(_FIRST_RESULT, folder) for _ in range(2))
        runs["import optc"] += [run["import"] for run in (cold, cached)]
        runs["perceptron, cold"].append(cold["perceptron"])
        runs["perceptron, from the cache"].append(cached["perceptron"])
    return {name: statistics.median(samples) for name, samples in runs.items()}


def kernels(processes: int) -> dict[str, tuple[float, float]]:
    """Median seconds that programs of one kernel take, and what of it LLVM does."""
    with tempfile.TemporaryDirectory() as folder:
        runs = [_run(_KERNELS, folder) for _ in range(processes)]
    return {
        name: (statistics.median(run[name][0] for run in runs), statistics.median(run[name][1] for run in runs))
        for name in runs[0]
    }


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.compiling", description=__doc__)
    parser.add_argument("--processes", type=int, default=_PROCESSES, help="how many per row (default: %(default)s)")
    processes = parser.parse_args().processes
    for name, seconds in first_results(processes).items():
        print(f"{name:28} {1e3 * seconds:6.1f} ms")
    for name, (seconds, llvm) in kernels(processes).items():
        print(f"{name:28} {1e3 * seconds:6.1f} ms, LLVM {1e3 * llvm:.1f}")


if __name__ == "__main__":
    main()
