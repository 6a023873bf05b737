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
