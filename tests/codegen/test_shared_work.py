"""What counts as how much work when it is decided whether threads share it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optc
from optc import jit


def is_shared(program: Any, *inputs: Any) -> bool:
    """Whether any call of a program is cut into ranges for threads."""
    fast = optc.compile(program, threads=2, fallback="error", cache=False)
    fast(*inputs)
    return "@task." in fast.llvm


def ascending(x):
    return x.sort(-1)


def largest(x):
    return x.topk(1)


@pytest.mark.parametrize("rows", [150, 4])
def test_sorting_takes_longer_than_vectors_would(rows: int) -> None:
    """150 rows of 10 elements take some 6 microseconds, which 24 instructions of vectors for each would not."""
    assert is_shared(jit.script(ascending), np.zeros((rows, 10), np.float32)) == (rows > 100)


def test_keeping_a_few_takes_less_than_sorting() -> None:
    x = np.zeros((150, 10), np.float32)
    assert is_shared(jit.script(ascending), x) and not is_shared(jit.script(largest), x)
