"""Elements at places that data decides: embedding, index_select, gather, indexing. Indices are checked before use."""

from __future__ import annotations

from collections.abc import Sequence

from optc.codegen.driver.checks import require, require_within
from optc.codegen.driver.copies import place_of, store_kernel
from optc.codegen.driver.driver import Driver
from optc.codegen.driver.frame import Unsupported
from optc.codegen.kernels.kernel import Buffer, Kernel, at, index_value, load
from optc.codegen.kernels.native import Aggregate, MemoryTensor, NoneValue
from optc.codegen.operators.selected_runs import repeating_kernel, repeats_of, runs_of, selecting_kernel
from optc.dataclass import dataclass
from optc.ir import dtypes
from optc.ir.dims import Dim, product, symbol
from optc.ir.graph import Node
from optc.ops.abstract import abstract, normalize_dim
from optc.ops.registry import Operator
from optc.ops.scalar import Expr, literal, select, variable
from optc.ops.shapes import broadcast_shapes


def emit(driver: Driver, node: Node, operator: Operator) -> None:
    """embedding, index_select and gather, told apart by their schemas."""
    names = [argument.name for argument in operator.schema.arguments]
    if names[:2] == ["weight", "indices"]:
        table, indices, axis = driver.in_memory(node.inputs[0]), driver.in_memory(node.inputs[1]), 0
        rank = len(indices.shape)
        where = place_of(indices.strides)
        outer = list(range(rank, rank + len(table.shape) - 1))
    else:
        table, indices = driver.in_memory(node.inputs[0]), driver.in_memory(node.inputs[2])
        axis = normalize_dim(abstract(node.inputs[1]), len(table.shape))
        one = operator.schema.name == "aten::index_select"
        where = symbol(f"i{axis}") * (indices.strides or (0,))[0] if one else place_of(indices.strides)
        outer = [place for place in range(len(table.shape)) if place != axis]
    result = driver.allocate(node.output)
    if product(result.shape) == 0:
        driver.define(node.output, result)
        return
    shape, strides = table.shape or (1,), table.strides or (1,)
    if operator.schema.name == "aten::gather":
        require_within(driver, result.shape, [(result.shape[place], shape[place]) for place in outer])
    if operator.schema.name == "aten::index_select" and table.shape:
        known = _known_places(driver, table, indices, result, axis)
        if known is not None:
            driver.call_kernel(known, [table.pointer, result.pointer], [node.kind])
            driver.define(node.output, result)
            return
    check_indices(driver, node, indices, shape[axis])
    rest = [stride for place, stride in enumerate(strides) if place != axis]
    offset: Dim = 0
    for stride, place in zip(rest, outer):
        offset = offset + symbol(f"i{place}") * stride
    buffers = (
        Buffer("table", table.dtype, "input"),
        Buffer("indices", indices.dtype, "input"),
        Buffer("out0", result.dtype, "output"),
    )
    base = load(buffers[1], where if result.shape else 0).cast(dtypes.INT64) * index_value(strides[axis])
    kernel = store_kernel(buffers, result.shape, result.strides, at(buffers[0], base, offset))
    driver.call_kernel(kernel, [table.pointer, indices.pointer, result.pointer], [node.kind])
    driver.define(node.output, result)


def _known_places(
    driver: Driver, table: MemoryTensor, indices: MemoryTensor, result: MemoryTensor, axis: int
) -> Kernel | None:
    """The kernel that copies without a look at the indices, where these say while compiling what goes where."""
    runs = runs_of(driver, indices, table.shape[axis])
    if runs is not None:
        return selecting_kernel(table, result, axis, runs)
    times = repeats_of(driver, indices, table.shape[axis])
    return None if times is None else repeating_kernel(table, result, axis, times)


def index(driver: Driver, node: Node, operator: Operator) -> None:
    """x[i, :, j]: tensors of integers, broadcast together, at some dimensions."""
    table = driver.in_memory(node.inputs[0])
    places = IndexedPlaces.of(driver, node, table.shape)
    places.check(driver, node)
    result = driver.allocate(node.output)
    base, offset = places.address(table.strides)
    source = Buffer("table", table.dtype, "input")
    buffers = (source, *(buffer for buffer, _ in places.reads()), Buffer("out0", result.dtype, "output"))
    kernel = store_kernel(buffers, result.shape, result.strides, at(source, base, offset))
    pointers = [table.pointer, *(memory.pointer for _, memory in places.reads()), result.pointer]
    driver.call_kernel(kernel, pointers, [node.kind])
    driver.define(node.output, result)


