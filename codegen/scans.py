"""Reductions that remember where (argmax, argmin), and running sums and products."""

from __future__ import annotations

from optc.codegen.checks import guard_extents
from optc.codegen.copies import place_of
from optc.codegen.driver import Driver
from optc.codegen.kernel import Assign, Buffer, Define, Kernel, Loop, Statement, Store, index_value, load, local
from optc.codegen.native import MemoryTensor, contiguous_strides
from optc.ir import dtypes
from optc.ir.dims import Dim, product, substitute, symbol, symbols
from optc.ir.graph import Node
from optc.ops.abstract import abstract, normalize_dim
from optc.ops.promotion import compute_type
from optc.ops.registry import Operator
from optc.ops.scalar import Expr, literal, select


def _source(driver: Driver, node: Node, dim: int | None) -> tuple[MemoryTensor, int]:
    """The operand and the dimension to walk; without a dimension the tensor is walked as a whole."""
    if dim is None:
        memory = driver.contiguous(node.inputs[0])
        return MemoryTensor(memory.dtype, memory.pointer, (product(memory.shape),), (1,)), 0
    memory = driver.in_memory(node.inputs[0])
    if not memory.shape:
        return MemoryTensor(memory.dtype, memory.pointer, (1,), (1,)), 0
    return memory, normalize_dim(dim, len(memory.shape))


def _outer(source: MemoryTensor, axis: int, body: tuple[Statement, ...]) -> tuple[Statement, ...]:
    for place in reversed(range(len(source.shape))):
        if place != axis:
            body = (Loop(f"i{place}", 0, source.shape[place], 1, body),)
    return body


def _call(driver: Driver, node: Node, source: MemoryTensor, result: MemoryTensor, body: tuple[Statement, ...]) -> None:
    buffers = (Buffer("in0", source.dtype, "input"), Buffer("out0", result.dtype, "output"))
    names = {name for dim in (*source.shape, *source.strides, *result.strides) for name in symbols(dim)}
    kernel = Kernel("kernel", buffers, tuple(sorted(names)), body)
    driver.call_kernel(kernel, [source.pointer, result.pointer], [node.kind])
    driver.define(node.output, result)


def arg_reduce(driver: Driver, node: Node, operator: Operator) -> None:
    """argmax and argmin: the first place of the extreme; NaN is the extreme of everything."""
    guard_extents(driver, node, operator)
    source, axis = _source(driver, node, abstract(node.inputs[1]))
    result = driver.allocate(node.output)
    read = Buffer("in0", source.dtype, "input")
    index = place_of(source.strides)
    element, best = load(read, index), local("best", source.dtype)
    better = _better(local("element", source.dtype), best, operator.schema.name == "aten::argmax")
    variable = f"i{axis}"
    turn: tuple[Statement, ...] = (
        Define("element", element),
        Define("better", better),
        Assign(
            "place", select(local("better", dtypes.BOOL), index_value(symbol(variable)), local("place", dtypes.INT64))
        ),
        Assign("best", select(local("better", dtypes.BOOL), local("element", source.dtype), best)),
    )
    row: tuple[Statement, ...] = (
        Define("best", load(read, substitute(index, {variable: 0}))),
        Define("place", literal(0, dtypes.INT64)),
        Loop(variable, 1, source.shape[axis], 1, turn),
        Store("out0", _kept_index(source, axis), local("place", dtypes.INT64)),
    )
    _call(driver, node, source, result, _outer(source, axis, row))


def _better(element: Expr, best: Expr, largest: bool) -> Expr:
    beats = element > best if largest else element < best
    if element.dtype.kind != "float":
        return beats
    return beats | (element.not_equal(element) & best.equal(best))


def _kept_index(source: MemoryTensor, axis: int) -> Dim:
    """Where the result for the current outer place lies (contiguous, the walked dimension gone or 1)."""
    kept = [place for place in range(len(source.shape)) if place != axis]
    strides = contiguous_strides(tuple(source.shape[place] for place in kept))
    index: Dim = 0
    for place, stride in zip(kept, strides):
        index = index + symbol(f"i{place}") * stride
    return index


def cumulative(driver: Driver, node: Node, operator: Operator) -> None:
    """cumsum and cumprod."""
    source, axis = _source(driver, node, abstract(node.inputs[1]))
    result = driver.allocate(node.output)
    work = compute_type(result.dtype)
    adds = operator.schema.name == "aten::cumsum"
    read = Buffer("in0", source.dtype, "input")
    element = load(read, place_of(source.strides)).cast(work)
    total = local("total", work)
    strides = result.strides if len(result.shape) == len(source.shape) else (1,)
    turn: tuple[Statement, ...] = (
        Assign("total", total + element if adds else total * element),
        Store("out0", place_of(strides), total.cast(result.dtype)),
    )
    row: tuple[Statement, ...] = (
        Define("total", literal(0 if adds else 1, work)),
        Loop(f"i{axis}", 0, source.shape[axis], 1, turn),
    )
    _call(driver, node, source, result, _outer(source, axis, row))
