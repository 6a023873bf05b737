# mypy: disable-error-code="no-untyped-def, no-untyped-call"
# ruff: noqa: UP006, UP035, UP045, B007
"""Values that may be None are native: branches and loops hand on whether there is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, List, Optional, Tuple

import pytest

import optc
from optc import jit


def in_a_branch(x):
    y: Optional[optc.Tensor] = None
    if bool(x.sum() > 0):
        y = x * 2
    if y is not None:
        x = x + y
    return x


def that_is_returned(x) -> Optional[optc.Tensor]:
    y: Optional[optc.Tensor] = None
    if bool(x.sum() > 0):
        y = x * 2
    return y


def a_tuple_that_is_returned(x):
    y: Optional[Tuple[optc.Tensor, int]] = None
    if bool(x.sum() > 0):
        y = (x * 2, 3)
    return y, x + 1


def in_a_loop(x):
    y: Optional[optc.Tensor] = None
    for i in range(x.size(0)):
        if y is None:
            y = x * float(i)
        else:
            y = y + x * float(i)
    return y


def of_which_data_decides(x):
    best: Optional[optc.Tensor] = None
    for i in range(x.size(0)):
        if bool(x[i] > 0.5):
            best = x * float(i)
    if best is None:
        best = optc.zeros_like(x)
    return best


def a_number(x):
    n: Optional[int] = None
    for i in range(x.size(0)):
        if bool(x[i] > 0.5) and n is None:
            n = i
    if n is None:
        n = -1
    return n, x * n


def state(x):
    state: Optional[Tuple[optc.Tensor, optc.Tensor]] = None
    for i in range(5):
        if state is None:
            h, c = optc.zeros(6), optc.ones(6)
        else:
            h, c = state
        h = optc.tanh(h + x) * c
        state = (h, c * 0.9)
    assert state is not None
    return state[0]


def unwrapped(x):
    y: Optional[optc.Tensor] = None
    if bool(x.sum() > 0):
        y = x * 2
    return jit._unwrap_optional(y) + 1


def an_early_return(x) -> Optional[optc.Tensor]:
    if bool(x.sum() > 3):
        return None
    if bool(x.sum() > 0):
        return x
    return x * 2


def of_unknown_extent(x):
    y: Optional[optc.Tensor] = None
    if bool(x.sum() > 0):
        y = optc.masked_select(x, x > 0.3)
    if y is not None:
        return y * 2
    return x


def in_a_list(x):
    outs: List[Optional[optc.Tensor]] = []
    for i in range(3):
        if i == 1:
            outs.append(None)
        else:
            outs.append(x * i)
    return outs


PROGRAMS = [
    in_a_branch, that_is_returned, a_tuple_that_is_returned, in_a_loop, of_which_data_decides, a_number, state, unwrapped, an_early_return, of_unknown_extent, in_a_list,
]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS)
def test_it_is_native_and_means_the_same(program: Callable[..., Any]) -> None:
    def outcome(call: Callable[..., Any], x: optc.Tensor) -> str:
        try:
            return repr(call(x))
        except RuntimeError as error:
            return str(error)

    scripted = jit.script(program)
    fast = optc.compile(scripted, fallback="allow")
    for x in (optc.rand(6) + 0.1, -optc.rand(6), optc.ones(6) * 0.2, optc.zeros(6)):
        assert outcome(fast, x) == outcome(scripted, x)
    assert fast.specializations[-1].native is not None, fast.fallbacks
