"""The pass `loop-batching`.

                                            P = X.reshape(n * m, k) @ W
for i in range(n):                  =>      for i in range(n):
    h = f(X[i] @ W, h)                          h = f(P.reshape(n, m, -1)[i], h)

A turn's slice of a tensor that does not change is *batched*: what is computed row by row from slices with the same
index is a slice of what is computed from the whole tensor. One large product takes a fraction of the time of many small
ones, which read all of the weights each time.
"""

from __future__ import annotations

from typing import Any

from optc.errors import OptcError
from optc.ir.dims import Dim, product
from optc.ir.graph import Block, Graph, Node, Value
from optc.ir.symbols import binders, type_symbols
from optc.ir.types import IntType, TensorType
from optc.ops.abstract import abstract, normalize_dim
from optc.ops.builder import Builder
from optc.ops.effects import has_effects, may_fail
from optc.ops.registry import Kernel, Layout, Pointwise, operator_of
from optc.ops.shapes import is_extent
from optc.pipeline import graph_pass

_SLICE = "aten::select.int"


@graph_pass(
    "loop-batching",
    functional=True,
    after={
        "decompose": "linear layers become products there",
        "loop-invariant-hoisting": "what does not change at all is not batched; weights must stand before the loop",
    },
)
def loop_batching(graph: Graph, *, weights: int = 256) -> bool:
    """Compute products of slices that a loop takes of an unchanging tensor for all slices at once, before the loop.

    Products with less than `weights` numbers in the unchanging matrix stay: they fit registers.
    """
    changed = False
    for node in list(graph.walk()):
        if node.kind == "prim::Loop" and node.owner is not None:
            changed |= _Batching(graph, node, weights).run()
    return changed


