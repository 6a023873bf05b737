"""Random programs in which random nodes are islands, and programs that draw, print and fail, mean what they mean
interpreted."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest

import optc
from optc import interpreter
from optc.errors import ExecutionError
from optc.ir.graph import Node, Value
from optc.ir.types import STRING
from optc.passes import outline_islands
from optc.runtime.compiled import make_compiled
from tests.codegen.test_random_programs import SHAPES, Computation, arguments_for, random_function

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
            try:
                expected = interpreter.run(function, arguments)
            except ExecutionError as refused:  # memory is written that is read in another order
                with pytest.raises(ExecutionError) as raised:
                    compiled(*arguments)
                assert str(raised.value) == str(refused)
                continue
            for mine, theirs in zip(compiled(*arguments), expected, strict=True):
                text = f"seed {seed}: {function.graph}"
                np.testing.assert_allclose(mine._array, theirs._array, 2e-4, 2e-4, err_msg=text)
    native = compiled.specializations[-1].native
    return native is not None and bool(native.islands)


def test_programs_with_islands_mean_what_they_mean_interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sum(compare(seed, monkeypatch) for seed in range(12)) > 4


# Effects and errors --------------------------------------------------------------------------------------------------


@dataclass
class Acting(Computation):
    """Draws random numbers, prints, and takes rows that may not be there."""

    def compute(self) -> None:
        choose = self.choices.choice((super().compute, super().compute, self.draw, self.tell, self.take))
        choose()

    def draw(self) -> None:
        value, shape = self.pick()
        self.pool.append((self.insert("aten::rand_like", [value, *(self.none() for _ in range(5))]), shape))

    def tell(self) -> None:
        text = self.graph.insert_constant(f"statement {self.choices.randrange(1000)}", STRING)
        self.graph.insert("prim::Print", [text, self.count])

    def take(self) -> None:
        value, shape = self.pick()
        if shape:
            made = self.insert("aten::select", [value, self.number(0), self.count])
            self.pool.append((made, shape[1:]))


def outcome(call: Callable[[], Any], capsys: pytest.CaptureFixture[str]) -> tuple[Any, str, str, list[float]]:
    """Results, the error, what was printed, and the random numbers that come next."""
    optc.manual_seed(7)
    results, error = None, ""
    try:
        results = [item._array for item in call()]
    except ExecutionError as failure:
        error = str(failure)
    return results, error, capsys.readouterr().out, optc.rand(4).tolist()


def compare_effects(seed: int, capsys: pytest.CaptureFixture[str]) -> int:
    """How many calls failed where native code had to tell."""
    choices = random.Random(seed)
    shape = choices.choice(SHAPES)
    function = random_function(choices, shape, choices.randrange(2, 13), choices.choice((0.0, 0.2)), Acting)
    compiled: Any = make_compiled(function, None, dynamic=choices.random() < 0.4, fallback="allow", cache=False)
    failures = 0
    for turn in range(4):
        arguments = arguments_for(seed + turn, shape)
        expected = outcome(partial(interpreter.run, function, arguments), capsys)
        found = outcome(partial(compiled, *arguments), capsys)
        assert found[1:] == expected[1:], f"seed {seed}, turn {turn}: {function.graph}"
        for mine, theirs in zip(found[0] or (), expected[0] or (), strict=True):
            np.testing.assert_allclose(mine, theirs, 2e-4, 2e-4, err_msg=f"seed {seed}: {function.graph}")
        failures += bool(found[1]) and compiled.specializations[-1].native is not None
    return failures


def test_effects_happen_once_and_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert sum(compare_effects(seed, capsys) for seed in range(15)) > 2


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_many_programs_with_effects(part: int, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in range(50 * part + 1000, 50 * part + 1050):
        compare_effects(seed, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_many_programs_with_islands(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(50 * part + 1000, 50 * part + 1050):
        compare(seed, monkeypatch)
