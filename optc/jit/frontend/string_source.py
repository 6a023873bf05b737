"""Definitions given as text: strings of functions, methods added to a type."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from optc.errors import ScriptError, SourceRange
from optc.ir.function import ClassType, Function
from optc.ir.types import Type
from optc.jit.frontend.definitions import Compiling
from optc.jit.frontend.emitter import MakeSelf, emit_function
from optc.jit.frontend.resolver import Resolver, StringResolver
from optc.jit.frontend.signatures import read_signature
from optc.jit.frontend.simple import SimpleValue
from optc.jit.frontend.source import Source
from optc.jit.frontend.syntax import normalize
from optc.jit.frontend.type_expressions import TypeExpressions


def parse_text(text: str, filename: str = "<string>") -> ast.Module:
    """The syntax tree of a text. Raises ScriptError where it is no Python."""
    try:
        return ast.parse(text)
    except SyntaxError as error:
        place = SourceRange(filename, error.lineno or 1, (error.offset or 1) - 1, text)
        raise ScriptError(f"syntax error: {error.msg}", place) from None


def define_tree(
    function: Function,
    node: ast.FunctionDef,
    source: Source,
    resolver: Resolver,
    self_type: Type | None = None,
    make_self: MakeSelf | None = None,
) -> None:
    """Compile a definition whose defaults are literals in the text."""
    is_method = self_type is not None
    with Compiling(function, source.range(node)):
        normalize(node, source, nested_definitions=True)
        types = TypeExpressions(resolver, source)
        signature = read_signature(node, source.text, types, is_method, literal_defaults(node, source))
        emit_function(function, node, source, resolver, signature, self_type, make_self)


def literal_defaults(node: ast.FunctionDef, source: Source) -> dict[str, Any]:
    """Default values written in the text. Raises ScriptError for anything but literals."""
    arguments = node.args.args
    defaults = node.args.defaults
    found: dict[str, Any] = {}
    for argument, default in zip(arguments[len(arguments) - len(defaults) :], defaults):
        try:
            found[argument.arg] = ast.literal_eval(default)
        except ValueError:
            raise ScriptError("Expected a literal as default value", source.range(default)) from None
    return found


def define_text_method(type_: ClassType, text: str, globals_: Mapping[str, Function] | None = None) -> Function:
    """Add a method given as text to a type; it compiles when it is needed."""
    node = parse_text(text).body[0]
    assert isinstance(node, ast.FunctionDef)
    source = Source(text)
    resolver = StringResolver(dict(globals_ or {}))
    definition = node

    def define(made: Function) -> None:
        define_tree(made, definition, source, resolver, type_, SimpleValue)

    function = Function(f"{type_.name}.{node.name}", define=define)
    type_.methods[node.name] = function
    return function


def compile_text(text: str, prefix: str = "__torch__") -> dict[str, Function]:
    """Compile all functions of a text; they see each other. Raises ScriptError."""
    functions: dict[str, Function] = {}
    resolver = StringResolver(functions)
    source = Source(text)
    for node in parse_text(text).body:
        if not isinstance(node, ast.FunctionDef):
            raise ScriptError(f"Expected a function definition, found {type(node).__name__}", source.range(node))
        functions[node.name] = _text_function(f"{prefix}.{node.name}", node, source, resolver)
    for function in functions.values():
        function.ensure_defined()
    return functions


def _text_function(name: str, node: ast.FunctionDef, source: Source, resolver: Resolver) -> Function:
    return Function(name, define=lambda made: define_tree(made, node, source, resolver))
