"""Random numbers: the generator PyTorch uses on the CPU, number for number.

One stream of 32-bit words from the Mersenne twister MT19937 feeds everything; a distribution is only the rule by which
words become values, so the same seed and the same sequence of calls give the values PyTorch gives. numpy holds the
same twister and makes the words; the rules here are written over whole arrays.

- Integers, permutations and uniform numbers equal PyTorch's bit for bit, in every dtype. Where PyTorch's compiler fuses
  a multiplication and an addition into one rounding, so do these rules.
- ``fill_normal`` has PyTorch's three rules: Box-Muller over blocks of sixteen in float32 (for float32, float16 and
  bfloat16), the same in float64, and pairs of float64 with one number kept for the next call (fewer than sixteen
  elements, or memory that is not contiguous). The logarithm, sine and cosine of the first are the polynomials of the
  Cephes library as ``avx_mathfun`` evaluates them, so that too agrees bit for bit; the other two lie within two ulp.
- PyTorch leaves ``bernoulli_`` with one probability and ``exponential_`` to Intel's MKL on Intel processors and uses the
  rule below on all others; here it is the rule below everywhere.

Every ``fill_*`` function writes into the array it is given, whatever its strides, in the order in which PyTorch walks
such memory (fastest stride innermost), and takes its words under the generator's lock.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from optc.eager.generator import Doubles, Floats, Generator
from optc.eager.memory import memory_order

Array = npt.NDArray[Any]

INSIDE_OUT: Final = (2**32 - 1) // 20

_BLOCK_ROWS: Final = 512
"""Rows of sixteen that the normal transform takes at once: its temporaries then stay in the first cache levels."""


def _write(array: Array, values: Array) -> None:
    """Store the flat `values` in `array`, in the order PyTorch walks its memory."""
    if array.flags.c_contiguous:
        array[...] = values.reshape(array.shape)
        return
    walked = array.transpose(memory_order(array.shape, [array.strides]))
    walked[...] = values.reshape(walked.shape)


def significand_bits(dtype: np.dtype[Any]) -> int:
    """The bits of a floating-point significand, the hidden one included."""
    return {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}[dtype.name]


def _is_integral(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "iub"


def _from_integers(values: Array, dtype: np.dtype[Any]) -> Array:
    """Whole numbers in `dtype`; the short float formats are reached through float32, as PyTorch reaches them."""
    if dtype.name in ("float16", "bfloat16"):
        return values.astype(np.float32).astype(dtype)
    return values.astype(dtype)


def from_doubles(values: Doubles, dtype: np.dtype[Any]) -> Array:
    """float64 numbers in `dtype`; the short float formats are reached through float32, as PyTorch reaches them."""
    short = dtype.name in ("float16", "bfloat16")
    return (values.astype(np.float32) if short else values).astype(dtype)


def fill_uniform(array: Array, low: float, high: float, generator: Generator) -> None:
    """Numbers of [low, high). float64 takes 53 bits of two words, every other float dtype 24 bits of one word."""
    if array.dtype == np.float64:
        with generator.lock:
            doubles = generator.uniform_doubles(array.size)
        _write(array, _keep_below(_fused_double(doubles, high - low, low), low, high))
        return
    with generator.lock:
        floats = generator.uniform_floats(array.size)
    scaled = _fused(floats, np.float32(high) - np.float32(low), np.float32(low))
    _write(array, _keep_below(scaled.astype(array.dtype, copy=False), low, high))


def _keep_below(values: Array, low: float, high: float) -> Array:
    """A value that rounding has carried to `high` becomes `low`: the interval is open above."""
    kind = values.dtype.type
    values[values == kind(high)] = kind(low)
    return values


def fill_normal(array: Array, mean: float, deviation: float, generator: Generator) -> None:
    """Normal numbers. The rule depends on size and memory: see the head of this module."""
    if array.size < 16 or not array.flags.c_contiguous:
        with generator.lock:
            standard = generator.normal_doubles(array.size)
        _write(array, from_doubles(_fused_double(standard, deviation, mean), array.dtype))
        return
    flat = array.reshape(-1)
    with generator.lock:
        if array.dtype == np.float64:
            blocks = _redrawn_blocks(generator.uniform_doubles, flat.size)
        elif array.dtype == np.float32:
            blocks = _redrawn_blocks(generator.uniform_floats, flat.size)
        else:
            blocks = generator.uniform_floats((flat.size + 15) // 16 * 16).reshape(-1, 16)
    _box_muller(blocks, mean, deviation)
    whole = flat.size - flat.size % 16
    flat[:whole] = blocks[: whole // 16].reshape(-1)
    if whole < flat.size:
        flat[-16:] = blocks[-1]


def _redrawn_blocks(draw: Callable[[int], Array], count: int) -> Array:
    """Rows of sixteen uniform numbers for `count` normal ones, the last row for the last sixteen places.

    `count` numbers are drawn first; where sixteen does not divide it, the last sixteen places are drawn anew.
    """
    tail = count % 16
    if tail == 0:
        return draw(count).reshape(-1, 16)
    drawn = draw(count + 16)
    return np.concatenate((drawn[: count - tail], drawn[count:])).reshape(-1, 16)


def _box_muller(blocks: Array, mean: float, deviation: float) -> None:
    """Turn rows of sixteen uniform numbers into rows of sixteen normal ones, in place.

    The first eight of a row give the radii of the pairs, the last eight their angles; the cosines come first.
    Rows are taken a cache-full at a time.
    """
    transform = _box_muller_double if blocks.dtype == np.float64 else _box_muller_float
    for start in range(0, len(blocks), _BLOCK_ROWS):
        transform(blocks[start : start + _BLOCK_ROWS], mean, deviation)


def _box_muller_double(blocks: npt.NDArray[np.float64], mean: float, deviation: float) -> None:
    radius = np.sqrt(-2.0 * np.log(1.0 - blocks[:, :8]))
    angle = 2.0 * math.pi * blocks[:, 8:]
    blocks[:, :8] = _fused_double(radius * np.cos(angle), deviation, mean)
    blocks[:, 8:] = _fused_double(radius * np.sin(angle), deviation, mean)


def _box_muller_float(blocks: npt.NDArray[np.float32], mean: float, deviation: float) -> None:
    radius = np.sqrt(np.float32(-2.0) * _cephes_log(np.float32(1.0) - blocks[:, :8]))
    sine, cosine = _cephes_sine_and_cosine(np.float32(2.0 * math.pi) * blocks[:, 8:])
    blocks[:, :8] = _fused(radius * cosine, np.float32(deviation), np.float32(mean))
    blocks[:, 8:] = _fused(radius * sine, np.float32(deviation), np.float32(mean))


def _fused(factor: Floats, other: Floats | np.float32, addend: Floats | np.float32) -> Floats:
    """factor * other + addend, rounded once.

    float64 holds the product of two float32 numbers exactly; that it rounds the sum before float32 does can show in
    one result of some hundred million.
    """
    if np.ndim(addend) == 0 and addend == 0:
        return factor * other
    product = np.multiply(factor, other, dtype=np.float64)
    product += addend
    return product.astype(np.float32)


def _fused_double(factor: Doubles, other: float, addend: float) -> Doubles:
    """factor * other + addend, rounded once: the product's own rounding error is computed and added at the end."""
    if addend == 0.0:
        return factor * other
    splitter = 2.0**27 + 1.0
    factor_high = factor * splitter - (factor * splitter - factor)
    factor_low = factor - factor_high
    other_high = other * splitter - (other * splitter - other)
    other_low = other - other_high
    product = factor * other
    product_error = factor_low * other_low - (
        product - factor_high * other_high - factor_low * other_high - factor_high * other_low
    )
    total = product + addend
    back = total - product
    total_error = (product - (total - back)) + (addend - back)
    fused: Doubles = total + (total_error + product_error)
    return fused


