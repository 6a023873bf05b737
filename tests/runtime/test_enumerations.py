"""Members of enumerations in compiled programs: names and values of known members are constants."""

from __future__ import annotations

from enum import Enum
from typing import List  # noqa: UP035  the script language takes both

import pytest

import optc


class Factor(Enum):
    HALF = 0.5
    DOUBLE = 2.0


class Word(Enum):
    SHORT = "a"
    LONG = "bb"


def members_that_are_known(x: optc.Tensor):
    words: List[str] = []  # noqa: UP006
    for word in Word:
        words.append(word.value + word.name)
    return x * Factor.HALF.value, words, sum([factor.value for factor in Factor]), Word.LONG.name


def members_that_branches_choose(x: optc.Tensor, count: int):
    factor = Factor.HALF if count > 1 else Factor.DOUBLE
    word = Word.SHORT if count > 1 else Word.LONG
    return x * factor.value + len(word.value), factor.name, word.value, factor == Factor.HALF


def test_known_members_are_constants() -> None:
    compiled = optc.compile(optc.jit.script(members_that_are_known), fallback="error")
    halves, *rest = compiled(optc.ones(2))
    assert halves.tolist() == [0.5, 0.5]
    assert rest == [["aSHORT", "bbLONG"], 2.5, "LONG"]


@pytest.mark.parametrize("count", [1, 2])
def test_members_that_only_running_chooses(count: int) -> None:
    scripted = optc.jit.script(members_that_branches_choose)
    compiled = optc.compile(scripted, fallback="allow")
    compiled(optc.ones(2), 3 - count)
    expected = members_that_branches_choose(optc.ones(2), count)
    for found in (scripted(optc.ones(2), count), compiled(optc.ones(2), count)):
        assert found[0].tolist() == expected[0].tolist()
        assert found[1:] == expected[1:]
