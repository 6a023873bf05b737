"""Fourier transforms of known length as products with matrices, over real and imaginary parts.

A transform of `n` points is a product with an n by n matrix. Long ones are taken apart as Cooley and Tukey do: with
n = a * b, transforms of `a` points, factors, and transforms of `b` points.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from optc.errors import UnsupportedError
from optc.ops.abstract import normalize_dim
from optc.ops.complex_parts import Parts, Rule, declare_parts
from optc.ops.fourier import transformed_places
from optc.ops.promotion import float_result, operand_type

Array = np.ndarray[Any, Any]

DIRECT = 128
"""Transforms of up to so many points are one product."""

LONGEST_DIRECT = 1024
"""Transforms that have no factors are one product up to here; longer ones are left to numpy."""


# Along the last dimension --------------------------------------------------------------------------------------------


def _turns(rows: int, columns: int, count: int) -> tuple[Array, Array]:
    """Cosines and sines of 2 pi row column / count. Whole turns are taken out before anything is rounded, and quarters
    of them are exact: what has no imaginary part gets none."""
    steps = np.arange(rows)[:, None] * np.arange(columns)[None, :] % count
    angles = steps * (2 * math.pi / count)
    cosines = np.where(4 * steps % (2 * count) == count, 0.0, np.cos(angles))
    return cosines, np.where(2 * steps % count == 0, 0.0, np.sin(angles))


def _times(b: Any, x: Any, matrix: Array) -> Any:
    dtype = operand_type(b.type(x)).numpy
    return b("aten::matmul", x, b.constant(np.ascontiguousarray(matrix.astype(dtype) + dtype.type(0))))


def _first(b: Any, x: Any, count: int) -> Any:
    return b("aten::slice.Tensor", x, -1, 0, count)


def _half(count: int) -> int:
    """How many numbers the transform of `count` real ones has."""
    return count // 2 + 1


def _factor(count: int) -> int:
    """The largest factor of a number up to its root."""
    return next(factor for factor in range(math.isqrt(count), 0, -1) if count % factor == 0)


def _direct(b: Any, x: Any, count: int, sign: int, scale: float, kept: int) -> Parts:
    """The first `kept` numbers of a transform as one product; `x` may be real."""
    cosines, sines = _turns(count, kept, count)
    cosines, sines = scale * cosines, sign * scale * sines
    rows = [np.hstack([cosines, sines])]
    if isinstance(x, Parts):
        rows.append(np.hstack([-sines, cosines]))
        x = b("aten::cat", list(x), -1)
    both = _times(b, x, np.vstack(rows))
    return Parts(_first(b, both, kept), b("aten::slice.Tensor", both, -1, kept, 2 * kept))


def _on_parts(b: Any, name: str, x: Any, *arguments: Any) -> Any:
    if isinstance(x, Parts):
        return Parts(*(b(name, part, *arguments) for part in x))
    return b(name, x, *arguments)


def _transform(b: Any, x: Any, count: int, sign: int, scale: float, kept: int) -> Parts:
    """The first `kept` of the numbers sum(x[j] exp(sign 2 pi i j k / count)) * scale; `x` may be real."""
    first = _factor(count)
    if count <= DIRECT or first == 1:
        if count > LONGEST_DIRECT:
            raise UnsupportedError(f"a transform of {count} points has no factors")
        return _direct(b, x, count, sign, scale, kept)
    second = count // first
    columns = _on_parts(b, "aten::transpose.int", _on_parts(b, "aten::unflatten.int", x, -1, [first, second]), -2, -1)
    inner = _turned(b, _transform(b, columns, first, sign, scale, first), first, second, sign)
    outer = _transform(b, _on_parts(b, "aten::transpose.int", inner, -2, -1), second, sign, 1.0, second)
    ordered = _on_parts(b, "aten::transpose.int", outer, -2, -1)
    whole = Parts(*(_first(b, b("aten::flatten.using_ints", part, -2, -1), kept) for part in ordered))
    return whole if isinstance(x, Parts) else _without_rounding(b, whole, count)


def _without_rounding(b: Any, x: Parts, count: int) -> Parts:
    """The transform of real numbers: the first number of it is real, and so is the one in the middle."""
    (kept,) = b.shape(x.real)[-1:]
    places = np.arange(kept)
    mask = (2 * places % count != 0).astype(operand_type(b.type(x.real)).numpy)
    return Parts(x.real, b("aten::mul.Tensor", x.imaginary, b.constant(mask)))


def _turned(b: Any, x: Parts, first: int, second: int, sign: int) -> Parts:
    """The factors between the two halves of a transform that is taken apart; `x` is `second` by `first`."""
    cosines, sines = _turns(second, first, first * second)
    dtype = operand_type(b.type(x.real)).numpy
    cosines, sines = (b.constant(table.astype(dtype)) for table in (cosines, sign * sines))
    products = [[b("aten::mul.Tensor", part, table) for table in (cosines, sines)] for part in x]
    return Parts(
        b("aten::sub.Tensor", products[0][0], products[1][1]), b("aten::add.Tensor", products[0][1], products[1][0])
    )  # fmt: skip


def _real_result(b: Any, x: Parts, count: int, sign: int, scale: float) -> Any:
    """The real numbers whose transform begins with `x`, which has half of it."""
    half = _half(count)
    if count > DIRECT:
        return _transform(b, _completed(b, x, count), count, sign, scale, count).real
    cosines, sines = _turns(half, count, count)
    weights = np.full((half, 1), 2.0 * scale)
    weights[0] = scale
    if count % 2 == 0:
        weights[-1] = scale
    rows = np.vstack([weights * cosines, -sign * weights * sines])
    return _times(b, b("aten::cat", list(x), -1), rows)


def _completed(b: Any, x: Parts, count: int) -> Parts:
    """All of a spectrum: what is missing are the conjugates of what is there, backwards."""
    mirrored = Parts(*(b("aten::flip", b("aten::slice.Tensor", part, -1, 1, (count + 1) // 2), [-1]) for part in x))
    rest = (mirrored.real, b("aten::neg", mirrored.imaginary))
    return Parts(*(b("aten::cat", [part, other], -1) for part, other in zip(x, rest)))


# Operators -----------------------------------------------------------------------------------------------------------


def _scale(norm: str | None, count: int, is_inverse: bool) -> float:
    if norm == "ortho":
        return 1 / math.sqrt(count)
    return 1 / count if (norm == "forward") != is_inverse else 1.0


def _fitted(b: Any, x: Any, place: int, count: int) -> Any:
    """So many numbers along the last dimension, which was dimension `place`."""
    shape = b.shape(x.real if isinstance(x, Parts) else x)
    extent = shape[place]
    if place != len(shape) - 1:
        x = _on_parts(b, "aten::transpose.int", x, place, -1)
    if not isinstance(extent, int):
        raise UnsupportedError("the length of a transform is not known")
    if extent > count:
        return _on_parts(b, "aten::slice.Tensor", x, -1, 0, count)
    return x if extent == count else _on_parts(b, "aten::constant_pad_nd", x, [0, count - extent])


def _prepared(b: Any, x: Any) -> Any:
    if isinstance(x, Parts):
        return x
    dtype = operand_type(b.type(x))
    working = float_result(dtype)
    return x if working is dtype else b("aten::_to_copy", x, dtype=working.code)


def _along(b: Any, kind: str, x: Any, place: int, count: Any, norm: str | None) -> Any:
    """One transform along one dimension; `kind` is PyTorch's name for it."""
    is_inverse, real_result = kind in ("ifft", "irfft", "ihfft"), kind in ("irfft", "hfft")
    if not isinstance(count, int):
        raise UnsupportedError("the length of a transform is not known")
    sign = 1 if is_inverse else -1
    rank = len(b.shape(x.real if isinstance(x, Parts) else x))
    points = _fitted(b, x, place, _half(count) if real_result else count)
    scale = _scale(norm, count, is_inverse)
    if real_result:
        whole = points if isinstance(points, Parts) else Parts(points, b("aten::zeros_like", points))
        found: Any = _real_result(b, whole, count, sign, scale)
    else:
        kept = _half(count) if kind in ("rfft", "ihfft") else count
        found = _transform(b, points, count, sign, scale, kept)
    return found if place == rank - 1 else _on_parts(b, "aten::transpose.int", found, place, -1)


