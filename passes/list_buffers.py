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

import numpy as np

from optc.ir.dims import fresh
from optc.ir.dtypes import BOOL as BOOL_ELEMENT
from optc.ir.dtypes import FLOAT64, INT64, DType
from optc.ir.graph import Graph, Node, Value
from optc.ir.symbols import binders, type_symbols
from optc.ir.types import BOOL, FLOAT, IntType, TensorType, Type
from optc.ops.builder import Builder
from optc.ops.promotion import default_float
from optc.passes.growing_lists import read_rows
from optc.passes.list_families import JOINS, TENSORS, ListFamily, Replacement, part_lists, rows_of
from optc.passes.list_open_rows import OpenRowForm, is_stacked
from optc.passes.list_pieces import PieceForm, joined_axis
from optc.passes.list_questions import answered, asks_numbers
from optc.passes.list_steps import STEPS, Rows, RowWriter
from optc.pipeline import graph_pass

_FIRST_ROWS = 4
_NUMBERS = {"int": "aten::Int.Tensor", "float": "aten::Float.Tensor", "bool": "aten::Bool.Tensor"}
_CODES = {INT64: 0, FLOAT64: 1, BOOL_ELEMENT: 2}  # what `prim::tolist` calls numbers


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
    changed = part_lists(graph)
    for node in list(graph.walk()):
        if node.owner is None or (node.kind != "prim::ListConstruct" and rows_of(node) is None):
            continue
        family = ListFamily()
        if not family.add(node.output):
            continue
        if _is_uniform(family):
            _begin_late(family)
            Replacement(graph, family, _RowForm(graph, family.types[0])).run()
            changed = True
            continue
        axis = joined_axis(family)
        if axis is not None:
            Replacement(graph, family, PieceForm(graph, family.types[0], axis)).run()
            changed = True
        elif is_stacked(family):
            Replacement(graph, family, OpenRowForm(graph, family)).run()
            changed = True
    return changed


def _begin_late(family: ListFamily) -> None:
    """Move lists that begin empty to where they are used first: more extents are known there."""
    for start in family.starts:
        first = _first_user(start)
        if first is not start:
            start.move_before(first)


def _first_user(start: Node) -> Node:
    """The node before which a list that begins empty has to be there; the node that makes it for any other."""
    if start.kind != "prim::ListConstruct" or start.inputs or not start.output.has_uses:
        return start
    start.block.number_nodes()
    users = [use.node.standing_in(start.block) for use in start.output.uses]
    return min(users, key=lambda user: user.position)


def _is_uniform(family: ListFamily) -> bool:
    """True when all elements have one type, whose extents are known where the lists begin."""
    first = family.types[0]
    if not isinstance(first, TensorType):
        kinds = {str(type_) for type_ in family.types}
        return len(kinds) == 1 and kinds <= _NUMBERS.keys() and not any(r.kind in JOINS for r in family.readers)
    if not first.is_typed or any(type_ != first for type_ in family.types):
        return False
    inner = [name for name in type_symbols(first) if not name.startswith("s")]
    told = binders(family.starts[0].graph) if inner else {}
    places = [_first_user(start) for start in family.starts] if inner else []
    return all(name in told and all(_is_told(told[name], place) for place in places) for name in inner)


def _is_told(value: Value, reader: Node) -> bool:
    """True when a value is there, and the same, wherever a node runs."""
    return reader.is_inside(value.node.block) and reader.is_after(value.node)


class _RowForm:
    """Lists as tensors, of which the first rows are the elements."""

    def __init__(self, graph: Graph, element: Type) -> None:
        self.graph = graph
        self.builder = Builder(graph)
        self.holds_tensors = isinstance(element, TensorType)
        self.dtype = _element_type(element)
        shape = element.shape or () if isinstance(element, TensorType) else ()
        self.writer = RowWriter(self.builder, self.dtype, shape)

    def types(self, value: Value) -> Sequence[Type]:
        return self.writer.type(), IntType(fresh())

    def make(self, values: Sequence[Value]) -> Rows:
        return Rows(*values)

    def start(self, node: Node) -> Rows:
        tensor = rows_of(node)
        if tensor is not None:
            return self.writer.whole(self.cast(tensor, self.dtype))
        return Rows(self.first_rows(node.inputs), self.builder.value(len(node.inputs)))

    def first_rows(self, elements: Sequence[Value]) -> Value:
        """The rows of a list that is written down; many numbers that are known are one constant."""
        made: Value
        if not elements:
            return self.writer.empty(_FIRST_ROWS)
        numbers = [value.constant for value in elements if value.is_constant]
        if len(numbers) == len(elements) and not self.holds_tensors:
            made = self.builder.constant(np.array(numbers, self.dtype.numpy))
            return made
        made = self.builder("aten::stack", [self.writer.row(value) for value in elements], 0)
        return made

    def step(self, node: Node, *lists: Rows) -> Rows:
        return STEPS[node.kind].write(self.writer, node, *lists)

    def read(self, node: Node, rows: Rows) -> Value:
        """The length, an element, or all of them as one tensor."""
        if node.kind == "aten::len":
            return rows.length
        b, type_ = self.builder, node.output.type
        filled = self.writer.filled(rows)
        if asks_numbers(node):
            return answered(b, node, filled)
        if node.kind in TENSORS:
            assert isinstance(type_, TensorType) and type_.dtype is not None
            made = filled if self.dtype is not FLOAT64 else self.cast(filled, default_float())
            return self.cast(made, type_.dtype)
        found = read_rows(b, node, filled, b.shape(filled)[0])
        return found if isinstance(type_, TensorType) else b(_NUMBERS[str(type_)], found)

    def leave(self, node: Node, slot: int, rows: Rows) -> Value:
        b, types = self.builder, (node.inputs[slot].type,)
        filled = self.writer.filled(rows)
        if self.holds_tensors:
            return self.graph.insert("aten::unbind", [filled, b.value(0)], types, overload="int").output
        return self.graph.insert("prim::tolist", [filled, b.value(1), b.value(_CODES[self.dtype])], types).output

    def cast(self, tensor: Value, dtype: DType) -> Value:
        made: Value = self.builder("aten::to.dtype", tensor, dtype.code)
        return made


def _element_type(type_: Type) -> DType:
    if isinstance(type_, TensorType):
        assert type_.dtype is not None
        return type_.dtype
    return BOOL_ELEMENT if type_ is BOOL else FLOAT64 if type_ is FLOAT else INT64
