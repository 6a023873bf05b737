"""The pass `simple-changes`.

%1 = aten::add_.t(%items, %more)              aten::extend.t(%items, %more)          (every reader of %1 reads %items)

                                       =>     %2 = aten::__contains__.str(%table, %key)
%1 = aten::setdefault.str(                    prim::If(%2)
    %table, %key, %value)                       block1: aten::_set_item.str(%table, %key, %value)
                                              %1 = aten::__getitem__.Dict_str(%table, %key)
"""

from __future__ import annotations

from collections.abc import Callable

from optc.ir.graph import Graph, Node
from optc.ir.types import BOOL, INT, DictType, ListType
from optc.pipeline import graph_pass


@graph_pass("simple-changes", after={"inline": "methods that are called change lists and dictionaries"})
def simple_changes(graph: Graph) -> bool:
    """Spell out what reads and changes a list or dictionary at once as readers and simple changes."""
    changed = False
    for node in list(graph.walk()):
        spell_out = _SPELLED_OUT.get(node.kind)
        changed |= spell_out is not None and spell_out(graph, node)
    return changed


def _extend(graph: Graph, node: Node) -> bool:
    """A list that is extended in place is the same list afterwards."""
    items = node.inputs[0]
    if not isinstance(items.type, ListType):
        return False
    with graph.replacing(node):
        extension = graph.insert("aten::extend", node.inputs, (), overload="t")
    node.output.replace_all_uses_with(items)
    node.destroy()
    _append(graph, extension)
    return True


def _append(graph: Graph, node: Node) -> bool:
    """items.extend([a, b]): append a, then b."""
    items, more = node.inputs
    if more.node.kind != "prim::ListConstruct" or len(more.uses) != 1:
        return False
    with graph.replacing(node):
        for item in more.node.inputs:
            graph.insert("aten::append", (items, item), (items.type,), overload="t")
    node.destroy()
    more.node.destroy()
    return True


def _set_default(graph: Graph, node: Node) -> bool:
    """table.setdefault(key, value): stored unless there, then looked up."""
    table, key, value = node.inputs
    with graph.replacing(node):
        is_there = graph.insert("aten::__contains__", (table, key), (BOOL,), overload=node.overload).output
        branch = graph.insert("prim::If", (is_there,), ())
    branch.add_block()
    with graph.replacing(node, before=branch.add_block()):
        graph.insert("aten::_set_item", (table, key, value), (), overload=node.overload)
    with graph.replacing(node):
        found = graph.insert("aten::__getitem__", (table, key), (node.output.type,), overload=f"Dict_{node.overload}")
    node.output.replace_all_uses_with(found.output)
    node.destroy()
    return True


def _pop(graph: Graph, node: Node) -> bool:
    """table.pop(key, value): taken out if there, else the value."""
    if not (node.overload or "").startswith("Dict_default_"):
        return False
    table, key, value = node.inputs
    kind = (node.overload or "").removeprefix("Dict_default_")
    type_ = node.output.type
    with graph.replacing(node):
        is_there = graph.insert("aten::__contains__", (table, key), (BOOL,), overload=kind).output
        branch = graph.insert("prim::If", (is_there,), (type_,))
    with graph.replacing(node, before=branch.add_block()):
        taken = graph.insert("aten::pop", (table, key), (type_,), overload=f"Dict_{kind}").output
    branch.blocks[0].add_output(taken)
    branch.add_block().add_output(value)
    node.output.replace_all_uses_with(branch.output)
    node.destroy()
    return True


def _pop_item(graph: Graph, node: Node) -> bool:
    """table.popitem(): the first key, and what is taken out under it. An empty dictionary fails in other words."""
    table = node.inputs[0]
    assert isinstance(table.type, DictType)
    with graph.replacing(node):
        keys = graph.insert("aten::keys", (table,), (ListType(table.type.key),), overload=node.overload).output
        first = graph.insert_constant(0, INT)
        key = graph.insert("aten::__getitem__", (keys, first), (table.type.key,), overload="t").output
        taken = graph.insert("aten::pop", (table, key), (table.type.value,), overload=f"Dict_{node.overload}").output
        pair = graph.insert("prim::TupleConstruct", (key, taken), (node.output.type,)).output
    node.output.replace_all_uses_with(pair)
    node.destroy()
    return True


_SPELLED_OUT: dict[str, Callable[[Graph, Node], bool]] = {
    "aten::add_": _extend,
    "aten::extend": _append,
    "aten::setdefault": _set_default,
    "aten::pop": _pop,
    "aten::popitem": _pop_item,
}
