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


@pytest.mark.parametrize(
    "text",
    ["x.softmax(1)", "x.log_softmax(-1)", "x.cumsum(0)", "x.cumprod(1)", "x.gather(0, i)", "x.scatter(0, i, x)",
     "x.scatter_add(0, i, x)", "x.masked_fill(x > 0.5, 1.0)", "x.masked_scatter(x > 0.5, x)", "x.prod(0)",
     "x.index_add(0, i[0, 0, 0][:1], x[:1])", "x.index_copy(0, i[0, 0, 0][:1], x[:1])", "t.renorm(x, 2, 0, 1.0)",
     "t.layer_norm(x, x.shape[-1:])", "t.diag_embed(x)", "x.roll(1, 0)",
     "t.hstack([x, x])", "t.vstack([x, x])", "t.dstack([x, x])", "t.rms_norm(x, x.shape[-1:])",
     "t.column_stack([x, x])"],
)  # fmt: skip
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (2, 0, 1, 3), (3, 2, 1, 0), (0, 3, 1, 2)])
def test_the_memory_order_of_what_is_not_computed_element_by_element(text: str, order: tuple[int, ...]) -> None:
    def steps(t: Any) -> tuple[int, ...]:
        x = t.ones(3, 4, 5, 6).permute(*order)
        return tuple(eval(text, {"t": t, "x": x, "i": t.zeros(3, 4, 5, 6, dtype=t.int64).permute(*order)}).stride())

    assert steps(OPTC) == steps(torch)
