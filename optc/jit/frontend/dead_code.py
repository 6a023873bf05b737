"""Removes what nobody can notice: nodes, block outputs and loop values whose results are not used.

A node that writes stays if something that lives may see the write. Which values share memory is approximated: values
connected by views, containers and blocks form one group.
"""

from __future__ import annotations

from optc.ir.graph import Block, Graph, Node, Value
from optc.ir.types import TensorType
from optc.jit.frontend.type_rules import is_mutable
from optc.ops.registry import operator_of

SIDE_EFFECTS = frozenset(
    {
        "prim::Print", "prim::RaiseException", "prim::SetAttr", "aten::warn", "aten::save", "aten::manual_seed",
        "prim::CallFunction", "prim::CallMethod", "prim::PythonOp", "prim::Enter", "prim::Exit", "prim::fork",
        "aten::wait", "prim::ReturnStmt", "prim::LoopContinuation", "prim::AddStatValue", "prim::TimePoint",
        "prim::forkClosure", "aten::set_data", "aten::set_grad_enabled", "aten::is_grad_enabled",
        "aten::is_autocast_enabled", "aten::is_autocast_cpu_enabled",
    }
)  # fmt: skip

_SHARED_SOURCES = frozenset({"prim::GetAttr", "prim::CallFunction", "prim::CallMethod", "prim::PythonOp", "aten::wait"})


class _Sharing:
    """Groups of values that may share memory (union-find)."""

    def __init__(self, graph: Graph) -> None:
        self._parents: dict[Value, Value] = {}
        self._visible: set[Value] = set()
        for value in graph.inputs:
            self._note_visible(value)
        for node in graph.walk():
            self._node(node)
        self.visible = {self.group(value) for value in self._visible}

    def group(self, value: Value) -> Value:
        """The representative of the value's group."""
        root = value
        while (parent := self._parents.get(root)) is not None:
            root = parent
        while value is not root:
            self._parents[value], value = root, self._parents[value]
        return root

    def _join(self, first: Value, second: Value) -> None:
        first, second = self.group(first), self.group(second)
        if first is not second:
            self._parents[first] = second

    def _note_visible(self, value: Value) -> None:
        if is_mutable(value.type):
            self._visible.add(value)

    def _node(self, node: Node) -> None:
        if node.kind in _SHARED_SOURCES:
            for value in (*node.outputs, *(node.inputs if node.kind != "prim::GetAttr" else ())):
                self._note_visible(value)
            return
        if node.blocks:
            self._blocks(node)
            return
        operator = operator_of(node)
        if operator is not None and not _may_alias(node):
            return
        mutable = [value for value in (*node.inputs, *node.outputs) if is_mutable(value.type)]
        for value in mutable[1:]:
            self._join(mutable[0], value)

    def _blocks(self, node: Node) -> None:
        for block in node.blocks:
            offset = 1 if node.kind == "prim::Loop" else 0
            for output, value in zip(node.outputs, block.outputs[offset:]):
                self._join(output, value)
            if node.kind == "prim::Loop":
                for parameter, value, output in zip(block.inputs[1:], node.inputs[2:], node.outputs):
                    self._join(parameter, value)
                    self._join(parameter, output)


def _may_alias(node: Node) -> bool:
    operator = operator_of(node)
    if operator is None:
        return True
    schema = operator.schema
    aliased = any(argument.alias for argument in (*schema.arguments, *schema.returns))
    return aliased or not all(_is_plain(value) for value in node.outputs)


def _is_plain(value: Value) -> bool:
    return not is_mutable(value.type) or isinstance(value.type, TensorType)


