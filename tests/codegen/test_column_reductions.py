"""Reductions over rows: every number of rows and columns, narrow columns in registers, wide ones through scratch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import optc

ROWS, COLUMNS = (1, 4, 5, 33), (1, 16, 127, 129, 200, 257, 2500)
REDUCTIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "sums": (lambda x: x.sum(0), lambda x: x.sum(0)),
    "of squares, added to means": (lambda x: (x * x).sum(0) + x.mean(0), lambda x: (x * x).sum(0) + x.mean(0)),
    "extremes": (lambda x: x.amax(0) - x.amin(0), lambda x: x.max(0) - x.min(0)),
    "places": (lambda x: x.argmax(0), lambda x: x.argmax(0)),
    "running sums": (lambda x: x.cumsum(0), lambda x: x.cumsum(0)),
    "softmax": (lambda x: optc.softmax(x, 0), lambda x: np.exp(x) / np.exp(x).sum(0)),
}


@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("name", REDUCTIONS)
def test_agrees_with_numpy(name: str, columns: int) -> None:
    ours, expected = REDUCTIONS[name]
    for rows in ROWS:
        x = np.random.default_rng(rows).standard_normal((rows, columns)).astype(np.float32)
        tensor = optc.from_numpy(x)
        found = optc.compile(ours, (tensor,), fallback="error")(tensor).numpy()
        np.testing.assert_allclose(found, expected(x.astype(np.float64)), rtol=1e-4, atol=1e-4)
