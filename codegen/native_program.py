"""A compiled program: code, constants, contexts, and the signature of the entry."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any

import numpy as np

from optc.codegen.driver.island_code import IslandCode
from optc.codegen.entry.signature import Signature
from optc.codegen.machine import jit
from optc.codegen.machine.host import Target
from optc.codegen.process.context import ContextPool, Islands
from optc.codegen.process.pool_layout import OPERATIONS_PER_MICROSECOND
from optc.codegen.process.threads import threads_of_calls
from optc.dataclass import dataclass
from optc.ir.dims import Dim, substitute
from optc.ir.graph import Graph

if TYPE_CHECKING:
    from optc.codegen.driver.clock import Clock
    from optc.codegen.driver.frame import KernelRecord

LONG_CALL = 20 * OPERATIONS_PER_MICROSECOND
"""A call of 20 microseconds gives other Python threads a turn, which costs a hundredth of that."""


@dataclass
class NativeProgram:
    """A core graph compiled for one target and loaded into the process.

    `texts` are the LLVM modules by name, the driver's first; `run` is the address of the driver's function.
    `operations` estimates the work of a call in terms of the graph's symbols, as what 64-byte vectors do.
    """

    graph: Graph
    target: Target
    signature: Signature
    symbol: str
    texts: dict[str, str]
    kernels: list[KernelRecord]
    constants: list[np.ndarray[Any, Any]]
    arena_bytes: int
    seconds: dict[str, float] = field(default_factory=dict)
    library: jit.Library | None = None
    clock: Clock | None = None
    operations: Dim = 0
    sites: tuple[Callable[[], str], ...] = ()
    """What the program allocates while it runs, for messages."""
    object_keys: tuple[str, ...] = ()
    """Where the disk cache has the objects; empty when they are not kept."""
    islands: tuple[IslandCode, ...] = ()
    """What native code leaves to the interpreter."""
    draws: bool = False
    """Native code draws random numbers."""
    follows_memory: bool = False
    """What native code draws depends on the order of elements in the arguments' memory."""

    @property
    def run(self) -> int:
        """The address of the native function. Raises ValueError before `load`."""
        if self.library is None:
            raise ValueError("the program has not been loaded")
        return self.library.address(self.symbol)

    def is_long(self, extents: Mapping[str, int]) -> bool:
        """Whether calls with such extents take so long that other Python threads should run meanwhile."""
        known = substitute(self.operations, dict(extents))
        return isinstance(known, int) and known >= LONG_CALL

    @property
    def llvm(self) -> str:
        """All LLVM modules as text, the driver's first."""
        return "\n".join(self.texts.values())

    @property
    def assembly(self) -> str:
        """The machine code of all modules as text."""
        return "\n".join(jit.assembly(text, self.target) for text in self.texts.values())

    def load(self, cached: bool = True) -> None:
        """Compile (or, if `cached`, take from the object cache) and link."""
        started = time.perf_counter()
        objects = jit.compile_modules(list(self.texts.values()), self.target, cached=cached)
        if cached:
            self.object_keys = tuple(jit.object_key(text, self.target) for text in self.texts.values())
        self.library = jit.link(objects)
        self.seconds["llvm"] = time.perf_counter() - started

    def contexts(self, islands: Islands | None = None, threads: int = 0, generator: int = 0) -> ContextPool:
        """The contexts in which calls run, each on up to `threads` threads (0: as many as is usual).

        `generator`: the address of the state that the program draws from.
        """
        addresses = [array.ctypes.data for array in self.constants]
        split = threads_of_calls(threads)
        return ContextPool(addresses, self.arena_bytes, islands, self.constants, split, generator)
