"""Whether a number of elements can be counted in 64 bits."""

from __future__ import annotations

from optc.codegen.kernels.emitter import emit_dim
from optc.codegen.llvm import Builder, Value
from optc.ir.dims import Dim, Symbol, Symbolic

_SMALL_FACTOR = 1 << 12


def may_overflow(count: Dim) -> bool:
    """False when the bytes of so many elements fit 64 bits for sure: numbers, and small multiples of one extent of an
    input, which has that many elements in memory."""
    if isinstance(count, int):
        return False
    return any(
        len(monomial) > 1
        or abs(coefficient) > _SMALL_FACTOR
        or not all(isinstance(atom, Symbol) and atom.name.startswith("s") for atom in monomial)
        for monomial, coefficient in count.terms
    )


def emit_estimate(b: Builder, count: Symbolic, names: dict[str, Value]) -> Value:
    """A number of elements as a double, which has room for all products of 64-bit factors."""
    total = b.constant("double", 0.0)
    for monomial, coefficient in count.terms:
        term = b.constant("double", float(coefficient))
        for atom in monomial:
            value = names[atom.name] if isinstance(atom, Symbol) else emit_dim(b, Symbolic((((atom,), 1),)), names)
            term = b.fmul(term, b.sitofp(value, "double"))
        total = b.fadd(total, term)
    return total
