"""Tensors that a trace of PyTorch holds as constants, and writes to, accumulate as they do in PyTorch."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

import optc

torch = pytest.importorskip("torch")

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]


def test_what_a_trace_adds_to_a_constant_is_there_in_the_next_call() -> None:
    def accumulated(x: Any) -> Any:
        total = torch.tensor(0.0)
        lifted = torch.from_numpy(np.ones(3, np.float32))
        lifted[1:] += x[0, 1:]
        for row in range(2):
            total += (x[row] * lifted).mean()
        return total * 2

    file = io.BytesIO()
    torch.jit.save(torch.jit.trace(accumulated, torch.ones(2, 3), check_trace=False), file)
    slow = torch.jit.load(io.BytesIO(file.getvalue()))
    fast = optc.compile(optc.jit.load(io.BytesIO(file.getvalue())), fallback="error")
    for seed in range(4):
        x = np.random.default_rng(seed).standard_normal((2, 3)).astype(np.float32)
        expected = slow(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(fast(optc.from_numpy(x)).numpy(), expected, rtol=1e-5)
