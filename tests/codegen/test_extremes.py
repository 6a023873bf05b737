"""Maximum and minimum along rows: NaN is kept wherever it stands, and costs little where there is none."""

from __future__ import annotations

import re

import numpy as np
import pytest

import optc
from optc.codegen.kernels.emitter import emit_kernel
from optc.codegen.kernels.kernel import Accumulate, Buffer, Define, Kernel, Loop, Store, load, local, verify_kernel
from optc.codegen.kernels.schedule import schedule
from optc.codegen.llvm import Module
from optc.codegen.machine import jit
from optc.codegen.machine.host import AVX2, AVX512, NEON, Target
from optc.ir.dims import symbol
from optc.ir.dtypes import FLOAT32, FLOAT64, DType
from optc.ops.scalar import function, literal, variable
from tests.codegen.test_kernels import TARGETS, run_native, whole_range
from tests.codegen.test_row_kernels import innermost_loops

I, K, ROWS = symbol("i"), symbol("k"), symbol("rows")


def extreme(op: str, length: int, dtype: DType) -> Kernel:
    """The largest or smallest element of each row."""
    x, out = Buffer("x", dtype, "input"), Buffer("out", dtype, "output")
    combine = function(op, variable(0, dtype), variable(1, dtype))
    inner = Loop("k", 0, length, 1, (Accumulate("best", combine, load(x, I * length + K)),), lanes=1)
    first = literal(-np.inf if op == "maximum" else np.inf, dtype)
    body = (Loop("i", 0, ROWS, 1, (Define("best", first), inner, Store("out", I, local("best", dtype)))),)
    kernel = Kernel("extreme", (x, out), ("rows",), body)
    verify_kernel(kernel)
    return kernel


@pytest.mark.parametrize("target", TARGETS, ids=["host", "avx2", "generic"])
@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("op", ["maximum", "minimum"])
@pytest.mark.parametrize("length", [3, 10, 16, 37, 100])
def test_nan_is_kept_wherever_it_stands(length: int, op: str, dtype: DType, target: Target) -> None:
    """A row for each place of a NaN, one with two, one without, infinite ones."""
    rows = np.random.default_rng(length).standard_normal((length + 4, length)).astype(dtype.numpy)
    for place in range(length):
        rows[place, place] = np.nan
    rows[length, [0, -1]] = np.nan
    rows[length + 1], rows[length + 2] = np.inf, -np.inf
    found = np.zeros(len(rows), dtype.numpy)
    scheduled = schedule(extreme(op, length, dtype), target).kernel
    run_native(scheduled, target, [rows, found], [len(rows), *whole_range(scheduled, {"rows": len(rows)})])
    np.testing.assert_array_equal(found, getattr(np, op).reduce(rows, axis=1))


def code(op: str, length: int, target: Target) -> str:
    module = Module("extreme")
    emit_kernel(schedule(extreme(op, length, FLOAT32), target).kernel, module, target)
    return str(module)


@pytest.mark.parametrize("target", [AVX512, AVX2], ids=["avx512", "avx2"])
@pytest.mark.parametrize("op", ["maximum", "minimum"])
def test_an_accumulator_waits_for_one_instruction(op: str, target: Target) -> None:
    """What is compared is what was read: one comparison for every maximum."""
    text = jit.assembly(code(op, 320, target), target)
    loops = [loop for loop in innermost_loops(text) if f"v{op[:3]}ps" in loop]
    assert loops
    for loop in loops:
        assert len(re.findall(r"\bvcmp\w+", loop)) == len(re.findall(rf"\bv{op[:3]}ps", loop)) > 0


@pytest.mark.parametrize("target", [AVX512, AVX2, NEON], ids=["avx512", "avx2", "neon"])
def test_lanes_become_one_without_looking_for_nan_at_every_step(target: Target) -> None:
    """Three looks at a row that is one vector: at what is read, at all lanes, at what they become."""
    text = code("maximum", target.vector_bytes // 4, target)
    rows = len(re.findall(r"= call i1 @llvm.vector.reduce.or", text))
    assert text.count("fcmp uno") == 3 * rows > 0


@pytest.mark.parametrize(("length", "lanes"), [(2, 4), (3, 4), (5, 8), (8, 8), (9, 16), (16, 16)])
def test_short_rows_take_as_many_lanes_as_they_fill(length: int, lanes: int) -> None:
    """Fewer lanes become one element in fewer steps."""
    scheduled = schedule(extreme("maximum", length, FLOAT32), AVX512).kernel
    assert f"best.v<{lanes}>" in str(scheduled)


@pytest.mark.parametrize("target", TARGETS, ids=["host", "avx2", "generic"])
@pytest.mark.parametrize("op", ["maximum", "minimum"])
def test_of_two_zeros_an_element_alone_becomes_the_one_that_lanes_become(op: str, target: Target) -> None:
    left, right, out = (Buffer(name, FLOAT32, "output" if name == "out" else "input") for name in ("x", "y", "out"))
    body = (Loop("i", 0, ROWS, 1, (Store("out", I, function(op, load(left, I), load(right, I))),), lanes=1),)
    scheduled = schedule(Kernel("zeros", (left, right, out), ("rows",), body), target).kernel
    for first in (0.0, -0.0):
        arrays = [np.full(37, first, np.float32), np.full(37, -first, np.float32), np.ones(37, np.float32)]
        run_native(scheduled, target, arrays, [37, *whole_range(scheduled, {"rows": 37})])
        assert len(set(np.signbit(arrays[2]).tolist())) == 1


def running(x: optc.Tensor) -> list[tuple[optc.Tensor, optc.Tensor]]:
    return [x.cummax(-1), x.cummin(-1), x.cummax(0), x.cummin(0)]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "int64"])
@pytest.mark.parametrize("shape", [(1, 1), (7, 33), (40, 5)])
def test_running_extremes_wait_for_the_one_before_alone(shape: tuple[int, int], dtype: str) -> None:
    """Not for where it stood: that is another chain. Equal elements take its place over, NaN stays."""
    generator = np.random.default_rng(0)
    numbers = generator.integers(-3, 4, shape).astype(dtype)
    if numbers.dtype.kind == "f":
        numbers.flat[generator.integers(0, numbers.size, 1 + numbers.size // 9)] = np.nan
        numbers.flat[generator.integers(0, numbers.size, 2)] = [np.inf, -np.inf]
    x = optc.from_numpy(numbers)
    fast = optc.compile(running, (x,), fallback="error")
    for found, expected in zip(fast(x), running(x), strict=True):
        for mine, theirs in zip(found, expected, strict=True):
            np.testing.assert_array_equal(mine.numpy(), theirs.numpy())
    texts = [kernel.text for kernel in fast.kernels]
    assert any("best := maximum(best, element)" in text for text in texts) or shape == (1, 1)
    assert not any("best := select" in text for text in texts)
