"""Passes and pipelines: the registry of passes, the text of pipelines, and the manager that runs them.

A pass is a function `Graph -> changed`, declared with `@graph_pass`. A pipeline is text:

    inline, freeze, repeat(canonicalize, constant-folding), loop-unrolling{limit=4}

Items are separated by commas; `name{option=value}` sets keyword options of a pass; `repeat(...)` runs its items until
nothing changes any more; a named pipeline stands for its items. Everything that watches passes (verify, print, dump,
compare, limit) is an `Instrument` around them (`optc/instruments.py`), never code in a pass.
"""

from __future__ import annotations

import difflib
import inspect
import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import field, replace
from functools import cache, cached_property
from typing import Any, TypeAlias

from optc import config, rewrite
from optc.dataclass import dataclass
from optc.errors import OptcError
from optc.ir.function import Function, ScriptObject
from optc.ir.graph import Graph, Node, Value
from optc.ir.optimized import Kept, Slot
from optc.ir.types import Type
from optc.ops.registry import operator_of


class PipelineError(OptcError):
    """A pipeline that cannot be run as it is written."""


@dataclass
class Context:
    """What passes know beside the graph: the module whose method is compiled, and the state found in it."""

    self_object: ScriptObject | None = None
    function: Function | None = None
    """What is compiled, where it is a method of that module."""
    whole: Collection[tuple[ScriptObject, str]] = ()
    """Attributes whose lists and dictionaries have been so many that they are not taken apart any more."""
    state_types: Mapping[tuple[Any, Any], Type] = field(default_factory=dict)
    """Types of state by `Slot.place`, where they are to say less than what is there now (extents that change), or more:
    numbers that are constants."""
    slots: list[Slot] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    narrowed: list[tuple[Value, Type]] = field(default_factory=list)
    """What stands for arguments of which this call knows more than the program declares, with the declared types."""
    output_structure: Any = None
    compares_arguments: bool = False
    """The program has asked whether two tensors it was given are one object, and was answered for this call."""
    returned: set[Value] | None = None
    """Arguments that may be results, or share memory with one; None before `returned-arguments` has looked."""
    written: dict[tuple[ScriptObject, str] | None, dict[tuple[int, ...], set[int]]] = field(default_factory=dict)
    """For the result (None) and attributes that are kept, and every place in them: the slots (by their `id`) whose last
    value may be there, before `own-results` has looked."""
    needs_rows: bool = False
    """What the program means was settled for arguments whose elements lie row by row (`optc.passes.settled_memory`)."""


@dataclass(frozen=True)
class Pass:
    """A registered pass: its name, function, the passes it must come after (with the reason), and what it needs."""

    name: str
    function: Callable[..., bool]
    after: Mapping[str, str]
    functional: bool
    alias: str

    @property
    def summary(self) -> str:
        """The first line of the docstring, for `--help`."""
        return (self.function.__doc__ or "").strip().splitlines()[0]

    @cached_property
    def options(self) -> dict[str, Any]:
        """Keyword options and their defaults."""
        parameters = inspect.signature(self.function).parameters.values()
        return {
            parameter.name: parameter.default
            for parameter in parameters
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY and parameter.name != "context"
        }

    @cached_property
    def takes_context(self) -> bool:
        """True for passes that look at more than the graph."""
        return "context" in inspect.signature(self.function).parameters


_passes: dict[str, Pass] = {}
_aliases: dict[str, str] = {}
_pipelines: dict[str, str] = {}


def graph_pass(
    name: str, *, after: Mapping[str, str] | None = None, functional: bool = False, alias: str = ""
) -> Callable[[Callable[..., bool]], Callable[..., bool]]:
    """Register a pass. `after` maps passes that must come first to the reason; `functional` passes refuse graphs that
    still mutate. Raises ValueError for a name that is taken or a function without docstring."""

    def register(function: Callable[..., bool]) -> Callable[..., bool]:
        if name in _passes:
            raise ValueError(f"there are two passes called {name}")
        if not function.__doc__:
            raise ValueError(f"the pass {name} has no docstring")
        _passes[name] = Pass(name, function, dict(after or {}), functional, alias)
        if alias:
            _aliases[alias] = name
        _items.cache_clear()
        return function

    return register


