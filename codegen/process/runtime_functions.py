"""The functions that contexts hand to native code: memory, and `parallel` for contexts without threads."""

from __future__ import annotations

from optc.codegen.llvm import CALLS_ONLY, Builder, Function, Module, Parameter
from optc.codegen.process.allocation import write_allocation, write_block_functions, write_output_allocation
from optc.codegen.process.context import FIELDS, FREE_BLOCKS
from optc.codegen.process.context_code import field_address, load_field


def runtime_module() -> Module:
    """All of them in one module."""
    module = Module("runtime")
    module.remark = CALLS_ONLY
    allocate, release = write_allocation(module)
    write_output_allocation(module, allocate)
    write_block_functions(module, allocate, release, FREE_BLOCKS, FIELDS["used_blocks"])
    _grow_arena(module, allocate, release)
    _run_alone(module)
    return module


def _grow_arena(module: Module, allocate: Function, release: Function) -> None:
    function = module.function("grow_arena", "ptr", [Parameter("ptr", "context"), Parameter("i64", "bytes")])
    context, bytes_ = function.arguments
    b = Builder(function)
    current = load_field(b, context, "arena")
    with b.if_then(b.icmp("uge", load_field(b, context, "arena_bytes"), bytes_)):
        b.ret(current)
    b.call(release, current)
    fresh = b.call(allocate, bytes_)
    failed = b.icmp("eq", fresh, 0)
    b.store(fresh, field_address(b, context, "arena"), 8)
    b.store(b.select(failed, b.constant("i64", 0), bytes_), field_address(b, context, "arena_bytes"), 8)
    b.ret(fresh)


def _run_alone(module: Module) -> None:
    """`parallel` for contexts without threads."""
    parameters = [Parameter("ptr", name) for name in ("context", "task", "arguments")]
    parameters += [Parameter("i64", name) for name in ("count", "operations", "together")]
    function = module.function("run_alone", "void", parameters)
    b = Builder(function)
    _, task, arguments, count, *_ = function.arguments
    b.call_pointer(task, "void", arguments, b.constant("i64", 0), count)
    b.ret()
