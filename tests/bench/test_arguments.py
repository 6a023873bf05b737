"""What the benchmarks' command lines refuse: in one line, before anything is measured."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import pytest

from bench import arguments


def test_what_is_meant() -> None:
    assert arguments.count("30") == 30
    assert arguments.counts("1,2") == [1, 2]
    assert arguments.names_out_of(("optc", "torch eager"))("torch eager,optc") == ["torch eager", "optc"]
    assert [arguments.workload(text) for text in ("cell", "softmax-")] == ["cell", "softmax-"]


@pytest.mark.parametrize(
    ("read", "text", "said"),
    [
        (arguments.count, "0", "'0' is not a number above 0"),
        (arguments.counts, "1,many", "'many' is not a number above 0"),
        (arguments.names_out_of(("optc",)), "optc,jax", "there is no 'jax' (there are: optc)"),
        (arguments.workload, "cells", "no workload cells (there are: cell, "),
    ],
)
def test_complaint(read: Callable[[str], Any], text: str, said: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        read(text)
    assert said in str(caught.value)
