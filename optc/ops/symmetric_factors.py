"""L D L^T of symmetric and Hermitian matrices that need not be definite, and systems solved by it.

The method is Bunch and Kaufman's, "Some stable methods for calculating inertia and solving symmetric linear systems",
Mathematics of Computation 31 (1977), with pivots and factors as LAPACK stores them: D's blocks on the diagonal and next
to it, L below, a positive pivot for a block of one row, the same negative one twice for a block of two.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from optc.ir.dtypes import INT32
from optc.ir.types import TensorType
from optc.ops.hosted import declare_hosted
from optc.ops.matrices import (
    LinAlgError,
    check_fraction,
    check_matrix,
    check_same_type,
    check_square,
    first_failure,
    per_matrix,
)
from optc.ops.shapes import broadcast_shapes, known_shape

Array = np.ndarray[Any, Any]

_THRESHOLD = (1 + math.sqrt(17)) / 8
"""How small a diagonal element may be, next to the largest of its column, to stand alone: keeps growth least."""


def _turned(x: Array, hermitian: bool) -> Array:
    return np.asarray(np.conj(x)) if hermitian else x


def _sizes(x: Array) -> Array:
    return np.asarray(np.abs(x.real) + np.abs(x.imag))


def _pivot(a: Array, k: int) -> tuple[int, int]:
    """The row to exchange with, and how many rows the block at k has. The lower triangle counts."""
    last = len(a) - 1
    here = float(_sizes(a[k, k]))
    if k == last:
        return k, 1
    row = k + 1 + int(np.argmax(_sizes(a[k + 1 :, k])))
    largest = float(_sizes(a[row, k]))
    if here >= _THRESHOLD * largest:
        return k, 1
    others = np.concatenate([_sizes(a[row, k:row]), _sizes(a[row + 1 :, row])])
    across = float(np.max(others))
    if here >= _THRESHOLD * largest * (largest / across):
        return k, 1
    return row, 1 if _sizes(a[row, row]) >= _THRESHOLD * across else 2


def _exchange(a: Array, first: int, second: int, k: int, hermitian: bool) -> None:
    """Exchange two rows and columns of what is left to factor, of which the lower triangle is kept."""
    if first == second:
        return
    a[second + 1 :, [first, second]] = a[second + 1 :, [second, first]]
    between = slice(first + 1, second)
    column, row = a[between, first].copy(), a[second, between].copy()
    a[between, first], a[second, between] = _turned(row, hermitian), _turned(column, hermitian)
    a[second, first] = _turned(a[second, first], hermitian)
    a[first, first], a[second, second] = a[second, second], a[first, first]
    if first == k + 1:
        a[first, k], a[second, k] = a[second, k], a[first, k]


def _factored(a: Array, hermitian: bool) -> tuple[Array, Array, int]:
    """Factors, pivots and the place of the first block that is zero, from 1 (0 where there is none)."""
    a = np.tril(a)
    count = len(a)
    pivots, info, k = np.zeros(count, np.int32), 0, 0
    while k < count:
        if not max(float(_sizes(a[k, k])), float(np.max(_sizes(a[k + 1 :, k]), initial=0.0))) > 0:
            info, pivots[k] = info or k + 1, k + 1
            k += 1
            continue
        row, size = _pivot(a, k)
        _exchange(a, k + size - 1, row, k, hermitian)
        pivots[k : k + size] = row + 1 if size == 1 else -(row + 1)
        block = _block(a, k, size, hermitian)
        below = slice(k + size, count)
        factor = np.linalg.solve(block.T, a[below, k : k + size].T).T
        a[below, below] -= np.tril(factor @ _turned(a[below, k : k + size].T, hermitian))
        a[below, k : k + size] = factor
        k += size
    return a, pivots, info


def _block(a: Array, k: int, size: int, hermitian: bool) -> Array:
    """A block of D, whole."""
    block = np.tril(a[k : k + size, k : k + size])
    if size == 2:
        block[0, 1] = _turned(block[1, 0], hermitian)
    return block


def _infer_factors(
    a: TensorType, hermitian: bool, check: bool = False, name: str = "torch.linalg.ldl_factor_ex"
) -> Any:
    batch, rows = check_square(a, name)
    check_fraction(a, name, kernel="ldl_factor_kernel_cpu")
    return a.with_shape(known_shape(a)), TensorType(INT32, (*batch, rows)), TensorType(INT32, batch)


def _factors(a: Array, hermitian: bool) -> tuple[Array, ...]:
    is_hermitian = hermitian and a.dtype.kind == "c"
    return per_matrix(lambda matrix: _factored(matrix, is_hermitian), 3, a)


def _checked_factors(a: Array, hermitian: bool, name: str) -> tuple[Array, ...]:
    found = _factors(a, hermitian)
    failure = first_failure(found[2])
    if failure is not None:
        where, place = failure
        raise LinAlgError(
            f"{name}: {where}The factorization was not completed because the input matrix is singular "
            f"(block {place} of D is zero)."
        )
    return found


declare_hosted(
    "aten::linalg_ldl_factor(Tensor self, *, bool hermitian=False) -> (Tensor LD, Tensor pivots)",
    lambda a, hermitian: _infer_factors(a, hermitian)[:2],
    lambda a, hermitian: _checked_factors(a, hermitian, "torch.linalg.ldl_factor")[:2],
    may_fail=True,
)
declare_hosted(
    "aten::linalg_ldl_factor_ex(Tensor self, *, bool hermitian=False, bool check_errors=False) -> "
    "(Tensor LD, Tensor pivots, Tensor info)",
    _infer_factors,
    lambda a, hermitian, check: (
        _checked_factors(a, hermitian, "torch.linalg.ldl_factor_ex") if check else _factors(a, hermitian)
    ),
    may_fail=True,
)


def _infer_solution(factors: TensorType, pivots: TensorType, b: TensorType, hermitian: bool) -> TensorType:
    name = "torch.linalg.ldl_solve"
    batch, _ = check_square(factors, name)
    check_fraction(factors, name)
    if pivots.dtype is not INT32:
        raise RuntimeError(f"{name}: Expected pivots to be integers. Got {pivots.dtype}")
    other, rows, columns = check_matrix(b, name, "B")
    check_same_type(factors, b, name, "LD", "B")
    return b.with_shape((*broadcast_shapes(batch, other), rows, columns))


def _solved(factors: Array, pivots: Array, b: Array, hermitian: bool) -> Array:
    """Forwards through P L D, block by block, then backwards through L^T P^T."""
    b, count = b.copy(), len(factors)
    starts = []
    k = 0
    while k < count:
        size = 1 if pivots[k] > 0 else 2
        _swap(b, k + size - 1, pivots[k])
        b[k + size :] -= factors[k + size :, k : k + size] @ b[k : k + size]
        b[k : k + size] = np.linalg.solve(_block(factors, k, size, hermitian), b[k : k + size])
        starts.append((k, size))
        k += size
    for k, size in reversed(starts):
        b[k : k + size] -= _turned(factors[k + size :, k : k + size].T, hermitian) @ b[k + size :]
        _swap(b, k + size - 1, pivots[k])
    return b


def _swap(b: Array, row: int, pivot: int) -> None:
    other = abs(int(pivot)) - 1
    b[[row, other]] = b[[other, row]]


def _solution(factors: Array, pivots: Array, b: Array, hermitian: bool) -> Array:
    batch = np.broadcast_shapes(factors.shape[:-2], b.shape[:-2])
    is_hermitian = hermitian and factors.dtype.kind == "c"
    wide, right = (np.broadcast_to(one, (*batch, *one.shape[-2:])) for one in (factors, b))
    if not right.size:
        return right
    rows = np.broadcast_to(pivots, (*batch, pivots.shape[-1]))
    return per_matrix(
        lambda factor, order, vectors: (_solved(factor, order, vectors, is_hermitian),), 1, wide, rows, right
    )[0]


declare_hosted(
    "aten::linalg_ldl_solve(Tensor LD, Tensor pivots, Tensor B, *, bool hermitian=False) -> Tensor",
    _infer_solution,
    _solution,
    may_fail=True,
)
