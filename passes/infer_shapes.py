"""The pass `infer-shapes`: forward abstract interpretation of a functional graph, from the types of its inputs.

First the whole graph is interpreted with the operators' shape rules; only types change (and `Facts` collect what is
certain about ints, bools and lists). Values that loops carry start with the type of their first value; a dimension
that changes becomes a symbol of its own, and the body is interpreted again until nothing changes. Then, in one walk,
certain results become constants and operators that must fail become `prim::RaiseException` (`optc.passes.facts`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from optc.dataclass import dataclass
from optc.errors import OptcError
from optc.ir.bounds import assuming, extents_of, number_of
from optc.ir.dims import Dim, Symbolic, fresh, substitute, symbols
from optc.ir.dtypes import INT64
from optc.ir.graph import Block, Graph, Node, Value
from optc.ir.symbols import binders, equate, plain_symbol, substitute_type, told_dims, told_dims_of, type_symbols
from optc.ir.types import (
    INT,
    NONE,
    TENSOR,
    DictType,
    IntType,
    ListType,
    OptionalType,
    TensorType,
    TupleType,
    Type,
    VariableType,
    is_subtype,
    unrefined,
)
from optc.ops.abstract import UndecidedExtents, UndecidedShape, Unknown, abstract, tensor_type_of
from optc.ops.builder import result_type
from optc.ops.registry import Operator, operator_of
from optc.ops.sizes import size_of_result
from optc.passes.facts import Facts, is_fact, is_same_fact, type_of, write_facts
from optc.passes.followed_lists import followed_lists
from optc.passes.joins import Joins, Meeting, Place, tells
from optc.passes.settled_branches import is_one_object
from optc.pipeline import Context, graph_pass

_ROUNDS = 12

Shapes = dict[Value, tuple[Dim, ...]]

Told = dict[str, tuple[Value, tuple[Dim, ...]]]
"""The values that told symbols before the pass began, and the dimensions they had."""


@graph_pass(
    "infer-shapes",
    functional=True,
    after={"inline": "rules see one graph at a time", "functionalize": "a list that grows has no one length"},
)
def infer_shapes(graph: Graph, *, context: Context) -> bool:
    """Compute the type of every value, fold sizes that are known, and turn certain shape errors into raises."""
    types_before = {value: value.type for value in graph.values()}
    told: Told = {}
    for _ in range(_ROUNDS):
        inference = Inference(graph, context, told)
        inference.interpret()
        if not inference.renew_dims(types_before):
            break
    folded = write_facts(graph, inference.facts)
    return folded or any(
        value in types_before and not _is_same(types_before[value], value.type) for value in graph.values()
    )


@dataclass(frozen=True)
class Undecided:
    """The shapes that an operator's arguments were taken to have, and pairs of extents that it wants to be equal."""

    pairs: tuple[tuple[Dim, Dim], ...]
    shapes: Shapes


def undecided_extents(graph: Graph, context: Context) -> dict[Node, Undecided]:
    """What inference could not decide where it first met it: in a loop, what it carries has its first shape there."""
    inference = Inference(graph, context)
    inference.interpret()
    inference.renew_dims(inference.types_before)
    return inference.undecided


