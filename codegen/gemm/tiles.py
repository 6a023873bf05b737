"""Register tiles of matrix products: which ones fit the processor, and which one suits a shape.

Estimates are in clock cycles of a processor that starts two multiply-adds and two loads per cycle. One that starts half
as many loads and multiply-adds has the same favourites.
"""

from __future__ import annotations

import math

from optc.codegen.machine.host import Target
from optc.dataclass import dataclass
from optc.ir.dims import Dim

_BYTES = {"float": 4, "double": 8, "half": 2, "bfloat": 2, "i64": 8, "i32": 4, "i16": 2, "i8": 1}

MAX_ROWS_IN_PLACE = 8
"""Rows of A that are read where they are need a pointer each, and an eight-way cache has room for so many of them when
their stride is a multiple of 4096 bytes."""

ENOUGH_SUMS = 8
"""So many independent sums hide the latency of a multiply-add."""

_MAX_ROWS = 14
_WIDEST_BYTES = 64
_MASKED_BY_VECTORS_BYTES = 32
_WIDTHS = (1, 2, 3, 4)
_LONG_WIDTHS = (6, 8, 16)  # for few rows, which read B in long pieces
_FEW_ROWS = 4
_HARDLY = 0.02  # of the time: less than the estimate is good for
_UNKNOWN_ROWS, _UNKNOWN_COLUMNS = 840, 5040  # multiples of all sensible tiles


def element_bytes(element: str) -> int:
    """The size of an element in memory."""
    return _BYTES[element]


def sum_type(element: str) -> str:
    """The type in which products of such elements are summed: half precision in single, all others in their own."""
    return "float" if element in ("half", "bfloat") else element


@dataclass(frozen=True, slots=True)
class Tile:
    """The accumulators of a kernel: `rows` rows of A times `vectors` vectors of columns of B, `lanes` wide."""

    rows: int
    vectors: int
    lanes: int

    @property
    def columns(self) -> int:
        return self.vectors * self.lanes

    @property
    def sums(self) -> int:
        """How many vectors of sums it has: fewer use each vector of an operand less often than their time tells."""
        return self.rows * self.vectors


