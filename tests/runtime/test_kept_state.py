"""State that may be None, a tuple or a list of tensors is native code's: taken apart when a call begins and ends."""

from __future__ import annotations

import copy
import sys
from typing import Any, Dict, List, NamedTuple, Optional, Tuple  # noqa: UP035  the script language takes both

import numpy as np
import pytest

import optc
from optc import nn
from optc.runtime.forms import FORMS_LIMIT

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
    if isinstance(value, dict):
        return [leaf for item in value.items() for leaf in flat(item)]
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


def test_a_list_that_grows_gets_a_version_for_every_length_as_long_as_these_are_few() -> None:
    scripted, other, fast = pair_of(GrowingState, fallback="allow")
    for _ in range(FORMS_LIMIT + 4):
        assert fast(optc.ones(2)).tolist() == scripted(optc.ones(2)).tolist()
        assert flat(other.state) == flat(scripted.state)
    assert not fast.specializations[FORMS_LIMIT - 1].fallbacks
    assert fast.fallbacks
    assert len(fast.specializations) == FORMS_LIMIT + 1
    scripted.state = other.state = []
    assert fast(optc.ones(2)).tolist() == scripted(optc.ones(2)).tolist()


class Mixed(NamedTuple):
    steps: int
    level: Tensor


class HeldInContainers(nn.Module):
    """What is in lists and dictionaries is state, however deep, and they stay the same objects."""

    named: Dict[str, Tensor]  # noqa: UP006
    counts: Dict[int, int]  # noqa: UP006
    queue: List[Tensor]  # noqa: UP006
    delays: List[float]  # noqa: UP006
    pairs: List[Mixed]  # noqa: UP006
    caches: List[Optional[Tensor]]  # noqa: UP006, UP045
    deep: Dict[str, List[Tensor]]  # noqa: UP006

    def __init__(self) -> None:
        super().__init__()
        self.named = {}
        self.counts = {0: 0, 1: 10}
        self.queue = []
        self.delays = [0.0, 0.5, 0.25]
        self.pairs = [Mixed(0, optc.zeros(2))]
        self.caches = [None, None]
        self.deep = {"a": [optc.zeros(2)]}
        self.place = 0


class Named(HeldInContainers):
    def forward(self, x: Tensor) -> Tensor:
        if "sum" not in self.named:
            self.named["sum"] = optc.zeros_like(x)
        self.named["sum"] = self.named["sum"] + x
        self.counts[1] += self.counts[0] + 1
        self.counts[0] += 1
        return self.named["sum"] * self.counts[1]


class Queue(HeldInContainers):
    def forward(self, x: Tensor) -> Tensor:
        if len(self.queue) == 0:
            for factor in range(3):
                self.queue.append(x * factor)
        return self.queue.pop(0)


class Delays(HeldInContainers):
    def forward(self, x: Tensor) -> Tensor:
        self.delays[self.place] = float(x.sum())
        self.place = (self.place + 1) % len(self.delays)
        total = 0.0
        for delay in self.delays:
            total += delay
        return x * total


class Pairs(HeldInContainers):
    def forward(self, x: Tensor) -> Tensor:
        last = self.pairs[-1]
        self.pairs.append(Mixed(last.steps + 1, last.level + x))
        if len(self.pairs) > 2:
            del self.pairs[0]
        return self.pairs[0].level * last.steps


class Caches(HeldInContainers):
    def forward(self, x: Tensor) -> Tensor:
        for place in range(2):
            cache = self.caches[place]
            if cache is not None:
                x = x + cache
            self.caches[place] = x * (place + 1)
        self.deep["a"][0].add_(x)
        self.deep["a"] = [self.deep["a"][0]]
        return x


@pytest.mark.parametrize("class_", [Named, Queue, Delays, Pairs, Caches])
def test_containers_are_taken_apart_as_they_are(class_: Any) -> None:
    scripted, other, fast = pair_of(class_)
    names = ("named", "counts", "queue", "delays", "pairs", "caches", "deep")
    held = {name: other._c.values[name] for name in names}
    for number in range(5):
        x = optc.ones(2) * (number + 1) / 4
        assert flat(fast(x)) == pytest.approx(flat(scripted(x)))
        for name in names:
            assert flat(getattr(other, name)) == pytest.approx(flat(getattr(scripted, name)))
            assert other._c.values[name] is held[name]
    assert len(fast.specializations) <= 4


