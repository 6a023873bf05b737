"""What is written to a part of a split tensor shows in the tensor, and what is written to the tensor in its parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import optc

Split = Callable[[Any], Any]

SPLITS: dict[str, Split] = {
    "unbind": lambda x: x.unbind(0),
    "split": lambda x: x.split(2),
    "split by sizes": lambda x: x.split([1, 3, 2]),
    "split_with_sizes": lambda x: x.split_with_sizes([1, 3, 2], 0),
    "chunk": lambda x: x.chunk(3),
    "unsafe_chunk": lambda x: x.unsafe_chunk(3),
    "unsafe_split": lambda x: x.unsafe_split(2),
    "unsafe_split_with_sizes": lambda x: x.unsafe_split_with_sizes([1, 3, 2]),
    "tensor_split": lambda x: x.tensor_split(4),
    "tensor_split at places": lambda x: x.tensor_split([1, -2]),
    "along another dimension": lambda x: x.t().chunk(2, 1),
}


@pytest.mark.parametrize("name", SPLITS)
def test_parts_and_the_whole_are_the_same_memory(name: str) -> None:
    split = SPLITS[name]

    def program(x: Any) -> Any:
        y = x * 1.0
        parts = split(y)
        before = parts[1].sum()
        parts[1].mul_(3.0)
        y.add_(1.0)
        return y, before, optc.cat([part.exp().reshape(-1) for part in parts])

    x = optc.randn(6, 6)
    fast = optc.compile(optc.jit.trace(program, (x,)), fallback="error")
    for mine, other in zip(fast(x), program(x), strict=True):
        assert optc.allclose(mine, other)


def writes_to_parts(x: optc.Tensor) -> optc.Tensor:
    y = x * 2.0
    y.unbind(0)[-1].mul_(3.0)
    y.chunk(2, 1)[1].add_(1.0)
    y.split(1, 0)[2].add_(5.0)
    y.split([1, 3, 2], 1)[-1].zero_()
    y.tensor_split(3, 1)[-1].add_(2.0)
    columns = y.unbind(1)
    for i in range(len(columns)):
        columns[i].add_(float(i))
    for row in y.unbind(0):
        row.mul_(2.0)
    return y


def test_parts_that_are_taken_by_number() -> None:
    x = optc.randn(6, 6)
    fast = optc.compile(optc.jit.script(writes_to_parts), fallback="error")
    assert optc.allclose(fast(x), writes_to_parts(x))


def takes_too_much(x: optc.Tensor, i: int) -> optc.Tensor:
    y = x * 2.0
    y.unbind(0)[i].add_(1.0)
    y.chunk(4, 0)[3].add_(1.0)
    return y


def test_parts_that_are_not_there() -> None:
    fast = optc.compile(optc.jit.script(takes_too_much), fallback="allow")
    assert optc.allclose(fast(optc.ones(4), 1), takes_too_much(optc.ones(4), 1))
    for x, i in ((optc.ones(4), 4), (optc.ones(5), 0)):
        with pytest.raises(RuntimeError, match="list index out of range"):
            fast(x, i)
