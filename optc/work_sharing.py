"""Threads for work that leaves the interpreter's lock alone: hashing large arrays, copying them, running LLVM."""

from __future__ import annotations

from _thread import start_new_thread
from collections import deque
from collections.abc import Callable
from threading import Condition

_WORTH_BYTES = 32 << 20
"""Where others use the processors (numpy's threads spin for a tenth of a second after each product, and when they start), a
thread that has begun may wait for milliseconds to go on, and its caller with it: so long takes what is worth sharing."""


def threads_for(bytes_: int) -> int:
    """How many threads are worth it to read so many bytes."""
    return 2 if bytes_ > _WORTH_BYTES else 1


def share_out(work: Callable[[int], None], count: int, threads: int) -> None:
    """Call `work` with every number below `count`, on so many threads, of which the caller is one.

    The others may come late, where something else keeps their processors busy: they help with what is left then, and
    nobody waits for them to begin. Raises what a call raises, once no call is running any more.
    """
    shared = _Shared(work, count)
    for _ in range(min(threads, count) - 1):
        start_new_thread(shared.work_off, ())  # a `Thread` would have this one wait until it runs
    shared.work_off()
    shared.wait()


class _Shared:
    """The numbers that nobody has begun with, and how many calls are running."""

    def __init__(self, work: Callable[[int], None], count: int) -> None:
        self._work = work
        self._left = deque(range(count))
        self._running = 0
        self._errors: list[BaseException] = []
        self._changed = Condition()

    def work_off(self) -> None:
        """Call with one number after the other; none is begun after an error."""
        while (number := self._taken()) is not None:
            try:
                self._work(number)
            except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
                self._errors.append(error)
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def _taken(self) -> int | None:
        with self._changed:
            if not self._left or self._errors:
                return None
            self._running += 1
            return self._left.popleft()

    def wait(self) -> None:
        """Until no call is running. Raises what one of them has raised."""
        with self._changed:
            self._changed.wait_for(lambda: not self._running)
        if self._errors:
            raise self._errors[0]
