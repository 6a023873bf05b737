"""Matrix products in memory: which GEMM, how its operands lie, and what happens to the sums before they are stored."""

from __future__ import annotations

from dataclasses import dataclass

from optc.codegen import gemm
from optc.codegen.driver import Driver, is_product
from optc.codegen.expression import ExpressionEmitter, from_memory, memory_type
from optc.codegen.frame import KernelRecord, Unsupported, tensor_type
from optc.codegen.grouping import Group
from optc.codegen.kernel import show
from optc.codegen.kernel_emitter import emit_dim
from optc.codegen.llvm import Builder, Parameter, Value
from optc.codegen.native import MemoryTensor
from optc.codegen.vector_math import expand
from optc.ir import dtypes
from optc.ir.dims import Dim
from optc.ir.dtypes import DType
from optc.ir.graph import Node
from optc.ir.graph import Value as IRValue
from optc.ir.types import TensorType
from optc.ops.abstract import abstract
from optc.ops.elementwise import element_expression, stored_type
from optc.ops.registry import Operator, operator_of
from optc.ops.scalar import Expr, inputs_of, substitute, variable

_ELEMENTS: dict[DType, gemm.ElementKind] = {dtypes.FLOAT32: "float", dtypes.FLOAT64: "double"}


@dataclass(frozen=True)
class _Matrix:
    """A matrix in memory as GEMM takes it: address, row stride, and for B how it lies."""

    pointer: Value
    stride: Dim
    source: gemm.Source = "rows"


def emit(driver: Driver, node: Node, operator: Operator) -> None:
    """A product on its own: mm and addmm, or a batch of them."""
    if tensor_type(node.output).dtype not in _ELEMENTS:
        raise Unsupported(node, f"a matrix product of {tensor_type(node.output)}")
    if is_product(node):
        emit_group(driver, Group(tensor_type(node.output).shape or (), None, [node], {node.output: "full"}))
        return
    if "alpha" in operator.schema.positions:
        raise Unsupported(node, "a batched product with a summand was not decomposed")
    batched(driver, node)


def batched(driver: Driver, node: Node) -> None:
    """One product per batch; the batch loop is in the driver."""
    left, right = (driver.contiguous(value) if not _is_matrix(driver.in_memory(value)) else driver.in_memory(value)
                   for value in node.inputs[:2])  # fmt: skip
    result = driver.allocate(node.output)
    product_of = _Product(driver, result.dtype, left.shape[-2], right.shape[-1], left.shape[-1])
    b = driver.b
    count = emit_dim(b, result.shape[0], driver.symbols)
    with b.for_loop(0, count) as loop:
        slices = []
        for memory in (left, right, result):
            step = b.mul(emit_dim(b, memory.strides[0], driver.symbols), loop.index)
            pointer = b.gep(memory_type(memory.dtype), memory.pointer, step)
            slices.append(MemoryTensor(memory.dtype, pointer, memory.shape[1:], memory.strides[1:]))
        a, matrix, c = slices
        product_of.call(_rows(a), _columns(matrix), c, gemm.PLAIN, [], [node.kind])
        loop.yield_([])
    driver.define(node.output, result)


def _is_matrix(memory: MemoryTensor) -> bool:
    return memory.strides[-1] == 1 or memory.strides[-2] == 1


def _rows(memory: MemoryTensor) -> _Matrix:
    return _Matrix(memory.pointer, memory.strides[0])


def _columns(memory: MemoryTensor) -> _Matrix:
    if memory.strides[1] == 1:
        return _Matrix(memory.pointer, memory.strides[0], "rows")
    return _Matrix(memory.pointer, memory.strides[1], "columns")


class _Product:
    """The call of one GEMM of given extents."""

    def __init__(self, driver: Driver, dtype: DType, m: Dim, n: Dim, k: Dim) -> None:
        self.driver = driver
        self.element = _ELEMENTS[dtype]
        self.extents = (m, n, k)
        self.known = [extent if isinstance(extent, int) else None for extent in (m, n, k)]
        self.tile = gemm.choose_tile(driver.target, self.element, self.known[0], self.known[1])

    def call(
        self, a: _Matrix, matrix: _Matrix, c: MemoryTensor, epilogue: gemm.Epilogue, extra: list[Value],
        operators: list[str],
    ) -> None:  # fmt: skip
        driver, b = self.driver, self.driver.b
        m, n, k = self.known
        described = gemm.Gemm(self.element, self.tile, m, n, k, matrix.source, epilogue)
        for name, module in described.modules().items():
            driver.modules.setdefault(name, module)
        scratch = b.constant("ptr", 0)
        slot = None
        elements = described.scratch_elements(1)
        if elements:
            count = self.extents[2] * elements
            slot, scratch = driver.new_slot(count, 4 if self.element == "float" else 8)
        strides = [emit_dim(b, stride, driver.symbols) for stride in (a.stride, matrix.stride, c.strides[0])]
        sizes = [emit_dim(b, extent, driver.symbols) for extent in self.extents]
        declared = described.declaration()
        callee = driver.module.declare(declared.name, declared.return_type, declared.parameter_types)
        b.call(
            callee, a.pointer, strides[0], matrix.pointer, strides[1], c.pointer, strides[2], *sizes, scratch, *extra
        )
        if slot is not None:
            driver.release(slot)
        text = f"gemm {described.name}({', '.join(map(str, self.extents))}) tile {self.tile.rows}x{self.tile.columns}"
        driver.kernels.append(KernelRecord(described.name, operators, text))


