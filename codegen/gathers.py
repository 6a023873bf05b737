"""Elements at places that data decides: embedding, index_select, gather. Indices are checked before they are used."""

from __future__ import annotations

from optc.codegen.checks import require
from optc.codegen.copies import store_kernel
from optc.codegen.driver import Driver
from optc.codegen.frame import Unsupported
from optc.codegen.kernel import Buffer, at, index_value, load
from optc.codegen.native import MemoryTensor
from optc.ir import dtypes
from optc.ir.dims import Dim, symbol
from optc.ir.graph import Node
from optc.ops.abstract import abstract, normalize_dim
from optc.ops.registry import Operator
from optc.ops.scalar import variable


def emit(driver: Driver, node: Node, operator: Operator) -> None:
    """embedding, index_select and gather, told apart by their schemas. Raises Unsupported for their relatives."""
    names = [argument.name for argument in operator.schema.arguments]
    if names[:2] == ["weight", "indices"]:
        table, indices, axis = driver.in_memory(node.inputs[0]), driver.in_memory(node.inputs[1]), 0
        rank = len(indices.shape)
        places = [(indices.strides, range(rank))]
        outer = list(range(rank, rank + len(table.shape) - 1))
    elif names[:3] == ["self", "dim", "index"]:
        table, indices = driver.in_memory(node.inputs[0]), driver.in_memory(node.inputs[2])
        axis = normalize_dim(abstract(node.inputs[1]), len(table.shape))
        one = operator.schema.name == "aten::index_select"
        places = [(indices.strides, range(axis, axis + 1) if one else range(len(indices.shape)))]
        outer = [place for place in range(len(table.shape)) if place != axis]
    else:
        raise Unsupported(node, "it has no native form yet")
    if not table.shape:
        raise Unsupported(node, "it indexes a tensor without dimensions")
    check_indices(driver, node, indices, table.shape[axis])
    strides, axes = places[0]
    where: Dim = 0
    for stride, place in zip(strides, axes):
        where = where + symbol(f"i{place}") * stride
    rest = [stride for place, stride in enumerate(table.strides) if place != axis]
    offset: Dim = 0
    for stride, place in zip(rest, outer):
        offset = offset + symbol(f"i{place}") * stride
    result = driver.allocate(node.output)
    buffers = (
        Buffer("table", table.dtype, "input"),
        Buffer("indices", indices.dtype, "input"),
        Buffer("out0", result.dtype, "output"),
    )
    base = load(buffers[1], where).cast(dtypes.INT64) * index_value(table.strides[axis])
    kernel = store_kernel(buffers, result.shape, result.strides, at(buffers[0], base, offset))
    driver.call_kernel(kernel, [table.pointer, indices.pointer, result.pointer], [node.kind])
    driver.define(node.output, result)


def check_indices(driver: Driver, node: Node, indices: MemoryTensor, extent: Dim) -> None:
    """Leave the function unless every index lies in [0, extent)."""
    value = variable(0, indices.dtype).cast(dtypes.INT64)
    inside = (value >= 0) & (value < index_value(extent))
    require(driver, indices, inside, f"{node.kind} (bounds)")
