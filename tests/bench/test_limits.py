"""What recurrent networks take at least: the memory that is read for it is that of the program."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

import optc
from bench import limits
from optc.cli.timing import Times


def test_the_weights_of_all_layers_are_found() -> None:
    compiled = optc.compile(optc.nn.LSTM(64, 64, limits.LAYERS).eval())
    compiled(np.ones((3, 1, 64), np.float32))
    assert len(limits.packed_weights(compiled, 4 * 64 * 64 * 4)) == 2 * limits.LAYERS


def test_a_row_tells_what_share_of_the_limit_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 1 ms: multiply-adds for 0.1, and the matrices of two layers, each read for 0.3."""
    flops = 2 * limits.LAYERS * limits.STEPS * 4 * 64 * 64
    monkeypatch.setattr(limits, "multiply_add_runner", lambda turns: (lambda: None, flops))
    taken = {"lstm": 1e-3, "peak": 1e-4, **{f"weights {number}": 3e-4 for number in range(4)}}
    seen: list[str] = []

    def in_turn(calls: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, Times]:
        seen.extend(calls)
        return {name: Times((taken[name],) * rounds) for name in calls}

    monkeypatch.setattr(limits, "in_turn", in_turn)
    assert limits.row(64, rounds=2) == ["64", "64 KB", "1 ms", "100 us", "600 us", "70%"]
    assert seen == list(taken)
