"""Code that is nested deeper than Python's parser goes: a chain of `elif`s is printed as branches inside of branches.

Blocks that lie too deep are cut out and parsed by themselves, then put where they were. Lines and columns stay those of
the whole text.
"""

from __future__ import annotations

import ast

_WIDTH = 2
"""Columns that PyTorch and optc indent a block by."""

_DEEPEST = 90 * _WIDTH
"""Columns of indentation up to which a block is left where it is; Python refuses a hundred levels."""

_PLACE = "__cut_out_"


def parse(text: str) -> ast.Module:
    """The syntax tree of a text of any depth. Raises what ast.parse raises for other mistakes."""
    try:
        return ast.parse(text)
    except IndentationError as error:
        if "too many levels" not in error.msg:
            raise
    return _parse_in_parts(text)


def _parse_in_parts(text: str) -> ast.Module:
    lines = text.split("\n")
    outer, blocks = _cut(lines)
    if not blocks or _PLACE in text:
        raise IndentationError("too many levels of indentation")
    tree = ast.parse("\n".join(outer))
    for node in ast.walk(tree):
        for name in ("body", "orelse"):
            statements = getattr(node, name, None)
            if (
                isinstance(statements, list)
                and len(statements) == 1
                and (block := _place_of(statements[0])) is not None
            ):
                setattr(node, name, _parsed_block(lines, *blocks[block]))
    return tree


def _cut(lines: list[str]) -> tuple[list[str], list[tuple[int, int]]]:
    """The lines without what lies too deep, and the first and last line of every block that is missing."""
    outer: list[str] = []
    blocks: list[tuple[int, int]] = []
    was_deep = False
    for number, line in enumerate(lines):
        indent = len(line) - len(line.lstrip(" "))
        is_deep = indent > _DEEPEST
        if is_deep and was_deep:
            blocks[-1] = (blocks[-1][0], number + 1)
            outer.append("")
        elif is_deep:
            outer.append(f"{' ' * indent}{_PLACE}{len(blocks)}")
            blocks.append((number, number + 1))
        else:
            outer.append(line)
        was_deep = is_deep
    return outer, blocks


def _place_of(statement: ast.stmt) -> int | None:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Name):
        name = statement.value.id
        return int(name.removeprefix(_PLACE)) if name.startswith(_PLACE) else None
    return None


def _parsed_block(lines: list[str], start: int, end: int) -> list[ast.stmt]:
    """The statements of a block, as if they had been parsed in their place."""
    width = len(lines[start]) - len(lines[start].lstrip(" "))
    block = [line[width:] for line in lines[start:end]]
    tree = parse("\n".join(block))
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt | ast.expr | ast.arg | ast.keyword):
            _move(node, start, width)
    return tree.body


def _move(node: ast.stmt | ast.expr | ast.arg | ast.keyword, lines: int, columns: int) -> None:
    node.lineno += lines
    node.col_offset += columns
    if node.end_lineno is not None:
        node.end_lineno += lines
    if node.end_col_offset is not None:
        node.end_col_offset += columns
