"""Where the elements of tensors lie: strides followed from arguments through views, in programs that may write to memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from optc.dataclass import dataclass
from optc.errors import OptcError
from optc.ir.dims import Dim, fresh
from optc.ir.graph import Node, Value
from optc.ir.types import ListType, TensorType
from optc.ops.abstract import same_dim
from optc.ops.conversion import CONVERSIONS
from optc.ops.registry import Layout, Operator, operator_of
from optc.ops.result_order import keeps_rows
from optc.ops.shapes import contiguous_strides
from optc.passes.aliasing import written_argument
from optc.passes.facts import Facts

Strides = tuple[Dim, ...]
FAILURES = (OptcError, IndexError, RuntimeError, ValueError, TypeError)
"""What the rules of an operator raise for arguments that it refuses, or that nobody knows yet."""


@dataclass(frozen=True, slots=True)
class Laid:
    """How a tensor lies (extents of 1 may have any stride), and whether that holds only for arguments in rows."""

    strides: Strides
    of_arguments: bool = False


class LaidTensors:
    """How every tensor of a typed program lies, where that is certain: worked out once, in the order of `Graph.values`.

    `state` holds the places of parameters that callers do not pass: nobody knows how they lie.
    """

    def __init__(self, values: Iterable[Value], state: set[int]) -> None:
        self._facts = Facts()
        self._state = state
        self._known: dict[Value, Laid] = {}
        for value in values:
            laid = self._laid(value)
            if laid is not None:
                self._known[value] = laid

    def of(self, value: Value) -> Laid | None:
        """How a tensor lies; None where that is not certain."""
        return self._known.get(value)

    def placed(self, node: Node, operator: Operator, strides: Strides) -> Any:
        """Extents, strides and offset of a view of a tensor with these strides; None where a copy is made."""
        return self.viewed(node, operator, (shape_of(node.inputs[0]), strides, 0))

    def viewed(self, node: Node, operator: Operator, source: tuple[Strides, Strides, Dim]) -> Any:
        """Extents, strides and offset of a view of what has these; None where a copy is made."""
        assert isinstance(operator.lowering, Layout)
        return operator.lowering.function(*source, *self.arguments(node))

    def repeats(self, value: Value) -> bool:
        """True for a view that certainly shows some elements more than once, or has none, however its source lies."""
        operator = operator_of(value.node)
        if operator is None or not isinstance(operator.lowering, Layout):
            return False
        try:
            unknown = tuple(fresh() for _ in shape_of(value.node.inputs[0]))
            placed = self.placed(value.node, operator, unknown)
        except (*FAILURES, AssertionError):
            return False
        return placed is not None and any(
            stride == 0 and same_dim(extent, 1) is False for extent, stride in zip(placed[0], placed[1])
        )

    def arguments(self, node: Node) -> list[Any]:
        """What is known of the arguments behind the first."""
        return [self._facts.abstract(value) for value in node.inputs[1:]]

    def _laid(self, value: Value) -> Laid | None:
        if not isinstance(value.type, TensorType) or value.type.shape is None:
            return None
        if value.is_parameter:
            return self._laid_parameter(value)
        if value.is_constant:
            return Laid(rows_of(value)) if value.constant.flags.c_contiguous else None
        try:
            return self._laid_result(value)
        except FAILURES:
            return None

    def _laid_parameter(self, value: Value) -> Laid | None:
        if value.node.block.owning_node is not None or value.offset in self._state:
            return None
        return Laid(rows_of(value), of_arguments=True)

    def _laid_result(self, value: Value) -> Laid | None:
        operator = operator_of(value.node)
        if operator is None:
            return None
        target = written_argument(value.node)
        if target is not None:
            return self.of(target)
        if isinstance(operator.lowering, Layout) and (operator.is_view or operator.shares is not None):
            return self._laid_view(value.node, operator)
        return self._laid_value(value, operator)

    def _laid_view(self, node: Node, operator: Operator) -> Laid | None:
        source = self.of(node.inputs[0])
        if source is None:
            return None
        placed = self.placed(node, operator, source.strides)
        return Laid(rows_of(node.output) if placed is None else tuple(placed[1]), source.of_arguments)

    def _laid_value(self, value: Value, operator: Operator) -> Laid | None:
        """Results of operators that keep the order of their operands lie in rows when all of these do."""
        if operator.name in ("aten::contiguous", "aten::clone") and value.node.inputs[1].is_constant:
            if value.node.inputs[1].constant == 0:
                return Laid(rows_of(value))
            return self._in_rows(value, value.node.inputs[:1])
        if operator.is_view and operator.name not in CONVERSIONS:
            return None
        return self._in_rows(value, value.node.inputs) if keeps_rows(operator) else None

    def _in_rows(self, value: Value, operands: Iterable[Value]) -> Laid | None:
        of_arguments = False
        for operand in _flat(operands):
            if not isinstance(operand.type, TensorType):
                if _holds_tensors(operand):
                    return None
                continue
            laid = self.of(operand)
            if laid is None or not are_rows(shape_of(operand), laid.strides):
                return None
            of_arguments |= laid.of_arguments
        return Laid(rows_of(value), of_arguments)


def _flat(operands: Iterable[Value]) -> Iterable[Value]:
    """Operands, with the items of lists that are written in place."""
    for operand in operands:
        if operand.is_parameter or operand.node.kind != "prim::ListConstruct":
            yield operand
        else:
            yield from operand.node.inputs


def _holds_tensors(operand: Value) -> bool:
    return isinstance(operand.type, ListType) and isinstance(operand.type.element, TensorType)


def shape_of(value: Value) -> tuple[Dim, ...]:
    """The extents of a tensor whose rank is known."""
    assert isinstance(value.type, TensorType) and value.type.shape is not None
    return value.type.shape


def rows_of(value: Value) -> Strides:
    """The strides that a tensor has in rows."""
    return contiguous_strides(shape_of(value))


def are_rows(shape: tuple[Dim, ...], strides: Strides) -> bool:
    """True for strides of a tensor in rows."""
    return all(
        extent == 1 or mine == rows
        for extent, mine, rows in zip(shape, strides, contiguous_strides(shape), strict=True)
    )
