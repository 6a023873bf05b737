"""Exponentials of long rows, lowered block by block: which kernels, and that nobody can tell but by the last bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import optc
from optc.codegen.kernels.block_maxima import block_maxima
from optc.codegen.kernels.interpreter import interpret_kernel
from optc.codegen.kernels.kernel import Accumulate, Buffer, Define, Kernel, Loop, Statement, Store, load, local
from optc.codegen.kernels.kernel import verify_kernel as verify
from optc.codegen.kernels.phases import in_phases
from optc.codegen.kernels.schedule import schedule
from optc.codegen.machine.host import AVX2, AVX512
from optc.ir.dims import symbol
from optc.ir.dtypes import FLOAT32
from optc.ops.scalar import Expr, function, literal, variable

Array = np.ndarray[Any, Any]
SOURCE, RESULT, OTHER = (
    Buffer("x", FLOAT32, "input"),
    Buffer("out", FLOAT32, "output"),
    Buffer("other", FLOAT32, "output"),
)
X, Y = variable(0, FLOAT32), variable(1, FLOAT32)
I, ROW = symbol("i"), symbol("row")
ROWS, LONG = 2, 6145
LOWEST = float(np.finfo(np.float32).min)


def named(name: str) -> Expr:
    return local(name, FLOAT32)


def softmax(
    length: int = LONG,
    power: Callable[[Expr], Expr] = lambda x: function("exp", x - named("most")),
    last: Callable[[Expr], Expr] = lambda x: x * named("scale"),
    into: Buffer = RESULT,
    behind: tuple[Statement, ...] = (),
) -> Kernel:
    """The naive passes over rows, with other powers or another last pass for what should not be changed."""
    place = ROW * length + I
    body: tuple[Statement, ...] = (
        Define("best", literal(-np.inf, FLOAT32)),
        Loop("i", 0, length, 1, (Accumulate("best", function("maxnum", X, Y), load(SOURCE, place)),), lanes=1),
        Define("most", named("best")),
        Define("sum", literal(0.0, FLOAT32)),
        Loop("i", 0, length, 1, (
            Define("power", power(load(SOURCE, place))), Accumulate("sum", X + Y, named("power")),
            Store("out", place, named("power")),
        ), lanes=1),
        Define("scale", literal(1.0, FLOAT32) / named("sum")),
        Loop("i", 0, length, 1, (Store(into.name, place, last(load(RESULT, place))),), lanes=1),
        *behind,
    )  # fmt: skip
    return Kernel("softmax", (SOURCE, RESULT, OTHER), (), (Loop("row", 0, ROWS, 1, body),))


def run(kernel: Kernel, x: Array) -> Array:
    verify(kernel)
    memory = {"x": x.ravel().copy(), "out": np.zeros(x.size, np.float32), "other": np.zeros(x.size, np.float32)}
    with np.errstate(all="ignore"):
        interpret_kernel(kernel, memory, {})
    return memory["out"].reshape(x.shape)


def is_changed(kernel: Kernel) -> bool:
    return block_maxima(kernel, AVX512) != kernel


def test_which_rows_are_read_once() -> None:
    assert is_changed(softmax())
    assert not is_changed(softmax(6144)), "much of what is read and written stays in the first-level cache"
    assert block_maxima(softmax(), AVX2) == softmax(), "passes do not overlap there"


def test_only_exponentials_of_what_lies_below_the_maximum() -> None:
    assert not is_changed(softmax(power=lambda x: function("exp2", x - named("most"))))
    assert not is_changed(softmax(power=lambda x: function("exp", x * 2.0 - named("most"))))
    assert not is_changed(softmax(power=lambda x: function("exp", x - named("most")) + 1.0))


def test_nobody_sees_exponentials_before_they_are_multiplied() -> None:
    assert not is_changed(softmax(into=OTHER)), "they are a result as well"
    place = ROW * LONG
    assert not is_changed(softmax(behind=(Store("other", ROW, load(RESULT, place)),)))
    total = Accumulate("again", X + Y, load(RESULT, place + I))
    summed = (Define("again", literal(0.0, FLOAT32)), Loop("i", 0, LONG, 1, (total,), lanes=1))
    assert not is_changed(softmax(behind=summed)), "only element by element"
    shifted = Loop("i", 0, LONG, 1, (Store("other", place + I, load(RESULT, place + I + 1)),), lanes=1)
    assert not is_changed(softmax(behind=(shifted,)))


END = 100_000
INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    "changes",
    [
        [], [(0, 1, -INF)], [(0, 1024, -INF)], [(0, 6140, -INF)], [(0, END, -INF)], [(4000, 4001, INF)],
        [(2000, 2001, NAN)], [(6144, END, NAN)], [(0, 3000, LOWEST)], [(0, END, LOWEST)],
        [(0, 3000, LOWEST), (3000, END, 3e38)],
    ],
)  # fmt: skip
def test_rows_with_all_kinds_of_numbers(changes: list[tuple[int, int, float]]) -> None:
    """Infinities and what is no number give what they gave, wherever they are, and masked blocks zeros."""
    x = np.random.default_rng(1).standard_normal((ROWS, LONG)).astype(np.float32) * 4
    for start, stop, value in changes:
        x[1, start:stop] = value
    kernel = softmax()
    blocks, whole = run(block_maxima(kernel, AVX512), x), run(kernel, x)
    np.testing.assert_allclose(blocks, whole, rtol=2e-5, atol=1e-37)
    assert np.isnan(blocks[1]).all() == np.isnan(blocks[1]).any()


def test_blocks_behind_the_maximum_keep_their_bits() -> None:
    """What a block is multiplied by is one where it holds the maximum."""
    x = np.zeros((ROWS, LONG), np.float32)
    x[:, ::1024] = 1.0
    kernel = softmax(last=lambda x: x)
    np.testing.assert_array_equal(run(block_maxima(kernel, AVX512), x), run(kernel, x))


def test_a_row_alone_is_computed_by_the_same_instructions() -> None:
    """Threads share the blocks of a single row; what comes out is what the kernel gives in one piece, to the bit."""
    x = np.random.default_rng(0).standard_normal((1, 60_000)).astype(np.float32)
    rows = softmax(x.size).body[0]
    assert isinstance(rows, Loop)
    alone = Loop("row", 0, 1, 1, rows.body)
    whole = schedule(replace(softmax(x.size), body=(alone,)), AVX512).kernel
    single = replace(softmax(x.size), sizes=("row",), body=rows.body)
    phases = in_phases(single, AVX512)
    assert phases is not None
    shared = [phase.kernel for phase in phases.phases if phase.kernel.units != 0]
    assert ["exp(" in str(kernel) for kernel in shared] == [True, False], "both passes over a block, then the last one"
    memory = {"x": x.ravel(), "out": np.zeros(x.size, np.float32)}
    memory |= {buffer.name: np.zeros(buffer.size, np.float32) for buffer in phases.temporary}  # type: ignore[arg-type]
    for phase in phases.phases:
        kernel = schedule(phase.kernel, AVX512).kernel
        used = {buffer.name: memory[buffer.name] for buffer in kernel.buffers if buffer.role != "scratch"}
        interpret_kernel(kernel, used, {"row": 0})
    np.testing.assert_array_equal(memory["out"], run(whole, x)[0])


PROGRAMS: dict[str, Callable[[Any], Any]] = {
    "softmax": lambda x: optc.softmax(x, -1),
    "log softmax": lambda x: optc.log_softmax(x, -1),
    "of a product": lambda x: optc.softmax(x * 2 - 1, -1),
    "with more behind": lambda x: optc.softmax(x, -1) * x + optc.tanh(x),
    "three dimensions": lambda x: optc.softmax(x.reshape(1, *x.shape), -1)[0],
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("length", [7168, 10_001])
def test_rows_do_not_depend_on_the_batch_or_on_threads(name: str, length: int) -> None:
    program = PROGRAMS[name]
    rows = np.random.default_rng(2).standard_normal((40, length)).astype(np.float32)
    rows[3, 7], rows[5, :4096] = np.nan, -np.inf

    def computed(count: int, threads: int) -> Array:
        argument = optc.from_numpy(rows[:count].copy())
        compiled = optc.compile(program, (argument,), fallback="error", threads=threads)
        return np.asarray(compiled(argument).numpy())

    expected = computed(40, 1)
    np.testing.assert_allclose(expected, program(optc.from_numpy(rows)).numpy(), rtol=1e-4, atol=1e-6)
    for count, threads in ((40, 2), (5, 2), (2, 1), (1, 1), (1, 2)):
        np.testing.assert_array_equal(computed(count, threads), expected[:count])
