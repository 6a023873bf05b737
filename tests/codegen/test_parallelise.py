"""Kernels that run in ranges: which loop is split, which kernels are left alone, and that ranges change nothing."""

from __future__ import annotations

import ctypes
import itertools
from typing import Any

import numpy as np
import pytest

from optc.codegen.kernels.emitter import emit_kernel, passed_buffers
from optc.codegen.kernels.interpreter import interpret_kernel
from optc.codegen.kernels.kernel import (
    START,
    STOP,
    Accumulate,
    Assign,
    Buffer,
    Define,
    Kernel,
    Loop,
    Statement,
    Store,
    load,
    local,
    renamed,
    verify_kernel,
)
from optc.codegen.kernels.parallelise import parallelise
from optc.codegen.kernels.schedule import schedule
from optc.codegen.llvm import Module
from optc.codegen.machine import jit
from optc.codegen.machine.host import AVX2, GENERIC, Target
from optc.errors import VerifyError
from optc.ir.dims import Dim, substitute, symbol
from optc.ir.dtypes import FLOAT32
from optc.ops.scalar import Expr, apply, function, literal, variable

I, J, K, N, M = (symbol(name) for name in "ijknm")
X, OUT = Buffer("x", FLOAT32, "input"), Buffer("out", FLOAT32, "output")
SUM = variable(0, FLOAT32) + variable(1, FLOAT32)
HOST = jit.host_target()


def kernel(*body: Statement, scratch: Dim = 0) -> Kernel:
    buffers = (X, OUT, Buffer("keep", FLOAT32, "scratch", scratch)) if scratch != 0 else (X, OUT)
    return Kernel("sample", buffers, ("m", "n"), body)


def element(index: Dim) -> Expr:
    return function("exp", load(X, index)) + 1.0


def flat(n: Dim) -> Kernel:
    return kernel(Loop("i", 0, n, 1, (Store("out", I, element(I)),), lanes=1))


def rows(m: Dim, n: Dim) -> Kernel:
    inner = Loop("j", 0, n, 1, (Accumulate("total", SUM, element(I * n + J)),), lanes=1)
    return kernel(
        Loop("i", 0, m, 1, (Define("total", literal(0.0, FLOAT32)), inner, Store("out", I, local("total", FLOAT32))))
    )


def softmax_rows(m: int, n: int) -> Kernel:
    """A scratch row that every row uses again."""
    largest = apply("maximum", variable(0, FLOAT32), variable(1, FLOAT32))
    first = (Accumulate("most", largest, load(X, I * n + J)), Store("keep", J, element(I * n + J)))
    last = Store("out", I * n + J, load(Buffer("keep", FLOAT32, "scratch", n), J) / local("most", FLOAT32))
    body = (
        Define("most", literal(float("-inf"), FLOAT32)),
        Loop("j", 0, n, 1, first, lanes=1),
        Loop("j", 0, n, 1, (last,), lanes=1),
    )
    return kernel(Loop("i", 0, m, 1, body), scratch=n)


def columns(m: int, n: int) -> Kernel:
    inner = Loop("i", 0, m, 1, (Accumulate("total", SUM, element(I * n + J)),))
    body = (Define("total", literal(0.0, FLOAT32)), inner, Store("out", J, local("total", FLOAT32)))
    return kernel(Loop("j", 0, n, 1, body, lanes=1))


def blocks(m: int, n: int) -> Kernel:
    """An outer loop of few turns around one of many."""
    inner = Loop("j", 0, n, 1, (Store("out", I * n + J, element(J * m + I)),), lanes=1)
    return kernel(Loop("i", 0, m, 1, (inner,)))


def pairs(n: int) -> Kernel:
    """Two stores that fill each other's gaps."""
    stores = Store("out", 2 * I, element(I)), Store("out", 2 * I + 1, load(X, I))
    return kernel(Loop("i", 0, n, 1, stores, lanes=1))


def running_total(n: int) -> Kernel:
    body = (Assign("total", local("total", FLOAT32) + load(X, I)), Store("out", I, local("total", FLOAT32)))
    return kernel(Define("total", literal(0.0, FLOAT32)), Loop("i", 0, n, 1, body))


