"""Sorting along a dimension: rows are brought beside each other, sorted, and brought back."""

from __future__ import annotations

from optc.codegen.driver.copies import copy_kernel
from optc.codegen.driver.driver import Driver
from optc.codegen.driver.frame import KernelRecord
from optc.codegen.driver.memory import Slot
from optc.codegen.kernels.emitter import emit_dim
from optc.codegen.kernels.native import MemoryTensor, contiguous_strides
from optc.codegen.kernels.work import Work
from optc.codegen.operators.sorting_routines import Order
from optc.ir.dims import Dim, minimum, product
from optc.ir.graph import Node
from optc.ops.abstract import abstract, normalize_dim
from optc.ops.registry import Operator

GROUPS = 16
"""Rows are shared out in so many groups at most, each with scratch memory of its own."""

FEW = 64
"""So many of the largest elements are kept in a list while a row is read once; for more, rows are sorted."""

OPERATIONS = 240
"""What an element of a sorted row takes, in the operations of vectors that `Frame.call_split` counts: 160 to 200 in rows of
two to eight elements, 320 to 1000 in longer ones."""

OPERATIONS_OF_FEW = 60
"""The same where rows are read once to keep a few elements."""


def sort(driver: Driver, node: Node, operator: Operator) -> None:
    """`sort` and `topk`: values and places, in order."""
    positions = operator.schema.positions
    top = "k" in positions
    direction = abstract(node.inputs[positions["largest" if top else "descending"]])
    source = driver.in_memory(node.inputs[0])
    axis = normalize_dim(abstract(node.inputs[positions["dim"]]), len(source.shape))
    extent = source.shape[axis] if source.shape else 1
    k = abstract(node.inputs[positions["k"]]) if top and source.shape else extent
    few = top and isinstance(k, int) and k <= FEW
    values, places = (driver.allocate(output) for output in node.outputs)
    if 0 not in values.shape:
        _Sorting(driver, node, Order(source.dtype, bool(direction), few), axis, extent, k).run(source, values, places)
    driver.define(node.outputs[0], values)
    driver.define(node.outputs[1], places)


class _Sorting:
    def __init__(self, driver: Driver, node: Node, order: Order, axis: int, extent: Dim, k: Dim) -> None:
        self.driver = driver
        self.node = node
        self.order = order
        self.axis = axis
        self.extent = extent
        self.k = k
        self.slots: list[Slot] = []

    def run(self, source: MemoryTensor, values: MemoryTensor, places: MemoryTensor) -> None:
        driver, b = self.driver, self.driver.b
        rows = product([extent for place, extent in enumerate(source.shape) if place != self.axis])
        n, k, count = (emit_dim(b, dim, driver.symbols) for dim in (self.extent, self.k, rows))
        if not (isinstance(self.extent, int) and isinstance(self.k, int)):
            driver.check(b.icmp("ult", k, b.add(n, 1)))
        if self.order.place_bits == 32 and not isinstance(self.extent, int):
            driver.check(b.icmp("ult", n, 1 << 32))
        beside, given = self.rows_of(source), source
        if beside is not given:
            driver.call_kernel(copy_kernel(given, beside), [given.pointer, beside.pointer], [self.node.kind])
        outputs = [self.rows_of(result) for result in (values, places)]
        groups = minimum(rows, GROUPS)
        slot, scratch = driver.new_slot(groups * self.extent * 2, self.order.word_bytes)
        self.slots.append(slot)
        if self.order.name not in driver.modules:
            driver.modules[self.order.name] = self.order.module()
        declared = driver.module.declare(self.order.name, "void", self.order.parameter_types)
        pointers = [beside.pointer, *(result.pointer for result in outputs), scratch]
        arguments = [*pointers, n, k, count, emit_dim(b, groups, driver.symbols)]
        with driver.timed(self.order.name, [self.node.kind], lambda: _work(source, values)):
            each = OPERATIONS_OF_FEW if self.order.few else OPERATIONS
            driver.call_split(declared, arguments, groups, rows * self.extent * each)
        text = f"{self.order.name}({rows} rows of {self.extent}, {self.k} of each)"
        driver.kernels.append(KernelRecord(self.order.name, [self.node.kind], text))
        for mine, result in zip(outputs, (values, places)):
            if mine is not result:
                driver.call_kernel(copy_kernel(mine, result), [mine.pointer, result.pointer], [self.node.kind])
        for slot in self.slots:
            driver.release(slot)

    def rows_of(self, tensor: MemoryTensor) -> MemoryTensor:
        """The tensor itself where its rows lie beside each other, else memory in which they do, seen alike."""
        order = [place for place in range(len(tensor.shape)) if place != self.axis]
        order += [self.axis] if tensor.shape else []
        moved = contiguous_strides(tuple(tensor.shape[place] for place in order))
        strides = tuple(moved[order.index(place)] for place in range(len(tensor.shape)))
        if all(mine == wanted or extent == 1 for mine, wanted, extent in zip(tensor.strides, strides, tensor.shape)):
            return tensor
        slot, pointer = self.driver.new_slot(product(tensor.shape), tensor.dtype.itemsize)
        self.slots.append(slot)
        return MemoryTensor(tensor.dtype, pointer, tensor.shape, strides)


def _work(source: MemoryTensor, values: MemoryTensor) -> Work:
    """What a call moves: every element once, and a value and a place for each result."""
    read = product(source.shape) * source.dtype.itemsize
    return Work(0, read + product(values.shape) * (values.dtype.itemsize + 8))
