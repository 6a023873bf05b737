"""Complex numbers in operators that look at more than one element."""

from __future__ import annotations

from typing import Any

import pytest

import optc

Z = [[1 + 2j, 3 - 1j, 0 + 1j], [2 - 1j, 1 + 1j, -1 + 0j]]


def close(found: Any, expected: list[Any]) -> bool:
    return bool(optc.allclose(found, optc.tensor(expected, dtype=found.dtype), atol=1e-5))


def test_covariances_take_the_conjugate_of_the_second_variable() -> None:
    z = optc.tensor(Z)
    found = optc.cov(z)
    assert close(found, [[4.6666667, -1 / 3 - 2j / 3], [-1 / 3 + 2j / 3, 3.3333333]])
    assert close(optc.corrcoef(z), [[1, -0.0845154 - 0.1690309j], [-0.0845154 + 0.1690309j, 1]])
    weighted = optc.cov(z, fweights=optc.tensor([1, 2, 1]))
    assert close(weighted, [[4.5, -0.5 - 1j], [-0.5 + 1j, 2.5]])


def test_sums_of_scattered_numbers_keep_their_imaginary_parts() -> None:
    zeros, places, values = optc.zeros(2, dtype=optc.complex64), optc.tensor([1, 1]), optc.tensor([1 + 2j, 3 + 4j])
    for found in (
        zeros.scatter_add(0, places, values),
        zeros.scatter(0, places, values, reduce="add"),
        zeros.put(places, values, accumulate=True),
        zeros.index_add(0, places, values),
        zeros.index_put((places,), values, accumulate=True),
    ):
        assert found.tolist() == [0, 4 + 6j]


@pytest.mark.peers
def test_pytorch_computes_the_same() -> None:
    torch = pytest.importorskip("torch")
    z, mine = torch.tensor(Z), optc.tensor(Z)
    assert close(optc.cov(mine), torch.cov(z).tolist())
    assert close(optc.corrcoef(mine), torch.corrcoef(z).tolist())
    weights = [1, 2, 1]
    found = optc.cov(mine, fweights=optc.tensor(weights))
    assert close(found, torch.cov(z, fweights=torch.tensor(weights)).tolist())
