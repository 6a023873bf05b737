"""Binomial numbers are PyTorch's, and so is what is drawn after them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import optc

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("trials", [3, 30, 300, 5000])
def test_draws_what_pytorch_draws(dtype: str, trials: int) -> None:
    random = np.random.default_rng(trials)
    counts = np.round(random.random((20, 30)) * trials).astype(dtype)
    chances = random.random(30).astype(dtype)
    chances[:4] = [0, 1, 0.5, np.nan]
    torch.manual_seed(trials)
    optc.manual_seed(trials)
    expected = torch.binomial(torch.from_numpy(counts), torch.from_numpy(chances)).numpy()
    found = optc.binomial(optc.from_numpy(counts), optc.from_numpy(chances)).numpy()
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    assert torch.rand(3).tolist() == optc.rand(3).tolist()


REFUSED: dict[str, Callable[[Any], Any]] = {
    "types that differ": lambda lib: lib.binomial(lib.ones(2), lib.ones(2).double()),
    "whole numbers": lambda lib: lib.binomial(lib.tensor([1, 2]), lib.tensor([1, 2])),
    "halves": lambda lib: lib.binomial(lib.ones(2).half(), lib.ones(2).half()),
    "extents": lambda lib: lib.binomial(lib.ones(2), lib.ones(3)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses_what_pytorch_refuses(name: str) -> None:
    with pytest.raises(Exception) as expected:
        REFUSED[name](torch)
    with pytest.raises(expected.type) as found:
        REFUSED[name](optc)
    assert str(found.value).split(" (")[0] == str(expected.value).split(" (")[0]


def test_programs_draw_the_same() -> None:
    def sampled(x: optc.Tensor) -> optc.Tensor:
        return optc.binomial(optc.full_like(x, 20.0), x.sigmoid()) + optc.rand_like(x)

    x = optc.linspace(-2, 2, 6).reshape(2, 3)
    fast = optc.compile(optc.jit.script(sampled), fallback="allow")
    optc.manual_seed(3)
    expected = sampled(x)
    optc.manual_seed(3)
    assert optc.equal(fast(x), expected)
