"""The pass `nested-questions`.

%n : Tensor = prim::If(%c)                       %n : Tensor, %q : bool = prim::If(%c)
  block0():                                        block0():
    %m = aten::_nested_tensor_from_mask(%x, ...)     %m = aten::_nested_tensor_from_mask(%x, ...)
    -> (%m)                                 =>       -> (%m, True)
  block1():                                        block1():
    -> (%x)                                          -> (%x, False)
%q : bool = prim::is_nested(%n)
"""

from __future__ import annotations

from optc.ir.graph import Graph, Node, Value
from optc.ir.types import BOOL
from optc.ops.nested import asks_for_nested, makes_nested, may_be_nested
from optc.ops.registry import operator_of
from optc.pipeline import graph_pass


@graph_pass("nested-questions", after={"inline": "a call may give back a nested tensor"})
def nested_questions(graph: Graph) -> bool:
    """Answer whether a tensor is nested by where it comes from: its type does not say it."""
    if not any(makes_nested(operator_of(node)) for node in graph.walk()):
        return False
    changed = False
    answers: dict[Value, Value] = {}
    for node in list(graph.walk()):
        if asks_for_nested(operator_of(node)) and may_be_nested(node.inputs[0]):
            node.output.replace_all_uses_with(_answer(node.inputs[0], answers, node))
            node.destroy()
            changed = True
    return changed


def _answer(value: Value, answers: dict[Value, Value], reader: Node) -> Value:
    """Whether `value` is nested; where branches decide, they tell."""
    while value.node.kind != "prim::If" and not makes_nested(operator_of(value.node)) and may_be_nested(value):
        value = value.node.inputs[0]
    node, graph = value.node, reader.graph
    if node.kind != "prim::If" or not may_be_nested(value):
        with graph.inserting(reader):
            return graph.insert_constant(may_be_nested(value), BOOL)
    if value not in answers:
        for block in node.blocks:
            block.add_output(_answer(block.outputs[value.offset], answers, block.return_node))
        answers[value] = node.add_output(BOOL)
    return answers[value]
