"""What a program returns is memory of its own where PyTorch's result is, also when its numbers are those of an argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import optc


def clone_then_write(x: optc.Tensor) -> Any:
    before = x.clone()
    x.relu_()
    return before


def product_then_write(x: optc.Tensor) -> Any:
    before = x * 1
    x.zero_()
    return {"before": before, "now": x}


def list_then_write(x: optc.Tensor) -> Any:
    before = [x.clone(), x.clone().view(-1)]
    x.add_(1)
    return before


def loop_then_write(x: optc.Tensor) -> Any:
    before = x.clone()
    for _ in range(3):
        before = before.contiguous()
        x.add_(1)
    return before, before


PROGRAMS = [clone_then_write, product_then_write, list_then_write, loop_then_write]


def leaves(value: Any) -> list[Any]:
    items = list(value.values()) if isinstance(value, dict) else value
    return [leaf for item in items for leaf in leaves(item)] if isinstance(items, list | tuple) else [items]


@pytest.mark.parametrize("program", PROGRAMS)
def test_old_numbers_of_an_argument_that_is_written(program: Callable[[Any], Any]) -> None:
    fast = optc.compile(optc.jit.script(program), fallback="error")
    for _ in range(2):
        mine, other = (optc.tensor([[1.0, -2.0], [-3.0, 4.0]]) for _ in range(2))
        for result, expected in zip(leaves(fast(mine)), leaves(program(other)), strict=True):
            assert np.array_equal(result.numpy(), expected.numpy())
        assert np.array_equal(mine.numpy(), other.numpy())


@pytest.mark.parametrize("program", [lambda x: x.clone(), lambda x: x * 1.0, lambda x: (x + 1, x.t().clone().t())])
def test_writing_to_a_result_leaves_the_argument_alone(program: Callable[[Any], Any]) -> None:
    x = optc.ones(2, 3)
    fast = optc.compile(program, (x,), fallback="error")
    for result in leaves(fast(x)):
        result.zero_()
    assert bool((x == 1).all())


def test_an_argument_that_is_returned_is_the_same_object() -> None:
    x = optc.ones(2, 3)
    assert optc.compile(lambda x: (x, x + 1), (x,))(x)[0] is x


class Remembering(optc.nn.Module):
    """Keeps what it was given, and a count in a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", optc.zeros(2))
        self.last = optc.zeros(2)

    def forward(self, x: optc.Tensor) -> optc.Tensor:
        before = self.count.clone()
        self.count.add_(1)
        self.last = x.clone()
        return before


def test_state_and_results_are_apart() -> None:
    module = Remembering()
    fast = optc.compile(optc.jit.script(module), fallback="error")
    given, results = optc.ones(2), []
    for _ in range(3):
        results.append(fast(given))
        given.add_(1)
    assert [result.tolist() for result in results] == [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]
