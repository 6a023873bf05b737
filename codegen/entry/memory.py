"""Memory for the native entry's results: arrays, wrappers around them, blocks that become torch tensors.

A result is written again when nobody but this entry refers to it: views, memoryviews and DLPack capsules all hold
references to their array, and a wrapper's array must be held by the wrapper alone.
"""

from __future__ import annotations

from optc.codegen.entry.code import Code
from optc.codegen.entry.layout import DESCRIPTION, OUTPUT
from optc.codegen.entry.python_layout import (
    BASE,
    DESCR,
    DIMS,
    FLAGS,
    FRESH,
    HANDLER,
    OWNS_DATA,
    RANK,
    READABLE,
    TYPE,
    WEAK,
    WRITE_BACK,
    WRITEABLE,
)
from optc.codegen.llvm import Value
from optc.codegen.process.allocation import ALIGNMENT, PAGE, PAGED

RECYCLED_BYTES = 64 << 20
"""Larger results are left to the allocator, so that an idle function holds little memory."""

# DLManagedTensorVersioned: version, manager's context, deleter, flags, then a DLTensor (see `arguments`).
BLOCK = {"version": 0, "deleter": 2, "flags": 3, "data": 4, "device": 5, "type": 6, "dims": 7, "strides": 8, "end": 10}


def write_memory_functions(code: Code) -> None:
    """`obtain`, `obtain_wrapped`, `fill_wrapper`, `adopt`, `byte_count` and `make_block`."""
    _is_free(code)
    _new_array(code)
    _adopt(code)
    _byte_count(code)
    _obtain(code)
    _fill_wrapper(code)
    _take_wrapper(code)
    _wrap_fresh(code)
    _obtain_wrapped(code)
    _make_block(code)


# Arrays ----------------------------------------------------------------------------------------------------------


def _is_free(code: Code) -> None:
    """`i1 is_free(array, record, dims)`: the array fits, and has a single reference."""
    with code.define("is_free", "i1", "ptr array", "ptr record", "ptr dims", inline=True) as (array, record, dims):
        b = code.b
        code.require(b.icmp("eq", code.count_of(array), 1))
        code.require(b.icmp("eq", code.field(array, DESCR), code.word(record, OUTPUT, "dtype", "ptr")))
        flags = b.and_(code.field(array, FLAGS, "i32"), FRESH | WRITE_BACK)
        code.require(b.icmp("eq", flags, FRESH))
        code.require(code.is_null(code.field(array, WEAK)))
        code.require(code.is_null(code.field(array, BASE)))
        rank = code.word(record, OUTPUT, "rank")
        code.require(b.icmp("eq", code.field(array, RANK, "i32"), b.trunc(rank, "i32")))
        actual = code.field(array, DIMS)
        with b.for_loop(0, rank) as loop:
            wanted = b.load("i64", b.gep("i64", dims, loop.index), 8)
            code.require(b.icmp("eq", b.load("i64", b.gep("i64", actual, loop.index), 8), wanted))
        b.ret(True)


def _byte_count(code: Code) -> None:
    """The bytes of a result, or -1 when they cannot be counted."""
    with code.define("byte_count", "i64", "ptr record", "ptr dims") as (record, dims):
        b = code.b
        itemsize, rank = code.word(record, OUTPUT, "itemsize"), code.word(record, OUTPUT, "rank")
        with b.for_loop(0, rank, carried=[itemsize]) as loop:
            extent = b.load("i64", b.gep("i64", dims, loop.index), 8)
            limit = b.udiv((1 << 62), b.intrinsic("umax", "i64", extent, b.constant("i64", 1)))
            with b.if_then(b.icmp("ugt", loop.carried[0], limit), likely=False):
                b.ret(-1)
            loop.yield_([b.mul(loop.carried[0], extent)])
        b.ret(loop.results[0])


def _new_array(code: Code) -> None:
    """PyArray_NewFromDescr over `data` (null: numpy allocates), which takes a reference to the dtype from us."""
    with code.define("new_array", "ptr", "ptr record", "ptr dims", "ptr data", "i32 flags") as arguments:
        record, dims, data, flags = arguments
        b = code.b
        dtype = code.word(record, OUTPUT, "dtype", "ptr")
        code.python("Py_IncRef", "void", dtype)
        rank = b.trunc(code.word(record, OUTPUT, "rank"), "i32")
        null = b.constant("ptr", 0)
        class_ = code.known("ndarray")
        b.ret(code.python("PyArray_NewFromDescr", "ptr", class_, dtype, rank, dims, null, data, flags, null))


