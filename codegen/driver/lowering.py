"""From a group of nodes to a kernel: loops over the kept dimensions of the domain, inside them stages.

What is reduced (a row, or a column) is walked several times while it is in the nearest cache: stage 0 holds what
depends on no reduction, stage s what depends on results of stage s - 1. A value that a later stage needs again is kept
where computing it again would cost more than a store and a load: in the place of a result that is written later, in a
row of scratch that nobody reads any more, or in a new one.

Lanes run along the last dimension. Where that is reduced, a vector is folded at the end of a row; where it is kept,
each lane works on a column of its own.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import field

from optc.codegen.driver.grouping import FULL, ROW_DROPPED, ROW_KEPT, Group, reduced_operand
from optc.codegen.kernels.cost import TRAFFIC, operations
from optc.codegen.kernels.kernel import (
    Accumulate,
    Buffer,
    Define,
    Kernel,
    Loop,
    Statement,
    Store,
    dims_of,
    load,
    local,
    statements,
    values_of,
)
from optc.dataclass import dataclass
from optc.ir.dims import Dim, product, symbol, symbols
from optc.ir.dtypes import DType
from optc.ir.graph import Node, Value
from optc.ir.types import TensorType
from optc.ops.abstract import abstract
from optc.ops.elementwise import cast_expression, element_expression, stored_type
from optc.ops.promotion import compute_type
from optc.ops.registry import Reduction, operator_of
from optc.ops.scalar import Expr, inputs_of, literal, variable
from optc.ops.scalar import substitute as substitute_inputs


@dataclass(frozen=True)
class Operand:
    """An external input of a kernel: a strided tensor, or a number held in a one-element buffer (shape ())."""

    value: Value
    buffer: Buffer
    shape: tuple[Dim, ...]
    strides: tuple[Dim, ...]


@dataclass
class LoweredGroup:
    """A kernel and what to pass to it: operands, results (contiguous), scratch, sizes in terms of the program."""

    kernel: Kernel
    operands: list[Value]
    results: list[Value]
    sizes: list[Dim] = field(default_factory=list)


def lower_group(
    group: Group,
    layouts: dict[Value, tuple[tuple[Dim, ...], tuple[Dim, ...]]],
    result_strides: dict[Value, tuple[Dim, ...]] | None = None,
) -> LoweredGroup:
    """The naive kernel of a group; `layouts` gives shape and strides of every external tensor, `result_strides` those
    of results over the whole domain that are not contiguous."""
    return _GroupLowering(group, layouts, result_strides or {}).lower()


class _GroupLowering:
    def __init__(
        self,
        group: Group,
        layouts: dict[Value, tuple[tuple[Dim, ...], tuple[Dim, ...]]],
        result_strides: dict[Value, tuple[Dim, ...]],
    ) -> None:
        self.group = group
        self.result_strides = result_strides
        self.members = {node.output: node for node in group.nodes}
        self.operands: dict[Value, Operand] = {}
        for node in group.nodes:
            for value in node.inputs:
                self.add_operand(value, layouts)
        self.results = group.outputs()
        self.stored = {value: Buffer(f"out{n}", _dtype(value), "output") for n, value in enumerate(self.results)}
        self.scratch: list[Buffer] = []
        self.last_readers: dict[Value, int] = {}
        self.variables = tuple(f"i{place}" for place in range(len(group.domain)))
        self.extents = self.merge_loops()
        self.materialised: dict[Value, Buffer] = {}
        self.locals: dict[Value, Expr] = {}
        self.elements: dict[Value, Expr] = {}
        """What elements of members are computed from, as long as nothing more gets a name or a place."""
        self.levels: dict[Value, int] = {}
        self.names = 0

    def add_operand(self, value: Value, layouts: dict[Value, tuple[tuple[Dim, ...], tuple[Dim, ...]]]) -> None:
        if value in self.members or value in self.operands or value.is_constant and value not in layouts:
            return
        if not isinstance(value.type, TensorType) and not _is_number(value):
            return
        shape, strides = layouts.get(value, ((), ()))
        buffer = Buffer(f"in{len(self.operands)}", stored_type(abstract(value)), "input")
        self.operands[value] = Operand(value, buffer, shape, strides)

    def new_name(self, kind: str) -> str:
        """A name for a local that no other has."""
        self.names += 1
        return f"{kind}{self.names - 1}"

    # Structure ---------------------------------------------------------------------------------------------------

    @property
    def axes(self) -> tuple[int, ...]:
        return self.group.axes if self.group.axes is not None else ()

    @property
    def has_columns(self) -> bool:
        """True where the last dimension with a loop is kept, so that lanes work on columns."""
        looped = [place for place, name in enumerate(self.variables) if name in self.extents]
        return bool(looped) and looped[-1] not in self.axes

    def lower(self) -> LoweredGroup:
        body = self.pointwise() if self.group.axes is None else self.stages()
        buffers = [operand.buffer for operand in self.operands.values()]
        buffers += [*self.stored.values(), *self.scratch]
        kernel = Kernel("kernel", tuple(buffers), (), body)
        names = sorted(_symbols_of(kernel) - set(self.variables))
        kernel = Kernel("kernel", tuple(buffers), tuple(names), body)
        return LoweredGroup(kernel, list(self.operands), self.results, [symbol(name) for name in names])

    def pointwise(self) -> tuple[Statement, ...]:
        """One nest over the domain, as few loops as the strides allow."""
        return self.nest(range(len(self.variables)), self.full_stores(self.results), lanes=True)

    def nest(self, places: Iterable[int], body: tuple[Statement, ...], *, lanes: bool) -> tuple[Statement, ...]:
        """`body` inside loops over domain dimensions, outermost first; `lanes` marks the innermost for widening."""
        kept = [place for place in places if self.variables[place] in self.extents]
        for place in reversed(kept):
            name = self.variables[place]
            width = 1 if lanes and place == kept[-1] else 0
            body = (Loop(name, 0, self.extents[name], 1, body, width),)
        return body

    def merge_loops(self) -> dict[str, Dim]:
        """The extent of each loop: neighbours become one where every operand moves through both in equal steps."""
        extents: dict[str, Dim] = dict(zip(self.variables, self.group.domain))
        movements = [self.movement(operand) for operand in self.operands.values() if operand.shape]
        movements += [list(strides) for strides in self.result_strides.values()]
        rows_apart = any(frame == ROW_DROPPED for frame in self.group.frames.values())
        for place in range(len(self.variables) - 1):
            outer, inner = self.variables[place], self.variables[place + 1]
            if (place in self.axes) != (place + 1 in self.axes) or (rows_apart and place not in self.axes):
                continue
            extent = extents[inner]
            if extent == 1:  # a place of its own in results that keep reduced dimensions; it gets no loop anyway
                continue
            if all(movement[place] == movement[place + 1] * extent for movement in movements):
                extents[inner] = extents.pop(outer) * extent
        return {name: extent for name, extent in extents.items() if extent != 1}

    def movement(self, operand: Operand) -> list[Dim]:
        """The operand's stride along each domain dimension, 0 where it is broadcast."""
        missing = len(self.group.domain) - len(operand.shape)
        strides: list[Dim] = [0] * missing
        for extent, stride, domain in zip(operand.shape, operand.strides, self.group.domain[missing:]):
            strides.append(0 if extent == 1 and domain != 1 else stride)
        return strides

    def stages(self) -> tuple[Statement, ...]:
        """Loops over the kept dimensions; inside, the stages of one row or of a vector of columns."""
        for node in self.group.nodes:
            self.levels[node.output] = self.level(node.output)
        last = max(self.levels.values(), default=0)
        body: list[Statement] = []
        for stage in range(last + 1):
            body.extend(self.stage(stage))
        row_results = [value for value in self.results if self.group.frames[value] != FULL]
        body.extend(
            Store(self.stored[value].name, self.result_index(value), self.element(value)) for value in row_results
        )
        kept = [place for place in range(len(self.variables)) if place not in self.axes]
        return self.nest(kept, tuple(body), lanes=self.has_columns)

    def level(self, value: Value) -> int:
        """After how many passes over the row the value can be known."""
        if value not in self.members:
            return 0
        if value not in self.levels:
            inputs = max((self.level(item) for item in self.members[value].inputs), default=0)
            self.levels[value] = inputs + (1 if self.is_reduction(value) else 0)
        return self.levels[value]

    def is_reduction(self, value: Value) -> bool:
        operator = operator_of(self.members[value])
        return operator is not None and isinstance(operator.lowering, Reduction)

    def stage(self, stage: int) -> list[Statement]:
        """One pass: the values that are known now are computed, stored, kept, and combined into reductions."""
        before: list[Statement] = self.row_locals(stage)
        reductions = [v for v in self.members if self.is_reduction(v) and self.level(v) == stage + 1]
        stores = [v for v in self.results if self.group.frames[v] == FULL and self.level(v) == stage]
        roots = [*stores, *(reduced_operand(self.members[value]) for value in reductions)]
        kept = self.kept_values(roots, stage)
        loop_body: list[Statement] = []
        for value in kept:
            self.define_element(value, loop_body)
        done: list[Statement] = []
        for value in reductions:
            self.accumulate(value, before, loop_body, done)
        if len(stores) > 1 and any(self.stored[value] in self.materialised.values() for value in stores):
            for value in stores:  # one of the results holds what others are computed from
                self.define_element(value, loop_body)
        loop_body.extend(self.full_stores(stores))
        self.keep(kept, stage, loop_body)
        if loop_body:
            before.extend(self.nest(self.axes, tuple(loop_body), lanes=not self.has_columns))
        self.forget_loop_locals()
        return [*before, *done]

    def define_element(self, value: Value, body: list[Statement]) -> None:
        """Give the current element of a value a name."""
        if value in self.locals or value not in self.members:
            return
        name = self.new_name("t")
        body.append(Define(name, self.element(value)))
        self.give_name(value, name)

    def row_locals(self, stage: int) -> list[Statement]:
        """Row values that are known now, computed once per row instead of once per element."""
        result: list[Statement] = []
        for value in self.members:
            is_row = self.group.frames[value] != FULL
            if not is_row or self.level(value) != stage or self.is_reduction(value):
                continue
            name = self.new_name("row")
            result.append(Define(name, self.element(value)))
            self.give_name(value, name)
        return result

    def accumulate(self, value: Value, before: list[Statement], body: list[Statement], after: list[Statement]) -> None:
        """Emit one reduction: its accumulator before the loop, the combination in it, the result behind."""
        node = self.members[value]
        operator = operator_of(node)
        assert operator is not None and isinstance(operator.lowering, Reduction)
        reduction = operator.lowering
        dtype = compute_type(reduction.accumulate(_dtype(value)))
        name = self.new_name("acc")
        element = self.element(reduced_operand(node))
        prepared = cast_expression(reduction.prepare(cast_expression(element, compute_type(element.dtype))), dtype)
        combine = reduction.combine(variable(0, dtype), variable(1, dtype))
        before.append(Define(name, literal(reduction.identity(dtype), dtype)))
        body.append(Accumulate(name, combine, prepared))
        result = f"{name}.total"
        after.append(Define(result, cast_expression(local(name, dtype), _dtype(value))))
        self.give_name(value, result)

    def give_name(self, value: Value, name: str) -> None:
        """Let who reads a value read a local."""
        self.locals[value] = local(name, _dtype(value))
        self.elements.clear()

    # Values that outlive a stage -------------------------------------------------------------------------------------

    def later_roots(self, stage: int) -> list[tuple[Value, int]]:
        """What later stages compute elements of, operands of their reductions and their results, and which does."""
        roots: list[tuple[Value, int]] = []
        for value in self.members:
            if self.is_reduction(value) and self.level(value) > stage + 1:
                roots.append((reduced_operand(self.members[value]), self.level(value) - 1))
            if value in self.stored and self.group.frames[value] == FULL and self.level(value) > stage:
                roots.append((value, self.level(value)))
        return roots

    def reached(self, root: Value) -> set[Value]:
        """Full members that an element of `root` is computed from, itself included."""
        if not self.is_computed(root):
            return set()
        found = {root}
        pending = [root]
        while pending:
            inner = [value for value in self.members[pending.pop()].inputs if self.is_computed(value)]
            pending.extend(value for value in inner if value not in found)
            found.update(inner)
        return found

    def is_computed(self, value: Value) -> bool:
        """True for members over the whole domain that lie nowhere."""
        return value in self.members and self.group.frames[value] == FULL and value not in self.materialised

    def kept_values(self, roots: list[Value], stage: int) -> list[Value]:
        """Values of this stage that later ones need and that cost more to compute again, in program order."""
        here: set[Value] = set()
        for root in roots:
            here |= self.reached(root)
        readers: dict[Value, list[int]] = {}
        for root, reader in self.later_roots(stage):
            for value in self.outermost(root, here):  # what these are made of need not be kept
                readers.setdefault(value, []).append(reader)
        kept = []
        for value in self.members:
            count = len(set(readers.get(value, ())))
            if count and operations(self.element(value)) * count > TRAFFIC + count:
                kept.append(value)
                self.last_readers[value] = max(readers[value])
        return kept

    def outermost(self, root: Value, wanted: Container[Value]) -> set[Value]:
        """The outermost wanted values that an element of `root` is computed from, which may be itself."""
        found: set[Value] = set()
        seen = {root}
        pending = [root]
        while pending:
            value = pending.pop()
            if value in wanted:
                found.add(value)
            elif self.is_computed(value):
                pending.extend(operand for operand in self.members[value].inputs if operand not in seen)
                seen.update(self.members[value].inputs)
        return found

    def keep(self, values: list[Value], stage: int, body: list[Statement]) -> None:
        """Store locals that a later stage reads, behind everything else that this one does with an element."""
        taken = self.still_read(stage, values)
        for value in values:
            buffer = self.stored.get(value)
            if buffer is None:
                buffer = self.place_for(value, taken)
                body.append(Store(buffer.name, self.kept_index(buffer), self.locals[value]))
            self.materialised[value] = buffer
            self.elements.clear()
            taken.add(buffer)

    def still_read(self, stage: int, kept: list[Value]) -> set[Buffer]:
        """The buffers that later stages read once `kept` is kept as well."""
        stops = {*self.materialised, *kept}
        found: set[Value] = set()
        for root, _ in self.later_roots(stage):
            found |= self.outermost(root, stops)
        return {self.materialised[value] for value in found if value in self.materialised}

    def place_for(self, value: Value, taken: set[Buffer]) -> Buffer:
        """Where a value is kept: in a result that is written when it has been read, in scratch, in new scratch."""
        for result in self.results:
            is_later = self.group.frames[result] == FULL and self.level(result) >= self.last_readers[value]
            if is_later and self.stored[result].dtype is _dtype(value) and self.stored[result] not in taken:
                return self.stored[result]
        for buffer in self.scratch:
            if buffer.dtype is _dtype(value) and buffer not in taken:
                return buffer
        size = product([self.group.domain[axis] for axis in self.axes])
        if self.has_columns:
            size = size * self.extents[self.columns]
        self.scratch.append(Buffer(f"keep{len(self.scratch)}", _dtype(value), "scratch", size))
        return self.scratch[-1]

    @property
    def columns(self) -> str:
        """The variable that lanes of columns run along."""
        return next(name for name in reversed(self.variables) if name in self.extents)

    def kept_index(self, buffer: Buffer) -> Dim:
        """Where the current element lies in a buffer that keeps values: a row of scratch, or a result."""
        if buffer.role != "scratch":
            return next(self.result_index(value) for value in self.results if self.stored[value] is buffer)
        index: Dim = 0
        for axis in self.axes:
            index = index * self.group.domain[axis] + self.position(self.variables[axis])
        return index * self.extents[self.columns] + symbol(self.columns) if self.has_columns else index

    def forget_loop_locals(self) -> None:
        for value in [value for value in self.locals if self.group.frames.get(value) == FULL]:
            del self.locals[value]
        self.elements.clear()

    # Elements --------------------------------------------------------------------------------------------------------

    def full_stores(self, values: list[Value]) -> tuple[Statement, ...]:
        return tuple(Store(self.stored[v].name, self.result_index(v), self.element(v)) for v in values)

    def result_index(self, value: Value) -> Dim:
        """Where the current element of a result lies."""
        index: Dim = 0
        if value in self.result_strides:
            for stride, name in zip(self.result_strides[value], self.variables):
                index = index + stride * self.position(name)
            return index
        for extent, position in zip(_shape(value), self.indices(_shape(value), self.group.frames[value])):
            index = index * extent + position
        return index

    def position(self, name: str) -> Dim:
        """The current value of a domain variable; one without a loop of its own stays 0."""
        return symbol(name) if name in self.extents else 0

    def indices(self, shape: tuple[Dim, ...], frame: str) -> list[Dim]:
        """The domain's variables as an index into a tensor of `shape`, broadcast from the right."""
        names = [n for p, n in enumerate(self.variables) if frame in (FULL, ROW_KEPT) or p not in self.axes]
        used = names[len(names) - len(shape) :]
        domain = dict(zip(self.variables, self.group.domain))
        return [
            0 if extent == 1 and (domain[name] != 1 or frame == ROW_KEPT) else self.position(name)
            for extent, name in zip(shape, used)
        ]

    def element(self, value: Value, frame: str = FULL) -> Expr:
        """One element of a value at the current place of the domain."""
        if value in self.locals:
            return self.locals[value]
        if value in self.materialised:
            buffer = self.materialised[value]
            return load(buffer, self.kept_index(buffer))
        if value in self.elements:
            return self.elements[value]
        if value in self.members:
            return self.computed(value)
        operand = self.operands[value]
        index: Dim = 0
        for stride, position in zip(operand.strides, self.indices(operand.shape, frame)):
            index = index + stride * position
        return load(operand.buffer, index)

    def computed(self, value: Value) -> Expr:
        """An element of a member from named ones and from memory: chains of members may be long, and branch often."""
        pending = [value]
        while pending:
            node = self.members[pending[-1]]
            missing = [operand for operand in node.inputs if self.is_open(operand)]
            pending.extend(missing)
            if not missing:
                self.elements[pending.pop()] = self.combined(node)
        return self.elements[value]

    def is_open(self, value: Value) -> bool:
        """True for members of whose elements it is not known yet how they are computed."""
        known = value in self.elements or value in self.locals or value in self.materialised
        return value in self.members and not known

    def combined(self, node: Node) -> Expr:
        """An element of what a member computes, given those of its operands."""
        operator = operator_of(node)
        assert operator is not None
        expr = element_expression(operator, [abstract(value) for value in node.inputs], _dtype(node.output))
        frame = self.group.frames[node.output]
        used = inputs_of(expr)
        return substitute_inputs(expr, {place: self.element(node.inputs[place], frame) for place in used})


def _is_number(value: Value) -> bool:
    return str(value.type) in ("int", "float", "bool", "Scalar") and not value.is_constant


def _dtype(value: Value) -> DType:
    assert isinstance(value.type, TensorType) and value.type.dtype is not None
    return value.type.dtype


def _shape(value: Value) -> tuple[Dim, ...]:
    assert isinstance(value.type, TensorType) and value.type.shape is not None
    return value.type.shape


def _symbols_of(kernel: Kernel) -> set[str]:
    found: set[str] = set()
    for buffer in kernel.buffers:
        found |= symbols(buffer.size)
    for statement in statements(kernel.body):
        if isinstance(statement, Loop):
            found |= symbols(statement.start) | symbols(statement.stop)
        if isinstance(statement, Store):
            found |= symbols(statement.index)
        for value in values_of(statement):
            for dim in dims_of(value):
                found |= symbols(dim)
    return found
