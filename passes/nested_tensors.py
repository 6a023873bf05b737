"""The pass `nested-tensors`.

%n = aten::_nested_tensor_from_mask(%x, %mask)          %y = layer(%x, hidden by %mask)
%m = layer(%n)                                    =>    %p = aten::masked_fill(%y, not %mask, 0.)
%p = aten::to_padded_tensor(%m, 0., [...])

Where only one of two branches gives a nested tensor, both get copies of what reads it.
"""

from __future__ import annotations

from optc.ir.dims import Dim
from optc.ir.graph import Block, Graph, Node, Value, copy_node
from optc.ir.symbols import bind, binders, renew_symbols
from optc.ops.nested import makes_nested, may_be_nested, pad
from optc.ops.registry import operator_of
from optc.pipeline import graph_pass


@graph_pass(
    "nested-tensors",
    functional=True,
    after={
        "infer-shapes": "padded tensors must be known to fit their masks",
        "branch-simplification": "branches that are decided need no copies",
        "nested-questions": "what stands for a nested tensor does not look like one",
    },
)
def nested_tensors(graph: Graph) -> bool:
    """Let padded tensors and their masks stand for nested tensors."""
    if not any(makes_nested(operator_of(node)) for node in graph.walk()):
        return False
    changed = False
    while any(map(_separate, list(graph.walk()))):
        changed = True
    for node in list(graph.walk()):
        changed |= node.owner is not None and pad(node)
    return changed


def _separate(node: Node) -> bool:
    """Take what reads a nested tensor that may also be another one into the branches."""
    if node.kind != "prim::If" or not any(map(may_be_nested, node.outputs)):
        return False
    tail = _readers(node)
    if not tail:
        return False
    told = _told_by(tail)
    copies = [_copy_into(block, node, tail, told) for block in node.blocks]
    results = [value for inner in tail for value in inner.outputs if _is_read_behind(value, tail)]
    for value in results:
        value.replace_all_uses_with(node.add_output(value.type, value.name))
        for block, values in zip(node.blocks, copies):
            block.add_output(values[value])
    for inner in reversed(tail):
        inner.destroy()
    return True


def _readers(node: Node) -> list[Node]:
    """What follows a node in its block, up to the last that reads a tensor of the node which may be nested."""
    nested = {value for value in node.outputs if may_be_nested(value)}
    following: list[Node] = []
    last = 0
    reader = node.next
    while reader is not None and reader is not node.block.return_node:
        following.append(reader)
        if any(value in nested for inner in reader.walk() for value in _read(inner)):
            nested |= {value for value in reader.outputs if may_be_nested(value)}
            last = len(following)
        reader = reader.next
    return following[:last]


def _read(node: Node) -> list[Value]:
    """What a node reads, and what its blocks give back."""
    return [*node.inputs, *(value for block in node.blocks for value in block.outputs)]


def _told_by(nodes: list[Node]) -> set[str]:
    """Symbols that are only known through what these nodes make."""
    inside = {inner for node in nodes for inner in node.walk()}
    return {name for name, value in binders(nodes[0].graph).items() if _definer(value) in inside}


def _definer(value: Value) -> Node | None:
    """The node that makes a value, or whose block takes it."""
    return value.node.block.owning_node if value.is_parameter else value.node


def _copy_into(block: Block, node: Node, tail: list[Node], told: set[str]) -> dict[Value, Value]:
    """Let a branch do what follows it; returns what stands for which value there."""
    values = dict(zip(node.outputs, block.outputs))
    bindings: dict[str, Dim] = {}
    for output, given in values.items():
        bind(bindings, output.type, given.type)
    renew_symbols([block.append(copy_node(inner, node.graph, values)) for inner in tail], told, bindings)
    return values


def _is_read_behind(value: Value, tail: list[Node]) -> bool:
    return any(not any(use.node is inner or _holds(inner, use.node) for inner in tail) for use in value.uses)


def _holds(outer: Node, inner: Node) -> bool:
    return any(inner.is_inside(block) for block in outer.blocks)
