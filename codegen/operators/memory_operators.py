"""Operators on tensors in memory that are loop nests of their own: copies, fills, ranges, products, concatenation."""

from __future__ import annotations

from collections.abc import Callable

from optc.codegen.driver import concatenation
from optc.codegen.driver.copies import place_of, store_kernel
from optc.codegen.driver.driver import Driver
from optc.codegen.driver.frame import Unsupported, tensor_type
from optc.codegen.kernels.kernel import Buffer, index_value, load
from optc.codegen.kernels.native import MemoryTensor, NoneValue
from optc.codegen.llvm import Value
from optc.codegen.operators import (
    draws,
    fourier,
    gathers,
    group_products,
    matrix_systems,
    padding,
    patches,
    places,
    products,
    scans,
    scatters,
    searches,
    sorting,
    suppression,
    writes,
)
from optc.ir import dtypes
from optc.ir.dims import symbol
from optc.ir.graph import Node
from optc.ir.symbols import plain_symbol
from optc.ops.abstract import abstract
from optc.ops.creation import is_told_by_running
from optc.ops.elementwise import cast_expression, stored_type
from optc.ops.registry import Kernel as KernelLowering
from optc.ops.registry import Operator
from optc.ops.scalar import literal, select


def emit(driver: Driver, node: Node, operator: Operator, lowering: KernelLowering) -> None:
    """Emit a node by the name of its kernel. Raises Unsupported."""
    handler = KERNELS.get(lowering.name)
    if handler is None:
        raise Unsupported(node, f"there is no native {lowering.name} yet")
    handler(driver, node, operator)


def copy(driver: Driver, node: Node, operator: Operator) -> None:
    """A contiguous copy."""
    result = driver.allocate(node.output)
    driver.copy(driver.in_memory(node.inputs[0]), result.pointer, tensor_type(node.output))
    driver.define(node.output, result)


def rows(driver: Driver, node: Node, operator: Operator) -> None:
    """The tensor itself where its elements lie row by row, as they always do in registers; else a copy."""
    native = driver.native(node.inputs[0])
    if isinstance(native, MemoryTensor) and not native.is_contiguous:
        copy(driver, node, operator)
        return
    driver.share(node.output, node.inputs[0])
    driver.define(node.output, native)


def fill(driver: Driver, node: Node, operator: Operator) -> None:
    """A tensor full of one number; nothing where loops overwrite all of it first."""
    if writes.is_never_read(node.output):
        driver.define(node.output, NoneValue())
        return
    value = node.inputs[operator.schema.positions["fill_value"]]
    number = driver.in_memory(value)
    result = driver.allocate(node.output)
    read, written = Buffer("in0", number.dtype, "input"), Buffer("out0", result.dtype, "output")
    kernel = store_kernel((read, written), result.shape, result.strides, cast_expression(load(read, 0), result.dtype))
    driver.call_kernel(kernel, [number.pointer, result.pointer], [node.kind])
    driver.define(node.output, result)


def arange(driver: Driver, node: Node, operator: Operator) -> None:
    """start + i * step."""
    positions = operator.schema.positions
    if is_told_by_running(*map(abstract, node.inputs[:3])):
        name = plain_symbol((tensor_type(node.output).shape or (0,))[0])
        assert name is not None
        driver.symbols[name] = _counted_in_fractions(driver, node)
    result = driver.allocate(node.output)
    work = dtypes.FLOAT64 if result.dtype.kind == "float" else dtypes.INT64
    reads, pointers = [], []
    for name in ("start", "step"):
        value = node.inputs[positions[name]]
        reads.append(Buffer(name, stored_type(abstract(value)), "input"))
        pointers.append(driver.in_memory(value).pointer)
    start, step = (load(buffer, 0).cast(work) for buffer in reads)
    element = cast_expression(start + index_value(symbol("i0")).cast(work) * step, result.dtype)
    kernel = store_kernel((*reads, Buffer("out0", result.dtype, "output")), result.shape, result.strides, element)
    driver.call_kernel(kernel, [*pointers, result.pointer], [node.kind])
    driver.define(node.output, result)


def _counted_in_fractions(driver: Driver, node: Node) -> Value:
    """The length of a range: (end - start) / step, rounded up. What is not finite, or not ahead, is for the interpreter."""
    b = driver.b
    numbers = [driver.scalar(value) for value in node.inputs[:3]]
    start, end, step = (number if number.type == "double" else b.sitofp(number, "double") for number in numbers)
    ratio = b.fdiv(b.fsub(end, start), step)
    driver.check(b.and_(b.fcmp("oge", ratio, 0.0), b.fcmp("olt", ratio, _MOST_ELEMENTS)))
    return b.fptosi(b.intrinsic("ceil", "double", ratio), "i64")


_MOST_ELEMENTS = 2.0**62


def triangle(driver: Driver, node: Node, operator: Operator) -> None:
    """The lower or upper triangle of matrices, zeros elsewhere."""
    source = driver.in_memory(node.inputs[0])
    diagonal = abstract(node.inputs[1])
    result = driver.allocate(node.output)
    rank = len(result.shape)
    row, column = index_value(symbol(f"i{rank - 2}") + diagonal), index_value(symbol(f"i{rank - 1}"))
    kept = column <= row if operator.schema.name == "aten::tril" else column >= row
    read, written = Buffer("in0", source.dtype, "input"), Buffer("out0", result.dtype, "output")
    value = select(kept, load(read, place_of(source.strides)), literal(0, source.dtype))
    kernel = store_kernel((read, written), result.shape, result.strides, value)
    driver.call_kernel(kernel, [source.pointer, result.pointer], [node.kind])
    driver.define(node.output, result)


KERNELS: dict[str, Callable[[Driver, Node, Operator], None]] = {
    "copy": copy,
    "rows": rows,
    "fill": fill,
    "arange": arange,
    "concatenate": concatenation.emit,
    "pad": padding.emit,
    "matmul": products.emit,
    "group_products": group_products.emit,
    "triangle": triangle,
    "gather": gathers.emit,
    "index": gathers.index,
    "arg_reduce": scans.arg_reduce,
    "true_places": places.true_places,
    "kept_boxes": suppression.kept_boxes,
    "patch_sums": patches.patch_sums,
    "patch_maxima": patches.patch_maxima,
    "sorted_places": searches.sorted_places,
    "sort": sorting.sort,
    "scatter": scatters.emit,
    "running_extreme": scans.running_extreme,
    "cumulative": scans.cumulative,
    "select_scatter": writes.scatter,
    **draws.KERNELS,
    **fourier.KERNELS,
    **matrix_systems.KERNELS,
}
