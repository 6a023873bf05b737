"""Containers and arguments that a compiled program writes: they hold afterwards what the script left in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optc
from optc import Tensor, nn


class Containers(nn.Module):
    numbers: list[int]
    table: dict[str, int]
    tensors: list[Tensor]
    named: dict[str, Tensor]
    maybe: Tensor | None
    nested: list[list[int]]

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.numbers = [1]
        self.table = {"a": 1}
        self.tensors = [optc.zeros(2)]
        self.named = {"a": optc.zeros(2)}
        self.maybe = None
        self.text = ""
        self.pair = (0, optc.zeros(2))
        self.nested = [[1], [2, 3]]
        self.packed = (0, [1])
        self.register_buffer("seen", optc.zeros(2))


class Numbers(Containers):
    def forward(self, x: Tensor) -> Tensor:
        self.count += 1
        self.numbers.append(self.count)
        return x * self.numbers[-1] + len(self.numbers)


class Sometimes(Containers):
    def forward(self, x: Tensor) -> Tensor:
        if float(x.sum()) > 3.0:
            self.numbers.append(7)
            self.numbers[0] += 1
        else:
            self.numbers.clear()
            self.numbers.extend([4, 5])
        return x + self.numbers[0]


class Table(Containers):
    def forward(self, x: Tensor) -> Tensor:
        self.table["a"] += 2
        self.table[str(len(self.table))] = self.table["a"]
        return x * self.table["a"]


class Tensors(Containers):
    def forward(self, x: Tensor) -> Tensor:
        self.tensors.append(x + 1)
        self.tensors[0].add_(x)
        self.seen.add_(self.tensors[-1])
        return self.tensors[0] + len(self.tensors)


class Named(Containers):
    def forward(self, x: Tensor) -> Tensor:
        self.named["a"].add_(x)
        self.named["b"] = self.named["a"] * 2
        return self.named["b"]


class Rebound(Containers):
    def forward(self, x: Tensor) -> Tensor:
        before = self.maybe
        self.maybe = x * 2 if before is None else before + x
        self.text = self.text + "a"
        self.pair = (self.pair[0] + 1, self.pair[1] + x)
        self.numbers = [len(self.text), self.pair[0]]
        return self.pair[1] * self.numbers[0]


class Nested(Containers):
    def forward(self, x: Tensor) -> Tensor:
        self.nested[1].append(len(self.nested))
        self.nested.append([9])
        return x + len(self.nested[1])


class InTuple(Containers):
    def forward(self, x: Tensor) -> Tensor:
        self.packed[1].append(5)
        return x + len(self.packed[1])


class Extended(Containers):
    def forward(self, x: Tensor) -> Tensor:
        self.seen += x
        self.numbers += [len(self.numbers)]
        self.numbers *= 2
        self.table.setdefault("b", self.numbers[-1])
        return self.seen + self.numbers[1] + self.table.pop("c", 3)


def plain(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.tolist()
    if isinstance(value, list | tuple):
        return type(value)(map(plain, value))
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("made", [Numbers, Sometimes, Table, Tensors, Named, Rebound, Nested, InTuple, Extended])
def test_attributes_hold_what_the_script_leaves_in_them(made: type[Containers]) -> None:
    ours, theirs = optc.jit.script(made()), optc.jit.script(made())
    fast = optc.compile(ours)
    for step in range(4):
        x = optc.full((2,), float(step))
        assert fast(x).tolist() == theirs(x).tolist()
        for name in (
            "count",
            "numbers",
            "table",
            "tensors",
            "named",
            "maybe",
            "text",
            "pair",
            "nested",
            "packed",
            "seen",
        ):
            assert plain(getattr(ours, name)) == plain(getattr(theirs, name)), name


def grown(x: Tensor) -> Tensor:
    x.add_(1)
    return x


def grown_in_a_tuple(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    x.mul_(2)
    y.add_(x)
    return y, x + 1, x


def test_a_result_that_is_a_written_argument_is_that_object() -> None:
    fast = optc.compile(optc.jit.script(grown), fallback="error")
    for _ in range(3):
        for x in (optc.ones(2, 3), np.ones(3, np.float32)):
            result = fast(x)
            assert result is x
            assert x.tolist() == grown(optc.ones(*x.shape)).tolist()


def test_written_arguments_are_results_wherever_they_stand() -> None:
    fast = optc.compile(optc.jit.script(grown_in_a_tuple), fallback="error")
    for _ in range(3):
        x, y = optc.ones(2), optc.ones(2)
        first, second, third = fast(x, y)
        assert first is y and third is x
        assert (x.tolist(), y.tolist(), second.tolist()) == ([2.0, 2.0], [3.0, 3.0], [3.0, 3.0])


class Counted(nn.Module):
    def __init__(self, seen: Tensor) -> None:
        super().__init__()
        self.register_buffer("seen", seen)

    def forward(self, x: Tensor) -> Tensor:
        self.seen += x
        return self.seen * 2


class Pair(nn.Module):
    def __init__(self, first: Tensor, second: Tensor) -> None:
        super().__init__()
        self.first, self.second = Counted(first), Counted(second)

    def forward(self, x: Tensor) -> Tensor:
        return self.first(x) + self.second(x)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("shared", ["one tensor", "one memory"])
def test_modules_that_share_a_buffer_see_what_each_other_adds(shared: str) -> None:
    seen = optc.zeros(2)
    fast = optc.compile(optc.jit.script(Pair(seen, seen if shared == "one tensor" else seen.view(2))))
    assert [fast(optc.ones(2)).tolist() for _ in range(3)] == [[6.0] * 2, [14.0] * 2, [22.0] * 2]


class Stepping(nn.Module):
    """What one method adds to a tensor, another reads where else it is."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", optc.zeros(2))
        self.register_buffer("view", self.total.view(2))
        self.inner = Reading(self.total)

    @optc.jit.export
    def step(self) -> Tensor:
        self.total += 1
        return self.inner.total + self.view

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) * 2 + self.view * 3


