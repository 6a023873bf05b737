"""Early exits: `return`, `break` and `continue` inside blocks become values and flags.

Once an exit may have been hit, what follows in the block runs only if it was not; the flag and the values that leave
are further outputs of the `prim::If` and `prim::Loop` nodes on the way to the block that is left. Values that nobody
will read are `prim::Uninitialized`. Blocks that always raise count as left, so that no flag is needed for them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from optc.dataclass import dataclass
from optc.ir.graph import Block, Graph, Node, Value, copy_block
from optc.ir.types import BOOL, DictType, ListType, TupleType, Type
from optc.jit.frontend.constants import insert_constant, is_known
from optc.jit.frontend.type_rules import unify

_WILL, _MIGHT, _WONT, _THROWS = "will", "might", "wont", "throws"


@dataclass(frozen=True)
class _Exit:
    """Whether an exit was hit (one of the transformer's fixed flags, or computed) and the values that leave."""

    flag: Value
    values: tuple[Value, ...] = ()


class _ExitTransformer:
    """Removes one kind of exit statement from a graph."""

    def __init__(self, graph: Graph, kind: str) -> None:
        self.graph = graph
        self.kind = kind
        self.target: Block | None = None
        self.uninitialized: dict[Type | int, Value] = {}
        first = graph.block.param_node.next
        assert first is not None
        with graph.inserting(first):
            self.true = insert_constant(graph, True)
            self.false = insert_constant(graph, False)
        self.throws = self._unit(BOOL)

    def _unit(self, type_: Type) -> Value:
        """A value that nobody reads: one per type, for containers one per place that made the type, as in torch."""
        key = id(type_) if isinstance(type_, TupleType | ListType | DictType) else type_
        found = self.uninitialized.get(key)
        if found is None:
            node = self.graph.create("prim::Uninitialized", (), (type_,))
            self.graph.block.prepend(node)
            found = self.uninitialized[key] = node.output
        return found

    def _units(self, values: Sequence[Value]) -> tuple[Value, ...]:
        return tuple(self._unit(value.type) for value in values)

    def _status(self, exit_: _Exit) -> str:
        fixed = {self.true: _WILL, self.false: _WONT, self.throws: _THROWS}
        return fixed.get(exit_.flag, _MIGHT)

    def run(self) -> None:
        self._block(self.graph.block)

    def _targets(self, block: Block) -> bool:
        owner = block.owning_node
        if self.kind == "prim::LoopContinuation":
            return owner is not None and owner.kind == "prim::Loop"
        return owner is None or owner.kind == "prim::forkClosure"

    def _block(self, block: Block) -> _Exit:
        saved = self.target
        if self._targets(block):
            self.target = block
        exit_ = self._walk(block)
        if self.target is block:
            self._arrive(block, exit_)
            exit_ = _Exit(self.false)
        self.target = saved
        return exit_

    def _walk(self, block: Block) -> _Exit:
        exit_ = _Exit(self.false)
        node = block.param_node.next
        while node is not None and node is not block.return_node:
            following = node.next
            exit_ = self._node(node, exit_)
            status = self._status(exit_)
            if status in (_WILL, _THROWS):
                self._delete_from(block, following)
                break
            if status == _MIGHT:
                if following is not block.return_node:
                    assert following is not None
                    exit_ = self._guard(block, exit_, following)
                break
            node = following
        return exit_

    def _node(self, node: Node, exit_: _Exit) -> _Exit:
        if node.kind == "prim::RaiseException":
            return _Exit(self.throws)
        if node.kind == self.kind:
            values = node.inputs
            node.destroy()
            return _Exit(self.true, values)
        if node.kind == "prim::If":
            return self._if(node)
        if node.kind == "prim::Loop":
            return self._loop(node)
        if node.kind == "prim::With":
            return self._block(node.blocks[0])
        if node.kind == "prim::forkClosure":
            self._block(node.blocks[0])
        return exit_

    def _arrive(self, block: Block, exit_: _Exit) -> None:
        """The block is the one that is left: its outputs are the values that arrive."""
        status = self._status(exit_)
        if status == _WILL:
            block.return_node.set_inputs(exit_.values)
        elif status == _MIGHT:
            node = self.graph.create("prim::If", (exit_.flag,)).insert_before(block.return_node)
            node.add_block()
            node.add_block()
            self._add_outputs(node, exit_.values, block.outputs)
            block.return_node.set_inputs(node.outputs)

    @staticmethod
    def _add_outputs(node: Node, when_true: Sequence[Value], when_false: Sequence[Value]) -> list[Value]:
        added = []
        for first, second in zip(when_true, when_false, strict=True):
            node.blocks[0].add_output(first)
            node.blocks[1].add_output(second)
            unified = unify(first.type, second.type, default_to_union=True)
            assert unified is not None
            added.append(node.add_output(unified))
        return added

    def _loop(self, node: Node) -> _Exit:
        body = node.blocks[0]
        exit_ = self._block(body)
        if self._status(exit_) in (_WONT, _THROWS):
            return _Exit(self.false)
        with self.graph.inserting(body):
            condition = self.graph.insert("prim::If", (exit_.flag,), (BOOL,))
            condition.add_block().add_output(self.false)
            condition.add_block().add_output(body.outputs[0])
        body.return_node.set_input(0, condition.output)
        node.add_input(self.false)
        body.add_input(BOOL)
        body.add_output(exit_.flag)
        flag = node.add_output(BOOL)
        values = []
        for value in exit_.values:
            node.add_input(self._unit(value.type))
            body.add_input(value.type)
            body.add_output(value)
            values.append(node.add_output(value.type))
        return _Exit(flag, tuple(values))

    def _if(self, node: Node) -> _Exit:
        first, second = self._block(node.blocks[0]), self._block(node.blocks[1])
        statuses = (self._status(first), self._status(second))
        status = _joined_status(*statuses)
        if status == _THROWS:
            return _Exit(self.throws)
        if status == _WONT:
            return _Exit(self.false)
        if statuses[0] in (_WONT, _THROWS):
            first = _Exit(first.flag, self._units(second.values))
        elif statuses[1] in (_WONT, _THROWS):
            second = _Exit(second.flag, self._units(first.values))
        if status == _WILL:
            flag = self.true
        else:
            (flag,) = self._add_outputs(node, [first.flag], [second.flag])
        return _Exit(flag, tuple(self._add_outputs(node, first.values, second.values)))

    def _guard(self, block: Block, exit_: _Exit, first: Node) -> _Exit:
        """Run the rest of the block only if no exit was hit."""
        guard = self.graph.create("prim::If", (exit_.flag,)).insert_before(first)
        left, rest = guard.add_block(), guard.add_block()
        node: Node | None = first
        while node is not None and node is not block.return_node:
            following = node.next
            node.move_before(rest.return_node)
            node = following
        outputs = block.outputs
        for unit, output in zip(self._units(outputs), outputs):
            left.add_output(unit)
            rest.add_output(output)
            guard.add_output(output.type)
        block.return_node.set_inputs(guard.outputs)
        self.graph.create(self.kind, exit_.values).insert_before(left.return_node)
        return self._if(guard)

    def _delete_from(self, block: Block, first: Node | None) -> None:
        """What follows an exit never runs; values it would have given the block's outputs are never read."""
        doomed: list[Node] = []
        while first is not None and first is not block.return_node:
            doomed.append(first)
            first = first.next
        for node in reversed(doomed):
            for output in node.outputs:
                if output.has_uses:
                    output.replace_all_uses_with(self._unit(output.type))
            node.destroy()


def _joined_status(first: str, second: str) -> str:
    if first == _THROWS:
        return second
    if second == _THROWS:
        return first
    return first if first == second and first in (_WONT, _WILL) else _MIGHT


def transform_exits(graph: Graph, continued: Collection[Node]) -> None:
    """Replace `prim::LoopContinuation` and `prim::ReturnStmt` by block outputs.

    Ifs that test what the if before them decided become part of it: those that guard what follows an exit, and the
    `continued` ones, which test an `and` or `or`. The program's own booleans stay what they are, as in torch.
    """
    _wrap_with_statements(graph)
    flags: set[Value] = set()
    for kind in ("prim::LoopContinuation", "prim::ReturnStmt"):
        transformer = _ExitTransformer(graph, kind)
        transformer.run()
        flags |= {transformer.true, transformer.false}
    _Merger(flags, continued).block(graph.block)
    _unwrap_with_statements(graph)


class _Merger:
    """`if c: return 1` followed by the guard of the rest is one if with an else."""

    def __init__(self, flags: Collection[Value], continued: Collection[Node]) -> None:
        self.flags = flags
        self.continued = continued

    def block(self, block: Block) -> None:
        node = block.param_node.next
        while node is not None and node is not block.return_node:
            for nested in node.blocks:
                self.block(nested)
            if not self._merge_with_next(node):
                node = node.next

    def _merge_with_next(self, first: Node) -> bool:
        second = first.next
        if first.kind != "prim::If" or second is None or second.kind != "prim::If":
            return False
        if second.inputs[0].node is not first:
            return False
        decisions = [block.outputs[second.inputs[0].offset] for block in first.blocks]
        if second not in self.continued and not all(decision in self.flags for decision in decisions):
            return False
        if not all(map(is_known, decisions)) or decisions[0].constant == decisions[1].constant:
            return False
        for block, decision in zip(first.blocks, decisions):
            copy_block(second.blocks[0 if decision.constant else 1], block, dict(zip(first.outputs, block.outputs)))
        for output in second.outputs:
            merged = first.add_output(output.type)
            merged.name, output.name = output.name, ""
            output.replace_all_uses_with(merged)
        second.destroy()
        return True


def _wrap_with_statements(graph: Graph) -> None:
    """Put what lies between `prim::Enter` and its `prim::Exit` into a block, so that exits inside it are seen."""
    entered: list[Node] = []
    pairs: list[tuple[Node, Node]] = []
    for node in list(graph.walk()):
        if node.kind == "prim::Enter":
            entered.append(node)
        elif node.kind == "prim::Exit":
            pairs.append((entered.pop(), node))
    for enter, leave in pairs:
        wrapper = graph.create("prim::With").insert_after(enter)
        body, last = wrapper.add_block(), wrapper.add_block()
        inner = wrapper.next
        while inner is not None and inner is not leave:
            following = inner.next
            inner.move_before(body.return_node)
            inner = following
        leave.move_before(last.return_node)


def _unwrap_with_statements(graph: Graph) -> None:
    for wrapper in [node for node in graph.walk() if node.kind == "prim::With"]:
        for block in wrapper.blocks:
            for node in block.nodes:
                node.move_before(wrapper)
        wrapper.destroy()
