"""Lists of lists that grow as the data says, and lists of tuples, compiled: read, returned, with errors."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, List, Tuple  # noqa: UP035 (scripts read List)

import numpy as np
import pytest

import optc
from optc import Tensor, jit
from tests.codegen.test_loops import same, tensor


def labels(scores, lengths):
    """What CTC decoding makes of the best labels: repetitions and blanks go."""
    found: List[List[int]] = []  # noqa: UP006
    for b in range(scores.size(0)):
        row: List[int] = []  # noqa: UP006
        last = 0
        for t in range(int(lengths[b])):
            label = int(scores[b, t].argmax())
            if label != 0 and label != last:
                row.append(label)
            last = label
        found.append(row)
    return found


def halves(x):
    found: List[List[float]] = []  # noqa: UP006
    for i in range(x.size(0)):
        row: List[float] = []  # noqa: UP006
        value = float(x[i])
        while value > 0.1:
            row.append(value)
            value = value * 0.5
        if len(row) > 0:
            found.append(row)
    return found, len(found)


def rows_of_tensors(x, n: int):
    found: List[List[Tensor]] = []  # noqa: UP006
    for i in range(n):
        row = [x * i]
        for j in range(i):
            row.append(x + j)
        found.append(row)
    return found


def pairs_in_lists(x, n: int):
    found: List[List[Tuple[int, Tensor]]] = []  # noqa: UP006
    for i in range(n):
        row: List[Tuple[int, Tensor]] = []  # noqa: UP006
        for j in range(i):
            row.append((i * j, x * j))
        found.append(row)
    return found


def largest(x, n: int):
    found: List[List[int]] = []  # noqa: UP006
    for i in range(n):
        row: List[int] = x[i % x.size(0)].topk(2)[1].tolist()  # noqa: UP006
        found.append(row)
    return found


def breadth_first(edges, n: int, first: int):
    neighbours: List[List[int]] = []  # noqa: UP006
    for i in range(n):
        row: List[int] = []  # noqa: UP006
        for e in range(edges.size(0)):
            if int(edges[e, 0]) == i:
                row.append(int(edges[e, 1]))
        neighbours.append(row)
    distances = [-1] * n
    distances[first] = 0
    queue = [first]
    place = 0
    while place < len(queue):
        at = queue[place]
        place += 1
        for other in neighbours[at]:
            if distances[other] < 0:
                distances[other] = distances[at] + 1
                queue.append(other)
    return distances


def counted_from_the_end(x, n: int):
    found: List[List[int]] = []  # noqa: UP006
    for i in range(x.size(0)):
        row: List[int] = []  # noqa: UP006
        for j in range(x.size(1)):
            if bool(x[i, j] > 0):
                row.append(j)
        found.append(row)
    total = 0
    for row in found:
        for j in row:
            total += j
        total *= 2
    return total + len(found[n]) + len(found[-1])


GENERATOR = np.random.default_rng(0)
SCORES = optc.from_numpy(GENERATOR.standard_normal((6, 9, 4), np.float32))
EDGES = optc.from_numpy(GENERATOR.integers(0, 8, (14, 2)))
SIGNS = optc.from_numpy(GENERATOR.standard_normal((5, 9), np.float32))
CASES: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (labels, (SCORES, optc.tensor([9, 8, 0, 5, 1, 9]))),
    (labels, (SCORES[:0], optc.tensor([9, 8, 0, 5, 1, 9]))),
    (halves, (tensor(8),)),
    (halves, (-tensor(8).abs(),)),
    *((rows_of_tensors, (tensor(3), n)) for n in (0, 5)),
    *((pairs_in_lists, (tensor(3), n)) for n in (0, 5)),
    (largest, (SIGNS, 9)),
    *((breadth_first, (EDGES, 8, first)) for first in (0, 3)),
    *((counted_from_the_end, (SIGNS, n)) for n in (0, 4, -1, -5)),
]


@pytest.mark.parametrize("dynamic", [None, True], ids=["default", "symbolic"])
@pytest.mark.parametrize(("function", "arguments"), CASES, ids=[case[0].__name__ for case in CASES])
def test_lists_of_lists_stay_native(
    function: Callable[..., Any], arguments: tuple[Any, ...], dynamic: bool | None
) -> None:
    scripted = jit.script(function)
    compiled = optc.compile(scripted, fallback="error", dynamic=dynamic)
    expected = scripted(*arguments)
    for _ in range(3):
        assert same(compiled(*arguments), expected)


@pytest.mark.parametrize("place", [5, -6])
def test_a_list_that_there_is_not_fails_as_in_the_interpreter(place: int) -> None:
    scripted = jit.script(counted_from_the_end)
    compiled = optc.compile(scripted, fallback="error")
    for program in (scripted, compiled):
        with pytest.raises(RuntimeError, match="list index out of range"):
            program(SIGNS, place)


def test_another_list_takes_the_same_time_however_many_there_are() -> None:
    def windows(n: int):
        found: List[List[int]] = []  # noqa: UP006
        for i in range(n):
            row: List[int] = []  # noqa: UP006
            for j in range(i % 5):
                row.append(i + j)
            found.append(row)
        return len(found[n - 1])

    compiled = optc.compile(jit.script(windows), fallback="error")
    assert compiled(9) == 3
    started = time.perf_counter()
    assert compiled(100_000) == 99_999 % 5
    assert time.perf_counter() - started < 0.5  # copying all items every time would take minutes
