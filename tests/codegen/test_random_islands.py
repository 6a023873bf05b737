"""Random programs in which random nodes are islands, alone or with their neighbours, mean what they mean interpreted."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from optc import interpreter
from optc.ir.graph import Node, Value
from optc.passes import outline_islands
from optc.runtime.compiled import make_compiled
from tests.codegen.test_random_programs import SHAPES, arguments_for, random_function

_NATIVE = ("prim::Constant", "prim::Dim", "prim::Uninitialized", "prim::RaiseException", "prim::Island")


def hide_some(choices: random.Random, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some nodes have no native form, and some values are taken for something that only Python can hold."""
    rate, hidden = choices.choice((0.1, 0.3, 0.7)), choices.choice((0.0, 0.0, 0.15, 0.4))
    chosen: dict[Node | Value, bool] = {}
    is_native = outline_islands._is_native

    def reason(node: Node) -> str | None:
        is_free = node.kind not in _NATIVE
        return "chosen" if is_free and chosen.setdefault(node, choices.random() < rate) else None

    def native(value: Value) -> bool:
        is_free = not value.is_parameter
        return is_native(value) and not (is_free and chosen.setdefault(value, choices.random() < hidden))

    monkeypatch.setattr(outline_islands, "reason_of", reason)
    monkeypatch.setattr(outline_islands, "_is_native", native)


def compare(seed: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """True where the program had islands."""
    choices = random.Random(seed)
    with monkeypatch.context() as patched:
        hide_some(choices, patched)
        shape = choices.choice(SHAPES)
        function = random_function(choices, shape, choices.randrange(1, 13), choices.choice((0.0, 0.2)))
        compiled: Any = make_compiled(
            function, None, dynamic=choices.random() < 0.4, fallback="allow", cache=False
        )  # fmt: skip
        for turn in range(2):
            arguments = arguments_for(seed + turn, shape)
            expected = interpreter.run(function, arguments)
            for mine, theirs in zip(compiled(*arguments), expected, strict=True):
                text = f"seed {seed}: {function.graph}"
                np.testing.assert_allclose(mine._array, theirs._array, 2e-4, 2e-4, err_msg=text)
    native = compiled.specializations[-1].native
    return native is not None and bool(native.islands)


def test_programs_with_islands_mean_what_they_mean_interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sum(compare(seed, monkeypatch) for seed in range(12)) > 4


@pytest.mark.slow
@pytest.mark.parametrize("part", range(20))
def test_many_programs_with_islands(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(50 * part + 1000, 50 * part + 1050):
        compare(seed, monkeypatch)
