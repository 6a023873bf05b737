"""Timing on machines that are never quiet: candidates take turns, and medians are compared."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

from optc.dataclass import dataclass
from optc.runtime.collector import collector_paused

SAMPLE_SECONDS = 0.002
"""A sample repeats calls until it takes so long, so that the clock's own cost does not count."""


@dataclass(frozen=True)
class Times:
    """Seconds per call, one entry per sample, in the order they were taken."""

    samples: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def best(self) -> float:
        return min(self.samples)

    @property
    def spread(self) -> float:
        """Half the distance between the quartiles, relative to the median."""
        if len(self.samples) < 2:
            return 0.0
        low, _, high = statistics.quantiles(self.samples, n=4)
        return (high - low) / 2 / self.median


def calls_per_sample(run: Callable[[], Any], seconds: float = SAMPLE_SECONDS) -> int:
    """How many calls fill a sample; warms up on the way."""
    run()
    count = 1
    while True:
        taken = sample(run, count) * count
        if taken >= seconds:
            return count
        count = max(count * 2, min(int(count * seconds / max(taken, 1e-9)), count * 100))


def sample(run: Callable[[], Any], count: int) -> float:
    """Seconds per call over `count` calls."""
    repeated = range(count)
    start = time.perf_counter()
    for _ in repeated:
        run()
    return (time.perf_counter() - start) / count


def in_turn(
    candidates: Mapping[str, Callable[[], Any]], rounds: int, before: Mapping[str, Callable[[], Any]] | None = None
) -> dict[str, Times]:
    """Time every candidate once per round, so that all of them see the same moods of the machine.

    `before`: what runs, untimed, before a candidate's turn.
    """
    preparations = before or {}
    counts = {name: calls_per_sample(run) for name, run in candidates.items()}
    taken: dict[str, list[float]] = {name: [] for name in candidates}
    with collector_paused():
        for name in [*candidates] * rounds:
            if name in preparations:
                preparations[name]()
            taken[name].append(sample(candidates[name], counts[name]))
    return {name: Times(tuple(samples)) for name, samples in taken.items()}
