"""Schedules: functions from kernel to kernel that decide how loops run, never what they compute."""

from __future__ import annotations

from dataclasses import replace

from optc.codegen.host import Target
from optc.codegen.kernel import (
    Accumulate,
    Assign,
    Define,
    Fold,
    Kernel,
    Loop,
    Statement,
    Store,
    dims_of,
    leaves,
    local,
    map_leaves,
    statements,
    stride_of,
    values_of,
)
from optc.ir.dims import Dim, substitute, symbol
from optc.ops.scalar import Expr, rewrite

ACCUMULATORS = 4
"""Vectors that a reduction sums into at once: enough to hide the latency of an addition."""


def vectorise(kernel: Kernel, target: Target) -> Kernel:
    """Widen every loop marked `lanes == 1` to the target's vectors: unrolled reductions, main loop, tail."""
    return replace(kernel, body=_widen_body(kernel, kernel.body, target, {}))


def _widen_body(
    kernel: Kernel, body: tuple[Statement, ...], target: Target, outer: dict[str, Expr]
) -> tuple[Statement, ...]:
    """`outer` holds the first values (neutral elements) of locals that enclosing bodies define."""
    result: list[Statement] = []
    known = outer | {statement.name: statement.value for statement in body if isinstance(statement, Define)}
    for statement in body:
        if not isinstance(statement, Loop):
            result.append(statement)
        elif statement.lanes == 1:
            _widen_loop(kernel, statement, result, target, known)
        else:
            result.append(replace(statement, body=_widen_body(kernel, statement.body, target, known)))
    return tuple(result)


def _widen_loop(kernel: Kernel, loop: Loop, before: list[Statement], target: Target, known: dict[str, Expr]) -> None:
    """Append the widened forms of `loop` to `before`; sums go through vectors that are folded behind it."""
    if not _is_linear(loop) or _stores_in_place(loop):
        before.append(replace(loop, lanes=0))
        return
    lanes = _lanes(kernel, loop, target)
    masked = target.masks and _is_dense(loop)
    own = {s.name for s in loop.body if isinstance(s, Define)}
    accumulators = [s for s in loop.body if isinstance(s, Accumulate) and s.name not in own]
    vectors = {a.name: f"{a.name}.v" for a in accumulators}
    before.extend(Define(vectors[a.name], known[a.name], lanes) for a in accumulators)
    wide = replace(loop, body=tuple(_renamed(s, vectors) for s in loop.body), lanes=lanes, step=lanes)
    start = _append_unrolled(before, wide, accumulators, vectors) if accumulators else loop.start
    stop = loop.stop if masked and _fits_tail(start, loop.stop, lanes) else _rounded(loop.stop, lanes)
    if stop != loop.stop or not masked:
        _append_loop(before, replace(wide, start=start, stop=stop))
        start = stop
    if masked:
        _append_loop(before, replace(wide, start=start, stop=loop.stop, masked=True))
    for accumulator in accumulators:
        part = f"{accumulator.name}.part"
        before.append(Fold(part, vectors[accumulator.name], accumulator.combine))
        before.append(replace(accumulator, value=local(part, accumulator.value.dtype)))
    if not masked:
        _append_loop(before, replace(loop, start=start, lanes=0))


def _fits_tail(start: Dim, stop: Dim, lanes: int) -> bool:
    return isinstance(start, int) and isinstance(stop, int) and stop - start < lanes


def _append_loop(body: list[Statement], loop: Loop) -> None:
    if loop.start != loop.stop:
        body.append(loop)


def _rounded(stop: Dim, lanes: int) -> Dim:
    """The largest multiple of `lanes` that is not above `stop`."""
    return stop // lanes * lanes


