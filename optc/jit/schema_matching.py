"""Static overload resolution: which schema fits the arguments of a call, and the conversions that make them fit.

Matching works on types alone and yields *plans*; nodes are inserted only for the schema that won.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from optc.dataclass import dataclass
from optc.errors import ScriptError, SourceRange
from optc.ir.graph import Graph, Value
from optc.ir.schema import Argument, FunctionSchema
from optc.ir.types import (
    BOOL,
    COMPLEX,
    DEVICE,
    FLOAT,
    INT,
    NONE,
    NUMBER,
    STRING,
    TENSOR,
    DictType,
    FutureType,
    ListType,
    OptionalType,
    TensorType,
    TupleType,
    Type,
    VariableType,
)
from optc.jit.frontend.constants import constant_type, insert_constant
from optc.jit.frontend.type_rules import convertible_to_list, subtype, unify, unify_all, unwrap_optional

TypeBindings = dict[str, Type]

BLOCKED = frozenset({"aten::view.dtype", "aten::max.unary_out", "aten::min.unary_out"})

_IMPLICIT = {FLOAT: "aten::FloatImplicit", COMPLEX: "aten::ComplexImplicit", INT: "aten::IntImplicit"}
_FROM_NUMBER = {FLOAT: "aten::Float", COMPLEX: "aten::Complex", INT: "aten::Int"}


class Mismatch(Exception):
    """Why an argument or a schema does not fit."""


@dataclass(frozen=True)
class Plan:
    """A value of a known type that `build` will insert when it is needed."""

    type: Type
    build: Callable[[], Value]
    is_empty_list_literal: bool = False


@dataclass(frozen=True)
class NamedValue:
    """An argument of a call: a graph value, or a Python constant that becomes one; its keyword or an empty name."""

    value: Value | None
    name: str = ""
    source: SourceRange | None = None
    constant: Any = None
    declared: Type | None = None
    """The type of a constant that does not tell its own: an empty list."""

    @property
    def type(self) -> Type:
        """The argument's type."""
        if self.value is not None:
            return self.value.type
        return self.declared if self.declared is not None else constant_type(self.constant)

    def plan(self, graph: Graph) -> Plan:
        """The argument as a plan."""
        value = self.value
        if value is None:
            return Plan(self.type, lambda: insert_constant(graph, self.constant, self.source, self.declared))
        found = value
        return Plan(found.type, lambda: found, found.node.kind == "prim::EmptyListLiteral")

    def materialize(self, graph: Graph) -> Value:
        """The argument as a graph value."""
        return self.plan(graph).build()


Arguments = Sequence[NamedValue]
"""The positional arguments of a call, or its keywords."""


@dataclass(frozen=True)
class Match:
    """A schema that fits: one plan per argument, and the types of the results."""

    schema: FunctionSchema
    inputs: list[Plan]
    returns: list[Type]

    def values(self) -> list[Value]:
        """Insert the conversions; the node's inputs."""
        return [plan.build() for plan in self.inputs]


