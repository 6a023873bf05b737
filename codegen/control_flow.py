"""How `prim::` nodes become native: branches, loops, tuples and lists whose length is known, failures."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from optc.codegen.driver import Driver
from optc.codegen.frame import FAILED, Unsupported, static, tensor_type
from optc.codegen.kernel_emitter import emit_dim
from optc.codegen.llvm import Value
from optc.codegen.memory import Slot
from optc.codegen.native import (
    Aggregate,
    MemoryTensor,
    Native,
    NoneValue,
    RegisterTensor,
    Scalar,
    Text,
    contiguous_strides,
    fits_registers,
)
from optc.ir.dims import symbols
from optc.ir.graph import Block, Node
from optc.ir.graph import Value as IRValue
from optc.ir.types import TensorType


def flatten(native: Native) -> list[Value]:
    """The LLVM values that a native value consists of."""
    match native:
        case Scalar(value):
            return [value]
        case RegisterTensor(vectors=vectors):
            return list(vectors)
        case MemoryTensor(pointer=pointer):
            return [pointer]
        case Aggregate(items):
            return [value for item in items for value in flatten(item)]
        case NoneValue() | Text():
            return []


def rebuild(native: Native, values: Iterator[Value]) -> Native:
    """The same kind of native value over other LLVM values."""
    match native:
        case Scalar():
            return Scalar(next(values))
        case RegisterTensor(dtype, shape, lanes, vectors):
            return RegisterTensor(dtype, shape, lanes, tuple(next(values) for _ in vectors))
        case MemoryTensor(dtype, _, shape, strides):
            return MemoryTensor(dtype, next(values), shape, strides)
        case Aggregate(items, is_list):
            return Aggregate(tuple(rebuild(item, values) for item in items), is_list)
        case NoneValue() | Text():
            return native


def _merged(driver: Driver, value: IRValue, like: IRValue) -> Native:
    """What a value is on its way into a merge whose result is `like`: register tensors where the result is one."""
    if value.node.kind == "prim::Uninitialized":
        return _anything(driver, like)
    if isinstance(like.type, TensorType) and fits_registers(like.type):
        return driver.in_registers(value)
    return driver.native(value)


def _anything(driver: Driver, like: IRValue) -> Native:
    """Some value of a type, for paths on which nobody reads it."""
    type_ = like.type
    if isinstance(type_, TensorType) and fits_registers(type_) and type_.dtype is not None:
        return driver.registers.constant(0, type_.dtype, static(type_.shape or ()))
    kinds = {"int": "i64", "float": "double", "bool": "i1"}
    if str(type_) in kinds:
        return Scalar(driver.b.constant(kinds[str(type_)], 0))
    return NoneValue()


def emit_if(driver: Driver, node: Node) -> None:
    """Both sides stay native; results merge in registers, or in memory that both sides write."""
    memories = {output: _merge_memory(driver, output) for output in node.outputs if _needs_memory(output)}
    natives: list[list[Native]] = []
    with driver.b.if_then_else(driver.scalar(node.inputs[0])) as arms:
        for arm, block in zip(arms, node.blocks):
            with arm:
                heap = list(driver.heap)
                driver.block(block)
                if driver.b.block.terminated:
                    continue
                results = [_merged(driver, v, o) for v, o in zip(block.outputs, node.outputs)]
                for output, result in zip(node.outputs, results):
                    if output in memories and not isinstance(result, NoneValue):
                        driver.copy(result, memories[output].pointer, tensor_type(output))
                _end_scope(driver, block, heap)
                shown = [r for o, r in zip(node.outputs, results) if o not in memories]
                arm.yield_([value for native in shown for value in flatten(native)])
                natives.append(shown)
    for output, memory in memories.items():
        driver.define(output, memory)
    if not natives:
        return
    merged = iter(arms[0].results)
    others = [output for output in node.outputs if output not in memories]
    for output, model in zip(others, natives[0]):
        driver.define(output, rebuild(model, merged))


def _needs_memory(value: IRValue) -> bool:
    return isinstance(value.type, TensorType) and not fits_registers(value.type)


def _merge_memory(driver: Driver, value: IRValue) -> MemoryTensor:
    type_ = tensor_type(value)
    unknown = {name for dim in type_.shape or () for name in symbols(dim)} - driver.symbols.keys()
    if unknown:
        raise Unsupported(value.node, f"the extent {min(unknown)} of a result is only known inside")
    return driver.allocate(value)


def _end_scope(driver: Driver, block: Block, heap: list[Slot]) -> None:
    """Give back what a block allocated; its results have been copied out."""
    for value in dict.fromkeys(block.outputs):
        if value.node.owner is block:
            driver.forget(value)
    for slot in [slot for slot in driver.heap if slot not in heap]:
        driver.release(slot)


def emit_loop(driver: Driver, node: Node) -> None:
    """`prim::Loop`: trip count and condition in registers, small tensors in registers, others in two buffers."""
    (block,) = node.blocks
    carried = list(zip(node.inputs[2:], block.inputs[1:], block.outputs[1:], node.outputs))
    limit, first = driver.scalar(node.inputs[0]), driver.scalar(node.inputs[1])
    starts: list[Native] = []
    buffers: dict[int, tuple[MemoryTensor, MemoryTensor]] = {}
    for place, (initial, inside, _, output) in enumerate(carried):
        if _needs_memory(output):
            buffers[place] = _two_buffers(driver, initial, output)
            starts.append(buffers[place][0])
        else:
            starts.append(_merged(driver, initial, inside))
    spare = [pair[1].pointer for pair in buffers.values()]
    flat = [value for native in starts for value in flatten(native)]
    b = driver.b
    with b.while_loop([b.constant("i64", 0), first, *spare, *flat]) as loop:
        index, condition, *rest = loop.carried
        loop.while_(b.and_(condition, b.icmp("slt", index, limit)))
        spares, values = rest[: len(spare)], iter(rest[len(spare) :])
        driver.define(block.inputs[0], Scalar(index))
        for native, (_, inside, _, _) in zip(starts, carried):
            driver.define(inside, rebuild(native, values))
        currents = {place: driver.native(carried[place][1]) for place in buffers}
        heap = list(driver.heap)
        driver.block(block)
        if driver.b.block.terminated:
            raise Unsupported(node, "every turn of the loop raises")
        following: list[Value] = []
        for place, (_, inside, result, output) in enumerate(carried):
            if place not in buffers:
                following.extend(flatten(_merged(driver, result, inside)))
                continue
            target = spares[list(buffers).index(place)]
            driver.copy(_merged(driver, result, output), target, tensor_type(output))
            following.append(target)
        _end_scope(driver, block, heap)
        again = driver.scalar(block.outputs[0])
        old = [flatten(currents[place])[0] for place in buffers]
        loop.yield_([b.add(index, 1, "nsw"), again, *old, *following])
    values = iter(loop.results[2 + len(spare) :])
    for native, (_, _, _, output) in zip(starts, carried):
        driver.define(output, rebuild(native, values))


def _two_buffers(driver: Driver, initial: IRValue, output: IRValue) -> tuple[MemoryTensor, MemoryTensor]:
    """A buffer holding the first value of a carried tensor, and one for the next."""
    type_ = tensor_type(output)
    unknown = {name for dim in type_.shape or () for name in symbols(dim)} - driver.symbols.keys()
    if unknown or type_.shape is None or type_.dtype is None:
        raise Unsupported(output.node, f"a tensor that changes its shape from turn to turn ({type_})")
    current, spare = driver.allocate_pair(output, type_)
    strides = contiguous_strides(type_.shape)
    if initial.node.kind != "prim::Uninitialized":
        driver.copy(driver.native(initial), current, type_)
    return (
        MemoryTensor(type_.dtype, current, type_.shape, strides),
        MemoryTensor(type_.dtype, spare, type_.shape, strides),
    )


def emit_construct(driver: Driver, node: Node) -> None:
    """Tuples and lists of known length exist only while compiling."""
    items = tuple(driver.native(value) for value in node.inputs)
    driver.define(node.output, Aggregate(items, node.kind == "prim::ListConstruct"))
    driver.share(node.output, *node.inputs)


def emit_unpack(driver: Driver, node: Node) -> None:
    """Take a tuple or list apart."""
    native = driver.native(node.inputs[0])
    if not isinstance(native, Aggregate) or len(native.items) != len(node.outputs):
        raise Unsupported(node, "the length of the list is only known at run time")
    for output, item in zip(node.outputs, native.items):
        driver.define(output, item)
        driver.share(output, node.inputs[0])


def emit_index(driver: Driver, node: Node) -> None:
    """One item of a tuple."""
    native = driver.native(node.inputs[0])
    place = node.inputs[1]
    if not isinstance(native, Aggregate) or not place.is_constant:
        raise Unsupported(node, "the index is only known at run time")
    driver.define(node.output, native.items[place.constant])
    driver.share(node.output, node.inputs[0])


def emit_dim_node(driver: Driver, node: Node) -> None:
    """An int that is a dimension of the program."""
    driver.define(node.output, Scalar(emit_dim(driver.b, node.attributes["dim"], driver.symbols)))


def emit_raise(driver: Driver, node: Node) -> None:
    """Leave the function; the interpreter then says what went wrong."""
    driver.leave(FAILED)


def emit_same(driver: Driver, node: Node) -> None:
    """A node that only changes what the compiler knows."""
    driver.define(node.output, driver.native(node.inputs[0]))


def emit_nothing(driver: Driver, node: Node) -> None:
    """A value that nobody reads: merges make one up where they need it."""


HANDLERS: dict[str, Callable[[Driver, Node], None]] = {
    "prim::If": emit_if,
    "prim::Loop": emit_loop,
    "prim::TupleConstruct": emit_construct,
    "prim::ListConstruct": emit_construct,
    "prim::TupleUnpack": emit_unpack,
    "prim::ListUnpack": emit_unpack,
    "prim::TupleIndex": emit_index,
    "prim::Dim": emit_dim_node,
    "prim::RaiseException": emit_raise,
    "prim::unchecked_cast": emit_same,
    "prim::Uninitialized": emit_nothing,
}
