"""Random programs: compiled they compute what Python computes, and their graphs and code are PyTorch's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import optc
import optc.jit
from optc.errors import ExecutionError
from tests.jit.both import canonical
from tests.jit.random_programs import random_program
from tests.jit.script_programs import load_text

pytestmark = pytest.mark.filterwarnings("ignore")


def outcome(program: Any) -> Any:
    """The results for several arguments as lists of numbers, or that the program raised."""
    results: list[Any] = []
    for n, flag, optional in ((3, False, False), (0, True, True), (2, False, True)):
        x, y = optc.arange(3.0) / 3 - 0.4, optc.ones(3) / 4
        try:
            first, number, tensors = program(x, y, n, flag, optc.ones(3) if optional else None)
        except (AssertionError, ExecutionError):
            results.append("raised")
            continue
        results.append((first.tolist(), number, [tensor.tolist() for tensor in tensors]))
    return results


@pytest.mark.parametrize("seed", range(60))
def test_compiled_programs_compute_what_python_computes(seed: int, tmp_path: Path) -> None:
    program = load_text(random_program(seed), optc, tmp_path)["program"]
    scripted = optc.jit.script(program)
    assert repr(outcome(scripted)) == repr(outcome(program))


@pytest.mark.peers
@pytest.mark.parametrize("seed", range(100, 160))
def test_graphs_and_code_equal_torchs(seed: int, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    texts = []
    for library in (optc, torch):
        function = library.jit.script(load_text(random_program(seed), library, tmp_path)["program"])
        graph = re.sub(r"# \S*?(\w+\.py|<string>):", r"# \1:", str(function.graph)).replace(
            "torch_program", "optc_program"
        )
        texts.append((canonical(graph, sources=True), function.code))
    assert texts[0] == texts[1]
