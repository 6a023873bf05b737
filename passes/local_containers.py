"""The pass `local-containers`.

    d = {}                      d is gone:
    d["a"] = x            =>
    y = d["a"]                  y = x

Works on captured graphs, where the tensors inside may still change in place: it only says which tensor is meant.
Afterwards `functionalize` has no container left of which it could not say what it holds.

A container is followed from where it is made: what changes it in that very block is understood, what reads it, there
or in branches and loops, gets a container of its own with what is held by then. The first use that is anything else
(the container is stored, returned, merged by a branch) gets it made anew, and so does whatever comes behind.
Containers are made as late as can be, so that what is done to a list before somebody looks into the list that holds it
is understood.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optc.ir.graph import Block, Graph, Node, Value
from optc.ir.types import NONE
from optc.ops.builder import constant_type
from optc.ops.registry import operator_of
from optc.passes.aliasing import is_reference
from optc.passes.lower_containers import SIMPLIFIERS
from optc.pipeline import graph_pass

Items = dict[Any, Value]
"""What a container holds by key; by place, for lists."""


@graph_pass(
    "local-containers",
    after={"inline": "containers go in and out of calls", "freeze": "the keys are often settings of the module"},
)
def local_containers(graph: Graph) -> bool:
    """See through lists and dictionaries for as long as all that happens to them is known."""
    changed = _make_late(graph.block)
    while _once(graph):
        changed = True
    return changed


def _once(graph: Graph) -> bool:
    changed = False
    for node in list(graph.walk()):
        if node.owner is not None and _is_made(node):
            changed |= _Followed(graph, node).run()
    return changed


def _make_late(block: Block) -> bool:
    """Make containers just before they are first used: the lists they hold can then be followed up to there.

    What a container is made of are references, which are the same wherever it is made.
    """
    changed = False
    for node in reversed(list(block.nodes)):
        for inner in node.blocks:
            changed |= _make_late(inner)
        if _is_made(node) and node.inputs and node.output.has_uses:
            changed |= _make_late_one(node, block)
    return changed


def _make_late_one(made: Node, block: Block) -> bool:
    places = {use.node.standing_in(block) for use in made.output.uses}
    following = made.next
    while following is not None and following not in places and _is_made(following):
        following = following.next
    if following is None or following in places:
        return False
    while following not in places and following.next is not None:
        following = following.next
    made.move_before(following)
    return True


def _is_made(node: Node) -> bool:
    if node.kind == "aten::dict":
        return not node.inputs
    keys = node.inputs[::2] if node.kind == "prim::DictConstruct" else ()
    return node.kind in ("prim::ListConstruct", "prim::DictConstruct") and all(map(_is_key, keys))


def _is_key(value: Value) -> bool:
    return value.is_constant and isinstance(value.constant, str | int)


class _Followed:
    """One container on its way through the block that makes it."""

    def __init__(self, graph: Graph, made: Node) -> None:
        self.graph = graph
        self.made = made
        self.is_list = made.kind == "prim::ListConstruct"
        self.items = _first_items(made)
        self.is_changed = False
        """Whether it no longer holds what it was made with."""

    def run(self) -> bool:
        """Follow it as far as it is understood; True when the graph has changed."""
        changed = False
        ordered = self.uses_in_order()
        for number, (place, uses) in enumerate(ordered):
            if all(map(self.is_read, uses)):
                changed |= self.read_all(place, uses)
            elif uses == [place] and self.understands(place):
                place.destroy()
                self.is_changed = changed = True
            else:
                return changed | self.leave(place, [use for _, later in ordered[number:] for use in later])
        if self.made.output.has_uses:
            return changed
        self.made.destroy()
        return True

    def uses_in_order(self) -> list[tuple[Node, list[Node]]]:
        """The nodes of the block that use the container, each with the uses in it."""
        block = self.made.block
        found: dict[Node, dict[Node, None]] = {}
        for use in self.made.output.uses:
            found.setdefault(use.node.standing_in(block), {})[use.node] = None
        if len(found) < 2:
            return [(place, list(uses)) for place, uses in found.items()]
        block.number_nodes()
        return [(place, list(found[place])) for place in sorted(found, key=lambda node: node.position)]

    # What happens to it ---------------------------------------------------------------------------------------------

    def is_read(self, use: Node) -> bool:
        """True for what neither changes the container nor holds on to it: elements do not say what holds them."""
        if use.blocks:
            return False
        if use.kind == "aten::extend":
            return use.inputs[0] is not self.made.output
        if use.kind in _READS_ITEMS:
            return use.inputs[0] is self.made.output
        operator = operator_of(use)
        if operator is None or operator.mutates:
            return False
        if use.kind in ("aten::__is__", "aten::__isnot__"):
            return any(value.type is NONE for value in use.inputs)
        if operator.schema.is_variadic:
            return operator.pure and not any(is_reference(output.type) for output in use.outputs)
        pairs = zip(use.inputs, operator.schema.arguments, strict=True)
        return not any(argument.alias for value, argument in pairs if value is self.made.output)

    def understands(self, use: Node) -> bool:
        """Bring `items` behind a change; False for one that is not understood, or might fail."""
        change = _CHANGES.get(use.kind)
        if change is None or use.inputs.count(self.made.output) != 1 or use.inputs[0] is not self.made.output:
            return False
        return not any(output.has_uses for output in use.outputs) and change(self, use)

    def key(self, value: Value) -> Any:
        """The key that a constant stands for, None where it is not known."""
        if not _is_key(value):
            return None
        key = value.constant
        return key + len(self.items) if self.is_list and isinstance(key, int) and key < 0 else key

    def set(self, use: Node) -> bool:
        """container[key] = value."""
        key = self.key(use.inputs[1])
        if key is None or (self.is_list and key not in self.items):
            return False
        self.items[key] = use.inputs[2]
        return True

    def append(self, use: Node) -> bool:
        """container.append(value)."""
        self.items[len(self.items)] = use.inputs[1]
        return self.is_list

    def insert(self, use: Node) -> bool:
        """container.insert(place, value)."""
        place = use.inputs[1]
        if not self.is_list or not place.is_constant:
            return False
        items = list(self.items.values())
        items.insert(place.constant, use.inputs[2])
        self.items = dict(enumerate(items))
        return True

    def extend(self, use: Node) -> bool:
        """container.extend(others), of which nobody but readers know."""
        others = use.inputs[1].node
        if not self.is_list or others.kind != "prim::ListConstruct":
            return False
        if not all(_Followed(self.graph, others).is_read(other.node) for other in others.output.uses):
            return False
        self.items = dict(enumerate([*self.items.values(), *others.inputs]))
        return True

    def delete(self, use: Node) -> bool:
        """del container[key]."""
        key = self.key(use.inputs[1])
        if key is None or key not in self.items:
            return False
        del self.items[key]
        if self.is_list:
            self.items = dict(enumerate(self.items.values()))
        return True

    # What is put in place of it -------------------------------------------------------------------------------------

    def read_all(self, place: Node, uses: list[Node]) -> bool:
        """Let the uses inside a node of the block read what is held by then; True when that changed the graph."""
        present = self.built(place) if self.is_changed else self.made.output
        changed = [self.read(use, present) for use in uses]
        return any(changed) or self.is_changed

    def read(self, use: Node, present: Value) -> bool:
        """See through one reader; True when that changed the graph."""
        self.replace(use, self.made.output, present)
        simplify = SIMPLIFIERS.get(use.kind)
        if simplify is None or any(self.is_changing(value) for value in use.inputs if value is not present):
            return False
        if use.kind not in _COPIES:
            return simplify(self.graph, use)
        own = self.built(use)
        self.replace(use, present, own)
        if simplify(self.graph, use):
            return True
        self.replace(use, own, present)
        own.node.destroy()
        return False

    def is_changing(self, value: Value) -> bool:
        """True for another container that may not hold what it was made with when it is read."""
        if not _is_made(value.node):
            return False
        other = _Followed(self.graph, value.node)
        return not all(other.is_read(use.node) for use in value.uses)

    def leave(self, place: Node, later: list[Node]) -> bool:
        """Make the container anew before `place`, for all uses from there on; True when it had changed."""
        if not self.is_changed:
            return False
        present = self.built(place)
        present.name = self.made.output.name
        for use in later:
            self.replace(use, self.made.output, present)
        if not self.made.output.has_uses:
            self.made.destroy()
        return True

    @staticmethod
    def replace(use: Node, old: Value, new: Value) -> None:
        use.set_inputs([new if value is old else value for value in use.inputs])

    def built(self, before: Node) -> Value:
        """The container as it is by now."""
        graph = self.graph
        with graph.replacing(before):
            if self.is_list:
                parts = list(self.items.values())
            else:
                keys = [graph.insert_constant(key, constant_type(key)) for key in self.items]
                parts = [part for pair in zip(keys, self.items.values()) for part in pair]
            kind = "prim::ListConstruct" if self.is_list else "prim::DictConstruct"
            return graph.insert(kind, parts, (self.made.output.type,)).output


def _first_items(made: Node) -> Items:
    if made.kind == "prim::ListConstruct":
        return dict(enumerate(made.inputs))
    return {key.constant: value for key, value in zip(made.inputs[::2], made.inputs[1::2])}


_CHANGES: dict[str, Callable[[_Followed, Node], bool]] = {
    "aten::_set_item": _Followed.set,
    "aten::append": _Followed.append,
    "aten::insert": _Followed.insert,
    "aten::extend": _Followed.extend,
    "aten::Delete": _Followed.delete,
    "aten::pop": _Followed.delete,
}

_READS_ITEMS = frozenset(
    ("aten::__getitem__", "aten::items", "aten::values", "aten::get", "prim::ListUnpack", "aten::__contains__")
)
"""Kinds that give elements, but not what holds them."""

_COPIES = frozenset(("aten::list", "aten::copy", "aten::dict"))
"""Kinds that give the container itself where nobody changes it."""
