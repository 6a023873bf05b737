"""The schedule that lets passes over neighbouring rows run side by side.

A row that is walked several times (softmax) waits for memory in one pass, for stores in another, for arithmetic in a
third. One loop does the last pass of a row, the next to last one of the row behind it and the first one of the row behind
that, so that all of it is busy at once: on a Zen 4 a softmax of 1024 columns takes 0.7 to 0.8 of the time. Every row is
computed by the same instructions in the same order as before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain

from optc.codegen.kernels.cost import FUNCTION, body_operations
from optc.codegen.kernels.dependences import turns_are_independent
from optc.codegen.kernels.fetches import AHEAD_BYTES
from optc.codegen.kernels.kernel import (
    Accumulate,
    Assign,
    Define,
    Fetch,
    Fold,
    Kernel,
    Loop,
    Statement,
    Store,
    changed,
    copied,
    defined,
    leaves,
    local,
    statements,
    stride_of,
    values_of,
)
from optc.codegen.kernels.vectorise import turns_in_one
from optc.codegen.machine.host import Target
from optc.ir.dims import Dim, maximum, minimum, symbol
from optc.ir.dtypes import DType
from optc.ops.scalar import literal

MOST_PASSES = 3
"""More of them have more to compute than to wait for, and fill the registers with what each of them keeps."""
FEW_ROWS = 4
"""With fewer rows than this there is nothing to gain."""


def overlap(kernel: Kernel, target: Target) -> Kernel:
    """Merge the passes over rows, each over a row of its own, where there are registers for what all of them keep."""
    if not target.avx512 or any(buffer.role == "scratch" for buffer in kernel.buffers):
        return kernel
    return replace(kernel, body=_merged(kernel, kernel.body))


def _merged(kernel: Kernel, body: tuple[Statement, ...]) -> tuple[Statement, ...]:
    """A body that is one loop over rows, or loops that hold one, with the rows' passes merged."""
    if len(body) != 1 or not isinstance(body[0], Loop) or body[0].lanes:
        return body
    stages = _stages(kernel, body[0])
    if stages is None:
        return (replace(body[0], body=_merged(kernel, body[0].body)),)
    return tuple(_Overlapped(kernel, body[0], stages).statements())


@dataclass(frozen=True)
class _Stage:
    """A pass over a row, with what it needs before and makes of its sums behind."""

    before: tuple[Statement, ...]
    loops: tuple[Loop, ...]
    behind: tuple[Statement, ...]

    @property
    def body(self) -> tuple[Statement, ...]:
        return (*self.before, *self.loops, *self.behind)


def _stages(kernel: Kernel, row: Loop) -> list[_Stage] | None:
    """The passes of a loop over rows; None where they cannot or should not be merged."""
    turns = row.stop - row.start
    if row.lanes or row.step != 1 or (isinstance(turns, int) and turns < FEW_ROWS):
        return None
    stages = _cut(row.body)
    if not 2 <= len(stages) <= MOST_PASSES or not turns_are_independent(kernel, row):
        return None
    if not any(_is_heavy(loop) for stage in stages for loop in stage.loops):
        return None
    if any(isinstance(statement, Store) for statement in statements(stages[0].body)):
        return None  # the first pass over the last row is run twice
    if any(changed(stage.body) - defined(stage.body) for stage in stages) or not _are_in_order(stages):
        return None
    return _of_one_shape(stages)


def _are_in_order(stages: list[_Stage]) -> bool:
    """Whether stages read of each other only numbers that earlier ones have made."""
    known: set[str] = set()
    later = set().union(*(defined(stage.body) for stage in stages))
    for stage in stages:
        if _read_by(stage) & later - defined(stage.body) - known:
            return False
        known |= set(_row_locals(stage))
    return True


def _cut(body: tuple[Statement, ...]) -> list[_Stage]:
    """A row's statements by passes: of what lies between two of them, what needs the first one belongs to it. Empty where
    there is something else."""
    parts: list[list[Statement]] = [[]]
    passes: list[list[Loop]] = []
    for statement in body:
        if isinstance(statement, Loop) and _is_pass(statement):
            if parts[-1] or not passes:
                parts.append([])
                passes.append([])
            passes[-1].append(statement)
        elif isinstance(statement, Define | Accumulate | Fold):
            parts[-1].append(statement)
        else:
            return []
    stages: list[_Stage] = []
    before = tuple(parts[0])
    for loops, part in zip(passes, parts[1:], strict=True):
        own = defined((*before, *loops))
        behind: list[Statement] = []
        for statement in part:
            if own & _read(statement):
                behind.append(statement)
                own |= defined([statement])
        stages.append(_Stage(before, tuple(loops), tuple(behind)))
        before = tuple(statement for statement in part if statement not in behind)
    if stages and before:
        stages[-1] = replace(stages[-1], behind=(*stages[-1].behind, *before))
    return stages


