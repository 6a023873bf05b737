"""The whole graph as one native function: control flow, scalars, small tensors in registers, calls of kernels.

A core graph is walked in program order. Scalars and small tensors of known shape become SSA values, branches and loops
included; larger tensors live in memory and are worked on by kernels. What native code cannot do raises `Unsupported`,
with the node and the reason. A run that must fail (an index out of range, a `raise`) returns code FAILED; the caller
then runs the interpreter on the same arguments, which raises the exact error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from optc.codegen import context as calling
from optc.codegen import grouping
from optc.codegen.expression import SUPPORTED_DTYPES
from optc.codegen.host import Target
from optc.codegen.kernel import Kernel, verify_kernel
from optc.codegen.kernel_emitter import emit_dim, emit_kernel
from optc.codegen.llvm import Builder, Module, Value
from optc.codegen.lowering import lower_group
from optc.codegen.memory import Arena, Slot
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
from optc.codegen.registers import RegisterEmitter, element_offsets
from optc.codegen.schedule import vectorise
from optc.errors import OptcError
from optc.ir import dtypes, types
from optc.ir.dims import Dim, Symbolic, fresh, product
from optc.ir.dtypes import DType
from optc.ir.graph import Block, Graph, Node
from optc.ir.graph import Value as IRValue
from optc.ir.types import IntType, ListType, TensorType
from optc.ops.abstract import abstract
from optc.ops.registry import Kernel as KernelLowering
from optc.ops.registry import Layout, Operator, Pointwise, Reduction, operator_of

FAILED = 1
"""What `run` returns when the program raises."""


class Unsupported(OptcError):
    """Native code cannot do this; `reason` says why, `source` where."""

    def __init__(self, node: Node, reason: str) -> None:
        self.node = node
        self.reason = reason
        super().__init__(f"{node.kind} runs in the interpreter: {reason}")


@dataclass
class KernelRecord:
    """One kernel call for `fast.kernels` and `optc dump --kernels`: the loop nest and the decisions behind it."""

    name: str
    operators: list[str]
    text: str
    notes: list[str] = field(default_factory=list)


@dataclass
class DriverCode:
    """What the driver produced: modules by name (equal kernels once), constants, the arena's size, kernel records."""

    symbol: str
    modules: dict[str, Module]
    constants: list[np.ndarray[Any, Any]]
    arena_bytes: int
    kernels: list[KernelRecord]


