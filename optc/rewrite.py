"""Rewrite rules: pairs of expressions, written with the ordinary operators, traced into patterns.

    @rule(SIMPLER, examples=[{"x": (2, 3)}])
    def multiply_by_one(x: Tensor) -> Pair:
        \"\"\"x * 1 = x\"\"\"
        return x * 1, x

Parameters are pattern variables: `Tensor` matches any value; `Number`, `Int` and `Ints` match constants. Numbers in the
pattern match equal constants (0 never matches -0.0); arguments that are left out must have the schema's default;
commutative operators match either way round. A rule applies only when the replacement has exactly the type of what it
replaces (element type and every dimension), so a rule need not think of promotion or broadcasting. `when` may refuse a
match by returning False or, better, the reason as text. `examples` give shapes (tuples) and constants that make the
rule fire: the tests check its meaning on them.
"""

from __future__ import annotations

import contextvars
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field
from functools import cached_property
from types import EllipsisType
from typing import Any, TypeAlias, get_type_hints

import numpy as np

from optc import config
from optc.dataclass import dataclass
from optc.errors import OptcError
from optc.ir.graph import Graph, Node, Value
from optc.ir.types import IntType, ListType, OptionalType, TensorType, Type, is_subtype
from optc.ops.abstract import UndecidedShape
from optc.ops.builder import Builder, constant_type
from optc.ops.registry import Operator, operator_of, overloads


class Pattern:
    """An expression of a rule; Python's operators build larger ones."""

    def __add__(self, other: Operand) -> Call:
        return Call("aten::add", (self, other))

    def __radd__(self, other: Operand) -> Call:
        return Call("aten::add", (other, self))

    def __sub__(self, other: Operand) -> Call:
        return Call("aten::sub", (self, other))

    def __mul__(self, other: Operand) -> Call:
        return Call("aten::mul", (self, other))

    def __rmul__(self, other: Operand) -> Call:
        return Call("aten::mul", (other, self))

    def __truediv__(self, other: Operand) -> Call:
        return Call("aten::div", (self, other))

    def __pow__(self, other: Operand) -> Call:
        return Call("aten::pow", (self, other))

    def __neg__(self) -> Call:
        return Call("aten::neg", (self,))

    def __matmul__(self, other: Operand) -> Call:
        return Call("aten::mm", (self, other))


@dataclass(frozen=True, eq=False)
class Variable(Pattern):
    """A named hole; subclasses say what may fill it."""

    name: str

    def accepts(self, value: Value) -> bool:
        """True when `value` may stand for the variable."""
        raise NotImplementedError


class Tensor(Variable):
    """Any tensor."""

    def accepts(self, value: Value) -> bool:
        return isinstance(value.type, TensorType)


class Number(Variable):
    """A constant int or float."""

    def accepts(self, value: Value) -> bool:
        return value.is_constant and isinstance(value.constant, int | float) and not isinstance(value.constant, bool)


class Int(Variable):
    """A constant int."""

    def accepts(self, value: Value) -> bool:
        return value.is_constant and type(value.constant) is int


class Ints(Variable):
    """A list of constant ints."""

    def accepts(self, value: Value) -> bool:
        return constant_ints(value) is not None


class Dims(Variable):
    """A list of ints, known or not, as sizes are."""

    def accepts(self, value: Value) -> bool:
        return isinstance(value.type, ListType) and isinstance(value.type.element, IntType)


class Anything(Variable):
    """Any value at all."""

    def accepts(self, value: Value) -> bool:
        return True


@dataclass(frozen=True, eq=False)
class Call(Pattern):
    """An operator applied to patterns and literals; `kind` is the name without overload.

    `...` as the last argument of a pattern stands for the remaining arguments, whatever they are.
    """

    kind: str
    arguments: tuple[Operand, ...]


@dataclass(frozen=True, eq=False)
class Computed:
    """An argument of a replacement that is worked out from the match when the rule applies."""

    function: Callable[[Match], Any]


Operand: TypeAlias = "Pattern | Computed | int | float | bool | None | list[int] | EllipsisType"
Pair: TypeAlias = tuple[Call, Pattern]


class _Aten:
    """`aten.transpose(x, 0, 1)` is the pattern of any `aten::transpose`."""

    def __getattr__(self, name: str) -> Callable[..., Call]:
        return lambda *arguments: Call(f"aten::{name}", arguments)


