"""Numbers and flags in attributes that decide what shapes there are: versions are made for their values, not too many."""

from __future__ import annotations

import copy
from typing import Any

import pytest

import optc
from optc import nn
from optc.runtime.shapes import NUMBERS_LIMIT

Tensor = optc.Tensor


class Stream(nn.Module):
    """Makes the end of the last input anew when the number of streams, or the rate, is another one than before."""

    def __init__(self) -> None:
        super().__init__()
        self.context = optc.zeros(0)
        self.last_rate = 0
        self.last_count = 0

    @optc.jit.export
    def reset(self, count: int) -> None:
        self.context = optc.zeros(count, 2)
        self.last_rate = 0
        self.last_count = 0

    def forward(self, x: Tensor, rate: int) -> Tensor:
        if self.last_count != x.size(0) or (self.last_rate != 0 and self.last_rate != rate):
            self.reset(x.size(0))
        both = optc.cat([self.context, x], 1)
        self.context = both[..., -2:]
        self.last_rate = rate
        self.last_count = x.size(0)
        return both.cumsum(1)


class Started(nn.Module):
    """A flag says whether the last input is there."""

    def __init__(self) -> None:
        super().__init__()
        self.started = False
        self.last = optc.zeros(0)

    def forward(self, x: Tensor) -> Tensor:
        if not self.started:
            self.last = optc.zeros_like(x)
            self.started = True
        change = optc.cat([self.last, x], 1)
        self.last = x * 2
        return change


class Counting(nn.Module):
    """What only a version for one number could compute natively: the rank follows from the count of calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for _ in range(self.calls % 3):
            y = y.unsqueeze(0)
        self.calls += 1
        return y * 2


class Marked(nn.Module):
    """Every call leaves the same numbers behind."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.mode = 0
        self.is_used = False

    def forward(self, x: Tensor) -> Tensor:
        y = x * (self.calls + self.mode)
        self.calls += 1
        self.mode = 7
        self.is_used = True
        return y


def twins(module: nn.Module) -> tuple[Any, Any]:
    """The module compiled, and another one like it for the interpreter."""
    scripted = optc.jit.script(module)
    return optc.compile(scripted, fallback="allow"), optc.jit.script(copy.deepcopy(module))


def agree(fast: Any, plain: Any, *arguments: Any) -> None:
    found, expected = fast(*arguments), plain(*arguments)
    assert found.shape == expected.shape and optc.allclose(found, expected)


def test_what_makes_its_state_anew_is_native() -> None:
    fast, plain = twins(Stream())
    for count, rate in ((2, 16), (2, 16), (2, 8), (2, 8), (3, 8), (3, 8), (2, 16), (2, 16)):
        agree(fast, plain, optc.rand(count, 4), rate)
    assert not any(made.fallbacks for made in fast.specializations)
    made = len(fast.specializations)
    for count, rate in ((2, 16), (2, 8), (2, 8), (2, 16)):
        agree(fast, plain, optc.rand(count, 4), rate)
    assert len(fast.specializations) <= made + 1


def test_calls_in_which_nothing_changes_take_the_native_entry() -> None:
    fast, plain = twins(Stream())
    x = optc.rand(2, 4)
    for _ in range(3):
        agree(fast, plain, x, 16)
    assert fast.specializations[-1].entry is not None
    made = len(fast.specializations)
    for _ in range(3):
        agree(fast, plain, x, 16)
    assert len(fast.specializations) == made


def test_flags_decide_ranks() -> None:
    fast, plain = twins(Started())
    for _ in range(4):
        agree(fast, plain, optc.rand(2, 3))
    assert not any(made.fallbacks for made in fast.specializations)


def test_a_number_that_always_changes_is_a_constant_only_so_often() -> None:
    fast, plain = twins(Counting())
    for _ in range(2 * NUMBERS_LIMIT):
        agree(fast, plain, optc.rand(2))
    assert len(fast.specializations) <= NUMBERS_LIMIT + 2


@pytest.mark.parametrize("calls", [1, 4])
def test_constants_become_state_in_the_native_entry(calls: int) -> None:
    scripted = optc.jit.script(Marked())
    fast, plain = optc.compile(scripted, fallback="error"), optc.jit.script(Marked())
    for _ in range(calls):
        agree(fast, plain, optc.ones(2))
    assert fast.specializations[-1].entry is not None
    assert (scripted.calls, scripted.mode, scripted.is_used) == (calls, 7, True)
