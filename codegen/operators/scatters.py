"""Elements written to places that data decides: scatters, rows by index, `index_put`. Indices are checked first.

The tensor is written in place where nobody reads its old contents any more, else in a copy. Turns run in the order of
the index: the last of several writes to one place counts, and sums add up in order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from optc.codegen.driver.checks import require, require_broadcast, require_within
from optc.codegen.driver.copies import place_of
from optc.codegen.driver.driver import Driver
from optc.codegen.driver.frame import Unsupported
from optc.codegen.kernels.kernel import Buffer, Kernel, Loop, Scatter, Statement, at, dims_of, index_value, load
from optc.codegen.kernels.native import MemoryTensor
from optc.codegen.operators.gathers import IndexedPlaces, check_indices, wrapped_index
from optc.codegen.operators.writes import overwritten
from optc.dataclass import dataclass
from optc.ir import dtypes
from optc.ir.dims import Dim, minimum, product, symbol, symbols
from optc.ir.graph import Node
from optc.ops import arithmetic
from optc.ops.abstract import abstract, normalize_dim
from optc.ops.elementwise import cast_expression
from optc.ops.promotion import compute_type
from optc.ops.registry import Operator
from optc.ops.scalar import Expr, variable

_COMBINATIONS: dict[str, Callable[[Expr, Expr], Expr]] = {
    "add": lambda x, y: x | y if x.dtype is dtypes.BOOL else x + y,
    "multiply": arithmetic.multiply,
    "amax": arithmetic.maximum,
    "amin": arithmetic.minimum,
}
_COMBINATIONS |= {"sum": _COMBINATIONS["add"], "prod": _COMBINATIONS["multiply"]}


@dataclass(frozen=True)
class Writing:
    """What is written where: for every place i0, i1 ... of `domain`, in this order, `source` goes to `base + offset`
    of the result. `reads` are the buffers that `base` and `source` read, with their addresses."""

    domain: Sequence[Dim]
    base: Expr
    offset: Dim
    source: Expr
    reads: Sequence[tuple[Buffer, MemoryTensor]]
    reduce: str | None = None


def emit(driver: Driver, node: Node, operator: Operator) -> None:
    """All scatters, told apart by their schemas: by the last argument, a reduction, and by the shape of the index."""
    names = [argument.name for argument in operator.schema.arguments]
    if "indices" in names:
        _index_put(driver, node, operator)
        return
    target, index = driver.in_memory(node.inputs[0]), driver.in_memory(node.inputs[2])
    rank = max(1, len(target.shape))
    axis = normalize_dim(abstract(node.inputs[1]), rank)
    target_shape = target.shape or (1,)
    value = node.inputs[3]
    source = driver.in_memory(value)
    by_row = operator.schema.name in ("aten::index_copy", "aten::index_fill", "prim::IndexReduce")
    may_wrap = operator.schema.name == "aten::index_fill"
    index_shape = index.shape or (1,)
    index_strides = index.strides or (0,)
    if by_row:
        domain = (*target_shape[:axis], index_shape[0], *target_shape[axis + 1 :])
        where: Dim = symbol(f"i{axis}") * index_strides[0]
    else:
        domain = index_shape
        where = place_of(index_strides)
    if product(domain) == 0:
        driver.define(node.output, overwritten(driver, node))
        return
    if not by_row:
        kept = [pair for place, pair in enumerate(zip(index_shape, target_shape)) if place != axis]
        require_within(driver, index_shape, [*kept, *zip(index_shape, source.shape)])
    _check(driver, node, index, target_shape[axis], may_wrap)
    result = overwritten(driver, node)
    strides = result.strides or (1,)
    read, given = Buffer("indices", index.dtype, "input"), Buffer("source", source.dtype, "input")
    place = load(read, where).cast(dtypes.INT64)
    if may_wrap:
        place = wrapped_index(place, target_shape[axis])
    reduce = abstract(node.inputs[names.index("reduce")]) if "reduce" in names else None
    source_place = place_of(source.strides) if len(source.shape) == len(domain) else 0
    write(driver, node, result, Writing(
        domain,
        place * index_value(strides[axis]),
        place_of([0 if at_axis == axis else stride for at_axis, stride in enumerate(strides)]),
        load(given, source_place),
        [(read, index), (given, source)],
        reduce,
    ))  # fmt: skip


def _check(driver: Driver, node: Node, index: MemoryTensor, extent: Dim, may_wrap: bool) -> None:
    if not may_wrap:
        check_indices(driver, node, index, extent)
        return
    value, limit = variable(0, index.dtype).cast(dtypes.INT64), index_value(extent)
    require(driver, index, (value >= -limit) & (value < limit), f"{node.kind} (bounds)")


def _index_put(driver: Driver, node: Node, operator: Operator) -> None:
    """x[i, :, j] = values: tensors of integers, broadcast together, at some dimensions."""
    target = driver.in_memory(node.inputs[0])
    accumulate = abstract(node.inputs[3])
    if not isinstance(accumulate, bool):
        raise Unsupported(node, "only running tells whether it adds")
    places = IndexedPlaces.of(driver, node, target.shape)
    values = driver.in_memory(node.inputs[2])
    places.check(driver, node)
    require_broadcast(driver, values.shape, places.domain)
    result = overwritten(driver, node)
    lead = len(places.domain) - len(values.shape)
    given = Buffer("source", values.dtype, "input")
    layout = zip(values.shape, values.strides, places.domain[lead:])
    where = place_of([0] * lead + [_spread_stride(*one) for one in layout])
    base, offset = places.address(result.strides)
    reads = [*places.reads(), (given, values)]
    writing = Writing(places.domain, base, offset, load(given, where), reads, "add" if accumulate else None)
    write(driver, node, result, writing)


def _spread_stride(extent: Dim, stride: Dim, wide: Dim) -> Dim:
    """The stride of a dimension that is broadcast to another extent: 0 where its own is 1, or turns out to be."""
    if extent == 1:
        return 0
    return stride if extent == wide else stride * minimum(1, extent - 1)


def write(driver: Driver, node: Node, result: MemoryTensor, writing: Writing) -> None:
    """Emit the loop nest, and define the node's output. Lanes run along the last dimension where the index does not."""
    target = Buffer("out0", result.dtype, "output")
    value = cast_expression(writing.source, result.dtype)
    if writing.reduce is not None:
        work = compute_type(result.dtype)
        old = at(target, writing.base, writing.offset).cast(work)
        value = _COMBINATIONS[writing.reduce](old, value.cast(work)).cast(result.dtype)
    body: tuple[Statement, ...] = (Scatter("out0", writing.base, writing.offset, value),)
    last = len(writing.domain) - 1
    moving = {name for dim in dims_of(writing.base) for name in symbols(dim)}
    for axis in reversed(range(len(writing.domain))):
        lanes = axis == last and f"i{axis}" not in moving
        body = (Loop(f"i{axis}", 0, writing.domain[axis], 1, body, int(lanes)),)
    dims = (*writing.domain, writing.offset, *dims_of(writing.base), *dims_of(value))
    names = {name for dim in dims for name in symbols(dim)} - {f"i{axis}" for axis in range(last + 1)}
    buffers = (*(buffer for buffer, _ in writing.reads), target)
    pointers = [*(memory.pointer for _, memory in writing.reads), result.pointer]
    driver.call_kernel(Kernel("kernel", buffers, tuple(sorted(names)), body), pointers, [node.kind])
    driver.define(node.output, result)
