"""Element types and memory order of results, against PyTorch: see `tests.eager.peers`."""

import itertools
from typing import Any

import numpy as np
import pytest

from tests.eager.peers import OPTC, agree, outcome, torch

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]


DTYPES = ["float32", "float64", "float16", "bfloat16", "int64", "int32", "int8", "uint8", "bool"]
OPERATORS = [
    "a + b",
    "a - b",
    "a * b",
    "a / b",
    "a // b",
    "a % b",
    "a == b",
    "a < b",
    "a & b",
    "a | b",
    "a ^ b",
    "t.maximum(a, b)",
]
OPERANDS = ["t.tensor([3, 1, 2], dtype=t.{dtype})", "t.tensor(2, dtype=t.{dtype})"]


@pytest.mark.parametrize("operator", OPERATORS)
def test_promotion_of_every_pair(operator: str) -> None:
    wrong = []
    for left, right, operand in itertools.product(DTYPES, DTYPES, OPERANDS):
        scope = f"t.tensor([5, 7, 2], dtype=t.{left})", operand.format(dtype=right)
        function = eval(f"lambda t: (lambda a, b: {operator})({scope[0]}, {scope[1]})")
        theirs, ours = outcome(function, torch), outcome(function, OPTC)
        if not agree(theirs, ours):
            wrong.append((*scope, theirs, ours))
    assert not wrong, f"{len(wrong)} differ, the first: {wrong[0]}"


@pytest.mark.parametrize("number", ["3", "-2", "2.5", "True", "0", "100", "float('nan')"])
@pytest.mark.parametrize("operator", OPERATORS[:8] + ["b - a", "b / a", "b // a", "b % a", "a ** b", "b ** a"])
def test_promotion_with_numbers(operator: str, number: str) -> None:
    wrong = []
    for dtype in DTYPES:
        function = eval(f"lambda t: (lambda a, b: {operator})(t.tensor([5, 7, 2], dtype=t.{dtype}), {number})")
        theirs, ours = outcome(function, torch), outcome(function, OPTC)
        if not agree(theirs, ours):
            wrong.append((dtype, theirs, ours))
    assert not wrong, f"{len(wrong)} differ, the first: {wrong[0]}"


def _operand(t: Any, extents: list[int], axes: list[int]) -> Any:
    """A tensor of the given extents whose memory has them in another order."""
    stored = [extents[axes.index(axis)] for axis in range(len(axes))]
    return t.ones(*stored).permute(*axes)


def test_the_memory_order_of_results() -> None:
    choose = np.random.default_rng(0)
    for _ in range(300):
        rank = int(choose.integers(2, 5))
        shape = choose.integers(2, 5, rank).tolist()
        operands = []
        for _ in range(int(choose.integers(1, 4))):
            extents = [1 if choose.random() < 0.2 else extent for extent in shape]
            operands.append((extents, choose.permutation(rank).tolist()))

        def combine(t: Any, operands: list[Any] = operands) -> Any:
            tensors = [_operand(t, *operand) for operand in operands]
            result = tensors[0] + 1
            for other in tensors[1:]:
                result = t.where(result > 1, result, other) * other
            return tuple(result.shape), [step for extent, step in zip(result.shape, result.stride()) if extent > 1]

        assert combine(OPTC) == combine(torch), operands
