"""Lists whose elements are of several types: compiled programs ask of each element what it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, List, Optional, Union  # noqa: UP035  the script language takes both

import pytest

import optc


def numbers(items: List[Union[int, float]], place: int):  # noqa: UP006, UP007
    total = 0
    for item in items:
        if isinstance(item, int):
            total += item
        else:
            total += int(item * 2) * 100
    one = items[place]
    if isinstance(one, int):
        total += 10000
    return total


def words_and_numbers(items: List[Union[int, str, float]], place: int):  # noqa: UP006, UP007
    total = place
    for item in items:
        if isinstance(item, int):
            total += item
        elif isinstance(item, str):
            total += len(item) * 100
    return total


def some_tensors(items: List[Optional[optc.Tensor]], place: int):  # noqa: UP006, UP045
    total = 0
    for item in items:
        if item is not None:
            total += int(item.sum())
        else:
            total += 100
    if items[place] is None:
        total += 10000
    return total


def some_numbers(items: List[Optional[int]], place: int):  # noqa: UP006, UP045
    total = place
    for item in items:
        if item is not None:
            total += item
        else:
            total += 100
    return total


@pytest.mark.parametrize(
    ("function", "items"),
    [
        (numbers, [1, 2.5, 3]),
        (numbers, [2.5, 1]),
        (words_and_numbers, [1, "word", 2.5]),
        (words_and_numbers, ["word", 1]),
        (some_tensors, [optc.ones(2), None]),
        (some_tensors, [None, optc.ones(2)]),
        (some_numbers, [1, None, 2]),
        (some_numbers, [None, 1]),
    ],
)
@pytest.mark.parametrize("place", [0, 1])
def test_elements_are_what_they_are(function: Callable[..., Any], items: list[Any], place: int) -> None:
    compiled = optc.compile(optc.jit.script(function), fallback="allow")
    compiled(items, 1 - place)
    assert compiled(items, place) == function(items, place)
    assert not any("report" in str(fallback) for fallback in compiled.fallbacks)


def what_it_is(x: Any) -> optc.Tensor:
    if isinstance(x, optc.Tensor):
        return x + 1
    if isinstance(x, List[optc.Tensor]):  # noqa: UP006
        return optc.stack(x)
    return optc.zeros(1)


def test_branches_for_other_types_are_no_failure() -> None:
    compiled = optc.compile(optc.jit.script(what_it_is), fallback="allow")
    results = [compiled(x).tolist() for x in (optc.ones(1), [optc.ones(1), optc.ones(1)], 3, "text")]
    assert results == [[2.0], [[1.0], [1.0]], [0.0], [0.0]]
    assert not any("report" in str(fallback) for fallback in compiled.fallbacks)
