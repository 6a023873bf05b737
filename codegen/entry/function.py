"""The code of the native entry: one function that serves all compiled functions (see `native_entry`)."""

from __future__ import annotations

from functools import cache

from optc.codegen.entry.arguments import write_argument_functions
from optc.codegen.entry.code import Code
from optc.codegen.entry.layout import DESCRIPTION, SCRATCH
from optc.codegen.entry.memory import write_memory_functions
from optc.codegen.entry.python_layout import HEADER
from optc.codegen.entry.results import write_result_functions
from optc.codegen.llvm import Value
from optc.codegen.process.context import KEPT_CONTEXTS
from optc.codegen.process.context_code import field_address, load_field


@cache
def entry_texts() -> tuple[str, str, tuple[str, ...]]:
    """The text of both modules, and what the words of their table must hold."""
    code = Code()
    write_argument_functions(code)
    write_memory_functions(code)
    write_result_functions(code)
    _release(code)
    _drop_context(code)
    _fail(code)
    _create_context(code)
    _entry(code)
    return *code.texts(), tuple(sorted(code.table, key=code.table.__getitem__))


def _entry(code: Code) -> None:
    signature = ("ptr self", "ptr arguments", "i64 count", "ptr keywords")
    with code.define("entry", "ptr", *signature) as (self, arguments, count, keywords):
        b = code.b
        slow, unfit, failed, unfinished = map(b.new_block, ("slow", "unfit", "failed", "unfinished"))
        description = code.field(self, HEADER)
        scratch = b.stack(code.word(description, DESCRIPTION, "scratch_words"))
        zero = b.constant("i64", 0)
        code.set_word(scratch, SCRATCH, "held", zero)
        code.set_word(scratch, SCRATCH, "copies", zero)
        code.set_word(scratch, SCRATCH, "family", b.constant("i64", -1))
        own_values = code.place(scratch, SCRATCH, "values")
        expected = b.icmp("eq", count, code.word(description, DESCRIPTION, "argument_count"))
        simple = b.icmp("eq", code.word(description, DESCRIPTION, "binds"), 0)
        direct = b.and_(b.and_(expected, simple), code.is_null(keywords))

        def bound() -> Value:
            taken = code.call("bind", description, arguments, count, keywords, own_values)
            code.branch_unless(taken, slow)
            return own_values

        values = b.choose(direct, lambda: arguments, bound, likely=True)
        code.branch_unless(code.call("read_inputs", description, values, scratch), unfit)
        family = code.word(scratch, SCRATCH, "family")
        default = code.word(description, DESCRIPTION, "default_family")
        code.set_word(scratch, SCRATCH, "family", b.select(b.icmp("slt", family, 0), default, family))
        code.branch_unless(code.call("prepare", description, scratch), unfinished)
        context = _acquire_context(code, description)
        code.branch_unless(code.is_set(context), unfinished)
        error = _run(code, description, context, scratch)
        with b.if_then(b.icmp("ne", error, 0), likely=False):
            b.store(b.sext(error, "i64"), field_address(b, context, "code"), 8)
            b.ret(code.call("fail", description, context, values, scratch))
        _give_back(code, description, context)
        code.branch_unless(code.call("collect", description, scratch), failed)
        with b.if_then(b.icmp("ne", code.word(description, DESCRIPTION, "update_count"), 0), likely=False):
            code.branch_unless(code.call("update", description, scratch), failed)
        result = code.call("assemble", description, values, scratch)
        code.call("release", description, scratch)
        b.ret(result)

        b.position_at_end(unfit)
        code.call("release", description, scratch)
        b.br(slow)
        b.position_at_end(slow)
        slow_path = code.word(description, DESCRIPTION, "slow_path", "ptr")
        b.ret(code.python("PyObject_Vectorcall", "ptr", slow_path, arguments, count, keywords))
        b.position_at_end(unfinished)
        code.call("discard", description, scratch, b.constant("i1", 0))
        code.call("release", description, scratch)
        b.ret(b.constant("ptr", 0))
        b.position_at_end(failed)
        code.call("discard", description, scratch, b.constant("i1", 1))
        code.call("release", description, scratch)
        b.ret(b.constant("ptr", 0))


def _acquire_context(code: Code, description: Value) -> Value:
    """A context that no other call uses; null with an exception."""
    b = code.b
    first = code.word(description, DESCRIPTION, "contexts", "ptr")
    with b.if_then_else(code.is_set(first), likely=True) as (pop, create):
        with pop:
            code.set_word(description, DESCRIPTION, "contexts", load_field(b, first, "next"))
            idle = code.word(description, DESCRIPTION, "idle")
            code.set_word(description, DESCRIPTION, "idle", b.sub(idle, 1))
            pop.yield_([first])
        with create:
            create.yield_([code.call("create_context", description)])
    return pop.results[0]


