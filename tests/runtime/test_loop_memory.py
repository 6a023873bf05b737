"""Programs that make memory anew in every turn of a loop and keep that of the turn before."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import optc as torch
from optc import Tensor


def edit_distance(a: Tensor, b: Tensor) -> Tensor:
    before = torch.arange(b.size(0) + 1)
    for i in range(a.size(0)):
        row = torch.zeros(b.size(0) + 1, dtype=torch.long)
        row[0] = i + 1
        for j in range(b.size(0)):
            cost = 0 if bool(a[i] == b[j]) else 1
            row[j + 1] = min(int(row[j]) + 1, int(before[j + 1]) + 1, int(before[j]) + cost)
        before = row
    return before[-1]


def edit_distance_of_lists(a: list[int], b: list[int]) -> int:
    before = [0]
    for j in range(len(b)):
        before.append(j + 1)
    for i in range(len(a)):
        row = [i + 1]
        for j in range(len(b)):
            cost = 0 if a[i] == b[j] else 1
            row.append(min(row[j] + 1, min(before[j + 1] + 1, before[j] + cost)))
        before = row
    return before[-1]


def sometimes_the_same(a: Tensor, n: int) -> Tensor:
    before = a.clone()
    for _ in range(n):
        row = torch.zeros(3)
        for j in range(3):
            row[j] = before[j] * 2 + j
        if bool(row.sum() > 10):
            before[0] = 1.0
            row = before
        before = row
    return before


def changes_what_a_list_holds(a: Tensor, n: int) -> Tensor:
    rows: list[Tensor] = []
    before = torch.zeros(3)
    for i in range(n):
        row = torch.zeros(3) + i
        rows.append(row)
        before[1] = 5.0
        before = row
    return torch.stack(rows)


def changes_the_one_before_the_last(a: Tensor, n: int) -> tuple[Tensor, Tensor]:
    before = torch.zeros(3)
    oldest = torch.zeros(3)
    for i in range(n):
        row = torch.zeros(3) + i
        oldest[1] = 7.0
        before[0] = 5.0
        oldest = before
        before = row
    return before, oldest


def numbers_found(x: Tensor, least: float) -> tuple[Tensor, Tensor, Tensor]:
    places: list[int] = []
    values: list[float] = []
    signs: list[bool] = []
    for i in range(x.size(0)):
        if bool(x[i].abs() > least):
            places.append(i)
            values.append(float(x[i]) / 3)
            signs.append(bool(x[i] > 0))
    return torch.tensor(places), torch.tensor(values, dtype=torch.float64), torch.as_tensor(signs)


def check(program: Callable[..., Any], arguments: tuple[Any, ...], **options: Any) -> Any:
    scripted = torch.jit.script(program)
    fast = torch.compile(scripted, **options)
    expected, found = scripted(*copy.deepcopy(arguments)), fast(*copy.deepcopy(arguments))
    pairs = zip(expected, found) if isinstance(expected, tuple) else [(expected, found)]
    for one, other in pairs:
        assert getattr(one, "dtype", None) == getattr(other, "dtype", None)
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
    return fast


@pytest.mark.parametrize("rows", [1, 4, 7])
def test_a_row_made_from_the_one_before_is_native(rows: int) -> None:
    torch.manual_seed(rows)
    check(edit_distance, (torch.randint(0, 3, (rows,)), torch.randint(0, 3, (6,))), fallback="error")
    check(sometimes_the_same, (torch.rand(3), rows), fallback="error")


def test_lists_too() -> None:
    check(edit_distance_of_lists, ([1, 2, 3, 4, 2], [2, 3, 3, 1]), fallback="error")


@pytest.mark.parametrize("program", [changes_what_a_list_holds, changes_the_one_before_the_last])
def test_memory_of_an_earlier_turn_that_is_still_held_is_seen_to_change(program: Callable[..., Any]) -> None:
    check(program, (torch.zeros(3), 5), fallback="allow")


@pytest.mark.parametrize("least", [0.0, 0.5, 9.0])
def test_numbers_that_a_loop_finds_become_a_tensor(least: float) -> None:
    torch.manual_seed(0)
    fast = check(numbers_found, (torch.randn(20), least), fallback="error")
    check_empty = fast(torch.randn(3), 100.0)
    assert [each.dtype for each in check_empty] == [torch.int64, torch.float64, torch.bool]
