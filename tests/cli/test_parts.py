"""Styles, tables, times, inputs and comparisons by themselves."""

from __future__ import annotations

import io
import time

import numpy as np
import pytest

import optc
from optc.cli import style as styles
from optc.cli.diff import graph_diff
from optc.cli.inputs import from_shapes
from optc.cli.results import compare, leaves
from optc.cli.style import Style, duration, factor, table, waiting
from optc.cli.timing import Times, in_turn


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (25e-9, "25 ns"),
        (312.4e-9, "312 ns"),
        (4.7e-6, "4.7 us"),
        (12.34e-3, "12.3 ms"),
        (0.9999, "1 s"),
        (75.0, "75 s"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(("ratio", "text"), [(1.0, "1x"), (1.054, "1.05x"), (70.63, "70.6x"), (1060.2, "1060x")])
def test_factor(ratio: float, text: str) -> None:
    assert factor(ratio) == text


def test_table_aligns_columns() -> None:
    text = table(["", "median"], [["a", "1 ns"], ["longer", "10 ns"]], Style(False))
    assert text.splitlines() == ["        median", "a         1 ns", "longer   10 ns"]


def test_no_colours_in_a_pipe() -> None:
    style = Style.of(io.StringIO())
    assert not style.coloured
    assert style.graph("%1 : Tensor = aten::neg(%0) # a.py:1:2") == "%1 : Tensor = aten::neg(%0) # a.py:1:2"
    assert style.heading("title") == "== title"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colours_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    style = Style.of(Terminal())
    assert style.graph("%1 = aten::neg(%0) # a.py:1") == "%1 = \x1b[34maten::neg\x1b[0m(%0)\x1b[2m # a.py:1\x1b[0m"
    assert style.diff("+a\n-b\n c") == "\x1b[32m+a\x1b[0m\n\x1b[31m-b\x1b[0m\n c"
    monkeypatch.setenv("NO_COLOR", "1")
    assert not Style.of(Terminal()).coloured


def test_waiting_speaks_up_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(styles, "WAIT_SECONDS", 0.01)
    quick, slow = io.StringIO(), io.StringIO()
    with waiting("blinking", quick):
        pass
    with waiting("thinking", slow):
        time.sleep(0.2)
    assert (quick.getvalue(), slow.getvalue()) == ("", "optc: thinking ...\n")


def test_shapes_and_dtypes() -> None:
    first, second, third = from_shapes("3x4,5:int64,scalar:float64", None)
    assert (first.shape, first.dtype) == ((3, 4), optc.float32)
    assert (second.shape, second.dtype) == ((5,), optc.int64)
    assert (third.shape, third.dtype) == ((), optc.float64)


def test_leaves_have_paths() -> None:
    assert list(leaves({"a": (1, [2]), "b": 3})) == [("a.0", 1), ("a.1.0", 2), ("b", 3)]
    assert list(leaves(5)) == [("0", 5)]


@pytest.mark.parametrize(
    ("found", "expected", "is_equal"),
    [
        (optc.tensor([1.0, 2.0]), optc.tensor([1.0, 2.00001]), True),
        (optc.tensor([1.0, 2.0]), optc.tensor([1.0, 2.1]), False),
        (optc.tensor([float("nan")]), optc.tensor([float("nan")]), True),
        (optc.tensor([float("nan")]), optc.tensor([1.0]), False),
        (optc.tensor([float("inf")]), optc.tensor([float("-inf")]), False),
        (optc.tensor([1, 2]), optc.tensor([1, 3]), False),
        (optc.tensor([1]), optc.tensor([1.0]), False),
        (optc.zeros(2, 1), optc.zeros(1, 2), False),
        (optc.zeros(0), optc.zeros(0), True),
        ((1, 2), (1, 2), True),
        ((1, 2), (1, 2.0), False),
        ((1, 2), (1, 2, 3), False),
    ],
)
def test_compare(found: object, expected: object, is_equal: bool) -> None:
    assert all(difference.is_equal for difference in compare(found, expected, 1e-4)) == is_equal


def test_timing_takes_turns() -> None:
    order: list[str] = []

    def slow() -> None:
        order.append("slow")
        time.sleep(0.004)

    def quick() -> None:
        order.append("quick")
        time.sleep(0.002)

    times = in_turn({"slow": slow, "quick": quick}, 5)
    assert order[-4:] == ["slow", "quick", "slow", "quick"]
    assert times["slow"].median > times["quick"].median


def test_spread_is_relative_to_the_median() -> None:
    assert Times((1.0, 1.0, 1.0, 1.0)).spread == 0.0
    assert Times(tuple(np.linspace(1, 3, 101))).spread == pytest.approx(0.25, rel=0.05)


BEFORE = """graph(%x : Tensor):
  %1 : int = prim::Constant[value=1]() # a.py:1:0
  %2 : Tensor = aten::neg(%x) # a.py:2:0
  %3 : Tensor = aten::exp(%2) # a.py:3:0
  return (%3)"""


def changed_lines(before: str, after: str) -> list[str]:
    """The lines of a difference that were removed or added."""
    return [line for line in graph_diff(before, after, "after").splitlines()[3:] if line[0] in "+-"]


def test_diff_does_not_show_renumbering() -> None:
    after = """graph(%x : Tensor):
  %1 : Tensor = aten::neg(%x) # a.py:2:0
  %2 : Tensor = aten::exp(%1) # a.py:3:0
  return (%2)"""
    assert changed_lines(BEFORE, after) == ["-  %1 : int = prim::Constant[value=1]() # a.py:1:0"]


def test_diff_shows_another_operand() -> None:
    after = BEFORE.replace("aten::exp(%2)", "aten::exp(%1)")
    assert changed_lines(BEFORE, after) == [
        "-  %3 : Tensor = aten::exp(%2) # a.py:3:0",
        "+  %3 : Tensor = aten::exp(%1) # a.py:3:0",
    ]


def test_diff_gives_new_values_new_numbers() -> None:
    after = BEFORE.replace("aten::neg(%x)", "aten::abs(%x)")
    assert changed_lines(BEFORE, after)[:2] == [
        "-  %2 : Tensor = aten::neg(%x) # a.py:2:0",
        "-  %3 : Tensor = aten::exp(%2) # a.py:3:0",
    ]
    assert "+  %4 : Tensor = aten::abs(%x) # a.py:2:0" in changed_lines(BEFORE, after)
    assert "+  %3 : Tensor = aten::exp(%4) # a.py:3:0" in changed_lines(BEFORE, after)


def test_diff_shows_changed_types() -> None:
    after = BEFORE.replace("%2 : Tensor", "%2 : Float(3)")
    assert changed_lines(BEFORE, after) == [
        "-  %2 : Tensor = aten::neg(%x) # a.py:2:0",
        "+  %2 : Float(3) = aten::neg(%x) # a.py:2:0",
    ]