class _DeadCode:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.sharing = _Sharing(graph)
        self.marked: set[Node] = set()
        self.live: set[Value] = set()
        self.live_groups: set[Value] = set()
        self.effects: dict[Node, bool] = {}

    def run(self) -> None:
        for value in self.graph.outputs:
            self._make_live(value)
        self._mark_block(self.graph.block)
        self._sweep(self.graph.block)

    def _make_live(self, value: Value) -> None:
        self.live.add(value)
        if is_mutable(value.type):
            self.live_groups.add(self.sharing.group(value))

    def _mark(self, node: Node) -> bool:
        """The node lives, and so do the nodes it stands in. Returns whether that is new."""
        if node in self.marked:
            return False
        self.marked.add(node)
        for value in node.inputs:
            self._make_live(value)
        owner = node.block.owning_node
        if owner is not None:
            self._mark(owner)
        return True

    def _mark_block(self, block: Block) -> bool:
        changed = False
        for node in block.nodes:
            if self._has_effects(node):
                changed |= self._mark(node)
        changed |= self._mark_return(block)
        for node in block.reversed_nodes:
            changed |= self._mark_nested(node)
            if any(output in self.live for output in node.outputs) or self._writes_to_living(node):
                changed |= self._mark(node)
        return changed

    def _mark_nested(self, node: Node) -> bool:
        """Blocks of a node; a loop's until nothing changes, as its values come back."""
        changed = False
        for block in node.blocks:
            again = self._mark_block(block)
            while again:
                changed = True
                again = node.kind == "prim::Loop" and self._mark_block(block)
        return changed

    def _mark_return(self, block: Block) -> bool:
        """What leaves a block lives if it is used outside, or by the next round of a loop."""
        owner = block.owning_node
        if owner is None or block.return_node in self.marked:
            return False
        self.marked.add(block.return_node)
        outputs = block.outputs
        if owner.kind == "prim::Loop":
            self._make_live(outputs[0])
            for output, parameter, value in zip(owner.outputs, block.inputs[1:], outputs[1:]):
                if output in self.live or parameter.has_uses:
                    self._make_live(value)
            return True
        for output, value in zip(owner.outputs, outputs):
            if output in self.live:
                self._make_live(value)
        return True

    def _has_effects(self, node: Node) -> bool:
        known = self.effects.get(node)
        if known is None:
            known = self.effects[node] = self._find_effects(node)
        return known

    def _find_effects(self, node: Node) -> bool:
        if node.kind in SIDE_EFFECTS or "archive" in node.attributes:  # an operator that optc does not know may write
            return True
        if any(self._has_effects(inner) for block in node.blocks for inner in block.nodes):
            return True
        return any(self.sharing.group(value) in self.sharing.visible for value in written_values(node))

    def _writes_to_living(self, node: Node) -> bool:
        return any(self.sharing.group(value) in self.live_groups for value in written_values(node))

    def _sweep(self, block: Block) -> None:
        for node in block.reversed_nodes:
            if node.kind == "prim::If":
                _remove_unused_outputs(node)
            elif node.kind == "prim::Loop":
                _remove_unused_loop_values(node)
            for nested in node.blocks:
                self._sweep(nested)
            if node not in self.marked and not any(output.has_uses for output in node.outputs):
                node.destroy()


def written_values(node: Node) -> list[Value]:
    """The inputs (and those of nested nodes) that the node changes in place."""
    written = [value for block in node.blocks for inner in block.nodes for value in written_values(inner)]
    operator = operator_of(node) if node.kind.startswith("aten::") else None
    if operator is not None and operator.mutates:
        written += [value for value, argument in zip(node.inputs, operator.schema.arguments) if argument.is_written]
    return written


def _remove_unused_outputs(node: Node) -> None:
    for place in reversed(range(len(node.outputs))):
        if not node.outputs[place].has_uses:
            node.remove_output(place)
            for block in node.blocks:
                block.return_node.remove_input(place)


def _remove_unused_loop_values(node: Node) -> None:
    body = node.blocks[0]
    for place in reversed(range(len(node.outputs))):
        if not node.outputs[place].has_uses and not body.inputs[place + 1].has_uses:
            remove_loop_value(node, place)


def remove_loop_value(node: Node, place: int) -> None:
    """Drop a loop-carried value that nobody uses."""
    body = node.blocks[0]
    node.remove_output(place)
    node.remove_input(place + 2)
    body.return_node.remove_input(place + 1)
    body.param_node.remove_output(place + 1)


def eliminate_dead_code(graph: Graph) -> None:
    """Remove dead nodes, outputs of ifs and values of loops."""
    _DeadCode(graph).run()
