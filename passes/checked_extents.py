"""The pass `checked-extents`.

                                                    %n : int = aten::size(%a, 1)
                                                    prim::If(%n == u1): else raise
%y : Tensor = aten::cat([%a, %b], 0)         =>     %c : Tensor = aten::narrow(%b, 1, 0, %n)
                                                    %y : Tensor = aten::cat([%a, %c], 0)

where %b has rows of u1 elements, and only running tells whether those of %a are as long. That is found out where the
operator is met first: what a loop carries has the shape of its first value there. The check is true of any value.
"""

from __future__ import annotations

from optc.ir.dims import Dim, fresh
from optc.ir.graph import Graph, Node, Value
from optc.ir.types import TENSOR, IntType, ListType, TensorType
from optc.ops.abstract import is_runtime
from optc.ops.builder import Builder
from optc.ops.registry import operator_of
from optc.passes.infer_shapes import Shapes, Undecided, undecided_extents
from optc.pipeline import Context, graph_pass


@graph_pass(
    "checked-extents",
    functional=True,
    after={"infer-shapes": "it says which extents are not known to be equal"},
)
def checked_extents(graph: Graph, *, context: Context) -> bool:
    """Let the program check that extents are equal where an operator wants them to be."""
    if not any(map(_is_open, graph.walk())):
        return False
    changed = False
    for node, undecided in undecided_extents(graph, context).items():
        for pair in undecided.pairs:
            changed |= _is_open(node) and _take_as_equal(node, undecided, *pair)
    return changed


def _is_open(node: Node) -> bool:
    operator = operator_of(node)
    shapeless = (isinstance(value.type, TensorType) and value.type.shape is None for value in node.outputs)
    return operator is not None and not operator.has_effects and any(shapeless)


def _take_as_equal(node: Node, undecided: Undecided, kept: Dim, other: Dim) -> bool:
    """Check that two extents are equal, and cut what has the one to the other: to that which is known sooner."""
    if not is_runtime(other):
        kept, other = other, kept
    model = next((value for value, shape in undecided.shapes.items() if kept in shape), None)
    if model is None or not is_runtime(other) or not any(other in shape for shape in undecided.shapes.values()):
        return False
    with node.graph.inserting(node):
        b = Builder(node.graph)
        axis = b.value(undecided.shapes[model].index(kept))
        extent = node.graph.insert("aten::size", [model, axis], (IntType(fresh()),), overload="int").output
        b.require(b("aten::eq.int", extent, b.dim(other)), "the sizes of tensors must match")
        node.set_inputs([_cut(b, value, undecided.shapes, {other: kept}, extent) for value in node.inputs])
    return True


def _cut(b: Builder, value: Value, shapes: Shapes, renamed: dict[Dim, Dim], extent: Value) -> Value:
    """A tensor, or a list of tensors, with the extent in the place of that which it is equal to."""
    if isinstance(value.type, ListType) and value.node.kind == "prim::ListConstruct":
        items = [_cut(b, item, shapes, renamed, extent) for item in value.node.inputs]
        return b.graph.insert("prim::ListConstruct", items, (ListType(TENSOR),)).output
    shape = shapes.get(value, ())
    for axis in [axis for axis, size in enumerate(shape) if size in renamed]:
        value = b.graph.insert("aten::narrow", [value, b.value(axis), b.value(0), extent], (TENSOR,)).output
    shapes.setdefault(value, tuple(renamed.get(size, size) for size in shape))
    return value
