"""AVX-512 instructions that LLVM has no portable name for, on elements and on vectors of any number of lanes.

Vectors that do not fill a register are widened (the added lanes are nobody's business), longer ones are cut, so the
result of a lane is the same whatever it is computed beside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from optc.codegen.llvm import Builder, Value, byte_size, element_type, undefined, vector_of

_REGISTER_BYTES = 64
_CURRENT_ROUNDING = 4
_MANTISSA_FROM_THREE_QUARTERS = 0b1111  # in [3/4, 3/2); zeros count as positive, negative numbers give NaN
_SMALLER_MAGNITUDE = 0b0010  # the operand nearer to zero, with the sign of the first


def scale(b: Builder, x: Value, exponent: Value) -> Value:
    """x * 2**floor(exponent), rounded once; an infinite exponent gives infinity or zero even where x is NaN."""
    return _in_registers(b, [x, exponent], lambda x, exponent: _masked(b, "scalef", x, exponent))


def exponent(b: Builder, x: Value) -> Value:
    """floor(log2 |x|) as a float."""
    return _in_registers(b, [x], lambda x: _masked(b, "getexp", x))


def mantissa(b: Builder, x: Value) -> Value:
    """x over a power of two, in [3/4, 3/2); 1 for zeros and infinity, NaN for negative numbers."""
    return _in_registers(b, [x], lambda x: _masked(b, "getmant", x, immediate=_MANTISSA_FROM_THREE_QUARTERS))


def confine(b: Builder, x: Value, bound: Value) -> Value:
    """x, or the bound with the sign of x where |x| is larger; NaN gives the bound."""
    return _in_registers(b, [x, bound], lambda x, bound: _masked(b, "range", x, bound, immediate=_SMALLER_MAGNITUDE))


def look_up(b: Builder, index: Value, entries: Sequence[float], element: str) -> Value:
    """entries[index modulo their number] per lane, for one or two registers of entries."""
    in_register = _REGISTER_BYTES // byte_size(element)
    type_ = vector_of(element, in_register)
    parts = [
        b.constant(type_, list(entries[start : start + in_register])) for start in range(0, len(entries), in_register)
    ]
    suffix = ("ps" if element == "float" else "pd", "sf" if element == "float" else "df")

    def permute(places: Value) -> Value:
        if len(parts) == 1:
            return b.intrinsic(f"x86.avx512.permvar.{suffix[1]}.512", type_, parts[0], places, overload=())
        name = f"x86.avx512.vpermi2var.{suffix[0]}.512"
        return b.intrinsic(name, type_, parts[0], places, parts[1], overload=())

    return _in_registers(b, [index], permute)


def _masked(b: Builder, name: str, *operands: Value, immediate: int | None = None) -> Value:
    """The instruction with all lanes selected."""
    type_ = operands[0].type
    kind = "ps" if element_type(type_) == "float" else "pd"
    arguments = [*operands]
    if immediate is not None:
        arguments.append(b.constant("i32", immediate))
    arguments.append(undefined(type_))
    arguments.append(b.constant("i16" if operands[0].lanes == 16 else "i8", -1))
    arguments.append(b.constant("i32", _CURRENT_ROUNDING))
    return b.intrinsic(f"x86.avx512.mask.{name}.{kind}.512", type_, *arguments, overload=())


def _in_registers(b: Builder, operands: list[Value], emit: Callable[..., Value]) -> Value:
    """`emit` applied to full registers that hold the operands."""
    lanes = operands[0].lanes
    full = _REGISTER_BYTES // byte_size(element_type(operands[0].type))
    if lanes == full:
        return emit(*operands)
    if lanes == 0:
        wide = [b.insertelement(undefined(vector_of(operand.type, full)), operand, 0) for operand in operands]
        return b.extractelement(emit(*wide), 0)
    parts = []
    for start in range(0, lanes, full):
        picks = [lane if lane < lanes else -1 for lane in range(start, start + full)]
        parts.append(emit(*(b.shuffle(operand, None, picks) for operand in operands)))
    return _joined(b, parts, lanes)


def _joined(b: Builder, parts: list[Value], lanes: int) -> Value:
    while len(parts) > 1:
        width = 2 * parts[0].lanes
        pairs = [parts[place : place + 2] for place in range(0, len(parts), 2)]
        parts = [b.shuffle(pair[0], pair[-1], range(width)) for pair in pairs]
    joined = parts[0]
    return joined if joined.lanes == lanes else b.shuffle(joined, None, range(lanes))
