"""Lists that grow as the data says, compiled: tensors and numbers, in branches, in loops that stop early."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, List  # noqa: UP035 (scripts read List)

import numpy as np
import pytest

import optc
from optc import jit
from tests.codegen.test_loops import same, tensor


def while_large(x):
    found = []
    while x.sum() > 1.0:
        x = x * 0.7
        found.append(x)
    return optc.stack(found)


def some_turns(x, n: int):
    found = []
    for i in range(n):
        if i % 3 == 1:
            found.append(x * i)
    return optc.cat(found), len(found)


def until_break(x, n: int):
    found = []
    for _ in range(n):
        x = x * 0.9
        if x.sum() < 3.0:
            break
        found.append(x)
    return optc.stack(found, 1), found[-1]


def ints(x, n: int):
    squares: List[int] = []  # noqa: UP006
    for i in range(n):
        if i % 2 == 0:
            squares.append(i * i)
    total = 0
    for square in squares:
        total += square
    return x * total, len(squares), squares[-1]


def floats(x, n: int):
    found = [1.5]
    while found[-1] < 100.0:
        found.append(found[-1] * 1.7)
    return found[2], len(found)


def two_lists(x, n: int):
    positive = []
    other = []
    for i in range(n):
        if x[i].sum() > 0:
            positive.append(x[i])
        else:
            other.append(x[i])
    positive.append(x[0])
    other.append(x[1])
    return optc.stack(positive), optc.stack(other)


def nested(x, n: int):
    found = []
    for i in range(n):
        for j in range(i):
            found.append(x[i] * j)
    return optc.stack(found)


def late(x, n: int):
    found = []
    for i in range(n):
        if i > 5:
            found.append(x[i])
    return optc.stack(found)


def pairs(x, n: int):
    total = optc.zeros(4)
    for i, (a, b) in enumerate(zip([1, 2, n], [4, 5, 6, 7])):
        total = total + x * a * b * i
    return total


def folded(x, n: int):
    return x * min([1, n, 7]), max([n, 3]), sum([n, n, 2]), any([n > 3, n < -3]), all([n > 0, n < 100])


def indexed(x, n: int):
    items = [x, x * 2, x * 3]
    return items[n % 3], [5, 6, 7][n % 3], [1.5, 2.5][n % 2], items[-(n % 3)]


def arguments(xs: List[optc.Tensor], n: int):  # noqa: UP006
    total = xs[0] * 0
    for x in xs:
        total = total * 0.5 + x
    return total + xs[n]


def of_two_lengths(x, n: int):
    if n > 3:
        items = [x]
    else:
        items = [x, x * 2]
    items.append(x + n)
    return optc.cat(items), len(items), items[-1]


def last_two(x, n: int):
    said = [0, 0]
    score = x[0] * 0
    for _ in range(n):
        context = optc.tensor([said[-2:], said[:2]])
        score = x[context].sum([0, 1])
        said.append(int(score.argmax()))
    return score, said


def until_filled(x, n: int):
    held: List[optc.Tensor] = []  # noqa: UP006
    for i in range(n):
        for j in range(i):
            y = x + j
            if len(held) > 0:
                y = held[0] * 0.5 + held[-1]
            if i * j == 2:
                held = [y, x]
    return x if len(held) == 0 else held[0]


def two_places(x, n: int):
    first, second = (x > n).nonzero().unbind(0)
    return x[first], x[second], second - first


CASES: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (while_large, (tensor(100, shift=2.0),)),
    (while_large, (tensor(3, 4, shift=2.0),)),
    (some_turns, (tensor(5, 20), 17)),
    (until_break, (tensor(50, shift=1.0), 100)),
    (until_break, (tensor(50, shift=1.0), 9)),
    (ints, (tensor(3, 4), 9)),
    (floats, (tensor(3), 2)),
    (two_lists, (tensor(20, 30), 20)),
    (two_lists, (tensor(20, 3), 20)),
    (nested, (tensor(20, 30), 20)),
    (late, (tensor(20, 30), 20)),
    *((pairs, (tensor(4), n)) for n in (0, 3)),
    *((folded, (tensor(4), n)) for n in (-5, 0, 5)),
    *((indexed, (tensor(*shape), n)) for shape in ((4,), (40, 4)) for n in (0, 4, 5)),
    (arguments, ([tensor(4) for _ in range(20)], 3)),
    (two_places, (optc.tensor([1.0, 5.0, 2.0, 7.0]), 3)),
    (last_two, (tensor(5, 5), 20)),
    *((until_filled, (tensor(4), n)) for n in (2, 6)),
    *((of_two_lengths, (tensor(4), n)) for n in (0, 5)),
]


@pytest.mark.parametrize("dynamic", [None, True, False], ids=["default", "symbolic", "known"])
@pytest.mark.parametrize(("function", "arguments"), CASES, ids=[case[0].__name__ for case in CASES])
def test_lists_stay_native(function: Callable[..., Any], arguments: tuple[Any, ...], dynamic: bool | None) -> None:
    scripted = jit.script(function)
    compiled = optc.compile(scripted, fallback="error", dynamic=dynamic)
    expected = scripted(*arguments)
    for _ in range(3):
        assert same(compiled(*arguments), expected)


def test_rows_that_are_not_as_many_as_expected_fail_as_in_the_interpreter() -> None:
    compiled = optc.compile(jit.script(two_places), fallback="error")
    with pytest.raises(RuntimeError, match="Expected 2 elements in a list but found 3"):
        compiled(optc.tensor([4.0, 5.0, 6.0, 1.0]), 3)


def test_joining_nothing_fails_as_in_the_interpreter() -> None:
    scripted = jit.script(late)
    compiled = optc.compile(scripted, fallback="error")
    messages = []
    for program in (scripted, compiled):
        with pytest.raises(RuntimeError) as caught:
            program(tensor(20, 30), 3)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_appending_takes_the_same_time_however_long_the_list_is() -> None:
    def count(n: int):
        found = [0]
        for i in range(n):
            if i % 7 != 0:
                found.append(found[-1] + i)
        return found[-1]

    compiled = optc.compile(jit.script(count), fallback="error")
    expected = sum(i for i in range(200_000) if i % 7 != 0)
    assert compiled(1000) == sum(i for i in range(1000) if i % 7 != 0)
    started = time.perf_counter()
    assert compiled(200_000) == expected
    assert time.perf_counter() - started < 0.5  # copying the list every time would take minutes


def test_rows_that_a_branch_writes_are_written_in_place() -> None:
    def mark(x, n: int):
        t = optc.zeros(n, 1000)
        for i in range(n):
            if i % 2 == 0:
                t[i] = x
        return t

    compiled = optc.compile(jit.script(mark), fallback="error")
    x = tensor(1000)
    found = compiled(x, 2000).numpy()
    assert np.array_equal(found[::2], np.broadcast_to(x.numpy(), (1000, 1000))) and not found[1::2].any()
    started = time.perf_counter()
    compiled(x, 2000)
    assert time.perf_counter() - started < 0.5  # copying all rows every time would take seconds


@pytest.mark.parametrize("dynamic", [None, True], ids=["default", "symbolic"])
def test_places_in_a_tensor_split_natively(dynamic: bool | None) -> None:
    def parts(x, places):
        first, second, third = optc.tensor_split(x, places)
        return first * 2, second.sum(), third

    compiled = optc.compile(jit.script(parts), fallback="error", dynamic=dynamic)
    x = tensor(7, 3)
    for places in ([2, 5], [0, 7], [-2, 3], [5, 2], [9, -9]):
        given = optc.tensor(places)
        assert same(compiled(x, given), parts(x, given))
