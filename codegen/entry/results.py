"""The native entry's second half: memory for results before the run, Python objects made of them behind it."""

from __future__ import annotations

from optc.codegen.entry.calculation import DIVIDE, LARGER, LONGEST, MULTIPLY, REMAINDER, SMALLER, SYMBOL
from optc.codegen.entry.code import Code
from optc.codegen.entry.joined_lists import write_join_functions
from optc.codegen.entry.layout import (
    CONTAINER,
    CONTAINER_KINDS,
    DESCRIPTION,
    EXACT,
    FAMILIES,
    FOLLOWS,
    OUTPUT,
    OUTPUT_KINDS,
    PLACEMENT,
    SCRATCH,
    SOURCES,
    TARGETS,
    UPDATE,
    UPDATE_KINDS,
)
from optc.codegen.entry.memory import BLOCK, array_of
from optc.codegen.entry.python_layout import DATA, HEADER, TYPE
from optc.codegen.entry.row_lists import write_row_functions
from optc.codegen.llvm import Value


def write_result_functions(code: Code) -> None:
    """`prepare`, `collect`, `update`, `assemble` and `discard`, and what they call."""
    _prepare_containers(code)
    _calculated(code)
    _prepare_output(code)
    _prepare(code)
    _collect_tensor(code)
    write_row_functions(code)
    write_join_functions(code)
    _collect(code)
    _update(code)
    _keep_state(code)
    _assemble(code)
    _discard(code)


# Before the run --------------------------------------------------------------------------------------------------


def _prepare(code: Code) -> None:
    """Containers, and memory for every result whose extents are known. Returns false with an exception set."""
    with code.define("prepare", "i1", "ptr description", "ptr scratch", inline=True) as (description, scratch):
        b = code.b
        objects = code.region(scratch, description, DESCRIPTION, "objects_at")
        code.set_word(scratch, SCRATCH, "prepared", b.constant("i64", 0))
        with b.if_then(b.icmp("ne", code.word(description, DESCRIPTION, "container_count"), 0)):
            code.require(code.call("prepare_containers", description, scratch))
        blocks = code.region(scratch, description, DESCRIPTION, "blocks_at")
        first = code.word(description, DESCRIPTION, "outputs", "ptr")
        words = code.region(scratch, description, DESCRIPTION, "outputs_at")
        count = code.word(description, DESCRIPTION, "output_count")
        with b.for_loop(0, count, carried=[first, words]) as loop:
            record, target = loop.carried
            object_, block = (b.gep("ptr", place, loop.index) for place in (objects, blocks))
            b.store(b.constant("ptr", 0), object_, 8)
            b.store(b.constant("ptr", 0), block, 8)
            code.set_word(scratch, SCRATCH, "prepared", b.add(loop.index, 1))
            _prepare_memory(code, description, record, target, object_, block, scratch)
            loop.yield_(list(_next_output(code, record, target)))
        b.ret(True)


def _prepare_memory(
    code: Code, description: Value, record: Value, words: Value, object_: Value, block: Value, scratch: Value
) -> None:
    """Memory for one result, where its extents are known."""
    b = code.b
    known = b.icmp("ne", code.word(record, OUTPUT, "preallocated"), 0)
    with b.if_then_else(known, likely=True) as (allocate, wait):
        with allocate:
            code.require(code.call("prepare_output", description, record, words, object_, block, scratch))
        with wait:
            b.store(b.constant("i64", 0), words)


def _next_output(code: Code, record: Value, words: Value) -> tuple[Value, Value]:
    """The record and the words of the following output."""
    b = code.b
    rank = code.word(record, OUTPUT, "rank")
    dims = code.place(record, OUTPUT, "dims")
    return b.gep("i64", dims, b.mul(rank, 2)), b.gep("i64", words, b.add(rank, 1))


def _prepare_containers(code: Code) -> None:
    """Containers first, dictionaries with all keys, so that nothing can fail while they are filled."""
    with code.define("prepare_containers", "i1", "ptr description", "ptr scratch", rare=True) as (description, scratch):
        b = code.b
        records = code.word(description, DESCRIPTION, "containers", "ptr")
        made = code.region(scratch, description, DESCRIPTION, "made_containers_at")
        count = code.word(description, DESCRIPTION, "container_count")
        with b.for_loop(0, count) as loop:
            container = _new_container(code, b.gep("i64", records, b.mul(loop.index, len(CONTAINER))))
            b.store(container, b.gep("ptr", made, loop.index), 8)
            with b.if_then(code.is_null(container), likely=False):
                _let_containers_go(code, made, loop.index, count)
                b.ret(False)
        b.ret(True)


