"""The schedule that lets a kernel run in ranges: which loop's turns are units of work that threads may share.

The kernel gets two more sizes, `start` and `stop`, and `units` says what they run over. A unit is one turn of the
chosen loop, or a block of turns of a loop that becomes vectors, so that wherever a range begins, every element is
computed by the same code. Applied before all other schedules, which then see ordinary loops with unknown bounds.
"""

from __future__ import annotations

from dataclasses import replace

from optc.codegen.kernels.cost import operations
from optc.codegen.kernels.dependences import turns_are_independent
from optc.codegen.kernels.kernel import (
    START,
    STOP,
    Accumulate,
    Kernel,
    Loop,
    Scatter,
    Statement,
    Store,
    stride_of,
    values_of,
)
from optc.codegen.kernels.splitting import is_worth_splitting
from optc.codegen.machine.host import Target
from optc.ir.dims import Dim, minimum, symbol

ENOUGH_UNITS = 16
"""An outer loop with so many turns is split; with fewer, the loop with the most turns is."""

BLOCK_VECTORS = 64
"""Turns of a flat loop go to threads in blocks of so many vectors: of four kilobytes with the widest ones."""

COLUMN_VECTORS = 8
"""The same for a loop over vectors of columns, each of which is a loop."""

STACK_BYTES = 128 << 10
"""A range keeps its scratch on the stack of its thread; kernels that need more are not split."""


def parallelise(kernel: Kernel, target: Target) -> Kernel:
    """Give the kernel `units`, if it has enough work and a loop whose turns are independent."""
    work = kernel_operations(kernel)
    if kernel.units != 0 or not is_worth_splitting(work, target) or not _fits_stack(kernel):
        return kernel
    nest = _perfect_nest(kernel)
    candidates = [loop for loop in nest if is_independent(kernel, loop)]
    if not candidates:
        return kernel
    chosen = next(filter(_has_enough, candidates), max(candidates, key=_known_turns))
    block = _block(chosen, target)
    turns = chosen.stop - chosen.start
    units = (turns + (block - 1)) // block
    if isinstance(units, int) and units < 2:
        return kernel
    start = chosen.start + symbol(START) * block
    stop = chosen.start + symbol(STOP) * block
    split = replace(chosen, start=start, stop=stop if block == 1 else minimum(stop, chosen.stop))
    body = _replaced(kernel.body, chosen, split)
    return replace(kernel, body=body, sizes=(*kernel.sizes, START, STOP), units=units)


def kernel_operations(kernel: Kernel) -> Dim:
    """The work of a kernel as `Frame.call_split` counts it: instructions per element, times elements."""
    return _body_operations(kernel.body)


def _body_operations(body: tuple[Statement, ...]) -> Dim:
    total: Dim = 0
    for statement in body:
        if isinstance(statement, Loop):
            total = total + _body_operations(statement.body) * (statement.stop - statement.start)
        else:
            total = (
                total + sum(map(operations, values_of(statement))) + isinstance(statement, Store | Scatter | Accumulate)
            )
    return total


def _fits_stack(kernel: Kernel) -> bool:
    sizes = [buffer.size * buffer.dtype.itemsize for buffer in kernel.buffers if buffer.role == "scratch"]
    total = sum(size for size in sizes if isinstance(size, int))
    return total <= STACK_BYTES and all(isinstance(size, int) for size in sizes)


def _perfect_nest(kernel: Kernel) -> list[Loop]:
    """The outermost loop, the loop that is all of its body, and so on; empty where statements stand around it."""
    nest: list[Loop] = []
    body = kernel.body
    while len(body) == 1 and isinstance(body[0], Loop) and body[0].step == 1:
        nest.append(body[0])
        body = body[0].body
    return nest


def _known_turns(loop: Loop) -> int:
    turns = loop.stop - loop.start
    return turns if isinstance(turns, int) else ENOUGH_UNITS


def _has_enough(loop: Loop) -> bool:
    return _known_turns(loop) >= ENOUGH_UNITS * (COLUMN_VECTORS if loop.lanes else 1)


