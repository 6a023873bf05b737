"""From LLVM text to machine code: the only file that imports llvmlite.

`compile_module` turns text into a relocatable object, `link` loads objects into the process, `assembly` shows the
instructions.  Objects are kept on disk between processes.  Everything here may be called from several threads.

The pipeline is small on purpose: the emitter writes explicit vectors in SSA form, and the standard pipelines cost ten
times as much and unroll carefully sized loops into spills.
"""

import hashlib
import itertools
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache

import llvmlite
from llvmlite import binding

from optc.codegen.host import Target
from optc.codegen.object_cache import object_cache
from optc.errors import InvalidIR

CODEGEN_VERSION = 1
"""Raised whenever equal text must not give an old object: a change of the pipeline or of the object format."""

_PIPELINE = ("always-inliner", "sroa", "instcombine", "simplifycfg", "gvn", "instcombine", "simplifycfg", "dce")

# LLVM's C++ objects are not thread-safe; llvmlite locks single calls, this lock keeps sequences of calls together.
_lock = threading.RLock()
_library_numbers = itertools.count()


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
def _machine(target: Target) -> binding.TargetMachine:
    with _lock:
        _initialize()
        if _architecture(target.triple) != _architecture(binding.get_process_triple()):
            _initialize_foreign()
        backend = binding.Target.from_triple(target.triple)
        return backend.create_target_machine(
            cpu=target.cpu, features=target.features, opt=2, reloc="pic", codemodel="small"
        )


def _architecture(triple: str) -> str:
    return triple.partition("-")[0]


@cache
def host_target() -> Target:
    """The processor this process runs on, with all its vector features."""
    flags = {name for name, present in binding.get_host_cpu_features().items() if present}
    features = ",".join(
        f"{'+' if present else '-'}{name}" for name, present in sorted(binding.get_host_cpu_features().items())
    )
    triple = binding.get_process_triple()
    return replace(Target.of_features(triple, binding.get_host_cpu_name(), flags), features=features)


# Compilation -----------------------------------------------------------------------------------------------------


@contextmanager
def _optimized(text: str, target: Target) -> Iterator[binding.ModuleRef]:
    """The parsed, verified and optimised module.  Raises: InvalidIR.

    LLVM's objects are closed here, in the right order: left to the garbage collector, a module that is part of a cycle
    (an exception's traceback is enough) may be destroyed after its context, which crashes.
    """
    _initialize()
    with _lock, binding.create_context() as context, _parsed(text, context) as module:
        module.triple = target.triple
        try:
            module.verify()
        except RuntimeError as error:
            raise InvalidIR(_explained(str(error), text)) from error
        _optimize(module, _machine(target))
        yield module


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


def _optimize(module: binding.ModuleRef, machine: binding.TargetMachine) -> None:
    with (
        binding.create_pipeline_tuning_options(speed_level=2) as options,
        binding.create_pass_builder(machine, options) as builder,
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
        for name in _PIPELINE:
            add[name]()
        passes.run(module, builder)


def compile_module(text: str, target: Target | None = None, *, cached: bool = True) -> bytes:
    """Compiles a module's text to a relocatable object for `target` (default: this machine).

    The object comes from the disk cache when the same text was compiled before, unless `cached` is False.
    Raises: InvalidIR when LLVM refuses the text.
    """
    aimed = target or host_target()
    cache = object_cache() if cached else None
    key = _cache_key(text, aimed)
    found = cache.get(key) if cache else None
    if found is not None:
        return found
    with _optimized(text, aimed) as module:
        compiled = bytes(_machine(aimed).emit_object(module))
    if cache:
        cache.put(key, compiled)
    return compiled


def assembly(text: str, target: Target | None = None) -> str:
    """The assembly text that `compile_module` encodes.  Raises: InvalidIR."""
    aimed = target or host_target()
    with _optimized(text, aimed) as module:
        return str(_machine(aimed).emit_assembly(module))


def optimized(text: str, target: Target | None = None) -> str:
    """The module after LLVM's passes, as text.  Raises: InvalidIR."""
    with _optimized(text, target or host_target()) as module:
        return str(module)


def _cache_key(text: str, target: Target) -> str:
    parts = (
        text,
        str(CODEGEN_VERSION),
        llvmlite.__version__,
        str(binding.llvm_version_info),
        target.triple,
        target.cpu,
        target.features,
        ",".join(_PIPELINE),
    )
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


# Linking ---------------------------------------------------------------------------------------------------------


class Library:
    """Loaded code.  Addresses stay valid as long as the library is referenced; then the memory is given back."""

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
        cpu=host_target().cpu, opt=2, reloc="pic", codemodel="small"
    )
    return binding.create_lljit_compiler(machine, use_jit_link=True, suppress_errors=True)


def link(objects: Sequence[bytes]) -> Library:
    """Loads objects as one library: they see each other's symbols and the process's, not those of other libraries.

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
            return Library(_engine(), builder.link(_engine(), name), name)
        except RuntimeError as error:
            raise InvalidIR(f"the objects do not link: {error}") from error
