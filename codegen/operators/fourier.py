"""Fourier transforms along one dimension, by functions of `fourier_routines`."""

from __future__ import annotations

import math

from optc.codegen.driver.copies import merged
from optc.codegen.driver.driver import Driver
from optc.codegen.driver.frame import KernelRecord, Unsupported
from optc.codegen.kernels.emitter import emit_dim
from optc.codegen.kernels.native import MemoryTensor, NoneValue
from optc.codegen.kernels.work import Work
from optc.codegen.llvm import Value
from optc.codegen.operators.fourier_routines import Kind, Lanes, Side, Transform
from optc.codegen.operators.fourier_tables import factors, order, radices
from optc.ir import dtypes
from optc.ir.dims import Dim, minimum, product
from optc.ir.graph import Node
from optc.ir.origins import remember
from optc.ops.abstract import abstract
from optc.ops.registry import Operator

GROUPS = 16
"""Transforms are shared out in so many groups at most, each with scratch memory of its own."""


def transform(driver: Driver, node: Node, operator: Operator) -> None:
    """`prim::FourierTransform`."""
    source = driver.in_memory(node.inputs[0])
    if source.dtype not in (dtypes.FLOAT32, dtypes.FLOAT64):
        raise Unsupported(node, f"transforms of {source.dtype.name} are not computed natively")
    result = driver.allocate(node.output)
    if 0 not in result.shape:
        _Call(driver, node, source, result).run()
    driver.define(node.output, result)


class _Call:
    """One call: of which function, and how its transforms lie."""

    def __init__(self, driver: Driver, node: Node, source: MemoryTensor, result: MemoryTensor) -> None:
        self.driver = driver
        self.node = node
        self.dim: int = abstract(node.inputs[1])
        self.kind: Kind = abstract(node.inputs[2])
        self.result = result
        self.source = source
        turns = driver.native(node.inputs[5])
        self.turns = None if isinstance(turns, NoneValue) else driver.contiguous(node.inputs[5])
        if not self.is_readable():
            slot, self.source = driver.copied(source)
            driver.copies.append(slot)

    @property
    def extents(self) -> tuple[Dim, ...]:
        """The dimensions of complex or real numbers that are not transformed."""
        shape = self.source.shape if self.kind == "to_half" else self.source.shape[:-1]
        return shape[: self.dim] + shape[self.dim + 1 :]

    def steps(self, memory: MemoryTensor) -> tuple[Dim, ...]:
        """The strides of those."""
        strides = memory.strides[: len(self.extents) + 1]
        return strides[: self.dim] + strides[self.dim + 1 :]

    def lines(self) -> tuple[list[Dim], ...]:
        """All transforms as two dimensions at most: extents, strides of the source, strides of the result."""
        return merged(self.extents, self.steps(self.source), self.steps(self.result))

    def is_readable(self) -> bool:
        """Whether source and result need no other arrangement."""
        shape, reads, _ = self.lines()
        if len(shape) > 2 or (self.kind != "to_half" and self.source.strides[-1] != 1):
            return False
        return self.side(self.source, reads, self.kind != "to_half") is not None

    def side(self, memory: MemoryTensor, steps: list[Dim], in_pairs: bool) -> Side | None:
        """How several transforms lie in memory; None where neither their points nor they themselves lie side by side."""
        unit = 2 if in_pairs else 1
        if memory.strides[self.dim] == unit or memory.shape[self.dim] == 1:
            return "rows"
        if steps and steps[-1] == unit:
            return "pairs" if in_pairs else "columns"
        return None

    def run(self) -> None:
        driver, node = self.driver, self.node
        shape, reads, writes = self.lines()
        source = self.side(self.source, reads, self.kind != "to_half")
        target = self.side(self.result, writes, self.kind != "from_half")
        real = self.result if self.kind == "from_half" else self.source
        points = real.shape[self.dim] if self.kind == "complex" else real.shape[self.dim] // 2
        if not isinstance(points, int) or source is None or target is None:
            raise Unsupported(node, "the length of the transform is not known")
        lanes = Lanes.of(self.source.dtype, driver.target)
        sign, scale = 1 if abstract(node.inputs[3]) else -1, float(abstract(node.inputs[4]))
        steps = radices(points, driver.target.has_few_registers)
        described = Transform(lanes, self.kind, sign, scale, steps, source, target, self.turns is not None)
        outer, inner = ([1, 1] + shape)[-2:]
        groups = minimum(outer * inner, GROUPS)
        slot, scratch = driver.new_slot(groups * described.scratch_elements, self.source.dtype.itemsize)
        driver.copies.append(slot)
        for piece in described.pieces:
            if piece.name not in driver.modules:
                driver.modules[piece.name] = piece.module()
        if described.name not in driver.modules:
            driver.modules[described.name] = described.module()
        declared = driver.module.declare(described.name, "void", described.parameter_types)
        strides = [
            step
            for memory, steps_of in ((self.source, reads), (self.result, writes))
            for step in (*([0, 0] + steps_of)[-2:], memory.strides[self.dim])
        ]
        numbers = [*strides, inner, outer, groups]
        pointers = [self.source.pointer, self.result.pointer, scratch, *self.tables(described)]
        arguments = [*pointers, *(emit_dim(driver.b, number, driver.symbols) for number in numbers)]
        count = product([outer, inner])
        operations = count * round(5 * points * math.log2(2 * points))
        with driver.timed(described.name, [node.kind], lambda: self.work(operations)):
            driver.call_split(declared, arguments, groups, operations)
        text = f"{described.name}({count} transforms of {points} points)"
        driver.kernels.append(KernelRecord(described.name, [node.kind], text))

    def tables(self, described: Transform) -> list[Value]:
        """Factors, order, and what the result is multiplied by."""
        halves = {"complex": "", "to_half": "apart", "from_half": "together"}[self.kind]
        given = described.steps, described.sign, halves, described.lanes.dtype.name
        pointers = []
        for function, arguments in ((factors, given), (order, (described.steps[1:] or described.steps,))):
            key = (function.__name__, *arguments)
            if key not in self.driver.packed:
                array = remember(function(*arguments), function, *arguments)
                self.driver.packed[key] = self.driver.constant_pointer(array)
            pointers.append(self.driver.packed[key])
        return [*pointers, self.driver.b.constant("ptr", 0) if self.turns is None else self.turns.pointer]

    def work(self, operations: Dim) -> Work:
        moved = product(self.source.shape) + product(self.result.shape)
        return Work(operations, moved * self.source.dtype.itemsize, self.source.dtype.itemsize)


KERNELS = {"fourier_transform": transform}
