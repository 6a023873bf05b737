"""Matrix products: right for every shape and layout, on every target, however they are cut."""

import ctypes
import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from optc.codegen.gemm.driver import product_modules
from optc.codegen.gemm.epilogue import BIAS, PLAIN, Epilogue, then
from optc.codegen.gemm.kernel import Kernel, Order
from optc.codegen.gemm.plan import Plan, Shape, Source, plan_product
from optc.codegen.gemm.product import Gemm
from optc.codegen.gemm.sums import PART
from optc.codegen.gemm.tiles import Tile, choose_tile
from optc.codegen.gemm.weights import pack_panels, panel_elements
from optc.codegen.llvm import Builder, Value
from optc.codegen.machine import jit
from optc.codegen.machine.host import AVX2, AVX512, GENERIC, NEON, Target

TARGETS = {"host": jit.host_target(), "AVX2": AVX2, "generic": GENERIC}
DTYPES: dict[str, Any] = {"float": np.float32, "double": np.float64}

_QUICK = (("host", "float"), ("AVX2", "double"), ("generic", "float"))

ON_EVERY_TARGET = pytest.mark.parametrize(
    ("name", "element"),
    [
        pytest.param(name, element, marks=() if (name, element) in _QUICK else pytest.mark.slow)
        for name in TARGETS
        for element in DTYPES
    ],
)
"""Every width of vectors, and both types; long sweeps have all pairs of them."""


def relu(b: Builder, value: Value) -> Value:
    zero = b.constant(value.type, 0.0)
    return b.select(b.fcmp("ogt", zero, value), zero, value)


BIAS_RELU = then(BIAS, "relu", relu)


def can_run(target: Target) -> bool:
    host = jit.host_target()
    return target.triple == host.triple and target.vector_bytes <= host.vector_bytes and (host.fma or not target.fma)


def guarded(shape: tuple[int, int], dtype: Any) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """An array with a margin of 77s around it, and the whole of it."""
    whole = np.full((shape[0] + 2, shape[1] + 24), 77, dtype)
    return whole[1 : 1 + shape[0], 12 : 12 + shape[1]], whole


def pack(b: np.ndarray[Any, Any], tile: Tile) -> np.ndarray[Any, Any]:
    return pack_panels(b, tile.columns, tile.lanes)


def gemm_of(
    target: Target, element: str, m: int | None, n: int | None, k: int | None, source: Source = "packed",
    epilogue: Epilogue = PLAIN, a: Order = "rows", **changes: Any,
) -> Gemm:  # fmt: skip
    """The product as `plan_product` cuts it, apart from `changes` of the plan."""
    shape = Shape(element, m, n, k, a, source, k if a == "rows" else m, n if source == "rows" else k)
    return Gemm(element, replace(plan_product(target, shape), **changes), m, n, k, a, source, epilogue)


_FURTHEST_FETCH = "@furthest = global i64 0"

_NOTE_FETCH = """
@furthest = external global i64
define internal void @note(ptr %place, i32 %write, i32 %locality, i32 %cache) nounwind {
  %is_written = icmp ne i32 %write, 0
  %address = ptrtoint ptr %place to i64
  %noted = select i1 %is_written, i64 0, i64 %address
  %before = atomicrmw umax ptr @furthest, i64 %noted monotonic
  ret void
}
"""


def _noting_fetches(text: str) -> str:
    """A module that keeps the highest address it asks for ahead, instead of asking."""
    declaration = "declare void @llvm.prefetch.p0(ptr, i32, i32, i32)"
    return text.replace(declaration, _NOTE_FETCH).replace("@llvm.prefetch.p0(", "@note(")


def multiply(gemm: Gemm, target: Target, a: Any, b: Any, bias: Any = None, ranges: int = 1) -> np.ndarray[Any, Any]:
    """Compiles and runs a product."""
    return Compiled(gemm, target)(a, b, bias, ranges)


