"""Ranges whose length is counted in fractions that only running tells."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optc
from optc import jit


def between(x, start: float, end: float, step: float):
    places = optc.arange(start, end, step)
    return optc.arange(0, x.size(0) - 1, step), places.unsqueeze(1) * x, places.size(0)


@pytest.fixture(scope="module")
def fast() -> Any:
    return optc.compile(jit.script(between), fallback="error", dynamic=True)


@pytest.mark.parametrize("bounds", [(0.0, 5.0, 0.7), (2.0, 2.0, 0.3), (1.0, 1.75, 0.25), (-1e3, 1e3, 99.5)])
def test_there_are_as_many_as_fit(fast: Any, bounds: tuple[float, float, float]) -> None:
    x = optc.arange(9) / 2
    steps, products, count = fast(x, *bounds)
    expected = np.arange(*bounds).astype(np.float32)
    assert count == len(expected)
    np.testing.assert_allclose(steps.numpy(), np.arange(0, 8, bounds[2]), rtol=1e-6)
    np.testing.assert_allclose(products.numpy(), expected[:, None] * x.numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ((0.0, -0.5, 1.0), "upper bound and lower bound inconsistent with step sign"),
        ((0.0, 1.0, 0.0), "step must be nonzero"),
        ((0.0, float("inf"), 1.0), "unsupported range: 0 -> inf"),
        ((float("nan"), 1.0, 1.0), "unsupported range: nan -> 1"),
    ],
)
def test_what_is_no_range_is_refused(fast: Any, bounds: tuple[float, float, float], message: str) -> None:
    with pytest.raises(optc.errors.ExecutionError, match=message):
        fast(optc.ones(4), *bounds)
