"""Where a definition's text comes from, and the source range of every syntax tree in it."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import field
from functools import partial

from optc.dataclass import dataclass
from optc.errors import SourceRange

_LEFTMOST = {
    ast.BinOp: "left",
    ast.Compare: "left",
    ast.Call: "func",
    ast.Attribute: "value",
    ast.Subscript: "value",
    ast.IfExp: "body",
}

_KEYWORDS = {
    ast.If: "if",
    ast.For: "for",
    ast.While: "while",
    ast.With: "with",
    ast.FunctionDef: "def",
    ast.ClassDef: "class",
}


@dataclass(frozen=True)
class Source:
    """The text of one definition: as written (indented), its file, its first line, and how far it is indented.

    `original` finds the place that generated a line and column, for text that another program wrote.
    """

    text: str
    filename: str = "<string>"
    first_line: int = 1
    indent: int = 0
    function: str = ""
    original: Callable[[int, int], SourceRange | None] | None = field(default=None, compare=False)

    def range(self, node: ast.AST) -> SourceRange:
        """The place of a statement or expression, beginning at its first token (not at an opening bracket)."""
        start = _first_token(node)
        line = getattr(start, "lineno", 1)
        column = getattr(start, "col_offset", 0)
        end_line, end_column = _end(node, line, column)
        offset = self.first_line - 1
        return SourceRange(
            self.filename,
            line + offset,
            column + self.indent,
            self.text,
            self.first_line,
            "",
            end_line + offset,
            end_column + self.indent,
            None if self.original is None else partial(self.original, line, column),
        )


def _first_token(node: ast.AST) -> ast.AST:
    while True:
        field = _LEFTMOST.get(type(node))
        if isinstance(node, ast.BoolOp):
            node = node.values[0]
        elif isinstance(node, ast.Assign):
            node = node.targets[0]
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            node = node.target
        elif isinstance(node, ast.Expr):
            node = node.value
        elif field is None:
            return node
        else:
            node = getattr(node, field)


def _end(node: ast.AST, line: int, column: int) -> tuple[int, int]:
    keyword = _KEYWORDS.get(type(node))
    if keyword is not None:
        return line, column + len(keyword)
    return getattr(node, "end_lineno", None) or line, getattr(node, "end_col_offset", None) or column
