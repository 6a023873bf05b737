"""Elements at places that are known while compiling: runs that are copied, without a look at an index."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optc
from optc.codegen.operators.selected_runs import MOST_RUNS

INDICES = {
    "reflected": [3, 2, 1, 0, 1, 2, 3, 4, 5, 6, 5, 4],
    "repeated": [0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 6, 6],
    "wrapped": [5, 6, 0, 1, 2, 3, 4, 5, 6, 0],
    "backwards": [6, 5, 4, 3, 2, 1, 0],
    "apart": [0, 2, 4, 6],
    "one": [4],
    "none": [],
    "many": [0, 5, 1, 6, 2, 4, 1, 3, 0, 6, 2, 2],
}


def compiled(indices: list[int], axis: int, x: Any) -> Any:
    constant = optc.tensor(indices, dtype=optc.int64)

    class Program(optc.nn.Module):
        def forward(self, x):  # type: ignore[no-untyped-def]
            return optc.index_select(x, axis, constant)

    return optc.compile(Program(), (x,), fallback="error")


@pytest.mark.parametrize("name", INDICES)
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("dtype", [optc.float32, optc.uint8], ids=str)
def test_runs_are_copied(name: str, axis: int, dtype: Any) -> None:
    shape = [11, 13, 12]
    shape[axis] = 7
    x = (optc.rand(*shape) * 100).to(dtype)
    fast = compiled(INDICES[name], axis, x)
    np.testing.assert_array_equal(fast(x).numpy(), np.take(x.numpy(), INDICES[name], axis))
    is_checked = any("bounds" in operator for kernel in fast.kernels for operator in kernel.operators)
    assert is_checked == (len(INDICES[name]) > MOST_RUNS and name == "many")
    other = [extent if place == axis else extent + 3 for place, extent in enumerate(shape)]
    y = (optc.rand(*other) * 100).to(dtype)
    np.testing.assert_array_equal(fast(y).numpy(), np.take(y.numpy(), INDICES[name], axis))


def test_an_index_that_does_not_exist_fails_when_the_program_runs() -> None:
    x = optc.rand(7, 12)

    class Program(optc.nn.Module):
        def forward(self, x, places):  # type: ignore[no-untyped-def]
            return optc.index_select(x, 0, places)

    fast = optc.compile(Program(), (x, optc.tensor([0, 1])), fallback="error")
    with pytest.raises(RuntimeError, match="index out of range"):
        fast(x, optc.tensor([0, 7]))


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize("spatial", [1, 2, 3])
def test_padding_reads_no_index(mode: str, spatial: int) -> None:
    pads = [2, 1, 0, 3, 1, 1][: 2 * spatial]

    def program(x):  # type: ignore[no-untyped-def]
        return optc.nn.functional.pad(x, pads, mode=mode)

    x = optc.rand(2, 3, 9, 8, 7)[(slice(None), slice(None), *(0,) * (3 - spatial))].contiguous()
    fast = optc.compile(program, (x,), fallback="error")
    np.testing.assert_array_equal(fast(x).numpy(), program(x).numpy())
    assert not any("bounds" in operator for kernel in fast.kernels for operator in kernel.operators)
