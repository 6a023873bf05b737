"""Modules of PyTorch as optc's: their code goes through an archive in memory, their tensors stay where they are.

Parameters and buffers share their memory with the torch module's, so nothing is held twice, and what a program writes
into its buffers is seen on both sides. Tensors that torch keeps elsewhere (constants in code, sparse ones) are copied.
"""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from optc.archive.reader import ModuleArchive
from optc.archive.zip_reader import MappedFile, ZipReader
from optc.archive.zip_writer import ZipWriter
from optc.eager.dispatch import wrap
from optc.eager.tensor import Tensor
from optc.interop.torch import from_torch, quiet_torch
from optc.ir.function import Function, ScriptObject


def method_name(program: Any) -> str:
    """The method of a torch module that is meant: a method's own name, and forward for modules and functions."""
    return str(program.name) if isinstance(program, torch._C.ScriptMethod) else "forward"


def module_of(module: Any, example_inputs: Any) -> ScriptObject:
    """A torch module, function or method: scripted ones as they are, others traced (or scripted without inputs).

    What torch.compile made stands for what it was made of. Raises TypeError for what is none of these, and what torch
    raises for modules it cannot capture or save.
    """
    module = getattr(module, "_orig_mod", getattr(module, "_torchdynamo_orig_callable", module))
    _check_program(module)
    buffer = io.BytesIO()
    with quiet_torch():
        scripted = module
        if isinstance(module, torch._C.ScriptMethod):
            scripted = torch.jit._recursive.wrap_cpp_module(module.owner)
        elif not isinstance(module, torch.jit.ScriptModule | torch.jit.ScriptFunction):
            scripted = _script(module) if example_inputs is None else _trace(module, example_inputs)
        torch.jit.save(scripted, buffer)
    name = f"<{type(module).__name__}>"
    archive = ModuleArchive(MappedFile(name, buffer.getbuffer()))
    result = archive.module()
    owned = _Owned()
    written = archive.code.written
    written.constants = tuple(owned.value(constant, None) for constant in written.constants)
    archive.code.archive = _code_of(archive.archive, name)
    owned.object(result, getattr(scripted, "_c", None))  # functions have no attributes
    if isinstance(scripted, torch.jit.ScriptFunction):
        _give_defaults(result.type.methods["forward"], scripted.schema)
    return result


def _check_program(module: Any) -> None:
    """Raise TypeError for an object of torch that is neither module nor function."""
    if isinstance(module, torch.export.ExportedProgram):
        raise TypeError(
            "optc.compile takes torch modules, not an ExportedProgram: give it program.module() and example inputs"
        )
    if isinstance(module, torch.Tensor) or not callable(module):
        raise TypeError(
            f"optc.compile takes torch modules and functions, not a torch object of {type(module).__name__}"
        )


def _script(module: Any) -> Any:
    try:
        return torch.jit.script(module)
    except Exception as error:
        error.add_note("PyTorch cannot script this; optc.compile(module, example_inputs) traces it instead.")
        raise


def _give_defaults(forward: Function, schema: Any) -> None:
    """A function is saved as the method of a module, and the defaults of its arguments are not."""
    defaults = {each.name: each.default_value for each in schema.arguments if each.has_default_value()}
    arguments = (
        replace(each, default=_plain(defaults[each.name]), has_default=True) if each.name in defaults else each
        for each in forward.schema.arguments
    )
    forward.schema = replace(forward.schema, arguments=tuple(arguments))


def _plain(value: Any) -> Any:
    """A default value as optc's own."""
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value))
    return from_torch(value) if type(value).__module__.partition(".")[0] == "torch" else value


def _code_of(archive: ZipReader, name: str) -> ZipReader:
    """The code of an archive alone: it is read when it is needed, long after the storages are not."""
    buffer = io.BytesIO()
    writer = ZipWriter(buffer)
    for entry in archive.names:
        if "/code/" in entry:
            writer.add(entry, archive.read(entry))
    writer.close()
    return ZipReader(MappedFile(name, buffer.getbuffer()))


def _trace(module: Any, example_inputs: Any) -> Any:
    """A trace of which lists and dictionaries may be results: as long as they are in this one."""
    trace: Any = torch.jit.trace
    return trace(module, example_inputs, check_trace=False, strict=False)


class _Owned:
    """Replaces tensors that lie in an archive by those of a torch module, or by copies where it has no such tensor."""

    def __init__(self) -> None:
        self._done: dict[int, Any] = {}
        self._kept: list[Any] = []

    def object(self, target: ScriptObject, theirs: Any) -> None:
        """The attributes of an object, from the one in torch that it was saved from (None: there is none)."""
        if id(target) in self._done:
            return
        self._done[id(target)] = target
        # An object that restores itself may have made of its state what it liked.
        is_opaque = target.type.is_native or "__setstate__" in target.type.methods
        restored = is_opaque or not hasattr(theirs, "getattr")
        for name, value in target.values.items():
            target.values[name] = self.value(value, None if restored else theirs.getattr(name))

    def value(self, value: Any, theirs: Any) -> Any:
        """The same value over other memory; containers and objects are changed in place."""
        if isinstance(value, ScriptObject):
            self.object(value, theirs)
        elif isinstance(value, list) and id(value) not in self._done:
            self._done[id(value)] = value
            found = theirs if isinstance(theirs, list) and len(theirs) == len(value) else [None] * len(value)
            value[:] = map(self.value, value, found)
        elif isinstance(value, dict) and id(value) not in self._done:
            self._done[id(value)] = value
            known = theirs if isinstance(theirs, dict) else {}
            value.update({key: self.value(item, known.get(key)) for key, item in value.items()})
        elif isinstance(value, tuple):
            parts = theirs if isinstance(theirs, tuple) and len(theirs) == len(value) else (None,) * len(value)
            items = list(map(self.value, value, parts))
            return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
        elif isinstance(value, Tensor):
            return self._tensor(value, theirs)
        elif isinstance(value, np.ndarray):  # in the state of an object whose class is written in C++
            return value.copy()
        return value

    def _tensor(self, value: Tensor, theirs: Any) -> Tensor:
        found = self._done.get(id(value))
        if found is None:
            self._kept.append(value)  # its address stands for it
            found = self._done[id(value)] = wrap(_array_of(value, theirs), value._gradient)
        return found  # type: ignore[no-any-return]


def _array_of(value: Tensor, theirs: Any) -> np.ndarray[Any, Any]:
    """The memory of torch's tensor where it is the same one, a copy of ours elsewhere."""
    try:
        shared: np.ndarray[Any, Any] = from_torch(theirs)._array
    except (TypeError, RuntimeError):  # no tensor, none on the CPU, or one whose memory means something else
        return value._array.copy()
    same = shared.shape == value._array.shape and shared.dtype == value._array.dtype
    return shared if same else value._array.copy()
