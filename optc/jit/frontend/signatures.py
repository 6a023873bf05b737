"""The signature of a definition: argument names, types and defaults, from annotations or a type comment."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

from optc.dataclass import dataclass
from optc.errors import ScriptError
from optc.ir.schema import Argument
from optc.ir.types import FLOAT, TENSOR, OptionalType, Type
from optc.jit.frontend.type_expressions import TypeExpressions

_TYPE_COMMENT = re.compile(r"#\s*type:\s*(?!ignore)(.*?)\s*(?:#.*)?$")


@dataclass(frozen=True)
class Signature:
    """Arguments (the first one of a method untyped) and the annotated return type, None without annotation."""

    arguments: tuple[Argument, ...]
    returns: Type | None


def read_signature(
    node: ast.FunctionDef,
    text: str,
    types: TypeExpressions,
    is_method: bool,
    defaults: Mapping[str, Any],
) -> Signature:
    """The signature of a function. Raises ScriptError for types that are none and comments that do not fit."""
    parameters = [*node.args.args, *node.args.kwonlyargs]
    annotations: list[ast.expr | None] = [parameter.annotation for parameter in parameters]
    returns = node.returns
    comment = _type_comment(node, text)
    if comment is not None:
        annotations, returns = _merge_comment(comment, annotations, is_method, types, node)
    arguments = []
    first_keyword_only = len(node.args.args)
    for place, (parameter, annotation) in enumerate(zip(parameters, annotations)):
        type_ = TENSOR if annotation is None or (is_method and place == 0) else types.parse(annotation)
        name = parameter.arg
        default = _converted(defaults.get(name), type_)
        arguments.append(Argument(name, type_, name in defaults, default, place >= first_keyword_only))
    return Signature(tuple(arguments), types.parse(returns) if returns is not None else None)


def _converted(default: Any, type_: Type) -> Any:
    """An int given as the default of a float argument is a float."""
    wanted = type_.element if isinstance(type_, OptionalType) else type_
    if wanted is FLOAT and isinstance(default, int) and not isinstance(default, bool):
        return float(default)
    return default


def _type_comment(node: ast.FunctionDef, text: str) -> str | None:
    """The `# type: (int, Tensor) -> Tensor` of a definition: on its first lines, one line or one per argument."""
    if "type:" not in text:
        return None
    lines = text.splitlines()
    start = node.lineno - 1
    end = node.body[0].lineno - 1 if node.body else len(lines)
    found: list[str] = []
    for line in lines[start : max(end, start + 1) + (end <= start)]:
        match = _TYPE_COMMENT.search(line)
        if match is None:
            continue
        if "->" in match[1]:
            return _joined(match[1], found)
        found.append(match[1].rstrip(",").strip())
    return None


def _joined(comment: str, per_argument: list[str]) -> str:
    arguments, _, returns = comment.partition("->")
    if arguments.strip() == "(...)":
        return f"({', '.join(per_argument)}) -> {returns.strip()}"
    return comment


def _merge_comment(
    comment: str,
    annotations: list[ast.expr | None],
    is_method: bool,
    types: TypeExpressions,
    node: ast.FunctionDef,
) -> tuple[list[ast.expr | None], ast.expr]:
    arguments, _, returns = comment.rpartition("->")
    try:
        parsed = ast.parse(arguments.strip(), mode="eval").body
        result = ast.parse(returns.strip(), mode="eval").body
    except SyntaxError:
        raise ScriptError(f"Malformed type comment: {comment}", types.source.range(node)) from None
    given = list(parsed.elts) if isinstance(parsed, ast.Tuple) else [parsed]
    if isinstance(parsed, ast.Tuple) and not parsed.elts:
        given = []
    for tree in (*given, result):
        for child in ast.walk(tree):
            ast.copy_location(child, node)
    head = list(annotations[:1]) if is_method and len(given) == len(annotations) - 1 else []
    if len(head) + len(given) != len(annotations):
        raise ScriptError(
            f"Type signature has {len(given)} types but the function has {len(annotations) - len(head)} arguments",
            types.source.range(node),
        )
    return [*head, *given], result
