"""Lists whose length only running tells, changed in every way that lists change, live in native memory."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

import optc as torch
from optc import Tensor
from optc.errors import ExecutionError


def best_path(emissions: Tensor, transitions: Tensor) -> tuple[Tensor, Tensor]:
    score = emissions[0]
    back: list[Tensor] = []
    for t in range(1, emissions.size(0)):
        best, index = (score.unsqueeze(1) + transitions).max(0)
        score = best + emissions[t]
        back.append(index)
    last = int(score.argmax())
    path = [last]
    for t in range(len(back) - 1, -1, -1):
        last = int(back[t][last])
        path.append(last)
    path.reverse()
    return torch.tensor(path), score.max()


def knapsack(weights: list[int], values: list[int], capacity: int) -> tuple[int, Tensor]:
    best = [0] * (capacity + 1)
    for i in range(len(weights)):
        for c in range(capacity, weights[i] - 1, -1):
            best[c] = max(best[c], best[c - weights[i]] + values[i])
    return best[-1], torch.tensor(best)


def stack_machine(x: Tensor) -> tuple[Tensor, int]:
    stack: list[float] = []
    for i in range(x.size(0)):
        value = float(x[i])
        if value > 0 or len(stack) == 0:
            stack.append(value)
        else:
            stack.append(stack.pop() + value)
    return torch.tensor(stack), len(stack)


def breadth_first(edges: Tensor, limit: int) -> Tensor:
    queue: list[int] = [0]
    seen: list[int] = []
    while len(queue) > 0 and len(seen) < limit:
        node = queue.pop(0)
        seen.append(node)
        for j in range(edges.size(1)):
            if bool(edges[node % edges.size(0), j] > 0.5):
                queue.append(j)
    return torch.tensor(seen)


def last_three(x: Tensor, n: int) -> Tensor:
    held: list[Tensor] = [x]
    for _ in range(n):
        held.append(held[-1] * 0.5)
        held = held[-3:]
    return torch.stack(held)


def joined(x: Tensor, n: int) -> tuple[Tensor, int]:
    rows: list[Tensor] = []
    for i in range(n):
        rows = rows + [x * i]
    return torch.stack(rows[::-1]), len(rows)


def primes(n: int) -> Tensor:
    is_prime = [True] * n
    i = 2
    while i * i < n:
        if is_prime[i]:
            for j in range(i * i, n, i):
                is_prime[j] = False
        i += 1
    found: list[int] = []
    for k in range(2, n):
        if is_prime[k]:
            found.append(k)
    return torch.tensor(found)


def insertion_sort(x: Tensor, at: int) -> Tensor:
    held: list[float] = []
    for i in range(x.size(0)):
        value = float(x[i])
        place = 0
        while place < len(held) and held[place] < value:
            place += 1
        held.insert(place, value)
    held.insert(at, 100.0)
    del held[1]
    held.pop(at)
    return torch.tensor(held)


def changed_at(x: Tensor, n: int, at: int) -> Tensor:
    held: list[float] = []
    for i in range(n):
        held.append(float(x[i]))
    held[at] = 7.0
    return torch.tensor(held)


def emptied(x: Tensor, n: int) -> Tensor:
    held: list[float] = []
    for i in range(n):
        held.append(float(x[i]))
    for _ in range(3):
        held.pop()
    for i in range(6):
        held.append(float(i))
    return torch.tensor(held)


def counted(n: Tensor) -> tuple[list[int], list[float], dict[str, list[bool]]]:
    squares: list[int] = []
    halves: list[float] = []
    parities: list[bool] = []
    i = 0
    while i < int(n):
        squares.append(i * i)
        halves.append(i / 2)
        parities.append(i % 2 == 0)
        i += 1
    return squares, halves, {"even": parities}


def states(x: Tensor, limit: float) -> tuple[list[Tensor], int]:
    found: list[Tensor] = []
    while bool(x.sum() < limit):
        x = x * 2
        found.append(x)
    return found, len(found)


def symbols(best: Tensor) -> list[list[int]]:
    found: list[list[int]] = []
    for row in range(best.size(0)):
        kept: list[int] = []
        for column in range(best.size(1)):
            number = int(best[row, column])
            if number != 0:
                kept.append(number)
        found.append(kept)
    return found


def numbers(x: Tensor) -> list[float]:
    chosen: list[float] = x[x > 0.5].tolist()
    return chosen


class Match(NamedTuple):
    place: int
    score: Tensor


def matches(x: Tensor, least: float) -> tuple[list[Match], int]:
    found: list[Match] = []
    total = 0
    for i in range(x.size(0)):
        if bool(x[i].sum() > least):
            found.append(Match(i, x[i] * 2))
    for match in found:
        total += match.place * int(match.score.sum() > 2)
    return found, total


def shortest(costs: Tensor) -> list[tuple[int, int]]:
    path: list[tuple[int, int]] = []
    i, j = costs.size(0) - 1, costs.size(1) - 1
    while i > 0 and j > 0:
        path.append((i, j))
        if bool(costs[i - 1, j] < costs[i, j - 1]):
            i -= 1
        else:
            j -= 1
    path.reverse()
    return path[1:] + [(i, j)]


def in_order(edges: Tensor) -> list[int]:
    count = edges.size(0)
    waiting = [int(number) for number in edges.sum(0)]  # sums over [0], which is also a stack of one element
    order: list[int] = []
    stack: list[int] = []
    for i in range(count):
        if waiting[i] == 0:
            stack.append(i)
    while len(stack) > 0:
        node = stack.pop()
        order.append(node)
        for other in range(count):
            if bool(edges[node, other] > 0):
                waiting[other] -= 1
                if waiting[other] == 0:
                    stack.append(other)
    return order


def chosen(boxes: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, int]:
    found: list[Tensor] = []
    for label in range(classes):
        mine = boxes[labels == label]
        if mine.size(0) > 0:
            found.append(torch.cat([mine, torch.full((mine.size(0), 1), float(label))], 1))
    return torch.cat(found), len(found)


def present(x: Tensor, y: Tensor) -> tuple[list[Tensor], list[tuple[int, float]], Tensor]:
    found = [x]
    numbered: list[tuple[int, float]] = []
    pieces = [x]
    if bool(y.sum() > 1):
        found.append(y)
        numbered.append((len(found), 0.5))
        pieces.append(torch.cat([y, y]))
    return found, numbered, torch.cat(pieces)


CALLS: list[tuple[Callable[..., Any], list[tuple[Any, ...]]]] = [
    (best_path, [(torch.rand(rows, 5), torch.rand(5, 5)) for rows in (6, 7, 9)]),
    (knapsack, [([1, 3, 4, 5], [1, 4, 5, 7], capacity) for capacity in (7, 8, 3)]),
    (stack_machine, [(torch.tensor([1.0, -2.0, 3.0, -1.0, -4.0, 2.0, 5.0][:n]),) for n in (7, 5, 2)]),
    (breadth_first, [(torch.rand(rows, 5), 6) for rows in (3, 4, 5)]),
    (last_three, [(torch.rand(3), n) for n in (1, 2, 5)]),
    (joined, [(torch.rand(3), n) for n in (2, 3, 9)]),
    (primes, [(n,) for n in (20, 3, 50)]),
    (insertion_sort, [(torch.rand(n), at) for n, at in ((5, 2), (7, -1), (3, -3), (4, 40 - 39))]),
    (changed_at, [(torch.rand(8), n, at) for n, at in ((5, 2), (7, -7), (8, 7), (3, -1))]),
    (emptied, [(torch.rand(8), n) for n in (3, 4, 8)]),
    (counted, [(torch.tensor(n),) for n in (5, 0, 300)]),
    (states, [(torch.rand(2, 3), limit) for limit in (20.0, 0.0, 100.0)]),
    (symbols, [(torch.randint(0, 3, (2, columns)),) for columns in (9, 6, 12)]),
    (matches, [(torch.rand(n, 3), least) for n, least in ((5, 1.0), (9, 1.5), (4, 9.0))]),
    (shortest, [(torch.rand(rows, 6),) for rows in (5, 7, 4)]),
    (in_order, [(torch.triu(torch.rand(n, n) > 0.5, 1).float(),) for n in (4, 5, 7)]),
    (chosen, [(torch.rand(n, 4), torch.randint(0, 5, (n,)), 5) for n in (20, 40, 6)]),
    (present, [(torch.rand(1, 2), torch.full((1, 2), number)) for number in (1.0, 0.0, 2.0)]),
    (numbers, [(torch.rand(n),) for n in (20, 30, 7)]),
]


@pytest.mark.parametrize(("program", "calls"), CALLS, ids=lambda value: getattr(value, "__name__", ""))
def test_changed_lists_are_native(program: Callable[..., Any], calls: list[tuple[Any, ...]]) -> None:
    scripted = torch.jit.script(program)
    fast = torch.compile(scripted, fallback="error")
    for arguments in calls:
        expected = scripted(*copy.deepcopy(arguments))
        assert str(fast(*copy.deepcopy(arguments))) == str(expected)
    assert len(fast.specializations) <= 2


@pytest.mark.parametrize(
    ("program", "arguments"),
    [(changed_at, (torch.rand(8), 4, 4)), (changed_at, (torch.rand(8), 4, -5)), (changed_at, (torch.rand(8), 0, 0)),
     (chosen, (torch.rand(3, 4), torch.full((3,), 9), 5)), (emptied, (torch.rand(8), 2)), (insertion_sort, (torch.rand(4), 9))],
)  # fmt: skip
def test_places_that_there_are_not_raise(program: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    scripted = torch.jit.script(program)
    fast = torch.compile(scripted, fallback="error")
    with pytest.raises(ExecutionError) as expected:
        scripted(*arguments)
    with pytest.raises(ExecutionError) as raised:
        fast(*arguments)
    assert str(raised.value) == str(expected.value)
