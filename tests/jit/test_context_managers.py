"""`with` statements for which optc has nothing to do: marks for profilers, and autocast that is switched off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import optc
from optc.errors import ExecutionError, UnsupportedError


def marked(x: optc.Tensor):
    with optc.autograd.profiler.record_function("first"):
        y = x + 1
    with optc.profiler.record_function("second", "details"):
        return y * 2


def not_cast(x: optc.Tensor):
    with optc.autocast("cpu", enabled=False):
        y = x @ x
    with optc.amp.autocast("cuda"):
        return y + 1


def cast(x: optc.Tensor):
    with optc.autocast("cpu"):
        return x @ x


@pytest.mark.parametrize("function", [marked, not_cast])
def test_they_change_nothing(function: Callable[..., Any]) -> None:
    x = optc.ones(2, 2)
    scripted = optc.jit.script(function)
    assert scripted(x).tolist() == function(x).tolist()
    assert optc.compile(scripted, fallback="error")(x).tolist() == function(x).tolist()


def test_what_autocast_would_compute_in_another_type_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="does not compute in another type under autocast"):
        cast(optc.ones(2, 2))
    scripted = optc.jit.script(cast)
    for program in (scripted, optc.compile(scripted, fallback="allow")):
        with pytest.raises(ExecutionError, match="does not compute in another type under autocast"):
            program(optc.ones(2, 2))
