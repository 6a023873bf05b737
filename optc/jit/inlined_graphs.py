"""`.inlined_graph`: calls replaced by what is called, simplified as PyTorch does before it inlines a body."""

from __future__ import annotations

from optc.ir.graph import Graph, Node, Value
from optc.ir.inline import inline_calls
from optc.ir.types import ANY, BOOL, NONE, OptionalType, UnionType
from optc.jit.frontend.cleanup import pool_constants
from optc.jit.frontend.dead_code import eliminate_dead_code
from optc.jit.frontend.folding import propagate_constants


def inlined(graph: Graph) -> Graph:
    """A copy of a graph in which every call is replaced by the body of what is called."""
    copied = graph.copy()
    inline_calls(copied, _simplify)
    return copied


def _simplify(body: Graph) -> None:
    """Decide what a body's own constants and types decide; the graph it is put into is left as it is."""
    decided = [
        node for node in list(body.walk()) if _decide_none_check(node) or _forward(node) or _read_condition(node)
    ]
    if decided:
        eliminate_dead_code(body)
    if propagate_constants(body):
        eliminate_dead_code(body)
    pool_constants(body)


def _decide_none_check(node: Node) -> bool:
    """`x is None` and `x is not None` where the type of x tells."""
    if node.kind not in ("aten::__is__", "aten::__isnot__"):
        return False
    left, right = node.inputs
    checked = left if right.type is NONE else right
    if NONE not in (left.type, right.type) or isinstance(checked.type, OptionalType | UnionType) or checked.type is ANY:
        return False
    is_none = checked.type is NONE
    with node.graph.inserting(node):
        answer = node.graph.insert_constant(is_none == (node.kind == "aten::__is__"), BOOL)
    node.output.replace_all_uses_with(answer)
    return True


def _read_condition(node: Node) -> bool:
    """A branch that gives True on one side and False on the other gives its condition."""
    if node.kind != "prim::If":
        return False
    changed = False
    for offset, output in enumerate(node.outputs):
        results = [block.outputs[offset] for block in node.blocks]
        told = output.type is BOOL and all(value.is_constant for value in results)
        if told and output.has_uses and results[0].constant and not results[1].constant:
            output.replace_all_uses_with(node.inputs[0])
            changed = True
    return changed


def _forward(node: Node) -> bool:
    """Casts to the type a value has already, and `int(NumToTensor(n))`, which traces make of sizes."""
    source: Value | None = None
    if node.kind in ("prim::unchecked_cast", "prim::unchecked_unwrap_optional"):
        source = node.inputs[0]
    elif node.kind == "aten::Int" and node.inputs[0].node.kind == "prim::NumToTensor":
        source = node.inputs[0].node.inputs[0]
    if source is None or source.type != node.output.type:
        return False
    node.output.replace_all_uses_with(source)
    return True
