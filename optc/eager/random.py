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

import ctypes
import math
import os
import threading
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from optc.eager.memory import memory_order

Array = npt.NDArray[Any]
Words = npt.NDArray[np.uint32]
LongWords = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

Snapshot: TypeAlias = tuple[int, bool, float | None, np.random.Generator | None, bytes | None]

STATE_WORDS: Final = 624
_TWISTER_BYTES: Final = 4 * (STATE_WORDS + 1)
"""numpy's twister in memory: its words, and the place of the next one."""

_BLOCK_ROWS: Final = 512
"""Rows of sixteen that the normal transform takes at once: its temporaries then stay in the first cache levels."""

INITIAL_SEED: Final = 67280421310721
"""The seed of a generator nobody has seeded."""

_STATE_LAYOUT: Final = np.dtype(
    {
        "names": [
            "seed",
            "left",
            "seeded",
            "next",
            "words",
            "spare",
            "spare_valid",
            "spare_float",
            "spare_float_valid",
        ],
        "formats": ["<u8", "<i4", "<i4", "<u8", ("<u8", STATE_WORDS), "<f8", "<i4", "<f4", "u1"],
        "offsets": [0, 8, 12, 16, 24, 5024, 5040, 5048, 5052],
        "itemsize": 5056,
    }
)
"""The bytes of ``torch.get_rng_state``: PyTorch's ``CPUGeneratorImplState`` on a 64-bit little-endian machine."""


class Generator:
    """PyTorch's CPU generator: MT19937 and the half of a normal pair that waits for the next call."""

    __slots__ = ("__weakref__", "_seed", "_spare_normal", "_stream", "_untouched", "lock")

    def __init__(self, seed: int = INITIAL_SEED) -> None:
        self.lock = threading.Lock()
        self._restart(seed)

    def _restart(self, seed: int) -> None:
        self._seed = seed
        self._untouched = True
        self._spare_normal: float | None = None
        self._stream: np.random.Generator | None = None

    def _numbers(self) -> np.random.Generator:
        """numpy's twister in this generator's state, made when the first word is drawn."""
        if self._stream is None:
            seeded = np.random.RandomState(self._seed & 0xFFFFFFFF).get_state(legacy=False)
            self._stream = _stream_from(seeded["state"])
        return self._stream

    def manual_seed(self, seed: int) -> Generator:
        """Start again from `seed`; a negative seed stands for its 64-bit two's complement.

        Raises ValueError for a seed outside [-2**63, 2**64).
        """
        seed = int(seed)
        if not -(2**63) <= seed < 2**64:
            raise ValueError("Overflow when unpacking long long")
        with self.lock:
            self._restart(seed % 2**64)
        return self

    def seed(self) -> int:
        """Start again from a number of the operating system, and return it."""
        seed = int.from_bytes(os.urandom(8), "little") & (2**53 - 1)
        self.manual_seed(seed)
        return seed

    def initial_seed(self) -> int:
        """The seed this generator was last started with."""
        return self._seed

    def clone(self) -> Generator:
        """An independent generator that will produce what this one would."""
        copy = type(self)()
        copy.restore_bytes(self.state_bytes())
        return copy

    def state_bytes(self) -> npt.NDArray[np.uint8]:
        """The whole state in the layout of ``torch.get_rng_state()``."""
        with self.lock:
            twister = self._numbers().bit_generator.state["state"]
            record = np.zeros((), _STATE_LAYOUT)
            position = int(twister["pos"])
            record["seed"] = self._seed
            record["left"] = STATE_WORDS + 1 - position
            record["seeded"] = 1
            record["next"] = 0 if self._untouched else position
            record["words"] = twister["key"]
            if self._spare_normal is not None:
                record["spare"] = self._spare_normal
                record["spare_valid"] = 1
        return np.frombuffer(record.tobytes(), np.uint8).copy()

    def restore_bytes(self, state: npt.NDArray[np.uint8]) -> None:
        """Continue from a state that `state_bytes`, or PyTorch, gave.

        Raises TypeError unless `state` holds bytes, RuntimeError unless its size and content are a generator's.
        """
        if state.dtype != np.uint8:
            raise TypeError("RNG state must be a torch.ByteTensor")
        if state.size != _STATE_LAYOUT.itemsize:
            raise RuntimeError(
                f"Expected a CPUGeneratorImplState of size {_STATE_LAYOUT.itemsize} "
                f"but found the input RNG state size to be {state.size}"
            )
        record = np.frombuffer(state.tobytes(), _STATE_LAYOUT)[0]
        left = int(record["left"])
        if not (record["seeded"] and 0 < left <= STATE_WORDS and int(record["next"]) <= STATE_WORDS):
            raise RuntimeError("Invalid mt19937 state")
        stream = _stream_from({"key": record["words"].astype(np.uint32), "pos": STATE_WORDS + 1 - left})
        with self.lock:
            self._stream = stream
            self._seed = int(record["seed"])
            self._untouched = left == 1 and int(record["next"]) == 0
            self._spare_normal = float(record["spare"]) if record["spare_valid"] else None

    def snapshot(self) -> Snapshot:
        """The state for `go_back`: much cheaper than `state_bytes`, and of use to this generator only."""
        with self.lock:
            stream = self._stream
            state = None if stream is None else ctypes.string_at(_address_of(stream), _TWISTER_BYTES)
            return self._seed, self._untouched, self._spare_normal, stream, state

    def go_back(self, snapshot: Snapshot) -> None:
        """Continue from a state that `snapshot` gave."""
        with self.lock:
            self._seed, self._untouched, self._spare_normal, self._stream, state = snapshot
            if self._stream is not None and state is not None:
                ctypes.memmove(_address_of(self._stream), state, _TWISTER_BYTES)

    def words(self, count: int) -> Words:
        """The next `count` 32-bit words. The caller holds the lock."""
        if count > 0:
            self._untouched = False
        return self._numbers().integers(0, 2**32, size=count, dtype=np.uint32)

    def long_words(self, count: int) -> LongWords:
        """The next `count` 64-bit words, each of two 32-bit words, the high one first. The caller holds the lock."""
        halves = self.words(2 * count).reshape(count, 2)
        return (halves[:, 0].astype(np.uint64) << np.uint64(32)) | halves[:, 1]

    def uniform_floats(self, count: int) -> Floats:
        """The next `count` float32 numbers of [0, 1): 24 bits of one word each. The caller holds the lock."""
        return (self.words(count) & np.uint32(0xFFFFFF)).astype(np.float32) * np.float32(2.0**-24)

    def uniform_doubles(self, count: int) -> Doubles:
        """The next `count` float64 numbers of [0, 1): 53 bits of two words each. The caller holds the lock."""
        return (self.long_words(count) & np.uint64(2**53 - 1)).astype(np.float64) * 2.0**-53

    def normal_doubles(self, count: int) -> Doubles:
        """The next `count` standard normal numbers, in pairs: a spare one is used first and kept last.

        The caller holds the lock.
        """
        if count == 0:
            return np.empty(0)
        spare = [] if self._spare_normal is None else [self._spare_normal]
        pairs = (count - len(spare) + 1) // 2
        uniform = self.uniform_doubles(2 * pairs)
        made = _normal_pairs(uniform[0::2], uniform[1::2])
        normal = np.concatenate((spare, made))
        self._spare_normal = float(normal[count]) if normal.size > count else None
        return normal[:count]