class Pairwise(HeldInContainers):
    state: Optional[Tuple[Tensor, List[int]]]  # noqa: UP006, UP045

    def __init__(self) -> None:
        super().__init__()
        self.state = None

    def forward(self, x: Tensor) -> Tensor:
        state = self.state
        self.state = (x, [1]) if state is None else (state[0] + x, [state[1][0] + 1])
        return x * 2


@pytest.mark.parametrize(("class_", "is_fast"), [(Named, True), (Delays, True), (Pairwise, True), (Caches, False)])
def test_calls_that_find_the_same_form_go_straight_into_native_code(class_: Any, is_fast: bool) -> None:
    """Where a tensor in a container stays the same object, Python puts the container together."""
    scripted, other, fast = pair_of(class_)
    x = optc.ones(2)
    for _ in range(3):
        fast(x)
        scripted(x)
    slow: list[Any] = []
    fast._dispatch = lambda *arguments, dispatch=fast._dispatch: slow.append(1) or dispatch(*arguments)
    for _ in range(4):
        assert flat(fast(x)) == pytest.approx(flat(scripted(x)))
    assert len(slow) == (0 if is_fast else 4)
    for name in ("named", "counts", "delays", "caches", "deep", "state"):
        if hasattr(scripted, name):
            assert flat(getattr(other, name)) == pytest.approx(flat(getattr(scripted, name)))


def test_a_list_that_stays_may_become_shorter() -> None:
    _, other, fast = pair_of(Queue)
    queue = other._c.values["queue"]
    for _ in range(4):
        queue[:] = [optc.zeros(2), optc.ones(2), optc.ones(2)]
        assert fast(optc.ones(2)).tolist() == [0.0, 0.0]
        assert flat(queue) == [1.0] * 4


@pytest.mark.parametrize("class_", [Named, Delays, Pairwise])
def test_containers_that_native_code_puts_together_are_let_go(class_: Any) -> None:
    _, _, fast = pair_of(class_)
    x = optc.ones(2)
    for _ in range(4):
        fast(x)
    before = sys.getallocatedblocks()
    for _ in range(300):
        fast(x)
    assert sys.getallocatedblocks() - before < 100


class OneListTwice(nn.Module):
    rows: List[List[float]]  # noqa: UP006

    def __init__(self) -> None:
        super().__init__()
        self.rows = [[1.0], [1.0]]

    def forward(self, x: Tensor) -> Tensor:
        self.rows[0].append(2.0)
        return x * len(self.rows[1])


def test_a_list_that_is_twice_in_another_is_one() -> None:
    scripted, other, fast = pair_of(OneListTwice, fallback="allow")
    for module in (scripted, other):
        row = [3.0]
        module._c.values["rows"] = [row, row]
    for _ in range(2):
        assert fast(optc.ones(2)).tolist() == scripted(optc.ones(2)).tolist()
        assert flat(other.rows) == flat(scripted.rows)


@optc.jit.script
class Bounds:
    def __init__(self, low: int, factor: float):
        self.low = low
        self.factor = factor

    def limit(self, x: Tensor) -> Tensor:
        return optc.clamp(x * self.factor, min=self.low)


class MadeByTheFirstCall(nn.Module):
    """What torchvision's MultiScaleRoIAlign does with its LevelMapper."""

    bounds: Optional[Bounds]  # noqa: UP045

    def __init__(self) -> None:
        super().__init__()
        self.bounds = None

    def forward(self, x: Tensor) -> Tensor:
        if self.bounds is None:
            self.bounds = Bounds(x.size(0), 0.5)
        bounds = self.bounds
        assert bounds is not None
        return bounds.limit(x)

    @optc.jit.export
    def reset(self) -> None:
        self.bounds = None


