"""From LLVM text to machine code: compiled once, kept on disk, loaded into the process.

`compile_module` turns text into a relocatable object, `link` loads objects into the process, `assembly` shows the
instructions. LLVM itself (`optc.codegen.machine.backend`) is only imported when something is in neither cache. Everything here
may be called from several threads.
"""

import atexit
import hashlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from optc.codegen.machine import loader
from optc.codegen.machine.elf import UnknownObject
from optc.codegen.machine.host import Target
from optc.codegen.machine.object_cache import ObjectCache, object_cache
from optc.dataclass import dataclass
from optc.locks import ForkLock
from optc.thread_count import get_num_threads
from optc.work_sharing import share_out

if TYPE_CHECKING:
    from optc.codegen.machine.effort import Effort

CODEGEN_VERSION = 2
"""Raised whenever equal text must not give an old object: a change of the pipeline or of the object format."""


@dataclass
class Counts:
    """What happened in this process: modules that LLVM compiled, objects and plans that the disk cache had."""

    compiled: int = 0
    from_cache: int = 0
    plans: int = 0

    def __str__(self) -> str:
        return f"{self.plans} plans and {self.from_cache} objects found, {self.compiled} objects compiled"


counts = Counts()


@cache
def _report_use(used: ObjectCache) -> None:
    """Have the disk cache know at exit what it was good for."""

    def report() -> None:
        used.note_use(f"{time.strftime('%Y-%m-%d %H:%M:%S')} by process {os.getpid()}: {counts}\n")

    atexit.register(report)


def disk_cache() -> ObjectCache | None:
    """The cache that the environment asks for; its use by this process will be noted."""
    used = object_cache()
    if used is not None:
        _report_use(used)
    return used


def _backend() -> ModuleType:
    from optc.codegen.machine import backend

    return backend


def _effort_for(text: str, target: Target) -> "Effort":
    from optc.codegen.machine.effort import effort_for  # programs from the cache do without

    return effort_for(text, target)


# The processor ---------------------------------------------------------------------------------------------------


@cache
def host_target() -> Target:
    """The processor this process runs on, with all its vector features."""
    known = _stored_host()
    if known is not None:
        return known
    found: tuple[Target, frozenset[str]] = _backend().host()
    target, names = found
    stored = disk_cache()
    if stored and processor():
        facts = target.triple, target.cpu, target.features, ",".join(sorted(names))
        stored.put(_host_key(), "\n".join(facts).encode())
    return target


def _host_key() -> str:
    return digest_of("host", toolchain(), processor())


def _stored_host() -> Target | None:
    """What the disk cache knows of this processor; without it LLVM has to be asked."""
    stored = disk_cache()
    known = stored.get(_host_key()) if stored and processor() else None
    if known is None:
        return None
    triple, cpu, features, flags = known.decode().split("\n")
    target = Target.of_features(triple, cpu, flags.split(","))
    return Target(triple, cpu, features, *astuple(target)[3:])


@cache
def processor() -> str:
    """What tells this processor from others without asking LLVM; empty where the system does not say."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            first = file.read(1 << 14).partition("\n\n")[0]
    except OSError:
        return ""
    wanted = ("vendor_id", "cpu family", "model", "stepping", "flags")
    lines = [line for line in first.splitlines() if line.partition(":")[0].strip() in wanted]
    return "\n".join([os.uname().machine, *lines]) if len(lines) == len(wanted) else ""


@cache
def toolchain() -> str:
    """Which llvmlite is installed, told without importing it."""
    spec = find_spec("llvmlite")
    folder = Path(next(iter(spec.submodule_search_locations or ()))) if spec else Path()
    files = sorted([folder / "_version.py", *(folder / "binding").glob("*llvmlite.*")])
    facts = [(file.name, stat.st_size, stat.st_mtime_ns) for file in files for stat in (file.stat(),)]
    return f"{sys.implementation.cache_tag} {facts}"


def sources() -> str:
    """Which version of optc is installed: names, sizes and times of all its files, so that edits count too."""
    with _reading_sources:  # two threads of the first compilation ask at once, and would both be slower for it
        return _sources()


_reading_sources = ForkLock()


@cache
def _sources() -> str:
    root = os.path.realpath(__file__)
    for _ in range(3):
        root = os.path.dirname(root)
    parts = [os.path.join(root, name) for name in ("optc", "passes", "codegen")]
    facts: list[tuple[str, int, int]] = []
    for folder in parts if os.path.isdir(parts[0]) else [root]:
        _add_python_files(folder, facts)
    return digest_of(repr(sorted(facts)))


def _add_python_files(folder: str, facts: list[tuple[str, int, int]]) -> None:
    """Name, size and time of those in a folder and, where they are no links, in the folders below it."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".py"):
                status = entry.stat()
                facts.append((entry.name, status.st_size, status.st_mtime_ns))
            elif entry.is_dir(follow_symlinks=False) and entry.name != "__pycache__":
                _add_python_files(entry.path, facts)


# Compilation -----------------------------------------------------------------------------------------------------


def compile_module(text: str, target: Target | None = None, *, cached: bool = True) -> bytes:
    """Compiles a module's text to a relocatable object for `target` (default: this machine).

    The object comes from the disk cache when the same text was compiled before, unless `cached` is False.
    Raises: InvalidIR when LLVM refuses the text.
    """
    aimed = target or host_target()
    return _remembered(object_key(text, aimed), lambda: _emit(text, aimed), cached)


