"""Lists of tensors that are only joined in the end, as one tensor of their rows: part of the pass `list-buffers`.

Rows are what is at one place of the axis along which the tensors are joined.

found = []                                  rows, n = zeros(4, ...), 0
while ...:                                  while ...:
    found.append(boxes[mine])       =>          rows = longer(rows, n + len(piece))
                                                rows[n : n + len(piece)], n = piece, n + len(piece)
return torch.cat(found)                     return rows[:n]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from optc.ir.dims import fresh
from optc.ir.graph import Graph, Node, Value
from optc.ir.symbols import type_symbols
from optc.ir.types import IntType, TensorType, Type
from optc.ops.builder import Builder
from optc.passes.list_families import ListFamily
from optc.passes.list_steps import RowWriter

_FIRST_ROWS = 4


class Pieces(NamedTuple):
    """Tensors one behind the other: the first `rows` rows of the buffer are theirs, `length` says how many they are."""

    buffer: Value
    rows: Value
    length: Value


def joined_axis(family: ListFamily) -> int | None:
    """The axis along which tensors are joined that are appended and differ in these extents at most; None for others."""
    first = family.types[0]
    if any(start.kind != "prim::ListConstruct" for start in family.starts) or family.leavers:
        return None
    if any(step.kind != "prim::ListAppend" for step in family.steps):
        return None
    if not isinstance(first, TensorType) or not first.is_typed or not first.shape:
        return None
    axes = {_axis(reader, len(first.shape)) for reader in family.readers if reader.kind != "aten::len"}
    axis = axes.pop() if len(axes) == 1 else None
    if axis is None:
        return None
    row = _row_type(first, axis)
    is_known = all(name.startswith("s") for name in type_symbols(row))
    is_same = all(isinstance(type_, TensorType) and _row_type(type_, axis) == row for type_ in family.types)
    return axis if is_known and is_same else None


def _axis(reader: Node, rank: int) -> int | None:
    """The axis along which a node joins the tensors of a list."""
    along = reader.inputs[1].constant if reader.kind == "aten::cat" else None
    return along % rank if along is not None and -rank <= along < rank else None


def _row_type(type_: TensorType, axis: int) -> TensorType:
    """The type of what a tensor holds at one place of an axis."""
    shape = type_.shape or ()
    return TensorType(type_.dtype, (*shape[:axis], *shape[axis + 1 :]) if len(shape) > axis else None)


class PieceForm:
    """Lists as the rows of their tensors: what these hold at the places of an axis."""

    def __init__(self, graph: Graph, element: Type, axis: int) -> None:
        self.builder = Builder(graph)
        assert isinstance(element, TensorType) and element.shape and element.dtype is not None
        self.writer = RowWriter(self.builder, element.dtype, _row_type(element, axis).shape or ())
        self.axis = axis
        self.rank = len(element.shape)

    def types(self, value: Value) -> Sequence[Type]:
        return self.writer.type(), IntType(fresh()), IntType(fresh())

    def make(self, values: Sequence[Value]) -> Pieces:
        return Pieces(*values)

    def start(self, node: Node) -> Pieces:
        b = self.builder
        if not node.inputs:
            return Pieces(self.writer.empty(_FIRST_ROWS), b.value(0), b.value(0))
        joined = self.as_rows(b("aten::cat", node.inputs, self.axis))
        return Pieces(joined, b("aten::size.int", joined, 0), b.value(len(node.inputs)))

    def step(self, node: Node, *lists: Pieces) -> Pieces:
        """With another tensor behind the others."""
        (pieces,) = lists
        b, piece = self.builder, self.as_rows(node.inputs[1])
        rows = b("aten::add.int", pieces.rows, b("aten::size.int", piece, 0))
        places = b("aten::arange.start", pieces.rows, rows, dtype=4)
        written = b("aten::index_copy", self.writer.with_room(pieces.buffer, rows), 0, places, piece)
        return Pieces(written, rows, b("aten::add.int", pieces.length, 1))

    def read(self, node: Node, pieces: Pieces) -> Value:
        b = self.builder
        if node.kind == "aten::len":
            return pieces.length
        any_ = b("aten::gt.int", pieces.length, 0)
        b.require(any_, "torch.cat(): expected a non-empty list of Tensors", "RuntimeError")
        return self.as_tensor(b("aten::narrow", pieces.buffer, 0, 0, pieces.rows))

    def as_rows(self, tensor: Value) -> Value:
        """A tensor with its axis in front."""
        order = [self.axis, *(place for place in range(self.rank) if place != self.axis)]
        return tensor if self.axis == 0 else self.permuted(tensor, order)

    def as_tensor(self, rows: Value) -> Value:
        """Rows with the axis in its place."""
        order = [*range(1, self.axis + 1), 0, *range(self.axis + 1, self.rank)]
        return rows if self.axis == 0 else self.permuted(rows, order)

    def permuted(self, tensor: Value, order: list[int]) -> Value:
        made: Value = self.builder("aten::permute", tensor, order)
        return made

    def leave(self, node: Node, slot: int, pieces: Pieces) -> Value:
        raise AssertionError("pieces are never asked for")
