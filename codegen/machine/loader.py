"""Puts objects into memory without LLVM: every distinct object once per process, whoever uses it.

A loaded object is one mapping: code, read-only data and the addresses it needs of others, then writable data.
Calls of other objects and of the process go directly where they reach, else through a jump. Objects without writable
data are shared by all programs that contain them; the memory goes when the last of them does.
"""

from __future__ import annotations

import ctypes
import hashlib
import mmap
import os
import struct
import sys
import weakref
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from optc.codegen.machine.elf import ObjectFile, Relocation, Section, Symbol, UnknownObject, read_object
from optc.errors import InvalidIR
from optc.locks import ForkLock

_ABSOLUTE, _RELATIVE, _CALL, _TABLE, _LONG_RELATIVE, _TABLE_LOAD, _TABLE_LOAD_WIDE = 1, 2, 4, 9, 24, 41, 42
_KNOWN = frozenset({_ABSOLUTE, _RELATIVE, _CALL, _TABLE, _LONG_RELATIVE, _TABLE_LOAD, _TABLE_LOAD_WIDE})
_JUMP = b"\xff\x25"  # jmp *offset(%rip)
_STUB_BYTES = 8
_NEAR = 1 << 31

_lock = ForkLock()
_shared: weakref.WeakValueDictionary[bytes, LoadedObject] = weakref.WeakValueDictionary()


def is_supported() -> bool:
    """Whether objects of this machine can be loaded here; elsewhere LLVM's own linker does it."""
    return sys.platform == "linux" and sys.maxsize > _NEAR and os.uname().machine == "x86_64"


class LoadedObject:
    """One object in memory. `symbols` are the addresses of what it defines; valid as long as this lives."""

    def __init__(self, content: ObjectFile, others: Mapping[str, int], owners: Sequence[LoadedObject]) -> None:
        """`others`: the addresses of what the object needs; `owners` keep those valid.

        Raises UnknownObject for relocations that are not known or do not reach.
        """
        self._owners = tuple(owners)
        self._content = content
        self._others = others
        self._offsets: dict[int, int] = {}
        self._code_bytes, total = self._arrange()
        self._memory = mmap.mmap(-1, total)
        self._view = ctypes.c_char.from_buffer(self._memory)
        self._base = ctypes.addressof(self._view)
        self._fill()
        self.symbols = {name: self._place(symbol) for name, symbol in content.defined.items()}
        del self._content, self._others, self._slots, self._stubs

    def _arrange(self) -> tuple[int, int]:
        """Where sections, addresses and jumps go; the sizes of the fixed part and of everything."""
        end = 0
        for section in self._content.sections:
            if not section.writable:
                end = self._put(section, end)
        needed = [item.symbol for item in self._content.relocations if _needs_slot(item)]
        names = dict.fromkeys(map(_identity, needed))
        end = _rounded(end, 8)
        self._slots = {name: end + 8 * place for place, name in enumerate(names)}
        end += 8 * len(names)
        jumps = dict.fromkeys(_identity(item.symbol) for item in self._content.relocations if _may_jump(item))
        self._stubs = {name: end + _STUB_BYTES * place for place, name in enumerate(jumps)}
        fixed = _rounded(end + _STUB_BYTES * len(jumps), mmap.PAGESIZE)
        end = fixed
        for section in self._content.sections:
            if section.writable:
                end = self._put(section, end)
        return fixed, max(mmap.PAGESIZE, end)

    def _put(self, section: Section, end: int) -> int:
        self._offsets[section.number] = _rounded(end, section.alignment)
        return self._offsets[section.number] + section.size

    def _fill(self) -> None:
        for section in self._content.sections:
            start = self._offsets[section.number]
            self._memory[start : start + len(section.data)] = section.data
        for relocation in self._content.relocations:
            if _needs_slot(relocation):
                slot = self._slots[_identity(relocation.symbol)]
                struct.pack_into("<Q", self._memory, slot, self._place(relocation.symbol))
            if _may_jump(relocation):
                self._write_jump(relocation.symbol)
        for relocation in self._content.relocations:
            self._relocate(relocation)
        if self._code_bytes:
            _protect(self._base, self._code_bytes)

    def _write_jump(self, symbol: Symbol) -> None:
        stub = self._stubs[_identity(symbol)]
        slot = self._slots[_identity(symbol)]
        self._memory[stub : stub + 6] = _JUMP + struct.pack("<i", slot - (stub + 6))

    def _relocate(self, item: Relocation) -> None:
        offset = self._offsets[item.section] + item.offset
        place = self._base + offset
        if item.kind == _ABSOLUTE:
            struct.pack_into("<Q", self._memory, offset, self._place(item.symbol) + item.addend)
            return
        if item.kind == _LONG_RELATIVE:
            struct.pack_into("<q", self._memory, offset, self._place(item.symbol) + item.addend - place)
            return
        if item.kind in (_TABLE, _TABLE_LOAD, _TABLE_LOAD_WIDE):
            target = self._base + self._slots[_identity(item.symbol)]
        else:
            target = self._place(item.symbol)
            if item.kind == _CALL and not -_NEAR <= target + item.addend - place < _NEAR:
                target = self._base + self._stubs[_identity(item.symbol)]
        distance = target + item.addend - place
        if not -_NEAR <= distance < _NEAR:
            raise UnknownObject(f"{item.symbol.name} is too far away")
        struct.pack_into("<i", self._memory, offset, distance)

    def _place(self, symbol: Symbol) -> int:
        if symbol.section:
            return self._base + self._offsets[symbol.section] + symbol.offset
        return self._others[symbol.name]


