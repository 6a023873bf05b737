"""Tensors that a trace holds as constants and writes to are kept from call to call, as the interpreter keeps them."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np

import optc
from optc import Tensor, nn


class Totals(nn.Module):
    """Holds what is no parameter and no buffer, so that traces make constants of it."""

    def __init__(self) -> None:
        super().__init__()
        self.__dict__["seen"] = optc.zeros(3)
        self.__dict__["scale"] = optc.tensor([1.0, 2.0, 3.0])
        self.register_buffer("weight", optc.ones(3))

    def forward(self, x: Tensor) -> Any:
        seen = self.__dict__["seen"]
        seen += (x * self.weight).sum(0)
        seen[1:] = seen[1:] * 0.5
        return seen * self.__dict__["scale"], x + 1


def accumulate(x: Tensor) -> Tensor:
    total = _FIRST.detach()
    for row in range(2):
        total += (x[row] ** 2).mean()
    return total / 2


_FIRST = optc.zeros(())


def saved(program: Any) -> bytes:
    file = io.BytesIO()
    program.save(file)
    return file.getvalue()


def rows(count: int, seed: int) -> Tensor:
    return optc.from_numpy(np.random.default_rng(seed).standard_normal((count, 3)).astype(np.float32))


def check(kept: Callable[..., Any], fast: Any) -> None:
    for seed, count in enumerate((2, 2, 5, 2, 1)):
        x = rows(count, seed) if count > 1 else rows(4, seed)
        mine, other = fast(x), kept(x)
        for left, right in zip(mine, other, strict=True) if isinstance(other, tuple) else [(mine, other)]:
            np.testing.assert_allclose(left.detach().numpy(), right.detach().numpy(), rtol=1e-5)


def test_an_archive_keeps_what_it_wrote_to_a_constant() -> None:
    content = saved(optc.jit.trace(Totals(), (rows(2, 0),), check_trace=False))
    fast = optc.compile(optc.jit.load(io.BytesIO(content)), fallback="error")
    check(optc.jit.load(io.BytesIO(content)), fast)


def test_a_traced_function_keeps_what_it_wrote_to_a_constant() -> None:
    content = saved(optc.jit.trace(accumulate, (rows(2, 0),), check_trace=False))
    fast = optc.compile(optc.jit.load(io.BytesIO(content)), fallback="error")
    check(optc.jit.load(io.BytesIO(content)), fast)


def test_compiled_and_interpreted_calls_keep_one_constant() -> None:
    program = optc.jit.load(io.BytesIO(saved(optc.jit.trace(accumulate, (rows(2, 0),), check_trace=False))))
    fast = optc.compile(program, fallback="error")
    x = optc.ones(2, 3)
    found = [float(call(x)) for call in (fast, program, fast, fast, program)]
    assert np.allclose(np.diff(found), 1.0)
