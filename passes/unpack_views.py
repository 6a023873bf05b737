"""The pass `unpack-views`: the parts that a tensor was split into become views of their own.

`functionalize` replays views where a write has changed what they show; it knows no lists of views. Here the outputs of
`a, b = x.chunk(2)` become slices of x. The unpacking itself stays: it fails where there are not as many parts.
"""

from __future__ import annotations

from collections.abc import Callable

from optc.ir.graph import Graph, Node, Value
from optc.ir.types import INT, TENSOR, IntType
from optc.ops.registry import operator_of
from optc.pipeline import graph_pass, writes_memory

Part = Callable[[Graph, Node, int], Value]
"""(graph, splitting node, number of the part) -> the part as a view."""


@graph_pass("unpack-views", after={"inline": "tensors are split in one function and written in another"})
def unpack_views(graph: Graph) -> bool:
    """Take the parts of split tensors one by one, in programs that write to memory."""
    if not any(map(writes_memory, graph.walk())):
        return False
    unpacking = [node for node in graph.walk() if node.kind == "prim::ListUnpack" and _part_of(node.inputs[0].node)]
    changed = [_unpack(graph, node) for node in unpacking]
    return any(changed)


def _unpack(graph: Graph, unpacking: Node) -> bool:
    splitting = unpacking.inputs[0].node
    part = _part_of(splitting)
    read = [(number, output) for number, output in enumerate(unpacking.outputs) if output.has_uses]
    if part is None or not read or not _is_plain(splitting, len(unpacking.outputs)):
        return False
    following = unpacking.next
    assert following is not None
    with graph.replacing(splitting, before=following):
        for number, output in read:
            made = part(graph, splitting, number)
            made.name = output.name
            output.replace_all_uses_with(made)
    return True


def _part_of(node: Node) -> Part | None:
    operator = operator_of(node) if node.kind.startswith("aten::") else None
    return _PARTS.get(operator.name) if operator is not None else None


def _is_plain(splitting: Node, count: int) -> bool:
    """False where numbers that a part is computed from are not known: how many chunks there are to be."""
    if splitting.kind == "aten::chunk":
        chunks = splitting.inputs[1]
        return chunks.is_constant and chunks.constant == count
    return True


def _integer(graph: Graph, kind: str, *operands: Value | int) -> Value:
    values = [graph.insert_constant(one, INT) if isinstance(one, int) else one for one in operands]
    return graph.insert(kind, values, (IntType(),), overload="int").output


def _slice(graph: Graph, x: Value, dim: Value, start: Value, end: Value) -> Value:
    one = graph.insert_constant(1, INT)
    return graph.insert("aten::slice", [x, dim, start, end, one], (TENSOR,), overload="Tensor").output


def _row(graph: Graph, node: Node, number: int) -> Value:
    x, dim = node.inputs
    place = graph.insert_constant(number, INT)
    return graph.insert("aten::select", [x, dim, place], (TENSOR,), overload="int").output


def _equal_part(graph: Graph, node: Node, number: int) -> Value:
    x, size, dim = node.inputs
    start, end = (_integer(graph, "aten::mul", size, place) for place in (number, number + 1))
    return _slice(graph, x, dim, start, end)


def _chunk(graph: Graph, node: Node, number: int) -> Value:
    x, chunks, dim = node.inputs
    extent = graph.insert("aten::size", [x, dim], (IntType(),), overload="int").output
    more = _integer(graph, "aten::add", extent, chunks.constant - 1)
    size = _integer(graph, "aten::floordiv", more, chunks)
    start, end = (_integer(graph, "aten::mul", size, place) for place in (number, number + 1))
    return _slice(graph, x, dim, start, end)


_PARTS: dict[str, Part] = {
    "aten::unbind.int": _row,
    "aten::split.Tensor": _equal_part,
    "aten::chunk": _chunk,
}
