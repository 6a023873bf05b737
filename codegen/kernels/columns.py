"""The schedule that reduces wide columns row by row, as they lie in memory.

Lowering walks every column to its end before the next one, which touches another cache line, often another page, with
each step. Here all columns of a block advance together: what belongs to one column (sums, extremes, results) moves
from locals to rows of scratch in the nearest cache, and memory is read once from front to back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from optc.codegen.kernels.cost import body_operations
from optc.codegen.kernels.dependences import turns_are_independent
from optc.codegen.kernels.kernel import (
    Accumulate,
    Assign,
    Buffer,
    Define,
    Fold,
    Kernel,
    Loop,
    Scan,
    Statement,
    Store,
    copied,
    load,
    local,
    statements,
    values_of,
    with_loops,
)
from optc.codegen.kernels.unroll import sums_windows
from optc.codegen.machine.host import Target
from optc.ir.dims import Dim, minimum, symbol
from optc.ir.dtypes import DType
from optc.ops.scalar import nodes

BLOCK = 2048
"""Elements of scratch for one block, all its rows together: what stays in the nearest cache beside the data."""
NARROW = 8
"""Columns of so many vectors stay in registers (see `interleave`): one turn reads all of them."""
ROWS = 4
"""Rows that one turn adds to the sums, so that these are loaded and stored once for all of them."""
LIGHT = 16
"""Bodies with more instructions than this are not worth unrolling for the sake of one load and store."""


def stream_columns(kernel: Kernel, target: Target) -> Kernel:
    """Turn loops over columns that hold loops over rows inside out."""
    streaming = _Streaming(kernel, target)
    body = streaming.body(kernel.body)
    return replace(kernel, body=body, buffers=(*kernel.buffers, *streaming.scratch))


class _Streaming:
    def __init__(self, kernel: Kernel, target: Target) -> None:
        self.original = kernel
        self.narrow = NARROW * target.vector_bytes // 4
        self.scratch: list[Buffer] = []

    def body(self, body: tuple[Statement, ...]) -> tuple[Statement, ...]:
        return with_loops(body, self.loop)

    def loop(self, loop: Loop) -> list[Statement]:
        """A wide loop column by column; another one with what is inside."""
        return self.streamed(loop) if self.is_wide(loop) else [replace(loop, body=self.body(loop.body))]

    def is_wide(self, loop: Loop) -> bool:
        if loop.lanes != 1 or not any(isinstance(statement, Loop) for statement in loop.body):
            return False
        if sums_windows(loop):  # registers hold what neighbouring windows share (see `interleave`)
            return False
        length = loop.stop - loop.start
        if isinstance(length, int) and length <= self.narrow:
            return False
        plain = all(not s.lanes for s in statements(loop.body) if isinstance(s, Loop | Define))
        folded = any(isinstance(statement, Fold | Scan) for statement in statements(loop.body))
        return plain and not folded and turns_are_independent(self.original, loop)

    def streamed(self, loop: Loop) -> list[Statement]:
        """A loop over blocks of columns; inside, one loop over the block for every statement that `loop` holds."""
        types = _kept_types(loop.body)
        size = BLOCK
        while size * len(types) > BLOCK and size > self.narrow:
            size //= 2
        length = loop.stop - loop.start
        if isinstance(length, int) and length <= size:
            size, start, stop = length, loop.start, loop.stop
        else:
            start = symbol(f"{loop.variable}.block")
            whole = isinstance(length, int) and length % size == 0
            stop = start + size if whole else minimum(start + size, loop.stop)
        rows = {name: Buffer(f"row.{name}", dtype, "scratch", size) for name, dtype in types.items()}
        self.scratch.extend(rows.values())
        columns = replace(loop, start=start, stop=stop, body=())
        parts = _Distribution(columns, rows, symbol(loop.variable) - start).parts(loop.body)
        if start == loop.start:
            return parts
        return [Loop(f"{loop.variable}.block", loop.start, loop.stop, size, tuple(parts))]


def _kept_types(body: tuple[Statement, ...]) -> dict[str, DType]:
    """The locals that outlive the part of the body that defines them."""
    defined: dict[str, tuple[int, DType]] = {}
    kept: dict[str, DType] = {}
    for part, run in enumerate(_parts(body)):
        for statement in run:
            for name in _locals_of(statement):
                if name in defined and defined[name][0] != part:
                    kept[name] = defined[name][1]
            if isinstance(statement, Define):
                defined[statement.name] = (part, statement.value.dtype)
    return kept


def _parts(body: tuple[Statement, ...]) -> list[list[Statement]]:
    """What there will be loops over columns for: runs of statements, and innermost loops."""
    parts: list[list[Statement]] = [[]]
    for statement in body:
        if not isinstance(statement, Loop):
            parts[-1].append(statement)
            continue
        is_innermost = not any(isinstance(inner, Loop) for inner in statement.body)
        parts += [[statement]] if is_innermost else _parts(statement.body)
        parts.append([])
    return parts


def _locals_of(statement: Statement) -> Iterator[str]:
    """The locals that a statement, or one inside it, reads or changes."""
    for inner in statements((statement,)):
        yield from (node.value for value in values_of(inner) for node in nodes(value) if node.op == "local")
        if isinstance(inner, Accumulate | Assign):
            yield inner.name


class _Distribution:
    """One loop over columns for every run of statements, and for every loop over rows, inside it."""

    def __init__(self, columns: Loop, rows: dict[str, Buffer], place: Dim) -> None:
        self.columns = columns
        self.rows = rows
        self.place = place

    def parts(self, body: tuple[Statement, ...]) -> list[Statement]:
        result: list[Statement] = []
        run: list[Statement] = []
        for statement in body:
            if isinstance(statement, Loop):
                self.flush(run, result)
                result.extend(self.around(statement))
            else:
                run.append(statement)
        self.flush(run, result)
        return result

    def flush(self, run: list[Statement], result: list[Statement]) -> None:
        if run:
            result.append(replace(self.columns, body=self.element(tuple(run))))
            run.clear()

    def around(self, loop: Loop) -> list[Statement]:
        """A loop over rows around a loop over columns; the innermost takes several rows at once."""
        if any(isinstance(statement, Loop) for statement in loop.body):
            return [replace(loop, body=tuple(self.parts(loop.body)))]
        one = replace(loop, body=(replace(self.columns, body=self.element(loop.body)),))
        if body_operations(loop.body) > LIGHT or loop.step != 1:
            return [one]
        stop = loop.start + (loop.stop - loop.start) // ROWS * ROWS
        defined = {statement.name for statement in loop.body if isinstance(statement, Define)}
        several: list[Statement] = []
        for number in range(ROWS):
            names = {name: f"{name}.row{number}" for name in defined if number}
            several.extend(copied(loop.body, names, {loop.variable: symbol(loop.variable) + number}))
        body = replace(self.columns, body=self.element(tuple(several)))
        loops = [replace(loop, stop=stop, step=ROWS, body=(body,)), replace(one, start=stop)]
        return [part for part in loops if part.start != part.stop]

    def element(self, body: tuple[Statement, ...]) -> tuple[Statement, ...]:
        """The statements for one column: its locals are read from their rows first, and written back behind."""
        defined = [statement.name for statement in body if isinstance(statement, Define)]
        changed = [s.name for s in body if isinstance(s, Accumulate | Assign) and s.name not in defined]
        read = [
            node.value for statement in body for value in values_of(statement) for node in nodes(value)
            if node.op == "local" and node.value not in defined
        ]  # fmt: skip
        held = [name for name in dict.fromkeys([*changed, *read]) if name in self.rows]
        names = {name: f"{name}.here" for name in held}
        before = [Define(names[name], load(self.rows[name], self.place)) for name in held]
        written = [name for name in dict.fromkeys([*defined, *changed]) if name in self.rows]
        after = [
            Store(self.rows[name].name, self.place, local(names.get(name, name), self.rows[name].dtype))
            for name in written
        ]
        return (*before, *(_with_names(statement, names) for statement in body), *after)


def _with_names(statement: Statement, names: dict[str, str]) -> Statement:
    return copied((statement,), names, {})[0]
