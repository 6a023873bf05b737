"""Names in printed code: valid identifiers, unique within a function."""

from __future__ import annotations

import keyword
import re

from optc.ir.literals import quoted

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_NUMBERED = re.compile(r"(.*)\.\d+\Z", re.DOTALL)
_NOT_IN_IDENTIFIERS = re.compile(r"[^A-Za-z0-9_]")

_RESERVED = frozenset(
    (
        "_", "as", "aten", "attribute", "CONSTANTS", "fork", "getattr", "inf", "nan", "infj", "nanj", "ops", "__torch__",
        "and", "assert", "async", "await", "break", "class", "continue", "def", "del", "elif", "else", "except", "False",
        "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "None", "nonlocal", "not", "or",
        "pass", "raise", "return", "True", "try", "while", "with", "yield", "uninitialized", "unchecked_cast",
    )
)  # fmt: skip
"""Python's keywords, and the names that printed code finds in its environment."""


def is_identifier(name: str, is_importable: bool = False) -> bool:
    """True for names that code may write after a dot.

    PyTorch prints keywords there too, and then cannot read its own archives: code that is to be read again
    (`is_importable`) does not.
    """
    return _IDENTIFIER.match(name) is not None and not (is_importable and keyword.iskeyword(name))


def quoted_name(name: str, is_importable: bool = False) -> str:
    """The name of a member as text.

    PyTorch writes bytes above 127 so that it cannot read them again: code that is to be read again has them as they are.
    """
    if not is_importable or name.isascii():
        return quoted(name)
    shown = "".join(character if ord(character) > 127 else quoted(character)[1:-1] for character in name)
    return f'"{shown}"'


def has_own_name(name: str) -> bool:
    """True when a value's name was given to it, and is no number that some text showed in its place."""
    return bool(name) and not name.isdigit()


def wanted_name(name: str) -> str:
    """The variable a value named `x.3` asks for: `x`; `_` for a value without a name."""
    if not has_own_name(name):
        return "_"
    numbered = _NUMBERED.match(name)
    base = numbered[1] if numbered is not None else name
    identifier = _NOT_IN_IDENTIFIERS.sub("_", base.encode("utf-8", "surrogateescape").decode("latin-1"))
    return f"_{identifier}" if not identifier or identifier[0].isdigit() else identifier


class Names:
    """The variables of one function. Functions of one file share `numbers`: `_4` is followed by `_5` in the next."""

    def __init__(self, numbers: dict[str, int] | None = None) -> None:
        self._used: set[str] = set()
        self._next: dict[str, int] = {} if numbers is None else numbers

    def unique(self, candidate: str) -> str:
        """`candidate`, or with a number when it is taken or reserved."""
        name = candidate
        while name in self._used or name in _RESERVED:
            number = self._next.get(name, 0)
            self._next[name] = number + 1
            name = f"{candidate}{number}"
        self._used.add(name)
        return name
