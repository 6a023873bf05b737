"""The pass `list-buffers`.

found = []                                  rows, n = zeros(4, ...), 0
while ...:                                  while ...:
    if c:                                       if c:
        found.append(h)             =>              rows = cat([rows, rows]) if n == len(rows) else rows
                                                    rows, n = select_scatter(rows, h, 0, n), n + 1
return torch.stack(found)                   return rows[:n]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from optc.ir.dims import fresh
from optc.ir.dtypes import BOOL as BOOL_ELEMENT
from optc.ir.dtypes import FLOAT64, INT64, DType
from optc.ir.graph import Block, Graph, Node, Value
from optc.ir.symbols import type_symbols
from optc.ir.types import BOOL, FLOAT, IntType, ListType, TensorType, Type
from optc.ops.builder import Builder
from optc.ops.promotion import default_float
from optc.passes.growing_lists import read_rows
from optc.passes.list_steps import STEPS, Rows, RowWriter
from optc.pipeline import graph_pass

_FIRST_ROWS = 4
_READS = ("aten::len", "aten::__getitem__")
_JOINS = ("aten::stack", "aten::cat")
_TENSORS = ("aten::tensor", "aten::as_tensor")
_NUMBERS = {"int": "aten::Int.Tensor", "float": "aten::Float.Tensor", "bool": "aten::Bool.Tensor"}
_CODES = {INT64: 0, FLOAT64: 1, BOOL_ELEMENT: 2}  # what `prim::tolist` calls numbers
_HOLDERS = ("prim::TupleConstruct", "prim::ListConstruct", "prim::DictConstruct")


@graph_pass(
    "list-buffers",
    functional=True,
    after={
        "infer-shapes": "all elements must have one type and shape",
        "growing-lists": "where the number of elements is known before the loop, the tensor has the right size at once",
    },
)
def list_buffers(graph: Graph) -> bool:
    """Keep lists whose length, or the element wanted, only running tells in a tensor with a row per element.

    The tensor is doubled when it is full.
    """
    changed = False
    for node in list(graph.walk()):
        if node.kind != "prim::ListConstruct" or node.owner is None:
            continue
        family = _Family()
        if family.add(node.output) and family.is_uniform():
            _Conversion(graph, family).run()
            changed = True
    return changed


@dataclass
class _Family:
    """The values that one list has in the course of the program, through branches and loops, and who reads them."""

    values: dict[Value, None] = field(default_factory=dict)
    elements: list[Value] = field(default_factory=list)
    steps: list[Node] = field(default_factory=list)
    starts: list[Node] = field(default_factory=list)
    merges: list[tuple[Node, int]] = field(default_factory=list)
    """Branches, with the offset of an output that is the list; loops, with the number of the carried value."""
    readers: list[Node] = field(default_factory=list)
    leavers: list[tuple[Node, int]] = field(default_factory=list)
    """Inputs of nodes that want the list itself: the program's results, and what holds them."""

    def add(self, value: Value) -> bool:
        """Take in a value and all that it comes from and goes to. False when it is used in a way that is not known."""
        pending = [value]
        while pending:
            value = pending.pop()
            if value in self.values:
                continue
            self.values[value] = None
            sources = self.sources(value)
            targets = [self.targets(use.node, use.slot) for use in value.uses]
            if sources is None or any(target is None for target in targets):
                return False
            pending += sources + [found for target in targets for found in target or ()]
        return bool(self.elements) and (bool(self.steps) or any(map(_is_indexed, self.readers)))

    def sources(self, value: Value) -> list[Value] | None:
        """The list values that a value may be."""
        node = value.node
        if not isinstance(value.type, ListType):
            return None
        if value.is_parameter:
            loop = node.owner.owning_node if node.owner is not None else None
            if loop is None or loop.kind != "prim::Loop" or value.offset == 0:
                return None
            return self.carried(loop, value.offset - 1)
        if node.kind == "prim::ListConstruct":
            self.starts.append(node)
            self.elements += node.inputs
            return []
        if node.kind in STEPS:
            return self.step(node)
        if node.kind == "prim::If":
            self.merge(node, value.offset)
            return [block.outputs[value.offset] for block in node.blocks]
        if node.kind == "prim::Loop":
            return self.carried(node, value.offset)
        return None

    def step(self, node: Node) -> list[Value] | None:
        """The lists that a list is made of, and the list itself."""
        step = STEPS[node.kind]
        if not step.is_possible(node):
            return None
        if node not in self.steps:
            self.steps.append(node)
            self.elements += [] if step.element is None else [node.inputs[step.element]]
        return [node.output, *node.inputs[: step.lists]]

    def carried(self, loop: Node, place: int) -> list[Value]:
        self.merge(loop, place)
        body = loop.blocks[0]
        return [loop.inputs[2 + place], body.inputs[1 + place], body.outputs[1 + place], loop.outputs[place]]

    def merge(self, node: Node, place: int) -> None:
        if (node, place) not in self.merges:
            self.merges.append((node, place))

    def targets(self, node: Node, slot: int) -> list[Value] | None:
        """The list values that a user makes of a value; none for readers."""
        if node.kind in STEPS and slot < STEPS[node.kind].lists:
            return self.step(node)
        if node.kind == "prim::Loop" and slot >= 2:
            return self.carried(node, slot - 2)
        if node.kind in _HOLDERS or (node.kind == "prim::Return" and node.block.owning_node is None):
            self.leavers.append((node, slot))
            return []
        if node.kind == "prim::Return":
            return self.returned(node.owner, slot)
        reads = node.kind in _READS or _is_tensor_of_numbers(node)
        reads = reads or (node.kind in _JOINS and node.inputs[1].is_constant)
        if not reads or slot != 0:
            return None
        self.readers.append(node)
        return []

    def returned(self, block: Block | None, slot: int) -> list[Value] | None:
        owner = block.owning_node if block is not None else None
        if owner is None:
            return None
        if owner.kind == "prim::If":
            return [owner.outputs[slot]]
        return self.carried(owner, slot - 1) if slot > 0 else None

    def is_uniform(self) -> bool:
        """True when all elements have one type, whose extents are known everywhere."""
        first = self.elements[0].type
        if not isinstance(first, TensorType):
            kinds = {str(element.type) for element in self.elements}
            return len(kinds) == 1 and kinds <= _NUMBERS.keys() and not any(r.kind in _JOINS for r in self.readers)
        if not first.is_typed or any(not name.startswith("s") for name in type_symbols(first)):
            return False
        return all(element.type == first for element in self.elements)