class Conversions:
    """The implicit conversions of calls and assignments, planned for one graph and place."""

    def __init__(self, graph: Graph, source: SourceRange | None) -> None:
        self.graph = graph
        self.source = source

    def convert(self, plan: Plan, wanted: Type, allowed: bool) -> Plan:
        """`plan` made to fit `wanted` as far as the rules go; the caller checks the resulting type."""
        if isinstance(wanted, OptionalType) and not isinstance(plan.type, OptionalType) and plan.type is not NONE:
            return self.convert(plan, wanted.element, allowed)
        if plan.is_empty_list_literal and isinstance(wanted, ListType):
            plan = self._list(wanted.element, [])
        if isinstance(plan.type, TupleType):
            plan = self._convert_tuple(plan, plan.type, wanted, allowed)
        return self._convert_scalar(plan, wanted) if allowed else plan

    def _convert_tuple(self, plan: Plan, type_: TupleType, wanted: Type, allowed: bool) -> Plan:
        target = unwrap_optional(wanted)
        if convertible_to_list(type_, target) and isinstance(target, ListType):
            return self._list(target.element, self._unpack(plan, type_))
        if not isinstance(wanted, TupleType) or subtype(type_, wanted) or len(wanted.elements) != len(type_.elements):
            return plan
        parts = [self.convert(part, inner, allowed) for part, inner in zip(self._unpack(plan, type_), wanted.elements)]
        return Plan(TupleType(tuple(part.type for part in parts)), lambda: self._pack(parts))

    def _unpack(self, plan: Plan, type_: TupleType) -> list[Plan]:
        outputs: list[Value] = []

        def output(position: int) -> Value:
            if not outputs:
                node = self._insert("prim::TupleUnpack", [plan.build()], list(type_.elements))
                outputs.extend(node)
            return outputs[position]

        def part(position: int) -> Plan:
            return Plan(type_.elements[position], lambda: output(position))

        return [part(position) for position in range(len(type_.elements))]

    def _pack(self, parts: list[Plan]) -> Value:
        values = [part.build() for part in parts]
        return self._insert("prim::TupleConstruct", values, [TupleType(tuple(value.type for value in values))])[0]

    def _list(self, element: Type, parts: Sequence[Plan]) -> Plan:
        type_ = ListType(element)
        return Plan(type_, lambda: self._insert("prim::ListConstruct", [part.build() for part in parts], [type_])[0])

    def _convert_scalar(self, plan: Plan, wanted: Type) -> Plan:
        operator = self._scalar_conversion(plan.type, wanted)
        if operator is not None:
            result = wanted
            return Plan(result, lambda: self._insert(operator, [plan.build()], [result])[0])
        if plan.type is STRING and wanted is DEVICE:
            return Plan(DEVICE, lambda: self._insert("aten::device", [plan.build()], [DEVICE])[0])
        return plan

    @staticmethod
    def _scalar_conversion(type_: Type, wanted: Type) -> str | None:
        if isinstance(type_, TensorType):
            return "aten::ScalarImplicit" if wanted is NUMBER else _IMPLICIT.get(wanted)
        if type_ is NUMBER:
            return _FROM_NUMBER.get(wanted)
        if type_ is BOOL and wanted is FLOAT:
            return "aten::Float"
        if type_ is BOOL and (wanted == INT or wanted is NUMBER):
            return "aten::Int"
        return None

    def repeated(self, plan: Plan, count: int) -> Plan:
        """A list of the same number `count` times (`int[2] stride=1`)."""
        return self._list(plan.type, [plan] * count)

    def list_of(self, element: Type, parts: Sequence[Plan]) -> Plan:
        """A list built from values."""
        return self._list(element, parts)

    def _insert(self, kind: str, inputs: list[Value], outputs: list[Type]) -> list[Value]:
        node = self.graph.create(kind, inputs, outputs)
        node.source = self.source if kind.startswith("aten::") else None
        node.insert_before(self.graph.insertion_point)
        return node.outputs


def convert_value(graph: Graph, source: SourceRange | None, value: Value, wanted: Type, allowed: bool = True) -> Value:
    """`value` converted to `wanted` where an implicit conversion exists, else as it is."""
    plan = NamedValue(value).plan(graph)
    return Conversions(graph, source).convert(plan, wanted, allowed).build()


def bind_variables(formal: Type, actual: Type, bindings: TypeBindings) -> None:
    """Find what the type variables of `formal` stand for, given the type of the argument. Raises Mismatch."""
    if isinstance(formal, VariableType):
        _bind(formal.name, actual, bindings)
    elif isinstance(formal, ListType) and _has_variables(formal):
        _bind_list(formal, actual, bindings)
    elif isinstance(formal, OptionalType) and _has_variables(formal):
        if actual is not NONE:
            bind_variables(formal.element, unwrap_optional(actual), bindings)
    elif isinstance(formal, DictType) and _has_variables(formal):
        if not isinstance(actual, DictType):
            raise Mismatch(f"Cannot match a dict to {_shown(actual)}")
        bind_variables(formal.key, actual.key, bindings)
        bind_variables(formal.value, actual.value, bindings)
    elif isinstance(formal, FutureType) and _has_variables(formal):
        if not isinstance(actual, FutureType):
            raise Mismatch(f"Cannot match a future to {_shown(actual)}")
        bind_variables(formal.element, actual.element, bindings)
    elif isinstance(formal, TupleType) and _has_variables(formal):
        if not isinstance(actual, TupleType) or len(actual.elements) != len(formal.elements):
            raise Mismatch(f"Cannot match a tuple to {_shown(actual)}")
        for inner, given in zip(formal.elements, actual.elements):
            bind_variables(inner, given, bindings)


