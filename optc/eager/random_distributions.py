"""Random operators whose draws depend on what was drawn before: Poisson numbers, and the slopes of rrelu.

They take uniform numbers of 53 bits one by one, as PyTorch does.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from optc.eager.generator import Generator, default_generator
from optc.eager.random import fill_uniform, from_doubles
from optc.ir import dtypes
from optc.ir.types import TensorType
from optc.ops.registry import define

Array = npt.NDArray[Any]

_REASON = "it draws random numbers"


def _uniform(generator: Generator) -> float:
    return float(generator.uniform_doubles(1)[0])


def _poisson_number(rate: float, generator: Generator) -> int:
    """Multiplied uniform numbers for small rates; else the transformed rejection of W. Hoermann (1993)."""
    if rate == 0:
        return 0
    if rate >= 10:
        return _large_poisson_number(rate, generator)
    limit, product, count = math.exp(-rate), 1.0, 0
    while True:
        product *= _uniform(generator)
        if product <= limit:
            return count
        count += 1


def _large_poisson_number(rate: float, generator: Generator) -> int:
    b = 0.931 + 2.53 * math.sqrt(rate)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    quick = 0.9277 - 3.6224 / (b - 2)
    while True:
        u, v = _uniform(generator) - 0.5, _uniform(generator)
        distance = 0.5 - abs(u)
        count = math.floor((2 * a / distance + b) * u + rate + 0.43)
        if distance >= 0.07 and v <= quick:
            return count
        if count < 0 or (distance < 0.013 and v > distance):
            continue
        bound = count * math.log(rate) - rate - math.lgamma(count + 1)
        if math.log(v) + math.log(inverse_alpha) - math.log(a / (distance * distance) + b) <= bound:
            return count


def _poisson(rates: Array, generator: Generator | None) -> Array:
    dtype = dtypes.from_numpy(rates.dtype)
    if dtype.kind != "float":
        raise NotImplementedError(f"\"poisson_cpu\" not implemented for '{dtype.label}'")
    if np.any(rates < 0):
        raise RuntimeError("invalid Poisson rate, expected rate to be non-negative")
    chosen = default_generator if generator is None else generator
    with chosen.lock:
        drawn = [_poisson_number(rate, chosen) for rate in rates.astype(np.float64).reshape(-1).tolist()]
    return np.array(drawn, np.float64).reshape(rates.shape).astype(rates.dtype)


define(
    "aten::poisson(Tensor self, Generator? generator=None) -> Tensor",
    infer=lambda rates, generator: rates.with_shape(rates.shape),
    reference=_poisson,
    interpreted=_REASON,
    random=True,
    may_fail=True,
)


def _slopes(x: Array, lower: float, upper: float, generator: Generator | None) -> Array:
    """1 where x is positive, else a number of [lower, upper); only these are drawn."""
    chosen = default_generator if generator is None else generator
    below = np.flatnonzero(np.ascontiguousarray(x).reshape(-1) <= 0)
    drawn = np.empty(below.size)
    kind = x.dtype.type
    fill_uniform(drawn, float(kind(lower)), float(kind(upper)), chosen)
    slopes = np.ones(x.size, x.dtype)
    slopes[below] = from_doubles(drawn, x.dtype)
    return slopes.reshape(x.shape)


def _infer_slopes(x: TensorType, lower: Any, upper: Any, generator: Any) -> TensorType:
    return x.with_shape(x.shape)


define(
    "prim::RandomSlopes(Tensor self, Scalar lower, Scalar upper, Generator? generator=None) -> Tensor",
    infer=_infer_slopes,
    reference=_slopes,
    kernel="draw_slopes",
    random=True,
)