def _block(loop: Loop, target: Target) -> int:
    """Turns per unit; those of a loop that becomes vectors fill an even number of them, whatever the element."""
    if not loop.lanes:
        return 1
    vectors = COLUMN_VECTORS if any(isinstance(statement, Loop) for statement in loop.body) else BLOCK_VECTORS
    return vectors * target.vector_bytes // 4


def _replaced(body: tuple[Statement, ...], old: Loop, new: Loop) -> tuple[Statement, ...]:
    """The perfect nest with one of its loops replaced."""
    (loop,) = body
    assert isinstance(loop, Loop)
    return (new,) if loop is old else (replace(loop, body=_replaced(loop.body, old, new)),)


# Independence ----------------------------------------------------------------------------------------------------


def is_independent(kernel: Kernel, loop: Loop) -> bool:
    """True when no turn of `loop` sees what another one does, in whatever order they run.

    The places that an output is written to must differ from turn to turn, also of the loops around. Scratch is private
    to a range, whose turns run one behind the other.
    """
    if not turns_are_independent(kernel, loop):
        return False
    outputs = {buffer.name for buffer in kernel.buffers if buffer.role == "output"}
    stores = [(store, loops) for store, loops in _stores(kernel.body, ()) if store.buffer in outputs]
    widths = _widths([store for store, _ in stores])
    return widths is not None and all(
        _is_private(store.index, loop, loops, widths[store.buffer]) for store, loops in stores
    )


def _widths(stores: list[Store]) -> dict[str, int] | None:
    """How far the places that are written to a buffer lie from each other; None where only running tells."""
    widths: dict[str, int] = {}
    for name in {store.buffer for store in stores}:
        first, *others = [store.index for store in stores if store.buffer == name]
        distances = [0, *(other - first for other in others)]
        numbers = [distance for distance in distances if isinstance(distance, int)]
        if len(numbers) < len(distances):
            return None
        widths[name] = max(numbers) - min(numbers)
    return widths


def _stores(body: tuple[Statement, ...], loops: tuple[Loop, ...]) -> list[tuple[Store, tuple[Loop, ...]]]:
    """All stores with the loops around each."""
    found: list[tuple[Store, tuple[Loop, ...]]] = []
    for statement in body:
        if isinstance(statement, Store):
            found.append((statement, loops))
        elif isinstance(statement, Loop):
            found.extend(_stores(statement.body, (*loops, statement)))
    return found


def _is_private(index: Dim, loop: Loop, loops: tuple[Loop, ...], width: int) -> bool:
    """True when equal places mean equal turns of `loop`, each of which writes to places that are up to `width` apart:
    strides in the order of their size must step over all that smaller ones reach, as the digits of a number do."""
    if loop not in loops:
        return False
    movements: list[tuple[Dim, Dim]] = []
    for around in loops:
        stride = stride_of(index, around.variable)
        if stride is None or (stride == 0 and around is loop):
            return False
        if stride != 0:
            movements.append((stride, around.stop - around.start))
    ordered = _ordered(movements)
    if ordered is None:
        return False
    reach: Dim = width
    for stride, turns in ordered:
        if not _is_positive(stride - reach):
            return False
        reach = reach + stride * (turns - 1)
    return True


def _ordered(movements: list[tuple[Dim, Dim]]) -> list[tuple[Dim, Dim]] | None:
    """Movements with the smaller strides first: each must be that of an earlier one, times its turns or more."""
    rest, result = list(movements), []
    while rest:
        smallest = [one for one in rest if all(one is other or _divides(one[0], other[0]) for other in rest)]
        if not smallest:
            return None
        result.append(smallest[0])
        rest.remove(smallest[0])
    return result


def _divides(stride: Dim, other: Dim) -> bool:
    """True when `other` is a whole positive multiple of `stride`, extents taken as positive."""
    quotient = other // stride
    return quotient * stride == other and _is_positive(quotient)


def _is_positive(dim: Dim) -> bool:
    """True for dims that are at least 1 whenever their symbols are."""
    if isinstance(dim, int):
        return dim > 0
    constant = sum(coefficient for monomial, coefficient in dim.terms if not monomial)
    others = [coefficient for monomial, coefficient in dim.terms if monomial]
    return all(coefficient > 0 for coefficient in others) and constant + len(others) > 0
