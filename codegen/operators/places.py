"""The places where a tensor is true: counted first, so that there is memory for them, then written down in order."""

from __future__ import annotations

from optc.codegen.driver.copies import nest, place_of
from optc.codegen.driver.driver import Driver
from optc.codegen.driver.frame import tensor_type
from optc.codegen.kernels.kernel import (
    Accumulate,
    Assign,
    Buffer,
    Define,
    Kernel,
    Scatter,
    Statement,
    Store,
    index_value,
    load,
    local,
)
from optc.codegen.kernels.native import MemoryTensor, contiguous_strides
from optc.codegen.llvm import Value
from optc.ir import dtypes
from optc.ir.dims import product, symbols
from optc.ir.graph import Node
from optc.ir.symbols import plain_symbol
from optc.ops.registry import Operator
from optc.ops.scalar import literal, variable

_BOTH = variable(0, dtypes.INT64) + variable(1, dtypes.INT64)


def true_places(driver: Driver, node: Node, operator: Operator) -> None:
    """The row-major numbers of the true elements; how many there are is the extent of the result from then on."""
    mask = driver.in_memory(node.inputs[0])
    name = plain_symbol((tensor_type(node.output).shape or (0,))[0])
    assert name is not None
    driver.symbols[name] = _count(driver, node, mask)
    result = driver.allocate(node.output, spare=1)  # an element is written before it is known to be one
    read, written = Buffer("mask", mask.dtype, "input"), Buffer("out0", dtypes.INT64, "output")
    counted = local("count", dtypes.INT64)
    truth = load(read, place_of(mask.strides)).cast(dtypes.INT64)
    number = index_value(place_of(contiguous_strides(mask.shape)))
    turn: tuple[Statement, ...] = (Scatter("out0", counted, 0, number), Assign("count", counted + truth))
    body = (Define("count", literal(0, dtypes.INT64)), *nest(mask.shape, turn, lanes=False))
    _call(driver, node, mask, (read, written), body, result.pointer)
    driver.define(node.output, result)


def _count(driver: Driver, node: Node, mask: MemoryTensor) -> Value:
    """How many elements are true."""
    read, written = Buffer("mask", mask.dtype, "input"), Buffer("out0", dtypes.INT64, "output")
    truth = load(read, place_of(mask.strides)).cast(dtypes.INT64)
    body = (
        Define("count", literal(0, dtypes.INT64)),
        *nest(mask.shape, (Accumulate("count", _BOTH, truth),)),
        Store("out0", 0, local("count", dtypes.INT64)),
    )
    pointer = driver.b.alloca("i64", 1, 8)
    _call(driver, node, mask, (read, written), body, pointer)
    return driver.b.load("i64", pointer)


def _call(driver: Driver, node: Node, mask: MemoryTensor, buffers: tuple[Buffer, Buffer], body: tuple[Statement, ...],
          pointer: Value) -> None:  # fmt: skip
    sizes = {name for dim in (*mask.shape, *mask.strides, product(mask.shape)) for name in symbols(dim)}
    kernel = Kernel("kernel", buffers, tuple(sorted(sizes)), body)
    driver.call_kernel(kernel, [mask.pointer, pointer], [node.kind])
