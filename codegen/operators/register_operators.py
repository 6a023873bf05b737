"""Operators on small tensors and numbers: what each lowering becomes when everything is in registers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optc.codegen.driver.checks import guard_division, guard_number
from optc.codegen.driver.driver import Driver
from optc.codegen.driver.frame import Unsupported, tensor_type
from optc.codegen.driver.grouping import reduction_axes
from optc.codegen.driver.registers import element_offsets, row_major
from optc.codegen.kernels import vector_math
from optc.codegen.kernels.expression import ExpressionEmitter, cast
from optc.codegen.kernels.native import Aggregate, RegisterTensor, Scalar
from optc.codegen.llvm import Value
from optc.codegen.operators import padding, writes
from optc.ir import dtypes, types
from optc.ir.dtypes import DType
from optc.ir.graph import Node
from optc.ir.graph import Value as IRValue
from optc.ir.types import IntType, TensorType
from optc.ops.abstract import abstract, normalize_dim
from optc.ops.elementwise import element_expression, stored_type
from optc.ops.promotion import compute_type
from optc.ops.registry import Kernel, Operator, Pointwise, Reduction
from optc.ops.scalar import Expr, literal, variable


def emit(driver: Driver, node: Node, operator: Operator) -> bool:
    """Emit a node whose tensors all fit registers; False when its operator has no form in registers."""
    lowering = operator.lowering
    if isinstance(lowering, Pointwise):
        pointwise(driver, node, operator)
    elif isinstance(lowering, Reduction):
        reduction(driver, node, operator, lowering)
    elif isinstance(lowering, Kernel) and lowering.name in KERNELS:
        KERNELS[lowering.name](driver, node, operator)
    else:
        return False
    return True


def number_dtype(value: IRValue) -> DType:
    """The element type in which a number's result is held. Raises Unsupported for types that are no numbers."""
    if isinstance(value.type, IntType):
        return dtypes.INT64
    if value.type is types.FLOAT:
        return dtypes.FLOAT64
    if value.type is types.BOOL:
        return dtypes.BOOL
    raise Unsupported(value.node, f"a result of type {value.type}")


def pointwise(driver: Driver, node: Node, operator: Operator) -> None:
    """One expression over all elements, or over numbers."""
    output = node.output
    arguments = [abstract(value) for value in node.inputs]
    if not isinstance(output.type, TensorType):
        number(driver, node, operator, arguments)
        return
    dtype, shape = output.type.dtype, output.type.shape
    assert dtype is not None and shape is not None
    guard_division(driver, node, operator)
    expr = element_expression(operator, arguments, dtype)
    operands = [operand(driver, value) for value in node.inputs]
    static_shape = tuple(extent for extent in shape if isinstance(extent, int))
    driver.define(output, driver.registers.pointwise(expr, operands, static_shape))


def number(driver: Driver, node: Node, operator: Operator, arguments: list[Any]) -> None:
    """A number from numbers or one-element tensors."""
    guard_number(driver, node, operator)
    expr = element_expression(operator, arguments, number_dtype(node.output))
    expr = vector_math.expand(expr, driver.target)

    def leaf(part: Expr) -> Value:
        value = node.inputs[part.value]
        read = driver.in_registers(value) if isinstance(value.type, TensorType) else None
        if read is None:
            return driver.scalar(value)
        return driver.registers.gather(read, [0], ()).vectors[0]

    result = ExpressionEmitter(driver.b, 0, leaf, driver.target).emit(expr)
    driver.define(node.output, Scalar(result))


def operand(driver: Driver, value: IRValue) -> RegisterTensor | Value:
    """A tensor in registers or a number; what is neither (None, strings) is never read by an expression."""
    if isinstance(value.type, TensorType):
        return driver.in_registers(value)
    native = driver.native(value)
    return native.value if isinstance(native, Scalar) else driver.b.constant("i1", 0)


def reduction(driver: Driver, node: Node, operator: Operator, lowering: Reduction) -> None:
    """Combine along dimensions."""
    source = driver.in_registers(node.inputs[0])
    result = tensor_type(node.output)
    assert result.dtype is not None and result.shape is not None
    accumulator = compute_type(lowering.accumulate(result.dtype))
    prepared = lowering.prepare(variable(0, source.dtype).cast(compute_type(source.dtype))).cast(accumulator)
    mapped = driver.registers.pointwise(prepared, [source], source.shape)
    axes, _ = reduction_axes(node, operator)
    shape = tuple(extent for extent in result.shape if isinstance(extent, int))
    identity = lowering.identity(accumulator)
    total = driver.registers.reduce(mapped, axes, shape, lowering.combine, identity)
    whole = variable(0, accumulator)
    if accumulator.kind == "float" and identity == 0:  # sums begin with 0, which makes -0.0 of theirs 0.0
        whole = lowering.combine(whole, literal(identity, accumulator))
    driver.define(node.output, driver.registers.pointwise(whole.cast(result.dtype), [total], shape))


