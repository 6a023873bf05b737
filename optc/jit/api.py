"""The verbs of `optc.jit`: script, save, load, freeze and their kin. `trace` has a file of its own.

What they are made of is imported when it is needed: a program that is traced never loads the script frontend.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from typing import Any, BinaryIO

from optc.ir.function import Function, ScriptObject
from optc.jit import markers
from optc.jit.module import RecursiveScriptModule, ScriptFunction, ScriptModule
from optc.jit.torch_objects import is_torch, refuse_torch
from optc.jit.tracing import is_tracing
from optc.nn.modules.module import Module


def script(obj: Any, optimize: Any = None, example_inputs: Any = None) -> Any:
    """Compile a function, a module or a class from its Python source.

    A function gives a ScriptFunction, a module a ScriptModule that shares its tensors, a class comes back as it is and
    may be used in other compiled code. Raises ScriptError, quoting the line, for source the language does not have.
    """
    if isinstance(obj, ScriptModule | ScriptFunction):
        return obj
    refuse_torch(obj, "script")
    if isinstance(obj, Module):
        return _scripted_module(obj)
    from optc.jit.recursive import compile_class, compile_function

    if inspect.isclass(obj):
        if issubclass(obj, Module):
            raise RuntimeError(
                f"Type '{obj}' cannot be compiled since it inherits from nn.Module, consider passing an instance instead"
            )
        compile_class(obj)
        return obj
    if not callable(obj):
        raise RuntimeError(f"Could not get name of python class object: {obj!r}")  # noqa: TRY004
    return ScriptFunction(compile_function(obj))


def _scripted_module(module: Module) -> RecursiveScriptModule:
    from optc.jit.recursive import compile_module

    return RecursiveScriptModule(compile_module(module), _compiled_submodules(module))


def _compiled_submodules(module: Module) -> dict[str, Module]:
    """Submodules that are compiled already keep their wrappers: a traced one still prints as what it was."""
    return {name: child for name, child in module._modules.items() if isinstance(child, ScriptModule)}


def script_if_tracing(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Script `fn` where a trace calls it, so that its control flow is kept; elsewhere it is an ordinary function."""
    wrapper: Any = markers.script_if_tracing(fn)

    def call(*arguments: Any, **keywords: Any) -> Any:
        return script(fn)(*arguments, **keywords) if is_tracing() else fn(*arguments, **keywords)

    call.__dict__.update(wrapper.__dict__)
    call.__name__, call.__doc__, call.__wrapped__ = fn.__name__, fn.__doc__, fn  # type: ignore[attr-defined]
    return call


def save(m: Any, f: str | os.PathLike[str] | BinaryIO, _extra_files: dict[str, Any] | None = None) -> None:
    """Write a ScriptModule or ScriptFunction as a TorchScript archive, which PyTorch reads as well."""
    if not isinstance(m, ScriptModule | ScriptFunction):
        of_torch = " (of torch: torch.jit.save writes the same format)" if is_torch(m) else ""
        raise TypeError(
            f"optc.jit.save writes scripted and traced modules and functions, no {type(m).__name__}{of_torch}"
        )
    m.save(f, _extra_files)


def load(
    f: str | os.PathLike[str] | BinaryIO,
    map_location: Any = None,
    _extra_files: dict[str, Any] | None = None,
    _restore_shapes: bool = False,
) -> RecursiveScriptModule:
    """Read a TorchScript archive that optc or PyTorch wrote. Tensors are mapped from the file, all on the CPU.

    Code in the archive is parsed and interpreted, never executed as Python. Raises ArchiveError for damaged or hostile
    files and for what optc cannot read; FileNotFoundError is a ValueError, as in PyTorch; RuntimeError for another
    device than the CPU.
    """
    from optc.archive.locations import check_module_location

    check_module_location(map_location)
    if isinstance(f, str | os.PathLike):
        if not os.path.exists(f):
            raise ValueError(f"The provided filename {os.fspath(f)} does not exist")
        if os.path.isdir(f):
            raise ValueError(f"The provided filename {os.fspath(f)} is a directory")
    from optc.archive.reader import read_module  # the reader needs the script frontend, which needs this package

    return RecursiveScriptModule(read_module(f, _extra_files))


