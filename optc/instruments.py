"""Instruments around passes: verify, print, dump, time, compare and limit, and the search for a wrong rewrite."""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from optc import config, interpreter, rewrite
from optc.dataclass import dataclass
from optc.eager.tensor import Tensor
from optc.errors import ExecutionError, VerifyError
from optc.ir.function import ClassType
from optc.ir.graph import Graph
from optc.ir.text import print_graph
from optc.ops.registry import operator_of
from optc.ops.verify import verify
from optc.pipeline import (
    Context,
    Instrument,
    PassRecord,
    PipelineError,
    Step,
    find_pass,
    run,
    unknown,
    writes_memory,
)


class Verify(Instrument):
    """Checks the graph after every pass; at level 2 also that passes tell the truth about what they changed."""

    def __init__(self, level: int = 1) -> None:
        self.level = level
        self.text = ""

    def before(self, step: Step, graph: Graph) -> None:
        if self.level > 1:
            for node in graph.walk():
                operator_of(node)
            self.text = print_graph(graph, exact=True)

    def after(self, step: Step, graph: Graph, record: PassRecord) -> None:
        verify(graph, form="captured")
        if self.level > 1 and not record.changed and print_graph(graph, exact=True) != self.text:
            raise VerifyError(f"{step} changed the graph but said that it did not")


class Print(Instrument):
    """Prints the graph after passes: `all`, `changed` (those that changed it), or names separated by commas."""

    def __init__(self, which: str = "changed", stream: TextIO | None = None) -> None:
        self.which = {name.strip() for name in which.split(",")}
        self.stream = stream

    def after(self, step: Step, graph: Graph, record: PassRecord) -> None:
        named = "all" in self.which or step.target.name in self.which or step.target.alias in self.which - {""}
        if named or ("changed" in self.which and record.changed):
            print(f"# after {step}\n{graph}\n", file=self.stream or sys.stderr)


class Dump(Instrument):
    """Writes `00-input.ir`, `01-inline.ir` ... into a folder, one file per pass that changed the graph."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.number = 0

    def start(self, graph: Graph, context: Context) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.write("input", graph)

    def after(self, step: Step, graph: Graph, record: PassRecord) -> None:
        if record.changed:
            self.write(step.target.name, graph)

    def write(self, name: str, graph: Graph) -> None:
        text = print_graph(graph, exact=True)
        (self.folder / f"{self.number:02}-{name}.ir").write_text(text, encoding="utf-8")
        self.number += 1


class Time(Instrument):
    """Prints how long every pass took in all its runs, the slowest first."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.seconds: dict[str, float] = {}
        self.stream = stream

    def after(self, step: Step, graph: Graph, record: PassRecord) -> None:
        self.seconds[step.target.name] = self.seconds.get(step.target.name, 0.0) + record.seconds

    def finish(self) -> None:
        for name, seconds in sorted(self.seconds.items(), key=lambda item: -item[1]):
            print(f"{seconds * 1e3:9.3f} ms  {name}", file=self.stream or sys.stderr)


class Limit(Instrument):
    """Stops changing the graph after so many pass runs, or after so many rewrites of one pass."""

    def __init__(self, count: int, name: str = "") -> None:
        self.count = count
        self.name = name
        self.used = 0
        self.limit: Any = None

    def allows(self, step: Step) -> bool:
        if self.name:
            return True
        self.used += 1
        return self.used <= self.count

    def before(self, step: Step, graph: Graph) -> None:
        if self.name in (step.target.name, step.target.alias) and self.name:
            self.limit = rewrite.limited(max(self.count - self.used, 0))
            self.limit.__enter__()

    def after(self, step: Step, graph: Graph, record: PassRecord) -> None:
        if self.limit is not None:
            self.limit.__exit__(None, None, None)
            self.limit = None
            self.used += sum(record.rewrites.values())


