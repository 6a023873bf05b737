"""How much work one run of a graph is, before any code exists: enough to say whether it takes microseconds or more."""

from __future__ import annotations

from optc.ir.dims import Dim, product
from optc.ir.graph import Block, Graph, Node, Value
from optc.ir.types import IntType, TensorType
from optc.ops.group_products import MATRIX_PRODUCTS
from optc.ops.registry import Kernel, Pointwise, Reduction, operator_of

POINTWISE, REDUCTION, MOVED = 10, 4, 2
"""Instructions per element: of the result, of what is reduced, of what is copied or gathered."""

SORTED = 60
"""Instructions per element of what is sorted, where only a few are kept; all of it takes longer."""

NODE = 100
"""What a node costs besides, as instructions: two nanoseconds."""

DRAWN = 40
"""Instructions per random number."""

UNKNOWN_TURNS = 100
"""A loop that ends when its condition says so is taken to turn so often."""


def graph_operations(graph: Graph) -> Dim:
    """The work of one run, counted like that of `Frame.call_split`, in terms of the graph's symbols."""
    return _block_operations(graph.block)


def _block_operations(block: Block) -> Dim:
    total: Dim = 0
    for node in block.nodes:
        total = total + _node_operations(node)
    return total


def _node_operations(node: Node) -> Dim:
    if node.kind == "prim::Constant":
        return 0
    inner: Dim = 0
    for block in node.blocks:
        inner = inner + _block_operations(block)
    if node.kind == "prim::Loop":
        inner = inner * _turns(node)
    return inner + _own_operations(node) + NODE


def _turns(node: Node) -> Dim:
    limit, first = node.inputs[0], node.inputs[1]
    again = node.blocks[0].outputs[0]
    may_end_early = not (first.is_constant and again.is_constant)
    if limit.is_constant and isinstance(limit.constant, int):
        return min(limit.constant, UNKNOWN_TURNS) if may_end_early else limit.constant
    known = limit.type.dim if isinstance(limit.type, IntType) else None
    return UNKNOWN_TURNS if known is None or may_end_early else known


def _own_operations(node: Node) -> Dim:
    operator = operator_of(node)
    if operator is None:
        return 0
    results: Dim = 0
    for output in node.outputs:
        results = results + _elements(output)
    match operator.lowering:
        case Pointwise():
            return results * POINTWISE
        case Reduction():
            return _elements(node.inputs[0]) * REDUCTION
        case Kernel() if operator.lowering in MATRIX_PRODUCTS:
            return results * _inner_extent(node)
        case Kernel(name="sort"):
            return _elements(node.inputs[0]) * SORTED
        case Kernel(name=name) if name.startswith("draw_"):
            return results * DRAWN
        case Kernel():
            return results * MOVED
    return 0


def _elements(value: Value) -> Dim:
    type_ = value.type
    return product(type_.shape) if isinstance(type_, TensorType) and type_.shape is not None else 0


def _inner_extent(node: Node) -> Dim:
    """The extent that a matrix product sums over: the last one but one of its right operand."""
    shapes = [value.type.shape for value in node.inputs if isinstance(value.type, TensorType) and value.type.shape]
    return shapes[-1][-2] if len(shapes) > 1 else 1
