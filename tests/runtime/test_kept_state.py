"""State that may be None, a tuple or a list of tensors is native code's: taken apart when a call begins and ends."""

from __future__ import annotations

from typing import Any, List, NamedTuple, Optional, Tuple  # noqa: UP035  the script language takes both

import pytest

import optc
from optc import nn

Tensor = optc.Tensor


class OptionalState(nn.Module):
    """The second call reads what the first has assigned beside its state."""

    hidden: Optional[Tensor]  # noqa: UP045

    def __init__(self) -> None:
        super().__init__()
        self.hidden = None
        self.scale = 1.0

    def forward(self, x: Tensor, reset: bool = False) -> Tensor:
        if reset:
            self.hidden = None
        hidden = self.hidden
        if hidden is None:
            hidden = optc.zeros_like(x)
            self.scale = self.scale * 2
        hidden = optc.tanh(x * self.scale + hidden)
        self.hidden = hidden
        return hidden


class Pair(NamedTuple):
    hidden: Tensor
    cell: Optional[Tensor]  # noqa: UP045


class TupleState(nn.Module):
    state: Tuple[Tensor, int]  # noqa: UP006
    pair: Pair

    def __init__(self) -> None:
        super().__init__()
        self.state = (optc.zeros(2), 0)
        self.pair = Pair(optc.ones(2), None)

    def forward(self, x: Tensor) -> Tuple[Tensor, int, Pair]:  # noqa: UP006
        total, count = self.state
        self.state = (total + x, count + 1)
        cell = self.pair.cell
        self.pair = Pair(self.pair.hidden * 2, x if cell is None else cell + x)
        return self.state[0], self.state[1], self.pair


class ListState(nn.Module):
    state: Optional[List[Tensor]]  # noqa: UP006, UP045

    def __init__(self) -> None:
        super().__init__()
        self.state = None

    def forward(self, x: Tensor) -> Tensor:
        state = self.state
        state = [x, x + 1] if state is None else [each + x for each in state]
        self.state = state
        return state[0] * state[1]


class ChangedInPlace(nn.Module):
    state: Optional[Tensor]  # noqa: UP045

    def __init__(self) -> None:
        super().__init__()
        self.state = optc.zeros(2)

    def forward(self, x: Tensor) -> Tensor:
        state = self.state
        if state is None:
            state = optc.zeros_like(x)
        state.add_(x)
        self.state = state
        return state * 2


class GrowingState(nn.Module):
    state: List[Tensor]  # noqa: UP006

    def __init__(self) -> None:
        super().__init__()
        self.state = [optc.zeros(2)]

    def forward(self, x: Tensor) -> Tensor:
        self.state = [*self.state, x] if False else self.state + [x]
        return optc.stack(self.state).sum(0)


def flat(value: Any) -> list[Any]:
    if isinstance(value, tuple | list):
        return [leaf for item in value for leaf in flat(item)]
    return value.tolist() if isinstance(value, Tensor) else [value]


def pair_of(class_: Any, fallback: str = "error") -> tuple[Any, Any, Any]:
    """A scripted module, another one, and that one compiled."""
    scripted, other = optc.jit.script(class_()), optc.jit.script(class_())
    return scripted, other, optc.compile(other, fallback=fallback)


@pytest.mark.parametrize("class_", [OptionalState, TupleState, ListState])
def test_calls_one_after_the_other(class_: Any) -> None:
    scripted, other, fast = pair_of(class_)
    for number in range(4):
        x = optc.ones(2) * (number + 1) / 4
        assert flat(fast(x)) == pytest.approx(flat(scripted(x)))
        for name in ("hidden", "scale", "state", "pair"):
            if hasattr(scripted, name):
                assert flat(getattr(other, name)) == pytest.approx(flat(getattr(scripted, name)))
    assert len(fast.specializations) <= 2, "one for the first call, one for all others"
    assert not fast.fallbacks


def test_state_that_becomes_none_again() -> None:
    scripted, other, fast = pair_of(OptionalState)
    x = optc.ones(2)
    for reset in (False, False, True, False):
        assert flat(fast(x, reset)) == pytest.approx(flat(scripted(x, reset)))
    scripted.hidden = other.hidden = None
    assert flat(fast(x)) == pytest.approx(flat(scripted(x)))
    assert other.scale == scripted.scale == 8.0
    assert type(TupleState().pair) is Pair


def test_named_tuples_stay_named() -> None:
    _, other, fast = pair_of(TupleState)
    fast(optc.ones(2))
    assert other.pair.cell.tolist() == [1.0, 1.0]


def test_a_tensor_that_is_changed_in_place_stays_the_same_object() -> None:
    scripted, other, fast = pair_of(ChangedInPlace)
    held = other.state
    for _ in range(3):
        assert fast(optc.ones(2)).tolist() == scripted(optc.ones(2)).tolist()
    assert other.state is held
    assert held.tolist() == [3.0, 3.0]


def test_a_list_that_grows_is_left_to_the_interpreter() -> None:
    scripted, _, fast = pair_of(GrowingState, fallback="allow")
    for _ in range(3):
        assert fast(optc.ones(2)).tolist() == scripted(optc.ones(2)).tolist()
    assert any("number of elements" in str(fallback) for fallback in fast.fallbacks)
