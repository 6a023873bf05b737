"""A product, the parts its columns are sliced into, and the pointwise operators on the parts: one `gated` kernel."""

from __future__ import annotations

from optc.codegen.driver.driver import Driver, has_groups
from optc.codegen.driver.frame import KernelRecord, Unsupported, tensor_type
from optc.codegen.driver.grouping import FULL, Group
from optc.codegen.gemm import gated
from optc.codegen.gemm.tiles import rows_to_count
from optc.codegen.kernels.cost import operations
from optc.codegen.kernels.emitter import emit_dim
from optc.codegen.kernels.expression import ExpressionEmitter, from_memory, memory_type, register_type, to_memory
from optc.codegen.kernels.kernel import show
from optc.codegen.kernels.native import MemoryTensor
from optc.codegen.kernels.vector_math import expand
from optc.codegen.kernels.work import Work, expression_flops
from optc.codegen.llvm import Builder, Parameter, Value
from optc.dataclass import dataclass
from optc.ir.dims import Dim, product
from optc.ir.dtypes import DType
from optc.ir.graph import Node
from optc.ir.graph import Value as IRValue
from optc.ir.types import TensorType
from optc.ops.abstract import abstract
from optc.ops.elementwise import element_expression, stored_type
from optc.ops.registry import Layout, operator_of
from optc.ops.scalar import Expr, inputs_of, substitute, variable

MOST_ROWS = 32
"""With more rows a product takes longer than what follows it, and large register tiles matter more."""

LEAST_WIDTH = 8
"""Narrower parts would leave most lanes of their vectors empty."""


@dataclass(frozen=True)
class _Read:
    """An operand of the expressions: its element in the unit's column, of part number `part` if it has all columns."""

    value: IRValue
    part: int | None


@dataclass(frozen=True)
class _Written:
    """A result: its memory, and its expression for every part it has (one for a value of the parts' width)."""

    memory: MemoryTensor
    exprs: tuple[Expr, ...]


def emit_group(driver: Driver, group: Group) -> None:
    """Emit a group whose root is a product with constant weights that is sliced into parts."""
    _GatedGroup(driver, group).emit()


