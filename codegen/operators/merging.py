"""Values that come from several paths, as the LLVM values that paths hand over: numbers, vectors, addresses, extents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from optc.codegen.driver.driver import Driver
from optc.codegen.driver.frame import Unsupported, static, tensor_type
from optc.codegen.driver.memory import Slot
from optc.codegen.kernels.emitter import emit_dim
from optc.codegen.kernels.native import (
    Aggregate,
    Folded,
    MemoryTensor,
    Native,
    NoneValue,
    RegisterTensor,
    Scalar,
    Text,
    contiguous_strides,
    fits_registers,
)
from optc.codegen.llvm import Value
from optc.codegen.operators.writes import is_scatter
from optc.dataclass import dataclass
from optc.ir.dims import symbols
from optc.ir.graph import Block
from optc.ir.graph import Value as IRValue
from optc.ir.symbols import plain_symbol
from optc.ir.types import TensorType
from optc.ops.registry import Layout, operator_of


def flatten(native: Native) -> list[Value]:
    """The LLVM values that a native value consists of."""
    match native:
        case Scalar(value):
            return [value]
        case RegisterTensor(vectors=vectors):
            return list(vectors)
        case MemoryTensor(pointer=pointer) | Folded(MemoryTensor(pointer=pointer)):
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
        case Folded(MemoryTensor(dtype, _, whole, strides), rows, shape):
            return Folded(MemoryTensor(dtype, next(values), whole, strides), rows, shape)
        case Aggregate(items, is_list):
            return Aggregate(tuple(rebuild(item, values) for item in items), is_list)
        case NoneValue() | Text():
            return native


def merged(driver: Driver, value: IRValue, like: IRValue) -> Native:
    """What a value is on its way into a merge whose result is `like`: register tensors where the result is one."""
    if value.node.kind == "prim::Uninitialized":
        return anything(driver, like)
    if isinstance(like.type, TensorType) and fits_registers(like.type):
        return driver.in_registers(value)
    return driver.native(value)


def anything(driver: Driver, like: IRValue) -> Native:
    """Some value of a type, for paths on which nobody reads it."""
    type_ = like.type
    if isinstance(type_, TensorType) and fits_registers(type_) and type_.dtype is not None:
        return driver.registers.constant(0, type_.dtype, static(type_.shape or ()))
    kinds = {"int": "i64", "float": "double", "bool": "i1"}
    if str(type_) in kinds:
        return Scalar(driver.b.constant(kinds[str(type_)], 0))
    return NoneValue()


def form(native: Native) -> object:
    """Everything about a native value but the LLVM values in it: what both sides of a merge must agree on."""
    match native:
        case RegisterTensor(dtype, shape, lanes):
            return dtype, shape, lanes
        case MemoryTensor(dtype, _, shape, strides):
            return dtype, shape, strides
        case Aggregate(items, is_list):
            return is_list, tuple(map(form, items))
        case Scalar(value):
            return value.type
    return native


def wants_place(value: IRValue) -> bool:
    """True for what is written to new memory: neither a view, nor an argument, nor something changed in place."""
    node = value.node
    if node.kind == "prim::If":
        results = [(block, block.outputs[value.offset]) for block in node.blocks]
        return all(result.node.owner is block and wants_place(result) for block, result in results)
    if node.kind == "prim::Island":
        return True
    operator = operator_of(node)
    return operator is not None and not isinstance(operator.lowering, Layout) and not is_scatter(node)


def needs_memory(value: IRValue) -> bool:
    """True for tensors that are too large, or not known well enough, for registers."""
    return isinstance(value.type, TensorType) and not fits_registers(value.type)


def open_axes(driver: Driver, value: IRValue) -> tuple[int, ...]:
    """The dimensions of a tensor whose extents the program has not computed so far."""
    shape = tensor_type(value).shape
    if shape is None:
        raise Unsupported(value.node, f"the rank of {value.type} is not known")
    return tuple(axis for axis, dim in enumerate(shape) if symbols(dim) - driver.symbols.keys())


@dataclass(frozen=True)
class Moved:
    """A tensor without gaps that leaves the block that made it.

    `owner` is the heap block to be given back with it, null when its memory belongs to somebody else; `extents` are
    those of `axes`, the dimensions that are not known otherwise.
    """

    pointer: Value
    owner: Value
    axes: tuple[int, ...]
    extents: tuple[Value, ...]

    def values(self) -> list[Value]:
        """What paths hand over."""
        return [self.pointer, self.owner, *self.extents]

    @staticmethod
    def take(axes: tuple[int, ...], values: Iterator[Value]) -> Moved:
        """From what paths handed over."""
        return Moved(next(values), next(values), axes, tuple(next(values) for _ in axes))

    @staticmethod
    def nothing(driver: Driver, axes: tuple[int, ...], like: IRValue) -> Moved:
        """For paths on which nobody needs the tensor `like`: no elements, or memory with anything in it.

        It has to be memory since tensors are copied on their way (into results, say) whoever needs them.
        """
        if axes:
            null = driver.b.constant("ptr", 0)
            return Moved(null, null, axes, (driver.b.constant("i64", 0),) * len(axes))
        type_ = tensor_type(like)
        assert type_.dtype is not None and type_.shape is not None
        null = driver.b.constant("ptr", 0)
        pointer = driver.heap_block(MemoryTensor(type_.dtype, null, type_.shape, contiguous_strides(type_.shape)))
        return Moved(pointer, pointer, axes, ())

    def define(self, driver: Driver, value: IRValue, lenders: Sequence[Slot] = ()) -> None:
        """`value` is this tensor; it may lie in the memory of `lenders`."""
        type_ = tensor_type(value)
        assert type_.dtype is not None and type_.shape is not None
        for axis, extent in zip(self.axes, self.extents):
            name = plain_symbol(type_.shape[axis])
            if name is None:
                raise Unsupported(value.node, f"the extent {type_.shape[axis]} is not known where it is needed")
            driver.symbols.setdefault(name, extent)
        strides = contiguous_strides(type_.shape)
        driver.define(value, MemoryTensor(type_.dtype, self.pointer, type_.shape, strides))
        slots = list(dict.fromkeys(lenders))
        if self.owner.name != "null":
            owned = Slot(owner=self.owner)
            driver.heap.append(owned)
            driver.aliases[owned] = set()
            slots.append(owned)
        driver.slots[value] = slots
        for slot in slots:
            driver.aliases[slot].add(value)


class Mover:
    """Takes results out of a block that is about to end."""

    def __init__(self, driver: Driver, block: Block) -> None:
        self.driver = driver
        self.block = block
        self.before = set(driver.aliases)

    def lend(self, value: IRValue, axes: tuple[int, ...], like: IRValue) -> tuple[Moved, list[Slot]]:
        """A result that becomes `like`, and the slots from before the block, or of the arena, in which it may lie."""
        driver = self.driver
        if value.node.kind == "prim::Uninitialized":
            return Moved.nothing(driver, axes, like), []
        memory = driver.in_memory(value)
        slots = driver.slots.get(value, [])
        mine = [slot for slot in slots if slot not in self.before]
        heap = [slot for slot in mine if slot.owner is not None]
        if not memory.is_contiguous or len(heap) > 1 or (heap and self.is_shared(heap[0], value)):
            return self.copied(value, memory, axes), []
        owner = heap[0].owner if heap else None
        if heap:
            self.take(heap[0])
        moved = Moved(memory.pointer, owner or driver.b.constant("ptr", 0), axes, self.extents(memory, axes))
        return moved, [slot for slot in slots if slot not in heap] if slots else [self.foreign()]

    def own(self, value: IRValue, axes: tuple[int, ...], current: Moved | None = None) -> tuple[Moved, Value | None]:
        """A result in memory of its own, which may be that of `current`: then the second value (i1) says so."""
        moved, _ = self.lend(value, axes, value)
        if value.node.kind == "prim::Uninitialized" or moved.owner == moved.pointer:
            return moved, None
        b = self.driver.b
        memory = replace(self.driver.in_memory(value), pointer=moved.pointer)
        owner, stays = moved.owner, None
        if current is not None:
            stays = b.and_(b.icmp("eq", owner, 0), b.icmp("eq", moved.pointer, current.pointer))
            owner = b.select(stays, current.owner, owner)
        with b.if_then_else(b.icmp("eq", owner, 0)) as (borrowed, owned):
            with borrowed:
                copy = self.copied(value, memory, axes)
                borrowed.yield_([copy.pointer, copy.owner])
            with owned:
                owned.yield_([moved.pointer, owner])
        pointer, owner = borrowed.results
        return replace(moved, pointer=pointer, owner=owner), stays

    def foreign(self) -> Slot:
        """A slot for memory that nobody gives back and nobody writes to."""
        slot = Slot(foreign=True)
        self.driver.aliases[slot] = set()
        return slot

    def copied(self, value: IRValue, memory: MemoryTensor, axes: tuple[int, ...]) -> Moved:
        driver = self.driver
        pointer = driver.heap_block(memory)
        driver.copy(memory, pointer, TensorType(memory.dtype, memory.shape))
        return Moved(pointer, pointer, axes, self.extents(memory, axes))

    def extents(self, memory: MemoryTensor, axes: tuple[int, ...]) -> tuple[Value, ...]:
        return tuple(emit_dim(self.driver.b, memory.shape[axis], self.driver.symbols) for axis in axes)

    def is_shared(self, slot: Slot, value: IRValue) -> bool:
        """True when the block gives something else in the memory of a value, or the value twice."""
        others = any(other is not value and other in self.block.outputs for other in self.driver.aliases[slot])
        return others or list(self.block.outputs).count(value) > 1

    def take(self, slot: Slot) -> None:
        """From now on the slot is nobody's but the receiver's."""
        driver = self.driver
        for value in driver.aliases.pop(slot):
            driver.slots[value] = [other for other in driver.slots[value] if other is not slot]
        driver.heap.remove(slot)