def emit_group(driver: Driver, group: Group) -> None:
    """A product and the pointwise operators behind it, applied to the sums while they are in registers."""
    root, last = group.nodes[0], group.nodes[-1]
    tensors = [value for value in root.inputs if isinstance(value.type, TensorType)]
    left = driver.in_memory(tensors[-2])
    if left.strides[1] != 1:
        left = driver.contiguous(tensors[-2])
    right = driver.in_memory(tensors[-1])
    if not _is_matrix(right):
        right = driver.contiguous(tensors[-1])
    epilogue = _EpilogueWriter(driver, group)
    result = driver.allocate(last.output)
    product_of = _Product(driver, result.dtype, left.shape[0], right.shape[1], left.shape[1])
    weights = driver.constant_array(right)
    matrix = _columns(right)
    if weights is not None and isinstance(right.shape[1], int) and weights.size:
        pointer = driver.packed_pointer(right, str(product_of.tile), lambda: gemm.pack(weights, product_of.tile))
        matrix = _Matrix(pointer, 0, "packed")
    operators = [node.kind for node in group.nodes]
    product_of.call(_rows(left), matrix, result, epilogue.build(), epilogue.pointers, operators)
    driver.define(last.output, result)


class _EpilogueWriter:
    """Turns the group's expression over the product into a GEMM epilogue.

    Input 0 of the expression is the sum; input k + 1 is an element of operand k.
    """

    def __init__(self, driver: Driver, group: Group) -> None:
        self.driver = driver
        self.group = group
        self.members = {node.output: node for node in group.nodes}
        self.root = group.nodes[0]
        self.operands: list[IRValue] = []
        self.memories: list[MemoryTensor] = []
        self.pointers: list[Value] = []
        self.expr = expand(self.element(group.nodes[-1].output), driver.target)
        for value in self.operands:
            memory = driver.in_memory(value)
            if memory.shape and memory.strides[-1] not in (0, 1) and memory.shape[-1] != 1:
                memory = driver.contiguous(value)
            self.memories.append(memory)
            self.pointers.append(memory.pointer)
        self.strides = [self.movement(memory) for memory in self.memories]
        self.pointers += [emit_dim(driver.b, row, driver.symbols) for row, _ in self.strides]

    def movement(self, memory: MemoryTensor) -> tuple[Dim, int]:
        """How an operand moves with the row and with the column of the result."""
        domain = self.group.domain
        shape = (1,) * (2 - len(memory.shape)) + memory.shape
        strides: tuple[Dim, ...] = (0,) * (2 - len(memory.shape)) + memory.strides
        row = 0 if shape[0] == 1 and domain[0] != 1 else strides[0]
        return row, 0 if shape[1] == 1 and domain[1] != 1 else int(bool(strides[1]))

    def element(self, value: IRValue) -> Expr:
        dtype = stored_type(abstract(value)) if not isinstance(value.type, TensorType) else value.type.dtype
        assert dtype is not None
        if value is self.root.output:
            return self.summed(dtype)
        if value in self.members:
            node = self.members[value]
            expr = element_expression(operator_or_fail(node), [abstract(item) for item in node.inputs], dtype)
            return substitute(expr, {p: self.element(node.inputs[p]) for p in inputs_of(expr)})
        if value not in self.operands:
            self.operands.append(value)
        return variable(1 + self.operands.index(value), dtype)

    def summed(self, dtype: DType) -> Expr:
        """The product itself, with the summand and scales of addmm."""
        operator = operator_or_fail(self.root)
        positions = operator.schema.positions
        total = variable(0, dtype)
        if "alpha" not in positions:
            return total
        total = self.scaled(total, self.root.inputs[positions["alpha"]])
        beta = self.root.inputs[positions["beta"]]
        if beta.is_constant and beta.constant == 0:
            return total
        return total + self.scaled(self.element(self.root.inputs[0]), beta)

    def scaled(self, expr: Expr, factor: IRValue) -> Expr:
        if factor.is_constant:
            return expr if factor.constant == 1 else expr * factor.constant
        return expr * self.element(factor).cast(expr.dtype)

    def build(self) -> gemm.Epilogue:
        """The epilogue, keyed by everything that decides its code."""
        if self.expr.op == "input":
            return gemm.PLAIN
        count = len(self.memories)
        parameters = [Parameter("ptr", f"operand{place}", "readonly") for place in range(count)]
        parameters += [Parameter("i64", f"stride{place}") for place in range(count)]
        kinds = [(memory.dtype.name, row == 0, column) for memory, (row, column) in zip(self.memories, self.strides)]
        return gemm.Epilogue(f"{show(self.expr)} {kinds}", tuple(parameters), self.emit)

    def emit(self, b: Builder, sums: list[Value], place: gemm.Place) -> list[Value]:
        shared: dict[int, Value] = {}
        return [self.row(b, total, number, place, shared) for number, total in enumerate(sums)]

    def row(self, b: Builder, total: Value, number: int, place: gemm.Place, shared: dict[int, Value]) -> Value:
        def leaf(node: Expr) -> Value:
            if node.value == 0:
                return total
            operand = node.value - 1
            if self.strides[operand][0] != 0:
                return self.read(b, operand, number, place, total.lanes)
            if operand not in shared:
                shared[operand] = self.read(b, operand, number, place, total.lanes)
            return shared[operand]

        return ExpressionEmitter(b, total.lanes, leaf, self.driver.target).emit(self.expr)

    def read(self, b: Builder, operand: int, number: int, place: gemm.Place, lanes: int) -> Value:
        dtype = self.memories[operand].dtype
        pointer, stride = place.extra[operand], place.extra[len(self.memories) + operand]
        row, column = self.strides[operand]
        element = memory_type(dtype)
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
