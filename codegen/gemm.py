"""Matrix products: C = epilogue(A @ B), generated for one register tile, element type and epilogue.

Layouts, all in elements: A is M x K with row stride `lda`, C is M x N with row stride `ldc`.  B is one of

- "packed": constant weights, reordered at compile time by `pack` into panels as wide as the tile, k-major, 64-byte
  aligned, padded with zeros;
- "rows": K x N with row stride `ldb`;  "columns": N x K with row stride `ldb` (a transposed matrix).  Both are packed
  panel by panel into scratch memory while running, except that few rows of A use "rows" in place.

The structure is the usual one.  A *kernel* holds an R x V tile of accumulator vectors in registers and walks over K; a
*driver* walks over the panels of B and the tiles of A, with smaller kernels for what is left over.  The K loop is never
unrolled (that spills).  Every element of C is one sum in the order of K, whatever the tile, so a row of the result does
not depend on the rows that were computed with it.

Functions carry names that say their content, so equal kernels of different products are compiled once.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

import numpy as np

from optc.codegen.host import Target
from optc.codegen.llvm import Builder, Declaration, Module, Parameter, Value, vector_of

ElementKind = Literal["float", "double"]
Source = Literal["packed", "rows", "columns"]

_BYTES = {"float": 4, "double": 8}
_CHUNK_BYTES = 256 << 10  # the rows of A that are used again and again stay in the second-level cache
# Row strides are often multiples of 4096 bytes, and then all rows compete for the eight ways of one cache set.
_MAX_ROWS = 8


# Tiles -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tile:
    """The accumulators of a kernel: `rows` rows of A times `vectors` vectors of columns of B, `lanes` wide."""

    rows: int
    vectors: int
    lanes: int

    @property
    def columns(self) -> int:
        return self.vectors * self.lanes


def max_rows(target: Target, vectors: int) -> int:
    """How many rows fit: accumulators, a row of B and one broadcast value live in registers at the same time."""
    if not target.is_x86:
        # On Arm LLVM loads the factors of all rows first, each into a vector register.
        return (target.vector_registers - vectors) // (vectors + 1)
    # Without fused multiply-add the product needs a register of its own.
    reserved = vectors + 1 + (0 if target.fma else 1)
    return max(1, min(_MAX_ROWS, (target.vector_registers - reserved) // vectors))


def choose_tile(target: Target, element: ElementKind, m: int | None, n: int | None) -> Tile:
    """The tile with the least estimated time for a product with these extents (None: unknown, taken as large)."""
    lanes = target.lanes(element)
    rows, columns = m or 840, n or 5040
    candidates = [Tile(r, v, lanes) for v in range(1, 5) for r in range(1, max_rows(target, v) + 1)]
    return min(candidates, key=lambda tile: (_estimate(tile, rows, columns), -tile.columns))


def _estimate(tile: Tile, m: int, n: int) -> float:
    """Clock cycles per element of K."""
    panels, rest = divmod(n, tile.columns)
    widths = [(panels, tile.vectors), (1, -(-rest // tile.lanes))]
    heights = [(m // tile.rows, tile.rows), (1, m % tile.rows)]
    return sum(count_n * count_m * _cycles(r, v) for count_n, v in widths for count_m, r in heights if r and v)


def _cycles(rows: int, vectors: int) -> float:
    """Two multiply-adds and two loads per cycle; a small charge for loads, which compete for issue slots."""
    loads = rows + vectors
    return max(rows * vectors / 2, loads / 2, 2) + 0.02 * loads


# Packing at compile time -----------------------------------------------------------------------------------------


def packed_elements(k: int, n: int, tile: Tile) -> int:
    """How many elements `pack` gives.  The last panel is only as wide as its vectors need."""
    panels, rest = divmod(n, tile.columns)
    return k * (panels * tile.columns + -(-rest // tile.lanes) * tile.lanes)


def pack(b: "np.ndarray[Any, Any]", tile: Tile) -> "np.ndarray[Any, Any]":
    """Reorders a K x N matrix into the panels that `Gemm` with B "packed" reads; 64-byte aligned."""
    k, n = b.shape
    packed = _aligned_zeros(packed_elements(k, n, tile), b.dtype)
    position = 0
    for start in range(0, n, tile.columns):
        panel = b[:, start : start + tile.columns]
        width = -(-panel.shape[1] // tile.lanes) * tile.lanes
        packed[position : position + k * width].reshape(k, width)[:, : panel.shape[1]] = panel
        position += k * width
    return packed


def _aligned_zeros(count: int, dtype: "np.dtype[Any]") -> "np.ndarray[Any, Any]":
    memory = np.zeros(count * dtype.itemsize + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + count * dtype.itemsize].view(dtype)


# Epilogues -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """Where a column of accumulators belongs: the first row and column in C (i64), `rows` vectors below each other.

    `mask` says which lanes exist (None: all); `extra` are the values of the epilogue's own parameters.
    """

    row: Value
    column: Value
    mask: Value | None
    extra: Sequence[Value]


Emit = Callable[[Builder, list[Value], Place], list[Value]]


@dataclass(frozen=True)
class Epilogue:
    """What happens to the accumulators before they are stored.

    key: says everything that decides the emitted code, because kernels are shared by it.  parameters: what kernel and
    driver take besides their own arguments.  emit: gets one vector of columns, an accumulator per row, and returns
    the values to store.
    """

    key: str
    parameters: tuple[Parameter, ...]
    emit: Emit = field(compare=False)


PLAIN = Epilogue("", (), lambda b, sums, place: sums)
"""Stores the product as it is."""


def _add_bias(b: Builder, sums: list[Value], place: Place) -> list[Value]:
    type_ = sums[0].type
    element = type_.split(" x ")[1].rstrip(">")
    bias = b.load(type_, b.gep(element, place.extra[0], place.column), mask=place.mask)
    return [b.fadd(value, bias, flags="") for value in sums]


BIAS = Epilogue("bias", (Parameter("ptr", "bias", "readonly"),), _add_bias)
"""Adds a row vector; its address is the extra argument."""


def then(first: Epilogue, key: str, function: Callable[[Builder, Value], Value]) -> Epilogue:
    """`first`, and then a function of every value (an activation)."""

    def emit(b: Builder, sums: list[Value], place: Place) -> list[Value]:
        return [function(b, value) for value in first.emit(b, sums, place)]

    return Epilogue(f"{first.key}+{key}", first.parameters, emit)


# Kernels ---------------------------------------------------------------------------------------------------------


_KERNEL_PARAMETERS = (
    Parameter("ptr", "a", "readonly"),
    Parameter("i64", "lda"),
    Parameter("ptr", "b", "readonly"),
    Parameter("i64", "ldb"),
    Parameter("i64", "k"),
    Parameter("ptr", "c"),
    Parameter("i64", "ldc"),
    Parameter("i64", "row"),
    Parameter("i64", "column"),
    Parameter("i64", "columns"),
)


@dataclass(frozen=True)
class Kernel:
    """One register tile over all of K, with its epilogue: C[row:, column:] = epilogue(a @ b).

    masked: only the first `columns` columns exist in C.  ragged: nor do more exist in `b`, whose loads are masked too.
    """

    element: ElementKind
    tile: Tile
    masked: bool
    ragged: bool
    epilogue: Epilogue

    @property
    def name(self) -> str:
        suffix = ("_masked" if self.masked else "") + ("_ragged" if self.ragged else "")
        digest = f"_{_digest(self.epilogue.key)}" if self.epilogue.key else ""
        return f"gemm_{self.element}_{self.tile.rows}x{self.tile.columns}_by{self.tile.lanes}{suffix}{digest}"

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return (*_KERNEL_PARAMETERS, *self.epilogue.parameters)

    def module(self) -> Module:
        return _KernelWriter(self).module


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:12]


class _KernelWriter:
    """Writes one kernel."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.tile = kernel.tile
        self.vector = vector_of(kernel.element, kernel.tile.lanes)
        self.module = Module(kernel.name)
        function = self.module.function(kernel.name, "void", kernel.parameters)
        a, self.lda, panel, self.ldb, self.k, self.c, self.ldc, self.row, self.column, self.columns = (
            function.arguments[: len(_KERNEL_PARAMETERS)]
        )
        self.extra = function.arguments[len(_KERNEL_PARAMETERS) :]
        self.b = Builder(function)
        self.rows = [self.b.gep(kernel.element, a, self.b.mul(self.lda, r)) for r in range(self.tile.rows)]
        self.masks = self._masks()
        self._store(self._sums(panel))
        self.b.ret()

    def _masks(self) -> list[Value | None]:
        """Which lanes of each vector of columns exist."""
        if not self.kernel.masked:
            return [None] * self.tile.vectors
        return [
            self.b.lane_mask(self.b.sub(self.columns, v * self.tile.lanes), self.tile.lanes)
            for v in range(self.tile.vectors)
        ]

    def _sums(self, panel: Value) -> list[Value]:
        """The products of the tile, row by row."""
        b = self.b
        zeros = [b.constant(self.vector, 0.0)] * (self.tile.rows * self.tile.vectors)
        with b.for_loop(0, self.k, carried=[panel, *zeros]) as loop:
            position = loop.carried[0]
            updated = self._multiply_add(loop.carried[1:], position, loop.index)
            loop.yield_([b.gep(self.kernel.element, position, self.ldb), *updated])
        return loop.results[1:]

    def _multiply_add(self, sums: list[Value], position: Value, k: Value) -> list[Value]:
        """One step of K: every row's element of A times the row of B at `position`."""
        b, element, lanes = self.b, self.kernel.element, self.tile.lanes
        masks = self.masks if self.kernel.ragged else [None] * self.tile.vectors
        columns = [
            b.load(self.vector, b.gep(element, position, v * lanes), mask=masks[v]) for v in range(self.tile.vectors)
        ]
        updated: list[Value] = []
        for r, row in enumerate(self.rows):
            factor = b.splat(b.load(element, b.gep(element, row, k)), lanes)
            group = sums[r * self.tile.vectors : (r + 1) * self.tile.vectors]
            updated += [b.fadd(b.fmul(factor, column), total) for column, total in zip(columns, group, strict=True)]
        return updated

    def _store(self, sums: list[Value]) -> None:
        b, element = self.b, self.kernel.element
        for v, mask in enumerate(self.masks):
            column = b.add(self.column, v * self.tile.lanes)
            place = Place(self.row, column, mask, self.extra)
            values = self.kernel.epilogue.emit(b, sums[v :: self.tile.vectors], place)
            for r, value in enumerate(values):
                target = b.gep(element, self.c, b.add(b.mul(self.ldc, b.add(self.row, r)), column))
                b.store(value, target, mask=mask)


