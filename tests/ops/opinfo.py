"""How much of PyTorch's operators is here: its own samples of arguments, judged in other processes, and kept in a table.

    python -m tests.ops.opinfo                   judge all as CI does, and add to the table what passes now
    python -m tests.ops.opinfo add nn.functional.pad --samples 100000 --details out.jsonl

A line of the table is an operator, a column an element type, and a cell has three places: E for eager calls, S for
programs compiled for the extents of their arguments, D for programs compiled with symbols for them (and run for two
sets of extents). The letter stands where every sample is equal to PyTorch; it is small where the interpreter had to
run some of them. `.` stands where some are refused or the operator is missing, `!` where some are wrong or crash, `-`
where PyTorch has no samples.

The last column is for calls that have to fail: E where all do with PyTorch's kind of exception and text, e where a text
is another one, `.` where an exception is, `!` where there is a result.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TABLE = Path(__file__).with_name("opinfo_table.txt")
DTYPES = ("float32", "float64", "int64", "int32", "uint8", "bool", "float16", "bfloat16", "complex64", "errors")
MODES = ("eager", "static", "dynamic")
REQUIRED = ("float32", "int64", "bool")
"""The element types that CI tries, and that count: with the samples of these equal in all modes, an operator is whole."""

PATIENCE = 1800.0
"""Seconds after which an operator that has no outcome counts as crashed."""

Outcomes = dict[str, dict[str, dict[str, Any]]]
"""Element type -> mode -> counts and texts (`opinfo_judge.Outcome`)."""

Table = dict[str, dict[str, str]]
"""Operator -> element type -> cell."""


# Judging, in other processes ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Effort:
    """How much is tried: at most so many samples of an operator and element type, in these modes, by so many processes."""

    samples: int
    modes: Sequence[str] = MODES
    dtypes: Sequence[str] = DTYPES
    workers: int = 2


def sweep(
    names: Sequence[str], effort: Effort, told: Callable[[str, Outcomes], None] = lambda name, outcomes: None
) -> dict[str, Outcomes]:
    """The outcomes of these operators; `told` is called with each. A process that dies is an outcome of the operator it
    was at.
    """
    results: dict[str, Outcomes] = {}

    def judge_all(names: Sequence[str]) -> None:
        rest = list(names)
        while rest:
            for name, outcomes in _outcomes(rest, effort):
                results[name] = outcomes
                told(name, outcomes)
            rest = [name for name in rest if name not in results]

    threads = [
        threading.Thread(target=judge_all, args=(names[place :: effort.workers],)) for place in range(effort.workers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {name: results[name] for name in names}


def _crashed(text: str) -> dict[str, Any]:
    return {"equal": 0, "refused": 0, "wrong": 0, "crash": 1, "fallbacks": [], "first": {"crash": text}}


def _outcomes(names: Sequence[str], effort: Effort) -> Iterator[tuple[str, Outcomes]]:
    """What one process finds out about the operators, until it ends; where it dies, of the one it was at."""
    options = (str(effort.samples), ",".join(effort.modes), ",".join(effort.dtypes))
    command = [sys.executable, "-m", "tests.ops.opinfo_judge", *options, *names]
    errors: list[str] = []
    current = names[0]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        listener = threading.Thread(target=lambda: errors.extend(process.stderr or ()))
        listener.start()
        watch = _watch(process)
        for line in process.stdout:
            watch.cancel()
            watch = _watch(process)
            message = json.loads(line)
            current = message["name"]
            if "outcomes" in message:
                yield current, message["outcomes"]
        code = process.wait()
        watch.cancel()
        listener.join()
    if code:
        text = f"process ended with {code}: {''.join(errors[-5:])}"
        yield current, {"float32": {mode: _crashed(text) for mode in MODES}}


def _watch(process: subprocess.Popen[str]) -> threading.Timer:
    """Ends a process that takes too long over one operator."""
    watch = threading.Timer(PATIENCE, process.kill)
    watch.start()
    return watch


# The table ------------------------------------------------------------------------------------------------------------


def cells(outcomes: Outcomes) -> dict[str, str]:
    """The line of an operator."""
    return {dtype: _cell(modes) if modes else "-" for dtype, modes in outcomes.items()}


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
    lines = [
        f"{name:{width}} " + " ".join(f"{table[name].get(dtype, '...'):9}" for dtype in DTYPES)
        for name in sorted(table)
    ]
    return "\n".join(line.rstrip() for line in [*head, *lines]) + "\n"


def summary(table: Table) -> str:
    """How many operators are whole."""
    whole = sum(is_whole(line) for line in table.values())
    native = sum(
        is_whole(line) and not any(set("sd") & set(line.get(dtype, "")) for dtype in REQUIRED)
        for line in table.values()
    )
    wrong = sum("!" in "".join(line.get(dtype, "") for dtype in DTYPES[:-1]) for line in table.values())
    failing = [line["errors"] for line in table.values() if line.get("errors", "-") not in ("-", "...")]
    return (
        f"{whole} of {len(table)} operators with the samples of {', '.join(REQUIRED)} equal, eager and compiled, "
        f"{native} of them native; {wrong} wrong somewhere; {sum(cell in 'Ee' for cell in failing)} of {len(failing)} "
        "fail where PyTorch's do"
    )


def is_whole(line: dict[str, str]) -> bool:
    """True where every sample of the element types that count is equal in every mode."""
    return all(line.get(dtype, "...").upper() in ("ESD", "-") for dtype in REQUIRED) and set(line.values()) != {"-"}


def losses(before: Table, now: Table) -> list[str]:
    """What passed and does not, was native and is not, or has become wrong: one text for each cell."""
    return [
        f"{name} {dtype}: {old} -> {now[name][dtype]}"
        for name, line in before.items() if name in now
        for dtype, old in line.items() if dtype in now[name] and not all(map(_holds, old, now[name][dtype]))
    ]  # fmt: skip


def _holds(old: str, new: str) -> bool:
    return old == "!" or new == old or (old == "." and new != "!") or (old.islower() and new == old.upper())


def added(before: Table, now: Table) -> Table:
    """The table with what passes now; cells that lost something stay as they were, modes that were not tried as well."""
    grown = {name: dict(line) for name, line in before.items()}
    for name, line in now.items():
        known = grown.setdefault(name, {})
        for dtype, cell in line.items():
            old = known.get(dtype, "")
            if all(map(_holds, old, cell)):
                known[dtype] = cell + ("" if cell == "-" else old[len(cell) :])
    return grown


def replaced(before: Table, now: Table) -> Table:
    """The table with what was found; modes and element types that were not tried as they were."""
    changed = {name: dict(line) for name, line in before.items()}
    for name, line in now.items():
        known = changed.setdefault(name, {})
        known.update(
            {dtype: cell + ("" if cell == "-" else known.get(dtype, "")[len(cell) :]) for dtype, cell in line.items()}
        )
    return changed


def main() -> int:
    """The command. Exit code 1 when something in the table does not pass any more."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="operators as PyTorch's tests name them; all when absent")
    parser.add_argument("--samples", type=int, default=6, help="at most so many of an operator and element type")
    parser.add_argument("--dtypes", default=",".join(REQUIRED), help="element types, with commas between them")
    parser.add_argument("--eager", action="store_true", help="compile nothing")
    parser.add_argument("--details", type=Path, help="where to write, as lines of JSON, what is not equal and why; "
                        "a sweep goes on where the file ends")  # fmt: skip
    parser.add_argument("--replace", action="store_true", help="let the table say what was found, losses as well")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    effort = Effort(given.samples, MODES[:1] if given.eager else MODES, given.dtypes.split(","), given.workers)

    def told(name: str, outcomes: Outcomes) -> None:
        print(name, *(f"{dtype}:{cell}" for dtype, cell in cells(outcomes).items() if cell != "-"), flush=True)
        if given.details:
            with given.details.open("a") as stream:
                stream.write(json.dumps({name: outcomes}) + "\n")

    known = _known(given.details)
    names = [name for name in given.names or all_names() if name not in known]
    results = {**known, **sweep(names, effort, told)}
    before, now = read_table(), {name: cells(outcomes) for name, outcomes in results.items()}
    lost = losses(before, now)
    TABLE.write_text(table_text(replaced(before, now) if given.replace else added(before, now)))
    print(summary(now), *lost, sep="\n")
    return int(bool(lost))


def _known(details: Path | None) -> dict[str, Outcomes]:
    """What an earlier sweep wrote into its file."""
    if details is None or not details.exists():
        return {}
    return {name: outcomes for line in details.read_text().splitlines() for name, outcomes in json.loads(line).items()}


def all_names() -> list[str]:
    """Every operator PyTorch has samples for."""
    from tests.ops.opinfo_samples import INFOS

    return list(INFOS)


if __name__ == "__main__":
    sys.exit(main())
