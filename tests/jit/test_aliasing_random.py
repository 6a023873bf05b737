"""Random programs that write to what has several names: Python runs them too, and says what is right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import optc
from tests.jit.aliasing_programs import random_program
from tests.jit.script_programs import load_text

pytestmark = pytest.mark.filterwarnings("ignore")


def plain(value: Any) -> Any:
    if isinstance(value, optc.Tensor):
        return value.tolist()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def outcome(program: Any) -> list[Any]:
    """The results for several arguments, and the tensors that were given, as numbers; or that the program raised.

    The second time the tensors of the list and of the dictionary are those that are passed by themselves too.
    """
    results: list[Any] = []
    for n, flag, is_shared in ((2, False, False), (3, True, True), (0, True, False), (2, False, True)):
        x, y = optc.arange(3.0) - 1, optc.ones(3)
        p = [x, y] if is_shared else [optc.zeros(3), optc.ones(3) * 2]
        d = {"a": y, "b": x} if is_shared else {"a": optc.ones(3) * 3, "b": optc.ones(3) * 4}
        try:
            result = program(x, y, list(p), [5, 6], dict(d), n, flag)
        except (LookupError, RuntimeError):
            results.append("raised")
            continue
        results.append(plain((result, x, y, p, list(d.values()))))
    return results


@pytest.mark.parametrize("seed", range(60))
def test_scripted_programs_compute_what_python_computes(seed: int, tmp_path: Path) -> None:
    program = load_text(random_program(seed), optc, tmp_path)["program"]
    assert outcome(optc.jit.script(program)) == outcome(program)


@pytest.mark.parametrize(
    "seed", [*range(100, 108), 3070, *(pytest.param(s, marks=pytest.mark.slow) for s in range(200, 260))]
)
def test_compiled_programs_compute_what_python_computes(seed: int, tmp_path: Path) -> None:
    program = load_text(random_program(seed), optc, tmp_path)["program"]
    assert outcome(optc.compile(optc.jit.script(program), fallback="allow")) == outcome(program)
