"""Results that are computed where they belong: what computes a returned tensor writes it there, through views."""

from __future__ import annotations

from optc.codegen.driver.frame import tensor_type
from optc.codegen.kernels.native import contiguous_strides, fits_registers
from optc.ir.dims import product
from optc.ir.graph import Node, Value
from optc.ops.abstract import abstract
from optc.ops.registry import Kernel, Layout, operator_of

WRITTEN_OVER = frozenset({Kernel("scatter"), Kernel("select_scatter")})
"""What writes into the memory of its first argument where nobody else looks at that."""


def computed_as(value: Value) -> Value:
    """The tensor to compute where `value` belongs: itself, or what it shows all elements of, or is written over."""
    source = value
    while _continues(source):
        source = source.node.inputs[0]
    return value if source.node.kind in ("prim::Param", "prim::Constant") else source


def _continues(value: Value) -> bool:
    node = value.node
    operator = operator_of(node)
    if operator is None or len(node.outputs) != 1 or node.inputs[0].node.owner is not node.owner:
        return False
    if isinstance(operator.lowering, Layout):
        return shows_all(node)
    return operator.lowering in WRITTEN_OVER and len(node.inputs[0].uses) == 1 and _is_same_memory(node)


def _is_same_memory(node: Node) -> bool:
    """Whether a node's result takes as much memory as its first argument, and neither is in registers."""
    first, result = tensor_type(node.inputs[0]), tensor_type(node.output)
    return (first.dtype, first.shape) == (result.dtype, result.shape) and not fits_registers(result)


def shows_all(node: Node) -> bool:
    """Whether a view has all elements of a tensor without gaps, in their order."""
    operator = operator_of(node)
    if operator is None or not isinstance(operator.lowering, Layout) or len(node.outputs) != 1:
        return False
    source, shown = tensor_type(node.inputs[0]), tensor_type(node.output)
    if source.shape is None or shown.shape is None or source.dtype is not shown.dtype:
        return False
    arguments = map(abstract, node.inputs[1:])
    placed = operator.lowering.function(source.shape, contiguous_strides(source.shape), 0, *arguments)
    if placed is None or placed[2] != 0 or product(source.shape) != product(shown.shape):
        return False
    wanted = contiguous_strides(shown.shape)
    return all(
        extent == 1 or stride == want for extent, stride, want in zip(shown.shape, placed[1], wanted, strict=True)
    )
