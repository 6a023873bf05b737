"""What tests of compiled programs share."""

from __future__ import annotations

import pytest

from optc.ops.registry import Interpreted, overloads

LEFT_TO_THE_INTERPRETER = (
    "aten::bincount", "aten::kthvalue", "aten::masked_select", "aten::median", "aten::nonzero", "aten::nonzero_numpy",
    "aten::randperm", "aten::unique_dim", "aten::where", "prim::bernoulli", "prim::exponential", "prim::normal",
    "prim::random", "prim::uniform",
)  # fmt: skip


@pytest.fixture
def without_native_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Operators that islands are made of in tests, whatever of them is native by now; nothing comes from the cache."""
    for kind in LEFT_TO_THE_INTERPRETER:
        for operator in overloads(kind):
            monkeypatch.setattr(operator, "lowering", Interpreted("it has no kernel here"))
    monkeypatch.setenv("OPTC_CACHE", "0")
