"""One Fourier transform along one dimension, over pairs of numbers: what native code computes.

Complex tensors are tensors of pairs, `[..., 2]`. `prim::FourierTransform(x, dim, kind, inverse, scale, turns)`, where
`dim` counts dimensions of complex numbers from the front:

- kind "complex": pairs in, as many pairs out: sum(x[j] exp(-2 pi i j k / n)) * scale, or with a plus where `inverse`;
- kind "to_half": n real numbers in, n an even number, the first n / 2 + 1 pairs of the same out;
- kind "from_half": n / 2 + 1 pairs in, which are taken for the first ones of conjugates, n real numbers out.

`turns`, if given, is `[2, n, m]`, where m is the last dimension of the complex tensor: real and imaginary parts of what
the result is multiplied by ("complex" only).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from optc.ir.types import TensorType
from optc.ops.registry import define
from optc.ops.shapes import known_shape

Array = np.ndarray[Any, Any]


def unit_roots(count: int, sign: int) -> Array:
    """exp(sign 2 pi i k / count) for all k below `count`, each part off by half a unit in its last place: angles are
    brought into an eighth of a turn before anything is rounded. Complex double."""
    eighth, rest = np.divmod(8 * np.arange(count), count)
    turned = np.where(eighth % 2 == 1, count - rest, rest)
    angles = turned * (math.pi / 4 / count)
    cosine, sine = np.cos(angles), np.sin(angles)
    swapped = np.isin(eighth, (1, 2, 5, 6))
    real, imaginary = np.where(swapped, sine, cosine), np.where(swapped, cosine, sine)
    real = np.where(np.isin(eighth, (2, 3, 4, 5)), -real, real)
    imaginary = np.where(eighth >= 4, -imaginary, imaginary)
    return np.asarray(real + 1j * (sign * imaginary))


def _infer(x: TensorType, dim: int, kind: str, inverse: bool, scale: float, turns: TensorType | None) -> TensorType:
    shape = list(known_shape(x))
    if kind == "to_half":
        shape[dim] = shape[dim] // 2 + 1
        shape.append(2)
    elif kind == "from_half":
        shape.pop()
        shape[dim] = (shape[dim] - 1) * 2
    return x.with_shape(tuple(shape))


def _pairs(x: Array) -> Array:
    return np.stack([x.real, x.imag], -1)


def _compute(x: Array, dim: int, kind: str, inverse: bool, scale: float, turns: Array | None) -> Array:
    if kind == "to_half":
        half = np.fft.rfft(x, axis=dim)
        return _pairs((half.conj() if inverse else half) * scale)
    z = x[..., 0] + 1j * x[..., 1]
    if kind == "from_half":
        count = (z.shape[dim] - 1) * 2
        return np.asarray(np.fft.irfft(z if inverse else z.conj(), count, axis=dim, norm="forward") * scale)
    found = np.fft.ifft(z, axis=dim, norm="forward") if inverse else np.fft.fft(z, axis=dim)
    if turns is not None:
        found = found * (turns[0] + 1j * turns[1]).reshape([
            extent if place in (dim, z.ndim - 1) else 1 for place, extent in enumerate(z.shape)
        ])  # fmt: skip
    return _pairs(found * scale)


def _reference(x: Array, *arguments: Any) -> Array:
    return _compute(x, *arguments).astype(x.dtype, copy=False)


define(
    "prim::FourierTransform(Tensor x, int dim, str kind, bool inverse, float scale, Tensor? turns) -> Tensor",
    infer=_infer,
    reference=_reference,
    kernel="fourier_transform",
)
