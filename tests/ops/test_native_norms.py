"""Operators that only PyTorch's own decompositions call: norms with their statistics, hashes, sparse rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optc

X = np.arange(24.0, dtype=np.float32).reshape(2, 3, 4) * 0.1


def norm(mean: Any, variance: Any, training: bool) -> Any:
    return optc.native_batch_norm(optc.from_numpy(X), None, None, mean, variance, training, 0.1, 1e-5)


def test_a_native_batch_norm_gives_and_keeps_statistics() -> None:
    mean, variance = optc.zeros(3), optc.ones(3)
    result, means, spread = norm(mean, variance, True)
    assert optc.allclose(means, optc.tensor([0.75, 1.15, 1.55]))
    assert optc.allclose(spread, optc.full((3,), 1.638395), atol=1e-4)
    assert optc.allclose(mean, optc.tensor([0.075, 0.115, 0.155]))
    assert optc.allclose(
        result, optc.nn.functional.batch_norm(optc.from_numpy(X), None, None, training=True), atol=1e-5
    )
    assert [part.shape for part in norm(mean, variance, False)] == [(2, 3, 4), (0,), (0,)]


def test_compiled_code_writes_the_running_statistics() -> None:
    mean, variance, mine, other = optc.zeros(3), optc.ones(3), optc.zeros(3), optc.ones(3)

    def program(x: Any, m: Any, v: Any) -> Any:
        return optc.native_batch_norm(x, None, None, m, v, True, 0.1, 1e-5)[1]

    fast = optc.compile(program, (optc.from_numpy(X), optc.zeros(3), optc.ones(3)))
    assert not fast.fallbacks
    assert optc.allclose(fast(optc.from_numpy(X), mean, variance), norm(mine, other, True)[1])
    assert optc.allclose(mean, mine) and optc.allclose(variance, other)


def test_gradients_of_dropout() -> None:
    found = optc.native_dropout_backward(optc.tensor([1, 2]), optc.tensor([True, False]), 2.5)
    assert found.tolist() == [2.5, 0.0]


def test_hashes_are_exclusive_ors_of_bits() -> None:
    assert int(optc.hash_tensor(optc.tensor([1, 2, 5]))._array["uint64"]) == 6
    numbers = optc.hash_tensor(optc.tensor([[1.5, 2.0], [1.5, 0.0]]), dim=0)._array["uint64"]
    assert numbers.tolist() == [0, 4611686018427387904]
    with pytest.raises(RuntimeError, match="Unknown hash_tensor mode: 1"):
        optc.hash_tensor(optc.ones(2), mode=1)
    with pytest.raises(IndexError, match="hash_tensor: Expected reduction dim 0 to have non-zero size"):
        optc.hash_tensor(optc.empty(0, 2), dim=0)


def test_rows_of_sparse_matrices() -> None:
    starts = optc._convert_indices_from_coo_to_csr(optc.tensor([0, 0, 2, 3]), 5)
    assert starts.tolist() == [0, 2, 2, 3, 4, 4]
    none = optc._convert_indices_from_coo_to_csr(optc.zeros(0, dtype=optc.int64), 3, out_int32=True)
    assert none.tolist() == [0, 0, 0, 0] and none.dtype is optc.int32


def test_norms_whose_schemas_say_that_they_write_do_write() -> None:
    x, mean, variance, other, others = optc.from_numpy(X), optc.zeros(3), optc.ones(3), optc.zeros(3), optc.ones(3)

    def program(x: Any, m: Any, v: Any) -> Any:
        kept = optc._native_batch_norm_legit(x, None, None, m, v, True, 0.1, 1e-5)
        return kept[2], optc._batch_norm_with_update(x, None, None, m, v, 0.1, 1e-5)

    fast = optc.compile(program, (x, optc.zeros(3), optc.ones(3)))
    found, expected = fast(x, mean, variance), program(x, other, others)
    assert not fast.fallbacks and optc.allclose(found[0], expected[0]) and optc.allclose(found[1][1], expected[1][1])
    assert found[1][3].dtype is optc.uint8 and found[1][3].shape == (0,)
    assert optc.allclose(mean, other) and optc.allclose(variance, others)
    assert optc.allclose(mean, optc.tensor([0.1425, 0.2185, 0.2945]))
