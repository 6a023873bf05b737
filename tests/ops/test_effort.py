"""What an operator will take is told before it runs, and never less than it does take."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from optc.ir.dtypes import FLOAT32, INT64
from optc.ir.parser import parse_graph
from optc.ir.symbols import Replacements
from optc.ops.effort import effort, is_modest, result_bytes
from optc.ops.registry import lookup
from optc.passes.constant_folding import fold_node

MEGABYTE = 1 << 20
FLOATS = np.ones((100, 100), np.float32)
PLACES = np.full(1, 10**12)

ENORMOUS: list[tuple[str, tuple[Any, ...]]] = [
    ("aten::zeros", ([10**6, 10**6], FLOAT32.code, None, None, None)),
    ("aten::full", ([10**6, 10**6], 1.0, FLOAT32.code, None, None, None)),
    ("aten::arange", (10**12, INT64.code, None, None, None)),
    ("aten::repeat", (FLOATS, [10**4, 10**4])),
    ("aten::bincount", (PLACES, None, 0)),
    ("aten::repeat_interleave.Tensor", (PLACES, None)),
    ("aten::matmul", (np.ones((10**4, 10**3), np.float32), np.ones((10**3, 10**4), np.float32))),
    ("aten::einsum", ("a,b,c,d,e->", [np.ones(100, np.float32)] * 5, None)),
    ("aten::mul.left_t", ([1], 10**12)),
    ("aten::rjust", ("a", 10**12, " ")),
    ("aten::replace", ("a" * 10**5, "a", "b" * 10**5, -1)),
    ("aten::join", ("a" * 10**5, ["b"] * 10**5)),
]

SMALL: list[tuple[str, tuple[Any, ...]]] = [
    ("aten::zeros", ([10, 10], FLOAT32.code, None, None, None)),
    ("aten::cat", ([FLOATS] * 10, 0)),
    ("aten::add.Tensor", (FLOATS, FLOATS, 1)),
    ("aten::slice.Tensor", (FLOATS, 0, 0, (1 << 63) - 1, 1)),
    ("aten::slice.t", ([1] * 1000, None, (1 << 63) - 1, 1)),
    ("aten::append.t", ([FLOATS] * 1000, FLOATS)),
    ("aten::add.int", (1, 10**12)),
    ("aten::len.t", ([1] * 1000,)),
    ("aten::upper", ("text",)),
    ("quantized::conv2d_prepack", (np.ones((64, 32, 3, 3), np.int8), FLOATS[0], [1, 1], [0, 0], [1, 1], 1)),
]


@pytest.mark.parametrize(("name", "arguments"), ENORMOUS, ids=[name for name, _ in ENORMOUS])
def test_what_would_fill_the_machine_is_told_beforehand(name: str, arguments: tuple[Any, ...]) -> None:
    operator = lookup(name)
    assert operator is not None
    assert effort(operator, arguments) > 1000 * MEGABYTE and not is_modest(operator, arguments)


@pytest.mark.parametrize(("name", "arguments"), SMALL, ids=[name for name, _ in SMALL])
def test_what_is_done_every_day_is_modest(name: str, arguments: tuple[Any, ...]) -> None:
    operator = lookup(name)
    assert operator is not None
    assert is_modest(operator, arguments)


def test_the_bytes_of_a_result() -> None:
    zeros, nonzero = lookup("aten::zeros"), lookup("aten::nonzero")
    assert zeros is not None and nonzero is not None
    assert result_bytes(zeros, ([3, 5], FLOAT32.code, None, None, None)) == 60
    assert result_bytes(nonzero, (FLOATS,)) is None


@pytest.mark.parametrize(
    "operation",
    ["%3 : Tensor = aten::full(%1, %2, %n, %n, %n, %n)", "%3 : Tensor = aten::ones(%1, %n, %n, %n, %n)"],
)
def test_constants_that_are_too_large_are_not_made_to_be_thrown_away(operation: str) -> None:
    graph = parse_graph(
        "graph():\n  %1 : int[] = prim::Constant[value=[1000000, 1000000]]()\n"
        f"  %2 : float = prim::Constant[value=1.]()\n  %n : NoneType = prim::Constant()\n  {operation}\n  return (%3)\n"
    )
    assert not any(fold_node(graph, node, 65536, Replacements(graph)) for node in list(graph.walk()))
