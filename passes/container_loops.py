"""The pass `container-loops`.

    for image in [a, b]:                    sizes.append(a.size())
        sizes.append(image.size())    =>    sizes.append(b.size())

Works on captured graphs: what such a loop changes is only known once it is written out.
"""

from __future__ import annotations

from optc.ir.graph import Graph, Node, Value
from optc.ir.types import ListType
from optc.passes.aliasing import is_reference
from optc.passes.loop_unrolling import known_trips, write_out
from optc.pipeline import graph_pass


@graph_pass(
    "container-loops",
    after={"freeze": "lists are often settings of the module", "local-containers": "how long lists are is known then"},
)
def container_loops(graph: Graph, *, trips: int = 64, nodes: int = 32768) -> bool:
    """Write out loops that go through lists whose tensors, lists or dictionaries are known one by one, or make them."""
    changed = False
    for loop in list(graph.walk()):
        if loop.kind != "prim::Loop" or loop.owner is None:
            continue
        count = known_trips(loop)
        if count is None or count > trips or not (goes_through_a_list(loop) or _fills_a_list(loop)):
            continue
        if count * sum(1 for _ in loop.blocks[0].walk()) > nodes:
            continue
        write_out(loop, count)
        changed = True
    return changed


def goes_through_a_list(loop: Node) -> bool:
    """True where a turn reads or writes an element of a list that is made outside, by a changing number.

    Numbers that are only read are no reason: nothing hides behind them.
    """
    return any(
        _is_made_list(node.inputs[0], loop) and not node.inputs[1].is_constant and _matters(node)
        for node in loop.blocks[0].walk()
        if node.kind in ("aten::__getitem__", "aten::_set_item")
    )


def _fills_a_list(loop: Node) -> bool:
    """True where a turn appends to a list of references that another loop goes through."""
    lists = {node.inputs[0] for node in loop.blocks[0].walk() if node.kind == "aten::append"}
    filled = [items for items in lists if _is_made_list(items, loop) and _holds_references(items)]
    readers = [use.node for items in filled for use in items.uses if use.node.kind == "aten::__getitem__"]
    return any(not node.inputs[1].is_constant and not node.is_inside(loop.blocks[0]) for node in readers)


def _is_made_list(items: Value, loop: Node) -> bool:
    made = items.node
    return made.kind == "prim::ListConstruct" and not made.is_inside(loop.blocks[0])


def _holds_references(items: Value) -> bool:
    return isinstance(items.type, ListType) and is_reference(items.type.element)


def _matters(access: Node) -> bool:
    return access.kind == "aten::_set_item" or _holds_references(access.inputs[0])
