"""The native entry's first half: keywords and defaults, containers taken apart, leaves checked and written as words."""

from __future__ import annotations

from collections.abc import Callable

from optc.codegen.entry.code import Code
from optc.codegen.entry.layout import (
    ANY,
    APART,
    BINDS,
    DESCRIPTION,
    EXACT,
    FAMILIES,
    INPUT,
    INPUT_KINDS,
    PART,
    PART_KINDS,
    SCRATCH,
    STATE,
)
from optc.codegen.entry.python_layout import DATA, DESCR, DIMS, FLAGS, HEADER, RANK, READABLE, STRIDES, TYPE, WRITEABLE
from optc.codegen.entry.strided import write_strided_functions
from optc.codegen.llvm import Value

_EQUAL = 2  # Python's code for `==`
_CPU = 1  # DLPack's code for it
# DLTensor: data, device type, device number, rank, element type, extents, strides, offset in bytes
_EXCHANGE_WORDS = 6
_EXCHANGE = {"device": 8, "rank": 16, "dtype": 20, "dims": 24, "strides": 32, "offset": 40}


def write_argument_functions(code: Code) -> None:
    """`bind` and `read_inputs`, and what they call. Each returns false for a call that is not for native code."""
    _bind_keyword(code)
    _take_values(code)
    _take_apart(code)
    _bind(code)
    _check_extent(code)
    write_strided_functions(code)
    _read_exchanged(code)
    _read_tensor(code)
    _read_number(code)
    _lie_apart(code)
    _read_inputs(code)


# From arguments to values ----------------------------------------------------------------------------------------


def _bind(code: Code) -> None:
    """All values of a call: arguments in order, then parts of containers, then state."""
    signature = ("ptr description", "ptr arguments", "i64 count", "ptr keywords", "ptr values")
    with code.define("bind", "i1", *signature) as (description, arguments, count, keywords, values):
        b = code.b
        total = code.word(description, DESCRIPTION, "argument_count")
        code.require(b.icmp("sle", count, total))
        with b.for_loop(0, count) as loop:
            b.store(b.load("ptr", b.gep("ptr", arguments, loop.index), 8), b.gep("ptr", values, loop.index), 8)
        with b.for_loop(count, total) as loop:
            b.store(b.constant("ptr", 0), b.gep("ptr", values, loop.index), 8)
        with b.if_then(code.is_set(keywords)):
            names = code.items_of_tuple(keywords)
            with b.for_loop(0, code.field(keywords, HEADER, "i64")) as loop:
                name = b.load("ptr", b.gep("ptr", names, loop.index), 8)
                value = b.load("ptr", b.gep("ptr", b.gep("ptr", arguments, count), loop.index), 8)
                code.require(code.call("bind_keyword", description, name, value, values))
        defaults = code.word(description, DESCRIPTION, "defaults", "ptr")
        with b.for_loop(count, total) as loop:
            place = b.gep("ptr", values, loop.index)
            given = b.load("ptr", place, 8)
            default = b.load("ptr", b.gep("ptr", defaults, loop.index), 8)
            value = b.select(code.is_set(given), given, default)
            code.require(code.is_set(value))
            b.store(value, place, 8)
        code.require(code.call("take_apart", description, values))
        b.ret(True)


def _bind_keyword(code: Code) -> None:
    """Put a value in the place of its name: names are mostly interned, so that identity finds them."""
    with code.define(
        "bind_keyword", "i1", "ptr description", "ptr name", "ptr value", "ptr values", rare=True
    ) as arguments:
        description, name, value, values = arguments
        b = code.b
        total = code.word(description, DESCRIPTION, "argument_count")
        names = code.word(description, DESCRIPTION, "names", "ptr")
        same: tuple[Callable[[Value], Value], ...] = (
            lambda known: b.icmp("eq", known, name),
            lambda known: b.icmp("eq", code.python("PyUnicode_Compare", "i32", known, name), 0),
        )
        for is_same in same:
            with b.for_loop(0, total) as loop, b.if_then(is_same(b.load("ptr", b.gep("ptr", names, loop.index), 8))):
                place = b.gep("ptr", values, loop.index)
                code.require(code.is_null(b.load("ptr", place, 8)))
                b.store(value, place, 8)
                b.ret(True)
        b.ret(False)


