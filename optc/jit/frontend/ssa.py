"""From stores and loads to SSA: assigned variables become outputs of `prim::If` and `prim::Loop`.

1. control flow nodes load what they carry in and store what they give out;
2. `break` and `continue` become `prim::LoopContinuation` with the values the loop goes on with;
3. the condition of a loop moves in front of it and to the end of its body;
4. stores and loads are replaced by the values they stand for;
5. early exits become flags (`exits`).
"""

from __future__ import annotations

from collections.abc import Collection

from optc.ir.graph import Block, Graph, Node, Value, copy_block
from optc.ir.types import Type
from optc.jit.frontend.constants import insert_constant
from optc.jit.frontend.environment import is_meaningful
from optc.jit.frontend.exits import transform_exits
from optc.jit.frontend.type_rules import unify
from optc.jit.value_names import ValueNames


def convert_to_ssa(graph: Graph, names: ValueNames, continued: Collection[Node]) -> None:
    """Bring an emitted graph into SSA form. `continued` are the ifs that test an `and` or `or` right before them."""
    _ControlFlowVariables(graph, names).block(graph.block, None)
    _LoopContinuations(graph, names).run()
    _inline_loop_conditions(graph.block, names)
    _erase_stores_and_loads(graph.block, {})
    transform_exits(graph, continued)


class _Scope:
    """Types of the variables stored in a block so far, and the scope around it."""

    def __init__(self, parent: _Scope | None) -> None:
        self.parent = parent
        self.types: dict[str, Type] = {}

    def find(self, name: str) -> Type | None:
        scope: _Scope | None = self
        while scope is not None:
            if name in scope.types:
                return scope.types[name]
            scope = scope.parent
        return None


class _ControlFlowVariables:
    def __init__(self, graph: Graph, names: ValueNames) -> None:
        self.graph = graph
        self.names = names
        self.loads: dict[str, list[Node]] = {}
        for node in graph.walk():
            if node.kind == "prim::Load":
                self.loads.setdefault(str(node.attributes["name"]), []).append(node)

    def block(self, block: Block, parent: _Scope | None) -> _Scope:
        scope = _Scope(parent)
        node = block.param_node.next
        while node is not None and node is not block.return_node:
            self._node(node, scope)
            node = node.next
        return scope

    def _node(self, node: Node, scope: _Scope) -> None:
        if node.kind == "prim::If":
            self._if(node, scope)
        elif node.kind == "prim::Loop":
            self._loop(node, scope)
        elif node.kind in ("prim::forkClosure", "prim::ComprehensionScope"):
            for block in node.blocks:
                self.block(block, scope)
        elif node.kind == "prim::Store":
            scope.types[node.attributes["name"]] = node.inputs[0].type

    def _if(self, node: Node, scope: _Scope) -> None:
        first, second = node.blocks
        true_scope, false_scope = self.block(first, scope), self.block(second, scope)
        assigned = {name for name in true_scope.types if false_scope.find(name) is not None}
        assigned |= {name for name in false_scope.types if true_scope.find(name) is not None}
        for name in sorted(assigned):
            true_type, false_type = true_scope.find(name), false_scope.find(name)
            assert true_type is not None and false_type is not None
            is_read = scope.find(name) is not None or self._is_read_outside(name, node)
            unified = unify(true_type, false_type, default_to_union=is_read)
            if unified is None:
                continue
            self._load_at_end(first, true_type, name)
            self._load_at_end(second, false_type, name)
            self._output(node, unified, name)

    def _is_read_outside(self, name: str, branch: Node) -> bool:
        """The variable is read after the branch; then one of its sides has declared a type that holds both."""
        return any(not any(load.is_inside(block) for block in branch.blocks) for load in self.loads.get(name, ()))

    def _loop(self, node: Node, scope: _Scope) -> None:
        body = node.blocks[0]
        inner = self.block(body, scope)
        for name in sorted(inner.types):
            outer_type = scope.find(name)
            if outer_type is None:
                continue
            inner_type = inner.types[name]
            unified = unify(outer_type, inner_type, default_to_union=True)
            assert unified is not None
            load = self.graph.create("prim::Load", (), (outer_type,), {"name": name}).insert_before(node)
            node.add_input(load.output)
            carried = body.add_input(unified)
            self.names.give(carried, name)
            store = self.graph.create("prim::Store", (carried,), (), {"name": name})
            body.prepend(store)
            self._load_at_end(body, inner_type, name)
            self._output(node, unified, name)

    def _load_at_end(self, block: Block, type_: Type, name: str) -> None:
        load = self.graph.create("prim::Load", (), (type_,), {"name": name})
        block.append(load)
        block.add_output(load.output)

    def _output(self, node: Node, type_: Type, name: str) -> None:
        output = node.add_output(type_)
        if is_meaningful(name):
            self.names.give(output, name)
        self.graph.create("prim::Store", (output,), (), {"name": name}).insert_after(node)


