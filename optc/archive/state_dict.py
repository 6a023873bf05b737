"""`optc.save` and `optc.load`: tensors in containers, in the zip format of `torch.save`.

Reading is safe: only tensors, parameters, containers and plain values are built, whatever the file says.
"""

from __future__ import annotations

import os
import struct
from collections import Counter, OrderedDict
from collections.abc import Mapping
from typing import Any, BinaryIO

from optc.archive.files import ArchiveWriter
from optc.archive.legacy_state import LegacyStorages, is_legacy
from optc.archive.locations import MapLocation, check_location
from optc.archive.other_files import describe
from optc.archive.pickle_reader import PickleError, PickleReader
from optc.archive.pickle_writer import PickleWriter, StoredTensor
from optc.archive.state_globals import StateGlobals, checked
from optc.archive.storages import UNTYPED, Storages
from optc.archive.zip_reader import MappedFile, ZipReader, map_file
from optc.eager.device import Device, Layout
from optc.eager.size import Size
from optc.errors import ArchiveError
from optc.ir.dtypes import DType
from optc.ir.types import ANY, Type
from optc.nn.parameter import Parameter


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

    def _stored(self, stored: StoredTensor, requires_grad: bool) -> None:
        if not stored.dtype.is_held:
            super()._stored(stored, requires_grad)
            return
        self._global("torch._utils", "_rebuild_tensor_v3")
        self._out += b"("
        self._storage(stored, UNTYPED, "torch.storage", stored.base.nbytes)
        self._extents(stored)
        self._out += b"\x88" if requires_grad else b"\x89"
        self._empty_ordered_dict()
        self._global("torch", stored.dtype.name)
        self._out += b"tR"

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

    def _tuple(self, value: tuple[Any, ...], type_: Type) -> None:
        self._out += b"("
        for item in value:
            self.write(item)
        self._out += b"t"

    def _container(self, value: Any, type_: Type) -> None:
        if isinstance(value, Size):
            self._global("torch", "Size")
            self._out += b"("
            self._tuple(tuple(value), ANY)
            self._out += b"tR"
        elif isinstance(value, list | dict) and not isinstance(value, Counter):
            self._list_or_dict(value)
        else:
            super()._container(value, type_)

    def _list_or_dict(self, value: list[Any] | dict[Any, Any]) -> None:
        """It is known before its items are written: it may be among them."""
        memo = ("object", id(value))
        if self._refer(memo):
            return
        self._kept.append(value)
        if isinstance(value, OrderedDict):
            self._empty_ordered_dict()
        else:
            self._out += b"]" if isinstance(value, list) else b"}"
        self._remember(memo)
        if isinstance(value, list):
            self._items(value)
        else:
            self._pairs(value)

    def _items(self, value: list[Any]) -> None:
        self._out += b"("
        for item in value:
            self.write(item)
        self._out += b"e"

    def _pairs(self, value: Mapping[Any, Any]) -> None:
        self._out += b"("
        for key, item in value.items():
            self.write(key)
            self.write(item)
        self._out += b"u"
        metadata = getattr(value, "_metadata", None)
        if metadata is not None:
            self._out += b"}("
            self._string("_metadata")
            self._list_or_dict(metadata)
            self._out += b"ub"

    def _dict(self, value: Mapping[Any, Any], type_: Type) -> None:
        """A counter, which is made of its counts."""
        self._global("collections", "Counter")
        self._out += b"}"
        self._pairs(value)
        self._out += b"\x85R"

    def _other(self, value: Any) -> None:
        if type(value) in (bytes, bytearray):
            self._bytes(value)
        elif type(value) is set:
            self._set(value)
        elif isinstance(value, Layout):
            self._global("torch.serialization", "_get_layout")
            self._string(repr(value))
            self._out += b"\x85R"
        elif isinstance(value, DType):
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

    def _bytes(self, value: bytes | bytearray) -> None:
        """As protocol 2 writes them: as the text of which they are the Latin-1 encoding."""
        if isinstance(value, bytearray):
            self._global("builtins", "bytearray")
        self._global("_codecs", "encode")
        self._string(value.decode("latin1"))
        self._string("latin1")
        self._out += b"\x86R\x85R" if isinstance(value, bytearray) else b"\x86R"

    def _set(self, value: set[Any]) -> None:
        self._global("builtins", "set")
        self._out += b"]"
        self._items(list(value))
        self._out += b"\x85R"


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

    A stream in the format from before PyTorch 1.6 is left behind the object: `load` again reads the next one. Only plain
    data is read, so `weights_only` changes nothing. Raises ArchiveError for damaged files, for TorchScript archives (use
    `optc.jit.load`) and for files that hold objects of other classes; RuntimeError for another device than the CPU.
    """
    check_location(map_location)
    file = map_file(f)
    if is_legacy(file.data):
        return _load_legacy(file, f)
    archive = ZipReader(file)
    folder = folder_of(archive)
    entry = f"{folder}data.pkl"
    if entry not in archive.entries or any(name.startswith(f"{folder}code/") for name in archive.names):
        raise archive.fail("", describe(archive.names, folder))
    names = StateGlobals(Storages(archive, folder, "data/"))
    try:
        return checked(PickleReader(archive.read(entry), names).read())
    except PickleError as error:
        raise archive.fail(entry, str(error)) from error


def _load_legacy(file: MappedFile, source: Any) -> Any:
    try:
        storages = LegacyStorages(file.data)
        found = checked(PickleReader(file.data[storages.object_start :], StateGlobals(storages)).read())
    except PickleError as error:
        raise ArchiveError(f"{file.name}: {error}") from error
    if hasattr(source, "seekable") and source.seekable():
        source.seek(storages.end - len(file.data), os.SEEK_CUR)
    return found


def folder_of(archive: ZipReader) -> str:
    """The top folder all entries are in, with its slash: that of the first entry."""
    for name in archive.names:
        return name.partition("/")[0] + "/" if "/" in name else ""
    raise archive.fail("", "the archive is empty")
