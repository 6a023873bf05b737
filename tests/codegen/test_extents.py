"""Extents that are no polynomials: computed once, and given to kernels."""

from __future__ import annotations

import numpy as np

import optc
from optc import Tensor
from optc.codegen.driver.copies import copy_kernel
from optc.codegen.kernels.emitter import emit_dim
from optc.codegen.kernels.extents import with_given_extents
from optc.codegen.kernels.kernel import Kernel, verify_kernel
from optc.codegen.kernels.native import MemoryTensor, contiguous_strides
from optc.codegen.llvm import Builder, Module, Parameter, constant
from optc.ir import dtypes
from optc.ir.dims import Dim, floordiv, maximum, symbol


def halved(dim: Dim, times: int) -> Dim:
    for _ in range(times):
        dim = floordiv(dim + -1, 2) + 1
    return dim


def building() -> Builder:
    return Builder(Module("test").function("f", "void", [Parameter("i64", "s0"), Parameter("i1", "c")]))


def divisions(b: Builder) -> int:
    return str(b.function).count("ashr")


def test_an_application_is_computed_once() -> None:
    b = building()
    names = {"s0": b.function.arguments[0]}
    extent = halved(symbol("s0"), 6)
    area = extent * extent + maximum(extent, 7) * halved(symbol("s0"), 5)
    assert emit_dim(b, area, names) == emit_dim(b, area, names)
    assert divisions(b) == 6


def test_what_a_branch_computed_is_not_known_behind_it() -> None:
    b = building()
    names = {"s0": b.function.arguments[0]}
    with b.if_then(b.function.arguments[1]):
        inside = emit_dim(b, halved(symbol("s0"), 2), names)
    outside = emit_dim(b, halved(symbol("s0"), 2), names)
    with b.for_loop(0, 4):
        assert emit_dim(b, halved(symbol("s0"), 2), names) == outside
    assert inside != outside and divisions(b) == 4


def test_a_symbol_of_another_value_is_another_extent() -> None:
    b = building()
    extent = halved(symbol("s0"), 1)
    first = emit_dim(b, extent, {"s0": b.function.arguments[0]})
    assert emit_dim(b, extent, {"s0": first}) != first


def copying(shape: tuple[Dim, ...]) -> Kernel:
    """A copy of every second row."""
    strides = contiguous_strides(shape)
    nowhere = constant("i64", 0)
    gaps = (strides[0] * 2, *strides[1:])
    return copy_kernel(*(MemoryTensor(dtypes.FLOAT32, nowhere, shape, steps) for steps in (gaps, strides)))


def test_kernels_are_given_what_is_no_polynomial() -> None:
    rows, columns = halved(symbol("s0"), 3), halved(symbol("u7"), 2)
    kernel, given = with_given_extents(copying((rows, columns, symbol("s1"))))
    verify_kernel(kernel)
    assert set(kernel.sizes) == {"n0", "n1", "s1"} and "floordiv" not in str(kernel)
    assert set(map(str, given.values())) == {str(rows + -1), str(columns + -1)}


def test_kernels_do_not_tell_the_names_of_extents_that_running_tells() -> None:
    kernels = [
        with_given_extents(copying((symbol(first), symbol(second))))[0]
        for first, second in (("u7", "u8"), ("u99", "u3"))
    ]
    assert str(kernels[0]) == str(kernels[1])


def test_kernels_of_plain_extents_stay() -> None:
    for kernel in (copying((3, 5)), copying((symbol("s0"), 5))):
        assert with_given_extents(kernel) == (kernel, {})


def pyramid(x: Tensor) -> Tensor:
    """Sums over levels whose extents are halved again and again, put behind one another and cut apart."""
    levels = [x]
    for _ in range(5):
        levels.append(optc.max_pool2d(levels[-1], 3, 2, 1))
    rows = optc.cat([level.reshape(1, -1) for level in levels], 1)
    start = 0
    best = []
    for level in levels:
        count = level.size(2) * level.size(3)
        best.append(optc.relu(rows[:, start : start + count]))
        start += count
    return optc.cat(best, 1)


def test_programs_of_deep_extents_are_short() -> None:
    generator = np.random.default_rng(0)
    compiled = optc.compile(optc.jit.script(pyramid), fallback="error")
    for size in ((70, 90), (66, 40), (81, 51)):
        x = optc.from_numpy(generator.standard_normal((1, 1, *size), np.float32))
        np.testing.assert_array_equal(compiled(x).numpy(), pyramid(x).numpy())
    program = compiled.specializations[-1].native
    assert program is not None and len(program.llvm) < 600_000