class _GatedGroup:
    """Turns the members into expressions over the sums of all parts (inputs 0 ...) and what is read (inputs behind)."""

    def __init__(self, driver: Driver, group: Group) -> None:
        self.driver = driver
        self.group = group
        self.root = group.nodes[0]
        self.width = group.part
        rows, columns = group.domain
        assert isinstance(columns, int)
        self.rows: Dim = rows
        self.parts = columns // self.width
        dtype = tensor_type(self.root.output).dtype
        assert dtype is not None
        self.dtype = dtype
        self.members = {node.output: node for node in group.nodes}
        self.reads: list[_Read] = []
        self.memories: dict[IRValue, MemoryTensor] = {}
        self.elements: dict[tuple[IRValue, int | None], Expr] = {}

    def emit(self) -> None:
        driver, b = self.driver, self.driver.b
        a, weights = [value for value in self.root.inputs if isinstance(value.type, TensorType)][-2:]
        left = driver.in_memory(a)
        if left.strides[1] != 1 and left.shape[1] != 1:
            left = driver.contiguous(a)
        matrix = driver.in_memory(weights)
        element = register_type(self.dtype)
        known = self.rows if isinstance(self.rows, int) else None
        tile = gated.choose_tile(driver.target, element, known, self.parts, self.width)
        array = driver.constant_array(matrix)
        assert tile is not None and array is not None
        key = f"gated {self.parts} {tile}"
        packed = driver.packed_pointer(matrix, key, lambda: gated.pack(array, self.parts, tile))
        self.written = [self.result(value) for value in self.group.outputs()]
        arguments = [memory.pointer for memory in self.operands()]
        arguments += [written.memory.pointer for written in self.written]
        arguments += [emit_dim(b, self.movement(memory)[0], driver.symbols) for memory in self.operands()]
        k = left.shape[1]
        described = gated.GatedProduct(
            element, tile, self.parts, self.width, known, k if isinstance(k, int) else None, self.key(),
            self.parameters(), self.conclude, self.announce,
        )  # fmt: skip
        if described.name not in driver.modules:
            driver.modules[described.name] = described.module()
        numbers = [emit_dim(b, dim, driver.symbols) for dim in (left.strides[0], self.rows, k)]
        reverse = b.constant("i64", 0) if driver.turn is None else b.and_(driver.turn, 1)
        values = [left.pointer, numbers[0], packed, numbers[1], numbers[2], reverse, *arguments]
        declared = described.declaration()
        callee = driver.module.declare(declared.name, declared.return_type, declared.parameter_types)
        names = [node.kind for node in self.group.nodes]
        exprs = [expr for written in self.written for expr in written.exprs]
        work = product([rows_to_count(driver.target, self.rows), self.width, self.parts, k])
        after = product([self.rows, self.width]) * sum(map(operations, exprs))
        with driver.timed(described.name, names, lambda: self.work(k, exprs)):
            driver.call_split(callee, values, described.panels, work + after)
        text = f"gated {described.name}({self.rows}, {self.parts} x {self.width}, {k}) tile {tile}"
        driver.kernels.append(KernelRecord(described.name, names, text))

    def work(self, k: Dim, exprs: list[Expr]) -> Work:
        """The work of a call."""
        elements = product([self.rows, self.width])
        flops = elements * k * (2 * self.parts) + elements * sum(
            expression_flops(expr, self.driver.target) for expr in exprs
        )
        touched = [product(memory.shape) for memory in self.operands()]
        touched += [product(written.memory.shape) for written in self.written]
        moved = sum(touched, start=product([k, self.width * self.parts]) + product([self.rows, k]))
        return Work(flops, moved * self.dtype.itemsize, max(4, self.dtype.itemsize))

    def operands(self) -> list[MemoryTensor]:
        """What the expressions read, each tensor once."""
        return list(self.memories.values())

    # Expressions

    def result(self, value: IRValue) -> _Written:
        places: list[int | None] = [*range(self.parts)] if self.group.frames[value] == FULL else [None]
        exprs = tuple(expand(self.element(value, place), self.driver.target) for place in places)
        memory = self.driver.allocate(value)
        self.driver.define(value, memory)
        return _Written(memory, exprs)

    def element(self, value: IRValue, part: int | None) -> Expr:
        """An element of a value: in the unit's column of `part` for values with all columns."""
        dtype = value.type.dtype if isinstance(value.type, TensorType) else stored_type(abstract(value))
        assert dtype is not None
        if value is self.root.output:
            assert part is not None
            return self.summed(dtype, part)
        node = self.members.get(value)
        if node is None:
            return self.read(value, part, dtype)
        if (value, part) not in self.elements:
            self.elements[value, part] = self.combined(node, part, dtype)
        return self.elements[value, part]

    def combined(self, node: Node, part: int | None, dtype: DType) -> Expr:
        operator = operator_of(node)
        assert operator is not None
        if isinstance(operator.lowering, Layout):
            return self.element(node.inputs[0], self.group.places[node.output])
        expr = element_expression(operator, [abstract(item) for item in node.inputs], dtype)
        return substitute(expr, {place: self.element(node.inputs[place], part) for place in inputs_of(expr)})

    def read(self, value: IRValue, part: int | None, dtype: DType) -> Expr:
        if value not in self.memories:
            memory = self.driver.in_memory(value)
            if self.movement(memory)[1] not in (0, 1):
                memory = self.driver.contiguous(value)
            self.memories[value] = memory
        read = _Read(value, part if self.movement(self.memories[value])[1] else None)
        if read not in self.reads:
            self.reads.append(read)
        return variable(self.parts + self.reads.index(read), dtype)

    def summed(self, dtype: DType, part: int) -> Expr:
        """The product, with the summand and scales of addmm."""
        operator = operator_of(self.root)
        assert operator is not None
        positions = operator.schema.positions
        total = variable(part, dtype)
        if "alpha" not in positions:
            return total
        total = self.scaled(total, self.root.inputs[positions["alpha"]])
        beta = self.root.inputs[positions["beta"]]
        if beta.is_constant and beta.constant == 0:
            return total
        return total + self.scaled(self.element(self.root.inputs[0], part), beta)

    def scaled(self, expr: Expr, factor: IRValue) -> Expr:
        if factor.is_constant:
            return expr if factor.constant == 1 else expr * factor.constant
        number: Expr = self.element(factor, None).cast(expr.dtype)
        return expr * number

    def movement(self, memory: MemoryTensor) -> tuple[Dim, Dim]:
        """How an operand moves with the row and with the column."""
        missing = 2 - len(memory.shape)
        shape, strides = (1,) * missing + memory.shape, (0,) * missing + memory.strides
        row, column = (0 if extent == 1 else stride for extent, stride in zip(shape, strides))
        return row, column

    # The kernel's last part

    def parameters(self) -> tuple[Parameter, ...]:
        count, results = len(self.memories), len(self.written)
        return (
            *(Parameter("ptr", f"operand{place}", "readonly") for place in range(count)),
            *(Parameter("ptr", f"result{place}") for place in range(results)),
            *(Parameter("i64", f"stride{place}") for place in range(count)),
        )

    def key(self) -> str:
        """Everything that decides the code of `conclude`."""
        places = {value: place for place, value in enumerate(self.memories)}
        reads = [(places[read.value], read.part) for read in self.reads]
        kinds = [
            (memory.dtype.name, self.movement(memory)[0] == 0, self.movement(memory)[1]) for memory in self.operands()
        ]
        results = [(written.memory.dtype.name, list(map(show, written.exprs))) for written in self.written]
        return f"{reads} {kinds} {results}"

    def conclude(self, b: Builder, sums: list[Value], spot: gated.Spot) -> None:
        """Compute and store every result for one vector of units."""

        def leaf(node: Expr) -> Value:
            number: int = node.value
            if number < self.parts:
                return sums[number]
            return self.load(b, self.reads[number - self.parts], spot, sums[0].lanes)

        emitter = ExpressionEmitter(b, sums[0].lanes, leaf, self.driver.target)
        values = [[emitter.emit(expr) for expr in written.exprs] for written in self.written]
        for number, (written, made) in enumerate(zip(self.written, values)):
            dtype = written.memory.dtype
            pointer = spot.extra[len(self.memories) + number]
            row = b.mul(spot.row, len(made) * self.width)
            for part, value in enumerate(made):
                place = b.add(row, b.add(spot.unit, part * self.width))
                b.store(to_memory(b, value, dtype), b.gep(memory_type(dtype), pointer, place), mask=spot.mask)

    def announce(self, b: Builder, spot: gated.Spot) -> None:
        """The sums of a row take long enough to fetch what is read behind them, which comes from anywhere."""
        for read in self.reads:
            if self.movement(self.memories[read.value])[1]:
                b.prefetch(self.address(b, read, spot))

    def load(self, b: Builder, read: _Read, spot: gated.Spot, lanes: int) -> Value:
        memory = self.memories[read.value]
        stored, address = memory_type(memory.dtype), self.address(b, read, spot)
        if not self.movement(memory)[1]:
            return b.splat(from_memory(b, b.load(stored, address), memory.dtype), lanes)
        return from_memory(b, b.load(memory_type(memory.dtype, lanes), address, mask=spot.mask), memory.dtype)

    def address(self, b: Builder, read: _Read, spot: gated.Spot) -> Value:
        """Where an operand lies for a row and a vector of units."""
        number = list(self.memories).index(read.value)
        memory = self.memories[read.value]
        row, column = self.movement(memory)
        place = b.constant("i64", 0)
        if row != 0:
            place = b.mul(spot.row, spot.extra[len(self.memories) + len(self.written) + number])
        if column:
            place = b.add(place, b.add(spot.unit, (read.part or 0) * self.width))
        return b.gep(memory_type(memory.dtype), spot.extra[number], place)


def takes_parts(driver: Driver, root: Node, parts: int, width: int) -> bool:
    """True when a product can be computed part by part: rows of floats times constant weights, parts in registers."""
    type_ = tensor_type(root.output)
    if type_.dtype is None or type_.dtype.name not in ("float32", "float64") or type_.rank != 2 or has_groups(root):
        return False
    weights = [value for value in root.inputs if isinstance(value.type, TensorType)][-1]
    try:
        known = driver.constant_array(driver.in_memory(weights))
    except Unsupported:
        return False
    rows = type_.shape[0] if type_.shape else None
    if not isinstance(rows, int) or rows > MOST_ROWS or width < LEAST_WIDTH:
        return False
    tile = gated.choose_tile(driver.target, register_type(type_.dtype), rows, parts, width)
    return known is not None and known.size > 0 and tile is not None
