"""Work that two threads share, and what plans make with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from optc import work_sharing
from optc.codegen.gemm.weights import contiguous_copy
from optc.runtime.plan import made
from optc.work_sharing import share_out


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_every_number_comes_once(count: int, threads: int) -> None:
    seen: list[int] = []
    share_out(seen.append, count, threads)
    assert sorted(seen) == list(range(count))


def test_two_threads_take_part_where_it_is_worth_it() -> None:
    meeting = threading.Barrier(2)
    seen: set[int] = set()

    def work(number: int) -> None:
        meeting.wait(timeout=30)
        seen.add(threading.get_ident())

    share_out(work, 4, 2)
    assert len(seen) == 2


def test_nobody_waits_for_a_thread_that_has_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    late: list[Callable[[], None]] = []
    monkeypatch.setattr(work_sharing, "start_new_thread", lambda function, arguments: late.append(function))
    seen: list[int] = []
    share_out(seen.append, 4, 2)
    late[0]()
    assert seen == [0, 1, 2, 3]


def test_a_call_that_another_thread_has_begun_is_waited_for() -> None:
    caller, begun, finished = threading.get_ident(), threading.Event(), []

    def work(number: int) -> None:
        if threading.get_ident() == caller:
            begun.wait(timeout=30)
            return
        begun.set()
        time.sleep(0.05)
        finished.append(number)

    share_out(work, 2, 2)
    assert len(finished) == 1


@pytest.mark.parametrize("failing", [0, 1])
def test_what_a_thread_raises_reaches_the_caller(failing: int) -> None:
    def work(number: int) -> None:
        if number == failing:
            raise MemoryError(number)

    with pytest.raises(MemoryError):
        share_out(work, 4, 2)


def test_calls_wait_for_what_they_are_made_of() -> None:
    """A copy of a view of a copy, beside one that nothing needs; both threads have something to do."""
    own = [np.arange(2 << 20, dtype=np.float32), np.ones((1024, 1024), np.float32)]
    module = contiguous_copy.__module__
    steps = [
        ("own", 0),
        ("call", module, "contiguous_copy", [("array", 0)], None),
        ("view", 1, 4, np.dtype(np.float32), (2, 3), (8, 4)),
        ("call", module, "contiguous_copy", [("array", 2)], None),
        ("own", 1),
        ("call", module, "contiguous_copy", [("array", 4)], None),
        ("call", module, "contiguous_copy", [("array", 0)], None),
    ]
    arrays = made(steps, own)
    assert arrays[3].tolist() == [[1, 2, 3], [3, 4, 5]]
    assert np.array_equal(arrays[5], own[1])
    assert np.array_equal(arrays[6], own[0])