class Compiled:
    """A compiled product."""

    def __init__(self, gemm: Gemm, target: Target) -> None:
        texts = [_noting_fetches(str(module)) for module in product_modules(gemm).values()]
        self.gemm = gemm
        self.library = jit.link([jit.compile_module(text, target) for text in [*texts, _FURTHEST_FETCH]])

    def __call__(self, a: Any, b: Any, bias: Any = None, ranges: int = 1, reverse: int = 0) -> np.ndarray[Any, Any]:
        """Runs the product in some ranges of groups; checks that nothing around the result is written, and that packed
        weights that are longer than what a panel asks for are asked for no further than they go."""
        return run(self.gemm, self.library, a, b, bias, ranges, reverse)


def run(gemm: Gemm, library: Any, a: Any, b: Any, bias: Any, ranges: int, reverse: int = 0) -> np.ndarray[Any, Any]:
    types = [ctypes.c_void_p if parameter.type == "ptr" else ctypes.c_int64 for parameter in gemm.parameters]
    function = ctypes.CFUNCTYPE(None, *types)(library.address(gemm.name))
    (m, k), n = a.shape, b.shape[1]
    left = a if gemm.a == "rows" else np.ascontiguousarray(a.T)
    lies = {"packed": pack(b, gemm.tile), "rows": np.ascontiguousarray(b), "columns": np.ascontiguousarray(b.T)}
    source = lies[gemm.source]
    ldb = source.shape[1] if source.ndim == 2 else 0
    c, whole = guarded((m, n), a.dtype)
    scratch_bytes = gemm.scratch_bytes(k)
    assert isinstance(scratch_bytes, int)
    scratch = np.full(scratch_bytes * gemm.groups + 128, 85, np.uint8)
    aligned = scratch.ctypes.data + -scratch.ctypes.data % 64
    extra = [reverse] if gemm.plan.alternates else []
    extra += [] if bias is None else [bias.ctypes.data]
    parts = [gemm.groups * part // ranges for part in range(ranges + 1)]
    for start, stop in itertools.pairwise(parts):
        function(
            left.ctypes.data, left.strides[0] // left.itemsize, source.ctypes.data, ldb, c.ctypes.data, whole.shape[1],
            m, n, k, aligned, *extra, start, stop,
        )  # fmt: skip
    assert (scratch[-64:] == 85).all()
    if gemm.source == "packed":
        furthest = ctypes.c_uint64.from_address(library.address("furthest")).value
        most = gemm.plan.ahead * gemm.tile.columns * source.itemsize or gemm.tile.vectors * 64
        assert furthest <= source.ctypes.data + max(source.nbytes, k * most)
    c_copy = c.copy()
    c[:] = 77
    assert (whole == 77).all()
    return c_copy


def check(gemm: Gemm, target: Target, m: int, n: int, k: int, ranges: int = 1) -> None:
    rng = np.random.default_rng(m * 10007 + n * 101 + k)
    dtype = DTYPES[gemm.element]
    a = rng.standard_normal((m, k + 3)).astype(dtype)[:, 2 : 2 + k]
    b = rng.standard_normal((k, n)).astype(dtype)
    bias = rng.standard_normal(n).astype(dtype) if gemm.epilogue.parameters else None
    expected = a.astype(np.float64) @ b.astype(np.float64)
    if bias is not None:
        expected = np.maximum(expected + bias, 0)
    got = multiply(gemm, target, a, b, bias, ranges)
    # The error of a sum of k products in any order.
    bound = (k + 2) * np.finfo(dtype).eps * (np.abs(a.astype(np.float64)) @ np.abs(b.astype(np.float64)) + 4)
    assert (np.abs(got - expected) <= bound).all()


SHAPES = [
    (1, 1, 1),
    (1, 100, 37),
    (3, 16, 5),
    (7, 47, 64),
    (8, 48, 33),
    (13, 49, 1),
    (17, 130, 70),
    (64, 10, 100),
    (5, 7, 0),
    (120, 300, 90),
]
SOURCES: list[Source] = ["packed", "rows", "columns"]
ORDERS: list[Order] = ["rows", "columns"]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_known_extents(source: Source, order: Order, shape: tuple[int, int, int]) -> None:
    target = jit.host_target()
    check(gemm_of(target, "float", *shape, source, BIAS_RELU, order), target, *shape)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    ("name", "element"),
    [("host", "float"), ("host", "double"), ("AVX2", "float"), ("generic", "float"), ("generic", "double")],
)
def test_extents_of_the_run(source: Source, name: str, element: str) -> None:
    """One compiled product serves all shapes, on every width of vectors."""
    target = TARGETS[name]
    if not can_run(target):
        pytest.skip(f"this machine is not {name}")
    tile = choose_tile(target, element, None, None)
    for m, n, k in [
        (1, 3, 5),
        (2 * tile.rows + 3, tile.columns + 1, 19),
        (tile.rows, 2 * tile.columns, 40),
        (0, 5, 3),
        (3, 0, 4),
        (2, 5, 0),
    ]:
        known = n if source == "packed" else None
        for order in ORDERS:
            check(gemm_of(target, element, None, known, None, source, PLAIN, order), target, m, n, k)


