"""Relocatable ELF objects for x86-64, taken apart: what a loader has to place in memory and to fill in.

Follows the System V ABI's "Object Files" chapter and its AMD64 supplement, as far as LLVM's position-independent code
needs it.
"""

from __future__ import annotations

import struct

from optc.dataclass import dataclass
from optc.errors import OptcError

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QQq")

_MAGIC = b"\x7fELF\x02\x01\x01"
_RELOCATABLE, _X86_64 = 1, 62
_SYMBOL_TABLE, _WITH_ADDENDS, _NO_BITS = 2, 4, 8
_WRITE, _ALLOCATED, _THREAD_LOCAL = 0x1, 0x2, 0x400
_LOCAL, _FILE = 0, 4
_RESERVED = 0xFF00  # section numbers from here on mean something else: absolute, common ...
_LARGEST_ALIGNMENT = 4096
_UNWIND_TABLES = ".eh_frame"  # nothing may unwind through compiled code


class UnknownObject(OptcError):
    """An object with something in it that this reader does not know."""


@dataclass(frozen=True)
class Section:
    """Bytes that belong in memory: `size` of them, zeros behind `data`."""

    number: int
    writable: bool
    alignment: int
    size: int
    data: memoryview


@dataclass(frozen=True)
class Symbol:
    """A name with its place: `section` 0 means that another object or the process defines it."""

    name: str
    section: int
    offset: int
    is_local: bool


@dataclass(frozen=True)
class Relocation:
    """Bytes at `offset` of a section that depend on where a symbol ends up; `kind` is the number of the ABI."""

    section: int
    offset: int
    kind: int
    symbol: Symbol
    addend: int


@dataclass(frozen=True)
class ObjectFile:
    """Everything of an object that matters at run time."""

    sections: tuple[Section, ...]
    symbols: tuple[Symbol, ...]
    relocations: tuple[Relocation, ...]

    @property
    def defined(self) -> dict[str, Symbol]:
        """The symbols that other objects may use, by name."""
        return {symbol.name: symbol for symbol in self.symbols if symbol.section and not symbol.is_local}

    @property
    def needed(self) -> list[str]:
        """The names that others have to define, each once."""
        return list(dict.fromkeys(item.symbol.name for item in self.relocations if not item.symbol.section))


def read_object(content: bytes) -> ObjectFile:
    """Takes an object apart. Raises UnknownObject for other machines, formats and features."""
    try:
        return _read(memoryview(content))
    except (struct.error, IndexError, ValueError) as error:
        raise UnknownObject(f"the object is truncated: {error}") from error


def _read(content: memoryview) -> ObjectFile:
    identity, kind, machine, *_ = header = _HEADER.unpack_from(content)
    if not identity.startswith(_MAGIC) or (kind, machine) != (_RELOCATABLE, _X86_64):
        raise UnknownObject("this is no relocatable ELF object for x86-64")
    start, count, names = header[6], header[12], header[13]
    headers = [_SECTION.unpack_from(content, start + place * _SECTION.size) for place in range(count)]
    section_names = bytes(_bytes_of(content, headers[names]))
    named = [_text(section_names, fields[0]) for fields in headers]
    kept = {
        number: _section(content, number, fields)
        for number, (fields, name) in enumerate(zip(headers, named))
        if fields[2] & _ALLOCATED and fields[5] and name != _UNWIND_TABLES
    }
    symbols: list[Symbol] = []
    for fields in headers:
        if fields[1] == _SYMBOL_TABLE:
            symbols = _symbols(_bytes_of(content, fields), bytes(_bytes_of(content, headers[fields[6]])))
    relocations = [
        Relocation(fields[7], offset, info & 0xFFFFFFFF, symbols[info >> 32], addend)
        for fields in headers
        if fields[1] == _WITH_ADDENDS and fields[7] in kept
        for offset, info, addend in _RELOCATION.iter_unpack(_bytes_of(content, fields))
    ]
    present = [symbol for symbol in symbols if symbol.section in kept or not symbol.section]
    if any(item.symbol.section not in kept and item.symbol.section for item in relocations):
        raise UnknownObject("something refers to a section that is not loaded")
    return ObjectFile(tuple(kept.values()), tuple(present), tuple(relocations))


def _section(content: memoryview, number: int, fields: tuple[int, ...]) -> Section:
    if fields[2] & _THREAD_LOCAL:
        raise UnknownObject("thread-local variables need the system's loader")
    if fields[8] > _LARGEST_ALIGNMENT:
        raise UnknownObject(f"an alignment of {fields[8]}")
    data = content[:0] if fields[1] == _NO_BITS else _bytes_of(content, fields)
    return Section(number, bool(fields[2] & _WRITE), max(1, fields[8]), fields[5], data)


def _symbols(table: memoryview, names: bytes) -> list[Symbol]:
    symbols = []
    for name, info, _, section, value, _ in _SYMBOL.iter_unpack(table):
        if section >= _RESERVED and info & 15 != _FILE:
            raise UnknownObject("an absolute or common symbol")
        place = 0 if section >= _RESERVED else section
        symbols.append(Symbol(_text(names, name), place, value, info >> 4 == _LOCAL))
    return symbols


def _bytes_of(content: memoryview, fields: tuple[int, ...]) -> memoryview:
    return content[fields[4] : fields[4] + fields[5]]


def _text(table: bytes, start: int) -> str:
    return table[start : table.index(b"\0", start)].decode()
