"""The pass `functionalize`: in-place operators, writes through views and lists that grow become values.

One walk in program order keeps, for every storage, the value that holds its present contents. A write computes new
contents for the written view, puts them into the storage's contents with the view's scatter operator, and that is the
storage's present value from then on; readers of any view of the storage replay the view on the present value. Branches
give back, and loops carry, the storages that are written inside.

A write to a storage that may or may not be another one (see `optc.passes.aliasing`) makes that other one unreadable:
a program that still reads it is refused with the reason. So is a program that writes in ways this pass does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import field

from optc.dataclass import dataclass
from optc.errors import UnsupportedError
from optc.ir.graph import Block, Graph, Node, Value, copy_node
from optc.ir.optimized import Slot
from optc.ir.schema import Argument
from optc.ir.types import INT, NONE, TENSOR, OptionalType, TensorType, Type
from optc.ops.effects import has_effects
from optc.ops.registry import Operator, lookup, operator_of
from optc.ops.writes import VIEWS
from optc.passes.aliasing import Aliasing, Place, Storage, is_reference, written_argument
from optc.passes.private_writes import private_writes
from optc.pipeline import Context, graph_pass, writes_memory


class NotFunctional(UnsupportedError):
    """A program that optc cannot turn into one without mutation; the message says which part and why."""


@graph_pass(
    "functionalize",
    after={
        "inline": "a call may write to its arguments",
        "freeze": "attributes that are written must have become inputs",
        "lower-tuples": "tuples hide which tensor is which",
    },
)
def functionalize(graph: Graph, *, context: Context) -> bool:
    """Replace every write to memory by the value it leaves behind."""
    if not any(writes_memory(node) for node in graph.walk()):
        return False
    _Functionalizer(graph, context).run()
    return True


@dataclass
class _State:
    """Contents of the storages at one point of the program; `unreadable` maps storages to the write that hit them."""

    contents: dict[Storage, Value] = field(default_factory=dict)
    versions: dict[Storage, int] = field(default_factory=dict)
    unreadable: dict[Storage, Node] = field(default_factory=dict)

    def copy(self) -> _State:
        return _State(dict(self.contents), dict(self.versions), dict(self.unreadable))


class _Functionalizer:
    def __init__(self, graph: Graph, context: Context) -> None:
        self.graph = graph
        self.context = context
        self.aliasing = Aliasing(graph)
        self.private = private_writes(graph, self.aliasing)
        self.state = _State()
        self.seen: dict[Value, int] = {}
        self.views: dict[tuple[Place, int], Value] = {}
        self.removed: list[Node] = []
        self.elements: dict[Node, tuple[Value, ...]] = {}
        self.version = 0

    def run(self) -> None:
        for value in self.graph.inputs:
            self.define(value)
        self.block(self.graph.block)
        self.give_back_arguments()
        for node in reversed(self.removed):
            node.destroy()

    def define(self, value: Value) -> None:
        """`value` now exists; where it stands for a storage, it holds the contents."""
        place = self.aliasing.places.get(value)
        if place is None:
            return
        storage = place.storage
        if storage.value is value:
            self.state.contents[storage] = value
            self.state.versions[storage] = self.next_version()
            self.state.unreadable.pop(storage, None)
        self.seen[value] = self.state.versions[storage]

    def next_version(self) -> int:
        self.version += 1
        return self.version

    def block(self, block: Block) -> None:
        for node in block.nodes:
            self.node(node)
        self.read_inputs(block.return_node)

    def node(self, node: Node) -> None:
        if node.kind == "prim::If":
            self.branch(node)
            return
        if node.kind == "prim::Loop":
            self.loop(node)
            return
        self.refuse_unknown(node)
        self.read_inputs(node)
        target = written_argument(node)
        if target is not None:
            self.write(node)
            return
        for output in node.outputs:
            self.define(output)

    def refuse_unknown(self, node: Node) -> None:
        """Nodes that may do anything to memory cannot be part of a functional graph."""
        known_calls = ("prim::RaiseException", "prim::Print")
        if operator_of(node) is not None or node.kind in known_calls or not has_effects(node):
            return
        raise NotFunctional(f"{node.kind} may write to memory in ways that are not known", node.source)

    def read_inputs(self, node: Node) -> None:
        self.originals = node.inputs
        if node.kind in _CONSTRUCTS:
            self.elements[node] = self.originals
        for slot, value in enumerate(node.inputs):
            node.set_input(slot, self.read(value, node))

    def read(self, value: Value, reader: Node) -> Value:
        """The value that stands for `value` now, made just before `reader` where a view must be taken again."""
        place = self.aliasing.places.get(value)
        if place is None or place.storage not in self.state.versions:
            return value
        storage = place.storage
        self.check_readable(value, storage, reader)
        version = self.state.versions[storage]
        if self.seen.get(value) == version:
            return value
        return self.present(place, reader)

    def check_readable(self, value: Value, storage: Storage, reader: Node) -> None:
        writer = self.state.unreadable.get(storage)
        if writer is None:
            return
        where = f" (line {writer.source.line})" if writer.source is not None else ""
        name = f"%{value.name}" if value.name else f"the result of {value.node.kind}"
        raise NotFunctional(
            f"{name} is read after {writer.kind}{where} wrote to what may be the same memory",
            reader.source or writer.source,
        )

    def present(self, place: Place, reader: Node) -> Value:
        """The view `place` of the storage's present contents."""
        version = self.state.versions[place.storage]
        if not place.chain:
            return self.state.contents[place.storage]
        known = self.views.get((place, version))
        if known is not None and self.is_visible(known, reader):
            return known
        outer = self.present(Place(place.storage, place.chain[:-1]), reader)
        view = place.chain[-1]
        made = copy_node(view, self.graph, {view.inputs[0]: outer}).insert_before(reader)
        self.views[place, version] = made.output
        return made.output

    @staticmethod
    def is_visible(value: Value, reader: Node) -> bool:
        """True when the block of `value` contains the reader."""
        return reader.is_inside(value.node.block)

    def write(self, node: Node) -> None:
        """Turn one writing node into values."""
        operator = operator_of(node)
        target = next(
            original for original, argument in zip(self.originals, _declared(operator)) if argument.is_written
        )
        place = self.aliasing.places.get(target)
        if place is None or operator is None:
            raise NotFunctional(f"{node.kind} writes to what is not known", node.source)
        with self.graph.replacing(node):
            new = self.new_contents(node, operator, place)
            self.put(place, new, node)
        for output, declared in zip(node.outputs, operator.schema.returns):
            if not declared.is_written and output.has_uses:
                raise NotFunctional(f"{operator.name} is not known in a form without mutation", node.source)
        self.removed.append(node)

    def new_contents(self, node: Node, operator: Operator, place: Place) -> Value:
        if place.storage.is_container:
            return self.new_container(node, operator)
        functional = operator.functional or functional_form(operator)
        if functional is None or functional.is_view or len(functional.schema.returns) != 1:
            raise NotFunctional(f"{operator.name} is not known in a form without mutation", node.source)
        written = [argument.is_written for argument in operator.schema.arguments].index(True)
        inputs = list(node.inputs)
        if operator.schema.arguments[written].keyword_only:
            inputs.pop(written)
        result = self.insert(functional, inputs)
        if functional.name == "aten::copy":
            return result
        return self.graph.insert("prim::StoreResult", [node.inputs[written], result], (TENSOR,), overload="").output

    def insert(self, operator: Operator, inputs: Iterable[Value]) -> Value:
        declared = operator.schema.returns[0].type
        return self.graph.insert(operator.schema.name, inputs, (declared,), overload=operator.schema.overload).output

    def new_container(self, node: Node, operator: Operator) -> Value:
        """The changed list or dictionary; an output that takes an element out of it is replaced by a reader of the old list."""
        items = node.inputs[0]
        if operator.schema.name in _REARRANGED:
            return _REARRANGED[operator.schema.name](self.graph, node)
        form = _CONTAINERS.get(operator.name)
        if form is None:
            raise NotFunctional(f"{operator.name} is not known in a form without mutation", node.source)
        if operator.schema.name == "aten::pop":
            element = node.outputs[0]
            getter = self.graph.insert("aten::__getitem__", node.inputs, (element.type,), overload=node.overload)
            self.move_place(element, getter.output)
        if form in _CONSTRUCTS:
            return self.graph.insert(form, (), (items.type,)).output
        return self.graph.insert(form, node.inputs, (items.type,), overload=_OVERLOADS.get(form, "")).output

    def move_place(self, old: Value, new: Value) -> None:
        place = self.aliasing.places.pop(old, None)
        old.replace_all_uses_with(new)
        if place is not None:
            place.storage.value = new
            self.aliasing.places[new] = place
            self.define(new)

    def put(self, place: Place, new: Value, node: Node) -> None:
        """Make `new` the contents of the view `place`, and so change what its storage holds."""
        bases = [self.present(Place(place.storage, place.chain[:length]), node) for length in range(len(place.chain))]
        contents = new
        for view, base in zip(reversed(place.chain), reversed(bases)):
            operator = operator_of(view)
            assert operator is not None
            written = VIEWS[operator.name](self.graph, view, base, contents)
            if written is None:
                raise NotFunctional(f"{node.kind} writes through {view.kind} with unknown dimensions", node.source)
            contents = written
        if not contents.name:
            contents.name = place.storage.value.name
        self.change(place.storage, contents, node)
        self.views[place, self.state.versions[place.storage]] = new

    def change(self, storage: Storage, contents: Value, writer: Node) -> None:
        self.refuse_lasting(storage, writer)
        self.state.contents[storage] = contents
        self.state.versions[storage] = self.next_version()
        self.hit_others(storage, writer)

    def hit_others(self, storage: Storage, writer: Node) -> None:
        """What may be the written memory, but is not known to be, must not be read any more.

        A changed list leaves tensors alone, and spoils the lists that may hold it, as a changed tensor does.
        """
        if writer in self.private:
            return
        for other in self.state.versions:
            if other is storage or not other.may_be(storage):
                continue
            if storage.is_container and not (storage.may_be_container(other) or storage.may_be_held_by(other)):
                continue
            self.refuse_lasting(other, writer)
            if not self.make_anew(other, storage, writer):
                self.state.unreadable[other] = writer

    def make_anew(self, holder: Storage, held: Storage, writer: Node) -> bool:
        """Put what its elements are by now into a list, dictionary or tuple that only holds the changed one.

        False for one that was not made in the writer's block, has changed itself, or holds what is not known.
        """
        made = holder.value.node
        if not held.is_container or held.may_be_container(holder) or made.kind not in _CONSTRUCTS:
            return False
        if made.block is not writer.block or self.state.contents.get(holder) is not holder.value:
            return False
        elements = self.elements[made]
        places = [self.aliasing.places[value] for value in elements if value in self.aliasing.places]
        if holder in self.state.unreadable or any(place.storage in self.state.unreadable for place in places):
            return False
        present = [self.read(value, writer) for value in elements]
        contents = copy_node(made, self.graph, {}).insert_before(writer).output
        for slot, value in enumerate(present):
            contents.node.set_input(slot, value)
        contents.name = holder.value.name
        self.state.contents[holder] = contents
        self.state.versions[holder] = self.next_version()
        return True

    @staticmethod
    def refuse_lasting(storage: Storage, writer: Node) -> None:
        """Memory that outlives the call without being an input cannot be written by a function of values."""
        kind = storage.value.node.kind
        if kind in ("prim::Constant", "prim::GetAttr"):
            what = "a constant" if kind == "prim::Constant" else "an attribute that is no input"
            raise NotFunctional(f"{writer.kind} may write to {what} of the program", writer.source)

    def written_inside(self, node: Node) -> list[tuple[Storage, Node]]:
        """Storages that nodes in the blocks of `node` write, each with a writer, if possible one that others notice."""
        found: dict[Storage, Node] = {}
        for write in self.aliasing.writes:
            place = self.aliasing.places[write.target]
            if not any(write.node.is_inside(block) for block in node.blocks):
                continue
            if place.storage not in found or found[place.storage] in self.private:
                found[place.storage] = write.node
        return list(found.items())

    def branch(self, node: Node) -> None:
        self.read_inputs(node)
        outer = [storage for storage, _ in self.written_inside(node) if storage in self.state.contents]
        before = self.state
        ends: list[_State] = []
        for block in node.blocks:
            self.state = before.copy()
            self.block(block)
            for storage in outer:
                self.check_carried(storage, block.return_node)
                block.add_output(self.state.contents[storage])
            ends.append(self.state)
        self.state = before
        self.close(node, outer, ends)

    def check_carried(self, storage: Storage, reader: Node) -> None:
        self.check_readable(storage.value, storage, reader)

    def close(self, node: Node, outer: list[Storage], ends: list[_State]) -> None:
        """After the blocks: written storages hold the node's new outputs, and the other outputs exist."""
        known = list(self.state.versions)
        for end in ends:
            for storage, writer in end.unreadable.items():
                if storage in self.state.versions:
                    self.state.unreadable[storage] = writer
        for storage in outer:
            made = node.add_output(_carried_type(storage.value.type), storage.value.name)
            self.state.contents[storage] = made
            self.state.versions[storage] = self.next_version()
        assert len(known) == len(self.state.versions)
        for output in node.outputs[: len(node.outputs) - len(outer)]:
            self.define(output)

    def loop(self, node: Node) -> None:
        self.read_inputs(node)
        body = node.blocks[0]
        inside = self.written_inside(node)
        outer = [storage for storage, _ in inside if storage in self.state.contents]
        for storage, writer in inside:
            self.hit_others(storage, writer)
        for storage in outer:
            self.check_carried(storage, node)
        before = self.state
        self.state = before.copy()
        for storage in outer:
            node.add_input(before.contents[storage])
            parameter = body.add_input(_carried_type(storage.value.type), storage.value.name)
            self.state.contents[storage] = parameter
            self.state.versions[storage] = self.next_version()
        for parameter in body.inputs[: len(body.inputs) - len(outer)]:
            self.define(parameter)
        self.block(body)
        for storage in outer:
            self.check_carried(storage, body.return_node)
            body.add_output(self.state.contents[storage])
        end = self.state
        self.state = before
        self.close(node, outer, [end])

    def give_back_arguments(self) -> None:
        """Inputs that the program has written are results too: the caller's memory must change."""
        slots = {slot.input for slot in self.context.slots}
        for place, value in enumerate(self.graph.inputs):
            known = self.aliasing.places.get(value)
            if known is None or place in slots:
                continue
            storage = known.storage
            self.check_readable(value, storage, self.graph.block.return_node)
            contents = self.state.contents[storage]
            if contents is value:
                continue
            if not isinstance(value.type, TensorType):
                raise NotFunctional(f"the argument {value.name or place} is a list that the program changes")
            output = len(self.graph.outputs)
            self.graph.add_output(contents)
            self.context.slots.append(Slot("argument", value.name, place, output, type=value.type))