def _bind(name: str, actual: Type, bindings: TypeBindings) -> None:
    known = bindings.get(name)
    unified = actual if known is None else unify(known, actual)
    if unified is None:
        raise Mismatch(
            f"Type variable '{name}' previously matched to type {_shown(known)} is matched to type {_shown(actual)}"
        )
    bindings[name] = unified


def _bind_list(formal: ListType, actual: Type, bindings: TypeBindings) -> None:
    if isinstance(actual, ListType):
        bind_variables(formal.element, actual.element, bindings)
        return
    if isinstance(actual, TupleType) and actual.elements:
        unified = unify_all(actual.elements)
        if unified is not None:
            bind_variables(formal.element, unified, bindings)
            return
    raise Mismatch(f"Cannot match {formal.annotation} to {_shown(actual)}")


def _has_variables(type_: Type) -> bool:
    if isinstance(type_, VariableType):
        return True
    inner: tuple[Type, ...] = ()
    if isinstance(type_, ListType | OptionalType | FutureType):
        inner = (type_.element,)
    elif isinstance(type_, DictType):
        inner = (type_.key, type_.value)
    elif isinstance(type_, TupleType):
        inner = type_.elements
    return any(map(_has_variables, inner))


def substitute(type_: Type, bindings: TypeBindings) -> Type | None:
    """The type with its variables replaced, None when one of them is not bound."""
    if not _has_variables(type_):
        return type_
    if isinstance(type_, VariableType):
        return bindings.get(type_.name)
    if isinstance(type_, DictType):
        key, value = substitute(type_.key, bindings), substitute(type_.value, bindings)
        return None if key is None or value is None else DictType(key, value)
    if isinstance(type_, TupleType):
        elements = [substitute(element, bindings) for element in type_.elements]
        found = tuple(element for element in elements if element is not None)
        return replace(type_, elements=found) if len(found) == len(elements) else None
    assert isinstance(type_, ListType | OptionalType | FutureType)
    element = substitute(type_.element, bindings)
    return None if element is None else type(type_)(element)


def _shown(type_: Type | None) -> str:
    return "nothing" if type_ is None else type_.annotation


class SchemaMatcher:
    """One attempt to fit arguments to one schema."""

    def __init__(self, graph: Graph, source: SourceRange | None, schema: FunctionSchema, allow: bool) -> None:
        self.graph = graph
        self.conversions = Conversions(graph, source)
        self.schema = schema
        self.allow = allow
        self.bindings: TypeBindings = {}

    def match(self, args: Arguments, kwargs: Arguments, self_: NamedValue | None) -> Match:
        """The plan for every argument. Raises Mismatch."""
        schema = self.schema
        inputs: list[Plan] = []
        used = 0
        unused = {keyword.name: keyword for keyword in kwargs}
        for place, argument in enumerate(schema.arguments):
            if argument.name == "self" and self_ is not None:
                given, self_ = self_, None
            elif not argument.keyword_only and used < len(args):
                collected = self._varargs(place, argument, args[used:])
                if collected is not None:
                    used = len(args)
                    inputs.append(collected)
                    continue
                given = args[used]
                used += 1
            else:
                given = self._keyword_or_default(argument, unused)
            inputs.append(self._fit(argument, given.plan(self.graph)))
        if self_ is not None:
            raise Mismatch("Provided self argument not used in schema.")
        if schema.is_variadic:
            inputs.extend(value.plan(self.graph) for value in args[used:])
            used = len(args)
        self._check_all_used(used, len(args), unused)
        return Match(schema, inputs, self._returns())

    def _check_all_used(self, used: int, given: int, unused: dict[str, NamedValue]) -> None:
        if used < given:
            raise Mismatch(f"Expected at most {used} arguments but found {given} positional arguments.")
        for name in unused:
            known = name in self.schema.positions
            raise Mismatch(f"Keyword argument {name} {'specified twice' if known else 'unknown'}.")

    def _keyword_or_default(self, argument: Argument, unused: dict[str, NamedValue]) -> NamedValue:
        given = unused.pop(argument.name, None)
        if given is None and argument.name == "self" and self.schema.name.startswith("aten::"):
            given = unused.pop("input", None)
        if given is not None:
            return given
        if not argument.has_default:
            raise Mismatch(f"Argument {argument.name} not provided.")
        default, formal = _default_of(argument), unwrap_optional(argument.type)
        declared = ListType(formal.element) if isinstance(formal, ListType) and default == [] else None
        return NamedValue(None, argument.name, self.conversions.source, default, declared)

    def _varargs(self, place: int, argument: Argument, args: Arguments) -> Plan | None:
        type_ = argument.type
        following = self.schema.arguments[place + 1 : place + 2]
        is_last = not following or following[0].keyword_only
        if not (self.allow and is_last and isinstance(type_, ListType)) or type_.size is not None:
            return None
        first = args[0].type
        if isinstance(type_.element, VariableType) or isinstance(first, ListType) or convertible_to_list(first, type_):
            return None
        element = Argument("<varargs>", type_.element)
        return self.conversions.list_of(type_.element, [self._fit(element, arg.plan(self.graph)) for arg in args])

    def _fit(self, argument: Argument, plan: Plan) -> Plan:
        formal = unwrap_optional(argument.type)
        is_number = plan.type is FLOAT or plan.type == INT
        if is_number and isinstance(formal, ListType) and formal.size is not None and plan.type == formal.element:
            plan = self.conversions.repeated(plan, formal.size)
        try:
            bind_variables(argument.type, plan.type, self.bindings)
        except Mismatch as reason:
            raise Mismatch(
                f"Could not match type {_shown(plan.type)} to {argument.type.annotation} "
                f"in argument '{argument.name}': {reason}."
            ) from None
        wanted = substitute(argument.type, self.bindings)
        if wanted is None:
            raise Mismatch(
                f"Type variables in type {argument.type.annotation} could not be inferred "
                f"from actual type {_shown(plan.type)}"
            )
        fitted = self.conversions.convert(plan, wanted, self.allow)
        if not subtype(fitted.type, wanted):
            raise Mismatch(_type_mismatch(argument, fitted.type, wanted))
        return fitted

    def _returns(self) -> list[Type]:
        found = [substitute(value.type, self.bindings) for value in self.schema.returns]
        return [type_ if type_ is not None else TENSOR for type_ in found]


