"""The pass `loop-invariant-hoisting`."""

from __future__ import annotations

from optc.ir.dims import symbols
from optc.ir.graph import Block, Graph, Node, Value
from optc.ir.symbols import binders
from optc.ops.effects import has_effects, is_repeatable, may_fail
from optc.ops.registry import Layout, operator_of
from optc.pipeline import graph_pass


@graph_pass(
    "loop-invariant-hoisting",
    functional=True,
    after={
        "infer-shapes": "a node whose shapes are verified cannot fail, so it may leave a loop that never runs",
        "decompose": "parts of an operator may be invariant where the whole is not",
    },
    alias="hoist",
)
def loop_invariant_hoisting(graph: Graph) -> bool:
    """Move work that is the same in every iteration to just before its loop, unless it may fail and might not run."""
    return _visit(graph.block, binders(graph))


def _visit(block: Block, owners: dict[str, Value]) -> bool:
    changed = False
    for node in block.nodes:
        for nested in node.blocks:
            changed |= _visit(nested, owners)
        if node.kind == "prim::Loop":
            changed |= _hoist(node, owners)
    return changed


def _hoist(loop: Node, owners: dict[str, Value]) -> bool:
    body = loop.blocks[0]
    certain = runs_at_least_once(loop)
    changed = False
    for node in body.nodes:
        if is_invariant(node, body, owners) and (certain or not may_fail(node)):
            node.move_before(loop)
            changed = True
            continue
        for branch in node.blocks if node.kind == "prim::If" else ():
            changed |= _hoist_cheap(branch, loop, owners)
        certain = certain and not has_effects(node) and not may_fail(node)
    return changed


def runs_at_least_once(loop: Node) -> bool:
    """True when the body is certain to start: a known positive trip count and a condition that is true."""
    trips, condition = loop.inputs[:2]
    return trips.is_constant and trips.constant > 0 and condition.is_constant and condition.constant is True


def is_invariant(node: Node, body: Block, owners: dict[str, Value]) -> bool:
    """True when the node computes the same in every iteration and may be computed once."""
    if not is_repeatable(node):
        return False
    values = list(node.inputs)
    if node.kind == "prim::Dim":
        values += [owners[name] for name in symbols(node.attributes["dim"]) if name in owners]
    return not any(_is_defined_in(value, body) for value in values)


def _is_defined_in(value: Value, body: Block) -> bool:
    return value.node.is_inside(body)


def _hoist_cheap(branch: Block, loop: Node, owners: dict[str, Value]) -> bool:
    """From a branch that may never be taken, only what costs nothing: constants, dimensions, lists and views."""
    body = loop.blocks[0]
    changed = False
    for node in branch.nodes:
        for nested in node.blocks if node.kind == "prim::If" else ():
            changed |= _hoist_cheap(nested, loop, owners)
        if _is_free(node) and is_invariant(node, body, owners) and not may_fail(node):
            node.move_before(loop)
            changed = True
    return changed


def _is_free(node: Node) -> bool:
    if node.kind in ("prim::Constant", "prim::Dim", "prim::ListConstruct"):
        return True
    operator = operator_of(node)
    return operator is not None and isinstance(operator.lowering, Layout)