def _take_apart(code: Code) -> None:
    """Look state up, and check containers and give their items places among the values."""
    with code.define("take_apart", "i1", "ptr description", "ptr values") as (description, values):
        b = code.b
        states = code.word(description, DESCRIPTION, "states", "ptr")
        with b.for_loop(0, code.word(description, DESCRIPTION, "state_count")) as loop:
            _look_up(code, b.gep("i64", states, b.mul(loop.index, len(STATE))), values)
        parts = code.word(description, DESCRIPTION, "parts", "ptr")
        with b.for_loop(0, code.word(description, DESCRIPTION, "part_count")) as loop:
            _take_part(code, b.gep("i64", parts, b.mul(loop.index, len(PART))), values)
        b.ret(True)


def _look_up(code: Code, state: Value, values: Value) -> None:
    """What an attribute of the module is now."""
    b = code.b
    holder, key = (code.word(state, STATE, name, "ptr") for name in ("holder", "key"))
    found = code.python("PyDict_GetItem", "ptr", holder, key)
    code.require(code.is_set(found))
    b.store(found, b.gep("ptr", values, code.word(state, STATE, "target")), 8)


def _take_part(code: Code, part: Value, values: Value) -> None:
    """One object that has to be itself, or equal, or one container of the type and the length that it had."""
    b = code.b
    value = b.load("ptr", b.gep("ptr", values, code.word(part, PART, "source")), 8)
    kind, expected = code.word(part, PART, "kind"), code.word(part, PART, "object", "ptr")
    with b.if_then_else(b.icmp("uge", kind, PART_KINDS["object"])) as (alone, container):
        with alone, b.if_then(b.icmp("ne", value, expected)):
            code.require(b.icmp("eq", kind, PART_KINDS["equal"]))
            _require_equal(code, value, expected)
        with container:
            code.require(b.icmp("eq", code.field(value, TYPE), expected))
            # The number of items follows the header in all of them.
            code.require(b.icmp("eq", code.field(value, HEADER, "i64"), code.word(part, PART, "length")))
            target = b.gep("ptr", values, code.word(part, PART, "target"))
            with b.if_then_else(b.icmp("eq", kind, PART_KINDS["dictionary"])) as (dictionary, sequence):
                with dictionary:
                    code.require(code.call("take_values", part, value, target))
                with sequence:
                    _copy_items(code, part, kind, value, target)


def _take_values(code: Code) -> None:
    """The values of a dictionary that has the expected keys in their order: programs may go through it."""
    with code.define("take_values", "i1", "ptr part", "ptr dictionary", "ptr target", rare=True) as (
        part,
        dictionary,
        target,
    ):
        b = code.b
        position, key, value = b.alloca("i64"), b.alloca("ptr"), b.alloca("ptr")
        b.store(b.constant("i64", 0), position, 8)
        keys = code.word(part, PART, "keys", "ptr")
        with b.for_loop(0, code.word(part, PART, "length")) as loop:
            found = code.python("PyDict_Next", "i32", dictionary, position, key, value)
            code.require(b.icmp("ne", found, 0))
            given, known = b.load("ptr", key, 8), b.load("ptr", b.gep("ptr", keys, loop.index), 8)
            _require_equal(code, given, known)
            b.store(b.load("ptr", value, 8), b.gep("ptr", target, loop.index), 8)
        b.ret(True)


def _require_equal(code: Code, given: Value, known: Value) -> None:
    """Of one built-in type: comparing them runs no code of the user's, and cannot fail."""
    b = code.b
    code.require(b.icmp("eq", code.field(given, TYPE), code.field(known, TYPE)))
    equal = code.python("PyObject_RichCompareBool", "i32", given, known, b.constant("i32", _EQUAL))
    code.require(b.icmp("eq", equal, 1))


def _copy_items(code: Code, part: Value, kind: Value, container: Value, target: Value) -> None:
    b = code.b
    length = code.word(part, PART, "length")
    is_tuple = b.icmp("eq", kind, PART_KINDS["tuple"])
    source = b.choose(is_tuple, lambda: code.items_of_tuple(container), lambda: code.items_of_list(container))
    with b.for_loop(0, length) as items:
        item = b.load("ptr", b.gep("ptr", source, items.index), 8)
        b.store(item, b.gep("ptr", target, items.index), 8)


# From values to words --------------------------------------------------------------------------------------------


