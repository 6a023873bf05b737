"""The pass `container-loops`.

    for image in [a, b]:                    sizes.append(a.size())
        sizes.append(image.size())    =>    sizes.append(b.size())

Works on captured graphs: what such a loop changes is only known once it is written out.
"""

from __future__ import annotations

from collections.abc import Iterator

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
    """Write out loops that go through lists whose tensors, lists or dictionaries are known one by one."""
    changed = False
    for loop in list(graph.walk()):
        if loop.kind != "prim::Loop" or loop.owner is None:
            continue
        count = known_trips(loop)
        if count is None or count > trips or not _goes_through_a_list(loop):
            continue
        if count * sum(1 for _ in loop.blocks[0].walk()) > nodes:
            continue
        write_out(loop, count)
        changed = True
    return changed


def _goes_through_a_list(loop: Node) -> bool:
    """True where a turn reads or writes an element of a list of references that is made outside, by a changing number."""
    return any(
        _is_list_of_references(items) and not items.node.is_inside(loop.blocks[0]) and not index.is_constant
        for items, index in _element_accesses(loop)
    )


def _element_accesses(loop: Node) -> Iterator[tuple[Value, Value]]:
    for node in loop.blocks[0].walk():
        if node.kind in ("aten::__getitem__", "aten::_set_item"):
            yield node.inputs[0], node.inputs[1]


def _is_list_of_references(value: Value) -> bool:
    type_ = value.type
    return value.node.kind == "prim::ListConstruct" and isinstance(type_, ListType) and is_reference(type_.element)
