"""The schedule that lets passes over neighbouring rows run side by side.

A row that is walked several times (softmax) waits for memory in one pass, for stores in another, for arithmetic in a
third. One loop does the last pass of a row, the next to last one of the row behind it and the first one of the row
behind that, so that all of it is busy at once: on a Zen 4 a softmax of 1024 columns takes 0.7 to 0.8 of the time. No
pass waits for what another makes of the same row (the lanes of a sum, added up one by one): on a Zen 5 layer norm
takes 0.9 of the time and a norm by squares 0.85, if all rows lie in the first-level cache. Of more passes than three,
the first ones, which only read, run beside others of the row before, and so do those of rows so long that what three
passes work on does not stay in the first-level cache until the next one needs it (softmax of 4096 columns, Zen 5: 0.95
of the time). Of still longer ones the blocks are what rows are to others, where they have nothing to do with each other
(`block_maxima`). Every row is computed by the same instructions in the same order as before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, takewhile

from optc.codegen.kernels.cost import is_heavy
from optc.codegen.kernels.dependences import shared_scratch, turns_are_independent
from optc.codegen.kernels.fetches import AHEAD_BYTES, stays_near
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
    with_loops,
)
from optc.codegen.kernels.vectorise import turns_in_one
from optc.codegen.machine.host import Target
from optc.dataclass import dataclass
from optc.ir.dims import Dim, maximum, minimum, symbol
from optc.ir.dtypes import DType
from optc.ops.scalar import literal, nodes

MOST_PASSES = 3
"""More of them have more to compute than to wait for, and fill the registers with what each of them keeps."""
FEW_ROWS = 4
"""With fewer rows than this there is nothing to gain."""


def overlap(kernel: Kernel, target: Target) -> Kernel:
    """Merge the passes over rows, each over a row of its own, where there are registers for what all of them keep."""
    if not target.avx512:
        return kernel
    return replace(kernel, body=_merged(kernel, kernel.body, target))


def _merged(kernel: Kernel, body: tuple[Statement, ...], target: Target) -> tuple[Statement, ...]:
    """A body with the passes of its loop over rows merged, or of the loops over blocks of a row inside of that. Beside
    others, a loop with so many turns as only running tells goes over what is left of rows that are interleaved."""

    def change(loop: Loop) -> list[Statement]:
        is_meant = len(body) == 1 or isinstance(loop.stop - loop.start, int)
        plan = _plan(kernel, loop, target) if is_meant and not loop.lanes else None
        if plan is None:
            return [replace(loop, body=_merged(kernel, loop.body, target))]
        return _Overlapped(kernel, loop, plan).statements()

    return with_loops(body, change)


@dataclass(frozen=True)
class _Stage:
    """A pass over a row, with what it needs before and makes of its sums behind."""

    before: tuple[Statement, ...]
    loops: tuple[Loop, ...]
    behind: tuple[Statement, ...]

    @property
    def body(self) -> tuple[Statement, ...]:
        return (*self.before, *self.loops, *self.behind)


@dataclass(frozen=True)
class _Plan:
    """The passes of a row. delays: by how many turns each is behind the first one. groups: which of them share loops, in
    the order of a turn. ends_apart: whether the last turn is another copy, in which nothing is done for a next row; else
    the first passes go over the last row twice."""

    stages: list[_Stage]
    delays: tuple[int, ...]
    groups: list[list[int]]
    ends_apart: bool = False


def _plan(kernel: Kernel, row: Loop, target: Target) -> _Plan | None:
    """How the passes of a loop over rows are merged; None where they cannot or should not be."""
    turns = row.stop - row.start
    if row.lanes or row.step != 1 or (isinstance(turns, int) and turns < FEW_ROWS):
        return None
    stages = _cut(row.body)
    if len(stages) < 2 or not turns_are_independent(kernel, row) or shared_scratch(kernel, row):
        return None
    if any(changed(stage.body) - defined(stage.body) for stage in stages) or not _are_in_order(stages):
        return None
    count, leading = len(stages), _leading(stages)
    is_near = stays_near(kernel, row, target)
    if not 1 <= leading < count or not (is_near or any(map(_is_heavy, stages))):
        return None
    if count <= MOST_PASSES and (count == 2 or (is_near and _may_begin_early(stages))):
        return _shaped(_Plan(stages, tuple(range(count)), [[*range(count)]]))
    groups = _pairs(stages, leading)
    delays = (0,) * leading + (1,) * (count - leading)
    return _shaped(_Plan(stages, delays, groups, ends_apart=not is_near)) if groups else None


def _may_begin_early(stages: list[_Stage]) -> bool:
    """Whether the last pass may work on anything before its turn: it reads no place that data decides, and nothing that it
    stores is read by others."""
    read = [{leaf.value[0] for s in statements(stage.body) for v in values_of(s) for leaf in nodes(v) if leaf.op == "load"}
            for stage in stages]  # fmt: skip
    stored = {s.buffer for s in statements(stages[-1].body) if isinstance(s, Store)}
    places = (node for s in statements(stages[-1].body) for value in values_of(s) for node in nodes(value))
    return not set().union(*read[:-1]) & stored and not any(node.op == "at" for node in places)


def _pairs(stages: list[_Stage], leading: int) -> list[list[int]]:
    """The passes behind the leading ones in their order, each with the next one of those where their loops are alike: then
    there are registers for both. Those that are left go before the last pass, so that what they make of the next row is
    there when that begins. Empty where none are alike."""
    groups: list[list[int]] = []
    following = 0
    for number in range(leading, len(stages)):
        group = [number]
        if following < leading and _shape(stages[number].loops[0]) == _shape(stages[following].loops[0]):
            group.append(following)
            following += 1
        groups.append(group)
    if not following:
        return []
    place = len(groups) - (len(groups[-1]) == 1)
    return [*groups[:place], *([number] for number in range(following, leading)), *groups[place:]]


def _leading(stages: list[_Stage]) -> int:
    """How many passes only read, and do little else, before one that does not. What they make of the last row is made
    twice."""
    count = 0
    for stage in stages:
        if any(isinstance(statement, Store) for statement in statements(stage.body)) or _is_heavy(stage):
            break
        count += 1
    return count


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
        elif isinstance(statement, Define | Accumulate | Fold | Store):
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
    """Whether a loop goes over a row, at once or in blocks."""
    if not loop.lanes:
        _, parts, behind = _around_loops(loop)
        return bool(parts) and all(map(_goes_over_elements, parts)) and not any(isinstance(s, Loop) for s in behind)
    return _goes_over_elements(loop)


def _goes_over_elements(loop: Loop) -> bool:
    return loop.lanes > 1 and all(isinstance(s, Define | Accumulate | Store | Fetch) for s in loop.body)


def _around_loops(blocks: Loop) -> tuple[tuple[Statement, ...], tuple[Loop, ...], tuple[Statement, ...]]:
    """What a loop over blocks does before the first loops inside of it, those, and what it does behind them."""
    before = tuple(takewhile(lambda statement: not isinstance(statement, Loop), blocks.body))
    rest = blocks.body[len(before) :]
    loops = tuple(
        statement for statement in takewhile(lambda s: isinstance(s, Loop), rest) if isinstance(statement, Loop)
    )
    return before, loops, rest[len(loops) :]


def _is_heavy(stage: _Stage) -> bool:
    return any(is_heavy(loop) for loop in statements(stage.loops) if isinstance(loop, Loop))


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


def _shaped(plan: _Plan) -> _Plan | None:
    """The plan with loops over the same parts of a row in each group; None where sums would be made in another order."""
    stages = [*plan.stages]
    for group in plan.groups:
        model = max((stages[number].loops for number in group), key=lambda loops: (loops[0].step, -len(loops)))
        for number in group:
            loops = _of_shape(stages[number].loops, model)
            if loops is None:
                return None
            stages[number] = replace(stages[number], loops=loops)
    return replace(plan, stages=stages)


def _of_shape(loops: tuple[Loop, ...], model: tuple[Loop, ...]) -> tuple[Loop, ...] | None:
    """Loops over the parts of a row that those of a model go over."""
    first, last = loops[0], loops[-1]
    if (first.start, last.stop, first.lanes) != (model[0].start, model[-1].stop, model[0].lanes):
        return None
    if [*map(_shape, loops)] == [*map(_shape, model)]:
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


def _shape(loop: Loop) -> tuple[object, ...]:
    """What loops over the same parts of a row have in common."""
    inside = (_shape(statement) for statement in loop.body if isinstance(statement, Loop))
    return loop.start, loop.stop, loop.step, loop.masked, *inside


class _Overlapped:
    """A loop over rows whose passes are merged: each works on the row that is as far behind that of the first pass as the
    plan says, with what earlier passes have made of it as many turns ago."""

    def __init__(self, kernel: Kernel, row: Loop, plan: _Plan) -> None:
        self.kernel = kernel
        self.row = row
        self.plan = plan
        self.stages = plan.stages
        self.fetches_ahead = any(isinstance(statement, Fetch) for statement in statements(row.body))
        self.kept = _kept(plan)

    def statements(self) -> list[Statement]:
        """The first passes of the first row, all of them, the last one of the last row.

        Among all of them the last of three works on the first row before there is anything to work on: what it stores then
        is overwritten, by the pass before it at once, or by itself in the next turn.
        """
        row, this = self.row, symbol(self.row.variable)
        first, ahead = minimum(row.start + 1, row.stop), minimum(this + 1, row.stop - 1)
        result: list[Statement] = [
            Define(_before(name, turns), literal(0, keeping.dtype))
            for name, keeping in self.kept.items() for turns in range(1, keeping.turns + 1)
        ]  # fmt: skip
        result.append(replace(row, stop=first, body=self.turn({0: this})))
        if self.plan.ends_apart:
            last = maximum(row.start, row.stop - 1)
            result.append(replace(row, stop=last, body=self.turn({0: this + 1, 1: this})))
            result.append(replace(row, start=last, body=self.turn({1: this})))
            return result
        behind = maximum(this - 1, row.start)
        result.append(replace(row, body=self.turn({0: ahead, 1: this, 2: behind})))
        if max(self.plan.delays) > 1:
            result.append(replace(row, start=maximum(row.start, row.stop - 1), body=self.turn({2: this})))
        return result

    def turn(self, rows: dict[int, Dim]) -> tuple[Statement, ...]:
        """What the passes of some delays do, each on a row of its own."""
        result: list[Statement] = []
        for group in self.plan.groups:
            active = [number for number in group if self.plan.delays[number] in rows]
            stages = [self.stage(number, rows[self.plan.delays[number]]) for number in active]
            loops = [_side_by_side(parts) for parts in zip(*(stage.loops for stage in stages), strict=True)]
            if 0 in active:
                loops[0] = replace(loops[0], body=(*self.fetches(rows), *loops[0].body))
            before = chain.from_iterable(stage.before for stage in stages)
            behind = chain.from_iterable(stage.behind for stage in stages)
            result.extend((*before, *loops, *behind))
        return (*result, *self.handed_on(rows))

    def fetches(self, rows: dict[int, Dim]) -> Iterator[Fetch]:
        """What the first stage will read, if the passes fetched anything. Behind the last row the next range begins, or the
        next row where these are blocks of one."""
        leading = self.stage(0, symbol(self.row.variable) + 1 if 1 in rows else rows[0]).loops[0]
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
            turns = self.plan.delays[number] - self.plan.delays[keeping.stage]
            if turns > 0:
                names[name] = _before(name, turns)
        variables = {self.row.variable: row}
        before, loops, behind = (copied(part, names, variables) for part in (stage.before, stage.loops, stage.behind))
        return _Stage(before, tuple(loop for loop in loops if isinstance(loop, Loop)), behind)

    def handed_on(self, rows: dict[int, Dim]) -> Iterator[Statement]:
        """What passes have made, kept for the next turns."""
        for name, keeping in self.kept.items():
            for turns in range(keeping.turns, 1, -1):
                yield Assign(_before(name, turns), local(_before(name, turns - 1), keeping.dtype))
            if self.plan.delays[keeping.stage] in rows:
                yield Assign(_before(name, 1), local(name, keeping.dtype))


@dataclass(frozen=True)
class _Keeping:
    """Which stage defines a local, and for how many turns it is needed."""

    stage: int
    turns: int
    dtype: DType


def _kept(plan: _Plan) -> dict[str, _Keeping]:
    """The locals that a pass defines and one reads in a later turn."""
    result: dict[str, _Keeping] = {}
    read = list(map(_read_by, plan.stages))
    for number, stage in enumerate(plan.stages):
        for name, dtype in _row_locals(stage).items():
            delays = [plan.delays[later] for later, names in enumerate(read) if name in names]
            turns = max(delays, default=0) - plan.delays[number]
            if turns > 0:
                result[name] = _Keeping(number, turns, dtype)
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
    if not model.lanes:
        return _blocks_side_by_side(loops)
    abreast = min((loop.abreast for loop in loops if loop.abreast > 1), default=model.step // model.lanes)
    before: list[Statement] = []
    stores: list[Statement] = []
    for loop in loops:
        body = copied(_by_statement(loop), {}, {loop.variable: symbol(model.variable)})
        late = _last_stores(body)
        before.extend(body[: len(body) - late])
        stores[:0] = body[len(body) - late :]
    return replace(model, body=(*before, *stores), abreast=abreast)


def _blocks_side_by_side(loops: tuple[Loop, ...]) -> Loop:
    """The same of loops over blocks, of each of which all loops do a block before the next one."""
    model = loops[0]
    parts = [_around_loops(replace(s, body=copied(s.body, {}, {s.variable: symbol(model.variable)}))) for s in loops]
    before, inside, behind = zip(*parts, strict=True)
    merged = (_side_by_side(alike) for alike in zip(*inside, strict=True))
    return replace(model, body=(*chain.from_iterable(before), *merged, *chain.from_iterable(behind)))


def _last_stores(body: tuple[Statement, ...]) -> int:
    """How many statements at the end of a body store something."""
    others = [place for place, statement in enumerate(body) if not isinstance(statement, Store)]
    return len(body) - 1 - others[-1] if others else len(body)


def _by_statement(loop: Loop) -> tuple[Statement, ...]:
    """The statements of a loop whose turns take several vectors: each for all of them, then the next one. Only the first
    pass needs to fetch what is read."""
    rest = [s for s in loop.body if not isinstance(s, Fetch)]
    fetches = [s for s in loop.body if isinstance(s, Fetch) and s.written]
    if loop.abreast == 1:
        count = loop.step // loop.lanes
        length = len(rest) // count
        rest = [rest[place + turn * length] for place in range(length) for turn in range(count)]
    return (*fetches, *rest)