def matmul(driver: Driver, node: Node, operator: Operator) -> None:
    """mm, bmm, and addmm or baddbmm with their scales."""
    tensors = [value for value in node.inputs if isinstance(value.type, TensorType)]
    left, right = (converted(driver, driver.in_registers(value)) for value in tensors[-2:])
    result = driver.registers.matmul(left, right)
    positions = operator.schema.positions
    if "alpha" in positions:
        alpha, beta = node.inputs[positions["alpha"]], node.inputs[positions["beta"]]
        result = scaled(driver, result, alpha)
        bias = scaled(driver, converted(driver, driver.in_registers(tensors[0])), beta)
        first, second = variable(0, result.dtype), variable(1, result.dtype)
        if not (beta.is_constant and beta.constant == 0):
            result = driver.registers.pointwise(first + second, [result, bias], result.shape)
    narrow = variable(0, result.dtype).cast(tensor_type(node.output).dtype or result.dtype)
    driver.define(node.output, driver.registers.pointwise(narrow, [result], result.shape))


def converted(driver: Driver, tensor: RegisterTensor) -> RegisterTensor:
    """The tensor in the type in which its sums are computed."""
    wide = variable(0, tensor.dtype).cast(compute_type(tensor.dtype))
    return tensor if wide.dtype is tensor.dtype else driver.registers.pointwise(wide, [tensor], tensor.shape)


def scaled(driver: Driver, tensor: RegisterTensor, factor: IRValue) -> RegisterTensor:
    """The tensor times a number."""
    if factor.is_constant and factor.constant == 1:
        return tensor
    held = stored_type(abstract(factor))
    number_value = cast(driver.b, driver.scalar(factor), held, tensor.dtype)
    first, second = variable(0, tensor.dtype), variable(1, tensor.dtype)
    return driver.registers.pointwise(first * second, [tensor, number_value], tensor.shape)


def fill(driver: Driver, node: Node, operator: Operator) -> None:
    """A tensor full of one number."""
    result = tensor_type(node.output)
    assert result.dtype is not None and result.shape is not None
    value = node.inputs[operator.schema.positions["fill_value"]]
    held = stored_type(abstract(value))
    number_value = cast(driver.b, driver.scalar(value), held, result.dtype)
    shape = tuple(extent for extent in result.shape if isinstance(extent, int))
    driver.define(node.output, driver.registers.splat(number_value, result.dtype, shape))


def arange(driver: Driver, node: Node, operator: Operator) -> None:
    """start, start + step, ..."""
    result = tensor_type(node.output)
    assert result.dtype is not None and result.shape is not None
    shape = tuple(extent for extent in result.shape if isinstance(extent, int))
    positions = operator.schema.positions
    work = dtypes.FLOAT64 if result.dtype.kind == "float" else dtypes.INT64
    start, step = (
        cast(driver.b, driver.scalar(value), stored_type(abstract(value)), work)
        for value in (node.inputs[positions["start"]], node.inputs[positions["step"]])
    )
    numbers = driver.registers.count_up(work, shape)
    expr = (variable(1, work) + variable(0, work) * variable(2, work)).cast(result.dtype)
    driver.define(node.output, driver.registers.pointwise(expr, [numbers, start, step], shape))


def copy(driver: Driver, node: Node, operator: Operator) -> None:
    """In registers every tensor is its own copy."""
    driver.define(node.output, driver.in_registers(node.inputs[0]))


def concatenate(driver: Driver, node: Node, operator: Operator) -> None:
    """Tensors side by side along a dimension."""
    listed = driver.native(node.inputs[0])
    result = tensor_type(node.output)
    assert isinstance(listed, Aggregate) and result.shape is not None
    tensors = [item for item in listed.items if isinstance(item, RegisterTensor) and item.shape != (0,)]
    shape = tuple(extent for extent in result.shape if isinstance(extent, int))
    axis = normalize_dim(abstract(node.inputs[1]), len(shape))
    converted = [
        driver.registers.pointwise(variable(0, t.dtype).cast(result.dtype or t.dtype), [t], t.shape) for t in tensors
    ]
    starts, places, shift = [], {}, 0
    for tensor in tensors:
        starts.append(shift)
        shift += tensor.count
    along = 0
    for tensor, first in zip(tensors, starts):
        inner = row_major(tensor.shape)
        target = row_major(shape)
        positions = element_offsets(tensor.shape, target)
        sources = element_offsets(tensor.shape, inner)
        places.update({along * target[axis] + p: first + s for p, s in zip(positions, sources)})
        along += tensor.shape[axis]
    indices = [places[place] for place in range(len(places))]
    driver.define(node.output, driver.registers.concatenate(converted, indices, shape))


KERNELS: dict[str, Callable[[Driver, Node, Operator], None]] = {
    "matmul": matmul,
    "fill": fill,
    "arange": arange,
    "copy": copy,
    "concatenate": concatenate,
    "pad": padding.emit_in_registers,
    "select_scatter": writes.scatter_in_registers,
}
