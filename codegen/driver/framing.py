"""Results that lie in a frame: what computes a tensor that only padding reads writes it where it belongs."""

from __future__ import annotations

from optc.codegen.driver.frame import Frame, tensor_type
from optc.codegen.driver.result_places import shows_all
from optc.codegen.kernels.emitter import emit_dim
from optc.codegen.kernels.expression import memory_type
from optc.codegen.kernels.native import MemoryTensor, fits_registers
from optc.ir.dims import Dim, symbols
from optc.ir.graph import Node, Value
from optc.ops.abstract import abstract
from optc.ops.joining import pad_pairs
from optc.ops.registry import Kernel, operator_of


def part_for(frame: Frame, value: Value, folds: bool = True) -> MemoryTensor | None:
    """Where a value that is about to be computed lies in the padded tensor that alone reads it, as what it is or, if it
    `folds`, folded into more dimensions; None without one. The padded tensor's memory is allocated here."""
    source = _unfolded(value) if folds else value
    node = source.uses[0].node if len(source.uses) == 1 else None
    operator = None if node is None else operator_of(node)
    if node is None or operator is None or operator.lowering != Kernel("pad") or node.inputs[0] is not source:
        return None
    if node.owner is not value.node.owner or value in frame.destinations or not _is_known(frame, node):
        return None
    pairs = pairs_of(node)
    if any(not isinstance(number, int) or number < 0 for pair in pairs for number in pair) or pairs[-1] != (0, 0):
        return None
    frame.begun[node.output] = result = frame.allocate(node.output)
    part = moved(frame, result, [before for before, _ in pairs], tensor_type(source).shape or ())
    frame.parts[source] = part
    frame.share(value, node.output)
    return part


def _is_known(frame: Frame, node: Node) -> bool:
    """True when the padded tensor's memory can be had now, and its elements are those of what is padded."""
    type_ = tensor_type(node.output)
    if type_.shape is None or fits_registers(type_) or tensor_type(node.inputs[0]).dtype is not type_.dtype:
        return False
    return all(symbols(dim) <= set(frame.symbols) for dim in type_.shape)


def _unfolded(value: Value) -> Value:
    """The tensor that a matrix is read as, where a view folds its rows and nothing else reads it; else the value."""
    if len(value.uses) != 1 or tensor_type(value).rank != 2:
        return value
    view = value.uses[0].node
    if not shows_all(view):
        return value
    matrix, shape = tensor_type(value).shape or (), tensor_type(view.output).shape or ()
    return view.output if len(shape) > 2 and shape[-1] == matrix[-1] else value


def pairs_of(node: Node) -> list[tuple[Dim, Dim]]:
    """How much a node of padding adds before and behind every dimension."""
    shape = tensor_type(node.inputs[0]).shape
    assert shape is not None
    return pad_pairs(shape, abstract(node.inputs[1]))


def moved(frame: Frame, memory: MemoryTensor, places: list[Dim], shape: tuple[Dim, ...]) -> MemoryTensor:
    """The part of a tensor that begins at `places`."""
    offset: Dim = 0
    for place, stride in zip(places, memory.strides):
        offset = offset + place * stride
    pointer = memory.pointer
    if offset != 0:
        pointer = frame.b.gep(memory_type(memory.dtype), pointer, emit_dim(frame.b, offset, frame.symbols))
    return MemoryTensor(memory.dtype, pointer, shape, memory.strides)
