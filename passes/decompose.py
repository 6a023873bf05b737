"""The pass `decompose`."""

from __future__ import annotations

from typing import Any

from optc.errors import OptcError
from optc.ir.bounds import assuming, turns_of
from optc.ir.dims import Symbolic
from optc.ir.graph import Graph, Node, Value
from optc.ir.symbols import replace_value
from optc.ir.types import UNKNOWN, IntType, ListType, TensorType
from optc.ops.builder import Builder
from optc.ops.registry import Decomposition, operator_of
from optc.pipeline import graph_pass

_DEPTH = 32


@graph_pass(
    "decompose",
    functional=True,
    after={"infer-shapes": "decompositions ask for element types and dimensions"},
)
def decompose(graph: Graph) -> bool:
    """Replace operators that are defined by other operators, until only those that have code of their own remain."""
    changed = False
    for _ in range(_DEPTH):
        nodes = [node for node in graph.walk() if _is_composite(node)]
        with assuming(turns_of(graph) if nodes else {}):
            replaced = [_replace(graph, node) for node in nodes]
        if not any(replaced):
            return changed
        changed = True
    raise RecursionError(f"{nodes[0].kind} decomposes into itself")


def _is_composite(node: Node) -> bool:
    operator = operator_of(node)
    if operator is None or operator.mutates or not isinstance(operator.lowering, Decomposition):
        return False
    return all(map(_is_typed, (*node.inputs, *(value for value in node.outputs if value.has_uses))))


def _is_typed(value: Value) -> bool:
    """True where all is known that decompositions ask for; they know nothing of quantised tensors."""
    if value.type is UNKNOWN:
        return False
    if not isinstance(value.type, TensorType):
        return True
    dtype = value.type.dtype
    return value.type.is_typed and dtype is not None and not dtype.is_quantized


def _replace(graph: Graph, node: Node) -> bool:
    """False for a node that stays: its decomposition needs more than is known, or refuses these arguments."""
    operator = operator_of(node)
    assert operator is not None and isinstance(operator.lowering, Decomposition)
    before = node.previous
    with graph.replacing(node):
        builder = Builder(graph)
        try:
            result = operator.lowering.function(builder, *map(decomposition_argument, node.inputs))
        except (OptcError, IndexError, TypeError):  # TypeError: it wants to know a number that only running tells
            remove_between(before, node)
            return False
        results = result if isinstance(result, tuple) and len(node.outputs) != 1 else (result,)
        values = [builder.value(item, output.type) for item, output in zip(results, node.outputs)]
    for output, value in zip(node.outputs, values):
        if not value.name and not value.is_parameter:
            value.name = output.name
        replace_value(graph, output, value)
    node.destroy()
    return True


def remove_between(before: Node | None, node: Node) -> None:
    """Take out what a decomposition had written before it gave up."""
    while node.previous is not None and node.previous is not before:
        node.previous.destroy()


def decomposition_argument(value: Value) -> Any:
    """What a decomposition gets for an argument: Python values where they are known, else the value itself."""
    if value.is_constant:
        return value if isinstance(value.type, TensorType) else value.constant
    if value.node.kind == "prim::ListConstruct" and isinstance(value.type, ListType):
        return [decomposition_argument(item) for item in value.node.inputs]
    if isinstance(value.type, IntType) and value.type.dim is not None and not isinstance(value.type.dim, Symbolic):
        return value.type.dim
    return value
