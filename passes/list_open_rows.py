"""Lists of tensors that are only stacked in the end, whose extents the first of them decides: part of `list-buffers`.

found = []                                  rows, n = zeros(0, 0), 0
while ...:                                  while ...:
    w = w + weights                             w = w + weights
    found.append(w)                 =>          rows = rows if n > 0 else zeros(4, len(w))
                                                rows, n = with_row(rows, w checked to be as long), n + 1
return torch.stack(found)                   return rows[:n]

Nothing but running tells that all are as long; where they are not, stacking them fails in any case.
"""

from __future__ import annotations

from collections.abc import Sequence

from optc.ir.dims import fresh
from optc.ir.dtypes import DType
from optc.ir.graph import Graph, Node, Value
from optc.ir.types import IntType, TensorType
from optc.ops.builder import Builder
from optc.passes.growing_lists import read_rows
from optc.passes.list_families import ListFamily
from optc.passes.list_steps import Rows, RowWriter

_FIRST_ROWS = 4
_MESSAGE = "stack expects each tensor to be equal size"


def is_stacked(family: ListFamily) -> bool:
    """True for tensors of one rank and element type that are appended, and certainly stacked wherever their list begins."""
    if family.leavers or any(step.kind != "prim::ListAppend" for step in family.steps):
        return False
    if any(start.kind != "prim::ListConstruct" or start.inputs for start in family.starts):
        return False
    if any(reader.kind not in ("aten::len", "aten::stack") for reader in family.readers):
        return False
    elements = [step.inputs[1].type for step in family.steps]
    kinds = {(type_.dtype, type_.rank) for type_ in elements if isinstance(type_, TensorType) and type_.is_typed}
    stacked = {reader.block for reader in family.readers if reader.kind == "aten::stack"}
    is_known = all(isinstance(type_, TensorType) and type_.is_typed for type_ in elements)
    return is_known and len(kinds) == 1 and all(start.block in stacked for start in family.starts)


class OpenRowForm:
    """Lists as the first rows of tensors, which get their extents with the first element."""

    def __init__(self, graph: Graph, family: ListFamily) -> None:
        type_ = family.steps[0].inputs[1].type
        assert isinstance(type_, TensorType) and type_.dtype is not None and type_.rank is not None
        self.builder = Builder(graph)
        self.dtype: DType = type_.dtype
        self.rank = type_.rank

    def buffer_type(self) -> TensorType:
        return TensorType(self.dtype, tuple(fresh() for _ in range(self.rank + 1)))

    def types(self, value: Value) -> Sequence[TensorType | IntType]:
        return self.buffer_type(), IntType(fresh())

    def make(self, values: Sequence[Value]) -> Rows:
        return Rows(*values)

    def start(self, node: Node) -> Rows:
        b = self.builder
        return Rows(b("aten::full", [0] * (self.rank + 1), 0, dtype=self.dtype.code), b.value(0))

    def step(self, node: Node, *lists: Rows) -> Rows:
        """With another element, for which the first one made room."""
        (rows,) = lists
        b, element = self.builder, node.inputs[1]
        branch = b.graph.insert("prim::If", [b("aten::eq.int", rows.length, 0)], (self.buffer_type(),))
        for is_first in (True, False):
            block = branch.add_block()
            with b.graph.inserting(block):
                sizes = [_FIRST_ROWS, *b.shape(element)]
                block.add_output(b("aten::full", sizes, 0, dtype=self.dtype.code) if is_first else rows.buffer)
        shape = b.shape(branch.output)[1:]
        for axis, extent in enumerate(shape):
            b.require(b("aten::eq.int", b("aten::size.int", element, axis), b.dim(extent)), _MESSAGE)
            element = b("aten::narrow", element, axis, 0, b.dim(extent))
        node.set_input(1, element)
        return RowWriter(b, self.dtype, shape).appended(node, Rows(branch.output, rows.length))

    def read(self, node: Node, rows: Rows) -> Value:
        if node.kind == "aten::len":
            return rows.length
        b = self.builder
        filled = b("aten::narrow", rows.buffer, 0, 0, rows.length)
        return read_rows(b, node, filled, b.shape(filled)[0])

    def leave(self, node: Node, slot: int, rows: Rows) -> Value:
        raise AssertionError("lists that are only stacked are never asked for")
