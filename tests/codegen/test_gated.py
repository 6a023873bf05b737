"""Products whose columns are parts that belong together: packing, every shape and target against numpy, and whole cells."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import optc
from optc import jit as script
from optc.codegen.gemm import gated
from optc.codegen.llvm import Builder, Parameter, Value
from optc.codegen.machine import jit
from optc.codegen.machine.host import AVX2, AVX512, GENERIC, Target
from optc.codegen.program import generate
from tests.codegen.test_gemm_assembly import MULTIPLY_ADD, hot_loop, stack_traffic

TARGETS = {"host": jit.host_target(), "AVX2": AVX2, "generic": GENERIC}


def test_a_panel_holds_all_parts_of_its_units() -> None:
    weights = np.arange(2 * 3 * 5, dtype=np.float32).reshape(2, 15)
    packed = gated.pack(weights, 3, gated.Tile(1, 1, 4)).reshape(2, 2, 3, 4)
    assert packed[0, 1].tolist() == [[15, 16, 17, 18], [20, 21, 22, 23], [25, 26, 27, 28]]
    assert packed[1, 0].tolist() == [[4, 0, 0, 0], [9, 0, 0, 0], [14, 0, 0, 0]]
    assert packed.ctypes.data % 64 == 0


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
@pytest.mark.parametrize("parts", range(1, 9))
def test_tiles_fit_the_registers(target: Target, parts: int) -> None:
    for rows in (None, 1, 2, 3, 8, 100):
        tile = gated.choose_tile(target, "float", rows, parts, 256)
        assert tile is not None
        vectors = tile.units * parts
        reads_weights_in_memory = rows == 1 and target.fma or tile.units == 1
        columns = 0 if tile.rows == 1 and reads_weights_in_memory else vectors
        assert tile.rows * vectors + columns + 1 <= target.vector_registers
        assert vectors + 2 <= target.vector_registers
        assert rows is None or tile.rows <= rows


def test_a_single_row_has_enough_sums_to_hide_their_latency() -> None:
    assert gated.choose_tile(AVX2, "float", 1, 4, 256) == gated.Tile(1, 2, 8)
    assert gated.choose_tile(AVX512, "float", 1, 4, 256) == gated.Tile(1, 2, 16)
    assert gated.choose_tile(AVX2, "float", 2, 4, 256) == gated.Tile(2, 1, 8)


def sum_and_product(parts: int, width: int) -> gated.Conclude:
    """The sum of all parts and their product, in two outputs."""

    def conclude(b: Builder, sums: list[Value], spot: gated.Spot) -> None:
        total, multiplied = sums[0], sums[0]
        for value in sums[1:]:
            total, multiplied = b.fadd(total, value, ""), b.fmul(multiplied, value, "")
        place = b.add(b.mul(spot.row, width), spot.unit)
        for pointer, value in zip(spot.extra, (total, multiplied)):
            b.store(value, b.gep("float" if "float" in value.type else "double", pointer, place), mask=spot.mask)

    return conclude


def run(target: Target, element: str, rows: int, parts: int, width: int, k: int, *, known: bool, reverse: bool,
        cuts: Sequence[int] = ()) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:  # fmt: skip
    """The kernel on random numbers, its panels in the ranges between `cuts`, held against numpy."""
    dtype = np.float32 if element == "float" else np.float64
    generator = np.random.default_rng(rows + width)
    a = generator.standard_normal((rows, k + 2)).astype(dtype)
    weights = generator.standard_normal((k, parts * width)).astype(dtype)
    tile = gated.choose_tile(target, element, rows if known else None, parts, width)
    assert tile is not None
    parameters = (Parameter("ptr", "total"), Parameter("ptr", "multiplied"))
    kernel = gated.GatedProduct(
        element, tile, parts, width, rows if known else None, k if known else None, "test", parameters,
        sum_and_product(parts, width), lambda b, spot: None,
    )  # fmt: skip
    library = jit.link([jit.compile_module(str(kernel.module()), target, cached=False)])
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p if p.type == "ptr" else ctypes.c_int64
                                        for p in kernel.all_parameters])(library.address(kernel.name))  # fmt: skip
    packed = gated.pack(weights, parts, tile)
    outputs = [np.full((rows, width), np.nan, dtype) for _ in range(2)]
    pointers = [output.ctypes.data for output in outputs]
    ends = [0, *cuts, kernel.panels]
    for start, stop in itertools.pairwise(ends):
        function(a.ctypes.data, k + 2, packed.ctypes.data, rows, k, int(reverse), *pointers, start, stop)
    whole = (a[:, :k].astype(np.float64) @ weights.astype(np.float64)).reshape(rows, parts, width)
    tolerance = 1e-4 if element == "float" else 1e-11
    assert np.allclose(outputs[0], whole.sum(1), rtol=tolerance, atol=tolerance * k)
    assert np.allclose(outputs[1], whole.prod(1), rtol=tolerance * 10, atol=tolerance * k**2)
    return outputs[0], outputs[1]


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
@pytest.mark.parametrize("element", ["float", "double"])
@pytest.mark.parametrize(
    ("rows", "parts", "width", "k"), [(1, 4, 64, 9), (1, 3, 17, 1), (3, 4, 20, 5), (9, 2, 33, 7), (2, 3, 20, 600)]
)
def test_products_are_numpys(target: Target, element: str, rows: int, parts: int, width: int, k: int) -> None:
    for known in (True, False):
        for reverse in (True, False):
            run(target, element, rows, parts, width, k, known=known, reverse=reverse)


def test_neither_the_range_nor_the_order_nor_the_tile_changes_a_bit() -> None:
    host = jit.host_target()
    expected = run(host, "float", 7, 4, 100, 33, known=True, reverse=False)
    for known, reverse, cuts in [(True, True, ()), (True, False, (1, 2)), (True, True, (3,)), (False, False, ())]:
        found = run(host, "float", 7, 4, 100, 33, known=known, reverse=reverse, cuts=cuts)
        assert all(np.array_equal(mine, other) for mine, other in zip(found, expected))


class HandWritten(optc.nn.Module):
    """An LSTM cell as people write it, in a loop, keeping all states."""

    def __init__(self, width: int, dtype: optc.DType = optc.float32) -> None:
        super().__init__()
        self.w = optc.nn.Parameter(optc.randn(4 * width, 12).to(dtype) * 0.3)
        self.u = optc.nn.Parameter(optc.randn(4 * width, width).to(dtype) * 0.2)
        self.b = optc.nn.Parameter(optc.randn(4 * width).to(dtype) * 0.3)

    def forward(self, xs, h, c):
        shown = []
        for t in range(xs.size(0)):
            gates = xs[t] @ self.w.t() + h @ self.u.t() + self.b
            i, f, g, o = gates.chunk(4, 1)
            c = optc.sigmoid(f) * c + optc.sigmoid(i) * optc.tanh(g)
            h = optc.sigmoid(o) * optc.tanh(c)
            shown.append(h)
        return optc.stack(shown), h, c


def agree(scripted: Any, compiled: Any, *arguments: Any, tolerance: float = 1e-5) -> None:
    for mine, other in zip(compiled(*arguments), scripted(*arguments), strict=True):
        assert mine.shape == other.shape
        assert np.allclose(mine.numpy(), other.detach().numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("width", [3, 8, 20, 64, 70])
@pytest.mark.parametrize("rows", [1, 2, 7])
def test_a_cell_written_by_hand_is_one_kernel(rows: int, width: int) -> None:
    optc.manual_seed(width)
    scripted = script.script(HandWritten(width))
    compiled = optc.compile(scripted, fallback="error")
    arguments = optc.randn(11, rows, 12), optc.randn(rows, width), optc.randn(rows, width)
    agree(scripted, compiled, *arguments)
    if width >= 20:
        fused = [kernel for kernel in compiled.kernels if kernel.name.startswith("gated")]
        assert [len(kernel.operators) for kernel in fused] == [15]


def test_what_follows_the_sums_is_asked_for_before_them() -> None:
    """Four gates of the input, their biases and the cell's state, for each of three rows."""
    cell = optc.nn.LSTMCell(32, 32)
    x, h, c = optc.rand(3, 32), optc.rand(3, 32), optc.rand(3, 32)
    compiled = optc.compile(optc.jit.trace(cell, (x, (h, c))), (x, (h, c)), cache=False)
    (text,) = [part for part in compiled.llvm.split("source_filename") if "void @gated_" in part]
    assert text.count("call void @llvm.prefetch") >= 3 * 5


