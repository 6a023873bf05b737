"""`optc.save` and `optc.load`: tensors in containers, in the zip format of `torch.save`.

Reading is safe: only tensors, parameters, containers and plain values are built, whatever the file says.
"""

from __future__ import annotations

import os
import struct
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from optc.archive.files import ArchiveWriter
from optc.archive.legacy_state import LegacyStorages, is_legacy
from optc.archive.pickle_reader import Callee, Keys, PickleError, PickleReader
from optc.archive.pickle_writer import PickleWriter
from optc.archive.storages import Storages, rebuild_tensor, rebuild_tensor_without_gradient, storage_class
from optc.archive.zip_reader import MappedFile, ZipReader, map_file
from optc.eager.device import Device
from optc.eager.size import Size
from optc.eager.tensor import Tensor
from optc.errors import ArchiveError
from optc.ir import dtypes
from optc.ir.dtypes import DType
from optc.ir.types import ANY, Type
from optc.nn.parameter import Parameter

MapLocation = str | Device | Mapping[str, str] | Callable[..., Any] | None


class StateWriter(PickleWriter):
    """Pickles Python containers as `torch.save` does: lists and dictionaries plain, parameters as parameters."""

    def write(self, value: Any, type_: Type = ANY) -> None:
        """Append a value. Raises TypeError for objects of classes: their state_dict can be saved instead."""
        if isinstance(value, Parameter):
            self._shared(value, lambda: self._parameter(value))
        elif type(value) is int and not -(1 << 31) <= value < 1 << 31:
            size = value.bit_length() // 8 + 1
            self._out += b"\x8a" + struct.pack("<B", size) + value.to_bytes(size, "little", signed=True)
        else:
            super().write(value, type_)

    def _parameter(self, value: Parameter) -> None:
        self._global("torch._utils", "_rebuild_parameter")
        self._out += b"("
        self._tensor(value.detach())
        self._out += b"\x88" if value.requires_grad else b"\x89"
        self._empty_ordered_dict()
        self._out += b"tR"

    def _empty_ordered_dict(self) -> None:
        self._global("collections", "OrderedDict")
        self._out += b")R"

    def _container(self, value: Any, type_: Type) -> None:
        if isinstance(value, Size):
            self._global("torch", "Size")
            self._out += b"("
            self._tuple(tuple(value), ANY)
            self._out += b"tR"
        else:
            super()._container(value, type_)

    def _tuple(self, value: tuple[Any, ...], type_: Type) -> None:
        self._out += b"("
        for item in value:
            self.write(item)
        self._out += b"t"

    def _list(self, value: list[Any], type_: Type) -> None:
        self._out += b"]("
        for item in value:
            self.write(item)
        self._out += b"e"

    def _dict(self, value: Mapping[Any, Any], type_: Type) -> None:
        if isinstance(value, OrderedDict):
            self._empty_ordered_dict()
        else:
            self._out += b"}"
        self._out += b"("
        for key, item in value.items():
            self.write(key)
            self.write(item)
        self._out += b"u"
        metadata = getattr(value, "_metadata", None)
        if metadata is not None:
            self._out += b"}("
            self._string("_metadata")
            self._dict(metadata, ANY)
            self._out += b"ub"

    def _other(self, value: Any) -> None:
        if isinstance(value, DType):
            self._global("torch", value.name)
        elif isinstance(value, Device):
            self._global("torch", "device")
            self._string(str(value))
            self._out += b"\x85R"
        else:
            raise TypeError(
                f"optc.save writes tensors, numbers, text and containers of them, no {type(value).__name__}; "
                "save a module's state_dict()"
            )


def save(obj: Any, f: str | os.PathLike[str] | BinaryIO) -> None:
    """Write tensors in dictionaries, lists and tuples to a file that `optc.load` and `torch.load` read.

    Raises TypeError for objects of classes, modules included: save their `state_dict()`.
    """
    with ArchiveWriter(f, for_state=True) as archive:
        keys: dict[Any, str] = {}
        writer = StateWriter(lambda stored: archive.add_storage("data", stored, keys))
        data = writer.finish(obj, ANY)
        archive.add("data.pkl", data)


