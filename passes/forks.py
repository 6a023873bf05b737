"""What the pass `inline` does with forks: their bodies run where they are forked, and waiting is nothing.

    %f : Future[Tensor] = prim::fork(%x)    =>    (the body, which gives %y)
    %y : Tensor = aten::wait(%f)                  (every reader of the result of the wait reads %y)

A body that fails does so when it is forked instead of when somebody waits; the program then runs once more in the
interpreter, which knows the difference. Programs with forks that raise and may be forgotten are left alone.
"""

from __future__ import annotations

from dataclasses import replace

from optc.ir.graph import Graph, Node, Value, copy_node
from optc.ir.inline import inline_calls
from optc.ir.types import DictType, FutureType, ListType, OptionalType, TupleType, Type, UnionType


def run_forks(graph: Graph) -> bool:
    """Put the bodies of forks in their place. Futures, in lists too, become what they will hold."""
    if any(_holds_future(value.type) for value in graph.inputs):
        return False
    forks = [node for node in graph.walk() if node.kind == "prim::fork"]
    if not all(map(_is_waited_for, forks)):
        return False
    for node in forks:
        _run(graph, node)
    for value in graph.values():
        if _holds_future(value.type):
            value.type = _awaited(value.type)
    waits = [node for node in graph.walk() if node.kind == "aten::wait"]
    for node in waits:
        node.output.replace_all_uses_with(node.inputs[0])
        node.destroy()
    return bool(forks or waits)


def _is_waited_for(fork: Node) -> bool:
    """False for a fork that raises and may do so unnoticed, since nobody certainly waits for it."""
    if any(use.node.kind == "aten::wait" and use.node.block is fork.block for use in fork.output.uses):
        return True
    body: Graph = fork.attributes["Subgraph"].copy()
    inline_calls(body)
    return not any(node.kind in ("prim::RaiseException", "prim::fork") for node in body.walk())


def _run(graph: Graph, node: Node) -> None:
    body: Graph = node.attributes["Subgraph"]
    values: dict[Value, Value] = dict(zip(body.inputs, node.inputs, strict=True))
    for inner in body.nodes:
        copy_node(inner, graph, values).insert_before(node)
    node.output.replace_all_uses_with(values[body.outputs[0]])
    node.destroy()


def _holds_future(type_: Type) -> bool:
    return _awaited(type_) != type_


def _awaited(type_: Type) -> Type:
    """The type with what futures will hold in the place of futures."""
    if isinstance(type_, FutureType):
        return _awaited(type_.element)
    if isinstance(type_, ListType):
        return ListType(_awaited(type_.element))
    if isinstance(type_, OptionalType):
        return OptionalType(_awaited(type_.element))
    if isinstance(type_, TupleType):
        return replace(type_, elements=tuple(map(_awaited, type_.elements)))
    if isinstance(type_, DictType):
        return DictType(_awaited(type_.key), _awaited(type_.value))
    if isinstance(type_, UnionType):
        return UnionType(tuple(map(_awaited, type_.members)))
    return type_
