"""How fast matrix products are, on one thread: `python -m bench.gemm [--odd COUNT] [--seed SEED]`.

Three tables. Large products with constant weights and with two run-time operands, as shares of the multiply-adds that
the core was seen to do in the same turns. Few rows times weights, as bytes of weights per second beside what the core
reads from memory of that size. And products of random odd extents against numpy, called from Python, each compiled for
its shape and once for all shapes. Results are compared with numpy's before anything is timed.
"""

from __future__ import annotations

import argparse
import os
import sys

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import optc
from bench import arguments
from bench.workloads import PRODUCTS
from optc import nn
from optc.cli.style import Style, duration, table
from optc.cli.timing import in_turn
from optc.runtime.roofs import multiply_add_runner, read_rate

ROUNDS = 9
PEAK_TURNS = 1 << 12
ODD_EXTENT = 200
LIMIT = "multiply-adds"
"""The row of what no product can be faster than."""

SKINNY = ((256, 256), (1024, 1024), (1024, 4096), (4096, 8192))
"""K and N of the weights that few rows are multiplied by: in the second-level cache, the third, memory."""

Array = np.ndarray[Any, Any]


class Weights(nn.Module):
    """A product with constant weights."""

    def __init__(self, weights: Array) -> None:
        super().__init__()
        self.weights = nn.Parameter(optc.from_numpy(weights))

    def forward(self, x):  # type: ignore[no-untyped-def]  # compiled from this source
        return x @ self.weights


def multiply(x, y):  # type: ignore[no-untyped-def]  # compiled from this source
    """A product of two run-time operands."""
    return x @ y


def compiled_weights(weights: Array) -> Any:
    """The compiled product with these weights."""
    return optc.compile(Weights(weights))


def checked(function: Callable[..., Any], *arguments: Array) -> Callable[[], Any]:
    """A call that has been seen to give what numpy gives. The last argument is the right-hand matrix."""
    left, right = arguments[0], arguments[-1]
    passed = arguments if function is np.matmul or isinstance(function, Runtime) else arguments[:1]
    got = np.asarray(function(*passed), np.float64)
    bound = 2 * left.shape[1] * np.finfo(np.float32).eps * (np.abs(left) @ np.abs(right)) + 1e-30
    assert (np.abs(got - left.astype(np.float64) @ right.astype(np.float64)) <= bound).all()
    return lambda: function(*passed)


class Runtime:
    """A compiled product of two run-time operands."""

    def __init__(self, dynamic: bool = False) -> None:
        self.function = optc.compile(multiply, dynamic=True) if dynamic else optc.compile(multiply)

    def __call__(self, left: Array, right: Array) -> Any:
        return self.function(left, right)


def large() -> str:
    """GFLOP/s of large products and their shares of the peak."""
    rows = []
    generator = np.random.default_rng(0)
    peak, peak_operations = multiply_add_runner(PEAK_TURNS)
    for m, n, k in PRODUCTS:
        left = generator.standard_normal((m, k), np.float32)
        right = generator.standard_normal((k, n), np.float32)
        calls = {
            "weights": checked(compiled_weights(right), left, right),
            "both run-time": checked(Runtime(), left, right),
            "numpy": checked(np.matmul, left, right),
            "peak": peak,
        }
        times = in_turn(calls, ROUNDS)
        rates = {name: 2 * m * n * k / times[name].median / 1e9 for name in calls}
        rates["peak"] = peak_operations / times["peak"].median / 1e9
        shares = [f"{rates[name]:.0f} ({rates[name] / rates['peak']:.0%})" for name in calls if name != "peak"]
        rows.append([f"{m} x {n} x {k}", *shares, f"{rates['peak']:.0f}"])
    return table(["GFLOP/s", "weights", "both run-time", "numpy", "peak"], rows, Style.of(sys.stdout))


def skinny() -> str:
    """Gigabytes of weights per second for few rows, beside what the core reads."""
    rows = []
    generator = np.random.default_rng(0)
    for k, n in SKINNY:
        right = generator.standard_normal((k, n), np.float32)
        calls = {}
        for m in (1, 2, 4, 6):
            left = generator.standard_normal((m, k), np.float32)
            calls[str(m)] = checked(compiled_weights(right), left, right)
        times = in_turn(calls, ROUNDS)
        rates = [f"{right.nbytes / times[name].median / 1e9:.0f}" for name in calls]
        rows.append([f"{k} x {n}", *rates, f"{read_rate(right.nbytes) / 1e9:.0f}"])
    return table(["GB/s", "1 row", "2 rows", "4 rows", "6 rows", "reading"], rows, Style.of(sys.stdout))


def odd(count: int, seed: int) -> str:
    """Products of random extents from 1 to 200: numpy's time over optc's, by the median of a few turns."""
    generator = np.random.default_rng(seed)
    any_shape = Runtime(dynamic=True)
    ratios: dict[str, list[tuple[float, str]]] = {"its own shape": [], "all shapes": [], LIMIT: []}
    peak, peak_operations = multiply_add_runner(PEAK_TURNS)
    for _ in range(count):
        m, n, k = map(int, generator.integers(1, ODD_EXTENT + 1, 3))
        left = generator.standard_normal((m, k), np.float32)
        right = generator.standard_normal((k, n), np.float32)
        calls = {
            "its own shape": checked(Runtime(), left, right),
            "all shapes": checked(any_shape, left, right),
            "numpy": checked(np.matmul, left, right),
            "peak": peak,
        }
        times = in_turn(calls, 3)
        best = {name: times[name].best for name in calls}
        best[LIMIT] = 2 * m * n * k * best["peak"] / peak_operations
        for name, found in ratios.items():
            text = f"{m} x {n} x {k} ({duration(best[name])}, numpy {duration(best['numpy'])})"
            found.append((best["numpy"] / best[name], text))
    rows = [[name, *_statistics(found)] for name, found in ratios.items()]
    title = [f"numpy / optc, {count} odd shapes", "geometric mean", "below 0.9", "worst", "where"]
    return table(title, rows, Style.of(sys.stdout))


def _statistics(found: Sequence[tuple[float, str]]) -> list[str]:
    worst, where = min(found)
    mean = float(np.exp(np.mean([np.log(ratio) for ratio, _ in found])))
    return [f"{mean:.2f}", str(sum(ratio < 0.9 for ratio, _ in found)), f"{worst:.2f}", where]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.gemm", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--odd", type=arguments.count, default=100, metavar="COUNT", help="how many odd shapes (default: 100)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the odd shapes")
    options = parser.parse_args()
    optc.set_num_threads(1)
    print(large(), end="\n\n", flush=True)
    print(skinny(), end="\n\n", flush=True)
    print(odd(options.odd, options.seed))


if __name__ == "__main__":
    main()
