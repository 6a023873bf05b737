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

from optc.ir.dims import Symbolic, fresh
from optc.ir.graph import Graph, Node, Value
from optc.ir.types import BOOL, INT, NONE, TENSOR, ListType, TensorType
from optc.ops.abstract import unknown
from optc.ops.conversion import CONVERSIONS, asks_for_copy
from optc.ops.registry import Operator, operator_of
from optc.ops.shape import NEEDING_ROWS, RESHAPING, SAYING_EXTENTS
from optc.ops.storage import RESHAPED_IN_PLACE, RESIZING
from optc.ops.writes import VIEWS
from optc.passes.aliasing import Aliasing, is_container, written_argument
from optc.passes.facts import Facts
from optc.passes.infer_shapes import Inference
from optc.passes.strides import FAILURES, LaidTensors, Strides, are_rows, shape_of
from optc.pipeline import Context, graph_pass, writes_memory


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

    def __init__(self, graph: Graph, written: set[Value]) -> None:
        super().__init__(graph, Context())
        self.written = written
        self.changing = {value for value in written if is_container(value.type)}
        self.facts = _ChangingFacts(self.changing)
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
        """Tensors that hold sizes and are written to may hold others later."""
        is_written = any(output in self.written for output in node.outputs)
        return result if is_written else super().with_size(node, operator, arguments, result)

    def operator(self, node: Node, operator: Operator) -> None:
        """Where elements cannot be counted, a tensor still has the extents it is asked to have, or the run fails."""
        super().operator(node, operator)
        if operator.name not in SAYING_EXTENTS or getattr(node.output.type, "shape", None) is not None:
            return
        source, sizes = node.inputs[0].type, self.facts.abstract(node.inputs[1])
        if isinstance(sizes, list) and all(isinstance(size, int | Symbolic) for size in sizes):
            assert isinstance(source, TensorType)
            node.output.type = source.with_shape(tuple(fresh() if size == -1 else size for size in sizes))


def _is_same_shape(target: Value, node: Node) -> bool:
    """Whether a written tensor keeps its shape; where its rule cannot tell the shape, a method in place does or fails."""
    result = node.outputs[0].type if node.outputs else target.type
    if not isinstance(result, TensorType) or not isinstance(target.type, TensorType):
        return False
    if result.shape is None and target is node.inputs[0] and _keeps_shape(node):
        return True
    return result.shape == target.type.shape


def _keeps_shape(node: Node) -> bool:
    operator = operator_of(node)
    return operator is not None and operator.name not in RESHAPED_IN_PLACE and operator.name not in RESIZING


def twins_with_types(graph: Graph, aliasing: Aliasing, certain: bool = True) -> dict[Value, Value] | None:
    """For every value its twin in a copy of the graph that has types; None where a write may change a shape, unless types
    that are only likely will do.
    """
    copy = graph.copy()
    twins = dict(zip(graph.values(), copy.values(), strict=True))
    written = {twins[value] for value, place in aliasing.places.items() if aliasing.written(place.storage)}
    inference = _ChangingInference(copy, written)
    inference.block(copy.block)
    return None if inference.reshapes and certain else twins


class _Settling:
    def __init__(self, graph: Graph, context: Context, twins: dict[Value, Value]) -> None:
        self.graph = graph
        self.twins = twins
        self.laid = LaidTensors(twins.values(), {slot.input for slot in context.slots})
        self.needs_rows = False

    def node(self, node: Node) -> bool:
        """Settle one node. True when it changed."""
        operator = operator_of(node)
        assert operator is not None
        if operator.name in CONVERSIONS:
            return self.conversion(node, operator)
        source = self.laid.of(self.twins[node.inputs[0]])
        if source is None:
            return operator.name == "aten::contiguous" and self.repeated(node)
        try:
            settle = self.contiguous if operator.name == "aten::contiguous" else self.reshaping
            settled = settle(node, operator, source.strides)
        except FAILURES:
            return False
        self.needs_rows |= settled and source.of_arguments
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

    def contiguous(self, node: Node, operator: Operator, strides: Strides) -> bool:
        order = node.inputs[1]
        if not order.is_constant or order.constant != 0:
            return False
        in_rows = are_rows(shape_of(self.twins[node.inputs[0]]), strides)
        self.replace(node, node.inputs[0] if in_rows else self.copied(node))
        return True

    def repeated(self, node: Node) -> bool:
        """What shows elements again and again is copied, however these lie."""
        order = node.inputs[1]
        if not order.is_constant or order.constant != 0 or not self.laid.repeats(self.twins[node.inputs[0]]):
            return False
        self.replace(node, self.copied(node))
        return True

    def reshaping(self, node: Node, operator: Operator, strides: Strides) -> bool:
        twin = self.twins[node.output].node
        shape = shape_of(self.twins[node.inputs[0]])
        if RESHAPING[operator.name](shape, *self.laid.arguments(twin)):
            self.replace(node, node.inputs[0])
            return True
        is_view = self.laid.placed(twin, operator, strides) is not None
        if operator.name in NEEDING_ROWS:
            is_view &= are_rows(shape, strides)
        with self.graph.replacing(node):
            base = node.inputs[0] if is_view else self.copied(node)
            size = self.size(node)
            made = self.graph.insert("aten::view", (base, size), (TENSOR,), overload="").output
        self.replace(node, made)
        return True

    def size(self, node: Node) -> Value:
        """The extents of the result, as a list of ints: where they are no numbers, those of the result itself."""
        shape = shape_of(self.twins[node.output])
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
