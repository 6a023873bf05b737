"""Gamma and Dirichlet numbers are PyTorch's, and so is what is drawn after them."""

from __future__ import annotations

import numpy as np
import pytest

import optc

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers


@pytest.mark.parametrize("name", ["_standard_gamma", "_sample_dirichlet"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(2,), (3, 40), (1, 0), (5, 2)])
def test_draws_what_pytorch_draws(name: str, dtype: str, shape: tuple[int, ...]) -> None:
    shapes = (3 * np.random.default_rng(0).random(shape)).astype(dtype)
    for seed in (0, 1):
        torch.manual_seed(seed)
        optc.manual_seed(seed)
        expected = getattr(torch, name)(torch.from_numpy(shapes)).numpy()
        found = getattr(optc, name)(optc.from_numpy(shapes)).numpy()
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-6 if dtype == "float32" else 1e-13)
        assert torch.randn(3).tolist() == optc.randn(3).tolist()


def test_shapes_are_fractions() -> None:
    with pytest.raises(NotImplementedError, match="\"gamma_cpu\" not implemented for 'Long'"):
        optc._standard_gamma(optc.tensor([1, 2]))


def test_scripts_draw_the_same() -> None:
    def mixed(x: optc.Tensor) -> optc.Tensor:
        return x * optc._sample_dirichlet(optc.tensor([1.0, 2.0]).expand(3, -1))

    fast = optc.compile(optc.jit.script(mixed), fallback="allow")
    x = optc.ones(3, 2)
    optc.manual_seed(3)
    expected = mixed(x)
    optc.manual_seed(3)
    assert optc.equal(fast(x), expected)