def name_pipeline(name: str, text: str) -> None:
    """Make `name` stand for a pipeline in pipeline text."""
    _pipelines[name] = text
    _items.cache_clear()


def all_passes() -> list[Pass]:
    """Every registered pass, by name."""
    return sorted(_passes.values(), key=lambda item: item.name)


def named_pipelines() -> dict[str, str]:
    """The named pipelines and their texts."""
    return dict(_pipelines)


def find_pass(name: str) -> Pass:
    """The pass called `name` (or so abbreviated). Raises PipelineError naming the nearest ones."""
    found = _passes.get(_aliases.get(name, name))
    if found is None:
        raise PipelineError(unknown("pass", name, [*_passes, *_pipelines]))
    return found


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """`there is no pass 'dead-code'; did you mean dead-code-elimination?`"""
    near = difflib.get_close_matches(name, known, n=3)
    return f"there is no {what} {name!r}" + (f"; did you mean {' or '.join(near)}?" if near else "")


@dataclass(frozen=True)
class Step:
    """One run of a pass with options."""

    target: Pass
    options: Mapping[str, Any] = field(default_factory=dict)

    def run(self, graph: Graph, context: Context) -> bool:
        """Run the pass once. True when it changed the graph."""
        arguments = {**self.options, "context": context} if self.target.takes_context else self.options
        return self.target.function(graph, **arguments)

    def __str__(self) -> str:
        if not self.options:
            return self.target.name
        return f"{self.target.name}{{{', '.join(f'{name}={value}' for name, value in self.options.items())}}}"


@dataclass(frozen=True)
class Repeat:
    """Items that run again until none of them changes the graph."""

    items: tuple[Item, ...]

    def __str__(self) -> str:
        return f"repeat({', '.join(map(str, self.items))})"


Item: TypeAlias = Step | Repeat

_PUNCTUATION = frozenset("(){},=")
_TOKEN = re.compile(r"\s*([A-Za-z0-9_.-]+|[(){},=])")


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[str] = []
        place = 0
        stripped = text.rstrip()
        while place < len(stripped):
            match = _TOKEN.match(stripped, place)
            if match is None:
                raise PipelineError(f"unexpected {stripped[place]!r} in the pipeline: {text}")
            self.tokens.append(match[1])
            place = match.end()
        self.tokens.append("")

    def peek(self) -> str:
        return self.tokens[0]

    def take(self, expected: str = "") -> str:
        token = self.tokens.pop(0)
        if not token or (expected and token != expected):
            wanted = f"expected {expected!r}" if expected else "it ends too early"
            raise PipelineError(f"{wanted}, not {token or 'the end'!r}, in the pipeline: {self.text}")
        return token

    def items(self, closing: str) -> list[Item]:
        result: list[Item] = []
        while self.peek() != closing:
            result.extend(self.item())
            if self.peek() != closing:
                self.take(",")
        return result

    def item(self) -> list[Item]:
        if self.peek() in _PUNCTUATION:
            raise PipelineError(f"expected a pass, not {self.peek()!r}, in the pipeline: {self.text}")
        name = self.take()
        if name == "repeat" and self.peek() == "(":
            self.take("(")
            items = self.items(")")
            self.take(")")
            return [Repeat(tuple(items))]
        if name in _pipelines:
            return list(parse_pipeline(_pipelines[name]))
        target = find_pass(name)
        return [Step(target, self.options(target))]

    def options(self, target: Pass) -> dict[str, Any]:
        given: dict[str, Any] = {}
        if self.peek() != "{":
            return given
        self.take("{")
        while self.peek() != "}":
            name = self.take().replace("-", "_")
            if name not in target.options:
                known = ", ".join(target.options) or "none"
                raise PipelineError(f"{target.name} has no option {name!r} (it has: {known})")
            self.take("=")
            given[name] = _option_value(target, name, self.take())
            if self.peek() != "}":
                self.take(",")
        self.take("}")
        return given


