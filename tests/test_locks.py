"""Locks that a forked child finds open."""

from __future__ import annotations

import os
import threading

import pytest

from optc.locks import ForkLock

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


def exit_code_of_child(lock: ForkLock) -> int:
    """0 when a child, and then a thread of it, get the lock."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    taken = threading.Event()

    def take() -> None:
        with lock, lock:
            taken.set()

    with lock:
        pass
    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    os._exit(0 if taken.wait(5) else 1)


def test_a_child_gets_a_lock_that_another_thread_holds() -> None:
    lock, held, done = ForkLock(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            done.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    code = exit_code_of_child(lock)
    done.set()
    holder.join()
    assert code == 0


def test_a_child_may_leave_what_its_parent_entered() -> None:
    lock = ForkLock()
    with lock:
        child = os.fork()
    if child == 0:
        os._exit(exit_code_of_child(lock) and 1)
    assert os.waitpid(child, 0)[1] == 0


def test_it_excludes_other_threads() -> None:
    lock, order = ForkLock(), []

    def second() -> None:
        with lock:
            order.append("second")

    with lock:
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.05)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
