"""Quotients and remainders of integers, in vectors."""

from __future__ import annotations

import numpy as np
import pytest

from optc.codegen.kernels.emitter import emit_kernel
from optc.codegen.kernels.kernel import Buffer, Kernel, Loop, Store, load
from optc.codegen.kernels.schedule import schedule
from optc.codegen.llvm import Module
from optc.codegen.machine import jit
from optc.codegen.machine.host import AVX2, AVX512, Target
from optc.ir.dims import symbol
from optc.ir.dtypes import INT8, INT16, INT32, INT64, UINT8, DType
from optc.ops.scalar import Expr, apply, literal
from tests.codegen.test_kernels import TARGETS, run_native, whole_range

I, N = symbol("i"), symbol("n")


def division(dtype: DType, divisor: Expr | None = None) -> Kernel:
    x, y = Buffer("x", dtype, "input"), Buffer("y", dtype, "input")
    first, second = Buffer("quotient", dtype, "output"), Buffer("rest", dtype, "output")
    operands = load(x, I), load(y, I) if divisor is None else divisor
    body = Store("quotient", I, apply("div", *operands)), Store("rest", I, apply("rem", *operands))
    buffers = (x, first, second) if divisor is not None else (x, y, first, second)
    return Kernel("division", buffers, ("n",), (Loop("i", 0, N, 1, body, lanes=1),))


def pairs(dtype: DType) -> list[np.ndarray]:  # type: ignore[type-arg]
    """All pairs of the numbers where a quotient that is rounded would be another one, and of random ones."""
    limits = np.iinfo(dtype.numpy)
    edges = {limits.min, limits.min + 1, limits.max, limits.max - 1, limits.max // 2, limits.max // 3, 1, 2, 3, 7, 0}
    edges |= {-1, -2, -3} if dtype.is_signed else set()
    generator = np.random.default_rng(0)
    edges |= set(generator.integers(limits.min, limits.max, 60, endpoint=True).tolist())
    edges |= set(generator.integers(max(limits.min, -100), 100, 30).tolist())
    numbers = np.array(sorted(edges), dtype.numpy)
    x, y = (side.reshape(-1).copy() for side in np.meshgrid(numbers, numbers[numbers != 0]))
    near = x.astype(object) - x.astype(object) % y.astype(object)  # multiples, and what lies before and behind them
    numbers = np.concatenate([x, *(np.clip(near + step, limits.min, limits.max) for step in (-1, 0, 1))])
    return [numbers.astype(dtype.numpy), np.tile(y, 4)]


@pytest.mark.parametrize("target", TARGETS, ids=["host", "avx2", "generic"])
@pytest.mark.parametrize("dtype", [INT8, UINT8, INT16, INT32, INT64], ids=lambda dtype: dtype.name)
def test_quotients_are_exact(dtype: DType, target: Target) -> None:
    """The smallest number divided by -1 is itself, as in two's complement."""
    x, y = pairs(dtype)
    quotient, rest = np.zeros_like(x), np.zeros_like(x)
    scheduled = schedule(division(dtype), target).kernel
    assert "lanes" in str(scheduled)
    run_native(scheduled, target, [x, y, quotient, rest], [len(x), *whole_range(scheduled, {"n": len(x)})])
    wide, divisors = x.astype(object), y.astype(object)
    signs = np.where((wide < 0) != (divisors < 0), -1, 1)
    exact = signs * (abs(wide) // abs(divisors))
    np.testing.assert_array_equal(rest, (wide - exact * divisors).astype(x.dtype))
    exact[exact > np.iinfo(x.dtype).max] = np.iinfo(x.dtype).min
    np.testing.assert_array_equal(quotient, exact.astype(x.dtype))


@pytest.mark.parametrize("target", [AVX512, AVX2], ids=["avx512", "avx2"])
@pytest.mark.parametrize("dtype", [INT8, UINT8, INT16, INT32], ids=lambda dtype: dtype.name)
def test_vectors_are_divided_as_floats(dtype: DType, target: Target) -> None:
    """A loop has no instruction that divides one integer; a known divisor takes no division at all."""
    for divisor, name in ((None, "vdivp"), (literal(7, dtype), "vpmul")):
        module = Module("division")
        emit_kernel(schedule(division(dtype, divisor), target).kernel, module, target)
        loops = jit.assembly(str(module), target).split(".LBB0_")
        assert any(name in loop and "div" not in loop.replace(name, "") for loop in loops)