def _read_inputs(code: Code) -> None:
    """The words of all leaves. What is read is held until the call is over."""
    with code.define("read_inputs", "i1", "ptr description", "ptr values", "ptr scratch", inline=True) as arguments:
        description, values, scratch = arguments
        b = code.b
        symbols = code.region(scratch, description, DESCRIPTION, "symbols_at")
        first = code.word(description, DESCRIPTION, "inputs", "ptr")
        words = code.region(scratch, description, DESCRIPTION, "inputs_at")
        count = code.word(description, DESCRIPTION, "input_count")
        with b.for_loop(0, count, carried=[first, words]) as loop:
            record, target = loop.carried
            loop.yield_(list(_read_input(code, description, record, target, values, scratch, symbols)))
        with b.if_then(b.icmp("ne", code.word(description, DESCRIPTION, "in_rows"), 0), likely=False):
            code.require(b.icmp("eq", code.word(scratch, SCRATCH, "copies"), 0))
        with b.if_then(b.icmp("ne", code.word(description, DESCRIPTION, "apart_count"), 0), likely=False):
            b.ret(code.call("lie_apart", description, scratch))
        b.ret(True)


def _lie_apart(code: Code) -> None:
    """True when the inputs that must not share memory do not. Copies say nothing of where their originals lie."""
    with code.define("lie_apart", "i1", "ptr description", "ptr scratch") as (description, scratch):
        b = code.b
        code.require(b.icmp("eq", code.word(scratch, SCRATCH, "copies"), 0))
        words = code.region(scratch, description, DESCRIPTION, "inputs_at")
        pairs = code.word(description, DESCRIPTION, "aparts", "ptr")
        with b.for_loop(0, code.word(description, DESCRIPTION, "apart_count")) as loop:
            pair = b.gep("i64", pairs, b.mul(loop.index, len(APART)))
            first, first_end = _range_of(code, pair, words, "first")
            second, second_end = _range_of(code, pair, words, "second")
            code.require(b.or_(b.icmp("sle", first_end, second), b.icmp("sle", second_end, first)))
        b.ret(True)


def _range_of(code: Code, pair: Value, words: Value, which: str) -> tuple[Value, Value]:
    """The addresses of an input's first byte and behind its last; a tensor without elements takes one byte too."""
    b = code.b
    place = b.gep("i64", words, code.word(pair, APART, which))
    size = code.word(pair, APART, f"{which}_itemsize")
    with b.for_loop(0, code.word(pair, APART, f"{which}_rank"), carried=[size]) as loop:
        extent = b.load("i64", b.gep("i64", b.gep("i64", place, 1), loop.index), 8)
        loop.yield_([b.mul(loop.carried[0], extent)])
    address = b.load("i64", place, 8)
    return address, b.add(address, b.intrinsic("smax", "i64", loop.results[0], b.constant("i64", 1)))


_TENSOR = ("ptr description", "ptr record", "ptr value", "ptr target", "ptr scratch", "ptr symbols")


def _read_input(
    code: Code, description: Value, record: Value, target: Value, values: Value, scratch: Value, symbols: Value
) -> tuple[Value, Value]:
    """The words of one leaf; the record and the words of the next."""
    b = code.b
    value = b.load("ptr", b.gep("ptr", values, code.word(record, INPUT, "source")), 8)
    kind, rank = code.word(record, INPUT, "kind"), code.word(record, INPUT, "rank")
    with b.if_then_else(b.icmp("eq", kind, INPUT_KINDS["tensor"]), likely=True) as (tensor, number):
        with tensor:
            code.require(code.call("read_tensor", description, record, value, target, scratch, symbols))
        with number:
            code.require(code.call("read_number", record, value, target))
    dims = code.place(record, INPUT, "dims")
    return b.gep("i64", dims, b.mul(rank, 2)), b.gep("i64", target, b.add(rank, 1))


