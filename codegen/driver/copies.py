"""Loop nests that move elements without computing: copies between strided places, and stores of one expression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import TypeAlias

from optc.codegen.kernels.kernel import Buffer, Kernel, Loop, Statement, Store, copied, dims_of, load, with_loops
from optc.codegen.kernels.native import MemoryTensor
from optc.ir.dims import Dim, symbol, symbols
from optc.ops.elementwise import cast_expression
from optc.ops.scalar import Expr


def nest(shape: Sequence[Dim], body: tuple[Statement, ...], *, lanes: bool = True) -> tuple[Statement, ...]:
    """`body` inside loops i0, i1 ... over a shape, the last one marked for widening if `lanes`."""
    for place in reversed(range(len(shape))):
        width = 1 if lanes and place == len(shape) - 1 else 0
        body = (Loop(f"i{place}", 0, shape[place], 1, body, width),)
    return body


def place_of(strides: Sequence[Dim]) -> Dim:
    """The index i0 * strides[0] + i1 * strides[1] + ..."""
    index: Dim = 0
    for place, stride in enumerate(strides):
        index = index + symbol(f"i{place}") * stride
    return index


Slab: TypeAlias = tuple[Dim, Sequence[Dim], Sequence[Dim]]
"""Part of a tensor: where it begins, its extents and strides."""


def fill_kernel(buffers: Sequence[Buffer], slabs: Sequence[Slab], value: Expr) -> Kernel:
    """A kernel that stores `value` at every place of some parts of the last buffer."""
    body: list[Statement] = []
    names = {name for dim in dims_of(value) for name in symbols(dim)}
    for offset, shape, strides in slabs:
        extents, steps = merged(shape, strides)
        body.extend(nest(extents, (Store(buffers[-1].name, offset + place_of(steps), value),)))
        names.update(name for dim in (offset, *extents, *steps) for name in symbols(dim))
    return Kernel("kernel", tuple(buffers), tuple(sorted(names)), tuple(body))


def store_kernel(buffers: Sequence[Buffer], shape: Sequence[Dim], strides: Sequence[Dim], value: Expr) -> Kernel:
    """A kernel that stores `value` at every place of a strided output (the last buffer)."""
    body = nest(shape, (Store(buffers[-1].name, place_of(strides), value),))
    names = {name for dim in (*shape, *strides, *dims_of(value)) for name in symbols(dim)}
    sizes = sorted(name for name in names if not (name[0] == "i" and name[1:].isdigit() and int(name[1:]) < len(shape)))
    return Kernel("kernel", tuple(buffers), tuple(sizes), body)


def copy_kernel(source: MemoryTensor, target: MemoryTensor) -> Kernel:
    """target[...] = source[...], converted to the target's element type."""
    shape, reads, writes = merged(target.shape, source.strides, target.strides)
    read = Buffer("in0", source.dtype, "input")
    written = Buffer("out0", target.dtype, "output")
    value = cast_expression(load(read, place_of(reads)), target.dtype)
    kernel = store_kernel((read, written), shape, writes, value)
    return _doubling(kernel) if _doubles(shape, reads, writes) else kernel


def _doubles(shape: Sequence[Dim], reads: Sequence[Dim], writes: Sequence[Dim]) -> bool:
    """Whether every element is written twice, side by side."""
    return len(shape) > 1 and (shape[-1], reads[-1], *writes[-2:]) == (2, 0, 2, 1)


def _doubling(kernel: Kernel) -> Kernel:
    """The kernel without its innermost loop, of two turns: lanes run along the loop around it, whose turns write pairs."""

    def change(loop: Loop) -> list[Loop]:
        (inner,) = loop.body
        assert isinstance(inner, Loop)
        if inner.lanes == 0:
            return [replace(loop, body=with_loops(loop.body, change))]
        turns = (copied(inner.body, {}, {inner.variable: turn}) for turn in range(2))
        return [replace(loop, body=tuple(chain.from_iterable(turns)), lanes=1)]

    return replace(kernel, body=with_loops(kernel.body, change))


def merged(shape: Sequence[Dim], *strides: Sequence[Dim]) -> tuple[list[Dim], ...]:
    """As few dimensions as the strides allow: neighbours become one where all tensors move through both in equal steps."""
    merged: list[list[Dim]] = []
    for extent, *steps in zip(shape, *strides):
        if extent == 1:
            continue
        if merged and all(outer == inner * extent for outer, inner in zip(merged[-1][1:], steps)):
            merged[-1] = [merged[-1][0] * extent, *steps]
        else:
            merged.append([extent, *steps])
    return tuple([dimension[place] for dimension in merged] for place in range(1 + len(strides)))
