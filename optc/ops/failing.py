"""Errors that a decomposition leaves to the running program."""

from __future__ import annotations

from typing import Any

from optc.ir.types import STRING


def refuse(b: Any, condition: Any, message: str) -> None:
    """Raise RuntimeError when the program runs and the condition, a bool, is true."""
    graph = b.graph
    branch = graph.insert("prim::If", [condition])
    raising = branch.add_block()
    branch.add_block()
    with graph.inserting(raising):
        texts = [graph.insert_constant(text, STRING) for text in (message, "RuntimeError")]
        graph.insert("prim::RaiseException", texts)
