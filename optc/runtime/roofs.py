"""The roofs of this machine: how many multiply-adds and how many bytes per second a core can do at most.

They are measured once per processor, in about a second, by the probes of `optc.codegen.machine.probes`, and kept in
the cache folder for a month. Everything is per core; cores share the last cache and the memory behind it.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import mmap
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from optc.dataclass import dataclass

MAXIMUM_AGE_DAYS = 30
"""Older measurements are taken again: a virtual machine may have moved to another processor's neighbourhood."""

SAMPLES = 12
SAMPLE_SECONDS = 0.004

MEMORY_BYTES = 128 << 20
"""What is read to see the memory behind all caches, at least; four times the last cache at best."""

LARGEST_BYTES = 512 << 20

_HUGE_PAGE = 2 << 20

_ASSUMED_CACHES = (32 << 10, 512 << 10, 8 << 20)
"""Cache sizes where the system does not tell them."""


@dataclass(frozen=True)
class Level:
    """A place where data lives: its size in bytes (0: as large as memory) and what a core reads from it per second."""

    name: str
    bytes: int
    bytes_per_second: float


@dataclass(frozen=True)
class Roofs:
    """What a core can do at most. `flops_per_second` is for float32; `measured` is a time in seconds since 1970."""

    processor: str
    flops_per_second: float
    levels: tuple[Level, ...]
    measured: float

    def level_of(self, bytes_: float) -> Level:
        """The fastest level that holds so many bytes."""
        return next((level for level in self.levels if level.bytes >= bytes_), self.levels[-1])

    def flops_of(self, itemsize: int) -> float:
        """Operations per second on floats of so many bytes; narrower ones than float32 are computed as float32."""
        return self.flops_per_second * 4 / max(itemsize, 4)

    def shortest_seconds(self, flops: float, bytes_: float, working_set: float, itemsize: int = 4) -> tuple[float, str]:
        """The least time that so much work takes a core, and the name of the roof that says so."""
        level = self.level_of(working_set)
        computing, reading = flops / self.flops_of(itemsize), bytes_ / level.bytes_per_second
        return (computing, "FMA") if computing >= reading else (reading, level.name)


def roofs(fresh: bool = False) -> Roofs:
    """The roofs of this machine, measured when they are not known yet, are too old, or `fresh` ones are wanted."""
    path = _path()
    known = None if fresh or path is None else _read(path)
    if known is not None:
        return known
    found = measure()
    if path is not None:
        _write(path, found)
    return found


def measure() -> Roofs:
    """Measure now."""
    sizes = cache_sizes()
    levels = [Level(f"L{place}", size, read_rate(int(size * share))) for place, (size, share) in _parts(sizes)]
    beyond = min(max(4 * sizes[-1], MEMORY_BYTES), LARGEST_BYTES)
    return Roofs(processor_name(), multiply_add_rate(), (*levels, Level("memory", 0, read_rate(beyond))), time.time())


def _parts(sizes: tuple[int, ...]) -> Iterator[tuple[int, tuple[int, float]]]:
    """The caches, numbered from 1, with the share of each that is read: others use the last ones too."""
    shares = [0.75, *[0.5] * (len(sizes) - 2), 0.25]
    return enumerate(zip(sizes, shares), 1)


@cache
def probes() -> Any:
    """The loaded probes."""
    from optc.codegen.machine import jit  # brings llvmlite, which takes a while to load
    from optc.codegen.machine.probes import module

    return jit.link([jit.compile_module(str(module(jit.host_target())))])


def multiply_add_runner(turns: int) -> tuple[Callable[[], Any], int]:
    """A function that does nothing but multiply-adds, and how many floating-point operations that is."""
    from optc.codegen.machine import jit
    from optc.codegen.machine.probes import operations_per_turn

    prototype = ctypes.CFUNCTYPE(ctypes.c_float, ctypes.c_int64, ctypes.c_float)
    function = prototype(probes().address("multiply_adds"))
    return lambda: function(turns, 0.5), turns * operations_per_turn(jit.host_target())


def multiply_add_rate() -> float:
    """Floating-point operations per second of one core, on float32."""
    run, operations = multiply_add_runner(1 << 14)
    return operations / fastest(run)


