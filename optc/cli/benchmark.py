"""`optc bench`: how fast a program is beside others, where its time goes, and what the machine can do at most."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Callable, Sequence
from typing import Any

from optc.cli import results
from optc.cli.commands import note_fallbacks, print_comparison, required_arguments
from optc.cli.style import Style, duration, factor, table, waiting
from optc.cli.target import Target, UsageError, one_line, usage_errors
from optc.cli.timing import in_turn
from optc.runtime.values import map_structure, to_tensor


def bench(options: argparse.Namespace) -> int:
    """Time a program, or profile it (`--profile`), or measure the machine (`--roofs`)."""
    if not options.target and not options.roofs:
        raise UsageError("name a TARGET to time, or --roofs")
    if options.roofs:
        print_roofs()
    if not options.target:
        return 0
    return print_profile(options) if options.profile else compare_engines(options)


def print_roofs() -> None:
    """Measure the machine and print what it can do."""
    from optc.runtime.roofs import roofs  # brings llvmlite

    with waiting("measuring multiply-adds and memory"):
        found = roofs(fresh=True)
    rows = [["multiply-adds, float32", "", f"{found.flops_per_second / 1e9:.0f} GFLOP/s"]]
    rows += [
        [f"reading from {level.name}", byte_size(level.bytes), f"{level.bytes_per_second / 1e9:.0f} GB/s"]
        for level in found.levels
    ]
    print(table([found.processor, "size", "one core"], rows, Style.of(sys.stdout)))


def byte_size(count: int) -> str:
    """A size in the unit that suits it, nothing for a size without a bound."""
    if not count:
        return ""
    return f"{count / (1 << 20):g} MB" if count >= 1 << 20 else f"{count / (1 << 10):g} KB"


def print_profile(options: argparse.Namespace) -> int:
    """Print where the time of a call goes."""
    target, arguments = required_arguments(options)
    compiled = target.compiled()
    with waiting(f"compiling and profiling {options.target}"), usage_errors(f"{options.target} failed"):
        found = compiled.profile(*arguments)
    print(found)
    return 0


def compare_engines(options: argparse.Namespace) -> int:
    """Time the interpreter, the compiled program and, where it is installed, torch. The exit code."""
    target, arguments = required_arguments(options)
    compiled = target.compiled()
    candidates: dict[str, Callable[[], Any]] = {"interpreter": lambda: target.interpret(arguments)}
    with waiting(f"compiling {options.target}"), usage_errors(f"{options.target} failed"):
        expected = target.interpret(arguments)
        result = compiled(*arguments)
    note_fallbacks(compiled.fallbacks)
    differences = results.compare(result, expected, options.tolerance)
    if not all(difference.is_equal for difference in differences):
        return print_comparison(differences)
    candidates["compiled"] = lambda: compiled(*arguments)
    rival = torch_candidate(target, arguments)
    if rival is not None:
        note_differences("torch", results.compare(map_structure(to_tensor, rival()), expected, options.tolerance))
        candidates["torch"] = rival
    with waiting(f"timing {', '.join(candidates)}"):
        times = in_turn(candidates, options.rounds)
    base = times["compiled"].median
    rows = [
        [name, duration(taken.median), duration(taken.best), f"{taken.spread:.0%}", factor(taken.median / base)]
        for name, taken in times.items()
    ]
    print(table(["", "median", "best", "spread", "to compiled"], rows, Style.of(sys.stdout)))
    return 0


def note_differences(name: str, differences: Sequence[results.Difference]) -> None:
    """Say on stderr where another engine disagrees with the interpreter."""
    for difference in differences:
        if not difference.is_equal:
            print(f"optc: {name} gives another result {difference.name}: {difference.text}", file=sys.stderr)


def torch_candidate(target: Target, arguments: Sequence[Any]) -> Callable[[], Any] | None:
    """torch running the same program on as many threads, None (with a note) where it is missing or cannot."""
    if importlib.util.find_spec("torch") is None:
        return None
    from optc.interop.torch_reference import reference

    try:
        with waiting("importing torch"):
            return reference(target.archive(), target.function.base_name, arguments)
    except (RuntimeError, TypeError, ValueError) as error:
        print(f"optc: torch cannot run {target.text}: {one_line(error)}", file=sys.stderr)
        return None
