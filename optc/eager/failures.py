"""Errors on their way out of a program that the interpreter runs, and what they say: PyTorch's text, the user's lines."""

from __future__ import annotations

import traceback
from dataclasses import replace

from optc.eager.node_functions import RaisedByProgram
from optc.errors import OptcError, SourceRange
from optc.ir.graph import Node


class Failure(Exception):
    """An error on its way out, and the calls it passed, innermost first."""

    def __init__(self, error: Exception, node: Node, function: str) -> None:
        super().__init__(str(error))
        self.error = error
        self.frames: list[SourceRange] = []
        self.passed(node, function)

    def passed(self, node: Node, function: str) -> None:
        """Note that the error left `node` of the function called `function`."""
        if node.source is not None:
            self.frames.append(replace(node.source, function=node.source.function or function))

    def text(self) -> str:
        """The message in torch's layout."""
        head = "The following operation failed in the TorchScript interpreter.\n"
        serialized = [source.excerpt() for source in reversed(self.frames)]
        originals = [_original(source).excerpt() for source in reversed(self.frames) if source.origin is not None]
        if not originals:
            return "\n".join([f"{head}Traceback of TorchScript {_LAST}", *serialized, _reason(self.error)])
        head += f"Traceback of TorchScript, serialized code {_LAST}"
        middle = f"\nTraceback of TorchScript, original code {_LAST}"
        return "\n".join([head, *serialized, middle, *originals, _reason(self.error)])


_LAST = "(most recent call last):"


def _original(source: SourceRange) -> SourceRange:
    """The user's own place behind generated code; the generated one where it is not known."""
    found = source.original()
    return source if found is None else replace(found, function=source.function)


def _reason(error: Exception) -> str:
    if isinstance(error, RaisedByProgram):
        return error.text
    if isinstance(error, OptcError):
        return f"RuntimeError: {error.message}"
    if isinstance(error, KeyError) and error.args:
        return f"RuntimeError: KeyError: {error.args[0]}"
    return f"RuntimeError: {error}"


class PythonError(Exception):
    """An error raised by a Python function that a program called."""

    def __init__(self, error: Exception) -> None:
        frames = traceback.extract_tb(error.__traceback__)[1:]
        places = "\n".join(f"  {frame.filename}({frame.lineno}): {frame.name}" for frame in reversed(frames))
        super().__init__(f"{type(error).__name__}: {error}\n\nAt:\n{places}\n")
