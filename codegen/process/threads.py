"""The thread pool of this process: made when the first context is, workers when the first call is worth it.

Forked children start with no workers and make their own. At interpreter exit the workers are joined, once the job that
may be running (of a daemon thread) is done; calls after that run on their own thread.
"""

import atexit
import ctypes
import os
import time
from functools import cache

from optc.codegen.machine import jit
from optc.codegen.process.context import Threads
from optc.codegen.process.pool_layout import COUNT, PARKED, POOL_BYTES, RESET_BYTES, REST, SEATS, SPINS, STARTED
from optc.dataclass import dataclass
from optc.thread_count import count_address

SPIN_SECONDS = 80e-6
"""How long a thread that waits keeps its core before it goes to sleep: waking it takes as long."""

_CALIBRATION_TURNS = 500
_ALIGNMENT = 128


@dataclass(frozen=True)
class ThreadPool:
    """A loaded pool: its code, and its memory at `address`."""

    library: jit.Library
    memory: "ctypes.Array[ctypes.c_char]"
    address: int

    @staticmethod
    def load(triple: str) -> "ThreadPool":
        """A pool of its own, without workers yet. `triple`: the system whose way to sleep it uses."""
        memory = ctypes.create_string_buffer(POOL_BYTES + _ALIGNMENT)
        library = jit.link([compiled_pool(triple)])
        pool = ThreadPool(library, memory, (ctypes.addressof(memory) + _ALIGNMENT - 1) & -_ALIGNMENT)
        pool._word(COUNT).value = count_address()
        pool._word(SPINS).value = pool._turns(SPIN_SECONDS)
        pool._call("prepare")
        return pool

    def threads(self, number: int = 0) -> Threads:
        """What contexts need to use the pool, with up to `number` threads (0: the number of `thread_count`)."""
        return Threads(self.library.address("parallel"), self.address, number)

    def stop(self) -> None:
        """End and join the workers. Calls go on working, each on its own thread."""
        self._call("stop")

    def forget_workers(self) -> None:
        """After a fork: the child has none of the threads, and whoever held the pool does not exist here."""
        ctypes.memset(self.address, 0, RESET_BYTES)
        ctypes.memset(self.address + SEATS, 0, POOL_BYTES - SEATS)
        self._call("prepare")

    @property
    def workers(self) -> int:
        """How many workers there are."""
        return self._word(STARTED).value

    @property
    def resting(self) -> int:
        """How many jobs will run on the caller's thread alone because workers came too late to the last ones."""
        return self._word(REST).value

    def forget_sleepers(self) -> None:
        """Take all workers for awake, as if the system had not let them run."""
        self._word(PARKED).value = 0

    def _word(self, offset: int) -> ctypes.c_int64:
        return ctypes.c_int64.from_address(self.address + offset)

    def _call(self, name: str) -> None:
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self.library.address(name))(self.address)

    def _turns(self, seconds: float) -> int:
        """How many turns of a waiting loop take so long; the fastest of a few tries, for others may be running."""
        spin = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p)(self.library.address("spin"))
        fastest = float("inf")
        for _ in range(5):
            started = time.perf_counter()
            spin(_CALIBRATION_TURNS, self.address)
            fastest = min(fastest, time.perf_counter() - started)
        return max(1, round(seconds / fastest * _CALIBRATION_TURNS))


def compiled_pool(triple: str) -> bytes:
    """The object of the pool for a system."""
    return jit.compile_generated(f"pool {triple}", lambda: _written(triple))[0]


def _written(triple: str) -> tuple[str, tuple[str, ...]]:
    from optc.codegen.process.thread_pool import pool_module

    return str(pool_module(triple)), ()


@cache
def process_pool() -> ThreadPool | None:
    """The pool of this process; None where the system has no POSIX threads: then every call has one thread."""
    triple = jit.host_target().triple
    if "windows" in triple:
        return None
    made = ThreadPool.load(triple)
    # Daemon threads may still be inside the code when the interpreter takes its modules apart.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(made))
    atexit.register(made.stop)
    os.register_at_fork(after_in_child=made.forget_workers)
    return made


def threads_of_calls(number: int = 0) -> Threads | None:
    """How calls that may use `number` threads (0: the number of `thread_count`) split work; None for one thread."""
    pool = None if number == 1 else process_pool()
    return None if pool is None else pool.threads(number)