def _option_value(target: Pass, name: str, text: str) -> Any:
    kind = type(target.options[name])
    if kind is bool and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind is bool:
        raise PipelineError(f"{target.name}: {name}={text} must be true or false")
    try:
        return kind(text)
    except ValueError:
        raise PipelineError(f"{target.name}: {name}={text} must be of type {kind.__name__}") from None


def parse_pipeline(text: str) -> Sequence[Item]:
    """The items of a pipeline. Raises PipelineError for text that is malformed or out of order."""
    return _items(text)


@cache
def _items(text: str) -> tuple[Item, ...]:
    """Every program runs the same few pipelines, and reading the longest takes as long as a quick pass."""
    parser = _Parser(text)
    items = parser.items("")
    _check_order(items)
    return tuple(items)


def _steps(items: Iterable[Item]) -> list[Step]:
    return [step for item in items for step in ([item] if isinstance(item, Step) else _steps(item.items))]


def _check_order(items: Sequence[Item]) -> None:
    names = [step.target.name for step in _steps(items)]
    for step in _steps(items):
        for earlier, reason in step.target.after.items():
            if earlier in names and names.index(earlier) > names.index(step.target.name):
                raise PipelineError(f"{step.target.name} must come after {earlier}: {reason}")


class Replay:
    """The texts of a graph between the passes of a run, made by running the passes again when they are asked for."""

    def __init__(self, graph: Graph, context: Context) -> None:
        self.graph = graph.copy()
        self.context = replace(context, slots=list(context.slots))
        self.steps: list[Step] = []

    @cached_property
    def texts(self) -> list[str]:
        """The text before the first pass, and after each."""
        texts = [str(self.graph)]
        for step in self.steps:
            changed = step.run(self.graph, self.context)
            texts.append(str(self.graph) if changed else texts[-1])
        return texts


@dataclass
class PassRecord:
    """What one run of a pass did; `number` counts the runs of the pipeline. The texts are made when asked for."""

    name: str
    changed: bool
    seconds: float
    rewrites: dict[str, int] = field(default_factory=dict)
    number: int = 0
    replay: Replay | None = field(default=None, repr=False)

    @property
    def before(self) -> str:
        """The graph before the pass, as text (empty when it was not kept)."""
        return "" if self.replay is None else self.replay.texts[self.number - 1]

    @property
    def after(self) -> str:
        """The graph after the pass, as text (empty when it was not kept)."""
        return "" if self.replay is None else self.replay.texts[self.number]

    def diff(self, context: int = 3) -> str:
        """What the pass changed, as a unified diff."""
        lines = difflib.unified_diff(
            self.before.splitlines(), self.after.splitlines(), "before", f"after {self.name}", n=context, lineterm=""
        )
        return "\n".join(lines)


class Instrument:
    """Something that watches passes run. Methods do nothing unless overridden."""

    def start(self, graph: Graph, context: Context) -> None:
        """Called once before the first pass."""

    def allows(self, step: Step) -> bool:
        """False to leave the pass out."""
        return True

    def before(self, step: Step, graph: Graph) -> None:
        """Called before a pass runs."""

    def after(self, step: Step, graph: Graph, record: PassRecord) -> None:
        """Called after a pass has run. May raise to report a broken pass."""

    def finish(self) -> None:
        """Called once after the last pass."""


REPEAT_CAP = 64
"""So many rounds at most: a detector of several stages learns one more length in each."""
UNSETTLED_CAP = 4
"""And so many once a repeat has reached that: what does not settle there would not settle in the repeats around either."""


