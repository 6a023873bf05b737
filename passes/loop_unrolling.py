"""The pass `loop-unrolling`."""

from __future__ import annotations

from optc.ir.dims import Dim
from optc.ir.dtypes import INT64
from optc.ir.graph import Graph, Node, Value, copy_node
from optc.ir.symbols import bind, introduced_symbols, renew_symbols, replace_value
from optc.ir.types import IntType, ListType, TensorType
from optc.pipeline import graph_pass


@graph_pass(
    "loop-unrolling",
    functional=True,
    after={"constant-folding": "trip counts must have become constants"},
)
def loop_unrolling(
    graph: Graph, *, trips: int = 8, nodes: int = 64, bookkeeping: int = 4096, reshaping: int = 512
) -> bool:
    """Write out loops that run a known, small number of times (at most `trips`, `nodes` nodes in all).

    Loops that compute no tensors, only numbers and lists of them, mostly fold away: they may have `bookkeeping` nodes.
    So may those that go through tensors of different shapes, which have no other native form, and neither have those
    that carry a tensor whose shape is another one in every turn: they may have `reshaping` nodes.
    """
    changed = False
    for node in graph.walk():
        count = known_trips(node) if node.kind == "prim::Loop" and node.owner is not None else None
        if count is not None and _is_affordable(node, count, trips, nodes, bookkeeping, reshaping):
            write_out(node, count)
            changed = True
    return changed


def _is_affordable(loop: Node, count: int, trips: int, nodes: int, bookkeeping: int, reshaping: int) -> bool:
    if count <= 1:
        return True
    size = count * sum(node.kind != "prim::Constant" for node in loop.blocks[0].walk())
    if _is_bookkeeping(loop) or _goes_through_unlike(loop):
        return size <= bookkeeping
    if _loses_a_shape(loop):
        return size <= reshaping
    return count <= trips and size <= nodes


def write_out(loop: Node, count: int) -> None:
    """Put so many copies of the body in the place of a loop."""
    carried = list(loop.inputs[2:])
    introduced = introduced_symbols(loop.blocks[0])
    for iteration in range(count):
        carried = insert_turn(loop, introduced, iteration, carried)[1:]
    for output, value in zip(loop.outputs, carried):
        if not value.name:
            value.name = output.name
        replace_value(loop.graph, output, value)
    loop.destroy()


def _is_bookkeeping(loop: Node) -> bool:
    """The loop computes no tensors but those that say how large others are."""
    return not any(
        isinstance(output.type, TensorType) and not _is_small_and_known(output.type)
        for node in loop.blocks[0].walk()
        for output in node.outputs
    )


def _goes_through_unlike(loop: Node) -> bool:
    """A turn takes a tensor from a list made outside, by a changing number, and those in the list are not all alike."""
    body = loop.blocks[0]
    return any(
        _holds_unlike(node.inputs[0]) and not node.inputs[0].node.is_inside(body) and not node.inputs[1].is_constant
        for node in body.walk()
        if node.kind == "aten::__getitem__"
    )


def _loses_a_shape(loop: Node) -> bool:
    """A tensor that is carried begins with a known shape, and nobody knows with which it goes on."""
    starts = zip(loop.inputs[2:], loop.blocks[0].inputs[1:])
    types = ((start.type, carried.type) for start, carried in starts)
    return any(
        isinstance(start, TensorType) and isinstance(carried, TensorType) and start.is_typed and not carried.is_typed
        for start, carried in types
    )


def _holds_unlike(items: Value) -> bool:
    if items.node.kind != "prim::ListConstruct" or not isinstance(items.type, ListType):
        return False
    types = [value.type for value in items.node.inputs]
    return all(isinstance(type_, TensorType) for type_ in types) and any(type_ != types[0] for type_ in types)


def _is_small_and_known(type_: TensorType) -> bool:
    return type_.dtype is INT64 and type_.shape == ()


def known_trips(loop: Node) -> int | None:
    """How often a loop runs, None when only running tells."""
    limit, condition = loop.inputs[:2]
    if condition.is_constant and condition.constant is False:
        return 0
    if not limit.is_constant:
        return None
    if limit.constant <= 0:
        return 0
    going_on = loop.blocks[0].outputs[0]
    if not (condition.is_constant and going_on.is_constant):
        return None
    return int(limit.constant) if going_on.constant else 1


def insert_turn(loop: Node, introduced: set[str], iteration: int, carried: list[Value]) -> list[Value]:
    """Put a copy of a loop's turn before it; whether there would be another one, and what that would begin with."""
    graph, body = loop.graph, loop.blocks[0]
    with graph.inserting(loop):
        graph.current_source = loop.source
        number = graph.insert_constant(iteration, IntType(iteration))
    values = dict(zip(body.inputs, [number, *carried]))
    bindings: dict[str, Dim] = {}
    for parameter, argument in values.items():
        bind(bindings, parameter.type, argument.type)
    copies = [copy_node(node, graph, values).insert_before(loop) for node in body.nodes]
    renew_symbols(copies, introduced, bindings)
    return [values.get(value, value) for value in body.outputs]
