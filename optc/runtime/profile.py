"""Where the time of a call goes: `fast.profile(*inputs)`.

A native program is generated once more with clocks around its kernel calls (`optc.codegen.driver.clock`), and run many times; the
code that normal calls run has no clocks. Every kernel is held against the roofs of this machine
(`optc.runtime.roofs`): the least time that its multiply-adds take, or that its bytes take to come from the cache
level that holds them. What the interpreter runs is timed operator by operator.
"""

from __future__ import annotations

import copy
import ctypes
import statistics
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from optc import interpreter
from optc.dataclass import dataclass
from optc.eager import dispatch
from optc.errors import OptcError
from optc.ir.structure import leaves_of
from optc.jit.module import RecursiveScriptModule
from optc.ops.registry import Operator
from optc.runtime.islands import contexts_of, unnoticed
from optc.runtime.roofs import Roofs, probes, roofs
from optc.runtime.specialization import Specialization, native_form
from optc.runtime.state import RunFailed, current
from optc.thread_count import get_num_threads

if TYPE_CHECKING:
    from optc.runtime.compiled import CompiledFunction

WARM_UP_RUNS = 3
MINIMUM_RUNS = 5
MAXIMUM_RUNS = 2000
RUN_SECONDS = 0.25
"""Runs are repeated for so long; the faster half of them counts."""

SAMPLE_SECONDS = 2e-5
"""Short calls are timed several at once."""

REGISTERS = "registers and control flow"
ENTRY = "entry"
REST = "rest"


@dataclass(frozen=True)
class ProfileRow:
    """A kernel in one call of the program: how often it is called, how long that takes together, and what it does.

    `flops` and `bytes` are sums over its calls. `roof` names what limits it, "FMA" or where its data lives; `of_roof` is
    the share of that limit that it reaches (0.5: it takes twice as long as it has to), None where nothing is counted.
    """

    name: str
    operators: tuple[str, ...]
    calls: float
    seconds: float
    share: float
    flops: float = 0.0
    bytes: float = 0.0
    roof: str = ""
    of_roof: float | None = None

    @property
    def flops_per_second(self) -> float:
        return self.flops / self.seconds if self.seconds else 0.0

    @property
    def bytes_per_second(self) -> float:
        return self.bytes / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Profile:
    """A call, taken apart: the seconds of `rows` add up to `seconds`.

    `runs` calls were measured. `interpreted` says why the interpreter ran it, "" for native code.
    """

    rows: tuple[ProfileRow, ...]
    seconds: float
    runs: int
    threads: int = 1
    roofs: Roofs | None = None
    interpreted: str = ""

    def __str__(self) -> str:
        header = ["", "calls", "us", "share", "MFLOP", "MB", "GFLOP/s", "GB/s", "of roof", "operators"]
        if self.interpreted:
            header = header[:4]
        by_time = sorted(self.rows, key=lambda row: -row.seconds)
        lines = [_cells(row)[: len(header)] for row in by_time]
        total = ["a call", "1", _number(self.seconds * 1e6), "100%", *[""] * (len(header) - 4)]
        return "\n".join([*_aligned([header, *lines, total[: len(header)]]), self._footnote()])

    def _footnote(self) -> str:
        if self.interpreted:
            return f"run by the interpreter: {self.interpreted}"
        if self.roofs is None:
            return ""
        levels = ", ".join(f"{level.name} {level.bytes_per_second / 1e9:.0f}" for level in self.roofs.levels)
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return (
            f"{threads}, {self.runs} runs; roofs of a core of {self.roofs.processor}: "
            f"{self.roofs.flops_per_second / 1e9:.0f} GFLOP/s; {levels} GB/s"
        )


OPERATORS_SHOWN = 48


def _cells(row: ProfileRow) -> list[str]:
    operators = ", ".join(name.removeprefix("aten::") for name in row.operators)
    if len(operators) > OPERATORS_SHOWN:
        operators = f"{operators[: OPERATORS_SHOWN - 4]} ..."
    roof = "" if row.of_roof is None else f"{row.of_roof:.0%} {row.roof}"
    counted = [row.flops / 1e6, row.bytes / 1e6, row.flops_per_second / 1e9, row.bytes_per_second / 1e9]
    shown = [_number(value) if value else "" for value in counted]
    return [row.name, f"{row.calls:g}", _number(row.seconds * 1e6), f"{row.share:.1%}", *shown, roof, operators]


