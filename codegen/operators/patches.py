"""Elements that small tables of rows and columns name, in images: added up with weights, or the largest of them.

    for i0, i1, i2 in boxes, rows of bins, columns of bins:
      out[i0, i1, i2, :] = first
      for row, column in the bin's tables:
        out[i0, i1, i2, :] = combined(out[i0, i1, i2, :], x[image, rows[row], columns[column], :])

Channels lie side by side, so a place is read as vectors, and what tables say is the same for all lanes.
"""

from __future__ import annotations

from optc.codegen.driver.checks import require
from optc.codegen.driver.copies import place_of
from optc.codegen.driver.driver import Driver
from optc.codegen.kernels.kernel import Buffer, Define, Kernel, Loop, Statement, Store, at, index_value, load, local
from optc.codegen.kernels.native import MemoryTensor
from optc.dataclass import dataclass
from optc.ir import dtypes
from optc.ir.dims import Dim, symbol, symbols
from optc.ir.graph import Node
from optc.ops.regions import lowest
from optc.ops.registry import Operator
from optc.ops.scalar import Expr, literal, select, variable

ROW, COLUMN = "row", "column"
THERE = local("there", dtypes.BOOL)


def patch_sums(driver: Driver, node: Node, operator: Operator) -> None:
    """`prim::PatchSums`."""
    patches = _Patches.of(driver, node, ("rows", "row_weights", "columns", "column_weights"))
    result = driver.allocate(node.output)
    total, place, work = Buffer("out0", result.dtype, "output"), place_of(result.strides), result.dtype
    weight = patches.entry("row_weights").cast(work) * patches.entry("column_weights").cast(work)
    share = select(THERE, local("weight", work) * patches.element().cast(work), 0)
    body = patches.nest(
        [Store("out0", place, literal(0, work))],
        [Define("weight", weight)],
        [Store("out0", place, load(total, place) + share)],
    )
    patches.call(driver, node, body, [(total, result)])
    driver.define(node.output, result)


def patch_maxima(driver: Driver, node: Node, operator: Operator) -> None:
    """`prim::PatchMaxima`."""
    patches = _Patches.of(driver, node, ("rows", "columns"))
    values, places = (driver.allocate(output) for output in node.outputs)
    best, where = Buffer("out0", values.dtype, "output"), Buffer("out1", places.dtype, "output")
    place = place_of(values.strides)
    number = patches.entry("rows") * index_value(patches.x.shape[2]) + patches.entry("columns")
    seen, better = local("seen", values.dtype), local("better", dtypes.BOOL)
    body = patches.nest(
        [
            Store("out0", place, literal(lowest(values.dtype), values.dtype)),
            Store("out1", place, literal(-1, places.dtype)),
        ],
        [Define("number", number.cast(places.dtype))],
        [
            Define("seen", patches.element()),
            Define("better", (seen > load(best, place)) & THERE),
            Store("out1", place, select(better, local("number", places.dtype), load(where, place))),
            Store("out0", place, select(better, seen, load(best, place))),
        ],
    )
    patches.call(driver, node, body, [(best, values), (where, places)])
    driver.define(node.outputs[0], values)
    driver.define(node.outputs[1], places)


@dataclass(frozen=True)
class _Patches:
    """The operands of a node: images `x` (N, H, W, C) or (N, H, W, P, Q, C), the image of each box, and tables."""

    x: MemoryTensor
    images: MemoryTensor
    tables: dict[str, MemoryTensor]

    @staticmethod
    def of(driver: Driver, node: Node, names: tuple[str, ...]) -> _Patches:
        """The node's operands in memory. Leaves the function where a box lies in no image."""
        x, images, *tables = map(driver.contiguous, node.inputs)
        number = variable(0, dtypes.INT64)
        inside = (number >= 0) & (number < index_value(x.shape[0]))
        require(driver, images, inside, f"{node.kind} (bounds)")
        return _Patches(x, images, dict(zip(names, tables)))

    def buffers(self) -> list[tuple[Buffer, MemoryTensor]]:
        """What the kernel reads, by name."""
        given = {"x": self.x, "images": self.images, **self.tables}
        return [(Buffer(name, memory.dtype, "input"), memory) for name, memory in given.items()]

    def entry(self, name: str) -> Expr:
        """What a table says at the current box, bin, and row or column."""
        memory = self.tables[name]
        along = ("i1", ROW) if name.startswith("row") else ("i2", COLUMN)
        index: Dim = 0
        for variable_name, stride in zip(("i0", *along), memory.strides):
            index = index + symbol(variable_name) * stride
        return load(Buffer(name, memory.dtype, "input"), index)

    def element(self) -> Expr:
        """The element of x at the current place, box and channel."""
        bins = self.x.strides[3:-1]
        offset = symbol("i3") + sum((symbol(f"i{axis}") * stride for axis, stride in enumerate(bins, 1)), 0)
        return at(Buffer("x", self.x.dtype, "input"), local("base", dtypes.INT64), offset)

    def nest(self, first: list[Statement], fixed: list[Statement], more: list[Statement]) -> tuple[Statement, ...]:
        """`first` for every channel, then for every named place `fixed` once and `more` for every channel."""
        rows, columns = self.tables["rows"].shape, self.tables["columns"].shape
        image = load(Buffer("images", dtypes.INT64, "input"), symbol("i0"))
        there = (self.entry("rows") >= 0) & (self.entry("columns") >= 0)
        numbers = (image, self.entry("rows"), self.entry("columns"))
        strides = map(index_value, self.x.strides)
        place = sum((number * stride for number, stride in zip(numbers, strides)), literal(0, dtypes.INT64))
        channels = self.x.shape[-1]
        read: tuple[Statement, ...] = (
            Define("there", there),
            Define("base", select(THERE, place, 0)),
            *fixed,
            Loop("i3", 0, channels, 1, tuple(more), 1),
        )
        bin_: tuple[Statement, ...] = (
            Loop("i3", 0, channels, 1, tuple(first), 1),
            Loop(ROW, 0, rows[2], 1, (Loop(COLUMN, 0, columns[2], 1, read),)),
        )
        return (Loop("i0", 0, rows[0], 1, (Loop("i1", 0, rows[1], 1, (Loop("i2", 0, columns[1], 1, bin_),)),)),)

    def call(
        self, driver: Driver, node: Node, body: tuple[Statement, ...], written: list[tuple[Buffer, MemoryTensor]]
    ) -> None:
        """Run the loop nest."""
        operands = [*self.buffers(), *written]
        sizes = {name for _, memory in operands for dim in (*memory.shape, *memory.strides) for name in symbols(dim)}
        kernel = Kernel("kernel", tuple(buffer for buffer, _ in operands), tuple(sorted(sizes)), body)
        driver.call_kernel(kernel, [memory.pointer for _, memory in operands], [node.kind])
