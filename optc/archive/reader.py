"""Reads TorchScript archives: the module they hold becomes a ScriptObject over memory mapped from the file."""

from __future__ import annotations

import os
from enum import Enum
from functools import partial
from typing import Any, BinaryIO

from optc import config, interpreter
from optc.archive.code_reader import ArchiveCode
from optc.archive.other_files import describe
from optc.archive.pickle_reader import Callee, PickleError, PickleReader
from optc.archive.state_dict import folder_of
from optc.archive.storages import (
    Storages,
    quantization_scheme,
    rebuild_quantized_tensor,
    rebuild_tensor,
    storage_class,
    why_refused,
)
from optc.archive.value_types import Fitting
from optc.archive.zip_reader import MappedFile, Source, ZipReader
from optc.eager.base import TensorBase
from optc.eager.budget import Budget, limited
from optc.errors import ExecutionError
from optc.ir.function import ClassType, Function, ScriptObject
from optc.ir.types import FLOAT, NONE, EnumType, OptionalType
from optc.jit.frontend.enumerations import enum_class

OLDEST_VERSION, NEWEST_VERSION = 1, 10
_DEEPEST_TREE, _MOST_MODULES = 200, 100_000
_EFFORT_PER_BYTE = 8
"""Bytes that code may go through at load, in relation to the archive's size."""


class ModuleArchive:
    """An open archive: `module()` gives the object it holds, `extra_files` what was stored beside it.

    Raises ArchiveError for a file that is none.
    """

    def __init__(self, source: Source | MappedFile) -> None:
        self.archive = ZipReader(source)
        self.folder = folder_of(self.archive)
        if not any(name.startswith(f"{self.folder}code/") for name in self.archive.names):
            raise self.archive.fail("", describe(self.archive.names, self.folder))
        self.version = self._version()
        self.code = ArchiveCode(self.archive, self.folder, self.version)
        self.budget = Budget(max(config.RESTORE_EFFORT() << 20, _EFFORT_PER_BYTE * self.archive.size))

    def module(self) -> ScriptObject:
        """The module. Raises ArchiveError for everything that is wrong with the archive."""
        self.code.check_syntax()
        self.code.written.constants = self._constants()
        root = self._unpickled("data.pkl", "data/")
        if not isinstance(root, ScriptObject):
            raise self.archive.fail(f"{self.folder}data.pkl", "the archive holds no module")
        self._check_tree(root)
        return root

    def _check_tree(self, root: ScriptObject) -> None:
        """Raise ArchiveError for a module that is its own submodule, and for more submodules than could be walked."""
        count = 0
        waiting = [(root, 1)]
        while waiting:
            module, depth = waiting.pop()
            count += 1
            if depth > _DEEPEST_TREE or count > _MOST_MODULES:
                raise self.archive.fail(f"{self.folder}data.pkl", "the submodules are nested without end")
            children = (value for value in module.values.values() if isinstance(value, ScriptObject))
            waiting.extend((child, depth + 1) for child in children)

    def extra_files(self, wanted: dict[str, Any]) -> None:
        """Make the values of `wanted` what is in the files of these names; nothing (`b""`) where there is none."""
        for name in wanted:
            entry = f"{self.folder}extra/{name}"
            wanted[name] = bytes(self.archive.read(entry)) if entry in self.archive.entries else b""

    def _version(self) -> int:
        for name in ("version", ".data/version"):
            entry = f"{self.folder}{name}"
            if entry in self.archive.entries:
                return self._checked_version(entry, bytes(self.archive.read(entry)))
        raise self.archive.fail(f"{self.folder}version", "the entry is missing")

    def _checked_version(self, entry: str, data: bytes) -> int:
        text = data.decode("ascii", "replace").strip()
        if not text.isdigit() or len(text) > 4:
            raise self.archive.fail(entry, f"{text[:20]!r} is no version number")
        version = int(text)
        if not OLDEST_VERSION <= version <= NEWEST_VERSION:
            raise self.archive.fail(
                entry, f"version {version} is not supported, only {OLDEST_VERSION} to {NEWEST_VERSION}"
            )
        return version

    def _constants(self) -> tuple[Any, ...]:
        constants = self._unpickled("constants.pkl", "constants/")
        if not isinstance(constants, tuple):
            raise self.archive.fail(f"{self.folder}constants.pkl", "the constants are no tuple")
        return constants

    def _unpickled(self, name: str, storages: str) -> Any:
        entry = f"{self.folder}{name}"
        names = ModuleGlobals(self.code, Storages(self.archive, self.folder, storages), self.budget)
        try:
            value = PickleReader(self.archive.read(entry), names).read()
            names.check_objects()
        except PickleError as error:
            raise self.archive.fail(entry, str(error)) from error
        except RecursionError as error:
            raise self.archive.fail(entry, "the data is nested too deeply") from error
        return value


