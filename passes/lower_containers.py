"""The pass `lower-containers`."""

from __future__ import annotations

from collections.abc import Callable

from optc.ir.graph import Graph, Node, Value
from optc.ir.types import IntType, TensorType
from optc.pipeline import graph_pass
from optc.rewrite import same_value


@graph_pass(
    "lower-containers",
    functional=True,
    after={"functionalize": "a list is what it was built from only if nobody changes it"},
)
def lower_containers(graph: Graph) -> bool:
    """See through lists and dictionaries that are built, changed and taken apart in the graph."""
    changed = False
    while _simplify(graph):
        changed = True
    return changed


def _simplify(graph: Graph) -> bool:
    changed = False
    for node in graph.walk():
        simplify = _SIMPLIFIERS.get(node.kind)
        if simplify is not None and node.owner is not None:
            changed |= simplify(graph, node)
    return changed


def _replace(node: Node, value: Value) -> bool:
    node.output.replace_all_uses_with(value)
    node.destroy()
    return True


def _get_item(graph: Graph, node: Node) -> bool:
    """[a, b, c][1] = b, and {"k": a}["k"] = a."""
    source, index = node.inputs
    if not index.is_constant:
        return False
    if source.node.kind == "prim::ListConstruct":
        items = source.node.inputs
        inside = isinstance(index.constant, int) and -len(items) <= index.constant < len(items)
        return inside and _replace(node, items[index.constant])
    if source.node.kind == "prim::DictConstruct":
        return _get_key(node, source.node, index)
    return False


def _get_key(node: Node, made: Node, key: Value) -> bool:
    keys, values = made.inputs[::2], made.inputs[1::2]
    if not all(item.is_constant for item in keys):
        return False
    found = [value for item, value in zip(keys, values) if same_value(item, key)]
    return bool(found) and _replace(node, found[-1])


def _set_key(graph: Graph, node: Node) -> bool:
    """{"k": a} with "l" set to b = {"k": a, "l": b}."""
    made, key, value = node.inputs[0].node, node.inputs[1], node.inputs[2]
    if made.kind != "prim::DictConstruct" or not all(item.is_constant for item in (key, *made.inputs[::2])):
        return False
    pairs = list(made.inputs)
    found = [place for place in range(0, len(pairs), 2) if same_value(pairs[place], key)]
    if found:
        pairs[found[0] + 1] = value
    else:
        pairs += [key, value]
    with graph.inserting(node):
        graph.current_source, graph.current_scope = node.source, node.scope
        return _replace(node, graph.insert("prim::DictConstruct", pairs, (node.output.type,)).output)


def _has_key(graph: Graph, node: Node) -> bool:
    """Whether "k" is in {"k": a} is known."""
    made, key = node.inputs[0].node, node.inputs[1]
    if made.kind != "prim::DictConstruct" or not all(item.is_constant for item in (key, *made.inputs[::2])):
        return False
    with graph.inserting(node):
        found = any(same_value(item, key) for item in made.inputs[::2])
        return _replace(node, graph.insert_constant(found, node.output.type))


def _dictionary_parts(graph: Graph, node: Node) -> bool:
    """keys({"k": a}) = ["k"], values({"k": a}) = [a]."""
    made = node.inputs[0].node
    if made.kind != "prim::DictConstruct" or not all(item.is_constant for item in made.inputs[::2]):
        return False
    return _new_list(graph, node, list(made.inputs[node.kind == "aten::values" :: 2]))


def _length(graph: Graph, node: Node) -> bool:
    """len([a, b, c]) = 3."""
    made = node.inputs[0].node
    if made.kind != "prim::ListConstruct":
        return False
    with graph.inserting(node):
        return _replace(node, graph.insert_constant(len(made.inputs), IntType(len(made.inputs))))


def _unpack_list(graph: Graph, node: Node) -> bool:
    """a, b = [x, y]."""
    made = node.inputs[0].node
    if made.kind != "prim::ListConstruct" or len(made.inputs) != len(node.outputs):
        return False
    for output, value in zip(node.outputs, made.inputs):
        output.replace_all_uses_with(value)
    node.destroy()
    return True


def _append(graph: Graph, node: Node) -> bool:
    """[a, b] with c appended = [a, b, c]."""
    made = node.inputs[0].node
    if made.kind != "prim::ListConstruct":
        return False
    return _new_list(graph, node, [*made.inputs, node.inputs[1]])