def _identity(symbol: Symbol) -> tuple[str, int, int]:
    return symbol.name, symbol.section, symbol.offset


def _may_jump(item: Relocation) -> bool:
    return item.kind == _CALL and not item.symbol.section


def _needs_slot(item: Relocation) -> bool:
    return item.kind in (_TABLE, _TABLE_LOAD, _TABLE_LOAD_WIDE) or _may_jump(item)


def _rounded(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment


@cache
def _process() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


@cache
def process_symbol(name: str) -> int | None:
    """The address of a function of the process (libc, libm, CPython), None when there is none."""
    try:
        return ctypes.cast(_process()[name], ctypes.c_void_p).value
    except AttributeError:
        return None


def _protect(address: int, size: int) -> None:
    protect = _process().mprotect
    protect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    if protect(address, size, mmap.PROT_READ | mmap.PROT_EXEC):
        raise UnknownObject(f"memory cannot be made executable (error {ctypes.get_errno()})")


def load(objects: Sequence[bytes]) -> list[LoadedObject]:
    """Loads objects that may use each other and the process.

    Raises InvalidIR when a symbol is missing or defined twice, UnknownObject for what this loader cannot do.
    """
    with _lock:
        return _Loading(objects).run()


class _Loading:
    """The objects of one call, loaded after what they need."""

    def __init__(self, objects: Sequence[bytes]) -> None:
        self.digests = [hashlib.sha256(item).digest() for item in objects]
        self.contents = [read_object(item) for item in objects]
        self.definer: dict[str, int] = {}
        for number, content in enumerate(self.contents):
            for name in content.defined:
                if self.definer.setdefault(name, number) != number:
                    raise InvalidIR(f"the objects do not link: {name} is defined twice")
        self.loaded: dict[int, tuple[bytes, LoadedObject]] = {}
        self.waiting: set[int] = set()

    def run(self) -> list[LoadedObject]:
        return [self.load(number)[1] for number in range(len(self.contents))]

    def load(self, number: int) -> tuple[bytes, LoadedObject]:
        """The key and the loaded form of one object."""
        if number in self.loaded:
            return self.loaded[number]
        if number in self.waiting:
            raise UnknownObject("objects that need each other")
        self.waiting.add(number)
        content = self.contents[number]
        if any(item.kind not in _KNOWN for item in content.relocations):
            raise UnknownObject("a relocation of another kind")
        key, others, owners = self.surroundings(number)
        made = _shared.get(key)
        if made is None:
            made = LoadedObject(content, others, owners)
            if not any(section.writable for section in content.sections):
                _shared[key] = made
        self.loaded[number] = key, made
        return self.loaded[number]

    def surroundings(self, number: int) -> tuple[bytes, dict[str, int], list[LoadedObject]]:
        """A key for the object together with what it uses; the addresses of that, and what they belong to."""
        digest = hashlib.sha256(self.digests[number])
        others: dict[str, int] = {}
        owners: list[Any] = []
        for name in self.contents[number].needed:
            definer = self.definer.get(name)
            if definer is not None:
                key, owner = self.load(definer)
                others[name] = owner.symbols[name]
                owners.append(owner)
                digest.update(f"{name}\0".encode() + key)
                continue
            address = process_symbol(name)
            if address is None:
                raise InvalidIR(f"the objects do not link: there is no {name}")
            others[name] = address
        return digest.digest(), others, owners
