"""The code that all compiled programs share, made on another thread while the first one is captured.

It is compiled once per machine; where the disk cache has it, there is no such thread.
"""

from __future__ import annotations

import os
from functools import cache
from threading import Thread

from optc.codegen.entry import python_layout
from optc.codegen.entry.native_entry import compiled_entry, compiled_rest, write_entry
from optc.codegen.machine import jit
from optc.codegen.process import content_digest
from optc.thread_count import get_num_threads


@cache
def begin() -> None:
    """Begin to make the shared code, where calls may use another thread; no more than once."""
    if get_num_threads() > 1 and python_layout.is_supported() and write_entry():
        Thread(target=_make, name="optc-compile").start()


def _make() -> None:
    """What takes longest, what is needed last, and then in the opposite order what the thread that waits makes."""
    from optc.codegen.process.context import compiled_runtime
    from optc.codegen.process.threads import compiled_pool

    compiled_entry()
    content_digest.prepare()
    compiled_rest()
    compiled_runtime()
    if os.name == "posix":
        compiled_pool(jit.host_target().triple)
