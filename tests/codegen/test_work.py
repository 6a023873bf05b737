"""How much work kernels are: operations and bytes, exact for kernels that one can count by hand."""

from __future__ import annotations

from optc.codegen.kernels.kernel import Accumulate, Buffer, Define, Kernel, Loop, Store, at, load, local
from optc.codegen.kernels.work import Work, expression_flops, kernel_work
from optc.codegen.machine.host import AVX2, AVX512
from optc.ir import dtypes
from optc.ir.dims import Dim, substitute, symbol
from optc.ops.scalar import Expr, function, variable

X = Buffer("x", dtypes.FLOAT32, "input")
OUT = Buffer("out", dtypes.FLOAT32, "output")
I, J, N = symbol("i"), symbol("j"), symbol("n")


def over(variable: str, stop: Dim, *body: Loop | Store | Define | Accumulate, step: int = 1) -> Loop:
    return Loop(variable, 0, stop, step, tuple(body))


def kernel(*body: Loop | Store | Define, buffers: tuple[Buffer, ...] = (X, OUT)) -> Kernel:
    return Kernel("k", buffers, ("n",), tuple(body))


def work(*body: Loop | Store | Define, buffers: tuple[Buffer, ...] = (X, OUT)) -> Work:
    return kernel_work(kernel(*body, buffers=buffers), AVX512)


def test_a_pointwise_loop() -> None:
    assert work(over("i", 10, Store("out", I, load(X, I) * 2.0 + 1.0))) == Work(20, 80)


def test_symbolic_extents_stay_symbolic() -> None:
    found = work(over("i", N, over("j", 8, Store("out", I * 8 + J, load(X, I * 8 + J) + load(X, J)))))
    assert substitute(found.flops, {"n": 5}) == 40
    assert substitute(found.bytes, {"n": 5}) == 4 * (40 + 8 + 40)


def test_shared_parts_are_computed_once() -> None:
    square = load(X, I) * load(X, I)
    assert expression_flops(square + square, AVX512) == 2


def test_two_passes_over_the_same_elements_move_them_once() -> None:
    first = over("i", N, Define("total", load(X, 0)), over("j", 8, Accumulate("total", ADD, load(X, I * 8 + J))),
                 over("k", 8, Store("out", I * 8 + symbol("k"), load(X, I * 8 + symbol("k")) - local("total", F32))))  # fmt: skip
    found = work(first)
    assert substitute(found.flops, {"n": 3}) == 3 * (8 + 8)
    assert substitute(found.bytes, {"n": 3}) == 4 * (24 + 24 + 1)


def test_what_is_read_back_from_a_result_does_not_move_again() -> None:
    found = work(over("i", 10, Store("out", I, load(X, I))), over("j", 10, Store("out", J, load(OUT, J) * 2.0)))
    assert found == Work(10, 4 * 20)


def test_parts_of_an_output_that_several_loops_write_all_count() -> None:
    found = work(over("i", 10, Store("out", I, load(X, I))), over("i", 6, Store("out", I + 10, load(X, I))))
    assert found == Work(0, 4 * (10 + 6 + 16))


def test_steps_round_up() -> None:
    assert work(over("i", 10, Store("out", I, load(X, I) + 1.0), step=4)).flops == 3


def test_scratch_does_not_move_and_data_picks_elements() -> None:
    rows = Buffer("rows", dtypes.INT64, "input")
    scratch = Buffer("scratch", dtypes.FLOAT32, "scratch", 10)
    picked = at(X, load(rows, I), J)
    found = work(over("i", 5, over("j", 3, Store("scratch", J, picked)), Store("out", I, load(scratch, 0))),
                 buffers=(X, rows, OUT, scratch))  # fmt: skip
    assert found == Work(0, 4 * 15 + 8 * 5 + 4 * 5)


def test_only_arithmetic_on_floats_counts() -> None:
    x, number = variable(0, F32), variable(1, dtypes.INT64)
    assert expression_flops(x * 2.0 / x, AVX512) == 2
    assert expression_flops(number * 2 + 1, AVX512) == 0
    assert expression_flops(Expr("fma", F32, (x, x, x)), AVX512) == 2
    assert expression_flops(Expr("rarely", F32, (x > 1.0, x * x * x, x)), AVX512) == 0


def test_functions_are_taken_apart() -> None:
    for target in (AVX512, AVX2):
        assert 8 <= expression_flops(function("exp", variable(0, F32)), target) <= 40


def test_the_widest_floats_set_the_roof() -> None:
    wide = Buffer("wide", dtypes.FLOAT64, "output")
    half = Buffer("half", dtypes.FLOAT16, "input")
    assert work(over("i", 4, Store("wide", I, load(X, I).cast(dtypes.FLOAT64))), buffers=(X, wide)).itemsize == 8
    assert work(over("i", 4, Store("half", I, load(half, I))), buffers=(half,)).itemsize == 4


F32 = dtypes.FLOAT32
ADD = variable(0, F32) + variable(1, F32)
