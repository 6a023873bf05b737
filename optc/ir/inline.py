"""Puts the bodies of called functions and methods in the place of the calls.

Used by `.inlined_graph` (optc.jit) and by the pass `inline` (optc.passes), which may not import each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from optc.ir.function import ClassType, Function
from optc.ir.graph import Block, Graph, Node, Value, copy_node


def inline_calls(graph: Graph, prepare: Callable[[Graph], None] = lambda body: None) -> bool:
    """Inline every `prim::CallMethod` and `prim::CallFunction` whose callee has a graph, nested calls included.

    `prepare` may change the copy of each body before it is put in place. Calls of ignored functions (which run in
    Python) and of interface methods stay. Returns whether anything changed.
    """
    return _inline_block(graph.block, prepare)


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


def _inline_block(block: Block, prepare: Callable[[Graph], None]) -> bool:
    changed = False
    for node in block.nodes:
        for nested in node.blocks:
            changed |= _inline_block(nested, prepare)
        function = callee_of(node)
        if function is not None:
            _inline(node, function, prepare)
            changed = True
    return changed


def replace_by_body(
    node: Node,
    function: Function,
    arguments: Sequence[Value],
    prepare: Callable[[Graph], None] = lambda body: None,
) -> None:
    """Put the body of a function, calls in it inlined, in the place of a node."""
    body = function.graph.copy()
    _inline_block(body.block, prepare)
    prepare(body)
    values: dict[Value, Value] = dict(zip(body.inputs, arguments))
    for inner in body.nodes:
        copy_node(inner, node.graph, values).insert_before(node)
    for old, new in zip(node.outputs, body.outputs):
        result = values[new]
        if old.name and not result.is_parameter:
            result.name = old.name
        old.replace_all_uses_with(result)
    node.destroy()


def _inline(node: Node, function: Function, prepare: Callable[[Graph], None]) -> None:
    is_method = node.kind == "prim::CallMethod"
    callee = None if is_method else node.inputs[0]
    replace_by_body(node, function, node.inputs if is_method else node.inputs[1:], prepare)
    if callee is not None and callee.is_constant and not callee.has_uses:
        callee.node.destroy()
