"""The lists that one list is in the course of a program: what passes that keep lists as something else go by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Generic, Protocol, TypeVar

from optc.dataclass import dataclass
from optc.ir.graph import Block, Graph, Node, Use, Value
from optc.ir.symbols import replace_value
from optc.ir.types import ListType, TensorType, Type
from optc.ops.tensors_of_numbers import is_settled_list
from optc.passes.list_questions import asks_numbers
from optc.passes.list_steps import STEPS

READS = ("aten::len", "aten::__getitem__")
JOINS = ("aten::stack", "aten::cat")
TENSORS = ("aten::tensor", "aten::as_tensor")
_HOLDERS = (
    "prim::TupleConstruct",
    "prim::ListConstruct",
    "prim::DictConstruct",
    "prim::ListOfLists",
    "prim::ListOfTuples",
)


def part_lists(graph: Graph) -> bool:
    """Give everything that reads a list which is written down one of its own: equal lists need not become equal things,
    and one of them may be an operator's sizes. True where some list was read twice."""
    changed = False
    for node in list(graph.walk()):
        if node.kind != "prim::ListConstruct" or not any(map(_goes_on, node.output.uses)):
            continue
        for use in list(node.output.uses)[1:]:
            with graph.replacing(node):
                made = graph.insert(node.kind, node.inputs, (node.output.type,)).output
            use.node.set_input(use.slot, made)
            changed = True
    return changed


def _goes_on(use: Use) -> bool:
    """True where a list becomes another one, goes through a branch or loop, or is read element by element."""
    kind = use.node.kind
    return kind in STEPS or kind in READS or kind in ("prim::Loop", "prim::Return") or asks_numbers(use.node)


@dataclass
class ListFamily:
    """The values that one list has in the course of the program, through branches and loops, and who reads them."""

    values: dict[Value, None] = field(default_factory=dict)
    types: list[Type] = field(default_factory=list)
    """Those of the elements, as far as they show."""
    steps: list[Node] = field(default_factory=list)
    starts: list[Node] = field(default_factory=list)
    """Lists that are written down, hold the rows of a tensor (`rows_of`), or are none that anybody reads."""
    merges: list[tuple[Node, int]] = field(default_factory=list)
    """Branches, with the offset of an output that is the list; loops, with the number of the carried value."""
    readers: list[Node] = field(default_factory=list)
    leavers: list[tuple[Node, int]] = field(default_factory=list)
    """Inputs of nodes that want the list itself: the program's results, and what holds them."""

    def add(self, value: Value) -> bool:
        """Take in a value and all that it comes from and goes to. False when it is used in a way that is not known."""
        pending = [value]
        while pending:
            value = pending.pop()
            if value in self.values:
                continue
            self.values[value] = None
            sources = self.sources(value)
            targets = [self.targets(use.node, use.slot) for use in value.uses]
            if sources is None or any(target is None for target in targets):
                return False
            pending += sources + [found for target in targets for found in target or ()]
        lengths = {len(start.inputs) for start in self.starts if start.kind == "prim::ListConstruct"}
        is_worth_it = bool(self.steps) or len(lengths) > 1 or any(map(_is_indexed, self.readers))
        return bool(self.types) and (is_worth_it or any(map(asks_numbers, self.readers)))

    def sources(self, value: Value) -> list[Value] | None:
        """The list values that a value may be."""
        node = value.node
        if not isinstance(value.type, ListType):
            return None
        if value.is_parameter:
            loop = node.owner.owning_node if node.owner is not None else None
            if loop is None or loop.kind != "prim::Loop" or value.offset == 0:
                return None
            return self.carried(loop, value.offset - 1)
        if node.kind == "prim::ListConstruct":
            self.starts.append(node)
            self.types += [element.type for element in node.inputs]
            return []
        if rows_of(node) is not None:
            self.starts.append(node)
            self.types.append(value.type.element)
            return []
        if node.kind == "prim::Uninitialized":  # where a function returns early: nobody reads it
            self.starts.append(node)
            return []
        if node.kind in STEPS:
            return self.step(node)
        if node.kind == "prim::If":
            self.merge(node, value.offset)
            return [block.outputs[value.offset] for block in node.blocks]
        if node.kind == "prim::Loop":
            return self.carried(node, value.offset)
        return None

    def step(self, node: Node) -> list[Value] | None:
        """The lists that a list is made of, and the list itself."""
        step = STEPS[node.kind]
        if not step.is_possible(node):
            return None
        if node not in self.steps:
            self.steps.append(node)
            self.types += [] if step.element is None else [node.inputs[step.element].type]
        return [node.output, *node.inputs[: step.lists]]

    def carried(self, loop: Node, place: int) -> list[Value]:
        self.merge(loop, place)
        body = loop.blocks[0]
        return [loop.inputs[2 + place], body.inputs[1 + place], body.outputs[1 + place], loop.outputs[place]]

    def merge(self, node: Node, place: int) -> None:
        if (node, place) not in self.merges:
            self.merges.append((node, place))

    def targets(self, node: Node, slot: int) -> list[Value] | None:
        """The list values that a user makes of a value; none for readers."""
        if node.kind in STEPS and slot < STEPS[node.kind].lists:
            return self.step(node)
        if node.kind == "prim::Loop" and slot >= 2:
            return self.carried(node, slot - 2)
        if node.kind in _HOLDERS or (node.kind == "prim::Return" and node.block.owning_node is None):
            self.leavers.append((node, slot))
            return []
        if node.kind == "prim::Return":
            return self.returned(node.owner, slot)
        reads = node.kind in READS or _is_tensor_of_numbers(node) or asks_numbers(node)
        reads = reads or (node.kind in JOINS and node.inputs[1].is_constant)
        if not reads or slot != 0:
            return None
        self.readers.append(node)
        return []

    def returned(self, block: Block | None, slot: int) -> list[Value] | None:
        owner = block.owning_node if block is not None else None
        if owner is None:
            return None
        if owner.kind == "prim::If":
            return [owner.outputs[slot]]
        return self.carried(owner, slot - 1) if slot > 0 else None


