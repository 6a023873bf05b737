"""The pass `freeze`: the module's attributes become constants, and what the program writes becomes state.

An attribute that is assigned (`self.count = ...`) is turned into SSA form: it enters the graph as an input, branches
and loops hand it on, and its last value is one more output. A tensor or list that is changed in place enters as an
input, and its contents at the end are one more output. State that may be None, and tuples, lists and dictionaries of
tensors and numbers, are taken apart as they are now: every form gets code of its own, like arguments. What other
methods write is state, too. `Context.slots` and `Context.kept` say what the caller must put back where.
"""

from __future__ import annotations

from dataclasses import field
from enum import Enum
from functools import partial
from typing import Any

import numpy as np

from optc.dataclass import dataclass
from optc.eager.tensor import Tensor
from optc.errors import OptcError, UnsupportedError
from optc.ir.function import ClassType, Function, ScriptObject
from optc.ir.graph import Graph, Node, Value
from optc.ir.optimized import Held, Kept, Parts, Slot
from optc.ir.structure import Literal
from optc.ir.types import ANY, BOOL, OptionalType, Type, unrefined
from optc.ops.builder import constant_type
from optc.ops.reference import apply_operator
from optc.ops.registry import operator_of
from optc.passes.aliasing import Aliasing, is_reference, returns_written, written_argument
from optc.passes.inline import erase_types, inline
from optc.passes.object_constants import insert_held
from optc.passes.other_methods import writing_methods
from optc.passes.running_statistics import write_running_statistics
from optc.passes.settled_branches import take_settled_branches
from optc.passes.state_forms import form_of, is_taken_apart, leaves_in
from optc.passes.taken_inputs import Taken, take_in
from optc.passes.unreached_writes import unreached_writes
from optc.passes.variables import Variable
from optc.passes.written_constants import take_written_constants
from optc.pipeline import Context, graph_pass, writes_memory


class NotFreezable(UnsupportedError):
    """A module whose attributes optc cannot turn into constants and state; the message says which and why."""


@graph_pass("freeze", after={"inline": "methods of submodules read attributes"})
def freeze(graph: Graph, *, context: Context) -> bool:
    """Turn the module's attributes into constants, and those the program writes into inputs and outputs.

    Branches that constants decide are taken, so that what they leave out is gone before anybody asks what is written.
    """
    if context.self_object is None or not graph.inputs or not isinstance(graph.inputs[0].type, ClassType):
        changed = take_settled_branches(graph, context)
        changed |= write_running_statistics(graph)
        return _may_write(graph) and take_written_constants(graph, context, Aliasing(graph), []) or changed
    if not any(value.type is graph.inputs[0].type for value in graph.inputs[:1]):
        return False
    Freezer(graph, context).run()
    return True


@dataclass(frozen=True)
class Writes:
    """The attributes that code assigns, and those whose contents it changes."""

    assigned: set[tuple[int, str]] = field(default_factory=set)
    changed: set[tuple[int, str]] = field(default_factory=set)


def _uncast(value: Value) -> Value:
    """A value before it was seen not to be None."""
    while value.node.kind == "prim::unchecked_cast":
        value = value.node.inputs[0]
    return value


