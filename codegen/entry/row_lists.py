"""Results that are lists whose length only running tells: native code gives a tensor, its rows become the items."""

from __future__ import annotations

from optc.codegen.entry.code import Code
from optc.codegen.entry.layout import FAMILIES, OUTPUT, ROW_KINDS
from optc.codegen.entry.memory import BLOCK
from optc.codegen.entry.python_layout import DATA, DIMS
from optc.codegen.llvm import Value


def write_row_functions(code: Code) -> None:
    """`list_of_rows`, and what it calls."""
    _copy_of_row(code)
    _list_of_rows(code)


def _copy_of_row(code: Code) -> None:
    """A tensor of its own with the elements at `source`; null with an exception. `record` describes one row."""
    signature = ("ptr description", "ptr record", "ptr dims", "ptr source", "i64 family")
    with code.define("copy_of_row", "ptr", *signature, rare=True) as (description, record, dims, source, family):
        b = code.b
        bytes_ = code.call("byte_count", record, dims)
        with b.if_then(b.icmp("eq", family, FAMILIES["torch"]), likely=False):
            place = b.alloca("ptr")
            made = code.call("make_block", record, dims)
            with b.if_then(code.is_null(made), likely=False):
                b.ret(code.python("PyErr_NoMemory", "ptr"))
            b.memcpy(code.word(made, BLOCK, "data", "ptr"), source, bytes_)
            b.store(made, place, 8)
            tensor = code.call("exchange", place)
            # What became no tensor is still in its place.
            code.python("free", "void", b.load("ptr", place, 8))
            b.ret(tensor)
        array = code.call("new_array", record, dims, b.constant("ptr", 0), b.constant("i32", 0))
        code.require(code.is_set(array))
        b.memcpy(code.field(array, DATA), source, bytes_)
        with b.if_then(b.icmp("eq", family, FAMILIES["wrapped"])):
            b.ret(code.call("fill_wrapper", description, array))
        b.ret(array)


def _list_of_rows(code: Code) -> None:
    """The items of a list from an array, whose own reference is not touched; null with an exception."""
    signature = ("ptr description", "ptr record", "ptr array", "i64 family")
    with code.define("list_of_rows", "ptr", *signature, rare=True) as (description, record, array, family):
        b = code.b
        dims, data = code.field(array, DIMS), code.field(array, DATA)
        count = b.load("i64", dims, 8)
        row, extents = _row_record(code, record), b.gep("i64", dims, 1)
        size = code.call("byte_count", row, extents)
        made = code.python("PyList_New", "ptr", count)
        code.require(code.is_set(made))
        items = code.items_of_list(made)
        with b.for_loop(0, count) as loop:
            source = b.gep("i8", data, b.mul(loop.index, size))
            item = _item(code, description, row, extents, source, family)
            with b.if_then(code.is_null(item), likely=False):
                code.python("Py_DecRef", "void", made)
                b.ret(item)
            b.store(item, b.gep("ptr", items, loop.index), 8)
        b.ret(made)


def _row_record(code: Code, record: Value) -> Value:
    """The record of a result that is one row: as the whole, without the first dimension."""
    b = code.b
    row = b.alloca("i64", OUTPUT["dims"])
    b.memcpy(row, record, b.constant("i64", 8 * OUTPUT["dims"]))
    code.set_word(row, OUTPUT, "rank", b.sub(code.word(record, OUTPUT, "rank"), 1))
    return row


def _item(code: Code, description: Value, row: Value, extents: Value, source: Value, family: Value) -> Value:
    """One row as what the program calls it."""
    b = code.b
    kind = code.word(row, OUTPUT, "rows")

    def truth() -> Value:
        is_true = b.icmp("ne", b.load("i8", source, 1), 0)
        value = b.select(is_true, code.known("true"), code.known("false"))
        code.python("Py_IncRef", "void", value)
        return value

    def fraction() -> Value:
        is_single = b.icmp("eq", code.word(row, OUTPUT, "itemsize"), 4)
        number = b.choose(
            is_single, lambda: b.fpext(b.load("float", source, 4), "double"), lambda: b.load("double", source, 8)
        )
        return code.python("PyFloat_FromDouble", "ptr", number)

    def number() -> Value:
        is_float = b.icmp("eq", kind, ROW_KINDS["float"])
        return b.choose(is_float, fraction, lambda: b.choose(b.icmp("eq", kind, ROW_KINDS["bool"]), truth, whole))

    def whole() -> Value:
        return code.python("PyLong_FromLongLong", "ptr", b.load("i64", source, 8))

    def tensor() -> Value:
        return code.call("copy_of_row", description, row, extents, source, family)

    return b.choose(b.icmp("eq", kind, ROW_KINDS["tensor"]), tensor, number)
