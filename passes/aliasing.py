"""Which values may share memory: the analysis that `freeze` and `functionalize` rest on.

Every tensor, list, dictionary or tuple gets a *place*: a storage, and the chain of view nodes that leads from the
storage to the value. Two values with one place are the same memory for certain. Where that is not known (branches that
return different tensors, values a loop carries, elements of lists) a value gets a storage of its own, whose *roots*
are all the storages it may really be. Two storages may be the same memory only when their roots intersect.
Memory that a loop makes anew in every turn is another root when a later turn meets it again.
What an attribute of the module holds is memory of its own, apart from what other attributes hold; who reads two that
hold one tensor has to know (`optc.passes.freeze` does).
Roots ignore the order of the program; loops and lists are handled by repeating the walk until nothing is added.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import field
from functools import cached_property

from optc.dataclass import dataclass
from optc.ir.function import ClassType
from optc.ir.graph import Block, Graph, Node, Value
from optc.ir.types import (
    ANY,
    ANY_LIST,
    ANY_TUPLE,
    DictType,
    FutureType,
    ListType,
    OptionalType,
    TensorType,
    TupleType,
    Type,
    UnionType,
    VariableType,
)
from optc.ops.effects import draws
from optc.ops.registry import Operator, operator_of
from optc.ops.writes import VIEWS

SAME_VALUE = ("prim::unchecked_cast", "prim::unchecked_unwrap_optional", "aten::_unwrap_optional")


def is_reference(type_: Type) -> bool:
    """True for types whose values are, or hold, memory that something else may hold too."""
    if isinstance(type_, OptionalType):
        return is_reference(type_.element)
    if isinstance(type_, TupleType):
        return any(map(is_reference, type_.elements))
    if isinstance(type_, UnionType):
        return any(map(is_reference, type_.members))
    if isinstance(type_, TensorType | ListType | DictType | FutureType | ClassType):
        return True
    return type_ in (ANY, ANY_LIST, ANY_TUPLE)


def is_container(type_: Type) -> bool:
    """True for lists and dictionaries, whose own contents can be changed."""
    return isinstance(type_, ListType | DictType)


def holds_containers(type_: Type) -> bool:
    """True for lists, dictionaries and tuples that may have lists or dictionaries in them."""
    if isinstance(type_, OptionalType):
        return holds_containers(type_.element)
    if isinstance(type_, TupleType):
        return any(map(_may_be_container, type_.elements))
    element = type_.element if isinstance(type_, ListType) else type_.value if isinstance(type_, DictType) else None
    return element is not None and _may_be_container(element)


def _may_be_container(type_: Type) -> bool:
    """True for types of elements that are, or have in them, lists or dictionaries."""
    if isinstance(type_, OptionalType):
        return _may_be_container(type_.element)
    if isinstance(type_, TupleType):
        return any(map(_may_be_container, type_.elements))
    return is_reference(type_) and not isinstance(type_, TensorType | FutureType)


@dataclass(eq=False)
class Storage:
    """One piece of memory: the value that first stood for it, and everything it may really be.

    The roots of a list or dictionary are also those of its elements; `containers` are only what it may be itself.
    """

    value: Value
    roots: set[Storage] = field(default_factory=set)
    containers: set[Storage] = field(default_factory=set)

    @property
    def is_container(self) -> bool:
        """True for the memory of a list or dictionary."""
        return is_container(self.value.type)

    def may_be(self, other: Storage) -> bool:
        """True when both may be the same memory, or one may hold the other."""
        return not self.roots.isdisjoint(other.roots)

    def may_be_container(self, other: Storage) -> bool:
        """True when both may be the same list or dictionary."""
        return not self.containers.isdisjoint(other.containers)

    def may_be_held_by(self, other: Storage) -> bool:
        """True when this list or dictionary may be in the other one, or in what is in it.

        What was taken out of a tuple or an object of which only the whole is known may be in every part of it.
        """
        if not holds_containers(other.value.type):
            return False
        return not self.containers.union(self.wholes).isdisjoint(other.roots)

    @property
    def wholes(self) -> Iterator[Storage]:
        """The roots of which only the whole is known."""
        return (root for root in self.roots if not isinstance(root.value.type, TensorType | ListType | DictType))


@dataclass(frozen=True)
class Place:
    """A storage and the view nodes that lead from it to a value."""

    storage: Storage
    chain: tuple[Node, ...] = ()


@dataclass(frozen=True)
class Write:
    """A node that writes, and the value it writes through."""

    node: Node
    target: Value


def written_argument(node: Node) -> Value | None:
    """The argument that an in-place or `out=` operator writes; None for nodes that write nothing."""
    operator = operator_of(node)
    if operator is None or not operator.mutates:
        return None
    for argument, value in zip(operator.schema.arguments, node.inputs):
        if argument.is_written:
            return value
    return None


def returns_written(value: Value) -> bool:
    """True for a result that is the very argument its operator has written."""
    operator = operator_of(value.node)
    return operator is not None and operator.schema.returns[value.offset].is_written


def is_view(node: Node) -> bool:
    """True for views whose memory is certainly that of their first argument."""
    operator = operator_of(node)
    return operator is not None and operator.name in VIEWS


@dataclass
class _Hit:
    """What writes may hit: as a list or dictionary, as one inside of something else, as other memory."""

    containers: set[Storage] = field(default_factory=set)
    holders: set[Storage] = field(default_factory=set)
    roots: set[Storage] = field(default_factory=set)
    owners: set[Storage] = field(default_factory=set)
    """The module and submodules whose attributes are hit."""


class Aliasing:
    """The places of all values of a graph, and its writes."""

    def __init__(self, graph: Graph) -> None:
        self.storages: dict[Value, Storage] = {}
        self.places: dict[Value, Place] = {}
        self.writes: list[Write] = []
        self.own_slots: set[Value] = set()
        self.made: dict[Storage, Node] = {}
        """The roots that are other memory every time: with the node that makes them, or the loop whose earlier turn did."""
        self.origins: dict[Storage, Storage] = {}
        """For memory of earlier turns, what it was when it was made."""
        self.earlier: dict[tuple[Storage, Node], Storage] = {}
        self.modules: dict[Storage, Storage] = {}
        """What stands for the module or a submodule: with the root of what that is."""
        self.held: dict[tuple[Storage, str], Storage] = {}
        """For attributes of the module and its submodules, the root of what they hold."""
        self.owners: dict[Storage, Storage] = {}
        """For what an attribute holds, whose attribute it is."""
        self.changed = True
        while self.changed:
            self.changed = False
            self.writes = []
            for value in graph.inputs:
                self.allocate(value)
            if graph.inputs and isinstance(graph.inputs[0].type, ClassType):
                module = self.places[graph.inputs[0]].storage
                self.modules[module] = module
            self.block(graph.block)

    def written(self, storage: Storage) -> bool:
        """True when some write may hit the storage."""
        hit = self._hit
        if storage.is_container:
            return not hit.containers.isdisjoint(self.as_made(storage.containers))
        holds_hit = holds_containers(storage.value.type) and not hit.holders.isdisjoint(self.as_made(storage.roots))
        return holds_hit or self._is_hit(storage)

    def reached(self, storage: Storage) -> bool:
        """True when some write may hit the storage, or what is in it."""
        return self.written(storage) or self._is_hit(storage)

    def _is_hit(self, storage: Storage) -> bool:
        """True when some write hits a root, an attribute of it, or everything that its owner holds."""
        roots = self.as_made(storage.roots)
        hit = self._hit
        return not (
            hit.roots.isdisjoint(roots) and hit.owners.isdisjoint(roots) and hit.roots.isdisjoint(self.owners_of(roots))
        )

    @cached_property
    def _hit(self) -> _Hit:
        """What the writes of the finished analysis hit: asked for every value, so it is not looked for every time."""
        targets = {self.places[write.target].storage for write in self.writes}
        hit = _Hit()
        for target in targets:
            hit.containers |= self.as_made(target.containers)
            if target.is_container:
                hit.holders |= self.as_made(target.containers.union(target.wholes))
            else:
                hit.roots |= self.as_made(target.roots)
            hit.owners |= self.owners_of(target.roots)
        return hit

    def owners_of(self, roots: Iterable[Storage]) -> set[Storage]:
        """The module and submodules that hold any of the roots in attributes."""
        found: set[Storage] = set()
        waiting = list(roots)
        while waiting:
            owner = self.owners.get(waiting.pop())
            if owner is not None and owner not in found:
                found.add(owner)
                waiting.append(owner)
        return found

    def as_made(self, roots: Iterable[Storage]) -> set[Storage]:
        """The roots, memory of earlier turns of loops as what it was then."""
        return {self.origins.get(root, root) for root in roots}

    def allocate(self, value: Value) -> None:
        """Memory that is its own root."""
        if not is_reference(value.type):
            return
        storage = self.storage(value)
        self.add_roots(storage, {storage})
        self.places[value] = Place(storage)

    def derive(self, value: Value, sources: list[Value]) -> None:
        """Memory of its own name that may be that of any source."""
        if not is_reference(value.type):
            return
        storage = self.storage(value)
        is_new = value.node.kind in ("prim::ListConstruct", "prim::DictConstruct")
        if is_new:
            self.made[storage] = value.node
        if is_container(value.type):
            self.add_roots(storage, {storage})
        for source in sources:
            if source in self.places:
                self.add_roots(storage, self.places[source].storage.roots, are_held=is_new)
        if not storage.roots:
            self.add_roots(storage, {storage})
        self.places[value] = Place(storage)

    def storage(self, value: Value) -> Storage:
        found = self.storages.get(value)
        if found is None:
            found = self.storages[value] = Storage(value)
            self.changed = True
        return found

    def add_roots(self, storage: Storage, roots: set[Storage], are_held: bool = False) -> None:
        """Add to what a storage may be; `are_held`: to what its elements may be."""
        if not roots <= storage.roots:
            storage.roots |= roots
            self.changed = True
        containers = set() if are_held or not storage.is_container else {root for root in roots if root.is_container}
        if not containers <= storage.containers:
            storage.containers |= containers
            self.changed = True

    def block(self, block: Block) -> None:
        for node in block.nodes:
            self.node(node)

    def node(self, node: Node) -> None:
        if node.kind == "prim::If":
            self.branch(node)
        elif node.kind == "prim::Loop":
            self.loop(node)
        elif node.kind in SAME_VALUE:
            self.same(node.output, node.inputs[0])
        elif node.kind in ("prim::GetAttr", "prim::SetAttr") and self.owner_in(node) is not None:
            self.attribute(node)
        elif node.kind.startswith("prim::") and operator_of(node) is None:
            for output in node.outputs:
                self.derive(output, list(node.inputs))
        elif (operator := operator_of(node)) is not None:
            self.operator(node, operator)
        else:
            for output in node.outputs:
                self.derive(output, list(node.inputs))

    def same(self, value: Value, source: Value) -> None:
        if source in self.places and is_reference(value.type):
            self.places[value] = self.places[source]
        else:
            self.allocate(value)

    def owner_in(self, node: Node) -> Storage | None:
        """The root of the module or submodule whose attribute a node reads or assigns."""
        place = self.places.get(node.inputs[0])
        return None if place is None else self.modules.get(place.storage)

    def attribute(self, node: Node) -> None:
        """What is read may be what the attribute held at first, or anything that is assigned to it."""
        owner, name = self.owner_in(node), str(node.attributes["name"])
        value = node.inputs[1] if node.kind == "prim::SetAttr" else node.output
        if owner is None or not is_reference(value.type):
            return
        root = self.held.get((owner, name))
        if root is None:
            root = self.held[owner, name] = Storage(value)
            self.owners[root] = owner
            self.add_roots(root, {root})
        if node.kind == "prim::SetAttr":
            if value in self.places:
                self.add_roots(root, self.places[value].storage.roots)
            return
        storage = self.storage(value)
        self.add_roots(storage, root.roots)
        self.places[value] = Place(storage)
        if isinstance(value.type, ClassType):
            self.modules[storage] = root

    def operator(self, node: Node, operator: Operator) -> None:
        target = written_argument(node)
        if target is not None and target in self.places:
            self.write(node, operator, target)
            return
        if operator.name in VIEWS and node.inputs[0] in self.places:
            place = self.places[node.inputs[0]]
            self.places[node.output] = Place(place.storage, (*place.chain, node))
            return
        shares = operator.shares is not None and operator.shares(node)
        if shares and operator.random and not draws(node):
            self.same(node.output, node.inputs[0])
            return
        for output, declared in zip(node.outputs, operator.schema.returns):
            if (
                declared.alias
                or shares
                or (_is_generic(declared.type) and not _is_list_of_numbers(declared.type, output.type))
            ):
                self.derive(output, list(node.inputs))
            elif is_reference(output.type):
                self.allocate(output)
                self.made[self.storages[output]] = node

    def write(self, node: Node, operator: Operator, target: Value) -> None:
        self.writes.append(Write(node, target))
        storage = self.places[target].storage
        if storage.is_container:
            for argument, value in zip(operator.schema.arguments, node.inputs):
                if value is target or value not in self.places or _is_list_of_numbers(argument.type, value.type):
                    continue
                roots = self.of_all_turns(self.places[value].storage.roots, storage.value.node)
                self.add_roots(storage, roots, are_held=True)
        for output, declared in zip(node.outputs, operator.schema.returns):
            if declared.is_written:
                self.places[output] = self.places[target]
            else:
                self.derive(output, [target])

    def branch(self, node: Node) -> None:
        for block in node.blocks:
            self.block(block)
        for offset, output in enumerate(node.outputs):
            returned = [block.outputs[offset] for block in node.blocks]
            sources = [value for value in returned if value.node.kind != "prim::Uninitialized"] or returned
            place = self.places.get(sources[0])
            if place is not None and place == self.places.get(sources[-1]) and _is_visible(place, node):
                self.places[output] = place
            else:
                self.derive(output, sources)

    def loop(self, node: Node) -> None:
        """A carried value that the body gives back unchanged is the value the loop started with, all the time."""
        body = node.blocks[0]
        carried = list(zip(body.inputs[1:], node.inputs[2:], body.outputs[1:], node.outputs))
        for parameter, start, result, _ in carried:
            if parameter in self.own_slots:
                self.carry(parameter, result, node)
                self.derive(parameter, [start])
            else:
                self.same_or_own(parameter, start)
        self.block(body)
        for parameter, start, result, output in carried:
            same = parameter not in self.own_slots and self.places.get(result) == self.places.get(parameter)
            if same and is_reference(output.type):
                self.places[output] = self.places[parameter]
                continue
            if parameter not in self.own_slots and is_reference(parameter.type):
                self.own_slots.add(parameter)
                self.changed = True
            self.derive(output, [start, result])

    def carry(self, parameter: Value, result: Value, loop: Node) -> None:
        """What a turn gives back is, in the next one, memory of an earlier turn, and not what that turn makes."""
        if result in self.places and is_reference(parameter.type):
            roots = self.places[result].storage.roots
            self.add_roots(self.storage(parameter), {self.of_earlier_turn(root, loop) for root in roots})

    def of_all_turns(self, roots: set[Storage], holder: Node) -> set[Storage]:
        """What a list from outside of loops holds in the end when every turn puts these into it."""
        return set().union(*(self.in_all_turns(root, holder) for root in roots))

    def in_all_turns(self, root: Storage, holder: Node) -> set[Storage]:
        held = {root}
        for loop in _loops_around(self.made[root], holder) if root in self.made else ():
            held |= {self.of_earlier_turn(each, loop) for each in held}
        return held

    def of_earlier_turn(self, root: Storage, loop: Node) -> Storage:
        """The memory that was `root` when some turn of the loop before this one ended."""
        maker = self.made.get(root)
        if maker is None or not maker.is_inside(loop.blocks[0]):
            return root
        found = self.earlier.get((root, loop))
        if found is None:
            found = self.earlier[root, loop] = Storage(root.value)
            found.roots.add(found)
            self.made[found], self.origins[found] = loop, self.origins.get(root, root)
        return found

    def same_or_own(self, parameter: Value, start: Value) -> None:
        if not is_reference(parameter.type):
            return
        if start in self.places:
            self.places[parameter] = self.places[start]
        else:
            self.own_slots.add(parameter)
            self.changed = True
            self.allocate(parameter)


def _loops_around(node: Node, outsider: Node) -> Iterator[Node]:
    """The loops that run a node again and again, but not the other one; inner ones first."""
    block = node.owner
    while block is not None and block.owning_node is not None:
        if block.owning_node.kind == "prim::Loop" and not outsider.is_inside(block):
            yield block.owning_node
        block = block.owning_node.owner


def _is_generic(type_: Type) -> bool:
    """True when a declared type says nothing of where its value comes from, such as the `t` of `pop(t[]) -> t`."""
    if isinstance(type_, ListType | OptionalType):
        return _is_generic(type_.element)
    if isinstance(type_, TupleType):
        return any(map(_is_generic, type_.elements))
    return isinstance(type_, VariableType | DictType) or type_ is ANY


def _is_list_of_numbers(declared: Type, type_: Type) -> bool:
    """True for what operators such as `extend` and `slice` read or make element by element, when elements are no memory."""
    return isinstance(declared, ListType) and isinstance(type_, ListType) and not is_reference(type_.element)


def _is_visible(place: Place, node: Node) -> bool:
    """True when storage and views of a place are made outside of the blocks of `node`."""
    nodes = [place.storage.value.node, *place.chain]
    return not any(made.is_inside(block) or made is block.param_node for made in nodes for block in node.blocks)