# Drivers ---------------------------------------------------------------------------------------------------------


_DRIVER_PARAMETERS = (
    Parameter("ptr", "a", "readonly"),
    Parameter("i64", "lda"),
    Parameter("ptr", "b", "readonly"),
    Parameter("i64", "ldb"),
    Parameter("ptr", "c"),
    Parameter("i64", "ldc"),
    Parameter("i64", "m"),
    Parameter("i64", "n"),
    Parameter("i64", "k"),
    Parameter("ptr", "scratch"),
)


@dataclass(frozen=True)
class Gemm:
    """A whole product.  Extents that are None are only known at run time.

    The function `name` takes (a, lda, b, ldb, c, ldc, m, n, k, scratch, *epilogue's): all extents are always passed,
    those that are known are not looked at.  `ldb` is not looked at for packed B, `scratch` (64-byte aligned,
    `scratch_elements` long) only for the others.  M, N and K may be 0: the epilogue of 0 is stored for K = 0.
    """

    element: ElementKind
    tile: Tile
    m: int | None
    n: int | None
    k: int | None
    source: Source = "packed"
    epilogue: Epilogue = PLAIN

    def __post_init__(self) -> None:
        if self.source == "packed" and self.n is None:
            raise ValueError("packed weights have a known number of columns")

    @property
    def name(self) -> str:
        extents = "x".join("any" if extent is None else str(extent) for extent in (self.m, self.n, self.k))
        return f"product_{extents}_{self.source}_of_{self.kernel(self.tile.rows, self.tile.vectors, False).name}"

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return (*_DRIVER_PARAMETERS, *self.epilogue.parameters)

    @property
    def in_place(self) -> bool:
        """Whether B is read where it is: packing pays only when several tiles of rows use a panel."""
        return self.source == "rows" and self.m is not None and self.m <= 2 * self.tile.rows

    def scratch_elements(self, k: int) -> int:
        """The size of `scratch`: one packed panel, or nothing."""
        return 0 if self.source == "packed" or self.in_place else k * self.tile.columns

    def kernel(self, rows: int, vectors: int, masked: bool) -> Kernel:
        tile = Tile(rows, vectors, self.tile.lanes)
        return Kernel(self.element, tile, masked, masked and self.in_place, self.epilogue)

    def declaration(self) -> Declaration:
        """What the caller's module needs."""
        return Declaration(self.name, "void", tuple(parameter.type for parameter in self.parameters))

    def modules(self) -> dict[str, Module]:
        """The driver and its kernels, one module per function, by name.  Modules of the same name are the same."""
        writer = _DriverWriter(self)
        return {self.name: writer.module, **{kernel.name: kernel.module() for kernel in writer.kernels}}


