"""Equal parts of a program: generated once, however often they are called."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

import optc
from optc import nn
from optc.codegen.driver import frame
from optc.codegen.gemm import driver as gemm_driver
from optc.codegen.gemm import kernel as gemm_kernel


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often loop nests are scheduled, drivers of products and their kernels written."""
    found: Counter[str] = Counter()

    def count(module: Any, name: str) -> None:
        original = getattr(module, name)

        def counted(*arguments: Any) -> Any:
            found[name] += 1
            return original(*arguments)

        monkeypatch.setattr(module, name, counted)

    count(frame, "schedule")
    count(gemm_driver, "_DriverWriter")
    count(gemm_kernel, "_KernelWriter")
    return found


def test_layers_of_one_shape_are_generated_once(counts: Counter[str]) -> None:
    x = optc.ones(3, 64)
    work = []
    for layers in (2, 6):
        counts.clear()
        blocks = [nn.Sequential(nn.Linear(64, 64), nn.LayerNorm(64), nn.GELU()) for _ in range(layers)]
        optc.compile(nn.Sequential(*blocks).eval(), x, cache=False)
        work.append(Counter(counts))
    assert work[0] == work[1]
    assert all(work[0][name] for name in ("schedule", "_DriverWriter", "_KernelWriter"))
