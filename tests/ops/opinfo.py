"""How much of PyTorch's operators is here: its own samples of arguments, judged in other processes, and kept in a table.

    python -m tests.ops.opinfo                   judge all, and add to the table what passes now
    python -m tests.ops.opinfo add nn.functional.pad --samples 100000 --details out.json

A line of the table is an operator, a column an element type, and a cell has three places: E for eager calls, S for
programs compiled for the extents of their arguments, D for programs compiled with symbols for them (and run for two
sets of extents). The letter stands where every sample is equal to PyTorch; it is small where the interpreter had to
run some of them. `.` stands where some are refused or the operator is missing, `!` where some are wrong or crash, `-`
where PyTorch has no samples.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TABLE = Path(__file__).with_name("opinfo_table.txt")
DTYPES = ("float32", "float64", "int64", "int32", "uint8", "bool", "float16", "bfloat16", "complex64")
MODES = ("eager", "static", "dynamic")
REQUIRED = ("float32", "int64", "int32", "uint8", "bool")
"""The element types that count: with all samples of these equal in all modes, an operator is whole."""

PATIENCE = 300.0
"""Seconds after which an operator that has no outcome counts as crashed."""

Outcomes = dict[str, dict[str, dict[str, Any]]]
"""Element type -> mode -> counts and texts (`opinfo_judge.Outcome`)."""

Table = dict[str, dict[str, str]]
"""Operator -> element type -> cell."""


# Judging, in other processes ------------------------------------------------------------------------------------------


def sweep(names: Sequence[str], samples: int, modes: Sequence[str] = MODES, workers: int = 2) -> dict[str, Outcomes]:
    """The outcomes of these operators. A process that dies is an outcome of the operator it was at."""
    results: dict[str, Outcomes] = {}
    threads = [
        threading.Thread(target=_judge_all, args=(names[place::workers], samples, modes, results))
        for place in range(workers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {name: results[name] for name in names}


def _judge_all(names: Sequence[str], samples: int, modes: Sequence[str], results: dict[str, Outcomes]) -> None:
    rest = list(names)
    while rest:
        for message in _messages(rest, samples, modes):
            if "outcomes" in message:
                results[message["name"]] = message["outcomes"]
            elif "died" in message:
                results[message["name"]] = {"float32": {mode: _crashed(message["died"]) for mode in MODES}}
        rest = [name for name in rest if name not in results]


def _crashed(text: str) -> dict[str, Any]:
    return {"equal": 0, "refused": 0, "wrong": 0, "crash": 1, "fallbacks": [], "first": {"crash": text}}


def _messages(names: Sequence[str], samples: int, modes: Sequence[str]) -> Iterator[dict[str, Any]]:
    """What one process says about the operators, and of its death where it dies early."""
    command = [sys.executable, "-m", "tests.ops.opinfo_judge", str(samples), ",".join(modes), *names]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stderr is not None
    errors: list[str] = []
    listener = threading.Thread(target=lambda: errors.extend(process.stderr or ()))
    listener.start()
    current, watch = names[0], threading.Timer(PATIENCE, process.kill)
    watch.start()
    for line in process.stdout:
        watch.cancel()
        message = json.loads(line)
        current = message["name"]
        watch = threading.Timer(PATIENCE, process.kill)
        watch.start()
        yield message
    code = process.wait()
    watch.cancel()
    listener.join()
    if code:
        yield {"name": current, "died": f"process ended with {code}: {''.join(errors[-5:])}"}


# The table ------------------------------------------------------------------------------------------------------------


def cells(outcomes: Outcomes) -> dict[str, str]:
    """The line of an operator."""
    return {dtype: _cell(outcomes[dtype]) if dtype in outcomes else "-" for dtype in DTYPES}


def _cell(modes: dict[str, dict[str, Any]]) -> str:
    letters = ""
    for mode, outcome in modes.items():
        complete = not outcome["refused"] and letters[:1] in ("", "E")
        letter = mode[0].lower() if outcome["fallbacks"] else mode[0].upper()
        letters += "!" if outcome["wrong"] or outcome["crash"] else letter if complete else "."
    return letters


def read_table() -> Table:
    """The committed table; empty where there is none."""
    if not TABLE.exists():
        return {}
    lines = [line.split() for line in TABLE.read_text().splitlines() if line and not line.startswith("#")]
    return {name: dict(zip(DTYPES, found)) for name, *found in lines}


def table_text(table: Table) -> str:
    """The table as it is committed and printed."""
    width = max(map(len, table), default=0)
    head = [f"# {summary(table)}", f"# {'':{width - 2}} " + " ".join(f"{dtype:9}" for dtype in DTYPES)]
    lines = [f"{name:{width}} " + " ".join(f"{table[name][dtype]:9}" for dtype in DTYPES) for name in sorted(table)]
    return "\n".join(line.rstrip() for line in [*head, *lines]) + "\n"


def summary(table: Table) -> str:
    """How many operators are whole."""
    whole = sum(is_whole(line) for line in table.values())
    native = sum(
        is_whole(line) and not any(set("sd") & set(line[dtype]) for dtype in REQUIRED) for line in table.values()
    )
    wrong = sum("!" in "".join(line.values()) for line in table.values())
    return (
        f"{whole} of {len(table)} operators with all samples of {', '.join(REQUIRED)} equal, eager and compiled, "
        f"{native} of them native; {wrong} wrong somewhere"
    )


def is_whole(line: dict[str, str]) -> bool:
    """True where every sample of the element types that count is equal in every mode."""
    return all(line[dtype].upper() in ("ESD", "-") for dtype in REQUIRED) and set(line.values()) != {"-"}


def losses(before: Table, now: Table) -> list[str]:
    """What passed and does not, was native and is not, or has become wrong: one text for each cell."""
    return [
        f"{name} {dtype}: {old} -> {now[name][dtype]}"
        for name, line in before.items() if name in now
        for dtype, old in line.items() if not all(map(_holds, old, now[name][dtype]))
    ]  # fmt: skip


def _holds(old: str, new: str) -> bool:
    return old == "!" or new == old or (old == "." and new != "!") or (old.islower() and new == old.upper())


def added(before: Table, now: Table) -> Table:
    """The table with what passes now; cells that lost something stay as they were."""
    grown = {name: dict(line) for name, line in before.items()}
    for name, line in now.items():
        known = grown.setdefault(name, dict(line))
        for dtype, cell in line.items():
            known[dtype] = cell if all(map(_holds, known[dtype], cell)) else known[dtype]
    return grown


def main() -> int:
    """The command. Exit code 1 when something in the table does not pass any more."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="operators as PyTorch's tests name them; all when absent")
    parser.add_argument("--samples", type=int, default=64, help="at most so many of an operator, variant and type")
    parser.add_argument("--details", type=Path, help="where to write the first case of everything that is not equal")
    parser.add_argument("--eager", action="store_true", help="compile nothing, and leave the table alone")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    modes = MODES[:1] if given.eager else MODES
    results = sweep(given.names or all_names(), given.samples, modes, given.workers)
    if given.details:
        given.details.write_text(json.dumps(results, indent=1))
    before, now = read_table(), {name: cells(outcomes) for name, outcomes in results.items()}
    lost = losses(before, now)
    if not given.eager:
        TABLE.write_text(table_text(added(before, now)))
    print(table_text(now), *lost, sep="\n")
    return int(bool(lost))


def all_names() -> list[str]:
    """Every operator PyTorch has samples for."""
    from tests.ops.opinfo_samples import INFOS

    return list(INFOS)


if __name__ == "__main__":
    sys.exit(main())
