"""The frame of a function being compiled: where its values live, and the memory, constants and checks they need.

`Driver` walks the graph on top of it. The entry block holds what runs once (loads of constants, shuffles of weights);
everything else is written at the builder's position.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field, replace
from typing import Any

import numpy as np

from optc.codegen.driver.clock import Clock
from optc.codegen.driver.copies import copy_kernel
from optc.codegen.driver.extents import emit_estimate, may_overflow
from optc.codegen.driver.memory import Arena, Slot
from optc.codegen.driver.registers import RegisterEmitter
from optc.codegen.gemm.weights import contiguous_copy, is_transposed, only_multiplied
from optc.codegen.kernels.emitter import emit_dim, emit_kernel, passed_buffers
from optc.codegen.kernels.expression import SUPPORTED_DTYPES, memory_type
from optc.codegen.kernels.extents import with_given_extents
from optc.codegen.kernels.kernel import Kernel
from optc.codegen.kernels.native import (
    REGISTER_ELEMENTS,
    Aggregate,
    Folded,
    MemoryTensor,
    Native,
    NoneValue,
    RegisterTensor,
    Scalar,
    Text,
    contiguous_strides,
)
from optc.codegen.kernels.parallelise import kernel_operations
from optc.codegen.kernels.phases import Phase, in_phases
from optc.codegen.kernels.schedule import Scheduled, content_name, schedule
from optc.codegen.kernels.splitting import SPLIT_WORTH, call_alone, call_parallel, is_worth_splitting, scaled
from optc.codegen.kernels.work import Work, kernel_work
from optc.codegen.llvm import Builder, Declaration, Module, Value
from optc.codegen.machine.host import Target
from optc.codegen.process import context_code as calling
from optc.codegen.process.context import OUT_OF_MEMORY
from optc.dataclass import dataclass
from optc.errors import OptcError
from optc.ir.dims import Dim, product
from optc.ir.graph import Node
from optc.ir.graph import Value as IRValue
from optc.ir.origins import remember
from optc.ir.symbols import plain_symbol
from optc.ir.types import IntType, TensorType
from optc.ops.abstract import abstract
from optc.ops.elementwise import stored_type

FAILED = 1
"""What `run` returns when the program raises."""


class Unsupported(OptcError):
    """Native code cannot do this; `reason` says why, `source` where."""

    def __init__(self, node: Node, reason: str) -> None:
        self.node = node
        self.reason = reason
        super().__init__(f"{node.kind} runs in the interpreter: {reason}")


class Symbols(dict[str, Value]):
    """The values of the program's symbols."""

    def __missing__(self, name: str) -> Value:
        raise UnknownSymbol(name)


