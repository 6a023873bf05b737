"""The schedule that adds products to sums over windows without rounding them first, as products of matrices do.

Half the instructions, and a rounding less. Only where registers could never hold the elements of a window, whatever the
batch: there, products are rounded, and a row has to sum to the same bits alone and in company.
"""

from __future__ import annotations

from dataclasses import replace

from optc.codegen.kernels.kernel import Accumulate, Assign, Kernel, Loop, Statement, local
from optc.codegen.kernels.native import REGISTER_ELEMENTS
from optc.codegen.kernels.unroll import sums_windows
from optc.codegen.machine.host import Target
from optc.ir.dims import Dim
from optc.ops.scalar import Expr


def fuse_sums(kernel: Kernel, target: Target) -> Kernel:
    """Make `acc = fma(x, y, acc)` of `acc += x * y` in windows of many elements."""
    return replace(kernel, body=tuple(map(_statement, kernel.body)))


def _statement(statement: Statement) -> Statement:
    if not isinstance(statement, Loop):
        return statement
    if sums_windows(statement):
        count = _turns(statement, statement.stop - statement.start)
        return statement if count is None or count <= REGISTER_ELEMENTS else _fused(statement)
    return replace(statement, body=tuple(map(_statement, statement.body)))


def _turns(columns: Loop, length: Dim) -> int | None:
    """How many elements the window with the fewest has, all columns together; None where that is not known."""
    counts = []
    for window in (statement for statement in columns.body if isinstance(statement, Loop)):
        count = length
        inner: Statement = window
        while isinstance(inner, Loop):
            count = count * (inner.stop - inner.start)
            inner = inner.body[-1]
        counts.append(count)
    known = [count for count in counts if isinstance(count, int)]
    return min(known) if len(known) == len(counts) else None


def _fused(statement: Statement) -> Statement:
    if isinstance(statement, Loop):
        return replace(statement, body=tuple(map(_fused, statement.body)))
    if not isinstance(statement, Accumulate) or not _adds_product(statement):
        return statement
    total = local(statement.name, statement.value.dtype)
    return Assign(statement.name, Expr("fma", statement.value.dtype, (*statement.value.args, total)))


def _adds_product(statement: Accumulate) -> bool:
    combine, value = statement.combine, statement.value
    is_sum = combine.op == "add" and sorted(arg.value for arg in combine.args if arg.op == "input") == [0, 1]
    return is_sum and value.op == "mul" and value.dtype.kind == "float" and value.dtype.itemsize >= 4
