"""`optc.compile`: from a module, function, archive or traced program to native code."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from optc.ir.function import Function, ScriptObject
from optc.jit import api
from optc.jit.module import ObjectModule, RecursiveScriptModule, ScriptFunction, ScriptMethod
from optc.jit.torch_objects import is_torch
from optc.jit.tracing import trace
from optc.nn.modules.module import Module
from optc.runtime import shared_code
from optc.runtime.collector import collector_paused
from optc.runtime.compiled import CompiledFunction, make_compiled
from optc.runtime.shapes import Dynamic
from optc.runtime.values import kind_of

FALLBACKS = ("warn", "error", "allow")
MODES = (None, "default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")


def compile(
    module: Any = None,
    example_inputs: Any = None,
    *,
    dynamic: Dynamic = None,
    threads: int | None = None,
    fallback: str = "warn",
    cache: bool = True,
    fullgraph: bool = False,
    mode: str | None = None,
) -> Any:
    """See `optc.compile`, which is this function for those who have not loaded the compiler yet."""
    _check_options(dynamic, threads, fallback, cache)
    _check_options_of_torch(fullgraph, mode)
    options = {
        "dynamic": dynamic,
        "fallback": "error" if fullgraph else fallback,
        "cache": cache,
        "threads": threads or 0,
    }
    if module is None:
        return _decorator(example_inputs, options)
    return _compile(module, example_inputs, options)


def _check_options(dynamic: Any, threads: Any, fallback: Any, cache: Any) -> None:
    if fallback not in FALLBACKS:
        raise ValueError(f"fallback must be one of {', '.join(FALLBACKS)}, not {fallback!r}")
    if not isinstance(cache, bool):
        raise TypeError(f"cache must be True or False, not {cache!r}")
    if not isinstance(threads, int | None):
        raise TypeError(f"threads must be a number, not {threads!r}")
    if threads is not None and threads < 1:
        raise ValueError(f"a call needs at least one thread, not threads={threads}")
    if not isinstance(dynamic, bool | Mapping | None):
        raise TypeError(f"dynamic must be True, False, None or {{argument number: dimensions}}, not {dynamic!r}")


def _check_options_of_torch(fullgraph: Any, mode: Any) -> None:
    if not isinstance(fullgraph, bool):
        raise TypeError(f"fullgraph must be True or False, not {fullgraph!r}")
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(map(str, MODES))}, not {mode!r}")


def _check_dynamic(dynamic: Mapping[Any, Any], function: Function, receiver: ScriptObject | None) -> None:
    """A mapping must mean arguments that there are; their dimensions are checked when they are known."""
    count = len(function.schema.arguments) - (receiver is not None)
    for argument, dimensions in dynamic.items():
        if argument not in range(count):
            raise ValueError(f"dynamic names argument {argument!r} of {count}: arguments are numbered from 0")
        if isinstance(dimensions, int) or not all(isinstance(each, int) and each >= 0 for each in dimensions):
            raise ValueError(f"dynamic must name dimensions of argument {argument} as in [0, 1], not {dimensions!r}")


def _decorator(example_inputs: Any, options: dict[str, Any]) -> Callable[[Any], CompiledFunction]:
    def decorate(module: Any) -> CompiledFunction:
        return _compile(module, example_inputs, options)

    return decorate


def _compile(module: Any, example_inputs: Any, options: dict[str, Any]) -> CompiledFunction:
    inputs = example_inputs if isinstance(example_inputs, tuple | list | None) else (example_inputs,)
    shared_code.begin()
    with collector_paused():
        function, receiver, name = capture(module, inputs)
        if isinstance(options["dynamic"], Mapping):
            _check_dynamic(options["dynamic"], function, receiver)
        default_kind = "torch" if is_of_torch(module, inputs) else "optc"
        options = {**options, "default_kind": default_kind}
        compiled = make_compiled(function, receiver, name=name, **options)
        if inspect.isroutine(module):
            compiled.__doc__, compiled.__wrapped__ = module.__doc__, module
        elif receiver is not None and not isinstance(module, ScriptMethod):
            compiled._member = _members(module, receiver, options)
        if inputs is not None:
            compiled.prepare(*inputs)
    return compiled


def _members(module: Any, receiver: ScriptObject, options: dict[str, Any]) -> Callable[[str], Any]:
    """What a compiled module has besides `forward`, by name: its other methods, compiled, and its attributes."""
    captured = RecursiveScriptModule(receiver)
    shown = captured if isinstance(module, str | os.PathLike) else module
    if isinstance(options["dynamic"], Mapping):  # arguments of forward
        options = {**options, "dynamic": None}

    def member(name: str) -> Any:
        if name not in receiver.type.methods:
            return getattr(shown, name)
        method: ScriptMethod = getattr(captured, name)
        return make_compiled(method._function, method.owner, name=method.name, **options)

    return member


def capture(module: Any, example_inputs: Any = None) -> tuple[Function, ScriptObject | None, str]:
    """The captured function of a program, the object it is a method of, and a name to show.

    Raises TypeError for what cannot be compiled.
    """
    if isinstance(module, str | os.PathLike):
        return capture(api.load(module))
    if is_of_torch(module, example_inputs):
        from optc.interop.torch_modules import method_name, module_of

        captured = RecursiveScriptModule(module_of(module, example_inputs))
        name = method_name(module)
        return capture(captured if name == "forward" else getattr(captured, name))
    if isinstance(module, ScriptFunction):
        return module._function, None, module.name
    if isinstance(module, ScriptMethod):
        return module._function, module.owner, module.name
    if isinstance(module, ObjectModule):
        target = module._c
        methods = target.type.methods
        forward = methods.get("forward") or methods.get("forward__0")  # the first of its overloads
        if forward is None:
            known = ", ".join(methods) or "none"
            raise TypeError(f"{module.original_name} has no method forward to compile (its methods: {known})")
        if target.type.is_hooked:
            from optc.jit.frontend.hooks import function_with_hooks  # brings the whole frontend

            forward = function_with_hooks(forward, target.type)
        return forward, target, module.original_name
    if isinstance(module, type):
        name = module.__name__
        raise TypeError(
            f"optc.compile takes a module or a function, not a class: make a module of it ({name}(...)) first"
        )
    if isinstance(module, Module) or hasattr(module, "__name__"):
        captured = scripted(module) if example_inputs is None else traced(module, example_inputs)
        return capture(captured)
    hint = ": call it in a function written with def" if callable(module) else ""
    kind = type(module).__name__
    raise TypeError(f"optc.compile takes a module, a function or the path of an archive, not {kind}{hint}")


def traced(program: Any, example_inputs: Any) -> Any:
    """A module or function, traced. Its results may be lists and dictionaries: as long as they are with these inputs."""
    return trace(program, example_inputs, check_trace=False, strict=False)


def scripted(program: Any) -> Any:
    """A module, function, or method of a module, scripted. Raises TypeError for what has no source to script."""
    name = getattr(program, "__name__", "")
    if name == "<lambda>":
        raise TypeError("a lambda cannot be scripted: write a function with def, or give example_inputs to trace it")
    owner = getattr(program, "__self__", None)
    if not inspect.ismethod(program) or not isinstance(owner, Module):
        return api.script(program)
    method = getattr(api.script(owner), name, None)
    if not isinstance(method, ScriptMethod):
        raise TypeError(f"{type(owner).__name__}.{name} is not scripted with its module: mark it with torch.jit.export")
    return method


def is_of_torch(program: Any, example_inputs: Any) -> bool:
    """True for torch's modules and functions, and for functions that call torch or are to be traced with its tensors."""
    if is_torch(program):
        return True
    if isinstance(program, ObjectModule | ScriptFunction | ScriptMethod | Module) or not callable(program):
        return False
    if example_inputs is not None:
        return kind_of(example_inputs, {}) == "torch"
    function = inspect.unwrap(getattr(program, "__func__", program))
    code = getattr(function, "__code__", None)
    if code is None:
        return False
    names = inspect.getclosurevars(function)
    return any(_is_torchs(value) for value in (*names.globals.values(), *names.nonlocals.values()))


def _is_torchs(value: Any) -> bool:
    """True for the module torch, its parts, and what they define."""
    name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
    return str(name).partition(".")[0] == "torch"
