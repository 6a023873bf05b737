"""How a list is made of other lists when each is a tensor with a row per element: part of the pass `list-buffers`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from optc.dataclass import dataclass
from optc.ir.dims import fresh
from optc.ir.dtypes import INT64, DType
from optc.ir.graph import Node, Value
from optc.ir.types import TensorType
from optc.ops.builder import Builder


class Rows(NamedTuple):
    """A list as a tensor, of which the first `length` rows are the elements."""

    buffer: Value
    length: Value


class RowWriter:
    """Writes the rows of new lists, whose elements have a type and shape, in front of the node that makes the list."""

    def __init__(self, builder: Builder, dtype: DType, shape: Sequence[object]) -> None:
        self.builder = builder
        self.dtype = dtype
        self.shape = tuple(shape)

    def type(self) -> TensorType:
        """The type of a buffer whose number of rows nothing says."""
        return TensorType(self.dtype, (fresh(), *self.shape))  # type: ignore[arg-type]

    def empty(self, count: int | Value) -> Value:
        """Rows that no element fills yet."""
        made: Value = self.builder("aten::full", [count, *self.shape], 0, dtype=self.dtype.code)
        return made

    def row(self, element: Value) -> Value:
        """An element as a tensor."""
        if isinstance(element.type, TensorType):
            return element
        made: Value = self.builder("aten::full", [], element, dtype=self.dtype.code)
        return made

    def filled(self, rows: Rows) -> Value:
        """The elements and nothing else."""
        made: Value = self.builder("aten::narrow", rows.buffer, 0, 0, rows.length)
        return made

    def whole(self, tensor: Value) -> Rows:
        """The list of all rows of a tensor; one row more is there, so that doubling makes room."""
        b = self.builder
        return Rows(b("aten::cat", [tensor, self.empty(1)], 0), b("aten::size.int", tensor, 0))

    def appended(self, node: Node, rows: Rows) -> Rows:
        """With another element; the buffer is doubled where it is full."""
        b, graph = self.builder, self.builder.graph
        is_full = b("aten::eq.int", rows.length, b("aten::size.int", rows.buffer, 0))
        branch = graph.insert("prim::If", [is_full], (self.type(),))
        for block, doubled in ((branch.add_block(), True), (branch.add_block(), False)):
            with graph.inserting(block):
                buffers = [rows.buffer, rows.buffer]
                block.add_output(b("aten::cat", buffers, 0) if doubled else rows.buffer)
        written = b("aten::select_scatter", branch.output, self.row(node.inputs[1]), 0, rows.length)
        return Rows(written, b("aten::add.int", rows.length, 1))

    def place(self, number: Value, rows: Rows) -> Value:
        """The place of an element that may be counted from the end. The program raises where there is none."""
        b = self.builder
        counted = b("aten::add.int", number, rows.length)
        for is_inside in (b("aten::ge.int", counted, 0), b("aten::lt.int", number, rows.length)):
            b.require(is_inside, "list index out of range", "IndexError")
        place: Value = b("aten::remainder.int", counted, rows.length)
        return place

    def between(self, rows: Rows, start: Value | int, end: Value) -> Value:
        """The rows from one place to another."""
        made: Value = self.builder("aten::narrow", rows.buffer, 0, start, self.builder("aten::sub.int", end, start))
        return made

    def changed(self, node: Node, rows: Rows) -> Rows:
        """With another element in the place of one."""
        place = self.place(node.inputs[1], rows)
        row = self.row(node.inputs[2])
        return Rows(self.builder("aten::select_scatter", rows.buffer, row, 0, place), rows.length)

    def longer(self, node: Node, rows: Rows) -> Rows:
        """With another element in front of one; a place that there is not means the nearer end."""
        b, (_, number, element) = self.builder, node.inputs
        from_end = b("aten::mul.int", rows.length, b("aten::Int.bool", b("aten::lt.int", number, 0)))
        place = b("prim::min.int", b("prim::max.int", b("aten::add.int", number, from_end), 0), rows.length)
        row = b("aten::unsqueeze", self.row(element), 0)
        return self.whole(
            b("aten::cat", [self.between(rows, 0, place), row, self.between(rows, place, rows.length)], 0)
        )

    def shortened(self, node: Node, rows: Rows) -> Rows:
        """Without one of its elements."""
        b, number = self.builder, node.inputs[1]
        place = self.place(number, rows)
        if number.is_constant and number.constant == -1:
            return Rows(rows.buffer, place)
        rest = self.between(rows, b("aten::add.int", place, 1), rows.length)
        return self.whole(b("aten::cat", [self.between(rows, 0, place), rest], 0))

    def joined(self, node: Node, left: Rows, right: Rows) -> Rows:
        """With the elements of another list behind its own; there is room for them, or for twice as many then."""
        b = self.builder
        length = b("aten::add.int", left.length, right.length)
        places = b("aten::arange.start", left.length, length, dtype=INT64.code)
        return Rows(b("aten::index_copy", self.with_room(left.buffer, length), 0, places, self.filled(right)), length)

    def with_room(self, buffer: Value, length: Value) -> Value:
        """A buffer, longer by so many rows where they do not fit: at least twice as long."""
        b = self.builder
        is_full = b("aten::gt.int", length, b("aten::size.int", buffer, 0))
        branch = b.graph.insert("prim::If", [is_full], (self.type(),))
        for grows in (True, False):
            block = branch.add_block()
            with b.graph.inserting(block):
                block.add_output(b("aten::cat", [buffer, self.empty(length)], 0) if grows else buffer)
        return branch.output

    def sliced(self, node: Node, rows: Rows) -> Rows:
        _, start, end, step = node.inputs
        filled = self.filled(rows)
        if step.constant == -1:
            return self.whole(self.builder("aten::flip", filled, [0]))
        return self.whole(self.builder("aten::slice.Tensor", filled, 0, start, end, step))

    def copied(self, node: Node, rows: Rows) -> Rows:
        return rows

    def repeated(self, node: Node, rows: Rows) -> Rows:
        b, times = self.builder, node.inputs[1]
        b.require(b("aten::ge.int", times, 0), "vector::reserve", "RuntimeError")
        return self.whole(b("aten::repeat", self.filled(rows), [times, *(1 for _ in self.shape)]))

    def sorted(self, node: Node, rows: Rows) -> Rows:
        is_descending = node.kind == "prim::SortedDescending"
        return self.whole(self.builder("aten::sort", self.filled(rows), 0, is_descending)[0])


@dataclass(frozen=True)
class Step:
    """A node that makes a list of lists: which inputs these are, which one is a new element, and its rows."""

    write: Callable[..., Rows]
    lists: int = 1
    element: int | None = None
    is_possible: Callable[[Node], bool] = lambda node: True


def _is_simple_slice(node: Node) -> bool:
    _, start, end, step = node.inputs
    if not step.is_constant:
        return False
    is_whole = all(bound.is_constant and bound.constant is None for bound in (start, end))
    return bool(step.constant > 0 or (step.constant == -1 and is_whole))


def _sorts_whole_numbers(node: Node) -> bool:
    """True where equal elements are the same, and all have an order."""
    return node.overload == "int"


STEPS = {
    "prim::ListAppend": Step(RowWriter.appended, element=1),
    "prim::ListSet": Step(RowWriter.changed, element=2),
    "prim::ListInsert": Step(RowWriter.longer, element=2),
    "prim::ListWithout": Step(RowWriter.shortened),
    "aten::add": Step(RowWriter.joined, lists=2),
    "aten::slice": Step(RowWriter.sliced, is_possible=_is_simple_slice),
    "aten::list": Step(RowWriter.copied),
    "aten::copy": Step(RowWriter.copied),
    **dict.fromkeys(
        ("aten::sorted", "prim::SortedDescending"), Step(RowWriter.sorted, is_possible=_sorts_whole_numbers)
    ),
    "aten::mul": Step(RowWriter.repeated, is_possible=lambda node: node.overload == "left_t"),
}
