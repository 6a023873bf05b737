"""Python definitions: their source text and tree, and what the names in them refer to."""

from __future__ import annotations

import ast
import builtins
import inspect
import textwrap
import typing
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from optc.errors import ScriptError, SourceRange
from optc.ir.types import Type
from optc.jit.annotations import is_named_tuple
from optc.jit.frontend.python_values import named_tuple_constructor, to_sugared
from optc.jit.frontend.resolver import Resolver
from optc.jit.frontend.source import Source
from optc.jit.frontend.values import SugaredValue
from optc.jit.frontend.writer import GraphWriter

if TYPE_CHECKING:
    from optc.jit.recursive import Recursion

_MISSING = object()

_MOST_LINES = 3000
"""Of longer files only the definition that is asked for is read."""

_ends: dict[str, tuple[list[str], dict[int, int]]] = {}
"""For every file that has been read its lines, and the last line of the definition that begins in a line."""


def read_source(thing: Any) -> tuple[ast.Module, Source]:
    """Tree and text of a function or class. Raises ScriptError when Python does not know the source."""
    try:
        filename = inspect.getsourcefile(thing) or "<unknown>"
        lines, first_line = _lines_of(thing, filename)
    except (OSError, TypeError) as error:
        raise ScriptError(
            f"Can't get source for {thing}. TorchScript requires source access in order to carry out compilation, "
            "make sure original .py files are available."
        ) from error
    text = "".join(lines)
    dedented = textwrap.dedent(text)
    indent = len(lines[0]) - len(dedented.split("\n", 1)[0]) - 1 if lines else 0
    try:
        tree = ast.parse(dedented)
    except SyntaxError as error:
        raise ScriptError(f"The source of {thing} is no definition of its own: {error.msg}") from None
    return tree, Source(text, filename, max(first_line, 1), max(indent, 0))


def _lines_of(thing: Any, filename: str) -> tuple[list[str], int]:
    """The lines of a definition and the number of the first, as `inspect.getsourcelines` gives them.

    Where it ends the tree of the file tells: `inspect` reads tokens, with expressions that take longer to get ready than
    most files to parse. Raises OSError and TypeError when the source is not known.
    """
    lines, before = inspect.findsource(inspect.unwrap(thing))
    known, ends = _ends.get(filename, (None, {}))
    if known is not lines:
        ends = _ends_of_definitions(lines) if len(lines) <= _MOST_LINES else {}
        _ends[filename] = lines, ends
    last = ends.get(before + 1)
    return (inspect.getblock(lines[before:]) if last is None else lines[before:last]), before + 1


def _ends_of_definitions(lines: list[str]) -> dict[int, int]:
    """By the line of the first decorator, or of the definition; none of a file that is not plain Python."""
    try:
        tree = ast.parse("".join(lines))
    except SyntaxError:
        return {}
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.end_lineno is not None:
            found[min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])] = node.end_lineno
    return found


def read_function(function: Any) -> tuple[ast.FunctionDef, Source]:
    """Tree and text of a function. Raises ScriptError for lambdas and functions without source."""
    tree, source = read_source(function)
    definition = tree.body[0] if len(tree.body) == 1 else None
    if not isinstance(definition, ast.FunctionDef):
        raise ScriptError(f"Expected a single top-level function: {source.filename}:{source.first_line}")
    return definition, source


def variables_of(function: Any) -> dict[str, Any]:
    """Globals and closure variables of a function."""
    function = inspect.unwrap(function)
    function = getattr(function, "__func__", function)
    found: dict[str, Any] = dict(getattr(function, "__globals__", {}))
    code = getattr(function, "__code__", None)
    if code is None:
        return found
    for name, cell in zip(code.co_freevars, function.__closure__ or ()):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # the enclosing function has not assigned the variable yet
            continue
    return found


class PythonResolver(Resolver):
    """Names of Python source: the function's closure and globals, `typing`, builtins."""

    def __init__(self, variables: Mapping[str, Any], recursion: Recursion) -> None:
        self.variables = variables
        self.recursion = recursion
        self.annotations = recursion.annotations.resolving(self._annotation)

    def _annotation(self, name: str) -> Any:
        found = self.look_up(name)
        return None if found is _MISSING else found

    def look_up(self, name: str) -> Any:
        """The Python object of a dotted name, a marker object when there is none."""
        head, *rest = name.split(".")
        if head in self.variables:
            value = self.variables[head]
        else:
            value = getattr(typing, head, getattr(builtins, head, _MISSING))
        for part in rest:
            value = getattr(value, part, _MISSING)
        return value

    def value(self, name: str, writer: GraphWriter, source: SourceRange | None) -> SugaredValue | None:
        found = self.look_up(name)
        if found is _MISSING or found is None:
            return None
        if is_named_tuple(found):
            return named_tuple_constructor(found, self.annotations)
        return to_sugared(found, writer, source, self.recursion)

    def type(self, name: str, source: SourceRange | None) -> Type | None:
        found = self.look_up(name)
        if found is _MISSING:
            return None
        type_ = self.annotations.type_of(found)
        if type_ is None and inspect.isclass(found):
            type_ = self.recursion.module_type_of(found)
        return type_
