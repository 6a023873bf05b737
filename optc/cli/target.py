"""TARGET: an archive, or `path/to/file.py:name`; what it stands for, captured and ready to run."""

from __future__ import annotations

import copy
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from optc import interpreter
from optc.compiler import capture
from optc.dataclass import dataclass
from optc.eager.seeding import manual_seed
from optc.errors import ArchiveError, OptcError
from optc.ir.function import Function, ScriptObject
from optc.jit.api import load
from optc.jit.arguments import bind_arguments
from optc.jit.module import ObjectModule, RecursiveScriptModule, ScriptFunction, ScriptMethod, to_python
from optc.nn.modules.module import Module
from optc.runtime.compiled import CompiledFunction, make_compiled


class UsageError(Exception):
    """Something the user typed, or a file the user named, is not right; the message is one line."""


@dataclass(frozen=True)
class Target:
    """A captured function, the object it is a method of, and the names to show."""

    function: Function
    receiver: ScriptObject | None
    name: str
    text: str

    @property
    def parameters(self) -> list[Any]:
        """The arguments it takes, without self."""
        arguments = list(self.function.schema.arguments)
        return arguments if self.receiver is None else arguments[1:]

    def compiled(self, dynamic: bool | None = None) -> CompiledFunction:
        """A compiled function that has not met any arguments yet; what it cannot compile shows in `fallbacks`."""
        return make_compiled(self.function, self.receiver, dynamic=dynamic, fallback="allow", name=self.name)

    def twin(self) -> Target:
        """The same program over a copy of its state, so that running one leaves the other alone."""
        if self.receiver is None:
            return self
        return replace(self, receiver=copy.deepcopy(RecursiveScriptModule(self.receiver))._c)

    def program(self) -> Any:
        """The program as a scripted module or function."""
        return ScriptFunction(self.function) if self.receiver is None else RecursiveScriptModule(self.receiver)

    def archive(self) -> bytes:
        """The program as a TorchScript archive."""
        written: bytes = self.program().save_to_buffer()
        return written

    def interpret(self, arguments: Sequence[Any]) -> Any:
        """Run the interpreter on the captured program; arguments that are left out have their defaults."""
        bound = bind_arguments(self.function.schema, arguments, {}, self.receiver)
        return to_python(interpreter.run(self.function, bound), self.function.result_type)


def one_line(error: BaseException) -> str:
    """What an error says, on one line: the last line that names it, and the place in the user's source."""
    if isinstance(error, OptcError):
        lines = [line for line in error.message.strip().splitlines() if line.strip()]
        is_traceback = bool(lines) and "Traceback of TorchScript" in error.message
        said = lines[-1] if is_traceback else (lines or [type(error).__name__])[0].rstrip(":")
        return f"{said} ({error.source})" if error.source is not None else said
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


@contextmanager
def usage_errors(what: str) -> Iterator[None]:
    """Turn what goes wrong in the user's own program or file into a UsageError that says where."""
    try:
        yield
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(f"{what}: {one_line(error)}") from error


def load_target(
    text: str, method: str = "", example_inputs: Sequence[Any] | None = None, is_for_show: bool = False
) -> Target:
    """Capture what TARGET names: scripted, or traced with `example_inputs` when they are given.

    `is_for_show`: nothing of it will run, so that an archive needs no method forward. Python files run with the random
    numbers seeded by 0. Raises UsageError.
    """
    program = load_program(text)
    opened = load_archive(program) if isinstance(program, str) else program
    if isinstance(opened, ObjectModule) and (method or is_for_show):
        return _method_of(opened, method, text)
    with usage_errors(f"cannot capture {text}"):
        function, receiver, name = captured(opened, example_inputs)
    if not method:
        return Target(function, receiver, name, text)
    if receiver is None:
        raise UsageError(f"{text} has no method {method!r} (it has: none)")
    return _method_of(RecursiveScriptModule(receiver), method, text)


