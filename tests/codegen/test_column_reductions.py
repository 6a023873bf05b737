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


def test_a_norm_of_each_channel_leaves_channels_beside_each_other() -> None:
    """Between convolutions, which compute rows of channels: nothing is turned around but the result."""
    optc.manual_seed(0)
    layers = optc.nn.Sequential(
        optc.nn.Conv1d(1, 32, 10, 5, bias=False), optc.nn.GroupNorm(32, 32), optc.nn.GELU(), optc.nn.Conv1d(32, 8, 3, 2)
    )
    x = optc.from_numpy(np.random.default_rng(0).standard_normal((1, 1, 400)).astype(np.float32))
    compiled = optc.compile(layers, (x,), fallback="error")
    np.testing.assert_allclose(compiled(x).detach().numpy(), layers(x).detach().numpy(), rtol=1e-4, atol=1e-4)
    assert sum(kernel.operators == ["copy"] for kernel in compiled.kernels) <= 1