@pytest.mark.parametrize("source", ["rows", "columns"])
@pytest.mark.parametrize("rows", [7, 53])
def test_last_columns_of_unknown_extents(source: Source, rows: int) -> None:
    """Half a vector behind others is computed apart where there are many rows: each column once, to the same bits."""
    target = jit.host_target()
    tile = choose_tile(target, "float", None, None)
    gemm = gemm_of(target, "float", None, None, None, source)
    left = np.random.default_rng(0).standard_normal((rows, 21)).astype(np.float32)
    right = np.random.default_rng(1).standard_normal((21, 2 * tile.columns)).astype(np.float32)
    whole = multiply(gemm, target, left, right)
    np.testing.assert_allclose(whole, left @ right, rtol=1e-4, atol=1e-4)
    for n in (tile.lanes + 6, 3 * tile.lanes - 7, tile.columns + 2 * tile.lanes + 1):
        np.testing.assert_array_equal(multiply(gemm, target, left, np.ascontiguousarray(right[:, :n])), whole[:, :n])


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("element", DTYPES)
def test_few_columns_are_summed_in_vectors_along_k(name: str, element: str) -> None:
    target = TARGETS[name]
    if not can_run(target):
        pytest.skip("the processor cannot run this")
    sources: list[tuple[int, int, int, Source]] = [(23, n, k, "rows") for n in (2, 3, 4) for k in (0, 65, 97)]
    sources += [(23, 3, 97, "columns"), (1, 1, 97, "columns"), (1, 9, 97, "columns"), (1, 40, 128, "columns")]
    for m, n, k, source in sources:
        plan = plan_product(target, Shape(element, m, n, k, "rows", source, narrow=True))
        assert plan.along
        check(Gemm(element, plan, m, n, k, "rows", source, BIAS_RELU), target, m, n, k)
        anything = plan_product(target, Shape(element, 1 if m == 1 else None, n, None, "rows", source, narrow=True))
        check(Gemm(element, anything, 1 if m == 1 else None, n, None, "rows", source), target, m, n, k)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("source", SOURCES[1:])
@pytest.mark.parametrize("m", [None, 1, 5])
def test_few_columns_that_the_run_finds_are_summed_in_vectors_along_k(name: str, source: Source, m: int | None) -> None:
    """To the bits of those that are known, in any company; more columns, or more of K, as ever."""
    target = TARGETS[name]
    if not can_run(target):
        pytest.skip("the processor cannot run this")
    plan = plan_product(target, Shape("float", m, None, None, "rows", source, narrow_at_run=True))
    assert plan.few is not None
    anything = Compiled(Gemm("float", plan, m, None, None, "rows", source, BIAS_RELU), target)
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((23, 600)).astype(np.float32), rng.standard_normal((600, 60)).astype(np.float32)
    bias = rng.standard_normal(60).astype(np.float32)
    for n, k in itertools.product((1, 2, 3, 4, 5, 40), (0, 3, 8, 77, 200, 600)):
        right = np.ascontiguousarray(b[:k, :n])
        got = anything(a[: m or 23, :k], right, bias)
        expected = np.maximum(a[: m or 23, :k].astype(np.float64) @ right + bias[:n], 0)
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)
        if 1 < n <= 4 and k in (77, 200):
            known = plan_product(target, Shape("float", 23, n, k, "rows", source, narrow=True))
            among = multiply(Gemm("float", known, 23, n, k, "rows", source, BIAS_RELU), target, a[:, :k], right, bias)
            assert np.array_equal(got, among[: m or 23])