def _create_context(code: Code) -> None:
    with code.define("create_context", "ptr", "ptr description", rare=True) as (description,):
        b = code.b
        create = code.word(description, DESCRIPTION, "create_context", "ptr")
        null = b.constant("ptr", 0)
        number = code.python("PyObject_Vectorcall", "ptr", create, null, b.constant("i64", 0), null)
        code.require(code.is_set(number))
        made = code.python("PyLong_AsVoidPtr", "ptr", number)
        code.python("Py_DecRef", "void", number)
        b.ret(made)


def _give_back(code: Code, description: Value, context: Value) -> None:
    b = code.b
    idle = code.word(description, DESCRIPTION, "idle")
    with b.if_then_else(b.icmp("slt", idle, KEPT_CONTEXTS), likely=True) as (keep, drop):
        with keep:
            b.store(code.word(description, DESCRIPTION, "contexts", "ptr"), field_address(b, context, "next"), 8)
            code.set_word(description, DESCRIPTION, "contexts", context)
            code.set_word(description, DESCRIPTION, "idle", b.add(idle, 1))
        with drop:
            code.call("drop_context", description, context)


def _drop_context(code: Code) -> None:
    """After a burst of calls at once: one context less. What goes wrong here is no matter of the call."""
    with code.define("drop_context", "void", "ptr description", "ptr context", rare=True) as (description, context):
        b = code.b
        address = code.python("PyLong_FromVoidPtr", "ptr", context)
        with b.if_then(code.is_set(address), likely=True):
            arguments = b.alloca("ptr")
            b.store(address, arguments, 8)
            drop = code.word(description, DESCRIPTION, "drop_context", "ptr")
            null, one = b.constant("ptr", 0), b.constant("i64", 1)
            code.python("Py_DecRef", "void", code.python("PyObject_Vectorcall", "ptr", drop, arguments, one, null))
            code.python("Py_DecRef", "void", address)
        with b.if_then(code.is_set(code.python("PyErr_Occurred", "ptr")), likely=False):
            code.python("PyErr_Clear", "void")
        b.ret()


def _run(code: Code, description: Value, context: Value, scratch: Value) -> Value:
    """The error code of the run, during which other Python threads may run if the description says so."""
    b = code.b
    inputs, outputs = (code.region(scratch, description, DESCRIPTION, f"{name}_at") for name in ("inputs", "outputs"))
    run = code.word(description, DESCRIPTION, "run", "ptr")
    releases = b.icmp("ne", code.word(description, DESCRIPTION, "release_gil"), 0)
    with b.if_then_else(releases, likely=False) as (alone, holding):
        with alone:
            thread = code.python("PyEval_SaveThread", "ptr")
            error = b.call_pointer(run, "i32", context, inputs, outputs)
            code.python("PyEval_RestoreThread", "void", thread)
            alone.yield_([error])
        with holding:
            holding.yield_([b.call_pointer(run, "i32", context, inputs, outputs)])
    return alone.results[0]


def _release(code: Code) -> None:
    """What was held and copied for the time of the call goes."""
    with code.define("release", "void", "ptr description", "ptr scratch", inline=True) as (description, scratch):
        b = code.b
        held = code.region(scratch, description, DESCRIPTION, "held_at")
        with b.for_loop(0, code.word(scratch, SCRATCH, "held")) as loop:
            code.let_go(b.load("ptr", b.gep("ptr", held, loop.index), 8))
        copies = code.region(scratch, description, DESCRIPTION, "copies_at")
        with b.for_loop(0, code.word(scratch, SCRATCH, "copies")) as loop:
            code.python("release", "void", b.load("ptr", b.gep("ptr", copies, loop.index), 8))
        b.ret()


def _fail(code: Code) -> None:
    """Let Python deal with a run that returned an error: `failed(address of the context, *arguments)`."""
    signature = ("ptr description", "ptr context", "ptr values", "ptr scratch")
    with code.define("fail", "ptr", *signature, rare=True) as (description, context, values, scratch):
        b = code.b
        code.call("discard", description, scratch, b.constant("i1", 1))
        count = code.word(description, DESCRIPTION, "argument_count")
        # The word in front of the values is free for the address.
        target = code.place(scratch, SCRATCH, "values")
        with b.for_loop(0, count) as loop:
            value = b.load("ptr", b.gep("ptr", values, loop.index), 8)
            b.store(value, b.gep("ptr", target, loop.index), 8)
        address = code.python("PyLong_FromVoidPtr", "ptr", context)
        with b.if_then(code.is_null(address), likely=False):
            _give_back(code, description, context)
            code.call("release", description, scratch)
            b.ret(address)
        forwarded = code.place(scratch, SCRATCH, "address")
        b.store(address, forwarded, 8)
        handler = code.word(description, DESCRIPTION, "failed", "ptr")
        null = b.constant("ptr", 0)
        result = code.python("PyObject_Vectorcall", "ptr", handler, forwarded, b.add(count, 1), null)
        code.python("Py_DecRef", "void", address)
        _give_back(code, description, context)
        code.call("release", description, scratch)
        b.ret(result)
