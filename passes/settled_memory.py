"""The pass `settled-memory`: operators that share memory with their argument or copy it are settled where types tell which.

    y = x.reshape(-1)               y = x.view([-1])               where x lies row by row
    y.add_(1)                =>     y.add_(1)
    z = x.to(torch.float32)         z = x, or a copy               by the element type of x

`functionalize` refuses programs that write to a tensor and read what may or may not be the same memory. Here types are
inferred on a copy of the program, in which tensors may still change (their types do not), and strides are followed from
the arguments through views. Only what some write may hit is touched. Where strides of arguments had to be known, the
program is for arguments in rows (`Context.needs_rows`); others are interpreted.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.errors import OptcError
from optc.ir.dims import Dim
from optc.ir.graph import Graph, Node, Value
from optc.ir.types import BOOL, INT, NONE, TENSOR, ListType, TensorType
from optc.ops.abstract import unknown
from optc.ops.conversion import CONVERSIONS, asks_for_copy
from optc.ops.registry import Layout, Operator, operator_of
from optc.ops.result_order import keeps_rows
from optc.ops.shape import NEEDING_ROWS, RESHAPING
from optc.ops.shapes import contiguous_strides
from optc.ops.writes import VIEWS
from optc.passes.aliasing import Aliasing, is_container, written_argument
from optc.passes.facts import Facts
from optc.passes.infer_shapes import Inference
from optc.pipeline import Context, graph_pass, writes_memory

Strides = tuple[Dim, ...]


@graph_pass(
    "settled-memory",
    after={
        "freeze": "state must have become inputs",
        "settled-branches": "types are better known without branches that are not taken",
    },
)
def settled_memory(graph: Graph, *, context: Context) -> bool:
    """Make views or copies of `reshape`, `contiguous` and `to`, where types tell, in programs that write to memory."""
    if not any(map(writes_memory, graph.walk())):
        return False
    aliasing = Aliasing(graph)
    chosen = [node for node in graph.walk() if _is_open(node) and _is_hit(node, aliasing)]
    if not chosen:
        return False
    types = twins_with_types(graph, aliasing)
    if types is None:
        return False
    settling = _Settling(graph, context, types)
    changed = [settling.node(node) for node in chosen]
    context.needs_rows |= settling.needs_rows
    return any(changed)


def _is_open(node: Node) -> bool:
    """True for an operator that gives memory of its argument, or a copy."""
    operator = operator_of(node)
    if operator is None:
        return False
    if operator.name in VIEWS:
        return False
    return operator.name in CONVERSIONS or operator.name in RESHAPING or operator.name == "aten::contiguous"


def _is_hit(node: Node, aliasing: Aliasing) -> bool:
    place = aliasing.places.get(node.output)
    return place is not None and aliasing.written(place.storage)


# Types ----------------------------------------------------------------------------------------------------------------


class _ChangingFacts(Facts):
    """What is known of values while lists may still change."""

    def __init__(self, changing: set[Value]) -> None:
        super().__init__()
        self.changing = changing

    def abstract(self, value: Value) -> Any:
        return unknown(value.type) if value in self.changing else super().abstract(value)


class _ChangingInference(Inference):
    """Inference in a program that writes: no write may change a shape, and lists that change are not looked into."""

    def __init__(self, graph: Graph, changing: set[Value]) -> None:
        super().__init__(graph, Context())
        self.facts = _ChangingFacts(changing)
        self.changing = changing
        self.reshapes = False

    def node(self, node: Node) -> None:
        super().node(node)
        for output in node.outputs:
            if output in self.changing:
                output.type = self.types_before[output]
        target = written_argument(node)
        if target is not None and isinstance(target.type, TensorType):
            self.reshapes |= not _is_same_shape(target, node)

    def with_size(self, node: Node, operator: Operator, arguments: list[Any], result: Any) -> Any:
        """Tensors that hold sizes may change here."""
        return result


def _is_same_shape(target: Value, node: Node) -> bool:
    result = node.outputs[0].type if node.outputs else target.type
    return isinstance(result, TensorType) and isinstance(target.type, TensorType) and result.shape == target.type.shape


def twins_with_types(graph: Graph, aliasing: Aliasing) -> dict[Value, Value] | None:
    """For every value its twin in a copy of the graph that has types; None where a write may change a shape."""
    copy = graph.copy()
    twins = dict(zip(graph.values(), copy.values(), strict=True))
    changing = {
        twins[value] for value, place in aliasing.places.items()
        if is_container(value.type) and aliasing.written(place.storage)
    }  # fmt: skip
    inference = _ChangingInference(copy, changing)
    inference.block(copy.block)
    return None if inference.reshapes else twins


# Strides --------------------------------------------------------------------------------------------------------------


class _Settling:
    def __init__(self, graph: Graph, context: Context, twins: dict[Value, Value]) -> None:
        self.graph = graph
        self.twins = twins
        self.state = {slot.input for slot in context.slots}
        self.facts = Facts()
        self.needs_rows = False
        self.asks_arguments = False

    def node(self, node: Node) -> bool:
        """Settle one node. True when it changed."""
        operator = operator_of(node)
        assert operator is not None
        if operator.name in CONVERSIONS:
            return self.conversion(node, operator)
        self.asks_arguments = False
        try:
            settle = self.contiguous if operator.name == "aten::contiguous" else self.reshaping
            settled = settle(node, operator)
        except (OptcError, IndexError, RuntimeError, ValueError, TypeError):  # it fails when it runs, or nobody knows
            return False
        self.needs_rows |= settled and self.asks_arguments
        return settled

    def conversion(self, node: Node, operator: Operator) -> bool:
        before, after = (self.twins[value].type for value in (node.inputs[0], node.output))
        known = isinstance(before, TensorType) and isinstance(after, TensorType) and before.dtype and after.dtype
        copies = asks_for_copy(operator, [value.constant if value.is_constant else ... for value in node.inputs])
        if not known or copies is None:
            return False
        assert isinstance(before, TensorType) and isinstance(after, TensorType) and after.dtype is not None
        if before.dtype is after.dtype and not copies:
            self.replace(node, node.inputs[0])
            return True
        with self.graph.replacing(node):
            code, none = self.graph.insert_constant(after.dtype.code, INT), self.graph.insert_constant(None, NONE)
            false = self.graph.insert_constant(False, BOOL)
            inputs = (node.inputs[0], code, none, none, none, false, none)
            made = self.graph.insert("aten::_to_copy", inputs, (TENSOR,), overload="").output
        self.replace(node, made)
        return True

    def contiguous(self, node: Node, operator: Operator) -> bool:
        order = node.inputs[1]
        strides = self.strides(self.twins[node.inputs[0]])
        if strides is None or not order.is_constant or order.constant != 0:
            return False
        if _are_rows(_shape(self.twins[node.inputs[0]]), strides):
            self.replace(node, node.inputs[0])
        else:
            self.replace(node, self.copied(node))
        return True

    def reshaping(self, node: Node, operator: Operator) -> bool:
        source = self.twins[node.inputs[0]]
        strides = self.strides(source)
        if strides is None:
            return False
        if RESHAPING[operator.name](_shape(source), *self.arguments(self.twins[node.output].node)):
            self.replace(node, node.inputs[0])
            return True
        placed = self.placed(self.twins[node.output].node, operator, strides)
        if operator.name in NEEDING_ROWS and not _are_rows(_shape(source), strides):
            placed = None
        with self.graph.replacing(node):
            base = node.inputs[0] if placed is not None else self.copied(node)
            size = self.size(node)
            made = self.graph.insert("aten::view", (base, size), (TENSOR,), overload="").output
        self.replace(node, made)
        return True

    def size(self, node: Node) -> Value:
        """The extents of the result, as a list of ints: where they are no numbers, those of the result itself."""
        shape = _shape(self.twins[node.output])
        if all(isinstance(dim, int) for dim in shape):
            numbers = [self.graph.insert_constant(dim, INT) for dim in shape]
            return self.graph.insert("prim::ListConstruct", numbers, (ListType(INT),)).output
        again = self.graph.insert(node.kind, node.inputs, (TENSOR,), overload=node.overload).output
        return self.graph.insert("aten::size", (again,), (ListType(INT),), overload="").output

    def copied(self, node: Node) -> Value:
        """A copy of the node's argument, row by row."""
        with self.graph.replacing(node):
            rows = self.graph.insert_constant(0, INT)
            return self.graph.insert("aten::clone", (node.inputs[0], rows), (TENSOR,), overload="").output

    def replace(self, node: Node, value: Value) -> None:
        if not value.name:
            value.name = node.output.name
        self.twins.setdefault(value, self.twins[node.output])
        node.output.replace_all_uses_with(value)
        node.destroy()

    def arguments(self, node: Node) -> list[Any]:
        return [self.facts.abstract(value) for value in node.inputs[1:]]

    def placed(self, node: Node, operator: Operator, strides: Strides) -> Any:
        """Extents, strides and offset of a view; None where a copy is made."""
        assert isinstance(operator.lowering, Layout)
        return operator.lowering.function(_shape(node.inputs[0]), strides, 0, *self.arguments(node))

    def strides(self, value: Value) -> Strides | None:
        """How the elements of a tensor lie, if that is certain; extents of 1 may have any stride."""
        if not isinstance(value.type, TensorType) or value.type.shape is None:
            return None
        if value.is_parameter:
            return self.strides_of_parameter(value)
        if value.is_constant:
            return (
                _rows(value) if isinstance(value.constant, np.ndarray) and value.constant.flags.c_contiguous else None
            )
        operator = operator_of(value.node)
        if operator is None:
            return None
        target = written_argument(value.node)
        if target is not None:
            return self.strides(target)
        if isinstance(operator.lowering, Layout) and (operator.is_view or operator.shares is not None):
            return self.strides_of_view(value.node, operator)
        return _rows(value) if self.is_made_in_rows(value.node, operator) else None

    def strides_of_parameter(self, value: Value) -> Strides | None:
        if value.node.block.owning_node is not None or value.offset in self.state:
            return None
        self.asks_arguments = True
        return _rows(value)

    def strides_of_view(self, node: Node, operator: Operator) -> Strides | None:
        strides = self.strides(node.inputs[0])
        if strides is None:
            return None
        placed = self.placed(node, operator, strides)
        return _rows(node.output) if placed is None else tuple(placed[1])

    def is_made_in_rows(self, node: Node, operator: Operator) -> bool:
        """True for results of operators that keep the order of their operands, when all of these are in rows."""
        if operator.name in ("aten::contiguous", "aten::clone") and node.inputs[1].is_constant:
            return node.inputs[1].constant == 0 or self.is_in_rows(node.inputs[0])
        if operator.is_view and operator.name not in CONVERSIONS:
            return False
        return keeps_rows(operator) and all(map(self.is_in_rows, node.inputs))

    def is_in_rows(self, value: Value) -> bool:
        if not value.is_parameter and value.node.kind == "prim::ListConstruct":
            return all(map(self.is_in_rows, value.node.inputs))
        if not isinstance(value.type, TensorType):
            return not is_container(value.type) or not isinstance(getattr(value.type, "element", None), TensorType)
        strides = self.strides(value)
        return strides is not None and _are_rows(_shape(value), strides)


def _shape(value: Value) -> tuple[Dim, ...]:
    assert isinstance(value.type, TensorType) and value.type.shape is not None
    return value.type.shape


def _rows(value: Value) -> Strides:
    return contiguous_strides(_shape(value))


def _are_rows(shape: tuple[Dim, ...], strides: Strides) -> bool:
    return all(
        extent == 1 or mine == rows
        for extent, mine, rows in zip(shape, strides, contiguous_strides(shape), strict=True)
    )