def _number(value: float) -> str:
    """Three digits and no exponents."""
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.3g}"


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as they need: text to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*lines)]
    is_text = [place in (0, 9) for place in range(len(widths))]
    return [
        "  ".join(cell.ljust(width) if left else cell.rjust(width)
                  for cell, width, left in zip(line, widths, is_text)).rstrip()
        for line in lines
    ]  # fmt: skip


def profile_call(
    compiled: CompiledFunction, specialization: Specialization, values: Sequence[Any], call: Callable[[], Any]
) -> Profile:
    """Profile a call of a compiled function: `values` are its bound arguments, `call` makes it the normal way."""
    program = specialization.program
    with unnoticed():
        if specialization.native is None or program is None:
            reasons = "; ".join(map(str, specialization.fallbacks)) or "the program always raises"
            return profile_interpreted(lambda: _interpret_copy(compiled, values), reasons)
        normal = None if program.state else call
        return profile_native(specialization, values, normal, compiled._threads, compiled.__name__)


def _interpret_copy(compiled: CompiledFunction, values: Sequence[Any]) -> Any:
    """Run the interpreter on copies of the arguments and of the object, which the program may change."""
    owner = compiled._receiver
    receiver = [] if owner is None else [copy.deepcopy(RecursiveScriptModule(owner))._c]
    return interpreter.run(compiled._function, [*receiver, *copy.deepcopy(list(values))])


# Native code -----------------------------------------------------------------------------------------------------


def profile_native(
    specialization: Specialization, values: Sequence[Any], call: Callable[[], Any] | None, threads: int, name: str
) -> Profile:
    """Profile a specialisation's native code on arguments that it accepts.

    The program's state is read and never written. `call` makes a normal call, to see what the way in and out
    costs; None when that would change state. Raises OptcError when the program fails for the arguments.
    """
    from optc.codegen.entry.signature import EntryPoint, PythonEntry
    from optc.codegen.program import generate

    program = specialization.program
    assert program is not None and program.graph is not None
    native = generate(program.graph, name=name, is_profiled=True)
    native.load()
    clock = native.clock
    assert clock is not None
    contexts = contexts_of(native, threads)
    entry = PythonEntry(EntryPoint(
        run=native.run, owner=native, signature=native.signature, contexts=contexts, slow_path=_refuse,
        on_failure=_failed, name=name,
    ))  # fmt: skip
    leaves = [leaf for value, form in zip(values, program.input_structures) for leaf in leaves_of(value, form)]
    held = [current(slot, leaves) for slot in program.state if slot.owner is not None]
    arguments = [native_form(leaf) for leaf in leaves + held]
    tables, tick_seconds, whole = _measured(lambda: entry(*arguments), clock.table, call)
    outside = 0.0 if call is None else whole - float(tables[:, 0, 0].mean()) * tick_seconds
    return _native_profile(clock.places, tables, tick_seconds, max(outside, 0.0), threads or get_num_threads())


def _measured(
    run: Callable[[], Any], table: np.ndarray[Any, Any], call: Callable[[], Any] | None
) -> tuple[np.ndarray[Any, Any], float, float]:
    """The tables of the faster half of many runs, the seconds of a tick, and those of a normal call.

    Runs and calls take turns, so that both see the same moods of the machine.
    """
    ticks = ctypes.CFUNCTYPE(ctypes.c_uint64)(probes().address("ticks"))
    for _ in range(WARM_UP_RUNS):
        _try(run)
    batch = 1 if call is None else _calls_per_sample(call)
    taken: list[np.ndarray[Any, Any]] = []
    seconds: list[float] = []
    started, first_tick = time.perf_counter(), ticks()
    deadline = started + RUN_SECONDS
    while len(taken) < MINIMUM_RUNS or (len(taken) < MAXIMUM_RUNS and time.perf_counter() < deadline):
        table[...] = 0
        _try(run)
        taken.append(table.copy())
        if call is not None:
            seconds.append(_sample(call, batch))
    elapsed, last_tick = time.perf_counter() - started, ticks()
    faster = slice((len(taken) + 1) // 2)
    taken.sort(key=lambda rows: int(rows[0, 0]))
    whole = statistics.mean(sorted(seconds)[faster]) if seconds else 0.0
    return np.array(taken[faster], np.float64), elapsed / max(last_tick - first_tick, 1), whole


def _calls_per_sample(call: Callable[[], Any]) -> int:
    """How many calls make a sample that the clock can see."""
    call()
    return max(1, round(SAMPLE_SECONDS / max(_sample(call, 1), 1e-9)))


def _sample(call: Callable[[], Any], count: int) -> float:
    """Seconds per call."""
    start = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - start) / count


