"""Matrices from LAPACK lie column by column, which strides and traces show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import optc

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]

CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "inv": lambda library, x: library.linalg.inv(x),
    "solve": lambda library, x: library.linalg.solve(x, x),
    "solve_triangular": lambda library, x: library.linalg.solve_triangular(x, x, upper=True),
    "cholesky_inverse": lambda library, x: library.cholesky_inverse(x),
    "lu_factor": lambda library, x: library.linalg.lu_factor(x),
    "eigh": lambda library, x: library.linalg.eigh(x),
    "qr": lambda library, x: library.linalg.qr(x[..., :2]),
    "svd": lambda library, x: library.linalg.svd(x[..., :2]),
    "geqrf": lambda library, x: library.geqrf(x),
    "householder_product": lambda library, x: library.linalg.householder_product(x[..., :2], x[..., 0, :2]),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 3)], ids=["one", "batch"])
def test_strides_are_those_of_torch(name: str, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    x = x @ x.swapaxes(-1, -2) + 3 * np.eye(3, dtype=np.float32)

    def strides(result: Any) -> list[Any]:
        return [tuple(each.stride()) for each in (result if isinstance(result, tuple) else (result,))]

    theirs = strides(CALLS[name](torch, torch.from_numpy(x)))
    assert strides(CALLS[name](optc, optc.from_numpy(x))) == theirs