class _Conversion:
    """Writes rows in place of a family's lists."""

    def __init__(self, graph: Graph, family: _Family) -> None:
        self.graph = graph
        self.family = family
        self.builder = Builder(graph)
        self.rows: dict[Value, Rows] = {}
        element = family.elements[0].type
        shape = element.shape or () if isinstance(element, TensorType) else ()
        self.dtype = _element_type(family.elements[0])
        self.writer = RowWriter(self.builder, self.dtype, shape)

    def run(self) -> None:
        for node, place in self.family.merges:
            self.open_merge(node, place)
        for node in self.family.starts:
            self.start(node)
        for node in self.family.steps:
            self.step_in_order(node)
        for node, place in self.family.merges:
            self.close_merge(node, place)
        for node in self.family.readers:
            self.read(node)
        for node, slot in self.family.leavers:
            self.leave(node, slot)
        for node in self.family.steps:  # some of them may fail, and would not count as dead
            node.output.replace_all_uses_with(node.inputs[0])
            node.destroy()

    def open_merge(self, node: Node, place: int) -> None:
        """New outputs, and parameters of a loop's body."""
        if node.kind == "prim::Loop":
            body = node.blocks[0]
            name = body.inputs[1 + place].name
            inside = body.add_input(self.writer.type(), name), body.add_input(IntType(fresh()))
            self.rows[body.inputs[1 + place]] = Rows(*inside)
        outside = node.add_output(self.writer.type(), node.outputs[place].name), node.add_output(IntType(fresh()))
        self.rows[node.outputs[place]] = Rows(*outside)

    def close_merge(self, node: Node, place: int) -> None:
        """What goes into the new outputs and parameters."""
        if node.kind == "prim::Loop":
            for value in _parts(self.rows[node.inputs[2 + place]]):
                node.add_input(value)
        for block in node.blocks:
            offset = place + (node.kind == "prim::Loop")
            for value in _parts(self.rows[block.outputs[offset]]):
                block.add_output(value)

    def start(self, node: Node) -> None:
        b = self.builder
        with self.graph.replacing(node):
            self.rows[node.output] = Rows(self.first_rows(node.inputs), b.value(len(node.inputs)))

    def first_rows(self, elements: Sequence[Value]) -> Value:
        """The rows of a list that is written down; many numbers that are known are one constant."""
        made: Value
        if not elements:
            return self.writer.empty(_FIRST_ROWS)
        numbers = [value.constant for value in elements if value.is_constant]
        if len(numbers) == len(elements) and not isinstance(elements[0].type, TensorType):
            made = self.builder.constant(np.array(numbers, self.dtype.numpy))
            return made
        made = self.builder("aten::stack", [self.writer.row(value) for value in elements], 0)
        return made

    def step_in_order(self, node: Node) -> None:
        """A step may stand behind another one, whose rows come first."""
        if node.output in self.rows:
            return
        step = STEPS[node.kind]
        lists = node.inputs[: step.lists]
        for source in lists:
            if source not in self.rows:
                self.step_in_order(source.node)
        with self.graph.replacing(node):
            self.rows[node.output] = step.write(self.writer, node, *(self.rows[source] for source in lists))

    def read(self, node: Node) -> None:
        rows = self.rows[node.inputs[0]]
        with self.graph.replacing(node):
            found = rows.count if node.kind == "aten::len" else self.rows_read(node, rows)
        found.name = found.name or node.output.name
        node.output.replace_all_uses_with(found)
        node.destroy()

    def leave(self, node: Node, slot: int) -> None:
        """Make a list of the rows."""
        rows = self.rows[node.inputs[slot]]
        type_ = node.inputs[slot].type
        b = self.builder
        with self.graph.replacing(node, before=node):
            filled = self.writer.filled(rows)
            if isinstance(self.family.elements[0].type, TensorType):
                made = self.graph.insert("aten::unbind", [filled, b.value(0)], (type_,), overload="int").output
            else:
                inputs = [filled, b.value(1), b.value(_CODES[self.dtype])]
                made = self.graph.insert("prim::tolist", inputs, (type_,)).output
        node.set_input(slot, made)

    def cast(self, tensor: Value, dtype: DType) -> Value:
        made: Value = self.builder("aten::to.dtype", tensor, dtype.code)
        return made

    def rows_read(self, node: Node, rows: Rows) -> Value:
        """An element, or all of them as one tensor."""
        b, type_ = self.builder, node.output.type
        filled = self.writer.filled(rows)
        if node.kind in _TENSORS:
            assert isinstance(type_, TensorType) and type_.dtype is not None
            made = filled if self.dtype is not FLOAT64 else self.cast(filled, default_float())
            return self.cast(made, type_.dtype)
        found = read_rows(b, node, filled, b.shape(filled)[0])
        return found if isinstance(type_, TensorType) else b(_NUMBERS[str(type_)], found)


def _is_tensor_of_numbers(reader: Node) -> bool:
    """True for a node that makes a tensor of a list of numbers."""
    if reader.kind not in _TENSORS or isinstance(_element_of(reader.inputs[0].type), TensorType):
        return False
    type_ = reader.output.type
    return isinstance(type_, TensorType) and type_.dtype is not None and type_.rank == 1


def _element_of(type_: Type) -> Type | None:
    return type_.element if isinstance(type_, ListType) else None


def _is_indexed(reader: Node) -> bool:
    """True for a node that takes an element whose number only running tells."""
    return reader.kind == "aten::__getitem__" and not reader.inputs[1].is_constant


def _parts(rows: Rows) -> tuple[Value, Value]:
    return rows.buffer, rows.count


def _element_type(element: Value) -> DType:
    type_ = element.type
    if isinstance(type_, TensorType):
        assert type_.dtype is not None
        return type_.dtype
    return BOOL_ELEMENT if type_ is BOOL else FLOAT64 if type_ is FLOAT else INT64
