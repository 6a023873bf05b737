"""optc.jit.freeze: attributes become constants, calls go away, results stay."""

from __future__ import annotations

import numpy as np
import pytest

import optc
from optc import nn


def frozen() -> tuple[nn.Module, optc.jit.ScriptModule]:
    module = nn.Sequential(nn.Linear(4, 3), nn.ReLU()).eval()
    return module, optc.jit.freeze(optc.jit.trace(module, (optc.ones(2, 4),)))


def test_results_stay_the_same() -> None:
    module, fast = frozen()
    x = optc.full((2, 4), 0.5)
    np.testing.assert_array_equal(fast(x).detach().numpy(), module(x).detach().numpy())


def test_nothing_but_operators_and_constants_is_left() -> None:
    _, fast = frozen()
    kinds = {node.kind for node in fast.graph.walk()}
    assert kinds == {"prim::Constant", "aten::linear", "aten::relu"}
    assert list(fast.parameters()) == []


def test_a_module_in_training_mode_is_refused() -> None:
    with pytest.raises(RuntimeError, match="only implemented for modules in eval mode"):
        optc.jit.freeze(optc.jit.trace(nn.Linear(2, 2), (optc.ones(2),)))


def test_a_plain_module_is_refused() -> None:
    with pytest.raises(RuntimeError, match="expects a ScriptModule"):
        optc.jit.freeze(nn.Linear(2, 2).eval())
