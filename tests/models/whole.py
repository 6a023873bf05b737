"""What models of other libraries have to be: compiled whole without PyTorch, and equal to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.models.exporting import Inputs, export
from tests.models.processes import outcome

QUESTIONS = {
    "prim::If", "prim::Loop", "prim::RaiseException", "prim::isinstance", "prim::unchecked_cast", "aten::format", "aten::warn",
    "aten::__contains__", "aten::__getitem__", "aten::__is__", "aten::__isnot__", "aten::len", "aten::dim", "aten::size",
    "aten::eq", "aten::ne", "aten::append",
}  # fmt: skip
"""What scripted programs do beside computing, and what nothing is left of once shapes are known."""


def found_whole(program: Any, inputs: Sequence[Inputs], folder: Path, sets: int | None = None) -> dict[str, Any]:
    """What a process without PyTorch says of a ScriptModule: no fallback, and PyTorch's results.

    PyTorch itself runs so many `sets` of inputs, one at least: a trace may have fixed the size of its example.
    """
    folder.mkdir()
    accepted = export(program, inputs, folder)
    assert accepted >= 1
    assert sets is None or accepted == sets
    found = outcome(folder)
    assert not found["torch"]
    assert found["problems"] == []
    assert found["fallbacks"] == []
    return found
