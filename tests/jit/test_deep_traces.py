"""Programs of many layers."""

from __future__ import annotations

import optc
from optc import nn


def test_a_trace_may_be_deeper_than_python_recurses() -> None:
    module = nn.Sequential(*(nn.Linear(2, 2) for _ in range(400))).eval()
    traced = optc.jit.trace(module, optc.ones(1, 2), check_trace=False)
    assert str(traced.inlined_graph).count("aten::linear") == 400
