"""Calls compiled functions from Python: binds the arguments, runs the interpreter, and tells a trace that is under way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from optc import interpreter
from optc.eager import dispatch
from optc.ir.function import Function, ScriptObject
from optc.jit.arguments import bind_arguments
from optc.jit.trace_state import TraceState


def call_function(
    function: Function, receiver: ScriptObject | None, arguments: Sequence[Any], keywords: Mapping[str, Any]
) -> Any:
    """Run a function, or a method of `receiver`. The result may hold ScriptObjects: the caller wraps them.

    Raises RuntimeError for arguments that do not fit, ExecutionError for what fails while it runs. During a trace the
    call becomes one node: control flow inside the callee is kept.
    """
    if function.python_function is not None:
        return function.python_function(*arguments, **keywords)
    bound = bind_arguments(function.schema, arguments, keywords, receiver)
    recorder = dispatch.current_recorder()
    if not isinstance(recorder, TraceState):
        return interpreter.run(function, bound)
    value = recorder.record_call(function, receiver, bound if receiver is None else bound[1:])
    dispatch.set_recorder(None)
    try:
        result = interpreter.run(function, bound)
    finally:
        dispatch.set_recorder(recorder)
    recorder.set_value(result, value)
    return result
