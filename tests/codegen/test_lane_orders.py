"""Operands whose elements do not lie as lanes do: near each other, along another loop, or along it backwards."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import optc
from optc.codegen.kernels.emitter import emit_kernel
from optc.codegen.kernels.kernel import Accumulate, Buffer, Define, Kernel, Loop, Store, load, local, verify_kernel
from optc.codegen.kernels.schedule import schedule
from optc.codegen.llvm import Module
from optc.codegen.machine.host import AVX2, AVX512, Target
from optc.ir.dims import symbol
from optc.ir.dtypes import BOOL, FLOAT32, FLOAT64, UINT8, DType
from optc.nn import functional
from optc.ops.scalar import function, literal, variable
from tests.codegen.test_kernels import EXTENTS, TARGETS, run_native, whole_range

I, N = symbol("i"), symbol("n")
BOTH = variable(0, FLOAT32), variable(1, FLOAT32)


@pytest.mark.parametrize("target", TARGETS, ids=["host", "avx2", "generic"])
@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64, UINT8, BOOL], ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("step", [2, 3, 4])
def test_near_elements_are_picked_out_of_vectors(step: int, dtype: DType, target: Target) -> None:
    """Nothing behind the last element is read: that is the last one of the array."""
    x, out = Buffer("x", dtype, "input"), Buffer("out", dtype, "output")
    body = (Loop("i", 0, N, 1, (Store("out", I, load(x, I * step)),), lanes=1),)
    kernel = Kernel("picked", (x, out), ("n",), body)
    verify_kernel(kernel)
    scheduled = schedule(kernel, target).kernel
    assert "lanes" in str(scheduled)
    for n in EXTENTS[1:]:
        whole = np.random.default_rng(n).integers(0, 2 if dtype is BOOL else 200, (n - 1) * step + 1)
        arrays = [whole.astype(dtype.numpy), np.zeros(n, dtype.numpy)]
        run_native(scheduled, target, arrays, [n, *whole_range(scheduled, {"n": n})])
        np.testing.assert_array_equal(arrays[1], arrays[0][::step])


POOLS: dict[str, tuple[tuple[int, ...], Callable[[Any], Any]]] = {
    "max 1": ((2, 40, 50), lambda x: functional.max_pool1d(x, 2)),
    "max 2": ((2, 40, 22, 20), lambda x: functional.max_pool2d(x, 2)),
    "max 3": ((1, 10, 6, 8, 20), lambda x: functional.max_pool3d(x, 2)),
    "mean": ((2, 40, 22, 21), lambda x: functional.avg_pool2d(x, 3)),
}


@pytest.mark.parametrize("name", POOLS)
def test_lanes_run_where_windows_lie(name: str) -> None:
    shape, pool = POOLS[name]

    def program(x):  # type: ignore[no-untyped-def]
        return pool(x)

    x = optc.randn(*shape)
    x[0, 0] = float("nan")
    fast = optc.compile(program, (x,), fallback="error")
    for other in (x, optc.randn(3, *shape[1:]), optc.randn(*(extent + 2 for extent in shape))):
        np.testing.assert_allclose(fast(other).numpy(), program(other).numpy(), rtol=1e-5, atol=1e-6)
    found = [kernel for kernel in fast.kernels if {"aten::amax", "aten::sum"} & set(kernel.operators)]
    assert found and all("schedule: reorder" in kernel.notes and "lanes" in kernel.text for kernel in found)


@pytest.mark.parametrize(("extent", "lanes"), [(28, {8, 4}), (30, {8, 4}), (14, {4}), (9, {4})])
def test_small_images_are_pooled_in_vectors_of_fewer_lanes(extent: int, lanes: set[int]) -> None:
    """Of 28 rows and columns 14 are left, which fill no vector of sixteen lanes: eight, four, and two alone."""
    x, out = Buffer("x", FLOAT32, "input"), Buffer("out", FLOAT32, "output")
    size, channel = extent // 2, symbol("c")
    largest = function("maximum", *(load(x, channel * extent + I * 2 + number) for number in (0, 1)))
    window = Loop("k", 0, 1, 1, (Accumulate("best", function("maximum", *BOTH), largest),))
    body = (Define("best", literal(-np.inf, FLOAT32)), window, Store("out", I * 40 + channel, local("best", FLOAT32)))
    channels = Loop("c", 0, 40, 1, body, lanes=1)
    kernel = Kernel("pool", (x, out), (), (Loop("i", 0, size, 1, (channels,)),))
    verify_kernel(kernel)
    for target in (AVX512, AVX2):
        text = str(schedule(kernel, target).kernel)
        assert {int(found) for found in re.findall(r"lanes (\d+)", text)} == lanes
    images = np.random.default_rng(extent).standard_normal(40 * extent).astype(np.float32)
    scheduled, found = schedule(kernel, AVX2).kernel, np.zeros(size * 40, np.float32)
    run_native(scheduled, AVX2, [images, found], whole_range(scheduled, {}))
    pooled = images.reshape(40, extent)[:, : size * 2].reshape(40, size, 2).max(-1)
    np.testing.assert_array_equal(found.reshape(size, 40), pooled.T)


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("shape", [(70, 90), (8, 8), (64, 9), (3, 100)])
def test_a_matrix_is_turned_in_tiles(shape: tuple[int, int], turns: int) -> None:
    def program(x):  # type: ignore[no-untyped-def]
        return optc.rot90(x, turns)

    x = optc.randn(*shape)
    fast = optc.compile(program, (x,), fallback="error")
    np.testing.assert_array_equal(fast(x).numpy(), np.rot90(x.numpy(), turns))
    if turns != 2 and min(shape) >= 64:
        assert any("schedule: tile transposes" in kernel.notes for kernel in fast.kernels)


@pytest.mark.parametrize("target", [AVX2, AVX512], ids=["avx2", "avx512"])
@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64, BOOL], ids=lambda dtype: dtype.name)
def test_a_known_rest_is_stored_in_parts_where_masks_take_long(dtype: DType, direction: int, target: Target) -> None:
    """And nothing beside it is written."""
    x, out = Buffer("x", dtype, "input"), Buffer("out", dtype, "output")
    for rest in range(1, target.vector_bytes // dtype.itemsize):
        place = I + 2 if direction > 0 else rest + 1 - I
        kernel = schedule(
            Kernel("rest", (x, out), (), (Loop("i", 0, rest, 1, (Store("out", place, load(x, I)),), lanes=1),)), target
        ).kernel
        module = Module("rest")
        emit_kernel(kernel, module, target)
        assert ("masked.store" in str(module)) == (target is AVX512 and "masked" in str(kernel))
        if target is AVX512:
            continue
        whole = (np.arange(rest) % 3 + (dtype is not BOOL)).astype(dtype.numpy)
        arrays = [whole, np.ones(rest + 4, dtype.numpy)]
        run_native(kernel, target, arrays, [])
        np.testing.assert_array_equal(arrays[1][2:-2], whole[::direction])
        assert arrays[1][:2].all() and arrays[1][-2:].all()


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64, BOOL], ids=lambda dtype: dtype.name)
def test_a_rest_that_only_running_tells_is_stored_without_masks_and_nothing_beside_it(dtype: DType) -> None:
    x, out = Buffer("x", dtype, "input"), Buffer("out", dtype, "output")
    loop = Loop("i", 0, N, 1, (Store("out", I + 2, load(x, I)),), lanes=1)
    kernel = schedule(Kernel("rest", (x, out), ("n",), (loop,)), AVX2).kernel
    module = Module("rest")
    emit_kernel(kernel, module, AVX2)
    assert "masked.store" not in str(module)
    for n in range(20):
        whole = (np.arange(n) % 3 + (dtype is not BOOL)).astype(dtype.numpy)
        arrays = [whole, np.ones(n + 4, dtype.numpy)]
        run_native(kernel, AVX2, arrays, [n, *whole_range(kernel, {"n": n})])
        np.testing.assert_array_equal(arrays[1][2 : n + 2], whole)
        assert arrays[1][:2].all() and arrays[1][n + 2 :].all()
