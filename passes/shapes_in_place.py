"""The pass `shapes-in-place`: `unsqueeze_`, `squeeze_` and `transpose_` become views.

    y = x + 1                       y = x + 1
    y.unsqueeze_(0)          =>     y1 = y.unsqueeze(0)
    z = y.relu()                    z = y1.relu()

They write no number; they make a tensor look at its memory in another way, for whoever has that tensor, and for none of
its views. So from then on the tensor is another value. That is said where the tensor is made in the same block, and
nobody but later readers can have it: it was not put into a list, carried by a loop, or given by a branch before. What a
conversion gives may be the tensor it was given: of that the same must hold, and nobody reads it afterwards.
"""

from __future__ import annotations

from optc.ir.graph import Graph, Node, Value
from optc.ir.types import TENSOR, TensorType
from optc.ops.registry import operator_of
from optc.ops.storage import RESHAPED_IN_PLACE
from optc.ops.writes import SAME_TENSOR, VIEWS
from optc.passes.aliasing import written_argument
from optc.pipeline import graph_pass


@graph_pass(
    "shapes-in-place",
    after={"inline": "a function may be given the tensor", "scalar-replacement": "attributes may hold the tensor"},
)
def shapes_in_place(graph: Graph) -> bool:
    """Make other values of tensors from where their shape is changed in place."""
    found = [node for node in graph.walk() if _is_reshaping(node)]
    if not found:
        return False
    named = [_name_written(node) for node in list(graph.walk())]
    changed = [_reshape(graph, node) for node in found]
    return any(named) or any(changed)


def _is_reshaping(node: Node) -> bool:
    operator = operator_of(node)
    return operator is not None and operator.name in RESHAPED_IN_PLACE


def _name_written(node: Node) -> bool:
    """What an in-place operator gives back is the tensor it was given."""
    target, operator = written_argument(node), operator_of(node)
    if target is None or operator is None or not isinstance(target.type, TensorType):
        return False
    changed = False
    for output, declared in zip(node.outputs, operator.schema.returns):
        if declared.is_written and output.has_uses:
            output.replace_all_uses_with(target)
            changed = True
    return changed


def _reshape(graph: Graph, node: Node) -> bool:
    tensor, operator = node.inputs[0], operator_of(node)
    assert operator is not None
    later = _later_than(node)
    if not _is_private(tensor, node, later):
        return False
    kind, _, overload = RESHAPED_IN_PLACE[operator.name].partition(".")
    with graph.replacing(node):
        made = graph.insert(kind, node.inputs, (TENSOR,), overload=overload).output
    made.name = tensor.name
    for use in tensor.uses:
        if use.node in later:
            use.node.set_input(use.slot, made)
    for output in node.outputs:
        output.replace_all_uses_with(made)
    node.destroy()
    return True


def _is_private(tensor: Value, reader: Node, later: set[Node]) -> bool:
    """True where what reads the tensor after `reader` reads the tensor itself, and nobody else has it."""
    before = [use for use in tensor.uses if use.node not in later and use.node is not reader]
    if tensor.node.owner is not reader.owner:
        return False
    if not all(_makes_objects(use.node) or _gives_nothing(use.node) for use in before):
        return False
    if _makes_objects(tensor.node):
        return True
    if not _may_hand_on(tensor.node):
        return False
    source = tensor.node.inputs[0]
    return not any(use.node in later for use in source.uses) and _is_private(source, tensor.node, later)


def _later_than(node: Node) -> set[Node]:
    """The nodes of the same block that run after this one, with all inside of them; the block's return as well."""
    found: set[Node] = set()
    following = node.next
    while following is not None:
        for inner in following.walk():
            found |= {inner, *(block.return_node for block in inner.blocks)}
        following = following.next
    return found


def _makes_objects(node: Node) -> bool:
    """True for a node whose results are tensors of their own, if only as views, and no memory of its arguments' holders."""
    operator = operator_of(node)
    if operator is None or operator.mutates or operator.name in SAME_TENSOR:
        return False
    if operator.shares is not None and operator.shares(node):
        return False
    return not operator.is_view or operator.name in VIEWS


def _may_hand_on(node: Node) -> bool:
    """True for a node whose result may be the very tensor that is its first argument, as that of a conversion."""
    operator = operator_of(node)
    if operator is None or operator.mutates or operator.name in SAME_TENSOR or len(node.outputs) != 1:
        return False
    declared = operator.schema.arguments[:1]
    return any(argument.alias for argument in declared) and isinstance(node.output.type, TensorType)


def _gives_nothing(node: Node) -> bool:
    """True for a node that writes to a tensor, and for a list that only such nodes, and those that make tensors, read."""
    if node.kind == "prim::ListConstruct":
        return all(_makes_objects(use.node) or _gives_nothing(use.node) for use in node.output.uses)
    target = written_argument(node)
    return target is not None and isinstance(target.type, TensorType)
