"""Modules that a number or a key among the arguments chooses: every one is compiled in a branch of its own."""

from __future__ import annotations

from typing import Any

import pytest

import optc
from optc import Tensor, nn


@optc.jit.interface
class Layer(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        pass


class Scale(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x + self.calls


class ByNumber(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Scale(2.0), Counting(), Scale(0.5)])

    def forward(self, x: Tensor, numbers: Tensor) -> Tensor:
        for i in range(numbers.size(0)):
            layer: Layer = self.layers[int(numbers[i])]
            x = layer.forward(layer.forward(x))
        return x


class ByKey(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({"twice": Scale(2.0), "count": Counting()})

    def forward(self, x: Tensor, key: str) -> Tensor:
        layer: Layer = self.layers[key]
        return layer.forward(x)


@pytest.mark.parametrize("numbers", [[0], [1, 0, 2], [-1, -2, -3, 1]])
def test_a_number_chooses(numbers: list[int]) -> None:
    expected, module = optc.jit.script(ByNumber()), optc.jit.script(ByNumber())
    fast = optc.compile(module, fallback="error")
    for _ in range(2):
        arguments = optc.ones(2), optc.tensor(numbers)
        assert fast(*arguments).tolist() == expected(*arguments).tolist()
    assert module._c.values["layers"].values["1"].values == expected._c.values["layers"].values["1"].values


@pytest.mark.parametrize("number", [3, -4])
def test_there_is_no_such_number(number: int) -> None:
    fast = optc.compile(optc.jit.script(ByNumber()), fallback="error")
    with pytest.raises(RuntimeError, match="list index out of range"):
        fast(optc.ones(2), optc.tensor([0, number]))


def test_a_key_chooses() -> None:
    expected, module = optc.jit.script(ByKey()), optc.jit.script(ByKey())
    fast = optc.compile(module, fallback="error")
    for key in ("twice", "count", "count", "twice"):
        assert fast(optc.ones(2), key).tolist() == expected(optc.ones(2), key).tolist()


def test_there_is_no_such_key() -> None:
    expected, module = optc.jit.script(ByKey()), optc.jit.script(ByKey())
    errors: list[Any] = []
    for called in (expected, optc.compile(module, fallback="error")):
        with pytest.raises(Exception, match="tripple") as caught:
            called(optc.ones(2), "tripple")
        errors.append(str(caught.value))
    assert errors[0] == errors[1]
