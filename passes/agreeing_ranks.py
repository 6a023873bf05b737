"""The pass `agreeing-ranks`.

    y = x.view(n, -1, 4) if n > 0 else x          if n > 0: y = x.view(n, -1, 4); z = y.reshape(-1, 4)
    z = y.reshape(-1, 4)                    =>    else:     z = x.reshape(-1, 4)

A tensor has one rank, and one element type, in native code. Where two branches give tensors of different ones, what
reads them goes into the branches, one reader after the other, until what comes out agrees. Results that agree may have readers that cannot go
inside, such as loops: then those of unlike ranks get a branch of their own, which computes what they need once more.
"""

from __future__ import annotations

from collections.abc import Sequence

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
    """The results whose ranks or element types are known in both branches, and differ."""
    first, second = branch.blocks
    pairs = zip(branch.outputs, first.outputs, second.outputs)
    return [output for output, left, right in pairs if _differ(_tensor(left.type), _tensor(right.type))]


def _differ(left: TensorType | None, right: TensorType | None) -> bool:
    if left is None or right is None or left.shape is None or right.shape is None:
        return False
    kinds = {left.dtype, right.dtype}
    return len(left.shape) != len(right.shape) or (len(kinds) > 1 and None not in kinds)


def _tensor(type_: Type) -> TensorType | None:
    """The type of a tensor, or of the tensors in a list."""
    element = type_.element if isinstance(type_, ListType) else type_
    return element if isinstance(element, TensorType) else None


def _first_reader(branch: Node) -> Node | None:
    """The first node behind a branch that reads it; None where it has to stay, or nothing follows but the end."""
    block = branch.block
    places = {use.node.standing_in(block) for output in branch.outputs for use in output.uses}
    block.number_nodes()
    first = min(places, key=lambda node: node.position)
    if first is block.return_node or not _may_follow(branch, first):
        return None
    asks_again = first.kind == "prim::If" and first.inputs[0] is branch.inputs[0]
    return first if asks_again or not (first.blocks or has_effects(first)) else None


def _may_follow(branch: Node, reader: Node) -> bool:
    """Whether a branch may move to its reader: what draws random numbers does not pass what does."""
    if not _acts(branch):
        return True
    between = branch.next
    while between is not None and between is not reader:
        if _acts(between):
            return False
        between = between.next
    return True


def _acts(node: Node) -> bool:
    """True where something else happens than that the run may fail."""
    inside = [inner for block in node.blocks for inner in block.walk()]
    return any(
        not inner.blocks and inner.kind != "prim::RaiseException" and has_effects(inner) for inner in [node, *inside]
    )


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
    introduced = set().union(*map(introduced_symbols, reader.blocks))
    for block, (nodes, results) in zip(branch.blocks, _what_runs(reader)):
        values = dict(zip(branch.outputs, block.outputs))
        for node in nodes:
            copied = copy_node(node, branch.graph, values)
            renew_symbols([copied], introduced, {})
            block.append(copied)
            if not copied.blocks:
                inference.node(copied)
        for output in results:
            block.add_output(values.get(output, output))
    for output in reader.outputs:
        output.replace_all_uses_with(branch.add_output(output.type, output.name))
    reader.destroy()


def _what_runs(reader: Node) -> list[tuple[list[Node], Sequence[Value]]]:
    """The nodes of a reader that belong into either branch, with their results: of one that asks what the branch asks,
    what runs after the same answer.
    """
    if not reader.blocks:
        return [([reader], reader.outputs)] * 2
    return [(list(block.nodes), block.outputs) for block in reader.blocks]
