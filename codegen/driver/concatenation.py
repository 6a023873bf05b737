"""Concatenations: kernels write straight into their part of the result; only what lies elsewhere is copied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from optc.codegen.driver.copies import copy_kernel
from optc.codegen.driver.frame import Frame, Unsupported
from optc.codegen.driver.lowering import LoweredGroup
from optc.codegen.kernels.emitter import emit_dim
from optc.codegen.kernels.kernel import Buffer, renamed_stores
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
    placed = _placed(value)
    node = _concatenation_of(placed)
    if node is None or not _is_known(frame, node):
        return None
    dim = _along(node)
    if node.output not in frame.begun:
        frame.begun[node.output] = frame.allocate(node.output)
    result = frame.begun[node.output]
    before: Dim = 0
    for item in node.inputs[0].node.inputs:
        if item is placed:
            break
        before = before + _extent(item, dim)
    part = _part(frame, result, placed, before, dim)
    frame.parts[placed] = part
    frame.share(value, node.output)
    if placed is not value:
        part = replace(part, shape=_without(part.shape, dim), strides=_without(part.strides, dim))
    frame.offsets[value] = node.output, before * result.strides[dim]
    return part


def _placed(value: Value) -> Value:
    """What is concatenated: the value, or the value with one more dimension, along which that is done."""
    if len(value.uses) != 1 or value.uses[0].node.kind != "aten::unsqueeze":
        return value
    view = value.uses[0].node.output
    node = _concatenation_of(view)
    if node is None or view.node.owner is not value.node.owner or not view.node.inputs[1].is_constant:
        return value
    dim = abstract(view.node.inputs[1])
    return view if normalize_dim(dim, len(abstract(view).shape)) == _along(node) else value


def _without(dims: tuple[Dim, ...], place: int) -> tuple[Dim, ...]:
    return dims[:place] + dims[place + 1 :]


def interleaved(frame: Frame, lowered: LoweredGroup, parts: Mapping[Value, MemoryTensor | None]) -> LoweredGroup:
    """The kernel with one output for each two results that lie between each other's elements, as the real and the
    imaginary parts of complex numbers do: then whole vectors are written."""
    results: list[Value] = []
    moved: dict[str, tuple[Buffer, Dim]] = {}
    for value, buffer in zip(lowered.results, [b for b in lowered.kernel.buffers if b.role == "output"], strict=True):
        found = next((mine for mine in results if _are_twins(frame, parts, mine, value)), None)
        if found is None:
            results.append(value)
            continue
        outputs = [b for b in lowered.kernel.buffers if b.role == "output" and b.name not in moved]
        moved[buffer.name] = outputs[results.index(found)], 1
    if not moved:
        return lowered
    body = renamed_stores(lowered.kernel.body, moved)
    buffers = tuple(buffer for buffer in lowered.kernel.buffers if buffer.name not in moved)
    return replace(lowered, kernel=replace(lowered.kernel, buffers=buffers, body=body), results=results)


def _are_twins(frame: Frame, parts: Mapping[Value, MemoryTensor | None], first: Value, second: Value) -> bool:
    """Whether the elements of two results lie in one concatenation, those of the second right behind those of the first,
    and nothing else between them."""
    part, other = parts[first], parts[second]
    if part is None or other is None or part.strides != other.strides or not part.strides or part.strides[-1] != 2:
        return False
    if first not in frame.offsets or second not in frame.offsets:
        return False
    (node, before), (other_node, behind) = frame.offsets[first], frame.offsets[second]
    return node is other_node and behind - before == 1


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
        if not _is_there(frame.parts.pop(value, None), source):
            part = _part(frame, result, value, before, dim)
            frame.call_kernel(copy_kernel(source, part), [source.pointer, part.pointer], [node.kind])
        before = before + source.shape[dim]
    frame.define(node.output, result)


def _is_there(part: MemoryTensor | None, source: MemoryTensor) -> bool:
    """Whether a tensor lies in its part already."""
    if part is None or part.pointer != source.pointer or part.shape != source.shape:
        return False
    return all(extent == 1 or mine == other for extent, mine, other in zip(part.shape, part.strides, source.strides))
