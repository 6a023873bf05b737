"""The pass `unpack-views`: the parts that a tensor was split into become views of their own.

`functionalize` replays views where a write has changed what they show; it knows no lists of views. Here the outputs of
`a, b = x.chunk(2)` become slices of x. The unpacking itself stays: it fails where there are not as many parts.
"""

from __future__ import annotations

from collections.abc import Callable

from optc.dataclass import dataclass
from optc.ir.graph import Graph, Node, Value
from optc.ir.types import INT, NONE, TENSOR, IntType, TensorType
from optc.ops.registry import operator_of
from optc.pipeline import graph_pass, writes_memory

Part = Callable[[Graph, Node, int], Value]
"""(graph, splitting node, number of the part) -> the part as a view."""


@dataclass(frozen=True)
class Splitting:
    """How to take a part of a tensor that an operator splits; `fits` says if it is known to give so many parts."""

    part: Part
    fits: Callable[[Node, int], bool]


@graph_pass(
    "unpack-views",
    after={
        "inline": "tensors are split in one function and written in another",
        "shapes-in-place": "parts are taken where they are read, when the tensor may have got another shape",
    },
)
def unpack_views(graph: Graph) -> bool:
    """Take the parts of split tensors one by one, in programs that write to memory."""
    if not any(map(writes_memory, graph.walk())):
        return False
    unpacking = [node for node in graph.walk() if node.kind == "prim::ListUnpack" and _splitting(node) is not None]
    changed = [_unpack(graph, node) for node in unpacking]
    changed += [_take(graph, node) for node in list(graph.walk()) if node.kind == "aten::__getitem__"]
    changed += [_count_rows(graph, node) for node in list(graph.walk()) if node.kind == "aten::len"]
    changed += [_begin_at_number(graph, node) for node in list(graph.walk()) if node.kind == "aten::narrow"]
    return any(changed)


def _begin_at_number(graph: Graph, node: Node) -> bool:
    """A part that begins where a tensor says begins at the number that is in it."""
    x, dim, start, length = node.inputs
    if not isinstance(start.type, TensorType):
        return False
    with graph.replacing(node):
        number = graph.insert("aten::IntImplicit", [start], (IntType(),)).output
        made = graph.insert("aten::narrow", [x, dim, number, length], (node.output.type,), overload="").output
    made.name = node.output.name
    node.output.replace_all_uses_with(made)
    node.destroy()
    return True


def _take(graph: Graph, taking: Node) -> bool:
    """A part that is taken out of the list by its number, which may be any value where the parts are rows."""
    parts, number = taking.inputs
    splitting, node = _splitting(taking), parts.node
    if splitting is None or not taking.output.has_uses or not all(use.node.kind in _READERS for use in parts.uses):
        return False
    following = taking.next
    assert following is not None
    with graph.replacing(taking, before=following):
        if splitting.part is _row:
            made = graph.insert("aten::select", [*node.inputs, number], (TENSOR,), overload="int").output
        else:
            place = _place(node, splitting, number)
            if place is None:
                return False
            made = splitting.part(graph, node, place)
    made.name = taking.output.name
    taking.output.replace_all_uses_with(made)
    if splitting.part is _row:  # taking a row fails where there is none, as reading the list does
        taking.destroy()
    return True


def _count_rows(graph: Graph, counting: Node) -> bool:
    """The length of a list of rows is the extent of what it was made of; nobody has to read the list for it."""
    splitting, rows = _splitting(counting), counting.inputs[0]
    if splitting is None or splitting.part is not _row or not all(use.node.kind in _READERS for use in rows.uses):
        return False
    with graph.replacing(counting):
        made = graph.insert("aten::size", rows.node.inputs, (IntType(),), overload="int").output
    counting.output.replace_all_uses_with(made)
    counting.destroy()
    return True


_READERS = ("aten::__getitem__", "aten::len", "prim::ListUnpack")


def _place(node: Node, splitting: Splitting, number: Value) -> int | None:
    """The number of a part, counted from the front; None where it is not known, or what the parts are."""
    if not number.is_constant:
        return None
    counts = [count for count in range(1, _MOST_PARTS) if splitting.fits(node, count)]
    place = number.constant + (counts[0] if number.constant < 0 and len(counts) == 1 else 0)
    is_certain = number.constant >= 0 or splitting.part is not _chunk
    return place if counts and place >= 0 and is_certain and (len(counts) > 1 or place < counts[0]) else None


_MOST_PARTS = 100
"""No list with more parts is taken apart by number."""