class _DriverWriter:
    """Writes the loops around the kernels, and notes which kernels they call."""

    def __init__(self, gemm: Gemm) -> None:
        self.gemm = gemm
        self.kernels: list[Kernel] = []
        self.module = Module(gemm.name)
        function = self.module.function(gemm.name, "void", gemm.parameters)
        self.a, self.lda, self.source, self.ldb, self.c, self.ldc, m, n, k, self.scratch = function.arguments[
            : len(_DRIVER_PARAMETERS)
        ]
        self.extra = function.arguments[len(_DRIVER_PARAMETERS) :]
        self.b = b = Builder(function)
        self.m, self.n, self.k = (
            runtime if known is None else b.constant("i64", known)
            for known, runtime in ((gemm.m, m), (gemm.n, n), (gemm.k, k))
        )
        if gemm.source == "packed":
            self._chunks()
        else:
            self._panels(b.constant("i64", 0), self.m)
        b.ret()

    def _chunks(self) -> None:
        """As many rows of A at a time as stay in the cache while the panels of B pass by."""
        b, rows = self.b, self.gemm.tile.rows
        k = self.gemm.k or 1024
        chunk = max(2 * rows, _CHUNK_BYTES // (_BYTES[self.gemm.element] * k) // rows * rows)
        if self.gemm.m is not None and self.gemm.m <= chunk:
            self._panels(b.constant("i64", 0), self.m)
            return
        with b.for_loop(0, self.m, chunk) as loop:
            stop = b.intrinsic("smin", "i64", b.add(loop.index, chunk), self.m)
            self._panels(loop.index, stop)

    def _panels(self, start: Value, stop: Value) -> None:
        """All panels of B for the rows of A from `start` to `stop`."""
        b, tile = self.b, self.gemm.tile
        whole = (
            b.sub(self.n, b.urem(self.n, tile.columns))
            if self.gemm.n is None
            else b.constant("i64", self.gemm.n // tile.columns * tile.columns)
        )
        with b.for_loop(0, whole, tile.columns) as loop:
            self._panel(loop.index, tile.vectors, None, start, stop)
        rest = None if self.gemm.n is None else self.gemm.n % tile.columns
        if rest == 0:
            return
        if rest is not None:
            columns = None if rest % tile.lanes == 0 else b.constant("i64", rest)
            self._panel(whole, -(-rest // tile.lanes), columns, start, stop)
            return
        left = b.sub(self.n, whole)
        with b.if_then(b.icmp("sgt", left, 0)):
            self._panel(whole, tile.vectors, left, start, stop)

    def _panel(self, column: Value, vectors: int, columns: Value | None, start: Value, stop: Value) -> None:
        """One panel; `columns`: how many of its columns exist, None for all."""
        b, element = self.b, self.gemm.element
        width = vectors * self.gemm.tile.lanes
        if self.gemm.in_place:
            self._tiles(b.gep(element, self.source, column), self.ldb, column, vectors, columns, start, stop)
            return
        stride = b.constant("i64", width)
        if self.gemm.source == "packed":
            panel = b.gep(element, self.source, b.mul(column, self.k))
            self._tiles(panel, stride, column, vectors, columns, start, stop)
            return
        packing = _packing(self.gemm.element, self.gemm.source, self.gemm.tile.lanes, vectors)
        first = column if self.gemm.source == "rows" else b.mul(column, self.ldb)
        existing = stride if columns is None else columns
        b.call(packing, b.gep(element, self.source, first), self.ldb, self.k, existing, self.scratch)
        self._include(packing.name, element, vectors)
        self._tiles(self.scratch, stride, column, vectors, columns, start, stop)

    def _include(self, name: str, element: ElementKind, vectors: int) -> None:
        if name not in self.module.functions:
            _write_packing(self.module, name, element, self.gemm.source, self.gemm.tile.lanes, vectors)

    def _tiles(
        self, panel: Value, stride: Value, column: Value, vectors: int, columns: Value | None, start: Value, stop: Value
    ) -> None:
        """One panel times all tiles of rows."""
        b = self.b
        for size in self._heights():
            whole = b.sub(stop, b.srem(b.sub(stop, start), size))
            with b.for_loop(start, whole, size) as loop:
                self._call(size, panel, stride, column, vectors, columns, loop.index)
            start = whole

    def _heights(self) -> list[int]:
        """The kernel heights that cover the rows: the tile's, then the exact rest, or powers of two if unknown."""
        rows = self.gemm.tile.rows
        if self.gemm.m is not None:
            rest = self.gemm.m % rows
            return [size for size in (rows if self.gemm.m >= rows else 0, rest) if size]
        powers = [1 << bit for bit in reversed(range(rows.bit_length())) if 1 << bit < rows]
        return [rows, *powers]

    def _call(
        self, rows: int, panel: Value, stride: Value, column: Value, vectors: int, columns: Value | None, row: Value
    ) -> None:
        b = self.b
        kernel = self.gemm.kernel(rows, vectors, columns is not None)
        if kernel not in self.kernels:
            self.kernels.append(kernel)
        callee = self.module.declare(kernel.name, "void", [parameter.type for parameter in kernel.parameters])
        a = b.gep(self.gemm.element, self.a, b.mul(row, self.lda))
        b.call(
            callee,
            a,
            self.lda,
            panel,
            stride,
            self.k,
            self.c,
            self.ldc,
            row,
            column,
            b.constant("i64", 0) if columns is None else columns,
            *self.extra,
        )


# Packing at run time ---------------------------------------------------------------------------------------------


@cache
def _packing(element: str, source: Source, lanes: int, vectors: int) -> Declaration:
    """`void pack(b, ldb, k, columns, out)`: one panel, of which at least one column exists."""
    name = f"pack_{element}_{source}_{vectors * lanes}_by{lanes}"
    return Declaration(name, "void", ("ptr", "i64", "i64", "i64", "ptr"))


def _write_packing(module: Module, name: str, element: str, source: Source, lanes: int, vectors: int) -> None:
    parameters = [
        Parameter("ptr", "b", "readonly"),
        Parameter("i64", "ldb"),
        Parameter("i64", "k"),
        Parameter("i64", "columns"),
        Parameter("ptr", "out", "noalias"),
    ]
    function = module.function(name, "void", parameters, private=True)
    b = Builder(function)
    write = _pack_rows if source == "rows" else _pack_columns
    write(b, element, lanes, vectors, *function.arguments)
    b.ret()


def _pack_rows(
    b: Builder, element: str, lanes: int, vectors: int, source: Value, ldb: Value, k: Value, columns: Value, out: Value
) -> None:
    """Copies the panel row by row."""
    type_ = vector_of(element, lanes)
    masks = [b.lane_mask(b.sub(columns, v * lanes), lanes) for v in range(vectors)]
    with b.for_loop(0, k) as loop:
        row = b.gep(element, source, b.mul(loop.index, ldb))
        target = b.gep(element, out, b.mul(loop.index, vectors * lanes))
        for v, mask in enumerate(masks):
            b.store(b.load(type_, b.gep(element, row, v * lanes), mask=mask), b.gep(element, target, v * lanes))


def _pack_columns(
    b: Builder, element: str, lanes: int, vectors: int, source: Value, ldb: Value, k: Value, columns: Value, out: Value
) -> None:
    """Transposes square blocks in registers; what is left of K goes element by element.

    In place of columns that do not exist stands the last one that does: nobody looks at what comes of them.
    """
    type_ = vector_of(element, lanes)
    width = vectors * lanes
    whole = b.sub(k, b.urem(k, lanes))
    last = b.sub(columns, 1)
    with b.for_loop(0, width, lanes) as group:
        rows = [
            b.gep(element, source, b.mul(ldb, b.intrinsic("smin", "i64", b.add(group.index, lane), last)))
            for lane in range(lanes)
        ]
        with b.for_loop(0, whole, lanes) as block:
            square = [b.load(type_, b.gep(element, row, block.index)) for row in rows]
            for step, value in enumerate(transpose(b, square)):
                position = b.add(b.mul(b.add(block.index, step), width), group.index)
                b.store(value, b.gep(element, out, position))
        with b.for_loop(0, lanes) as lane:
            number = b.add(group.index, lane.index)
            row = b.gep(element, source, b.mul(ldb, b.intrinsic("smin", "i64", number, last)))
            with b.for_loop(whole, k) as rest:
                value = b.load(element, b.gep(element, row, rest.index))
                b.store(value, b.gep(element, out, b.add(b.mul(rest.index, width), number)))


def transpose(b: Builder, rows: Sequence[Value]) -> list[Value]:
    """The transpose of a square matrix held in as many vectors as each has lanes (a power of two)."""
    lanes = len(rows)
    current = list(rows)
    distance = 1
    while distance < lanes:
        # Swap the off-diagonal blocks of size `distance` of every 2 x 2 group of blocks.
        low = [i if i & distance == 0 else i - distance + lanes for i in range(lanes)]
        high = [i + distance if i & distance == 0 else i + lanes for i in range(lanes)]
        following = list(current)
        for i in range(lanes):
            if i & distance == 0:
                following[i] = b.shuffle(current[i], current[i + distance], low)
                following[i + distance] = b.shuffle(current[i], current[i + distance], high)
        current = following
        distance *= 2
    return current