class UnknownSymbol(OptcError):
    """An extent that is needed where the program has not computed it."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the extent {name} is not known where it is needed")


@dataclass
class KernelRecord:
    """One kernel call for `fast.kernels` and `optc dump --kernels`: the loop nest and the decisions behind it."""

    name: str
    operators: list[str]
    text: str
    notes: list[str] = field(default_factory=list)


class Frame:
    """Values, memory and constants of one native function."""

    def __init__(self, target: Target, name: str) -> None:
        self.target = target
        self.module = Module(name)
        self.function = self.module.function(f"run_{name}", "i32", calling.RUN_PARAMETERS)
        self.context, self.input_words, self.output_words = self.function.arguments
        self.entry = Builder(self.function)
        start = self.entry.new_block("start")
        self.b = Builder(self.function)
        self.b.position_at_end(start)
        self.start = start
        self.registers = RegisterEmitter(self.b, self.entry, target)
        self.values: dict[IRValue, Native] = {}
        self.homes: dict[IRValue, MemoryTensor] = {}
        self.symbols: dict[str, Value] = Symbols()
        self.constants: list[np.ndarray[Any, Any]] = []
        self.early: set[str] = set()
        self.constant_sources: dict[str, tuple[np.ndarray[Any, Any], int]] = {}
        self.packed: dict[tuple[object, ...], Value] = {}
        self.arena = Arena()
        self.arena_base: Value | None = None
        self.slots: dict[IRValue, list[Slot]] = {}
        self.aliases: dict[Slot, set[IRValue]] = {}
        self.destinations: dict[IRValue, Value] = {}
        self.lent: set[IRValue] = set()
        self.begun: dict[IRValue, MemoryTensor] = {}
        self.parts: dict[IRValue, MemoryTensor] = {}
        self.offsets: dict[IRValue, tuple[IRValue, Dim]] = {}
        self.heap: list[Slot] = []
        self.takes_blocks = False
        self.copies: list[Slot] = []
        self.sites: list[Callable[[], str]] = []
        self.kernels: list[KernelRecord] = []
        self.clock: Clock | None = None
        self.modules: dict[str, Module] = {}
        self.scheduled_kernels: dict[str, Scheduled] = {}
        self.splits = False
        self.split_operations = 0

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
        # What registers hold is read in one piece.
        if array.size > REGISTER_ELEMENTS and is_transposed(array) and only_multiplied(node):
            return MemoryTensor(type_.dtype, self.constant_pointer(array.T), type_.shape, (1, array.shape[0]))
        whole = array if array.flags.c_contiguous else remember(contiguous_copy(array), contiguous_copy, array)
        return MemoryTensor(type_.dtype, self.constant_pointer(whole), type_.shape, contiguous_strides(type_.shape))

    def constant_pointer(self, array: np.ndarray[Any, Any]) -> Value:
        """The address of a constant buffer, loaded once at the start."""
        pointer = calling.constant_pointer(self.entry, self.context, len(self.constants))
        self.constants.append(array)
        self.early.add(pointer.name)
        self.constant_sources[pointer.name] = (array, 0)
        return pointer

    def packed_pointer(
        self, memory: MemoryTensor, key: str, pack: Callable[..., np.ndarray[Any, Any]], *arguments: Any
    ) -> Value:
        """The address of a constant in another arrangement, `pack(*arguments)`, made once for every `key`.

        `pack` is a function that can be imported and depends on nothing else, so that another process can call it.
        """
        known = (memory.pointer.name, memory.shape, memory.strides, key)
        if known not in self.packed:
            self.packed[known] = self.constant_pointer(remember(pack(*arguments), pack, *arguments))
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
        if not all(isinstance(stride, int) for stride in native.strides):
            native = self.contiguous(value)
        loaded = self.loaded(native)
        if native.pointer.name in self.early:
            self.values[value] = loaded
            self.homes[value] = native
        return loaded

    def loaded(self, memory: MemoryTensor) -> RegisterTensor:
        shape = static(memory.shape)
        strides = static(memory.strides)
        load = self.registers.load_constant if memory.pointer.name in self.early else self.registers.load
        return load(memory.pointer, memory.dtype, shape, strides)

    def in_memory(self, value: IRValue) -> MemoryTensor:
        """The tensor in memory; one in registers is written to the stack."""
        native = self.native(value)
        if value in self.homes:
            return self.homes[value]
        if isinstance(native, MemoryTensor):
            return native
        if isinstance(native, Scalar):
            return self.spilled_scalar(value, native)
        if isinstance(native, Folded):
            return self.unfolded(value, native)
        if not isinstance(native, RegisterTensor):
            raise Unsupported(value.node, f"a tensor was expected, not {value.type}")
        pointer = self.b.alloca("i8", max(1, native.count) * native.dtype.itemsize, 64)
        self.registers.store(native, pointer)
        return MemoryTensor(native.dtype, pointer, native.shape, contiguous_strides(native.shape))

    def unfolded(self, value: IRValue, folded: Folded) -> MemoryTensor:
        """The matrix as a copy, which the value is from now on."""
        slot, made = self.copied(folded.memory)
        self.slots[value] = [*self.slots.get(value, ()), slot]
        self.aliases[slot] = {value}
        self.values[value] = matrix = replace(made, shape=folded.shape, strides=contiguous_strides(folded.shape))
        return matrix

    def spilled_scalar(self, value: IRValue, native: Scalar) -> MemoryTensor:
        dtype = stored_type(abstract(value))
        scalar = RegisterTensor(dtype, (), 0, (native.value,))
        pointer = self.b.alloca("i64", 1, 8)
        self.registers.store(scalar, pointer)
        return MemoryTensor(dtype, pointer, (), ())

    def byte_size(self, type_: TensorType) -> Value:
        assert type_.shape is not None and type_.dtype is not None
        return self.b.mul(emit_dim(self.b, product(type_.shape), self.symbols), type_.dtype.itemsize)

    def allocate(self, value: IRValue, spare: int = 0) -> MemoryTensor:
        """Memory for a value that is about to be computed: its place among the results, the arena or the heap.

        `spare`: elements behind it that may be written too; only for values whose extents the run tells.
        """
        type_ = value.type
        if not isinstance(type_, TensorType) or type_.shape is None or type_.dtype is None:
            raise Unsupported(value.node, f"the type {type_} is not known well enough")
        if type_.dtype not in SUPPORTED_DTYPES:
            raise Unsupported(value.node, f"elements of type {type_.dtype.name}")
        if value in self.destinations:
            pointer = self.destinations[value]
            if value in self.lent:
                self.lend(value)
        else:
            pointer = self.allocate_slot(value, type_, spare)
        return MemoryTensor(type_.dtype, pointer, type_.shape, contiguous_strides(type_.shape))

    def allocate_pair(self, value: IRValue, type_: TensorType) -> tuple[Value, Value]:
        """Two buffers of one size that live as long as `value`."""
        assert type_.shape is not None and type_.dtype is not None
        count = product(type_.shape)
        slot, pointer = self.new_slot(count * 2, type_.dtype.itemsize, value)
        self.hold(value, slot)
        return pointer, self.b.gep(memory_type(type_.dtype), pointer, emit_dim(self.b, count, self.symbols))

    def allocate_slot(self, value: IRValue, type_: TensorType, spare: int = 0) -> Value:
        assert type_.shape is not None and type_.dtype is not None
        slot, pointer = self.new_slot(product(type_.shape) + spare, type_.dtype.itemsize, value)
        self.hold(value, slot)
        return pointer

    def hold(self, value: IRValue, slot: Slot) -> None:
        """`value` lies in a slot, which goes with it."""
        self.slots[value] = [slot]
        self.aliases[slot] = {value}

    def new_slot(self, count: Dim, itemsize: int, value: IRValue | None = None) -> tuple[Slot, Value]:
        """A slot for `count` elements and its address; `value` is what they will be, None for scratch memory."""
        if isinstance(count, int):
            slot = self.arena.allocate(count * itemsize)
            return slot, self.b.gep("i8", self.arena_pointer(), slot.offset)
        bytes_ = self.byte_count(count, itemsize)
        pointer = calling.call_allocate(self.b, self.context, bytes_)
        self.check_memory(pointer, bytes_, lambda: "scratch memory" if value is None else site_of(value))
        slot = Slot(owner=pointer)
        self.heap.append(slot)
        return slot, pointer

    def heap_block(self, memory: MemoryTensor) -> Value:
        """The address of a heap block with room for a tensor; whoever asks gives it back."""
        bytes_ = self.byte_count(product(memory.shape), memory.dtype.itemsize)
        pointer = calling.call_allocate(self.b, self.context, bytes_)
        self.check_memory(pointer, bytes_, lambda: "a tensor that a loop carries")
        return pointer

    def byte_count(self, count: Dim, itemsize: int) -> Value:
        """The bytes of so many elements; leaves the function where there cannot be so many."""
        if not isinstance(count, int) and may_overflow(count):
            estimate = emit_estimate(self.b, count, self.symbols)
            self.check(self.b.fcmp("oge", estimate, 0.0))
            self.check(self.b.fcmp("olt", estimate, float((1 << 62) // itemsize)))
        return self.b.mul(emit_dim(self.b, count, self.symbols), itemsize)

    def check_memory(self, pointer: Value, bytes_: Value, site: Callable[[], str]) -> None:
        """Leave the function when an allocation gave nothing; the error says how much was wanted, and what for.

        `site` tells the latter; it is asked for then only, since it takes a while to find the user's own source.
        """
        self.takes_blocks = True
        with self.b.if_then(self.b.icmp("eq", pointer, 0), likely=False):
            calling.store_details(self.b, self.context, [bytes_, self.b.constant("i64", len(self.sites))])
            self.leave(OUT_OF_MEMORY)
        self.sites.append(site)

    def arena_pointer(self) -> Value:
        if self.arena_base is None:
            self.arena_base = calling.load_field(self.entry, self.context, "arena")
        return self.arena_base

    def share(self, view: IRValue, *sources: IRValue) -> None:
        """`view` lies in the memory of `sources`, which must live as long."""
        slots = list(dict.fromkeys(slot for source in sources for slot in self.slots.get(source, ())))
        if slots:
            self.slots[view] = slots
        for slot in slots:
            self.aliases[slot].add(view)

    def release_after(self, node: Node) -> None:
        """Give back the memory whose last reader was `node`, and what it had to copy."""
        copies, self.copies = self.copies, []
        for slot in copies:
            self.release(slot)
        seen = [value for inner in node.walk() for value in (*inner.inputs, *inner.outputs)]
        seen += [value for block in node.blocks for value in block.outputs]
        for value in dict.fromkeys(seen):
            if value in self.slots and value.node.owner is node.owner and not self.is_read_after(value, node):
                self.forget(value)

    def forget(self, value: IRValue) -> None:
        """Nobody reads `value` any more: release the memory that no other value shares."""
        for slot in self.slots.pop(value, ()):
            self.aliases[slot].discard(value)
            if not self.aliases[slot]:
                self.release(slot)

    @staticmethod
    def is_read_after(value: IRValue, node: Node) -> bool:
        return any(use.node.is_after(node) for use in value.uses)

    def may_overwrite(self, value: IRValue, node: Node) -> bool:
        """True when nobody reads the memory of `value` after `node` reads it, through views neither."""
        native, slots = self.values.get(value), self.slots.get(value, [])
        if not isinstance(native, MemoryTensor) or not native.is_contiguous or not slots:
            return False
        if any(slot.foreign for slot in slots):
            return False
        sharing = set().union(*(self.aliases[slot] for slot in slots))
        if any(other in sharing and other is not value for other in node.inputs):
            return False
        return all(self.ends_at(other, node) for other in sharing)

    def share_memory(self, value: IRValue, other: IRValue) -> bool:
        """True when two values lie in the same memory, or in parts of it."""
        return bool(set(self.slots.get(value, ())) & set(self.slots.get(other, ())))

    def ends_at(self, value: IRValue, node: Node) -> bool:
        """True when nobody reads a value once `node` has run, in the branches around the node and behind them."""
        while not self.is_read_after(value, node):
            if node.owner is value.node.owner:
                return True
            outer = node.owner.owning_node if node.owner is not None else None
            if outer is None or outer.kind != "prim::If":
                return False
            node = outer
        return False

    def lend(self, value: IRValue) -> None:
        """`value` lies in memory that outlives it, and that it may overwrite when nobody else looks at it."""
        self.hold(value, Slot(borrowed=True))

    def release(self, slot: Slot) -> None:
        if slot.borrowed or slot.foreign:
            return
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
            with self.timed("copy", ["copy"], lambda: Work(0, product(native.shape) * 2 * native.dtype.itemsize)):
                self.b.memcpy(pointer, native.pointer, self.byte_size(type_))
            return
        target = MemoryTensor(native.dtype, pointer, native.shape, contiguous_strides(native.shape))
        self.call_kernel(copy_kernel(native, target), [native.pointer, pointer], ["copy"])

    def contiguous(self, value: IRValue) -> MemoryTensor:
        """The tensor in memory without gaps; a strided one is copied, for as long as the node that is emitted needs it."""
        return self.without_gaps(self.in_memory(value))

    def without_gaps(self, memory: MemoryTensor) -> MemoryTensor:
        """What `contiguous` gives, of memory that need not be a value's: that of an expanded tensor, say."""
        if memory.is_contiguous:
            return replace(memory, strides=contiguous_strides(memory.shape))
        slot, made = self.copied(memory)
        self.copies.append(slot)
        return made

    def copied(self, memory: MemoryTensor) -> tuple[Slot, MemoryTensor]:
        """A copy without gaps, and the slot it lies in, which nobody holds yet."""
        slot, pointer = self.new_slot(product(memory.shape), memory.dtype.itemsize)
        self.copy(memory, pointer, TensorType(memory.dtype, memory.shape))
        return slot, MemoryTensor(memory.dtype, pointer, memory.shape, contiguous_strides(memory.shape))

    def check(self, condition: Value, code: int = FAILED) -> None:
        """Leave the function with an error code unless the condition holds."""
        with self.b.if_then(self.b.not_(condition), likely=False):
            self.leave(code)

    def leave(self, code: int) -> None:
        """Leave the function with an error code; what it has taken from the heap goes back."""
        if self.takes_blocks:
            calling.call_release_all(self.b, self.context)
        self.b.ret(code)

    @contextmanager
    def timed(self, name: str, operators: Sequence[str], work: Callable[[], Work]) -> Iterator[None]:
        """Around the call of a kernel: a profiled program measures it (see `clock`); `work` is only asked for there."""
        if self.clock is None:
            yield
            return
        with self.clock.timed(name, operators, work):
            yield

    def call_split(
        self, function: Declaration, arguments: Sequence[Value], count: Dim, operations: Dim, together: int = 1
    ) -> None:
        """Call `void function(*arguments, i64 start, i64 stop)` for the units 0 to `count`, in ranges that may overlap
        in time: units must be independent and each must compute the same whatever the range around it.

        `operations` estimates the work of all units together: elements times their instructions (a multiply-add is
        one, an exponential some twenty; see `cost`). It decides whether threads are worth it. Where a range costs something
        besides its units, a thread takes `together` of them at once, if it gets as many.
        """
        units = emit_dim(self.b, count, self.symbols)
        if count == 1 or not is_worth_splitting(operations, self.target):
            call_alone(self.b, function, arguments, units)
            return
        work = self.b.mul(emit_dim(self.b, operations, self.symbols), scaled(1, self.target))
        self.splits = True
        if self.clock is not None:
            self.clock.note_split()
        if isinstance(operations, int):
            self.split_operations += scaled(operations, self.target)
            call_parallel(self.b, self.context, function, arguments, units, work, together)
            return
        with self.b.if_then_else(self.b.icmp("ult", work, SPLIT_WORTH)) as (alone, shared):
            with alone:
                call_alone(self.b, function, arguments, units)
            with shared:
                call_parallel(self.b, self.context, function, arguments, units, work, together)

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Symbols that are defined inside mean nothing outside: the code there may not have run."""
        before = set(self.symbols)
        yield
        for name in self.symbols.keys() - before:
            del self.symbols[name]

    def adopt_block(self, value: IRValue, pointer: Value) -> None:
        """`value` lies in a heap block, which goes with it."""
        slot = Slot(owner=pointer)
        self.heap.append(slot)
        self.hold(value, slot)

    def announce_work(self) -> None:
        """Tell the threads at the start of a run what is coming: a call with enough work wakes them at once."""
        if self.splits:
            total = self.entry.constant("i64", self.split_operations)
            self.entry.store(total, calling.field_address(self.entry, self.context, "split_operations"))

    def call_kernel(self, kernel: Kernel, pointers: list[Value], operators: list[str], notes: Sequence[str] = ()
                    ) -> None:  # fmt: skip
        """Schedule and emit a kernel under a name made of its content, and call it.

        `pointers` are its inputs and outputs in order; its scratch is allocated here, for the time of the call.
        """
        kernel, given = with_given_extents(kernel)
        self.symbols.update({name: emit_dim(self.b, dim, self.symbols) for name, dim in given.items()})
        phases = in_phases(kernel, self.target)
        if phases is None:
            self.call_phase(Phase(kernel, kernel), pointers, operators, notes)
            return
        places = dict(zip((buffer.name for buffer in kernel.buffers if buffer.role != "scratch"), pointers))
        slots: list[Slot] = []
        for buffer in phases.temporary:
            slot, places[buffer.name] = self.new_slot(buffer.size, buffer.dtype.itemsize)
            slots.append(slot)
        for phase in phases.phases:
            self.call_phase(phase, [places[buffer.name] for buffer in phase.kernel.buffers], operators, notes)
        for slot in slots:
            self.release(slot)

    def call_phase(self, phase: Phase, pointers: list[Value], operators: list[str], notes: Sequence[str]) -> None:
        """Schedule, emit and call one kernel."""
        scheduled = self.scheduled(phase.kernel)
        named = scheduled.kernel
        name = named.name
        given = iter(pointers)
        scratch: list[Slot] = []
        places: list[Value] = []
        for buffer in passed_buffers(named):
            if buffer.role != "scratch":
                places.append(next(given))
                continue
            slot, pointer = self.new_slot(buffer.size, buffer.dtype.itemsize)
            scratch.append(slot)
            places.append(pointer)
        declared = self.module.declare(name, "void", ["ptr"] * len(places) + ["i64"] * len(named.sizes))
        places.extend(self.symbols[size] for size in phase.measured.sizes)
        with self.timed(name, operators, lambda: kernel_work(phase.measured, self.target)):
            if named.units == 0:
                self.b.call(declared, *places)
            else:
                self.call_split(declared, places, named.units, kernel_operations(phase.measured))
        for slot in scratch:
            self.release(slot)
        shown = [*notes, *(f"schedule: {applied}" for applied in scheduled.applied)]
        self.kernels.append(KernelRecord(name, operators, scheduled.text, shown))

    def scheduled(self, kernel: Kernel) -> Scheduled:
        """A kernel as it is run, under a name made of its content, and emitted: equal ones are once."""
        text = str(replace(kernel, name=""))
        known = self.scheduled_kernels.get(text)
        if known is not None:
            return known
        done = schedule(kernel, self.target)
        named = replace(done.kernel, name=content_name(done.kernel, self.target))
        if named.name not in self.modules:
            module = Module(named.name)
            emit_kernel(named, module, self.target)
            self.modules[named.name] = module
        self.scheduled_kernels[text] = replace(done, kernel=named)
        return self.scheduled_kernels[text]


# Small facts -----------------------------------------------------------------------------------------------------


def static(dims: Sequence[Dim]) -> tuple[int, ...]:
    """Dimensions that are all numbers. Raises TypeError otherwise."""
    numbers = tuple(dim for dim in dims if isinstance(dim, int))
    if len(numbers) != len(dims):
        raise TypeError(f"{dims} are not all known")
    return numbers


def site_of(value: IRValue) -> str:
    """What a value is and where it comes from, for messages."""
    source = f" at {value.node.source}" if value.node.source is not None else ""
    return f"{value.node.kind} -> {value.type}{source}"


def tensor_type(value: IRValue) -> TensorType:
    """The type of a tensor value. Raises Unsupported for others."""
    if not isinstance(value.type, TensorType):
        raise Unsupported(value.node, f"a tensor was expected, not {value.type}")
    return value.type
