"""Lists of tensors that are only joined in the end, as one tensor of their rows: part of the pass `list-buffers`.

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


def are_pieces(family: ListFamily) -> bool:
    """True for tensors that differ in their first extents at most, are appended, and joined along these."""
    first = family.types[0]
    if any(start.kind != "prim::ListConstruct" for start in family.starts):
        return False
    if family.leavers or not any(reader.kind == "aten::cat" for reader in family.readers):
        return False
    if not isinstance(first, TensorType) or not first.is_typed or not first.shape:
        return False
    inner = TensorType(first.dtype, first.shape[1:])
    if any(not name.startswith("s") for name in type_symbols(inner)):
        return False
    alike = all(
        isinstance(type_, TensorType) and type_.shape and TensorType(type_.dtype, type_.shape[1:]) == inner
        for type_ in family.types
    )
    return alike and all(step.kind == "prim::ListAppend" for step in family.steps) and all(map(_reads, family.readers))


def _reads(reader: Node) -> bool:
    rank = reader.output.type.rank if isinstance(reader.output.type, TensorType) else None
    along = reader.inputs[1].constant if reader.kind == "aten::cat" else None
    return reader.kind == "aten::len" or (along is not None and along in (0, -(rank or 0)))


class PieceForm:
    """Lists as the rows of their tensors."""

    def __init__(self, graph: Graph, element: Type) -> None:
        self.builder = Builder(graph)
        assert isinstance(element, TensorType) and element.shape and element.dtype is not None
        self.writer = RowWriter(self.builder, element.dtype, element.shape[1:])

    def types(self, value: Value) -> Sequence[Type]:
        return self.writer.type(), IntType(fresh()), IntType(fresh())

    def make(self, values: Sequence[Value]) -> Pieces:
        return Pieces(*values)

    def start(self, node: Node) -> Pieces:
        b = self.builder
        if not node.inputs:
            return Pieces(self.writer.empty(_FIRST_ROWS), b.value(0), b.value(0))
        joined = b("aten::cat", node.inputs, 0)
        return Pieces(joined, b("aten::size.int", joined, 0), b.value(len(node.inputs)))

    def step(self, node: Node, *lists: Pieces) -> Pieces:
        """With another tensor behind the others."""
        (pieces,) = lists
        b, piece = self.builder, node.inputs[1]
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
        joined: Value = b("aten::narrow", pieces.buffer, 0, 0, pieces.rows)
        return joined

    def leave(self, node: Node, slot: int, pieces: Pieces) -> Value:
        raise AssertionError("pieces are never asked for")
