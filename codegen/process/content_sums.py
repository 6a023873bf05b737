"""Sums that tell the contents of memory apart, at the speed at which it is read.

`content_sums(ptr data, i64 blocks, ptr key, ptr sums)` writes `SUMS` words for every block of `BLOCK_BYTES`. A sum adds
up products of neighbouring 32-bit words, each with a word of the key added to it: for two different blocks it is the
same with a chance of 2^-32 for a random key, independently for every sum (the function NH of Black, Halevi, Krawczyk,
Krovetz and Rogaway, "UMAC: Fast and Secure Message Authentication", 1999).
"""

from __future__ import annotations

from optc.codegen.llvm import Builder, Module, Parameter
from optc.codegen.process.content_digest import BLOCK_BYTES, SUMS

_LANES = 8


def content_sums_module() -> Module:
    """The function as a module; the same sums on every processor, whatever its vectors are."""
    module = Module("content_sums")
    words, pairs = f"<{2 * _LANES} x i32>", f"<{_LANES} x i64>"
    parameters = [
        Parameter("ptr", "data", "readonly"),
        Parameter("i64", "blocks"),
        Parameter("ptr", "key", "readonly"),
        Parameter("ptr", "sums", "noalias"),
    ]
    function = module.function("content_sums", "void", parameters)
    data, blocks, key, sums = function.arguments
    b = Builder(function)
    zeros = [b.constant(pairs, 0)] * SUMS
    with b.for_loop(0, blocks) as block:
        start = b.gep("i8", data, b.mul(block.index, BLOCK_BYTES))
        with b.for_loop(0, BLOCK_BYTES, 8 * _LANES, carried=zeros) as part:
            content = b.load(words, b.gep("i8", start, part.index), 1)
            own_key = b.gep("i8", key, part.index)
            totals = []
            for number, total in enumerate(part.carried):
                masked = b.bitcast(b.add(content, b.load(words, b.gep("i8", own_key, number * BLOCK_BYTES), 4)), pairs)
                product = b.mul(b.and_(masked, 0xFFFFFFFF), b.lshr(masked, 32))
                totals.append(b.add(total, product))
            part.yield_(totals)
        for number, total in enumerate(part.results):
            place = b.gep("i64", sums, b.add(b.mul(block.index, SUMS), number))
            b.store(b.reduce("add", total), place, 8)
    b.ret()
    return module
