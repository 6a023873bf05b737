"""From an optimised program to native entries: loaded on the first compilation, because it brings llvmlite."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from optc.codegen.entry import EntryPoint, PythonEntry, Wrapper, make_entry
from optc.codegen.frame import Unsupported
from optc.codegen.program import generate
from optc.errors import OptcError
from optc.passes.pipelines import OptimizedProgram
from optc.runtime.specialization import Fallback, Specialization


def build(
    specialization: Specialization, program: OptimizedProgram, on_failure: Callable[..., Any],
    slow_path: Callable[..., Any], native_entry: bool, name: str, wrapped: tuple[type, Mapping[str, object]],
) -> None:  # fmt: skip
    """Give the specialisation its native code and entries, or note why the interpreter has to run it."""
    try:
        native = generate(program.graph, name=name)
    except Unsupported as error:
        node = error.node
        specialization.fallbacks.append(Fallback(node.kind, error.reason, str(node.source or "")))
        return
    native.load()
    specialization.native = native
    specialization.seconds.update(native.seconds)
    point = EntryPoint(
        run=native.run, owner=native, signature=native.signature, contexts=native.contexts(), slow_path=slow_path,
        on_failure=on_failure, wrapper=Wrapper(wrapped[0], "_array", wrapped[1]), wrap_by_default=True, name=name,
    )  # fmt: skip
    if all(type_ is not None for type_ in specialization.types) and not program.state:
        specialization.entry = make_entry(point, native=native_entry)
    plain = EntryPoint(
        run=native.run, owner=native, signature=native.signature, contexts=point.contexts, slow_path=_refuse,
        on_failure=on_failure, name=name,
    )  # fmt: skip
    specialization.checked = PythonEntry(plain)


def _refuse(*arguments: Any, **keywords: Any) -> Any:
    raise OptcError(f"the specialisation was chosen for arguments it does not take: {arguments}")
