"""The native entry's second half: memory for results before the run, Python objects made of them behind it."""

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
from optc.codegen.entry_memory import BLOCK, array_of
from optc.codegen.llvm import Value
from optc.codegen.python_layout import DATA


def write_result_functions(code: Code) -> None:
    """`prepare`, `collect`, `update`, `assemble` and `discard`, and what they call."""
    _prepare_containers(code)
    _prepare_output(code)
    _prepare(code)
    _collect_tensor(code)
    _collect(code)
    _update(code)
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
    """Containers first, dictionaries with all keys, so that nothing can fail while they are filled."""
    with code.define("prepare_containers", "i1", "ptr description", "ptr scratch") as (description, scratch):
        b = code.b
        records = code.word(description, DESCRIPTION, "containers", "ptr")
        made = code.region(scratch, description, DESCRIPTION, "made_containers_at")
        count = code.word(description, DESCRIPTION, "container_count")
        with b.for_loop(0, count) as loop:
            container = _new_container(code, b.gep("i64", records, b.mul(loop.index, len(CONTAINER))))
            b.store(container, b.gep("ptr", made, loop.index), 8)
            with b.if_then(code.is_null(container), likely=False):
                with b.for_loop(0, loop.index) as earlier:
                    code.python("Py_DecRef", "void", b.load("ptr", b.gep("ptr", made, earlier.index), 8))
                with b.for_loop(0, count) as every:
                    b.store(b.constant("ptr", 0), b.gep("ptr", made, every.index), 8)
                b.ret(False)
        b.ret(True)


def _new_container(code: Code, record: Value) -> Value:
    """A tuple, list, named tuple or dictionary whose items are to come; null with an exception set."""
    b = code.b
    length = code.word(record, CONTAINER, "length")
    kind, model = code.word(record, CONTAINER, "kind"), code.word(record, CONTAINER, "model", "ptr")
    with b.if_then_else(b.icmp("ule", kind, CONTAINER_KINDS["list"]), likely=True) as (plain, special):
        with plain:
            is_tuple = b.icmp("eq", kind, CONTAINER_KINDS["tuple"])
            create = b.select(is_tuple, code.known("PyTuple_New"), code.known("PyList_New"))
            plain.yield_([b.call_pointer(create, "ptr", length)])
        with special:
            special.yield_([_new_special_container(code, kind, model, length)])
    return plain.results[0]


def _new_special_container(code: Code, kind: Value, model: Value, length: Value) -> Value:
    b = code.b
    with b.if_then_else(b.icmp("eq", kind, CONTAINER_KINDS["named"])) as (named, dictionary):
        with named:
            named.yield_([code.python("PyType_GenericAlloc", "ptr", model, length)])
        with dictionary:
            dictionary.yield_([code.python("PyDict_Copy", "ptr", model)])
    return named.results[0]


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
    with code.define("update", "i1", "ptr description", "ptr scratch") as (description, scratch):
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
                    computed.yield_([b.load("ptr", b.gep("ptr", objects, item), 8)])
                with other:
                    other.yield_([_other_item(code, placement, values, containers)])
            value = computed.results[0]
            container = code.word(placement, PLACEMENT, "container")
            with b.if_then_else(b.icmp("sge", container, 0)) as (inner, outermost):
                with inner:
                    record = b.gep("i64", records, b.mul(container, len(CONTAINER)))
                    object_ = b.load("ptr", b.gep("ptr", containers, container), 8)
                    _put_in(code, placement, code.word(record, CONTAINER, "kind"), object_, value)
                    inner.yield_([loop.carried[0]])
                with outermost:
                    outermost.yield_([value])
            loop.yield_([inner.results[0]])
        b.ret(loop.results[0])


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
            with b.if_then_else(is_list, likely=False) as (list_, tuple_):
                with list_:
                    list_.yield_([code.items_of_list(container)])
                with tuple_:
                    tuple_.yield_([code.items_of_tuple(container)])
            b.store(value, b.gep("ptr", list_.results[0], code.word(placement, PLACEMENT, "position")), 8)


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