class Freezer:
    """What is done to the attributes that one graph reads and writes; `optc.jit.freeze` does the first steps of it only."""

    def __init__(self, graph: Graph, context: Context) -> None:
        assert context.self_object is not None
        self.graph = graph
        self.context = context
        self.objects: dict[Value, ScriptObject] = {graph.inputs[0]: context.self_object}
        self.paths: dict[Value, str] = {graph.inputs[0]: ""}
        self.unreached: dict[tuple[int, str], tuple[ScriptObject, str]] = {}
        """Attributes that are only assigned while they are None, which they are not."""
        self.lasting: set[tuple[int, str]] = set()
        """Attributes that calls with other arguments write: they are no constants, though this version leaves them alone."""
        self.elsewhere = Writes()
        """What other methods write."""
        self.only_reads = False
        """Whether nobody runs the graph, so that what it is like for this very state says nothing."""
        self.guarded: dict[tuple[int, str], tuple[ScriptObject, str]] = {}
        """Attributes that another method assigns, which are constants as long as they hold what they do."""

    def run(self) -> None:
        self.inline_methods()
        self.answer_gradients()
        self.elsewhere = self.what_other_methods_write()
        self.lasting = self.what_other_calls_write()
        self.settle()
        self.resolve_objects()
        self.settle()
        write_running_statistics(self.graph)
        self.drop_assignments_of_itself()
        self.promote_assigned()
        self.share_reads()
        self.make_state()
        self.keep_unreached()
        self.make_constants()
        self.remove_objects()

    def inline_methods(self) -> None:
        """Inline the methods of objects as soon as it is known which objects they are."""
        self.resolve_objects()
        while inline(self.graph):
            self.resolve_objects()

    def resolve_objects(self) -> None:
        """Follow `prim::GetAttr` from self to the objects of this very module; interfaces become classes.

        An attribute that is assigned may hold another object by the time it is read.
        """
        assigned = {node.attributes["name"] for node in self.graph.walk() if node.kind == "prim::SetAttr"}
        for node in self.graph.walk():
            if node.kind != "prim::GetAttr" or node.inputs[0] not in self.objects:
                continue
            found = self.attribute(node)
            if not isinstance(found, ScriptObject) or found.type.is_native:
                continue
            if found.type.is_module or node.attributes["name"] not in assigned:
                self.objects[node.output] = found
                self.paths[node.output] = self.path(node)
                node.output.type = found.type

    def answer_gradients(self) -> None:
        """Say which parameters require gradients before they are constants, of which nobody knows that any more."""
        assigned = {node.attributes["name"] for node in self.graph.walk() if node.kind == "prim::SetAttr"}
        for node in list(self.graph.walk()):
            read = _uncast(node.inputs[0]).node if node.kind == "prim::requires_grad" else node
            if read is node or not self.is_known(read, "prim::GetAttr") or read.attributes["name"] in assigned:
                continue
            found = self.attribute(read)
            if isinstance(found, Tensor) and found.requires_grad:
                with self.graph.inserting(node):
                    node.output.replace_all_uses_with(self.graph.insert_constant(True, BOOL))
                node.destroy()

    def what_other_calls_write(self) -> set[tuple[int, str]]:
        """The attributes that the program may write whatever its flags are, and whatever is None."""
        narrowed = [(value, type_) for value, type_ in self.context.narrowed if value.has_uses]
        if not narrowed or not any(node.kind == "prim::SetAttr" or writes_memory(node) for node in self.graph.walk()):
            return set()
        opened = [(self.graph.add_input(type_), value) for value, type_ in narrowed]
        for anything, value in opened:
            value.replace_all_uses_with(anything)
        self.settle()
        writes = self.with_shared_memory(self.writes())
        for anything, value in reversed(opened):
            anything.replace_all_uses_with(value)
            self.graph.block.param_node.remove_output(anything.offset)
        return writes.assigned | writes.changed

    def what_other_methods_write(self) -> Writes:
        """The attributes that other methods of the module write, whatever these find in each other's."""
        known = Writes()
        if self.context.function is None or self.context.self_object is None:
            return known
        methods = list(writing_methods(self.context.self_object, self.context.function))
        while True:
            found = [known, *(self.what_method_writes(owner, method, known) for owner, method in methods)]
            assigned, changed = (each.assigned for each in found), (each.changed for each in found)
            together = Writes(set().union(*assigned), set().union(*changed))
            if together == known:
                return self.with_shared_memory(known)
            known = together

    def with_shared_memory(self, writes: Writes) -> Writes:
        """Tensors that share memory with those whose contents change, in whatever attribute they are, change as well."""
        if not writes.changed or self.context.self_object is None:
            return writes
        held = {
            (id(owner), name): value._array
            for owner in _objects_below(self.context.self_object)
            for name, value in owner.values.items()
            if isinstance(value, Tensor)
        }
        changing = [held[key] for key in writes.changed if key in held]
        shared = {key for key, mine in held.items() if any(np.may_share_memory(mine, each) for each in changing)}
        return Writes(writes.assigned, writes.changed | shared)

    def what_method_writes(self, owner: ScriptObject, method: Function, known: Writes) -> Writes:
        try:
            graph = method.graph.copy()
            erase_types(graph)
            reader = Freezer(graph, Context(owner))
            reader.elsewhere, reader.only_reads = known, True
            inline(graph)
            reader.inline_methods()
            reader.settle()
        except OptcError:  # what cannot be compiled may write all but parameters
            members = owner.type.attributes
            names = [name for name in owner.values if name not in members or not members[name].is_parameter]
            open_ = {(id(owner), name) for name in names}
            return Writes(open_, open_)
        return reader.writes()

    def writes(self) -> Writes:
        """What the graph writes as it is."""
        aliasing = Aliasing(self.graph)
        assigned = {self.key(node) for node in self.graph.walk() if self.is_known(node, "prim::SetAttr")}
        changed = {
            self.key(node)
            for node in self.graph.walk()
            if self.is_known(node, "prim::GetAttr") and self.is_reached(aliasing, node.output)
        }
        return Writes(assigned, changed)

    def settle(self) -> None:
        """Scalars that no method assigns become constants, and the branches they decide are taken."""
        while True:
            held = {
                self.key(node): self.held(node) for node in self.graph.walk() if self.is_known(node, "prim::SetAttr")
            }
            unreached = unreached_writes(self.graph, self.is_known, self.key, held)
            self.unreached |= {
                self.key(node): (self.objects[node.inputs[0]], str(node.attributes["name"]))
                for node in self.graph.walk()
                if self.is_known(node, "prim::SetAttr") and self.key(node) in unreached
            }
            assigned = held.keys() - unreached | self.lasting
            elsewhere = self.elsewhere.assigned - unreached | self.elsewhere.changed
            for node in list(self.graph.walk()):
                if not self.is_known(node, "prim::GetAttr") or self.key(node) in assigned:
                    continue
                if self.key(node) not in elsewhere or self.is_guarded(node):
                    self.settle_read(node)
            assigned |= elsewhere
            self.settle_tables(assigned)
            if not take_settled_branches(self.graph, self.context):
                return

    def is_guarded(self, node: Node) -> bool:
        """True for a read of what native code has no type for: while that is the same, it is a constant."""
        found = self.attribute(node)
        if (
            self.only_reads
            or not isinstance(found, str | Enum | ScriptObject)
            or self.key(node) in self.elsewhere.changed
        ):
            return False
        self.guarded[self.key(node)] = self.objects[node.inputs[0]], str(node.attributes["name"])
        return True

    def settle_tables(self, assigned: set[tuple[int, str]]) -> None:
        """What is looked up in lists and dictionaries of plain values that nobody changes becomes constants."""
        reads: dict[tuple[int, str], list[Node]] = {}
        for node in self.graph.walk():
            if self.is_known(node, "prim::GetAttr") and isinstance(self.attribute(node), dict | list):
                reads.setdefault(self.key(node), []).append(node)
        for key, nodes in reads.items():
            uses = [use.node for node in nodes for use in node.output.uses]
            if key in assigned or not all(map(_is_look, uses)):
                continue
            for node in dict.fromkeys(uses):
                self.settle_look(node, self.attribute(nodes[0]), {read.output for read in nodes})

    def settle_look(self, node: Node, table: Any, reads: set[Value]) -> None:
        """Compute an operator that reads `table`; one that fails stays, to fail where the program runs it."""
        others = [value for value in node.inputs if value not in reads]
        if not all(value.is_constant and value.constant is not None for value in others):
            return
        operator = operator_of(node)
        assert operator is not None
        try:
            found = apply_operator(operator.name, *(table if v in reads else v.constant for v in node.inputs))
        except (LookupError, RuntimeError, TypeError, ValueError):
            return
        if found is not None and not isinstance(found, bool | int | float | str):
            return
        with self.graph.replacing(node):
            value = self.graph.insert_constant(found, constant_type(found))
        node.output.replace_all_uses_with(value)
        node.destroy()

    def settle_read(self, node: Node) -> None:
        found = self.attribute(node)
        if found is not None and not isinstance(found, bool | int | float | str):
            type_ = unrefined(node.output.type)
            node.output.type = type_.element if isinstance(type_, OptionalType) else node.output.type
            return
        with self.graph.replacing(node):
            value = self.graph.insert_constant(found, constant_type(found))
        value.name = node.output.name
        node.output.replace_all_uses_with(value)
        node.destroy()

    def path(self, node: Node) -> str:
        prefix = self.paths[node.inputs[0]]
        name = str(node.attributes["name"])
        return f"{prefix}.{name}" if prefix else name

    def attribute(self, node: Node) -> Any:
        """The value that a GetAttr of a known object reads. Raises NotFreezable when there is no such attribute."""
        owner, name = self.objects[node.inputs[0]], str(node.attributes["name"])
        if name in owner.values:
            return owner.values[name]
        if name in owner.type.constants:
            return owner.type.constants[name]
        raise NotFreezable(f"{owner.type.name} has no attribute {name!r}", node.source)

    def held(self, node: Node) -> Any:
        """What the attribute that a `prim::SetAttr` writes holds now."""
        return self.objects[node.inputs[0]].values.get(str(node.attributes["name"]))

    def key(self, node: Node) -> tuple[int, str]:
        """What tells attributes apart: tensors by their identity, so that shared parameters stay shared."""
        return id(self.objects[node.inputs[0]]), str(node.attributes["name"])

    def is_known(self, node: Node, kind: str) -> bool:
        return node.kind == kind and node.inputs[0] in self.objects

    def drop_assignments_of_itself(self) -> None:
        """`self.total += x` changes what the attribute holds, and assigns it what it held: only the change counts."""
        assignments: dict[tuple[int, str], list[Node]] = {}
        for node in self.graph.walk():
            if self.is_known(node, "prim::SetAttr"):
                assignments.setdefault(self.key(node), []).append(node)
        for key, nodes in assignments.items():
            if not all(self.reads(_changed_memory(node.inputs[1]), key) for node in nodes):
                continue
            for node in nodes:
                node.destroy()

    def reads(self, value: Value, key: tuple[int, str]) -> bool:
        return self.is_known(value.node, "prim::GetAttr") and self.key(value.node) == key

    def keep_unreached(self) -> None:
        """This version is for what attributes hold now that it would assign if they held None."""
        state = {(slot.owner.owner, slot.owner.name) if isinstance(slot.owner, Parts) else slot.place
                 for slot in self.context.slots}  # fmt: skip
        for owner, name in self.unreached.values():
            held = owner.values[name]
            given = Held(list(held) if isinstance(held, list) else held)
            self.context.kept.append(Kept(owner, name, ANY if (owner, name) in state else given, None))
        for owner, name in self.guarded.values():
            self.context.kept.append(Kept(owner, name, Held(owner.values[name]), None))

    def promote_assigned(self) -> None:
        """Attributes that are assigned become variables in SSA form. Raises NotFreezable for those that hold objects."""
        assigned: dict[tuple[int, str], Node] = {}
        for node in self.graph.walk():
            if self.is_known(node, "prim::SetAttr"):
                assigned.setdefault(self.key(node), node)
        for key, node in assigned.items():
            owner, name = self.objects[node.inputs[0]], str(node.attributes["name"])
            if isinstance(self.held(node), ScriptObject):
                self.context.kept.append(Kept(owner, name, Held(self.held(node)), None))
                raise NotFreezable(f"the object that {name} holds is replaced by another", node.source)
            type_ = self.declared(owner, name, node.inputs[1])
            variable = Variable(partial(self.accesses, key=key), unrefined(type_), name)
            given = self.form_of(owner, name, type_)
            if is_taken_apart(given, type_):
                start = self.take_apart(owner, name, type_, given)
                self.keep(owner, name, given, variable.promote(self.graph.block.nodes, start))
                continue
            value = self.graph.add_input(given, name)
            slot = Slot("attribute", name, len(self.graph.inputs) - 1, owner=owner, type=given)
            last = variable.promote(self.graph.block.nodes, value)
            slot.output = len(self.graph.outputs)
            self.graph.add_output(last)
            self.context.slots.append(slot)

    @staticmethod
    def declared(owner: ScriptObject, name: str, value: Value) -> Type:
        """The type of an attribute, where its class says none that of a value of it."""
        return owner.type.attributes[name].type if name in owner.type.attributes else value.type

    def form_of(self, owner: ScriptObject, name: str, declared: Type) -> Any:
        """The form of what an attribute holds now (see `optc.passes.state_forms`), less where that changes."""
        held = owner.values.get(name)
        if isinstance(held, list | dict) and (owner, name) in self.context.whole:
            return declared
        return form_of(held, declared, (owner, name), self.context.state_types)

    def take_apart(self, owner: ScriptObject, name: str, type_: Type, given: Any) -> Value:
        """What an attribute holds, made of one input for every leaf."""
        taken = Taken([])
        with self.graph.inserting(next(self.graph.nodes, self.graph.block.return_node)):
            start, _ = take_in(self.graph, name, given, type_, taken)
        for leaf, (holder, place) in zip(taken.leaves, leaves_in(given, (owner, name)), strict=True):
            value = self.graph.add_input(leaf.type, leaf.name)
            leaf.replace_all_uses_with(value)
            start = value if start is leaf else start
            slot = Slot("attribute", place, len(self.graph.inputs) - 1, owner=holder, type=leaf.type)
            self.context.slots.append(slot)
        return start

    def keep(self, owner: ScriptObject, name: str, given: Any, last: Value, *, in_place: bool = False) -> None:
        """Give back what an attribute holds at the end; `flatten-outputs` takes it apart."""
        self.context.kept.append(Kept(owner, name, given, len(self.graph.outputs), in_place=in_place))
        self.graph.add_output(last)

    def accesses(self, node: Node, key: tuple[int, str]) -> bool:
        return (self.is_known(node, "prim::GetAttr") or self.is_known(node, "prim::SetAttr")) and self.key(node) == key

    def share_reads(self) -> None:
        """One read per attribute, at the top of the graph; attributes that hold the same tensor are one."""
        first: dict[Any, Value] = {}
        for node in list(self.graph.walk()):
            if not self.is_known(node, "prim::GetAttr") or node.output in self.objects:
                continue
            found = self.attribute(node)
            key = ("tensor", id(found)) if isinstance(found, Tensor) else self.key(node)
            known = first.get(key)
            if known is not None:
                node.output.replace_all_uses_with(known)
                node.destroy()
                continue
            first[key] = node.output
            self.lift(node)

    def lift(self, node: Node) -> None:
        """Move an attribute read, and the reads of the objects it goes through, to the start of the graph."""
        chain = [node]
        while chain[-1].inputs[0].node.kind == "prim::GetAttr":
            chain.append(chain[-1].inputs[0].node)
        owner = chain[-1].inputs[0]
        with self.graph.replacing(node, before=next(self.graph.nodes)):
            for step in reversed(chain[1:]):
                read = self.graph.insert("prim::GetAttr", [owner], (step.output.type,), dict(step.attributes)).output
                self.objects[read], self.paths[read] = self.objects[step.output], self.paths[step.output]
                owner = read
        node.set_input(0, owner)
        point = owner.node.next if not owner.is_parameter else next(self.graph.nodes)
        if point is not None and point is not node:
            node.move_before(point)

    def make_state(self) -> None:
        """Attributes that are changed in place become inputs whose final contents are outputs."""
        self.take_containers_apart()
        aliasing = Aliasing(self.graph)
        reads = [node for node in self.graph.walk() if self.is_known(node, "prim::GetAttr")]
        reads = [node for node in reads if node.output not in self.objects]
        self.check_shared_memory(aliasing, reads)
        for slot in self.context.slots:
            if slot.output is not None:
                self.recognize_buffer(aliasing, slot)
            elif self.is_written(aliasing, self.graph.inputs[slot.input]):
                slot.kind, slot.output = "buffer", len(self.graph.outputs)
                self.graph.add_output(self.graph.inputs[slot.input])
        held = [each for each in map(self.attribute, reads) if isinstance(each, Tensor)]
        held += [slot.present for slot in self.context.slots if isinstance(slot.present, Tensor)]
        take_written_constants(self.graph, self.context, aliasing, [tensor._array for tensor in held])
        for node in reads:
            if self.is_written(aliasing, node.output) or self.is_changing(node):
                self.make_buffer(node)

    def take_containers_apart(self) -> None:
        """What is changed in lists and dictionaries, or may be None in another call, is taken apart as it is now."""
        reads = [node for node in self.graph.walk() if self.is_known(node, "prim::GetAttr")]
        reads = [node for node in reads if self.is_container(node)]
        aliasing = Aliasing(self.graph) if reads else None
        for node in reads:
            assert aliasing is not None
            is_changing = self.is_changing(node)
            owner, name = self.objects[node.inputs[0]], str(node.attributes["name"])
            type_ = self.declared(owner, name, node.output)
            given = self.form_of(owner, name, type_)
            if not is_taken_apart(given, type_) or not (is_changing or self.is_reached(aliasing, node.output)):
                continue
            start = self.take_apart(owner, name, type_, given)
            node.output.replace_all_uses_with(start)
            node.destroy()
            self.keep(owner, name, given, start, in_place=isinstance(given, list | dict))

    def is_container(self, node: Node) -> bool:
        """True for a read of what is taken apart when it is state."""
        held = self.attribute(node)
        is_none = held is None or isinstance(node.output.type, OptionalType)
        return node.output not in self.objects and (isinstance(held, list | dict | tuple) or is_none)

    def is_changing(self, node: Node) -> bool:
        """True for a read of what other calls write."""
        key = self.key(node)
        is_constant = key in self.unreached or key in self.guarded
        return key in self.lasting | self.elsewhere.changed or (key in self.elsewhere.assigned and not is_constant)

    def make_buffer(self, node: Node) -> None:
        owner, name = self.objects[node.inputs[0]], str(node.attributes["name"])
        known = self.context.state_types.get((owner, name))
        held = self.attribute(node)
        known = None if isinstance(known, Literal) else known
        type_ = known or (constant_type(held._array) if isinstance(held, Tensor) else node.output.type)
        value = self.graph.add_input(type_, name)
        place, output = len(self.graph.inputs) - 1, len(self.graph.outputs)
        kind = "buffer" if isinstance(held, Tensor | list | dict) else "attribute"
        self.context.slots.append(Slot(kind, name, place, output, owner, value.type))
        node.output.replace_all_uses_with(value)
        self.graph.add_output(value)
        node.destroy()

    def recognize_buffer(self, aliasing: Aliasing, slot: Slot) -> None:
        """An attribute that is assigned the tensor it holds (`self.total += x`) keeps that tensor."""
        assert slot.output is not None
        first, last = self.graph.inputs[slot.input], self.graph.outputs[slot.output]
        if first in aliasing.places and aliasing.places[first] == aliasing.places.get(last):
            slot.kind = "buffer"

    @staticmethod
    def is_reached(aliasing: Aliasing, value: Value) -> bool:
        """True when some write may hit a value, or what it holds."""
        place = aliasing.places.get(value)
        return place is not None and aliasing.reached(place.storage)

    @staticmethod
    def is_written(aliasing: Aliasing, value: Value) -> bool:
        place = aliasing.places.get(value)
        return place is not None and aliasing.written(place.storage)

    def check_shared_memory(self, aliasing: Aliasing, reads: list[Node]) -> None:
        """Memory that is written may belong to one attribute only."""
        held = [(self.path(node), self.attribute(node), node.output) for node in reads]
        for slot in self.context.slots:
            assert slot.owner is not None
            held.append((slot.path, slot.present, self.graph.inputs[slot.input]))
        for path, mine, value in held:
            if not isinstance(mine, Tensor) or not self.is_written(aliasing, value):
                continue
            for other, theirs, another in held:
                shared = isinstance(theirs, Tensor) and np.may_share_memory(mine._array, theirs._array)
                if shared and another is not value:
                    raise NotFreezable(f"{path} is written and shares memory with {other}")

    def make_constants(self) -> None:
        for node in list(self.graph.walk()):
            if not self.is_known(node, "prim::GetAttr") or node.output in self.objects:
                continue
            found = self.attribute(node)
            with self.graph.replacing(node):
                value = self.constant(found, node)
            value.name = node.output.name
            node.output.replace_all_uses_with(value)
            node.destroy()

    def constant(self, found: Any, node: Node) -> Value:
        value = insert_held(self.graph, found, node.output.type)
        if value is None:
            raise NotFreezable(f"the attribute {self.path(node)} is a {type(found).__name__}", node.source)
        return value

    def remove_objects(self) -> None:
        """Nobody reads objects any more, so self can go; calls of methods that stay behind still need it."""
        for node in reversed(list(self.graph.walk())):
            if node.kind == "prim::GetAttr" and not node.output.has_uses:
                node.destroy()
        if self.graph.inputs[0].has_uses:
            return
        self.graph.block.param_node.remove_output(0)
        for slot in self.context.slots:
            slot.input -= 1


def _may_write(graph: Graph) -> bool:
    return any(map(writes_memory, graph.walk()))


def _objects_below(module: ScriptObject) -> list[ScriptObject]:
    """A module and all objects that it and they hold in attributes."""
    found = {id(module): module}
    waiting = [module]
    while waiting:
        for value in waiting.pop().values.values():
            if isinstance(value, ScriptObject) and id(value) not in found:
                found[id(value)] = value
                waiting.append(value)
    return list(found.values())


def _changed_memory(value: Value) -> Value:
    """What operators that write got and gave back as this value."""
    while (written := written_argument(value.node)) is not None and returns_written(value):
        value = written
    return value


def _is_look(node: Node) -> bool:
    """True for an operator that reads its arguments and gives a number, a string or None: nothing that could change."""
    operator = operator_of(node)
    if operator is None or operator.mutates or node.blocks:
        return False
    return len(node.outputs) == 1 and not is_reference(node.output.type)
