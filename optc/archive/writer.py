"""Writes TorchScript archives, which optc and PyTorch read: data, storages, code of every class, constants, version."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import Any, BinaryIO

from optc.archive.debug_writer import debug_information
from optc.archive.files import ArchiveWriter
from optc.archive.pickle_writer import PickleWriter, StoredTensor, type_of_value
from optc.errors import UnsupportedError
from optc.ir.function import ClassType, Function, ScriptObject, spelled, spelling
from optc.ir.graph import Graph
from optc.ir.types import EnumType, TupleType, Type
from optc.jit.code_constants import ConstantTable
from optc.jit.code_dependencies import Dependencies
from optc.jit.code_printer import print_class
from optc.jit.code_sources import SourceMarks
from optc.jit.receivers import add_method
from optc.ops.registry import operator_of

Target = str | os.PathLike[str] | BinaryIO

_OLDEST_WRITTEN = 3
_VERSION_OF = {
    **{
        f"aten::div.{overload}": 4 for overload in ("Tensor", "Scalar", "Tensor_mode", "Scalar_mode", "out", "out_mode")
    },
    **{f"aten::div_.{overload}": 4 for overload in ("Tensor", "Scalar", "Tensor_mode", "Scalar_mode")},
    **{
        f"aten::{name}{overload}": version
        for name, version in (("full", 5), ("linspace", 8), ("logspace", 9), ("gelu", 10))
        for overload in ("", ".out")
    },
}
"""Operators whose meaning changed, and the archive version since which they mean what they mean now."""


def save_module(module: ScriptObject, target: Target, extra_files: dict[str, Any] | None = None) -> None:
    """Write a module. Raises UnsupportedError for ignored functions, TypeError for values an archive cannot hold."""
    with ArchiveWriter(target) as archive:
        _ModuleWriter(archive).write(module, extra_files or {})


def module_to_bytes(module: ScriptObject, extra_files: dict[str, Any] | None = None) -> bytes:
    """The archive of a module as bytes."""
    buffer = io.BytesIO()
    save_module(module, buffer, extra_files)
    return buffer.getvalue()


def save_function(function: Function, target: Target, extra_files: dict[str, Any] | None = None) -> None:
    """Write a function, as the `forward` of a module without anything else (which is how PyTorch saves functions)."""
    save_module(_holder(function), target, extra_files)


def function_to_bytes(function: Function) -> bytes:
    """The archive of a function as bytes."""
    return module_to_bytes(_holder(function))


def _holder(function: Function) -> ScriptObject:
    class_ = ClassType("__torch__.PlaceholderModule", is_module=True)
    add_method(class_, "forward", function.graph, function.schema)
    return ScriptObject(class_)


class _ModuleWriter:
    def __init__(self, archive: ArchiveWriter) -> None:
        self.archive = archive
        self.constants = ConstantTable()
        self.dependencies = Dependencies()
        self.storages: dict[Any, str] = {}
        self.constant_storages: dict[Any, str] = {}

    def write(self, module: ScriptObject, extra_files: dict[str, Any]) -> None:
        with spelled(self.dependencies.names):
            self._write_program(module)
        for name, content in extra_files.items():
            if not isinstance(content, str | bytes | bytearray):
                raise TypeError(f"an extra file holds text or bytes, but {name!r} is of type {type(content).__name__}")
            self.archive.add(f"extra/{name}", content.encode() if isinstance(content, str) else bytes(content))
        self.archive.add("version", f"{self._version()}\n".encode())

    def _write_program(self, module: ScriptObject) -> None:
        self.dependencies.add(module.type)
        data = PickleWriter(self._store, self._class_name).finish(module, module.type)
        self.archive.add("data.pkl", data)
        self._write_code()
        values = tuple(self.constants.values)
        types = TupleType(tuple(map(type_of_value, values)))
        self.archive.add("constants.pkl", PickleWriter(self._store_constant).finish(values, types))

    def _class_name(self, type_: Any) -> str:
        """The name of a class that the data mentions; the code must define it even where it only names an interface."""
        self.dependencies.add(type_)
        return _name_of(type_)

    def _store(self, stored: StoredTensor) -> str:
        return self.archive.add_storage("data", stored, self.storages)

    def _store_constant(self, stored: StoredTensor) -> str:
        return self.archive.add_storage("constants", stored, self.constant_storages)

    def _write_code(self) -> None:
        """Print the module's classes and everything their code refers to, one file per Python module."""
        marks = SourceMarks()
        files: dict[str, list[str]] = {}
        owners: dict[str, Any] = {}
        numbers: dict[str, dict[str, int]] = {}
        place = 0
        while place < len(self.dependencies.items):
            item = self.dependencies.items[place]
            name = _name_of(item)
            if owners.setdefault(name, item) is not item:
                raise UnsupportedError(f"two different definitions are called {name}: they cannot be in one archive")
            qualifier = name.rpartition(".")[0]
            text = print_class(item, self.constants, self.dependencies, numbers.setdefault(qualifier, {}), marks)
            files.setdefault(qualifier, []).append(text)
            place += 1
        for qualifier, texts in files.items():
            name = f"code/{qualifier.replace('.', '/')}.py"
            text, places = marks.resolve("".join(texts))
            self.archive.add(name, text.encode(), compress=True)
            described = debug_information(places)
            if described is not None:
                self.archive.add(f"{name}.debug_pkl", described, compress=True)

    def _version(self) -> int:
        """The oldest version whose readers understand every operator the way it was meant."""
        names = {name for function in self._functions() for name in _operators_in(function.graph)}
        return max((_VERSION_OF.get(name, _OLDEST_WRITTEN) for name in names), default=_OLDEST_WRITTEN)

    def _functions(self) -> Iterator[Function]:
        for item in self.dependencies.items:
            if isinstance(item, Function):
                yield item
            elif isinstance(item, ClassType) and not item.is_interface:
                yield from item.methods.values()


def _operators_in(graph: Graph) -> Iterator[str]:
    """The names of the operators of a graph, with their overloads, and of those in its forks."""
    for node in graph.walk():
        operator = operator_of(node)
        yield node.kind if operator is None else operator.name
        if "Subgraph" in node.attributes:
            yield from _operators_in(node.attributes["Subgraph"])


def _name_of(item: Type | Function) -> str:
    if isinstance(item, Function | ClassType):
        return spelling(item)
    if isinstance(item, EnumType):
        return item.name
    assert isinstance(item, TupleType) and item.name is not None
    return item.name
