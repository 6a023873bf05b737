"""Checks of data before it is used: divisors, indices, extents. A check that fails makes the run return FAILED."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from optc.codegen.driver.copies import merged, nest, place_of
from optc.codegen.driver.frame import Frame, tensor_type
from optc.codegen.driver.grouping import reduction_axes
from optc.codegen.kernels.emitter import emit_dim
from optc.codegen.kernels.kernel import Accumulate, Buffer, Define, Kernel, Store, dims_of, load, local
from optc.codegen.kernels.native import MemoryTensor, RegisterTensor, Scalar
from optc.codegen.llvm import Value
from optc.ir import dtypes, types
from optc.ir.dims import Dim, Symbolic, product, symbols
from optc.ir.graph import Node
from optc.ir.graph import Value as IRValue
from optc.ir.types import IntType, TensorType
from optc.ops.registry import Operator
from optc.ops.scalar import Expr, literal, variable

BOTH = variable(0, dtypes.BOOL) & variable(1, dtypes.BOOL)


def require(frame: Frame, memory: MemoryTensor, condition: Expr, label: str) -> None:
    """Leave the function unless `condition` (its input 0 is an element) holds for every element of a tensor."""
    memory = _once(memory)
    read, flag = Buffer("in0", memory.dtype, "input"), Buffer("flag", dtypes.BOOL, "output")
    element = load(read, place_of(memory.strides))
    holds = _with_element(condition, element)
    body = (
        Define("holds", literal(True, dtypes.BOOL)),
        *nest(memory.shape, (Accumulate("holds", BOTH, holds),)),
        Store("flag", 0, local("holds", dtypes.BOOL)),
    )
    dims = (*memory.shape, *memory.strides, *dims_of(condition))
    sizes = {name for dim in dims for name in symbols(dim)}
    kernel = Kernel("kernel", (read, flag), tuple(sorted(sizes)), body)
    pointer = frame.b.alloca("i8", 1, 1)
    frame.call_kernel(kernel, [memory.pointer, pointer], [label])
    frame.check(frame.b.icmp("ne", frame.b.load("i8", pointer), 0))


def _once(memory: MemoryTensor) -> MemoryTensor:
    """What is expanded is looked at once (of no elements, none), and rows without gaps as one."""
    kept = [
        (extent, stride)
        for extent, stride in zip(memory.shape, memory.strides, strict=True)
        if stride != 0 or not isinstance(extent, int) or extent == 0
    ]
    shape, strides = merged([extent for extent, _ in kept], [stride for _, stride in kept])
    return replace(memory, shape=tuple(shape), strides=tuple(strides))


def require_within(frame: Frame, shape: Sequence[Dim], pairs: Iterable[tuple[Dim, Dim]]) -> None:
    """Leave the function where the first extent of a pair is larger than the second, unless `shape` has no elements."""
    b = frame.b
    for smaller, larger in pairs:
        if smaller == larger or isinstance(smaller, int) and isinstance(larger, int):
            continue
        fits = b.icmp("sle", emit_dim(b, smaller, frame.symbols), emit_dim(b, larger, frame.symbols))
        empty = b.icmp("eq", emit_dim(b, product(tuple(shape)), frame.symbols), 0)
        frame.check(b.or_(fits, empty))


def require_broadcast(frame: Frame, shape: Sequence[Dim], target: Sequence[Dim]) -> None:
    """Leave the function unless a shape can be broadcast to the last dimensions of another."""
    b = frame.b
    for extent, wide in zip(shape, target[len(target) - len(shape) :]):
        if extent in (1, wide):
            continue
        given = emit_dim(b, extent, frame.symbols)
        frame.check(b.or_(b.icmp("eq", given, 1), b.icmp("eq", given, emit_dim(b, wide, frame.symbols))))


def _with_element(condition: Expr, element: Expr) -> Expr:
    if condition.op == "input":
        return element
    args = tuple(_with_element(arg, element) for arg in condition.args)
    return Expr(condition.op, condition.dtype, args, condition.value)


def divisor_of(node: Node, operator: Operator) -> IRValue | None:
    """The operand whose zeros make a node raise: the divisor of integers."""
    if not operator.may_fail:
        return None
    positions = operator.schema.positions
    place = next((positions[name] for name in ("other", "b", "step") if name in positions), None)
    if place is None:
        return None
    divisor, result = node.inputs[place], node.output.type
    if result is types.FLOAT or isinstance(result, TensorType) and (result.dtype is None or result.dtype.kind != "int"):
        return None
    return None if divisor.is_constant and is_nonzero(divisor.constant) else divisor


def guard_extents(frame: Frame, node: Node, operator: Operator) -> None:
    """Leave the function where `node` looks for an extreme of no elements; the interpreter says how it raises."""
    if not operator.needs_elements:
        return
    shape = tensor_type(node.inputs[0]).shape
    assert shape is not None
    for axis in reduction_axes(node, operator)[0]:
        if isinstance(shape[axis], Symbolic):
            frame.check(frame.b.icmp("ne", emit_dim(frame.b, shape[axis], frame.symbols), 0))


def is_nonzero(constant: object) -> bool:
    """True for a number that is not zero."""
    return isinstance(constant, int | float) and constant != 0


def guard_division(frame: Frame, node: Node, operator: Operator) -> None:
    """Leave the function where `node` divides by zero; the interpreter says how it raises."""
    divisor = divisor_of(node, operator)
    if divisor is None:
        return
    native = frame.native(divisor)
    if isinstance(native, Scalar):
        frame.check(_number_is_nonzero(frame, native.value))
    elif isinstance(native, RegisterTensor):
        nonzero = variable(0, native.dtype).not_equal(0)
        flags = frame.registers.pointwise(nonzero, [native], native.shape)
        axes = tuple(range(len(native.shape)))
        every = frame.registers.reduce(flags, axes, (), lambda left, right: left & right, True)
        frame.check(every.vectors[0])
    elif isinstance(native, MemoryTensor):
        require(frame, native, variable(0, native.dtype).not_equal(0), f"{node.kind} (divisor)")


def guard_number(frame: Frame, node: Node, operator: Operator) -> None:
    """Leave the function where a float has no integer, a node divides by zero, or zero gets a negative power."""
    guard_division(frame, node, operator)
    if operator.may_fail and operator.schema.name == "aten::pow":
        base, exponent = map(frame.scalar, node.inputs)
        is_zero, is_negative = _compared(frame, "eq", base), _compared(frame, "lt", exponent)
        frame.check(frame.b.not_(frame.b.and_(is_zero, is_negative)))
    if not operator.may_fail or len(node.inputs) != 1 or not isinstance(node.output.type, IntType):
        return
    native = frame.native(node.inputs[0])
    if isinstance(native, Scalar) and native.value.type == "double":
        size = frame.b.intrinsic("fabs", "double", native.value)
        frame.check(frame.b.fcmp("olt", size, 2.0**63))


def _compared(frame: Frame, relation: str, value: Value) -> Value:
    """A number held against zero; a truth value counts as 0 or 1."""
    if value.type == "double":
        return frame.b.fcmp(f"o{relation}", value, 0.0)
    wide = frame.b.zext(value, "i64") if value.type == "i1" else value
    return frame.b.icmp("eq" if relation == "eq" else f"s{relation}", wide, 0)


def _number_is_nonzero(frame: Frame, value: Value) -> Value:
    if value.type == "double":
        return frame.b.fcmp("une", value, 0.0)
    return value if value.type == "i1" else frame.b.icmp("ne", value, 0)
