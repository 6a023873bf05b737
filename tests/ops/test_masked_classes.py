"""Classes that are ruled out by a logit of -inf do not reach the losses of others."""

from __future__ import annotations

from typing import Any

import pytest

import optc

INFINITE = float("inf")


def losses(logits: Any, classes: Any, reduction: str) -> Any:
    return optc.nn.functional.cross_entropy(logits, classes, reduction=reduction)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_classes_that_are_ruled_out_are_not_asked_for(reduction: str) -> None:
    logits = optc.tensor([[1.0, -INFINITE, 2.0], [0.25, 0.5, -INFINITE]])
    classes = optc.tensor([0, 1])
    expected = optc.nn.functional.nll_loss(logits.log_softmax(-1), classes, reduction=reduction)
    assert expected.isfinite().all()
    fast = optc.compile(lambda x, y: losses(x, y, reduction), (logits, classes), fallback="error")
    for found in (losses(logits, classes, reduction), fast(logits, classes)):
        assert optc.allclose(found, expected)
