"""Padding with one number: the result is filled, then the input is copied into it."""

from __future__ import annotations

from optc.codegen.copies import copy_kernel, store_kernel
from optc.codegen.driver import Driver
from optc.codegen.expression import cast, memory_type
from optc.codegen.frame import tensor_type
from optc.codegen.kernel import Buffer, load
from optc.codegen.kernel_emitter import emit_dim
from optc.codegen.native import MemoryTensor
from optc.codegen.registers import element_offsets, row_major
from optc.ir.dims import Dim, product
from optc.ir.graph import Node
from optc.ops.abstract import abstract
from optc.ops.elementwise import cast_expression, stored_type
from optc.ops.joining import pad_pairs
from optc.ops.registry import Operator


def emit(driver: Driver, node: Node, operator: Operator) -> None:
    """`constant_pad_nd` in memory. Numbers that only the run tells must not be negative."""
    source, pairs = driver.in_memory(node.inputs[0]), _pairs(node)
    for number in (number for pair in pairs for number in pair):
        if not isinstance(number, int):
            driver.check(driver.b.icmp("sge", emit_dim(driver.b, number, driver.symbols), 0))
    result = driver.allocate(node.output)
    if any(_added(number) != 0 for pair in pairs for number in pair):
        _fill(driver, node, result)
    kept = tuple(extent + _taken(a) + _taken(b) for extent, (a, b) in zip(source.shape, pairs))
    read = _moved(driver, source, [-_taken(before) for before, _ in pairs], kept)
    written = _moved(driver, result, [_added(before) for before, _ in pairs], kept)
    driver.call_kernel(copy_kernel(read, written), [read.pointer, written.pointer], [node.kind])
    driver.define(node.output, result)


def emit_in_registers(driver: Driver, node: Node, operator: Operator) -> None:
    """A shuffle of the input and the number; all extents are known."""
    source = driver.in_registers(node.inputs[0])
    value = node.inputs[2]
    filler = driver.registers.splat(
        cast(driver.b, driver.scalar(value), stored_type(abstract(value)), source.dtype), source.dtype, (1,)
    )
    shape = tuple(extent for extent in tensor_type(node.output).shape or () if isinstance(extent, int))
    befores = [before for before, _ in _pairs(node) if isinstance(before, int)]
    strides = row_major(source.shape)
    indices = []
    for place in element_offsets(shape, row_major(shape)):
        inside, index = True, 0
        for extent, whole, before, stride in zip(source.shape, row_major(shape), befores, strides):
            place, rest = place % whole, place // whole
            inside = inside and 0 <= rest - before < extent
            index += (rest - before) * stride
        indices.append(index if inside else source.count)
    driver.define(node.output, driver.registers.concatenate([source, filler], indices, shape))


def _pairs(node: Node) -> list[tuple[Dim, Dim]]:
    shape = tensor_type(node.inputs[0]).shape
    assert shape is not None
    return pad_pairs(shape, abstract(node.inputs[1]))


def _added(number: Dim) -> Dim:
    """How many places a number of the padding list adds."""
    return max(number, 0) if isinstance(number, int) else number


def _taken(number: Dim) -> int:
    """The same for places that are taken away, as a number that is not positive."""
    return min(number, 0) if isinstance(number, int) else 0


def _moved(driver: Driver, memory: MemoryTensor, places: list[Dim], shape: tuple[Dim, ...]) -> MemoryTensor:
    """The part of a tensor that begins at `places`."""
    offset: Dim = 0
    for place, stride in zip(places, memory.strides):
        offset = offset + place * stride
    pointer = memory.pointer
    if offset != 0:
        pointer = driver.b.gep(memory_type(memory.dtype), pointer, emit_dim(driver.b, offset, driver.symbols))
    return MemoryTensor(memory.dtype, pointer, shape, memory.strides)


def _fill(driver: Driver, node: Node, result: MemoryTensor) -> None:
    value = node.inputs[2]
    count = product(result.shape)
    if value.is_constant and value.constant == 0 and str(value.constant) != "-0.0":
        bytes_ = emit_dim(driver.b, count * result.dtype.itemsize, driver.symbols)
        driver.b.memset(result.pointer, 0, bytes_)
        return
    number = driver.in_memory(value)
    read, written = Buffer("in0", number.dtype, "input"), Buffer("out0", result.dtype, "output")
    kernel = store_kernel((read, written), (count,), (1,), cast_expression(load(read, 0), result.dtype))
    driver.call_kernel(kernel, [number.pointer, result.pointer], [node.kind])