class DroppedByTheFirstCall(nn.Module):
    bounds: Optional[Bounds]  # noqa: UP045

    def __init__(self) -> None:
        super().__init__()
        self.bounds = Bounds(1, 2.0)

    def forward(self, x: Tensor) -> Tensor:
        bounds = self.bounds
        if bounds is not None:
            x = bounds.limit(x)
        self.bounds = None
        if self.bounds is None:
            x = x + 100
        return x


@pytest.mark.parametrize("made", [MadeByTheFirstCall, DroppedByTheFirstCall])
def test_native_code_reads_an_object_that_an_earlier_call_has_made_or_none(made: Any) -> None:
    expected, module = optc.jit.script(made()), optc.jit.script(made())
    compiled = optc.compile(module, fallback="allow")
    x = optc.arange(3) * 4.0
    for _ in range(2):
        assert compiled(x).tolist() == expected(x).tolist()
    assert compiled.fallbacks == []
    assert compiled(x[:2]).tolist() == expected(x[:2]).tolist()


class FactorsOfTheFirstCall(nn.Module):
    factors: Optional[List[float]]  # noqa: UP006, UP045
    offset: Optional[Tensor]  # noqa: UP045

    def __init__(self) -> None:
        super().__init__()
        self.factors = None
        self.offset = None

    def forward(self, x: Tensor) -> Tensor:
        if self.factors is None or self.offset is None:
            self.factors = [float(x.size(0)), 2.0]
            self.offset = x * 2
        factors, offset = self.factors, self.offset
        assert factors is not None
        assert offset is not None
        for factor in factors:
            x = x * factor
        return x + offset.sum()

    @optc.jit.export
    def reset(self) -> None:
        self.factors = None


def test_numbers_and_tensors_that_were_made_anew_are_noticed() -> None:
    expected, module = optc.jit.script(FactorsOfTheFirstCall()), optc.jit.script(FactorsOfTheFirstCall())
    compiled = optc.compile(module, fallback="allow")
    for count in (3, 3, 2, 3, 3):
        x = optc.arange(count) + 1.0
        assert compiled(x).tolist() == expected(x).tolist()
        if count == 3:
            continue
        expected.reset()
        module.reset()
        assert compiled(optc.ones(5)).tolist() == expected(optc.ones(5)).tolist()


def test_an_object_that_is_gone_or_another_one_is_noticed() -> None:
    expected, module = optc.jit.script(MadeByTheFirstCall()), optc.jit.script(MadeByTheFirstCall())
    compiled = optc.compile(module, fallback="allow")
    expected(optc.ones(4))
    module(optc.ones(4))
    for count in (3, 3, 5, 3):
        x = optc.arange(count) * 4.0
        assert compiled(x).tolist() == expected(x).tolist()
        expected.reset()
        module.reset()
        assert compiled(optc.ones(2)).tolist() == expected(optc.ones(2)).tolist()


class Remembering(nn.Module):
    """Adds to a buffer, and keeps it and copies of it: only the copies stay as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", optc.zeros(3))
        self.before = (optc.zeros(3), optc.zeros(3))
        self.newest = [optc.zeros(3)]

    def forward(self, x):  # type: ignore[no-untyped-def]
        last = self.before[1] - self.newest[0]
        self.total.add_(x)
        self.before = (self.total, self.total.clone())
        self.newest = [self.total * 1]
        x.mul_(2)
        return x, x.clone(), last


def test_copies_of_what_is_written_are_other_memory() -> None:
    scripted = optc.jit.script(Remembering())
    fast = optc.compile(copy.deepcopy(scripted), fallback="error")
    held = fast._receiver.values
    for turn in range(4):
        given = optc.ones(3) * (turn + 1)
        expected = scripted(given.clone())
        found = fast(given)
        assert all(optc.equal(mine, other) for mine, other in zip(found, expected))
        assert found[0] is given and not np.shares_memory(found[1].numpy(), given.numpy())
        assert held["before"][0] is held["total"]
        for copied in (held["before"][1], held["newest"][0]):
            assert not np.shares_memory(copied.numpy(), held["total"].numpy())