def _append_unrolled(body: list[Statement], wide: Loop, accumulators: list[Accumulate], vectors: dict[str, str]) -> Dim:
    """A loop over several vectors at once, each with accumulators of its own; returns where it stops."""
    step = wide.lanes * ACCUMULATORS
    if isinstance(wide.stop, int) and wide.stop < 2 * step:
        return wide.start
    copies: list[Statement] = []
    definitions = [s for s in body if isinstance(s, Define) and s.name in vectors.values()]
    for number in range(ACCUMULATORS):
        names = {vector: f"{vector}{number}" if number else vector for vector in vectors.values()}
        body.extend(replace(d, name=names[d.name]) for d in definitions if number)
        moved = symbol(wide.variable) + number * wide.lanes
        own = _with_own_locals(wide.body, number)
        copies.extend(_shifted(_renamed(s, names), wide.variable, moved) for s in own)
    stop = _rounded(wide.stop, step)
    _append_loop(body, replace(wide, stop=stop, step=step, body=tuple(copies)))
    for accumulator in accumulators:
        name = vectors[accumulator.name]
        for number in range(1, ACCUMULATORS):
            part = local(f"{name}{number}", accumulator.value.dtype)
            body.append(Accumulate(name, accumulator.combine, part))
    return stop


def _renamed(statement: Statement, names: dict[str, str]) -> Statement:
    """The statement with its accumulator renamed."""
    if not isinstance(statement, Accumulate):
        return statement
    return replace(statement, name=names.get(statement.name, statement.name))


def _with_own_locals(body: tuple[Statement, ...], number: int) -> list[Statement]:
    """Copy `number` of a loop body: the locals it defines get names of their own."""
    defined = {statement.name: f"{statement.name}.{number}" for statement in body if isinstance(statement, Define)}
    if not number or not defined:
        return list(body)

    def rename(leaf: Expr) -> Expr | None:
        if leaf.op == "local" and leaf.value in defined:
            return local(defined[leaf.value], leaf.dtype)
        return None

    result: list[Statement] = []
    for statement in body:
        if isinstance(statement, Define | Assign | Accumulate):
            statement = replace(statement, name=defined.get(statement.name, statement.name))
        if isinstance(statement, Define | Assign | Accumulate | Store):
            statement = replace(statement, value=rewrite(statement.value, rename))
        result.append(statement)
    return result


def _shifted(statement: Statement, variable: str, moved: Dim) -> Statement:
    if isinstance(statement, Store):
        index = substitute(statement.index, {variable: moved})
        return replace(statement, index=index, value=map_leaves(statement.value, variable, moved))
    if isinstance(statement, Define | Assign | Accumulate):
        return replace(statement, value=map_leaves(statement.value, variable, moved))
    return statement


def _indices(loop: Loop) -> list[Dim]:
    found: list[Dim] = []
    for statement in statements(loop.body):
        if isinstance(statement, Store):
            found.append(statement.index)
        for value in values_of(statement):
            found.extend(dims_of(value))
    return found


def _is_linear(loop: Loop) -> bool:
    return all(stride_of(index, loop.variable) is not None for index in _indices(loop))


def _stores_in_place(loop: Loop) -> bool:
    """True when turns write the same element: the last one counts, which lanes do not say."""
    stores = [statement for statement in statements(loop.body) if isinstance(statement, Store)]
    return any(stride_of(store.index, loop.variable) == 0 for store in stores)


def _is_dense(loop: Loop) -> bool:
    """True when every access moves by one element or not at all: then a masked tail needs one instruction each."""
    strides = [stride_of(index, loop.variable) for index in _indices(loop)]
    return all(isinstance(stride, int) and stride in (0, 1) for stride in strides)


def _lanes(kernel: Kernel, loop: Loop, target: Target) -> int:
    """As many elements as fill a register, counting four-byte elements unless all are wider."""
    sizes = [kernel.buffer(s.buffer).dtype.itemsize for s in statements(loop.body) if isinstance(s, Store)]
    for statement in statements(loop.body):
        for value in values_of(statement):
            sizes.extend(leaf.dtype.itemsize for leaf in leaves(value) if leaf.op in ("load", "local"))
    return target.vector_bytes // (8 if sizes and min(sizes) >= 8 else 4)
