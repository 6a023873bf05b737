"""The pass `growing-lists`.

outputs = []                                outputs = zeros(n, ...)
for i in range(n):                  =>      for i in range(n):
    outputs.append(h)                           outputs = select_scatter(outputs, h, 0, i)
return torch.stack(outputs)                 return outputs
"""

from __future__ import annotations

from optc.ir.dims import Dim
from optc.ir.graph import Graph, Node, Value
from optc.ir.symbols import binders, replace_value, type_symbols
from optc.ir.types import STRING, IntType, ListType, TensorType
from optc.ops.abstract import normalize_dim
from optc.ops.builder import Builder
from optc.ops.shapes import is_extent
from optc.pipeline import graph_pass


@graph_pass(
    "growing-lists",
    functional=True,
    after={
        "infer-shapes": "all elements must have one type and shape",
        "loop-unrolling": "short loops give lists of known elements, which need no tensor",
    },
)
def growing_lists(graph: Graph, *, limit: int = 256) -> bool:
    """Keep the tensors that a loop appends to a list, one per turn, in one tensor with a row per turn."""
    changed = False
    for loop in list(graph.walk()):
        if loop.kind != "prim::Loop" or loop.owner is None:
            continue
        for place in reversed(range(len(loop.outputs))):
            element = _appended(graph, loop, place)
            turns = _turns(loop)
            if element is None or turns is None or not _can_replace(loop.outputs[place], turns, limit):
                continue
            _collect(graph, loop, place, element, turns)
            changed = True
    return changed


def _appended(graph: Graph, loop: Node, place: int) -> Value | None:
    """The tensor that every turn appends to carried list number `place`, which is used for nothing else inside."""
    body = loop.blocks[0]
    start, parameter, result = loop.inputs[place + 2], body.inputs[place + 1], body.outputs[place + 1]
    append = result.node
    if start.node.kind != "prim::ListConstruct" or start.node.inputs or append.kind != "prim::ListAppend":
        return None
    if append.owner is not body or append.inputs[0] is not parameter:
        return None
    if len(parameter.uses) != 1 or len(result.uses) != 1:
        return None
    element = append.inputs[1]
    if not isinstance(element.type, TensorType) or not element.type.is_typed:
        return None
    owners = binders(graph)
    bound = [owners.get(name) for name in type_symbols(element.type)]
    return None if any(owner is None or owner.node.is_inside(body) for owner in bound) else element


def _turns(loop: Node) -> Dim | None:
    """How often the loop runs, where it cannot stop early and the number is an extent."""
    limit, condition = loop.inputs[:2]
    going_on = loop.blocks[0].outputs[0]
    if not all(value.is_constant and value.constant is True for value in (condition, going_on)):
        return None
    turns = limit.type.dim if isinstance(limit.type, IntType) else None
    return turns if turns is not None and is_extent(turns) else None


def _can_replace(items: Value, turns: Dim, limit: int) -> bool:
    if isinstance(turns, int):
        return 0 < turns <= limit or (turns > 0 and all(map(_is_known_reader, [use.node for use in items.uses])))
    return all(_is_known_reader(use.node) for use in items.uses)


def _is_known_reader(node: Node) -> bool:
    if node.kind in ("aten::stack", "aten::cat"):
        return node.inputs[1].is_constant
    return node.kind in ("aten::len", "aten::__getitem__")


def _collect(graph: Graph, loop: Node, place: int, element: Value, turns: Dim) -> None:
    """Carry a tensor instead of the list, and give the list's readers what they want of it."""
    body = loop.blocks[0]
    type_ = element.type
    assert isinstance(type_, TensorType) and type_.shape is not None and type_.dtype is not None
    rows = TensorType(type_.dtype, (turns, *type_.shape))
    append = body.outputs[place + 1].node
    with graph.replacing(append, before=loop):
        start = Builder(graph)("aten::full", [turns, *type_.shape], 0, dtype=type_.dtype.code)
    loop.set_input(place + 2, start)
    parameter, output = body.inputs[place + 1], loop.outputs[place]
    items_type, parameter.type = output.type, rows
    with graph.replacing(append):
        builder = Builder(graph)
        written = builder("aten::select_scatter", parameter, element, 0, body.inputs[0])
    append.output.replace_all_uses_with(written)
    append.destroy()
    collected = loop.add_output(rows, output.name)
    loop.outputs.insert(place, loop.outputs.pop())
    for offset, value in enumerate(loop.outputs):
        value.offset = offset
    _replace_readers(graph, output, collected, turns, items_type)
    loop.remove_output(place + 1)


def _replace_readers(graph: Graph, items: Value, rows: Value, turns: Dim, items_type: object) -> None:
    for use in items.uses:
        reader = use.node
        if use.slot != 0 or not _is_known_reader(reader):
            continue
        with graph.replacing(reader):
            replace_value(graph, reader.output, read_rows(Builder(graph), reader, rows, turns))
        reader.destroy()
    if not items.has_uses:
        return
    assert isinstance(turns, int) and isinstance(items_type, ListType)
    following = rows.node.next
    assert following is not None
    with graph.inserting(following):
        builder = Builder(graph)
        elements = [builder("aten::select.int", rows, 0, number) for number in range(turns)]
        made = graph.insert("prim::ListConstruct", elements, (items_type,)).output
    items.replace_all_uses_with(made)


def read_rows(builder: Builder, reader: Node, rows: Value, turns: Dim) -> Value:
    """What `stack`, `cat`, `len` or indexing gives for the list whose elements are the rows."""
    if reader.kind == "aten::len":
        return builder.value(turns)
    if reader.kind == "aten::__getitem__":
        element: Value = builder("aten::select.int", rows, 0, reader.inputs[1])
        return element
    if not isinstance(turns, int):
        _refuse_empty(builder, reader, turns)
    shape = builder.shape(rows)
    stacks = reader.kind == "aten::stack"
    along = normalize_dim(reader.inputs[1].constant, len(shape) if stacks else len(shape) - 1)
    order = [*range(1, along + 1), 0, *range(along + 1, len(shape))]
    placed: Value = rows if along == 0 else builder("aten::permute", rows, order)
    if stacks:
        return placed
    sizes = [*shape[1 : along + 1], turns * shape[along + 1], *shape[along + 2 :]]
    joined: Value = builder("aten::reshape", placed, sizes)
    return joined


def _refuse_empty(builder: Builder, reader: Node, turns: Dim) -> None:
    """Joining no tensors at all is an error."""
    graph = builder.graph
    text = "stack expects a non-empty TensorList"
    if reader.kind == "aten::cat":
        text = "torch.cat(): expected a non-empty list of Tensors"
    empty = builder("aten::eq.int", builder.value(turns), 0)
    branch = graph.insert("prim::If", [empty])
    raising = branch.add_block()
    branch.add_block()
    with graph.replacing(reader, before=raising):
        words = [graph.insert_constant(word, STRING) for word in (text, "RuntimeError")]
        graph.insert("prim::RaiseException", words)
