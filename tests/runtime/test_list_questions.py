"""What programs ask of all numbers of a list is answered in native code, whatever tells its length."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

import optc
from optc import Tensor
from optc.errors import ExecutionError


def distinct(x: Tensor, count: int) -> list[int]:
    found: list[int] = []
    for i in range(count):
        number = int(x[i % x.size(0)])
        if number not in found:
            found.append(number)
    return found


def until_stopped(x: Tensor, count: int, stops: list[int]) -> tuple[list[int], bool]:
    tokens: list[int] = []
    for i in range(count):
        tokens.append(int(x[i % x.size(0)]))
        if tokens[-1] in stops:
            return tokens, True
    return tokens, False


def extremes_of_ints(x: Tensor, count: int) -> tuple[int, int, int, list[int]]:
    numbers: list[int] = []
    for i in range(count):
        numbers.append(int(x[i % x.size(0)]))
    return max(numbers), min(numbers), sum(numbers), sorted(numbers)


def extremes_of_floats(x: Tensor, count: int) -> tuple[float, float, float]:
    numbers: list[float] = []
    for i in range(count):
        numbers.append(float(x[i % x.size(0)]))
    return max(numbers), min(numbers), sum(numbers)


def sorted_and_searched(x: Tensor, count: int) -> tuple[int, int, list[int]]:
    numbers = [int(x[0])]
    for i in range(count):
        numbers.append(int(x[i % x.size(0)]) + i)
    numbers.sort(reverse=True)
    first = numbers.index(2)
    numbers.remove(2)
    return first, numbers.count(3), numbers


PROGRAMS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "distinct": (distinct, ()),
    "until_stopped": (until_stopped, ([7, 2],)),
    "extremes_of_ints": (extremes_of_ints, ()),
    "extremes_of_floats": (extremes_of_floats, ()),
    "sorted_and_searched": (sorted_and_searched, ()),
}
NUMBERS = {
    "numbers": [3.0, -1.0, 2.0, 3.0, 0.5],
    "zeros of both signs": [-0.0, 0.0],
    "what is no number first": [math.nan, 1.0, -math.inf],
    "what is no number later": [1.0, math.nan, 2.0],
    "the least numbers": [-math.inf, math.nan],
}


def outcome(program: Callable[..., Any], *arguments: Any) -> str:
    try:
        return repr(program(*arguments))  # tells zeros of both signs apart
    except ExecutionError as error:
        return str(error).splitlines()[-1]


CASES = [(name, "numbers") for name in PROGRAMS] + [("extremes_of_floats", numbers) for numbers in NUMBERS]


@pytest.mark.parametrize(("name", "numbers"), CASES)
def test_answers_are_those_of_the_interpreter(name: str, numbers: str) -> None:
    program, rest = PROGRAMS[name]
    scripted = optc.jit.script(program)
    fast = optc.compile(scripted, fallback="error")
    x = optc.tensor(NUMBERS[numbers])
    for count in (3, 8, 1, 0):
        assert outcome(fast, x, count, *rest) == outcome(scripted, x, count, *rest)


def among(x: Tensor, numbers: list[float]) -> tuple[bool, int, float, float]:
    mine = [float(x[0]), float(x[1])] + numbers
    return float(x[1]) in numbers, mine.count(0.5), max(mine), sum(numbers)


def test_lists_that_are_written_down_answer_too() -> None:
    scripted = optc.jit.script(among)
    fast = optc.compile(scripted, fallback="error")
    for numbers in ([0.5, 1e16, 1.0, -1e16], [-1.0], [0.25, 0.5]):
        assert fast(optc.tensor([0.5, 0.25]), numbers) == scripted(optc.tensor([0.5, 0.25]), numbers)
