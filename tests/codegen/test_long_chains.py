"""Programs that do very much to every element: they compile, however deep and branched their expressions are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import optc
from optc import Tensor
from optc.codegen.driver.grouping import MOST_OPERATIONS


def rounds(count: int, step: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def program(x: Tensor) -> Tensor:
        y = x
        for _ in range(count):
            y = step(y, x)
        return y

    return program


def deep(count: int) -> Callable[[Tensor], Tensor]:
    return rounds(count, lambda y, x: optc.relu(y * 0.5 + x))


def functions(count: int) -> Callable[[Tensor], Tensor]:
    return rounds(count, lambda y, x: optc.tanh(y + x))


def branched(count: int) -> Callable[[Tensor], Tensor]:
    """Each value is read three times by the next one: 3 ** count ways lead through the expression."""
    return rounds(count, lambda y, x: (y * optc.sigmoid(y) + y) * 0.5)


def behind_a_product(x: Tensor) -> Tensor:
    return branched(40)(x @ x.t())


def around_reductions(x: Tensor) -> Tensor:
    y = branched(40)(x)
    y = branched(40)(y - y.mean(1, True))
    return branched(40)(optc.softmax(y, 1))


def sliced(x: Tensor) -> Tensor:
    gates = x @ optc.ones(48, 192)
    first, second, third, _ = gates.chunk(4, 1)
    return branched(40)(optc.sigmoid(first) * optc.tanh(second) + third)


PROGRAMS = (deep(200), functions(80), branched(40), behind_a_product, around_reductions, sliced)
NAMES = ("deep", "functions", "branched", "product", "reductions", "sliced")


@pytest.mark.parametrize("program", PROGRAMS, ids=NAMES)
def test_much_work_on_every_element(program: Callable[[Tensor], Tensor]) -> None:
    x = optc.from_numpy(np.random.default_rng(0).standard_normal((40, 48), np.float32) * 0.1)
    fast = optc.compile(optc.jit.trace(program, (x,)), fallback="error")
    np.testing.assert_allclose(fast(x).numpy(), program(x).numpy(), rtol=2e-4, atol=1e-6)


def test_kernels_have_an_end() -> None:
    """LLVM takes time that grows with the square of a function's length."""
    x = optc.ones(40, 48)
    step_operations = 20
    fast = optc.compile(optc.jit.trace(functions(2 * MOST_OPERATIONS // step_operations), (x,)), fallback="error")
    fast(x)
    assert 2 <= len(fast.kernels) <= 4