def _single(kind: str) -> Rule:
    def rule(b: Any, x: Any, count: Any, dim: int, norm: str | None) -> Any:
        x = _prepared(b, x)
        shape = b.shape(x.real if isinstance(x, Parts) else x)
        place = normalize_dim(dim, len(shape))
        if count is None:
            count = (shape[place] - 1) * 2 if kind in ("irfft", "hfft") else shape[place]
        return _along(b, kind, x, place, count, norm)

    return rule


def _steps(kind: str, places: list[int], counts: list[Any]) -> list[tuple[str, int, Any]]:
    """The transforms along single dimensions that make one over several; real numbers come first or last."""
    others = {"rfft": "fft", "irfft": "ifft", "hfft": "fft", "ihfft": "ifft"}.get(kind, kind)
    steps = [(others, place, count) for place, count in zip(places[:-1], counts[:-1])]
    last = (kind, places[-1], counts[-1])
    return [last, *steps] if kind in ("rfft", "ihfft") else [*steps, last]


def _several(kind: str) -> Rule:
    def rule(b: Any, x: Any, counts: Any, dims: Any, norm: str | None) -> Any:
        x = _prepared(b, x)
        shape = b.shape(x.real if isinstance(x, Parts) else x)
        places, extents = transformed_places(shape, counts, dims, kind in ("irfft", "hfft"))
        for name, place, count in _steps(kind, places, extents):
            x = _along(b, name, x, place, count, norm)
        return x

    return rule


