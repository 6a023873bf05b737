"""`prim::GroupProducts`: a batch of products whose left matrices are parts of one tensor's rows, and whose results are
parts of the rows of another, with what follows applied to the sums."""

from __future__ import annotations

from dataclasses import replace

from optc.codegen.driver import framing
from optc.codegen.driver.driver import Driver, is_product
from optc.codegen.driver.frame import Unsupported, tensor_type
from optc.codegen.driver.grouping import FULL, Group
from optc.codegen.gemm.weights import pack_batch, panel_elements
from optc.codegen.gemm.windows import parts_of_windows
from optc.codegen.kernels.native import Folded, MemoryTensor
from optc.codegen.operators.products import EpilogueWriter, Matrix, Product, as_matrix, framed_matrix, in_frame
from optc.ir.graph import Node
from optc.ops.abstract import abstract
from optc.ops.registry import Operator


def emit(driver: Driver, node: Node, operator: Operator) -> None:
    """The product on its own."""
    if not is_product(node):
        raise Unsupported(node, f"products of {tensor_type(node.output)}")
    emit_group(driver, Group(tensor_type(node.output).shape or (), None, [node], {node.output: FULL}))


def emit_group(driver: Driver, group: Group) -> None:
    """The product and the pointwise operators behind it."""
    root, last = group.nodes[0], group.nodes[-1]
    matrices = root.inputs[1]
    type_, runs = tensor_type(root.output), abstract(root.inputs[2])
    groups, inner, columns = tensor_type(matrices).shape or ()
    if not all(isinstance(number, int) for number in (groups, inner, columns, runs)):
        raise Unsupported(root, "the extents of its groups are not known")
    assert isinstance(groups, int) and isinstance(inner, int) and isinstance(columns, int)
    assert type_.dtype is not None and type_.shape is not None
    run = inner // runs
    a = _parts(driver, root, runs, run, groups)
    product = Product(driver, type_.dtype, type_.shape[0], columns, inner, groups)
    b = _matrices(driver, root, product, a)
    epilogue = EpilogueWriter(driver, group, False, columns)
    framed = framing.part_for(driver, last.output)
    result = framed if framed is not None else driver.allocate(last.output)
    c = Matrix(result.pointer, result.strides[0]) if framed is None else framed_matrix(framed)
    operators = [node.kind for node in group.nodes]
    product.call(a, b, replace(c, batch=columns), epilogue.build(), epilogue.pointers, operators, epilogue.work)
    driver.define(last.output, result if framed is None else in_frame(framed, type_.shape))


def _parts(driver: Driver, root: Node, runs: int, run: int, groups: int) -> Matrix:
    """The rows as windows of which each product reads its part of every run."""
    value = root.inputs[0]
    native = driver.native(value)
    if isinstance(native, Folded) and native.memory.shape[-1] == run * groups and native.memory.strides[-1] == 1:
        memory, rows = native.memory, native.rows
        shape, strides = memory.shape, memory.strides
    else:
        memory, rows = _lines(driver, root), 1
        if runs == 1:
            return Matrix(memory.pointer, memory.strides[0], "rows", run)
        shape = (memory.shape[0], runs, run * groups)
        strides = (memory.strides[0], run * groups, 1)
    windows = parts_of_windows(shape, strides, rows, run)
    return Matrix(memory.pointer, 1, "rows", run, windows)


def _lines(driver: Driver, root: Node) -> MemoryTensor:
    """The rows as a matrix, copied where their elements do not lie beside each other."""
    memory = driver.in_memory(root.inputs[0])
    return memory if memory.strides[1] == 1 else driver.contiguous(root.inputs[0])


def _matrices(driver: Driver, root: Node, product: Product, a: Matrix) -> Matrix:
    """The matrix of every group: constants in panels, others where they are or copied."""
    value = root.inputs[1]
    memory = driver.in_memory(value)
    weights = driver.constant_array(memory)
    if weights is None or not weights.size:
        return as_matrix(memory if memory.strides[2] == 1 else driver.contiguous(value))
    tile = product.plan(a, "packed", None).tile
    pointer = driver.packed_pointer(memory, str(tile), pack_batch, weights, tile.columns, tile.lanes)
    _, inner, columns = weights.shape
    return Matrix(pointer, 0, "packed", panel_elements(inner, columns, tile.columns, tile.lanes))
