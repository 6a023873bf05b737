"""The SSA graph: values, nodes, blocks, graphs.

A `Graph` owns one top `Block`; `prim::If` and `prim::Loop` nodes own further blocks. Nodes of a block form a doubly
linked list that may be changed while it is walked. A block ends in a real `prim::Return` node whose inputs are the
block's outputs, so replacing a value never has a special case. `Value.uses` is ordered by time: deterministic.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from optc.errors import SourceRange
from optc.ir.literals import Elided
from optc.ir.types import TENSOR, Type


class Use(NamedTuple):
    """One place where a value is read: input number `slot` of `node`."""

    node: Node
    slot: int


class Value:
    """An SSA value: defined once (output of a node or parameter of a block), used any number of times.

    `name` is a hint such as `x` or `new_h.1`; empty for a temporary, which the printer numbers.
    """

    __slots__ = ("name", "node", "offset", "type", "_uses")

    def __init__(self, node: Node, offset: int, type_: Type, name: str = "") -> None:
        self.node = node
        self.offset = offset
        self.type = type_
        self.name = name
        self._uses: dict[tuple[int, int], Use] = {}

    @property
    def uses(self) -> list[Use]:
        """A snapshot of the uses, oldest first."""
        return list(self._uses.values())

    @property
    def has_uses(self) -> bool:
        """True when some node (a block's return included) reads the value."""
        return bool(self._uses)

    @property
    def is_parameter(self) -> bool:
        """True for inputs of a graph or block."""
        return self.node.kind == "prim::Param"

    @property
    def constant(self) -> Any:
        """The Python value of a `prim::Constant`. Raises ValueError where there is none: ask `is_constant` first."""
        node = self.node
        value = node.attributes.get("value")
        if node.kind != "prim::Constant" or value.__class__ is Elided:
            raise ValueError(f"%{self.name} is no constant but the result of {node.kind}")
        return value

    @property
    def is_constant(self) -> bool:
        """True for outputs of `prim::Constant` whose value is there: a text may have left it out (`<Tensor>`)."""
        return self.node.kind == "prim::Constant" and self.node.attributes.get("value").__class__ is not Elided

    def replace_all_uses_with(self, other: Value) -> None:
        """Make every reader of this value read `other` instead."""
        if other is self:
            return
        for use in self.uses:
            use.node.set_input(use.slot, other)


class Node:
    """An operation: `kind` (`aten::add`), inputs, outputs, attributes, nested blocks, and where it came from.

    `overload` is the schema's overload name once resolved, None before; `operator` caches the registry's entry and
    belongs to `optc.ops.registry.operator_of`.
    """

    __slots__ = (
        "kind", "overload", "operator", "_inputs", "outputs", "attributes", "blocks", "owner", "previous", "next",
        "source", "scope", "position",
    )  # fmt: skip

    def __init__(self, graph: Graph, kind: str) -> None:
        self.kind = kind
        self.overload: str | None = None
        self.operator: Any = None
        self._inputs: list[Value] = []
        self.outputs: list[Value] = []
        self.attributes: dict[str, Any] = {}
        self.blocks: list[Block] = []
        self.owner: Block | None = None
        self.previous: Node | None = None
        self.next: Node | None = None
        self.source: SourceRange | None = graph.current_source
        self.scope: str = graph.current_scope
        self.position = 0

    @property
    def inputs(self) -> tuple[Value, ...]:
        """The values read, in order."""
        return tuple(self._inputs)

    @property
    def output(self) -> Value:
        """The only output. Raises ValueError when there is not exactly one."""
        if len(self.outputs) != 1:
            raise ValueError(f"{self.kind} has {len(self.outputs)} outputs, not one")
        return self.outputs[0]

    def add_input(self, value: Value) -> None:
        """Append an input."""
        value._uses[id(self), len(self._inputs)] = Use(self, len(self._inputs))
        self._inputs.append(value)

    def insert_input(self, slot: int, value: Value) -> None:
        """Insert an input before number `slot`."""
        self.set_inputs([*self._inputs[:slot], value, *self._inputs[slot:]])

    def set_input(self, slot: int, value: Value) -> None:
        """Replace input number `slot`."""
        old = self._inputs[slot]
        if old is value:
            return
        del old._uses[id(self), slot]
        value._uses[id(self), slot] = Use(self, slot)
        self._inputs[slot] = value
        self.operator = None

    def set_inputs(self, values: Iterable[Value]) -> None:
        """Replace all inputs."""
        values = list(values)
        self.remove_inputs()
        for value in values:
            self.add_input(value)

    def remove_input(self, slot: int) -> None:
        """Drop input number `slot`; later ones move down."""
        self.set_inputs([*self._inputs[:slot], *self._inputs[slot + 1 :]])

    def remove_inputs(self) -> None:
        """Drop all inputs."""
        for slot, value in enumerate(self._inputs):
            del value._uses[id(self), slot]
        self._inputs = []
        self.operator = None

    def add_output(self, type_: Type = TENSOR, name: str = "") -> Value:
        """Append an output."""
        value = Value(self, len(self.outputs), type_, name)
        self.outputs.append(value)
        return value

    def remove_output(self, offset: int) -> None:
        """Drop output number `offset`, which nobody may use any more."""
        if self.outputs[offset].has_uses:
            raise ValueError(f"output {offset} of {self.kind} is still used")
        del self.outputs[offset]
        for place, value in enumerate(self.outputs):
            value.offset = place

    def add_block(self) -> Block:
        """Append a nested block."""
        block = Block(self.graph, self)
        self.blocks.append(block)
        return block

    @property
    def block(self) -> Block:
        """The block this node stands in. Raises ValueError for a node that is not inserted."""
        if self.owner is None:
            raise ValueError(f"{self.kind} is not part of a block")
        return self.owner

    @property
    def graph(self) -> Graph:
        """The graph this node belongs to."""
        return self.block.graph

    def insert_before(self, other: Node) -> Node:
        """Place this (new or removed) node just before `other`."""
        previous = other.previous
        self.owner, self.previous, self.next = other.owner, previous, other
        other.previous = self
        if previous is not None:
            previous.next = self
        self.block.forget_order()
        return self

    def insert_after(self, other: Node) -> Node:
        """Place this (new or removed) node just after `other`."""
        if other.next is None:
            raise ValueError("nothing can follow a block's return node")
        return self.insert_before(other.next)

    def unlink(self) -> Node:
        """Take the node out of its block, keeping its inputs and outputs, to insert it elsewhere."""
        if self.previous is not None:
            self.previous.next = self.next
        if self.next is not None:
            self.next.previous = self.previous
        self.owner = self.previous = self.next = None
        return self

    def move_before(self, other: Node) -> None:
        """Move the node to just before `other`, maybe in another block or graph."""
        graph = other.graph
        if self.graph is not graph:
            self._adopt_blocks(graph)
        self.unlink()
        self.insert_before(other)

    def _adopt_blocks(self, graph: Graph) -> None:
        for block in self.blocks:
            block.graph = graph
            for node in block.nodes:
                node._adopt_blocks(graph)

    def destroy(self) -> None:
        """Remove the node for good, nested blocks included. Its outputs may have no uses left."""
        for value in self.outputs:
            if value.has_uses:
                raise ValueError(f"%{value.name} of {self.kind} is still used by {value.uses[0].node.kind}")
        for block in self.blocks:
            block.destroy()
        self.remove_inputs()
        if self.owner is not None:
            self.unlink()

    def give_way_to(self, block: Block) -> None:
        """Put the nodes of one of this node's blocks in its place; what the block returns stands for its outputs."""
        for inner in block.nodes:
            inner.move_before(self)
        for output, result in zip(self.outputs, block.outputs):
            output.replace_all_uses_with(result)
        self.destroy()

    def is_after(self, other: Node) -> bool:
        """True when this node runs after `other`: later in the same block, or nested below a later node."""
        node: Node = self
        while node.owner is not other.owner:
            if node.owner is None or node.owner.owning_node is None:
                return False
            node = node.owner.owning_node
        if node is other:
            return False
        other.block.number_nodes()
        return node.position > other.position

    def standing_in(self, block: Block) -> Node:
        """The node of `block` that this node is, or is nested in."""
        node: Node = self
        while node.owner is not block:
            owner = node.block.owning_node
            assert owner is not None
            node = owner
        return node

    def is_inside(self, block: Block) -> bool:
        """True when this node stands in `block` or in a block nested below it."""
        owner = self.owner
        while owner is not None:
            if owner is block:
                return True
            owner = owner.owning_node.owner if owner.owning_node is not None else None
        return False

    def walk(self) -> Iterator[Node]:
        """This node and all nodes in nested blocks, in program order."""
        yield self
        for block in self.blocks:
            yield from block.walk()

    def __repr__(self) -> str:
        outputs = ", ".join(f"%{value.name or '?'}" for value in self.outputs)
        inputs = ", ".join(f"%{value.name or '?'}" for value in self._inputs)
        return f"<{outputs} = {self.kind}({inputs})>"


class Block:
    """A list of nodes between a `prim::Param` node (outputs = the block's inputs) and a `prim::Return` node."""

    __slots__ = ("graph", "owning_node", "param_node", "return_node", "_numbered")

    def __init__(self, graph: Graph, owning_node: Node | None) -> None:
        self.graph = graph
        self.owning_node = owning_node
        self.param_node = Node(graph, "prim::Param")
        self.return_node = Node(graph, "prim::Return")
        self.param_node.owner = self.return_node.owner = self
        self.param_node.next = self.return_node
        self.return_node.previous = self.param_node
        self._numbered = False

    @property
    def inputs(self) -> list[Value]:
        """The block's parameters."""
        return self.param_node.outputs

    @property
    def outputs(self) -> tuple[Value, ...]:
        """The values the block returns."""
        return self.return_node.inputs

    def add_input(self, type_: Type = TENSOR, name: str = "") -> Value:
        """Append a parameter."""
        return self.param_node.add_output(type_, name)

    def add_output(self, value: Value) -> None:
        """Append a returned value."""
        self.return_node.add_input(value)

    @property
    def nodes(self) -> Iterator[Node]:
        """The nodes in order, without Param and Return; the current one may be moved or destroyed while walking."""
        node = self.param_node.next
        while node is not None and node is not self.return_node:
            following = node.next
            yield node
            node = following

    @property
    def reversed_nodes(self) -> Iterator[Node]:
        """The nodes, last first; the current one may be destroyed while walking."""
        node = self.return_node.previous
        while node is not None and node is not self.param_node:
            previous = node.previous
            yield node
            node = previous

    def walk(self) -> Iterator[Node]:
        """All nodes of this block and of nested ones, in program order."""
        outer: list[tuple[Node | None, Node, Iterator[Block]]] = []  # where to go on behind a node with blocks
        blocks: Iterator[Block] = iter(())
        node, end = self.param_node.next, self.return_node
        while True:
            while node is not None and node is not end:
                following = node.next
                if not node.blocks:
                    yield node
                    node = following
                    continue
                outer.append((following, end, blocks))
                yield node
                blocks = iter(node.blocks)
                node = None
            block = next(blocks, None)
            if block is not None:
                node, end = block.param_node.next, block.return_node
            elif outer:
                node, end, blocks = outer.pop()
            else:
                return

    def append(self, node: Node) -> Node:
        """Insert a node at the end, before the return."""
        return node.insert_before(self.return_node)

    def prepend(self, node: Node) -> Node:
        """Insert a node at the start."""
        return node.insert_after(self.param_node)

    def destroy(self) -> None:
        """Remove all nodes, last first."""
        self.return_node.remove_inputs()
        for node in self.reversed_nodes:
            node.destroy()

    def forget_order(self) -> None:
        """Positions changed; they are computed anew when next asked for."""
        self._numbered = False

    def number_nodes(self) -> None:
        """Give the nodes of this block ascending positions."""
        if self._numbered:
            return
        node: Node | None = self.param_node
        position = 0
        while node is not None:
            node.position = position
            position += 1
            node = node.next
        self._numbered = True


class Graph:
    """A function body. New nodes take `current_source` and `current_scope` and go before `insertion_point`."""

    def __init__(self) -> None:
        self.current_source: SourceRange | None = None
        self.current_scope = ""
        self.block = Block(self, None)
        self.insertion_point: Node = self.block.return_node

    @property
    def inputs(self) -> list[Value]:
        """The graph's parameters."""
        return self.block.inputs

    @property
    def outputs(self) -> tuple[Value, ...]:
        """The values the graph returns."""
        return self.block.outputs

    @property
    def nodes(self) -> Iterator[Node]:
        """The nodes of the top block."""
        return self.block.nodes

    def walk(self) -> Iterator[Node]:
        """All nodes, nested ones included, in program order."""
        return self.block.walk()

    def blocks(self) -> Iterator[Block]:
        """The top block and all nested ones, outer first."""
        yield self.block
        for node in self.walk():
            yield from node.blocks

    def values(self) -> Iterator[Value]:
        """Every value, block by block, outer first: the parameters of a block, then what its nodes make."""
        yield from _values([self.block])

    def add_input(self, type_: Type = TENSOR, name: str = "") -> Value:
        """Append a parameter."""
        return self.block.add_input(type_, name)

    def add_output(self, value: Value) -> None:
        """Append a returned value."""
        self.block.add_output(value)

    def create(
        self,
        kind: str,
        inputs: Iterable[Value] = (),
        outputs: Iterable[Type] = (),
        attributes: dict[str, Any] | None = None,
        overload: str | None = None,
    ) -> Node:
        """A node that is not yet inserted."""
        node = Node(self, kind)
        node.overload = overload
        for value in inputs:
            node.add_input(value)
        for type_ in outputs:
            node.add_output(type_)
        node.attributes.update(attributes or {})
        return node

    def insert(
        self,
        kind: str,
        inputs: Iterable[Value] = (),
        outputs: Iterable[Type] = (),
        attributes: dict[str, Any] | None = None,
        overload: str | None = None,
    ) -> Node:
        """Create a node and place it at the insertion point."""
        return self.create(kind, inputs, outputs, attributes, overload).insert_before(self.insertion_point)

    def insert_constant(self, value: Any, type_: Type) -> Value:
        """Insert a `prim::Constant`; None has no `value` attribute, tensors are numpy arrays."""
        attributes = {} if value is None else {"value": value}
        return self.insert("prim::Constant", (), (type_,), attributes).output

    def inserting(self, point: Node | Block) -> InsertPoint:
        """`with graph.inserting(node):` new nodes go just before `node` (a block means its end)."""
        return InsertPoint(self, point)

    def replacing(self, node: Node, before: Node | Block | None = None) -> InsertPoint:
        """Like `inserting(before or node)`, for what stands in for `node`: it has the same place in the source."""
        return InsertPoint(self, before or node, node)

    def copy(self) -> Graph:
        """A deep copy; constants' values are shared."""
        result = Graph()
        copy_block(self.block, result.block, {})
        return result

    def __str__(self) -> str:
        from optc.ir.text import print_graph  # the printer needs this module's classes

        return print_graph(self)


class InsertPoint:
    """Context manager that moves a graph's insertion point and puts it back."""

    def __init__(self, graph: Graph, point: Node | Block, replaced: Node | None = None) -> None:
        self.graph = graph
        self.point = point.return_node if isinstance(point, Block) else point
        self.replaced = replaced

    def __enter__(self) -> Graph:
        self.saved = self.graph.insertion_point, self.graph.current_source, self.graph.current_scope
        self.graph.insertion_point = self.point
        if self.replaced is not None:
            self.graph.current_source, self.graph.current_scope = self.replaced.source, self.replaced.scope
        return self.graph

    def __exit__(self, *_: object) -> None:
        self.graph.insertion_point, self.graph.current_source, self.graph.current_scope = self.saved


def _values(blocks: Iterable[Block]) -> Iterator[Value]:
    """The values of some blocks, one block after the other, then those of the blocks nested in them."""
    owners: list[Node] = []
    for block in blocks:
        node: Node | None = block.param_node
        while node is not None:
            following = node.next
            if node.blocks:
                owners.append(node)
            yield from node.outputs
            node = following
    for owner in owners:
        yield from _values(owner.blocks)


def copy_node(node: Node, graph: Graph, values: dict[Value, Value]) -> Node:
    """A copy of `node` (not inserted) reading `values[input]`; its outputs are added to `values`.

    Values defined outside the mapped region are read as they are.
    """
    copied = graph.create(
        node.kind, [values.get(value, value) for value in node.inputs], (), node.attributes, node.overload
    )
    copied.source, copied.scope = node.source, node.scope
    for value in node.outputs:
        values[value] = copied.add_output(value.type, value.name)
    for block in node.blocks:
        nested = Block(graph, copied)
        copied.blocks.append(nested)
        copy_block(block, nested, values)
    return copied


def copy_block(source: Block, target: Block, values: dict[Value, Value]) -> None:
    """Append copies of all parameters, nodes and outputs of `source` to `target`."""
    for value in source.inputs:
        values[value] = target.add_input(value.type, value.name)
    for node in source.nodes:
        target.append(copy_node(node, target.graph, values))
    for value in source.outputs:
        target.add_output(values.get(value, value))
