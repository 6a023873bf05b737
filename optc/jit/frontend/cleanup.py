"""What happens to a graph between its emission and the moment somebody looks at it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from optc.ir.graph import Block, Graph, Node, Use, Value
from optc.ir.types import BOOL, INT, TENSOR, EnumType, ListType, TupleType
from optc.jit.aliases import normalize_operators
from optc.jit.frontend.constants import MAX_INT, insert_constant, known
from optc.jit.frontend.dead_code import eliminate_dead_code
from optc.jit.frontend.folding import constant_key, propagate_constants
from optc.jit.frontend.forks import lift_forks
from optc.jit.frontend.type_rules import is_mutable


def clean_up(graph: Graph) -> None:
    """Bring a graph in SSA form into the form that TorchScript shows."""
    canonicalize_modified_loops(graph.block)
    normalize_operators(graph)
    for subgraph in lift_forks(graph):
        simplify(subgraph)
    simplify(graph)
    number_warnings(graph)


def simplify(graph: Graph) -> None:
    """Tuples, dead code, constants: what is repeated for the graph of every fork."""
    erase_list_literals(graph)
    lower_simple_tuples(graph.block)
    eliminate_dead_code(graph)
    if propagate_constants(graph):
        eliminate_dead_code(graph)
    pool_constants(graph)
    order_outputs(graph.block)


_warnings = itertools.count()


def number_warnings(graph: Graph) -> None:
    """Every place that warns does so once, as in Python: it is told by its number."""
    for node in graph.walk():
        if node.kind == "aten::warn":
            node.attributes.setdefault("warn_id", next(_warnings))


def canonicalize_modified_loops(block: Block) -> None:
    """A counted loop with a condition of its own becomes a while loop that counts."""
    for node in block.nodes:
        for nested in node.blocks:
            canonicalize_modified_loops(nested)
        if node.kind == "prim::Loop":
            _canonicalize_loop(node)


def _canonicalize_loop(node: Node) -> None:
    graph, body, trips = node.graph, node.blocks[0], node.inputs[0]
    runs_while = known(trips, int) == MAX_INT and not body.inputs[0].has_uses
    goes_on = known(node.inputs[1], bool) is True and known(body.outputs[0], bool) is True
    if runs_while or goes_on:
        return
    with graph.inserting(node):
        zero, one = insert_constant(graph, 0), insert_constant(graph, 1)
        condition = graph.insert("aten::gt", (trips, zero), (BOOL,), overload="int").output
        node.set_input(0, insert_constant(graph, MAX_INT))
        if known(node.inputs[1], bool) is not True:
            condition = graph.insert("aten::__and__", (condition, node.inputs[1]), (BOOL,), overload="bool").output
    node.set_input(1, condition)
    node.add_output(INT)
    node.add_input(zero)
    counter = body.add_input(INT)
    body.inputs[0].name = ""
    body.inputs[0].replace_all_uses_with(counter)
    with graph.inserting(body):
        next_counter = graph.insert("aten::add", (counter, one), (INT,), overload="int").output
        below = graph.insert("aten::lt", (next_counter, trips), (BOOL,), overload="int").output
        both = graph.insert("aten::__and__", (below, body.outputs[0]), (BOOL,), overload="bool").output
    body.add_output(next_counter)
    body.return_node.set_input(0, both)


def erase_list_literals(graph: Graph) -> None:
    """`[]` that matched nothing else is a list of tensors."""
    for node in list(graph.walk()):
        if node.kind != "prim::EmptyListLiteral":
            continue
        if node.output.has_uses:
            made = graph.create("prim::ListConstruct", (), (ListType(TENSOR),)).insert_before(node)
            made.source = node.source
            node.output.replace_all_uses_with(made.output)
        node.destroy()


def lower_simple_tuples(block: Block) -> None:
    """Elements of tuples that are made in sight are taken directly."""
    for node in block.nodes:
        _lower_tuple(node)
        for nested in node.blocks:
            lower_simple_tuples(nested)


def _lower_tuple(node: Node) -> None:
    if node.kind not in ("prim::TupleUnpack", "prim::TupleIndex"):
        return
    made = node.inputs[0].node
    if made.kind != "prim::TupleConstruct":
        return
    if node.kind == "prim::TupleUnpack":
        for output, value in zip(node.outputs, made.inputs):
            output.replace_all_uses_with(value)
        return
    place = known(node.inputs[1], int)
    assert isinstance(made.output.type, TupleType)
    count = len(made.output.type.elements)
    if place is not None and -count <= place < count:
        node.output.replace_all_uses_with(made.inputs[place])


def pool_constants(graph: Graph) -> None:
    """Equal constants become one, at the start of the graph."""
    pooled: dict[tuple[object, ...], Node] = {}
    first = graph.block.param_node.next
    assert first is not None
    anchor = graph.create("prim::Anchor").insert_before(first)
    for node in [node for node in graph.walk() if node.kind == "prim::Constant"]:
        existing = pooled.setdefault(constant_key(node), node) if _may_share(node) else node
        if existing is node:
            node.move_before(anchor)
            continue
        node.output.replace_all_uses_with(existing.output)
        node.destroy()
    anchor.destroy()


def _may_share(node: Node) -> bool:
    """Constants that can be changed keep their identity; torch keeps enumeration members apart as well."""
    type_ = node.output.type
    is_array = isinstance(node.attributes.get("value"), np.ndarray)
    return not is_mutable(type_) and not is_array and not isinstance(type_, EnumType)


def order_outputs(block: Block) -> None:
    """Outputs of ifs and loops in the order of their first uses."""
    for node in block.reversed_nodes:
        if node.kind in ("prim::If", "prim::Loop"):
            _order_outputs(node)
        for nested in node.blocks:
            order_outputs(nested)


def _order_outputs(node: Node) -> None:
    keys = [_first_use(value) for value in node.outputs]
    order = sorted(range(len(keys)), key=lambda place: (keys[place] is None, keys[place] or (), place))
    if order == list(range(len(order))):
        return
    offset = 0
    if node.kind == "prim::Loop":
        offset = 1
        body = node.blocks[0]
        node.set_inputs([*node.inputs[:2], *_permuted(node.inputs[2:], order)])
        body.param_node.outputs[1:] = _permuted(body.inputs[1:], order)
        _renumber(body.param_node)
    for block in node.blocks:
        block.return_node.set_inputs([*block.outputs[:offset], *_permuted(block.outputs[offset:], order)])
    node.outputs[:] = _permuted(node.outputs, order)
    _renumber(node)


def _permuted(values: Sequence[Value], order: Sequence[int]) -> list[Value]:
    return [values[place] for place in order]


def _renumber(node: Node) -> None:
    for place, value in enumerate(node.outputs):
        value.offset = place


def _first_use(value: Value) -> tuple[int, ...] | None:
    return min((_position(use) for use in value.uses), default=None)


def _position(use: Use) -> tuple[int, ...]:
    """The place of a use in the printed graph: positions of the enclosing nodes and blocks, then the input slot.

    A node comes before what stands in its blocks, hence the -1.
    """
    node: Node | None = use.node
    places: list[int] = [use.slot, -1]
    while node is not None:
        block = node.block
        block.number_nodes()
        places.append(node.position)
        owner = block.owning_node
        if owner is not None:
            places.append(owner.blocks.index(block))
        node = owner
    return tuple(reversed(places))
