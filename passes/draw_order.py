"""The pass `draw-order`.

    %y = aten::conv2d(%x, ...)               %y = aten::conv2d(%x, ...)
    %z = aten::dropout(%y, 0.5, True)   =>   %r = prim::InRows(%y)
                                             %z = aten::dropout(%r, 0.5, True)

Random numbers are drawn in the order in which the elements of a tensor lie in memory in PyTorch. How operators are
decomposed later says nothing of that, nor does what is left once copies have been seen to be of no use: it is found out
here, where they are PyTorch's. A tensor that lies row by row is said to; what is drawn for the elements of a permuted
one is drawn for the tensor that was permuted, and permuted then. Of `zeros_like(x)`, which will know nothing of `x` any
more, `prim::OutOfRows` says that its order is another one.
"""

from __future__ import annotations

from optc.ir.graph import Graph, Node, Value
from optc.ir.types import TensorType
from optc.ops.builder import Builder
from optc.ops.effects import follows_memory
from optc.ops.registry import Decomposition, Kernel, operator_of
from optc.passes.memory_order import is_in_order, is_in_rows, makes_rows, permutation_of, source_of_order
from optc.pipeline import graph_pass


@graph_pass(
    "draw-order",
    functional=True,
    after={"infer-shapes": "views are known by their shapes"},
)
def draw_order(graph: Graph) -> bool:
    """Say of tensors for which random numbers are drawn that they lie row by row, where they do in PyTorch."""
    nodes = list(graph.walk())
    drawing = [node for node in nodes if follows_memory(node)]
    changed = False
    for node in nodes if drawing else ():
        changed |= makes_rows(node) and _keep_rows(graph, node)
    for node in drawing:
        changed |= _settle(graph, node)
    return changed


def _keep_rows(graph: Graph, node: Node) -> bool:
    """What brings elements into rows is of no use to native code, and would be taken out."""
    source = node.inputs[0]
    if node.kind == "prim::InRows" or not isinstance(source.type, TensorType) or not source.type.is_typed:
        return False
    with graph.replacing(node):
        node.output.replace_all_uses_with(Builder(graph)("prim::InRows", source))
    node.destroy()
    return True


def _settle(graph: Graph, node: Node) -> bool:
    operator, given = operator_of(node), node.inputs[0]
    if operator is None or not isinstance(operator.lowering, Decomposition | Kernel):
        return False
    like = given.node.inputs[0] if given.node.kind == "prim::OutOfRows" else given
    if not isinstance(like.type, TensorType) or not like.type.is_typed or not _is_computed(like):
        return False
    ordered = source_of_order(like)
    if is_in_rows(like, set()) or ordered is not like and is_in_order(ordered, set()):
        return _say(graph, node, "prim::InRows", like)
    found = permutation_of(ordered)
    if found is not None and operator.is_elementwise and is_in_rows(found[0], set()):
        _draw_before(graph, node, like, *found)
        return True
    return ordered is not like and given is like and _say(graph, node, "prim::OutOfRows", like)


def _say(graph: Graph, node: Node, kind: str, like: Value) -> bool:
    with graph.replacing(node):
        node.set_input(0, Builder(graph)(kind, like))
    return True


def _is_computed(value: Value) -> bool:
    """True for what an operator makes of other tensors, unless that has been settled."""
    node = value.node
    reads = any(isinstance(item.type, TensorType) for item in node.inputs)
    return operator_of(node) is not None and node.kind != "prim::InRows" and reads


def _draw_before(graph: Graph, node: Node, like: Value, source: Value, order: tuple[int, ...]) -> None:
    """Let an elementwise draw go before the permutation of its argument, or of what that has its order from."""
    operator = operator_of(node)
    assert operator is not None
    with graph.replacing(node):
        b = Builder(graph)
        if source_of_order(like) is not like:
            source = b("aten::permute", like, [order.index(place) for place in range(len(order))])
        drawn = b(operator.name, b("prim::InRows", source), *node.inputs[1:])
        result = b("aten::permute", drawn, list(order))
    node.output.replace_all_uses_with(result)
    node.destroy()