def load(
    f: str | os.PathLike[str] | BinaryIO | bytes,
    map_location: MapLocation = None,
    *,
    weights_only: bool = True,
    mmap: bool | None = None,
) -> Any:
    """What `optc.save` or `torch.save` wrote. Tensors are mapped from the file and always on the CPU.

    Only plain data is read, so `weights_only` changes nothing. Raises ArchiveError for damaged files, for TorchScript
    archives (use `optc.jit.load`) and for files that hold objects of other classes.
    """
    file = map_file(f)
    if is_legacy(file.data):
        return _load_legacy(file)
    archive = ZipReader(file)
    folder = folder_of(archive)
    if any(name.startswith(f"{folder}code/") for name in archive.names):
        raise archive.fail("", "this is a TorchScript archive: read it with optc.jit.load")
    names = StateGlobals(Storages(archive, f"{folder}data/"))
    entry = f"{folder}data.pkl"
    try:
        return PickleReader(archive.read(entry), names).read()
    except PickleError as error:
        raise archive.fail(entry, str(error)) from error


def _load_legacy(file: MappedFile) -> Any:
    try:
        storages = LegacyStorages(file.data)
        return PickleReader(file.data[storages.object_start :], StateGlobals(storages)).read()
    except PickleError as error:
        raise ArchiveError(f"{file.name}: {error}") from error


def folder_of(archive: ZipReader) -> str:
    """The top folder all entries are in, with its slash: that of the first entry."""
    for name in archive.names:
        return name.partition("/")[0] + "/" if "/" in name else ""
    raise archive.fail("", "the archive is empty")


_PYTHON_2 = {"__builtin__": "builtins"}
"""Modules as pickles of protocol 2 call them, which torch.save writes."""


class StateGlobals:
    """The names that files of tensors may use."""

    def __init__(self, storages: Storages | LegacyStorages) -> None:
        self._storages = storages
        self._known: dict[tuple[str, str], Any] = {
            ("torch._utils", "_rebuild_tensor_v2"): Callee("_rebuild_tensor_v2", rebuild_tensor),
            ("torch._utils", "_rebuild_tensor"): Callee("_rebuild_tensor", rebuild_tensor_without_gradient),
            ("torch._utils", "_rebuild_parameter"): Callee("_rebuild_parameter", _rebuild_parameter),
            ("torch._utils", "_rebuild_parameter_with_state"): Callee("_rebuild_parameter", _rebuild_parameter),
            ("collections", "OrderedDict"): Callee("OrderedDict", _ordered),
            ("builtins", "complex"): Callee("complex", complex),
            ("builtins", "set"): Callee("set", _set),
            ("torch", "Size"): Callee("Size", Size),
            ("torch", "device"): Callee("device", Device),
            ("_codecs", "encode"): Callee("encode", _encode),
        }

    def find(self, module: str, name: str) -> Any:
        """The meaning of a name. Raises PickleError for all that are not listed."""
        found = self._known.get((_PYTHON_2.get(module, module), name))
        if found is None and module == "torch":
            found = dtypes.BY_NAME.get(name) or storage_class(name)
        if found is None:
            raise PickleError(f"{module}.{name} is not allowed in a file of tensors")
        return found

    def persistent(self, identity: Any) -> Any:
        """The storage of a tensor."""
        return self._storages.find(identity)

    def create(self, class_: Any, arguments: tuple[Any, ...]) -> Any:
        """Raises PickleError: there are no objects in files of tensors."""
        raise PickleError(f"objects of {class_!r} are not allowed in a file of tensors")

    def set_state(self, target: Any, state: Any) -> Any:
        """State dictionaries carry the versions of their modules in an attribute."""
        if not isinstance(target, OrderedDict) or not isinstance(state, dict) or set(state) - {"_metadata"}:
            raise PickleError("only state dictionaries may have attributes")
        vars(target).update(state)
        return target


def _rebuild_parameter(data: Any, requires_grad: Any, *_: Any) -> Parameter:
    if not isinstance(data, Tensor):
        raise PickleError("a parameter has no tensor")
    return Parameter(data, bool(requires_grad))


def _ordered(pairs: Any = ()) -> OrderedDict[Any, Any]:
    """An ordered dictionary: empty, as torch.save writes it, or of pairs, as Python 2 wrote it."""
    keys = Keys()
    return OrderedDict((keys.checked(key), value) for key, value in pairs)


def _set(items: Any = ()) -> set[Any]:
    keys = Keys()
    return {keys.checked(item) for item in items}


def _encode(text: Any, encoding: Any) -> bytes:
    if not isinstance(text, str) or encoding != "latin1":
        raise PickleError("bytes are not encoded as expected")
    return text.encode("latin1")