def _adopt(code: Code) -> None:
    """An array that owns memory of `allocate_output`; without one (an exception is set) the memory is freed."""
    with code.define("adopt", "ptr", "ptr record", "ptr dims", "ptr data") as (record, dims, data):
        b = code.b
        with b.if_then(code.is_null(data), likely=False):
            b.ret(code.python("PyErr_NoMemory", "ptr"))
        array = code.call("new_array", record, dims, data, b.constant("i32", READABLE | WRITEABLE))
        with b.if_then(code.is_null(array), likely=False):
            code.python("free_output", "void", data)
            b.ret(array)
        place = b.gep("i8", array, FLAGS)
        b.store(b.or_(b.load("i32", place, 4), OWNS_DATA), place, 4)
        handler = code.known("memory_handler")
        with b.if_then(code.is_set(handler)):
            code.python("Py_IncRef", "void", handler)
            b.store(handler, b.gep("i8", array, HANDLER), 8)
        b.ret(array)


def _fresh(code: Code, record: Value, dims: Value) -> tuple[Value, Value]:
    """A new array (null with an exception) and whether it is worth keeping for later calls."""
    b = code.b
    bytes_ = code.call("byte_count", record, dims)

    def adopted() -> Value:
        data = code.python("allocate_output", "ptr", b.constant("ptr", 0), b.constant("i64", 0), bytes_)
        return code.call("adopt", record, dims, data)

    def paged() -> Value:
        countable = b.icmp("ne", bytes_, -1)
        return b.choose(countable, adopted, lambda: code.python("PyErr_NoMemory", "ptr"), likely=True)

    def small() -> Value:
        return code.call("new_array", record, dims, b.constant("ptr", 0), b.constant("i32", 0))

    return b.choose(b.icmp("uge", bytes_, PAGED), paged, small), b.icmp("ule", bytes_, RECYCLED_BYTES)


def _keep(code: Code, record: Value, first: str, second: str, made: Value) -> None:
    """Remember a result for later calls; the older of the two that are known is let go."""
    b = code.b
    code.hold(made)
    older = code.word(record, OUTPUT, second, "ptr")
    code.set_word(record, OUTPUT, second, code.word(record, OUTPUT, first, "ptr"))
    code.set_word(record, OUTPUT, first, made)
    with b.if_then(code.is_set(older)):
        code.let_go(older)


def _obtain(code: Code) -> None:
    """`ptr obtain(record, dims)`: an array with one reference for the caller, null with an exception.

    One of the last two arrays if nobody else refers to it, else a fresh one.
    """
    with code.define("obtain", "ptr", "ptr record", "ptr dims") as (record, dims):
        b = code.b
        for name in ("plain0", "plain1"):
            array = code.word(record, OUTPUT, name, "ptr")
            known = b.if_then(code.is_set(array), likely=True)
            with known, b.if_then(code.call("is_free", array, record, dims)):
                code.hold(array)
                b.ret(array)
        fresh, worth_keeping = _fresh(code, record, dims)
        code.require(code.is_set(fresh))
        with b.if_then(worth_keeping):
            _keep(code, record, "plain0", "plain1", fresh)
        b.ret(fresh)


# Wrappers --------------------------------------------------------------------------------------------------------


def _fill_wrapper(code: Code) -> None:
    """A new wrapper around an array, whose reference it takes over; null with an exception."""
    with code.define("fill_wrapper", "ptr", "ptr description", "ptr array", rare=True) as (description, array):
        b = code.b
        class_ = code.word(description, DESCRIPTION, "wrapper", "ptr")
        instance = code.python("PyType_GenericAlloc", "ptr", class_, b.constant("i64", 0))
        with b.if_then(code.is_null(instance), likely=False):
            code.let_go(array)
            b.ret(instance)
        b.store(array, b.gep("i8", instance, code.word(description, DESCRIPTION, "array_slot")), 8)
        constants = code.word(description, DESCRIPTION, "constants", "ptr")
        with b.for_loop(0, code.word(description, DESCRIPTION, "constant_count")) as loop:
            pair = b.gep("i64", constants, b.mul(loop.index, 2))
            value = b.load("ptr", b.gep("i64", pair, 1), 8)
            code.python("Py_IncRef", "void", value)
            b.store(value, b.gep("i8", instance, b.load("i64", pair, 8)), 8)
        b.ret(instance)