def rows_of(node: Node) -> Value | None:
    """The tensor whose rows (as tensors, or as the numbers in it) a node gives as a list; None for other nodes."""
    if node.kind == "aten::unbind":
        return node.inputs[0] if node.inputs[1].is_constant and node.inputs[1].constant == 0 else None
    is_flat = node.kind == "prim::tolist" and not isinstance(_element(node.output.type), ListType)
    return node.inputs[0] if is_flat and is_settled_list(node) else None


def _element(type_: Type) -> Type | None:
    return type_.element if isinstance(type_, ListType) else None


Parts = TypeVar("Parts", bound="tuple[Value, ...]")


class Form(Protocol[Parts]):
    """What lists become: values that stand for one, all of which branches and loops hand on."""

    def types(self, value: Value) -> Sequence[Type]:
        """The types of the values that stand for a list."""

    def start(self, node: Node) -> Parts:
        """What stands for a list that begins here: of the inputs of a `prim::ListConstruct`, or of rows."""

    def step(self, node: Node, *lists: Parts) -> Parts:
        """What stands for the list that a node makes of others."""

    def read(self, node: Node, parts: Parts) -> Value:
        """What a node reads of a list."""

    def leave(self, node: Node, slot: int, parts: Parts) -> Value:
        """The list itself."""

    def make(self, values: Sequence[Value]) -> Parts:
        """The values as what stands for a list."""


class Replacement(Generic[Parts]):
    """Puts another form in the place of a family's lists."""

    def __init__(self, graph: Graph, family: ListFamily, form: Form[Parts]) -> None:
        self.graph = graph
        self.family = family
        self.form = form
        self.parts: dict[Value, Parts] = {}

    def run(self) -> None:
        for node, place in self.family.merges:
            self.open_merge(node, place)
        for node in self.family.starts:
            with self.graph.replacing(node):
                self.parts[node.output] = self.form.start(node)
        for node in self.family.steps:
            self.step_in_order(node)
        for node, place in self.family.merges:
            self.close_merge(node, place)
        for node in self.family.readers:
            self.read(node)
        for node, slot in self.family.leavers:
            with self.graph.replacing(node, before=node):
                made = self.form.leave(node, slot, self.parts[node.inputs[slot]])
            node.set_input(slot, made)
        for node in self.family.steps:  # some of them may fail, and would not count as dead
            node.output.replace_all_uses_with(node.inputs[0])
            node.destroy()

    def open_merge(self, node: Node, place: int) -> None:
        """New outputs, and parameters of a loop's body."""
        if node.kind == "prim::Loop":
            body = node.blocks[0]
            value = body.inputs[1 + place]
            self.parts[value] = self.form.make([body.add_input(type_) for type_ in self.form.types(value)])
            self.parts[value][0].name = value.name
        value = node.outputs[place]
        self.parts[value] = self.form.make([node.add_output(type_) for type_ in self.form.types(value)])
        self.parts[value][0].name = value.name

    def close_merge(self, node: Node, place: int) -> None:
        """What goes into the new outputs and parameters."""
        if node.kind == "prim::Loop":
            for value in self.parts[node.inputs[2 + place]]:
                node.add_input(value)
        for block in node.blocks:
            offset = place + (node.kind == "prim::Loop")
            for value in self.parts[block.outputs[offset]]:
                block.add_output(value)

    def step_in_order(self, node: Node) -> None:
        """A step may stand behind another one, whose parts come first."""
        if node.output in self.parts:
            return
        lists = node.inputs[: STEPS[node.kind].lists]
        for source in lists:
            if source not in self.parts:
                self.step_in_order(source.node)
        with self.graph.replacing(node):
            self.parts[node.output] = self.form.step(node, *(self.parts[source] for source in lists))

    def read(self, node: Node) -> None:
        with self.graph.replacing(node):
            found = self.form.read(node, self.parts[node.inputs[0]])
        found.name = found.name or node.output.name
        replace_value(self.graph, node.output, found)
        node.destroy()


def _is_tensor_of_numbers(reader: Node) -> bool:
    """True for a node that makes a tensor of a list of numbers."""
    list_type = reader.inputs[0].type if reader.kind in TENSORS else None
    if not isinstance(list_type, ListType) or isinstance(list_type.element, TensorType):
        return False
    type_ = reader.output.type
    return isinstance(type_, TensorType) and type_.dtype is not None and type_.rank == 1


def _is_indexed(reader: Node) -> bool:
    """True for a node that takes an element whose number only running tells."""
    return reader.kind == "aten::__getitem__" and not reader.inputs[1].is_constant
