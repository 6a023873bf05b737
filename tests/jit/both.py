"""Runs one program with two libraries, and makes the texts of graphs comparable."""

from __future__ import annotations

import linecache
import re
import textwrap
from typing import Any

_VALUE = re.compile(r"%([A-Za-z_][\w.]*|\d+)")
_SOURCE = re.compile(r" # .*$", re.MULTILINE)
_CONSTANT = re.compile(
    r"^ *(%[\w.]+) : ([^=\n]+(?:=\d[^=\n]*)?(?:=cpu\))?) = prim::Constant(\[.*\])?\(\).*\n", re.MULTILINE
)
_WARNING_NUMBER = re.compile(r"warn_id=\d+")  # counts all warnings that a process has compiled
_SCOPED_PATH = re.compile(r"___torch_mangle_\d+\.")


def run_program(text: str, library: Any, name: str) -> dict[str, Any]:
    """Execute a program in which `torch` is the given library; its source can be inspected, so it can be scripted."""
    text = textwrap.dedent(text)
    filename = f"<{name}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(True), filename)
    space: dict[str, Any] = {"torch": library, "nn": library.nn, "F": library.nn.functional, "__name__": "__main__"}
    exec(compile(text, filename, "exec", dont_inherit=True), space)  # noqa: S102  our own programs
    return space


def _inline_constants(text: str) -> str:
    """The text with constants written where they are used, as they may stand anywhere."""
    for name, type_, value in _CONSTANT.findall(text):
        text = re.sub(rf"{re.escape(name)}(?=[,)])", f"<{type_}{value}>", text)
    return _CONSTANT.sub("", text)


def canonical(graph: Any, sources: bool = False) -> str:
    """The text of a graph with values named by their base name and order of appearance, classes without manglings."""
    text = str(graph).strip()
    if not sources:
        text = _SOURCE.sub("", text)
    text = _inline_constants(_WARNING_NUMBER.sub("warn_id=", _SCOPED_PATH.sub("", text)))
    names: dict[str, str] = {}

    def rename(match: re.Match[str]) -> str:
        name = match[1]
        base = re.sub(r"\.\d+$", "", name)
        base = "" if base.isdigit() else base
        return "%" + names.setdefault(name, f"{base}#{len(names)}")

    return _VALUE.sub(rename, text)