class Driver:
    """Compiles one core graph; `compile()` gives the code."""

    def __init__(self, graph: Graph, target: Target, name: str) -> None:
        self.graph = graph
        self.target = target
        self.module = Module(name)
        self.function = self.module.function(f"run_{name}", "i32", calling.RUN_PARAMETERS)
        self.context, self.input_words, self.output_words = self.function.arguments
        self.entry = Builder(self.function)
        start = self.entry.new_block("start")
        self.b = Builder(self.function)
        self.b.position_at_end(start)
        self.start = start
        self.registers = RegisterEmitter(self.b, self.entry, target.fma)
        self.values: dict[IRValue, Native] = {}
        self.homes: dict[IRValue, MemoryTensor] = {}
        self.symbols: dict[str, Value] = {}
        self.constants: list[np.ndarray[Any, Any]] = []
        self.early: set[str] = set()
        self.constant_sources: dict[str, tuple[np.ndarray[Any, Any], int]] = {}
        self.packed: dict[tuple[object, ...], Value] = {}
        self.arena = Arena()
        self.arena_base: Value | None = None
        self.slots: dict[IRValue, Slot] = {}
        self.aliases: dict[Slot, set[IRValue]] = {}
        self.destinations: dict[IRValue, Value] = {}
        self.heap: list[Slot] = []
        self.group: grouping.Group | None = None
        self.waiting: list[Node] = []
        self.kernels: list[KernelRecord] = []
        self.modules: dict[str, Module] = {}
        self.notes: list[str] = []

    # The function ------------------------------------------------------------------------------------------------

    def compile(self) -> DriverCode:
        """Emit everything. Raises Unsupported."""
        self.bind_inputs()
        self.plan_outputs()
        self.block(self.graph.block)
        self.store_outputs()
        self.b.ret(0)
        self.entry.br(self.start)
        modules = {self.module.name: self.module, **self.modules}
        return DriverCode(self.function.name, modules, self.constants, self.arena.size, self.kernels)

    def bind_inputs(self) -> None:
        word = 0
        for value in self.graph.inputs:
            if isinstance(value.type, TensorType):
                word = self.bind_tensor(value, value.type, word)
                continue
            address = self.b.gep("i64", self.input_words, word)
            self.define(value, Scalar(self.load_scalar(value, address)))
            word += 1

    def load_scalar(self, value: IRValue, address: Value) -> Value:
        if value.type is types.FLOAT:
            return self.b.load("double", address)
        loaded = self.b.load("i64", address)
        if value.type is types.BOOL:
            return self.b.icmp("ne", loaded, 0)
        if not isinstance(value.type, IntType):
            raise Unsupported(value.node, f"an input of type {value.type}")
        return loaded

    def bind_tensor(self, value: IRValue, type_: TensorType, word: int) -> int:
        shape, dtype = type_.shape, type_.dtype
        if shape is None or dtype is None or dtype not in SUPPORTED_DTYPES:
            raise Unsupported(value.node, f"an input of type {type_}")
        pointer = self.b.load("ptr", self.b.gep("i64", self.input_words, word))
        for place, dim in enumerate(shape):
            name = plain_symbol(dim)
            if name is not None and name not in self.symbols:
                self.symbols[name] = self.b.load("i64", self.b.gep("i64", self.input_words, word + 1 + place))
        memory = MemoryTensor(dtype, pointer, shape, contiguous_strides(shape))
        self.homes[value] = memory
        self.values[value] = self.loaded(memory) if fits_registers(type_) else memory
        return word + 1 + len(shape)

    def plan_outputs(self) -> None:
        """Where results go: the address the entry gave, early, so that kernels can write straight into it."""
        self.output_places: list[tuple[IRValue, int]] = []
        word = 0
        for value in self.flat_outputs():
            self.output_places.append((value, word))
            rank = len(value.type.shape or ()) if isinstance(value.type, TensorType) else 0
            known = isinstance(value.type, TensorType) and self.is_preallocated(value.type)
            if known and value not in self.destinations and value.node.kind != "prim::Param":
                address = self.entry.gep("i64", self.output_words, word)
                self.destinations[value] = self.entry.load("ptr", address)
            word += 1 + rank

    def is_preallocated(self, type_: TensorType) -> bool:
        """True when the entry allocates: the extents are numbers or plain symbols of the inputs."""
        return all(isinstance(dim, int) or plain_symbol(dim) in self.symbols for dim in type_.shape or ())

    def flat_outputs(self) -> Iterator[IRValue]:
        """The computed results, tuples and lists of known length taken apart, in the order of the output words."""
        for value in self.graph.outputs:
            yield from flat_leaves(value)

    def store_outputs(self) -> None:
        for value, word in self.output_places:
            native = self.values[value]
            address = self.b.gep("i64", self.output_words, word)
            if isinstance(native, Scalar):
                self.b.store(as_word(self.b, native.value), address)
                continue
            if not isinstance(value.type, TensorType):
                raise Unsupported(value.node, f"a result of type {value.type}")
            self.store_tensor(value, value.type, native, word, address)

    def store_tensor(self, value: IRValue, type_: TensorType, native: Native, word: int, address: Value) -> None:
        if self.is_preallocated(type_):
            pointer = self.b.load("ptr", address)
        else:
            number = [place for _, place in self.output_places].index(word)
            pointer = calling.call_allocate_output(self.b, self.context, number, self.byte_size(type_))
            self.check(self.b.icmp("ne", pointer, 0), calling.OUT_OF_MEMORY)
            self.b.store(pointer, address)
            for place, dim in enumerate(type_.shape or ()):
                slot = self.b.gep("i64", self.output_words, word + 1 + place)
                self.b.store(emit_dim(self.b, dim, self.symbols), slot)
        if self.destinations.get(value) is not None and isinstance(native, MemoryTensor):
            if native.pointer == self.destinations[value] and self.is_first_place(value, word):
                return
        self.copy(native, pointer, type_)

    def is_first_place(self, value: IRValue, word: int) -> bool:
        return next(place for other, place in self.output_places if other is value) == word

    # Values ------------------------------------------------------------------------------------------------------

    def define(self, value: IRValue, native: Native) -> None:
        """Record what a value is; an int that is a fresh symbol of shapes gets its name."""
        self.values[value] = native
        if isinstance(value.type, IntType) and isinstance(native, Scalar) and value.type.dim is not None:
            name = plain_symbol(value.type.dim)
            if name is not None and name not in self.symbols:
                self.symbols[name] = native.value

    def native(self, value: IRValue) -> Native:
        """The native form of a value; constants are made when first asked for."""
        if value not in self.values and value.is_constant:
            self.values[value] = self.constant(value)
        return self.values[value]

    def constant(self, value: IRValue) -> Native:
        item = value.constant
        if item is None:
            return NoneValue()
        if isinstance(item, bool):
            return Scalar(self.b.constant("i1", item))
        if isinstance(item, int):
            return Scalar(self.b.constant("i64", item))
        if isinstance(item, float):
            return Scalar(self.b.constant("double", item))
        if isinstance(item, np.ndarray):
            return self.constant_tensor(item, value.node)
        if isinstance(item, list | tuple) and all(isinstance(entry, int | float | bool) for entry in item):
            return Aggregate(tuple(self.number(entry) for entry in item), isinstance(item, list))
        return Text(str(item))

    def number(self, item: float | bool) -> Scalar:
        kind = "i1" if isinstance(item, bool) else "i64" if isinstance(item, int) else "double"
        return Scalar(self.b.constant(kind, item))

    def constant_tensor(self, array: np.ndarray[Any, Any], node: Node) -> MemoryTensor:
        type_ = abstract(node.output)
        if type_.dtype not in SUPPORTED_DTYPES:
            raise Unsupported(node, f"a constant of type {type_}")
        pointer = self.constant_pointer(np.ascontiguousarray(array))
        return MemoryTensor(type_.dtype, pointer, type_.shape, contiguous_strides(type_.shape))

    def constant_pointer(self, array: np.ndarray[Any, Any]) -> Value:
        """The address of a constant buffer, loaded once at the start."""
        pointer = calling.constant_pointer(self.entry, self.context, len(self.constants))
        self.constants.append(array)
        self.early.add(pointer.name)
        self.constant_sources[pointer.name] = (array, 0)
        return pointer

    def packed_pointer(self, memory: MemoryTensor, key: str, pack: Callable[[], np.ndarray[Any, Any]]) -> Value:
        """The address of a constant in another arrangement, made once for every `key`."""
        known = (memory.pointer.name, memory.shape, memory.strides, key)
        if known not in self.packed:
            self.packed[known] = self.constant_pointer(pack())
        return self.packed[known]

    def constant_array(self, memory: MemoryTensor) -> np.ndarray[Any, Any] | None:
        """The contents of a tensor that is (a view of) a constant, None for others."""
        if memory.pointer.name not in self.constant_sources:
            return None
        array, offset = self.constant_sources[memory.pointer.name]
        flat = array.reshape(-1)[offset:]
        strides = [stride * flat.itemsize for stride in static(memory.strides)]
        return np.lib.stride_tricks.as_strided(flat, static(memory.shape), strides)

    def scalar(self, value: IRValue) -> Value:
        """The LLVM value of an int, float or bool; a one-element tensor is read."""
        native = self.native(value)
        if isinstance(native, Scalar):
            return native.value
        if isinstance(native, RegisterTensor) and native.lanes == 0:
            return native.vectors[0]
        raise Unsupported(value.node, f"a number was expected, not {value.type}")

    def in_registers(self, value: IRValue) -> RegisterTensor:
        """The tensor in registers, loaded from memory where needed."""
        native = self.native(value)
        if isinstance(native, RegisterTensor):
            return native
        if not isinstance(native, MemoryTensor):
            raise Unsupported(value.node, f"a tensor was expected, not {value.type}")
        loaded = self.loaded(native)
        if native.pointer.name in self.early:
            self.values[value] = loaded
            self.homes[value] = native
        return loaded

    def loaded(self, memory: MemoryTensor) -> RegisterTensor:
        shape = static(memory.shape)
        strides = static(memory.strides)
        if memory.pointer.name in self.early and memory.is_contiguous:
            return self.registers.load_constant(memory.pointer, memory.dtype, shape)
        return self.registers.load(memory.pointer, memory.dtype, shape, strides)

    def in_memory(self, value: IRValue) -> MemoryTensor:
        """The tensor in memory; one in registers is written to the stack."""
        native = self.native(value)
        if value in self.homes:
            return self.homes[value]
        if isinstance(native, MemoryTensor):
            return native
        if isinstance(native, Scalar):
            return self.spilled_scalar(value, native)
        if not isinstance(native, RegisterTensor):
            raise Unsupported(value.node, f"a tensor was expected, not {value.type}")
        pointer = self.b.alloca("i8", max(1, native.count) * native.dtype.itemsize, 64)
        self.registers.store(native, pointer)
        return MemoryTensor(native.dtype, pointer, native.shape, contiguous_strides(native.shape))

    def spilled_scalar(self, value: IRValue, native: Scalar) -> MemoryTensor:
        from optc.ops.elementwise import stored_type

        dtype = stored_type(abstract(value))
        scalar = RegisterTensor(dtype, (), 0, (native.value,))
        pointer = self.b.alloca("i64", 1, 8)
        self.registers.store(scalar, pointer)
        return MemoryTensor(dtype, pointer, (), ())

    # Memory ------------------------------------------------------------------------------------------------------

    def byte_size(self, type_: TensorType) -> Value:
        assert type_.shape is not None and type_.dtype is not None
        return self.b.mul(emit_dim(self.b, product(type_.shape), self.symbols), type_.dtype.itemsize)

    def allocate(self, value: IRValue) -> MemoryTensor:
        """Memory for a value that is about to be computed: its place among the results, the arena or the heap."""
        type_ = value.type
        if not isinstance(type_, TensorType) or type_.shape is None or type_.dtype is None:
            raise Unsupported(value.node, f"the type {type_} is not known well enough")
        if type_.dtype not in SUPPORTED_DTYPES:
            raise Unsupported(value.node, f"elements of type {type_.dtype.name}")
        if value in self.destinations:
            pointer = self.destinations[value]
        else:
            pointer = self.allocate_slot(value, type_)
        return MemoryTensor(type_.dtype, pointer, type_.shape, contiguous_strides(type_.shape))

    def allocate_pair(self, value: IRValue, type_: TensorType) -> tuple[Value, Value]:
        """Two buffers of one size that live as long as `value`."""
        assert type_.shape is not None and type_.dtype is not None
        count = product(type_.shape)
        slot, pointer = self.new_slot(count * 2, type_.dtype.itemsize)
        self.slots[value] = slot
        self.aliases[slot] = {value}
        return pointer, self.b.gep(memory_element(type_.dtype), pointer, emit_dim(self.b, count, self.symbols))

    def allocate_slot(self, value: IRValue, type_: TensorType) -> Value:
        assert type_.shape is not None and type_.dtype is not None
        slot, pointer = self.new_slot(product(type_.shape), type_.dtype.itemsize)
        self.slots[value] = slot
        self.aliases[slot] = {value}
        return pointer

    def new_slot(self, count: Dim, itemsize: int) -> tuple[Slot, Value]:
        """A slot for `count` elements and its address."""
        if isinstance(count, int):
            slot = self.arena.allocate(count * itemsize)
            return slot, self.b.gep("i8", self.arena_pointer(), slot.offset)
        bytes_ = self.b.mul(emit_dim(self.b, count, self.symbols), itemsize)
        pointer = calling.call_allocate(self.b, self.context, bytes_)
        self.check(self.b.icmp("ne", pointer, 0), calling.OUT_OF_MEMORY)
        slot = Slot(owner=pointer)
        self.heap.append(slot)
        return slot, pointer

    def arena_pointer(self) -> Value:
        if self.arena_base is None:
            self.arena_base = calling.load_field(self.entry, self.context, "arena")
        return self.arena_base

    def share(self, view: IRValue, source: IRValue) -> None:
        """`view` lies in the memory of `source`, which must live as long."""
        slot = self.slots.get(source)
        if slot is not None:
            self.slots[view] = slot
            self.aliases[slot].add(view)

    def release_after(self, node: Node) -> None:
        """Give back the memory whose last reader was `node`."""
        seen = [value for inner in node.walk() for value in (*inner.inputs, *inner.outputs)]
        seen += [value for block in node.blocks for value in block.outputs]
        for value in dict.fromkeys(seen):
            slot = self.slots.get(value)
            if slot is not None and value.node.owner is node.owner and not self.is_read_after(value, node):
                del self.slots[value]
                self.aliases[slot].discard(value)
                if not self.aliases[slot]:
                    self.release(slot)

    @staticmethod
    def is_read_after(value: IRValue, node: Node) -> bool:
        return any(use.node.is_after(node) for use in value.uses)

    def release(self, slot: Slot) -> None:
        if slot.owner is None:
            self.arena.release(slot)
            return
        calling.call_release(self.b, self.context, slot.owner)
        self.heap.remove(slot)

    def copy(self, native: Native, pointer: Value, type_: TensorType) -> None:
        """Write a tensor to memory, contiguous."""
        assert type_.shape is not None and type_.dtype is not None
        if isinstance(native, RegisterTensor):
            self.registers.store(native, pointer)
            return
        if not isinstance(native, MemoryTensor):
            raise OptcError(f"cannot copy {native}")
        if native.is_contiguous:
            self.b.memcpy(pointer, native.pointer, self.byte_size(type_))
            return
        from optc.codegen.memory_operators import copy_kernel

        target = MemoryTensor(native.dtype, pointer, native.shape, contiguous_strides(native.shape))
        self.call_kernel(copy_kernel(native, target), [native.pointer, pointer], ["copy"])

    def contiguous(self, value: IRValue) -> MemoryTensor:
        """The tensor in memory without gaps; a strided one is copied to a slot that lives until the function ends."""
        memory = self.in_memory(value)
        if memory.is_contiguous:
            return memory
        _, pointer = self.new_slot(product(memory.shape), memory.dtype.itemsize)
        self.copy(memory, pointer, TensorType(memory.dtype, memory.shape))
        return MemoryTensor(memory.dtype, pointer, memory.shape, contiguous_strides(memory.shape))

    # Failure -----------------------------------------------------------------------------------------------------

    def check(self, condition: Value, code: int = FAILED) -> None:
        """Leave the function with an error code unless the condition holds."""
        with self.b.if_then(self.b.not_(condition), likely=False):
            self.leave(code)

    def leave(self, code: int) -> None:
        for slot in self.heap:
            if slot.owner is not None:
                calling.call_release(self.b, self.context, slot.owner)
        self.b.ret(code)

    # Blocks and groups -------------------------------------------------------------------------------------------

    def block(self, block: Block) -> None:
        """Emit all nodes of a block."""
        for node in block.nodes:
            if self.b.block.terminated:
                return
            self.place(node)
        self.flush()

    def place(self, node: Node) -> None:
        """Emit a node now, or let it wait in the open group."""
        if node.kind == "prim::Constant":
            return
        if self.is_fusible(node):
            self.fuse(node)
            return
        if self.group is not None and not self.may_pass(node, self.group):
            self.flush()
        self.emit(node)
        self.release_after(node)

    def may_pass(self, node: Node, group: grouping.Group) -> bool:
        """True when a node may run before the waiting group: it needs nothing of it and ends no memory's life."""
        return not node.blocks and not group.reads(node) and all(value not in self.slots for value in node.inputs)

    def is_fusible(self, node: Node) -> bool:
        operator = operator_of(node)
        if operator is None or not (isinstance(operator.lowering, Pointwise | Reduction) or is_product(node)):
            return False
        return len(node.outputs) == 1 and isinstance(node.output.type, TensorType) and not self.is_small(node)

    def fuse(self, node: Node) -> None:
        if self.group is not None:
            reason = grouping.join(self.group, node)
            if reason is None:
                self.waiting.append(node)
                return
            self.notes.append(f"{node.kind} starts a kernel of its own: {reason}")
            self.flush()
        self.group = grouping.start(node, is_product(node))
        if self.group is None:
            raise Unsupported(node, "it has no native form")
        self.waiting.append(node)
        axes = self.group.axes
        if axes is not None and not grouping.is_trailing(axes, len(self.group.domain)):
            self.flush()

    def flush(self) -> None:
        """Emit the open group."""
        group, self.group = self.group, None
        if group is None:
            return
        if group.root is not None:
            group = self.flush_product(group, group.root)
        if group.nodes:
            self.flush_loops(group)
        waiting, self.waiting = self.waiting, []
        for node in waiting:
            self.release_after(node)

    def flush_product(self, group: grouping.Group, root: Node) -> grouping.Group:
        """Emit a product with what follows it if only the last value is read elsewhere; returns what is left to do."""
        from optc.codegen import products

        rest = grouping.Group(group.domain)
        if group.outputs() == [group.nodes[-1].output]:
            products.emit_group(self, group)
            return rest
        products.emit_group(self, grouping.Group(group.domain, None, [root], {root.output: grouping.FULL}, root))
        for node in group.nodes[1:]:
            rest.add(node, group.frames[node.output])
        return rest

    def flush_loops(self, group: grouping.Group) -> None:
        """Emit a group of pointwise operators and reductions as one loop nest."""
        layouts = {}
        for node in group.nodes:
            for value in node.inputs:
                if isinstance(value.type, TensorType) and value not in group.frames:
                    memory = self.in_memory(value)
                    layouts[value] = (memory.shape, memory.strides)
        lowered = lower_group(group, layouts)
        pointers = [self.in_memory(value).pointer for value in lowered.operands]
        for value in lowered.results:
            memory = self.allocate(value)
            self.define(value, memory)
            pointers.append(memory.pointer)
        temporary = []
        for buffer in lowered.kernel.buffers:
            if buffer.role == "scratch":
                slot, pointer = self.new_slot(buffer.size, buffer.dtype.itemsize)
                temporary.append(slot)
                pointers.append(pointer)
        notes, self.notes = self.notes, []
        self.call_kernel(lowered.kernel, pointers, [node.kind for node in group.nodes], notes)
        for slot in temporary:
            self.release(slot)

    def call_kernel(self, kernel: Kernel, pointers: list[Value], operators: list[str], notes: Sequence[str] = ()
                    ) -> None:  # fmt: skip
        """Schedule, verify and emit a kernel under a name made of its content, and call it."""
        verify_kernel(kernel)
        scheduled = vectorise(kernel, self.target)
        verify_kernel(scheduled)
        name = content_name(scheduled, self.target)
        named = replace(scheduled, name=name)
        if name not in self.modules:
            module = Module(name)
            emit_kernel(named, module, self.target)
            self.modules[name] = module
        declared = self.module.declare(name, "void", ["ptr"] * len(pointers) + ["i64"] * len(kernel.sizes))
        self.b.call(declared, *pointers, *(self.symbols[size] for size in kernel.sizes))
        self.kernels.append(KernelRecord(name, operators, str(named), list(notes)))

    # Nodes -------------------------------------------------------------------------------------------------------

    def emit(self, node: Node) -> None:
        from optc.codegen import control_flow, memory_operators, register_operators

        handler = control_flow.HANDLERS.get(node.kind)
        if handler is not None:
            handler(self, node)
            return
        operator = operator_of(node)
        if operator is None:
            raise Unsupported(node, "there is no such operator")
        if isinstance(operator.lowering, Layout):
            self.view(node, operator, operator.lowering)
        elif self.is_small(node):
            register_operators.emit(self, node, operator)
        elif isinstance(operator.lowering, KernelLowering):
            memory_operators.emit(self, node, operator, operator.lowering)
        else:
            raise Unsupported(node, getattr(operator.lowering, "reason", "it was not decomposed"))

    def is_small(self, node: Node) -> bool:
        """True when everything the node reads and writes fits registers."""
        tensors = [value.type for value in (*node.inputs, *node.outputs) if isinstance(value.type, TensorType)]
        return all(map(fits_registers, tensors)) and not any(
            isinstance(value.type, ListType)
            and isinstance(value.type.element, TensorType)
            and not self.small_list(value)
            for value in node.inputs
        )

    def small_list(self, value: IRValue) -> bool:
        native = self.values.get(value)
        return isinstance(native, Aggregate) and all(isinstance(item, RegisterTensor) for item in native.items)

    def view(self, node: Node, operator: Operator, lowering: Layout) -> None:
        """A view costs nothing in memory; in registers it is a shuffle."""
        source = node.inputs[0]
        native = self.native(source)
        arguments = self.layout_arguments(node, operator)
        static_view = all(not symbols_in(argument) for argument in arguments)
        if isinstance(native, RegisterTensor) and static_view and fits_registers(tensor_type(node.output)):
            self.register_view(node, lowering, native, arguments)
            return
        memory = self.in_memory(source)
        if memory.pointer.name in self.early and source in self.homes:
            memory = self.homes[source]
        placed = lowering.function(memory.shape, memory.strides, 0, *arguments)
        if placed is None:
            memory = self.contiguous(source)
            placed = lowering.function(memory.shape, memory.strides, 0, *arguments)
        if placed is None:
            raise Unsupported(node, "the view needs a copy that cannot be made")
        sizes, strides, offset = placed
        is_constant = memory.pointer.name in self.early and isinstance(offset, int)
        b = self.entry if is_constant else self.b
        pointer = b.gep(memory_element(memory.dtype), memory.pointer, emit_dim(b, offset, self.symbols))
        if is_constant and isinstance(offset, int):
            self.early.add(pointer.name)
            array, base = self.constant_sources[memory.pointer.name]
            self.constant_sources[pointer.name] = (array, base + offset)
        result = MemoryTensor(memory.dtype, pointer, sizes, strides)
        if fits_registers(tensor_type(node.output)) and not symbols_in(list(strides)):
            self.define(node.output, self.loaded(result))
            return
        self.define(node.output, result)
        self.share(node.output, source)

    def register_view(self, node: Node, lowering: Layout, native: RegisterTensor, arguments: list[Any]) -> None:
        placed = lowering.function(native.shape, contiguous_strides(native.shape), 0, *arguments)
        if placed is None:
            raise Unsupported(node, "the view needs a copy that cannot be made")
        sizes, strides, offset = static(placed[0]), static(placed[1]), placed[2]
        assert isinstance(offset, int)
        indices = [offset + place for place in element_offsets(sizes, strides)]
        self.define(node.output, self.registers.gather(native, indices, sizes))

    def layout_arguments(self, node: Node, operator: Operator) -> list[Any]:
        """Abstract arguments behind the tensor; a runtime `index` is checked and counted from the front."""
        arguments = [abstract(value) for value in node.inputs[1:]]
        for place, argument in enumerate(operator.schema.arguments[1:]):
            if argument.name == "index" and isinstance(arguments[place], Symbolic):
                extent = tensor_type(node.inputs[0]).shape[abstract(node.inputs[1])]  # type: ignore[index]
                arguments[place] = self.checked_index(self.scalar(node.inputs[1 + place]), extent)
        return arguments

    def checked_index(self, index: Value, extent: Dim) -> Dim:
        """A symbol for a run-time index into `extent` elements, after the check that Python makes."""
        limit = emit_dim(self.b, extent, self.symbols)
        normal = self.b.select(self.b.icmp("slt", index, 0), self.b.add(index, limit), index)
        self.check(self.b.icmp("ult", normal, limit))
        named = fresh("i")
        self.symbols[str(named)] = normal
        return named


