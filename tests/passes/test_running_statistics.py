"""Batch and instance norms in training mode are native code that leaves the statistics of its batches in the module."""

from __future__ import annotations

from typing import Any

import pytest

import optc
from optc import nn


def module(norm: nn.Module, first: nn.Module) -> nn.Module:
    return nn.Sequential(first, norm, nn.ReLU()).train()


CASES = {
    "rows": lambda: (module(nn.BatchNorm1d(4), nn.Linear(3, 4)), optc.randn(5, 3)),
    "images": lambda: (module(nn.BatchNorm2d(4, momentum=0.3), nn.Conv2d(2, 4, 3)), optc.randn(2, 2, 6, 5)),
    "instances": lambda: (
        module(nn.InstanceNorm2d(4, momentum=0.3, track_running_stats=True), nn.Conv2d(2, 4, 3)),
        optc.randn(2, 2, 6, 5),
    ),
    "means of all batches": lambda: (module(nn.BatchNorm1d(4, momentum=None), nn.Linear(3, 4)), optc.randn(5, 3)),
    "no weights": lambda: (module(nn.BatchNorm1d(4, affine=False), nn.Linear(3, 4)), optc.randn(5, 3)),
    "no statistics": lambda: (
        module(nn.BatchNorm1d(4, track_running_stats=False), nn.Linear(3, 4)),
        optc.randn(5, 3),
    ),
}


@pytest.mark.parametrize("capture", ["trace", "script"])
@pytest.mark.parametrize("case", CASES)
def test_running_statistics_follow_the_batches(case: str, capture: str) -> None:
    def captured() -> tuple[Any, Any]:
        optc.manual_seed(3)
        original, x = CASES[case]()
        with optc.no_grad():
            if capture == "script":
                return optc.jit.script(original), x
            return optc.jit.trace(original, (x,), check_trace=False), x

    (interpreted, x), (compiled, _) = captured(), captured()
    with optc.no_grad():
        fast = optc.compile(compiled, fallback="error")
        for batch in (x, x * 2.0 + 1.0, x[:2]):
            assert optc.allclose(fast(batch), interpreted(batch), atol=1e-5)
    expected, found = interpreted.state_dict(), compiled.state_dict()
    for name, value in expected.items():
        assert optc.allclose(found[name], value, atol=1e-6), name


def test_statistics_of_instances_are_means_over_the_images() -> None:
    norm, x = nn.InstanceNorm1d(3, track_running_stats=True).train(), optc.randn(4, 3, 7)
    norm(x)
    assert optc.allclose(norm.running_mean, 0.1 * x.mean((0, 2)), atol=1e-6)
    assert optc.allclose(norm.running_var, 0.9 + 0.1 * x.var(2).mean(0), atol=1e-6)
