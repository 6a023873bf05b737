"""Emits one definition: formal arguments, statements, returns, and the schema that results."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optc.errors import ScriptError, UnsupportedNodeError
from optc.ir.function import Function
from optc.ir.graph import Value
from optc.ir.schema import Argument, FunctionSchema
from optc.ir.types import ANY, NONE, TensorType, Type
from optc.jit.frontend.assignments import Assignments
from optc.jit.frontend.callables import ClosureValue
from optc.jit.frontend.cleanup import clean_up
from optc.jit.frontend.environment import is_meaningful
from optc.jit.frontend.expressions import Expressions
from optc.jit.frontend.resolver import Resolver
from optc.jit.frontend.signatures import Signature
from optc.jit.frontend.simple import SimpleValue
from optc.jit.frontend.source import Source
from optc.jit.frontend.ssa import convert_to_ssa
from optc.jit.frontend.type_rules import subtype, unify
from optc.jit.frontend.values import SugaredValue
from optc.jit.schema_matching import convert_value

MakeSelf = Callable[[Value], SugaredValue]


class Emitter(Assignments, Expressions):
    """Turns the syntax tree of a function into a graph with stores, loads and exit statements."""

    def emit_definition(
        self,
        node: ast.FunctionDef,
        signature: Signature,
        self_type: Type | None,
        make_self: MakeSelf | None,
    ) -> FunctionSchema:
        """Emit the whole definition; `make_self` gives the first argument of a method its meaning."""
        arguments = self._arguments(signature, self_type, make_self)
        returns = self.returns[-1]
        returns.declared = signature.returns
        self.emit_statements(node.body)
        self.finish_body(node)
        assert returns.merged is not None
        self.graph.add_output(self.writer.uninitialized(returns.merged))
        return FunctionSchema(node.name, "", tuple(arguments), (Argument("", returns.merged),))

    def _arguments(self, signature: Signature, self_type: Type | None, make_self: MakeSelf | None) -> list[Argument]:
        arguments: list[Argument] = []
        for place, argument in enumerate(signature.arguments):
            type_ = argument.type
            if place == 0 and self_type is not None:
                type_ = self_type
                argument = Argument(argument.name, self_type)
            value = self.graph.add_input(type_)
            if is_meaningful(argument.name):
                self.names.give(value, argument.name)
            is_self = place == 0 and make_self is not None
            sugared = make_self(value) if is_self and make_self is not None else SimpleValue(value)
            self.frame.assign(None, argument.name, sugared)
            arguments.append(argument)
        return arguments

    def finish_body(self, node: ast.FunctionDef) -> None:
        """A body that may reach its end returns None there."""
        returns = self.returns[-1]
        if self.frame.block in self.exits:
            if returns.merged is None:
                returns.merged = returns.declared if returns.declared is not None else NONE
            return
        if returns.declared is not None and returns.declared is not NONE:
            raise ScriptError(
                "Function was not annotated as having type None, but does not return along all paths", self.range(node)
            )
        self.emit_return(ast.copy_location(ast.Return(None), node))

    def emit_return(self, node: ast.Return) -> None:
        """`return value`."""
        returns = self.returns[-1]
        source = self.range(node)
        declared = returns.declared
        value = self.emit(node.value, declared) if node.value is not None else self.writer.constant(None, source)
        if declared is not None:
            if not (isinstance(declared, TensorType) and value.type is NONE):
                value = convert_value(self.graph, source, value, declared)
            if not subtype(value.type, declared):
                raise ScriptError(
                    f"Return value was annotated as having type {declared.annotation} but is actually of type "
                    f"{value.type.annotation}",
                    source,
                )
            result = declared
        else:
            result = self._merge_returns(value.type, node)
        returns.merged = result
        if result is ANY and value.type is not ANY:
            value = self.writer.unchecked_cast(value, result)
        self.writer.insert("prim::ReturnStmt", (value,), (), source)
        self.exits.add(self.frame.block)

    def _merge_returns(self, type_: Type, node: ast.Return) -> Type:
        merged = self.returns[-1].merged
        unified = type_ if merged is None else unify(merged, type_)
        if unified is None:
            assert merged is not None
            raise ScriptError(
                f"Previous return statement returned a value of type {merged.annotation} but this return statement "
                f"returns a value of type {type_.annotation}",
                self.range(node),
            )
        return unified

    def emit_statements(self, statements: Sequence[ast.stmt]) -> None:
        for statement in statements:
            self._statement(statement)
            if self.frame.block in self.exits:
                return

    def _statement(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Expr):
            self.emit_sugared(node.value).discard()
        elif isinstance(node, ast.For):
            body = node.body
            self.emit_for(node.target, node.iter, self.range(node), lambda: self.emit_statements(body))
        else:
            emit = _STATEMENTS.get(type(node))
            if emit is None:
                raise UnsupportedNodeError(f"{type(node).__name__} aren't supported", self.range(node))
            emit(self, node)


def _define_closure(emitter: Emitter, node: ast.FunctionDef) -> None:
    """A nested definition is emitted where it is forked."""
    emitter.frame.assign(emitter.range(node), node.name, ClosureValue(node))


def _skip(emitter: Emitter, node: ast.Pass) -> None:
    """`pass` emits nothing."""


_STATEMENTS: Mapping[type[ast.stmt], Callable[[Emitter, Any], None]] = {
    ast.If: Emitter.emit_if,
    ast.While: Emitter.emit_while,
    ast.Assign: Emitter.emit_assign,
    ast.AnnAssign: Emitter.emit_annotated_assign,
    ast.AugAssign: Emitter.emit_augmented_assign,
    ast.Return: Emitter.emit_return,
    ast.Raise: Emitter.emit_raise,
    ast.Assert: Emitter.emit_assert,
    ast.Break: Emitter.emit_jump,
    ast.Continue: Emitter.emit_jump,
    ast.With: Emitter.emit_with,
    ast.Delete: Emitter.emit_delete,
    ast.Pass: _skip,
    ast.FunctionDef: _define_closure,
}


def emit_function(
    function: Function,
    node: ast.FunctionDef,
    source: Source,
    resolver: Resolver,
    signature: Signature,
    self_type: Type | None = None,
    make_self: MakeSelf | None = None,
) -> None:
    """Compile a definition into `function`: schema and captured graph. Raises ScriptError."""
    emitter = Emitter(function, source, resolver)
    schema = emitter.emit_definition(node, signature, self_type, make_self)
    convert_to_ssa(emitter.graph, emitter.names, emitter.continued)
    clean_up(emitter.graph)
    function.graph = emitter.graph
    function.schema = schema