def test_few_columns_take_one_kernel_more() -> None:
    for target in (AVX512, AVX2, GENERIC, NEON):
        plans = [
            plan_product(target, Shape("float", None, None, None, "rows", "rows", narrow_at_run=few))
            for few in (False, True)
        ]
        usual, more = ({*product_modules(Gemm("float", plan, None, None, None, "rows", "rows"))} for plan in plans)
        assert sum("along" in name for name in more) == 1 and len(more) == len(usual) + 1


@pytest.mark.parametrize("source", SOURCES[1:])
def test_few_columns_are_packed_once(source: Source) -> None:
    """For all chunks of rows; and so are those that only a mask would read, where many rows use them."""
    plan = plan_product(AVX2, Shape("float", 100, 4, 200, "rows", source, 200, 4, narrow=True))
    assert plan.rows < 100 and plan.panel_by_panel == (source == "rows")
    for m, packs in ((100, True), (2, source == "columns")):
        plan = plan_product(AVX2, Shape("float", m, 3, 20, "rows", source, 20, 3))
        assert plan.packs_b == packs or plan.transposes


@pytest.mark.parametrize("name", ["host", "AVX2", "generic"])
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("order", ORDERS)
def test_packed_rows(name: str, source: Source, order: Order) -> None:
    """Tiles of A of every height are packed, cut in blocks of K, whatever is left over."""
    target = TARGETS[name]
    if not can_run(target):
        pytest.skip(f"this machine is not {name}")
    tile = choose_tile(target, "float", None, 70, packed_rows=True)
    plan = Plan(tile, 2 * tile.rows, 24, packs_a=True, packs_b=source == "columns")
    for m in (None, 4 * tile.rows + 3):
        gemm = Gemm("float", plan, m, 70, 61, order, source, BIAS_RELU)
        check(gemm, target, 4 * tile.rows + 3, 70, 61)


@pytest.mark.parametrize("m", [None, 1, 301])
def test_blocks_of_rows_and_of_k(m: int | None) -> None:
    target = jit.host_target()
    check(gemm_of(target, "float", m, 20, 1000), target, m or 301, 20, 1000)
    check(gemm_of(target, "float", m, 100, 3000, epilogue=BIAS_RELU), target, m or 301, 100, 3000, ranges=3)


@pytest.mark.parametrize(("k", "steps"), [(PART - 3, 40), (2 * PART + 88, PART)])
def test_a_row_does_not_depend_on_its_company(k: int, steps: int) -> None:
    """The same bits, however many rows there are, wherever B comes from and whichever kernels they fall to."""
    target = jit.host_target()
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((140, k)).astype(np.float32), rng.standard_normal((k, 270)).astype(np.float32)
    first = multiply(gemm_of(target, "float", 140, 270, k), target, a, b)
    for source, m in itertools.product(SOURCES, (140, 17, 2, 1)):
        cut = gemm_of(target, "float", m, 270, k, source)
        unknown = replace(gemm_of(target, "float", None, 270, None, source), k=k if k <= PART else None)
        for gemm in (cut, replace(cut, plan=replace(cut.plan, steps=steps)), unknown):
            assert np.array_equal(multiply(gemm, target, a[:m], b), first[:m]), (source, m, gemm.plan)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("m", [1, 3, 20])
def test_long_sums_are_added_up_in_parts(source: Source, m: int) -> None:
    """Errors grow with the root of the length of a part, not of the whole sum."""
    target, k = jit.host_target(), 36 * PART
    rng = np.random.default_rng(0)
    a, b = rng.random((m, k), np.float32), rng.random((k, 40), np.float32)
    exact = a.astype(np.float64) @ b.astype(np.float64)

    def error(gemm: Gemm) -> float:
        return float(np.sqrt(np.mean((multiply(gemm, target, a, b) / exact - 1) ** 2)))

    one_after_the_other = np.cumsum(a[0, :, None] * b, 0, np.float32)[-1]
    naive = float(np.sqrt(np.mean((one_after_the_other / exact[0] - 1) ** 2)))
    assert error(gemm_of(target, "float", m, 40, k, source)) < naive / 3


