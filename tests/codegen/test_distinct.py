# mypy: disable-error-code="no-untyped-def, no-untyped-call"
"""Distinct elements of tensors whose extent only the run tells are found natively, and of empty ones too."""

from __future__ import annotations

import numpy as np

import optc
from optc import jit


def distinct_positives(x):
    return optc.unique(x[x > 0])


def test_of_as_many_as_data_decide() -> None:
    fast = optc.compile(jit.script(distinct_positives))
    for numbers in ([3, 1, -2, 3, 1, 7], [-1, -1, -2, -3, -1, -7], [-1, 5, -2, -3, -1, -7]):
        x = optc.tensor(numbers)
        assert np.array_equal(fast(x).numpy(), distinct_positives(x).numpy())
    assert not fast.fallbacks