# Small facts -----------------------------------------------------------------------------------------------------


def flat_leaves(value: IRValue) -> Iterator[IRValue]:
    """The tensors and numbers inside a returned value."""
    if value.node.kind in ("prim::TupleConstruct", "prim::ListConstruct"):
        for item in value.node.inputs:
            yield from flat_leaves(item)
    elif not value.is_constant or isinstance(value.constant, np.ndarray):
        yield value


def plain_symbol(dim: Dim | None) -> str | None:
    """The name of a dimension that is nothing but a symbol."""
    if not isinstance(dim, Symbolic) or len(dim.terms) != 1:
        return None
    (monomial, coefficient), *_ = dim.terms
    name = getattr(monomial[0], "name", None) if len(monomial) == 1 and coefficient == 1 else None
    return name if isinstance(name, str) else None


def symbols_in(argument: Any) -> bool:
    """True when an abstract argument depends on the run."""
    if isinstance(argument, list | tuple):
        return any(map(symbols_in, argument))
    return isinstance(argument, Symbolic)


def static(dims: Sequence[Dim]) -> tuple[int, ...]:
    """Dimensions that are all numbers. Raises TypeError otherwise."""
    numbers = tuple(dim for dim in dims if isinstance(dim, int))
    if len(numbers) != len(dims):
        raise TypeError(f"{dims} are not all known")
    return numbers


