"""LLVM through llvmlite: the only file that imports it.

Threads compile side by side: each takes a *seat*, with machines of its own, and works in a context of its own, which is
what LLVM asks of threads. llvmlite locks every call; the two that take nearly all of the time are made without its lock.
"""

import ctypes
import itertools
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Any

from llvmlite import binding

from optc.codegen.machine.effort import Effort
from optc.codegen.machine.host import Target
from optc.errors import InvalidIR

SEATS = 8
"""How many threads compile at the same time at most."""

_seats = [threading.RLock() for _ in range(SEATS)]
_lock = threading.RLock()
"""Keeps calls of the linker together, and those that set LLVM up."""
if hasattr(os, "register_at_fork"):
    # A fork waits until no thread is inside LLVM, which could not be used again in the child otherwise.
    for _one in (*_seats, _lock):
        os.register_at_fork(before=_one.acquire, after_in_parent=_one.release, after_in_child=_one.release)
_library_numbers = itertools.count()


@contextmanager
def _seat() -> Iterator[int]:
    """The number of a seat that nobody else has. Waits for the first one when all are taken."""
    number = next((number for number, lock in enumerate(_seats) if lock.acquire(blocking=False)), None)
    if number is None:
        number = 0
        _seats[0].acquire()
    try:
        yield number
    finally:
        _seats[number].release()


@cache
def _unlocked(name: str) -> Callable[..., Any]:
    """A function of llvmlite's library, without the lock around it."""
    function: Callable[..., Any] = getattr(binding.ffi.lib, name)
    return getattr(function, "_cfn", function)


# Target machines -------------------------------------------------------------------------------------------------


@cache
def _initialize() -> None:
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()


@cache
def _initialize_foreign() -> None:
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()


@cache
def _machine(target: Target, seat: int, level: int) -> binding.TargetMachine:
    """What a seat compiles for a target with, at one of LLVM's levels of code generation."""
    with _lock:
        _initialize()
        if _architecture(target.triple) != _architecture(binding.get_process_triple()):
            _initialize_foreign()
        backend = binding.Target.from_triple(target.triple)
        return backend.create_target_machine(
            cpu=target.cpu, features=target.features, opt=level, reloc="pic", codemodel="small"
        )


def _architecture(triple: str) -> str:
    return triple.partition("-")[0]


def host() -> tuple[Target, frozenset[str]]:
    """The processor this process runs on, as LLVM knows it, with the names of its features."""
    present = binding.get_host_cpu_features()
    flags = frozenset(name for name, there in present.items() if there)
    features = ",".join(f"{'+' if there else '-'}{name}" for name, there in sorted(present.items()))
    triple = binding.get_process_triple()
    return replace(Target.of_features(triple, binding.get_host_cpu_name(), flags), features=features), flags


# Compilation -----------------------------------------------------------------------------------------------------


@contextmanager
def optimized_module(text: str, target: Target, effort: Effort) -> Iterator[binding.ModuleRef]:
    """The parsed, verified and optimised module.  Raises: InvalidIR."""
    with _optimized(text, target, effort) as (module, _):
        yield module


@contextmanager
def _optimized(text: str, target: Target, effort: Effort) -> Iterator[tuple[binding.ModuleRef, binding.TargetMachine]]:
    """The module, and the machine that can emit it.

    LLVM's objects are closed here, in the right order: left to the garbage collector, a module that is part of a cycle
    (an exception's traceback is enough) may be destroyed after its context, which crashes.
    """
    with _seat() as seat, binding.create_context() as context, _parsed(text, context) as module:
        machine = _machine(target, seat, effort.level)
        module.triple = target.triple
        try:
            module.verify()
        except RuntimeError as error:
            raise InvalidIR(_explained(str(error), text)) from error
        _optimize(module, machine, effort.passes)
        yield module, machine


def _parsed(text: str, context: binding.ContextRef) -> binding.ModuleRef:
    try:
        return binding.parse_assembly(text, context)
    except RuntimeError as error:
        raise InvalidIR(_explained(str(error), text)) from error


def _explained(message: str, text: str) -> str:
    """LLVM's message, with the lines of the text that it talks about."""
    match = re.search(r"<string>:(\d+):(\d+)", message) or re.search(r":(\d+):(\d+): error", message)
    if match is None:
        return f"LLVM refuses the module: {message.strip()}\n{_quoted_instruction(message, text)}"
    line = int(match[1])
    lines = text.splitlines()
    shown = "\n".join(
        f"{number:5} | {lines[number - 1]}" for number in range(max(1, line - 2), min(len(lines), line + 2) + 1)
    )
    return f"LLVM refuses line {line}: {message.strip()}\n{shown}"


