"""Windows of signals: Hann, Hamming, Blackman, Bartlett, Kaiser."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from optc.ir.dims import Dim
from optc.ir.dtypes import DType
from optc.ir.types import TensorType
from optc.ops.abstract import dtype_of_code
from optc.ops.hosted import declare_hosted
from optc.ops.promotion import compute_type, default_float

Array = np.ndarray[Any, Any]
_OPTIONS = "ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None"


def _result_type(code: int | None, name: str) -> DType:
    dtype = dtype_of_code(code, default_float())
    if dtype.kind != "float":
        raise RuntimeError(f"{name} expects floating point dtypes, got: torch.{dtype.label}Tensor")
    return dtype


def _cosines(places: Array, steps: int, *weights: float) -> Array:
    """Alternating sum of the weighted cosines of 0, 1, 2 ... times the angle."""
    total = np.zeros_like(places)
    for number, weight in enumerate(weights):
        total += (-1) ** number * weight * np.cos(2 * math.pi * number * places / steps)
    return total


def _bartlett(places: Array, steps: int) -> Array:
    rising = places * 2 / steps
    return np.where(places <= steps // 2, rising, 2 - rising)


def _kaiser(places: Array, steps: int, beta: float) -> Array:
    return np.asarray(np.i0(beta * np.sqrt(np.maximum(1 - (2 * places / steps - 1) ** 2, 0))) / np.i0(beta))


def _hamming(places: Array, steps: int, alpha: float = 0.54, beta: float = 0.46) -> Array:
    return _cosines(places, steps, alpha, beta)


def _declare(name: str, overload: str, arguments: str, compute: Callable[..., Array], *fixed: Any) -> None:
    def split(given: tuple[Any, ...]) -> tuple[Dim, bool, tuple[Any, ...], int | None]:
        count, numbers, code = given[0], given[1:-4], given[-4]
        return count, numbers[0] if numbers else True, numbers[1:], code

    def infer(*given: Any) -> TensorType:
        count, _, _, code = split(given)
        dtype = _result_type(code, name)
        if isinstance(count, int) and count < 0:
            raise RuntimeError(f"{name} requires non-negative window_length, got window_length={count}")
        return TensorType(dtype, (count,))

    def run(count: int, *given: Any) -> Array:
        _, periodic, numbers, code = split((count, *given))
        work = compute_type(_result_type(code, name)).numpy
        if count <= 1:
            return np.ones(count, work)
        steps = count if periodic else count - 1
        numbers = numbers or fixed
        return compute(np.arange(count, dtype=np.float64), steps, *numbers).astype(work)

    declare_hosted(
        f"aten::{name}{overload}(int window_length, {arguments}*, {_OPTIONS}) -> Tensor", infer, run, symbolic=True
    )


for _name, _compute in (
    ("hann_window", lambda places, steps: _cosines(places, steps, 0.5, 0.5)),
    ("hamming_window", _hamming),
    ("blackman_window", lambda places, steps: _cosines(places, steps, 0.42, 0.5, 0.08)),
    ("bartlett_window", _bartlett),
):
    _declare(_name, "", "", _compute)
    _declare(_name, ".periodic", "bool periodic, ", _compute)
_declare("hamming_window", ".periodic_alpha", "bool periodic, float alpha, ", _hamming)
_declare("hamming_window", ".periodic_alpha_beta", "bool periodic, float alpha, float beta, ", _hamming)
_declare("kaiser_window", "", "", _kaiser, 12.0)
_declare("kaiser_window", ".periodic", "bool periodic, ", _kaiser, 12.0)
_declare("kaiser_window", ".beta", "bool periodic, float beta, ", _kaiser)
