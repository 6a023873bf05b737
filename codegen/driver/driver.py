"""The whole graph as one native function: control flow, scalars, small tensors in registers, calls of kernels.

A core graph is walked in program order. Scalars and small tensors of known shape become SSA values, branches and loops
included; larger tensors live in memory and are worked on by kernels. What native code cannot do raises `Unsupported`,
with the node and the reason. A run that must fail (an index out of range, a `raise`) returns code FAILED; the caller
then runs the interpreter on the same arguments, which raises the exact error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from optc.codegen.driver import concatenation, framing, grouping
from optc.codegen.driver.checks import divisor_of, guard_division, guard_extents
from optc.codegen.driver.clock import Clock
from optc.codegen.driver.frame import Frame, KernelRecord, UnknownSymbol, Unsupported, site_of, tensor_type
from optc.codegen.driver.island_code import IslandCode
from optc.codegen.driver.lowering import lower_group
from optc.codegen.driver.result_places import computed_as
from optc.codegen.entry.calculation import Calculation, extent_from
from optc.codegen.gemm.plan import MOST_NARROW
from optc.codegen.kernels.emitter import emit_dim
from optc.codegen.kernels.expression import SUPPORTED_DTYPES, is_exchanged, is_native_tensor
from optc.codegen.kernels.native import (
    Aggregate,
    MemoryTensor,
    Native,
    RegisterTensor,
    Scalar,
    contiguous_strides,
    fits_registers,
)
from optc.codegen.llvm import Builder, Module, Value
from optc.codegen.machine.host import Target
from optc.codegen.process import context_code as calling
from optc.dataclass import dataclass
from optc.ir import dtypes, types
from optc.ir.dims import Dim, product, symbols
from optc.ir.graph import Block, Graph, Node
from optc.ir.graph import Value as IRValue
from optc.ir.symbols import plain_symbol
from optc.ir.types import ListType, TensorType
from optc.ops.complex_numbers import is_at_border, is_complex, pairs_type
from optc.ops.group_products import GROUP_PRODUCTS, MATRIX_PRODUCTS
from optc.ops.registry import Layout, Pointwise, Reduction, operator_of

PRODUCT_DTYPES = frozenset(SUPPORTED_DTYPES - {dtypes.BOOL})
"""The element types of which GEMM computes products."""

READS_TO_COPY_FOR = 8
"""So many times must a loop nest read an operand for a copy of it that has its elements beside each other."""


@dataclass(frozen=True)
class Handlers:
    """What emits single nodes, a product with the pointwise operators behind it, and one whose columns are sliced into
    parts (see `optc.codegen.operators.emitters`). `takes_parts(driver, product, parts, width)`: whether the last does this one.
    """

    node: Callable[[Driver, Node], None]
    product: Callable[[Driver, grouping.Group], None]
    gated: Callable[[Driver, grouping.Group], None]
    takes_parts: Callable[[Driver, Node, int, int], bool]


@dataclass
class DriverCode:
    """What the driver produced: modules by name (equal kernels once), constants, the arena's size, kernel records."""

    symbol: str
    modules: dict[str, Module]
    constants: list[np.ndarray[Any, Any]]
    arena_bytes: int
    kernels: list[KernelRecord]
    clock: Clock | None = None
    sites: Sequence[Callable[[], str]] = ()
    """What the program allocates while it runs, for messages."""
    islands: Sequence[IslandCode] = ()
    draws: bool = False
    """The code draws random numbers."""
    follows_memory: bool = False
    """It draws them in the order of elements in the arguments' memory."""


def is_taken(value: IRValue) -> bool:
    """True for an argument that is a tensor in memory; complex ones are objects to islands, which view them."""
    if is_native_tensor(value.type):
        return True
    return is_complex(value.type) and all(
        is_at_border(use.node) or use.node.kind == "prim::Return" for use in value.uses
    )


def in_pairs(value: IRValue) -> IRValue:
    """What is computed of a result: the pairs of real numbers of a complex one."""
    return value.node.inputs[0] if is_complex(value.type) and is_at_border(value.node) else value


