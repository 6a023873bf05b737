"""Long rows: reductions in blocks, and kernels taken apart into phases whose blocks threads share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from optc.codegen.kernels import blocks
from optc.codegen.kernels.blocks import BLOCK, block_reductions
from optc.codegen.kernels.interpreter import interpret_kernel
from optc.codegen.kernels.kernel import Accumulate, Assign, Buffer, Define, Kernel, Loop, Statement, Store, load, local
from optc.codegen.kernels.kernel import verify_kernel as verify
from optc.codegen.kernels.phases import in_phases
from optc.codegen.machine import jit
from optc.ir.dims import Dim, substitute, symbol
from optc.ir.dtypes import FLOAT32
from optc.ops.scalar import apply, function, literal, variable

I, N = symbol("i"), symbol("n")
X, OUT, KEEP = (
    Buffer("x", FLOAT32, "input"),
    Buffer("out", FLOAT32, "output"),
    Buffer("keep", FLOAT32, "scratch", N),
)
SUM = variable(0, FLOAT32) + variable(1, FLOAT32)
MOST = apply("maximum", variable(0, FLOAT32), variable(1, FLOAT32))
HOST = jit.host_target()


def kernel(*body: Statement) -> Kernel:
    return Kernel("sample", (X, OUT, KEEP), ("n",), body)


def total(n: Dim) -> Kernel:
    loop = Loop("i", 0, n, 1, (Accumulate("sum", SUM, load(X, I)),), lanes=1)
    return kernel(Define("sum", literal(0.0, FLOAT32)), loop, Store("out", 0, local("sum", FLOAT32)))


def softmax_row(n: Dim) -> Kernel:
    """Three passes over one row, with locals and a scratch row between them."""
    power = function("exp", load(X, I) - local("most", FLOAT32))
    return kernel(
        Define("best", literal(float("-inf"), FLOAT32)),
        Loop("i", 0, n, 1, (Accumulate("best", MOST, load(X, I)),), lanes=1),
        Define("most", local("best", FLOAT32)),
        Define("sum", literal(0.0, FLOAT32)),
        Loop("i", 0, n, 1, (Accumulate("sum", SUM, power), Store("keep", I, power)), lanes=1),
        Define("scale", literal(1.0, FLOAT32) / local("sum", FLOAT32)),
        Loop("i", 0, n, 1, (Store("out", I, load(KEEP, I) * local("scale", FLOAT32)),), lanes=1),
    )


def run(kernels: list[Kernel], x: np.ndarray[Any, Any], out: int) -> np.ndarray[Any, Any]:
    """Kernels one behind the other; memory that they share is as large as it says."""
    memory = {"x": x, "out": np.zeros(out, np.float32)}
    for one in kernels:
        for buffer in one.buffers:
            if buffer.role != "scratch" and buffer.name not in memory:
                size = substitute(buffer.size, {"n": x.size})
                assert isinstance(size, int)
                memory[buffer.name] = np.zeros(size, np.float32)
        interpret_kernel(one, {b.name: memory[b.name] for b in one.buffers if b.role != "scratch"}, {"n": x.size})
    return memory["out"]


def phases(whole: Kernel) -> list[Kernel]:
    cut = in_phases(whole, HOST)
    assert cut is not None
    for phase in cut.phases:
        verify(phase.kernel)
    sizes = {buffer.name: buffer.size for buffer in cut.temporary}
    return [
        Kernel(k.name, tuple(Buffer(b.name, b.dtype, b.role, sizes.get(b.name, b.size)) for b in k.buffers), k.sizes,
               k.body, k.units) for k in (phase.kernel for phase in cut.phases)
    ]  # fmt: skip


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of eight elements, at most four of them, so that the interpreter has little to do."""
    monkeypatch.setattr(blocks, "BLOCK", 8)
    monkeypatch.setattr(blocks, "MOST_BLOCKS", 4)
    monkeypatch.setattr("optc.codegen.kernels.phases.is_worth_splitting", lambda operations, target: True)


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 16, 31, 32, 33, 100, 1000])
@pytest.mark.parametrize("make", [total, softmax_row])
def test_blocks_and_phases_compute_the_same_bit_for_bit(make: Any, n: int) -> None:
    x = np.random.default_rng(n).standard_normal(n, np.float32)
    out = 1 if make is total else n
    expected = run([make(N)], x, out)
    in_blocks = run([block_reductions(make(N))], x, out)
    np.testing.assert_allclose(in_blocks, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(run(phases(make(N)), x, out), in_blocks)
    if n > 8:
        np.testing.assert_array_equal(run(phases(make(n)), x, out), in_blocks)
    np.testing.assert_array_equal(run([block_reductions(make(n))], x, out), in_blocks)


def test_a_row_of_one_block_stays_as_it_is() -> None:
    assert block_reductions(total(8)) == total(8)
    assert in_phases(total(8), HOST) is None


def test_rows_inside_other_loops_are_cut_alike() -> None:
    row = Loop("i", 0, 20, 1, (Accumulate("sum", SUM, load(X, I + symbol("r") * 20)),), lanes=1)
    body = (Define("sum", literal(0.0, FLOAT32)), row, Store("out", symbol("r"), local("sum", FLOAT32)))
    x = np.random.default_rng(0).standard_normal(60, np.float32)
    rows = run([block_reductions(kernel(Loop("r", 0, 3, 1, body)))], x, 3)
    alone = [run([block_reductions(total(20))], x[20 * r : 20 * r + 20], 1)[0] for r in range(3)]
    np.testing.assert_array_equal(rows, alone)


def test_the_text_shows_blocks_and_what_is_carried() -> None:
    texts = [str(one) for one in phases(softmax_row(N))]
    assert len(texts) == 5
    assert "most.carried[0] = most" in texts[1]
    assert "most = most.carried[0]" in texts[2]
    assert "units: " in texts[0]
    assert "units: " not in texts[1]


RUNNING = Loop(
    "i", 0, N, 1, (Assign("sum", local("sum", FLOAT32) + load(X, I)), Store("out", I, local("sum", FLOAT32)))
)
OVERLAPPING = Loop("i", 0, N, 1, (Store("out", 0, load(X, I)),), lanes=1)
READING = Loop("i", 1, N, 1, (Store("out", I, load(OUT, I - 1)),), lanes=1)


@pytest.mark.parametrize("loop", [RUNNING, OVERLAPPING, READING], ids=["running total", "one place", "the turn before"])
def test_loops_whose_turns_depend_on_each_other_stay_whole(loop: Loop) -> None:
    assert in_phases(kernel(Define("sum", literal(0.0, FLOAT32)), loop), HOST) is None


def test_blocks_fill_whole_vectors() -> None:
    assert BLOCK % (4 * 64) == 0
