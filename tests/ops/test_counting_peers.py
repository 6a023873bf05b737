"""Numbers between two ends are PyTorch's to the last bit, in every element type and engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import optc

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]


def singles(start: float, end: float, steps: int) -> optc.Tensor:
    return optc.linspace(start, end, steps)


def doubles(start: float, end: float, steps: int) -> optc.Tensor:
    return optc.linspace(start, end, steps, dtype=optc.float64)


def halves(start: float, end: float, steps: int) -> optc.Tensor:
    return optc.linspace(start, end, steps, dtype=optc.float16)


def whole(start: float, end: float, steps: int) -> optc.Tensor:
    return optc.linspace(start, end, steps, dtype=optc.int64)


@pytest.mark.parametrize(
    ("program", "dtype"), [(singles, "float32"), (doubles, "float64"), (halves, "float16"), (whole, "int64")]
)
def test_linspace_counts_as_pytorch_does(program: Callable[..., Any], dtype: str) -> None:
    scripted = optc.jit.script(program)
    fast = optc.compile(scripted, fallback="error")
    for ends in ((0.0, 0.99), (0.0, 135.0), (-1.0, 1.0), (255.0, 0.0), (0.1, 0.7), (-7.3, 12.9)):
        for steps in (1, 2, 3, 31, 100):
            expected = torch.linspace(*ends, steps, dtype=getattr(torch, dtype)).numpy()
            for found in (scripted(*ends, steps), fast(*ends, steps)):
                assert np.array_equal(found.numpy(), expected), (ends, steps)
