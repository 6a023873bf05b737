"""One table of optc against PyTorch (eager, TorchScript, Inductor) and ONNX Runtime: `python -m bench.peers`.

Every engine gets the same weights and inputs and one thread. Outputs are compared with optc's before anything is timed,
then the engines take turns, and medians are shown with their ratio to optc. An engine that cannot run a program says
why below the table. Needs `pip install torch==2.13.0` and `pip install .[peers]`.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import numpy as np
import onnxruntime
import torch

import optc
from bench.workloads import Workload, chosen
from examples import networks
from optc.cli.style import Style, duration, factor, table
from optc.cli.target import run_file
from optc.cli.timing import in_turn

TOLERANCE = 1e-4
PREPARATION_SECONDS = 120

Runner = Callable[[], Any]


class TooSlow(Exception):
    """An engine did not get ready in time."""


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Raise TooSlow in the main thread after so many seconds (where the system has alarms)."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def expire(number: int, frame: FrameType | None) -> None:
        raise TooSlow(f"not ready after {seconds} s")

    previous = signal.signal(signal.SIGALRM, expire)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


@cache
def torch_networks() -> ModuleType:
    """examples/networks.py with its one import changed: the same classes, of torch."""
    source = Path(networks.__file__).read_text(encoding="utf-8")
    path = Path(tempfile.mkdtemp()) / "torch_networks.py"
    path.write_text(source.replace("import optc as torch", "import torch"), encoding="utf-8")
    return run_file(path)


def copied_weights(workload: Workload) -> Any:
    """The plain torch module with the weights of optc's."""
    module = workload.plain(torch_networks())
    state = workload.program().state_dict()
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            tensor.copy_(torch.from_numpy(state[name].numpy()))
    return module


def optc_compiled(workload: Workload) -> Runner:
    """What a user of optc calls."""
    compiled = optc.compile(workload.program(), fallback="error")
    arguments = workload.arguments()
    return lambda: compiled(*arguments)


def torch_arguments(workload: Workload) -> list[Any]:
    return [torch.from_numpy(array) for array in workload.arrays()]


def torch_eager(workload: Workload) -> Runner:
    """The plain module."""
    module, arguments = copied_weights(workload), torch_arguments(workload)
    return lambda: module(*arguments)


def torch_script(workload: Workload) -> Runner:
    """Scripted, frozen and optimised for inference."""
    scripted = torch.jit.script(copied_weights(workload))
    module = torch.jit.optimize_for_inference(torch.jit.freeze(scripted))
    arguments = torch_arguments(workload)
    return lambda: module(*arguments)


def torch_inductor(workload: Workload) -> Runner:
    """`torch.compile` with its defaults."""
    module, arguments = torch.compile(copied_weights(workload)), torch_arguments(workload)
    return lambda: module(*arguments)


def onnx_runtime(workload: Workload) -> Runner:
    """Exported from the scripted module, all of ONNX Runtime's optimisations on."""
    scripted = torch.jit.script(copied_weights(workload))
    path = Path(tempfile.mkdtemp()) / "model.onnx"
    torch.onnx.export(scripted, tuple(torch_arguments(workload)), path, dynamo=False, opset_version=17)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feeds = {entry.name: array for entry, array in zip(session.get_inputs(), workload.arrays())}
    return lambda: session.run(None, feeds)


ENGINES: dict[str, Callable[[Workload], Runner]] = {
    "optc": optc_compiled,
    "torch eager": torch_eager,
    "TorchScript": torch_script,
    "Inductor": torch_inductor,
    "ONNX Runtime": onnx_runtime,
}


def as_arrays(result: Any) -> list[np.ndarray[Any, Any]]:
    """The tensors of a result, of whatever library."""
    items = result if isinstance(result, tuple | list) else [result]
    return [item if isinstance(item, np.ndarray) else item.detach().numpy() for item in items]


def agrees(found: Any, expected: Any) -> bool:
    """True when two results are the same up to rounding."""
    mine, theirs = as_arrays(found), as_arrays(expected)
    return len(mine) == len(theirs) and all(
        left.shape == right.shape and np.allclose(left, right, rtol=TOLERANCE, atol=TOLERANCE)
        for left, right in zip(mine, theirs)
    )


def prepare(workload: Workload, engines: Sequence[str], notes: list[str]) -> dict[str, Runner]:
    """The engines that can run the program and agree with optc; the reasons of the others go to `notes`."""
    ready: dict[str, Runner] = {}
    expected: Any = None
    for name in engines:
        try:
            with time_limit(PREPARATION_SECONDS):
                runner = ENGINES[name](workload)
                for _ in range(4):  # TorchScript's executor specialises in its first calls
                    result = runner()
        except Exception as error:
            if name == "optc":
                raise
            notes.append(f"{workload.name}, {name}: {type(error).__name__}: {str(error).strip().splitlines()[0][:150]}")
            continue
        expected = result if expected is None else expected
        if agrees(result, expected):
            ready[name] = runner
        else:
            notes.append(f"{workload.name}, {name}: the result differs from optc's")
    return ready


def row(workload: Workload, engines: Sequence[str], rounds: int, notes: list[str]) -> list[str]:
    """One line of the table: times, and how often optc fits into them."""
    times = in_turn(prepare(workload, engines, notes), rounds)
    base = times["optc"].median
    cells = [workload.name]
    for name in engines:
        if name not in times:
            cells.append("-")
        elif name == "optc":
            cells.append(duration(base))
        else:
            cells.append(f"{duration(times[name].median)} ({factor(times[name].median / base)})")
    return cells


def compare_engines(workloads: Sequence[Workload], engines: Sequence[str], rounds: int) -> str:
    """The table, and below it what could not be run."""
    notes: list[str] = []
    rows: list[list[str]] = []
    with torch.inference_mode():
        for workload in workloads:
            print(f"bench: {workload.name} ...", file=sys.stderr, flush=True)
            rows.append(row(workload, engines, rounds, notes))
    shown = table(["", *engines], rows, Style.of(sys.stdout))
    return "\n".join([shown, *notes])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("workloads", nargs="*", help="names of workloads (default: all)")
    parser.add_argument(
        "--engines", default=",".join(ENGINES), help="which, separated by commas (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=50, help="samples per engine (default: %(default)s)")
    options = parser.parse_args()
    engines = ["optc", *(name for name in options.engines.split(",") if name != "optc")]
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    versions = f"optc {optc.__version__}, torch {torch.__version__}, one thread, median of {options.rounds} turns"
    print(f"{versions}; in brackets: how many times as long as optc")
    print(compare_engines(chosen(options.workloads), engines, options.rounds))


if __name__ == "__main__":
    main()
