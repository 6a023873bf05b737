"""Matrix products in memory: which GEMM, how its operands lie, and what happens to the sums before they are stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from optc.codegen.driver import framing
from optc.codegen.driver.driver import Driver, is_product
from optc.codegen.driver.frame import KernelRecord, Unsupported, tensor_type
from optc.codegen.driver.grouping import Group
from optc.codegen.driver.memory import Slot
from optc.codegen.gemm.driver import product_modules
from optc.codegen.gemm.epilogue import PLAIN, Epilogue, Place
from optc.codegen.gemm.kernel import Order
from optc.codegen.gemm.plan import MOST_NARROW, Plan, Shape, Source, plan_product
from optc.codegen.gemm.product import Gemm
from optc.codegen.gemm.tiles import rows_to_count
from optc.codegen.gemm.weights import pack_panels
from optc.codegen.gemm.windows import Levels, Windows, flat, levels_of, windows_of
from optc.codegen.kernels.cost import operations
from optc.codegen.kernels.emitter import emit_dim
from optc.codegen.kernels.expression import ExpressionEmitter, from_memory, memory_type, register_type, to_memory
from optc.codegen.kernels.kernel import show
from optc.codegen.kernels.native import REGISTER_ELEMENTS, Folded, MemoryTensor
from optc.codegen.kernels.vector_math import expand
from optc.codegen.kernels.work import Work, expression_flops, float_width
from optc.codegen.llvm import Builder, Parameter, Value, byte_size
from optc.dataclass import dataclass
from optc.ir.dims import Dim, multiply, product
from optc.ir.dtypes import DType
from optc.ir.graph import Node
from optc.ir.graph import Value as IRValue
from optc.ir.types import TensorType
from optc.ops.abstract import abstract
from optc.ops.elementwise import element_expression, stored_type
from optc.ops.promotion import compute_type
from optc.ops.registry import Operator, operator_of
from optc.ops.scalar import Expr, inputs_of, substitute, variable


@dataclass(frozen=True)
class Matrix:
    """A matrix in memory as GEMM takes it: address, distance of its rows (or columns), and how it lies.

    `batch` is the distance to the matrix of the next product, 0 where all share one. `windows`: how rows of A lie that
    are not at equal distances; `levels`: the same of C, the innermost first.
    """

    pointer: Value
    stride: Dim
    order: Source = "rows"
    batch: Dim = 0
    windows: Windows | None = None
    levels: Levels = ()

    @property
    def turned(self) -> Matrix:
        """The transposed matrix, in the same memory."""
        assert self.order != "packed"
        return replace(self, order="columns" if self.order == "rows" else "rows")


def emit(driver: Driver, node: Node, operator: Operator) -> None:
    """A product on its own."""
    if not is_product(node):
        raise Unsupported(node, f"a matrix product of {tensor_type(node.output)}")
    emit_group(driver, Group(tensor_type(node.output).shape or (), None, [node], {node.output: "full"}))


def as_matrix(memory: MemoryTensor) -> Matrix:
    """A tensor of two dimensions, or a batch of them, one of which has elements beside each other."""
    columns, (down, across) = memory.shape[-1], memory.strides[-2:]
    batch = memory.strides[0] if len(memory.shape) == 3 and memory.shape[0] != 1 else 0
    if across == 1 or columns == 1 and down != 1:
        return Matrix(memory.pointer, down, "rows", batch)
    return Matrix(memory.pointer, across, "columns", batch)


def as_row(vector: Matrix) -> Matrix:
    """A column as a row; one without gaps lies as rows do."""
    return replace(vector.turned, order="rows") if vector.stride == 1 else vector.turned


class Product:
    """The code of products of given extents: [batches of] M x K times K x N, of element type `dtype`.

    A loop over steps makes one `Product`, and calls it inside: constant weights are packed once (`packed`), while
    compiling, and their address is loaded when the program starts; a call is a direct call.
    """

    def __init__(
        self, driver: Driver, dtype: DType, m: Dim, n: Dim, k: Dim, batches: Dim = 1, narrow: bool = False,
        narrow_at_run: bool = False,
    ) -> None:  # fmt: skip
        self.driver = driver
        self.dtype = dtype
        self.element = register_type(dtype)
        self.extents = (m, n, k)
        self.batches = batches
        self.narrow = narrow
        self.narrow_at_run = narrow_at_run

    def packed(self, matrix: MemoryTensor, rows: Matrix) -> Matrix | None:
        """Constant weights in panels; None for what is not constant, or differs between the products of a batch."""
        if len(matrix.shape) != 2 or not all(isinstance(extent, int) for extent in matrix.shape):
            return None
        weights = self.driver.constant_array(matrix)
        if weights is None or not weights.size:
            return None
        tile = self.plan(rows, "packed", None).tile
        pointer = self.driver.packed_pointer(matrix, str(tile), pack_panels, weights, tile.columns, tile.lanes)
        return Matrix(pointer, 0, "packed")

    def plan(self, a: Matrix, source: Source, stride: Dim | None, wide_result: bool = True) -> Plan:
        """How the product is cut."""
        m, n, k = map(_known, self.extents)
        order: Order = "columns" if a.order == "columns" else "rows"
        strides = _known(a.stride), _known(stride)
        windowed = a.windows is not None
        # The turns of a loop read its weights again and again, those of a program once per run.
        constant_bytes = self.driver.constant_bytes if self.driver.turn is None else 0
        shape = Shape(
            self.element, m, n, k, order, source, *strides, wide_result, self.narrow, self.narrow_at_run, windowed,
            constant_bytes, self.driver.turn is not None,
        )  # fmt: skip
        return plan_product(self.driver.target, shape)

    def call(self, a: Matrix, matrix: Matrix, c: Matrix, epilogue: Epilogue = PLAIN, extra: Sequence[Value] = (),
             operators: Sequence[str] = (), epilogue_work: Callable[[], Work] = Work) -> None:  # fmt: skip
        """Emit the call that computes C; `extra` are the arguments of the epilogue, `epilogue_work` is what it adds."""
        driver = self.driver
        wide = epilogue.result in ("", self.element)
        plan = self.plan(a, matrix.order, matrix.stride, wide)
        order: Order = "columns" if a.order == "columns" else "rows"
        m, n, k = map(_known, self.extents)
        levels = len(a.windows.levels) if a.windows is not None else 0
        described = Gemm(
            self.element, plan, m, n, k, order, matrix.order, epilogue, _known(self.batches), levels, len(c.levels)
        )  # fmt: skip
        if described.name not in driver.modules:  # else its kernels are there as well
            for name, module in product_modules(described, driver.modules).items():
                driver.modules.setdefault(name, module)
        sizes: list[Dim] = list(self.extents)
        steps: list[Dim] = [self.batches, a.batch, matrix.batch, c.batch] if described.is_batched else []
        scratch_bytes = described.scratch_bytes(self.extents[2])
        slots = []
        scratch = driver.b.constant("ptr", 0)
        if scratch_bytes != 0:
            slot, scratch = driver.new_slot(multiply(scratch_bytes, described.groups), 1)
            slots.append(slot)
        tables: list[Value] = []
        for numbers in (a.windows.table if a.windows is not None else (), flat(c.levels)):
            if numbers:
                slot, table = self.table(numbers)
                slots.append(slot)
                tables.append(table)
        turn = [driver.b.and_(driver.turn, 1)] if plan.alternates and driver.turn is not None else []
        values = [
            a.pointer, self.value(a.stride), matrix.pointer, self.value(matrix.stride), c.pointer, self.value(c.stride),
            *map(self.value, sizes), scratch, *map(self.value, steps), *tables, *turn, *extra,
        ]  # fmt: skip
        declared = described.declaration()
        callee = driver.module.declare(declared.name, declared.return_type, declared.parameter_types)
        with driver.timed(described.name, operators, lambda: self.work(a, matrix, epilogue, epilogue_work())):
            work = product([self.batches, rows_to_count(driver.target, self.extents[0]), *sizes[1:]])
            driver.call_split(callee, values, described.groups, work, described.groups_together)
        for slot in slots:
            driver.release(slot)
        driver.kernels.append(KernelRecord(described.name, list(operators), self.text(described)))

    def table(self, numbers: Sequence[Dim]) -> tuple[Slot, Value]:
        """What kernels have to know of where rows lie, in memory."""
        b = self.driver.b
        slot, pointer = self.driver.new_slot(len(numbers), 8)
        for place, number in enumerate(numbers):
            b.store(self.value(number), b.gep("i64", pointer, place))
        return slot, pointer

    def work(self, a: Matrix, matrix: Matrix, epilogue: Epilogue, added: Work) -> Work:
        """The work of a call: a matrix that all products of a batch share moves once, and what windows share too."""
        m, n, k = self.extents
        read = (multiply(m, k) if a.windows is None else a.windows.span) * (self.batches if a.batch != 0 else 1)
        read = read + multiply(k, n) * (self.batches if matrix.batch != 0 else 1)
        written = product([self.batches, m, n]) * byte_size(epilogue.result or self.element)
        flops = product([2, self.batches, m, n, k]) + added.flops
        return Work(flops, read * self.dtype.itemsize + written + added.bytes, float_width([self.dtype.itemsize]))

    def value(self, dim: Dim) -> Value:
        return emit_dim(self.driver.b, dim, self.driver.symbols)

    def text(self, described: Gemm) -> str:
        plan = described.plan
        extents = ", ".join(map(str, (*self.extents, *([self.batches] if described.is_batched else []))))
        cut = f"tile {plan.tile.rows}x{plan.tile.columns}, {plan.rows} rows by {plan.steps or 'all'} of K at a time"
        packs = [name for name, holds in (("A", plan.packs_a), ("B", plan.packs_b)) if holds]
        return f"gemm {described.name}({extents}) {cut}" + (f", packs {' and '.join(packs)}" if packs else "")


def _known(dim: Dim | None) -> int | None:
    return dim if isinstance(dim, int) else None


def _matrix_memory(driver: Driver, value: IRValue) -> MemoryTensor:
    """An operand where it is, or a copy if it lies in no usable order."""
    memory = driver.in_memory(value)
    usable = any(stride == 1 or extent == 1 for stride, extent in zip(memory.strides[-2:], memory.shape[-2:]))
    if memory.shape[-2] == 1 and memory.strides[-1] != 1:
        usable = memory.shape[-1] == 1
    return memory if usable else driver.contiguous(value)


def _left_memory(driver: Driver, value: IRValue) -> MemoryTensor | Folded:
    """The left operand where it is, or a copy if it lies in no usable order."""
    native = driver.native(value)
    return native if isinstance(native, Folded) else _matrix_memory(driver, value)


def _as_windows(folded: Folded) -> Matrix:
    windows = windows_of(folded.memory.shape, folded.memory.strides, folded.rows)
    assert windows is not None
    return Matrix(folded.memory.pointer, 1, "rows", 0, windows)


def _is_narrow(n: Dim, k: Dim) -> bool:
    """Few enough columns, and more of K than registers hold: there, sums are added up in another order."""
    return isinstance(n, int) and n <= MOST_NARROW and not _is_short(k)


def _is_short(k: Dim) -> bool:
    return isinstance(k, int) and k <= REGISTER_ELEMENTS


def _is_turned_row(memory: MemoryTensor | Folded) -> bool:
    """One row that was a column: with more of them it would lie the other way."""
    return isinstance(memory, MemoryTensor) and memory.shape[-2] == 1 and memory.strides[-2] == 1


def _transposed(memory: MemoryTensor) -> MemoryTensor:
    """A view with the last two dimensions exchanged."""
    *batch, m, n = memory.shape
    *step, down, across = memory.strides
    return replace(memory, shape=(*batch, n, m), strides=(*step, across, down))


def emit_group(driver: Driver, group: Group) -> None:
    """A product and the pointwise operators behind it, applied to the sums while they are in registers."""
    root, last = group.nodes[0], group.nodes[-1]
    tensors = [value for value in root.inputs if isinstance(value.type, TensorType)]
    left, right = _left_memory(driver, tensors[-2]), _matrix_memory(driver, tensors[-1])
    shape = tensor_type(root.output).shape
    dtype = tensor_type(root.output).dtype
    assert shape is not None and dtype is not None
    batches = shape[0] if len(shape) == 3 else 1
    (m, n), k = shape[-2:], left.shape[-1]
    a, b = _as_windows(left) if isinstance(left, Folded) else as_matrix(left), as_matrix(right)
    suits_along_k = a.order == "rows" and not _is_turned_row(left)
    narrow = _is_narrow(n, k) and suits_along_k
    narrow_at_run = suits_along_k and not _is_short(k) and a.windows is None
    turned = n == 1 and (narrow or m != 1)
    epilogue = EpilogueWriter(driver, group, turned)
    framed = None if turned else framing.part_for(driver, last.output)
    if framed is not None:
        c = framed_matrix(framed)
    else:
        result = driver.allocate(last.output)
        c = Matrix(result.pointer, result.strides[-2], "rows", result.strides[0] if len(shape) == 3 else 0)
    if turned and not isinstance(left, Folded):
        # A product with a vector is one with a row vector, which keeps all lanes busy.
        m, n = n, m
        a, b, c = as_row(b), a.turned, replace(c, stride=m)
        right = _transposed(left)
    product_of = Product(driver, dtype, m, n, k, batches, narrow, narrow_at_run and not turned)
    weights = product_of.packed(right, a)
    operators = [node.kind for node in group.nodes]
    product_of.call(a, weights or b, c, epilogue.build(), epilogue.pointers, operators, epilogue.work)
    driver.define(last.output, result if framed is None else in_frame(framed, shape))


def framed_matrix(framed: MemoryTensor) -> Matrix:
    """The rows of a result in its frame."""
    levels = levels_of(framed.shape[:-1], framed.strides[:-1])
    return Matrix(framed.pointer, levels[0][1], levels=levels if len(levels) > 1 else ())


def in_frame(framed: MemoryTensor, shape: tuple[Dim, ...]) -> Folded:
    """A matrix of this shape that has been written into a frame."""
    return Folded(framed, len(framed.shape) - 1, shape)


class EpilogueWriter:
    """Turns the group's expression over the product into a GEMM epilogue.

    Input 0 of the expression is the sum; input k + 1 is an element of operand k. `columns`: of each product, where the
    products of a batch lie side by side in the rows of the result.
    """

    def __init__(self, driver: Driver, group: Group, turned: bool, columns: int = 0) -> None:
        self.driver = driver
        self.group = group
        self.turned = turned
        self.columns = columns
        self.members = {node.output: node for node in group.nodes}
        self.root = group.nodes[0]
        self.elements: dict[IRValue, Expr] = {}
        self.operands: list[IRValue] = []
        self.memories: list[MemoryTensor] = []
        result = tensor_type(group.nodes[-1].output).dtype
        assert result is not None
        self.result = result
        self.expr = expand(self.element(group.nodes[-1].output), driver.target)
        for value in self.operands:
            memory = driver.in_memory(value)
            if self.movement(memory)[2] not in (0, 1):
                memory = driver.contiguous(value)
            self.memories.append(memory)
        self.movements = [self.movement(memory) for memory in self.memories]
        self.pointers = [memory.pointer for memory in self.memories]
        for batch, row, _ in self.movements:
            self.pointers += [emit_dim(driver.b, stride, driver.symbols) for stride in (batch, row)]

    def movement(self, memory: MemoryTensor) -> tuple[Dim, Dim, Dim]:
        """How an operand moves with the number of the product, the row and the column of the result."""
        domain = self.group.domain
        missing = len(domain) - len(memory.shape)
        shape: tuple[Dim, ...] = (1,) * missing + memory.shape
        strides: tuple[Dim, ...] = (0,) * missing + memory.strides
        moving = [0 if extent == 1 else stride for extent, stride in zip(shape, strides)]
        batch = moving[0] if len(domain) == 3 else multiply(self.columns, moving[-1])
        row, column = (moving[-1], moving[-2]) if self.turned else (moving[-2], moving[-1])
        return batch, row, column

    def element(self, value: IRValue) -> Expr:
        dtype = stored_type(abstract(value)) if not isinstance(value.type, TensorType) else value.type.dtype
        assert dtype is not None
        if value is self.root.output:
            return self.summed(dtype)
        if value in self.members:
            if value not in self.elements:
                self.elements[value] = self.combined(self.members[value], dtype)
            return self.elements[value]
        if value not in self.operands:
            self.operands.append(value)
        return variable(1 + self.operands.index(value), dtype)

    def combined(self, node: Node, dtype: DType) -> Expr:
        expr = element_expression(operator_or_fail(node), [abstract(item) for item in node.inputs], dtype)
        return substitute(expr, {place: self.element(node.inputs[place]) for place in inputs_of(expr)})

    def summed(self, dtype: DType) -> Expr:
        """The product itself, with the summand and scales of addmm."""
        operator = operator_or_fail(self.root)
        positions = operator.schema.positions
        wide = compute_type(dtype)
        total = variable(0, wide)
        if "alpha" not in positions:
            return total.cast(dtype)
        total = self.scaled(total, self.root.inputs[positions["alpha"]])
        beta = self.root.inputs[positions["beta"]]
        if beta.is_constant and beta.constant == 0:
            return total.cast(dtype)
        return (total + self.scaled(self.element(self.root.inputs[0]).cast(wide), beta)).cast(dtype)

    def scaled(self, expr: Expr, factor: IRValue) -> Expr:
        if factor.is_constant:
            return expr if factor.constant == 1 else expr * factor.constant
        return expr * self.element(factor).cast(expr.dtype)

    def build(self) -> Epilogue:
        """The epilogue, keyed by everything that decides its code."""
        if self.expr.op == "input":
            return PLAIN
        count = len(self.memories)
        parameters = [Parameter("ptr", f"operand{place}", "readonly") for place in range(count)]
        for place in range(count):
            parameters += [Parameter("i64", f"step{place}"), Parameter("i64", f"stride{place}")]
        kinds = [
            (memory.dtype.name, batch == 0, row == 0, column)
            for memory, (batch, row, column) in zip(self.memories, self.movements)
        ]
        stored = memory_type(self.result)
        own = register_type(tensor_type(self.root.output).dtype or self.result)
        result = "" if stored == own else stored
        key = f"{show(self.expr)} {kinds} {self.result.name}"
        return Epilogue(key, tuple(parameters), self.emit, result, operations(self.expr))

    def work(self) -> Work:
        """What it adds to the product: operations on every element, and the operands."""
        flops = product(self.group.domain) * expression_flops(self.expr, self.driver.target)
        return Work(flops, sum((product(m.shape) * m.dtype.itemsize for m in self.memories), start=0))

    def emit(self, b: Builder, sums: list[Value], place: Place) -> list[Value]:
        """A vector of columns, a row per sum; what all rows share is read once."""
        shared: dict[int, Value] = {}
        return [self.row(b, total, number, place, shared) for number, total in enumerate(sums)]

    def row(self, b: Builder, total: Value, number: int, place: Place, shared: dict[int, Value]) -> Value:
        def leaf(node: Expr) -> Value:
            if node.value == 0:
                return total
            operand = node.value - 1
            if self.movements[operand][1] != 0:
                return self.read(b, operand, number, place, total.lanes)
            if operand not in shared:
                shared[operand] = self.read(b, operand, number, place, total.lanes)
            return shared[operand]

        value = ExpressionEmitter(b, total.lanes, leaf, self.driver.target).emit(self.expr)
        return to_memory(b, value, self.result)

    def read(self, b: Builder, operand: int, number: int, place: Place, lanes: int) -> Value:
        dtype = self.memories[operand].dtype
        pointer = place.extra[operand]
        batch, row, column = self.movements[operand]
        step, stride = place.extra[len(self.memories) + 2 * operand :][:2]
        element = memory_type(dtype)
        if batch != 0 and place.batch is not None:
            pointer = b.gep(element, pointer, b.mul(place.batch, step))
        if row != 0:
            pointer = b.gep(element, pointer, b.mul(b.add(place.row, number), stride))
        if not column:
            return b.splat(from_memory(b, b.load(element, pointer), dtype), lanes)
        address = b.gep(element, pointer, place.column)
        return from_memory(b, b.load(memory_type(dtype, lanes), address, mask=place.mask), dtype)


def operator_or_fail(node: Node) -> Operator:
    """The operator of a node that is known to have one."""
    operator = operator_of(node)
    if operator is None:
        raise Unsupported(node, "there is no such operator")
    return operator