class Compare(Instrument):
    """Runs the interpreter on the same arguments before the first pass and after every pass that changed the graph.

    `arguments` are the arguments of the program (self excluded) as eager values. Results are compared element by
    element with `tolerance`; a run that fails must go on failing. Raises VerifyError naming the pass and the output.
    """

    def __init__(self, arguments: Sequence[Any], tolerance: float = 1e-4) -> None:
        self.arguments = list(arguments)
        self.tolerance = tolerance
        self.context = Context()
        self.expected: list[Any] | Exception = []

    def start(self, graph: Graph, context: Context) -> None:
        self.context = copy.copy(context)
        self.slots_of = context
        self.expected = self.outcome(graph)

    def after(self, step: Step, graph: Graph, record: PassRecord) -> None:
        if not record.changed:
            return
        found = self.outcome(graph)
        difference = _difference(self.expected, found, self.tolerance)
        if difference:
            raise VerifyError(f"{step} changed what the program computes: {difference}")

    def outcome(self, graph: Graph) -> list[Any] | Exception:
        """The leaves of the program's result (state excluded), or the error it ends with."""
        arguments, self_object = copy.deepcopy((self.arguments, self.context.self_object))
        arguments = [leaf for argument in arguments for leaf in _leaves(argument)] if self.is_flat(graph) else arguments
        inputs = [*arguments]
        if graph.inputs and isinstance(graph.inputs[0].type, ClassType):
            inputs.insert(0, self_object)
        for slot in self.slots_of.slots:
            if slot.owner is not None:
                inputs.append(copy.deepcopy(slot.present))
        try:
            result = interpreter.run(graph, inputs)
        except ExecutionError as error:
            return error
        state = sum(slot.output is not None for slot in self.slots_of.slots)
        state += sum(kept.count for kept in self.slots_of.kept)
        results = list(result) if isinstance(result, tuple) and len(graph.outputs) != 1 else [result]
        results = results[: len(results) - state]
        return [leaf for item in results for leaf in _leaves(item)]

    def is_flat(self, graph: Graph) -> bool:
        """True when the graph takes the leaves of nested arguments."""
        objects = sum(isinstance(value.type, ClassType) for value in graph.inputs)
        state = sum(slot.owner is not None for slot in self.slots_of.slots)
        return len(graph.inputs) - objects - state != len(self.arguments)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    elif value is not None:
        yield value


def _difference(expected: list[Any] | Exception, found: list[Any] | Exception, tolerance: float) -> str:
    """What differs, in words; empty when nothing does."""
    if isinstance(expected, Exception) or isinstance(found, Exception):
        return _error_difference(expected, found)
    if len(expected) != len(found):
        return f"{len(found)} results, not {len(expected)}"
    for place, (left, right) in enumerate(zip(expected, found)):
        reason = _leaf_difference(left, right, tolerance)
        if reason:
            return f"result {place}: {reason}"
    return ""


def _error_difference(expected: list[Any] | Exception, found: list[Any] | Exception) -> str:
    texts = [
        str(item).strip().splitlines()[-1] if isinstance(item, Exception) else "no error" for item in (expected, found)
    ]
    return "" if texts[0] == texts[1] else f"{texts[1]!r} instead of {texts[0]!r}"


def _leaf_difference(left: Any, right: Any, tolerance: float) -> str:
    if not isinstance(left, Tensor) or not isinstance(right, Tensor):
        both_nan = isinstance(left, float) and isinstance(right, float) and math.isnan(left) and math.isnan(right)
        same = type(left) is type(right) and (left == right or both_nan)
        return "" if same else f"{right!r} instead of {left!r}"
    mine, other = left._array, right._array
    if mine.dtype != other.dtype or mine.shape != other.shape:
        return f"{other.dtype}{list(other.shape)} instead of {mine.dtype}{list(mine.shape)}"
    if mine.dtype.kind in "biu":
        equal = mine == other
    else:
        equal = np.isclose(
            mine.astype(np.complex128), other.astype(np.complex128), rtol=tolerance, atol=tolerance, equal_nan=True
        )
    if np.all(equal):
        return ""
    place = tuple(int(index) for index in np.argwhere(~np.asarray(equal))[0])
    return f"{other[place]!r} instead of {mine[place]!r} at {list(place)}"


