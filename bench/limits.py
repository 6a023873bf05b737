"""What recurrent networks take beside what the core takes at least: `python -m bench.limits [--rounds COUNT]`.

An LSTM with one row multiplies all its inputs at once, and then reads a matrix of weights in every step, which cannot
begin before the last one has ended. So it takes no less than these multiply-adds at the peak of the core, and reading the
matrices so often: the very memory in which the program keeps them, back and forth, as its kernels do. How fast that goes
depends on which pages a process has been given, where a matrix is about as large as the second-level cache. What the gates
compute comes on top.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

import optc
from bench import arguments
from optc import nn
from optc.cli.style import Style, duration, table
from optc.cli.timing import in_turn
from optc.runtime.roofs import multiply_add_runner, reading_runner

SIZES = (128, 192, 256, 384)
STEPS, LAYERS = 50, 2
PEAK_TURNS = 1 << 12

Array = np.ndarray[Any, Any]


def packed_weights(compiled: Any, bytes_: int) -> list[Array]:
    """The matrices of so many bytes in the order in which kernels read them, which are flat."""
    constants = compiled.specializations[0].native.constants
    return [array for array in constants if array.nbytes == bytes_ and array.ndim == 1]


def row(size: int, rounds: int) -> list[str]:
    """One line of the table."""
    compiled = optc.compile(nn.LSTM(size, size, LAYERS).eval())
    x = np.random.default_rng(0).standard_normal((STEPS, 1, size), np.float32)
    compiled(x)
    weights = packed_weights(compiled, 4 * size * size * 4)
    calls: dict[str, Callable[[], Any]] = {"lstm": lambda: compiled(x)}
    calls["peak"], operations = multiply_add_runner(PEAK_TURNS)
    calls |= {f"weights {number}": reading_runner(matrix, STEPS, back=True) for number, matrix in enumerate(weights)}
    times = in_turn(calls, rounds)
    products = 2 * LAYERS * STEPS * 4 * size * size / operations * times["peak"].median
    # Half of the matrices are for the inputs; each lies beside one of the others.
    reading = LAYERS * statistics.mean(times[name].median for name in calls if name.startswith("weights"))
    taken = times["lstm"].median
    return [
        str(size), f"{4 * size * size * 4 >> 10} KB", duration(taken), duration(products), duration(reading),
        f"{(products + reading) / taken:.0%}",
    ]  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.limits", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=arguments.count, default=30, help="samples of each (default: %(default)s)")
    rounds = parser.parse_args().rounds
    optc.set_num_threads(1)
    heads = [f"LSTM, {LAYERS} layers, {STEPS} steps", "weights", "optc", "multiply-adds", "reading", "of the limit"]
    print(table(heads, [row(size, rounds) for size in SIZES], Style.of(sys.stdout)))


if __name__ == "__main__":
    main()