def _try(run: Callable[[], Any]) -> None:
    try:
        run()
    except RunFailed as failed:
        raise OptcError("the program fails for these arguments: call it to see the error") from failed


def _native_profile(
    places: Sequence[Any], tables: np.ndarray[Any, Any], tick_seconds: float, outside: float, threads: int
) -> Profile:
    """The rows: kernels, what lies between them, and the way in and out."""
    limits = roofs()
    means = tables.mean(axis=0)
    inside = float(means[0, 0]) * tick_seconds
    total = inside + outside
    rows: list[ProfileRow] = []
    for place, (ticks, calls, flops, bytes_) in zip(places[1:], means[1:].tolist()):
        seconds = ticks * tick_seconds
        cores = threads if place.is_split else 1
        roof, of_roof = _limit(limits, place.itemsize, seconds * cores, calls * cores, flops, bytes_)
        rows.append(
            ProfileRow(place.name, place.operators, calls, seconds, seconds / total, flops, bytes_, roof, of_roof)
        )
    between = max(inside - sum(row.seconds for row in rows), 0.0)
    rows.append(ProfileRow(REGISTERS, (), 1, between, between / total))
    rows.append(ProfileRow(ENTRY, (), 1, outside, outside / total))
    return Profile(tuple(rows), sum(row.seconds for row in rows), len(tables), threads, limits)


def _limit(
    limits: Roofs, itemsize: int, seconds: float, calls: float, flops: float, bytes_: float
) -> tuple[str, float | None]:
    """The roof of a kernel, and the share of it that it reaches."""
    if not calls or not seconds or not (flops or bytes_):
        return "", None
    least, roof = limits.shortest_seconds(flops, bytes_, bytes_ / calls, itemsize)
    return roof, least / seconds


def _refuse(*arguments: Any, **keywords: Any) -> Any:
    raise OptcError(f"the specialisation was chosen for arguments it does not take: {arguments}")


def _failed(failure: Any, arguments: tuple[Any, ...]) -> Any:
    raise RunFailed(failure)


# The interpreter -------------------------------------------------------------------------------------------------


class Stopwatch:
    """A recorder that gives every operator the time that has passed since the one before."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.calls: dict[str, int] = {}
        self._last = time.perf_counter()

    def record(self, operator: Operator, arguments: Sequence[Any], result: Any) -> None:
        now = time.perf_counter()
        name = operator.name
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._last
        self.calls[name] = self.calls.get(name, 0) + 1
        self._last = time.perf_counter()

    def converted(self, tensor: Any, target: str) -> None:
        """Nothing is traced."""

    def size(self, tensor: Any, dim: int) -> int:
        return int(tensor._array.shape[dim])

    def numel(self, tensor: Any) -> int:
        return int(tensor._array.size)


def profile_interpreted(run: Callable[[], Any], reason: str) -> Profile:
    """Time the operators of one run of the interpreter, after one to warm up."""
    run()
    started = time.perf_counter()
    stopwatch = Stopwatch()
    before = dispatch.set_recorder(stopwatch)
    try:
        run()
    finally:
        dispatch.set_recorder(before)
    total = time.perf_counter() - started
    rows = [
        ProfileRow(name, (name,), stopwatch.calls[name], seconds, seconds / total)
        for name, seconds in stopwatch.seconds.items()
    ]
    rest = max(total - sum(row.seconds for row in rows), 0.0)
    rows.append(ProfileRow(REST, (), 1, rest, rest / total))
    return Profile(tuple(rows), sum(row.seconds for row in rows), 1, interpreted=reason)
