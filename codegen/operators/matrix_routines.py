"""Systems of linear equations and factors of matrices, as LLVM functions that work on stacks of matrices.

A matrix A of n x n, and beside it a right side B of n x m, are brought into scratch memory, row by row, both padded to
whole vectors: A with ones on its diagonal, so that what is padded changes nothing. A triangular one that needs no padding
is read where it lies. In scratch everything is done to rows, by panels of as many rows (or columns) as a vector has
lanes: what the rows of a panel do to each other first, then what they take away from all other rows, a tile of which stays in registers meanwhile (`_Writer.subtract`).

`Routine` names one function: `void name(a, b, x, pivots, info, scratch, n, m, strides ..., count, groups, start, stop)`
works on `count` matrices in `groups` shares, of which a call does those from `start` to `stop`, each in scratch of its
own. `info` says of every matrix where it went wrong first, counted from 1, and 0 if it did not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from optc.codegen.kernels.expression import memory_type
from optc.codegen.llvm import Builder, Module, Operand, Parameter, Value, vector_of
from optc.codegen.machine.host import Target
from optc.dataclass import dataclass
from optc.ir.dims import Dim
from optc.ir.dtypes import DType

TILE = 4, 2
"""Rows and vectors of a tile: with a panel's rows, and a factor, they fit sixteen registers."""

_MATRICES = ("a", "b", "x")
_STRIDES = [f"{matrix}_{step}" for matrix in _MATRICES for step in ("batch", "row", "column")]
_PARAMETERS = [
    *(Parameter("ptr", name) for name in (*_MATRICES, "pivots", "info", "scratch")),
    *(Parameter("i64", name) for name in ("n", "m", *_STRIDES, "count", "groups", "start", "stop")),
]

Task = Literal["solve", "factor", "cholesky", "lower", "upper"]


@dataclass(frozen=True)
class Routine:
    """One function. `solve`: X with A X = B, by elimination; `factor`: L and U in one matrix X, and the rows that were
    exchanged; `cholesky`: the upper factor X; `lower`, `upper`: X with A X = B for triangular A, which has ones on its
    diagonal if `unit`, whatever stands there."""

    task: Task
    dtype: DType
    lanes: int
    unit: bool = False

    @staticmethod
    def of(task: Task, dtype: DType, target: Target, unit: bool = False) -> Routine:
        """The function for a processor."""
        return Routine(task, dtype, target.lanes(memory_type(dtype)), unit)

    @property
    def name(self) -> str:
        """The function's name."""
        return f"matrix_{self.task}{'_unit' if self.unit else ''}_{self.dtype.name}_{self.lanes}"

    @property
    def parameter_types(self) -> list[str]:
        """The types of the function's arguments."""
        return [parameter.type for parameter in _PARAMETERS]

    def padded(self, extent: Dim) -> Dim:
        """As many elements as whole vectors hold."""
        return (extent + (self.lanes - 1)) // self.lanes * self.lanes

    def scratch_elements(self, n: Dim, m: Dim) -> Dim:
        """What one share needs."""
        return self.padded(n) * (self.padded(n) + self.padded(m))

    def module(self) -> Module:
        """The module that defines the function."""
        module = Module(self.name)
        function = module.function(self.name, "void", _PARAMETERS)
        given = dict(zip((parameter.name for parameter in _PARAMETERS), function.arguments))
        _Writer(self, Builder(function), given).write()
        return module


