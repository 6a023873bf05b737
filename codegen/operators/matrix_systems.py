"""Linear algebra on stacks of matrices: solutions, factors, triangular systems, by functions of `matrix_routines`."""

from __future__ import annotations

from dataclasses import replace

from optc.codegen.driver.checks import require
from optc.codegen.driver.copies import merged
from optc.codegen.driver.driver import Driver
from optc.codegen.driver.frame import KernelRecord, Unsupported
from optc.codegen.kernels.emitter import emit_dim
from optc.codegen.kernels.native import MemoryTensor
from optc.codegen.kernels.work import Work
from optc.codegen.llvm import Value
from optc.codegen.operators.matrix_routines import Routine, Task
from optc.dataclass import dataclass
from optc.ir import dtypes
from optc.ir.dims import Dim, minimum, product
from optc.ir.graph import Node
from optc.ir.graph import Value as IRValue
from optc.ops.abstract import abstract
from optc.ops.linear_systems import is_vector
from optc.ops.registry import Operator
from optc.ops.scalar import variable

GROUPS = 16
"""Matrices are shared out in so many groups at most, each with scratch memory of its own."""


@dataclass(frozen=True)
class _Stack:
    """Matrices at equal distances."""

    pointer: Value
    distance: Dim
    row: Dim
    column: Dim

    @property
    def steps(self) -> tuple[Dim, Dim, Dim]:
        return self.distance, self.row, self.column

    @property
    def turned(self) -> _Stack:
        """The transposed matrices."""
        return replace(self, row=self.column, column=self.row)


def solve(driver: Driver, node: Node, operator: Operator) -> None:
    """`linalg_solve`: A X = B, or X A = B, with vectors or matrices on the right."""
    a, b = _floats(driver, node, 0), _floats(driver, node, 1)
    result = driver.allocate(node.outputs[0])
    if is_vector(a.shape, b.shape):
        b, result_shape = _as_columns(b), _as_columns(result)
    else:
        result_shape = result
    is_left = bool(abstract(node.inputs[2]))
    call = _Call(driver, node, Routine.of("solve", a.dtype, driver.target), result_shape.shape[:-2])
    stacks = [call.stack(each) for each in (a, b, result_shape)]
    if not is_left:
        stacks = [stack.turned for stack in stacks]
    call.run(a.shape[-1], result_shape.shape[-1 if is_left else -2], stacks, *_noted(node, 1))
    driver.define(node.outputs[0], result)


def triangular(driver: Driver, node: Node, operator: Operator) -> None:
    """`linalg_solve_triangular`, which cannot fail."""
    a, b = _floats(driver, node, 0), _floats(driver, node, 1)
    upper, is_left, unit = (bool(abstract(value)) for value in node.inputs[2:5])
    result = driver.allocate(node.output)
    task: Task = "upper" if upper == is_left else "lower"  # X A = B is A^T X^T = B^T
    call = _Call(driver, node, Routine.of(task, a.dtype, driver.target, unit), result.shape[:-2])
    stacks = [call.stack(each) for each in (a, b, result)]
    if not is_left:
        stacks = [stack.turned for stack in stacks]
    call.run(a.shape[-1], result.shape[-1 if is_left else -2], stacks, None, False)
    driver.define(node.output, result)


def factor(driver: Driver, node: Node, operator: Operator) -> None:
    """`linalg_lu_factor`, with what it notes."""
    a = _floats(driver, node, 0)
    if a.shape[-1] != a.shape[-2]:
        raise Unsupported(node, "only square matrices are factored natively")
    result, pivots = (driver.allocate(output) for output in node.outputs[:2])
    call = _Call(driver, node, Routine.of("factor", a.dtype, driver.target), a.shape[:-2])
    source, target = call.stack(a), call.stack(result)
    call.run(a.shape[-1], 0, [source, source, target], *_noted(node, 2), pivots.pointer)
    driver.define(node.outputs[0], result)
    driver.define(node.outputs[1], pivots)


def cholesky(driver: Driver, node: Node, operator: Operator) -> None:
    """`linalg_cholesky`: the routine knows upper factors, a lower one is seen transposed, as is what is read."""
    a = _floats(driver, node, 0)
    result = driver.allocate(node.outputs[0])
    call = _Call(driver, node, Routine.of("cholesky", a.dtype, driver.target), a.shape[:-2])
    source, target = call.stack(a), call.stack(result)
    if not abstract(node.inputs[1]):
        source, target = source.turned, target.turned
    call.run(a.shape[-1], 0, [source, source, target], *_noted(node, 1))
    driver.define(node.outputs[0], result)


