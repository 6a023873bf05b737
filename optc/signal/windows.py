"""Window functions: torch.signal.windows.

All take the number of samples `M`, `sym` (a symmetric window for filters, otherwise one period of a periodic one) and the
options of factories. They raise ValueError for a negative number of samples and RuntimeError for element types without
fraction.
"""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from optc.eager import functions as f
from optc.eager import settings
from optc.eager.tensor import Tensor
from optc.ir import dtypes
from optc.ir.dtypes import DType

__all__ = [
    "bartlett", "blackman", "cosine", "exponential", "gaussian", "general_cosine", "general_hamming", "hamming", "hann",
    "kaiser", "nuttall",
]  # fmt: skip


def _checked(name: str, count: int, dtype: DType | None) -> DType:
    if count < 0:
        raise ValueError(f"{name} requires non-negative window length, got M={count}")
    chosen: DType = dtype or settings.get_default_dtype()
    if chosen not in (dtypes.FLOAT32, dtypes.FLOAT64):
        raise ValueError(f"{name} expects float32 or float64 dtypes, got: {chosen}")
    return chosen


def _period(count: int, sym: bool) -> int:
    """The distance between the first sample and where the window begins anew."""
    return count - 1 if sym or count <= 1 else count


def _spaced(count: int, start: float, step: float, dtype: DType, options: dict[str, Any]) -> Tensor:
    found: Tensor = f.linspace(start, start + (count - 1) * step, count, dtype=dtype, **options)
    return found


def exponential(
    M: int,
    *,
    center: float | None = None,
    tau: float = 1.0,
    sym: bool = True,
    dtype: DType | None = None,
    **options: Any,
) -> Tensor:
    """exp(-|n - center| / tau). Raises ValueError for `tau` <= 0 and for a `center` of a symmetric window."""
    chosen = _checked("exponential", M, dtype)
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("Center must be None for symmetric windows")
    middle = _period(M, sym) / 2.0 if center is None else center
    if M == 0:
        return f.empty((0,), dtype=chosen, **options)
    return f.exp(-f.abs(_spaced(M, -middle / tau, 1 / tau, chosen, options)))


def cosine(M: int, *, sym: bool = True, dtype: DType | None = None, **options: Any) -> Tensor:
    """Half a wave: sin(pi (n + 1/2) / M)."""
    chosen = _checked("cosine", M, dtype)
    if M == 0:
        return f.empty((0,), dtype=chosen, **options)
    step = math.pi / (_period(M, sym) + 1)
    return f.sin(_spaced(M, 0.5 * step, step, chosen, options))


def gaussian(M: int, *, std: float = 1.0, sym: bool = True, dtype: DType | None = None, **options: Any) -> Tensor:
    """A normal distribution around the middle. Raises ValueError for `std` <= 0."""
    chosen = _checked("gaussian", M, dtype)
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")
    if M == 0:
        return f.empty((0,), dtype=chosen, **options)
    step = 1 / (std * math.sqrt(2))
    return f.exp(-(_spaced(M, -_period(M, sym) / 2.0 * step, step, chosen, options) ** 2))


def kaiser(M: int, *, beta: float = 12.0, sym: bool = True, dtype: DType | None = None, **options: Any) -> Tensor:
    """I0(beta sqrt(1 - x^2)) / I0(beta), x from -1 to 1. Raises ValueError for a negative `beta`."""
    chosen = _checked("kaiser", M, dtype)
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")
    if M == 0:
        return f.empty((0,), dtype=chosen, **options)
    if M == 1 or beta == 0:
        return f.ones((M,), dtype=chosen, **options)
    shape = f.tensor(beta, dtype=chosen)
    last = f.minimum(shape, -shape + (M - 1) * (2.0 * shape / _period(M, sym)))
    places = f.linspace(-shape, last, M, dtype=chosen, **options)
    return f.i0(f.sqrt(shape * shape - f.pow(places, 2))) / f.i0(shape)


def bartlett(M: int, *, sym: bool = True, dtype: DType | None = None, **options: Any) -> Tensor:
    """A triangle whose ends are zero."""
    chosen = _checked("bartlett", M, dtype)
    if M < 2:
        return f.ones((M,), dtype=chosen, **options)
    return 1 - f.abs(_spaced(M, -1.0, 2 / _period(M, sym), chosen, options))


def general_cosine(
    M: int, *, a: Sequence[float], sym: bool = True, dtype: DType | None = None, **options: Any
) -> Tensor:
    """The sum of (-1)^i a_i cos(2 pi i n / M). Raises TypeError and ValueError for `a` without numbers."""
    chosen = _checked("general_cosine", M, dtype)
    if not isinstance(a, Sequence):
        raise TypeError("Coefficients must be a list/tuple")
    if not a:
        raise ValueError("Coefficients cannot be empty")
    if M < 2:
        return f.ones((M,), dtype=chosen, **options)
    places = _spaced(M, 0.0, 2 * math.pi / _period(M, sym), chosen, options)
    weights = f.tensor([(-1) ** place * weight for place, weight in enumerate(a)], dtype=chosen)
    orders = f.arange(len(a), dtype=chosen)
    return (weights.unsqueeze(-1) * f.cos(orders.unsqueeze(-1) * places)).sum(0)


def general_hamming(
    M: int, *, alpha: float = 0.54, sym: bool = True, dtype: DType | None = None, **options: Any
) -> Tensor:
    """alpha - (1 - alpha) cos(2 pi n / M)."""
    return general_cosine(M, a=[alpha, 1.0 - alpha], sym=sym, dtype=dtype, **options)


def hamming(M: int, *, sym: bool = True, dtype: DType | None = None, **options: Any) -> Tensor:
    """0.54 - 0.46 cos(2 pi n / M)."""
    return general_hamming(M, sym=sym, dtype=dtype, **options)


def hann(M: int, *, sym: bool = True, dtype: DType | None = None, **options: Any) -> Tensor:
    """(1 - cos(2 pi n / M)) / 2."""
    return general_hamming(M, alpha=0.5, sym=sym, dtype=dtype, **options)


def blackman(M: int, *, sym: bool = True, dtype: DType | None = None, **options: Any) -> Tensor:
    """0.42 - 0.5 cos(2 pi n / M) + 0.08 cos(4 pi n / M)."""
    return general_cosine(M, a=[0.42, 0.5, 0.08], sym=sym, dtype=dtype, **options)


def nuttall(M: int, *, sym: bool = True, dtype: DType | None = None, **options: Any) -> Tensor:
    """The minimum four-term Blackman-Harris window of Nuttall."""
    return general_cosine(M, a=[0.3635819, 0.4891775, 0.1365995, 0.0106411], sym=sym, dtype=dtype, **options)
