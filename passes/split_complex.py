"""The pass `split-complex`.

    %c : ComplexFloat(5, 9) = aten::fft_rfft(%x, ...)          %both : Float(5, 18) = aten::matmul(%x, %table)
    %d : ComplexFloat(5, 9) = aten::mul(%c, %w)          =>    %re : Float(5, 9) = aten::slice(%both, ...)
    %y : Float(5, 9) = aten::abs(%d)                           ... %y : Float(5, 9) = aten::hypot(%real, %imaginary)

Native code has no complex numbers, but it has real ones. Going through the program in order, every operator that says
how it works on parts (`optc.ops.complex_parts`), or that only looks at its argument in another way, is computed from
real and imaginary parts, where these are known: from a constant, from a tensor of pairs, from real numbers. Whoever
still asks for a complex tensor gets it made of its parts, and is an island.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.errors import OptcError
from optc.ir.graph import Graph, Node, Value
from optc.ir.symbols import replace_value
from optc.ir.types import ListType, TensorType, Type
from optc.ops.builder import Builder
from optc.ops.complex_parts import Parts, Rule, as_tensors, on_each, pairs_of, parts_of_pairs
from optc.ops.registry import Layout, operator_of
from optc.passes.decompose import decomposition_argument, remove_between
from optc.pipeline import graph_pass


@graph_pass(
    "split-complex",
    functional=True,
    after={"decompose": "what is made of other operators need not say how it works on parts"},
)
def split_complex(graph: Graph) -> bool:
    """Compute with real and imaginary parts where complex numbers come from real ones."""
    nodes = [node for node in graph.walk() if _touches_complex(node)]
    if not nodes:
        return False
    splitting = _Splitting(graph)
    changed = [splitting.node(node) for node in nodes]
    splitting.finish()
    return any(changed)


def _is_complex(type_: Type) -> bool:
    if isinstance(type_, ListType):
        return _is_complex(type_.element)
    return isinstance(type_, TensorType) and type_.is_typed and type_.dtype is not None and type_.dtype.is_complex


def _touches_complex(node: Node) -> bool:
    return any(_is_complex(value.type) for value in (*node.inputs, *node.outputs))


def _joins_pairs(node: Node) -> bool:
    return node.kind == "aten::view_as_complex"


def _rule(node: Node) -> Rule | None:
    """How a node works on parts; None where it does not, or is where parts come from."""
    operator = operator_of(node)
    if operator is None or operator.mutates or _joins_pairs(node):
        return None
    if operator.parts is not None:
        return operator.parts
    return on_each(operator.name) if isinstance(operator.lowering, Layout) else None


class _Splitting:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.builder = Builder(graph)
        self.parts: dict[Value, Parts] = {}
        self.replaced: list[Node] = []

    def node(self, node: Node) -> bool:
        """Compute a node from parts. True when it could be done."""
        rule = _rule(node)
        if rule is None or len(node.outputs) != 1 or not node.output.has_uses or not self.has_parts(node):
            return False
        before = node.previous
        with self.graph.replacing(node):
            try:
                result = rule(self.builder, *map(self.argument, node.inputs))
                result = as_tensors(self.builder, result) if isinstance(result, Parts) else result
            except (OptcError, IndexError, TypeError):  # TypeError: it wants to know a number that only running tells
                remove_between(before, node)
                return False
        self.replaced.append(node)
        if isinstance(result, Parts):
            self.parts[node.output] = result
        else:
            if not result.name and not result.is_parameter:
                result.name = node.output.name
            replace_value(self.graph, node.output, result)
        return True

    def has_parts(self, node: Node) -> bool:
        """True where all complex arguments come from real numbers."""
        given = [value for argument in node.inputs for value in _leaves(argument) if _is_complex(value.type)]
        return all(value in self.parts or value.is_constant or _joins_pairs(value.node) for value in given)

    def argument(self, value: Value) -> Any:
        """What a rule gets for an argument."""
        leaves = _leaves(value)
        if not any(_is_complex(leaf.type) for leaf in leaves):
            return decomposition_argument(value)
        if isinstance(value.type, ListType):
            return [self.argument(leaf) for leaf in leaves]
        return self.parts_of(value)

    def parts_of(self, value: Value) -> Parts:
        """The parts of a complex tensor, made where it is made."""
        found = self.parts.get(value)
        if found is not None:
            return found
        follower = value.node.next
        assert follower is not None
        with self.graph.inserting(follower):
            if value.is_constant:
                sides = (np.ascontiguousarray(side) for side in (value.constant.real, value.constant.imag))
                found = Parts(*map(self.builder.constant, sides))
            else:
                found = parts_of_pairs(self.builder, value.node.inputs[0])
        self.parts[value] = found
        return found

    def finish(self) -> None:
        """Take out what was replaced, last first, and make complex tensors of parts for those who still read them."""
        for node in reversed(self.replaced):
            for use in node.output.uses:
                if use.node.kind == "prim::ListConstruct" and not use.node.output.has_uses:
                    use.node.destroy()
            if node.output.has_uses:
                self.join(node.output)
            node.destroy()

    def join(self, value: Value) -> None:
        follower = value.node.next
        assert follower is not None
        with self.graph.inserting(follower):
            pairs = pairs_of(self.builder, self.parts[value])
            joined = self.builder("aten::view_as_complex", pairs)
        joined.name = value.name
        value.replace_all_uses_with(joined)


def _leaves(argument: Value) -> list[Value]:
    """An argument, or the elements of one that is a list: real and complex ones may stand side by side there."""
    is_list = isinstance(argument.type, ListType) and argument.node.kind == "prim::ListConstruct"
    return list(argument.node.inputs) if is_list else [argument]
