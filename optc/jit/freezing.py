"""`optc.jit.freeze`: a module whose methods are inlined and whose attributes have become constants of its graphs.

As in PyTorch, an attribute that some method writes stays an attribute, and so does what shares memory with it, what was
asked for by name, and what no constant can be. Submodules stay as far as they hold such attributes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from optc.eager.tensor import Tensor
from optc.errors import UnsupportedError
from optc.instruments import instruments_from_environment
from optc.ir.function import ClassAttribute, ClassType, Function, ScriptObject
from optc.ir.graph import Graph, Node
from optc.ir.types import unrefined
from optc.jit.frontend.cleanup import clean_up
from optc.jit.names import NAMES
from optc.ops.values import AUTOCAST
from optc.passes.freeze import Freezer, Writes
from optc.passes.object_constants import insert_held
from optc.passes.pipelines import FROZEN, WITH_ROUNDING
from optc.pipeline import Context, run

_ACCESSES = ("prim::GetAttr", "prim::SetAttr")


def frozen_object(module: ScriptObject, preserved: Sequence[str], optimize_numerics: bool) -> ScriptObject:
    """A new object with `forward` and the preserved methods, frozen and simplified, and the attributes that are left.

    Raises RuntimeError for a name that the module does not have, and for a module that returns itself.
    """
    frozen = _Freezing(module, preserved).run()
    for method in frozen.type.methods.values():
        simplify(method, optimize_numerics)
    return frozen


def simplify(method: Function, optimize_numerics: bool) -> None:
    """Simplify a frozen method as far as it stays code that PyTorch reads; `optimize_numerics` may change rounding.

    What is done to all code when it is loaded comes last, so that the code is the same after saving and loading; types
    say no more than code does.
    """
    text = WITH_ROUNDING if optimize_numerics else FROZEN
    clean_up(method.graph)
    run(method.graph, text, instruments_from_environment(), keep_graphs=False)
    for value in method.graph.values():
        value.type = unrefined(value.type)
    clean_up(method.graph)
    method.prepared = None


class _Freezing:
    def __init__(self, module: ScriptObject, preserved: Sequence[str]) -> None:
        methods = module.type.methods
        self.module = module
        self.methods = [methods[name] for name in dict.fromkeys(("forward", *preserved)) if name in methods]
        self.kept: set[tuple[int, str]] = set()
        """Attributes that stay what they are: the number of their object, and their name."""
        self.owners: dict[int, ScriptObject] = {id(module): module}
        """Objects of which something stays."""
        self.whole: set[int] = set()
        """Objects that are used as objects, of which everything stays."""
        self.twins: dict[int, ScriptObject] = {}
        for name in preserved:
            if name not in methods:
                self._preserve(name)

    def run(self) -> ScriptObject:
        """The frozen object."""
        readers = self._settled_graphs()
        for reader in readers:
            self._note_whole_objects(reader)
        for reader in readers:
            self._leave_whole_objects(reader)
        self._keep_shared(readers)
        for reader in readers:
            self._insert_constants(reader)
        for reader in readers:
            self._note_owners(reader)
        return self._rebuild(readers)

    def _preserve(self, path: str) -> None:
        """Keep an attribute, of a submodule too: `encoder.scale`."""
        *outer, name = path.split(".")
        owner = self.module
        for part in outer:
            inner = owner.values.get(part)
            if not isinstance(inner, ScriptObject):
                raise RuntimeError(f"Unknown name: {path}")  # noqa: TRY004
            owner = self.owners[id(inner)] = inner
        if name not in owner.type.attributes:
            raise RuntimeError(f"Unknown name: {path}")
        self.kept.add((id(owner), name))
        held = owner.values[name]
        if isinstance(held, ScriptObject):
            self.whole.add(id(held))

    def _settled_graphs(self) -> list[Freezer]:
        """The methods with all calls inlined and the branches taken that settings decide, and what they write found.

        A setting that one method writes decides nothing in another, which may then write more.
        """
        known = Writes(set(), set(self.kept))
        while True:
            readers = [self._reader(method.graph.copy(), known) for method in self.methods]
            found = [known, *(reader.writes() for reader in readers)]
            together = Writes(
                set().union(*(each.assigned for each in found)), set().union(*(each.changed for each in found))
            )
            if together == known:
                self.kept |= known.assigned | known.changed
                return readers
            known = together

    def _reader(self, graph: Graph, known: Writes) -> Freezer:
        reader = Freezer(graph, Context(self.module))
        reader.elsewhere, reader.only_reads = known, True
        reader.inline_methods()
        _refuse_autocast(graph)
        reader.settle()
        reader.resolve_objects()
        for value in [value for value in reader.objects if not value.is_parameter and value.node.owner is None]:
            del reader.objects[value]  # it was read in a branch that is not taken
        return reader

    def _note_whole_objects(self, reader: Freezer) -> None:
        """Nothing of an object that is returned, stored or passed on becomes a constant."""
        for value, owner in reader.objects.items():
            if any(not _is_access(use.node, use.slot) for use in value.uses):
                self.whole.add(id(owner))
        if id(self.module) in self.whole:
            raise RuntimeError("attempted to freeze a module that return itself")

    def _leave_whole_objects(self, reader: Freezer) -> None:
        """What is read of such an object, and of what is in it, is read where it was."""
        for value, owner in list(reader.objects.items()):
            is_read_of_whole = not value.is_parameter and value.node.inputs[0] not in reader.objects
            if id(owner) in self.whole or is_read_of_whole:
                del reader.objects[value]
                if not is_read_of_whole:
                    self.kept.add(reader.key(value.node))

    def _keep_shared(self, readers: Sequence[Freezer]) -> None:
        """An attribute that shares memory with one that stays has to stay, too."""
        reads = {reader.key(node): reader.attribute(node) for reader in readers for node in _reads(reader)}
        parts = {key: list(_parts(held)) for key, held in reads.items()}
        staying = [part for key in self.kept for part in parts.get(key, ())]
        for key in parts.keys() - self.kept:
            if any(_share(mine, other) for mine in parts[key] for other in staying):
                self.kept.add(key)

    def _insert_constants(self, reader: Freezer) -> None:
        for node in list(_reads(reader)):
            if reader.key(node) in self.kept:
                continue
            before = node.previous
            with reader.graph.replacing(node):
                value = insert_held(reader.graph, reader.attribute(node), node.output.type)
            if value is None:
                _remove_between(before, node)
                self.kept.add(reader.key(node))
                continue
            value.name = node.output.name
            node.output.replace_all_uses_with(value)
            node.destroy()

    def _note_owners(self, reader: Freezer) -> None:
        """Drop reads of objects of which nobody needs anything any more; what is left stays."""
        for node in reversed(list(reader.graph.walk())):
            if node.kind == "prim::GetAttr" and node.output in reader.objects and not node.output.has_uses:
                del reader.objects[node.output]
                node.destroy()
        self.owners |= {id(owner): owner for owner in reader.objects.values()}

    def _rebuild(self, readers: Sequence[Freezer]) -> ScriptObject:
        result = self._twin(self.module)
        for method, reader in zip(self.methods, readers):
            for value, owner in reader.objects.items():
                value.type = self._twin(owner).type
            arguments = (replace(method.schema.arguments[0], type=result.type), *method.schema.arguments[1:])
            schema = replace(method.schema, arguments=arguments)
            frozen = Function(f"{result.type.name}.{method.base_name}", schema, reader.graph)
            result.type.methods[method.base_name] = frozen
        return result

    def _twin(self, owner: ScriptObject) -> ScriptObject:
        """The object that has what stays of another one."""
        found = self.twins.get(id(owner))
        if found is not None:
            return found
        class_ = ClassType(NAMES.claim(owner.type.name), is_module=owner.type.is_module)
        twin = self.twins[id(owner)] = ScriptObject(class_)
        for name, attribute in owner.type.attributes.items():
            held, type_ = owner.values.get(name), attribute.type
            if isinstance(held, ScriptObject) and id(held) in self.owners.keys() - self.whole:
                held = self._twin(held)
                type_ = held.type
            elif (id(owner), name) not in self.kept:
                continue
            class_.attributes[name] = ClassAttribute(type_, attribute.is_parameter, attribute.is_buffer)
            twin.values[name] = held
        return twin


def _refuse_autocast(graph: Graph) -> None:
    """Raise UnsupportedError for a method that enters autocast: inlined, it would refuse to run in PyTorch as well."""
    for node in graph.walk():
        is_switch = node.kind == "prim::SetAttr" and node.inputs[0].type.annotation in AUTOCAST
        if not is_switch or node.attributes["name"] != "_enabled":
            continue
        if not node.inputs[1].is_constant or node.inputs[1].constant is not False:
            raise UnsupportedError("a method that enters autocast cannot be frozen", node.source)


def _is_access(node: Node, slot: int) -> bool:
    return node.kind in _ACCESSES and slot == 0


def _reads(reader: Freezer) -> Iterator[Node]:
    """The reads of attributes that are no objects themselves."""
    for node in reader.graph.walk():
        if reader.is_known(node, "prim::GetAttr") and node.output not in reader.objects:
            yield node


def _parts(held: Any) -> Iterator[Any]:
    """The memory that a value refers to: arrays, and the lists and dictionaries themselves."""
    if isinstance(held, Tensor):
        yield held._array
    if isinstance(held, list | dict):
        yield held
    if isinstance(held, list | tuple | dict):
        for item in held.values() if isinstance(held, dict) else held:
            yield from _parts(item)


def _share(left: Any, right: Any) -> bool:
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        return np.may_share_memory(left, right)
    return left is right


def _remove_between(first: Node | None, last: Node) -> None:
    while last.previous is not None and last.previous is not first:
        last.previous.destroy()