def _let_containers_go(code: Code, made: Value, done: Value, count: Value) -> None:
    """Those that were made, and all of their places, so that nobody lets them go once more."""
    b = code.b
    with b.for_loop(0, done) as loop:
        code.python("Py_DecRef", "void", b.load("ptr", b.gep("ptr", made, loop.index), 8))
    with b.for_loop(0, count) as loop:
        b.store(b.constant("ptr", 0), b.gep("ptr", made, loop.index), 8)


def _new_container(code: Code, record: Value) -> Value:
    """A tuple, list, named tuple or dictionary whose items are to come; null with an exception set."""
    b = code.b
    length = code.word(record, CONTAINER, "length")
    kind, model = code.word(record, CONTAINER, "kind"), code.word(record, CONTAINER, "model", "ptr")

    def plain() -> Value:
        is_tuple = b.icmp("eq", kind, CONTAINER_KINDS["tuple"])
        create = b.select(is_tuple, code.known("PyTuple_New"), code.known("PyList_New"))
        return b.call_pointer(create, "ptr", length)

    def special() -> Value:
        return b.choose(
            b.icmp("eq", kind, CONTAINER_KINDS["named"]),
            lambda: code.python("PyType_GenericAlloc", "ptr", model, length),
            lambda: code.python("PyDict_Copy", "ptr", model),
        )

    return b.choose(b.icmp("ule", kind, CONTAINER_KINDS["list"]), plain, special, likely=True)


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
            extent = _extent(code, b.gep("i64", rules, b.mul(loop.index, 2)), symbols)
            b.store(extent, b.gep("i64", dims, loop.index), 8)
        family = _family_of(code, record, scratch)
        with b.if_then(b.icmp("eq", family, FAMILIES["torch"]), likely=False):
            made = code.call("make_block", record, dims)
            with b.if_then(code.is_null(made), likely=False):
                code.python("PyErr_NoMemory", "ptr")
                b.ret(False)
            b.store(made, block, 8)
            b.store(code.word(made, BLOCK, "data"), words, 8)
            b.ret(True)
        with b.if_then_else(b.icmp("eq", family, FAMILIES["wrapped"])) as (wrapped, plain):
            with wrapped:
                wrapper = code.call("obtain_wrapped", description, record, dims)
                code.require(code.is_set(wrapper))
                wrapped.yield_([wrapper, array_of(code, description, wrapper)])
            with plain:
                array = code.call("obtain", record, dims)
                code.require(code.is_set(array))
                plain.yield_([array, array])
        b.store(wrapped.results[0], object_, 8)
        b.store(code.field(wrapped.results[1], DATA, "i64"), words, 8)
        b.ret(True)


def _extent(code: Code, rule: Value, symbols: Value) -> Value:
    b = code.b
    mode, number = b.load("i64", rule, 8), b.load("i64", b.gep("i64", rule, 1), 8)
    is_exact = b.icmp("eq", mode, EXACT)

    def of_symbols() -> Value:
        steps = b.load("ptr", b.gep("i64", rule, 1), 8)
        return b.choose(
            b.icmp("eq", mode, FOLLOWS),
            lambda: code.call("calculated", steps, symbols),
            lambda: b.load("i64", b.gep("i64", symbols, number), 8),
        )

    return b.choose(is_exact, lambda: number, of_symbols, likely=True)


