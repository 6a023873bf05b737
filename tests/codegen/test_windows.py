"""Sums over windows of channels: filters of one channel, pools; several windows at once, in registers."""

from __future__ import annotations

import numpy as np
import pytest

import optc
from optc.codegen.kernels.interpreter import interpret_kernel
from optc.codegen.kernels.kernel import Accumulate, Buffer, Define, Kernel, Loop, Store, load, local, verify_kernel
from optc.codegen.kernels.schedule import schedule
from optc.codegen.kernels.unroll import sums_windows
from optc.codegen.machine import jit
from optc.codegen.machine.host import AVX2, GENERIC, Target
from optc.ir.dims import Dim, symbol
from optc.ir.dtypes import FLOAT32
from optc.ops.scalar import literal, variable
from tests.codegen.test_kernels import run_native, whole_range

P, C, U, V = symbol("p"), symbol("c"), symbol("u"), symbol("v")
CHANNELS = 37


def filtered(places: Dim, height: int, width: int) -> Kernel:
    """out[p, c] = sum over u and v of x[u, p + v, c] * w[u, v, c]."""
    x, w, out = (Buffer(name, FLOAT32, role) for name, role in (("x", "input"), ("w", "input"), ("out", "output")))
    added = variable(0, FLOAT32) + variable(1, FLOAT32)
    here = load(x, (U * (places + width - 1) + P + V) * CHANNELS + C) * load(w, (U * width + V) * CHANNELS + C)
    sums = Loop("u", 0, height, 1, (Loop("v", 0, width, 1, (Accumulate("acc", added, here),)),))
    column = (Define("acc", literal(0.0, FLOAT32)), sums, Store("out", P * CHANNELS + C, local("acc", FLOAT32)))
    body = Loop("p", 0, places, 1, (Loop("c", 0, CHANNELS, 1, column, lanes=1),))
    sizes = () if isinstance(places, int) else ("n",)
    return Kernel("filtered", (x, w, out), sizes, (body,))


@pytest.mark.parametrize("target", [jit.host_target(), AVX2, GENERIC], ids=["host", "AVX2", "generic"])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 3), (7, 7), (2, 9)])
def test_windows_side_by_side_mean_the_same(height: int, width: int, target: Target) -> None:
    if target.vector_bytes > jit.host_target().vector_bytes:
        pytest.skip("this machine has narrower vectors")
    for places in (3, 14, 17):
        x = np.random.default_rng(places).standard_normal((height, places + width - 1, CHANNELS), np.float32)
        w = np.random.default_rng(width).standard_normal((height, width, CHANNELS), np.float32)
        expected = sum(x[u, v : v + places] * w[u, v] for u in range(height) for v in range(width))
        for extent in (places, symbol("n")):
            kernel = filtered(extent, height, width)
            sizes = {} if extent == places else {"n": places}
            verify_kernel(kernel)
            scheduled = schedule(kernel, target).kernel
            interpreted, native = np.zeros((2, places, CHANNELS), np.float32)
            flat = {"x": x.reshape(-1), "w": w.reshape(-1), "out": interpreted.reshape(-1)}
            interpret_kernel(scheduled, flat, sizes)
            run_native(scheduled, target, [x, w, native], [*sizes.values(), *whole_range(scheduled, sizes)])
            np.testing.assert_allclose(interpreted, expected, rtol=1e-4, atol=1e-4)
            np.testing.assert_allclose(native, expected, rtol=1e-4, atol=1e-4)


def test_short_windows_are_written_out_for_parts_of_equal_size() -> None:
    target = jit.host_target()
    found = schedule(filtered(14, 3, 3), target)
    assert {"interleave", "unroll"} <= set(found.applied)
    places = [loop for loop in found.kernel.body if isinstance(loop, Loop)]
    most = target.vector_registers // 4
    assert next(loop.step for loop in places) == -(-14 // -(-14 // most))
    assert not any(isinstance(inner, Loop) and sums_windows(inner) for loop in places for inner in loop.body)


def test_a_norm_and_an_activation_join_a_convolution_of_single_channels() -> None:
    class Block(optc.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.filters = optc.nn.Conv2d(24, 24, 3, padding=1, groups=24, bias=False)
            self.norm = optc.nn.BatchNorm2d(24)

        def forward(self, x):  # type: ignore[no-untyped-def]
            return optc.nn.functional.relu6(self.norm(self.filters(x)))

    block = Block().eval()
    x = optc.randn(2, 24, 9, 9)
    compiled = optc.compile(block, (x,), fallback="error")
    np.testing.assert_allclose(compiled(x).numpy(), block(x).detach().numpy(), rtol=1e-4, atol=1e-5)
    together = [kernel.operators for kernel in compiled.kernels if "aten::sum" in kernel.operators]
    assert together == [["aten::mul", "aten::sum", "aten::mul", "aten::add", "aten::relu6"]]


@pytest.mark.parametrize("channels", [1, 2, 7, 8, 24, 100])
def test_the_batch_does_not_change_the_sum_of_a_window(channels: int) -> None:
    """Nor does it matter whether extents are known: products are rounded only where registers may hold all of them."""
    optc.manual_seed(0)
    filters = optc.nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
    x = np.random.default_rng(channels).standard_normal((17, channels, 3, 4)).astype(np.float32)
    whole = optc.compile(filters, (optc.from_numpy(x),), fallback="error")
    expected = whole(optc.from_numpy(x)).detach().numpy()
    for count in (1, 2, 16):
        few = optc.from_numpy(x[:count].copy())
        for fast in (whole, optc.compile(filters, (few,), fallback="error", cache=False)):
            np.testing.assert_array_equal(fast(few).detach().numpy(), expected[:count])
    fused = [kernel for kernel in whole.kernels if "schedule: fuse sums" in kernel.notes]
    assert bool(fused) == (9 * channels > 64)


def test_filters_of_one_channel_that_are_arguments_lie_as_lanes_do() -> None:
    """They are read for every window: a copy whose channels lie beside each other is made first."""

    def program(x, filters):  # type: ignore[no-untyped-def]
        return optc.nn.functional.conv2d(x, filters, None, 1, 1, 1, 24)

    x, filters = optc.randn(2, 24, 9, 9), optc.randn(24, 1, 3, 3)
    compiled = optc.compile(program, (x, filters), fallback="error")
    for other in (x, optc.randn(3, 24, 9, 9), optc.randn(1, 24, 10, 7)):
        expected = program(other, filters).numpy()
        np.testing.assert_allclose(compiled(other, filters).numpy(), expected, rtol=1e-4, atol=1e-5)
        sums = [kernel.text for kernel in compiled.kernels if "aten::sum" in kernel.operators]
        assert len(sums) == 1 and "lanes" in sums[0]
