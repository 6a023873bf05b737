"""The pass `idle-dropout`.

%2 = aten::dropout(%1, %p, %false)    =>    (every reader of %2 reads %1)
%2 = aten::dropout(%1, 0, %train)     =>    (the same)
"""

from __future__ import annotations

from optc.ir.graph import Graph, Node
from optc.ops.effects import draws
from optc.ops.registry import operator_of
from optc.pipeline import graph_pass


@graph_pass("idle-dropout", after={"freeze": "whether a module is trained is a constant then"})
def idle_dropout(graph: Graph) -> bool:
    """Remove dropout that its flag or its rate tells to do nothing: PyTorch gives back the very tensor that it is given."""
    idle = [node for node in graph.walk() if _is_idle(node)]
    for node in idle:
        node.output.replace_all_uses_with(node.inputs[0])
        node.destroy()
    return bool(idle)


def _is_idle(node: Node) -> bool:
    operator = operator_of(node)
    if operator is None or not operator.random or operator.shares is None or operator.mutates:
        return False
    return operator.shares(node) and not draws(node)