def _set_list_item(graph: Graph, node: Node) -> bool:
    """[a, b] with item 1 replaced by c = [a, c]."""
    made, index, item = node.inputs[0].node, node.inputs[1], node.inputs[2]
    if made.kind != "prim::ListConstruct" or not index.is_constant:
        return False
    if not -len(made.inputs) <= index.constant < len(made.inputs):
        return False
    items = list(made.inputs)
    items[index.constant] = item
    return _new_list(graph, node, items)


def _insert_list_item(graph: Graph, node: Node) -> bool:
    """[a, b] with c inserted at 0 = [c, a, b]."""
    made, index, item = node.inputs[0].node, node.inputs[1], node.inputs[2]
    if made.kind != "prim::ListConstruct" or not index.is_constant:
        return False
    items = list(made.inputs)
    items.insert(index.constant, item)
    return _new_list(graph, node, items)


def _drop_list_item(graph: Graph, node: Node) -> bool:
    """[a, b] without item 0 = [b]."""
    made, index = node.inputs[0].node, node.inputs[1]
    if made.kind != "prim::ListConstruct" or not index.is_constant:
        return False
    if not -len(made.inputs) <= index.constant < len(made.inputs):
        return False
    items = list(made.inputs)
    del items[index.constant]
    return _new_list(graph, node, items)


def _new_list(graph: Graph, node: Node, items: list[Value]) -> bool:
    with graph.inserting(node):
        graph.current_source, graph.current_scope = node.source, node.scope
        made = graph.insert("prim::ListConstruct", items, (node.output.type,)).output
    return _replace(node, made)


def _add(graph: Graph, node: Node) -> bool:
    """[a] + [b] = [a, b]."""
    makers = [value.node for value in node.inputs[:2]]
    if len(node.inputs) != 2 or any(made.kind != "prim::ListConstruct" for made in makers):
        return False
    return _new_list(graph, node, [*makers[0].inputs, *makers[1].inputs])


def _fold(graph: Graph, node: Node) -> bool:
    """min([a, b, c]) = min(min(a, b), c) for ints; so are max, sum, and any and all of truth values."""
    operation = _FOLDED.get(f"{node.kind}.{node.overload}")
    made = node.inputs[0].node
    if operation is None or made.kind != "prim::ListConstruct" or not made.inputs:
        return False
    result, *rest = made.inputs
    with graph.inserting(node):
        graph.current_source, graph.current_scope = node.source, node.scope
        kind, _, overload = operation.partition(".")
        type_ = IntType() if isinstance(node.output.type, IntType) else node.output.type
        for value in rest:
            result = graph.insert(kind, (result, value), (type_,), overload=overload).output
    return _replace(node, result)


_FOLDED = {
    "prim::min.self_int": "prim::min.int",
    "prim::max.self_int": "prim::max.int",
    "aten::sum.int": "aten::add.int",
    "aten::any.bool": "aten::__or__.bool",
    "aten::all.bool": "aten::__and__.bool",
}


def _concatenate(graph: Graph, node: Node) -> bool:
    """cat([x], dim) = x."""
    made = node.inputs[0].node
    if made.kind != "prim::ListConstruct" or len(made.inputs) != 1 or made.inputs[0].type != node.output.type:
        return False
    type_ = node.output.type
    return isinstance(type_, TensorType) and type_.is_typed and _replace(node, made.inputs[0])


_SIMPLIFIERS: dict[str, Callable[[Graph, Node], bool]] = {
    "aten::__getitem__": _get_item,
    "aten::len": _length,
    "aten::add": _add,
    "aten::cat": _concatenate,
    "prim::min": _fold,
    "prim::max": _fold,
    "aten::sum": _fold,
    "aten::any": _fold,
    "aten::all": _fold,
    "aten::__contains__": _has_key,
    "aten::keys": _dictionary_parts,
    "aten::values": _dictionary_parts,
    "prim::DictSet": _set_key,
    "prim::ListUnpack": _unpack_list,
    "prim::ListAppend": _append,
    "prim::ListSet": _set_list_item,
    "prim::ListInsert": _insert_list_item,
    "prim::ListWithout": _drop_list_item,
}