def max_rows(target: Target, vectors: int) -> int:
    """How many rows fit: accumulators, a row of B and one broadcast value live in registers at the same time.

    0 if not even one does. A single row of A needs no registers for B on x86, where a multiply-add may read memory.
    """
    if not target.is_x86:
        # On Arm LLVM loads the factors of all rows first, each into a vector register.
        return min(_MAX_ROWS, (target.vector_registers - vectors) // (vectors + 1))
    # Without fused multiply-add the product needs a register of its own.
    reserved = vectors + 1 + (0 if target.fma else 1)
    one = 1 if target.fma and vectors <= target.vector_registers // 2 else 0
    return max(one, min(_MAX_ROWS, (target.vector_registers - reserved) // vectors))


def product_lanes(target: Target, element: str, n: int | None) -> int:
    """Lanes of a vector of columns: a register full of sums, or less where the matrix is narrower."""
    full = target.lanes(sum_type(element))
    least = 16 // element_bytes(sum_type(element))
    if n is None or n <= 0 or n >= full or not target.masks:
        return full
    if not has_cheap_masks(full, element):
        # The last vector of those that fit ends with the last column (`split_evenly`).
        return max(least, 1 << n.bit_length() - 1)
    return min(full, max(least, 1 << (n - 1).bit_length()))


def has_cheap_masks(lanes: int, element: str) -> bool:
    """Whether part of a vector is stored as fast as a whole one: where masks have registers of their own.

    Where they are vectors, such a store takes some processors the time of ten, and a full tile leaves no register.
    """
    return lanes * element_bytes(sum_type(element)) == _WIDEST_BYTES


def last_columns(lanes: int, element: str, columns: int, halves: bool) -> list[tuple[int, int]]:
    """How columns that do not fill a tile are computed: vectors and their lanes, for one kernel after the other.

    halves: half a register of 64 bytes is computed in half the time (`Target.halves_wide_vectors`). Where masks are
    vectors (AVX2), a full tile has no register left for one.
    """
    whole, rest = divmod(columns, lanes)
    register_bytes = lanes * element_bytes(sum_type(element))
    if register_bytes == _MASKED_BY_VECTORS_BYTES and rest and whole > 1:
        return [(whole, lanes), (1, lanes)]
    if register_bytes == _WIDEST_BYTES and 0 < rest <= lanes // 2 and (halves or not whole):
        return [(whole, lanes), (1, lanes // 2)] if whole else [(1, lanes // 2)]
    return [(whole + bool(rest), lanes)] if columns else []


def split_evenly(vectors: int, most: int) -> list[tuple[int, int]]:
    """So many vectors of columns as panels of about equal width, `most` vectors at most: panels and their vectors, wide
    ones first, unless the last would be a single vector: of an odd number of units, the second of two threads gets more.

    Where masks are dear, the last vector of the last panel ends with the last column. The columns that it shares with the
    vector before it are computed twice, to the same bits; of two vectors of one panel, both are there.
    """
    panels = -(-vectors // most)
    least, wider = divmod(vectors, panels)
    split = [(wider, least + 1), (panels - wider, least)]
    if least == 1:
        split.reverse()
    return [(count, width) for count, width in split if count]


def choose_tile(target: Target, element: str, m: int | None, n: int | None, packed_rows: bool = False) -> Tile:
    """The tile with the least estimated time for a product with these extents (None: unknown, taken as large), or one
    that takes hardly longer and needs fewer kernels for what is left at the edges: LLVM takes milliseconds for each.

    packed_rows: A is packed before it is used, so more rows may be taken at once.
    """
    lanes = product_lanes(target, element, n)
    rows, columns = m or _UNKNOWN_ROWS, n or _UNKNOWN_COLUMNS
    most = _MAX_ROWS if packed_rows else MAX_ROWS_IN_PLACE
    widths = (*_WIDTHS, *_LONG_WIDTHS) if rows <= _FEW_ROWS else _WIDTHS
    candidates = [Tile(r, v, lanes) for v in widths for r in range(1, min(most, rows, max_rows(target, v)) + 1)]
    cuts = {tile: _cut(target, tile, element, rows, columns) for tile in candidates}
    ranks = {tile: (cut.cycles, -tile.columns, -tile.rows) for tile, cut in cuts.items()}
    fastest = min(candidates, key=ranks.__getitem__)
    longest = cuts[fastest].cycles * (1 + _HARDLY)
    alike = [tile for tile in candidates if cuts[tile].cycles <= longest and tile.sums >= fastest.sums]
    return min(alike, key=lambda tile: (cuts[tile].kernels, ranks[tile]))


@dataclass(frozen=True, slots=True)
class _Cut:
    """What comes of cutting a product into tiles: clock cycles per element of K, and how many kernels there are."""

    cycles: float
    kernels: int


def _cut(target: Target, tile: Tile, element: str, m: int, n: int) -> _Cut:
    panels = _panels(target, tile, element, n)
    heights = [(count, rows) for count, rows in ((m // tile.rows, tile.rows), (1, m % tile.rows)) if count and rows]
    cycles = sum(
        count_n * count_m * _cycles(rows, vectors * lanes / tile.lanes)
        for count_n, vectors, lanes, _ in panels
        for count_m, rows in heights
    )
    return _Cut(cycles, len({panel[1:] for panel in panels}) * len(heights))


def _panels(target: Target, tile: Tile, element: str, n: int) -> list[tuple[int, int, int, bool]]:
    """Numbers of panels of columns, their vectors, the lanes of these, and whether the last vector is not full."""
    if not has_cheap_masks(tile.lanes, element):
        return [
            (count, vectors, tile.lanes, False) for count, vectors in split_evenly(-(-n // tile.lanes), tile.vectors)
        ]
    whole, rest = divmod(n, tile.columns)
    panels = [(whole, tile.vectors, tile.lanes, False)] if whole else []
    for vectors, lanes in last_columns(tile.lanes, element, rest, target.halves_wide_vectors):
        panels.append((1, vectors, lanes, rest < vectors * lanes))
        rest -= vectors * lanes
    return panels


def _cycles(rows: int, vectors: float) -> float:
    """Two multiply-adds and two loads per cycle, one of them of B, and four cycles from one sum to the next.

    Loads compete for issue slots, and every step of K has its loop to pay for.
    """
    loads = rows + math.ceil(vectors)
    return max(rows * vectors / 2, loads / 2, vectors, 4) + 0.02 * loads + 0.05


def rows_to_count(target: Target, rows: Dim) -> Dim:
    """As how many rows the work of a product counts: one row takes as long as two where vectors are wide, as it reads the
    weights no faster than the second-level cache delivers them."""
    return max(rows, target.vector_bytes // 32, 1) if isinstance(rows, int) else rows