def functional_form(operator: Operator) -> Operator | None:
    """`aten::x_.y` without the underscore, which is the same operator without mutation."""
    name, dot, overload = operator.name.partition(".")
    return lookup(f"{name.removesuffix('_')}{dot}{overload}") if name.endswith("_") else None


def _reverse(graph: Graph, items: Value) -> Value:
    none = graph.insert_constant(None, NONE)
    bounds = (none, none, graph.insert_constant(-1, INT))
    return graph.insert("aten::slice", (items, *bounds), (items.type,), overload="t").output


def _sort(graph: Graph, node: Node) -> Value:
    items, descending = node.inputs
    if not descending.is_constant:
        raise NotFunctional("the direction of a sort is only known when the program runs", node.source)
    kind = "prim::SortedDescending" if descending.constant else "aten::sorted"
    return graph.insert(kind, (items,), (items.type,), overload=node.overload).output


def _remove(graph: Graph, node: Node) -> Value:
    """Raises where the interpreter does: the element is looked for first."""
    items = node.inputs[0]
    place = graph.insert("aten::index", node.inputs, (INT,), overload=f"list_{node.overload}").output
    return graph.insert("prim::ListWithout", (items, place), (items.type,)).output


def _repeat(graph: Graph, node: Node) -> Value:
    return graph.insert("aten::mul", node.inputs, (node.inputs[0].type,), overload="left_t").output