def _quoted_instruction(message: str, text: str) -> str:
    """The verifier quotes instructions instead of giving positions: find the first one in the text."""
    names = re.findall(r"(%[\w.]+) =", message)
    lines = text.splitlines()
    return "\n".join(
        f"{number:5} | {line}"
        for number, line in enumerate(lines, 1)
        if any(line.lstrip().startswith(f"{name} =") for name in names)
    )


def _optimize(module: binding.ModuleRef, machine: binding.TargetMachine, pipeline: Sequence[str]) -> None:
    with (
        binding.create_pipeline_tuning_options(speed_level=2) as options,
        binding.create_pass_builder(machine, options) as builder,  # one run each: they keep what observed the last one
        binding.create_new_module_pass_manager() as passes,
    ):
        add = {
            "always-inliner": passes.add_always_inliner_pass,
            "sroa": passes.add_sroa_pass,
            "instcombine": passes.add_instruction_combine_pass,
            "simplifycfg": passes.add_simplify_cfg_pass,
            "gvn": passes.add_new_gvn_pass,
            "dce": passes.add_dead_code_elimination_pass,
        }
        for name in pipeline:
            add[name]()
        _unlocked("LLVMPY_RunNewModulePassManager")(passes, module, builder)


def emit_object(text: str, target: Target, effort: Effort) -> bytes:
    """The relocatable object of a module's text.  Raises: InvalidIR when LLVM refuses the text."""
    with _optimized(text, target, effort) as (module, machine), binding.ffi.OutputString() as message:
        buffer = _unlocked("LLVMPY_TargetMachineEmitToMemory")(machine, module, 1, message)
        if not buffer:
            raise InvalidIR(f"LLVM cannot compile the module: {message}")
        library = binding.ffi.lib
        try:
            return ctypes.string_at(library.LLVMPY_GetBufferStart(buffer), library.LLVMPY_GetBufferSize(buffer))
        finally:
            library.LLVMPY_DisposeMemoryBuffer(buffer)


def emit_assembly(text: str, target: Target, effort: Effort) -> str:
    """The assembly text of what `emit_object` encodes.  Raises: InvalidIR."""
    with _optimized(text, target, effort) as (module, machine):
        return str(machine.emit_assembly(module))


# Linking ---------------------------------------------------------------------------------------------------------


class LinkedObjects:
    """Code that LLVM's linker has loaded; the memory is given back when nobody refers to this any more."""

    def __init__(self, engine: binding.LLJIT, tracker: binding.ResourceTracker, name: str) -> None:
        # The order of attributes matters at interpreter exit: the code must go before its engine.
        self._tracker = tracker
        self._engine = engine
        self._name = name
        self._addresses: dict[str, int] = {}
        self._trackers: list[object] = []

    def address(self, symbol: str) -> int:
        """The address of a function or constant.  Raises: KeyError when no object defines it."""
        known = self._addresses.get(symbol)
        if known is not None:
            return known
        with _lock:
            try:
                found = self._engine.lookup(self._name, symbol)
            except RuntimeError as error:
                raise KeyError(f"no symbol {symbol!r}: {error}") from error
        self._trackers.append(found)
        return self._addresses.setdefault(symbol, int(found[symbol]))


@cache
def _engine() -> binding.LLJIT:
    # JITLink places code and data near each other, which the small code model needs.
    machine = binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name(), opt=2, reloc="pic", codemodel="small"
    )
    return binding.create_lljit_compiler(machine, use_jit_link=True, suppress_errors=True)


def link(objects: Sequence[bytes]) -> LinkedObjects:
    """Loads objects with LLVM's linker, which works for every format and machine.

    Raises: InvalidIR when a symbol is missing or defined twice.
    """
    with _lock:
        _initialize()
        builder = binding.JITLibraryBuilder()
        for item in objects:
            builder.add_object_img(item)
        builder.add_current_process()
        name = f"optc.{next(_library_numbers)}"
        try:
            return LinkedObjects(_engine(), builder.link(_engine(), name), name)
        except RuntimeError as error:
            raise InvalidIR(f"the objects do not link: {error}") from error