def _read_tensor(code: Code) -> None:
    """A numpy array, a wrapper around one, or a torch tensor."""
    with code.define("read_tensor", "i1", *_TENSOR, inline=True) as arguments:
        description, record, value, target, scratch, symbols = arguments
        b = code.b
        type_ = code.field(value, TYPE)
        plain, exchanged, done = b.new_block("plain"), b.new_block("exchanged"), b.new_block("done")
        is_array = b.icmp("eq", type_, code.known("ndarray"))
        with b.if_then_else(is_array, likely=True) as (bare, other):
            with bare:
                bare.yield_([value, b.constant("i64", FAMILIES["numpy"])])
            with other:
                is_wrapper = b.icmp("eq", type_, code.word(description, DESCRIPTION, "wrapper", "ptr"))
                code.branch_unless(is_wrapper, exchanged)
                slot = b.gep("i8", value, code.word(description, DESCRIPTION, "array_slot"))
                held = b.load("ptr", slot, 8)
                code.require(code.is_set(held))
                code.require(b.icmp("eq", code.field(held, TYPE), code.known("ndarray")))
                other.yield_([held, b.constant("i64", FAMILIES["wrapped"])])
        array, family = bare.results
        b.br(plain)

        b.position_at_end(plain)
        _set_family(code, scratch, family)
        code.require(b.icmp("eq", code.field(array, DESCR), code.word(record, INPUT, "dtype", "ptr")))
        rank = code.word(record, INPUT, "rank")
        code.require(b.icmp("eq", code.field(array, RANK, "i32"), b.trunc(rank, "i32")))
        extents = code.field(array, DIMS)
        _check_extents(code, record, extents, rank, target, symbols)
        # The caller holds its arguments, but neither what they contain nor, while other threads run, what they hold.
        exposed = b.icmp("ne", code.word(description, DESCRIPTION, "holds"), 0)
        with b.if_then(b.or_(exposed, b.icmp("ne", family, FAMILIES["numpy"]))):
            _hold_for_the_call(code, scratch, description, array)
        flags = code.field(array, FLAGS, "i32")
        with b.if_then_else(b.icmp("eq", b.and_(flags, READABLE), READABLE), likely=True) as (direct, strided):
            with direct:
                b.store(code.field(array, DATA, "i64"), target)
            with strided:
                source, strides = code.field(array, DATA), code.field(array, STRIDES)
                bytes_ = b.constant("i64", 1)
                code.require(code.call("read_strided", description, record, source, strides, bytes_, target, scratch))
        written = b.icmp("ne", code.word(record, INPUT, "written"), 0)
        with b.if_then(written, likely=False):
            wanted = READABLE | WRITEABLE
            code.require(b.icmp("eq", b.and_(flags, wanted), wanted))
        b.br(done)

        b.position_at_end(exchanged)
        code.require(b.icmp("eq", type_, b.load("ptr", code.entry_of_table("torch_tensor"), 8)))
        _set_family(code, scratch, b.constant("i64", FAMILIES["torch"]))
        code.require(code.call("read_exchanged", description, record, value, target, scratch, symbols))
        b.br(done)
        b.position_at_end(done)
        b.ret(True)


def _set_family(code: Code, scratch: Value, family: Value) -> None:
    """The first tensor says whose tensors the results are."""
    b = code.b
    known = code.word(scratch, SCRATCH, "family")
    code.set_word(scratch, SCRATCH, "family", b.select(b.icmp("slt", known, 0), family, known))


def _hold_for_the_call(code: Code, scratch: Value, description: Value, object_: Value) -> None:
    """Nothing that runs meanwhile (other threads, finalizers) may free what the native code reads."""
    b = code.b
    held = code.word(scratch, SCRATCH, "held")
    code.hold(object_)
    b.store(object_, b.gep("ptr", code.region(scratch, description, DESCRIPTION, "held_at"), held), 8)
    code.set_word(scratch, SCRATCH, "held", b.add(held, 1))


def _check_extents(code: Code, record: Value, extents: Value, rank: Value, target: Value, symbols: Value) -> None:
    b = code.b
    dims = code.place(record, INPUT, "dims")
    with b.for_loop(0, rank) as loop:
        extent = b.load("i64", b.gep("i64", extents, loop.index), 8)
        code.require(_fits(code, extent, b.gep("i64", dims, b.mul(loop.index, 2)), symbols))
        b.store(extent, b.gep("i64", b.gep("i64", target, 1), loop.index), 8)


def _fits(code: Code, extent: Value, rule: Value, symbols: Value) -> Value:
    b = code.b
    mode, number = b.load("i64", rule, 8), b.load("i64", b.gep("i64", rule, 1), 8)
    return b.choose(
        b.icmp("eq", mode, EXACT),
        lambda: b.icmp("eq", extent, number),
        lambda: code.call("check_extent", mode, number, extent, symbols),
        likely=True,
    )


def _check_extent(code: Code) -> None:
    with code.define("check_extent", "i1", "i64 mode", "i64 number", "i64 extent", "ptr symbols") as arguments:
        mode, number, extent, symbols = arguments
        b = code.b
        with b.if_then(b.icmp("eq", mode, ANY)):
            b.ret(True)
        place = b.gep("i64", symbols, number)
        with b.if_then(b.icmp("eq", mode, BINDS)):
            b.store(extent, place, 8)
            b.ret(b.icmp("ne", extent, 1))
        b.ret(b.icmp("eq", extent, b.load("i64", place, 8)))


