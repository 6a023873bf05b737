"""Inserts typed nodes while a function is emitted; what sugared values need to become graph values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from optc.errors import ScriptError, SourceRange
from optc.ir.function import ClassAttribute, ClassType, Function
from optc.ir.graph import Graph, Node, Value, copy_block
from optc.ir.schema import FunctionSchema
from optc.ir.types import FUNCTION, ListType, TupleType, Type
from optc.jit.frontend.builtin_functions import BUILTIN_FUNCTIONS
from optc.jit.frontend.constants import insert_constant
from optc.jit.frontend.definitions import compiled_for_call
from optc.jit.frontend.type_rules import contains_type
from optc.jit.schema_matching import Arguments, Match, NamedValue, match_schemas
from optc.jit.value_names import ValueNames, attribute_value_name
from optc.ops.registry import all_operators, overloads


def named(value: Value | NamedValue) -> NamedValue:
    """An argument without a keyword."""
    return value if isinstance(value, NamedValue) else NamedValue(value)


class GraphWriter:
    """The graph of one function under construction, with the names of its values."""

    def __init__(self, function: Function, graph: Graph, names: ValueNames) -> None:
        self.function = function
        self.graph = graph
        self.names = names
        self._literals: dict[tuple[type, str], Value] = {}

    def declares_attributes_of(self, type_: ClassType) -> bool:
        """True inside `__init__` of the class: assigning an unknown attribute declares it."""
        inputs = self.graph.inputs
        return self.function.base_name == "__init__" and bool(inputs) and inputs[0].type is type_

    def declare_attribute(self, type_: ClassType, name: str, value: Value, source: SourceRange | None) -> None:
        """Give the class an attribute of the value's type. Raises ScriptError inside control flow."""
        if self.graph.insertion_point.block is not self.graph.block:
            raise ScriptError(
                "First assignment cannot be in a control-flow block. Initialize the field at the top level first",
                source,
            )
        if contains_type(value.type, type_):
            raise ScriptError(
                f"Assignment to attribute '{name}' cannot be of a type that contains class '{type_.annotation}'.\n"
                "Classes that recursively contain instances of themselves are not yet supported",
                source,
            )
        type_.attributes[name] = ClassAttribute(value.type)

    def insert(
        self,
        kind: str,
        inputs: Iterable[Value] = (),
        types: Iterable[Type] = (),
        source: SourceRange | None = None,
        attributes: dict[str, Any] | None = None,
    ) -> Node:
        """A node at the insertion point."""
        node = self.graph.insert(kind, inputs, types, attributes)
        node.source = source
        return node

    def constant(self, value: Any, source: SourceRange | None = None, type_: Type | None = None) -> Value:
        """A constant at the insertion point."""
        return insert_constant(self.graph, value, source, type_)

    def literal(self, value: complex, source: SourceRange | None = None) -> Value:
        """A number written in the program: one constant for equal ones, at the start of the graph."""
        key = (type(value), repr(value))
        found = self._literals.get(key)
        if found is None:
            first = self.graph.block.param_node.next
            assert first is not None
            with self.graph.inserting(first):
                found = self._literals[key] = insert_constant(self.graph, value, source)
        return found

    def builtin(
        self,
        kind: str,
        args: Sequence[Value | NamedValue],
        kwargs: Arguments = (),
        self_: NamedValue | None = None,
        source: SourceRange | None = None,
    ) -> Value:
        """Call an operator by name; several results become a tuple. Raises ScriptError when no overload fits."""
        operators = overloads(kind)
        functions = BUILTIN_FUNCTIONS.get(kind, [])
        schemas = [operator.schema for operator in operators] + [function.schema for function in functions]
        if not schemas:
            raise ScriptError(_unknown_operator(kind), source)
        place, match = match_schemas(self.graph, source, schemas, list(map(named, args)), kwargs, self_)
        if place >= len(operators):
            return functions[place - len(operators)].emit(self, match.values(), source)
        node = self.insert(kind, match.values(), match.returns, source)
        node.overload = match.schema.overload
        node.operator = operators[place]
        return self._pack(node, match)

    def fail_unless(self, condition: Value, message: Value, source: SourceRange | None) -> Value:
        """`assert condition, message` inside a builtin function; None."""
        check = self.insert("prim::If", (condition,), (), source)
        check.add_block()
        with self.graph.inserting(check.add_block()):
            text = self.builtin("aten::add", [self.constant("AssertionError: "), message], source=source)
            self.raise_exception(text, self.constant(None), source)
        return self.constant(None)

    def raise_exception(self, message: Value, name: Value, source: SourceRange | None) -> Value:
        """`prim::RaiseException`; None, the value of the call that raised."""
        self.insert("prim::RaiseException", (message, name), (), source)
        return self.constant(None)

    def _pack(self, node: Node, match: Match) -> Value:
        if len(node.outputs) == 1:
            return node.output
        if not node.outputs:
            return self.constant(None)
        fields = tuple(value.name for value in match.schema.returns)
        elements = tuple(value.type for value in node.outputs)
        type_ = TupleType(elements, None, fields) if all(fields) else TupleType(elements)
        return self.insert("prim::TupleConstruct", node.outputs, (type_,)).output

    def make_tuple(self, values: Sequence[Value], type_: TupleType | None = None) -> Value:
        """A tuple of values."""
        made = type_ if type_ is not None else TupleType(tuple(value.type for value in values))
        return self.insert("prim::TupleConstruct", values, (made,)).output

    def make_list(self, element: Type, values: Sequence[Value]) -> Value:
        """A list of values."""
        return self.insert("prim::ListConstruct", values, (ListType(element),)).output

    def unpack(self, value: Value) -> Sequence[Value]:
        """The elements of a tuple; those of one that was just made are taken from there."""
        if value.node.kind == "prim::TupleConstruct":
            return value.node.inputs
        assert isinstance(value.type, TupleType)
        return self.insert("prim::TupleUnpack", (value,), value.type.elements).outputs

    def tuple_index(self, value: Value, index: Value, type_: Type) -> Value:
        """One element of a tuple."""
        return self.insert("prim::TupleIndex", (value, index), (type_,)).output

    def get_attribute(self, value: Value, name: str) -> Value:
        """Read an attribute of an object; the value is called after it."""
        assert isinstance(value.type, ClassType)
        type_ = value.type.attributes[name].type
        result = self.insert("prim::GetAttr", (value,), (type_,), None, {"name": name}).output
        self.names.give(result, attribute_value_name(name))
        return result

    def unchecked_cast(self, value: Value, type_: Type) -> Value:
        """The same value under another type."""
        return self.insert("prim::unchecked_cast", (value,), (type_,)).output

    def uninitialized(self, type_: Type) -> Value:
        """A value that will never be read."""
        return self.insert("prim::Uninitialized", (), (type_,)).output

    def call_function(
        self, callee: Function, inputs: Sequence[Value], result: Type, source: SourceRange | None
    ) -> Value:
        """Call a compiled function."""
        attributes = {"name": callee.base_name, "function": callee}
        reference = self.insert("prim::Constant", (), (FUNCTION,), None, attributes).output
        return self.insert("prim::CallFunction", (reference, *inputs), (result,), source).output

    def call_compiled(self, callee: Function, inputs: Sequence[Value], source: SourceRange | None) -> Value:
        """Match the arguments and call a compiled function."""
        schema = compiled_for_call(callee, self.function, source)
        _, match = self.match([schema], [NamedValue(value) for value in inputs], [], source)
        return self.call_function(callee, match.values(), match.returns[0], source)

    def call_method(self, name: str, inputs: Sequence[Value], result: Type, source: SourceRange | None) -> Value:
        """Call a method of the object that is the first input."""
        return self.insert("prim::CallMethod", inputs, (result,), source, {"name": name}).output

    def inline(self, graph: Graph, inputs: Sequence[Value]) -> Sequence[Value]:
        """Insert a copy of a graph's nodes; the values of its outputs."""
        block = self.insert("prim::Inline").add_block()
        values: dict[Value, Value] = {}
        copy_block(graph.block, block, values)
        for parameter, value in zip(block.inputs, inputs):
            parameter.replace_all_uses_with(value)
        outputs = block.outputs
        owner = block.owning_node
        assert owner is not None
        for node in block.nodes:
            node.move_before(owner)
        owner.destroy()
        return outputs

    def match(
        self,
        schemas: Sequence[FunctionSchema],
        args: Arguments,
        kwargs: Arguments,
        source: SourceRange | None,
    ) -> tuple[int, Match]:
        """Overload resolution over the schemas of functions or methods. Raises ScriptError."""
        return match_schemas(self.graph, source, schemas, args, kwargs)


@cache
def _names_of_operators() -> dict[str, set[str]]:
    """The full names of operators by what follows their namespace."""
    names: dict[str, set[str]] = {}
    for operator in all_operators():
        name = operator.name.partition(".")[0]
        names.setdefault(name.partition("::")[2], set()).add(name)
    return names


def _unknown_operator(kind: str) -> str:
    bare = kind.partition("::")[2]
    names = _names_of_operators()
    variants = (bare + "_", bare.removesuffix("_"), f"_{bare}")
    similar = sorted(set().union(*(names.get(variant, ()) for variant in variants)))
    text = f"Unknown builtin op: {kind}.\n"
    if not similar:
        return text + (
            f"Could not find any similar ops to {kind}. "
            "This op may not exist or may not be currently supported in TorchScript.\n"
        )
    return (
        text + "Here are some suggestions: \n" + "".join(f"\t{name}\n" for name in similar) + "\nThe original call is"
    )