def test_blocks_end_where_parts_end() -> None:
    with pytest.raises(ValueError, match="end within parts"):
        Gemm("float", Plan(Tile(6, 2, 8), 6, steps=PART + 8), None, 32, None)


def kernel_names(target: Target, m: int | None, n: int | None, k: int | None, source: Source) -> list[str]:
    return [name for name in product_modules(gemm_of(target, "float", m, n, k, source)) if name.startswith("gemm")]


def test_the_last_columns_are_computed_twice_where_masks_are_dear() -> None:
    """A vector that ends with the last column needs no mask; there is none for fewer columns than the least vector has."""
    for source, n in itertools.product(SOURCES, (89, 12, 7)):
        assert not any("masked" in name for name in kernel_names(AVX2, 60, n, 100, source))
        assert any("masked" in name for name in kernel_names(AVX512, 60, n, 100, source))
    for source in SOURCES:
        assert any("masked" in name for name in kernel_names(AVX2, 60, 3, 100, source))
    for source in SOURCES[1:]:
        assert not any("masked" in name for name in kernel_names(AVX2, 60, 25, 100, source))


@pytest.mark.parametrize("target", [AVX2, GENERIC, NEON], ids=lambda target: target.cpu)
def test_few_kernels_serve_all_extents_where_masks_are_dear(target: Target) -> None:
    """Two heights of two widths, and one kernel for fewer columns than a vector has, which loads nothing by a mask."""
    for source in SOURCES[1:]:
        names = kernel_names(target, None, None, None, source)
        assert len(names) <= 5 and sum("masked" in name for name in names) == 1
        assert not any("ragged" in name for name in names)
    assert len(kernel_names(target, None, 32, None, "packed")) <= 4


@pytest.mark.parametrize("name", ["AVX2", "generic"])
@pytest.mark.parametrize("element", DTYPES)
def test_any_number_of_rows_and_columns_where_masks_are_dear(name: str, element: str) -> None:
    """One program; the bits of a row are those it has among others."""
    target = TARGETS[name]
    if not can_run(target):
        pytest.skip(f"this machine is not {name}")
    gemm = gemm_of(target, element, None, None, None, "rows", BIAS_RELU)
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(shape).astype(DTYPES[element]) for shape in ((20, 33), (33, 60)))
    bias = rng.standard_normal(60).astype(DTYPES[element])
    multiplied = Compiled(gemm, target)
    for n in (*range(1, 30), 47, 48, 49, 60):
        right = np.ascontiguousarray(b[:, :n])
        most = multiplied(a, right, bias)
        np.testing.assert_allclose(most, np.maximum(a @ right + bias[:n], 0), rtol=1e-4, atol=1e-4)
        for m in range(1, 12):
            assert np.array_equal(multiplied(a[:m], right, bias), most[:m]), (m, n)


@pytest.mark.parametrize("name", ["AVX2", "generic"])
@pytest.mark.parametrize(("n", "k"), [(89, 30), (17, 30), (12, 30), (5, 30), (3, 30), (23, 6000), (3, 6000)])
def test_the_last_columns_count_once(name: str, n: int, k: int) -> None:
    """Also where sums wait in C between blocks of K, and with extents that the run tells."""
    target = TARGETS[name]
    if not can_run(target):
        pytest.skip(f"this machine is not {name}")
    for source, known in itertools.product(SOURCES, (True, False)):
        extents = (25, n, k) if known else (None, n if source == "packed" else None, None)
        check(gemm_of(target, "float", *extents, source, BIAS_RELU), target, 25, n, k)


@pytest.mark.parametrize("source", SOURCES)
def test_the_ranges_do_not_matter(source: Source) -> None:
    target = jit.host_target()
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((333, 600)).astype(np.float32), rng.standard_normal((600, 270)).astype(np.float32)
    gemm = gemm_of(target, "float", 333, 270, 600, source)
    assert gemm.groups >= 8
    whole = multiply(gemm, target, a, b)
    assert all(np.array_equal(multiply(gemm, target, a, b, ranges=ranges), whole) for ranges in (2, 3, 5, gemm.groups))


