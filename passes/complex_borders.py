"""The pass `complex-borders`.

graph(%c : ComplexFloat(5)):                       graph(%c : ComplexFloat(5)):
                                                     %p : Float(5, 2) = aten::view_as_real(%c)
                                               =>    %x : ComplexFloat(5) = aten::view_as_complex(%p)
  %y : ComplexFloat(5) = aten::mul(%c, %c)           %y : ComplexFloat(5) = aten::mul(%x, %x)
                                                     %q : Float(5, 2) = aten::view_as_real(%y)
                                                     %z : ComplexFloat(5) = aten::view_as_complex(%q)
  return (%y)                                        return (%z)

Callers hand over complex tensors as they lie in memory, which is as pairs of real numbers: the views at the border cost
nothing, and what is between them may be computed from parts. Loops and branches hand on real and imaginary parts:

%y : ComplexFloat(5) = prim::Loop(%n, True, %x)          %re : Float(5), %im : Float(5) = prim::Loop(%n, True, %xr, %xi)
  block0(%i : int, %p : ComplexFloat(5)):          =>      block0(%i : int, %pr : Float(5), %pi : Float(5)):
"""

from __future__ import annotations

from optc.ir.graph import Block, Graph, Node, Value
from optc.ir.types import TensorType, TupleType
from optc.ops.builder import Builder
from optc.ops.complex_numbers import is_at_border, is_complex, pairs_type
from optc.passes.lower_tuples import insert_outputs
from optc.pipeline import graph_pass


@graph_pass(
    "complex-borders",
    functional=True,
    after={"flatten-outputs": "results must be known one by one"},
)
def complex_borders(graph: Graph) -> bool:
    """Take complex arguments as pairs of real numbers, give complex results as such, and let loops carry the parts."""
    b = Builder(graph)
    changed = False
    for node in list(graph.walk()):
        split = {"prim::If": _split_result, "prim::Loop": _split_carried}.get(node.kind)
        for place in reversed(range(len(node.outputs))) if split is not None else ():
            changed |= split is not None and split(b, node, place)
    arguments = [value for value in graph.inputs if is_complex(value.type) and any(map(_computes, _readers(value)))]
    results = [value for value in graph.outputs if _is_made(value)]
    for value in arguments:
        _take(b, value)
    for value in dict.fromkeys(results):
        _give(b, value)
    return changed or bool(arguments or results)


def _readers(value: Value) -> list[Node]:
    return [use.node for use in value.uses]


def _computes(node: Node) -> bool:
    return node.kind != "prim::Return" and not is_at_border(node)


def _is_made(value: Value) -> bool:
    return is_complex(value.type) and not value.is_parameter and not is_at_border(value.node)


def _take(b: Builder, value: Value) -> None:
    graph = b.graph
    with graph.inserting(next(graph.block.nodes, graph.block.return_node)):
        pairs = b("aten::view_as_real", value)
        taken = b("aten::view_as_complex", pairs)
    for use in list(value.uses):
        if use.node is not pairs.node and use.node.kind != "prim::Return":
            use.node.set_input(use.slot, taken)


def _give(b: Builder, value: Value) -> None:
    graph = b.graph
    with graph.inserting(graph.block.return_node):
        given = b("aten::view_as_complex", b("aten::view_as_real", value))
    returned = graph.block.return_node
    returned.set_inputs([given if output is value else output for output in returned.inputs])


# Branches and loops --------------------------------------------------------------------------------------------------


def _split_result(b: Builder, node: Node, place: int) -> bool:
    if not _are_alike([node.outputs[place], *(block.outputs[place] for block in node.blocks)]):
        return False
    for block in node.blocks:
        _give_parts(b, block, place)
    _put_together(b, node, place)
    return True


def _split_carried(b: Builder, node: Node, place: int) -> bool:
    body = node.blocks[0]
    start, parameter = node.inputs[place + 2], body.inputs[place + 1]
    if not _are_alike([node.outputs[place], start, parameter, body.outputs[place + 1]]):
        return False
    parts = _parts(b, start, node)
    node.set_inputs([*node.inputs[: place + 2], *parts, *node.inputs[place + 3 :]])
    _give_parts(b, body, place + 1)
    _put_together(b, body.param_node, place + 1)
    _put_together(b, node, place)
    return True


def _are_alike(values: list[Value]) -> bool:
    """True for complex tensors of one element type that are made somewhere."""
    return all(
        is_complex(value.type)
        and isinstance(value.type, TensorType)
        and isinstance(values[0].type, TensorType)
        and value.type.dtype is values[0].type.dtype
        and value.node.kind != "prim::Uninitialized"
        for value in values
    )


def _parts(b: Builder, value: Value, reader: Node) -> list[Value]:
    """The real and the imaginary part of a tensor, made just before `reader`."""
    with b.graph.inserting(reader):
        pairs = b("aten::view_as_real", value)
        return [b("aten::select.int", pairs, -1, part) for part in (0, 1)]


def _give_parts(b: Builder, block: Block, place: int) -> None:
    outputs = block.outputs
    parts = _parts(b, outputs[place], block.return_node)
    block.return_node.set_inputs([*outputs[:place], *parts, *outputs[place + 1 :]])


def _put_together(b: Builder, node: Node, place: int) -> None:
    """Output number `place` becomes two, and what they say together a value behind the node."""
    old = node.outputs[place]
    assert isinstance(old.type, TensorType) and node.next is not None
    real = pairs_type(old.type)
    part = real.with_shape((real.shape or ())[:-1])
    parts = insert_outputs(node, place + 1, TupleType((part, part)))
    with b.graph.inserting(node.next):
        old.replace_all_uses_with(b("aten::view_as_complex", b("aten::stack", parts, -1)))
    node.remove_output(place)
