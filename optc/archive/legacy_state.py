"""Files of `torch.save` from before PyTorch 1.6: five pickles one after the other, then the storages.

The pickles are a magic number, the protocol version, facts about the system, the object, and the keys of the
storages in the order in which their elements follow: for each an 8-byte count, then the elements, little-endian
(torch/serialization.py, `_legacy_save`).
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from typing import Any

import numpy as np

from optc.archive.other_files import refusal
from optc.archive.pickle_reader import Callee, PickleError, PickleReader
from optc.archive.storages import Storage, storage_dtype

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001


_PROTOCOLS = (2, 3, 4, 5)
"""The versions of pickle in which such files are read; what comes before 2 writes numbers as text."""


def is_legacy(data: memoryview) -> bool:
    """True for a file that begins with the magic number's pickle, in a frame or not."""
    start = bytes(data[:13])
    if len(start) < 4 or start[0] != 0x80 or start[1] not in _PROTOCOLS:
        return False
    return start[11 if start[2] == 0x95 else 2 :].startswith(b"\x8a\n")


class LegacyStorages:
    """The storages behind the pickles of a file. `find` gives them by their persistent ids; `end` is where they end."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._known: dict[str, Storage] = {}
        self._kinds: dict[str, str] = {}
        position = self._skip_header()
        self.object_start = position
        position = self._skip(position, _Survey(self._kinds))
        keys, position = self._read(position)
        self.end = self._locate(keys, position)

    def _skip_header(self) -> int:
        magic, position = self._read(0)
        version, position = self._read(position)
        if magic != MAGIC_NUMBER or version != PROTOCOL_VERSION:
            raise PickleError("the file does not begin with the magic number of torch.save")
        return self._read(position)[1]

    def _read(self, start: int) -> tuple[Any, int]:
        reader = PickleReader(self._data[start:], _Survey({}))
        value = reader.read()
        return value, start + reader.position

    def _skip(self, start: int, survey: _Survey) -> int:
        reader = PickleReader(self._data[start:], survey)
        reader.read()
        return start + reader.position

    def _locate(self, keys: Any, position: int) -> int:
        """Note where the elements of every storage begin; where the last ones end."""
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise PickleError("the list of storages is damaged")
        for key in keys:
            dtype = storage_dtype(self._kinds.get(key, ""))
            if dtype is None or position + 8 > len(self._data):
                raise PickleError(f"storage {key} is of an unknown kind, or the file is cut off")
            (count,) = struct.unpack_from("<q", self._data, position)
            if count < 0 or position + 8 + count * dtype.itemsize > len(self._data):
                raise PickleError(f"storage {key} of {count} elements reaches past the end of the file")
            elements = np.frombuffer(self._data, dtype.numpy, count, position + 8)
            self._known[key] = Storage(dtype, elements, self._kinds[key])
            position += 8 + count * dtype.itemsize
        return position

    def find(self, identity: Any) -> Storage:
        """The storage of `("storage", class, key, device, count, view)`. Raises PickleError."""
        key, view = _key_of(identity), identity[5] if len(identity) > 5 else None
        storage = self._known.get(key)
        if storage is None:
            raise PickleError(f"the file has no storage {key}")
        return storage if view is None else _part(storage, view)


def _part(storage: Storage, view: Any) -> Storage:
    """A storage that is a piece of another: `(key, offset, count)`."""
    if not isinstance(view, tuple) or len(view) != 3 or not all(type(number) is int for number in view[1:]):
        raise PickleError("a part of a storage is described wrongly")
    _, offset, count = view
    if offset < 0 or count < 0 or offset + count > len(storage.elements):
        raise PickleError("a part of a storage reaches outside of it")
    return Storage(storage.dtype, storage.elements[offset : offset + count], storage.kind)


def _key_of(identity: Any) -> str:
    if isinstance(identity, tuple) and len(identity) > 1 and identity[0] == "module":
        raise PickleError(refusal(f"a module of class {identity[1]}"))
    if not (isinstance(identity, tuple) and len(identity) >= 5 and identity[0] == "storage"):
        raise PickleError("a persistent id describes no storage")
    if not isinstance(identity[1], Callee) or not isinstance(identity[2], str):
        raise PickleError("a persistent id describes no storage")
    return identity[2]


class _Survey:
    """Reads a pickle for the storages it mentions and for its length; builds nothing of use."""

    def __init__(self, kinds: dict[str, str]) -> None:
        self._kinds = kinds

    def find(self, module: str, name: str) -> Any:
        return Callee(name, lambda *arguments: OrderedDict())

    def persistent(self, identity: Any) -> Any:
        key = _key_of(identity)
        self._kinds[key] = identity[1].name
        return None

    def create(self, class_: Any, arguments: tuple[Any, ...]) -> Any:
        return OrderedDict()

    def set_state(self, target: Any, state: Any) -> Any:
        return target
