"""The native entry's second half: memory for results before the run, Python objects made of them behind it.

A result is written again when nobody but this entry refers to it: views, memoryviews and DLPack capsules all hold
references to their array, and a wrapper's array must be held by the wrapper alone.
"""

from __future__ import annotations

from optc.codegen.entry_code import Code
from optc.codegen.entry_layout import (
    CONTAINER,
    CONTAINER_KINDS,
    DESCRIPTION,
    EXACT,
    FAMILIES,
    OUTPUT,
    OUTPUT_KINDS,
    PLACEMENT,
    SCRATCH,
    SOURCES,
    UPDATE,
    UPDATE_KINDS,
)
from optc.codegen.llvm import Value
from optc.codegen.python_layout import (
    BASE,
    DATA,
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

RECYCLED_BYTES = 64 << 20
"""Larger results are left to the allocator, so that an idle function holds little memory."""

_OWN_MEMORY = 1 << 14
"""Results from this size on get memory that is aligned to cache lines, smaller ones what numpy gives."""

# DLManagedTensorVersioned: version, manager's context, deleter, flags, then a DLTensor (see `entry_arguments`).
_BLOCK = {"version": 0, "deleter": 2, "flags": 3, "data": 4, "device": 5, "type": 6, "dims": 7, "strides": 8, "end": 10}


def write_result_functions(code: Code) -> None:
    """`prepare`, `collect`, `update`, `assemble` and `discard`, and what they call."""
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
    _prepare_containers(code)
    _prepare_output(code)
    _prepare(code)
    _collect_tensor(code)
    _collect(code)
    _update(code)
    _assemble(code)
    _discard(code)


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
    with code.define("byte_count", "i64", "ptr record", "ptr dims", rare=True) as (record, dims):
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
    with code.define("new_array", "ptr", "ptr record", "ptr dims", "ptr data", "i32 flags", rare=True) as arguments:
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
    with code.define("adopt", "ptr", "ptr record", "ptr dims", "ptr data", rare=True) as (record, dims, data):
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
    with b.if_then_else(b.icmp("uge", bytes_, _OWN_MEMORY)) as (own, small):
        with own:
            countable = b.icmp("ne", bytes_, -1)
            with b.if_then_else(countable, likely=True) as (some, absurd):
                with some:
                    data = code.python("allocate_output", "ptr", b.constant("ptr", 0), b.constant("i64", 0), bytes_)
                    some.yield_([code.call("adopt", record, dims, data)])
                with absurd:
                    absurd.yield_([code.python("PyErr_NoMemory", "ptr")])
            own.yield_([some.results[0]])
        with small:
            null = b.constant("ptr", 0)
            small.yield_([code.call("new_array", record, dims, null, b.constant("i32", 0))])
    return own.results[0], b.icmp("ule", bytes_, RECYCLED_BYTES)


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
        array = _array_of(code, description, wrapper)
        code.require(code.is_set(array))
        code.require(b.icmp("eq", code.field(array, TYPE), code.known("ndarray")))
        code.require(code.call("is_free", array, record, dims))
        code.hold(wrapper)
        b.ret(wrapper)


def _array_of(code: Code, description: Value, wrapper: Value) -> Value:
    b = code.b
    return b.load("ptr", b.gep("i8", wrapper, code.word(description, DESCRIPTION, "array_slot")), 8)


def _wrap_fresh(code: Code) -> None:
    with code.define("wrap_fresh", "ptr", "ptr description", "ptr record", "ptr dims", rare=True) as (
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
    with code.define("make_block", "ptr", "ptr record", "ptr dims", rare=True) as (record, dims):
        b = code.b
        bytes_ = code.call("byte_count", record, dims)
        code.require(b.icmp("ne", bytes_, -1))
        rank = code.word(record, OUTPUT, "rank")
        header = b.add(b.mul(rank, 16), 8 * _BLOCK["end"] + 64)
        total = b.add(bytes_, header)
        block = code.python("allocate_output", "ptr", b.constant("ptr", 0), b.constant("i64", 0), total)
        code.require(code.is_set(block))
        end = b.gep("i8", block, header)
        data = b.intrinsic("ptrmask", "ptr", end, b.constant("i64", -64), overload=("ptr", "i64"))
        extents = b.gep("i64", block, _BLOCK["end"])
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
            code.set_word(block, _BLOCK, name, word)
        b.store(b.constant("i64", 0), b.gep("i64", block, 1), 8)
        b.store(b.constant("i64", 0), b.gep("i64", block, 9), 8)
        b.ret(block)


# Before the run --------------------------------------------------------------------------------------------------


def _prepare(code: Code) -> None:
    """Containers, and memory for every result whose extents are known. Returns false with an exception set."""
    with code.define("prepare", "i1", "ptr description", "ptr scratch", inline=True) as (description, scratch):
        b = code.b
        objects = code.region(scratch, description, DESCRIPTION, "objects_at")
        with b.for_loop(0, code.word(description, DESCRIPTION, "zero_words")) as loop:
            b.store(b.constant("i64", 0), b.gep("i64", objects, loop.index), 8)
        with b.if_then(b.icmp("ne", code.word(description, DESCRIPTION, "container_count"), 0)):
            code.require(code.call("prepare_containers", description, scratch))
        blocks = code.region(scratch, description, DESCRIPTION, "blocks_at")
        first = code.word(description, DESCRIPTION, "outputs", "ptr")
        words = code.region(scratch, description, DESCRIPTION, "outputs_at")
        count = code.word(description, DESCRIPTION, "output_count")
        with b.for_loop(0, count, carried=[first, words]) as loop:
            record, target = loop.carried
            object_, block = (b.gep("ptr", place, loop.index) for place in (objects, blocks))
            known = b.icmp("ne", code.word(record, OUTPUT, "preallocated"), 0)
            with b.if_then_else(known, likely=True) as (allocate, wait):
                with allocate:
                    code.require(code.call("prepare_output", description, record, target, object_, block, scratch))
                with wait:
                    b.store(b.constant("i64", 0), target)
            loop.yield_(list(_next_output(code, record, target)))
        b.ret(True)


def _next_output(code: Code, record: Value, words: Value) -> tuple[Value, Value]:
    """The record and the words of the following output."""
    b = code.b
    rank = code.word(record, OUTPUT, "rank")
    dims = code.place(record, OUTPUT, "dims")
    return b.gep("i64", dims, b.mul(rank, 2)), b.gep("i64", words, b.add(rank, 1))


def _prepare_containers(code: Code) -> None:
    """Tuples and lists first, so that nothing can fail while they are filled."""
    with code.define("prepare_containers", "i1", "ptr description", "ptr scratch") as (description, scratch):
        b = code.b
        records = code.word(description, DESCRIPTION, "containers", "ptr")
        made = code.region(scratch, description, DESCRIPTION, "made_containers_at")
        with b.for_loop(0, code.word(description, DESCRIPTION, "container_count")) as loop:
            record = b.gep("i64", records, b.mul(loop.index, len(CONTAINER)))
            length = code.word(record, CONTAINER, "length")
            is_tuple = b.icmp("eq", code.word(record, CONTAINER, "kind"), CONTAINER_KINDS["tuple"])
            create = b.select(is_tuple, code.known("PyTuple_New"), code.known("PyList_New"))
            container = b.call_pointer(create, "ptr", length)
            code.require(code.is_set(container))
            b.store(container, b.gep("ptr", made, loop.index), 8)
        b.ret(True)


def _family_of(code: Code, record: Value, scratch: Value) -> Value:
    """Whose tensor a result is."""
    b = code.b
    family = code.word(record, OUTPUT, "family")
    caller = code.word(scratch, SCRATCH, "family")
    return b.select(b.icmp("eq", family, FAMILIES["caller"]), caller, family)


def _prepare_output(code: Code) -> None:
    signature = ("ptr description", "ptr record", "ptr words", "ptr object", "ptr block", "ptr scratch")
    with code.define("prepare_output", "i1", *signature, inline=True) as arguments:
        description, record, words, object_, block, scratch = arguments
        b = code.b
        dims = b.gep("i64", words, 1)
        rules = code.place(record, OUTPUT, "dims")
        symbols = code.region(scratch, description, DESCRIPTION, "symbols_at")
        with b.for_loop(0, code.word(record, OUTPUT, "rank")) as loop:
            rule = b.gep("i64", rules, b.mul(loop.index, 2))
            mode, number = b.load("i64", rule, 8), b.load("i64", b.gep("i64", rule, 1), 8)
            with b.if_then_else(b.icmp("eq", mode, EXACT), likely=True) as (exact, symbol):
                with exact:
                    exact.yield_([number])
                with symbol:
                    symbol.yield_([b.load("i64", b.gep("i64", symbols, number), 8)])
            b.store(exact.results[0], b.gep("i64", dims, loop.index), 8)
        family = _family_of(code, record, scratch)
        with b.if_then(b.icmp("eq", family, FAMILIES["torch"]), likely=False):
            made = code.call("make_block", record, dims)
            with b.if_then(code.is_null(made), likely=False):
                code.python("PyErr_NoMemory", "ptr")
                b.ret(False)
            b.store(made, block, 8)
            b.store(code.word(made, _BLOCK, "data"), words, 8)
            b.ret(True)
        with b.if_then_else(b.icmp("eq", family, FAMILIES["wrapped"])) as (wrapped, plain):
            with wrapped:
                wrapper = code.call("obtain_wrapped", description, record, dims)
                code.require(code.is_set(wrapper))
                wrapped.yield_([wrapper, _array_of(code, description, wrapper)])
            with plain:
                array = code.call("obtain", record, dims)
                code.require(code.is_set(array))
                plain.yield_([array, array])
        b.store(wrapped.results[0], object_, 8)
        b.store(code.field(wrapped.results[1], DATA, "i64"), words, 8)
        b.ret(True)


# Behind the run --------------------------------------------------------------------------------------------------


def _collect(code: Code) -> None:
    """Python objects for the results that have none yet. Returns false with an exception set."""
    with code.define("collect", "i1", "ptr description", "ptr scratch", inline=True) as (description, scratch):
        b = code.b
        objects = code.region(scratch, description, DESCRIPTION, "objects_at")
        blocks = code.region(scratch, description, DESCRIPTION, "blocks_at")
        first = code.word(description, DESCRIPTION, "outputs", "ptr")
        words = code.region(scratch, description, DESCRIPTION, "outputs_at")
        count = code.word(description, DESCRIPTION, "output_count")
        with b.for_loop(0, count, carried=[first, words]) as loop:
            record, source = loop.carried
            place = b.gep("ptr", objects, loop.index)
            with b.if_then(code.is_null(b.load("ptr", place, 8)), likely=False):
                block = b.gep("ptr", blocks, loop.index)
                made = code.call("collect_one", description, record, source, block, scratch)
                code.require(code.is_set(made))
                b.store(made, place, 8)
            loop.yield_(list(_next_output(code, record, source)))
        b.ret(True)


def _collect_tensor(code: Code) -> None:
    """The object of one result: a number, a torch tensor over its block, or an array over what native code allocated."""
    with code.define("exchange", "ptr", "ptr block", rare=True) as (block,):
        b = code.b
        managed = b.load("ptr", block, 8)
        made = b.alloca("ptr")
        b.store(b.constant("ptr", 0), made, 8)
        b.store(b.constant("ptr", 0), block, 8)
        convert = b.load("ptr", code.entry_of_table("exchange_write"), 8)
        code.require(b.icmp("eq", b.call_pointer(convert, "i32", managed, made), 0))
        b.ret(b.load("ptr", made, 8))
    signature = ("ptr description", "ptr record", "ptr words", "ptr block", "ptr scratch")
    with code.define("collect_one", "ptr", *signature, rare=True) as (description, record, words, block, scratch):
        b = code.b
        kind = code.word(record, OUTPUT, "kind")
        with b.if_then(b.icmp("eq", kind, OUTPUT_KINDS["float"])):
            b.ret(code.python("PyFloat_FromDouble", "ptr", b.load("double", words, 8)))
        with b.if_then(b.icmp("eq", kind, OUTPUT_KINDS["int"])):
            b.ret(code.python("PyLong_FromLongLong", "ptr", b.load("i64", words, 8)))
        with b.if_then(b.icmp("eq", kind, OUTPUT_KINDS["bool"])):
            is_true = b.icmp("ne", b.load("i64", words, 8), 0)
            made = b.select(is_true, code.known("true"), code.known("false"))
            code.python("Py_IncRef", "void", made)
            b.ret(made)
        with b.if_then(code.is_set(b.load("ptr", block, 8))):
            b.ret(code.call("exchange", block))
        dims, data = b.gep("i64", words, 1), b.load("ptr", words, 8)
        b.store(b.constant("i64", 0), words, 8)
        family = _family_of(code, record, scratch)
        with b.if_then(b.icmp("eq", family, FAMILIES["torch"]), likely=False):
            made = code.call("make_block", record, dims)
            with b.if_then(code.is_null(made), likely=False):
                code.python("free_output", "void", data)
                b.ret(code.python("PyErr_NoMemory", "ptr"))
            b.memcpy(code.word(made, _BLOCK, "data", "ptr"), data, code.call("byte_count", record, dims))
            code.python("free_output", "void", data)
            b.store(made, block, 8)
            b.ret(code.call("exchange", block))
        array = code.call("adopt", record, dims, data)
        code.require(code.is_set(array))
        with b.if_then(b.icmp("eq", family, FAMILIES["wrapped"])):
            b.ret(code.call("fill_wrapper", description, array))
        b.ret(array)


def _update(code: Code) -> None:
    """State: a result becomes an entry of a dictionary, or is copied into a tensor that was read."""
    with code.define("update", "i1", "ptr description", "ptr scratch", rare=True) as (description, scratch):
        b = code.b
        objects = code.region(scratch, description, DESCRIPTION, "objects_at")
        inputs = code.region(scratch, description, DESCRIPTION, "inputs_at")
        outputs = code.word(description, DESCRIPTION, "outputs", "ptr")
        words = code.region(scratch, description, DESCRIPTION, "outputs_at")
        first = code.word(description, DESCRIPTION, "updates", "ptr")
        with b.for_loop(0, code.word(description, DESCRIPTION, "update_count")) as loop:
            update = b.gep("i64", first, b.mul(loop.index, len(UPDATE)))
            place = b.gep("ptr", objects, code.word(update, UPDATE, "output"))
            value = b.load("ptr", place, 8)
            rebinds = b.icmp("eq", code.word(update, UPDATE, "kind"), UPDATE_KINDS["rebind"])
            with b.if_then_else(rebinds) as (rebind, copy):
                with rebind:
                    holder, key = (code.word(update, UPDATE, name, "ptr") for name in ("holder", "key"))
                    code.require(b.icmp("eq", code.python("PyDict_SetItem", "i32", holder, key, value), 0))
                with copy:
                    target = b.load("ptr", b.gep("i64", inputs, code.word(update, UPDATE, "input")), 8)
                    record = b.gep("i64", outputs, code.word(update, UPDATE, "record"))
                    dims = b.gep("i64", b.gep("i64", words, code.word(update, UPDATE, "words")), 1)
                    b.memcpy(target, code.field(value, DATA), code.call("byte_count", record, dims))
            code.python("Py_DecRef", "void", value)
            b.store(b.constant("ptr", 0), place, 8)
        b.ret(True)


def _assemble(code: Code) -> None:
    """A new reference to the result. Nothing can fail here."""
    with code.define("assemble", "ptr", "ptr description", "ptr values", "ptr scratch", inline=True) as arguments:
        description, values, scratch = arguments
        b = code.b
        objects = code.region(scratch, description, DESCRIPTION, "objects_at")
        containers = code.region(scratch, description, DESCRIPTION, "made_containers_at")
        records = code.word(description, DESCRIPTION, "containers", "ptr")
        first = code.word(description, DESCRIPTION, "placements", "ptr")
        count = code.word(description, DESCRIPTION, "placement_count")
        with b.for_loop(0, count, carried=[b.constant("ptr", 0)], nonempty=True) as loop:
            placement = b.gep("i64", first, b.mul(loop.index, len(PLACEMENT)))
            source, item = code.word(placement, PLACEMENT, "source"), code.word(placement, PLACEMENT, "item")
            is_computed = b.icmp("eq", source, SOURCES["computed"])
            with b.if_then_else(is_computed, likely=True) as (computed, other):
                with computed:
                    place = b.gep("ptr", objects, item)
                    taken = b.load("ptr", place, 8)
                    b.store(b.constant("ptr", 0), place, 8)
                    computed.yield_([taken])
                with other:
                    other.yield_([_other_item(code, placement, values, containers)])
            value = computed.results[0]
            container = code.word(placement, PLACEMENT, "container")
            with b.if_then_else(b.icmp("sge", container, 0)) as (inner, outermost):
                with inner:
                    record = b.gep("i64", records, b.mul(container, len(CONTAINER)))
                    object_ = b.load("ptr", b.gep("ptr", containers, container), 8)
                    is_tuple = b.icmp("eq", code.word(record, CONTAINER, "kind"), CONTAINER_KINDS["tuple"])
                    with b.if_then_else(is_tuple, likely=True) as (tuple_, list_):
                        with tuple_:
                            tuple_.yield_([code.items_of_tuple(object_)])
                        with list_:
                            list_.yield_([code.items_of_list(object_)])
                    position = code.word(placement, PLACEMENT, "position")
                    b.store(value, b.gep("ptr", tuple_.results[0], position), 8)
                    inner.yield_([loop.carried[0]])
                with outermost:
                    outermost.yield_([value])
            loop.yield_([inner.results[0]])
        b.ret(loop.results[0])


def _other_item(code: Code, placement: Value, values: Value, containers: Value) -> Value:
    """A new reference to an argument or a constant, or a container that was made."""
    b = code.b
    source, item = code.word(placement, PLACEMENT, "source"), code.word(placement, PLACEMENT, "item")
    with b.if_then_else(b.icmp("eq", source, SOURCES["container"])) as (container, shared):
        with container:
            place = b.gep("ptr", containers, item)
            container.yield_([b.load("ptr", place, 8)])
        with shared:
            with b.if_then_else(b.icmp("eq", source, SOURCES["value"])) as (argument, constant):
                with argument:
                    argument.yield_([b.load("ptr", b.gep("ptr", values, item), 8)])
                with constant:
                    constant.yield_([code.word(placement, PLACEMENT, "item", "ptr")])
            value = argument.results[0]
            code.python("Py_IncRef", "void", value)
            shared.yield_([value])
    return container.results[0]


def _discard(code: Code) -> None:
    """After a failure, before or behind the run: everything that was made for the results goes."""
    with code.define("discard", "void", "ptr description", "ptr scratch", "i1 ran", rare=True) as (
        description,
        scratch,
        ran,
    ):
        b = code.b
        objects = code.region(scratch, description, DESCRIPTION, "objects_at")
        blocks = code.region(scratch, description, DESCRIPTION, "blocks_at")
        first = code.word(description, DESCRIPTION, "outputs", "ptr")
        words = code.region(scratch, description, DESCRIPTION, "outputs_at")
        count = code.word(description, DESCRIPTION, "output_count")
        with b.for_loop(0, count, carried=[first, words]) as loop:
            record, source = loop.carried
            code.python("free_output", "void", b.load("ptr", b.gep("ptr", blocks, loop.index), 8))
            is_tensor = b.icmp("eq", code.word(record, OUTPUT, "kind"), OUTPUT_KINDS["tensor"])
            unknown = b.icmp("eq", code.word(record, OUTPUT, "preallocated"), 0)
            with b.if_then(b.and_(ran, b.and_(is_tensor, unknown))):
                code.python("free_output", "void", b.load("ptr", source, 8))
            loop.yield_(list(_next_output(code, record, source)))
        containers = code.region(scratch, description, DESCRIPTION, "made_containers_at")
        for place, number in ((objects, count), (containers, code.word(description, DESCRIPTION, "container_count"))):
            with b.for_loop(0, number) as loop:
                code.python("Py_DecRef", "void", b.load("ptr", b.gep("ptr", place, loop.index), 8))
        b.ret()
