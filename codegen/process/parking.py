"""How threads of the pool sleep until a 32-bit word changes: a futex on Linux, a condition variable elsewhere.

Both may return early; callers look at the word again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from optc.codegen.llvm import Builder, Declaration, Module, Value

_FUTEX_WAIT_PRIVATE = 128
_FUTEX_WAKE_PRIVATE = 129
_EVERYBODY = 0x7FFFFFFF


class Parking(ABC):
    """Writes the instructions into a module."""

    def __init__(self, module: Module, set_mask: int) -> None:
        self.module = module
        self.set_mask = set_mask

    @staticmethod
    def of(triple: str, module: Module, lock: int, condition: int) -> Parking:
        """The best way of a system; `lock` and `condition` are the offsets of 128 bytes each in the pool's memory.

        Raises ValueError for systems without POSIX threads.
        """
        if "windows" in triple:
            raise ValueError(f"there are no POSIX threads on {triple}")
        if "linux" in triple and triple.startswith("x86_64"):
            return FutexParking(module, 202)
        if "linux" in triple and triple.startswith("aarch64"):
            return FutexParking(module, 98)
        return ConditionParking(module, 2 if "linux" in triple else 3, lock, condition)

    @abstractmethod
    def wait(self, b: Builder, pool: Value, word: Value, value: Value) -> None:
        """Sleep unless the i32 at `word` is no longer `value`."""

    @abstractmethod
    def wake(self, b: Builder, pool: Value, word: Value) -> None:
        """Wake everybody who sleeps on `word`, which has been changed before."""

    def prepare(self, b: Builder, pool: Value) -> None:  # noqa: B027 - a futex needs nothing
        """Initialise what lies in the pool's memory."""

    def block_signals(self, b: Builder) -> None:
        """Signals are for the threads of the program, whose system calls they are meant to interrupt."""
        mask = b.alloca("i64", 16)
        b.memset(mask, 0xFF - 256, 128)
        change = self.module.declare("pthread_sigmask", "i32", ["i32", "ptr", "ptr"])
        b.call(change, self.set_mask, mask, 0)

    def give_way(self, b: Builder) -> None:
        b.call(self.module.declare("sched_yield", "i32", []))


class FutexParking(Parking):
    """Linux: system call `number`."""

    def __init__(self, module: Module, number: int) -> None:
        super().__init__(module, 2)
        self.number = number

    def wait(self, b: Builder, pool: Value, word: Value, value: Value) -> None:
        self.call(b, word, _FUTEX_WAIT_PRIVATE, b.zext(value, "i64"))

    def wake(self, b: Builder, pool: Value, word: Value) -> None:
        self.call(b, word, _FUTEX_WAKE_PRIVATE, b.constant("i64", _EVERYBODY))

    def call(self, b: Builder, word: Value, operation: int, value: Value) -> None:
        system_call = self.module.declare("syscall", "i64", ["i64", "ptr", "i64", "i64", "ptr"])
        b.call(system_call, self.number, word, operation, value, 0)


class ConditionParking(Parking):
    """POSIX: one mutex and one condition variable for all words."""

    def __init__(self, module: Module, set_mask: int, lock: int, condition: int) -> None:
        super().__init__(module, set_mask)
        self.lock, self.condition = lock, condition

    def prepare(self, b: Builder, pool: Value) -> None:
        b.call(self.function("mutex_init", 2), b.gep("i8", pool, self.lock), 0)
        b.call(self.function("cond_init", 2), b.gep("i8", pool, self.condition), 0)

    def wait(self, b: Builder, pool: Value, word: Value, value: Value) -> None:
        lock, condition = b.gep("i8", pool, self.lock), b.gep("i8", pool, self.condition)
        b.call(self.function("mutex_lock", 1), lock)
        with b.while_loop() as loop:
            loop.while_(b.icmp("eq", b.atomic_load("i32", word, "seq_cst"), value))
            b.call(self.function("cond_wait", 2), condition, lock)
            loop.yield_([])
        b.call(self.function("mutex_unlock", 1), lock)

    def wake(self, b: Builder, pool: Value, word: Value) -> None:
        lock = b.gep("i8", pool, self.lock)
        b.call(self.function("mutex_lock", 1), lock)
        b.call(self.function("cond_broadcast", 1), b.gep("i8", pool, self.condition))
        b.call(self.function("mutex_unlock", 1), lock)

    def function(self, name: str, arguments: int) -> Declaration:
        return self.module.declare(f"pthread_{name}", "i32", ["ptr"] * arguments)
