"""The pass `addmm-fusion`: `RULES` say which sums a matrix product absorbs."""

from __future__ import annotations

from optc.ir.graph import Graph
from optc.pipeline import graph_pass
from optc.rewrite import Computed, Match, Number, Pair, RuleSet, Tensor, apply_rules, aten, rule

RULES = RuleSet("addmm-fusion")


@graph_pass(
    "addmm-fusion",
    functional=True,
    after={
        "infer-shapes": "the sum must have the shape of the product",
        "decompose": "linear layers and matmul become products there",
        "loop-invariant-hoisting": "an invariant product is better computed once than fused with a sum that varies",
        "loop-batching": "a product that leaves a loop is better a slice in the loop than fused with a sum there",
    },
)
def addmm_fusion(graph: Graph) -> bool:
    """Turn a matrix product and the sum with it into one aten::addmm, which starts its accumulators with the summand."""
    return apply_rules(graph, RULES)


def _fits(match: Match) -> bool | str:
    """The summand broadcasts to the product, not the other way round, and nobody else needs the product."""
    product = next(node for node in match.nodes if node.kind == "aten::mm").output
    summand = match.type("c")
    if len(product.uses) > 1 or any(len(node.outputs[0].uses) > 1 for node in match.nodes[1:]):
        return "the product is needed by itself"
    if match.result.dtype is None or not match.result.dtype.is_floating_point:
        return "addmm starts from the summand only for floating point"
    if not (product.type == match.result and summand.dtype is match.result.dtype):
        return "the summand widens the product, in shape or element type"
    return True


EXAMPLE = {"a": (3, 4), "b": (4, 5), "c": (5,)}


@rule(RULES, when=_fits, exact=False, examples=[EXAMPLE, EXAMPLE | {"c": (3, 5)}, EXAMPLE | {"c": (3, 1)}])
def sum_after_product(a: Tensor, b: Tensor, c: Tensor) -> Pair:
    """a @ b + c = addmm(c, a, b)"""
    return a @ b + c, aten.addmm(c, a, b)


@rule(RULES, when=_fits, exact=False, examples=[EXAMPLE | {"k": 0.5}])
def scaled_product(a: Tensor, b: Tensor, c: Tensor, k: Number) -> Pair:
    """c + k * (a @ b) = addmm(c, a, b, alpha=k)"""
    return aten.add(c, a @ b, k), aten.addmm(c, a, b, 1, Computed(lambda match: match.constant("k")))


@rule(RULES, when=_fits, exact=False, examples=[EXAMPLE | {"k": 0.5}])
def scaled_summand(a: Tensor, b: Tensor, c: Tensor, k: Number) -> Pair:
    """a @ b + k * c = addmm(c, a, b, beta=k)"""
    return aten.add(a @ b, c, k), aten.addmm(c, a, b, Computed(lambda match: match.constant("k")), 1)


@rule(RULES, when=_fits, exact=False, examples=[EXAMPLE | {"k": 2.0}])
def multiplied_product(a: Tensor, b: Tensor, c: Tensor, k: Number) -> Pair:
    """(a @ b) * k + c = addmm(c, a, b, alpha=k)"""
    return (a @ b) * k + c, aten.addmm(c, a, b, 1, Computed(lambda match: match.constant("k")))


@rule(RULES, when=_fits, exact=False, examples=[EXAMPLE])
def difference_from_product(a: Tensor, b: Tensor, c: Tensor) -> Pair:
    """a @ b - c = addmm(c, a, b, beta=-1)"""
    return a @ b - c, aten.addmm(c, a, b, -1, 1)


@rule(RULES, when=_fits, exact=False, examples=[EXAMPLE])
def product_subtracted(a: Tensor, b: Tensor, c: Tensor) -> Pair:
    """c - a @ b = addmm(c, a, b, alpha=-1)"""
    return c - a @ b, aten.addmm(c, a, b, 1, -1)