def freeze(mod: ScriptModule, preserved_attrs: list[str] | None = None, optimize_numerics: bool = True) -> ScriptModule:
    """A copy of a module in evaluation mode with submodules inlined and parameters turned into constants.

    What methods write, and shares memory with it, stays an attribute. `preserved_attrs`: methods and attributes to keep
    beside `forward`, those of submodules too (`"encoder.scale"`). `optimize_numerics`: whether rounding may change (see
    `run_frozen_optimizations`). Tensors that stay are shared with the module. Raises RuntimeError for a module in
    training mode, for one that is not scripted, and for a name that it does not have.
    """
    refuse_torch(mod, "freeze")
    if not isinstance(mod, ScriptModule):
        raise RuntimeError(  # noqa: TRY004
            "Freezing expects a ScriptModule as input. Please use torch.jit.script or torch.jit.trace to script your "
            "'nn.Module'."
        )
    target: ScriptObject = mod._c
    if target.values.get("training", False):
        raise RuntimeError(
            "Freezing is currently only implemented for modules in eval mode. Please call .eval() on your module before "
            "freezing."
        )
    from optc.jit.freezing import frozen_object  # needs the passes, which few programs load

    return RecursiveScriptModule(frozen_object(target, preserved_attrs or [], optimize_numerics))


def run_frozen_optimizations(
    mod: ScriptModule, optimize_numerics: bool = True, preserved_methods: list[str] | None = None
) -> None:
    """Simplify `forward` and the named methods of a frozen module in place.

    Constants are folded, equal expressions computed once, dropout and what nobody reads removed. With
    `optimize_numerics`, batch normalization and arithmetic with constants go into the weights of the convolutions that
    they follow, which changes rounding. The methods stay such as archives hold and PyTorch reads.
    """
    from optc.jit.freezing import simplify

    methods = mod._c.type.methods
    for name in ("forward", *(preserved_methods or [])):
        if name in methods:
            simplify(methods[name], optimize_numerics)


def optimize_for_inference(mod: ScriptModule, other_methods: list[str] | None = None) -> ScriptModule:
    """The frozen and simplified module. It can be saved; what suits one machine is what `optc.compile` does."""
    refuse_torch(mod, "optimize_for_inference")
    if not isinstance(mod, ScriptModule):
        raise RuntimeError(  # noqa: TRY004
            "optimize_for_inference expects a ScriptModule as input. Please use torch.jit.script or torch.jit.trace to "
            "script your 'nn.Module'."
        )
    if "training" in mod._c.type.attributes:
        return freeze(mod.eval(), other_methods)
    run_frozen_optimizations(mod, preserved_methods=other_methods)
    return mod


class CompilationUnit:
    """Functions compiled from text: `CompilationUnit("def f(x): ...").f(x)`."""

    def __init__(self, lang: str | None = None, _frames_up: int = 0) -> None:
        self._functions: dict[str, Function] = {}
        if lang is not None:
            self.define(lang)

    def define(self, lang: str, rcb: Any = None, _frames_up: int = 0) -> None:
        """Compile the functions of a text and add them."""
        from optc.jit.frontend.string_source import compile_text

        self._functions.update(compile_text(lang))

    def find_function(self, name: str) -> ScriptFunction | None:
        """The function of that name; None when there is none."""
        function = self._functions.get(name)
        return ScriptFunction(function) if function is not None else None

    def get_functions(self) -> list[ScriptFunction]:
        """All functions."""
        return [ScriptFunction(function) for function in self._functions.values()]

    def __getattr__(self, name: str) -> ScriptFunction:
        function = self.find_function(name) if name != "_functions" else None
        if function is None:
            raise AttributeError(f"'CompilationUnit' has no attribute '{name}'")
        return function