class _Writer:
    def __init__(self, routine: Routine, b: Builder, given: dict[str, Value]) -> None:
        self.routine = routine
        self.b = b
        self.given = given
        self.element = memory_type(routine.dtype)
        self.lanes = routine.lanes
        self.vector = vector_of(self.element, self.lanes)
        self.n, self.m = given["n"], given["m"]
        self.height = self.rounded(self.n)
        self.is_triangular = routine.task in ("lower", "upper")
        is_whole = b.icmp("eq", self.height, self.n)
        self.in_place = b.and_(is_whole, b.constant("i1", self.is_triangular))
        self.right = b.select(self.in_place, b.constant("i64", 0), self.height)
        self.width = b.add(self.right, self.rounded(self.m))

    def write(self) -> None:
        b, given = self.b, self.given
        size = b.mul(self.height, self.width)
        with b.for_loop(given["start"], given["stop"]) as group:
            self.scratch = b.gep(self.element, given["scratch"], b.mul(group.index, size))
            first, last = (
                b.udiv(b.mul(given["count"], number), given["groups"])
                for number in (group.index, b.add(group.index, 1))
            )
            with b.for_loop(first, last) as each:
                self.matrix(each.index, size)
        b.ret()

    def matrix(self, number: Value, size: Value) -> None:
        """Everything for one matrix."""
        b = self.b
        b.memset(self.scratch, 0, b.mul(size, self.routine.dtype.itemsize))
        zero, one = b.constant("i64", 0), b.constant(self.element, 1)
        with b.for_loop(self.n, self.height) as row:
            b.store(one, self.place(row.index, row.index))
        with b.if_then(b.not_(self.in_place)):
            self.copy_in("a", number, zero, self.n)
        ways = (self.outside("a", number, zero, zero), self.given["a_row"], self.given["a_column"]), (
            self.scratch, self.width, b.constant("i64", 1))  # fmt: skip
        self.left = [b.select(self.in_place, outside, inside) for outside, inside in zip(*ways, strict=True)]
        self.info = b.gep("i32", self.given["info"], number)
        b.store(b.constant("i32", 0), self.info)
        if self.routine.task == "solve" or self.is_triangular:
            self.copy_in("b", number, self.right, self.m)
        {
            "solve": self.solve, "factor": self.eliminate, "cholesky": self.cholesky,
            "lower": self.substitute_down, "upper": self.substitute_up,
        }[self.routine.task](number)  # fmt: skip
        self.restore(number)
        self.copy_out(number)

    def restore(self, number: Value) -> None:
        """What stands in the result where it went wrong: B, as if A were the unit matrix; A, from the row on that has no
        root."""
        if self.routine.task not in ("solve", "cholesky"):
            return
        b, noted = self.b, self.b.load("i32", self.info)
        with b.if_then(b.icmp("ne", noted, 0), likely=False):
            if self.routine.task == "solve":
                self.copy_in("b", number, self.right, self.m)
            else:
                self.copy_in("a", number, b.constant("i64", 0), self.n, b.sub(b.sext(noted, "i64"), 1))

    # Places

    def rounded(self, extent: Value) -> Value:
        return self.b.and_(self.b.add(extent, self.lanes - 1), -self.lanes)

    def place(self, row: Value, column: Value) -> Value:
        b = self.b
        return b.gep(self.element, self.scratch, b.add(b.mul(row, self.width), column))

    def read(self, row: Value, column: Value) -> Value:
        return self.b.load(self.element, self.place(row, column))

    def spread(self, row: Value, column: Value) -> Value:
        """An element of A, or of what has become of it, in all lanes."""
        b = self.b
        start, down, along = self.left
        place = b.gep(self.element, start, b.add(b.mul(row, down), b.mul(column, along)))
        return b.splat(b.load(self.element, place), self.lanes)

    def read_vector(self, row: Value, column: Value) -> Value:
        return self.b.load(self.vector, self.place(row, column))

    def outside(self, name: str, number: Value, row: Value, column: Value) -> Value:
        """The address of an element of an operand or result."""
        b, given = self.b, self.given
        steps = ((number, "batch"), (row, "row"), (column, "column"))
        offset = b.constant("i64", 0)
        for index, step in steps:
            offset = b.add(offset, b.mul(index, given[f"{name}_{step}"]))
        return b.gep(self.element, given[name], offset)

    def copy_in(self, name: str, number: Value, start: Value, columns: Value, first: Operand = 0) -> None:
        """The rows of an operand, from the first one on, to the columns of scratch from `start` on."""
        b = self.b

        def one(row: Value, column: Value) -> None:
            value = b.load(self.element, self.outside(name, number, row, column))
            b.store(value, self.place(row, b.add(start, column)))

        def several(row: Value, column: Value) -> None:
            value = b.load(self.vector, self.outside(name, number, row, column))
            b.store(value, self.place(row, b.add(start, column)))

        with b.for_loop(first, self.n) as row:
            self.along(name, row.index, b.constant("i64", 0), columns, one, several)

    def along(
        self, name: str, row: Value, start: Value, stop: Value,
        one: Callable[[Value, Value], None], several: Callable[[Value, Value], None],
    ) -> None:  # fmt: skip
        """The columns of a row: by vectors where they lie beside each other outside, the rest one by one."""
        b = self.b
        is_row = b.icmp("eq", self.given[f"{name}_column"], 1)
        whole = b.select(is_row, b.and_(b.sub(stop, start), -self.lanes), b.constant("i64", 0))
        with b.for_loop(start, b.add(start, whole), self.lanes) as loop:
            several(row, loop.index)
        with b.for_loop(b.add(start, whole), stop) as loop:
            one(row, loop.index)

    def copy_out(self, number: Value) -> None:
        """The result: what stands in place of B, or of A; of a factor that is upper, zeros below."""
        b, task = self.b, self.routine.task
        has_right = task == "solve" or self.is_triangular
        start = self.right if has_right else b.constant("i64", 0)

        def one(row: Value, column: Value) -> None:
            b.store(self.read(row, b.add(start, column)), self.outside("x", number, row, column))

        def several(row: Value, column: Value) -> None:
            b.store(self.read_vector(row, b.add(start, column)), self.outside("x", number, row, column))

        with b.for_loop(0, self.n) as row:
            first = b.constant("i64", 0)
            if task == "cholesky":
                first = row.index
                with b.for_loop(0, first) as below:
                    b.store(b.constant(self.element, 0), self.outside("x", number, row.index, below.index))
            self.along("x", row.index, first, self.m if has_right else self.n, one, several)

    # What panels take away from other rows

    def subtract(
        self, panel: Value, rows: tuple[Value, Value], start: Callable[[Value], Value],
        factor: Callable[[Value, int], tuple[Value, Value]],
    ) -> None:  # fmt: skip
        """Row i of `rows`, from column `start(i)` on, minus factor(i, q) times row q of the panel, for all q."""
        b = self.b
        height, vectors = min(TILE[0], self.lanes), TILE[1]
        with b.for_loop(*rows, height) as loop:
            targets = [b.add(loop.index, number) for number in range(height)]
            first = start(loop.index)
            wide = vectors * self.lanes
            pairs = b.add(first, b.mul(b.udiv(b.sub(self.width, first), wide), wide))
            for begin, end, count in ((first, pairs, vectors), (pairs, self.width, 1)):
                with b.for_loop(begin, end, count * self.lanes) as columns:
                    self.subtract_tile(
                        panel, targets, [b.add(columns.index, self.lanes * k) for k in range(count)], factor
                    )

    def subtract_tile(
        self, panel: Value, targets: list[Value], columns: list[Value],
        factor: Callable[[Value, int], tuple[Value, Value]],
    ) -> None:  # fmt: skip
        b = self.b
        places = [[self.place(target, column) for column in columns] for target in targets]
        sums = [[b.load(self.vector, place) for place in row] for row in places]
        for q in range(self.lanes):
            row = [self.read_vector(b.add(panel, q), column) for column in columns]
            for number, target in enumerate(targets):
                scale = self.spread(*factor(target, q))
                sums[number] = [self.minus(old, scale, value) for old, value in zip(sums[number], row)]
        for line, values in zip(places, sums):
            for place, value in zip(line, values):
                b.store(value, place)

    def minus(self, total: Value, scale: Value, value: Value) -> Value:
        return self.b.fsub(total, self.b.fmul(scale, value))

    def within(self, panel: Value, start: Value, order: list[tuple[int, list[int]]], divides: bool) -> None:
        """What the rows of a panel take away from each other, from a column on: row q, in the given order, loses its
        multiples of the rows named with it, and is then divided by its diagonal element."""
        b = self.b
        with b.for_loop(start, self.width, self.lanes) as columns:
            rows = [self.read_vector(b.add(panel, q), columns.index) for q in range(self.lanes)]
            for q, others in order:
                row = b.add(panel, q)
                for p in others:
                    rows[q] = self.minus(rows[q], self.spread(row, b.add(panel, p)), rows[p])
                if divides:
                    rows[q] = b.fdiv(rows[q], self.spread(row, row))
            for q, value in enumerate(rows):
                b.store(value, self.place(b.add(panel, q), columns.index))

    def failed(self, condition: Value, order: Value) -> None:
        """Note the first step that went wrong."""
        b = self.b
        with b.if_then(condition, likely=False):
            old = b.load("i32", self.info)
            b.store(b.select(b.icmp("eq", old, 0), b.trunc(order, "i32"), old), self.info)

    # Triangles

    def substitute_down(self, number: Value) -> None:
        """Forward substitution: the right side becomes the solution."""
        b = self.b
        order = [(q, list(range(q))) for q in range(self.lanes)]
        with b.for_loop(0, self.height, self.lanes) as panel:
            self.within(panel.index, self.right, order, not self.routine.unit)
            behind = b.add(panel.index, self.lanes)
            self.subtract(panel.index, (behind, self.height), lambda row: self.right,
                          lambda row, q: (row, b.add(panel.index, q)))  # fmt: skip

    def substitute_up(self, number: Value) -> None:
        """Backward substitution."""
        b, lanes = self.b, self.lanes
        order = [(q, list(range(q + 1, lanes))) for q in reversed(range(lanes))]
        with b.for_loop(b.sub(self.height, lanes), -1, -lanes) as panel:
            self.within(panel.index, self.right, order, not self.routine.unit)
            self.subtract(panel.index, (b.constant("i64", 0), panel.index), lambda row: self.right,
                          lambda row, q: (row, b.add(panel.index, q)))  # fmt: skip

    # Elimination

    def solve(self, number: Value) -> None:
        self.eliminate(number)
        self.substitute_up(number)

    def eliminate(self, number: Value) -> None:
        """L below the diagonal, U on it and above; what stands beside A loses the same multiples of rows."""
        b = self.b
        order = [(q, list(range(q))) for q in range(1, self.lanes)]
        with b.for_loop(0, self.height, self.lanes) as panel:
            stop = b.intrinsic("smin", "i64", b.add(panel.index, self.lanes), self.n)
            with b.for_loop(panel.index, stop) as column:
                self.eliminate_column(number, panel.index, column.index)
            behind = b.add(panel.index, self.lanes)
            self.within(panel.index, behind, order, False)
            self.subtract(panel.index, (behind, self.height), lambda row: behind,
                          lambda row, q: (row, b.add(panel.index, q)))  # fmt: skip

    def eliminate_column(self, number: Value, panel: Value, k: Value) -> None:
        """The largest element of a column comes to the diagonal; those below become factors of its row."""
        b = self.b
        largest = self.pivot(k)
        self.exchange(k, largest)
        if self.routine.task == "factor":
            place = b.add(b.mul(number, self.n), k)
            b.store(b.trunc(b.add(largest, 1), "i32"), b.gep("i32", self.given["pivots"], place))
        found = self.read(k, k)
        is_zero = b.fcmp("oeq", found, 0.0)
        self.failed(is_zero, b.add(k, 1))
        divisor = b.select(is_zero, b.constant(self.element, 1), found)
        lane = b.trunc(b.sub(k, panel), "i32")
        numbers, here = b.lane_numbers(vector_of("i32", self.lanes)), b.splat(lane, self.lanes)
        behind, at_it = b.icmp("ugt", numbers, here), b.icmp("eq", numbers, here)
        row = b.select(behind, self.read_vector(k, panel), b.constant(self.vector, 0))
        with b.for_loop(b.add(k, 1), self.n) as below:
            factor = b.splat(b.fdiv(self.read(below.index, k), divisor), self.lanes)
            rest = self.minus(self.read_vector(below.index, panel), factor, row)
            b.store(b.select(at_it, factor, rest), self.place(below.index, panel))

    def pivot(self, k: Value) -> Value:
        """The row, from row k on, of the largest element of column k; the first one of several."""
        b = self.b
        first = b.intrinsic("fabs", self.element, self.read(k, k))
        with b.for_loop(b.add(k, 1), self.n, carried=[first, k]) as loop:
            best, place = loop.carried
            size = b.intrinsic("fabs", self.element, self.read(loop.index, k))
            is_larger = b.fcmp("ogt", size, best)
            loop.yield_([b.select(is_larger, size, best), b.select(is_larger, loop.index, place)])
        return loop.results[1]

    def exchange(self, row: Value, other: Value) -> None:
        b = self.b
        with b.if_then(b.icmp("ne", row, other)), b.for_loop(0, self.width, self.lanes) as columns:
            places = [self.place(one, columns.index) for one in (row, other)]
            values = [b.load(self.vector, place) for place in places]
            for place, value in zip(places, reversed(values)):
                b.store(value, place)

    # Positive definite matrices

    def cholesky(self, number: Value) -> None:
        """U with A = U^T U, of which only what stands on the diagonal and above is read and right."""
        b = self.b
        with b.for_loop(0, self.height, self.lanes) as panel:
            behind = b.add(panel.index, self.lanes)
            with b.for_loop(panel.index, b.intrinsic("smin", "i64", behind, self.n)) as row:
                self.cholesky_row(panel.index, row.index, behind)
            self.subtract(panel.index, (behind, self.height), lambda row: b.and_(row, -self.lanes),
                          lambda row, q: (b.add(panel.index, q), row))  # fmt: skip

    def cholesky_row(self, panel: Value, k: Value, behind: Value) -> None:
        """Row k divided by the root of its diagonal element, and what it takes away from the rest of the panel."""
        b = self.b
        found = self.read(k, k)
        is_positive = b.fcmp("ogt", found, 0.0)
        self.failed(b.not_(is_positive), b.add(k, 1))
        root = b.intrinsic("sqrt", self.element, b.select(is_positive, found, b.constant(self.element, 1)))
        divisor = b.splat(root, self.lanes)
        with b.for_loop(panel, self.width, self.lanes) as columns:
            place = self.place(k, columns.index)
            b.store(b.fdiv(b.load(self.vector, place), divisor), place)
        b.store(root, self.place(k, k))
        with b.for_loop(b.add(k, 1), behind) as below:
            factor = self.spread(k, below.index)
            with b.for_loop(panel, self.width, self.lanes) as columns:
                place = self.place(below.index, columns.index)
                value = self.minus(b.load(self.vector, place), factor, self.read_vector(k, columns.index))
                b.store(value, place)
