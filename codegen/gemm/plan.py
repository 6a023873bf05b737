"""How a matrix product is cut into pieces that suit the caches, and what is packed on the way.

Sizes are in elements. The second-level cache is taken to hold 1 MB, or half of that where vectors are narrow, as in the
processors that had these: a chunk of A stays in it while the panels of B pass by, next to the part of a panel that is
in use.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from optc.codegen.gemm.kernel import Order
from optc.codegen.gemm.sums import PART, is_cut
from optc.codegen.gemm.tiles import (
    ENOUGH_SUMS,
    MAX_ROWS_IN_PLACE,
    Tile,
    choose_tile,
    element_bytes,
    has_cheap_masks,
    sum_type,
)
from optc.codegen.machine.host import Target
from optc.dataclass import dataclass

Source = Literal["packed", "rows", "columns"]
"""How B lies: packed while compiling, K x N, or N x K."""

GROUPS = 24
"""A product is cut into at most so many groups of units, each with scratch memory of its own: 2, 3, 4, 6 or 8
threads get equal shares of them."""

_EVEN_CHUNKS = (1, 2, 4, 6, 8, 12, 24, 48)
"""Numbers of chunks of which groups are halves, thirds and so on, or wholes."""
_CHUNK_BYTES = 768 << 10
_SMALL_CHUNK_BYTES = 384 << 10
_PANEL_BYTES = 256 << 10
_SMALL_PANEL_BYTES = 64 << 10  # of a panel that is packed at run time
SECOND_LEVEL_BYTES = 512 << 10
"""A matrix of so many bytes is not taken to stay in the second-level cache."""
_IN_PLACE_STEPS = 64  # so many rows of B are followed at a time
_FAR_STEPS = 16  # and so many where each is in a page of its own
_PAGE_BYTES = 4096
_LINE_BYTES = 64
MOST_NARROW = 4
"""With so few columns, lanes along the columns would be few, or most of them idle."""
_TILES_TO_PACK_FOR = 12  # so many tiles must use a panel of B in place before a packed one pays
_TILES_TO_PACK_CROWDED_FOR = 2  # and so many where the rows of B compete for the caches
_NARROW_TILES_TO_PACK_FOR = 8  # of narrow vectors, which read short pieces of the rows of B
_NARROW_TILES_TO_PACK_FAR_FOR = 4  # and so many where B is not near
_COLUMNS_TO_PACK_FOR = 256  # so many columns of B must use a tile of A
_MOST_TRANSPOSED_ROWS = 6  # more would spill beside a square of 16 x 16
_UNITS_WANTED = 12
_WIDE_BYTES = 64  # of a vector
_STREAM_BYTES = 8192  # what is on its way from memory while a core computes with several rows
_STREAM_OF_ROW_BYTES = 4096  # and from the third-level cache, which is near, with a single row
_LEAST_TURNING_BYTES = 768 << 10  # of weights that a loop reads back and forth: most of a second-level cache
_TURNING_PANEL_BYTES = 128 << 10  # the most of one of their panels
_LEAST_STREAM_BYTES = 256 << 10  # what is asked for ahead stays within a matrix: too little of a smaller one
CONFLICTING_BYTES = 4096  # rows whose distance is a multiple of this compete for one set of the first-level cache
_COMPETING_BYTES = 512  # and where it is a multiple of this, a few dozen of them
_IN_PLACE_BYTES = 20 << 10
_NEAR_BYTES = 256 << 10  # a fourth of the second-level cache
_ROWS_TO_PACK = 256  # fewer rows of A are read in place even so


@dataclass(frozen=True, slots=True)
class Plan:
    """tile: the register tile. rows: of A at a time (a multiple of the tile's). steps: of K at a time, 0 for all of it.

    packs_a, packs_b: at run time. transposes: the kernels turn blocks of B around in registers. prefetch: cache lines
    of the next panel that each step of K asks for. copies_b: the first tile of rows leaves
    the panel packed for the others. packs_from: chunks of so many rows at least have panels of B packed before they
    are used, 0 for none. along: vectors of so many elements run along K (see `kernel`), 0 for none.
    ahead: elements by which the next packed panel is asked for from step to step where that is less than a line, so that
    all tiles of a chunk take part and fetching takes as long as computing. dear_masks: part of a vector takes much longer to
    store than all of it. panel_by_panel: all chunks of rows use a panel before the next is packed, and not all panels a
    chunk: where chunks are there for threads only. few: the tile of the kernel whose vectors run along K, where the run may
    find so few columns that it suits them (`MOST_NARROW`), and few_along how many elements of K at a time. streams: how
    many bytes before packed weights are used they are asked for, 0 for never. alternates: the product is told when to take
    its panels from the last to the first, so that it begins with the weights that the turn before has left in the cache.
    halves: half a vector of columns is computed in half the time. fetches_result: kernels ask for their lines of C.
    """

    tile: Tile
    rows: int
    steps: int = 0
    packs_a: bool = False
    packs_b: bool = False
    transposes: bool = False
    prefetch: int = 0
    copies_b: bool = False
    along: int = 0
    ahead: int = 0
    packs_from: int = 0
    dear_masks: bool = False
    panel_by_panel: bool = False
    few: Tile | None = None
    few_along: int = 0
    streams: int = 0
    alternates: bool = False
    halves: bool = False
    fetches_result: bool = True

    @property
    def keeps_panel(self) -> bool:
        """Whether a panel of B gets packed at run time."""
        return self.packs_b or self.copies_b or self.packs_from > 0

    @property
    def panel_columns(self) -> int:
        """Columns of B for which there is memory, packed."""
        columns = self.tile.columns if self.keeps_panel else 0
        if self.few is None:
            return columns
        return max(columns, -(-PART * self.few.columns // self.steps) if self.steps else self.few.columns)


@dataclass(frozen=True)
class Shape:
    """What is known of a product. None: only known at run time. Strides are in elements, and ignored for packed B.

    narrow: the columns are so few (at most `MOST_NARROW`) that lanes should run along K, where all lies well for that.
    Whether they do changes bits, so it must not depend on how many rows there are.
    narrow_at_run: whether lanes should run along K where the run finds so few columns.
    windowed: the rows of A are windows, which kernels read where they are. constant_bytes: of all constants that are read
    before these are read again, 0 where only these are known to be. repeats: the turns of a loop compute this product, with
    the same weights where these are packed.
    """

    element: str
    m: int | None
    n: int | None
    k: int | None
    a: Order = "rows"
    source: Source = "packed"
    a_stride: int | None = None
    b_stride: int | None = None
    wide_result: bool = True
    narrow: bool = False
    narrow_at_run: bool = False
    windowed: bool = False
    constant_bytes: int = 0
    repeats: bool = False

    @property
    def keeps_sums(self) -> bool:
        """Whether C can hold the sums between blocks of K."""
        return self.wide_result and sum_type(self.element) == self.element

    @property
    def is_skinny(self) -> bool:
        """Whether A has so few rows that one tile holds them."""
        return self.m is not None and self.m <= MAX_ROWS_IN_PLACE

    @property
    def is_spread(self) -> bool:
        """Whether the rows of B are far from each other."""
        return self.b_stride is None or self.b_stride * element_bytes(self.element) > _PAGE_BYTES

    @property
    def is_crowded(self) -> bool:
        """Whether the rows of B are known to compete for the same places of the caches."""
        return self.source == "rows" and self.b_stride is not None and self.conflicts(self.b_stride)

    def conflicts(self, stride: int | None) -> bool:
        """Whether rows at this distance (or at an unknown one) get into each other's way in the cache."""
        return stride is None or stride > 0 and stride * element_bytes(self.element) % CONFLICTING_BYTES == 0


def plan_product(target: Target, shape: Shape) -> Plan:
    """The way to compute a product of this shape on this processor."""
    plan = replace(_plan(target, shape), halves=target.halves_wide_vectors, fetches_result=not target.fetches_alone)
    if not shape.narrow_at_run or shape.n is not None or shape.source == "packed" or shape.a != "rows":
        return plan
    along = target.lanes(sum_type(shape.element))
    if shape.k is not None and not along <= shape.k <= PART:
        return plan
    return replace(plan, few=_tile_along_k(target, shape), few_along=along)


def _plan(target: Target, shape: Shape) -> Plan:
    if shape.narrow and shape.source != "packed" and shape.a == "rows":
        return _plan_along_k(target, shape)
    if shape.source == "columns" and _is_skinny(target, shape):
        return _transposing_plan(target, shape)
    packs_a = _packs_a(shape)
    tile = choose_tile(target, shape.element, shape.m, shape.n, packs_a)
    alternates = _alternates(target, shape, tile)
    tile = _turning_tile(shape, tile) if alternates else tile
    packs_b = _packs_b(target, shape, tile)
    steps = _steps(target, shape, tile, packs_b)
    packs_from = _packs_from(target, shape, tile) if not packs_b else 0
    prefetch = _prefetch(target, shape, tile) if not packs_from or shape.m is None else 0
    rows = _rows(target, shape, tile, steps)
    copies_b = shape.source == "rows" and not packs_b and not _is_narrow(target) and _copies_b(shape, tile)
    ahead = _ahead(target, shape, tile, rows) if prefetch else 0
    prefetch = 1 if ahead else prefetch
    dear = _has_dear_masks(target, shape)
    whole = shape.m is not None and shape.m <= _most_rows(target, shape, tile, steps)
    by_panels = dear and whole and not (packs_a or steps) and (packs_b or packs_from > 0)
    streams = 0 if prefetch else _streams(target, shape, tile)
    return Plan(
        tile, rows, steps, packs_a, packs_b, False, prefetch, copies_b, 0, ahead, packs_from, dear, by_panels,
        streams=streams, alternates=alternates,
    )  # fmt: skip


def _has_dear_masks(target: Target, shape: Shape) -> bool:
    return not has_cheap_masks(target.lanes(sum_type(shape.element)), shape.element)


def _plan_along_k(target: Target, shape: Shape) -> Plan:
    """As many sums as registers hold: of one row, or of some rows with the few columns there are."""
    width = target.lanes(sum_type(shape.element))
    if shape.m == 1:
        tile = Tile(1, 1, min(width, max(2, 1 << ((shape.n or width) - 1).bit_length())))
    else:
        tile = _tile_along_k(target, shape)
    packs_b, dear = shape.source == "rows", _has_dear_masks(target, shape)
    rows, is_whole = (
        _rows(target, shape, tile, 0),
        shape.m is not None and shape.m <= _most_rows(target, shape, tile, 0),
    )
    return Plan(tile, rows, packs_b=packs_b, along=width, dear_masks=dear, panel_by_panel=dear and packs_b and is_whole)


def _tile_along_k(target: Target, shape: Shape) -> Tile:
    """Sums of some rows with few columns."""
    lanes = min(2 if shape.n == 2 else MOST_NARROW, target.lanes(sum_type(shape.element)))
    fitting = (target.vector_registers - lanes - 3) // lanes
    return Tile(max(1, min(MAX_ROWS_IN_PLACE, fitting, shape.m or MAX_ROWS_IN_PLACE)), 1, lanes)


def _is_skinny(target: Target, shape: Shape) -> bool:
    """Few enough rows for their sums to be in registers beside a square of B."""
    free = target.vector_registers - target.lanes(sum_type(shape.element)) - 3
    if shape.windowed or shape.a != "rows":
        return False
    return shape.m is not None and shape.m <= min(_MOST_TRANSPOSED_ROWS, free)


def _transposing_plan(target: Target, shape: Shape) -> Plan:
    tile = choose_tile(target, shape.element, shape.m, shape.n)
    rows = max(1, shape.m or 1)
    return Plan(Tile(rows, 1, tile.lanes), rows, transposes=True, dear_masks=_has_dear_masks(target, shape))


def _is_narrow(target: Target) -> bool:
    """Whether vectors are narrow, as in processors with small caches."""
    return target.vector_bytes < _WIDE_BYTES


def _packs_a(shape: Shape) -> bool:
    """Worth it where many columns use the rows, and they lie badly; rows of which little is known seldom do."""
    if shape.is_skinny or shape.windowed:
        return False
    if shape.n is not None and shape.n < _COLUMNS_TO_PACK_FOR or shape.k is not None and shape.k < 64:
        return False
    if shape.a == "columns":
        return True
    return shape.conflicts(shape.a_stride) and shape.m is not None and shape.m >= _ROWS_TO_PACK


def _packs_b(target: Target, shape: Shape, tile: Tile) -> bool:
    """Transposed matrices are packed, and those that would have to be read element by element, or again and again by dear
    masks, at their edge."""
    if shape.source != "rows":
        return shape.source == "columns"
    if shape.n is None or shape.n % tile.lanes == 0:
        return shape.n is None and not target.masks
    if target.masks:
        is_used_again = shape.m is None or shape.m > tile.rows
        return shape.n < tile.lanes and _has_dear_masks(target, shape) and is_used_again
    return shape.n < tile.lanes or tile.vectors == 1


def _packs_from(target: Target, shape: Shape, tile: Tile) -> int:
    """Copying a panel row by row before its use has many more fetches on their way than a kernel that reads its first
    tile from afar: on Zen 3, 1024 cubed takes 0.6 to 0.8 of the time."""
    if shape.source != "rows" or not _is_narrow(target) or shape.is_skinny:
        return 0
    is_near = shape.n is not None and shape.k is not None and _matrix_bytes(shape) < SECOND_LEVEL_BYTES
    if is_near and _stays_in_place(shape, tile):
        return 0
    rows = tile.rows * (_NARROW_TILES_TO_PACK_FOR if is_near else _NARROW_TILES_TO_PACK_FAR_FOR)
    return rows if shape.m is None or shape.m >= rows else 0


def _stays_in_place(shape: Shape, tile: Tile) -> bool:
    """Whether all tiles find a panel in the first-level cache that lies where it is, with an end of a line at each row: on
    Zen, packing 122 x 98 x 127 takes 3 % of the time."""
    if shape.k is None or not _is_spread_over_sets(shape):
        return False
    size = element_bytes(shape.element)
    return shape.k * (tile.columns * size + _LINE_BYTES) <= _IN_PLACE_BYTES


def _is_spread_over_sets(shape: Shape) -> bool:
    """Whether the rows of B are known to lie in many sets of the first-level cache."""
    return shape.b_stride is not None and shape.b_stride * element_bytes(shape.element) % _COMPETING_BYTES != 0


def _matrix_bytes(shape: Shape) -> int:
    """The size of B, where it is known."""
    return (shape.n or 0) * (shape.k or 0) * element_bytes(shape.element)


def _copies_b(shape: Shape, tile: Tile) -> bool:
    """Packing on the way costs little, but reading in place costs little more while there are few tiles, and nothing where
    all of B is near: on a Zen 5, thirteen such products of 104 to 1000 rows took 0.96 to 1.0 of the time, with a kernel
    less."""
    if (
        shape.n is not None
        and shape.k is not None
        and _matrix_bytes(shape) <= _NEAR_BYTES
        and _is_spread_over_sets(shape)
    ):
        return False
    tiles = _TILES_TO_PACK_CROWDED_FOR if shape.conflicts(shape.b_stride) else _TILES_TO_PACK_FOR
    return shape.m is None or shape.m >= tiles * tile.rows


def _steps(target: Target, shape: Shape, tile: Tile, packs_b: bool) -> int:
    """Blocks of K of about equal size, so that what is used again and again stays near; whole parts of sums."""
    if not shape.keeps_sums:
        return 0
    unit = PART if is_cut(shape.k, shape.element) else 8
    most = _PANEL_BYTES // (tile.columns * element_bytes(shape.element))
    is_one_tile = shape.m is not None and shape.m <= tile.rows
    if is_one_tile:
        if shape.source != "rows" or packs_b:
            return 0
        most = _FAR_STEPS if shape.is_spread else _IN_PLACE_STEPS
    elif shape.source != "packed" and _is_narrow(target):
        most = _SMALL_PANEL_BYTES // (tile.columns * element_bytes(shape.element))
    elif shape.source != "packed":
        # A panel is packed on the way, again for every chunk of A: with fewer steps chunks have more rows.
        most = most if shape.k is not None and shape.k <= most else most // 2
    most = max(1, most // unit) * unit
    if shape.k is None:
        # With blocks that are parts of sums kernels need not add up parts, whose sums would wait on the stack.
        return PART if _is_narrow(target) else most
    return 0 if shape.k <= most else -(-shape.k // -(-shape.k // most) // unit) * unit


def _rows(target: Target, shape: Shape, tile: Tile, steps: int) -> int:
    """Chunks of A that fit the cache, of equal size, and enough of them to share out."""
    most = _most_rows(target, shape, tile, steps)
    if shape.m is None:
        return most
    panels = 1 if shape.n is None else -(-shape.n // tile.columns)
    tiles = -(-shape.m // tile.rows)
    chunks = max(-(-shape.m // most), min(-(-_UNITS_WANTED // max(panels, 1)), tiles // 8))
    return max(1, -(-tiles // max(1, _shared_evenly(chunks)))) * tile.rows


def _shared_evenly(chunks: int) -> int:
    """A few more chunks where so many can be shared out: then threads need not pack the same rows. With those of the driver
    of about equal size and those of the pool, products of 1024 to 4096 rows take 0.96 to 0.98 of the time on two threads of
    a Zen 5, and as long as before on one."""
    return next((count for count in _EVEN_CHUNKS if chunks <= count <= chunks * 5 // 4), chunks)


def _most_rows(target: Target, shape: Shape, tile: Tile, steps: int) -> int:
    """As many rows of A as fit the cache."""
    k = steps or shape.k or 1024
    chunk_bytes = _SMALL_CHUNK_BYTES if _is_narrow(target) else _CHUNK_BYTES
    return max(tile.rows, chunk_bytes // (element_bytes(shape.element) * k) // tile.rows * tile.rows)


def _prefetch(target: Target, shape: Shape, tile: Tile) -> int:
    """Lines per step of K: weights that do not stay in the second-level cache are fetched a panel ahead.

    Lines that compete for places are gone before many tiles have used them: 64 x 1024 x 1024 of two run-time operands
    takes 0.78 of the time without asking for them, 2048 cubed 0.81 (Emerald Rapids).
    """
    if shape.source == "columns" or shape.is_crowded and not shape.is_skinny:
        return 0
    known = shape.n is not None and shape.k is not None
    if known and _matrix_bytes(shape) < SECOND_LEVEL_BYTES:
        return 0
    if shape.m is None:
        return 1
    if shape.m <= tile.rows and (shape.source == "packed" or not shape.is_spread):
        # Memory that is read once and in order is fetched ahead by the processor; packed weights too late by Zen 3.
        return 1 if shape.source == "packed" and target.vector_bytes < _WIDE_BYTES else 0
    # A line per vector: narrow vectors ask for two panels, which pays where the rows of B are far from each other.
    return -(-tile.vectors // -(-max(shape.m, 1) // tile.rows))


def _alternates(target: Target, shape: Shape, tile: Tile) -> bool:
    """Weights about as large as a cache are gone when the next turn comes to them in the same order: back and forth, 50 steps
    of an RNN take 0.85 of the time on a Zen 5 with 512 units, 0.8 with 640 and 0.95 with 1024; weights that fit take 1.02.
    """
    is_one_tile = shape.m is not None and shape.m <= tile.rows
    if not shape.repeats or not is_one_tile or shape.source != "packed" or _is_narrow(target):
        return False
    return _matrix_bytes(shape) >= _LEAST_TURNING_BYTES


def _turning_tile(shape: Shape, tile: Tile) -> Tile:
    """Of a panel that is read forwards both times only what fits the cache beside it is still there: narrow ones keep more,
    as long as there are enough sums to hide the latency of a multiply-add."""
    panel_bytes = (shape.k or 0) * tile.columns * element_bytes(shape.element)
    if panel_bytes <= _TURNING_PANEL_BYTES or tile.vectors % 2 or tile.rows * tile.vectors < 2 * ENOUGH_SUMS:
        return tile
    return _turning_tile(shape, replace(tile, vectors=tile.vectors // 2))


def _streams(target: Target, shape: Shape, tile: Tile) -> int:
    """Weights that pass by once, from behind the second-level cache, are asked for long before their use.

    How much of that a processor does itself depends on more than the program: on a Zen 5 a row times 1024 x 1024 takes 33
    or 39 microseconds without asking and 32 with it, three rows times 2048 x 2048 from memory 0.85 of the time, eight
    times 4096 x 4096 0.7, a row times eight matrices of 512 x 512 one after the other 0.8. A single row from memory is
    better left to the processor: asking takes 1.1 of the time.
    """
    is_one_tile = shape.m is not None and shape.m <= tile.rows
    if not is_one_tile or shape.source != "packed" or _is_narrow(target):
        return 0
    size = _matrix_bytes(shape)
    if size < _LEAST_STREAM_BYTES or max(size, shape.constant_bytes) < target.second_level_bytes:
        return 0
    if tile.rows > 1:
        return _STREAM_BYTES
    return _STREAM_OF_ROW_BYTES if shape.constant_bytes <= target.third_level_bytes else 0


def _ahead(target: Target, shape: Shape, tile: Tile, rows: int) -> int:
    """A tile that asks for the whole next panel waits for the third-level cache: a twentieth to a fifth of the time of
    products on Zen 3, a tenth on an Emerald Rapids where K is long (128 x 2048 x 768: 85 and 94 % of the peak)."""
    if shape.source != "packed" or shape.m is None:
        return 0
    tiles = -(-min(rows, shape.m) // tile.rows)
    elements = -(-tile.columns // tiles)
    return elements if elements * element_bytes(shape.element) < _LINE_BYTES else 0