SPLIT: dict[str, tuple[Kernel, Dim, str]] = {
    "flat": (flat(100_003), -(-100_003 // 1024), "i"),
    "flat, any size": (flat(N), (N + 1023) // 1024, "i"),
    "rows": (rows(300, 517), 300, "i"),
    "rows of any size": (rows(M, N), M, "i"),
    "rows with scratch": (softmax_rows(200, 1000), 200, "i"),
    "columns": (columns(300, 1000), 8, "j"),
    "pairs": (pairs(100_003), -(-100_003 // 1024), "i"),
    "few outer turns": (blocks(3, 50_000), 49, "j"),
}


@pytest.mark.parametrize("name", SPLIT)
def test_the_units_are_turns_of_an_independent_loop(name: str) -> None:
    original, units, variable_ = SPLIT[name]
    split = parallelise(original, HOST)
    verify_kernel(split)
    if HOST.vector_bytes == 64:
        assert split.units == units
    assert split.sizes == ("m", "n", START, STOP)
    (line,) = [line for line in str(split).splitlines() if line.lstrip().startswith("for ") and STOP in line]
    assert f"for {variable_} in " in line


LEFT_ALONE = {
    "little work": flat(1000),
    "one turn needs the one before": running_total(1_000_000),
    "turns write the same place": kernel(Loop("i", 0, 100_000, 1, (Store("out", 0, element(I)),))),
    "turns write overlapping places": kernel(
        Loop("i", 0, 1000, 1, (Loop("j", 0, 1000, 1, (Store("out", I + J, element(J)),)),))
    ),
    "two places of one turn meet those of others": kernel(
        Loop("i", 0, 100_000, 1, (Store("out", 2 * I, element(I)), Store("out", 2 * I + 2, element(I))))
    ),
    "a turn reads what another writes": kernel(Loop("i", 1, 100_000, 1, (Store("out", I, load(OUT, I - 1)),))),
    "scratch beyond the stack": softmax_rows(20, 100_000),
    "several loops": kernel(*(Loop(v, 0, 100_000, 1, (Store("out", symbol(v), element(symbol(v))),)) for v in "ij")),
}


@pytest.mark.parametrize("name", LEFT_ALONE)
def test_these_kernels_run_in_one_piece(name: str) -> None:
    assert parallelise(LEFT_ALONE[name], HOST) == LEFT_ALONE[name]


def run(split: Kernel, target: Target, arrays: dict[str, np.ndarray[Any, Any]], ranges: list[tuple[int, int]]) -> None:
    module = Module("test")
    emit_kernel(renamed(split, "test_kernel"), module, target)
    library = jit.link([jit.compile_module(str(module), target)])
    pointers = [arrays[buffer.name].ctypes.data for buffer in passed_buffers(split)]
    prototype = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(pointers), *[ctypes.c_int64] * 4)
    for start, stop in ranges:
        prototype(library.address("test_kernel"))(*pointers, 300, 517, start, stop)


@pytest.mark.parametrize("target", [HOST, AVX2, GENERIC], ids=["host", "avx2", "generic"])
@pytest.mark.parametrize("name", SPLIT)
def test_ranges_compute_bit_for_bit_what_one_range_does(name: str, target: Target) -> None:
    """In any order, wherever the borders are."""
    split = schedule(SPLIT[name][0], target).kernel
    units = substitute(split.units, {"m": 300, "n": 517})
    assert isinstance(units, int)
    values = np.random.default_rng(0).standard_normal(400_000, np.float32)
    borders = sorted({0, 1, units // 3, units // 3 + 1, units - 1, units})
    results = []
    for ranges in ([(0, units)], list(itertools.pairwise(borders))[::-1]):
        arrays = {"x": values, "out": np.full(400_000, 7, np.float32)}
        run(split, target, arrays, ranges)
        results.append(arrays["out"])
    np.testing.assert_array_equal(results[0].view(np.int32), results[1].view(np.int32))
    assert (results[0] != 7).any()


@pytest.mark.parametrize("make", [lambda: rows(3, N), lambda: rows(M, 5), lambda: flat(N)])
def test_the_interpreter_runs_units_one_by_one(make: Any) -> None:
    original, sizes = make(), {"m": 3, "n": 2500}
    values = np.random.default_rng(0).standard_normal(8000, np.float32)
    results = []
    for version in (original, parallelise(original, HOST)):
        out = np.zeros(2500, np.float32)
        interpret_kernel(version, {"x": values, "out": out}, sizes)
        results.append(out)
    assert parallelise(original, HOST).units != 0
    np.testing.assert_array_equal(results[0], results[1])


def test_a_kernel_is_split_once() -> None:
    once = parallelise(rows(300, 517), HOST)
    assert parallelise(once, HOST) is once


def test_units_show_in_the_text() -> None:
    assert "  units: 300\n  for i in range.start..range.stop:\n" in str(parallelise(rows(300, 517), HOST))


def test_units_without_a_range_are_refused() -> None:
    with pytest.raises(VerifyError, match="4 units, but no range"):
        verify_kernel(Kernel("broken", (X, OUT), ("n",), (), units=4))
