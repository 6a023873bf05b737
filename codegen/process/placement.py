"""Which processor threads run on: a worker that shares one with its caller moves to another, on Linux.

The system wakes a thread where it likes and may leave two busy ones on one processor for a long time while another is
idle. A worker that finds itself there takes that processor out of its own affinity mask, which moves it at once, and
puts it back, so that the system is free to place it later.
"""

from __future__ import annotations

from optc.codegen.llvm import Builder, Function, Module, Parameter, Value

_MASK_BYTES = 128
"""Room for 1024 processors."""


class Placement:
    """Writes the instructions into a module; elsewhere than on Linux they do nothing."""

    def __init__(self, module: Module, triple: str) -> None:
        self.module = module
        self.is_known = "linux" in triple
        self.move_away = self.write_move_away() if self.is_known else None

    def processor(self, b: Builder) -> Value:
        """The number of the processor (i32) that this thread runs on; -1 when nobody knows."""
        if not self.is_known:
            return b.constant("i32", -1)
        return b.call(self.module.declare("sched_getcpu", "i32", []))

    def leave(self, b: Builder, processor: Value) -> None:
        """Go elsewhere than to `processor`, if this thread may."""
        if self.move_away is not None:
            b.call(self.move_away, processor)

    def write_move_away(self) -> Function:
        get = self.module.declare("sched_getaffinity", "i32", ["i32", "i64", "ptr"])
        change = self.module.declare("sched_setaffinity", "i32", ["i32", "i64", "ptr"])
        function = self.module.function("move_away", "void", [Parameter("i32", "processor")], private=True)
        b = Builder(function)
        (processor,) = function.arguments
        with b.if_then(b.icmp("uge", processor, 8 * _MASK_BYTES)):
            b.ret()
        before, others = b.alloca("i64", _MASK_BYTES // 8), b.alloca("i64", _MASK_BYTES // 8)
        b.memset(before, 0, _MASK_BYTES)
        with b.if_then(b.icmp("slt", b.call(get, 0, _MASK_BYTES, before), 0)):
            b.ret()
        b.memcpy(others, before, _MASK_BYTES)
        number = b.zext(processor, "i64")
        word = b.gep("i64", others, b.lshr(number, 6))
        bit = b.shl(b.constant("i64", 1), b.and_(number, 63))
        b.store(b.and_(b.load("i64", word), b.not_(bit)), word)
        with b.if_then(b.icmp("eq", b.call(change, 0, _MASK_BYTES, others), 0)):  # fails where no other is left
            b.call(change, 0, _MASK_BYTES, before)
        b.ret()
        return function
