"""Compiled matrix products mean what numpy computes in double precision: shapes, layouts, types, batches, epilogues."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import optc
from optc import Tensor, nn
from optc.codegen.machine.host import AVX512
from optc.codegen.program import generate

Array = np.ndarray[Any, Any]

FLOATS = (np.float32, np.float64, np.float16)
INTEGERS = (np.int64, np.int32, np.int16, np.int8, np.uint8)
EXTENTS = (0, 1, 2, 5, 16, 17, 48, 70)


def plain(x: Tensor, y: Tensor) -> Tensor:
    return x @ y


def right_turned(x: Tensor, y: Tensor) -> Tensor:
    return x @ y.t()


def left_turned(x: Tensor, y: Tensor) -> Tensor:
    return x.t() @ y


def both_turned(x: Tensor, y: Tensor) -> Tensor:
    return x.t() @ y.t()


def strided(x: Tensor, y: Tensor) -> Tensor:
    return x[:, ::2] @ y[::2]


def long_epilogue(x: Tensor, y: Tensor, row: Tensor, column: Tensor, whole: Tensor) -> Tensor:
    return optc.sigmoid(optc.relu(x @ y * 0.5 + row) - column) * whole


def truth(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y + 1.0) > 0


def times_vector(x: Tensor, vector: Tensor) -> Tensor:
    return optc.mv(x, vector) + 1.0


def batched_epilogue(x: Tensor, y: Tensor, row: Tensor, whole: Tensor) -> Tensor:
    return optc.relu(x @ y + row) * whole


def batched_turned(x: Tensor, y: Tensor) -> Tensor:
    return x.transpose(1, 2) @ y.transpose(1, 2)


def shared_left(x: Tensor, y: Tensor) -> Tensor:
    return x.expand(y.size(0), -1, -1) @ y


def compiled(function: Any, dynamic: bool = False) -> Any:
    return optc.compile(function, dynamic=True) if dynamic else optc.compile(function)


def run(function: Any, *arrays: Array) -> Array:
    """The result of a compiled function, none of which ran in the interpreter."""
    result = np.asarray(function(*arrays))
    assert not function.fallbacks, function.fallbacks
    return result


def numbers(*shape: int, dtype: Any = np.float32, seed: int = 0) -> Array:
    return np.random.default_rng((seed, *shape)).standard_normal(shape).astype(dtype)


def close(got: Array, left: Array, right: Array) -> None:
    """Within the error that a sum of products in any order may have, and the rounding to the result's type."""
    exact = left.astype(np.float64) @ right.astype(np.float64)
    size = np.abs(left.astype(np.float64)) @ np.abs(right.astype(np.float64))
    summed = np.float64 if got.dtype == np.float64 else np.float32
    bound = (left.shape[-1] + 2) * np.finfo(summed).eps * size + np.finfo(got.dtype).eps * np.abs(exact) + 1e-30
    assert got.shape == exact.shape
    assert (np.abs(got - exact) <= bound).all()


@pytest.mark.parametrize("turned", ["", "left", "right", "both"])
def test_any_shape(turned: str) -> None:
    """One function for all shapes, and functions for some of their own."""
    function = {"": plain, "left": left_turned, "right": right_turned, "both": both_turned}[turned]
    any_shape = compiled(function, dynamic=True)
    shapes = list(itertools.product(EXTENTS, repeat=3))
    for number, (m, n, k) in enumerate(shapes[:: 7 if turned else 3]):
        left, right = numbers(m, k, seed=1), numbers(k, n, seed=2)
        x = np.ascontiguousarray(left.T) if turned in ("left", "both") else left
        y = np.ascontiguousarray(right.T) if turned in ("right", "both") else right
        close(run(any_shape, x, y), left, right)
        if number % 8 == 0:
            close(run(compiled(function), x, y), left, right)


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("shape", [(1, 100, 70), (20, 33, 40), (64, 1, 50), (130, 70, 300)], ids=str)
def test_floats(dtype: Any, shape: tuple[int, int, int]) -> None:
    m, n, k = shape
    left, right = numbers(m, k, dtype=dtype), numbers(k, n, dtype=dtype)
    close(run(compiled(plain), left, right), left, right)


@pytest.mark.parametrize("dtype", INTEGERS, ids=lambda dtype: dtype.__name__)
def test_integers_are_exact_and_wrap(dtype: Any) -> None:
    generator = np.random.default_rng(0)
    limits = np.iinfo(dtype)
    for m, n, k in [(1, 100, 50), (20, 33, 40), (64, 1, 30), (9, 70, 0)]:
        left, right = (
            generator.integers(limits.min, limits.max, shape, dtype, endpoint=True) for shape in ((m, k), (k, n))
        )
        with np.errstate(over="ignore"):
            assert np.array_equal(run(compiled(plain), left, right), left @ right)


def test_rows_far_apart_and_elements_far_apart() -> None:
    left, right = numbers(30, 41), numbers(42, 50)[:41]
    close(run(compiled(strided), left, right), left[:, ::2], right[::2])


@pytest.mark.parametrize("dynamic", [False, True])
def test_an_epilogue_with_rows_columns_and_matrices(dynamic: bool) -> None:
    for m, n, k in [(5, 7, 3), (1, 40, 30), (30, 1, 20), (70, 90, 33)]:
        x, y, row, column, whole = numbers(m, k), numbers(k, n), numbers(n), numbers(m, 1), numbers(m, n)
        product = x.astype(np.float64) @ y.astype(np.float64)
        expected = whole / (1 + np.exp(column - np.maximum(product * 0.5 + row, 0)))
        got = run(compiled(long_epilogue, dynamic), x, y, row, column, whole)
        assert np.allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_an_epilogue_of_another_type() -> None:
    x, y = numbers(20, 700), numbers(700, 30)
    sums = x.astype(np.float64) @ y.astype(np.float64) + 1
    got = run(compiled(truth), x, y)
    assert got.dtype == np.bool_
    assert np.array_equal(got[np.abs(sums) > 1e-3], sums[np.abs(sums) > 1e-3] > 0)