class Inference:
    """One interpretation of a graph, which changes the types of its values and collects `facts`."""

    def __init__(self, graph: Graph, context: Context, told: Told | None = None) -> None:
        self.context = context
        self.facts = Facts()
        self.undecided: dict[Node, Undecided] = {}
        self.nothing: set[Value] = set()
        self.owners = binders(graph)
        self.turns = extents_of(self.owners)
        self.joins = Joins(self.owners, self.turns)
        self.told_before: Told = {} if told is None else told
        for name, value in self.owners.items():
            if name.startswith("u"):
                self.told_before.setdefault(name, (value, told_dims_of(value.type)))
        self.types_before = {value: value.type for value in graph.values()}
        self.newest = fresh()
        self.graph = graph

    def interpret(self) -> None:
        """Give every value of the graph its type."""
        with assuming(self.turns):
            self.block(self.graph.block)

    def renew_dims(self, types_before: Mapping[Value, Type]) -> bool:
        """Where a value that told a symbol turned out to tell something else, so does every `prim::Dim` of the symbol.

        That is only certain once loops have settled. A shape that one round loses, as an extent has its new name here and
        the old one there, is found by a later round: what the value told before the first round counts. True where more
        than a name changed, as what reads it may change too, and where tensors that had shapes before the pass have none.
        """
        told: dict[str, Dim] = {}
        for name, (value, before) in self.told_before.items():
            now = told_dims(value)
            for old, new in zip(before, now) if len(before) == len(now) else ():
                if plain_symbol(old) == name and new != old:
                    told.setdefault(name, new)
        read: set[str] = set()
        for node in self.graph.walk():
            read |= symbols(node.attributes["dim"]) if node.kind == "prim::Dim" else set()
        told = {name: dim for name, dim in told.items() if name in read and not symbols(dim) & told.keys()}
        equate(self.graph, told)
        names = map(plain_symbol, told.values())
        changes = any(name is None or not _is_newer(name, self.newest) for name in names)
        lost = (_has_shape(type_) and not _has_shape(value.type) for value, type_ in types_before.items())
        return changes or bool(told) and any(lost)

    def told_now(self, dim: Dim) -> Dim:
        """A dimension as the values that tell its symbols have it by now: in a loop's first turn, that of its start."""
        bindings: dict[str, Dim] = {}
        for name in symbols(dim) & self.told_before.keys():
            value, before = self.told_before[name]
            now = told_dims(value)
            for old, new in zip(before, now) if len(before) == len(now) else ():
                if plain_symbol(old) == name:
                    bindings.setdefault(name, new)
        return substitute(dim, bindings)

    def block(self, block: Block) -> None:
        for node in block.nodes:
            self.node(node)

    def node(self, node: Node) -> None:
        """Give the outputs of one node their types."""
        special = _SPECIAL.get(node.kind)
        if special is not None:
            special(self, node)
            return
        operator = operator_of(node)
        if operator is not None:
            self.operator(node, operator)

    def operator(self, node: Node, operator: Operator) -> None:
        """Apply the operator's rule. A rule that cannot decide leaves what the schema says."""
        self.facts.failed.pop(node, None)
        newest = fresh()
        try:
            arguments = [self.facts.abstract(value) for value in node.inputs]
            result = self.with_size(node, operator, arguments, operator.infer(*arguments))
        except (UndecidedShape, TypeError) as error:  # TypeError: a rule that has no answer to symbols
            pairs = error.pairs if isinstance(error, UndecidedExtents) else ()
            self.undecided.setdefault(node, Undecided(pairs, _shapes(node)))
            self.forget(node, operator)
            return
        except (OptcError, IndexError, RuntimeError, ValueError) as error:
            self.facts.failed[node] = error
            self.forget(node, operator)
            return
        except AttributeError:  # a branch for another type of a union: it is dead, and about to be dropped
            if _takes_tensors_where_declared(operator, arguments):
                raise
            self.forget(node, operator)
            return
        results = (result,) if len(node.outputs) == 1 else tuple(result)
        renamed: dict[str, Dim] = {}
        for output, item, declared in zip(node.outputs, results, operator.schema.returns):
            self.assign(output, item, declared.type, newest, renamed)

    def with_size(self, node: Node, operator: Operator, arguments: list[Any], result: Any) -> Any:
        """The result, more precise where it is arithmetic on sizes: a dimension instead of some int, and what 0-d
        tensors of traces hold."""
        is_int, is_tensor = isinstance(result, Symbolic), isinstance(result, TensorType)
        if not is_int and not (is_tensor and result.shape == () and result.dtype is INT64):
            return result
        output = node.output
        self.facts.sizes.pop(output, None)
        sizes = {place: self.facts.sizes[value] for place, value in enumerate(node.inputs) if value in self.facts.sizes}
        sizes |= {place: int(value.constant) for place, value in enumerate(node.inputs) if _holds_size(value)}
        tensors = [place for place, argument in enumerate(arguments) if isinstance(argument, TensorType)]
        if not tensors or any(place not in sizes for place in tensors):
            return result
        size = sizes[tensors[0]] if operator.is_view else size_of_result(operator, arguments, sizes)
        if size is None:
            return result
        self.facts.sizes[output] = size
        return size if is_int else result

    def forget(self, node: Node, operator: Operator) -> None:
        for output, declared in zip(node.outputs, operator.schema.returns):
            self.facts.known.pop(output, None)
            if isinstance(output.type, TensorType) and isinstance(declared.type, TensorType):
                output.type = TENSOR
            elif isinstance(output.type, IntType):
                self.settle(output, INT)

    def assign(
        self, output: Value, result: Any, declared: Type, newest: Symbolic, renamed: dict[str, Dim]
    ) -> None:  # fmt: skip
        """Set type and knowledge of a value; symbols the rule made anew keep the name an earlier run gave them.

        `renamed` has those of the node's results before this one, which may share symbols with it.
        """
        type_ = self.type_of_result(output, result, declared)
        type_ = _with_own_extents(type_)
        bindings = {**self.kept_names(output, type_, newest), **renamed}
        renamed |= bindings
        output.type = substitute_type(type_, bindings)
        self.learn_extents(type_, newest, bindings)
        self.learn(output, result, bindings)

    def type_of_result(self, output: Value, result: Any, declared: Type) -> Type:
        """What the rule found out, what the schema says, or (for type variables) what the graph said."""
        if isinstance(result, list):
            types = list(filter(None, map(type_of, result)))
            joined = self.joins.all(types) if len(types) == len(result) else None
            return ListType(joined or _element(output.type))
        if isinstance(result, Unknown) and isinstance(result.type, ListType):
            return result.type
        type_ = result_type(result, declared)
        if isinstance(type_, IntType) and isinstance(result, Unknown):
            return IntType(fresh())
        if isinstance(type_, VariableType) and isinstance(result, int | Symbolic) and not isinstance(result, bool):
            return IntType(result)
        return output.type if _mentions_variables(type_) else type_

    def settle(self, output: Value, type_: Type) -> None:
        """Give a value that was taken out of a list or tuple its type."""
        newest = fresh()
        # An int about which nothing is known has a name too: the one it had, or whoever asks next would make one.
        own = IntType(fresh()) if isinstance(type_, IntType) and type_.dim is None else _with_own_extents(type_)
        output.type = substitute_type(own, self.kept_names(output, own, newest))

    def kept_names(self, output: Value, type_: Type, newest: Symbolic) -> dict[str, Dim]:
        """Renames symbols newer than `newest` to those this value bound when the rule, or the pass, ran before."""
        bindings: dict[str, Dim] = {}
        if output.type == type_ and not isinstance(type_, IntType):
            return bindings
        earlier = (output.type, self.types_before.get(output, output.type))
        for old, new in (pair for before in earlier for pair in zip(_dims(before), _dims(type_))):
            made, kept = plain_symbol(new), plain_symbol(old)
            if made is None or kept is None or not _is_newer(made, newest):
                continue
            if tells(output, self.owners.get(kept), kept) and old is not None:
                bindings.setdefault(made, old)
        return bindings

    def learn_extents(self, type_: Type, newest: Symbolic, bindings: dict[str, Dim]) -> None:
        """Symbols that a rule made for the extents of a tensor are not negative."""
        for dim in type_.shape or () if isinstance(type_, TensorType) else ():
            name = plain_symbol(dim)
            if name is not None and _is_newer(name, newest):
                self.turns.setdefault(str(bindings.get(name, name)), None)

    def learn(self, output: Value, result: Any, bindings: dict[str, Dim]) -> None:
        """Keep what is certain beyond the type: bools, floats, strings, None, and lists item by item."""
        self.facts.known.pop(output, None)
        if isinstance(result, TensorType | Unknown | int | Symbolic) and not isinstance(result, bool):
            return
        if isinstance(result, list | tuple) and bindings:
            return
        self.facts.known[output] = result

    def branch(self, node: Node) -> None:
        """prim::If: an output is what both branches agree on."""
        for block in node.blocks:
            self.block(block)
        condition = self.facts.abstract(node.inputs[0])
        possible = [block for block in node.blocks if not self.never_returns(block)] or node.blocks
        if isinstance(condition, bool):
            possible = [node.blocks[0 if condition else 1]]
        meeting = Meeting()
        for offset, output in enumerate(node.outputs):
            sources = [block.outputs[offset] for block in possible]
            self.merge(output, [value for value in sources if not self.is_nothing(value)] or sources, meeting)

    def never_returns(self, block: Block) -> bool:
        """True for blocks that certainly raise."""
        return any(node.kind == "prim::RaiseException" or node in self.facts.failed for node in block.nodes)

    def merge(self, output: Value, sources: list[Value], meeting: Meeting) -> None:
        place = Place(output, (self.types_before[output],), meeting)
        self.mark(output, all(map(self.is_nothing, sources)))
        type_ = sources[0].type
        for value in sources[1:]:
            type_ = self.join_values(type_, value.type, sources, place)
        output.type = type_
        for value in sources:
            self.type_empty_list(value, type_)
        self.facts.known.pop(output, None)
        facts = [self.facts.abstract(value) for value in sources]
        if all(is_fact(fact) and is_same_fact(fact, facts[0]) for fact in facts):
            self.facts.known[output] = facts[0]

    def is_nothing(self, value: Value) -> bool:
        """True for what nobody reads, as far as is known: it says nothing about the type of what it may become."""
        return value.node.kind == "prim::Uninitialized" or value in self.nothing

    def mark(self, value: Value, is_nothing: bool) -> None:
        (self.nothing.add if is_nothing else self.nothing.discard)(value)

    def join_values(self, left: Type, right: Type, sources: list[Value], place: Place) -> Type:
        if isinstance(left, ListType) and isinstance(right, ListType):
            filled = [value.type for value in sources if self.known_items(value) != []]
            if len(filled) == 1:
                return filled[0]
        return self.joins.join(left, right, place)

    def type_empty_list(self, value: Value, type_: Type) -> None:
        """A list that starts empty is a list of what it becomes."""
        if value.node.kind == "prim::ListConstruct" and not value.node.inputs and isinstance(type_, ListType):
            value.type = type_

    def known_items(self, value: Value) -> Any:
        found = self.facts.abstract(value)
        return found if isinstance(found, list) else None

    def loop(self, node: Node) -> None:
        """prim::Loop: interpret the body until the types of carried values hold for every iteration."""
        body = node.blocks[0]
        counter, *carried = body.inputs
        self.turns[str(abstract(counter))] = number_of(node.inputs[0])
        lists = followed_lists(node, self)
        # A loop around this one may have begun it, this time, with something that has no symbol of its own.
        olds = [(value.type, self.types_before[value]) for value in carried]
        known = _told_before(node) if any(map(self.is_nothing, node.inputs[2:])) else frozenset()
        for parameter, start in zip(carried, node.inputs[2:]):
            parameter.type = start.type
            self.mark(parameter, self.is_nothing(start))
            self.facts.known.pop(parameter, None)
            fact = self.facts.abstract(start)
            if is_fact(fact):
                self.facts.known[parameter] = fact
        for _ in range(_ROUNDS):
            self.block(body)
            meeting = Meeting(frozenset(carried))
            widened = [
                self.begin(place, result, known) or self.widen(place, result)
                for parameter, old, start, result in zip(carried, olds, node.inputs[2:], body.outputs[1:])
                for place in [Place(parameter, old, meeting, start.type)]
            ]
            if not any(widened):
                break
        meeting = Meeting()
        for output, start, result, parameter in zip(node.outputs, node.inputs[2:], body.outputs[1:], carried):
            self.type_empty_list(start, parameter.type)
            if not self.is_nothing(start):
                self.merge(output, [start] if self.is_idle(node) else [start, result], meeting)
                continue
            self.merge(output, [result], meeting)
            output.type = self.joins.handed_on(result.type, known, Place(output, (self.types_before[output],), meeting))
        self.facts.known.update(lists)

    def is_idle(self, loop: Node) -> bool:
        """True for a loop that has no turn, as far as is known: while lists around it are taken to be empty yet."""
        turns, begins = (self.facts.abstract(value) for value in loop.inputs[:2])
        return begins is False or (isinstance(turns, int) and turns <= 0)

    def begin(self, place: Place, result: Value, known: frozenset[str]) -> bool:
        """A carried value that starts as nothing gets the type of what the body makes. True when it did just now."""
        parameter = place.value
        if not self.is_nothing(parameter) or self.is_nothing(result):
            return False
        self.nothing.discard(parameter)
        parameter.type = self.joins.handed_on(result.type, known, place)
        return True

    def widen(self, place: Place, result: Value) -> bool:
        """Make a carried value's type hold for the next iteration too. True when it had to change."""
        parameter = place.value
        fact = self.facts.known.get(parameter)
        outcome = self.facts.abstract(result)
        joined = self.join_values(parameter.type, result.type, [parameter, result], place)
        lost = parameter in self.facts.known and not (is_fact(outcome) and is_same_fact(fact, outcome))
        if lost:
            del self.facts.known[parameter]
        changed = not _is_same(joined, parameter.type)
        parameter.type = joined
        return changed or lost


