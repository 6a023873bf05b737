# mypy: disable-error-code="no-untyped-def, no-untyped-call"
# ruff: noqa: UP006, UP035, UP045
"""What a module computes once and keeps in an attribute that was None is a constant once it is there."""

from __future__ import annotations

from typing import Any, List, Optional

import numpy as np

import optc
from optc import jit, nn


class Keeps(nn.Module):
    scales: Optional[List[float]]
    shift: Optional[int]

    def __init__(self) -> None:
        super().__init__()
        self.scales = None
        self.shift = None

    def forward(self, x):
        if self.scales is None or self.shift is None:
            self.scales = [float(x.size(0)), 2.0]
            self.shift = x.size(0)
        scales, shift = self.scales, self.shift
        assert scales is not None and shift is not None
        for scale in scales:
            x = x * scale
        return x + shift


class Forgets(nn.Module):
    scales: Optional[List[float]]

    def __init__(self) -> None:
        super().__init__()
        self.scales = None

    def forward(self, x):
        if self.scales is None:
            self.scales = [float(x.size(0)), 2.0]
            return x
        scales = self.scales
        assert scales is not None
        self.scales = None
        return x * scales[0]


def kinds(fast: Any) -> set[str]:
    return {node.kind for node in fast.graph.walk()}


def test_what_is_there_is_a_constant() -> None:
    module = jit.script(Keeps())
    x = optc.ones(3)
    module(x)
    fast = optc.compile(module)
    assert np.array_equal(fast(x).numpy(), np.full(3, 9.0, "float32"))
    assert not fast.fallbacks
    assert not kinds(fast) & {"prim::If", "prim::Loop"}
    assert len(fast.graph.inputs) == 1
    assert module.scales == [3.0, 2.0]


def test_what_is_not_there_is_computed() -> None:
    module = jit.script(Keeps())
    fast = optc.compile(module, fallback="allow")
    for rows in (3, 4):
        assert np.array_equal(fast(optc.ones(rows)).numpy(), np.full(rows, 9.0, "float32"))
    assert module.scales == [3.0, 2.0]


def test_an_assignment_elsewhere_counts() -> None:
    module, other = jit.script(Forgets()), jit.script(Forgets())
    module(optc.ones(3))
    other(optc.ones(3))
    fast = optc.compile(module, fallback="allow")
    for _ in range(4):
        assert np.array_equal(fast(optc.ones(3)).numpy(), other(optc.ones(3)).numpy())
        assert module.scales == other.scales
