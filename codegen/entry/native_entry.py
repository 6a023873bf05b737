"""The native entry: a PyCFunction whose code checks the arguments, calls `run` and builds the results.

The code reads numpy's and CPython's objects at fixed offsets, which `python_layout.is_supported` verifies against real
objects once per process; where they do not hold (PyPy, free-threaded builds), there is no native entry. One piece of
code serves all compiled functions: what is particular to one stands in its description (`description`), which is
the function's `self`.

All of it runs under the GIL (but for `run` itself, if asked), so the free list of contexts and the recycled results
need no atomics.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from optc.codegen.entry.description import describe
from optc.codegen.entry.layout import DESCRIPTION, ENTRY, OUTPUT, PREFIX
from optc.codegen.entry.python_layout import (
    NEW_FROM_DESCR,
    memory_handler,
    numpy_function,
    python_function,
)
from optc.codegen.entry.signature import EntryPoint
from optc.codegen.machine import jit
from optc.codegen.process.context import runtime

_NAME = "entry"
_METHOD_FLAGS = 0x80 | 0x02  # METH_FASTCALL | METH_KEYWORDS


# Loading ---------------------------------------------------------------------------------------------------------


def _written() -> tuple[str, tuple[str, ...]]:
    from optc.codegen.entry.function import entry_texts

    _, text, words = entry_texts()
    return text, words


def _written_rare() -> tuple[str, tuple[str, ...]]:
    from optc.codegen.entry.function import entry_texts

    return entry_texts()[0], ()


def write_entry() -> bool:
    """Write what `compiled_entry` will have to compile, and load LLVM for it; False where it need not compile.

    That is all Python: on a thread of its own it would only take turns with those that wait for it.
    """
    if jit.is_generated(_NAME):
        return False
    jit.host_target()
    _written()
    return True


def compiled_entry() -> tuple[bytes, dict[str, int]]:
    """The object of what every call needs of the entry, and the positions in its table."""
    return jit.compile_generated(_NAME, _written)


def compiled_rest() -> bytes:
    """The object of what only some calls need."""
    return jit.compile_generated("entry, rarely run", _written_rare)[0]


class _Loaded:
    """The code in memory with its table."""

    def __init__(self) -> None:
        runtime()
        rare = compiled_rest()
        common, table = compiled_entry()  # last, for it takes longest, and another thread may be at it
        self.library = jit.link([rare, common])
        self.entry = self.library.address(ENTRY)
        self.kept: list[object] = []
        self._positions = table
        self._words = (ctypes.c_int64 * len(table)).from_address(self.library.address("table"))
        for name in table:
            self.set(name, self._value(name))

    def set(self, name: str, value: int) -> None:
        self._words[self._positions[name]] = value

    def _value(self, name: str) -> int:
        objects: dict[str, object] = {"ndarray": np.ndarray, "int": int, "float": float, "true": True, "false": False}
        if name in objects:
            return id(objects[name])
        if name.startswith(PREFIX):
            return self.library.address(name)
        if name.startswith("Py") and name != "PyArray_NewFromDescr":
            return ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value or 0
        if name in ("allocate", "release", "free_output", "allocate_output"):
            return runtime().address(name)
        if name == "memory_handler":
            return memory_handler()
        return numpy_function(NEW_FROM_DESCR) if name == "PyArray_NewFromDescr" else 0


_WORD = 8
_FIRST_PAGE = 4096
_KEYS_WITHIN = 24
"""So many words of a tensor's implementation are looked through for its keys; it has more of them."""


@cache
def _loaded() -> _Loaded:
    made = _Loaded()
    # Compiled functions, and with them their code, may live as long as the process.
    python_function("Py_IncRef", None, ctypes.py_object)(made)
    return made


def accept_torch() -> bool:
    """Let entries take and give torch tensors, if this torch has DLPack's exchange functions. Imports nothing."""
    torch = sys.modules.get("torch")
    capsule = getattr(getattr(torch, "Tensor", None), "__dlpack_c_exchange_api__", None)
    if torch is None or capsule is None or os.name != "posix":
        return False
    get = python_function("PyCapsule_GetPointer", ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
    # DLPackExchangeAPI: version, older table, then the functions; number 2 makes objects, number 3 reads them.
    words = (ctypes.c_int64 * 7).from_address(get(capsule, b"dlpack_exchange_api"))
    keys = _deferred_keys(torch)
    if words[0] & 0xFFFFFFFF != 1 or keys is None:
        return False
    loaded = _loaded()
    for name, value in zip(("implementation_at", "keys_at", "deferred_keys"), keys):
        loaded.set(name, value)
    loaded.kept += [torch.Tensor, capsule]
    for name in ("malloc", "free"):
        loaded.set(name, ctypes.cast(getattr(ctypes.CDLL(None), name), ctypes.c_void_p).value or 0)
    loaded.set("exchange_write", words[4])
    loaded.set("exchange_read", words[5])
    loaded.set("torch_tensor", id(torch.Tensor))
    return True


def _deferred_keys(torch: Any) -> tuple[int, int, int] | None:
    """Where a tensor says that it stands for its negative or its conjugate: the place of its implementation in the
    object, of the keys in the implementation, and the bits. Found by tensors whose keys torch tells; None where they are
    not found.
    """
    told = getattr(torch._C, "_dispatch_keys", None)
    if told is None:
        return None
    real, numbers = torch.ones(1), torch.ones(1, dtype=torch.complex64)
    tensors = [real, torch._neg_view(real), numbers, numbers.conj()]
    keys = [told(tensor).raw_repr() for tensor in tensors]
    for at in (2 * _WORD, 3 * _WORD):
        places = [ctypes.c_uint64.from_address(id(tensor) + at).value for tensor in tensors]
        if any(place < _FIRST_PAGE or place % _WORD for place in places):
            continue
        found = [list((ctypes.c_uint64 * _KEYS_WITHIN).from_address(place)) for place in places]
        offsets = [offset for offset, words in enumerate(zip(*found)) if list(words) == keys]
        if len(offsets) == 1:
            return at, offsets[0] * _WORD, keys[0] ^ keys[1] | keys[2] ^ keys[3]
    return None


class _MethodDefinition(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("documentation", ctypes.c_char_p),
    ]


class _Description(ctypes.Structure):
    """The `self` of a native entry: its words, and everything that they refer to."""

    _fields_ = [(name, ctypes.c_int64) for name in DESCRIPTION]

    point: EntryPoint
    kept: list[object]

    def __init__(self, point: EntryPoint, loaded: _Loaded) -> None:
        records = describe(point)
        super().__init__(**records.words)
        self.point, self.kept = point, records.kept
        self.loaded = loaded
        self.definition = _MethodDefinition(point.name.encode(), loaded.entry, _METHOD_FLAGS, None)
        self._drop = python_function("Py_DecRef", None, ctypes.c_void_p)

    def __del__(self) -> None:
        if not hasattr(self, "_drop"):
            return
        address: int = self.outputs
        for spec in self.point.signature.computed:
            words = (ctypes.c_int64 * OUTPUT["dims"]).from_address(address)
            for name in ("plain0", "plain1", "wrapped0", "wrapped1"):
                self._drop(words[OUTPUT[name]])
            address += 8 * (OUTPUT["dims"] + 2 * len(spec.dims))


def build(point: EntryPoint) -> Callable[..., object]:
    """The native entry. Only where `is_supported`. Raises: TypeError for a wrapper that has no such slots."""
    description = _Description(point, _loaded())
    create: Any = python_function(
        "PyCFunction_NewEx", ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p
    )
    made: Callable[..., object] = create(ctypes.addressof(description.definition), description, None)
    return made