def _is_pass(loop: Loop) -> bool:
    return loop.lanes > 1 and all(isinstance(s, Define | Accumulate | Store | Fetch) for s in loop.body)


def _is_heavy(loop: Loop) -> bool:
    """Whether a vector takes so much to compute that memory can be read and written meanwhile."""
    return body_operations(loop.body) * loop.lanes >= FUNCTION * loop.step


def _read(statement: Statement) -> set[str]:
    """The locals that a statement reads, nested ones included."""
    found: set[str] = set()
    for inner in statements((statement,)):
        found |= {leaf.value for value in values_of(inner) for leaf in leaves(value) if leaf.op == "local"}
        if isinstance(inner, Fold):
            found.add(inner.source)
        elif isinstance(inner, Accumulate):
            found.add(inner.name)
    return found


def _of_one_shape(stages: list[_Stage]) -> list[_Stage] | None:
    """The stages with loops over the same parts of a row, as those of the pass with the longest turns have; None where
    sums would be made in another order."""
    model = max((stage.loops for stage in stages), key=lambda loops: (loops[0].step, -len(loops)))
    shaped: list[_Stage] = []
    for stage in stages:
        loops = _shaped(stage.loops, model)
        if loops is None:
            return None
        shaped.append(replace(stage, loops=loops))
    return shaped


