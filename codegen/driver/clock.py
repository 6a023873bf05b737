"""The clock of a profiled program: code around every kernel call that adds up time and work in a table of words.

The table lies among the program's constants, the only one of them that the program writes. It has a row of `ROW_WORDS`
words (i64) for every place that is timed: ticks of the processor's counter, calls, floating-point operations and bytes.
Row 0 is the whole run. Work whose size is only known at run time is computed there, with the sizes of each call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from optc.codegen.kernels.emitter import emit_dim
from optc.codegen.kernels.work import Work
from optc.codegen.llvm import Value
from optc.codegen.machine.probes import read_ticks
from optc.dataclass import dataclass

if TYPE_CHECKING:
    from optc.codegen.driver.frame import Frame

ROW_WORDS = 4


@dataclass(frozen=True)
class TimedPlace:
    """A row of the table: the kernel, the operators it stands for, the width of its floats in bytes, and whether
    several threads may work on it."""

    name: str
    operators: tuple[str, ...]
    itemsize: int = 4
    is_split: bool = False


class Clock:
    """Writes the code that measures; afterwards `places` and `table` say what was measured."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._number = len(frame.constants)
        self._base = frame.constant_pointer(np.zeros(0, np.int64))
        self._is_running = self._is_split = False
        self.places: list[TimedPlace] = [TimedPlace("run", ())]
        self._start = self._now()

    def stop(self) -> None:
        """The run is over, and all code is written: make room for the table."""
        self._add(0, self._start, Work())
        self._frame.constants[self._number] = np.zeros((len(self.places), ROW_WORDS), np.int64)

    @property
    def table(self) -> np.ndarray[Any, Any]:
        """A row for every place: ticks, calls, operations, bytes."""
        return self._frame.constants[self._number]

    @contextmanager
    def timed(self, name: str, operators: Sequence[str], work: Callable[[], Work]) -> Iterator[None]:
        """Measure what is emitted inside; a place inside of another is part of that one."""
        if self._is_running:
            yield
            return
        self._is_running, self._is_split = True, False
        start = self._now()
        yield
        done = work()
        self.places.append(TimedPlace(name, tuple(operators), done.itemsize, self._is_split))
        self._add(len(self.places) - 1, start, done)
        self._is_running = False

    def note_split(self) -> None:
        """Several threads may work on what is being measured."""
        self._is_split = True

    def _now(self) -> Value:
        return read_ticks(self._frame.b, self._frame.target)

    def _add(self, row: int, start: Value, work: Work) -> None:
        frame, b = self._frame, self._frame.b
        elapsed = b.sub(self._now(), start)
        added = [elapsed, b.constant("i64", 1), *(emit_dim(b, dim, frame.symbols) for dim in (work.flops, work.bytes))]
        for word, value in enumerate(added):
            address = b.gep("i64", self._base, row * ROW_WORDS + word)
            b.store(b.add(b.load("i64", address, 8), value), address, 8)
