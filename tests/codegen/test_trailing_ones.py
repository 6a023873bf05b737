"""Dimensions of extent 1 beside a long one: merged loops must walk along the long one."""

from __future__ import annotations

import pytest

import optc


def compare(a, i: int):
    return a == i


@pytest.mark.parametrize("shape", [(100, 1, 1), (100, 1), (100,), (1, 100, 1), (2, 50, 1)])
def test_every_element_is_read(shape: tuple[int, ...]) -> None:
    numbers = optc.arange(100).reshape(shape)
    assert bool((optc.compile(compare)(numbers, 50) == compare(numbers, 50)).all())