def _polynomial(argument: Floats, coefficients: tuple[float, ...]) -> Floats:
    """Horner's rule with fused steps, the leading coefficient first."""
    value = np.full_like(argument, coefficients[0])
    for coefficient in coefficients[1:]:
        value = _fused(value, argument, np.float32(coefficient))
    return value


_LOG: Final = (
    7.0376836292e-2,
    -1.1514610310e-1,
    1.1676998740e-1,
    -1.2420140846e-1,
    1.4249322787e-1,
    -1.6668057665e-1,
    2.0000714765e-1,
    -2.4999993993e-1,
    3.3333331174e-1,
)
_SINE: Final = (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
_COSINE: Final = (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
_QUARTER_PI: Final = (-0.78515625, -2.4187564849853515625e-4, -3.77489497744594108e-8)
"""pi / 4 negated, in three parts short enough to multiply without rounding."""


def _cephes_log(argument: Floats) -> Floats:
    """Natural logarithm of positive normal numbers (Cephes ``logf``).

    A number is 2**e * m with m between sqrt(1/2) and sqrt(2); the polynomial gives log(m), and log(2) is added in two
    parts.
    """
    mantissa, whole_exponent = np.frexp(argument)
    small = mantissa < np.float32(math.sqrt(0.5))
    exponent = whole_exponent.astype(np.float32) - small.astype(np.float32)
    reduced = (mantissa - np.float32(1.0)) + np.where(small, mantissa, np.float32(0.0))
    square = reduced * reduced
    value = _polynomial(reduced, _LOG) * reduced
    value = _fused(value, square, exponent * np.float32(-2.12194440e-4))
    value = _fused(square, np.float32(-0.5), value)
    return _fused(exponent, np.float32(0.693359375), reduced + value)


def _cephes_sine_and_cosine(angle: Floats) -> tuple[Floats, Floats]:
    """Sine and cosine of numbers in [0, 2 pi] (Cephes ``sinf``): octants, then one polynomial each."""
    octant = (angle * np.float32(4.0 / math.pi)).astype(np.int32) + 1 & ~1
    turns = octant.astype(np.float32)
    reduced = angle
    for part in _QUARTER_PI:
        reduced = _fused(turns, np.float32(part), reduced)
    square = reduced * reduced
    cosine = _polynomial(square, _COSINE) * square
    cosine = _fused(cosine, square, square * np.float32(-0.5)) + np.float32(1.0)
    sine = _fused(_polynomial(square, _SINE) * square, reduced, reduced)
    straight = octant & 2 == 0
    sine_of_angle = np.where(straight, sine, cosine)
    cosine_of_angle = np.where(straight, cosine, sine)
    np.negative(sine_of_angle, out=sine_of_angle, where=octant & 4 != 0)
    np.negative(cosine_of_angle, out=cosine_of_angle, where=octant + 2 & 4 != 0)
    return sine_of_angle, cosine_of_angle


def fill_random(array: Array, generator: Generator) -> None:
    """Whole numbers of [0, largest value] for integers, of [0, 2**(significand bits)] for floats, 0 or 1 for bool."""
    wide = array.dtype in (np.dtype(np.int64), np.dtype(np.float64))
    with generator.lock:
        words = generator.long_words(array.size) if wide else generator.words(array.size).astype(np.uint64)
    if array.dtype.kind == "b":
        count = 2
    elif _is_integral(array.dtype):
        count = int(np.iinfo(array.dtype).max) + 1
    else:
        count = 2 ** significand_bits(array.dtype) + 1
    _write(array, _from_integers((words % np.uint64(count)).view(np.int64), array.dtype))


def fill_random_range(array: Array, low: int, high: int, generator: Generator) -> None:
    """Whole numbers of [low, high), high - low at most 2**64.

    Words of 64 bits serve int64, float64, float32 and bfloat16 where the range has more than 2**32 numbers.
    """
    count = high - low
    wide = count >= 2**32 and array.dtype.name in ("int64", "float64", "float32", "bfloat16")
    with generator.lock:
        words = generator.long_words(array.size) if wide else generator.words(array.size)
    if count == 2**64:  # every word is a number of the range already
        _write(array, _from_integers(words.view(np.int64), array.dtype))
        return
    if count < 2**32:
        drawn = (words % np.uint32(count)).astype(np.uint64)
    else:
        drawn = words.astype(np.uint64) % np.uint64(count)
    drawn += np.uint64(low % 2**64)
    _write(array, _from_integers(drawn.view(np.int64), array.dtype))


def permutation(count: int, generator: Generator) -> npt.NDArray[np.int64]:
    """A permutation of range(count): Fisher-Yates with one word of 32 bits for each place but the last.

    From `INSIDE_OUT` numbers on PyTorch shuffles inside out, with one word of 64 bits for each.
    """
    if count >= INSIDE_OUT:
        return _inside_out_permutation(count, generator)
    if count < 2:
        return np.arange(count)
    with generator.lock:
        words = generator.words(count - 1)
    places = np.arange(count)
    targets = (words % (count - places[:-1]) + places[:-1]).tolist()
    shuffled = places.tolist()
    for place, target in enumerate(targets):
        shuffled[place], shuffled[target] = shuffled[target], shuffled[place]
    return np.array(shuffled)


def _inside_out_permutation(count: int, generator: Generator) -> npt.NDArray[np.int64]:
    shuffled = np.arange(count)
    chunk = 1 << 20
    with generator.lock:
        for start in range(0, count, chunk):
            stop = min(start + chunk, count)
            words = generator.long_words(stop - start)
            sources = (words % np.arange(start + 1, stop + 1, dtype=np.uint64)).tolist()
            for place, source in enumerate(sources, start):
                shuffled[place] = shuffled[source]
                shuffled[source] = place
    return shuffled


def fill_bernoulli(array: Array, probability: float, generator: Generator) -> None:
    """1 with the given probability, else 0: one float64 uniform number each."""
    with generator.lock:
        drawn = generator.uniform_doubles(array.size)
    _write(array, (drawn < probability).astype(array.dtype))


def fill_bernoulli_each(array: Array, probabilities: Array, generator: Generator) -> None:
    """1 with the probability at the same place of `probabilities`, which is of the shape of `array`.

    float64 probabilities are compared with float64 uniform numbers, the others with float32 ones.

    Raises RuntimeError where a probability is not in [0, 1].
    """
    if not bool(np.all((probabilities >= 0) & (probabilities <= 1))):
        raise RuntimeError("Expected p_in >= 0 && p_in <= 1 to be true, but got false.")
    axes = memory_order(array.shape, [array.strides])
    walked = probabilities.transpose(axes).reshape(-1)
    with generator.lock:
        if probabilities.dtype == np.float64:
            ones = generator.uniform_doubles(array.size) < walked
        else:
            ones = generator.uniform_floats(array.size) < walked.astype(np.float32)
    _write(array, ones.astype(array.dtype))


def fill_exponential(array: Array, rate: float, generator: Generator) -> None:
    """Exponential numbers: -log(1 - uniform) / rate in float64."""
    with generator.lock:
        drawn = generator.uniform_doubles(array.size)
    _write(array, from_doubles(-1.0 / rate * np.log1p(-drawn), array.dtype))


def fill_geometric(array: Array, probability: float, generator: Generator) -> None:
    """Trials until the first success: ceil(log(uniform) / log(1 - probability)) in float64."""
    with generator.lock:
        drawn = generator.uniform_doubles(array.size)
    with np.errstate(divide="ignore"):
        _write(array, from_doubles(np.ceil(np.log(drawn) / math.log1p(-probability)), array.dtype))


def fill_log_normal(array: Array, mean: float, deviation: float, generator: Generator) -> None:
    """exp of the float64 pairs of normal numbers."""
    with generator.lock:
        standard = generator.normal_doubles(array.size)
    _write(array, from_doubles(np.exp(_fused_double(standard, deviation, mean)), array.dtype))


def fill_cauchy(array: Array, median: float, scale: float, generator: Generator) -> None:
    """Cauchy numbers: median + scale * tan(pi (uniform - 1/2)) in float64."""
    with generator.lock:
        drawn = generator.uniform_doubles(array.size)
    _write(array, from_doubles(_fused_double(np.tan(math.pi * (drawn - 0.5)), scale, median), array.dtype))


def multinomial(weights: Array, samples: int, replacement: bool, generator: Generator) -> npt.NDArray[np.int64]:
    """Indices drawn in proportion to `weights`, `samples` of them for each row (1-d or 2-d).

    With replacement the running sums of a row are searched for a uniform number; without, or for one sample, weights
    divided by exponential numbers are ranked.

    Raises RuntimeError for a weight that is negative, infinite or nan, or a row that sums to zero.
    """
    rows = np.atleast_2d(weights)
    if not bool(np.all(np.isfinite(rows.astype(np.float64)) & (rows >= 0))):
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    sums = np.cumsum(rows.astype(np.float64 if rows.dtype == np.float64 else np.float32), axis=1)
    if not bool(np.all(sums[:, -1] > 0)):
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
    if replacement and samples > 1:
        chosen = _search_running_sums(sums, samples, generator)
    else:
        drawn = np.empty(rows.shape, rows.dtype)
        fill_exponential(drawn, 1.0, generator)
        with np.errstate(divide="ignore", invalid="ignore"):
            ranked = rows / drawn
        chosen = np.argsort(-ranked, axis=1, kind="stable")[:, :samples]
    return chosen.astype(np.int64).reshape(*weights.shape[:-1], samples)


def _search_running_sums(sums: Array, samples: int, generator: Generator) -> Array:
    shares = sums / sums[:, -1:]
    shares[:, -1] = 1.0
    with generator.lock:
        drawn = generator.uniform_doubles(len(shares) * samples).reshape(-1, samples)
    return np.stack(
        [np.searchsorted(row.astype(np.float64), numbers) for row, numbers in zip(shares, drawn, strict=True)]
    )
