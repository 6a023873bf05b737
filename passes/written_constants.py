"""What `freeze` does to tensors that are constants of a program, and that it writes to.

    %total : Tensor = prim::Constant[value={0}]()
    %sum : Tensor = aten::add_(%total, %x)              =>    %total is an input, and its last contents are an output

A trace has what `torch.tensor` makes as a constant, and PyTorch lets it keep what one call wrote for the next one. So does
the interpreter, in the array that the node holds: that array is the state.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.eager.dispatch import wrap
from optc.errors import UnsupportedError
from optc.ir.function import ClassType, ScriptObject
from optc.ir.graph import Graph, Node
from optc.ir.optimized import Slot
from optc.ops.builder import constant_type
from optc.passes.aliasing import Aliasing
from optc.pipeline import Context

Array = np.ndarray[Any, Any]


def take_written_constants(graph: Graph, context: Context, aliasing: Aliasing, held: list[Array]) -> bool:
    """Make inputs and outputs of constants that are written; True when there were any.

    Raises UnsupportedError where one shares memory with something else: with another constant, or with any of `held`.
    """
    families = _families(graph)
    written = [nodes for nodes in families if any(_is_written(aliasing, node) for node in nodes)]
    if not written:
        return False
    others = [*held, *(nodes[0].output.constant for nodes in families)]
    for number, nodes in enumerate(written):
        array = nodes[0].output.constant
        if any(other is not array and np.may_share_memory(other, array) for other in others):
            raise UnsupportedError("a constant is written and shares memory with something else", nodes[0].source)
        _take(graph, context, nodes, f"constant{number}")
    return True


def _families(graph: Graph) -> list[list[Node]]:
    """The nodes of tensor constants, those of one array together."""
    found: dict[int, list[Node]] = {}
    for node in graph.walk():
        if node.kind == "prim::Constant" and isinstance(node.output.constant, np.ndarray):
            found.setdefault(id(node.output.constant), []).append(node)
    return list(found.values())


def _is_written(aliasing: Aliasing, node: Node) -> bool:
    place = aliasing.places.get(node.output)
    return place is not None and aliasing.written(place.storage)


def _take(graph: Graph, context: Context, nodes: list[Node], name: str) -> None:
    array = nodes[0].output.constant
    owner = ScriptObject(ClassType("constants"), {name: wrap(array)})
    value = graph.add_input(constant_type(array), name)
    place, output = len(graph.inputs) - 1, len(graph.outputs)
    context.slots.append(Slot("buffer", name, place, output, owner, value.type))
    for node in nodes:
        node.output.replace_all_uses_with(value)
        node.destroy()
    graph.add_output(value)
