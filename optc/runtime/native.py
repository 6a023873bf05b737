"""From an optimised program to native entries. Code generation is imported when a program needs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from optc.codegen.entry import python_layout
from optc.codegen.entry.signature import EntryPoint, PythonEntry, Wrapper, native_entry
from optc.codegen.native_program import NativeProgram
from optc.dataclass import dataclass
from optc.errors import OptcError
from optc.ir.graph import Graph
from optc.ir.schema import FunctionSchema
from optc.ir.types import BOOL, FLOAT, INT, IntType, TensorType, Type
from optc.jit.devices import holds_devices
from optc.ops.values import MESSAGE
from optc.runtime.calling import with_python_form
from optc.runtime.islands import contexts_of
from optc.runtime.sharing import compared_pairs, is_apart, written_pairs
from optc.runtime.specialization import Fallback, Specialization
from optc.runtime.state import RunFailed, settle

ISLANDS_LIMIT = 64
"""A program of which code generation refuses more nodes than this is left to the interpreter."""


@dataclass(frozen=True)
class Caller:
    """What the entries of a compiled function have to know of it.

    `schema` is the program's, without self. `wrapped`: the class of tensors, and values of its slots. `threads`: how many
    a call may use, 0 for the usual number. `default_kind`: whose tensors results are when no argument is a tensor.
    """

    on_failure: Callable[..., Any]
    slow_path: Callable[..., Any]
    schema: FunctionSchema
    name: str
    wrapped: tuple[type, Mapping[str, object]]
    threads: int
    default_kind: str


def build(specialization: Specialization, caller: Caller, cached: bool) -> None:
    """Give the specialisation its native code and entries, or note why the interpreter has to run it.

    `cached`: compiled objects may come from the disk and are kept there.
    """
    program = specialization.program
    assert program is not None and program.graph is not None
    settle(program)
    native = generate_with_islands(program.graph, caller.name)
    if isinstance(native, Fallback):
        specialization.fallbacks.append(native)
        return
    native.load(cached)
    graph = program.graph
    held = [(slot, _held_type(graph.inputs[slot.input].type)) for slot in program.state if slot.owner is not None]
    specialization.held = tuple((slot, type_) for slot, type_ in held if type_ is not None)
    connect(specialization, native, caller)


def _held_type(type_: Type) -> Type | None:
    """What state must be for the code: a number of any value, unless the code is for one; None for what is neither."""
    if isinstance(type_, IntType):
        return type_ if isinstance(type_.dim, int) else INT
    return type_ if isinstance(type_, TensorType) or type_ in (FLOAT, BOOL) else None


def generate_with_islands(graph: Graph, name: str) -> NativeProgram | Fallback:
    """The code of a core graph; nodes that code generation cannot do become islands of the graph.

    Returns a fallback where that does not help: the interpreter has to run all of it.
    """
    from optc.codegen.driver.frame import Unsupported
    from optc.codegen.program import generate
    from optc.passes.outline_islands import outline

    for _ in range(ISLANDS_LIMIT):
        try:
            return generate(graph, name=name)
        except Unsupported as error:
            refused = error
            node = refused.node
            source = str(node.source or "")
            if not outline(node, refused.reason):
                break
    return Fallback(node.kind, refused.reason, source)


def connect(specialization: Specialization, native: NativeProgram, caller: Caller) -> None:
    """Give the specialisation the entries of a loaded native program."""
    program = specialization.program
    assert program is not None
    specialization.native = native
    specialization.fallbacks += [
        Fallback(p.operator, p.reason, p.source) for code in native.islands for p in code.parts if p.reason != MESSAGE
    ]
    specialization.seconds.update(native.seconds)
    apart = (*written_pairs(program), *compared_pairs(program))
    specialization.depends_on_sharing = bool(apart)
    specialization.follows_memory = (
        program.needs_rows or native.follows_memory or any(code.follows_memory for code in native.islands)
    )
    plain = EntryPoint(
        run=native.run, owner=native, signature=native.signature, contexts=contexts_of(native, caller.threads),
        slow_path=_refuse, on_failure=_failed, name=caller.name, release_gil=native.is_long(specialization.extents),
        sites=native.sites,
    )  # fmt: skip
    specialization.checked = PythonEntry(plain)
    class_, slots = caller.wrapped
    fast = replace(
        plain, slow_path=caller.slow_path, on_failure=caller.on_failure, wrapper=Wrapper(class_, "_array", slots),
        default_family="torch" if caller.default_kind == "torch" else "wrapped", apart=apart,
        in_rows=specialization.follows_memory,
    )  # fmt: skip
    schema = caller.schema
    point = None if holds_devices(schema.returns[0].type) else with_python_form(fast, program, schema.arguments)
    if caller.default_kind == "torch":
        accept_torch()
    if point is not None and is_apart(specialization.sharing):
        specialization.entry = native_entry(point)


def _failed(failure: Any, arguments: tuple[Any, ...]) -> Any:
    raise RunFailed(failure)


def _refuse(*arguments: Any, **keywords: Any) -> Any:
    raise OptcError(f"the specialisation was chosen for arguments it does not take: {arguments}")


@cache
def accept_torch() -> None:
    """From the second call with torch tensors on, the native entries take and give them. Torch has been imported."""
    if python_layout.is_supported():
        from optc.codegen.entry.native_entry import accept_torch as accept

        accept()