def _calculated(code: Code) -> None:
    """`i64 calculated(steps, symbols)`: what a calculation gives (see `calculation`), never less than 0."""
    with code.define("calculated", "i64", "ptr steps", "ptr symbols", rare=True) as (steps, symbols):
        b = code.b
        stack = b.alloca("i64", LONGEST)
        zero = b.constant("i64", 0)
        with b.for_loop(0, b.load("i64", steps, 8), carried=[zero], nonempty=True) as loop:
            (height,) = loop.carried
            step = b.gep("i64", steps, b.add(b.mul(loop.index, 2), 1))
            kind, item = b.load("i64", step, 8), b.load("i64", b.gep("i64", step, 1), 8)
            with b.if_then_else(b.icmp("ule", kind, SYMBOL)) as (put, combine):
                with put:
                    named = b.choose(
                        b.icmp("eq", kind, SYMBOL),
                        lambda: b.load("i64", b.gep("i64", symbols, item), 8),
                        lambda: item,
                    )
                    b.store(named, b.gep("i64", stack, height), 8)
                    put.yield_([b.add(height, 1)])
                with combine:
                    left, right = (b.load("i64", b.gep("i64", stack, b.sub(height, back)), 8) for back in (2, 1))
                    b.store(_combined(code, kind, left, right), b.gep("i64", stack, b.sub(height, 2)), 8)
                    combine.yield_([b.sub(height, 1)])
            loop.yield_(put.results)
        b.ret(b.intrinsic("smax", "i64", b.load("i64", stack, 8), zero))


def _combined(code: Code, kind: Value, left: Value, right: Value) -> Value:
    b = code.b
    safe = b.select(b.icmp("eq", right, 0), b.constant("i64", 1), right)
    quotient, rest = b.sdiv(left, safe), b.srem(left, safe)
    is_below = b.and_(b.icmp("ne", rest, 0), b.icmp("slt", b.xor(rest, safe), 0))
    results = {
        MULTIPLY: b.mul(left, right),
        DIVIDE: b.sub(quotient, b.zext(is_below, "i64")),
        REMAINDER: b.add(rest, b.select(is_below, safe, b.constant("i64", 0))),
        LARGER: b.intrinsic("smax", "i64", left, right),
        SMALLER: b.intrinsic("smin", "i64", left, right),
    }
    found = b.add(left, right)
    for number, result in results.items():
        found = b.select(b.icmp("eq", kind, number), result, found)
    return found


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
            with b.if_then(b.icmp("ne", code.word(record, OUTPUT, "rows"), 0), likely=False):
                array, family = b.load("ptr", place, 8), code.word(scratch, SCRATCH, "family")
                items = code.call("list_of_rows", description, record, array, family)
                code.require(code.is_set(items))
                b.store(items, place, 8)
                code.let_go(array)
            loop.yield_(list(_next_output(code, record, source)))
        with b.if_then(b.icmp("ne", code.word(description, DESCRIPTION, "join_count"), 0), likely=False):
            code.require(code.call("join_lists", description, objects))
        b.ret(True)


def _collect_tensor(code: Code) -> None:
    """The object of one result: a number, a torch tensor over its block, or an array over what native code allocated."""
    with code.define("exchange", "ptr", "ptr block") as (block,):
        b = code.b
        managed = b.load("ptr", block, 8)
        made = b.alloca("ptr")
        b.store(b.constant("ptr", 0), made, 8)
        b.store(b.constant("ptr", 0), block, 8)
        convert = b.load("ptr", code.entry_of_table("exchange_write"), 8)
        code.require(b.icmp("eq", b.call_pointer(convert, "i32", managed, made), 0))
        b.ret(b.load("ptr", made, 8))
    signature = ("ptr description", "ptr record", "ptr words", "ptr block", "ptr scratch")
    with code.define("collect_one", "ptr", *signature) as (description, record, words, block, scratch):
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
            b.memcpy(code.word(made, BLOCK, "data", "ptr"), data, code.call("byte_count", record, dims))
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
            _update_one(code, update, value, inputs, outputs, words)
            code.python("Py_DecRef", "void", value)
            b.store(b.constant("ptr", 0), place, 8)
        b.ret(True)


def _update_one(code: Code, update: Value, value: Value, inputs: Value, outputs: Value, words: Value) -> None:
    b = code.b
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
            value = _item(code, placement, objects, values, containers)
            loop.yield_([_placed(code, placement, records, containers, value, loop.carried[0])])
        b.ret(loop.results[0])


