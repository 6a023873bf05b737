"""Concatenations are written by the kernels that compute their parts; only other tensors are copied."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import optc
from optc import Tensor

Program = Callable[[Any, Any], Any]


def compiled(program: Program, *arguments: Any, dynamic: bool = False) -> Any:
    return optc.compile(program, arguments, dynamic=dynamic, fallback="error", cache=False)


def tensors(*shape: int) -> tuple[Any, Any]:
    generator = np.random.default_rng(len(shape))
    x, y = (optc.tensor(generator.standard_normal(shape).astype(np.float32)) for _ in range(2))
    return x, y


def check(program: Program, copies: int, *shape: int, dynamic: bool = False) -> None:
    """The compiled program gives what the program gives, with so many copies into concatenations."""
    x, y = tensors(*shape)
    fast = compiled(program, x, y, dynamic=dynamic)
    np.testing.assert_allclose(fast(x, y)._array, program(x, y)._array, rtol=1e-5, atol=1e-6)
    assert sum(kernel.operators == ["aten::cat"] for kernel in fast.kernels) == copies


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("dim", [0, 1, 2, -1])
def test_computed_parts_are_written_where_they_belong(dim: int, dynamic: bool) -> None:
    check(lambda x, y: optc.cat([x * 2, optc.relu(y), x - y], dim), 0, 5, 7, 19, dynamic=dynamic)


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("dim", [0, 1, 2, 3])
def test_computed_parts_of_stacks_are_written_where_they_belong(dim: int, dynamic: bool) -> None:
    check(lambda x, y: optc.stack([x * 2, optc.relu(y), x - y], dim), 0, 5, 7, 19, dynamic=dynamic)


@pytest.mark.parametrize("shape", [(9, 8), (70, 33), (3, 129), (1, 67), (200, 300)], ids=str)
@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
def test_pairs_are_written_as_whole_vectors(shape: tuple[int, ...], dynamic: bool) -> None:
    """One output for both numbers of the pairs, and the same values whatever is left behind the last vector."""

    def program(x: Any, y: Any) -> Any:
        return optc.stack([x * y + 1, optc.sigmoid(x) - y], -1)

    check(program, 0, *shape, dynamic=dynamic)
    (kernel,) = compiled(program, *tensors(*shape), dynamic=dynamic).kernels
    assert "out0" in kernel.text
    assert "out1" not in kernel.text


def test_pairs_of_which_something_else_reads_one_side_are_copied_there() -> None:
    def program(x: Any, y: Any) -> Any:
        real = x * y
        return optc.stack([real, x - y], -1) + real.unsqueeze(-1)

    check(program, 1, 9, 33)


def test_arguments_are_copied() -> None:
    check(lambda x, y: optc.cat([x, y + 1, y], 1), 2, 9, 33)


def test_a_value_that_is_read_elsewhere_is_copied() -> None:
    def program(x: Any, y: Any) -> Any:
        part = x * 3
        return optc.cat([part, y + 1], 1) + optc.cat([part.exp(), part], 1).sum()

    check(program, 2, 9, 33)


def test_a_value_that_occurs_twice_is_copied() -> None:
    def program(x: Any, y: Any) -> Any:
        part = x * 3
        return optc.cat([part, part], 0)

    check(program, 2, 9, 33)


def test_a_row_kernel_keeps_values_in_its_part() -> None:
    check(lambda x, y: optc.cat([optc.softmax(x, -1), optc.softmax(y, 0)], 1), 0, 20, 50)


def test_a_concatenation_is_an_ordinary_value() -> None:
    check(lambda x, y: optc.cat([x * 2, y * 3], 1).softmax(1) - optc.cat([y * 2, x * 3], 1), 0, 20, 50)


def test_concatenations_of_concatenations() -> None:
    check(lambda x, y: optc.cat([optc.cat([x * 2, y * 3], 1), optc.cat([y * 2, x * 3], 1)], 0), 2, 20, 50)


def test_branches_and_loops_have_concatenations_of_their_own() -> None:
    def program(x: Tensor, y: Tensor, n: int) -> Tensor:
        for _ in range(n):
            x = optc.cat([x[:10] * 2, y[10:] + 1], 0)
        if n > 1:
            x = optc.cat([x * 2, y], 1)
        else:
            x = optc.cat([y + 1, x - 1], 1)
        return x

    x, y = tensors(20, 50)
    fast = optc.compile(optc.jit.script(program), fallback="error", cache=False)
    for n in (0, 1, 3):
        np.testing.assert_allclose(fast(x, y, n)._array, program(x, y, n)._array, rtol=1e-5)
