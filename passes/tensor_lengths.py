"""The pass `tensor-lengths`.

    for row, box in zip(scores, boxes):        # scores : Float(2, 9)
        found.append(row[box])                 => a loop with two turns, which `container-loops` can write out
    for part in scores.split(4, 1):            => a loop through [a, b, c]

Works on captured graphs, before `functionalize`: what such a loop changes is only known once it is written out. Shapes
are worked out as `infer-shapes` does. That holds although tensors change in place, as long as their shapes do not, and
for lists that nobody changes; of the others nothing is taken for known. The types found are not kept.
"""

from __future__ import annotations

from collections.abc import Mapping

from optc.ir.graph import Graph, Node, Value
from optc.ir.types import INT, TENSOR, IntType, TensorType
from optc.ops.effects import has_effects
from optc.ops.registry import operator_of
from optc.passes.aliasing import Aliasing
from optc.passes.container_loops import goes_through_a_list, is_split
from optc.passes.loop_unrolling import known_trips
from optc.passes.settled_memory import twins_with_types
from optc.passes.unpack_views import listed_parts
from optc.pipeline import graph_pass


@graph_pass("tensor-lengths", after={"local-containers": "lists that are seen through no longer change"})
def tensor_lengths(graph: Graph) -> bool:
    """Make extents that are known constants, where loops go through lists and nobody knows yet how often."""
    if not any(map(_is_open, graph.walk())):
        return False
    twins = None if any(map(_may_do_anything, graph.walk())) else twins_with_types(graph, Aliasing(graph))
    if twins is None:
        return False
    lengths, ranks = _known_lengths(graph, twins), _known_ranks(graph, twins)
    parts = _known_parts(lengths)
    for node, length in lengths.items():
        with graph.replacing(node):
            made = graph.insert_constant(length, IntType(length))
        node.output.replace_all_uses_with(made)
        node.destroy()
    for node, rank in ranks.items():
        _spell_out(graph, node, rank)
    for node, count in parts.items():
        _take_apart(graph, node, count)
    return bool(lengths or ranks)


_EXTENTS = ("aten::len", "aten::size", "aten::dim", "aten::numel")
"""Kinds that ask for an extent, or how many there are."""


def _is_open(node: Node) -> bool:
    return node.kind == "prim::Loop" and known_trips(node) is None and goes_through_a_list(node)


def _may_do_anything(node: Node) -> bool:
    """True for nodes of which nothing is known."""
    is_told = node.blocks or node.kind in ("prim::RaiseException", "prim::Print") or operator_of(node) is not None
    return not is_told and has_effects(node)


def _known_lengths(graph: Graph, twins: dict[Value, Value]) -> dict[Node, int]:
    """The operators that ask a tensor for a number or a list for its length, with the answers that are known."""
    found: dict[Node, int] = {}
    for node in graph.walk():
        operator = operator_of(node)
        if operator is None or operator.has_effects or len(node.outputs) != 1 or not node.inputs:
            continue
        type_ = twins[node.output].type
        parts = listed_parts(node.inputs[0].node) if node.kind == "aten::len" else None
        if parts is not None:
            found[node] = parts
        elif node.kind in _EXTENTS and isinstance(type_, IntType) and isinstance(type_.dim, int):
            found[node] = type_.dim
    return found


def _known_ranks(graph: Graph, twins: dict[Value, Value]) -> dict[Node, int]:
    """The operators that make a list of a tensor's extents, with how many these are."""
    found: dict[Node, int] = {}
    for node in graph.walk():
        if node.kind != "aten::size" or len(node.inputs) != 1:
            continue
        type_ = twins[node.inputs[0]].type
        if isinstance(type_, TensorType) and type_.shape is not None:
            found[node] = len(type_.shape)
    return found


def _known_parts(lengths: Mapping[Node, int]) -> dict[Node, int]:
    """The operators that split a tensor for a loop to go through the parts, with how many these are."""
    counts = {node.inputs[0].node: count for node, count in lengths.items() if node.kind == "aten::len"}
    return {node: count for node, count in counts.items() if is_split(node) and _is_gone_through(node)}


def _is_gone_through(node: Node) -> bool:
    readers = [use.node for use in node.output.uses if use.node.kind == "aten::__getitem__"]
    return any(not reader.inputs[1].is_constant for reader in readers)


def _take_apart(graph: Graph, node: Node, count: int) -> None:
    """x.split(2) = [a, b] with a, b = x.split(2)."""
    following, parts = node.next, node.output
    assert following is not None
    with graph.replacing(node, before=following):
        taken = graph.insert("prim::ListUnpack", [parts], (TENSOR,) * count)
        made = graph.insert("prim::ListConstruct", taken.outputs, (parts.type,)).output
    for use in list(parts.uses):
        if use.node is not taken:
            use.node.set_input(use.slot, made)


def _spell_out(graph: Graph, node: Node, rank: int) -> None:
    """size(x) = [size(x, 0), size(x, 1)]."""
    with graph.replacing(node):
        places = [graph.insert_constant(place, IntType(place)) for place in range(rank)]
        extents = [
            graph.insert("aten::size", [node.inputs[0], place], (INT,), overload="int").output for place in places
        ]
        made = graph.insert("prim::ListConstruct", extents, (node.output.type,)).output
    made.name = node.output.name
    node.output.replace_all_uses_with(made)
    node.destroy()