@pytest.mark.parametrize("k", [3, 16, 100, 1001])
def test_a_vector_on_the_right(k: int) -> None:
    x, vector = numbers(37, k), numbers(k)
    got = run(compiled(times_vector), x, vector)
    assert np.allclose(got, x.astype(np.float64) @ vector + 1, rtol=1e-4, atol=1e-4)
    weights = optc.compile(Weights(vector[:, None]))
    close(run(weights, x), x, vector[:, None])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_extents_by_one_program(dtype: Any) -> None:
    """Also few columns and parts of vectors; a row is the same in any company, also alone."""
    multiplied = compiled(plain, dynamic=True)
    for n, k in itertools.product((2, 3, 4, 5, 8, 9, 14, 22, 25, 50), (2, 7, 40, 300)):
        x, y = numbers(19, k, dtype=dtype), numbers(k, n, dtype=dtype)
        whole = run(multiplied, x, y)
        close(whole, x, y)
        for m in (1, 2, 3, 5, 8):
            assert np.array_equal(run(multiplied, x[:m], y), whole[:m]), (m, n, k)


class Weights(optc.nn.Module):
    """A product with constant weights."""

    def __init__(self, weights: Array) -> None:
        super().__init__()
        self.weights = optc.nn.Parameter(optc.from_numpy(weights))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weights


@pytest.mark.parametrize("dynamic", [False, True])
def test_batches(dynamic: bool) -> None:
    functions = [compiled(f, dynamic) for f in (plain, batched_turned, shared_left, batched_epilogue)]
    for count, m, n, k in [
        (3, 5, 7, 4),
        (2, 20, 33, 40),
        (4, 1, 50, 16),
        (2, 40, 1, 9),
        (3, 17, 17, 0),
        (2, 130, 60, 250),
    ]:
        x, y = numbers(count, m, k), numbers(count, k, n)
        row, whole = numbers(count, 1, n), numbers(count, m, n)
        close(run(functions[0], x, y), x, y)
        close(run(functions[1], x.transpose(0, 2, 1).copy(), y.transpose(0, 2, 1).copy()), x, y)
        close(run(functions[2], x[:1], y), x[:1], y)
        expected = np.maximum(x.astype(np.float64) @ y + row, 0) * whole
        assert np.allclose(run(functions[3], x, y, row, whole), expected, rtol=1e-4, atol=1e-4)


def test_a_row_is_the_same_in_any_company_and_on_any_number_of_threads() -> None:
    x, weights = numbers(300, 1500), numbers(1500, 130)
    before = optc.get_num_threads()
    try:
        optc.set_num_threads(1)
        alone = run(optc.compile(Weights(weights)), x)
        for m in (1, 2, 7, 64):
            assert np.array_equal(run(optc.compile(Weights(weights)), x[:m]), alone[:m])
            assert np.array_equal(run(compiled(plain), x[:m], weights), alone[:m])
        optc.set_num_threads(2)
        assert np.array_equal(run(optc.compile(Weights(weights)), x), alone)
        assert np.array_equal(run(compiled(plain), x, weights), alone)
        assert np.array_equal(run(compiled(right_turned), x, np.ascontiguousarray(weights.T)), alone)
    finally:
        optc.set_num_threads(before)


@pytest.mark.parametrize(("layers", "is_asked_for"), [(2, True), (8, False)])
def test_a_row_asks_for_weights_in_time_that_stay_in_the_last_cache(layers: int, is_asked_for: bool) -> None:
    """All weights of the program count, which every run reads."""
    module = nn.Sequential(*[nn.Linear(768, 768) for _ in range(layers)])
    fast = optc.compile(optc.jit.trace(module, (optc.randn(1, 768),)))
    fast(optc.randn(1, 768))
    assert any("streams" in name for name in generate(fast.graph, AVX512).texts) == is_asked_for


class Repeated(nn.Module):
    """A product with the same weights in every turn, between others."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.again, self.last = nn.Linear(512, 512), nn.Linear(512, 512), nn.Linear(512, 640)

    def forward(self, x: Tensor, turns: int) -> Tensor:
        x = self.first(x)
        for _ in range(turns):
            x = optc.relu(self.again(x))
        return self.last(x)


def test_weights_that_a_loop_reads_again_and_again_are_near() -> None:
    module = Repeated().eval()
    fast = optc.compile(optc.jit.script(module))
    fast(optc.randn(1, 512), 3)
    streamed = [kernel.name for kernel in generate(fast.graph, AVX512).kernels if "streams" in kernel.name]
    assert len(streamed) == 2
    assert sum("alternating" in kernel.name for kernel in generate(fast.graph, AVX512).kernels) == 1
    x, threads = optc.randn(1, 512), optc.get_num_threads()
    try:
        optc.set_num_threads(1)
        for turns in range(4):
            alone = np.asarray(fast(x, turns))
            assert np.allclose(alone, module(x, turns).detach().numpy(), rtol=1e-4, atol=1e-4)
            optc.set_num_threads(2)
            assert np.array_equal(np.asarray(fast(x, turns)), alone)
            optc.set_num_threads(1)
    finally:
        optc.set_num_threads(threads)