def _method_of(module: ObjectModule, method: str, text: str) -> Target:
    """A module with one of its methods: forward, or the first one, where none is named. Raises UsageError."""
    methods, name = module._c.type.methods, module.original_name
    known = ", ".join(methods) or "none"
    if not methods or (method and method not in methods):
        raise UsageError(f"{text} has no method{f' {method!r}' if method else ''} (it has: {known})")
    chosen = method or ("forward" if "forward" in methods else next(iter(methods)))
    return Target(methods[chosen], module._c, f"{name}.{method}" if method else name, text)


def captured(program: Any, example_inputs: Sequence[Any] | None) -> tuple[Function, ScriptObject | None, str]:
    """The function of a program; a compiled one gives back what it was compiled from."""
    if isinstance(program, CompiledFunction):
        return program._function, program._receiver, program.__name__
    is_plain = not isinstance(program, str | ObjectModule | ScriptFunction | ScriptMethod)
    return capture(program, tuple(example_inputs) if is_plain and example_inputs is not None else None)


def load_program(text: str) -> Any:
    """The path of an archive, or the object that `path/to/file.py:name` names. Raises UsageError."""
    path, separator, name = text.rpartition(":")
    if separator and path.endswith(".py"):
        return load_object(Path(path), name)
    if text.endswith(".py"):
        raise UsageError(f"{text} is a Python file: say which object is meant, as in {text}:model")
    require_file(Path(text))
    return text


def require_file(path: Path) -> None:
    """Raises UsageError where there is no such file."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder, not a file")
    if not path.is_file():
        raise UsageError(f"there is no file {path}")


def load_archive(path: str) -> Any:
    """The module in an archive. Raises UsageError."""
    try:
        return load(path)
    except ArchiveError as error:  # it names the file itself
        raise UsageError(f"cannot load {one_line(error)}") from error


def load_object(path: Path, name: str) -> Any:
    """Run a Python file and take an object out of it. Raises UsageError."""
    require_file(path)
    module = run_file(path)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            names = [
                key for key, value in vars(module).items() if not key.startswith("_") and not inspect.ismodule(value)
            ]
            raise UsageError(f"{path} defines no {name!r} (it defines: {', '.join(names)})")
        found = getattr(found, part)
    return made(found, f"{path}:{name}")


def run_file(path: Path) -> ModuleType:
    """Execute a Python file as a module called like the file; its folder can be imported from."""
    sys.path.insert(0, str(path.resolve().parent))
    name = path.stem if path.stem not in sys.modules else f"{path.stem}_target"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} cannot be loaded as a Python file")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    manual_seed(0)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        place = f" (line {frames[-1].lineno})" if frames else ""
        raise UsageError(f"{path} cannot be run: {one_line(error)}{place}") from error
    return module


def made(found: Any, text: str) -> Any:
    """The program an object stands for: classes and functions without arguments are called."""
    if isinstance(found, type):
        needed = needed_arguments(found)
        if needed:
            raise UsageError(f"{text} needs arguments to be made ({', '.join(needed)}): name an instance")
        with usage_errors(f"cannot make {text}"):
            return found()
    if inspect.isfunction(found) and not inspect.signature(found).parameters:
        with usage_errors(f"cannot call {text}"):
            result = found()
        return result if is_program(result) else found
    if not is_program(found):
        raise UsageError(f"{text} is no module or function but of type {type(found).__name__}")
    return found


def needed_arguments(made_class: type) -> list[str]:
    """The names of the arguments without which a class cannot be made."""
    parameters = inspect.signature(made_class).parameters.values()
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [item.name for item in parameters if item.default is item.empty and item.kind not in variable]


def is_program(value: Any) -> bool:
    """True for what `optc.compile` takes."""
    return isinstance(value, Module | ScriptFunction | ScriptMethod | CompiledFunction) or (
        callable(value) and not isinstance(value, type)
    )
