"""The pass `local-containers`.

    d = {}                      d is gone:
    d["a"] = x            =>
    y = d["a"]                  y = x

Works on captured graphs, where the tensors inside may still change in place: it only says which tensor is meant.
Afterwards `functionalize` has no container left of which it could not say what it holds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optc.ir.graph import Graph, Node, Value
from optc.ir.types import IntType
from optc.ops.builder import constant_type
from optc.ops.registry import operator_of
from optc.pipeline import graph_pass

Items = dict[Any, Value]
"""What a container holds by key; by place, for lists."""


@graph_pass(
    "local-containers",
    after={"inline": "containers go in and out of calls", "freeze": "the keys are often settings of the module"},
)
def local_containers(graph: Graph) -> bool:
    """See through lists and dictionaries that are made, changed and read in one block and seen by nobody else."""
    changed = False
    for node in list(graph.walk()):
        if node.owner is not None and _is_made(node):
            changed |= _follow(graph, node)
    return changed


def _is_made(node: Node) -> bool:
    if node.kind == "aten::dict":
        return not node.inputs
    keys = node.inputs[::2] if node.kind == "prim::DictConstruct" else ()
    return node.kind in ("prim::ListConstruct", "prim::DictConstruct") and all(map(_is_key, keys))


def _is_key(value: Value) -> bool:
    return value.is_constant and isinstance(value.constant, str | int)


def _is_list(made: Node) -> bool:
    return made.kind == "prim::ListConstruct"


def _follow(graph: Graph, made: Node) -> bool:
    """Replace what is read of a container by what was put into it, if all of it can be followed."""
    uses = list({use.node: None for use in made.output.uses})
    if any(use.owner is not made.owner for use in uses):
        return False
    uses.sort(key=_Order(made))
    if not any(_is_written(use, made.output) for use in uses):
        return False
    if _is_list(made):
        items = dict(enumerate(made.inputs))
    else:
        items = {key.constant: value for key, value in zip(made.inputs[::2], made.inputs[1::2])}
    states: list[Items] = []
    for use in uses:
        states.append(dict(items))
        is_last = use is uses[-1]
        if not _step(made, use, items) and not (is_last or _only_reads(use, made.output)):
            return False
        if _is_written(use, made.output) and use.kind not in _CHANGES:
            return False
    for use, state in zip(uses, states):
        _replace(graph, made, use, state)
    made.destroy()
    return True


class _Order:
    """Sorts nodes of one block as they run."""

    def __init__(self, first: Node) -> None:
        assert first.owner is not None
        self.places = {node: place for place, node in enumerate([*first.owner.nodes, first.owner.return_node])}

    def __call__(self, node: Node) -> int:
        return self.places[node]


def _is_written(use: Node, container: Value) -> bool:
    operator = operator_of(use)
    if operator is None:
        return False
    return any(value is container and a.is_written for value, a in zip(use.inputs, operator.schema.arguments))


def _only_reads(use: Node, container: Value) -> bool:
    """True for operators that neither change the container nor hold on to it."""
    operator = operator_of(use)
    if operator is None or use.blocks:
        return False
    given = [a for value, a in zip(use.inputs, operator.schema.arguments) if value is container]
    return bool(given) and not any(a.alias for a in given) and operator.mutates is False


# What happens to the container ----------------------------------------------------------------------------------------


def _step(made: Node, use: Node, items: Items) -> bool:
    """Bring `items` behind a use; False for one that is not understood, or might fail."""
    if use.inputs.count(made.output) != 1 or use.inputs[0] is not made.output:
        return False
    if use.kind in _CHANGES and any(output.has_uses for output in use.outputs):
        return False
    step = _CHANGES.get(use.kind) or _READS.get(use.kind)
    return step is not None and step(made, use, items)


def _set(made: Node, use: Node, items: Items) -> bool:
    key = _key(made, use.inputs[1], items)
    if key is None or (_is_list(made) and key not in items):
        return False
    items[key] = use.inputs[2]
    return True


def _append(made: Node, use: Node, items: Items) -> bool:
    items[len(items)] = use.inputs[1]
    return _is_list(made)


def _get(made: Node, use: Node, items: Items) -> bool:
    return _key(made, use.inputs[1], items) in items


def _has(made: Node, use: Node, items: Items) -> bool:
    return not _is_list(made) and _is_key(use.inputs[1])


def _length(made: Node, use: Node, items: Items) -> bool:
    return True


def _key(made: Node, value: Value, items: Items) -> Any:
    """The key that a constant stands for, None where it is not known."""
    if not _is_key(value):
        return None
    key = value.constant
    return key + len(items) if _is_list(made) and isinstance(key, int) and key < 0 else key


_CHANGES: dict[str, Callable[[Node, Node, Items], bool]] = {"aten::_set_item": _set, "aten::append": _append}
_READS: dict[str, Callable[[Node, Node, Items], bool]] = {
    "aten::__getitem__": _get,
    "aten::__contains__": _has,
    "aten::len": _length,
}


# What is put in place of it -------------------------------------------------------------------------------------------


def _replace(graph: Graph, made: Node, use: Node, items: Items) -> None:
    """Write one use without the container; `items` is what it holds by then."""
    with graph.replacing(use):
        if not _step(made, use, dict(items)):
            present = _built(graph, made, items)
            use.set_inputs([present if value is made.output else value for value in use.inputs])
            return
        if use.kind == "aten::__getitem__":
            use.output.replace_all_uses_with(items[_key(made, use.inputs[1], items)])
        elif use.kind in _READS:
            found = len(items) if use.kind == "aten::len" else use.inputs[1].constant in items
            type_ = IntType(found) if use.kind == "aten::len" else constant_type(found)
            use.output.replace_all_uses_with(graph.insert_constant(found, type_))
    use.destroy()


def _built(graph: Graph, made: Node, items: Items) -> Value:
    """The container as it is by now, made anew."""
    if _is_list(made):
        return graph.insert("prim::ListConstruct", list(items.values()), (made.output.type,)).output
    pairs = [part for key, value in items.items() for part in (graph.insert_constant(key, constant_type(key)), value)]
    return graph.insert("prim::DictConstruct", pairs, (made.output.type,)).output
