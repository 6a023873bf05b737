"""Operands of LLVM instructions: values, types and constants, all in LLVM's own spelling."""

import math
import re
import struct
from collections.abc import Sequence
from functools import cache, lru_cache

from optc.dataclass import dataclass

_FLOAT_BITS = {"half": 16, "bfloat": 16, "float": 32, "double": 64}
_VECTOR = re.compile(r"<(\d+) x (.+)>")
_PLAIN_NAME = re.compile(r"[A-Za-z$._][A-Za-z0-9$._]*")


@dataclass(frozen=True, slots=True)
class Value:
    """An operand: its LLVM type and its text (`%x.3`, `4.0` in hexadecimal, `@table`)."""

    type: str
    name: str

    def __str__(self) -> str:
        return f"{self.type} {self.name}"

    @property
    def lanes(self) -> int:
        """How many lanes the value has; 0 for a scalar."""
        return vector_lanes(self.type)


Operand = Value | int | float | bool


# Types -----------------------------------------------------------------------------------------------------------


@cache
def vector_lanes(type_: str) -> int:
    """The lanes of a vector type; 0 for a scalar type."""
    match = _VECTOR.fullmatch(type_)
    return int(match[1]) if match else 0


@cache
def element_type(type_: str) -> str:
    """The element type of a vector type; a scalar type is its own element type."""
    match = _VECTOR.fullmatch(type_)
    return match[2] if match else type_


def vector_of(element: str, lanes: int) -> str:
    """The vector type with `lanes` elements; the scalar type itself for `lanes == 0`."""
    return f"<{lanes} x {element}>" if lanes else element


def like(type_: str, element: str) -> str:
    """A type with the lanes of `type_` and the given element type."""
    return vector_of(element, vector_lanes(type_))


def is_float(type_: str) -> bool:
    return element_type(type_) in _FLOAT_BITS


@cache
def bit_width(type_: str) -> int:
    """The bits of one element of `type_`; a pointer counts 64."""
    element = element_type(type_)
    if element in _FLOAT_BITS:
        return _FLOAT_BITS[element]
    if element == "ptr":
        return 64
    return int(element[1:])


def byte_size(type_: str) -> int:
    """The bytes that a value of `type_` takes in memory (an `i1` takes one)."""
    return max(1, vector_lanes(type_)) * max(1, bit_width(type_) // 8)


@cache
def mangled(type_: str) -> str:
    """The spelling of a type inside the name of an overloaded intrinsic."""
    lanes = vector_lanes(type_)
    if lanes:
        return f"v{lanes}{mangled(element_type(type_))}"
    if type_ == "ptr":
        return "p0"
    if type_ == "bfloat":
        return "i16"
    return f"f{_FLOAT_BITS[type_]}" if type_ in _FLOAT_BITS else type_


def symbol(name: str) -> str:
    """A global name as an operand, quoted where LLVM needs it."""
    if _PLAIN_NAME.fullmatch(name):
        return f"@{name}"
    escaped = name.replace("\\", "\\5C").replace('"', "\\22")
    return f'@"{escaped}"'


# Constants -------------------------------------------------------------------------------------------------------


def constant(type_: str, value: float | Sequence[float]) -> Value:
    """A constant.  A number for a vector type is a splat, a sequence gives the lanes one by one.

    Floats are printed exactly: the value is rounded to the element type first, infinities become themselves.
    Raises: ValueError for an integer that does not fit its type.
    """
    if isinstance(value, Sequence):
        return _vector_constant(type_, value)
    lanes = vector_lanes(type_)
    if not lanes:
        return Value(type_, scalar_constant(type_, value))
    element = element_type(type_)
    return Value(type_, f"splat ({element} {scalar_constant(element, value)})")


def _vector_constant(type_: str, values: Sequence[float]) -> Value:
    if len(values) != vector_lanes(type_):
        raise ValueError(f"{len(values)} elements for a constant of type {type_}")
    element = element_type(type_)
    return Value(type_, "<" + ", ".join(f"{element} {scalar_constant(element, value)}" for value in values) + ">")


def scalar_constant(type_: str, value: float) -> str:
    """The text of a constant of a scalar type.  Raises: ValueError for an integer that does not fit."""
    if type_ in _FLOAT_BITS:
        number = float(value)
        return _float_constant(type_, number, math.copysign(1.0, number))
    if type_ == "ptr":
        if value != 0:
            raise ValueError("the only constant pointer is null: addresses must come in at run time")
        return "null"
    if type_ == "i1":
        return "true" if value else "false"
    integer = int(value)
    bits = bit_width(type_)
    if integer != value or not -(1 << (bits - 1)) <= integer < (1 << bits):
        raise ValueError(f"{value!r} does not fit {type_}")
    return str(integer)


@lru_cache(1 << 12)
def _float_constant(type_: str, value: float, sign: float) -> str:
    """The text of a constant; `sign` tells the zeros apart, which are equal."""
    if type_ == "half":
        return f"0xH{_packed('<e', value):04X}"
    if type_ == "bfloat":
        return str(_bfloat_bits(value))
    if type_ == "float":
        value = struct.unpack("<f", struct.pack("<I", _packed("<f", value)))[0]
    return f"0x{_packed('<d', value):016X}"


def _packed(code: str, value: float) -> int:
    """The bits of `value` in the format of struct code `code`; what is too large becomes infinite."""
    try:
        data = struct.pack(code, value)
    except OverflowError:
        data = struct.pack(code, math.copysign(math.inf, value))
    return int.from_bytes(data, "little")


def _bfloat_bits(value: float) -> int:
    bits = _packed("<f", value)
    if math.isnan(value):
        return (bits >> 16) | 0x40
    return (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16


def undefined(type_: str) -> Value:
    """A value that nobody may look at (LLVM's poison): lanes that are filled in later."""
    return Value(type_, "poison")