def _item(code: Code, placement: Value, objects: Value, values: Value, containers: Value) -> Value:
    """A new reference to what a placement names."""
    b = code.b
    source, item = code.word(placement, PLACEMENT, "source"), code.word(placement, PLACEMENT, "item")

    def shared() -> Value:
        value = b.choose(
            b.icmp("eq", source, SOURCES["value"]),
            lambda: b.load("ptr", b.gep("ptr", values, item), 8),
            lambda: code.word(placement, PLACEMENT, "item", "ptr"),
        )
        code.python("Py_IncRef", "void", value)
        return value

    def not_computed() -> Value:
        is_container = b.icmp("eq", source, SOURCES["container"])
        return b.choose(is_container, lambda: b.load("ptr", b.gep("ptr", containers, item), 8), shared)

    is_computed = b.icmp("eq", source, SOURCES["computed"])
    return b.choose(is_computed, lambda: b.load("ptr", b.gep("ptr", objects, item), 8), not_computed, likely=True)


def _placed(code: Code, placement: Value, records: Value, containers: Value, value: Value, result: Value) -> Value:
    """The result so far, a value having been put in its container; the value itself where it is the whole result."""
    b = code.b
    container = code.word(placement, PLACEMENT, "container")

    def inside() -> Value:
        record = b.gep("i64", records, b.mul(container, len(CONTAINER)))
        object_ = b.load("ptr", b.gep("ptr", containers, container), 8)
        _put_in(code, placement, code.word(record, CONTAINER, "kind"), object_, value)
        return result

    def outside() -> Value:
        is_result = b.icmp("eq", container, TARGETS["result"])
        return b.choose(is_result, lambda: value, lambda: _kept(code, placement, value, result), likely=True)

    return b.choose(b.icmp("sge", container, 0), inside, outside)


def _kept(code: Code, placement: Value, value: Value, result: Value) -> Value:
    """The result so far, a container having become state."""
    code.call("keep_state", code.word(placement, PLACEMENT, "container"),
              code.word(placement, PLACEMENT, "position", "ptr"), value)  # fmt: skip
    return result


def _keep_state(code: Code) -> None:
    """An entry of a dictionary becomes a container, or one that is like it and stays there takes over its items.

    While other threads ran, they may have put something else there, which is replaced then.
    """
    with code.define("keep_state", "void", "i64 target", "ptr entry", "ptr value", rare=True) as (target, entry, value):
        b = code.b
        holder, key = b.load("ptr", entry, 8), b.load("ptr", b.gep("ptr", entry, 1), 8)
        held = code.python("PyDict_GetItem", "ptr", holder, key)
        length = code.field(value, HEADER, "i64")
        kind = b.choose(code.is_set(held), lambda: code.field(held, TYPE), lambda: b.constant("ptr", 0))
        is_like = b.icmp("eq", kind, code.field(value, TYPE))
        is_list = b.and_(is_like, b.icmp("eq", target, TARGETS["refill_list"]))
        is_dictionary = b.and_(is_like, b.icmp("eq", target, TARGETS["refill_dictionary"]))
        with b.if_then(is_list):
            code.python("PyList_SetSlice", "i32", held, b.constant("i64", 0), length, value)
        with b.if_then(is_dictionary):
            code.python("PyDict_Update", "i32", held, value)
        with b.if_then(b.icmp("eq", b.or_(is_list, is_dictionary), 0)):
            code.python("PyDict_SetItem", "i32", holder, key, value)
        code.python("Py_DecRef", "void", value)
        b.ret()


def _put_in(code: Code, placement: Value, kind: Value, container: Value, value: Value) -> None:
    """Make a value an item of a container, which takes the reference over. Keys are there already: nothing can fail."""
    b = code.b
    with b.if_then_else(b.icmp("eq", kind, CONTAINER_KINDS["dictionary"]), likely=False) as (dictionary, sequence):
        with dictionary:
            key = code.word(placement, PLACEMENT, "position", "ptr")
            code.python("PyDict_SetItem", "i32", container, key, value)
            code.python("Py_DecRef", "void", value)
        with sequence:
            is_list = b.icmp("eq", kind, CONTAINER_KINDS["list"])
            items = b.choose(
                is_list,
                lambda: code.items_of_list(container),
                lambda: code.items_of_tuple(container),
                likely=False,
            )
            b.store(value, b.gep("ptr", items, code.word(placement, PLACEMENT, "position")), 8)


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
        count = code.word(scratch, SCRATCH, "prepared")
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
