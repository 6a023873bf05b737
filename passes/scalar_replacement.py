"""The pass `scalar-replacement`.

%p : Point = prim::CreateObject()
prim::SetAttr[name="x"](%p, %a)
%b = prim::GetAttr[name="x"](%p)        =>      (every reader of %b reads %a)
"""

from __future__ import annotations

from collections.abc import Iterator

from optc.ir.function import ClassType
from optc.ir.graph import Graph, Node, Value
from optc.ir.types import unrefined
from optc.passes.variables import Variable
from optc.pipeline import graph_pass

_SAME_OBJECT = frozenset(("prim::unchecked_cast", "prim::unchecked_unwrap_optional", "aten::_unwrap_optional"))
_ACCESS = frozenset(("prim::GetAttr", "prim::SetAttr"))


@graph_pass("scalar-replacement", after={"inline": "methods get the object as an argument"})
def scalar_replacement(graph: Graph) -> bool:
    """Make the attributes of objects that stay inside the program values of their own."""
    changed = False
    while any(_replace(node) for node in list(graph.walk()) if node.kind == "prim::CreateObject"):
        changed = True
    return changed


def _replace(creation: Node) -> bool:
    """False for an object that somebody else may see: one that is returned, stored, merged or passed to a call."""
    type_ = creation.output.type
    if creation.owner is None or not isinstance(type_, ClassType):
        return False
    names = _names(creation.output)
    readers = [use for name in names for use in name.uses if use.node.kind not in _SAME_OBJECT]
    if not all(use.node.kind in _ACCESS and use.slot == 0 for use in readers):
        return False
    attributes = {str(use.node.attributes["name"]) for use in readers}
    if not attributes <= type_.attributes.keys():
        return False
    for attribute in sorted(attributes):
        _promote(creation, names, attribute)
    for name in reversed(names):
        name.node.destroy()
    return True


def _names(value: Value) -> list[Value]:
    """The object, and the results of nodes that only change what is known of it."""
    found = [value]
    for name in found:
        found += [use.node.output for use in name.uses if use.node.kind in _SAME_OBJECT]
    return found


def _promote(creation: Node, names: list[Value], attribute: str) -> None:
    declared = creation.output.type
    assert isinstance(declared, ClassType)
    type_ = unrefined(declared.attributes[attribute].type)
    graph = creation.graph
    with graph.inserting(creation):
        start = graph.insert("prim::Uninitialized", (), (type_,)).output

    def is_access(node: Node) -> bool:
        return node.kind in _ACCESS and node.inputs[0] in names and node.attributes["name"] == attribute

    Variable(is_access, type_, attribute).promote(_behind(creation), start)
    if not start.has_uses:
        start.node.destroy()


def _behind(node: Node) -> Iterator[Node]:
    """The nodes of the block that follow a node."""
    found = iter(node.block.nodes)
    for earlier in found:
        if earlier is node:
            break
    yield from found
