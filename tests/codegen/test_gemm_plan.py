"""How products are cut: what is packed on the way, and how many kernels that takes."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from optc.codegen.gemm.driver import product_modules
from optc.codegen.gemm.plan import Shape, plan_product
from optc.codegen.gemm.product import Gemm
from optc.codegen.gemm.tiles import Tile, choose_tile, last_columns, max_rows, split_evenly
from optc.codegen.machine.host import AVX2, AVX512, GENERIC, NEON, Target


@pytest.mark.parametrize(
    ("m", "n", "k", "copies"),
    [
        (200, 200, 200, False),
        (1000, 112, 120, False),
        (200, 128, 200, True),  # rows at a distance of 512 bytes
        (1000, 200, 600, True),  # half a megabyte
        (1000, None, 600, True),
        (40, 1000, 1000, False),  # few tiles
    ],
)
def test_rows_of_b_are_packed_on_the_way_where_they_are_far_or_compete(
    m: int, n: int | None, k: int, copies: bool
) -> None:
    assert plan_product(AVX512, Shape("float", m, n, k, "rows", "rows", k, n)).copies_b == copies


def test_narrow_vectors_pack_before() -> None:
    assert not plan_product(AVX2, Shape("float", 1000, 200, 600, "rows", "rows", 600, 200)).copies_b


@pytest.mark.parametrize(
    ("vectors", "most"), [(1, 3), (2, 3), (4, 3), (7, 3), (9, 3), (3, 2), (13, 3), (17, 16), (9, 4)]
)
def test_panels_are_about_equally_wide(vectors: int, most: int) -> None:
    """So the last one has two vectors at least, where there are as many."""
    split = split_evenly(vectors, most)
    widths = [width for count, width in split for _ in range(count)]
    assert sum(widths) == vectors and max(widths) <= most and max(widths) - min(widths) <= 1
    assert widths[-1] >= min(2, vectors)
    assert widths == sorted(widths, reverse=min(widths) > 1)
    assert len(widths) == -(-vectors // most)


@pytest.mark.parametrize(("m", "n"), [(1, 1024), (64, 1024), (128, 768), (64, 10), (None, None), (49, 512)])
@pytest.mark.parametrize("target", [AVX512, AVX2, GENERIC, NEON], ids=lambda target: target.cpu)
def test_chosen_tiles_fit(target: Target, m: int | None, n: int | None) -> None:
    tile = choose_tile(target, "float", m, n)
    assert tile.rows <= max_rows(target, tile.vectors)
    assert tile.lanes == target.vector_bytes // 4
    assert m is None or tile.rows <= m


@pytest.mark.parametrize(
    ("m", "n", "tile"),
    [(160, 160, Tile(8, 3, 16)), (250, 500, Tile(6, 4, 16)), (112, 112, Tile(6, 4, 16)), (2048, 2048, Tile(6, 4, 16))],
)
def test_of_tiles_that_take_as_long_the_one_with_fewest_kernels_is_chosen(m: int, n: int, tile: Tile) -> None:
    """160 x 160 is two kernels of eight rows, or four of six that take a seventieth less; with eight rows 112 x 112 takes a
    fortieth longer, which is not hardly."""
    assert choose_tile(AVX512, "float", m, n) == tile


@pytest.mark.parametrize(
    ("columns", "whole", "split"),
    [
        (5, [(1, 8)], [(1, 8)]),
        (12, [(1, 16)], [(1, 16)]),
        (24, [(2, 16)], [(1, 16), (1, 8)]),
        (32, [(2, 16)], [(2, 16)]),
    ],
)
def test_half_a_vector_behind_others_has_a_kernel_where_that_halves_its_time(
    columns: int, whole: list[tuple[int, int]], split: list[tuple[int, int]]
) -> None:
    assert last_columns(16, "float", columns, halves=False) == whole
    assert last_columns(16, "float", columns, halves=True) == split
    assert plan_product(
        replace(AVX512, cpu="znver4"), Shape("float", 64, columns, 64, "rows", "rows", 64, columns)
    ).halves
    assert not plan_product(AVX512, Shape("float", 64, columns, 64, "rows", "rows", 64, columns)).halves


@pytest.mark.parametrize(
    ("target", "m", "n", "k"),
    [
        *((target, *extents) for target in (AVX2, AVX512) for extents in ((128, 768, 768), (64, 1024, 1024))),
        (AVX2, 504, 512, 512),
        (AVX512, 504, 512, 512),
        (AVX2, 7, 512, 512),
    ],
)
def test_tiles_fetch_the_next_panel_in_equal_parts(target: Target, m: int, n: int, k: int) -> None:
    """All tiles of a chunk together ask for all of it."""
    plan = plan_product(target, Shape("float", m, n, k, "rows", "packed", k))
    tiles = -(-min(plan.rows, m) // plan.tile.rows)
    assert plan.ahead * tiles >= plan.tile.columns > (plan.ahead - 1) * tiles


@pytest.mark.parametrize("m", [1, 2, 4, 6])
def test_few_rows_fetch_weights_ahead_line_by_line_on_avx2(m: int) -> None:
    """More lines at a time than the processor can fetch meanwhile would hold up what it reads by itself."""
    assert plan_product(AVX2, Shape("float", m, 1024, 1024, "rows", "packed", 1024)).prefetch == 1
    assert plan_product(AVX512, Shape("float", m, 1024, 1024, "rows", "packed", 1024)).prefetch == 0
    assert plan_product(AVX2, Shape("float", m, 256, 256, "rows", "packed", 256)).prefetch == 0


@pytest.mark.parametrize(("m", "total", "streams"), [(1, 4 << 20, 4096), (1, 40 << 20, 0), (4, 40 << 20, 8192)])
def test_few_rows_ask_for_far_weights_in_time(m: int, total: int, streams: int) -> None:
    """A single row does where the constants of the program stay in the third-level cache; memory is left to the
    processor."""
    shape = Shape("float", m, 1024, 1024, "rows", "packed", 1024, constant_bytes=total)
    assert plan_product(AVX512, shape).streams == streams
    assert plan_product(AVX512, replace(shape, n=256)).streams == streams
    assert plan_product(AVX512, replace(shape, n=256, constant_bytes=1 << 20)).streams == 0
    assert plan_product(AVX512, replace(shape, n=32)).streams == 0
    assert plan_product(AVX512, replace(shape, m=64)).streams == 0
    assert plan_product(AVX512, replace(shape, source="rows", b_stride=1024)).streams == 0
    assert plan_product(AVX2, shape).streams == 0


def test_weights_of_loops_that_fill_the_cache_are_read_back_and_forth() -> None:
    shape = Shape("float", 1, 512, 512, "rows", "packed", 512, repeats=True)
    plan = plan_product(AVX512, shape)
    assert plan.alternates and plan.tile == Tile(1, 8, 16)
    assert plan_product(AVX512, replace(shape, m=8)).alternates
    others = (
        replace(shape, repeats=False), replace(shape, n=256), replace(shape, m=64),
        replace(shape, source="rows", b_stride=512),
    )  # fmt: skip
    assert not any(plan_product(AVX512, other).alternates for other in others)
    assert not plan_product(AVX2, shape).alternates


def test_rows_that_compete_for_cache_places_are_copied_and_not_fetched_ahead() -> None:
    crowded = plan_product(AVX512, Shape("float", 64, 1024, 1024, "rows", "rows", 1024, 1024))
    assert (crowded.prefetch, crowded.copies_b) == (0, True)
    spaced = plan_product(AVX512, Shape("float", 64, 1000, 1000, "rows", "rows", 1000, 1000))
    assert spaced.prefetch > 0


@pytest.mark.parametrize(
    ("m", "extent", "packs"), [(64, 1024, True), (16, 1024, True), (16, 300, False), (300, 300, True)]
)
def test_narrow_vectors_pack_panels_before_they_use_them(m: int, extent: int, packs: bool) -> None:
    """Where enough tiles do; a kernel that packs on the way has fewer fetches under way. Wide ones pack on the way."""
    shape = Shape("float", m, extent, extent, "rows", "rows", extent, extent)
    plan = plan_product(AVX2, shape)
    assert (plan.packs_from > 0) == packs and not plan.copies_b and (not packs or plan.prefetch == 0)
    assert plan_product(AVX512, shape).packs_from == 0


@pytest.mark.parametrize(("n", "k", "packs"), [(98, 127, False), (98, 140, True), (128, 127, True), (None, 127, True)])
def test_panels_that_the_first_level_cache_holds_stay_where_they_are(n: int | None, k: int, packs: bool) -> None:
    """Unless their rows compete for places in it."""
    plan = plan_product(AVX2, Shape("float", 122, n, k, "rows", "rows", k, n))
    assert (plan.packs_from > 0) == packs


@pytest.mark.parametrize("target", [AVX2, AVX512], ids=["avx2", "avx512"])
def test_few_rows_ask_for_a_line_per_vector_of_rows_that_are_far(target: Target) -> None:
    plan = plan_product(target, Shape("float", 1, 4096, 1024, "rows", "rows", 1024, 4096))
    assert plan.prefetch == plan.tile.vectors and plan.ahead == 0


def test_chunks_fit_the_second_level_cache() -> None:
    for target, most in ((AVX512, 768 << 10), (AVX2, 384 << 10)):
        plan = plan_product(target, Shape("float", 2048, 2048, 512, "rows", "packed", 512))
        assert most * 3 // 4 < plan.rows * 512 * 4 <= most


def test_chunks_can_be_shared_out() -> None:
    """Twelve of them and not eleven, of as many tiles as the others but for one, so that no thread packs what another
    packs, or has less to do."""
    for rows, chunks in ((2048, 12), (4096, 24), (1024, 6)):
        plan = plan_product(AVX512, Shape("float", rows, 1024, 2048, a_stride=2048))
        gemm = Gemm("float", plan, rows, 1024, 2048)
        assert -(-rows // gemm.plan.rows) == chunks
        text = str(product_modules(gemm)[gemm.name])
        tiles = -(-rows // gemm.tile.rows)
        for place in re.findall(rf"(%\S+) = mul i64 {tiles}, ", text):
            assert re.search(rf"= udiv i64 {place}, {chunks}$", text, re.MULTILINE)
        assert text.count(f"mul i64 {tiles}, ") == 2


@pytest.mark.parametrize(("m", "n", "together"), [(128, 768, 16), (128, 20, 1), (4096, 4096, 2)])
def test_threads_pack_a_chunk_of_rows_once(m: int, n: int, together: int) -> None:
    """Groups that share a chunk of A, which every range of them packs, go to a thread at once."""
    shape = Shape("float", m, n, 768, "columns", "rows", m, n)
    assert Gemm("float", plan_product(AVX512, shape), m, n, 768, "columns", "rows").groups_together == together