def test_cells_of_doubles() -> None:
    scripted = script.script(HandWritten(24, optc.float64))
    compiled = optc.compile(scripted, fallback="error")
    xs, h, c = (optc.randn(*shape).to(optc.float64) for shape in ((9, 2, 12), (2, 24), (2, 24)))
    agree(scripted, compiled, xs, h, c, tolerance=1e-12)


class ReadParts(optc.nn.Module):
    """Parts, and the whole product, that others read too."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = optc.nn.Linear(30, 90)

    def forward(self, x, y):
        whole = self.linear(x) + y
        first, second, third = whole.chunk(3, 1)
        return whole, second, first * third, optc.relu(first) + x.sum()


@pytest.mark.parametrize("rows", [1, 5, 40])
def test_parts_and_the_whole_may_be_read_by_others(rows: int) -> None:
    scripted = script.script(ReadParts())
    compiled = optc.compile(scripted, fallback="error")
    agree(scripted, compiled, optc.randn(rows, 30), optc.randn(rows, 90))


class Layers(optc.nn.Module):
    def __init__(self, kind: str, **options: Any) -> None:
        super().__init__()
        self.layers = getattr(optc.nn, kind)(10, **{"hidden_size": 40, **options})

    def forward(self, x):
        return self.layers(x)


def flat(result: Any) -> list[Any]:
    if isinstance(result, tuple | list):
        return [leaf for item in result for leaf in flat(item)]
    return [result]


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize(
    "options",
    [{}, {"bidirectional": True}, {"num_layers": 2, "bias": False}, {"batch_first": True, "num_layers": 2}],
    ids=["plain", "both-ways", "no-bias", "batch-first"],
)
@pytest.mark.parametrize("shape", [(6, 1, 10), (13, 3, 10)])
def test_layers_agree_with_eager_ones(kind: str, options: dict[str, Any], shape: tuple[int, ...]) -> None:
    optc.manual_seed(1)
    module = Layers(kind, **options).eval()
    x = optc.randn(*shape)
    compiled = optc.compile(script.trace(module, (x,)), fallback="error")
    for mine, other in zip(flat(compiled(x)), flat(module(x)), strict=True):
        assert np.allclose(mine.numpy(), other.detach().numpy(), rtol=1e-5, atol=1e-5)


def test_projected_states() -> None:
    module = Layers("LSTM", proj_size=7).eval()
    x = optc.randn(9, 2, 10)
    compiled = optc.compile(script.trace(module, (x,)), fallback="error")
    for mine, other in zip(flat(compiled(x)), flat(module(x)), strict=True):
        assert np.allclose(mine.numpy(), other.detach().numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("target", [AVX512, AVX2], ids=lambda target: target.cpu)
@pytest.mark.parametrize("rows", [1, 2, 3, 6, 8])
@pytest.mark.parametrize(("kind", "parts"), [("LSTM", 4), ("GRU", 3)])
def test_sums_stay_in_registers_whatever_follows_them(kind: str, parts: int, rows: int, target: Target) -> None:
    """The constants of exponentials and tangents would fill the registers if they were known to be used later."""
    module = Layers(kind, hidden_size=64).eval()
    compiled = optc.compile(script.trace(module, (optc.randn(5, rows, 10),)))
    compiled(optc.randn(5, rows, 10))
    (text,) = (text for name, text in generate(compiled.graph, target).texts.items() if name.startswith("gated"))
    tile = gated.choose_tile(target, "float", rows, parts, 64)
    assert tile is not None
    summing = jit.assembly(text, target).split(f"\nsum_{tile.rows}:\n")[1].split("\tret")[0]
    loop = hot_loop(summing, MULTIPLY_ADD[target.cpu])
    assert sum(MULTIPLY_ADD[target.cpu] in line for line in loop) == tile.rows * tile.units * parts
    assert not stack_traffic(loop)