def _has_shape(type_: Type) -> bool:
    return isinstance(type_, TensorType) and type_.shape is not None


def _shapes(node: Node) -> Shapes:
    """The shapes of the tensors a node gets, in lists too, as far as they are known."""
    lists = [value.node.inputs for value in node.inputs if value.node.kind == "prim::ListConstruct"]
    values = [*node.inputs, *(item for items in lists for item in items)]
    return {
        value: value.type.shape
        for value in values
        if isinstance(value.type, TensorType) and value.type.shape is not None
    }


def _holds_size(value: Value) -> bool:
    """True for constants that are 0-d tensors of integers."""
    constant = value.constant if value.is_constant else None
    return isinstance(constant, np.ndarray) and constant.shape == () and constant.dtype == np.int64


def _with_own_extents(type_: Type) -> Type:
    """The type of one element of a list: what `*` leaves open becomes a symbol for each extent."""
    if isinstance(type_, TensorType) and type_.shape is not None and "*" in type_symbols(type_):
        return type_.with_shape(tuple(fresh() if "*" in symbols(dim) else dim for dim in type_.shape))
    if isinstance(type_, IntType) and "*" in type_symbols(type_):
        return IntType(fresh())
    return type_


def _is_same(left: Type, right: Type) -> bool:
    """True for equal types that know the same number of an int."""
    if left is right:
        return True
    if isinstance(left, IntType) and isinstance(right, IntType):
        return left.dim == right.dim
    return left == right


