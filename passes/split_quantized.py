"""The pass `split-quantized`.

    %q : QUInt8(1, 8) = aten::quantize_per_tensor(%x, 0.1, 3, 13)      %i : Byte(1, 8) = ... aten::round ... aten::clamp
    %y : QUInt8(1, 4) = quantized::linear(%q, %packed, 0.2, 0)    =>   %c : Float(1, 8) = aten::sub(%i, 3)
    %z : Float(1, 4) = aten::dequantize(%y)                            %s : Float(1, 4) = aten::linear(%c, %weights) ...

Native code has no quantised tensors, but it has integers and numbers. Going through the program in order, every
operator that says how it works on integers (`optc.ops.quantized_parts`) is computed from them, where scales and zero
points are constants. Whoever still asks for a quantised tensor gets one made of its integers, and is an island.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.errors import OptcError
from optc.ir.graph import Graph, Node, Value
from optc.ir.symbols import replace_value
from optc.ir.types import ListType, TensorType
from optc.ops.builder import Builder
from optc.ops.quantized_parts import MADE, RULES, Quantized, constant_parts, is_quantized_constant, joined
from optc.ops.registry import operator_of
from optc.passes.decompose import decomposition_argument, remove_between
from optc.pipeline import graph_pass

_BEGINNINGS = ("quantized::", "aten::quantize_per_tensor", "aten::quantized_", MADE)


@graph_pass(
    "split-quantized",
    functional=True,
    after={"freeze": "scales, zero points and packed weights are constants then"},
)
def split_quantized(graph: Graph) -> bool:
    """Compute with integers where tensors are quantised by scales that are constants."""
    if not any(_begins(node) for node in graph.walk()):
        return False
    splitting = _Splitting(graph)
    changed = [splitting.node(node) for node in list(graph.walk())]
    splitting.finish()
    return any(changed)


def _begins(node: Node) -> bool:
    """Whether a node makes a quantised tensor of another, or quantises inside."""
    return node.kind.startswith(_BEGINNINGS) or any(map(is_quantized_constant, node.inputs))


class _Splitting:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.builder = Builder(graph)
        self.parts: dict[Value, Quantized] = {}
        self.lists: dict[Value, list[Quantized]] = {}
        self.replaced: list[Node] = []

    def node(self, node: Node) -> bool:
        """Compute a node from integers. True when it could be done."""
        if node.inputs and node.inputs[0] in self.lists:
            self.replaced.append(node)
            self.parts.update(zip(node.outputs, self.taken(node)))
            return True
        operator = operator_of(node)
        rule = None if operator is None or operator.mutates else RULES.get(operator.name)
        if rule is None or not any(output.has_uses for output in node.outputs) or not self.is_ready(node):
            return False
        if isinstance(node.outputs[0].type, ListType) and not _is_only_taken_apart(node.outputs[0]):
            return False
        before = node.previous
        with self.graph.replacing(node):
            try:
                result = rule(self.builder, *map(self.argument, node.inputs))
            except (OptcError, RuntimeError, AttributeError, IndexError, TypeError):
                remove_between(before, node)  # it wants to know what only running tells, or will fail then
                return False
        if node.kind == MADE:  # it stays, for those who still ask for it
            self.parts[node.output] = result
            return False
        self.replaced.append(node)
        if isinstance(result, list):
            self.lists[node.output] = result
            return True
        if isinstance(result, Quantized):  # itself a tuple
            self.parts[node.output] = result
            return True
        for output, value in zip(node.outputs, result if isinstance(result, tuple) else (result,), strict=True):
            if not value.name and not value.is_parameter:
                value.name = output.name
            replace_value(self.graph, output, value)
        return True

    def taken(self, node: Node) -> list[Quantized]:
        """What a node takes out of a list: all elements, or one."""
        items = self.lists[node.inputs[0]]
        return items if node.kind == "prim::ListUnpack" else [items[node.inputs[1].constant]]

    def is_ready(self, node: Node) -> bool:
        """True where a quantised tensor comes in, or can be made, and all that come in are known by their integers."""
        leaves = [leaf for value in node.inputs for leaf in _leaves(value) if isinstance(leaf.type, TensorType)]
        split = [leaf for leaf in leaves if leaf in self.parts or is_quantized_constant(leaf)]
        if any(_may_be_quantized(leaf) for leaf in leaves if leaf not in split):
            return False
        return bool(split) or _begins(node)

    def argument(self, value: Value) -> Any:
        """What a rule gets for an argument."""
        if isinstance(value.type, ListType) and value.node.kind == "prim::ListConstruct":
            leaves = _leaves(value)
            return [self.argument(leaf) for leaf in leaves] if self.has_split(leaves) else decomposition_argument(value)
        if value in self.parts:
            return self.parts[value]
        if is_quantized_constant(value):
            found = constant_parts(value.constant)
            return found._replace(integers=self.builder.constant(np.asarray(found.integers)))
        return decomposition_argument(value)

    def has_split(self, leaves: list[Value]) -> bool:
        return any(leaf in self.parts or is_quantized_constant(leaf) for leaf in leaves)

    def finish(self) -> None:
        """Take out what was replaced, last first, and make quantised tensors for those who still read them."""
        for node in reversed(self.replaced):
            for output in node.outputs:
                self.release(output)
            node.destroy()

    def release(self, value: Value) -> None:
        for use in value.uses:
            if use.node.kind == "prim::ListConstruct" and not use.node.output.has_uses:
                use.node.destroy()
        if value.has_uses:
            self.join(value)

    def join(self, value: Value) -> None:
        follower = value.node.next
        assert follower is not None
        with self.graph.inserting(follower):
            made = joined(self.builder, self.parts[value])
        made.name = value.name
        value.replace_all_uses_with(made)


def _may_be_quantized(value: Value) -> bool:
    dtype = value.type.dtype if isinstance(value.type, TensorType) else None
    return dtype is None or dtype.is_quantized


def _is_only_taken_apart(value: Value) -> bool:
    """Whether a list is only unpacked, or asked for elements with numbers that are known."""
    return all(
        use.node.kind == "prim::ListUnpack" or (use.node.kind == "aten::__getitem__" and use.node.inputs[1].is_constant)
        for use in value.uses
    )


def _leaves(argument: Value) -> list[Value]:
    """An argument, or the elements of one that is a list."""
    is_list = isinstance(argument.type, ListType) and argument.node.kind == "prim::ListConstruct"
    return list(argument.node.inputs) if is_list else [argument]
