"""How many threads a call may use: the user's word, else the processors this process may run on.

The number stands in memory that native code reads, so a change reaches functions that are compiled already.
"""

import ctypes
import math
import os
from pathlib import Path

from optc import config

MOST_THREADS = 128
"""More than that many threads are never used by one call."""

CONTROL_GROUPS = Path("/sys/fs/cgroup")
PROCESS_GROUPS = Path("/proc/self/cgroup")

_count = ctypes.c_int64(0)


def get_num_threads() -> int:
    """The threads that one call of compiled code may use: what `set_num_threads` or OPTC_NUM_THREADS say, else as many
    as the process has processors (affinity and the control group's quota count)."""
    if _count.value == 0:
        _count.value = min(config.NUM_THREADS() or usable_processors(), MOST_THREADS)
    return _count.value


def set_num_threads(number: int) -> None:
    """Let one call of compiled code use `number` threads; functions compiled with `threads=` keep their own number.

    Raises ValueError for numbers below 1.
    """
    if number < 1:
        raise ValueError(f"a call needs at least one thread, not {number}")
    _count.value = min(number, MOST_THREADS)


def count_address() -> int:
    """Where the number stands, as an int64, for native code."""
    get_num_threads()
    return ctypes.addressof(_count)


def usable_processors() -> int:
    """The processors this process may use at once: those of its affinity mask, at most its quota rounded up."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = quota_processors()
    return max(1, affinity if quota is None else min(affinity, math.ceil(quota)))


def quota_processors(groups: Path = CONTROL_GROUPS, process: Path = PROCESS_GROUPS) -> float | None:
    """How many processors' time the control groups (version 1 or 2) of this process grant; None without a limit.

    Groups are nested, and every one above the process's own limits it too.
    """
    limits = [limit for folder in _folders(groups, process) if (limit := _limit(folder)) is not None]
    return min(limits, default=None)


def _folders(groups: Path, process: Path) -> list[Path]:
    """The folders that may hold a limit: of each hierarchy, the process's group and those above it."""
    found: list[Path] = []
    for line in _text(process).splitlines():
        _, controllers, name = [*line.split(":", 2), "", ""][:3]
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = groups / controllers if controllers else groups
        inner = Path(name.lstrip("/"))
        # Inside a container the name is often that of the host: then only the root exists.
        found += [root / inner, *(root / parent for parent in inner.parents)]
    return [*found, groups, groups / "cpu"]


def _limit(folder: Path) -> float | None:
    """Processors granted by one group, None for no limit: `cpu.max` in version 2, two files in version 1."""
    quota, _, period = _text(folder / "cpu.max").partition(" ")
    if not quota:
        quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
    try:
        granted, length = int(quota), int(period)
    except ValueError:  # "max", or no such file
        return None
    return granted / length if granted > 0 and length > 0 else None


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