_REARRANGED: dict[str, Callable[[Graph, Node], Value]] = {
    "aten::reverse": lambda graph, node: _reverse(graph, node.inputs[0]),
    "aten::sort": _sort,
    "aten::remove": _remove,
    "aten::mul_": _repeat,
}
"""Changes of lists that are made of several operators on values."""

_CONSTRUCTS = ("prim::ListConstruct", "prim::DictConstruct", "prim::TupleConstruct")
"""What makes a list, dictionary or tuple of its elements."""

_KEYS = ("str", "int", "float", "bool")

_CONTAINERS = {
    "aten::append.t": "prim::ListAppend",
    "aten::insert.t": "prim::ListInsert",
    "aten::_set_item.t": "prim::ListSet",
    "aten::pop.t": "prim::ListWithout",
    "aten::Delete.t": "prim::ListWithout",
    "aten::extend.t": "aten::add",
    "aten::clear.t": "prim::ListConstruct",
    **{f"aten::_set_item.{key}": "prim::DictSet" for key in _KEYS},
    **{f"aten::pop.Dict_{key}": "prim::DictWithout" for key in _KEYS},
    **{f"aten::Delete.Dict_{key}": "prim::DictWithout" for key in _KEYS},
    **{f"aten::update.{key}": "prim::DictUpdate" for key in _KEYS},
    **{f"aten::clear.{key}": "prim::DictConstruct" for key in _KEYS},
}
_OVERLOADS = {"aten::add": "t"}


def _declared(operator: Operator | None) -> tuple[Argument, ...]:
    return operator.schema.arguments if operator is not None else ()


def _carried_type(type_: Type) -> Type:
    """The type of contents that change: nothing of a tensor's dimensions is taken for granted."""
    if isinstance(type_, OptionalType) and is_reference(type_):
        return _carried_type(type_.element)
    return TENSOR if isinstance(type_, TensorType) else type_