class _LoopContinuations:
    def __init__(self, graph: Graph, names: ValueNames) -> None:
        self.graph = graph
        self.names = names

    def run(self) -> None:
        with self.graph.inserting(_first_node(self.graph.block)):
            self.false = insert_constant(self.graph, False)
        self._block(self.graph.block, None)

    def _block(self, block: Block, loop: Node | None) -> None:
        for node in block.nodes:
            if node.kind == "prim::Loop":
                self._block(node.blocks[0], node)
            elif node.kind in ("prim::If", "prim::ComprehensionScope"):
                for nested in node.blocks:
                    self._block(nested, loop)
            elif node.kind == "prim::forkClosure":
                self._block(node.blocks[0], None)
            elif node.kind in ("prim::BreakStmt", "prim::ContinueStmt"):
                assert loop is not None
                self._jump(node, loop)

    def _jump(self, node: Node, loop: Node) -> None:
        if node.kind == "prim::BreakStmt":
            condition = self.false
        else:
            condition = _copy_before(node, loop.blocks[1], self.names)
        continuation = self.graph.create("prim::LoopContinuation", (condition,)).insert_after(node)
        for carried in loop.blocks[0].outputs:
            load = self.graph.create("prim::Load", (), (carried.type,), carried.node.attributes)
            load.insert_before(continuation)
            continuation.add_input(load.output)
        node.destroy()


def _first_node(block: Block) -> Node:
    first = block.param_node.next
    assert first is not None
    return first


def _copy_before(node: Node, block: Block, names: ValueNames) -> Value:
    """Copy the nodes of a condition block before `node`; the copied condition."""
    holder = node.graph.create("prim::Inline").insert_before(node)
    copied = holder.add_block()
    copy_block(block, copied, {})
    for inner in copied.walk():
        for value in inner.outputs:
            base = value.name.rpartition(".")[0] if value.name.rpartition(".")[2].isdigit() else value.name
            value.name = ""
            names.give(value, base)
    condition = copied.outputs[0]
    for inner in copied.nodes:
        inner.move_before(node)
    holder.destroy()
    return condition


def _inline_loop_conditions(block: Block, names: ValueNames) -> None:
    for node in block.nodes:
        for nested in node.blocks:
            _inline_loop_conditions(nested, names)
        if node.kind != "prim::Loop":
            continue
        body, header = node.blocks
        node.insert_input(1, _copy_before(node, header, names))
        for inner in header.nodes:
            inner.move_before(body.return_node)
        body.return_node.insert_input(0, header.outputs[0])
        header.destroy()
        del node.blocks[1]


def _erase_stores_and_loads(block: Block, outer: dict[str, Value]) -> None:
    values = dict(outer)
    for node in block.nodes:
        if node.kind == "prim::Store":
            values[node.attributes["name"]] = node.inputs[0]
            node.destroy()
        elif node.kind == "prim::Load":
            node.output.replace_all_uses_with(values[node.attributes["name"]])
            node.destroy()
        elif node.kind == "prim::ComprehensionScope":
            body = node.blocks[0]
            _erase_stores_and_loads(body, values)
            for inner in body.nodes:
                inner.move_before(node)
            node.destroy()
        else:
            for nested in node.blocks:
                _erase_stores_and_loads(nested, values)
