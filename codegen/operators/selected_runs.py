"""`index_select` by indices known while compiling: padding by reflection, repeats, slices that became indices.

Such indices are a few runs, of places that follow each other, forwards or backwards, or of one place, or name every place
as often: loops that copy, without a look at an index.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optc.codegen.driver.copies import copy_kernel, merged, place_of
from optc.codegen.driver.driver import Driver
from optc.codegen.kernels.kernel import Buffer, Kernel, Loop, Statement, Store, copied, load
from optc.codegen.kernels.native import MemoryTensor
from optc.dataclass import dataclass
from optc.ir.dims import Dim, symbol, symbols

MOST_RUNS = 8
"""With more runs there is more code than is worth it."""
SHORT = 4
"""A loop over the last dimension with fewer turns is written out."""


@dataclass(frozen=True)
class Run:
    """`length` places of the result from `start` on come from `first`, `first + step`, ... in the source."""

    start: int
    first: int
    step: int
    length: int


def runs_of(driver: Driver, indices: MemoryTensor, extent: Dim) -> list[Run] | None:
    """The runs of constant indices, all of which lie in the extent; None for others, and for too many runs."""
    constant = driver.constant_array(indices)
    if constant is None or not isinstance(extent, int) or len(indices.shape) != 1:
        return None
    numbers = [int(number) for number in constant]
    if not all(0 <= number < extent for number in numbers):
        return None
    found: list[Run] = []
    start = 0
    while start < len(numbers) and len(found) <= MOST_RUNS:
        found.append(_run_from(numbers, start))
        start += found[-1].length
    return found if len(found) <= MOST_RUNS else None


def _run_from(numbers: list[int], start: int) -> Run:
    """The longest run that begins here."""
    step = numbers[start + 1] - numbers[start] if start + 1 < len(numbers) else 1
    if step not in (-1, 0, 1):
        return Run(start, numbers[start], 1, 1)
    stop = start + 1
    while stop < len(numbers) and numbers[stop] - numbers[stop - 1] == step:
        stop += 1
    return Run(start, numbers[start], step, stop - start)


def repeats_of(driver: Driver, indices: MemoryTensor, extent: Dim) -> int | None:
    """How often constant indices name each place of the extent before the next one; None for others."""
    constant = driver.constant_array(indices)
    if constant is None or not isinstance(extent, int) or extent == 0 or constant.ndim != 1:
        return None
    times = constant.size // extent
    return times if np.array_equal(constant, np.arange(extent).repeat(times)) else None


def repeating_kernel(source: MemoryTensor, result: MemoryTensor, axis: int, times: int) -> Kernel:
    """The kernel that copies each place of the axis so many times."""
    shape = (*source.shape[: axis + 1], times, *source.shape[axis + 1 :])
    reads = (*source.strides[: axis + 1], 0, *source.strides[axis + 1 :])
    step = result.strides[axis]
    writes = (*result.strides[:axis], step * times, step, *result.strides[axis + 1 :])
    return copy_kernel(replace(source, shape=shape, strides=reads), replace(result, shape=shape, strides=writes))


def selecting_kernel(source: MemoryTensor, result: MemoryTensor, axis: int, runs: list[Run]) -> Kernel:
    """The kernel that fills the result: loops over the dimensions before the axis, inside them one nest per run."""
    read, written = Buffer("table", source.dtype, "input"), Buffer("out0", result.dtype, "output")
    extents, reads, writes = merged(source.shape[:axis], source.strides[:axis], result.strides[:axis])
    before = place_of(reads), place_of(writes)
    body: tuple[Statement, ...] = ()
    for run in runs:
        body += _copied_run(read, written, source, result, axis, run, before)
    for place in reversed(range(len(extents))):
        body = (Loop(f"i{place}", 0, extents[place], 1, body),)
    dims = (*source.shape, *source.strides, *result.strides)
    return Kernel("kernel", (read, written), tuple(sorted({name for dim in dims for name in symbols(dim)})), body)


def _copied_run(
    read: Buffer,
    written: Buffer,
    source: MemoryTensor,
    result: MemoryTensor,
    axis: int,
    run: Run,
    before: tuple[Dim, Dim],
) -> tuple[Statement, ...]:
    """One run and the dimensions behind the axis, in as few loops as the strides allow."""
    shape = (run.length, *source.shape[axis + 1 :])
    strides = (run.step * source.strides[axis], *source.strides[axis + 1 :])
    extents, reads, writes = merged(shape, strides, result.strides[axis:])
    index = before[0] + run.first * source.strides[axis]
    place = before[1] + run.start * result.strides[axis]
    names = [f"j{number}" for number in range(len(extents))]
    for name, here, there in zip(names, reads, writes):
        index, place = index + symbol(name) * here, place + symbol(name) * there
    store = Store(written.name, place, load(read, index))
    if not extents:
        return (store,)
    return _nest(names, extents, store)


def _nest(names: list[str], extents: list[Dim], store: Store) -> tuple[Statement, ...]:
    last = extents[-1]
    body: tuple[Statement, ...]
    if isinstance(last, int) and last < SHORT:
        body = tuple(item for number in range(last) for item in copied((store,), {}, {names[-1]: number}))
    else:
        body = (Loop(names[-1], 0, last, 1, (store,), 1),)
    for name, extent in zip(reversed(names[:-1]), reversed(extents[:-1])):
        body = (Loop(name, 0, extent, 1, body),)
    return body
