"""The pass `checked-expansions`.

                                              prim::If((u0 - u1) * (u0 - 1) == 0): else raise
%y : Tensor = aten::expand(%x, [%u1, 4])  =>  %places : Long(u1) = aten::clamp(aten::arange(%u1), 0, u0 - 1)
                                              %a : Float(u1, 1) = aten::index_select(%x, 0, %places)
                                              %y : Float(u1, 4) = aten::expand(%a, [%u1, 4])

where %x has u0 rows, and only running tells whether they are u1, or one that is repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optc.ir.dims import Dim, Symbolic
from optc.ir.graph import Graph, Node
from optc.ops.abstract import UndecidedShape, abstract
from optc.ops.builder import Builder
from optc.ops.registry import operator_of
from optc.ops.shape import expanded_sizes
from optc.passes.checked_views import is_open
from optc.pipeline import graph_pass


@graph_pass(
    "checked-expansions",
    functional=True,
    after={"infer-shapes": "it says which extents are not known to be equal"},
)
def checked_expansions(graph: Graph) -> bool:
    """Let the program check that extents are equal, or one of them 1, where one is to be expanded to the other."""
    changed = False
    for node in list(graph.walk()):
        changed |= _check(node)
    return changed


def _check(node: Node) -> bool:
    operator = operator_of(node)
    sizes_of = None if operator is None else expanded_sizes(operator)
    if sizes_of is None or not is_open(node):
        return False
    shape = abstract(node.inputs[0]).shape
    try:
        sizes = list(sizes_of(*(abstract(value) for value in node.inputs[1:])))
    except (UndecidedShape, TypeError):
        return False
    if len(sizes) < len(shape) or not all(isinstance(size, int | Symbolic) for size in sizes):
        return False
    with node.graph.replacing(node):
        b = Builder(node.graph)
        node.output.replace_all_uses_with(b("aten::expand", _of_equal_extents(b, node, shape, sizes), sizes))
    node.destroy()
    return True


def _of_equal_extents(b: Builder, node: Node, shape: Sequence[Dim], sizes: Sequence[Dim]) -> Any:
    """The tensor with the extents that are asked for, once the program has checked that it has these or single ones."""
    x: Any = node.inputs[0]
    for place, (extent, size) in enumerate(zip(shape, sizes[len(sizes) - len(shape) :])):
        if size == -1 or size == extent or extent == 1:
            continue
        fits = b("aten::eq.int", (extent - size) * (extent - 1), 0)
        b.require(fits, "the expanded size of the tensor must match the existing size")
        places = b("aten::clamp", b("aten::arange", size), 0, extent - 1)
        x = b("aten::index_select", x, place, places)
    return x
