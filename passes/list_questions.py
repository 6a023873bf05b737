"""What programs ask of all numbers of a list, answered by the tensor that holds them: part of the pass `list-buffers`."""

from __future__ import annotations

import math
from collections.abc import Callable

from optc.ir.graph import Node, Value
from optc.ir.types import ListType
from optc.ops.builder import Builder

Answer = Callable[[Builder, Node, Value], Value]
"""(builder, the node that asks, the numbers as a tensor) -> the answer."""


def _are_equal(b: Builder, node: Node, numbers: Value) -> Value:
    made: Value = b("aten::eq.Scalar", numbers, node.inputs[1])
    return made


def _contains(b: Builder, node: Node, numbers: Value) -> Value:
    made: Value = b("aten::Bool.Tensor", b("aten::any", _are_equal(b, node, numbers)))
    return made


def _count(b: Builder, node: Node, numbers: Value) -> Value:
    made: Value = b("aten::Int.Tensor", b("aten::sum", _are_equal(b, node, numbers)))
    return made


def _index(b: Builder, node: Node, numbers: Value) -> Value:
    equal = _are_equal(b, node, numbers)
    b.require(b("aten::any", equal), "the element is not in the list", "ValueError")
    made: Value = b("aten::Int.Tensor", b("aten::argmax", b("aten::to.dtype", equal, 4)))
    return made


def _sum(b: Builder, node: Node, numbers: Value) -> Value:
    made: Value = b("aten::Int.Tensor", b("aten::sum", numbers))
    return made


def _sum_in_order(b: Builder, node: Node, numbers: Value) -> Value:
    """Added one by one, as lists are: sums of tensors have several partial ones."""
    added = b("aten::cumsum", b("aten::cat", [b("aten::full", [1], 0.0, dtype=7), numbers], 0), 0)
    made: Value = b("aten::Float.Tensor", b("aten::select.int", added, 0, -1))
    return made


def _first_extreme(search: str, conversion: str, ignored: float | None) -> Answer:
    """The first of the greatest or least numbers. What is not a number only counts as the first of all."""

    def answer(b: Builder, node: Node, numbers: Value) -> Value:
        b.require(b("aten::gt.int", b("aten::size.int", numbers, 0), 0), "arg is an empty sequence", "RuntimeError")
        compared, first = numbers, b("aten::select.int", numbers, 0, 0)
        if ignored is not None:
            compared = b("aten::masked_fill.Scalar", numbers, b("aten::isnan", numbers), ignored)
        found = b("aten::select.int", numbers, 0, b("aten::Int.Tensor", b(search, compared)))
        if ignored is not None:
            found = b("aten::where.self", b("aten::isnan", first), first, found)
        made: Value = b(conversion, found)
        return made

    return answer


QUESTIONS: dict[str, Answer] = {
    **{f"aten::__contains__.{kind}_list": _contains for kind in ("int", "float")},
    **{f"aten::count.{kind}": _count for kind in ("int", "float")},
    **{f"aten::index.list_{kind}": _index for kind in ("int", "float")},
    "aten::sum.int": _sum,
    "aten::sum.float": _sum_in_order,
    "prim::max.self_int": _first_extreme("aten::argmax", "aten::Int.Tensor", None),
    "prim::min.self_int": _first_extreme("aten::argmin", "aten::Int.Tensor", None),
    "prim::max.self_float": _first_extreme("aten::argmax", "aten::Float.Tensor", -math.inf),
    "prim::min.self_float": _first_extreme("aten::argmin", "aten::Float.Tensor", math.inf),
}
"""By the operators that ask."""


def asks_numbers(node: Node) -> bool:
    """True for a node that asks something of all numbers of the list that is its first argument."""
    return f"{node.kind}.{node.overload}" in QUESTIONS and isinstance(node.inputs[0].type, ListType)


def answered(b: Builder, node: Node, numbers: Value) -> Value:
    """The answer, found in the numbers of the list as a tensor."""
    return QUESTIONS[f"{node.kind}.{node.overload}"](b, node, numbers)