def _type_mismatch(argument: Argument, found: Type, wanted: Type) -> str:
    text = (
        f"Expected a value of type '{wanted.annotation}' for argument '{argument.name}' "
        f"but instead found type '{found.annotation}'."
    )
    if isinstance(found, ListType) and isinstance(found.element, TensorType):
        text += (
            "\nEmpty lists default to List[Tensor]. Add a variable annotation to the assignment to create an empty "
            "list of another type (torch.jit.annotate(List[T, []]) where T is the type of elements in the list "
            "for Python 2)"
        )
    return text


def _default_of(argument: Argument) -> Any:
    default = argument.default
    formal = unwrap_optional(argument.type)
    if isinstance(formal, ListType) and formal.size is not None and isinstance(default, int | float):
        return [default] * formal.size
    if formal is FLOAT and isinstance(default, int) and not isinstance(default, bool):
        return float(default)
    return default


def match_schema(
    graph: Graph,
    source: SourceRange | None,
    schema: FunctionSchema,
    args: Arguments,
    kwargs: Arguments,
    self_: NamedValue | None = None,
) -> Match:
    """Fit the arguments to the only candidate. Raises ScriptError."""
    try:
        return SchemaMatcher(graph, source, schema, True).match(args, kwargs, self_)
    except Mismatch as reason:
        raise ScriptError(f"\n{schema}:\n{reason}\n", source) from None


def match_schemas(
    graph: Graph,
    source: SourceRange | None,
    schemas: Sequence[FunctionSchema],
    args: Arguments,
    kwargs: Arguments,
    self_: NamedValue | None = None,
) -> tuple[int, Match]:
    """The first schema that fits, without conversions if possible, else with. Raises ScriptError listing all."""
    if len(schemas) == 1:
        return 0, match_schema(graph, source, schemas[0], args, kwargs, self_)
    reasons: list[str] = []
    for allow in (False, True):
        reasons = []
        for place, schema in enumerate(schemas):
            if schema.full_name in BLOCKED:
                continue
            try:
                return place, SchemaMatcher(graph, source, schema, allow).match(args, kwargs, self_)
            except Mismatch as reason:
                reasons.append(f"\n{schema}:\n{reason}\n")
    listed = "".join(reasons).replace("\n", "\n  ").rstrip(" ")
    raise ScriptError(
        f"Arguments for call are not valid.\nThe following variants are available:\n  {listed}\nThe original call is",
        source,
    )