def compile_modules(texts: Sequence[str], target: Target | None = None, *, cached: bool = True) -> list[bytes]:
    """The objects of several modules, as of `compile_module`; those that have to be compiled are so on as many threads
    as a call may use."""
    aimed = target or host_target()
    stored = disk_cache() if cached else None
    found: dict[str, bytes] = {}
    keys = {text: object_key(text, aimed) for text in texts} if stored else {}
    for text, key in keys.items():
        known = stored.get(key) if stored else None
        if known is not None:
            found[text] = known
    counts.from_cache += len(found)
    missing = sorted({*texts} - found.keys(), key=lambda text: (-len(text), text))  # the longest first
    for text, made in zip(missing, _emit_all(missing, aimed), strict=True):
        found[text] = made
        if stored:
            stored.put(keys[text], made)
    return [found[text] for text in texts]


def _emit_all(texts: Sequence[str], target: Target) -> list[bytes]:
    counts.compiled += len(texts)
    made: dict[int, bytes] = {}

    def emit(number: int) -> None:
        text = texts[number]
        made[number] = _backend().emit_object(text, target, _effort_for(text, target))

    share_out(emit, len(texts), get_num_threads())
    return [made[number] for number in range(len(texts))]


def compile_generated(
    name: str, write: Callable[[], tuple[str, Sequence[str]]], target: Target | None = None
) -> tuple[bytes, dict[str, int]]:
    """The object of a module that is the same for all programs, and the positions in a table of words that it uses.

    `write` gives the module's text and the words by name, in order; it must depend on nothing but optc's sources and
    the interpreter's layout. Where the disk cache has the object, nothing is written and no emitter is imported. Who
    asks while another thread is at it gets what that thread makes.
    """
    aimed = target or host_target()
    with _generating.setdefault(name, ForkLock()):
        known = _generated.get((name, aimed))
        if known is None:
            known = _generated[name, aimed] = _compile_generated(name, write, aimed)
        return known


def is_generated(name: str) -> bool:
    """True where `compile_generated` need not compile the module of that name for this machine."""
    if any(known == name for known, _ in list(_generated)):  # other threads add to it
        return True
    stored = disk_cache()
    return stored is not None and stored.has(_generated_key(name, host_target()))


_generating: dict[str, ForkLock] = {}
_generated: dict[tuple[str, Target], tuple[bytes, dict[str, int]]] = {}


def _compile_generated(
    name: str, write: Callable[[], tuple[str, Sequence[str]]], aimed: Target
) -> tuple[bytes, dict[str, int]]:
    key = _generated_key(name, aimed)
    stored = disk_cache()
    found = stored.get(key) if stored else None
    if found is not None:
        counts.from_cache += 1
        table, _, content = found.partition(b"\n")
        return content, {word: place for place, word in enumerate(table.decode().split())}
    text, words = write()
    positions = {word: place for place, word in enumerate(words)}
    compiled = compile_module(text, aimed)
    if stored:
        stored.put(key, " ".join(positions).encode() + b"\n" + compiled)
    return compiled, positions


def _generated_key(name: str, aimed: Target) -> str:
    layout = (sys.version, str(object.__basicsize__))
    return digest_of("generated", name, sources(), toolchain(), aimed.triple, aimed.cpu, aimed.features, *layout)


def _emit(text: str, target: Target) -> bytes:
    counts.compiled += 1
    compiled: bytes = _backend().emit_object(text, target, _effort_for(text, target))
    return compiled


def _remembered(key: str, make: Callable[[], bytes], cached: bool) -> bytes:
    """What the disk cache has under a key, else what `make` gives, which is stored."""
    stored = disk_cache() if cached else None
    found = stored.get(key) if stored else None
    if found is not None:
        counts.from_cache += 1
        return found
    made = make()
    if stored:
        stored.put(key, made)
    return made


def assembly(text: str, target: Target | None = None) -> str:
    """The assembly text that `compile_module` encodes.  Raises: InvalidIR."""
    aimed = target or host_target()
    shown: str = _backend().emit_assembly(text, aimed, _effort_for(text, aimed))
    return shown


def optimized(text: str, target: Target | None = None) -> str:
    """The module after LLVM's passes, as text.  Raises: InvalidIR."""
    aimed = target or host_target()
    with _backend().optimized_module(text, aimed, _effort_for(text, aimed)) as module:
        return str(module)


def object_key(text: str, target: Target) -> str:
    """Under which name the disk cache keeps the object of a module's text."""
    machine = (target.triple, target.cpu, target.features)
    effort = _effort_for(text, target)
    how = str(CODEGEN_VERSION), ",".join(effort.passes), str(effort.level)
    return digest_of("object", text, *how, toolchain(), *machine)


def digest_of(*parts: str) -> str:
    """A key for the disk cache: a digest in which no two lists of texts look alike."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


# Linking ---------------------------------------------------------------------------------------------------------


class Library:
    """Loaded code.  Addresses stay valid as long as the library is referenced; then the memory is given back."""

    def __init__(self, objects: Sequence[loader.LoadedObject]) -> None:
        self._objects = tuple(objects)

    def address(self, symbol: str) -> int:
        """The address of a function or constant.  Raises: KeyError when no object defines it."""
        for item in self._objects:
            if symbol in item.symbols:
                return item.symbols[symbol]
        raise KeyError(f"no symbol {symbol!r}")


class _ForeignLibrary(Library):
    """Code that LLVM's own linker has loaded."""

    def __init__(self, objects: Sequence[bytes]) -> None:
        super().__init__(())
        self._linked = _backend().link(objects)

    def address(self, symbol: str) -> int:
        found: int = self._linked.address(symbol)
        return found


def link(objects: Sequence[bytes]) -> Library:
    """Loads objects as one library: they see each other's symbols and the process's, not those of other libraries.

    An object that several libraries contain is in memory once. Raises: InvalidIR when a symbol is missing or defined
    twice.
    """
    if not loader.is_supported():
        return _ForeignLibrary(objects)
    try:
        return Library(loader.load(objects))
    except UnknownObject:
        return _ForeignLibrary(objects)