class _Batching:
    """One loop. `sources` has the slices by index, `batched` what has been computed of them outside the loop."""

    def __init__(self, graph: Graph, loop: Node, weights: int) -> None:
        self.graph = graph
        self.loop = loop
        self.body: Block = loop.blocks[0]
        self.weights = weights
        self.owners = binders(graph)
        self.builder = Builder(graph)
        self.index: dict[Value, Value] = {}
        """Batched values of the body: the index of their slice."""
        self.outside: dict[Value, Value] = {}
        """Batched values that stand before the loop already: one slice per row."""
        self.worthwhile: set[Value] = set()
        """Batched values that a product has gone into."""

    def run(self) -> bool:
        turns = self.turns()
        if turns is None:
            return False
        for node in self.body.nodes:
            if self.is_slice(node, turns):
                self.index[node.output] = node.inputs[2]
            elif not node.blocks and len(node.outputs) == 1 and not has_effects(node):
                self.follow(node)
        return self.replace()

    def turns(self) -> Dim | None:
        """How often the loop runs, where it cannot stop early and the number is an extent."""
        limit, condition = self.loop.inputs[:2]
        going_on = self.body.outputs[0]
        if not all(value.is_constant and value.constant is True for value in (condition, going_on)):
            return None
        turns = limit.type.dim if isinstance(limit.type, IntType) else None
        turns = limit.constant if limit.is_constant else turns
        return turns if turns is not None and is_extent(turns) else None

    def is_slice(self, node: Node, turns: Dim) -> bool:
        """True for a slice of an unchanging tensor along a dimension with as many places as the loop has turns."""
        operator = operator_of(node)
        if operator is None or operator.name != _SLICE or not node.inputs[1].is_constant:
            return False
        base, index = node.inputs[0], node.inputs[2]
        if self.is_inside(base) or not self.is_inside(index) or not isinstance(base.type, TensorType):
            return False
        shape = base.type.shape or ()
        return bool(shape) and shape[normalize_dim(node.inputs[1].constant, len(shape))] == turns

    def is_inside(self, value: Value) -> bool:
        return value.node.is_inside(self.body)

    def follow(self, node: Node) -> None:
        """Note that a node's output is batched, if it is computed row by row from slices of one index."""
        batched = [value for value in node.inputs if value in self.index]
        if not batched or any(self.is_inside(value) and value not in self.index for value in node.inputs):
            return
        if len({self.index[value] for value in batched}) > 1 or may_fail(node) or not self.is_closed(node.output):
            return
        is_product = self.is_product(node)
        if is_product or self.is_elementwise(node) or self.keeps_order(node):
            self.index[node.output] = self.index[batched[0]]
            if is_product or self.worthwhile.intersection(batched):
                self.worthwhile.add(node.output)

    def is_closed(self, value: Value) -> bool:
        """True when the value's extents are known before the loop."""
        names = type_symbols(value.type)
        owners = [self.owners.get(name) for name in names]
        return isinstance(value.type, TensorType) and not any(o is None or self.is_inside(o) for o in owners)

    def is_product(self, node: Node) -> bool:
        """True for rows of slices times an unchanging matrix, with a summand that all rows share."""
        operator = operator_of(node)
        if operator is None or not isinstance(operator.lowering, Kernel) or operator.lowering.name != "matmul":
            return False
        *rest, rows, matrix = [value for value in node.inputs if isinstance(value.type, TensorType)]
        type_ = matrix.type
        if rows not in self.index or matrix in self.index or not isinstance(type_, TensorType) or type_.rank != 2:
            return False
        elements = product(type_.shape or ())
        if isinstance(elements, int) and elements < self.weights:
            return False
        return all(value not in self.index and _is_shared(value) for value in rest)

    def is_elementwise(self, node: Node) -> bool:
        operator = operator_of(node)
        if operator is None or not isinstance(operator.lowering, Pointwise):
            return False
        types = [value.type for value in node.inputs if isinstance(value.type, TensorType)]
        return all(type_.rank for type_ in types)  # a number in a tensor of no dimensions promotes differently

    def keeps_order(self, node: Node) -> bool:
        """True for views that only regroup dimensions."""
        operator = operator_of(node)
        source, result = node.inputs[0], node.output.type
        if operator is None or not isinstance(operator.lowering, Layout) or not isinstance(result, TensorType):
            return False
        shape = source.type.shape if isinstance(source.type, TensorType) else None
        if shape is None or result.shape is None or product(shape) != product(result.shape):
            return False
        arguments = [abstract(value) for value in node.inputs[1:]]
        placed = operator.lowering.function(shape, _strides(shape), 0, *arguments)
        return placed is not None and tuple(placed[1]) == _strides(result.shape) and placed[2] == 0

    # Rewriting

    def replace(self) -> bool:
        """Where something else reads a batched value behind a product, let it read a slice of the whole."""
        changed = False
        for value in list(self.index):
            readers = [use for use in value.uses if not self.is_batched(use.node)]
            if value not in self.worthwhile or not readers:
                continue
            try:
                with self.graph.inserting(self.loop):
                    whole, front = self.build(value), self.builder.value(0)
            except OptcError:
                continue
            if not self.is_whole(whole, value):
                continue
            with self.graph.replacing(value.node):
                part = self.builder("aten::select.int", whole, front, self.index[value])
            part.name = value.name
            for use in readers:
                use.node.set_input(use.slot, part)
            changed = True
        for value in reversed(list(self.index)) if changed else ():
            if not value.has_uses:
                value.node.destroy()
        return changed

    def is_whole(self, whole: Value, value: Value) -> bool:
        """True when the slices of `whole` have the type of `value`."""
        mine, wanted = self.builder.type(whole), self.builder.type(value)
        return mine.dtype is wanted.dtype and (mine.shape or ())[1:] == wanted.shape

    def is_batched(self, node: Node) -> bool:
        return len(node.outputs) == 1 and node.outputs[0] in self.worthwhile

    def build(self, value: Value) -> Value:
        """The batched value before the loop, one slice per row."""
        if value not in self.outside:
            self.graph.current_source, self.graph.current_scope = value.node.source, value.node.scope
            self.outside[value] = self.built(value.node)
        return self.outside[value]

    def built(self, node: Node) -> Value:
        operator = operator_of(node)
        assert operator is not None
        b = self.builder
        if operator.name == _SLICE and not self.is_inside(node.inputs[0]):
            return self.sliced(node)
        if isinstance(operator.lowering, Layout):
            whole = self.build(node.inputs[0])
            return self.shaped(whole, (b.shape(whole)[0], *b.shape(node.output)))
        if isinstance(operator.lowering, Kernel):
            return self.multiplied(node, operator.name)
        rank = len(b.shape(node.output))
        inputs = [self.aligned(value, rank) if value in self.index else value for value in node.inputs]
        result: Value = b(operator.name, *inputs)
        return result

    def sliced(self, node: Node) -> Value:
        """The tensor that slices are taken of, with their dimension in front."""
        base = node.inputs[0]
        rank = len(self.builder.shape(base))
        along = normalize_dim(node.inputs[1].constant, rank)
        if along == 0:
            return base
        order = [along, *(place for place in range(rank) if place != along)]
        turned: Value = self.builder("aten::permute", base, order)
        return turned

    def multiplied(self, node: Node, name: str) -> Value:
        """All rows of all slices in one product."""
        b = self.builder
        rows = [value for value in node.inputs if isinstance(value.type, TensorType)][-2]
        whole = self.build(rows)
        turns, count, inner = b.shape(whole)
        flat = self.shaped(whole, (turns * count, inner))
        inputs: list[Any] = [flat if value is rows else value for value in node.inputs]
        made = b(name, *inputs)
        return self.shaped(made, (turns, count, b.shape(made)[1]))

    def shaped(self, value: Value, shape: tuple[Dim, ...]) -> Value:
        if self.builder.shape(value) == shape:
            return value
        result: Value = self.builder("aten::reshape", value, list(shape))
        return result

    def aligned(self, value: Value, rank: int) -> Value:
        """The whole of an operand, so that its slices broadcast among operands of `rank` dimensions."""
        whole = self.build(value)
        turns, *shape = self.builder.shape(whole)
        return self.shaped(whole, (turns, *[1] * (rank - len(shape)), *shape))


def _is_shared(summand: Value) -> bool:
    """True when every row of the product gets the same summand."""
    shape = summand.type.shape if isinstance(summand.type, TensorType) else None
    return shape is not None and all(extent == 1 for extent in shape[:-1])


def _strides(shape: tuple[Dim, ...]) -> tuple[Dim, ...]:
    """Row-major strides."""
    return tuple(product(shape[place + 1 :]) for place in range(len(shape)))
