"""Elementwise functions stay within 4 units in the last place over the whole range of float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optc
from optc import Tensor
from optc.ops import special


def exp(x: Tensor) -> Tensor:
    return optc.exp(x)


def exp2(x: Tensor) -> Tensor:
    return optc.exp2(x)


def expm1(x: Tensor) -> Tensor:
    return optc.expm1(x)


def log(x: Tensor) -> Tensor:
    return optc.log(x)


def log2(x: Tensor) -> Tensor:
    return optc.log2(x)


def log10(x: Tensor) -> Tensor:
    return optc.log10(x)


def log1p(x: Tensor) -> Tensor:
    return optc.log1p(x)


def tanh(x: Tensor) -> Tensor:
    return optc.tanh(x)


def erf(x: Tensor) -> Tensor:
    return optc.erf(x)


def sqrt(x: Tensor) -> Tensor:
    return optc.sqrt(x)


FUNCTIONS: list[tuple[Any, Any]] = [
    (exp, np.exp), (exp2, np.exp2), (expm1, np.expm1), (log, np.log), (log2, np.log2), (log10, np.log10),
    (log1p, np.log1p), (tanh, np.tanh), (erf, special.erf), (sqrt, np.sqrt),
]  # fmt: skip
NAMES = [program.__name__ for program, _ in FUNCTIONS]


def ulps(result: np.ndarray[Any, Any], exact: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The distance in units of the last place of the exact value; nan and infinities must be where they belong."""
    with np.errstate(over="ignore"):
        rounded = exact.astype(np.float32)
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(result[~finite], rounded[~finite])
    unit = np.maximum(np.abs(np.spacing(rounded[finite])), np.float32(2.0**-149)).astype(np.float64)
    return np.asarray(np.abs(result[finite].astype(np.float64) - exact[finite]) / unit)


def sweep(program: Any, meaning: Any, first: int, step: int, count: int) -> None:
    numbers = (first + step * np.arange(count, dtype=np.int64)).astype(np.uint32).view(np.float32)
    with np.errstate(all="ignore"):
        exact = meaning(numbers.astype(np.float64))
    compiled = optc.compile(program, fallback="error")
    errors = ulps(compiled(numbers), exact)
    assert errors.max(initial=0.0) <= 4.0


@pytest.mark.parametrize(("program", "meaning"), FUNCTIONS, ids=NAMES)
def test_a_sample_of_all_floats(program: Any, meaning: Any) -> None:
    sweep(program, meaning, 0, 21_001, 204_515)


@pytest.mark.exhaustive
@pytest.mark.parametrize(("program", "meaning"), FUNCTIONS, ids=NAMES)
def test_all_floats(program: Any, meaning: Any) -> None:
    for part in range(256):
        sweep(program, meaning, part << 24, 1, 1 << 24)
