"""Small functions that find out what the machine can do: multiply-adds per second, bytes per second, clock ticks.

`multiply_adds(i64 turns)` keeps the fused multiply-add units busy from registers alone; a turn is
`operations_per_turn` floating-point operations. `read_memory(ptr memory, i64 bytes, i64 turns, i64 back)` reads memory
from start to end, again and again, or if `back` is 1 every other time piece by piece from the last to the first; `bytes`
is a multiple of `READ_BYTES`, and then of `PIECE_BYTES`. Both return something that depends on all their work, so that
none of it can be left out. `ticks()` reads the counter that profiled code reads.
"""

from __future__ import annotations

from optc.codegen.llvm import Builder, Module, Parameter, Value
from optc.codegen.machine.host import Target

READ_BYTES = 1024
"""What one turn of the reading loop takes in: enough independent loads for every processor."""

PIECE_BYTES = 16 << 10
"""Long enough for a processor to see that it is read forwards."""

_ACCUMULATORS = 12
"""Independent multiply-adds: more than latency times units (4 x 2), and they fit 16 registers with both factors."""

_UNROLLED = 4
"""Steps per turn, so that counting turns costs nothing."""


def operations_per_turn(target: Target) -> int:
    """Floating-point operations (float32) of one turn of `multiply_adds`."""
    return 2 * _ACCUMULATORS * _UNROLLED * target.lanes("float")


def module(target: Target) -> Module:
    """The probes for a target."""
    made = Module("probes")
    _multiply_adds(made, target)
    _read_memory(made, target)
    function = made.function("ticks", "i64", [])
    b = Builder(function)
    b.ret(read_ticks(b, target))
    return made


def read_ticks(b: Builder, target: Target) -> Value:
    """A counter (i64) that grows evenly while time passes. How fast has to be measured."""
    return b.intrinsic("readcyclecounter" if target.is_x86 else "readsteadycounter", "i64", overload=())


def _multiply_adds(made: Module, target: Target) -> None:
    function = made.function("multiply_adds", "float", [Parameter("i64", "turns"), Parameter("float", "factor")])
    turns, factor = function.arguments
    lanes = target.lanes("float")
    vector = f"<{lanes} x float>"
    b = Builder(function)
    by = b.splat(factor, lanes)
    starts = [b.constant(vector, float(number)) for number in range(_ACCUMULATORS)]
    with b.for_loop(0, turns, carried=starts) as loop:
        sums = loop.carried
        for _ in range(_UNROLLED):
            sums = [_multiply_add(b, target, total, by) for total in sums]
        loop.yield_(sums)
    total = loop.results[0]
    for other in loop.results[1:]:
        total = b.fadd(total, other)
    b.ret(b.reduce("fadd", total))


def _multiply_add(b: Builder, target: Target, total: Value, by: Value) -> Value:
    return b.fma(total, by, by) if target.fma else b.fadd(b.fmul(total, by, flags=""), by, flags="")


def _read_memory(made: Module, target: Target) -> None:
    parameters = [
        Parameter("ptr", "memory", "readonly nonnull"), Parameter("i64", "bytes"), Parameter("i64", "turns"),
        Parameter("i64", "back"),
    ]  # fmt: skip
    function = made.function("read_memory", "i64", parameters)
    memory, bytes_, turns, back = function.arguments
    lanes = target.vector_bytes // 8
    vector = f"<{lanes} x i64>"
    vectors = READ_BYTES // target.vector_bytes
    b = Builder(function)
    zero = b.constant(vector, 0)
    parts = min(8, vectors)
    turning = b.icmp("ne", back, 0)
    piece = b.select(turning, b.constant("i64", PIECE_BYTES), bytes_)
    with b.for_loop(0, turns, carried=[zero] * parts) as turn:
        from_last = b.and_(turning, b.icmp("ne", b.and_(turn.index, 1), 0))
        with b.for_loop(0, bytes_, piece, carried=turn.carried) as pieces:
            begin = b.select(from_last, b.sub(b.sub(bytes_, piece), pieces.index), pieces.index)
            with b.for_loop(0, piece, READ_BYTES, carried=pieces.carried) as loop:
                sums = list(loop.carried)
                start = b.gep("i8", memory, b.add(begin, loop.index))
                # Added up: LLVM would combine the lines of two places by one xor, and read them out of order.
                for number in range(vectors):
                    read = b.load(vector, b.gep("i8", start, number * target.vector_bytes), 64)
                    sums[number % parts] = b.add(sums[number % parts], read)
                loop.yield_(sums)
            pieces.yield_(loop.results)
        # A turn must not look like the one before it, or one would be enough.
        turn.yield_([b.add(total, 1) for total in pieces.results])
    total = turn.results[0]
    for other in turn.results[1:]:
        total = b.xor(total, other)
    b.ret(b.reduce("xor", total))
