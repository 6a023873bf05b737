"""What counts as how much work when it is decided whether threads share it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optc
from optc import jit, nn
from optc.codegen.gemm.tiles import rows_to_count
from optc.codegen.machine.host import AVX2, AVX512


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


def test_one_row_counts_as_long_as_its_weights_take_to_be_read() -> None:
    """256 times 3 x 256 multiplications of a step are 2.5 microseconds, their weights take 4.5."""
    assert is_shared(nn.GRU(256, 256).eval(), np.zeros((1, 1, 256), np.float32))
    assert [rows_to_count(AVX512, rows) for rows in (1, 2, 3)] == [2, 2, 3]
    assert rows_to_count(AVX2, 1) == 1
