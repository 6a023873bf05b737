"""Puts the bodies of called functions and methods in the place of the calls.

Used by `.inlined_graph` (optc.jit) and by the pass `inline` (optc.passes), which may not import each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from optc.errors import UnsupportedError
from optc.ir.function import ClassType, Function
from optc.ir.graph import Block, Graph, Node, Value

_MOST_NODES = 100_000
"""Nodes that may come out of inlining: functions that call others twice double with every level."""


def inline_calls(graph: Graph, prepare: Callable[[Graph], None] = lambda body: None) -> bool:
    """Inline every `prim::CallMethod` and `prim::CallFunction` whose callee has a graph, nested calls included.

    `prepare` may change the copy of each body before it is put in place. Calls of ignored functions (which run in
    Python) and of interface methods stay. Returns whether anything changed. Raises UnsupportedError for a program that
    would become enormous.
    """
    return _Inliner(prepare).block(graph.block)


def callee_of(node: Node) -> Function | None:
    """The function a call node refers to; None when it is not known or has no graph of its own."""
    if node.kind == "prim::CallMethod":
        receiver = node.inputs[0].type
        if not isinstance(receiver, ClassType) or receiver.is_interface:
            return None
        function = receiver.methods.get(node.attributes["name"])
    elif node.kind == "prim::CallFunction":
        function = node.inputs[0].node.attributes.get("function")
    else:
        return None
    if not isinstance(function, Function) or function.python_function is not None:
        return None
    return function


def replace_by_body(node: Node, function: Function, arguments: Sequence[Value]) -> None:
    """Put the body of a function, calls in it inlined, in the place of a node."""
    _Inliner(lambda body: None).replace(node, function, arguments)


class _Inliner:
    """Inlines calls, and counts the nodes that this makes."""

    def __init__(self, prepare: Callable[[Graph], None]) -> None:
        self._prepare = prepare
        self._left = _MOST_NODES

    def block(self, block: Block) -> bool:
        """Inline what a block calls. Returns whether anything changed."""
        changed = False
        for node in block.nodes:
            for nested in node.blocks:
                changed |= self.block(nested)
            function = callee_of(node)
            if function is not None:
                self._inline(node, function)
                changed = True
        return changed

    def replace(self, node: Node, function: Function, arguments: Sequence[Value]) -> None:
        """Put the body of a function in the place of a node."""
        body = function.graph.copy()
        self.block(body.block)
        self._prepare(body)
        for parameter, argument in zip(body.inputs, arguments):
            parameter.replace_all_uses_with(argument)
        for inner in body.nodes:
            self._count(function)
            inner.move_before(node)
        results = body.outputs
        body.block.return_node.set_inputs(())
        for old, result in zip(node.outputs, results):
            if old.name and not result.is_parameter:
                result.name = old.name
            old.replace_all_uses_with(result)
        node.destroy()

    def _count(self, function: Function) -> None:
        self._left -= 1
        if self._left < 0:
            raise UnsupportedError(f"inlining what {function.name} calls makes more than {_MOST_NODES} nodes")

    def _inline(self, node: Node, function: Function) -> None:
        is_method = node.kind == "prim::CallMethod"
        callee = None if is_method else node.inputs[0]
        self.replace(node, function, node.inputs if is_method else node.inputs[1:])
        if callee is not None and callee.is_constant and not callee.has_uses:
            callee.node.destroy()
