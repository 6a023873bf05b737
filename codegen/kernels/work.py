"""How much work a kernel is: floating-point operations and bytes of memory, as dimensions of its sizes.

Operations are counted as the machine does them, functions such as `exp` taken apart into their polynomials: add, sub, mul,
div, sqrt and the extremes count one, a fused multiply-add counts two; comparisons, selections, conversions and
bit operations count nothing. Bytes are those that have to move: every element of an input that is read and of an output
that is written counts once, however often the kernel touches it; scratch counts nothing, nor does what a kernel reads
back from its own results.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from optc.codegen.kernels.kernel import Accumulate, Fold, Kernel, Loop, Scatter, Statement, Store, values_of
from optc.codegen.kernels.vector_math import expand
from optc.codegen.machine.host import Target
from optc.dataclass import dataclass
from optc.ir.dims import Dim, product, substitute, symbol, symbols
from optc.ops.scalar import Expr, nodes

FLOPS = dict.fromkeys(("add", "sub", "mul", "div", "sqrt", "minnum", "maxnum", "minimum", "maximum"), 1) | {"fma": 2}
"""Floating-point operations of the primitives that count."""


@dataclass(frozen=True)
class Work:
    """Operations and bytes of one call; `itemsize` is the width of the floats it computes with, in bytes."""

    flops: Dim = 0
    bytes: Dim = 0
    itemsize: int = 4


def expression_flops(expr: Expr, target: Target) -> int:
    """The floating-point operations of one element; what is rarely computed does not count."""
    usual = nodes(expand(expr, target), lambda node: (node.args[0], node.args[2]) if node.op == "rarely" else node.args)
    return sum(FLOPS.get(node.op, 0) for node in usual if node.dtype.kind == "float")


def kernel_work(kernel: Kernel, target: Target) -> Work:
    """The work of one call of a kernel that has not been scheduled yet."""
    flops: Dim = 0
    touched: dict[tuple[str, bool, Dim], Dim] = {}
    for statement, loops in _walk(kernel.body, ()):
        turns = product([_turns(loop) for loop in loops])
        flops = flops + _statement_flops(statement, target) * turns
        for buffer, is_write, index in _accesses(statement):
            place = buffer, is_write, _by_range(index, loops)
            touched.setdefault(place, _elements(index, loops))
    roles = {buffer.name: buffer for buffer in kernel.buffers if buffer.role != "scratch"}
    bytes_: Dim = 0
    for (name, is_write, _), count in touched.items():
        if name in roles and is_write == (roles[name].role == "output"):
            bytes_ = bytes_ + count * roles[name].dtype.itemsize
    return Work(flops, bytes_, float_width(buffer.dtype.itemsize for buffer in roles.values()
                                           if buffer.dtype.kind == "float"))  # fmt: skip


def float_width(sizes: Iterable[int]) -> int:
    """The width of the widest floats, at least that of float32, as which narrower ones are computed."""
    return max([4, *sizes])


def _walk(body: tuple[Statement, ...], loops: tuple[Loop, ...]) -> Iterator[tuple[Statement, tuple[Loop, ...]]]:
    """Every statement that is no loop, with the loops around it."""
    for statement in body:
        if isinstance(statement, Loop):
            yield from _walk(statement.body, (*loops, statement))
        else:
            yield statement, loops


def _turns(loop: Loop) -> Dim:
    return (loop.stop - loop.start + (loop.step - 1)) // loop.step


def _statement_flops(statement: Statement, target: Target) -> int:
    combined = (statement.combine,) if isinstance(statement, Accumulate | Fold) else ()
    return sum(expression_flops(expr, target) for expr in (*values_of(statement), *combined))


def _accesses(statement: Statement) -> Iterator[tuple[str, bool, Dim]]:
    """The buffers that a statement reads or writes, and where."""
    if isinstance(statement, Store):
        yield statement.buffer, True, statement.index
    elif isinstance(statement, Scatter):
        yield statement.buffer, True, statement.offset + _data_place(statement.base)
    for value in values_of(statement):
        for node in nodes(value):
            if node.op == "load":
                yield node.value[0], False, node.value[1]
            elif node.op == "at":
                yield node.value[0], False, node.value[1] + _data_place(node.args[0])


def _data_place(base: Expr) -> Dim:
    """A place that is computed from data may be another one wherever the data is another: it moves as the data does."""
    moved: Dim = 0
    for part in nodes(base):
        if part.op in ("load", "index"):
            moved = moved + (part.value[1] if part.op == "load" else part.value)
    return moved


def _by_range(index: Dim, loops: tuple[Loop, ...]) -> Dim:
    """An index in terms of what its variables run through: two passes over the same elements look the same."""
    ranges = {loop.variable: symbol(f"{loop.start}..{loop.stop}") for loop in loops}
    return substitute(index, {name: range_ for name, range_ in ranges.items() if name in symbols(index)})


def _elements(index: Dim, loops: tuple[Loop, ...]) -> Dim:
    """How many elements an access touches: as many as the loops that move it have turns."""
    moving = symbols(index)
    return product([_turns(loop) for loop in loops if loop.variable in moving])
