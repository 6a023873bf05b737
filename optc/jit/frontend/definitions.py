"""Compiling on demand: what happens when a call needs the schema of a function that is not compiled yet."""

from __future__ import annotations

import threading

from optc.errors import ScriptError, SourceRange
from optc.ir.function import Function
from optc.ir.schema import FunctionSchema


class _InProgress(threading.local):
    def __init__(self) -> None:
        self.functions: list[Function] = []


_in_progress = _InProgress()


class Compiling:
    """Context manager around the compilation of one function, which is defined at `place`.

    Raises ScriptError for a program that Python's stack is too small for.
    """

    def __init__(self, function: Function, place: SourceRange | None = None) -> None:
        self.function = function
        self.place = place

    def __enter__(self) -> None:
        _in_progress.functions.append(self.function)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        _in_progress.functions.pop()
        if kind is RecursionError:
            raise ScriptError("the program is nested too deeply to be compiled", self.place) from None


def compiled_for_call(
    callee: Function, caller: Function, source: SourceRange | None, kind: str = "function"
) -> FunctionSchema:
    """The schema of a function that is about to be called, compiled first if need be.

    Raises ScriptError for recursive calls and, with the place of the call added, for errors inside the callee.
    """
    if callee in _in_progress.functions:
        raise ScriptError(
            f"{kind} '{callee.base_name}' is called recursively. Recursive calls are not supported", source
        )
    try:
        callee.ensure_defined()
        return callee.schema
    except ScriptError as error:
        where = "" if source is None else "\n" + source.excerpt()
        note = f"'{_shown(callee)}' is being compiled since it was called from '{_shown(caller)}'{where}"
        raise type(error)(f"{error}\n{note}") from None


def _shown(function: Function) -> str:
    parts = function.name.split(".")
    owner = parts[-2] if len(parts) > 1 else ""
    return ".".join(parts[-2:]) if owner[:1].isupper() else parts[-1]
