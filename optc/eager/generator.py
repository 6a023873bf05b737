"""The generator of random numbers: the one PyTorch uses on the CPU, word for word.

Its state lies in memory that native code draws from too (`optc.generator_state`).
"""

from __future__ import annotations

import ctypes
import math
import os
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from optc.generator_state import TWISTER_BYTES, TWISTER_WORDS, GeneratorState, StateLock, copy_from

Words = npt.NDArray[np.uint32]
LongWords = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

Snapshot: TypeAlias = tuple[int, bool, float | None, bytes | None]

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
        "formats": ["<u8", "<i4", "<i4", "<u8", ("<u8", TWISTER_WORDS), "<f8", "<i4", "<f4", "u1"],
        "offsets": [0, 8, 12, 16, 24, 5024, 5040, 5048, 5052],
        "itemsize": 5056,
    }
)
"""The bytes of ``torch.get_rng_state``: PyTorch's ``CPUGeneratorImplState`` on a 64-bit little-endian machine."""


class Generator:
    """PyTorch's CPU generator: MT19937 and the half of a normal pair that waits for the next call."""

    __slots__ = ("__weakref__", "_seed", "_state", "_stream", "lock")

    def __init__(self, seed: int = INITIAL_SEED) -> None:
        self._state = GeneratorState()
        self._stream: np.random.Generator | None = None
        self.lock = StateLock(self._state)
        self._restart(seed)

    def _restart(self, seed: int) -> None:
        self._seed = seed
        self._state.is_untouched = True
        self._state.has_spare = False
        if self._stream is not None:
            self._stream.bit_generator.state = _seeded(seed)

    def _numbers(self) -> np.random.Generator:
        """numpy's twister in this generator's state, made when the first word is drawn; it stays where it is then."""
        if self._stream is None:
            self._stream = np.random.Generator(np.random.MT19937(0))
            self._stream.bit_generator.state = _seeded(self._seed)
            self._state.twister = int(self._stream.bit_generator.ctypes.state_address)
        return self._stream

    @property
    def state(self) -> GeneratorState:
        """The state, for native code that draws from it. It stays where it is."""
        with self.lock:
            self._numbers()
        return self._state

    @property
    def _spare_normal(self) -> float | None:
        return self._state.spare if self._state.has_spare else None

    @_spare_normal.setter
    def _spare_normal(self, number: float | None) -> None:
        self._state.has_spare = number is not None
        self._state.spare = number or 0.0

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
            record["left"] = TWISTER_WORDS + 1 - position
            record["seeded"] = 1
            record["next"] = 0 if self._state.is_untouched else position
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
        if not (record["seeded"] and 0 < left <= TWISTER_WORDS and int(record["next"]) <= TWISTER_WORDS):
            raise RuntimeError("Invalid mt19937 state")
        words = _twister(record["words"].astype(np.uint32), TWISTER_WORDS + 1 - left)
        with self.lock:
            self._numbers().bit_generator.state = words
            self._seed = int(record["seed"])
            self._state.is_untouched = left == 1 and int(record["next"]) == 0
            self._spare_normal = float(record["spare"]) if record["spare_valid"] else None

    def snapshot(self) -> Snapshot:
        """The state for `go_back`: much cheaper than `state_bytes`, and of use to this generator only."""
        with self.lock:
            twister = None if self._stream is None else ctypes.string_at(self._state.twister, TWISTER_BYTES)
            return self._seed, bool(self._state.is_untouched), self._spare_normal, twister

    def go_back(self, snapshot: Snapshot) -> None:
        """Continue from a state that `snapshot` gave."""
        seed, is_untouched, spare, twister = snapshot
        with self.lock:
            self._restart(seed)
            self._state.is_untouched, self._spare_normal = is_untouched, spare
            if twister is not None:
                self._numbers()
                ctypes.memmove(self._state.twister, twister, TWISTER_BYTES)

    def go_back_to_copy(self, address: int) -> None:
        """Continue from a copy that native code has made of the state."""
        with self.lock:
            copy_from(self._state, address)

    def words(self, count: int) -> Words:
        """The next `count` 32-bit words. The caller holds the lock."""
        if count > 0:
            self._state.is_untouched = False
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


def _seeded(seed: int) -> Any:
    """The state of numpy's twister behind a seed."""
    seeded = np.random.RandomState(seed & 0xFFFFFFFF).get_state(legacy=False)["state"]
    return _twister(seeded["key"], seeded["pos"])


def _twister(words: Words, place: int) -> Any:
    return {"bit_generator": "MT19937", "state": {"key": words, "pos": place}}


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
