"""Operators that PyTorch keeps for old programs, against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import optc

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

PROGRAM = """
def convolved(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    return torch.conv_tbc(x, w, b, 1)
def close(x: Tensor, y: Tensor) -> bool:
    return torch.allclose(x, y)
def autocast(device: str) -> int:
    return torch.get_autocast_dtype(device)
"""


def test_convolution_of_time_batch_and_channels() -> None:
    arrays = [np.random.default_rng(0).random(shape, np.float32) for shape in ((7, 2, 3), (3, 3, 4), (4,))]
    expected = torch.conv_tbc(*map(torch.from_numpy, arrays), 1).numpy()
    program = optc.jit.CompilationUnit(PROGRAM).convolved
    for function in (program, optc.compile(program, fallback="error")):
        np.testing.assert_allclose(function(*map(optc.from_numpy, arrays)).numpy(), expected, 1e-5)


def test_closeness_of_whole_tensors() -> None:
    program = optc.jit.CompilationUnit(PROGRAM).close
    for function in (program, optc.compile(program, fallback="allow")):
        assert function(optc.ones(2, 3), optc.ones(3)) is True
        assert function(optc.ones(2, 3), optc.zeros(3)) is False


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_type_of_autocast(device: str) -> None:
    expected = {torch.bfloat16: optc.bfloat16, torch.float16: optc.float16}[torch.get_autocast_dtype(device)]
    assert optc.jit.CompilationUnit(PROGRAM).autocast(device) == expected.code
