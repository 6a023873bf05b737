"""Writing into a part of a tensor: in place where nobody reads the old contents any more, else into a copy."""

from __future__ import annotations

from dataclasses import replace

from optc.codegen.driver.copies import copy_kernel
from optc.codegen.driver.driver import Driver
from optc.codegen.driver.frame import static, tensor_type
from optc.codegen.driver.registers import element_offsets
from optc.codegen.kernels.emitter import emit_dim
from optc.codegen.kernels.native import MemoryTensor, RegisterTensor, contiguous_strides
from optc.codegen.operators.views import checked_index
from optc.ir import dtypes
from optc.ir.dims import Dim, Symbolic, multiply
from optc.ir.graph import Node
from optc.ir.graph import Value as IRValue
from optc.ir.types import TensorType
from optc.ops.abstract import abstract, normalize_dim
from optc.ops.registry import Kernel, Operator, operator_of
from optc.ops.scalar import select, variable


def scatter(driver: Driver, node: Node, operator: Operator) -> None:
    """`select_scatter` in memory: one row of the tensor is written."""
    source = node.inputs[1]
    result = overwritten(driver, node)
    axis, index = _place(driver, node)
    step = emit_dim(driver.b, multiply(index, result.strides[axis]), driver.symbols)
    pointer = driver.b.gep("i8", result.pointer, driver.b.mul(step, result.dtype.itemsize))
    row = MemoryTensor(result.dtype, pointer, _without(result.shape, axis), _without(result.strides, axis))
    native = driver.native(source)
    if isinstance(native, RegisterTensor) and all(isinstance(stride, int) for stride in row.strides):
        cast = driver.registers.pointwise(variable(0, native.dtype).cast(row.dtype), [native], native.shape)
        driver.registers.store(cast, pointer, static(row.strides))
    else:
        memory = driver.in_memory(source)
        driver.call_kernel(copy_kernel(memory, row), [memory.pointer, pointer], [node.kind])
    driver.define(node.output, result)


def overwritten(driver: Driver, node: Node) -> MemoryTensor:
    """The memory of a node's result, holding its first argument: the argument's own memory if it ends here, and no
    other argument lies in it."""
    target = node.inputs[0]
    others = [item for value in node.inputs[1:] for item in (value, *_items(value))]
    if driver.may_overwrite(target, node) and not any(driver.share_memory(target, other) for other in others):
        memory = driver.in_memory(target)
        driver.share(node.output, target)
        return replace(memory, strides=contiguous_strides(memory.shape))
    result = driver.allocate(node.output)
    driver.copy(driver.native(target), result.pointer, tensor_type(node.output))
    return result


def _items(value: IRValue) -> list[IRValue]:
    return list(value.node.inputs) if value.node.kind == "prim::ListConstruct" else []


def scatter_in_registers(driver: Driver, node: Node, operator: Operator) -> None:
    """`select_scatter` of a small tensor: the lanes of the row are chosen."""
    target, source = (driver.in_registers(value) for value in node.inputs[:2])
    axis, index = _place(driver, node)
    spread = [0 if place == axis else stride
              for place, stride in enumerate(_with(contiguous_strides(source.shape), axis, 0))]  # fmt: skip
    row = driver.registers.gather(source, element_offsets(target.shape, static(spread)), target.shape)
    coordinate = [int(place == axis) for place in range(len(target.shape))]
    numbers = driver.registers.count_up(dtypes.INT32, (target.shape[axis],))
    positions = driver.registers.gather(numbers, element_offsets(target.shape, coordinate), target.shape)
    wanted = driver.b.trunc(emit_dim(driver.b, index, driver.symbols), "i32")
    here = variable(0, dtypes.INT32).equal(variable(1, dtypes.INT32))
    chosen = select(here, variable(2, source.dtype).cast(target.dtype), variable(3, target.dtype))
    driver.define(node.output, driver.registers.pointwise(chosen, [positions, wanted, row, target], target.shape))


def _place(driver: Driver, node: Node) -> tuple[int, Dim]:
    """The dimension and the index from the front, checked where only the run tells."""
    shape = tensor_type(node.inputs[0]).shape or ()
    axis = normalize_dim(abstract(node.inputs[2]), len(shape))
    index, extent = abstract(node.inputs[3]), shape[axis]
    if isinstance(index, int) and isinstance(extent, int):
        return axis, index % extent
    if isinstance(index, int):
        return axis, checked_index(driver, driver.b.constant("i64", index), extent)
    assert isinstance(index, Symbolic)
    return axis, checked_index(driver, driver.scalar(node.inputs[3]), extent)


def _without(dims: tuple[Dim, ...], axis: int) -> tuple[Dim, ...]:
    return dims[:axis] + dims[axis + 1 :]


def _with(dims: tuple[Dim, ...], axis: int, dim: Dim) -> tuple[Dim, ...]:
    return (*dims[:axis], dim, *dims[axis:])


def is_overwritten(parameter: IRValue, result: IRValue) -> bool:
    """True when all that happens to the parameter is that parts of it are written."""
    value, written = parameter, False
    while value is not result:
        if len(value.uses) != 1:
            return False
        (use,) = value.uses
        if use.slot != 0 or not is_scatter(use.node) or use.node.owner is not result.node.owner:
            return False
        value, written = use.node.output, True
    return written and len(result.uses) == 1


def writes_every_row(loop: Node, place: int) -> bool:
    """True when turn i of exactly as many turns as there are rows writes row i of carried value number `place`.

    What the rows held before the loop does not matter then.
    """
    limit, condition = loop.inputs[:2]
    body = loop.blocks[0]
    parameter, result, going_on = body.inputs[1 + place], body.outputs[1 + place], body.outputs[0]
    if not is_overwritten(parameter, result) or result.node.inputs[0] is not parameter:
        return False
    if not all(value.is_constant and value.constant is True for value in (condition, going_on)):
        return False
    dim, index = result.node.inputs[2:4]
    rows = (tensor_type(parameter).shape or (None,))[0]
    return dim.is_constant and dim.constant == 0 and index is body.inputs[0] and abstract(limit) == rows


def is_never_read(value: IRValue) -> bool:
    """True when all of the value is overwritten before anybody looks at it: by loops, or by what draws tensors like it."""
    return value.has_uses and all(
        use.node.kind == "prim::Loop"
        and use.slot > 1
        and writes_every_row(use.node, use.slot - 2)
        or use.slot == 0
        and draws_like(use.node)
        for use in value.uses
    )


def draws_like(node: Node) -> bool:
    """True for a node that draws a tensor of the shape of its first input, and does not read that."""
    operator = operator_of(node)
    name = operator.lowering.name if operator is not None and isinstance(operator.lowering, Kernel) else ""
    return name.startswith("draw_") and name != "draw_slopes" and isinstance(node.inputs[0].type, TensorType)


def is_scatter(node: Node) -> bool:
    """True for a node that gives its first input with one part written."""
    operator = operator_of(node)
    return operator is not None and isinstance(operator.lowering, Kernel) and operator.lowering.name == "select_scatter"
