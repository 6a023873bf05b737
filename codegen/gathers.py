"""Elements at places that data decides: embedding, index_select, gather. Indices are checked before they are used."""

from __future__ import annotations

from optc.codegen.checks import require
from optc.codegen.copies import store_kernel
from optc.codegen.driver import Driver
from optc.codegen.frame import Unsupported
from optc.codegen.kernel import Buffer, at, index_value, load
from optc.codegen.native import Aggregate, MemoryTensor, NoneValue
from optc.ir import dtypes
from optc.ir.dims import Dim, symbol
from optc.ir.graph import Node
from optc.ops.abstract import abstract, normalize_dim
from optc.ops.registry import Operator
from optc.ops.scalar import literal, select, variable


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


def index(driver: Driver, node: Node, operator: Operator) -> None:
    """x[i, :, j]: tensors of integers, broadcast together, at some dimensions. Raises Unsupported for masks."""
    table = driver.in_memory(node.inputs[0])
    listed = driver.native(node.inputs[1])
    if not isinstance(listed, Aggregate):
        raise Unsupported(node, "the number of indices is only known at run time")
    given = {place: driver.in_memory(value) for place, value in enumerate(node.inputs[1].node.inputs)
             if not isinstance(driver.native(value), NoneValue)}  # fmt: skip
    if not given or any(memory.dtype not in (dtypes.INT64, dtypes.INT32) for memory in given.values()):
        raise Unsupported(node, "masks have as many results as they are true")
    for place, memory in given.items():
        limit = index_value(table.shape[place])
        given_index = variable(0, memory.dtype).cast(dtypes.INT64)
        require(driver, memory, (given_index >= -limit) & (given_index < limit), f"{node.kind} (bounds)")
    result = driver.allocate(node.output)
    rest = [place for place in range(len(table.shape)) if place not in given]
    common = len(result.shape) - len(rest)
    first = min(given)
    start = first if list(given) == list(range(first, first + len(given))) else 0
    offset: Dim = 0
    for place, axis in zip(rest, [*range(start), *range(start + common, len(result.shape))]):
        offset = offset + symbol(f"i{axis}") * table.strides[place]
    buffers, base = [Buffer("table", table.dtype, "input")], literal(0, dtypes.INT64)
    for place, memory in given.items():
        buffers.append(Buffer(f"indices{place}", memory.dtype, "input"))
        where: Dim = 0
        lead = start + common - len(memory.shape)
        for axis, (extent, stride) in enumerate(zip(memory.shape, memory.strides)):
            where = where if extent == 1 else where + symbol(f"i{lead + axis}") * stride
        value = load(buffers[-1], where).cast(dtypes.INT64)
        wrapped = select(value < 0, value + index_value(table.shape[place]), value)
        base = base + wrapped * index_value(table.strides[place])
    buffers.append(Buffer("out0", result.dtype, "output"))
    kernel = store_kernel(buffers, result.shape, result.strides, at(buffers[0], base, offset))
    pointers = [table.pointer, *(memory.pointer for memory in given.values()), result.pointer]
    driver.call_kernel(kernel, pointers, [node.kind])
    driver.define(node.output, result)


def check_indices(driver: Driver, node: Node, indices: MemoryTensor, extent: Dim) -> None:
    """Leave the function unless every index lies in [0, extent)."""
    value = variable(0, indices.dtype).cast(dtypes.INT64)
    inside = (value >= 0) & (value < index_value(extent))
    require(driver, indices, inside, f"{node.kind} (bounds)")