def _shaped(loops: tuple[Loop, ...], model: tuple[Loop, ...]) -> tuple[Loop, ...] | None:
    """Loops over the parts of a row that those of a model go over."""
    first, last = loops[0], loops[-1]
    if (first.start, last.stop, first.lanes) != (model[0].start, model[-1].stop, model[0].lanes):
        return None
    if [_shape(loop) for loop in loops] == [_shape(loop) for loop in model]:
        return loops
    single = next((loop for loop in loops if loop.step == loop.lanes), None)
    if single is None:
        return None
    result: list[Loop] = []
    for part in model:
        if part.step == part.lanes:
            result.append(replace(part, variable=single.variable, body=single.body, abreast=1))
        elif _shape(first) == _shape(part):
            result.append(first)
        elif any(isinstance(statement, Accumulate) for statement in single.body):
            return None
        else:
            wide = replace(single, start=part.start, stop=part.stop, masked=False)
            result.append(turns_in_one(wide, part.step // part.lanes, set()))
    return tuple(result)


def _shape(loop: Loop) -> tuple[Dim, Dim, int, bool]:
    return loop.start, loop.stop, loop.step, loop.masked


class _Overlapped:
    """A loop over rows whose stages are merged: each works on the row before the one of the stage before it, with what
    that has made of the row a turn ago."""

    def __init__(self, kernel: Kernel, row: Loop, stages: list[_Stage]) -> None:
        self.kernel = kernel
        self.row = row
        self.fetches_ahead = any(isinstance(statement, Fetch) for statement in statements(row.body))
        self.stages = stages
        self.kept = _kept(stages)

    def statements(self) -> list[Statement]:
        """Rows until all stages have one, rows while all have one, the last stage of the last row."""
        row, this = self.row, symbol(self.row.variable)
        first, ahead = minimum(row.start + 1, row.stop), minimum(this + 1, row.stop - 1)
        result: list[Statement] = [
            Define(_before(name, turns), literal(0, keeping.dtype))
            for name, keeping in self.kept.items() for turns in range(1, keeping.turns + 1)
        ]  # fmt: skip
        result.append(replace(row, stop=first, body=self.turn([this])))
        if len(self.stages) == 2:
            return [*result, replace(row, body=self.turn([ahead, this]))]
        result.append(replace(row, stop=first, body=self.turn([ahead, this])))
        result.append(replace(row, start=row.start + 1, body=self.turn([ahead, this, this - 1])))
        last = self.stage(2, this).body
        return [*result, replace(row, start=maximum(row.start, row.stop - 1), body=last)]

    def turn(self, rows: list[Dim]) -> tuple[Statement, ...]:
        """The first stages side by side, each on a row of its own."""
        stages = [self.stage(number, place) for number, place in enumerate(rows)]
        before = chain.from_iterable(stage.before for stage in stages)
        behind = chain.from_iterable(stage.behind for stage in stages)
        loops = [_side_by_side(parts) for parts in zip(*(stage.loops for stage in stages), strict=True)]
        loops[0] = replace(loops[0], body=(*self.fetches(stages[0].loops[0]), *loops[0].body))
        return (*before, *loops, *behind, *self.handed_on(len(rows)))

    def fetches(self, leading: Loop) -> Iterator[Fetch]:
        """What the first stage will read, if the passes fetched anything."""
        places = (
            leaf.value for s in leading.body for value in values_of(s) for leaf in leaves(value) if leaf.op == "load"
        )
        for name, index in dict.fromkeys(places if self.fetches_ahead else ()):
            if stride_of(index, leading.variable) == 1:
                yield Fetch(name, index + AHEAD_BYTES // self.kernel.buffer(name).dtype.itemsize)

    def stage(self, number: int, row: Dim) -> _Stage:
        """A stage that works on some row."""
        stage = self.stages[number]
        names = {name: f"{name}.p{number}" for loop in stage.loops for name in defined(loop.body)}
        for name, keeping in self.kept.items():
            if keeping.stage < number:
                names[name] = _before(name, number - keeping.stage)
        variables = {self.row.variable: row}
        before, loops, behind = (copied(part, names, variables) for part in (stage.before, stage.loops, stage.behind))
        return _Stage(before, tuple(loop for loop in loops if isinstance(loop, Loop)), behind)

    def handed_on(self, count: int) -> Iterator[Statement]:
        """What the first stages have made, kept for the next turns."""
        for name, keeping in self.kept.items():
            for turns in range(keeping.turns, 1, -1):
                yield Assign(_before(name, turns), local(_before(name, turns - 1), keeping.dtype))
            if keeping.stage < count and keeping.turns:
                yield Assign(_before(name, 1), local(name, keeping.dtype))


@dataclass(frozen=True)
class _Keeping:
    """Which stage defines a local, and for how many turns it is needed."""

    stage: int
    turns: int
    dtype: DType


def _kept(stages: list[_Stage]) -> dict[str, _Keeping]:
    """The locals that a stage defines and a later one reads."""
    result: dict[str, _Keeping] = {}
    for number, stage in enumerate(stages):
        for name, dtype in _row_locals(stage).items():
            readers = [later for later in range(number + 1, len(stages)) if name in _read_by(stages[later])]
            if readers:
                result[name] = _Keeping(number, readers[-1] - number, dtype)
    return result


def _row_locals(stage: _Stage) -> dict[str, DType]:
    """The locals of a stage that are numbers, with their types."""
    found: dict[str, DType] = {}
    for statement in (*stage.before, *stage.behind):
        if isinstance(statement, Define) and not statement.lanes:
            found[statement.name] = statement.value.dtype
        elif isinstance(statement, Fold):
            found[statement.name] = statement.combine.dtype
    return found


def _read_by(stage: _Stage) -> set[str]:
    """The locals that the statements of a stage read."""
    return set().union(*map(_read, stage.body))


def _before(name: str, turns: int) -> str:
    """The name of what a local was so many turns before."""
    return f"{name}.ago{turns}"


def _side_by_side(loops: tuple[Loop, ...]) -> Loop:
    """One loop that does what all of them do.

    What earlier passes store is stored last, when all has been read: a row of the result often lies a multiple of a page
    from one that is read, and then a processor takes what is read to be what was just stored, and waits (Zen 4: a quarter
    of the time of a softmax of 1024 columns).
    """
    model = loops[0]
    count = model.step // model.lanes
    before: list[Statement] = []
    stores: list[Statement] = []
    for loop in loops:
        body = copied(_by_statement(loop, count), {}, {loop.variable: symbol(model.variable)})
        late = _last_stores(body)
        before.extend(body[: len(body) - late])
        stores[:0] = body[len(body) - late :]
    return replace(model, body=(*before, *stores), abreast=count)


def _last_stores(body: tuple[Statement, ...]) -> int:
    """How many statements at the end of a body store something."""
    others = [place for place, statement in enumerate(body) if not isinstance(statement, Store)]
    return len(body) - 1 - others[-1] if others else len(body)


def _by_statement(loop: Loop, count: int) -> tuple[Statement, ...]:
    """The statements of a loop that takes `count` vectors in a turn: each for all of them, then the next one. Only the
    first pass needs to fetch what is read."""
    rest = [s for s in loop.body if not isinstance(s, Fetch)]
    fetches = [s for s in loop.body if isinstance(s, Fetch) and s.written]
    if loop.abreast == 1:
        length = len(rest) // count
        rest = [rest[place + turn * length] for place in range(length) for turn in range(count)]
    return (*fetches, *rest)