class _Manager:
    def __init__(
        self, graph: Graph, context: Context, instruments: Sequence[Instrument], keep: bool, records: list[PassRecord]
    ) -> None:
        self.graph = graph
        self.context = context
        self.instruments = instruments
        self.records = records
        self.replay = Replay(graph, context) if keep else None
        self.version = 0
        self.settled: dict[str, int] = {}
        self.is_functional = False
        self.is_unsettled = False

    def run_items(self, items: Sequence[Item]) -> bool:
        changed = [self.run_step(item) if isinstance(item, Step) else self.run_repeat(item) for item in items]
        return any(changed)

    def run_repeat(self, repeat: Repeat) -> bool:
        for count in range(REPEAT_CAP):
            if count >= UNSETTLED_CAP and self.is_unsettled:
                return True
            first = len(self.records)
            if not self.run_items(repeat.items):
                return count > 0
        if config.VERIFY():
            busy = sorted({record.name for record in self.records[first:] if record.changed})
            raise PipelineError(f"{repeat} still changes the graph after {REPEAT_CAP} rounds: {', '.join(busy)}")
        self.is_unsettled = True
        return True

    def run_step(self, step: Step) -> bool:
        if self.settled.get(str(step)) == self.version:
            return False  # it found nothing to do on this very graph
        if not all(instrument.allows(step) for instrument in self.instruments):
            return False
        if step.target.functional and (not self.is_functional or config.VERIFY()):
            require_functional(self.graph, step.target.name)
        for instrument in self.instruments:
            instrument.before(step, self.graph)
        try:
            record = self.timed(step)
            for instrument in self.instruments:
                instrument.after(step, self.graph, record)
        except Exception as error:
            error.add_note(f"in pass {step} (number {len(self.records) + 1} of this pipeline)")
            raise
        self.records.append(record)
        self.version += record.changed
        # A pass that needs a functional graph leaves one behind: it is asked again after the others only.
        self.is_functional = step.target.functional or (self.is_functional and not record.changed)
        if not record.changed:
            self.settled[str(step)] = self.version
        return record.changed

    def timed(self, step: Step) -> PassRecord:
        with rewrite.counting() as counts:
            start = time.perf_counter()
            changed = step.run(self.graph, self.context)
            seconds = time.perf_counter() - start
        if self.replay is not None:
            self.replay.steps.append(step)
        return PassRecord(step.target.name, changed, seconds, dict(counts), len(self.records) + 1, self.replay)


def require_functional(graph: Graph, who: str) -> None:
    """Raise PipelineError when the graph still writes to memory, because `who` would then be wrong."""
    for node in graph.walk():
        if writes_memory(node):
            raise PipelineError(
                f"{who} needs a functional graph, but {node.kind} writes its argument: run functionalize first",
                node.source,
            )


def writes_memory(node: Node) -> bool:
    """True for in-place and `out=` operators and attribute assignment."""
    if node.kind == "prim::SetAttr":
        return True
    operator = operator_of(node) if node.kind.startswith("aten::") else None
    return operator is not None and operator.mutates


def run(
    graph: Graph,
    pipeline: str | Sequence[Item],
    instruments: Sequence[Instrument] = (),
    context: Context | None = None,
    keep_graphs: bool = True,
    records: list[PassRecord] | None = None,
) -> list[PassRecord]:
    """Run a pipeline on a graph, in place, and tell what every pass did (in `records`, where a list is given).

    `keep_graphs` keeps a copy of the graph as it was, so that the records can show the graph after every pass.
    Raises PipelineError for a bad pipeline, and what passes and instruments raise, with the pass's name as a note.
    """
    items = parse_pipeline(pipeline) if isinstance(pipeline, str) else pipeline
    context = context or Context()
    for instrument in instruments:
        instrument.start(graph, context)
    manager = _Manager(graph, context, instruments, keep_graphs, [] if records is None else records)
    try:
        manager.run_items(items)
    finally:
        for instrument in instruments:
            instrument.finish()
    return manager.records
