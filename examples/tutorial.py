"""The main job, on the networks of networks.py: capture, optimise in view, compile, check, time.

From the project's folder:

    python examples/tutorial.py            every network
    python examples/tutorial.py rnn_loop   one of them, with its code, its optimised graph and what every pass did
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a checkout, installed or not

import optc
from examples import networks
from optc.cli.style import Style, duration, factor, table
from optc.cli.timing import in_turn

SHAPES = {
    "decision_gate": [(3, 4)],
    "rnn_cell": [(3, 4), (3, 4)],
    "traced_cell": [(3, 4), (3, 4)],
    "rnn_loop": [(10, 3, 4)],
    "wrapped_rnn": [(10, 3, 4)],
    "perceptron": [(64, 784)],
    "chain": [(1024, 1024)],
}
"""The networks, and the shapes of their arguments."""

TOLERANCE = 1e-5
CHECKS = 20
STYLE = Style.of(sys.stdout)


def results_of(value):
    """The tensors of a result."""
    return value if isinstance(value, tuple) else (value,)


def largest_error(program, fast, shapes) -> float:
    """Compiled against interpreted, over random inputs that take both sides of the branches."""
    largest = 0.0
    for _ in range(CHECKS if shapes != [(1024, 1024)] else 2):
        inputs = [optc.randn(*shape) for shape in shapes]
        for found, expected in zip(results_of(fast(*inputs)), results_of(program(*inputs))):
            largest = max(largest, (found - expected).abs().max().item())
    return largest


def job(name: str, in_detail: bool) -> list[str]:
    """Take one network all the way; a row of the table."""
    optc.manual_seed(0)
    program = getattr(networks, name)()
    inputs = [optc.randn(*shape) for shape in SHAPES[name]]

    start = time.perf_counter()
    fast = optc.compile(program, fallback="error")
    fast(*inputs)
    first_call = time.perf_counter() - start

    if in_detail:
        show(name, program, fast)
    error = largest_error(program, fast, SHAPES[name])
    if error > TOLERANCE:
        raise SystemExit(f"{name}: compiled and interpreted results differ by {error}")
    times = in_turn({"interpreter": lambda: program(*inputs), "compiled": lambda: fast(*inputs)}, rounds=20)
    changed = [record for record in fast.passes if record.changed]
    return [
        name,
        f"{len(list(program.inlined_graph.walk()))} -> {len(list(fast.graph.walk()))}",
        f"{len(changed)} of {len(fast.passes)}",
        duration(first_call),
        f"{error:.1e}",
        duration(times["interpreter"].median),
        duration(times["compiled"].median),
        factor(times["interpreter"].median / times["compiled"].median),
    ]


def show(name: str, program, fast) -> None:
    """What optc made of a network."""
    print(STYLE.heading(f"{name}: captured"), program.code, sep="\n")
    print(STYLE.heading(f"{name}: passes that changed it"))
    for record in fast.passes:
        if record.changed:
            rewrites = ", ".join(f"{rule} {count}" for rule, count in record.rewrites.items())
            print(f"{record.name:28} {duration(record.seconds):>8}  {rewrites}")
    print(STYLE.heading(f"{name}: optimised"), STYLE.graph(str(fast.graph)), sep="\n")
    print(STYLE.heading(f"{name}: {len(fast.kernels)} kernels"))
    for kernel in fast.kernels:
        print(f"{kernel.name}: {', '.join(kernel.operators)}")
    print()


def main() -> None:
    """Run the job on the networks named on the command line, or on all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"shown in detail: {', '.join(SHAPES)}")
    names = parser.parse_args().networks
    unknown = [name for name in names if name not in SHAPES]
    if unknown:
        parser.error(f"there is no network {unknown[0]}: choose from {', '.join(SHAPES)}")
    rows = [job(name, in_detail=bool(names)) for name in names or SHAPES]
    header = ["", "nodes", "passes at work", "first call", "error", "interpreter", "compiled", "faster"]
    print(table(header, rows, STYLE))


if __name__ == "__main__":
    main()
