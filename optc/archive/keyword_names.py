"""Attributes that are called like Python's keywords (`self.class`), as `setattr` and `add_module` can make them."""

from __future__ import annotations

import io
import keyword
import re
import tokenize

_FULL_WIDTH = 0xFEE0
"""From an ASCII letter to its full-width form. Python's parser takes both for the same letter of an identifier, but
finds keywords only among plain ones."""


_MEMBER = re.compile(rf"(\.|\bdef\s+)({'|'.join(keyword.kwlist)})\b|^\s*({'|'.join(keyword.kwlist)}) : ", re.MULTILINE)


def has_keyword_members(text: str) -> bool:
    """True when some keyword may stand for a member, so that a closer look is worth its time."""
    return _MEMBER.search(text) is not None


def with_keywords_as_names(text: str) -> str:
    """The code with keywords that stand for members written so that Python's parser takes them for identifiers.

    Raises SyntaxError (tokenize's own errors included) for text that is no code at all.
    """
    lines = text.splitlines(keepends=True)
    for row, column in reversed(_members(text)):
        line = lines[row - 1]
        lines[row - 1] = line[:column] + chr(ord(line[column]) + _FULL_WIDTH) + line[column + 1 :]
    return "".join(lines)


def _members(text: str) -> list[tuple[int, int]]:
    """Row and column of every keyword behind a dot or `def`, or in front of ` : Type`."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except tokenize.TokenError as error:
        raise SyntaxError(str(error)) from error
    found: list[tuple[int, int]] = []
    for before, token, after in zip(tokens, tokens[1:], tokens[2:]):
        if token.type != tokenize.NAME or not keyword.iskeyword(token.string):
            continue
        is_annotated = after.string == ":" and after.start > token.end
        if before.string in (".", "def") or is_annotated:
            found.append(token.start)
    return found
