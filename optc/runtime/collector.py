"""Python's garbage collector while programs are compiled."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from optc.locks import ForkLock

_FROZEN_BY_PYTHON = 1000
"""Python 3.12 freezes some hundred objects of its own when it starts; who freezes more has meant it."""

_lock = ForkLock()
_inside = 0
_was_enabled = False


@contextmanager
def collector_paused(*, is_import: bool = False) -> Iterator[None]:
    """Keep the cyclic garbage collector from running inside, for all threads.

    Compiling makes many objects that live: the collector would walk over all of them, and over everything the process
    has imported, again and again, and find nothing. It took half of the time. What `is_import` makes is there to stay,
    and is not walked over afterwards either.
    """
    global _inside, _was_enabled
    with _lock:
        if not _inside:
            _was_enabled = gc.isenabled()
            gc.disable()
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside and is_import:
                _keep()
            if not _inside and _was_enabled:
                gc.enable()


def _keep() -> None:
    """Count all objects that there are among the old ones, without a look at them. What somebody has frozen stays so."""
    if gc.get_freeze_count() < _FROZEN_BY_PYTHON:
        gc.freeze()
        gc.unfreeze()