aten = _Aten()


def constant_ints(value: Value) -> list[int] | None:
    """The ints of a constant list or of a list made of constants, else None."""
    if value.is_constant:
        found = value.constant
        return list(found) if isinstance(found, list | tuple) and all(type(item) is int for item in found) else None
    if value.node.kind != "prim::ListConstruct":
        return None
    items = [item.constant for item in value.node.inputs if item.is_constant]
    return items if len(items) == len(value.node.inputs) and all(type(item) is int for item in items) else None


@dataclass
class Match:
    """Where a pattern fits: the values of its variables and the nodes of its calls, outermost first."""

    node: Node
    values: dict[str, Value] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)

    def constant(self, name: str) -> Any:
        """The Python value bound to a `Number`, `Int` or `Ints` variable."""
        ints = constant_ints(self.values[name])
        return ints if ints is not None else self.values[name].constant

    def type(self, name: str) -> TensorType:
        """The type of the tensor bound to a variable."""
        type_ = self.values[name].type
        assert isinstance(type_, TensorType)
        return type_

    @property
    def result(self) -> TensorType:
        """The type of what is replaced."""
        type_ = self.node.outputs[0].type
        assert isinstance(type_, TensorType)
        return type_


Condition: TypeAlias = Callable[[Match], bool | str]


@dataclass(eq=False)
class Rule:
    """A named rewrite: `find` becomes `put` when `when` agrees; `exact` promises equal bits, not just equal numbers."""

    name: str
    equation: str
    find: Call
    put: Pattern
    variables: tuple[Variable, ...]
    when: Condition | None
    examples: list[dict[str, Any]]
    exact: bool

    @cached_property
    def needed(self) -> tuple[tuple[int, str], ...]:
        """What must have made which arguments: operators in the pattern, constants where it has numbers."""
        kinds = [(place, _kind_needed(argument)) for place, argument in enumerate(self.find.arguments)]
        return tuple((place, kind) for place, kind in kinds if kind)

    def may_match(self, made: Sequence[str]) -> bool:
        """False for nodes that the pattern fits in no order of the first two arguments: most of them, at a glance.

        `made` says what kinds of nodes have made the arguments.
        """
        for place, kind in self.needed:
            if place >= len(made) or (made[place] != kind and (place >= 2 or len(made) < 2 or made[1 - place] != kind)):
                return False
        return True

    def __repr__(self) -> str:
        return f"<Rule {self.name}: {self.equation}>"


def _kind_needed(argument: Operand) -> str:
    """The kind of node that an argument of a pattern only fits; empty where it may be any."""
    if isinstance(argument, Call):
        return argument.kind
    return "prim::Constant" if argument is None or isinstance(argument, bool | int | float | str) else ""


_names: set[str] = set()


def rule_names() -> frozenset[str]:
    """The rules of all passes that are loaded."""
    return frozenset(_names)


class RuleSet(list[Rule]):
    """Rules that are applied together; the name is the pass's."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


def rule(
    rules: RuleSet,
    *,
    examples: list[dict[str, Any]],
    when: Condition | None = None,
    exact: bool = True,
) -> Callable[[Callable[..., Pair]], Rule]:
    """Trace a function into a rule and add it to `rules`. Raises ValueError for a rule without equation or example."""

    def register(function: Callable[..., Pair]) -> Rule:
        if not function.__doc__ or not examples:
            raise ValueError(f"the rule {function.__name__} needs its equation as docstring, and an example")
        hints = get_type_hints(function)
        hints.pop("return", None)
        variables = tuple(hint(name) for name, hint in hints.items())
        find, put = function(*variables)
        equation = function.__doc__.strip().splitlines()[0]
        made = Rule(function.__name__, equation, find, put, variables, when, examples, exact)
        _names.add(made.name)
        rules.append(made)
        return made

    return register


def _same_number(constant: Any, literal: Any) -> bool:
    if isinstance(constant, np.ndarray):
        if constant.ndim:
            return False
        constant = constant.item()
    if literal is None or constant is None:
        return literal is constant
    if isinstance(constant, bool) or isinstance(literal, bool):
        return constant is literal
    if not isinstance(constant, int | float):
        return bool(constant == literal)
    return constant == literal and math.copysign(1.0, constant) == math.copysign(1.0, literal)


def matches(rule: Rule, node: Node) -> Iterator[Match]:
    """All ways in which the rule's pattern fits `node`, conditions not asked yet."""
    yield from _match_call(rule.find, node, Match(node))


