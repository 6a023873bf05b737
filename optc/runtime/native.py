"""From an optimised program to native entries: loaded on the first compilation, because it brings llvmlite."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from optc.codegen.entry import EntryPoint, PythonEntry, Wrapper, make_entry
from optc.codegen.frame import Unsupported
from optc.codegen.native_program import NativeProgram
from optc.codegen.program import generate, output_tree
from optc.errors import OptcError
from optc.ir.structure import Structure
from optc.ir.types import IntType, TensorType
from optc.runtime.specialization import Fallback, Specialization
from optc.runtime.state import RunFailed, drop_unwritten


def build(
    specialization: Specialization, on_failure: Callable[..., Any], slow_path: Callable[..., Any], *,
    cached: bool, name: str, wrapped: tuple[type, Mapping[str, object]], threads: int,
) -> None:  # fmt: skip
    """Give the specialisation its native code and entries, or note why the interpreter has to run it.

    `cached`: compiled objects may come from the disk and are kept there. `threads`: how many a call may use, 0 for the
    usual number.
    """
    program = specialization.program
    assert program is not None and program.graph is not None
    drop_unwritten(program)
    try:
        native = generate(program.graph, name=name)
    except Unsupported as error:
        node = error.node
        specialization.fallbacks.append(Fallback(node.kind, error.reason, str(node.source or "")))
        return
    native.load(cached)
    graph = program.graph
    held = [(slot, graph.inputs[slot.input].type) for slot in program.state if slot.owner is not None]
    specialization.held = tuple((slot, type_) for slot, type_ in held if isinstance(type_, TensorType))
    connect(specialization, native, on_failure, slow_path, name=name, wrapped=wrapped, threads=threads)


def connect(
    specialization: Specialization, native: NativeProgram, on_failure: Callable[..., Any],
    slow_path: Callable[..., Any], *, name: str, wrapped: tuple[type, Mapping[str, object]], threads: int,
) -> None:  # fmt: skip
    """Give the specialisation the entries of a loaded native program."""
    program = specialization.program
    assert program is not None
    specialization.native = native
    specialization.seconds.update(native.seconds)
    plain = EntryPoint(
        run=native.run, owner=native, signature=native.signature, contexts=native.contexts(threads=threads),
        slow_path=_refuse, on_failure=_failed, name=name,
    )  # fmt: skip
    specialization.checked = PythonEntry(plain)
    tree = output_tree(native.signature.outputs, program.output_structure)
    if tree is None or program.state or not all(map(_is_plain_leaf, program.input_structures)):
        return
    point = replace(
        plain, signature=replace(native.signature, outputs=tree), slow_path=slow_path, on_failure=on_failure,
        wrapper=Wrapper(wrapped[0], "_array", wrapped[1]), wrap_by_default=True,
    )  # fmt: skip
    specialization.entry = make_entry(point)


def _is_plain_leaf(structure: Structure) -> bool:
    """True for an argument that the entry can check by itself: no container, no number with a fixed value."""
    pinned = isinstance(structure.type, IntType) and structure.type.dim is not None
    return structure.kind == "leaf" and not pinned


def _failed(failure: Any, arguments: tuple[Any, ...]) -> Any:
    raise RunFailed(failure)


def _refuse(*arguments: Any, **keywords: Any) -> Any:
    raise OptcError(f"the specialisation was chosen for arguments it does not take: {arguments}")
