"""Padding with one number: the input is copied into the result, and the frame around it is filled."""

from __future__ import annotations

from optc.codegen.driver.copies import Slab, copy_kernel, fill_kernel
from optc.codegen.driver.driver import Driver
from optc.codegen.driver.frame import tensor_type
from optc.codegen.driver.framing import moved, pairs_of
from optc.codegen.driver.registers import element_offsets, row_major
from optc.codegen.kernels.emitter import emit_dim
from optc.codegen.kernels.expression import cast
from optc.codegen.kernels.kernel import Buffer, load
from optc.codegen.kernels.native import MemoryTensor
from optc.ir.bounds import is_not_negative
from optc.ir.dims import Dim, maximum, minimum
from optc.ir.graph import Node
from optc.ops.abstract import abstract
from optc.ops.elementwise import cast_expression, stored_type
from optc.ops.registry import Operator
from optc.ops.scalar import literal


def emit(driver: Driver, node: Node, operator: Operator) -> None:
    """`constant_pad_nd` in memory. Numbers below zero take away, at most what is there."""
    source, pairs = driver.in_memory(node.inputs[0]), pairs_of(node)
    kept = tuple(extent + _taken(a) + _taken(b) for extent, (a, b) in zip(source.shape, pairs))
    for extent in kept:
        if not is_not_negative(extent):
            driver.check(driver.b.icmp("sge", emit_dim(driver.b, extent, driver.symbols), 0))
    result = driver.begun.pop(node.output, None) or driver.allocate(node.output)
    _fill(driver, node, result, _frame(result, pairs, kept))
    read = moved(driver, source, [-_taken(before) for before, _ in pairs], kept)
    if driver.parts.pop(node.inputs[0], None) != source:
        written = moved(driver, result, [_added(before) for before, _ in pairs], kept)
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
    befores = [before for before, _ in pairs_of(node) if isinstance(before, int)]
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


def _added(number: Dim) -> Dim:
    """How many places a number of the padding list adds."""
    return number if is_not_negative(number) else maximum(number, 0)


def _taken(number: Dim) -> Dim:
    """The same for places that are taken away, as a number that is not positive."""
    return 0 if is_not_negative(number) else minimum(number, 0)


def _frame(result: MemoryTensor, pairs: list[tuple[Dim, Dim]], kept: tuple[Dim, ...]) -> list[Slab]:
    """What lies around the input: for each dimension what comes before and behind it, as long as the input in the
    dimensions before this one, and as long as the result in those behind it."""
    found: list[Slab] = []
    start: Dim = 0
    for place, (before, after) in enumerate(pairs):
        stride = result.strides[place]
        first = _added(before)
        for offset, extent in ((0, first), ((first + kept[place]), _added(after))):
            if extent != 0:
                shape = (*kept[:place], extent, *result.shape[place + 1 :])
                found.append((start + offset * stride, shape, result.strides))
        start = start + first * stride
    return found


def _fill(driver: Driver, node: Node, result: MemoryTensor, slabs: list[Slab]) -> None:
    if not slabs:
        return
    value, written = node.inputs[2], Buffer("out0", result.dtype, "output")
    if value.is_constant:
        number = cast_expression(literal(value.constant, stored_type(abstract(value))), result.dtype)
        driver.call_kernel(fill_kernel((written,), slabs, number), [result.pointer], [node.kind])
        return
    memory = driver.in_memory(value)
    read = Buffer("in0", memory.dtype, "input")
    kernel = fill_kernel((read, written), slabs, cast_expression(load(read, 0), result.dtype))
    driver.call_kernel(kernel, [memory.pointer, result.pointer], [node.kind])