def _told_before(loop: Node) -> frozenset[str]:
    """The symbols that are told when a loop begins."""
    told: set[str] = set()
    node: Node | None = loop
    while node is not None:
        earlier = node.previous
        names = (plain_symbol(dim) for value in (earlier.outputs if earlier else ()) for dim in told_dims(value))
        told.update(name for name in names if name is not None)
        node = node.block.owning_node if earlier is None else earlier
    return frozenset(told)


def _dims(type_: Type) -> list[Dim | None]:
    if isinstance(type_, ListType):
        return _dims(type_.element)
    if isinstance(type_, TensorType):
        return list(type_.shape or ())
    return [type_.dim] if isinstance(type_, IntType) else []


def _is_newer(name: str, newest: Symbolic) -> bool:
    numbers = name.lstrip("u"), str(newest).lstrip("u")
    return all(number.isdigit() for number in numbers) and int(numbers[0]) > int(numbers[1])


def _mentions_variables(type_: Type) -> bool:
    if isinstance(type_, ListType | OptionalType):
        return _mentions_variables(type_.element)
    if isinstance(type_, DictType):
        return _mentions_variables(type_.key) or _mentions_variables(type_.value)
    if isinstance(type_, TupleType):
        return any(map(_mentions_variables, type_.elements))
    return isinstance(type_, VariableType)


