"""The pass `outline-islands`.

    %c : ComplexFloat(5) = aten::linalg_eigvals(%x)            %y : Float(5) = prim::Island_0(%x)
    %y : Float(5) = aten::abs(%c)                        =>    with prim::Island_0 = graph(%x ...): ...

What has no native form becomes an *island*: a node that native code leaves to the interpreter. Everything that enters
or leaves an island must be something native code can hold: a number, or a tensor with a known rank and a native element
type. Where a node takes or gives anything else (complex tensors, strings, dictionaries, lists whose length only running
tells), the nodes that make or read it belong to the same island; if need be, all of a branch or loop. Arguments and
results of the whole program may be anything: native code hands them on unseen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from optc.errors import UnsupportedError
from optc.ir.dims import Dim, symbol, symbols
from optc.ir.graph import Block, Graph, Node, Value, copy_node
from optc.ir.symbols import binders, plain_symbol, told_dims, type_symbols
from optc.ir.types import BOOL, FLOAT, NONE, IntType, TensorType
from optc.ops.abstract import UndecidedShape, abstract
from optc.ops.complex_numbers import is_at_border, is_complex
from optc.ops.effects import follows_memory, has_effects
from optc.ops.registry import Interpreted, operator_of
from optc.passes.memory_order import draws_in_rows
from optc.pipeline import graph_pass


@graph_pass(
    "outline-islands",
    functional=True,
    after={
        "decompose": "what decomposes is native",
        "infer-shapes": "element types and ranks say what can be handed over",
    },
)
def outline_islands(graph: Graph) -> bool:
    """Put what has no native form, with everything that shares values only Python can hold, into islands."""
    for node in graph.walk():
        if follows_memory(node) and not draws_in_rows(node):
            text = f"{name_of(node)} draws in an order of memory that native code does not keep"
            raise UnsupportedError(text, node.source)
    changed = False
    for node in list(graph.walk()):
        if node.owner is None or not node.is_inside(graph.block):
            continue
        reason = reason_of(node)
        if reason is not None:
            changed |= outline(node, reason)
    return changed


def reason_of(node: Node) -> str | None:
    """Why a node of a core graph has no native form; None when it has one, or is an island already."""
    if node.blocks or node.kind in ("prim::RaiseException", "prim::Uninitialized", "prim::Island"):
        return None
    operator = operator_of(node)
    if operator is None:
        return "native code cannot do it" if has_effects(node) else None
    if is_at_border(node) or _only_shows(node):
        return None
    if isinstance(operator.lowering, Interpreted):
        return operator.lowering.reason
    if any(is_complex(value.type) for value in (*node.inputs, *node.outputs)):
        return "native code has no complex numbers"
    untyped = [value for value in node.outputs if isinstance(value.type, TensorType) and not value.type.is_typed]
    if not untyped:
        return None
    try:
        operator.infer(*map(abstract, node.inputs))
    except UndecidedShape as error:
        return error.message
    return "the shape of an argument is not known"


def _only_shows(node: Node) -> bool:
    """True for a view between complex numbers and pairs of real ones beside an operator that has a reason of its own."""
    if node.kind == "aten::view_as_real":
        beside = [node.inputs[0].node]
    elif node.kind == "aten::view_as_complex":
        beside = [use.node for use in node.output.uses]
    else:
        return False
    return any(operator_of(other) is not None and not is_at_border(other) for other in beside)


def name_of(node: Node) -> str:
    """The operator that a node stands for, with its overload."""
    operator = operator_of(node)
    return node.kind if operator is None else operator.name


def outline(seed: Node, reason: str) -> bool:
    """Put a node, and what cannot be parted from it, into an island. False where only all of the program would do."""
    if seed.kind in ("prim::Param", "prim::Return", "prim::Island"):
        return False
    if seed.kind == "prim::Constant" and _is_native(seed.output):
        return False
    members = _region(seed)
    if members is None or any(map(_needs_strides, members)):
        return False
    _Outlining(members).replace(seed, reason)
    return True


def _needs_strides(node: Node) -> bool:
    """True for what an island cannot tell: arrays are handed over without the strides and the memory they came with."""
    if node.blocks:
        return any(_needs_strides(inner) for block in node.blocks for inner in block.nodes)
    operator = operator_of(node)
    return operator is not None and operator.needs_strides


# What may be handed over ---------------------------------------------------------------------------------------------


def _is_native(value: Value) -> bool:
    """True for what native code can hold."""
    type_ = value.type
    if isinstance(type_, TensorType):
        return type_.is_typed and type_.dtype is not None and type_.dtype.kind in ("bool", "int", "float")
    return isinstance(type_, IntType) or type_ in (FLOAT, BOOL)


def _is_copied(value: Value) -> bool:
    """True for what an island makes for itself: constants, and lists and tuples that are put together."""
    if value.is_constant:
        return not (isinstance(value.constant, np.ndarray) and _is_native(value))
    if value.type is NONE or value.node.kind == "prim::Uninitialized":
        return True
    return value.node.kind in ("prim::ListConstruct", "prim::TupleConstruct") and all(
        map(_may_enter, value.node.inputs)
    )


def _may_enter(value: Value) -> bool:
    is_argument = value.is_parameter and value.node.block.owning_node is None
    return is_argument or _is_copied(value) or _is_native(value)


# Which nodes belong together -----------------------------------------------------------------------------------------


def _region(seed: Node) -> list[Node] | None:
    """The nodes of one block, in order, that make up the island around a node; None where the whole program would."""
    members = {seed}
    while True:
        (block,) = {node.block for node in members}
        joined = _neighbours(members, block)
        if joined is None:
            owner = block.owning_node
            if owner is None:
                return None
            members = {owner}
            continue
        between = _between(members | joined, block)
        if joined | between <= members:
            return [node for node in block.nodes if node in members]
        members |= joined | between


def _neighbours(members: set[Node], block: Block) -> set[Node] | None:
    """The nodes of the block that share a value with members that cannot be handed over; None where some are outside."""
    joined: set[Node] = set()
    for node in members:
        for value in _read(node):
            if _may_enter(value):
                continue
            if value.node.owner is not block or value.is_parameter:
                return None
            joined.add(value.node)
        for value in node.outputs:
            if _is_native(value):
                continue
            readers = {use.node.standing_in(block) for use in value.uses}
            if block.return_node in readers and block.owning_node is not None:
                return None
            joined |= readers - {block.return_node}
    return joined


def _read(node: Node) -> Iterator[Value]:
    """What a node, with everything in its blocks, reads from outside."""
    for inner in node.walk():
        read = [*inner.inputs, *(value for block in inner.blocks for value in block.outputs)]
        yield from (value for value in read if not _belongs(value, node))


def _belongs(value: Value, node: Node) -> bool:
    """True for what is defined by a node or inside of it."""
    return value.node is node or any(value.node.is_inside(block) for block in node.blocks)


def _between(members: set[Node], block: Block) -> set[Node]:
    """The nodes that need a member and are needed by one: they cannot run before the island, nor behind it."""
    needs = _Needs(block)
    within = _span(members, block)
    behind = needs.closure(within, members)
    feeding = needs.closure(list(reversed(within)), members, backwards=True)
    return (behind & feeding) - members


def _span(members: set[Node], block: Block) -> list[Node]:
    """The nodes from the first member to the last."""
    nodes = list(block.nodes)
    places = [place for place, node in enumerate(nodes) if node in members]
    return nodes[places[0] : places[-1] + 1]


class _Needs:
    """What a node of a block must follow: those that make what it reads, and whatever else shows an effect."""

    def __init__(self, block: Block) -> None:
        self.block = block
        self.owners = binders(block.graph)
        self.effects = {node for node in block.nodes if has_effects(node)}

    def of(self, node: Node) -> set[Node]:
        """The nodes of the block whose values a node reads."""
        values = list(_read(node))
        for inner in node.walk():
            if inner.kind == "prim::Dim":
                values += [self.owners[name] for name in symbols(inner.attributes["dim"]) if name in self.owners]
        return {
            value.node.standing_in(self.block) for value in values if value.node.is_inside(self.block)
        } - {node}  # fmt: skip

    def closure(self, nodes: list[Node], members: set[Node], backwards: bool = False) -> set[Node]:
        """Members, and those of `nodes` that need one of them; `backwards`, that one of them needs."""
        found = set(members)
        if backwards:
            wanted: set[Node] = set()
            has_effect = False
            for node in nodes:
                if node in members or node in wanted or (has_effect and node in self.effects):
                    found.add(node)
                    wanted |= self.of(node)
                    has_effect = has_effect or node in self.effects
            return found
        has_effect = False
        for node in nodes:
            if node in members or not found.isdisjoint(self.of(node)) or (has_effect and node in self.effects):
                found.add(node)
                has_effect = has_effect or node in self.effects
        return found


# The node ------------------------------------------------------------------------------------------------------------


class _Outlining:
    """Moves nodes of a block into the subgraph of one node."""

    def __init__(self, members: list[Node]) -> None:
        self.members = members
        self.block = members[0].block
        self.graph = self.block.graph
        self.body = Graph()
        self.values: dict[Value, Value] = {}
        self.entering: list[Value] = []

    def replace(self, seed: Node, reason: str) -> None:
        """Make the island and let everybody read what it gives."""
        last = self.members[-1]
        self.move_readers_behind(last)
        attributes = {"Subgraph": self.body, "parts": _parts(self.members, seed, reason)}
        island = self.graph.create("prim::Island", (), (), attributes)
        island.source, island.scope = seed.source, seed.scope
        island.insert_after(last)
        for node in self.members:
            for value in _read(node):
                if value not in self.values and value.node not in self.members:
                    self.bring(value)
        self.bring_symbols(island)
        for node in self.members:
            self.body.block.append(copy_node(node, self.body, self.values))
        for value in self.leaving():
            self.body.add_output(self.values[value])
            value.replace_all_uses_with(island.add_output(value.type, value.name))
        for value in self.entering:
            island.add_input(value)
        for node in reversed(self.members):
            node.destroy()

    def move_readers_behind(self, last: Node) -> None:
        """Nodes between members that need one of them run behind the island."""
        inside = set(self.members)
        within = _span(inside, self.block)
        behind = _Needs(self.block).closure(within, inside) - inside
        point = last.next
        assert point is not None
        for node in within:
            if node in behind:
                node.move_before(point)

    def bring(self, value: Value) -> Value:
        """What stands for an outside value in the island."""
        if value in self.values:
            return self.values[value]
        if not _is_copied(value):
            self.entering.append(value)
            self.values[value] = self.body.add_input(value.type, value.name)
        elif value.is_constant or value.node.kind in ("prim::ListConstruct", "prim::TupleConstruct"):
            for item in value.node.inputs:
                self.bring(item)
            self.body.block.append(copy_node(value.node, self.body, self.values))
        else:  # None, whatever made it, or nothing that anybody reads
            with self.body.inserting(self.body.block):
                self.values[value] = self.body.insert_constant(None, NONE)
        return self.values[value]

    def bring_symbols(self, island: Node) -> None:
        """Dimensions that nodes of the island ask for and nothing that enters tells."""
        owners = binders(self.graph)
        told = {plain_symbol(dim) for value in self.entering for dim in told_dims(value)}
        for name in sorted(_asked(self.members) - told):
            owner = owners.get(name)
            if owner is None or any(_belongs(owner, node) for node in self.members):
                continue
            dim: Dim = symbol(name)
            made = self.graph.create("prim::Dim", (), (IntType(dim),), {"dim": dim}).insert_before(island)
            self.bring(made.output)

    def leaving(self) -> list[Value]:
        """The values that others read, and those that tell symbols which others mention."""
        inside = set(self.members)

        def is_outside(node: Node) -> bool:
            return node.standing_in(self.block) not in inside if node.is_inside(self.block) else True

        given = [value for node in self.members for value in node.outputs]
        read = [value for value in given if any(is_outside(use.node) for use in value.uses)]
        wanted = _mentioned(self.graph, is_outside) | {name for value in read for name in type_symbols(value.type)}
        owners = binders(self.graph)
        telling = {owners[name] for name in wanted if name in owners}
        return [value for value in given if value in read or (value in telling and _is_native(value))]


def _parts(members: list[Node], seed: Node, reason: str) -> list[list[str]]:
    """Operator, reason and place in the source, of everything that has no native form."""
    found = [[name_of(seed), reason, str(seed.source or "")]]
    for node in members:
        for inner in node.walk():
            why = None if inner is seed else reason_of(inner)
            if why is not None:
                found.append([name_of(inner), why, str(inner.source or "")])
            if inner.kind == "prim::Island" and inner is not seed:
                found += inner.attributes["parts"]
    return found


def _asked(nodes: list[Node]) -> set[str]:
    """The symbols in `prim::Dim` nodes."""
    dims = [inner.attributes["dim"] for node in nodes for inner in node.walk() if inner.kind == "prim::Dim"]
    return set().union(*map(symbols, dims))


def _mentioned(graph: Graph, is_outside: Callable[[Node], bool]) -> set[str]:
    """The symbols that nodes mention."""
    found: set[str] = set()
    for node in graph.walk():
        if not is_outside(node):
            continue
        if node.kind == "prim::Dim":
            found |= symbols(node.attributes["dim"])
        for value in (*node.outputs, *(value for block in node.blocks for value in block.inputs)):
            found |= type_symbols(value.type)
    return found