class ModuleGlobals:
    """The names that a module's data may use: tensors, typed containers, and the classes of the archive's own code."""

    def __init__(self, code: ArchiveCode, storages: Storages, budget: Budget) -> None:
        self._code = code
        self._budget = budget
        self._storages = storages
        self._fitting = Fitting()
        self._objects: list[ScriptObject] = []
        self._known = {
            ("torch._utils", "_rebuild_tensor_v2"): Callee("_rebuild_tensor_v2", rebuild_tensor),
            ("torch._utils", "_rebuild_qtensor"): Callee("_rebuild_qtensor", rebuild_quantized_tensor),
            ("collections", "OrderedDict"): Callee("OrderedDict", _empty),
            ("builtins", "complex"): Callee("complex", complex),
            ("torch", "device"): Callee("device", _device),
            **{
                ("torch.jit._pickle", name): Callee(name, _typed_container)
                for name in (
                    "build_intlist", "build_doublelist", "build_boollist", "build_tensorlist", "restore_type_tag",
                )
            },
        }  # fmt: skip

    def find(self, module: str, name: str) -> Any:
        """The meaning of a name. Raises PickleError for all that are not expected."""
        found = self._known.get((module, name))
        if found is None and module == "torch":
            found = storage_class(name) or quantization_scheme(name)
        if found is not None:
            return found
        if module.partition(".")[0] != "__torch__":
            raise PickleError(why_refused(module, name) or f"{module}.{name} is not allowed in an archive")
        type_ = self._code.type(f"{module}.{name}")
        if isinstance(type_, EnumType):
            return Callee(type_.name, partial(_member, type_), takes_value=True)
        if not isinstance(type_, ClassType):
            raise PickleError(f"{module}.{name} is not defined in the archive's code")
        return type_

    def persistent(self, identity: Any) -> Any:
        """The storage of a tensor."""
        return self._storages.find(identity)

    def create(self, class_: Any, arguments: tuple[Any, ...]) -> Any:
        """An object without attributes."""
        if not isinstance(class_, ClassType) or arguments:
            raise PickleError(f"{class_!r} cannot be created")
        self._objects.append(ScriptObject(class_))
        return self._objects[-1]

    def set_state(self, target: Any, state: Any) -> Any:
        """Fill an object: from a dictionary, or by its own `__setstate__`."""
        if not isinstance(target, ScriptObject):
            raise PickleError("only objects have state")
        restore = target.type.methods.get("__setstate__")
        if target.type.is_native:
            target.values["state"] = _arrays_of(state)
        elif restore is not None:
            self._restore(target, restore, state)
        elif isinstance(state, dict):
            self._fill(target, state)
        else:
            raise PickleError(f"the state of {target.type.name} is no dictionary")
        return target

    def _restore(self, target: ScriptObject, restore: Function, state: Any) -> None:
        name = target.type.name
        arguments = restore.schema.arguments
        if len(arguments) != 2 or not self._fitting.fits(state, arguments[1].type):
            raise PickleError(f"the state of {name} is not what its __setstate__ takes")
        try:
            with limited(self._budget):
                interpreter.run(restore, [target, state])
        except ExecutionError as error:
            raise PickleError(f"{name}.__setstate__ failed: {error}") from error

    def _fill(self, target: ScriptObject, state: dict[Any, Any]) -> None:
        for name, attribute in target.type.attributes.items():
            if name not in state:
                raise PickleError(f"{target.type.name} has no value for its attribute {name}")
            _check_attribute(self._fitting, target, name, state[name])
            target.values[name] = float(state[name]) if attribute.type is FLOAT else state[name]

    def check_objects(self) -> None:
        """Hold all objects against their classes once more when everything is read.

        A pickle may change a list after it has become an attribute, and may leave an object without its state. Raises
        PickleError.
        """
        fitting = Fitting()
        for target in self._objects:
            for name, attribute in target.type.attributes.items():
                if name in target.values:
                    _check_attribute(fitting, target, name, target.values[name])
                elif not isinstance(attribute.type, OptionalType) and attribute.type is not NONE:
                    raise PickleError(f"{target.type.name} has no value for its attribute {name}")


def _check_attribute(fitting: Fitting, target: ScriptObject, name: str, value: Any) -> None:
    type_ = target.type.attributes[name].type
    if not fitting.fits(value, type_):
        raise PickleError(f"the attribute {name} of {target.type.name} is no {type_.annotation}")


def _member(type_: EnumType, value: Any) -> Enum:
    """The member of an enumeration with that value."""
    if not isinstance(value, int | float | str):
        raise PickleError(f"{type_.name} has no members of such values")
    return enum_class(type_)(value)


def _arrays_of(state: Any) -> Any:
    """The state of an object whose class is written in C++, as operators read it: arrays for tensors."""
    if isinstance(state, TensorBase):
        return state._array
    if type(state) in (list, tuple):
        return type(state)(map(_arrays_of, state))
    return state


def _typed_container(value: Any, *_: Any) -> Any:
    """Lists and dictionaries carry their types, which the attributes they are stored in tell as well."""
    if not isinstance(value, list | dict):
        raise PickleError("a typed container is neither list nor dictionary")
    return value


def _empty() -> dict[Any, Any]:
    """The hooks of a tensor, which there are none of."""
    return {}


def _device(name: Any, *_: Any) -> str:
    """Everything is on the CPU, wherever it was when it was saved."""
    if not isinstance(name, str):
        raise PickleError("a device has no name")
    return "cpu"


def read_module(
    source: str | os.PathLike[str] | bytes | BinaryIO, extra_files: dict[str, Any] | None = None
) -> ScriptObject:
    """The module in a TorchScript archive. Raises ArchiveError, naming file, entry and reason."""
    opened = ModuleArchive(source)
    if extra_files:
        opened.extra_files(extra_files)
    return opened.module()
