"""Reductions that remember where (argmax, argmin), and running sums and products."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from optc.codegen.driver.checks import guard_extents
from optc.codegen.driver.copies import place_of
from optc.codegen.driver.driver import Driver
from optc.codegen.kernels import vector_math
from optc.codegen.kernels.kernel import (
    Accumulate,
    Assign,
    Buffer,
    Define,
    Kernel,
    Loop,
    Scan,
    Statement,
    Store,
    index_value,
    load,
    local,
)
from optc.codegen.kernels.native import MemoryTensor, contiguous_strides
from optc.ir import dtypes
from optc.ir.dims import Dim, product, symbol, symbols
from optc.ir.dtypes import DType
from optc.ir.graph import Node
from optc.ops import arithmetic
from optc.ops.abstract import abstract, normalize_dim
from optc.ops.promotion import compute_type
from optc.ops.reduction import MAXIMUM, MINIMUM
from optc.ops.registry import Operator
from optc.ops.scalar import Expr, apply, function, literal, select, variable


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
    """Loops over the other dimensions; where the walked one is not the last, lanes run along the last."""
    kept = [place for place in range(len(source.shape)) if place != axis]
    for place in reversed(kept):
        lanes = place == kept[-1] and not _is_row(source, axis)
        body = (Loop(f"i{place}", 0, source.shape[place], 1, body, int(lanes)),)
    return body


def _call(driver: Driver, node: Node, source: MemoryTensor, result: MemoryTensor, body: tuple[Statement, ...]) -> None:
    buffers = (Buffer("in0", source.dtype, "input"), Buffer("out0", result.dtype, "output"))
    names = {name for dim in (*source.shape, *source.strides, *result.strides) for name in symbols(dim)}
    kernel = Kernel("kernel", buffers, tuple(sorted(names)), body)
    driver.call_kernel(kernel, [source.pointer, result.pointer], [node.kind])
    driver.define(node.output, result)


def arg_reduce(driver: Driver, node: Node, operator: Operator) -> None:
    """argmax and argmin: the first place of the extreme; NaN is the extreme of everything.

    The extreme first, then the smallest place that holds it: two reductions, each as wide as vectors are.
    """
    guard_extents(driver, node, operator)
    source, axis = _source(driver, node, abstract(node.inputs[1]))
    result = driver.allocate(node.output)
    extreme = MAXIMUM if operator.schema.name == "aten::argmax" else MINIMUM
    work = compute_type(source.dtype)
    element = load(Buffer("in0", source.dtype, "input"), place_of(source.strides)).cast(work)
    best = local("best", work)
    hit = element.equal(best)
    if work.kind == "float":
        hit = hit | (element.not_equal(element) & best.not_equal(best))
    extent = source.shape[axis]
    counter = dtypes.INT32 if isinstance(extent, int) and extent < 2**31 else dtypes.INT64
    turn = symbol(f"i{axis}")
    place = select(hit, index_value(turn).cast(counter), literal(counter_limit(counter), counter))
    both = [(variable(0, dtype), variable(1, dtype)) for dtype in (work, counter)]
    passes = (
        Accumulate("best", extreme.combine(*both[0]), element),
        Accumulate("place", apply("minimum", *both[1]), place),
    )
    loops = [Loop(f"i{axis}", 0, extent, 1, (one,), int(_is_row(source, axis))) for one in passes]
    row: tuple[Statement, ...] = (
        Define("best", literal(extreme.identity(work), work)),
        loops[0],
        Define("place", literal(counter_limit(counter), counter)),
        loops[1],
        Store("out0", _kept_index(source, axis), local("place", counter).cast(dtypes.INT64)),
    )
    _call(driver, node, source, result, _outer(source, axis, row))


def counter_limit(counter: DType) -> int:
    """The largest number of an integer type."""
    return int(np.iinfo(counter.numpy).max)


def _is_row(source: MemoryTensor, axis: int) -> bool:
    """True where lanes run along the walked dimension: it is the last with more than one element."""
    return all(extent == 1 for extent in source.shape[axis + 1 :])


def _kept_index(source: MemoryTensor, axis: int) -> Dim:
    """Where the result for the current outer place lies (contiguous, the walked dimension gone or 1)."""
    kept = [place for place in range(len(source.shape)) if place != axis]
    strides = contiguous_strides(tuple(source.shape[place] for place in kept))
    index: Dim = 0
    for place, stride in zip(kept, strides):
        index = index + symbol(f"i{place}") * stride
    return index


def log_add_exp(x: Expr, y: Expr) -> Expr:
    """log(exp(x) + exp(y)); equal operands, infinite ones too, add log 2."""
    larger, smaller = arithmetic.maximum(x, y), arithmetic.minimum(x, y)
    more = function("log1p", function("exp", smaller - larger))
    return larger + select(larger.equal(smaller), literal(math.log(2), x.dtype), more)


_RUNNING: dict[str, tuple[Callable[[Expr, Expr], Expr], float]] = {
    "aten::cumsum": (arithmetic.combine_sum, 0),
    "prim::RunningSum": (arithmetic.combine_sum, 0),
    "aten::cumprod": (arithmetic.multiply, 1),
    "aten::logcumsumexp": (log_add_exp, -math.inf),
}
"""How elements are combined, and what the first one is combined with."""


def running_extreme(driver: Driver, node: Node, operator: Operator) -> None:
    """cummax and cummin, with places: a later equal element takes the place over, nan stays but for a later nan."""
    source, axis = _source(driver, node, abstract(node.inputs[1]))
    values, places = (driver.allocate(output) for output in node.outputs)
    greatest = operator.schema.name == "aten::cummax"
    work = compute_type(source.dtype)
    element = load(Buffer("in0", source.dtype, "input"), place_of(source.strides)).cast(work)
    best, place, seen = local("best", work), local("place", dtypes.INT64), local("element", work)
    better = seen >= best if greatest else seen <= best
    taken = local("taken", dtypes.BOOL)
    if work.kind == "float":
        better = seen.not_equal(seen) | better
    extreme = MAXIMUM if greatest else MINIMUM
    strides = values.strides if values.shape else (1,)
    turn: tuple[Statement, ...] = (
        Define("element", element),
        Define("taken", better),
        # Not a choice by what is taken: the next element waits for this one, and for nothing else.
        Assign("best", extreme.combine(best, seen)),
        Assign("place", select(taken, index_value(symbol(f"i{axis}")), place)),
        Store("out0", place_of(strides), best.cast(values.dtype)),
        Store("out1", place_of(strides), place),
    )
    first = extreme.identity(work)
    row: tuple[Statement, ...] = (
        Define("best", literal(first, work)),
        Define("place", literal(0, dtypes.INT64)),
        Loop(f"i{axis}", 0, source.shape[axis], 1, turn),
    )
    buffers = (Buffer("in0", source.dtype, "input"), Buffer("out0", values.dtype, "output"),
               Buffer("out1", places.dtype, "output"))  # fmt: skip
    names = {name for dim in (*source.shape, *source.strides, *strides) for name in symbols(dim)}
    kernel = Kernel("kernel", buffers, tuple(sorted(names)), _outer(source, axis, row))
    driver.call_kernel(kernel, [source.pointer, values.pointer, places.pointer], [node.kind])
    driver.define(node.outputs[0], values)
    driver.define(node.outputs[1], places)


def cumulative(driver: Driver, node: Node, operator: Operator) -> None:
    """cumsum, cumprod and logcumsumexp; of single precision in double, as in PyTorch: a rounding error goes into all elements
    that follow."""
    source, axis = _source(driver, node, abstract(node.inputs[1]))
    result = driver.allocate(node.output)
    in_double = result.dtype == dtypes.FLOAT32 and operator.schema.name.startswith("aten::")
    work = dtypes.FLOAT64 if in_double else compute_type(result.dtype)
    combination, neutral = _RUNNING[operator.schema.name]
    read = Buffer("in0", source.dtype, "input")
    element = load(read, place_of(source.strides)).cast(work)
    total = local("total", work)
    strides = result.strides if len(result.shape) == len(source.shape) else (1,)
    combine = vector_math.expand(combination(variable(0, work), variable(1, work)), driver.target)
    written = place_of(strides)
    if _is_row(source, axis):
        turn: tuple[Statement, ...] = (
            Scan("running", "total", combine, element),
            Store("out0", written, local("running", work).cast(result.dtype)),
        )
    else:
        turn = (Accumulate("total", combine, element), Store("out0", written, total.cast(result.dtype)))
    row: tuple[Statement, ...] = (
        Define("total", literal(neutral, work)),
        Loop(f"i{axis}", 0, source.shape[axis], 1, turn, int(_is_row(source, axis))),
    )
    _call(driver, node, source, result, _outer(source, axis, row))
