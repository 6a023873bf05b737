"""Which methods of a module, beside the one that is compiled, may leave something else in its attributes.

What `reset` or `set_gain` write, the next call of `forward` finds: to it these attributes are no constants.
"""

from __future__ import annotations

from collections.abc import Iterator

from optc.errors import OptcError
from optc.ir.function import ClassType, Function, ScriptObject
from optc.ir.graph import Node
from optc.ir.inline import callee_of

_LOADING = frozenset({"__setstate__"})
"""What an archive's reader calls, before there is anything to compile."""


def writing_methods(root: ScriptObject, compiled: Function | None) -> Iterator[tuple[ScriptObject, Function]]:
    """The methods that may write attributes, with their objects: those of `root`, and those of the objects in it that
    no other method calls."""
    objects = list(_objects_in(root, set()))
    if not any(len(owner.type.methods) > 1 for owner in objects):
        return
    called = _called_methods(owner.type for owner in objects)
    writing: dict[Function, bool] = {}
    for owner in objects:
        for method in owner.type.methods.values():
            is_known = method is compiled or method.base_name in _LOADING or (owner is not root and method in called)
            if not is_known and _may_write(method, writing):
                yield owner, method


def _objects_in(owner: ScriptObject, seen: set[int]) -> Iterator[ScriptObject]:
    """The object, and those that its attributes hold."""
    if id(owner) in seen or owner.type.is_native:
        return
    seen.add(id(owner))
    yield owner
    for value in owner.values.values():
        if isinstance(value, ScriptObject):
            yield from _objects_in(value, seen)


def _called_methods(classes: Iterator[ClassType]) -> set[Function]:
    methods = {method for class_ in classes for method in class_.methods.values()}
    nodes = (node for method in methods for node in _nodes(method) or ())
    return {found for node in nodes if (found := callee_of(node)) is not None}


def _nodes(function: Function) -> Iterator[Node] | None:
    """The nodes of a function; None where it cannot be compiled, so that only who calls it finds out why."""
    if function.python_function is not None:
        return iter(())
    try:
        return function.graph.walk()
    except OptcError:
        return None


def _may_write(function: Function, known: dict[Function, bool]) -> bool:
    """True unless the function, and all that it calls, only read."""
    if function not in known:
        known[function] = False  # to a call of itself
        nodes = _nodes(function)
        known[function] = nodes is None or any(_node_may_write(node, known) for node in nodes)
    return known[function]


def _node_may_write(node: Node, known: dict[Function, bool]) -> bool:
    # Few programs have further methods: those that are started from the disk cache do without the passes.
    from optc.pipeline import writes_memory

    if node.kind == "prim::SetAttr" or writes_memory(node):
        return True
    if node.kind not in ("prim::CallMethod", "prim::CallFunction"):
        return False
    callee = callee_of(node)
    return callee is None or _may_write(callee, known)