def read_rate(bytes_: int) -> float:
    """Bytes per second that one core reads from a piece of memory of that size, again and again."""
    from optc.codegen.machine.probes import READ_BYTES

    size = max(bytes_ // READ_BYTES, 1) * READ_BYTES
    mapping = mmap.mmap(-1, size + _HUGE_PAGE)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        mapping.madvise(mmap.MADV_HUGEPAGE)
    array = np.frombuffer(mapping, np.uint8)
    array[:] = 1  # untouched pages would all be the same zeros
    start = -array.ctypes.data % _HUGE_PAGE
    turns = max(1, (1 << 20) // size)
    return size * turns / fastest(reading_runner(array[start : start + size], turns))


def reading_runner(memory: np.ndarray[Any, Any], turns: int, *, back: bool = False) -> Callable[[], Any]:
    """A function that does nothing but read an array so many times; it starts at a multiple of 64 bytes, and what is no
    multiple of `READ_BYTES` (`PIECE_BYTES`) is left.

    back: every other time from its last piece to the first, so that a cache that is a little too small still has most.
    """
    from optc.codegen.machine.probes import PIECE_BYTES, READ_BYTES

    prototype = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
    function = prototype(probes().address("read_memory"))
    unit = PIECE_BYTES if back else READ_BYTES
    arguments = memory.ctypes.data, memory.nbytes // unit * unit, turns, int(back)
    function.memory = memory  # type: ignore[attr-defined]  # it must live as long
    return lambda: function(*arguments)


def fastest(run: Callable[[], Any]) -> float:
    """Seconds of the fastest of many calls: what the machine can do when nothing disturbs it."""
    best = float("inf")
    for _ in range(SAMPLES):
        deadline = time.perf_counter() + SAMPLE_SECONDS
        start = time.perf_counter()
        while start < deadline:
            run()
            end = time.perf_counter()
            best, start = min(best, end - start), end
    return best


def cache_sizes() -> tuple[int, ...]:
    """The bytes of the data caches that core 0 reads through, smallest first."""
    sizes: dict[int, int] = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        with suppress(OSError, ValueError):
            facts = {name: (folder / name).read_text().strip() for name in ("level", "type", "size")}
            if facts["type"] != "Instruction":
                sizes[int(facts["level"])] = _byte_count(facts["size"])
    return tuple(size for _, size in sorted(sizes.items())) or _ASSUMED_CACHES


def _byte_count(text: str) -> int:
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    return int(text[:-1]) * units[text[-1]] if text[-1] in units else int(text)


def processor_name() -> str:
    """The processor's name as the system gives it, and LLVM's name for its kind."""
    from optc.codegen.machine import jit

    kind = jit.host_target().cpu
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return f"{line.partition(':')[2].strip()} ({kind})"
    return kind


def _path() -> Path | None:
    """Where the roofs of this processor are kept; None when nothing is to be kept."""
    from optc.codegen.machine import jit
    from optc.codegen.machine.object_cache import object_cache

    kept = object_cache()
    if kept is None:
        return None
    facts = repr((processor_name(), jit.host_target(), cache_sizes()))
    return kept.directory / f"roofs-{hashlib.sha256(facts.encode()).hexdigest()[:16]}.json"


def _read(path: Path) -> Roofs | None:
    """What a file says; None when it is missing, damaged or too old."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        levels = tuple(Level(str(l["name"]), int(l["bytes"]), float(l["bytes_per_second"])) for l in stored["levels"])
        found = Roofs(str(stored["processor"]), float(stored["flops_per_second"]), levels, float(stored["measured"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    is_sound = levels and found.flops_per_second > 0 and all(level.bytes_per_second > 0 for level in levels)
    is_recent = 0 <= time.time() - found.measured < MAXIMUM_AGE_DAYS * 86400
    return found if is_sound and is_recent else None


def _write(path: Path, found: Roofs) -> None:
    """Keep the roofs; where the folder cannot be written, they are measured again next time."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".tmp", delete=False) as file:
            json.dump(asdict(found), file, indent=1)
        os.replace(file.name, path)