def _declare(kind: str, make: Callable[[str], Rule], names: tuple[str, ...]) -> None:
    for name in names:
        declare_parts(f"aten::fft_{name}", make(kind))


for _kind in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft"):
    _declare(_kind, _single, (_kind,))
    _declare(_kind, _several, (f"{_kind}n", f"{_kind}2"))


# Frames that overlap -------------------------------------------------------------------------------------------------


def _frames_added(b: Any, frames: Any, extent: Any, hop: int) -> Any:
    """The sum of frames, which are the columns of a matrix, each `hop` later than the one before."""
    (length,) = b.shape(frames)[-2:-1]
    whole = b("aten::col2im", frames, [1, extent], [1, length], [1, 1], [0, 0], [1, hop])
    return b("aten::squeeze.dims", whole, [-3, -2])


def _back_in_time(
    b: Any, x: Any, n_fft: int, hop: int | None, win: int | None, window: Any, center: bool, normalized: bool,
    onesided: bool | None, length: int | None, return_complex: bool,
) -> Any:  # fmt: skip
    """What `istft` computes, where its result is real."""
    if return_complex:
        raise UnsupportedError("a complex signal of frames")
    hop, win = n_fft // 4 if hop is None else hop, n_fft if win is None else win
    rank = len(b.shape(x.real))
    spectra = x if rank == 3 else _on_parts(b, "aten::unsqueeze", x, 0)
    frames = _along(b, "irfft", spectra, 1, n_fft, "ortho" if normalized else None)
    count = b.shape(frames)[-1]
    left = (n_fft - win) // 2
    taper = b("aten::ones", [win], dtype=operand_type(b.type(frames)).code) if window is None else window
    taper = b("aten::unsqueeze", b("aten::constant_pad_nd", taper, [left, n_fft - win - left]), -1)
    extent = n_fft + hop * (count - 1)
    squares = b("aten::expand", b("aten::mul.Tensor", taper, taper), [1, n_fft, count])
    whole = _frames_added(b, b("aten::mul.Tensor", frames, taper), extent, hop)
    envelope = _frames_added(b, squares, extent, hop)
    start = n_fft // 2 if center else 0
    stop = extent - start if length is None else start + length
    if length is not None and not (isinstance(extent, int) and isinstance(length, int)):
        raise UnsupportedError("the length of a signal is not known")
    covered = b("aten::slice.Tensor", envelope, -1, start, stop)
    smallest = b("aten::amin", b("aten::abs", covered))
    b.require(b("aten::gt.Scalar", smallest, 1e-11), "istft: window overlap add min: 1")
    found = b("aten::div.Tensor", b("aten::slice.Tensor", whole, -1, start, stop), covered)
    if length is not None and stop > extent:
        found = b("aten::constant_pad_nd", found, [0, stop - extent])
    return found if rank == 3 else b("aten::squeeze.dim", found, 0)


declare_parts("aten::istft", _back_in_time)
