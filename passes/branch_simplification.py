"""The pass `branch-simplification`."""

from __future__ import annotations

from optc.ir.graph import Block, Graph, Node, Value
from optc.ir.symbols import replace_value
from optc.ir.types import BOOL
from optc.ops.effects import is_removable
from optc.pipeline import graph_pass
from optc.rewrite import same_value


@graph_pass("branch-simplification", functional=True)
def branch_simplification(graph: Graph) -> bool:
    """Take branches whose condition is known, drop what follows a raise, and straighten the branches that remain."""
    changed = False
    while _visit(graph.block, {}):
        changed = True
    return changed


def _visit(block: Block, known: dict[Value, bool]) -> bool:
    """`known` are conditions whose value is certain here, because this block runs under them."""
    changed = False
    for node in block.nodes:
        if node.owner is None:
            continue
        if node.kind == "prim::RaiseException":
            changed |= drop_unreachable(node)
        elif node.kind == "prim::If":
            changed |= _visit_branch(node, known)
        else:
            for nested in node.blocks:
                changed |= _visit(nested, known)
    return changed


def _visit_branch(node: Node, known: dict[Value, bool]) -> bool:
    changed = _negate(node)
    condition = node.inputs[0]
    decided = condition.constant if condition.is_constant else known.get(condition)
    if decided is not None:
        taken = node.blocks[0 if decided else 1]
        _visit(taken, known)
        splice(node, taken)
        return True
    for value, block in ((True, node.blocks[0]), (False, node.blocks[1])):
        changed |= _visit(block, known | {condition: value})
    changed |= _settle(node, condition)
    changed |= _use_condition(node, condition)
    changed |= _merge_equal_outputs(node)
    if _flatten_raising(node):
        return True
    if not node.outputs and all(is_removable(inner) for block in node.blocks for inner in block.nodes):
        node.destroy()
        return True
    return changed


def splice(node: Node, block: Block) -> None:
    """Replace `node` by the nodes of one of its blocks; results without a name get that of the output they stand for."""
    for output, result in zip(node.outputs, block.outputs):
        result.name = result.name or output.name
        replace_value(node.graph, output, result)
    node.give_way_to(block)


def _negate(node: Node) -> bool:
    """if not c: A else: B  =  if c: B else: A."""
    inverted = node.inputs[0].node
    if inverted.kind != "aten::__not__":
        return False
    node.set_input(0, inverted.inputs[0])
    node.blocks.reverse()
    return True


def _settle(node: Node, condition: Value) -> bool:
    """Inside of a branch its condition is a constant, and so is the opposite."""
    opposites = [use.node.output for use in condition.uses if use.node.kind == "aten::__not__"]
    changed = False
    for value, block in ((True, node.blocks[0]), (False, node.blocks[1])):
        changed |= _put_constant(condition, value, block)
        for opposite in opposites:
            changed |= _put_constant(opposite, not value, block)
    return changed


def _put_constant(value: Value, constant: bool, block: Block) -> bool:
    """Let what reads `value` inside of a block read a constant."""
    uses = [use for use in value.uses if use.node.is_inside(block)]
    if not uses:
        return False
    with block.graph.inserting(next(block.nodes, block.return_node)):
        known = block.graph.insert_constant(constant, BOOL)
    for use in uses:
        use.node.set_input(use.slot, known)
    return True


def _use_condition(node: Node, condition: Value) -> bool:
    """A branch that returns True where the condition holds and False where not returns the condition, or its opposite."""
    changed = False
    for output, first, second in zip(node.outputs, node.blocks[0].outputs, node.blocks[1].outputs):
        if not output.has_uses or not (first.is_constant and second.is_constant):
            continue
        if first.constant is True and second.constant is False:
            output.replace_all_uses_with(condition)
            changed = True
        elif first.constant is False and second.constant is True:
            with node.graph.inserting(node):
                opposite = node.graph.insert("aten::__not__", [condition], (BOOL,), overload="").output
            output.replace_all_uses_with(opposite)
            changed = True
    return changed


def _merge_equal_outputs(node: Node) -> bool:
    """An output that is the same value whichever branch runs needs no branch."""
    changed = False
    for output, first, second in zip(node.outputs, node.blocks[0].outputs, node.blocks[1].outputs):
        equal = first is second or (first.is_constant and second.is_constant and same_value(first, second))
        value = _outside(first, node) or _outside(second, node) if equal else _only_value(output, first, second, node)
        if not output.has_uses or not (equal or value is not None):
            continue
        if value is None:
            first.node.move_before(node)
            value = first
        output.replace_all_uses_with(value)
        changed = True
    return changed


def _only_value(output: Value, first: Value, second: Value, node: Node) -> Value | None:
    """What one side has from outside of the branch where the other side has nothing that anybody reads."""
    for empty, value in ((first, second), (second, first)):
        if empty.node.kind == "prim::Uninitialized" and value.type == output.type:
            return _outside(value, node)
    return None


def _outside(value: Value, node: Node) -> Value | None:
    inside = any(value.node.is_inside(block) for block in node.blocks)
    return None if inside else value


def _flatten_raising(node: Node) -> bool:
    """After a branch that always raises, the other branch is simply what comes next."""
    raising = [_always_raises(block) for block in node.blocks]
    if raising.count(True) != 1:
        return False
    other = node.blocks[1 - raising.index(True)]
    if not other.outputs and not list(other.nodes):
        return False
    for inner in reversed(list(other.nodes)):
        inner.unlink().insert_after(node)
    for output, result in zip(node.outputs, other.outputs):
        output.replace_all_uses_with(result)
    for block in node.blocks:
        block.return_node.remove_inputs()
    while node.outputs:
        node.remove_output(len(node.outputs) - 1)
    return True


def _always_raises(block: Block) -> bool:
    last = block.return_node.previous
    return last is not None and last.kind == "prim::RaiseException"


def drop_unreachable(node: Node) -> bool:
    """Nothing after a raise runs: remove it, and return placeholders. True when there was something."""
    block = node.block
    if node.next is block.return_node and all(_is_placeholder(value, block) for value in block.outputs):
        return False
    for slot, value in enumerate(block.outputs):
        if not _is_placeholder(value, block):
            made = node.graph.create("prim::Uninitialized", (), (value.type,)).insert_before(node)
            block.return_node.set_input(slot, made.output)
        elif value.node.owner is block:
            value.node.move_before(node)
    while block.return_node.previous is not node:
        last = block.return_node.previous
        assert last is not None
        last.destroy()
    return True


def _is_placeholder(value: Value, block: Block) -> bool:
    return value.node.kind == "prim::Uninitialized" or value.node.owner is not block
