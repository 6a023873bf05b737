"""The pass `strided-rows`.

    %y = aten::as_strided(%x, [5, 4], [2, 1])   =>   %y = aten::unfold(%x, -1, 4, 2)

where the elements of %x lie row by row. Native code keeps no other order, and cannot tell one from it.
"""

from __future__ import annotations

from optc.errors import OptcError
from optc.ir.graph import Graph, Node
from optc.ir.symbols import replace_value
from optc.ir.types import TensorType
from optc.ops.builder import Builder
from optc.ops.registry import operator_of
from optc.ops.strided_rows import FOR_ROWS, Rule
from optc.passes.decompose import decomposition_argument, remove_between
from optc.passes.memory_order import is_in_rows
from optc.pipeline import Context, graph_pass


@graph_pass(
    "strided-rows",
    functional=True,
    after={"infer-shapes": "extents say how far rows are apart"},
)
def strided_rows(graph: Graph, *, context: Context) -> bool:
    """Answer what programs ask about the memory of tensors whose elements lie row by row."""
    changed = [_answered(graph, node) for node in list(graph.walk())]
    context.needs_rows |= any(changed)
    return any(changed)


def _answered(graph: Graph, node: Node) -> bool:
    operator = operator_of(node)
    rule = None if operator is None else FOR_ROWS.get(operator.name)
    if rule is None or not isinstance(node.inputs[0].type, TensorType) or not node.inputs[0].type.is_typed:
        return False
    return is_in_rows(node.inputs[0], set()) and _computed(graph, node, rule)


def _computed(graph: Graph, node: Node, rule: Rule) -> bool:
    before = node.previous
    with graph.replacing(node):
        try:
            result = rule(Builder(graph), *map(decomposition_argument, node.inputs))
        except (OptcError, RuntimeError, IndexError, TypeError):  # TypeError: of a number that only running tells
            remove_between(before, node)
            return False
    replace_value(graph, node.output, result)
    node.destroy()
    return True