def _address_of(stream: np.random.Generator) -> int:
    """Where the state of numpy's twister lies."""
    return int(stream.bit_generator.ctypes.state_address)


def _stream_from(state: Any) -> np.random.Generator:
    twister = np.random.MT19937(0)
    twister.state = {"bit_generator": "MT19937", "state": state}
    return np.random.Generator(twister)


default_generator: Final = Generator(int.from_bytes(os.urandom(8), "little") & (2**53 - 1))
"""The generator of every call that names none."""


def _normal_pairs(angles: Doubles, radii: Doubles) -> Doubles:
    """Box-Muller: the cosine branch and the sine branch of each pair of uniform numbers, interleaved.

    PyTorch calls the C library's functions; numpy's own may differ in the last bit. They make the bulk of many numbers,
    but never the last pair, of which a number may stay in the generator's state.
    """
    pairs = np.empty((angles.size, 2))
    bulk = angles.size - 1 if angles.size > 32 else 0
    lengths = np.sqrt(-2.0 * np.log1p(-radii[:bulk]))
    pairs[:bulk, 0] = lengths * np.cos(2.0 * math.pi * angles[:bulk])
    pairs[:bulk, 1] = lengths * np.sin(2.0 * math.pi * angles[:bulk])
    for row, angle, radius in zip(pairs[bulk:], angles[bulk:].tolist(), radii[bulk:].tolist(), strict=True):
        length = math.sqrt(-2.0 * math.log1p(-radius))
        row[0] = length * math.cos(2.0 * math.pi * angle)
        row[1] = length * math.sin(2.0 * math.pi * angle)
    return pairs.reshape(-1)


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
        _write(array, _fused_double(standard, deviation, mean).astype(array.dtype))
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

    From 2**32 // 20 numbers on PyTorch shuffles inside out, with one word of 64 bits for each.
    """
    if count >= (2**32 - 1) // 20:
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
    _write(array, (-1.0 / rate * np.log1p(-drawn)).astype(array.dtype))


def fill_geometric(array: Array, probability: float, generator: Generator) -> None:
    """Trials until the first success: ceil(log(uniform) / log(1 - probability)) in float64."""
    with generator.lock:
        drawn = generator.uniform_doubles(array.size)
    with np.errstate(divide="ignore"):
        _write(array, np.ceil(np.log(drawn) / math.log1p(-probability)).astype(array.dtype))


def fill_log_normal(array: Array, mean: float, deviation: float, generator: Generator) -> None:
    """exp of the float64 pairs of normal numbers."""
    with generator.lock:
        standard = generator.normal_doubles(array.size)
    _write(array, np.exp(_fused_double(standard, deviation, mean)).astype(array.dtype))


def fill_cauchy(array: Array, median: float, scale: float, generator: Generator) -> None:
    """Cauchy numbers: median + scale * tan(pi (uniform - 1/2)) in float64."""
    with generator.lock:
        drawn = generator.uniform_doubles(array.size)
    _write(array, _fused_double(np.tan(math.pi * (drawn - 0.5)), scale, median).astype(array.dtype))


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
