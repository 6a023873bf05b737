"""Maximum and minimum that keep NaN, by x86's own instructions, which return their second operand where either is NaN.

LLVM turns the portable form (a comparison, a look at one operand, a choice) into two comparisons whose masks it joins:
four instructions that wait for each other. Here only the machine's own one waits for the left operand, which is the
accumulator of a reduction.
"""

from __future__ import annotations

from optc.codegen.llvm import Builder, Value, byte_size, element_type
from optc.codegen.machine.host import Target

_CURRENT_ROUNDING = 4
_INSTRUCTIONS = {
    ("float", 16): "x86.sse.{}.ps", ("float", 32): "x86.avx.{}.ps.256", ("float", 64): "x86.avx512.{}.ps.512",
    ("double", 16): "x86.sse2.{}.pd", ("double", 32): "x86.avx.{}.pd.256", ("double", 64): "x86.avx512.{}.pd.512",
}  # fmt: skip


def extremum(b: Builder, op: str, left: Value, right: Value, target: Target) -> Value | None:
    """`maximum` or `minimum` of two vectors that fill a register, NaN where either is; None for other operands."""
    bytes_ = left.lanes * byte_size(element_type(left.type)) if left.lanes else 0
    name = _INSTRUCTIONS.get((element_type(left.type), bytes_))
    if name is None or not target.is_x86 or bytes_ > target.vector_bytes:
        return None
    rounding = [b.constant("i32", _CURRENT_ROUNDING)] if bytes_ == 64 else []
    chosen = b.intrinsic(name.format(op[:3]), left.type, right, left, *rounding, overload=())
    return b.select(b.fcmp("uno", right, right), right, chosen)
