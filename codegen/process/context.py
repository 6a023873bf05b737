"""The calling convention of compiled graphs, in one place.

A compiled graph is a C function `i32 run(ptr context, ptr inputs, ptr outputs)`.

`inputs` and `outputs` are arrays of 64-bit words, value after value in the order of the flattened graph:

- a tensor: the address of its data, then one word per dimension (its extent).  Input data is C-contiguous and aligned
  to its elements.  Output data is allocated by the caller where the extents are known before the call; otherwise the
  address is 0, and the native code allocates with `allocate_output` and stores address and extents;
- an int or a bool: its value;  a float: the bits of a double.

The result is 0, or an error code: positive codes are indices into the compiled function's table of errors, with
details in the context; negative codes are the ones below.

`context` is what the code may use besides: a struct whose fields are `FIELDS`.  One context serves one call at a
time; a `ContextPool` hands them out.  All memory that native code asks for goes through `RUNTIME`, a few functions that
are compiled like everything else and need nothing but malloc and free. How emitted code reads and calls what is here
says `context_code`, which a process that only runs programs does not import.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Protocol

from optc.codegen.machine import jit
from optc.dataclass import dataclass
from optc.generator_state import COPY_BYTES
from optc.locks import ForkLock

KEPT_CONTEXTS = 8
"""How many contexts a function keeps that no call uses; with each goes an arena."""

ISLAND_FAILED = -1
"""A Python island raised; `ContextPool.failure` has the exception."""

OUT_OF_MEMORY = -2
"""An allocation gave no memory."""

DETAIL_WORDS = 8

DRAWN_NATIVELY, DRAWN_BY_ISLANDS = 1, 2
"""Who has drawn the first random number of a call, and so kept what the generator held before."""

_FIELD_NAMES = (
    "constants",  # ptr: array of pointers to weights and other constant buffers
    "arena",  # ptr: scratch memory of this call, aligned to 64 bytes
    "arena_bytes",  # i64: its size
    "grow_arena",  # ptr grow_arena(ptr context, i64 bytes): at least so large, contents lost; null without memory
    "allocate_output",  # ptr allocate_output(ptr context, i64 output, i64 bytes): memory for a result; null without
    "allocate",  # ptr allocate(ptr context, i64 bytes): scratch memory aligned to 64 bytes; null without memory
    "release",  # void release(ptr context, ptr): gives back what `allocate` gave; null is allowed
    "release_all",  # void release_all(ptr context): gives back all that `allocate` gave and nobody gave back
    "used_blocks",  # ptr: the chain of what `allocate` gave and nobody gave back
    "island",  # i32 island(ptr context, i64 id, ptr words): runs Python with its lock held; 0 or ISLAND_FAILED
    "code",  # i64: the error code, stored by the entry after a failed run
    "next",  # ptr: the free list of the native entry
    "parallel",  # void parallel(ptr context, ptr task, ptr arguments, i64 count, i64 operations, i64 together): see `thread_pool`
    "pool",  # ptr: the threads' memory
    "threads",  # i64: how many threads this call may use; 0: as many as is usual in this process
    "split_operations",  # i64: how much work of this call could be split, as far as known
    "effects",  # i64: how many islands of this call have drawn random numbers or told the user something
    "generator",  # ptr: the state of the generator that native code draws from (`optc.generator_state`)
    "before",  # ptr: memory for a copy of what the state was before native code first drew
    "drawn",  # i64: 0, or who has drawn first
    *(f"detail{number}" for number in range(DETAIL_WORDS)),  # i64: what an error message needs
)

FIELDS: dict[str, int] = {name: 8 * position for position, name in enumerate(_FIELD_NAMES)}
"""Byte offset of every field of the context."""

FREE_BLOCKS = 8 * len(_FIELD_NAMES)
"""Where the lists of free scratch blocks stand, behind the fields."""

BLOCK_CLASSES = 4 * 64
"""How many sizes free scratch blocks come in: four steps per power of two."""

CONTEXT_BYTES = FREE_BLOCKS + 8 * BLOCK_CLASSES


class Islands(Protocol):
    """The islands of one program, as native code sees them (`optc.codegen.driver.island_code` says what the words mean)."""

    def run(self, context: Context, number: int, words: int) -> None:
        """Run an island on the words at an address. Raises what the program raises."""

    def undo(self, context: Context) -> object:
        """A run has failed, and the program will run again: take back what it has done to the process.

        Returns what the second run has to know of it.
        """


# The runtime functions -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Threads:
    """How the calls of a program split work: the addresses of `parallel` and of the pool's memory, and the number of
    threads (0: as many as is usual in this process)."""

    parallel: int
    pool: int
    number: int = 0


@dataclass(frozen=True)
class Runtime:
    """The loaded runtime functions: addresses for contexts, and callables for Python."""

    library: jit.Library

    def address(self, name: str) -> int:
        return self.library.address(name)

    def allocate(self, bytes_: int) -> int:
        """Memory aligned to 64 bytes.  Raises: MemoryError."""
        function = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_int64)(self.address("allocate"))
        address = function(bytes_)
        if not address:
            raise MemoryError(f"{bytes_} bytes of scratch memory")
        return int(address)

    def release(self, address: int) -> None:
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self.address("release"))(address)

    def give_blocks(self, context: int) -> None:
        """Takes back the scratch blocks of a context that are in use."""
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self.address("give_blocks"))(context)

    def drop_blocks(self, context: int) -> None:
        """Gives the free scratch blocks of a context back to the system."""
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self.address("drop_blocks"))(context)

    def free_output(self, address: int) -> None:
        """Gives back memory of `allocate_output` that no array has taken over."""
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self.address("free_output"))(address)


@cache
def runtime() -> Runtime:
    """The runtime functions, loaded once per process."""
    return Runtime(jit.link([compiled_runtime()]))


def compiled_runtime() -> bytes:
    """The object of the runtime functions."""
    return jit.compile_generated("runtime", _written)[0]


def _written() -> tuple[str, tuple[str, ...]]:
    from optc.codegen.process.runtime_functions import runtime_module

    return str(runtime_module()), ()


# Contexts --------------------------------------------------------------------------------------------------------


class Context:
    """One context in memory, with its arena.  `address` is what native code gets."""

    def __init__(
        self, constants: int, arena_bytes: int, island: int, threads: Threads | None = None, generator: int = 0
    ) -> None:
        self.objects: list[object] = []
        """What the call in this context hands on that only Python can hold; words say which."""
        self._words = (ctypes.c_int64 * (CONTEXT_BYTES // 8))()
        self.address = ctypes.addressof(self._words)
        functions = runtime()
        self["constants"] = constants
        self["island"] = island
        self._before = (ctypes.c_int64 * (COPY_BYTES // 8 if generator else 0))()
        self["generator"], self["before"] = generator, ctypes.addressof(self._before)
        for name in ("grow_arena", "allocate_output"):
            self[name] = functions.address(name)
        self["allocate"], self["release"] = functions.address("take_block"), functions.address("give_block")
        self["release_all"] = functions.address("give_blocks")
        self["parallel"] = threads.parallel if threads else functions.address("run_alone")
        self["pool"] = threads.pool if threads else 0
        self["threads"] = threads.number if threads else 0
        self["arena"] = functions.allocate(arena_bytes) if arena_bytes else 0
        self["arena_bytes"] = arena_bytes
        # Kept for the destructor: at interpreter exit module globals may be gone before this object.
        self._release, self._give_blocks, self._drop_blocks = (
            functions.release,
            functions.give_blocks,
            functions.drop_blocks,
        )

    def __getitem__(self, name: str) -> int:
        return self._words[FIELDS[name] // 8]

    def __setitem__(self, name: str, value: int) -> None:
        self._words[FIELDS[name] // 8] = value

    def keep(self, value: object) -> int:
        """The word that stands for an object during the call."""
        self.objects.append(value)
        return len(self.objects) - 1

    def take_block(self, bytes_: int) -> int:
        """Scratch memory aligned to 64 bytes, which the native code that runs here gives back. Raises: MemoryError."""
        function = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(self["allocate"])
        address = function(self.address, bytes_)
        if not address:
            raise MemoryError(f"{bytes_} bytes for what an island computed")
        return int(address)

    def __del__(self) -> None:
        if hasattr(self, "_release"):
            self._release(self["arena"])
            self._give_blocks(self.address)
            self._drop_blocks(self.address)


@dataclass(frozen=True)
class Failure:
    """What a failed run left behind: its code and the detail words."""

    code: int
    details: tuple[int, ...]
    exception: Exception | None = None
    """What an island raised."""
    shown: object = None
    """What `Islands.undo` left for the run that follows."""

    @staticmethod
    def at(address: int) -> Failure:
        """Reads the failure out of the context at `address`."""
        words = (ctypes.c_int64 * len(_FIELD_NAMES)).from_address(address)
        first = FIELDS["detail0"] // 8
        return Failure(words[FIELDS["code"] // 8], tuple(words[first : first + DETAIL_WORDS]))


class ContextPool:
    """The contexts of one compiled function: as many as calls run at once, and a few for the next.  Thread-safe."""

    def __init__(
        self, constants: Sequence[int] = (), arena_bytes: int = 0, islands: Islands | None = None,
        owner: object = None, threads: Threads | None = None, generator: int = 0,
    ) -> None:  # fmt: skip
        """constants: addresses of the constant buffers; `owner` keeps them alive.  threads: None for one per call.
        generator: the address of the state of the generator, for code that draws random numbers."""
        self._constants = (ctypes.c_void_p * max(1, len(constants)))(*constants)
        self._arena_bytes = arena_bytes
        self._owner = owner
        self._threads = threads
        self._generator = generator
        self._islands = islands
        self._exceptions: dict[int, BaseException] = {}
        prototype = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p)
        self._native_island = prototype(self._run_island)
        self._free: list[Context] = []
        self._contexts: dict[int, Context] = {}
        self._lock = ForkLock()

    def _run_island(self, context: int, number: int, words: int) -> int:
        """What native code calls.  An exception cannot cross native frames: it waits for `failure`."""
        try:
            if self._islands is None:
                raise RuntimeError(f"there is no island {number}")
            self._islands.run(self._contexts[context], number, words)
        except BaseException as error:  # noqa: BLE001 - nothing may unwind through native frames
            self._exceptions[threading.get_ident()] = error
            return ISLAND_FAILED
        return 0

    def failure(self, address: int) -> Failure:
        """What the failed run in the context at `address` left behind; what its islands did is taken back.

        Raises what an island raised that is no error of the program, such as KeyboardInterrupt.
        """
        failure = Failure.at(address)
        exception = self._exceptions.pop(threading.get_ident(), None) if failure.code == ISLAND_FAILED else None
        if exception is not None and not isinstance(exception, Exception):
            raise exception
        shown = self._islands.undo(self._contexts[address]) if self._islands is not None else None
        return replace(failure, exception=exception, shown=shown)

    def create(self) -> Context:
        """A new context that the pool keeps alive.  Raises: MemoryError."""
        island = ctypes.cast(self._native_island, ctypes.c_void_p).value or 0
        context = Context(ctypes.addressof(self._constants), self._arena_bytes, island, self._threads, self._generator)
        with self._lock:
            self._contexts[context.address] = context
        return context

    def create_address(self) -> int:
        """The address of a new context, for the native entry, which keeps its own free list."""
        return self.create().address

    def drop_address(self, address: int) -> None:
        """Frees the context at an address, which no call uses."""
        with self._lock:
            del self._contexts[address]

    def acquire(self) -> Context:
        """A context that nobody uses; give it back with `give_back`."""
        try:
            return self._free.pop()
        except IndexError:
            return self.create()

    def give_back(self, context: Context) -> None:
        context.objects.clear()
        if len(self._free) < KEPT_CONTEXTS:
            self._free.append(context)
        else:
            self.drop_address(context.address)

    def __len__(self) -> int:
        return len(self._contexts)
