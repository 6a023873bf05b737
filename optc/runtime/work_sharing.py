"""Two threads for work on large arrays that leaves the interpreter's lock alone: hashing, copying into another order."""

from __future__ import annotations

import threading
from collections.abc import Callable

THREADS = 2
WORTH_BYTES = 4 << 20
"""Less is done before a thread has started."""


def share_out(work: Callable[[int], None], count: int, bytes_: int) -> None:
    """Call `work` with every number below `count`, on two threads if there are so many bytes that it is worth it.

    Raises what a call raises, once both threads have stopped.
    """
    threads = THREADS if count > 1 and bytes_ > WORTH_BYTES else 1
    errors: list[BaseException] = []

    def part(first: int) -> None:
        try:
            for number in range(first, count, threads):
                work(number)
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            errors.append(error)

    others = [threading.Thread(target=part, args=(first,)) for first in range(1, threads)]
    for other in others:
        other.start()
    part(0)
    for other in others:
        other.join()
    if errors:
        raise errors[0]
