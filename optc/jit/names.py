"""Qualified names of functions and classes, unique within the process as in PyTorch's compilation unit.

A class `Cell` of the user's module `models.rnn` is called `__torch__.models.rnn.Cell`. When another type or function
has that name already, a part `___torch_mangle_N` is put before the last one; N counts through the whole process.
"""

from __future__ import annotations

import re
from typing import Any

_MANGLED_PART = re.compile(r"___torch_mangle_\d+$")


class NameSpace:
    """The names that are taken, and the counter for those that have to be changed."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._next = 0

    def claim(self, name: str) -> str:
        """`name` if it is free, a mangled form of it otherwise; the result is taken from now on."""
        while name in self._taken:
            name = self.mangle(name)
        self._taken.add(name)
        return name

    def mangle(self, name: str) -> str:
        """`name` with a fresh `___torch_mangle_N` part; an old one is replaced."""
        number, self._next = self._next, self._next + 1
        fresh = f"___torch_mangle_{number}"
        parts = name.split(".")
        for place, part in enumerate(parts):
            if _MANGLED_PART.match(part):
                parts[place] = fresh
                return ".".join(parts)
        return ".".join([*parts[:-1], fresh, parts[-1]])


NAMES = NameSpace()
"""The names of everything that was scripted or traced in this process."""


def qualified_name(thing: Any) -> str:
    """`__torch__.<module>.<name>` of a Python class or function; not made unique, `NAMES.claim` does that.

    optc's own modules carry the names that PyTorch's modules have, so that archives look the same.
    Raises RuntimeError for objects without a usable name.
    """
    override = getattr(thing, "_jit_override_qualname", None)
    if isinstance(override, str):
        return override
    name = getattr(thing, "__name__", None)
    if not isinstance(name, str):
        raise RuntimeError(f"Could not get name of python class object: {thing!r}")  # noqa: TRY004
    if name == "<lambda>":
        name = "_lambda"
    module = getattr(thing, "__module__", None)
    if module is None:
        raise RuntimeError(f"Could not get qualified name for class '{name}': __module__ can't be None.")
    if "." in name:
        raise RuntimeError(f"Could not get qualified name for class '{name}': '{name}' is not a valid identifier")
    return f"{_prefix(module)}.{name}"


def _prefix(module: str) -> str:
    if module == "__main__":
        return "__torch__"
    if module == "optc" or module.startswith("optc."):
        module = "torch" + module.removeprefix("optc")
    return f"__torch__.{module}"


def base_name(name: str) -> str:
    """The last part of a qualified name."""
    return name.rpartition(".")[2]
