"""A row gives the same bits whatever else is in the batch: alone, in registers, in memory, on any kind of path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import optc
from optc import nn
from optc.nn import functional

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "sum": lambda x: x.sum(-1),
    "var": lambda x: x.var(-1),
    "softmax": lambda x: optc.softmax(x, -1),
    "layernorm": lambda x: functional.layer_norm(x, (x.shape[-1],)),
    "two products added": lambda x: optc.softmax(x, -1) + optc.sigmoid(x) * optc.tanh(x),
    "chain": lambda x: optc.logsumexp(functional.gelu(x) * 0.5 + x, -1),
}


def linear(extent: int) -> Any:
    optc.manual_seed(0)
    return nn.Sequential(nn.Linear(extent, 40), nn.Tanh(), nn.Linear(40, 5)).eval()


@pytest.mark.parametrize("name", [*FUNCTIONS, "perceptron"])
def test_the_batch_does_not_change_a_row(name: str) -> None:
    for extent in (1, 3, 8, 17, 48, 64, 100):
        program = linear(extent) if name == "perceptron" else FUNCTIONS[name]
        rows = np.random.default_rng(extent).standard_normal((33, extent)).astype(np.float32)
        if name == "var" and extent == 1:
            continue
        expected = result(program, rows)
        for count in (1, 2, 5, 16):
            np.testing.assert_array_equal(result(program, rows[:count]), expected[:count], f"{count} rows of {extent}")


@pytest.mark.parametrize("columns", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("extent", [16, 65, 100])
def test_the_batch_does_not_change_a_product_with_few_columns(columns: int, extent: int) -> None:
    random = np.random.default_rng(columns)
    rows = random.standard_normal((33, extent)).astype(np.float32)
    vectors = optc.from_numpy(random.standard_normal((extent, columns)).astype(np.float32))
    expected = result(lambda x, y: x @ y, rows, vectors)
    for count in (1, 2, 5, 16):
        np.testing.assert_array_equal(result(lambda x, y: x @ y, rows[:count], vectors), expected[:count])


def result(program: Any, rows: np.ndarray[Any, Any], *others: Any) -> np.ndarray[Any, Any]:
    arguments = optc.from_numpy(rows.copy()), *others
    return np.asarray(optc.compile(program, arguments, fallback="error")(*arguments).detach().numpy())
