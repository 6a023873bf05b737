"""Two threads for work on large arrays that leaves the interpreter's lock alone: hashing, copying into another order."""

from __future__ import annotations

from _thread import start_new_thread
from collections import deque
from collections.abc import Callable
from threading import Condition

WORTH_BYTES = 4 << 20
"""Less is done before a thread has started."""


def share_out(work: Callable[[int], None], count: int, bytes_: int) -> None:
    """Call `work` with every number below `count`, on two threads if there are so many bytes that it is worth it.

    The second thread may come late, where another one keeps its processor busy: it helps with what is left then, and
    nobody waits for it to begin. Raises what a call raises, once no call is running any more.
    """
    shared = _Shared(work, count)
    if count > 1 and bytes_ > WORTH_BYTES:
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
