"""What is made of other operators is native where an argument's length is how many elements a mask chooses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import optc
from optc import Tensor


def area(x: Tensor, mask: Tensor) -> Tensor:
    places = optc.cat([optc.zeros(1), x[mask]])
    return optc.trapezoid(places.cumsum(0), places)


def ranks(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    made: tuple[Tensor, Tensor, Tensor] = optc.unique(x[mask], return_inverse=True, return_counts=True)
    return made


@pytest.mark.parametrize("program", [area, ranks])
def test_lengths_that_a_mask_tells_are_not_negative(program: Callable[..., Any]) -> None:
    x = optc.tensor([0.5, 0.25, 0.5, -1.0, 0.0])
    masks = [[True, False, True, True, False], [False] * 5, [True] * 5, [False, False, False, False, True]]
    fast = optc.compile(program, (x, optc.tensor(masks[0])), fallback="error")
    for mask in masks:
        expected, found = program(x, optc.tensor(mask)), fast(x, optc.tensor(mask))
        pairs = [(expected, found)] if isinstance(expected, Tensor) else list(zip(expected, found, strict=True))
        assert all(optc.allclose(mine, other) and mine.shape == other.shape for mine, other in pairs)
