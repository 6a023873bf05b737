"""A call whose units may run on several threads: the task that a thread gets, and when threads are worth it."""

from __future__ import annotations

from collections.abc import Sequence

from optc.codegen.llvm import Builder, Declaration, Function, Module, Parameter, Value
from optc.codegen.machine.host import Target
from optc.codegen.process import context_code as calling
from optc.codegen.process.pool_layout import OPERATIONS_PER_MICROSECOND
from optc.ir.dims import Dim

SPLIT_WORTH = 3 * OPERATIONS_PER_MICROSECOND
"""Work below 3 microseconds is not split: a fork and a join take up to half of one."""


def is_worth_splitting(operations: Dim, target: Target) -> bool:
    """True when work (as `Frame.call_split` counts it) is worth threads, or may be, as only running it tells."""
    return not isinstance(operations, int) or scaled(operations, target) >= SPLIT_WORTH


def scaled(operations: int, target: Target) -> int:
    """Operations as the pool counts them: in what 64-byte vectors do."""
    return operations * (64 // target.vector_bytes)


def call_alone(b: Builder, function: Declaration, arguments: Sequence[Value], units: Value) -> None:
    """All units on this thread."""
    b.call(function, *arguments, b.constant("i64", 0), units)


def call_parallel(
    b: Builder, context: Value, function: Declaration, arguments: Sequence[Value], units: Value, work: Value,
    together: int = 1,
) -> None:  # fmt: skip
    """`function(*arguments, start, stop)` on the threads of the context; `work` and `together` as `parallel` counts them."""
    words = b.alloca("i64", max(1, len(arguments)))
    for place, argument in enumerate(arguments):
        b.store(argument, b.gep("i64", words, place), 8)
    calling.call_parallel(b, context, task(b.module, function).pointer, words, units, work, together)


def task(module: Module, function: Declaration) -> Function:
    """`void task(ptr words, i64 start, i64 stop)`: calls the function with its arguments out of memory."""
    name = f"task.{function.name}"
    if name in module.functions:
        return module.functions[name]
    parameters = [Parameter("ptr", "words"), Parameter("i64", "start"), Parameter("i64", "stop")]
    made = module.function(name, "void", parameters, private=True)
    b = Builder(made)
    words, start, stop = made.arguments
    types = function.parameter_types[:-2]
    arguments = [b.load(type_, b.gep("i64", words, place), 8) for place, type_ in enumerate(types)]
    b.call(function, *arguments, start, stop)
    b.ret()
    return made
