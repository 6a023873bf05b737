"""Sums of products in registers: one multiply-add after the other, and a long sum in parts.

The rounding errors of a sum grow with its length, so the sums of the parts of a long one are added up in their order.
"""

from __future__ import annotations

from collections.abc import Callable

from optc.codegen.gemm.tiles import sum_type
from optc.codegen.llvm import Builder, Value, is_float

PART = 256
"""So many products are summed one after the other. Decided by K alone: how rows and columns are cut must not matter."""


def widened(b: Builder, value: Value, element: str) -> Value:
    """An element, or a vector of them, in the type of the sums."""
    wide = sum_type(element)
    return value if wide == element else b.fpext(value, wide)


def multiply_add(b: Builder, factor: Value, column: Value, total: Value) -> Value:
    """total + factor * column, rounded once where the processor can."""
    if not is_float(total.type):
        return b.add(b.mul(factor, column), total)
    return b.fadd(b.fmul(factor, column), total)


def added(b: Builder, left: Value, right: Value) -> Value:
    """left + right."""
    return b.fadd(left, right) if is_float(left.type) else b.add(left, right)


def is_cut(k: int | None, element: str) -> bool:
    """Whether sums of K products of such elements (None: any number of them) are added up in parts."""
    return is_float(sum_type(element)) and (k is None or k > PART)


SumPart = Callable[[Value, Value, list[Value], list[Value]], tuple[list[Value], list[Value]]]
"""Gets where a part of K begins and ends, the pointers that move along K and the sums so far; gives the last two
behind the part."""


def sums_of_parts(b: Builder, k: Value, moving: list[Value], totals: list[Value], sum_part: SumPart) -> list[Value]:
    """`totals` plus the sum of every part of K. The totals wait on the stack while a part has the registers; the sums
    of the last part never go there."""
    vector = totals[0].type
    waiting = b.alloca(vector, len(totals), 64)
    places = [b.gep(vector, waiting, number) for number in range(len(totals))]
    for place, total in zip(places, totals, strict=True):
        b.store(total, place)
    zeros = [b.constant(vector, 0)] * len(totals)
    with b.while_loop([b.constant("i64", 0), *moving]) as loop:
        start, *moved = loop.carried
        stop = b.intrinsic("smin", "i64", b.add(start, PART), k)
        moved, sums = sum_part(start, stop, moved, zeros)
        loop.while_(b.icmp("slt", stop, k))
        for place, value in zip(places, sums, strict=True):
            b.store(added(b, b.load(vector, place), value), place)
        loop.yield_([stop, *moved])
    return [added(b, b.load(vector, place), value) for place, value in zip(places, sums, strict=True)]