def _element(type_: Type) -> Type:
    return type_.element if isinstance(type_, ListType) else TENSOR


def _constant(inference: Inference, node: Node) -> None:
    if not node.output.is_constant:  # a text that names it without showing it
        return
    value = node.output.constant
    if isinstance(node.output.type, TensorType) and hasattr(value, "dtype"):
        node.output.type = tensor_type_of(value)
    elif isinstance(node.output.type, IntType) and type(value) is int:
        node.output.type = IntType(value)


def _dim(inference: Inference, node: Node) -> None:
    node.output.type = IntType(inference.told_now(node.attributes["dim"]))


def _list_construct(inference: Inference, node: Node) -> None:
    declared = inference.types_before.get(node.output, node.output.type)
    joined = inference.joins.all([value.type for value in node.inputs])
    if joined is None or not isinstance(declared, ListType):
        return
    if isinstance(declared.element, TensorType) or is_subtype(joined, declared.element):
        node.output.type = ListType(joined if isinstance(joined, TensorType) else unrefined(joined))


def _tuple_construct(inference: Inference, node: Node) -> None:
    declared = node.output.type
    name, fields = (declared.name, declared.fields) if isinstance(declared, TupleType) else (None, ())
    node.output.type = TupleType(tuple(value.type for value in node.inputs), name, fields)