def _floats(driver: Driver, node: Node, place: int) -> MemoryTensor:
    memory = driver.in_memory(node.inputs[place])
    if memory.dtype not in (dtypes.FLOAT32, dtypes.FLOAT64):
        raise Unsupported(node, f"matrices of {memory.dtype.name} are not computed with natively")
    return memory


def _as_columns(memory: MemoryTensor) -> MemoryTensor:
    """Vectors as matrices of one column."""
    return replace(memory, shape=(*memory.shape, 1), strides=(*memory.strides, 1))


def _noted(node: Node, place: int) -> tuple[IRValue | None, bool]:
    """The output at a place, which says of every matrix where it went wrong, and whether that is an error: where there
    is no such output, or where it is asked for."""
    if place >= len(node.outputs):
        return None, True
    return node.outputs[place], bool(abstract(node.inputs[-1]))


class _Call:
    """One call of a routine, for a batch of matrices."""

    def __init__(self, driver: Driver, node: Node, routine: Routine, batch: tuple[Dim, ...]) -> None:
        self.driver = driver
        self.node = node
        self.routine = routine
        self.batch = batch

    def stack(self, memory: MemoryTensor) -> _Stack:
        """The matrices of an operand, broadcast to the batch; copied where they do not lie at equal distances."""
        own = memory.shape[:-2]
        lead = len(self.batch) - len(own)
        strides = (*[0] * lead, *(0 if extent == 1 else stride for extent, stride in zip(own, memory.strides)))
        shape, steps = merged(self.batch, strides)
        if len(shape) > 1:
            spread = replace(memory, shape=(*self.batch, *memory.shape[-2:]), strides=(*strides, *memory.strides[-2:]))
            slot, memory = self.driver.copied(spread)
            self.driver.copies.append(slot)
            shape, steps = merged(self.batch, memory.strides[:-2])
        return _Stack(memory.pointer, steps[0] if steps else 0, *memory.strides[-2:])

    def run(
        self, n: Dim, m: Dim, stacks: list[_Stack], info: IRValue | None, may_fail: bool, pivots: Value | None = None
    ) -> None:  # fmt: skip
        """X of A and B, `stacks` in this order. Leaves the function where a matrix went wrong, if that is an error: the
        interpreter says which."""
        driver, b, routine = self.driver, self.driver.b, self.routine
        count = product(self.batch)
        notes = self.notes(info, count)
        groups = minimum(count, GROUPS)
        slot, scratch = driver.new_slot(groups * routine.scratch_elements(n, m), routine.dtype.itemsize)
        driver.copies.append(slot)
        if routine.name not in driver.modules:
            driver.modules[routine.name] = routine.module()
        declared = driver.module.declare(routine.name, "void", routine.parameter_types)
        numbers = [n, m, *(step for stack in stacks for step in stack.steps), count, groups]
        pointers = [*(stack.pointer for stack in stacks), pivots or b.constant("ptr", 0), notes.pointer, scratch]
        arguments = [*pointers, *(emit_dim(b, number, driver.symbols) for number in numbers)]
        flops = count * n * n * (n + 3 * m)
        with driver.timed(routine.name, [self.node.kind], lambda: Work(flops, 0, routine.dtype.itemsize)):
            driver.call_split(declared, arguments, groups, flops)
        text = f"{routine.name}({count} matrices of {n} x {n}, {m} columns)"
        driver.kernels.append(KernelRecord(routine.name, [self.node.kind], text))
        if may_fail:
            require(driver, notes, variable(0, notes.dtype).equal(0), f"{self.node.kind} (singular)")
        if info is not None:
            driver.define(info, notes)

    def notes(self, info: IRValue | None, count: Dim) -> MemoryTensor:
        """A number for every matrix."""
        if info is not None:
            return self.driver.allocate(info)
        slot, pointer = self.driver.new_slot(count, dtypes.INT32.itemsize)
        self.driver.copies.append(slot)
        return MemoryTensor(dtypes.INT32, pointer, (count,), (1,))


KERNELS = {
    "matrix_solve": solve,
    "matrix_triangular": triangular,
    "matrix_factor": factor,
    "matrix_cholesky": cholesky,
}
