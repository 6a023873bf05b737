"""What emitted code does with its context: reads fields, asks for memory, splits work, runs islands (see `context`)."""

from __future__ import annotations

from collections.abc import Sequence

from optc.codegen.llvm import Builder, Parameter, Value
from optc.codegen.process.context import FIELDS

RUN_PARAMETERS = (
    Parameter("ptr", "context", "noalias nonnull"),
    Parameter("ptr", "inputs", "noalias readonly nonnull"),
    Parameter("ptr", "outputs", "noalias nonnull"),
)
"""The parameters of every `run` function; its return type is i32."""

_WORDS = frozenset({"arena_bytes", "code", "threads", "split_operations", "effects", "drawn"})


def field_address(b: Builder, context: Value, name: str) -> Value:
    """The address of a field of the context."""
    return b.gep("i8", context, FIELDS[name])


def load_field(b: Builder, context: Value, name: str) -> Value:
    """The value of a field: i64 for those in `_WORDS` and details, ptr for all others."""
    is_word = name in _WORDS or name.startswith("detail")
    return b.load("i64" if is_word else "ptr", field_address(b, context, name), 8)


def constant_pointer(b: Builder, context: Value, index: int) -> Value:
    """The address of constant buffer number `index`."""
    table = load_field(b, context, "constants")
    return b.load("ptr", b.gep("ptr", table, index), 8)


def store_details(b: Builder, context: Value, words: Sequence[Value]) -> None:
    """Stores up to DETAIL_WORDS i64 words for the message of an error that is about to be returned."""
    for number, word in enumerate(words):
        b.store(word, field_address(b, context, f"detail{number}"), 8)


def call_allocate(b: Builder, context: Value, bytes_: Value) -> Value:
    """Scratch memory aligned to 64 bytes (null without memory); to be given back with `call_release`."""
    return b.call_pointer(load_field(b, context, "allocate"), "ptr", context, bytes_)


def call_release(b: Builder, context: Value, pointer: Value) -> None:
    b.call_pointer(load_field(b, context, "release"), "void", context, pointer)


def call_release_all(b: Builder, context: Value) -> None:
    """Give back everything that `call_allocate` gave and nobody gave back: for runs that fail."""
    b.call_pointer(load_field(b, context, "release_all"), "void", context)


def call_allocate_output(b: Builder, context: Value, output: int, bytes_: Value) -> Value:
    """Memory for an output whose extents were not known before the call; null without memory."""
    function = load_field(b, context, "allocate_output")
    return b.call_pointer(function, "ptr", context, b.constant("i64", output), bytes_)


def call_grow_arena(b: Builder, context: Value, bytes_: Value) -> Value:
    """An arena of at least that size (null without memory); what the old one held is lost."""
    return b.call_pointer(load_field(b, context, "grow_arena"), "ptr", context, bytes_)


def call_parallel(
    b: Builder, context: Value, task: Value, arguments: Value, count: Value, operations: Value, together: int
) -> None:
    """Calls `task(arguments, start, stop)` for ranges that make up 0 to `count`, on as many threads as are worth it, each of
    which takes `together` units at once or more."""
    least = b.constant("i64", together)
    b.call_pointer(load_field(b, context, "parallel"), "void", context, task, arguments, count, operations, least)


def call_island(b: Builder, context: Value, number: int, words: Value) -> Value:
    """Runs an island on an array of words; i32 result as of `run`."""
    return b.call_pointer(load_field(b, context, "island"), "i32", context, b.constant("i64", number), words)
