"""What programs say of wrong indices, steps and values is what PyTorch says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, List, Tuple  # noqa: UP035  the script language takes both

import pytest

import optc
from optc.errors import ExecutionError


def every_step(items: List[int], step: int):  # noqa: UP006
    return items[::step]


def one_of(items: Tuple[int, int, int], place: int):  # noqa: UP006
    return items[place]


def as_number(word: str):
    return "%d" % word  # noqa: UP031


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (every_step, ([1, 2], 0), "List slice should have non-zero step"),
        (one_of, ((1, 2, 3), 3), "Tuple list index out of range"),
        (one_of, ((1, 2, 3), -4), "Tuple list index out of range"),
        (as_number, ("word",), "%d requires a number for formatting, but got String"),
    ],
)
def test_messages(function: Callable[..., Any], arguments: tuple[Any, ...], message: str) -> None:
    scripted = optc.jit.script(function)
    for program in (scripted, optc.compile(scripted, fallback="allow")):
        with pytest.raises(ExecutionError, match=message):
            program(*arguments)