def _tuple_unpack(inference: Inference, node: Node) -> None:
    source = node.inputs[0].type
    if isinstance(source, TupleType):
        for output, type_ in zip(node.outputs, source.elements):
            inference.settle(output, type_)


def _list_unpack(inference: Inference, node: Node) -> None:
    items = inference.facts.abstract(node.inputs[0])
    source = node.inputs[0].type
    for place, output in enumerate(node.outputs):
        if isinstance(items, list) and len(items) == len(node.outputs):
            item = items[place]
            output.type = IntType(item) if isinstance(item, int | Symbolic) else type_of(item) or output.type
        elif isinstance(source, ListType) and isinstance(source.element, TensorType | IntType):
            inference.settle(output, source.element)


def _filled(inference: Inference, node: Node, number: Value) -> None:
    """A 0-d tensor of integers holds the size that it is filled with."""
    operator = operator_of(node)
    assert operator is not None
    inference.operator(node, operator)
    type_, size = node.output.type, inference.facts.abstract(number)
    is_size = isinstance(type_, TensorType) and type_.shape == () and type_.dtype is INT64
    if is_size and isinstance(size, int | Symbolic) and not isinstance(size, bool):
        inference.facts.sizes[node.output] = size


def _identity(inference: Inference, node: Node) -> None:
    """`a is b` of tensors: each node makes objects of its own."""
    operator = operator_of(node)
    assert operator is not None
    inference.operator(node, operator)
    left, right = node.inputs
    answer = is_one_object(inference.graph, left, right, inference.context)
    if answer is not None:
        inference.facts.known[node.output] = answer == (node.kind == "aten::__is__")


def _unwrap(inference: Inference, node: Node) -> None:
    inference.facts.known.pop(node.output, None)
    source = node.inputs[0].type
    inner = source.element if isinstance(source, OptionalType) else source
    if inner is NONE:
        return
    if is_subtype(unrefined(inner), unrefined(node.output.type)):
        inference.settle(node.output, inner)
        fact = inference.facts.abstract(node.inputs[0])
        if is_fact(fact):
            inference.facts.known[node.output] = fact


_SPECIAL = {
    "prim::Constant": _constant,
    "prim::Dim": _dim,
    "prim::ListConstruct": _list_construct,
    "prim::TupleConstruct": _tuple_construct,
    "prim::TupleUnpack": _tuple_unpack,
    "prim::ListUnpack": _list_unpack,
    "prim::unchecked_cast": _unwrap,
    "prim::unchecked_unwrap_optional": _unwrap,
    "aten::_unwrap_optional": _unwrap,
    "prim::NumToTensor": lambda inference, node: _filled(inference, node, node.inputs[0]),
    "aten::full": lambda inference, node: _filled(inference, node, node.inputs[1]),
    "aten::__is__": _identity,
    "aten::__isnot__": _identity,
    "prim::If": Inference.branch,
    "prim::Loop": Inference.loop,
}


def _takes_tensors_where_declared(operator: Operator, arguments: list[Any]) -> bool:
    return all(
        not _may_be_tensors(declared.type) or _is_of_tensors(argument)
        for declared, argument in zip(operator.schema.arguments, arguments)
    )


def _may_be_tensors(type_: Type) -> bool:
    return isinstance(type_, TensorType) or (isinstance(type_, ListType) and isinstance(type_.element, TensorType))


def _is_of_tensors(argument: Any) -> bool:
    if isinstance(argument, list):
        return all(isinstance(item, TensorType) for item in argument)
    return isinstance(argument, TensorType)
