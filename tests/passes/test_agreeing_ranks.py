# mypy: disable-error-code="no-untyped-def, no-untyped-call"
"""Branches that give tensors of different ranks are native, as long as one rank comes of it in the end."""

from __future__ import annotations

import numpy as np

import optc
from optc import jit


def boxes(x):
    if bool(x.sum() > 0):
        y = x.view(x.size(0), -1, 4)
    else:
        y = x
    low, high = y[..., 0::2], y[..., 1::2]
    clipped = optc.stack((low.clamp(min=0.0), high.clamp(max=1.0)), dim=y.dim())
    return clipped.reshape(y.shape).reshape(-1, 4)


def test_it_is_native_and_means_the_same() -> None:
    scripted = jit.script(boxes)
    fast = optc.compile(scripted)
    generator = np.random.default_rng(0)
    for rows in (2, 3):
        for sign in (1.0, -1.0):
            x = optc.from_numpy(sign * np.abs(generator.standard_normal((rows, 8))).astype("float32"))
            assert np.array_equal(fast(x).numpy(), boxes(x).numpy())
    assert not fast.fallbacks