def _take_wrapper(code: Code) -> None:
    """The wrapper, with a reference for the caller, if nobody else has it and it is as it was made; else null."""
    with code.define("take_wrapper", "ptr", "ptr description", "ptr wrapper", "ptr record", "ptr dims") as arguments:
        description, wrapper, record, dims = arguments
        b = code.b
        code.require(code.is_set(wrapper))
        code.require(b.icmp("eq", code.count_of(wrapper), 1))
        code.require(b.icmp("eq", code.field(wrapper, TYPE), code.word(description, DESCRIPTION, "wrapper", "ptr")))
        weak = code.word(description, DESCRIPTION, "weak_slot")
        with b.if_then(b.icmp("ne", weak, 0)):
            code.require(code.is_null(b.load("ptr", b.gep("i8", wrapper, weak, inbounds=False), 8)))
        constants = code.word(description, DESCRIPTION, "constants", "ptr")
        with b.for_loop(0, code.word(description, DESCRIPTION, "constant_count")) as loop:
            pair = b.gep("i64", constants, b.mul(loop.index, 2))
            value = b.load("ptr", b.gep("i8", wrapper, b.load("i64", pair, 8)), 8)
            code.require(b.icmp("eq", value, b.load("ptr", b.gep("i64", pair, 1), 8)))
        array = array_of(code, description, wrapper)
        code.require(code.is_set(array))
        code.require(b.icmp("eq", code.field(array, TYPE), code.known("ndarray")))
        code.require(code.call("is_free", array, record, dims))
        code.hold(wrapper)
        b.ret(wrapper)


def array_of(code: Code, description: Value, wrapper: Value) -> Value:
    b = code.b
    return b.load("ptr", b.gep("i8", wrapper, code.word(description, DESCRIPTION, "array_slot")), 8)


def _wrap_fresh(code: Code) -> None:
    with code.define("wrap_fresh", "ptr", "ptr description", "ptr record", "ptr dims") as (
        description,
        record,
        dims,
    ):
        b = code.b
        array, worth_keeping = _fresh(code, record, dims)
        code.require(code.is_set(array))
        made = code.call("fill_wrapper", description, array)
        code.require(code.is_set(made))
        with b.if_then(worth_keeping):
            _keep(code, record, "wrapped0", "wrapped1", made)
        b.ret(made)


def _obtain_wrapped(code: Code) -> None:
    """`ptr obtain_wrapped(description, record, dims)`: one of the last two wrappers or a fresh one, like `obtain`."""
    with code.define("obtain_wrapped", "ptr", "ptr description", "ptr record", "ptr dims") as arguments:
        description, record, dims = arguments
        b = code.b
        for name in ("wrapped0", "wrapped1"):
            taken = code.call("take_wrapper", description, code.word(record, OUTPUT, name, "ptr"), record, dims)
            with b.if_then(code.is_set(taken), likely=True):
                b.ret(taken)
        b.ret(code.call("wrap_fresh", description, record, dims))


# Blocks that become torch tensors --------------------------------------------------------------------------------


def _make_block(code: Code) -> None:
    """A managed tensor of DLPack, its extents, strides and elements in one block that `free` deletes; null without."""
    with code.define("make_block", "ptr", "ptr record", "ptr dims") as (record, dims):
        b = code.b
        bytes_ = code.call("byte_count", record, dims)
        code.require(b.icmp("ne", bytes_, -1))
        rank = code.word(record, OUTPUT, "rank")
        small = b.icmp("ult", bytes_, PAGED)
        alignment = b.select(small, b.constant("i64", ALIGNMENT), b.constant("i64", PAGE))
        header = b.add(b.mul(rank, 16), b.add(alignment, 8 * BLOCK["end"]))
        total = b.add(bytes_, header)
        # Not `allocate_output`: glibc keeps blocks of up to 32 MB that are freed for the next of their size, but maps
        # those that are aligned anew every time, all of whose pages then fault.
        block = code.python("malloc", "ptr", total)
        code.require(code.is_set(block))
        end = b.gep("i8", block, header)
        data = b.intrinsic("ptrmask", "ptr", end, b.sub(0, alignment), overload=("ptr", "i64"))
        extents = b.gep("i64", block, BLOCK["end"])
        strides = b.gep("i64", extents, rank)
        with b.for_loop(b.sub(rank, 1), -1, -1, carried=[b.constant("i64", 1)]) as loop:
            extent = b.load("i64", b.gep("i64", dims, loop.index), 8)
            b.store(extent, b.gep("i64", extents, loop.index), 8)
            b.store(loop.carried[0], b.gep("i64", strides, loop.index), 8)
            loop.yield_([b.mul(loop.carried[0], b.intrinsic("smax", "i64", extent, b.constant("i64", 1)))])
        dtype = b.shl(code.word(record, OUTPUT, "exchange_dtype"), 32)
        words = {
            "version": b.constant("i64", 1),
            "deleter": code.known("free"),
            "flags": b.constant("i64", 0),
            "data": data,
            "device": b.constant("i64", 1),
            "type": b.or_(dtype, rank),
            "dims": extents,
            "strides": strides,
        }
        for name, word in words.items():
            code.set_word(block, BLOCK, name, word)
        b.store(b.constant("i64", 0), b.gep("i64", block, 1), 8)
        b.store(b.constant("i64", 0), b.gep("i64", block, 9), 8)
        b.ret(block)