@dataclass(frozen=True)
class IndexedPlaces:
    """The places that x[i, :, j] names: `given` are the index tensors by dimension of x, whose shape is `shape`.

    `domain` is the shape of what is read or written; the dimensions of the index begin at `start` and are `common`.
    """

    shape: tuple[Dim, ...]
    given: dict[int, MemoryTensor]
    start: int
    common: tuple[Dim, ...]

    @staticmethod
    def of(driver: Driver, node: Node, shape: tuple[Dim, ...]) -> IndexedPlaces:
        """What input 1 of a node, a list of tensors and None, names in a tensor of some shape. Raises Unsupported."""
        listed = driver.native(node.inputs[1])
        if not isinstance(listed, Aggregate):
            raise Unsupported(node, "the number of indices is only known at run time")
        given = {place: driver.in_memory(value) for place, value in enumerate(node.inputs[1].node.inputs)
                 if not isinstance(driver.native(value), NoneValue)}  # fmt: skip
        if any(memory.dtype not in (dtypes.INT64, dtypes.INT32) for memory in given.values()):
            raise Unsupported(node, "a mask has not been turned into the places where it is true")
        first = min(given, default=0)
        adjacent = list(given) == list(range(first, first + len(given)))
        common = broadcast_shapes(*(memory.shape for memory in given.values()))
        return IndexedPlaces(shape, given, first if adjacent else 0, common)

    @property
    def rest(self) -> list[int]:
        """The dimensions of x without an index."""
        return [place for place in range(len(self.shape)) if place not in self.given]

    @property
    def domain(self) -> tuple[Dim, ...]:
        """The shape of what is named."""
        kept = [self.shape[place] for place in self.rest]
        return (*kept[: self.start], *self.common, *kept[self.start :])

    def check(self, driver: Driver, node: Node) -> None:
        """Leave the function unless every index lies in its dimension, counted from the front or the end."""
        for place, memory in self.given.items():
            limit, value = index_value(self.shape[place]), variable(0, memory.dtype).cast(dtypes.INT64)
            require(driver, memory, (value >= -limit) & (value < limit), f"{node.kind} (bounds)")

    def reads(self) -> list[tuple[Buffer, MemoryTensor]]:
        """A buffer for every index tensor."""
        return [(Buffer(f"indices{place}", memory.dtype, "input"), memory) for place, memory in self.given.items()]

    def address(self, strides: Sequence[Dim]) -> tuple[Expr, Dim]:
        """Where place i0, i1 ... of the domain lies in x, which has these strides: what data decides, and the rest."""
        base = literal(0, dtypes.INT64)
        for (buffer, memory), place in zip(self.reads(), self.given):
            where: Dim = 0
            lead = self.start + len(self.common) - len(memory.shape)
            for axis, (extent, stride) in enumerate(zip(memory.shape, memory.strides)):
                where = where if extent == 1 else where + symbol(f"i{lead + axis}") * stride
            value = wrapped_index(load(buffer, where).cast(dtypes.INT64), self.shape[place])
            base = base + value * index_value(strides[place])
        axes = [*range(self.start), *range(self.start + len(self.common), len(self.domain))]
        offset: Dim = 0
        for place, axis in zip(self.rest, axes):
            offset = offset + symbol(f"i{axis}") * strides[place]
        return base, offset


def wrapped_index(value: Expr, extent: Dim) -> Expr:
    """An index counted from the front: negative ones count from the end."""
    return select(value < 0, value + index_value(extent), value)


def check_indices(driver: Driver, node: Node, indices: MemoryTensor, extent: Dim) -> None:
    """Leave the function unless every index lies in [0, extent)."""
    value = variable(0, indices.dtype).cast(dtypes.INT64)
    inside = (value >= 0) & (value < index_value(extent))
    require(driver, indices, inside, f"{node.kind} (bounds)")
