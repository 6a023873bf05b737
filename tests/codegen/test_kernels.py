"""A kernel means the same in the interpreter, scheduled or not, and as machine code, on every kind of target."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from optc.codegen.kernels.emitter import emit_kernel, passed_buffers
from optc.codegen.kernels.interpreter import interpret_kernel
from optc.codegen.kernels.kernel import (
    Accumulate,
    Buffer,
    Define,
    Fold,
    Kernel,
    Loop,
    Scatter,
    Store,
    at,
    copied,
    index_value,
    load,
    local,
    renamed,
    verify_kernel,
)
from optc.codegen.kernels.schedule import schedule
from optc.codegen.llvm import Module
from optc.codegen.machine import jit
from optc.codegen.machine.host import AVX2, AVX512, GENERIC, Target
from optc.errors import VerifyError
from optc.ir.dims import substitute, symbol
from optc.ir.dtypes import BOOL, FLOAT32, FLOAT64, INT32, INT64, UINT8, DType
from optc.ops.scalar import apply, function, literal, select, variable
from optc.ops.shapes import known

I, J, N, M = symbol("i"), symbol("j"), symbol("n"), symbol("m")
TARGETS = [jit.host_target(), AVX2, GENERIC]
EXTENTS = [0, 1, 3, 4, 15, 16, 17, 31, 64, 65, 200, 300]


def run_native(kernel: Kernel, target: Target, arrays: list[np.ndarray[Any, Any]], sizes: list[int]) -> None:
    """Run with one array per input and output, outputs in place, and as much scratch as the kernel asks for."""
    bound = dict(zip(kernel.sizes, sizes))
    given = iter(arrays)
    memory = [
        np.zeros(known([substitute(buffer.size, bound)]), buffer.dtype.numpy)
        if buffer.role == "scratch" else next(given)
        for buffer in passed_buffers(kernel)
    ]  # fmt: skip
    module = Module("test")
    emit_kernel(renamed(kernel, "test_kernel"), module, target)
    library = jit.link([jit.compile_module(str(module), target)])
    prototype = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(memory), *[ctypes.c_int64] * len(sizes))
    prototype(library.address("test_kernel"))(*[array.ctypes.data for array in memory], *sizes)


def whole_range(kernel: Kernel, sizes: dict[str, int]) -> list[int]:
    """What the function takes behind its own sizes: the range of all units, where it has units."""
    units = substitute(kernel.units, sizes)
    assert isinstance(units, int)
    return [0, units] if kernel.units != 0 else []


def pointwise(dtype: DType) -> Kernel:
    """out[i, j] = select(x < y, x * y, -x), y broadcast along the rows."""
    x, y, out = Buffer("x", dtype, "input"), Buffer("y", dtype, "input"), Buffer("out", dtype, "output")
    left, right = load(x, I * N + J), load(y, J)
    value = select(left < right, left * right, -left)
    body = Loop("i", 0, M, 1, (Loop("j", 0, N, 1, (Store("out", I * N + J, value),), lanes=1),))
    return Kernel("pointwise", (x, y, out), ("m", "n"), (body,))


def row_sum(dtype: DType) -> Kernel:
    """out[i] = sum over j of x[i, j]."""
    x, out = Buffer("x", dtype, "input"), Buffer("out", dtype, "output")
    combine = variable(0, dtype) + variable(1, dtype)
    inner = Loop("j", 0, N, 1, (Accumulate("total", combine, load(x, I * N + J)),), lanes=1)
    row = (Define("total", literal(0, dtype)), inner, Store("out", I, local("total", dtype)))
    return Kernel("row_sum", (x, out), ("m", "n"), (Loop("i", 0, M, 1, row),))


def softmax() -> Kernel:
    """Three passes over a row, the exponentials kept in a scratch row."""
    x, out, keep = (
        Buffer("x", FLOAT32, "input"),
        Buffer("out", FLOAT32, "output"),
        Buffer("keep", FLOAT32, "scratch", N),
    )
    element = load(x, I * N + J)
    largest = apply("maximum", variable(0, FLOAT32), variable(1, FLOAT32))
    total = variable(0, FLOAT32) + variable(1, FLOAT32)
    power = function("exp", element - local("m", FLOAT32))
    kept = (Define("e", power), Accumulate("s", total, local("e", FLOAT32)), Store("keep", J, local("e", FLOAT32)))
    row = (
        Define("m", literal(float("-inf"), FLOAT32)),
        Loop("j", 0, N, 1, (Accumulate("m", largest, element),), lanes=1),
        Define("s", literal(0.0, FLOAT32)),
        Loop("j", 0, N, 1, kept, lanes=1),
        Loop("j", 0, N, 1, (Store("out", I * N + J, load(keep, J) / local("s", FLOAT32)),), lanes=1),
    )
    return Kernel("softmax", (x, out, keep), ("m", "n"), (Loop("i", 0, M, 1, row),))


def column_sum() -> Kernel:
    """out[j] = sum over i of x[i, j]: lanes over the columns, the sum inside."""
    x, out = Buffer("x", FLOAT32, "input"), Buffer("out", FLOAT32, "output")
    combine = variable(0, FLOAT32) + variable(1, FLOAT32)
    inner = Loop("i", 0, M, 1, (Accumulate("total", combine, load(x, I * N + J)),))
    body = (Define("total", literal(0.0, FLOAT32)), inner, Store("out", J, local("total", FLOAT32)))
    return Kernel("column_sum", (x, out), ("m", "n"), (Loop("j", 0, N, 1, body, lanes=1),))


def transposed() -> Kernel:
    """out[i, j] = x[j, i] + i * n + j: strided reads and the index as a value."""
    x, out = Buffer("x", FLOAT32, "input"), Buffer("out", FLOAT32, "output")
    value = load(x, J * M + I) + index_value(I * N + J).cast(FLOAT32)
    body = Loop("i", 0, M, 1, (Loop("j", 0, N, 1, (Store("out", I * N + J, value),), lanes=1),))
    return Kernel("transposed", (x, out), ("m", "n"), (body,))


def read_backward() -> Kernel:
    """out[i, j] = x[i, n - 1 - j] * y[j]."""
    x, y, out = Buffer("x", FLOAT32, "input"), Buffer("y", FLOAT32, "input"), Buffer("out", FLOAT32, "output")
    value = load(x, I * N + N - 1 - J) * load(y, J)
    body = Loop("i", 0, M, 1, (Loop("j", 0, N, 1, (Store("out", I * N + J, value),), lanes=1),))
    return Kernel("read_backward", (x, y, out), ("m", "n"), (body,))


def written_backward() -> Kernel:
    """out[i, n - 1 - j] = x[i, j]."""
    x, out = Buffer("x", BOOL, "input"), Buffer("out", BOOL, "output")
    store = Store("out", I * N + N - 1 - J, load(x, I * N + J))
    return Kernel(
        "written_backward", (x, out), ("m", "n"), (Loop("i", 0, M, 1, (Loop("j", 0, N, 1, (store,), lanes=1),)),)
    )


def sums_by_number() -> Kernel:
    """out[number[i]] += x[i], turn by turn: rows of x by lanes, numbers that come twice add up in order."""
    number, x, out = Buffer("number", INT64, "input"), Buffer("x", FLOAT32, "input"), Buffer("out", FLOAT32, "output")
    base = apply("maximum", literal(0, INT64), apply("minimum", load(number, I), literal(1, INT64))) * index_value(N)
    row = Loop("j", 0, N, 1, (Scatter("out", base, J, at(out, base, J) + load(x, I * N + J)),), lanes=1)
    return Kernel("sums_by_number", (number, x, out), ("m", "n"), (Loop("i", 0, M, 1, (row,)),))


def masks() -> Kernel:
    """out[j] = x[j] > 0 and m[j]: booleans as bytes."""
    x, m, out = Buffer("x", FLOAT32, "input"), Buffer("mask", BOOL, "input"), Buffer("out", BOOL, "output")
    value = (load(x, J) > 0.0) & load(m, J)
    return Kernel("masks", (x, m, out), ("m", "n"), (Loop("j", 0, N, 1, (Store("out", J, value),), lanes=1),))


def shapes_of(kernel: Kernel, m: int, n: int) -> list[int]:
    return {
        "pointwise": [m * n, n, m * n],
        "row_sum": [m * n, m],
        "softmax": [m * n, m * n],
        "column_sum": [m * n, n],
        "transposed": [m * n, m * n],
        "read_backward": [m * n, n, m * n],
        "written_backward": [m * n, m * n],
        "masks": [n, n, n],
        "sums_by_number": [m, m * n, 2 * n],
    }[kernel.name]


def arrays_for(kernel: Kernel, m: int, n: int) -> list[np.ndarray[Any, Any]]:
    random = np.random.default_rng(m * 1000 + n)
    arrays = []
    for buffer, size in zip(_visible(kernel), shapes_of(kernel, m, n)):
        values = random.integers(-8, 8, size)
        arrays.append((values > 0 if buffer.dtype is BOOL else values).astype(buffer.dtype.numpy))
    return arrays


def _visible(kernel: Kernel) -> list[Buffer]:
    return [buffer for buffer in kernel.buffers if buffer.role != "scratch"]


def interpreted(kernel: Kernel, arrays: list[np.ndarray[Any, Any]], sizes: dict[str, int]) -> np.ndarray[Any, Any]:
    buffers = {b.name: a.copy() for b, a in zip(_visible(kernel), arrays)}
    interpret_kernel(kernel, buffers, sizes)
    return buffers["out"]


KERNELS: list[Callable[[], Kernel]] = [
    lambda: pointwise(FLOAT32),
    lambda: pointwise(FLOAT64),
    lambda: pointwise(INT64),
    lambda: row_sum(FLOAT32),
    lambda: row_sum(INT64),
    softmax,
    column_sum,
    transposed,
    read_backward,
    written_backward,
    masks,
    sums_by_number,
]


@pytest.mark.parametrize("target", TARGETS, ids=["host", "avx2", "generic"])
@pytest.mark.parametrize("make", KERNELS, ids=lambda make: make().name)
def test_every_engine_agrees(make: Callable[[], Kernel], target: Target) -> None:
    kernel = make()
    verify_kernel(kernel)
    scheduled = schedule(kernel, target).kernel
    for n in EXTENTS:
        arrays, sizes = arrays_for(kernel, 3, n), {"m": 3, "n": n}
        expected = interpreted(kernel, arrays, sizes)
        np.testing.assert_allclose(interpreted(scheduled, arrays, sizes), expected, rtol=4e-6, err_msg=str(scheduled))
        run_native(scheduled, target, arrays, [3, n, *whole_range(scheduled, sizes)])
        place = [buffer.name for buffer in kernel.buffers].index("out")
        np.testing.assert_allclose(arrays[place], expected, rtol=4e-6, err_msg=f"n = {n}\n{scheduled}")


@pytest.mark.parametrize(("make", "lanes"), [(read_backward, 16), (written_backward, 64)])
def test_rows_that_are_turned_round_are_vectors(make: Callable[[], Kernel], lanes: int) -> None:
    assert f"lanes {lanes} masked" in str(schedule(make(), AVX512).kernel)


@pytest.mark.parametrize("target", TARGETS, ids=["host", "avx2", "generic"])
@pytest.mark.parametrize("dtype", [UINT8, BOOL], ids=lambda dtype: dtype.name)
def test_narrow_elements_fill_a_register(dtype: DType, target: Target) -> None:
    """As many as there are bytes, and what is left over without masks where these are dear."""
    x, y, out = Buffer("x", dtype, "input"), Buffer("y", dtype, "input"), Buffer("out", dtype, "output")
    value = load(x, I * N + J).equal(load(y, J)) if dtype is BOOL else load(x, I * N + J) * load(y, J)
    row = Loop("j", 0, N, 1, (Store("out", I * N + J, value),), lanes=1)
    kernel = Kernel("narrow", (x, y, out), ("m", "n"), (Loop("i", 0, M, 1, (row,)),))
    scheduled = schedule(kernel, target).kernel
    assert f"lanes {target.vector_bytes}" in str(scheduled)
    for n in EXTENTS:
        random = np.random.default_rng(n)
        arrays = [random.integers(0, 2, shape).astype(dtype.numpy) for shape in ((3, n), (n,), (3, n))]
        expected = arrays[0] == arrays[1] if dtype is BOOL else arrays[0] * arrays[1]
        run_native(scheduled, target, arrays, [3, n, *whole_range(scheduled, {"m": 3, "n": n})])
        np.testing.assert_array_equal(arrays[2], expected)


@pytest.mark.parametrize("target", TARGETS, ids=["host", "avx2", "generic"])
@pytest.mark.parametrize("source", [FLOAT32, FLOAT64], ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("wanted", [INT32, INT64, UINT8], ids=lambda dtype: dtype.name)
def test_what_does_not_fit_an_integer_is_its_smallest_number(wanted: DType, source: DType, target: Target) -> None:
    """In whole vectors and in what is left over; a type of fewer bytes than four is cut off a number of four."""
    x, out = Buffer("x", source, "input"), Buffer("out", wanted, "output")
    kernel = Kernel("to", (x, out), ("n",), (Loop("j", 0, N, 1, (Store("out", J, load(x, J).cast(wanted)),), lanes=1),))
    scheduled = schedule(kernel, target).kernel
    bits = 64 if wanted is INT64 else 32
    numbers = np.array([0.0, -0.0, 1.9, -1.9, 255.5, -7.0, np.nan, np.inf, -np.inf, 1e30, -1e30, 2.0 ** (bits - 1)])
    expected = [int(x) if abs(x) < 2.0 ** (bits - 1) else -(2 ** (bits - 1)) for x in numbers]
    for count in (1, 5, 12):
        arrays = [np.tile(numbers[:count], 7).astype(source.numpy), np.zeros(7 * count, wanted.numpy)]
        run_native(scheduled, target, arrays, [7 * count, *whole_range(scheduled, {"n": 7 * count})])
        whole = np.array(expected[:count], np.int64).astype(wanted.numpy)
        np.testing.assert_array_equal(arrays[1], np.tile(whole, 7))


@pytest.mark.parametrize("n", EXTENTS)
def test_known_extents_take_the_same_path(n: int) -> None:
    kernel = softmax()
    fixed = _with_extents(kernel, 2, n)
    verify_kernel(fixed)
    scheduled = schedule(fixed, jit.host_target()).kernel
    arrays = arrays_for(kernel, 2, n)
    expected = interpreted(kernel, arrays, {"m": 2, "n": n})
    run_native(scheduled, jit.host_target(), arrays, [])
    np.testing.assert_allclose(arrays[1], expected, rtol=4e-6)


def _with_extents(kernel: Kernel, m: int, n: int) -> Kernel:
    """The kernel with numbers for its sizes."""
    numbers = {"m": m, "n": n}
    buffers = tuple(replace(b, size=substitute(b.size, numbers)) for b in kernel.buffers)
    return Kernel(kernel.name, buffers, (), copied(kernel.body, {}, numbers))


def test_a_kernel_prints_as_a_loop_nest() -> None:
    assert str(row_sum(FLOAT32)) == (
        "kernel row_sum(float32* x, float32* out, m, n):\n"
        "  for i in 0..m:\n"
        "    total = 0.0\n"
        "    for j in 0..n lanes 1:\n"
        "      total add= x[i*n + j]\n"
        "    out[i] = total"
    )


X, OUT = Buffer("x", FLOAT32, "input"), Buffer("out", FLOAT32, "output")
VALUE = load(X, J)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ((Store("out", J, VALUE),), "j in j is neither a size nor a loop variable"),
        ((Loop("j", 0, N, 1, (Store("nowhere", J, VALUE),)),), "there is no buffer nowhere"),
        ((Loop("j", 0, N, 1, (Store("x", J, VALUE),)),), "stored into input x"),
        ((Loop("j", 0, N, 1, (Store("out", J, VALUE.cast(FLOAT64)),)),), "float64 is stored"),
        ((Store("out", 0, local("a", FLOAT32)),), "local a is not defined"),
        ((Define("a", literal(0.0, FLOAT32)), Define("a", literal(0.0, FLOAT32))), "defined twice"),
        ((Loop("n", 0, 4, 1, ()),), "loop variable n is not new"),
        ((Loop("j", 0, N, 3, (), lanes=2),), "steps by 3"),
        ((Loop("j", 0, N, 4, (), lanes=2, masked=True),), "must step by its lanes"),
        (
            (Loop("j", 0, N, 4, (Define("a", VALUE), Store("out", J, VALUE)), lanes=2, abreast=2),),
            "are not 2 abreast",
        ),
        ((Define("a", literal(0.0, FLOAT32), 4), Store("out", 0, local("a", FLOAT32))), "other lanes or type"),
        ((Define("a", literal(0.0, FLOAT32)), Fold("b", "a", variable(0, FLOAT32))), "no vector to fold"),
    ],
)
def test_the_verifier_refuses(body: tuple[Any, ...], message: str) -> None:
    with pytest.raises(VerifyError, match=message):
        verify_kernel(Kernel("broken", (X, OUT), ("n",), body))


def test_the_interpreter_notices_accesses_outside_a_buffer() -> None:
    kernel = Kernel("outside", (X, OUT), ("n",), (Loop("j", 0, N + 1, 1, (Store("out", J, VALUE),)),))
    with pytest.raises(IndexError, match=r"x\[4\] of 4 elements"):
        interpret_kernel(kernel, {"x": np.zeros(4, np.float32), "out": np.zeros(4, np.float32)}, {"n": 4})