class Reading(nn.Module):
    def __init__(self, total: Tensor) -> None:
        super().__init__()
        self.register_buffer("total", total)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.total


@pytest.mark.filterwarnings("ignore")
def test_what_another_method_adds_is_seen_wherever_the_tensor_is() -> None:
    module = optc.jit.script(Stepping())
    fast = optc.compile(module)
    seen = []
    for _ in range(3):
        seen.append(fast(optc.zeros(2)).tolist())
        module.step()
    assert seen == [[0.0] * 2, [5.0] * 2, [10.0] * 2]


class Switched(Containers):
    """Some calls change what others only read."""

    def forward(self, x: Tensor, change: bool = True, mode: str = "", by: Tensor | None = None) -> Tensor:
        if change:
            self.count += 1
            self.numbers.append(self.count)
            self.table["a"] += 1
            self.tensors.append(x)
            self.text += "a"
            self.pair = (self.count, x)
            self.seen += x
        if by is not None:
            self.count += 10
            self.maybe = by
        if mode == "reset":
            self.count = 0
        maybe = self.maybe
        y = x + self.seen + self.count + self.numbers[-1] * self.table["a"] + len(self.text) + self.pair[0]
        return y if maybe is None else y + maybe + self.tensors[-1]


@pytest.mark.filterwarnings("ignore")
def test_calls_that_only_read_see_what_others_have_changed() -> None:
    theirs = optc.jit.script(Switched())
    fast = optc.compile(optc.jit.script(Switched()))
    x = optc.ones(2)
    calls: list[tuple[Any, ...]] = [
        (x, False), (x, True), (x, False), (x, False, "reset"), (x, False), (x, False, "", x), (x, False), (x, True),
        (x, False), (x, False, "other"),
    ]  # fmt: skip
    for arguments in calls:
        assert fast(*arguments).tolist() == theirs(*arguments).tolist(), arguments[1:]
