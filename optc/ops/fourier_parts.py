"""Fourier transforms of known length over real and imaginary parts.

They become `prim::FourierTransform`s, which work on pairs of numbers: one of them where a transform is short and there
are enough to do at a time, else two by Cooley and Tukey, with n = a * b: transforms of `a` points, factors, and
transforms of `b` points. Lengths with large prime factors are products with a matrix where they are short, else
convolutions, as Bluestein found: jk = (j^2 + k^2 - (j - k)^2) / 2. Real transforms are complex ones of half their length.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from optc.errors import UnsupportedError
from optc.ir.dims import Dim, product
from optc.ops.abstract import normalize_dim
from optc.ops.complex_parts import Parts, Rule, declare_parts, multiplied, pairs_of, parts_of_pairs
from optc.ops.fourier import transformed_places
from optc.ops.fourier_transform import unit_roots
from optc.ops.promotion import float_result, operand_type

Array = np.ndarray[Any, Any]

LARGEST_PRIME = 13
"""Transforms of so many points are done in registers."""

DIRECT = 128
"""Transforms of up to so many points that have larger factors are one product with a matrix."""

LONGEST = 1024
"""Longer ones are taken apart: what as many of them as a vector has lanes keep would not stay in the cache."""

ENOUGH = 16
"""With fewer transforms at a time, one that is not short is taken apart."""

SHORT = 64
"""Up to so many points it is not worth it."""


# Pairs ---------------------------------------------------------------------------------------------------------------


def _half(count: int) -> int:
    """How many numbers the transform of `count` real ones has."""
    return count // 2 + 1


def _is_smooth(count: int) -> bool:
    """Whether a number has small prime factors only."""
    for factor in range(2, LARGEST_PRIME + 1):
        while count % factor == 0:
            count //= factor
    return count == 1


def _factor(count: int) -> int:
    """A factor of a number up to its root: the largest that fills vectors, if there is one that is not far from it."""
    root = math.isqrt(count)
    found = [factor for factor in range(1, root + 1) if count % factor == 0]
    filling = [factor for factor in found if factor % ENOUGH == 0 and 4 * factor > root]
    return (filling or found)[-1]


def _is_one_step(b: Any, x: Any, dim: int, count: int, is_real: bool = False) -> bool:
    """Whether transforms of `count` complex numbers along a dimension are done as they are."""
    if count > LONGEST or not _is_smooth(count):
        return False
    shape = b.shape(x) if is_real else b.shape(x)[:-1]
    others: Dim = product([extent for place, extent in enumerate(shape) if place != dim])
    return count <= SHORT or not (isinstance(others, int) and others < ENOUGH)


def _transform(b: Any, x: Any, dim: int, kind: str, sign: int, scale: float, turns: Any = None) -> Any:
    return b("prim::FourierTransform", x, dim, kind, sign > 0, float(scale), turns)


def _table(b: Any, x: Any, values: Array) -> Any:
    """A constant of the type of a tensor."""
    return b.constant(np.ascontiguousarray(values.astype(operand_type(b.type(x)).numpy) + 0))


def _times(b: Any, pairs: Any, values: Array) -> Any:
    """Pairs times complex constants."""
    table = Parts(_table(b, pairs, values.real), _table(b, pairs, values.imag))
    return pairs_of(b, multiplied(b, parts_of_pairs(b, pairs), table))


def _complex(b: Any, x: Any, dim: int, sign: int, scale: float, turns: Array | None = None) -> Any:
    """The pairs sum(x[j] exp(sign 2 pi i j k / n)) * scale, times `turns`, which has the last two dimensions."""
    count = b.shape(x)[dim]
    if _is_one_step(b, x, dim, count) and count > 1:
        table = None if turns is None else _table(b, x, np.stack([turns.real, turns.imag]))
        return _transform(b, x, dim, "complex", sign, scale, table)
    x = b("aten::transpose.int", x, dim, -2)
    if count == 1:
        found = b("aten::mul.Scalar", x, scale)
    elif _is_smooth(count):
        found = _in_two(b, x, sign, scale)
    else:
        found = (_by_matrix if count <= DIRECT else _by_convolution)(b, x, sign, scale)
    found = b("aten::transpose.int", found, dim, -2)
    return found if turns is None else _times(b, found, turns)


def _in_two(b: Any, x: Any, sign: int, scale: float) -> Any:
    """With n = a * b: result k + a l is the l-th of b points, each of which is the k-th result of a points."""
    shape = b.shape(x)
    rank, count = len(shape), shape[-2]
    first = _factor(count)
    second = count // first
    matrix = b("aten::unflatten.int", x, -2, [first, second])
    roots = unit_roots(count, sign)[np.arange(first)[:, None] * np.arange(second)[None, :]]
    inner = _complex(b, matrix, rank - 2, sign, scale, roots)
    outer = _complex(b, b("aten::transpose.int", inner, -3, -2), rank - 2, sign, 1.0)
    return b("aten::flatten.using_ints", outer, -3, -2)


def _matrix(count: int, kept: int, sign: int, scale: float) -> Array:
    """The transform of real numbers as a matrix, whose columns are the real and imaginary parts of results by turns."""
    roots = scale * unit_roots(count, sign)[np.arange(count)[:, None] * np.arange(kept)[None, :] % count]
    return np.stack([roots.real, roots.imag], -1).reshape(count, 2 * kept)


def _by_matrix(b: Any, x: Any, sign: int, scale: float) -> Any:
    """One product: the matrix takes pairs to pairs."""
    count = b.shape(x)[-2]
    real = _matrix(count, count, sign, scale)
    turned = np.stack([-real[:, 1::2], real[:, 0::2]], -1).reshape(real.shape)
    flat = b("aten::flatten.using_ints", x, -2, -1)
    found = b("aten::matmul", flat, _table(b, x, np.stack([real, turned], 1).reshape(2 * count, 2 * count)))
    return b("aten::unflatten.int", found, -1, [count, 2])


def _by_convolution(b: Any, x: Any, sign: int, scale: float) -> Any:
    """A convolution with exp(-sign pi i j^2 / n), by transforms of a length that has small factors."""
    count = b.shape(x)[-2]
    rank = len(b.shape(x))
    length = 1 << (2 * count - 2).bit_length()
    chirp = unit_roots(2 * count, sign)[np.arange(count) ** 2 % (2 * count)]
    response = np.zeros(length, np.complex128)
    response[:count] = chirp.conj()
    response[length - count + 1 :] = chirp.conj()[:0:-1]
    padded = b("aten::constant_pad_nd", _times(b, x, chirp), [0, 0, 0, length - count])
    spectrum = _times(b, _complex(b, padded, rank - 2, -1, 1.0), np.fft.fft(response))
    found = _complex(b, spectrum, rank - 2, 1, scale / length)
    return _times(b, b("aten::slice.Tensor", found, -2, 0, count), chirp)


# Real numbers --------------------------------------------------------------------------------------------------------


def _with_zeros(b: Any, x: Any) -> Any:
    """Real numbers as pairs."""
    return b("aten::stack", [x, b("aten::zeros_like", x)], -1)


def _from_real(b: Any, x: Any, dim: int, sign: int, scale: float) -> Any:
    """The first half of the transform of real numbers, as pairs."""
    count = b.shape(x)[dim]
    if count % 2 and count <= DIRECT and not _is_smooth(count):
        found = _half_by_matrix(b, b("aten::transpose.int", x, dim, -1), sign, scale)
        return b("aten::transpose.int", found, dim, -2)
    if count % 2:
        whole = _complex(b, _with_zeros(b, x), dim, sign, scale)
        return _without_rounding(b, b("aten::slice.Tensor", whole, dim, 0, _half(count)), dim)
    if _is_one_step(b, x, dim, count // 2, is_real=True):
        return _transform(b, x, dim, "to_half", sign, scale)
    pairs = b("aten::unflatten.int", b("aten::transpose.int", x, dim, -1), -1, [count // 2, 2])
    whole = _complex(b, pairs, len(b.shape(pairs)) - 2, sign, scale)
    return b("aten::transpose.int", _taken_apart(b, whole, count, sign), dim, -2)


def _half_by_matrix(b: Any, x: Any, sign: int, scale: float) -> Any:
    """Along the last dimension, by one product."""
    count = b.shape(x)[-1]
    half = _half(count)
    found = b("aten::matmul", x, _table(b, x, _matrix(count, half, sign, scale)))
    return b("aten::unflatten.int", found, -1, [half, 2])


def _without_rounding(b: Any, x: Any, dim: int) -> Any:
    """The first number of the transform of real ones has no imaginary part."""
    first = b("aten::mul.Tensor", b("aten::slice.Tensor", x, dim, 0, 1), _table(b, x, np.array([1.0, 0.0])))
    return b("aten::cat", [first, b("aten::slice.Tensor", x, dim, 1)], dim)


def _mirrored(b: Any, parts: Parts) -> Parts:
    """The conjugates of complex numbers, last first."""
    return Parts(b("aten::flip", parts.real, [-1]), b("aten::neg", b("aten::flip", parts.imaginary, [-1])))


def _sums_and_turned(b: Any, x: Parts, y: Parts, share: float, factors: Array) -> Any:
    """(x + y) * share + (x - y) * factors, as pairs."""
    total = Parts(*(b("aten::mul.Scalar", b("aten::add.Tensor", *sides), share) for sides in zip(x, y)))
    difference = Parts(*(b("aten::sub.Tensor", *sides) for sides in zip(x, y)))
    table = Parts(_table(b, x.real, factors.real), _table(b, x.real, factors.imag))
    turned = multiplied(b, difference, table)
    return pairs_of(b, Parts(*(b("aten::add.Tensor", *sides) for sides in zip(total, turned))))


def _taken_apart(b: Any, x: Any, count: int, sign: int) -> Any:
    """The first half of the transform of `count` real numbers, of that of half as many complex ones, whose parts they
    are by turns."""
    around = b("aten::cat", [x, b("aten::slice.Tensor", x, -2, 0, 1)], -2)
    parts = parts_of_pairs(b, around)
    return _sums_and_turned(b, parts, _mirrored(b, parts), 0.5, -0.5j * unit_roots(count, sign)[: _half(count)])


def _to_real(b: Any, x: Any, dim: int, count: int, sign: int, scale: float) -> Any:
    """The real numbers whose transform begins with the pairs `x`, which are half of it."""
    if count % 2 or count == 2:
        whole = _complex(b, _completed(b, x, dim, count), dim, sign, scale)
        return b("aten::select.int", whole, -1, 0)
    if _is_one_step(b, x, dim, count // 2):
        return _transform(b, x, dim, "from_half", sign, scale)
    pairs = _put_together(b, b("aten::transpose.int", x, dim, -2), count, sign)
    whole = _complex(b, pairs, len(b.shape(pairs)) - 2, sign, scale)
    return b("aten::transpose.int", b("aten::flatten.using_ints", whole, -2, -1), dim, -1)


def _put_together(b: Any, x: Any, count: int, sign: int) -> Any:
    """The transform of half as many complex numbers, whose parts are `count` real ones by turns."""
    half = count // 2
    parts = parts_of_pairs(b, x)
    inside = b("aten::slice.Tensor", parts.imaginary, -1, 1, half)
    parts = Parts(parts.real, b("aten::constant_pad_nd", inside, [1, 1]))
    first = Parts(*(b("aten::slice.Tensor", part, -1, 0, half) for part in parts))
    other = Parts(*(b("aten::slice.Tensor", part, -1, 0, half) for part in _mirrored(b, parts)))
    return _sums_and_turned(b, first, other, 1.0, 1j * unit_roots(count, sign)[:half])


def _completed(b: Any, x: Any, dim: int, count: int) -> Any:
    """All of a spectrum: what is missing are the conjugates of what is there, backwards. The first number, and the one in
    the middle, are taken for real ones."""
    real = _table(b, x, np.array([1.0, 0.0]))
    conjugate = _table(b, x, np.array([1.0, -1.0]))
    inside = b("aten::slice.Tensor", x, dim, 1, (count + 1) // 2)
    listed = [b("aten::mul.Tensor", b("aten::slice.Tensor", x, dim, 0, 1), real), inside]
    if count % 2 == 0:
        listed.append(b("aten::mul.Tensor", b("aten::slice.Tensor", x, dim, count // 2, count // 2 + 1), real))
    listed.append(b("aten::mul.Tensor", b("aten::flip", inside, [dim]), conjugate))
    return b("aten::cat", listed, dim)


# Operators -----------------------------------------------------------------------------------------------------------


def _scale(norm: str | None, count: int, is_inverse: bool) -> float:
    if norm == "ortho":
        return 1 / math.sqrt(count)
    return 1 / count if (norm == "forward") != is_inverse else 1.0


def _fitted(b: Any, x: Any, dim: int, count: int) -> Any:
    """So many numbers along a dimension of a tensor of real numbers or pairs."""
    shape = b.shape(x)
    extent = shape[dim]
    if not isinstance(extent, int):
        raise UnsupportedError("the length of a transform is not known")
    if extent > count:
        return b("aten::slice.Tensor", x, dim, 0, count)
    behind = [0, 0] * (len(shape) - 1 - dim)
    return x if extent == count else b("aten::constant_pad_nd", x, [*behind, 0, count - extent])


def _prepared(b: Any, x: Any) -> Any:
    if isinstance(x, Parts):
        return x
    dtype = operand_type(b.type(x))
    working = float_result(dtype)
    return x if working is dtype else b("aten::_to_copy", x, dtype=working.code)


def _along(b: Any, kind: str, x: Any, dim: int, count: Any, norm: str | None) -> Any:
    """One transform along one dimension; `kind` is PyTorch's name for it."""
    is_inverse, is_real, real_result = (
        kind in ("ifft", "irfft", "ihfft"),
        kind in ("rfft", "ihfft"),
        kind in ("irfft", "hfft"),
    )
    if not isinstance(count, int):
        raise UnsupportedError("the length of a transform is not known")
    sign, scale = 1 if is_inverse else -1, _scale(norm, count, is_inverse)
    if is_real:
        return parts_of_pairs(b, _from_real(b, _fitted(b, x, dim, count), dim, sign, scale))
    pairs = pairs_of(b, x) if isinstance(x, Parts) else _with_zeros(b, x)
    pairs = _fitted(b, pairs, dim, _half(count) if real_result else count)
    if real_result:
        return _to_real(b, pairs, dim, count, sign, scale)
    return parts_of_pairs(b, _complex(b, pairs, dim, sign, scale))


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
    spectra = x if rank == 3 else Parts(*(b("aten::unsqueeze", part, 0) for part in x))
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