class Driver(Frame):
    """Compiles one core graph; `compile()` gives the code."""

    def __init__(self, graph: Graph, target: Target, name: str, handlers: Handlers, is_profiled: bool = False) -> None:
        super().__init__(target, name)
        self.is_profiled = is_profiled
        self.graph = graph
        self.handlers = handlers
        self.group: grouping.Group | None = None
        self.waiting: list[Node] = []
        self.notes: list[str] = []
        self.told_symbols: set[str] = set()
        self.turn: Value | None = None  # the number of the innermost loop's turn
        self.islands: list[IslandCode] = []
        self.draws = False
        self.follows_memory = False

    def compile(self) -> DriverCode:
        """Emit everything. Raises Unsupported."""
        if self.is_profiled:
            self.clock = Clock(self)
        self.bind_inputs()
        self.plan_outputs()
        self.block(self.graph.block)
        if not self.b.block.terminated:  # a program that always raises has no results
            self.store_outputs()
            for slot in list(self.heap):
                self.release(slot)
            if self.clock is not None:
                self.clock.stop()
            self.b.ret(0)
        self.announce_work()
        self.entry.br(self.start)
        modules = {self.module.name: self.module, **self.modules}
        return DriverCode(
            self.function.name, modules, self.constants, self.arena.size, self.kernels, self.clock, self.sites,
            self.islands, self.draws, self.follows_memory,
        )  # fmt: skip

    @cached_property
    def constant_bytes(self) -> int:
        """The size of all constant tensors: what stays in caches from one run to the next if it fits."""
        constants = (node.output.constant for node in self.graph.walk() if node.kind == "prim::Constant")
        return sum(constant.nbytes for constant in constants if isinstance(constant, np.ndarray))

    def bind_inputs(self) -> None:
        word = 0
        for value in self.graph.inputs:
            if is_taken(value):
                word = self.bind_tensor(value, tensor_type(value), word)
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
        return loaded

    def bind_tensor(self, value: IRValue, type_: TensorType, word: int) -> int:
        shape = type_.shape or ()
        pointer = self.b.load("ptr", self.b.gep("i64", self.input_words, word))
        for place, dim in enumerate(shape):
            name = plain_symbol(dim)
            if name is not None:
                self.told_symbols.add(name)
            if name is not None and name not in self.symbols:
                self.symbols[name] = self.b.load("i64", self.b.gep("i64", self.input_words, word + 1 + place))
        held = type_ if is_native_tensor(type_) else pairs_type(type_)
        assert held.shape is not None and held.dtype is not None
        memory = MemoryTensor(held.dtype, pointer, held.shape, contiguous_strides(held.shape))
        self.homes[value] = memory
        self.values[value] = self.loaded(memory) if fits_registers(held) and held is type_ else memory
        return word + 1 + len(shape)

    def plan_outputs(self) -> None:
        """Where results go: the address the entry gave, early, so that kernels can write straight into it."""
        self.output_places: list[tuple[IRValue, int, int]] = []
        self.result_pointers: dict[IRValue, Value] = {}
        word = 0
        for value in self.flat_outputs():
            rank = len(tensor_type(value).shape or ()) if is_exchanged(value.type) else 0
            computed = in_pairs(value)
            self.output_places.append((computed, word, rank))
            known = is_exchanged(value.type) and self.is_preallocated(tensor_type(value))
            if known:
                self.check_extents(tensor_type(value))
            source = computed_as(computed)
            if known and source not in self.destinations and source.node.kind != "prim::Param":
                address = self.entry.gep("i64", self.output_words, word)
                self.destinations[source] = self.result_pointers[computed] = self.entry.load("ptr", address)
                if source is not computed:
                    self.lent.add(source)
            word += 1 + rank

    def is_preallocated(self, type_: TensorType) -> bool:
        """True when the entry allocates: the extents are numbers or extents of arguments, or follow from those."""
        extents = [extent_from(dim, self.told_symbols) for dim in type_.shape or ()]
        return all(isinstance(extent, int | Calculation) or extent in self.told_symbols for extent in extents)

    def check_extents(self, type_: TensorType) -> None:
        """Leave the function before anything is written where the entry has made room for a negative extent."""
        for dim in type_.shape or ():
            if isinstance(extent_from(dim, self.told_symbols), Calculation):
                self.check(self.b.icmp("sge", emit_dim(self.b, dim, self.symbols), 0))

    def flat_outputs(self) -> Iterator[IRValue]:
        """The computed results, tuples and lists of known length taken apart, in the order of the output words."""
        for value in self.graph.outputs:
            yield from (leaf for leaf in flat_leaves(value) if not self.is_passed_through(leaf))

    def is_passed_through(self, value: IRValue) -> bool:
        """True for an argument that is returned: the entry gives back the same object."""
        return is_exchanged(value.type) and value in self.graph.inputs

    def store_outputs(self) -> None:
        for value, word, rank in self.output_places:
            native = self.native(value)
            address = self.b.gep("i64", self.output_words, word)
            if isinstance(native, Scalar):
                self.b.store(as_word(self.b, native.value), address)
                continue
            if not isinstance(value.type, TensorType):
                raise Unsupported(value.node, f"a result of type {value.type}")
            self.store_tensor(value, value.type, native, word, address, rank)

    def store_tensor(
        self, value: IRValue, type_: TensorType, native: Native, word: int, address: Value, rank: int
    ) -> None:
        if self.is_preallocated(type_):
            pointer = self.b.load("ptr", address)
        else:
            number = [place for _, place, _ in self.output_places].index(word)
            assert type_.shape is not None and type_.dtype is not None
            bytes_ = self.byte_count(product(type_.shape), type_.dtype.itemsize)
            pointer = calling.call_allocate_output(self.b, self.context, number, bytes_)
            self.check_memory(pointer, bytes_, lambda: f"a result, {site_of(value)}")
            self.b.store(pointer, address)
            for place, dim in enumerate((type_.shape or ())[:rank]):
                slot = self.b.gep("i64", self.output_words, word + 1 + place)
                self.b.store(emit_dim(self.b, dim, self.symbols), slot)
        if not self.is_in_place(value, native, word):
            self.copy(native, pointer, type_)

    def is_in_place(self, value: IRValue, native: Native, word: int) -> bool:
        """True when a kernel has written the result where it belongs."""
        if not isinstance(native, MemoryTensor) or not native.is_contiguous or not self.is_first_place(value, word):
            return False
        return native.pointer == self.result_pointers.get(value)

    def is_first_place(self, value: IRValue, word: int) -> bool:
        return next(place for other, place, _ in self.output_places if other is value) == word

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
        if self.group is not None and (self.joins_parts(node, self.group) or grouping.joins_rows(self.group, node)):
            self.waiting.append(node)
            return
        if self.is_fusible(node):
            self.fuse(node)
            return
        if self.group is not None and not self.may_pass(node, self.group):
            self.flush()
        try:
            self.handlers.node(self, node)
        except UnknownSymbol as error:
            raise Unsupported(node, error.message) from error
        if self.group is None:
            self.release_after(node)
        else:
            self.waiting.append(node)  # the group may still read what the node was the last to read

    def joins_parts(self, node: Node, group: grouping.Group) -> bool:
        """True when a node has joined a product that is cut into parts: it slices the columns, or works on slices."""
        if grouping.joins_parts(group, node):
            return True
        part = grouping.part_of(group, node)
        if part is None or group.root is None:
            return False
        width, place = part
        columns = group.domain[1]
        assert isinstance(columns, int)
        if not group.part and not self.handlers.takes_parts(self, group.root, columns // width, width):
            return False
        grouping.add_part(group, node, width, place)
        return True

    def may_pass(self, node: Node, group: grouping.Group) -> bool:
        """True when a node may run before the waiting group: it needs nothing of it and writes to nobody's memory."""
        if node.blocks or group.reads(node):
            return False
        operator = operator_of(node)
        is_view = operator is not None and isinstance(operator.lowering, Layout)
        return is_view or all(value not in self.slots for value in node.inputs)

    def is_fusible(self, node: Node) -> bool:
        operator = operator_of(node)
        if operator is None or not (isinstance(operator.lowering, Pointwise | Reduction) or is_product(node)):
            return False
        return len(node.outputs) == 1 and isinstance(node.output.type, TensorType) and not self.is_small(node)

    def fuse(self, node: Node) -> None:
        self.check_operands(node)
        if self.group is not None:
            reason = grouping.join(self.group, node)
            if reason is None:
                self.notes.append(f"{node.kind} joins: {grouping.explain(self.group, node)}")
                self.waiting.append(node)
                return
            self.notes.append(f"{node.kind} starts a kernel of its own: {reason}")
            self.flush()
        self.group = grouping.start(node, is_product(node))
        if self.group is None:
            raise Unsupported(node, "it has no native form")
        self.waiting.append(node)

    def check_operands(self, node: Node) -> None:
        """A node that may divide by zero is checked before its group runs, so the divisor must be there by then."""
        operator = operator_of(node)
        if operator is None:
            return
        guard_extents(self, node, operator)
        divisor = divisor_of(node, operator)
        if divisor is None:
            return
        if self.group is not None and divisor in self.group.frames:
            self.notes.append(f"{node.kind} starts a kernel of its own: its divisor is checked first")
            self.flush()
        guard_division(self, node, operator)

    def flush(self) -> None:
        """Emit the open group."""
        group, self.group = self.group, None
        if group is None:
            return
        if group.part:
            self.handlers.gated(self, group)
            group = grouping.Group(group.domain)
        if group.root is not None:
            group = self.flush_product(group, group.root)
        if group.nodes:
            self.flush_loops(group)
        waiting, self.waiting = self.waiting, []
        for node in waiting:
            self.release_after(node)

    def flush_product(self, group: grouping.Group, root: Node) -> grouping.Group:
        """Emit a product with what follows it if only the last value is read elsewhere; returns what is left to do."""
        rest = grouping.Group(group.domain)
        if group.outputs() == [group.nodes[-1].output]:
            self.handlers.product(self, group)
            return rest
        self.handlers.product(self, grouping.Group(group.domain, None, [root], {root.output: grouping.FULL}, root))
        for node in group.nodes[1:]:
            rest.add(node, group.frames[node.output])
        return rest

    def flush_loops(self, group: grouping.Group) -> None:
        """Emit a group of pointwise operators and reductions as one loop nest."""
        memories = {
            value: self.operand_of(value, group)
            for node in group.nodes for value in node.inputs
            if isinstance(value.type, TensorType) and value not in group.frames
        }  # fmt: skip
        layouts = {value: (memory.shape, memory.strides) for value, memory in memories.items()}
        parts = {value: self.part_for(value, group) for value in group.outputs()}
        lowered = lower_group(group, layouts, {value: part.strides for value, part in parts.items() if part})
        pointers = [(memories.get(value) or self.in_memory(value)).pointer for value in lowered.operands]
        results = {value: parts[value] or self.allocate(value) for value in lowered.results}
        for value, memory in results.items():
            self.define(value, memory)
        if group.axes is None:
            lowered = concatenation.interleaved(self, lowered, parts)
        pointers += [results[value].pointer for value in lowered.results]
        notes, self.notes = self.notes, []
        self.call_kernel(lowered.kernel, pointers, [node.kind for node in group.nodes], notes)

    def operand_of(self, value: IRValue, group: grouping.Group) -> MemoryTensor:
        """An operand where it is, or a copy without gaps of one that is read again and again with gaps between lanes."""
        memory = self.in_memory(value)
        return self.contiguous(value) if has_costly_gaps(memory, group.domain) else memory

    def part_for(self, value: IRValue, group: grouping.Group) -> MemoryTensor | None:
        """The part of a concatenation, or of a padded tensor, that a group's result is written to, None where it has memory of its own."""
        if group.frames[value] != grouping.FULL or value in self.destinations:
            return None
        part = concatenation.part_for(self, value)
        if part is not None:
            self.notes.append(f"{value.node.kind} is written into its part of a concatenation")
            return part
        part = framing.part_for(self, value, folds=False)
        if part is not None:
            self.notes.append(f"{value.node.kind} is written into its frame")
        return part

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


def flat_leaves(value: IRValue) -> Iterator[IRValue]:
    """The tensors and numbers inside a returned value."""
    if value.node.kind in ("prim::TupleConstruct", "prim::ListConstruct"):
        for item in value.node.inputs:
            yield from flat_leaves(item)
    elif not value.is_constant or isinstance(value.constant, np.ndarray):
        yield value


def as_word(b: Builder, value: Value) -> Value:
    """A scalar as the i64 word of the calling convention."""
    if value.type == "double":
        return b.bitcast(value, "i64")
    return b.zext(value, "i64") if value.type == "i1" else value


def has_costly_gaps(memory: MemoryTensor, domain: tuple[Dim, ...]) -> bool:
    """True for an operand with gaps along the last dimension of a loop nest that reads each element many times."""
    dimensions = zip(reversed(memory.shape), reversed(memory.strides), reversed(domain))
    lanes = next((dimension for dimension in dimensions if dimension[2] != 1), None)
    if lanes is None or lanes[0] == 1 or lanes[1] in (-1, 0, 1):
        return False
    reads, elements = product(domain), product(memory.shape)
    if not isinstance(reads, int) or not isinstance(elements, int):
        return len(symbols(reads) - symbols(elements)) > 0
    return reads >= READS_TO_COPY_FOR * elements


def is_product(node: Node) -> bool:
    """True for products of matrices, or of batches of them, that GEMM computes."""
    operator = operator_of(node)
    if operator is None or operator.lowering not in MATRIX_PRODUCTS:
        return False
    type_ = node.output.type
    return isinstance(type_, TensorType) and type_.dtype in PRODUCT_DTYPES and type_.rank in (2, 3)


def has_groups(node: Node) -> bool:
    """True for a product whose rows are of several groups, each with a matrix of its own."""
    operator = operator_of(node)
    return operator is not None and operator.lowering == GROUP_PRODUCTS


def reads_windows(node: Node, left: IRValue) -> bool:
    """True for a product of the matrix `left` with columns that lanes run along."""
    if not is_product(node) or tensor_type(node.output).rank != 2:
        return False
    *others, rows, columns = [value for value in node.inputs if isinstance(value.type, TensorType)]
    if has_groups(node):
        return rows is left and left is not columns
    shape = tensor_type(columns).shape
    fewest = 1 if columns.is_constant else MOST_NARROW  # lanes run along K, where all lies in one order, with fewer
    several = shape is not None and isinstance(shape[1], int) and shape[1] > fewest
    return rows is left and left not in (*others, columns) and several
