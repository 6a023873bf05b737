"""The Mersenne twister MT19937 in native code, on the state that eager code draws from (`optc.generator_state`).

`ptr random_begin(ptr context)` takes the generator's lock and gives its state, `void random_end(ptr state)` opens the
lock. The first draw of a run keeps a copy of the state in its context, so that a run that fails can take back what it has
drawn. `void random_words(ptr state, ptr words, i64 count)` writes the next words of 32 bits.

A thread that waits for the lock must not hold Python's: whoever holds it may need that one to go on.
"""

from __future__ import annotations

from optc.codegen.llvm import Builder, Function, Module, Parameter, Value, vector_of
from optc.codegen.process.context import DRAWN_NATIVELY
from optc.codegen.process.context_code import field_address, load_field
from optc.generator_state import KEPT_FIELDS_BYTES, OFFSETS, TWISTER_BYTES, TWISTER_WORDS

MODULE = "random_words"

_MIDDLE = 397
_UPPER, _LOWER, _TWIST = 0x8000_0000, 0x7FFF_FFFF, 0x9908_B0DF
_LANES = 8


def words_module() -> Module:
    """The three functions."""
    module = Module(MODULE)
    _begin(module)
    _end(module)
    _words(module, _refill(module))
    return module


def state_address(b: Builder, state: Value, name: str) -> Value:
    """The address of a field of the state."""
    return b.gep("i8", state, OFFSETS[name])


def _begin(module: Module) -> None:
    function = module.function("random_begin", "ptr", [Parameter("ptr", "context")])
    (context,) = function.arguments
    b = Builder(function)
    state = load_field(b, context, "generator")
    mutex = state_address(b, state, "mutex")
    try_lock = module.declare("pthread_mutex_trylock", "i32", ["ptr"])
    with b.if_then(b.icmp("ne", b.call(try_lock, mutex), 0), likely=False):
        _wait(module, b, mutex)
    with b.if_then(b.icmp("eq", load_field(b, context, "drawn"), 0)):
        copy = load_field(b, context, "before")
        b.memcpy(copy, state, KEPT_FIELDS_BYTES)
        twister = b.load("ptr", state_address(b, state, "twister"), 8)
        b.memcpy(b.gep("i8", copy, KEPT_FIELDS_BYTES), twister, TWISTER_BYTES)
        b.store(b.constant("i64", DRAWN_NATIVELY), field_address(b, context, "drawn"), 8)
    b.ret(state)


def _wait(module: Module, b: Builder, mutex: Value) -> None:
    lock = module.declare("pthread_mutex_lock", "i32", ["ptr"])
    holds = b.icmp("ne", b.call(module.declare("PyGILState_Check", "i32", [])), 0)
    with b.if_then_else(holds) as (python, free):
        with python:
            thread = b.call(module.declare("PyEval_SaveThread", "ptr", []))
            b.call(lock, mutex)
            b.call(module.declare("PyEval_RestoreThread", "void", ["ptr"]), thread)
        with free:
            b.call(lock, mutex)


def _end(module: Module) -> None:
    function = module.function("random_end", "void", [Parameter("ptr", "state")])
    b = Builder(function)
    b.call(module.declare("pthread_mutex_unlock", "i32", ["ptr"]), state_address(b, function.arguments[0], "mutex"))
    b.ret()


def _refill(module: Module) -> Function:
    """`void random_refill(ptr twister)`: all words of the state anew."""
    function = module.function("random_refill", "void", [Parameter("ptr", "twister")])
    (twister,) = function.arguments
    b = Builder(function)
    _turn(b, twister, 0, TWISTER_WORDS - _MIDDLE, _MIDDLE)
    _turn(b, twister, TWISTER_WORDS - _MIDDLE, TWISTER_WORDS - 1, _MIDDLE - TWISTER_WORDS)
    last = b.constant("i64", TWISTER_WORDS - 1)
    _turn_words(b, twister, last, b.constant("i64", 0), _MIDDLE - TWISTER_WORDS, 0)
    b.ret()
    return function


def _turn(b: Builder, twister: Value, start: int, stop: int, distance: int) -> None:
    """Words `start` to `stop` anew, each of itself, the next one and the one so far away."""
    whole = start + (stop - start) // _LANES * _LANES
    for first, last, lanes in ((start, whole, _LANES), (whole, stop, 0)):
        with b.for_loop(first, last, max(lanes, 1)) as loop:
            _turn_words(b, twister, loop.index, b.add(loop.index, 1), distance, lanes)


def _turn_words(b: Builder, twister: Value, place: Value, after: Value, distance: int, lanes: int) -> None:
    type_ = vector_of("i32", lanes)

    def read(index: Value) -> Value:
        return b.load(type_, b.gep("i32", twister, index), 4)

    mixed = b.or_(b.and_(read(place), _UPPER), b.and_(read(after), _LOWER))
    twist = b.and_(b.sub(b.constant(type_, 0), b.and_(mixed, 1)), _TWIST)
    word = b.xor(b.xor(read(b.add(place, distance)), b.lshr(mixed, 1)), twist)
    b.store(word, b.gep("i32", twister, place), 4)


def _words(module: Module, refill: Function) -> None:
    parameters = [Parameter("ptr", "state"), Parameter("ptr", "words"), Parameter("i64", "count")]
    function = module.function("random_words", "void", parameters)
    state, words, count = function.arguments
    b = Builder(function)
    with b.if_then(b.icmp("sle", count, 0), likely=False):
        b.ret()
    b.store(b.constant("i64", 0), state_address(b, state, "is_untouched"), 8)
    twister = b.load("ptr", state_address(b, state, "twister"), 8)
    position = b.gep("i32", twister, TWISTER_WORDS)
    with b.while_loop([b.constant("i64", 0)]) as loop:
        (done,) = loop.carried
        loop.while_(b.icmp("slt", done, count))
        with b.if_then(b.icmp("sge", b.load("i32", position), TWISTER_WORDS), likely=False):
            b.call(refill, twister)
            b.store(b.constant("i32", 0), position)
        start = b.sext(b.load("i32", position), "i64")
        left = b.sub(b.constant("i64", TWISTER_WORDS), start)
        number = b.intrinsic("smin", "i64", left, b.sub(count, done))
        _temper(b, b.gep("i32", twister, start), b.gep("i32", words, done), number)
        b.store(b.trunc(b.add(start, number), "i32"), position)
        loop.yield_([b.add(done, number)])
    b.ret()


def _temper(b: Builder, source: Value, target: Value, count: Value) -> None:
    whole = b.and_(count, -_LANES)
    for first, last, lanes in ((b.constant("i64", 0), whole, _LANES), (whole, count, 0)):
        with b.for_loop(first, last, max(lanes, 1)) as loop:
            word = b.load(vector_of("i32", lanes), b.gep("i32", source, loop.index), 4)
            word = b.xor(word, b.lshr(word, 11))
            word = b.xor(word, b.and_(b.shl(word, 7), 0x9D2C_5680))
            word = b.xor(word, b.and_(b.shl(word, 15), 0xEFC6_0000))
            word = b.xor(word, b.lshr(word, 18))
            b.store(word, b.gep("i32", target, loop.index), 4)
