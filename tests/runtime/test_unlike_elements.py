"""Lists whose elements have extents, or a rank, of their own say so, however they came into the list."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import optc as torch
from optc import Tensor


@torch.jit.script
def appended(x: Tensor, n: int) -> list[int]:
    found: list[Tensor] = []
    for _ in range(n):
        x = torch.cat([x, x[:1]])
        found.append(x)
    return [found[i].size(0) for i in range(len(found))]


@torch.jit.script
def inserted(x: Tensor, n: int) -> list[int]:
    found: list[Tensor] = []
    for _ in range(n):
        x = torch.cat([x, x[:1]])
        found.insert(0, x)
    return [found[i].size(0) for i in range(len(found))]


@torch.jit.script
def joined(x: Tensor, n: int) -> list[int]:
    found: list[Tensor] = []
    for _ in range(n):
        x = torch.cat([x, x[:1]])
        found += [x]
    return [found[i].size(0) for i in range(len(found))]


@torch.jit.script
def of_unlike_ranks(x: Tensor, n: int) -> list[int]:
    found: list[Tensor] = [x, x]
    ranks = 0
    for i in range(n):
        found.append(x[0])
        ranks = ranks * 10 + found[i].dim()
    return [ranks]


@torch.jit.script
def once_repeated(x: Tensor, n: int) -> list[int]:
    shown, others = x[x > 1.5], x[x > 0.5]
    found: list[Tensor] = []
    while len(found) < n:
        found.append(shown)
        shown = shown + others
    return [found[i].size(0) for i in range(len(found))]


def test_an_element_is_repeated_before_it_comes_into_the_list() -> None:
    fast = torch.compile(once_repeated, fallback="allow")
    x = torch.tensor([1.0, 2, 1])
    assert fast(x, 3) == once_repeated(x, 3) == [1, 3, 3]


@pytest.mark.parametrize("program", [appended, inserted, joined, of_unlike_ranks])
def test_elements_keep_their_own_extents_and_ranks(program: Callable[[Tensor, int], list[int]]) -> None:
    fast = torch.compile(program, fallback="allow")
    for rows, n in ((5, 3), (6, 4), (6, 2)):
        x = torch.ones(rows, 2)
        assert fast(x, n) == program(x, n)
