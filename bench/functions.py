"""Elementwise functions against PyTorch eager and numpy, one thread: `python -m bench.functions [NAME...] [--double]`.

Nanoseconds for an element of an array that fits the second cache; outputs are compared before anything is timed, then
the three take turns and medians are shown. Needs PyTorch.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import optc
from bench import arguments
from optc.cli.style import Style, factor, table
from optc.cli.timing import in_turn

Array = np.ndarray[Any, Any]
ELEMENTS = 1 << 15
ROUNDS = 7
TOLERANCE = 1e-5

POSITIVE = ("log", "log2", "log10", "lgamma", "digamma", "sqrt", "rsqrt")
UNIT = ("asin", "acos", "atanh", "erfinv", "log1p")
NAMES = (
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "rsqrt", "reciprocal", "sigmoid", "tanh", "sin", "cos",
    "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "erf", "erfc", "erfinv", "lgamma", "digamma",
    "gelu", "silu", "softplus", "mish", "pow", "atan2", "fmod", "remainder",
)  # fmt: skip
BINARY = ("pow", "atan2", "fmod", "remainder")
NETWORK = ("gelu", "silu", "softplus", "mish")


def operands(name: str, dtype: Any) -> list[Array]:
    """Arguments where the function is defined and the usual code path is taken."""
    random = np.random.default_rng(0)
    if name in UNIT:
        return [random.uniform(-0.95, 0.95, ELEMENTS).astype(dtype)]
    if name in POSITIVE or name in BINARY or name == "acosh":
        return [random.uniform(1.05, 9.0, ELEMENTS).astype(dtype) for _ in range(2 if name in BINARY else 1)]
    return [random.normal(0.0, 2.0, ELEMENTS).astype(dtype)]


def of(library: Any, name: str) -> Callable[..., Any]:
    """The function of optc or torch with a name."""
    function: Callable[..., Any] = getattr(library.nn.functional if name in NETWORK else library, name)
    return function


def runners(name: str, dtype: Any) -> dict[str, Callable[[], Any]]:
    """One call of each library that has the function."""
    arrays = operands(name, dtype)
    tensors = [torch.from_numpy(array) for array in arrays]
    mine, theirs = of(optc, name), of(torch, name)
    compiled = optc.compile(optc.jit.trace(mine, tuple(map(optc.from_numpy, arrays))), fallback="error")
    found: dict[str, Callable[[], Any]] = {"optc": lambda: compiled(*arrays), "torch": lambda: theirs(*tensors)}
    numpy_name = {"pow": "power", "asin": "arcsin", "acos": "arccos", "atan": "arctan", "atan2": "arctan2",
                  "asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh"}.get(name, name)  # fmt: skip
    if hasattr(np, numpy_name):
        function = getattr(np, numpy_name)
        found["numpy"] = lambda: function(*arrays)
    return found


def main() -> int:
    """Print one line per function; 1 where results differ."""
    parser = argparse.ArgumentParser(prog="python -m bench.functions", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        type=arguments.name_out_of(NAMES),
        default=NAMES,
        metavar="NAME",
        help=f"which (default: all): {', '.join(NAMES)}",
    )
    parser.add_argument("--double", action="store_true", help="float64 instead of float32")
    options = parser.parse_args()
    torch.set_num_threads(1)
    optc.set_num_threads(1)
    rows, wrong = [], 0
    for name in options.names:
        chosen = runners(name, np.float64 if options.double else np.float32)
        mine, theirs = np.asarray(chosen["optc"]()), chosen["torch"]().numpy()
        same = np.allclose(mine, theirs, rtol=TOLERANCE, atol=TOLERANCE)
        wrong += not same
        times = in_turn(chosen, ROUNDS)
        medians = {engine: times[engine].median * 1e9 / ELEMENTS for engine in chosen}
        shown = [f"{medians[engine]:.3f}" if engine in medians else "-" for engine in ("optc", "torch", "numpy")]
        rows.append(
            [
                name,
                *shown,
                factor(min(medians["torch"], medians.get("numpy", math.inf)) / medians["optc"]),
                "" if same else "differs",
            ]
        )
    header = ["ns per element", "optc", "torch", "numpy", "ratio", ""]
    print(table(header, rows, Style.of(sys.stdout)))
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
