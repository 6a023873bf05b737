"""Concatenations: kernels write straight into their part of the result; only what lies elsewhere is copied."""

from __future__ import annotations

from optc.codegen.driver.copies import copy_kernel
from optc.codegen.driver.frame import Frame, Unsupported
from optc.codegen.kernels.emitter import emit_dim
from optc.codegen.kernels.native import Aggregate, MemoryTensor, fits_registers
from optc.ir.dims import Dim, symbols
from optc.ir.graph import Node, Value
from optc.ir.types import TensorType
from optc.ops.abstract import abstract, normalize_dim
from optc.ops.registry import Kernel, Operator, operator_of


def part_for(frame: Frame, value: Value) -> MemoryTensor | None:
    """Where a value that is about to be computed lies in the concatenation that alone reads it; None without one.

    The concatenation's memory is allocated with its first part.
    """
    node = _concatenation_of(value)
    if node is None or not _is_known(frame, node):
        return None
    dim = _along(node)
    if node.output not in frame.begun:
        frame.begun[node.output] = frame.allocate(node.output)
    result = frame.begun[node.output]
    before: Dim = 0
    for item in node.inputs[0].node.inputs:
        if item is value:
            break
        before = before + _extent(item, dim)
    part = _part(frame, result, value, before, dim)
    frame.parts[value] = part
    frame.share(value, node.output)
    return part


def _concatenation_of(value: Value) -> Node | None:
    """The node that concatenates the value with others, where nothing else reads it."""
    if len(value.uses) != 1 or value.uses[0].node.kind != "prim::ListConstruct":
        return None
    listed = value.uses[0].node
    if len(listed.output.uses) != 1 or listed.inputs.count(value) != 1:
        return None
    node = listed.output.uses[0].node
    operator = operator_of(node)
    if operator is None or not isinstance(operator.lowering, Kernel) or operator.lowering.name != "concatenate":
        return None
    return node if node.owner is value.node.owner and node.inputs[1].is_constant else None


def _is_known(frame: Frame, node: Node) -> bool:
    """True when the result's memory can be had now, and every part has its rank and type."""
    result = node.output.type
    if not isinstance(result, TensorType) or result.shape is None or fits_registers(result):
        return False
    if any(not symbols(extent) <= set(frame.symbols) for extent in result.shape):
        return False
    types = [item.type for item in node.inputs[0].node.inputs]
    return all(
        isinstance(type_, TensorType) and type_.dtype is result.dtype and type_.rank == result.rank for type_ in types
    )


def _along(node: Node) -> int:
    shape = abstract(node.output).shape
    return normalize_dim(abstract(node.inputs[1]), len(shape))


def _extent(item: Value, dim: int) -> Dim:
    assert isinstance(item.type, TensorType) and item.type.shape is not None
    return item.type.shape[dim]


def _part(frame: Frame, result: MemoryTensor, value: Value, before: Dim, dim: int) -> MemoryTensor:
    assert isinstance(value.type, TensorType) and value.type.shape is not None
    offset = emit_dim(frame.b, before * result.strides[dim], frame.symbols)
    pointer = frame.b.gep("i8", result.pointer, frame.b.mul(offset, result.dtype.itemsize))
    return MemoryTensor(result.dtype, pointer, value.type.shape, result.strides)


def emit(frame: Frame, node: Node, operator: Operator) -> None:
    """Copy what does not lie in its part yet. Raises Unsupported for lists of unknown length."""
    listed = frame.native(node.inputs[0])
    if not isinstance(listed, Aggregate):
        raise Unsupported(node, "the number of tensors is only known at run time")
    result = frame.begun.pop(node.output, None) or frame.allocate(node.output)
    dim = normalize_dim(abstract(node.inputs[1]), len(result.shape))
    before: Dim = 0
    for value in node.inputs[0].node.inputs:
        source = frame.in_memory(value)
        if source.shape == (0,):
            continue
        if frame.parts.pop(value, None) != source:
            part = _part(frame, result, value, before, dim)
            frame.call_kernel(copy_kernel(source, part), [source.pointer, part.pointer], [node.kind])
        before = before + source.shape[dim]
    frame.define(node.output, result)
