"""Quotients and remainders of integers.

Processors divide vectors of floats, but no vectors of integers: LLVM would divide lane by lane. A float of more than
twice as many digits is enough: quotients that are no integer lie further from the next one than it rounds.
"""

from __future__ import annotations

from optc.codegen.llvm import Builder, Value, like
from optc.ir.dtypes import DType


def integer_division(b: Builder, op: str, left: Value, right: Value, dtype: DType, is_fixed: bool) -> Value:
    """`div` or `rem`, rounded towards zero, that cannot trap: a divisor of 0 gives the dividend (callers check for it),
    -1 negates. `is_fixed`: the divisor is known, so that LLVM multiplies instead."""
    trivial = b.icmp("eq", right, 0)
    if dtype.is_signed:
        trivial = b.or_(trivial, b.icmp("eq", right, -1))
    safe = b.select(trivial, b.constant(right.type, 1), right)
    if dtype.itemsize <= 4 and left.lanes and not is_fixed:
        quotient = _by_floats(b, left, safe, dtype)
        rest = b.sub(left, b.mul(quotient, safe))
    else:
        quotient = b.sdiv(left, safe) if dtype.is_signed else b.udiv(left, safe)
        rest = b.srem(left, safe) if dtype.is_signed else b.urem(left, safe)
    if op == "rem":
        return rest
    return b.select(b.icmp("eq", right, -1), b.sub(0, left), quotient) if dtype.is_signed else quotient


def _by_floats(b: Builder, left: Value, right: Value, dtype: DType) -> Value:
    wide = like(left.type, "float" if dtype.itemsize <= 2 else "double")
    convert = b.sitofp if dtype.is_signed else b.uitofp
    quotient = b.fptosi(b.fdiv(convert(left, wide), convert(right, wide)), like(left.type, "i32"))
    return quotient if dtype.itemsize == 4 else b.trunc(quotient, left.type)
