"""Systems of equations and factors in native code: matrices of less than a vector's rows, of whole panels, and of more;
stacks of them; what is singular."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optc
from optc import jit
from optc.errors import ExecutionError
from optc.ops.factorizations import lu_factors

Array = np.ndarray[Any, Any]
SIZES = (1, 3, 8, 9, 21, 32)
"""Less than a vector, whole panels, and panels with a rest, for vectors of 4 and 8 elements."""


def numbers(*shape: int, dtype: str = "float64") -> Array:
    return np.random.default_rng(list(shape)).normal(size=shape).astype(dtype)


def turned(x: Array) -> Array:
    return np.swapaxes(x, -1, -2)


def definite(*shape: int) -> Array:
    x = numbers(*shape)
    return np.asarray(x @ turned(x) + shape[-1] * np.eye(shape[-1]))


def solutions(a, b, c):
    return optc.linalg.solve(a, b), optc.linalg.solve(a.mT, b), optc.linalg.solve(a, c, left=False)


def vector(a, b):
    return optc.linalg.solve(a, b)


def triangles(a, b, c):
    lower = optc.linalg.solve_triangular(a, b, upper=False)
    upper = optc.linalg.solve_triangular(a, b, upper=True)
    ones = optc.linalg.solve_triangular(a, b, upper=True, unitriangular=True)
    return lower, upper, ones, optc.linalg.solve_triangular(a, c, upper=False, left=False)


def roots(a):
    lower = optc.linalg.cholesky(a)
    return lower, optc.linalg.cholesky(a, upper=True), optc.cholesky_inverse(lower)


def factors(a):
    found = optc.linalg.lu_factor_ex(a)
    return found[0], found[1], found[2]


def determinants(a):
    sign, size = optc.linalg.slogdet(a)
    return optc.linalg.det(a), sign, size, optc.linalg.inv(a)


def inverse(a):
    return optc.linalg.inv(a)


def run(program: Any, *arguments: Array, threads: int = 1) -> list[Array]:
    """The results of native code, which has to do all of it."""
    fast = optc.compile(jit.script(program), fallback="error", threads=threads)
    found = fast(*arguments)
    return [np.asarray(item) for item in (found if isinstance(found, tuple) else (found,))]


def assert_close(found: list[Array], expected: list[Any]) -> None:
    for mine, other in zip(found, expected, strict=True):
        scale = np.abs(other).max() or 1
        assert mine.shape == np.shape(other) and np.abs(mine - other).max() <= 1e-9 * scale


@pytest.mark.parametrize("n", SIZES)
def test_solutions_solve(n: int) -> None:
    a, b = numbers(2, n, n), numbers(2, n, 5)
    straight, transposed, right = run(solutions, a, b, turned(b).copy())
    assert_close([a @ straight, turned(a) @ transposed, right @ a], [b, b, turned(b)])


@pytest.mark.parametrize("n", SIZES)
def test_triangles_leave_what_is_not_theirs_alone(n: int) -> None:
    a, b = numbers(2, n, n) / n + 3 * np.eye(n), numbers(2, n, 5)
    lower, upper, ones, right = run(triangles, a, b, turned(b).copy())
    above = np.triu(a)
    back = [np.tril(a) @ lower, above @ upper, (np.triu(a, 1) + np.eye(n)) @ ones, right @ np.tril(a)]
    assert_close(back, [b, b, b, turned(b)])


@pytest.mark.parametrize("n", SIZES)
def test_roots_are_triangles(n: int) -> None:
    a = definite(2, n, n)
    read = np.tril(a) + np.triu(np.full_like(a, np.nan), 1)
    (lower,) = run(root, read)
    assert np.array_equal(lower, np.tril(lower))
    mine, upper, inverted = run(roots, a)
    assert_close([lower, mine, upper, inverted @ a], [np.linalg.cholesky(a), lower, turned(lower), np.eye(n) + 0 * a])


def root(a):
    return optc.linalg.cholesky(a)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_factors_exchange_the_rows_that_eager_code_does(n: int, dtype: str) -> None:
    a = numbers(3, n, n, dtype=dtype)
    found, pivots, info = run(factors, a)
    expected = lu_factors(a)
    assert np.array_equal(pivots, expected[1]) and not info.any()
    assert np.abs(found - expected[0]).max() < (1e-4 if dtype == "float32" else 1e-10) * np.abs(expected[0]).max()


@pytest.mark.parametrize("n", SIZES)
def test_determinants_and_inverses(n: int) -> None:
    a = numbers(2, 2, n, n)
    determinant, sign, size, inverted = run(determinants, a)
    expected = np.linalg.slogdet(a)
    assert_close([determinant, sign, size, inverted @ a], [np.linalg.det(a), *expected, np.eye(n) + 0 * a])


def test_one_matrix_serves_a_batch_and_one_right_side_many_matrices() -> None:
    a, b = numbers(4, 9, 9), numbers(3, 1, 9, 2)
    assert_close(run(vector, a, b), [np.linalg.solve(a, b)])
    assert_close(run(vector, a[0], b), [np.linalg.solve(a[0], b)])
    assert_close(run(vector, a[:3], numbers(3, 9)), [np.linalg.solve(a[:3], numbers(3, 9)[..., None])[..., 0]])


def test_matrices_are_shared_out_among_threads() -> None:
    a = numbers(70, 33, 33)
    assert np.array_equal(run(inverse, a)[0], run(inverse, a, threads=2)[0])


def test_what_is_singular_fails_with_the_number_of_the_matrix() -> None:
    fast = optc.compile(jit.script(inverse), fallback="error")
    a = numbers(3, 4, 4)
    fast(a)
    a[1, :, 2] = 0
    with pytest.raises(ExecutionError, match=r"\(Batch element 1\): The diagonal element \d is zero"):
        fast(a)


def test_a_singular_matrix_has_factors_and_the_determinant_zero() -> None:
    a = np.ones((2, 3, 3))
    assert [result.tolist() for result in run(factors, a)] == [result.tolist() for result in lu_factors(a)]
    with np.errstate(divide="ignore"):
        assert run(determinant_of, a)[0].tolist() == [0, 0]


def unchecked(a, b):
    found, info = optc.linalg.solve_ex(a, b)
    lower, order = optc.linalg.cholesky_ex(a)
    return found, info, lower, order


def test_where_nobody_asks_for_errors_the_result_is_that_of_eager_code() -> None:
    a, b = np.stack([definite(11, 11)] * 3), numbers(3, 11, 2)
    a[1, 9] = a[1, :, 9] = 0
    a[2, 4, 4] = -5
    found = run(unchecked, a, b)
    assert_close(found, [np.asarray(item) for item in unchecked(optc.from_numpy(a), optc.from_numpy(b))])
    assert found[1].tolist() == [0, 10, 0] and found[3].tolist() == [0, 10, 5]


def determinant_of(a):
    return optc.linalg.det(a)


@pytest.mark.parametrize("bad", [-1.0, np.nan])
def test_what_is_not_positive_definite_has_no_root(bad: float) -> None:
    a = definite(9, 9)
    a[8, 8] = bad
    fast = optc.compile(jit.script(root), fallback="error")
    with pytest.raises(ExecutionError, match="leading minor of order 9"):
        fast(a)


def fitted(a, b):
    found = optc.linalg.lstsq(a, b, driver="gels")
    return found.solution, found.residuals, found.rank, found.singular_values


@pytest.mark.parametrize("shapes", [((8, 8), (8,)), ((5, 5), (5, 3)), ((2, 4, 4), (2, 4)), ((2, 3, 3), (2, 3, 1))])
def test_as_many_equations_as_unknowns_have_one_solution(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    a, b = numbers(*shapes[0]), numbers(*shapes[1])
    found = run(fitted, a, b)
    expected = [np.asarray(item) for item in fitted(optc.from_numpy(a), optc.from_numpy(b))]
    assert_close(found[:1], expected[:1])
    assert [(item.shape, item.dtype) for item in found] == [(item.shape, item.dtype) for item in expected]


def test_more_equations_than_unknowns_are_left_to_numpy() -> None:
    fast = optc.compile(jit.script(fitted), fallback="allow")
    a, b = numbers(6, 4), numbers(6, 2)
    assert_close([np.asarray(fast(a, b)[0])], [np.linalg.lstsq(a, b)[0]])
    assert [fallback.operator for fallback in fast.fallbacks] == ["aten::linalg_lstsq"]