def instruments_from_environment() -> list[Instrument]:
    """The instruments that `OPTC_VERIFY`, `OPTC_PRINT`, `OPTC_DUMP`, `OPTC_TIME` and `OPTC_PASS_LIMIT` ask for.

    Raises SettingError where these variables, or `OPTC_WHY`, name a pass or a rule that does not exist.
    """
    _check_names()
    found: list[Instrument] = []
    limit = config.PASS_LIMIT()
    if limit is not None:
        found.append(Limit(limit[1], limit[0]))
    if config.VERIFY():
        found.append(Verify(config.VERIFY()))
    if config.PRINT():
        found.append(Print(config.PRINT()))
    if config.DUMP():
        found.append(Dump(config.DUMP()))
    if config.TIME():
        found.append(Time())
    return found


def _check_names() -> None:
    for name in {name.strip() for name in config.PRINT().split(",")} - {"all", "changed"}:
        _check_pass(config.PRINT, name)
    limit = config.PASS_LIMIT()
    _check_pass(config.PASS_LIMIT, "" if limit is None else limit[0])
    rule = config.WHY()
    if rule and rule not in rewrite.rule_names():
        raise config.WHY.refused(unknown("rule", rule, rewrite.rule_names()))


def _check_pass(variable: config.Variable[Any], name: str) -> None:
    try:
        if name:
            find_pass(name)
    except PipelineError as error:
        raise variable.refused(error) from error


@dataclass(frozen=True)
class Culprit:
    """The first pass run, and where it made several rewrites the first of them, that makes a graph wrong."""

    name: str
    run_number: int
    rewrite_number: int = 0
    rule: str = ""

    def __str__(self) -> str:
        if not self.rewrite_number:
            return f"{self.name} (pass run {self.run_number})"
        return f"{self.name}, rewrite {self.rewrite_number}: rule {self.rule} (pass run {self.run_number})"


def bisect(graph: Graph, pipeline: str, is_good: Callable[[Graph], bool]) -> Culprit:
    """Find the pass run and the rewrite that break a graph, by running the pipeline on copies with a limit.

    Raises PipelineError when the graph is good after the whole pipeline, or bad before it.
    """

    def records_with(limit: Limit) -> tuple[bool, list[PassRecord]]:
        copied = graph.copy()
        records = run(copied, pipeline, [limit], keep_graphs=False)
        return is_good(copied), records

    good, records = records_with(Limit(sys.maxsize))
    if good:
        raise PipelineError("the graph is good after the whole pipeline")
    if not is_good(graph):
        raise PipelineError("the graph is bad before the first pass")
    number = _first_bad(len(records), lambda count: records_with(Limit(count))[0])
    culprit = records[number - 1]
    earlier = sum(sum(record.rewrites.values()) for record in records[: number - 1] if record.name == culprit.name)
    made = sum(culprit.rewrites.values())
    if not made:
        return Culprit(culprit.name, number)
    first = _first_bad(made, lambda count: records_with(Limit(earlier + count, culprit.name))[0])
    before, after = (
        _rewrites(records_with(Limit(earlier + count, culprit.name))[1][:number]) for count in (first - 1, first)
    )
    changed = [name for name, count in after.items() if count != before.get(name, 0)]
    return Culprit(culprit.name, number, first, changed[0] if changed else "")


def _rewrites(records: list[PassRecord]) -> dict[str, int]:
    total: dict[str, int] = {}
    for record in records:
        for name, count in record.rewrites.items():
            total[name] = total.get(name, 0) + count
    return total


def _first_bad(count: int, is_good: Callable[[int], bool]) -> int:
    """The smallest number of steps, at most `count`, after which things are bad."""
    low, high = 0, count
    while high - low > 1:
        middle = (low + high) // 2
        if is_good(middle):
            low = middle
        else:
            high = middle
    return high


def is_functional(graph: Graph) -> bool:
    """True when no node of the graph writes to memory."""
    return not any(map(writes_memory, graph.walk()))