def _read_exchanged(code: Code) -> None:
    """A torch tensor through DLPack's exchange functions, without a copy where its elements lie row by row."""
    with code.define("read_exchanged", "i1", *_TENSOR) as (
        description,
        record,
        value,
        target,
        scratch,
        symbols,
    ):
        b = code.b
        view = b.alloca("i64", _EXCHANGE_WORDS)
        # DLPack does not tell tensors from those that stand for their negatives or conjugates.
        implementation = b.load("ptr", b.gep("i8", value, _number_of_table(code, "implementation_at")), 8)
        keys = b.load("i64", b.gep("i8", implementation, _number_of_table(code, "keys_at")), 8)
        code.require(b.icmp("eq", b.and_(keys, _number_of_table(code, "deferred_keys")), 0))
        read = b.load("ptr", code.entry_of_table("exchange_read"), 8)
        with b.if_then(b.icmp("ne", b.call_pointer(read, "i32", value, view), 0), likely=False):
            code.python("PyErr_Clear", "void")
            b.ret(False)
        _hold_for_the_call(code, scratch, description, value)
        code.require(b.icmp("eq", code.field(view, _EXCHANGE["device"], "i32"), _CPU))
        code.require(b.icmp("eq", code.word(record, INPUT, "written"), 0))
        dtype = b.trunc(code.word(record, INPUT, "exchange_dtype"), "i32")
        code.require(b.icmp("eq", code.field(view, _EXCHANGE["dtype"], "i32"), dtype))
        rank = code.word(record, INPUT, "rank")
        code.require(b.icmp("eq", code.field(view, _EXCHANGE["rank"], "i32"), b.trunc(rank, "i32")))
        extents = code.field(view, _EXCHANGE["dims"])
        strides = code.field(view, _EXCHANGE["strides"])
        _check_extents(code, record, extents, rank, target, symbols)
        itemsize = code.word(record, INPUT, "itemsize")
        offset = code.field(view, _EXCHANGE["offset"], "i64")
        data = b.add(code.field(view, 0, "i64"), offset)
        is_aligned = b.icmp("eq", b.and_(data, b.sub(itemsize, 1)), 0)
        with b.for_loop(b.sub(rank, 1), -1, -1, carried=[b.constant("i64", 1), is_aligned]) as loop:
            extent = b.load("i64", b.gep("i64", extents, loop.index), 8)
            stride = b.load("i64", b.gep("i64", strides, loop.index), 8)
            size, dense = loop.carried
            fits = b.or_(b.icmp("eq", stride, size), b.icmp("eq", extent, 1))
            following = b.mul(size, b.intrinsic("smax", "i64", extent, b.constant("i64", 1)))
            loop.yield_([following, b.and_(dense, fits)])
        with b.if_then(loop.results[1], likely=True):
            b.store(data, target)
            b.ret(True)
        source = b.gep("i8", code.field(view, 0), offset)
        b.ret(code.call("read_strided", description, record, source, strides, itemsize, target, scratch))


def _number_of_table(code: Code, name: str) -> Value:
    return code.b.load("i64", code.entry_of_table(name), 8)


# Numbers ---------------------------------------------------------------------------------------------------------


def _read_number(code: Code) -> None:
    with code.define("read_number", "i1", "ptr record", "ptr value", "ptr target") as (
        record,
        value,
        target,
    ):
        b = code.b
        kind = code.word(record, INPUT, "kind")
        with b.if_then(b.icmp("eq", kind, INPUT_KINDS["bool"])):
            is_true = b.icmp("eq", value, code.known("true"))
            code.require(b.or_(is_true, b.icmp("eq", value, code.known("false"))))
            b.store(b.zext(is_true, "i64"), target)
            b.ret(True)
        type_ = code.field(value, TYPE)
        with b.if_then(b.icmp("eq", kind, INPUT_KINDS["float"])):
            code.require(b.icmp("eq", type_, code.known("float")))
            b.store(code.field(value, HEADER, "i64"), target)
            b.ret(True)
        code.require(b.icmp("eq", type_, code.known("int")))
        number = code.python("PyLong_AsLongLong", "i64", value)
        with (
            b.if_then(b.icmp("eq", number, -1), likely=False),
            b.if_then(code.is_set(code.python("PyErr_Occurred", "ptr"))),
        ):
            code.python("PyErr_Clear", "void")
            b.ret(False)
        b.store(number, target)
        free = b.icmp("eq", kind, INPUT_KINDS["int"])
        b.ret(b.or_(free, b.icmp("eq", number, code.word(record, INPUT, "fixed"))))