def _match_call(call: Call, node: Node, match: Match) -> Iterator[Match]:
    if node.kind != call.kind or len(node.outputs) != 1:
        return
    operator = operator_of(node)
    arguments = call.arguments
    if operator is None or operator.mutates or not operator.pure:
        return
    if arguments[-1] is ...:
        arguments = arguments[:-1]
    elif not _rest_is_default(arguments, node, operator):
        return
    given = node.inputs[: len(arguments)]
    orders = [given]
    if operator.commutative and len(given) >= 2 and _is_plain_commutative(operator, node):
        orders.append((given[1], given[0], *given[2:]))
    for order in orders:
        extended = Match(match.node, dict(match.values), [*match.nodes, node])
        yield from _match_all(arguments, order, extended)


def _match_all(patterns: Sequence[Operand], values: Sequence[Value], match: Match) -> Iterator[Match]:
    if not patterns:
        yield match
        return
    for found in _match_operand(patterns[0], values[0], match):
        yield from _match_all(patterns[1:], values[1:], found)


def _match_operand(pattern: Operand, value: Value, match: Match) -> Iterator[Match]:
    if isinstance(pattern, Call):
        if not value.is_parameter:
            yield from _match_call(pattern, value.node, match)
    elif isinstance(pattern, Variable):
        bound = match.values.get(pattern.name)
        if bound is not None and not same_value(bound, value):
            return
        if bound is None and not pattern.accepts(value):
            return
        yield Match(match.node, match.values | {pattern.name: bound or value}, match.nodes)
    elif isinstance(pattern, list):
        if constant_ints(value) == pattern:
            yield match
    elif value.is_constant and _same_number(value.constant, pattern):
        yield match


def same_value(left: Value, right: Value) -> bool:
    """True for one value, and for two constants that are equal in type and number."""
    if left is right:
        return True
    ints = constant_ints(left)
    if ints is not None:
        return ints == constant_ints(right)
    if not (left.is_constant and right.is_constant) or type(left.constant) is not type(right.constant):
        return False
    return isinstance(left.constant, int | float | str) and _same_number(left.constant, right.constant)


def _rest_is_default(arguments: Sequence[Operand], node: Node, operator: Operator) -> bool:
    count = len(arguments)
    rest = list(zip(operator.schema.arguments, node.inputs))[count:]
    return len(node.inputs) >= count and all(is_default(value, argument) for argument, value in rest)


def is_default(value: Value, argument: Any) -> bool:
    """True when a node passes a schema argument's default."""
    if not argument.has_default:
        return False
    if isinstance(argument.default, list):
        return constant_ints(value) == argument.default
    return value.is_constant and _same_number(value.constant, argument.default)


def _is_plain_commutative(operator: Operator, node: Node) -> bool:
    """add(a, b, alpha) commutes only where everything after the two operands has its default."""
    if not all(isinstance(value.type, TensorType) for value in node.inputs[:2]):
        return False
    return all(is_default(value, argument) for argument, value in zip(operator.schema.arguments[2:], node.inputs[2:]))


def resolve(kind: str, arguments: Sequence[Any]) -> Operator:
    """The first overload of `kind` that takes these Values and constants. Raises OptcError when none does."""
    types = [item.type if isinstance(item, Value) else constant_type(item) for item in arguments]
    for operator in overloads(kind):
        declared = operator.schema.arguments
        enough = len(types) <= len(declared) and all(argument.has_default for argument in declared[len(types) :])
        if enough and not operator.mutates and all(map(_fits, types, declared)):
            return operator
    raise OptcError(f"no overload of {kind} takes ({', '.join(map(str, types))})")


def _fits(type_: Type, argument: Any) -> bool:
    expected = argument.type
    if isinstance(expected, OptionalType) and not isinstance(type_, OptionalType):
        return is_subtype(type_, expected) or _fits_list(type_, expected.element)
    return is_subtype(type_, expected) or _fits_list(type_, expected)


def _fits_list(type_: Type, expected: Type) -> bool:
    if not isinstance(type_, ListType) or not isinstance(expected, ListType):
        return False
    return is_subtype(type_.element, expected.element)


