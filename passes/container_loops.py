"""The pass `container-loops`.

    for image in [a, b]:                    sizes.append(a.size())
        sizes.append(image.size())    =>    sizes.append(b.size())

Works on captured graphs: what such a loop changes is only known once it is written out. So is the rank of a tensor
whose extents a loop collects.
"""

from __future__ import annotations

from collections.abc import Iterator

from optc.ir.graph import Graph, Node, Use, Value
from optc.ir.types import INT, ListType, TensorType
from optc.ops.registry import operator_of
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
        if count is None or count > trips or not _is_worth_it(loop, count):
            continue
        if count * sum(1 for _ in loop.blocks[0].walk()) > nodes:
            continue
        write_out(loop, count)
        changed = True
    return changed


def _is_worth_it(loop: Node, count: int) -> bool:
    return goes_through_a_list(loop) or _fills_a_list(loop) or _is_short(loop, count)


def goes_through_a_list(loop: Node) -> bool:
    """True where a turn reads or writes an element of a list that is made outside, by a changing number.

    Numbers that are only read are no reason: nothing hides behind them.
    """
    return any(_matters(access) for access in _accesses(loop))


def _accesses(loop: Node) -> Iterator[Node]:
    """Where a turn reads or writes an element of a list that is made outside, by a changing number."""
    for node in loop.blocks[0].walk():
        if node.kind not in ("aten::__getitem__", "aten::_set_item"):
            continue
        if _is_made_list(node.inputs[0], loop) and not node.inputs[1].is_constant:
            yield node


def _is_short(loop: Node, count: int) -> bool:
    """True for a loop through a list that takes little room: extents may be computed from the numbers in it."""
    return count * sum(1 for _ in loop.blocks[0].walk()) <= _LITTLE and any(_accesses(loop))


_LITTLE = 64
"""So many nodes are written out for numbers that are only read."""


def _fills_a_list(loop: Node) -> bool:
    """True where a turn appends to a list of references that another loop goes through, or of a tensor's extents."""
    lists = {node.inputs[0] for node in loop.blocks[0].walk() if node.kind == "aten::append"}
    uses = [use for items in lists if _is_made_list(items, loop) for use in items.uses]
    return any(_looks_in_turns(use) or _takes_extents(use) for use in uses if not use.node.is_inside(loop.blocks[0]))


def _looks_in_turns(use: Use) -> bool:
    is_changing = use.node.kind == "aten::__getitem__" and not use.node.inputs[1].is_constant
    return is_changing and _holds_references(use.node.inputs[0])


def _takes_extents(use: Use) -> bool:
    """True where an operator makes a tensor by a list of ints."""
    makes_tensor = any(isinstance(output.type, TensorType) for output in use.node.outputs)
    return makes_tensor and use.node.inputs[use.slot].type == ListType(INT)


def _is_made_list(items: Value, loop: Node) -> bool:
    made = items.node
    return (made.kind == "prim::ListConstruct" or is_split(made)) and not made.is_inside(loop.blocks[0])


def is_split(made: Node) -> bool:
    """True for a node that gives a list of views of a tensor."""
    operator = operator_of(made)
    return operator is not None and operator.is_view and isinstance(made.output.type, ListType)


def _holds_references(items: Value) -> bool:
    return isinstance(items.type, ListType) and is_reference(items.type.element)


def _matters(access: Node) -> bool:
    return access.kind == "aten::_set_item" or _holds_references(access.inputs[0])
