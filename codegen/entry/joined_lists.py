"""Results that are lists of lists or of tuples: put together, behind the run, of lists that are results of their own."""

from __future__ import annotations

from optc.codegen.entry.code import Code
from optc.codegen.entry.layout import DESCRIPTION, JOIN, JOIN_KINDS
from optc.codegen.entry.python_layout import HEADER
from optc.codegen.llvm import Value


def write_join_functions(code: Code) -> None:
    """`join_lists`, and what it calls."""
    _cut_list(code)
    _tuple_of_items(code)
    _zip_lists(code)
    _join_lists(code)


def _join_lists(code: Code) -> None:
    """`join_lists(description, objects)`: every joined list takes the place of its first part, whose references go.

    False with an exception set; then all that was made is in `objects`.
    """
    with code.define("join_lists", "i1", "ptr description", "ptr objects", rare=True) as (description, objects):
        b = code.b
        first = code.word(description, DESCRIPTION, "joins", "ptr")
        count = code.word(description, DESCRIPTION, "join_count")
        with b.for_loop(0, count, carried=[first]) as loop:
            (record,) = loop.carried
            made = b.choose(
                b.icmp("eq", code.word(record, JOIN, "kind"), JOIN_KINDS["cut"]),
                lambda: code.call("cut_list", _part(code, record, objects, 0), _part(code, record, objects, 1)),
                lambda: code.call("zip_lists", record, objects),
            )
            code.require(code.is_set(made))
            parts = code.word(record, JOIN, "count")
            with b.for_loop(0, parts) as part:
                place = _place(code, record, objects, part.index)
                code.python("Py_DecRef", "void", b.load("ptr", place, 8))
                b.store(b.constant("ptr", 0), place, 8)
            b.store(made, _place(code, record, objects, b.constant("i64", 0)), 8)
            loop.yield_([b.gep("i64", code.place(record, JOIN, "parts"), parts)])
        b.ret(True)


def _place(code: Code, record: Value, objects: Value, number: Value) -> Value:
    """Where part `number` of a joined list stands among the results."""
    b = code.b
    return b.gep("ptr", objects, b.load("i64", b.gep("i64", code.place(record, JOIN, "parts"), number), 8))


def _part(code: Code, record: Value, objects: Value, number: int) -> Value:
    b = code.b
    return b.load("ptr", _place(code, record, objects, b.constant("i64", number)), 8)


def _cut_list(code: Code) -> None:
    """The lists that begin at the places of the second list in the first one; the last place is an end."""
    with code.define("cut_list", "ptr", "ptr items", "ptr starts", rare=True) as (items, starts):
        b = code.b
        places = code.items_of_list(starts)
        count = b.sub(code.field(starts, HEADER, "i64"), 1)
        made = code.python("PyList_New", "ptr", count)
        code.require(code.is_set(made))
        target = code.items_of_list(made)
        with b.for_loop(0, count) as loop:
            bounds = [b.load("ptr", b.gep("ptr", places, b.add(loop.index, step)), 8) for step in (0, 1)]
            numbers = [code.python("PyLong_AsLongLong", "i64", bound) for bound in bounds]
            part = code.python("PyList_GetSlice", "ptr", items, *numbers)
            _go_on_with(code, part, made)
            b.store(part, b.gep("ptr", target, loop.index), 8)
        b.ret(made)


def _zip_lists(code: Code) -> None:
    """Tuples, of the record's class, of the items that are at one place of lists of equal lengths."""
    with code.define("zip_lists", "ptr", "ptr record", "ptr objects", rare=True) as (record, objects):
        b = code.b
        count = code.field(_part(code, record, objects, 0), HEADER, "i64")
        made = code.python("PyList_New", "ptr", count)
        code.require(code.is_set(made))
        target = code.items_of_list(made)
        with b.for_loop(0, count) as loop:
            item = code.call("tuple_of_items", record, objects, loop.index)
            _go_on_with(code, item, made)
            b.store(item, b.gep("ptr", target, loop.index), 8)
        b.ret(made)


def _tuple_of_items(code: Code) -> None:
    with code.define("tuple_of_items", "ptr", "ptr record", "ptr objects", "i64 place", rare=True) as (
        record,
        objects,
        place,
    ):
        b = code.b
        length, model = code.word(record, JOIN, "count"), code.word(record, JOIN, "model", "ptr")
        made = code.python("PyType_GenericAlloc", "ptr", model, length)
        code.require(code.is_set(made))
        target = code.items_of_tuple(made)
        with b.for_loop(0, length) as loop:
            list_ = b.load("ptr", _place(code, record, objects, loop.index), 8)
            item = b.load("ptr", b.gep("ptr", code.items_of_list(list_), place), 8)
            code.python("Py_IncRef", "void", item)
            b.store(item, b.gep("ptr", target, loop.index), 8)
        b.ret(made)


def _go_on_with(code: Code, item: Value, list_: Value) -> None:
    """Return null, without the list, where an item could not be made."""
    b = code.b
    with b.if_then(code.is_null(item), likely=False):
        code.python("Py_DecRef", "void", list_)
        b.ret(item)
