"""Floats as integers by x86's own instructions: what does not fit, and NaN, gives the smallest number.

LLVM's portable conversions either leave such results open or saturate, which takes a dozen instructions more.
"""

from __future__ import annotations

from optc.codegen.llvm import Builder, Value, element_type, undefined, vector_of
from optc.codegen.machine.host import Target

_ALL_LANES = -1
_CURRENT_ROUNDING = 4


def truncated(b: Builder, value: Value, width: int, target: Target) -> Value | None:
    """A float or double, or a vector of them, as integers of 32 or 64 bits; None where no instruction does that."""
    element = element_type(value.type)
    if not target.is_x86 or element not in ("float", "double"):
        return None
    if width == 64:
        return _lane_by_lane(b, value, element)
    return _vector_of_floats(b, value, target) if element == "float" else None


def _vector_of_floats(b: Builder, value: Value, target: Target) -> Value | None:
    result = vector_of("i32", value.lanes)
    if value.lanes == 4:
        return b.intrinsic("x86.sse2.cvttps2dq", result, value, overload=())
    if value.lanes == 8 and target.vector_bytes >= 32:
        return b.intrinsic("x86.avx.cvtt.ps2dq.256", result, value, overload=())
    if value.lanes == 16 and target.avx512:
        mask, rounding = b.constant("i16", _ALL_LANES), b.constant("i32", _CURRENT_ROUNDING)
        return b.intrinsic(
            "x86.avx512.mask.cvttps2dq.512", result, value, undefined(result), mask, rounding, overload=()
        )
    return None


def _lane_by_lane(b: Builder, value: Value, element: str) -> Value:
    """There is an instruction for one element only (before AVX-512)."""
    name, count = ("x86.sse.cvttss2si64", 4) if element == "float" else ("x86.sse2.cvttsd2si64", 2)

    def one(number: Value) -> Value:
        vector = b.insertelement(undefined(vector_of(element, count)), number, 0)
        return b.intrinsic(name, "i64", vector, overload=())

    if not value.lanes:
        return one(value)
    result = undefined(vector_of("i64", value.lanes))
    for lane in range(value.lanes):
        result = b.insertelement(result, one(b.extractelement(value, lane)), lane)
    return result
