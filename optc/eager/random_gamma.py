"""Gamma and Dirichlet numbers, drawn as PyTorch draws them: by G. Marsaglia and W. W. Tsang's method (2000)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from optc.eager.generator import Generator, default_generator
from optc.ir import dtypes
from optc.ops.registry import define

Array = npt.NDArray[Any]

_REASON = "it draws random numbers"
_THIRD = np.float32(1) / np.float32(3)
_SQUEEZE = float(np.float32(0.0331))


def _gamma_number(shape: Any, generator: Generator) -> float:
    """One number for a shape of a numpy type, in which its offset is computed; the rest is in double precision."""
    if shape == 0:
        return 0.0
    scale = 1.0
    if shape < 1:
        scale = (1 - float(generator.uniform_doubles(1)[0])) ** float(1 / shape)
        shape = shape + 1
    d = float(shape - shape.dtype.type(_THIRD))
    c = 1 / math.sqrt(9 * d)
    while True:
        x = float(generator.normal_doubles(1)[0])
        if 1 + c * x <= 0:
            continue
        v = (1 + c * x) ** 3
        u = 1 - float(generator.uniform_doubles(1)[0])
        square = x * x
        if u < 1 - _SQUEEZE * square * square or math.log(u) < 0.5 * square + d * (1 - v + math.log(v)):
            return scale * d * v


def _gamma_numbers(shapes: Array, generator: Generator | None, kernel: str) -> Array:
    dtype = dtypes.from_numpy(shapes.dtype)
    if dtype not in (dtypes.FLOAT32, dtypes.FLOAT64):
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{dtype.label}'")
    chosen = default_generator if generator is None else generator
    with chosen.lock:
        drawn = [_gamma_number(shape, chosen) for shape in shapes.reshape(-1)]
    return np.array(drawn, np.float64).reshape(shapes.shape)


def _standard_gamma(shapes: Array, generator: Generator | None) -> Array:
    drawn = _gamma_numbers(shapes, generator, "gamma_cpu")
    return np.asarray(np.maximum(drawn.astype(shapes.dtype), np.finfo(shapes.dtype).tiny))


def _dirichlet(shapes: Array, generator: Generator | None) -> Array:
    """Gamma numbers of double precision as shares of their sum, none of which is 0 or 1."""
    wide = shapes.astype(np.float64) if shapes.dtype == np.float32 else shapes
    drawn = np.maximum(_gamma_numbers(wide, generator, "dirichlet"), np.finfo(np.float64).tiny)
    shares = (drawn / drawn.sum(-1, keepdims=True)).astype(shapes.dtype)
    most = np.nextafter(shapes.dtype.type(1), shapes.dtype.type(0))
    return np.asarray(np.clip(shares, np.finfo(shapes.dtype).tiny, most))


for _name, _drawn in (("_standard_gamma", _standard_gamma), ("_sample_dirichlet", _dirichlet)):
    define(
        f"aten::{_name}(Tensor self, Generator? generator=None) -> Tensor",
        infer=lambda shapes, generator: shapes.with_shape(shapes.shape),
        reference=_drawn,
        interpreted=_REASON,
        random=True,
        may_fail=True,
    )
