"""Packing at run time: matrices in the order in which kernels of matrix products read them.

Constant weights are packed in the same way while compiling, by `weights.pack_panels`. A panel of B holds as many
columns as a tile is wide, k-major, padded with zeros. A tile of A holds its rows k-major, without padding.
"""

from __future__ import annotations

from collections.abc import Sequence

from optc.codegen.llvm import Builder, Function, Module, Parameter, Value, vector_of


def _declare(module: Module, name: str, matrix: str, extents: Sequence[str]) -> Function:
    """`void name(matrix, extents..., out)`, private to `module`."""
    numbers = [Parameter("i64", extent) for extent in extents]
    parameters = [Parameter("ptr", matrix, "readonly"), *numbers, Parameter("ptr", "out", "noalias")]
    return module.function(name, "void", parameters, private=True, attributes="nounwind noinline")


# B at run time ---------------------------------------------------------------------------------------------------


def panel_packing(
    module: Module, element: str, source: str, lanes: int, vectors: int, floats: bool = False
) -> Function:
    """`void pack(b, ldb, k, columns, out)`: one panel, of which at least one column exists; private to `module`.

    floats: all columns of the last vector exist, but some of them belong to the one before it as well.
    """
    name = f"pack_{element}_{source}_{vectors * lanes}_by{lanes}{'_floating' if floats else ''}"
    if name in module.functions:
        return module.functions[name]
    function = _declare(module, name, "b", ("ldb", "k", "columns"))
    b = Builder(function)
    write = _pack_panel_rows if source == "rows" else _pack_panel_columns
    write(b, element, lanes, vectors, floats, *function.arguments)
    b.ret()
    return function


def column_packing(module: Module, element: str) -> Function:
    """`void pack(b, ldb, k, columns, out)`: few columns of B, one behind the other; private to `module`."""
    name = f"pack_{element}_columns"
    if name in module.functions:
        return module.functions[name]
    function = _declare(module, name, "b", ("ldb", "k", "columns"))
    source, ldb, k, columns, out = function.arguments
    b = Builder(function)
    with b.for_loop(0, columns) as column:
        target = b.gep(element, out, b.mul(column.index, k))
        with b.for_loop(0, k, carried=[b.gep(element, source, column.index)]) as row:
            b.store(b.load(element, row.carried[0]), b.gep(element, target, row.index))
            row.yield_([b.gep(element, row.carried[0], ldb)])
    b.ret()
    return function


def _pack_panel_rows(
    b: Builder, element: str, lanes: int, vectors: int, floats: bool,
    source: Value, ldb: Value, k: Value, columns: Value, out: Value,
) -> None:  # fmt: skip
    """Copies the panel row by row; zeros in place of columns that do not exist."""
    type_ = vector_of(element, lanes)
    width = vectors * lanes
    starts = [b.constant("i64", v * lanes) for v in range(vectors)]

    def copy(masks: Sequence[Value | None]) -> None:
        with b.for_loop(0, k, carried=[source, out]) as loop:
            row, target = loop.carried
            for start, mask in zip(starts, masks, strict=True):
                b.store(b.load(type_, b.gep(element, row, start), mask=mask), b.gep(element, target, start))
            loop.yield_([b.gep(element, row, ldb), b.gep(element, target, width)])

    if floats:
        starts[-1] = b.sub(columns, lanes)
        copy([None] * vectors)
        return
    masks = [b.lane_mask(b.sub(columns, v * lanes), lanes) for v in range(vectors)]
    with b.if_then_else(b.icmp("sge", columns, width)) as (whole, ragged):
        with whole:
            copy([None] * vectors)
        with ragged:
            copy(masks)


def _pack_panel_columns(
    b: Builder, element: str, lanes: int, vectors: int, floats: bool,
    source: Value, ldb: Value, k: Value, columns: Value, out: Value,
) -> None:  # fmt: skip
    """Transposes square blocks in registers; what is left of K goes element by element.

    In place of columns that do not exist stands the last one that does: nobody looks at what comes of them.
    """
    width = vectors * lanes
    last = b.sub(columns, 1)
    with b.for_loop(0, width, lanes) as group:
        start = b.intrinsic("smin", "i64", group.index, b.sub(columns, lanes)) if floats else group.index
        rows = [
            b.gep(element, source, b.mul(ldb, b.intrinsic("smin", "i64", b.add(start, lane), last)))
            for lane in range(lanes)
        ]
        _transposed(b, element, rows, k, b.gep(element, out, start), b.constant("i64", width))


def _transposed(b: Builder, element: str, rows: Sequence[Value], k: Value, out: Value, width: Value) -> None:
    """Writes element `j` of all rows as vector `j` to `out`, `width` elements apart, from j = 0 to k in this order."""
    lanes = len(rows)
    type_ = vector_of(element, lanes)
    whole = b.sub(k, b.urem(k, lanes))
    with b.for_loop(0, whole, lanes, carried=[out]) as block:
        target = block.carried[0]
        square = [b.load(type_, b.gep(element, row, block.index)) for row in rows]
        for value in transpose(b, square):
            b.store(value, target)
            target = b.gep(element, target, width)
        block.yield_([target])
    with b.for_loop(whole, k, carried=[block.results[0]]) as rest:
        target = rest.carried[0]
        for lane, row in enumerate(rows):
            b.store(b.load(element, b.gep(element, row, rest.index)), b.gep(element, target, lane))
        rest.yield_([b.gep(element, target, width)])


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


# A at run time ---------------------------------------------------------------------------------------------------


def tile_packing(module: Module, element: str, source: str, lanes: int) -> Function:
    """`void pack(a, lda, rows, k, out)`: `rows` rows of A as a tile; private to `module`.

    Writes whole vectors, the last of them up to `lanes` elements beyond the tile.
    """
    name = f"pack_{element}_{source}_tile_by{lanes}"
    if name in module.functions:
        return module.functions[name]
    function = _declare(module, name, "a", ("lda", "rows", "k"))
    a, lda, rows, k, out = function.arguments
    b = Builder(function)
    if source == "columns":
        _pack_tile_columns(b, element, a, lda, rows, k, out)
    else:
        _pack_tile_rows(b, element, lanes, a, lda, rows, k, out)
    b.ret()
    return function


def _pack_tile_rows(
    b: Builder, element: str, lanes: int, a: Value, lda: Value, rows: Value, k: Value, out: Value
) -> None:
    """Rows in groups of a vector's lanes; the last group overlaps the one before it.

    A tile with fewer rows than lanes is one group, and what its vectors write too much is written over by the next.
    """
    last = b.sub(rows, 1)
    latest = b.intrinsic("smax", "i64", b.sub(rows, lanes), b.constant("i64", 0))
    with b.for_loop(0, rows, lanes) as group:
        first = b.intrinsic("smin", "i64", group.index, latest)
        pointers = [
            b.gep(element, a, b.mul(lda, b.intrinsic("smin", "i64", b.add(first, i), last))) for i in range(lanes)
        ]
        _transposed(b, element, pointers, k, b.gep(element, out, first), rows)


def _pack_tile_columns(b: Builder, element: str, a: Value, lda: Value, rows: Value, k: Value, out: Value) -> None:
    """The rows of a tile lie beside each other already."""
    with b.for_loop(0, k, carried=[a, out]) as loop:
        column, target = loop.carried
        with b.for_loop(0, rows) as row:
            b.store(b.load(element, b.gep(element, column, row.index)), b.gep(element, target, row.index))
        loop.yield_([b.gep(element, column, lda), b.gep(element, target, rows)])
