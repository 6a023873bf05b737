"""`optc.jit`: PyTorch's `torch.jit`, without PyTorch. Trace, script, save, load, freeze."""

from __future__ import annotations

from typing import Any, Final

from optc.errors import ExecutionError, TracerWarning
from optc.jit.api import (
    CompilationUnit,
    freeze,
    load,
    optimize_for_inference,
    run_frozen_optimizations,
    save,
    script,
    script_if_tracing,
)
from optc.jit.markers import (
    Attribute,
    Future,
    annotate,
    export,
    fork,
    ignore,
    interface,
    is_scripting,
    isinstance,
    overload,
    overload_method,
    unused,
    unwrap_optional,
    wait,
)
from optc.jit.module import RecursiveScriptClass, RecursiveScriptModule, ScriptFunction, ScriptMethod, ScriptModule
from optc.jit.trace_check import TracingCheckError
from optc.jit.traced_module import TopLevelTracedModule, TracedModule
from optc.jit.tracing import is_tracing, trace, trace_module

Error = ExecutionError
script_method = export
_overload = overload
_overload_method = overload_method
_fork = fork
_wait = wait
_unwrap_optional = unwrap_optional
_isinstance = isinstance

__all__ = [
    "Attribute",
    "CompilationUnit",
    "Error",
    "Final",
    "Future",
    "RecursiveScriptClass",
    "RecursiveScriptModule",
    "ScriptFunction",
    "ScriptMethod",
    "ScriptModule",
    "TopLevelTracedModule",
    "TracedModule",
    "TracerWarning",
    "TracingCheckError",
    "annotate",
    "export",
    "fork",
    "freeze",
    "ignore",
    "interface",
    "is_scripting",
    "is_tracing",
    "isinstance",
    "load",
    "optimize_for_inference",
    "optimized_execution",
    "overload",
    "overload_method",
    "run_frozen_optimizations",
    "save",
    "script",
    "script_if_tracing",
    "script_method",
    "set_fusion_strategy",
    "strict_fusion",
    "trace",
    "trace_module",
    "unused",
    "wait",
]


class _Nothing:
    """A context manager that does nothing: what it asks for is how optc always works."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


def optimized_execution(should_optimize: bool) -> _Nothing:
    """Exists for programs that use it: the interpreter never optimises, `optc.compile` always does."""
    return _Nothing()


class strict_fusion(_Nothing):
    """Exists for programs that use it: `optc.compile` reports what it could not fuse in `.kernels`."""


def set_fusion_strategy(strategy: Any) -> list[tuple[str, int]]:
    """Exists for programs that use it: specialisation is an argument of `optc.compile`."""
    return [("STATIC", 2), ("DYNAMIC", 10)]