def tensor_type(value: IRValue) -> TensorType:
    """The type of a tensor value. Raises Unsupported for others."""
    if not isinstance(value.type, TensorType):
        raise Unsupported(value.node, f"a tensor was expected, not {value.type}")
    return value.type


def memory_element(dtype: DType) -> str:
    from optc.codegen.expression import memory_type

    return memory_type(dtype)


def as_word(b: Builder, value: Value) -> Value:
    """A scalar as the i64 word of the calling convention."""
    if value.type == "double":
        return b.bitcast(value, "i64")
    return b.zext(value, "i64") if value.type == "i1" else value


def content_name(kernel: Kernel, target: Target) -> str:
    """A name that says the content, so that equal kernels are compiled once."""
    import hashlib

    digest = hashlib.sha256(f"{replace(kernel, name='')}\0{target}".encode()).hexdigest()
    return f"kernel_{digest[:16]}"


def is_product(node: Node) -> bool:
    """True for products that GEMM computes: floats, two dimensions."""
    operator = operator_of(node)
    if operator is None or not isinstance(operator.lowering, KernelLowering) or operator.lowering.name != "matmul":
        return False
    type_ = node.output.type
    return isinstance(type_, TensorType) and type_.dtype in (dtypes.FLOAT32, dtypes.FLOAT64) and type_.rank == 2


Handler = Callable[[Driver, Node], None]
