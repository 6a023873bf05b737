"""The pass `agreeing-ranks`.

    y = x.view(n, -1, 4) if n > 0 else x          if n > 0: y = x.view(n, -1, 4); z = y.reshape(-1, 4)
    z = y.reshape(-1, 4)                    =>    else:     z = x.reshape(-1, 4)

A tensor has one rank in native code. Where two branches give tensors of different ranks, what reads them goes into the
branches, one reader after the other, until what comes out agrees. Results that agree may have readers that cannot go
inside, such as loops: then those of unlike ranks get a branch of their own, which computes what they need once more.
"""

from __future__ import annotations

from optc.ir.graph import Graph, Node, Value, copy_node
from optc.ir.symbols import introduced_symbols, renew_symbols
from optc.ir.types import ListType, TensorType, Type
from optc.ops.effects import has_effects
from optc.passes.infer_shapes import Inference
from optc.pipeline import Context, graph_pass


@graph_pass("agreeing-ranks", functional=True, after={"infer-shapes": "it says which rank a tensor has in a branch"})
def agreeing_ranks(graph: Graph, *, context: Context, readers: int = 256) -> bool:
    """Move what reads tensors of unlike ranks into the branches that give them."""
    branches = [node for node in graph.walk() if node.kind == "prim::If" and _unlike(node)]
    if not branches:
        return False
    inference = Inference(graph, context)
    moved = [_move_readers(node, inference, readers) for node in branches]
    return any(moved)


def _move_readers(branch: Node, inference: Inference, readers: int) -> bool:
    moved = 0
    while moved < readers and any(output.has_uses for output in _unlike(branch)):
        reader = _first_reader(branch)
        if reader is None and _has_others(branch):
            branch = _apart(branch)
            continue
        if reader is None:
            break
        _move_inside(reader, branch, inference)
        moved += 1
    return moved > 0


def _unlike(branch: Node) -> list[Value]:
    """The results whose ranks are known in both branches, and differ."""
    first, second = branch.blocks
    pairs = zip(branch.outputs, first.outputs, second.outputs)
    return [output for output, left, right in pairs if _differ(_rank(left.type), _rank(right.type))]


def _differ(left: int | None, right: int | None) -> bool:
    return left is not None and right is not None and left != right


def _rank(type_: Type) -> int | None:
    """The rank of a tensor, or of the tensors in a list."""
    element = type_.element if isinstance(type_, ListType) else type_
    return len(element.shape) if isinstance(element, TensorType) and element.shape is not None else None


def _first_reader(branch: Node) -> Node | None:
    """The first node behind a branch that reads it; None where it has to stay, or nothing follows but the end."""
    block = branch.block
    places = {use.node.standing_in(block) for output in branch.outputs for use in output.uses}
    block.number_nodes()
    first = min(places, key=lambda node: node.position)
    is_end = first is block.return_node
    return None if is_end or first.blocks or has_effects(first) else first


def _has_others(branch: Node) -> bool:
    """True where results with other readers keep a branch in its place, and another branch could do without them."""
    unlike = _unlike(branch)
    others = [output for output in branch.outputs if output.has_uses and output not in unlike]
    return bool(others) and not any(has_effects(node) for block in branch.blocks for node in block.walk())


def _apart(branch: Node) -> Node:
    """A branch of its own, behind this one, for the results of unlike ranks."""
    unlike = [output for output in _unlike(branch) if output.has_uses]
    introduced = set().union(*map(introduced_symbols, branch.blocks))
    copied = copy_node(branch, branch.graph, {}).insert_after(branch)
    renew_symbols([copied], introduced, {})
    for output in unlike:
        output.replace_all_uses_with(copied.outputs[output.offset])
    for output in [output for output in reversed(copied.outputs) if not output.has_uses]:
        for block in copied.blocks:
            block.return_node.remove_input(output.offset)
        copied.remove_output(output.offset)
    return copied


def _move_inside(reader: Node, branch: Node, inference: Inference) -> None:
    """Copy a reader into both branches, where it reads what they give; its results are results of the branch."""
    branch.move_before(reader)
    for block in branch.blocks:
        copied = copy_node(reader, branch.graph, dict(zip(branch.outputs, block.outputs)))
        block.append(copied)
        inference.node(copied)
        for output in copied.outputs:
            block.add_output(output)
    for output in reader.outputs:
        output.replace_all_uses_with(branch.add_output(output.type, output.name))
    reader.destroy()