def _unpack(graph: Graph, unpacking: Node) -> bool:
    node, splitting = unpacking.inputs[0].node, _splitting(unpacking)
    read = [(number, output) for number, output in enumerate(unpacking.outputs) if output.has_uses]
    if splitting is None or not read or not splitting.fits(node, len(unpacking.outputs)):
        return False
    following = unpacking.next
    assert following is not None
    with graph.replacing(node, before=following):
        for number, output in read:
            made = splitting.part(graph, node, number)
            made.name = output.name
            output.replace_all_uses_with(made)
    return True


def _splitting(unpacking: Node) -> Splitting | None:
    """How the list that is unpacked was made by splitting; None when it was not."""
    node = unpacking.inputs[0].node
    operator = operator_of(node) if node.kind.startswith("aten::") else None
    return _SPLITTINGS.get(operator.name) if operator is not None else None


def listed_parts(node: Node) -> int | None:
    """How many parts an operator gives that is told the size of each, in a list that nobody changes."""
    splitting = _SPLITTINGS.get(operator.name) if (operator := operator_of(node)) is not None else None
    if splitting is None or splitting.fits is not _lists_sizes:
        return None
    sizes = node.inputs[1]
    if sizes.node.kind != "prim::ListConstruct" or not all(_leaves_alone(use.node) for use in sizes.uses):
        return None
    return len(sizes.node.inputs)


def _leaves_alone(node: Node) -> bool:
    operator = operator_of(node)
    return operator is not None and not operator.mutates and not operator.has_effects


def _always(node: Node, count: int) -> bool:
    return True


def _says_count(node: Node, count: int) -> bool:
    """True for so many chunks or sections."""
    number = node.inputs[1]
    return number.is_constant and bool(number.constant == count)


def _lists_sizes(node: Node, count: int) -> bool:
    return _is_list(node.inputs[1], count)


def _lists_edges(node: Node, count: int) -> bool:
    return _is_list(node.inputs[1], count - 1)


def _is_list(value: Value, count: int) -> bool:
    if value.is_constant:
        return isinstance(value.constant, list) and len(value.constant) == count
    return value.node.kind == "prim::ListConstruct" and len(value.node.inputs) == count


def _items(graph: Graph, value: Value) -> list[Value]:
    """The items of a list that `_is_list`."""
    if value.is_constant:
        return [graph.insert_constant(item, INT) for item in value.constant]
    return list(value.node.inputs)


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


def _sized_part(graph: Graph, node: Node, number: int) -> Value:
    x, sizes, dim = node.inputs
    edges = [graph.insert_constant(0, INT)]
    for size in _items(graph, sizes)[: number + 1]:
        edges.append(_integer(graph, "aten::add", edges[-1], size))
    return _slice(graph, x, dim, *edges[-2:])


def _section(graph: Graph, node: Node, number: int) -> Value:
    """The first sections are longer by one where the extent cannot be divided."""
    x, sections, dim = node.inputs
    extent = graph.insert("aten::size", [x, dim], (IntType(),), overload="int").output
    short, longer = (_integer(graph, kind, extent, sections) for kind in ("aten::floordiv", "aten::remainder"))

    def edge(place: int) -> Value:
        return _integer(
            graph, "aten::add", _integer(graph, "aten::mul", short, place), _integer(graph, "prim::min", longer, place)
        )

    return _slice(graph, x, dim, edge(number), edge(number + 1))


def _between_edges(graph: Graph, node: Node, number: int) -> Value:
    x, edges, dim = node.inputs
    listed = [graph.insert_constant(0, INT), *_items(graph, edges), graph.insert_constant(None, NONE)]
    return _slice(graph, x, dim, listed[number], listed[number + 1])


_SPLITTINGS: dict[str, Splitting] = {
    "aten::unbind.int": Splitting(_row, _always),
    **dict.fromkeys(("aten::split.Tensor", "aten::unsafe_split.Tensor"), Splitting(_equal_part, _always)),
    **dict.fromkeys(("aten::chunk", "aten::unsafe_chunk"), Splitting(_chunk, _says_count)),
    **dict.fromkeys(
        ("aten::split", "aten::split.sizes", "aten::split_with_sizes", "aten::unsafe_split_with_sizes"),
        Splitting(_sized_part, _lists_sizes),
    ),
    "aten::tensor_split.sections": Splitting(_section, _says_count),
    "aten::tensor_split.indices": Splitting(_between_edges, _lists_edges),
}