def test_the_result_is_asked_for_before_the_sums_where_its_rows_are_apart() -> None:
    """Once for every cache line; a single row is in order."""
    text = str(Kernel("float", Tile(6, 4, 16), BIAS, fetches=True).module())
    assert text.count("call void @llvm.prefetch") == 24
    assert str(Kernel("float", Tile(6, 2, 8), BIAS, fetches=True).module()).count("call void @llvm.prefetch") == 6
    assert "llvm.prefetch" not in str(Kernel("float", Tile(1, 4, 16), BIAS, fetches=True).module())


@pytest.mark.parametrize(("cpu", "asks"), [("znver5", False), ("znver4", True), ("skylake-avx512", True)])
def test_processors_that_fetch_alone_are_not_asked_to(cpu: str, asks: bool) -> None:
    gemm = gemm_of(replace(AVX512, cpu=cpu), "float", 512, 512, 512, "packed")
    assert gemm.kernel(6, 4, masked=False).fetches is asks
    assert ("llvm.prefetch.p0(ptr %p.4, i32 1" in str(gemm.kernel(6, 4, masked=False).module())) is asks


@pytest.mark.parametrize(("k", "n"), [(1, 5), (7, 100), (1024, 64), (1025, 70), (2500, 33)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_weights_are_packed_alike_however_they_lie(k: int, n: int, dtype: Any) -> None:
    matrix = np.random.default_rng(0).standard_normal((k, n)).astype(dtype)
    packed = pack_panels(matrix, 48, 16)
    assert np.array_equal(pack_panels(np.asfortranarray(matrix), 48, 16), packed)
    first = packed[: k * min(48, -(-n // 16) * 16)].reshape(k, -1)
    assert np.array_equal(first[:, : min(n, 48)], matrix[:, :48])


def test_infinities_and_nans_survive() -> None:
    target = jit.host_target()
    a = np.ones((3, 20), np.float32)
    a[0, 3], a[1, 5] = np.inf, np.nan
    b = np.ones((20, 5), np.float32)
    b[7, 2] = -np.inf
    got = multiply(gemm_of(target, "float", 3, 5, 20), target, a, b)
    with np.errstate(invalid="ignore"):
        assert np.array_equal(got, a @ b, equal_nan=True)


def test_packing_pads_with_zeros_and_aligns() -> None:
    tile = Tile(2, 2, 4)
    b = np.arange(1, 3 * 11 + 1, dtype=np.float32).reshape(3, 11)
    packed = pack(b, tile)
    assert packed.ctypes.data % 64 == 0
    assert packed.size == panel_elements(3, 11, tile.columns, tile.lanes) == 3 * 12
    assert packed[:8].tolist() == b[0, :8].tolist()
    assert packed[24:28].tolist() == [*b[0, 8:], 0]
    assert np.array_equal(pack(np.asfortranarray(b), tile), packed)


def test_equal_kernels_are_shared_and_different_ones_are_not() -> None:
    tile = Tile(6, 2, 8)
    plan = Plan(tile, 6)
    first, second = (product_modules(Gemm("float", plan, None, n, None, epilogue=BIAS)) for n in (16, 32))
    shared = first.keys() & second.keys()
    assert len(shared) == len(first) - 1
    assert all(str(first[name]) == str(second[name]) for name in shared)
    other = product_modules(Gemm("float", plan, None, 16, None, epilogue=BIAS_RELU))
    assert not first.keys() & other.keys()


def test_packed_weights_need_their_width() -> None:
    with pytest.raises(ValueError, match="known number of columns"):
        Gemm("float", Plan(Tile(6, 2, 8), 6), None, None, None)


@pytest.mark.parametrize("n", [1024, 1034])
@pytest.mark.parametrize("m", [1, 4, 8])
def test_weights_are_asked_for_in_time_and_no_further_than_they_go(m: int, n: int) -> None:
    if not can_run(AVX512):
        pytest.skip("this machine has no AVX-512")
    gemm = gemm_of(AVX512, "float", m, n, 520)
    assert "streams" in gemm.name
    check(gemm, AVX512, m, n, 520, 2)


@pytest.mark.parametrize("n", [512, 1000])
@pytest.mark.parametrize("m", [1, 5])
def test_the_order_of_panels_changes_no_bit(m: int, n: int) -> None:
    if not can_run(AVX512):
        pytest.skip("this machine has no AVX-512")
    shape = Shape("float", m, n, 520, "rows", "packed", 520, repeats=True)
    plan = plan_product(AVX512, shape)
    forwards = Gemm("float", replace(plan, alternates=False), m, n, 520, epilogue=BIAS_RELU)
    generator = np.random.default_rng(n)
    a, b, bias = (generator.standard_normal(extents).astype(np.float32) for extents in ((m, 520), (520, n), (n,)))
    expected = multiply(forwards, AVX512, a, b, bias)
    assert np.allclose(expected, np.maximum(a @ b + bias, 0), rtol=1e-4, atol=1e-3)
    alternating = replace(forwards, plan=plan)
    assert str(product_modules(alternating)[alternating.name]).count("%reverse") > 1, "the order is not used"
    compiled = Compiled(alternating, AVX512)
    for reverse, ranges in itertools.product((0, 1), (1, 2, 3)):
        assert np.array_equal(compiled(a, b, bias, ranges, reverse), expected)


@pytest.mark.parametrize("source", SOURCES[1:])
def test_a_panel_is_packed_once_for_chunks_that_are_there_for_threads(source: Source) -> None:
    """All rows use it before the next one is packed; wide vectors pack on the way."""
    gemm = gemm_of(AVX2, "float", 130, 60, 250, source, BIAS_RELU)
    assert gemm.plan.panel_by_panel and gemm.plan.rows < 130
    assert not gemm_of(AVX2, "float", 5000, 60, 250, source).plan.panel_by_panel
    assert not gemm_of(AVX512, "float", 130, 60, 250, source).plan.panel_by_panel
    if can_run(AVX2):
        for ranges in (1, 2, 5, gemm.groups):
            check(gemm, AVX2, 130, 60, 250, ranges)


@pytest.mark.parametrize("target", [AVX2, GENERIC, NEON], ids=lambda target: target.cpu)
def test_kernels_for_any_k_leave_no_sums_on_the_stack(target: Target) -> None:
    """A block is a part: there are no parts to add up within one."""
    modules = product_modules(gemm_of(target, "float", None, None, None, "rows"))
    whole = [str(module) for name, module in modules.items() if name.startswith("gemm") and "masked" not in name]
    assert whole and not any("alloca" in text for text in whole)


@pytest.mark.parametrize("m", [5, 31, 32, 67])
def test_as_many_rows_as_come_have_panels_packed_or_not(m: int) -> None:
    """One piece of code for all numbers of rows, on both sides of the number that panels are packed for."""
    if not can_run(AVX2):
        pytest.skip("this machine has no AVX2")
    gemm = gemm_of(AVX2, "float", None, 61, 170, "rows", BIAS_RELU)
    assert 5 < gemm.plan.packs_from < 67
    assert "call void @pack_float_rows" in str(product_modules(gemm)[gemm.name])
    check(gemm, AVX2, m, 61, 170)
    check(gemm_of(AVX2, "float", m, 61, 70, "rows", BIAS_RELU, packs_from=32), AVX2, m, 61, 70, ranges=2)
    check(gemm_of(AVX2, "float", m, 61, 600, "rows", steps=PART, packs_a=True), AVX2, m, 61, 600)


def test_an_epilogue_sees_rows_columns_and_masks() -> None:
    """C[i, j] = product + 100 i + j."""

    def emit(b: Builder, sums: list[Value], place: Any) -> list[Value]:
        numbers = b.sitofp(b.lane_numbers(f"<{sums[0].lanes} x i64>"), "float")
        column = b.splat(b.sitofp(place.column, "float"), sums[0].lanes)
        rows = [b.splat(b.fmul(b.sitofp(b.add(place.row, r), "float"), 100.0), sums[0].lanes) for r in range(len(sums))]
        return [b.fadd(b.fadd(value, row), b.fadd(column, numbers)) for value, row in zip(sums, rows, strict=True)]

    target = jit.host_target()
    gemm = gemm_of(target, "float", None, 21, None, epilogue=Epilogue("place", (), emit))
    got = multiply(gemm, target, np.zeros((11, 4), np.float32), np.zeros((4, 21), np.float32))
    assert np.array_equal(got, 100 * np.arange(11)[:, None] + np.arange(21))