def build(pattern: Operand, match: Match, builder: Builder) -> Any:
    """The replacement as a Value (or a constant, for arguments), its nodes inserted where `builder` stands."""
    if isinstance(pattern, Variable):
        return match.values[pattern.name]
    if isinstance(pattern, Computed):
        return pattern.function(match)
    if isinstance(pattern, Call):
        arguments = [build(argument, match, builder) for argument in pattern.arguments]
        return builder(resolve(pattern.kind, arguments).name, *arguments)
    return pattern


_counts: contextvars.ContextVar[dict[str, int] | None] = contextvars.ContextVar("rewrites", default=None)
_fuel: contextvars.ContextVar[int | None] = contextvars.ContextVar("fuel", default=None)


@contextmanager
def counting() -> Iterator[dict[str, int]]:
    """Count the rewrites made inside, by rule."""
    counts: dict[str, int] = {}
    token = _counts.set(counts)
    try:
        yield counts
    finally:
        _counts.reset(token)


@contextmanager
def limited(rewrites: int | None) -> Iterator[None]:
    """Allow at most so many rewrites inside; None for no limit."""
    token = _fuel.set(rewrites)
    try:
        yield
    finally:
        _fuel.reset(token)


def _spend(rule_name: str) -> bool:
    fuel = _fuel.get()
    if fuel is not None:
        if fuel <= 0:
            return False
        _fuel.set(fuel - 1)
    counts = _counts.get()
    if counts is not None:
        counts[rule_name] = counts.get(rule_name, 0) + 1
    return True


BUDGET_PER_NODE = 20


def apply_rules(graph: Graph, rules: Sequence[Rule]) -> bool:
    """Apply rules everywhere until none fits. Returns True when the graph changed.

    Raises OptcError naming the rule when the rules do not come to an end.
    """
    by_kind: dict[str, list[Rule]] = {}
    for item in rules:
        by_kind.setdefault(item.find.kind, []).append(item)
    budget = BUDGET_PER_NODE * (1 + sum(1 for _ in graph.walk()))
    changed = False
    again = True
    while again:
        again = False
        for node in list(graph.walk()):
            if node.owner is None or node.kind not in by_kind:
                continue
            applied = _apply_first(graph, node, by_kind[node.kind])
            if applied is None:
                continue
            changed = again = True
            budget -= 1
            if budget < 0:
                raise OptcError(f"rule {applied.name} does not come to an end ({applied.equation})", node.source)
    return changed


def _apply_first(graph: Graph, node: Node, rules: Sequence[Rule]) -> Rule | None:
    made = [value.node.kind for value in node.inputs]
    for item in rules:
        if not item.may_match(made):
            continue
        for match in matches(item, node):
            refused = item.when(match) if item.when is not None else True
            if refused is not True:
                _explain(item, node, refused)
                continue
            if replace(graph, item, match):
                return item
    return None


def _explain(item: Rule, node: Node, reason: bool | str) -> None:
    if config.WHY() == item.name:
        where = f" at {node.source}" if node.source is not None else ""
        print(f"{item.name} did not apply{where}: {reason or 'its condition does not hold'}", file=sys.stderr)


def replace(graph: Graph, item: Rule, match: Match) -> bool:
    """Put the replacement in the place of the match.

    False when its type would differ or cannot be decided before the program runs, or when the limit is reached.
    """
    node = match.node
    marker = graph.create("prim::Marker").insert_before(node)
    with graph.replacing(node):
        try:
            put = build(item.put, match, Builder(graph))
        except UndecidedShape as error:
            put = None
            _explain(item, node, error.message)
    value = put if isinstance(put, Value) else None
    accepted = value is not None and same_type(value.type, node.output.type)
    if value is not None and not accepted:
        _explain(item, node, "the replacement would have another type")
    if value is None or not accepted or not _spend(item.name):
        _remove_between(marker, node)
        return False
    marker.destroy()
    if not value.name and not value.is_parameter:
        value.name = node.output.name
    node.output.replace_all_uses_with(value)
    node.destroy()
    return True


def _remove_between(marker: Node, node: Node) -> None:
    while node.previous is not None and node.previous is not marker:
        node.previous.destroy()
    marker.destroy()


def same_type(left: Type, right: Type) -> bool:
    """True when both are the same type and, for tensors, element type and dimensions are known and equal."""
    if isinstance(left, TensorType) and isinstance(right, TensorType):
        return left.is_typed and left.dtype is right.dtype and left.shape == right.shape
    return left == right and not isinstance(left, TensorType)
