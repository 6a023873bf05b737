"""Row kernels of random programs: naive, scheduled and as machine code for every kind of processor, and their loops.

Programs of pointwise operators, reductions over any dimensions, softmax, running sums, extremes, transposed and
broadcast operands, in the extents that hurt (around the number of lanes, primes, one). The whole program is held
against the eager operators; every kernel that it turns into is run by the kernel interpreter as lowering made it, by
the interpreter as it was scheduled, and natively.
"""

from __future__ import annotations

import ctypes
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import optc
from optc.codegen.driver import frame
from optc.codegen.kernels.emitter import emit_kernel, passed_buffers
from optc.codegen.kernels.fetches import fetch_ahead
from optc.codegen.kernels.interpreter import interpret_kernel
from optc.codegen.kernels.kernel import (
    START,
    STOP,
    Accumulate,
    Buffer,
    Define,
    Kernel,
    Loop,
    Store,
    load,
    local,
    renamed,
    statements,
    values_of,
)
from optc.codegen.kernels.schedule import schedule
from optc.codegen.llvm import Module
from optc.codegen.machine import jit
from optc.codegen.machine.host import AVX2, AVX512, GENERIC, NEON, Target
from optc.ir.dims import Dim, substitute, symbol, symbols
from optc.ir.dtypes import FLOAT32
from optc.nn import functional as F
from optc.ops.scalar import Expr, function, literal, nodes, variable
from optc.ops.shapes import known

TARGETS = [jit.host_target(), AVX2, GENERIC]
NAMES = ["host", "avx2", "generic"]
EXTENTS = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 47, 64, 65, 67)
Array = np.ndarray[Any, Any]
Program = Callable[..., Any]


# Random programs -------------------------------------------------------------------------------------------------


def random_shape(choices: random.Random) -> tuple[int, ...]:
    rank = choices.choice((1, 2, 2, 2, 3, 3))
    while True:
        shape = tuple(choices.choice(EXTENTS) for _ in range(rank))
        if choices.random() < 0.1:
            shape = (*shape[:-1], choices.choice((129, 150, 300)))
        if np.prod(shape) <= 1500:
            return shape


def operands(seed: int, shape: tuple[int, ...], target: Target) -> list[Any]:
    """A tensor, one stored the other way round, broadcast ones, a mask, integers; halves where they are converted by
    instructions (elsewhere that is a library's)."""
    generator = np.random.default_rng(seed)
    kept = [extent if generator.random() < 0.5 else 1 for extent in shape]
    arrays = [
        generator.standard_normal(shape).astype(np.float32),
        generator.standard_normal(shape[::-1]).astype(np.float32),
        generator.standard_normal(kept).astype(np.float32),
        generator.standard_normal(shape[-1:]).astype(np.float32),
        generator.random(shape) < 0.5,
        generator.integers(-9, 9, shape).astype(np.int32),
        generator.standard_normal(shape).astype(np.float32 if target is GENERIC else np.float16),
    ]
    return [optc.tensor(array) for array in arrays]


def program_of(seed: int) -> Program:
    """A program that computes the same values whenever it is called with operands of one shape."""

    def program(x: Any, turned: Any, wide: Any, row: Any, mask: Any, numbers: Any, half: Any) -> Any:
        choices = random.Random(seed)
        back = turned.permute(*reversed(range(turned.dim())))
        sources = [x, back, x * wide, x + row, optc.where(mask, x, back), x * numbers, half + x, half * half]
        values = choices.sample(sources, 3)
        results: list[Any] = []
        for _ in range(choices.randrange(2, 7)):
            values.append(step(choices, values, results))
        return (*results, *values[-2:])

    return program


def step(choices: random.Random, values: list[Any], results: list[Any]) -> Any:
    """One more value of the common shape; what has another shape goes to `results`."""
    value, other = choices.choice(values), choices.choice(values)
    dim = choices.randrange(value.dim())
    dims = sorted(choices.sample(range(value.dim()), choices.randrange(1, value.dim() + 1)))
    kind = choices.randrange(12)
    if kind == 0:
        return F.softmax(value, dim)
    if kind == 1:
        return value - value.mean(dims, keepdim=True)
    if kind == 2:
        results.append(optc.tanh(value).sum(dims))
        return optc.tanh(value)
    if kind == 3:
        return value * optc.rsqrt((value * value).mean(dims, keepdim=True) + 1.0)
    if kind == 4:
        results.append(choices.choice((optc.argmax, optc.argmin))(value, dim))
        return value
    if kind == 5:
        return optc.cumsum(value, dim) * 0.125
    if kind == 6:
        results.append(optc.amax(value, dims))
        return optc.exp(value - optc.amax(value, dims, keepdim=True))
    if kind == 7:
        return F.log_softmax(value, dim)
    if kind == 8:
        results.append(optc.var(value, dims, correction=0))
        return optc.sigmoid(value) * other
    return choices.choice((value + other, value * other, optc.abs(value) - other, optc.maximum(value, other)))


# Three ways to run a kernel --------------------------------------------------------------------------------------


def largest(dim: Dim, bounds: dict[str, Dim]) -> int:
    """The largest value of an index: all variables at their last turn."""
    while symbols(dim):
        dim = substitute(dim, bounds)
    assert isinstance(dim, int)
    return dim


def array_sizes(kernel: Kernel) -> dict[str, int]:
    """How many elements of each buffer a kernel touches; strides are never negative."""
    bounds: dict[str, Dim] = {s.variable: s.stop - 1 for s in statements(kernel.body) if isinstance(s, Loop)}
    sizes = {buffer.name: 1 for buffer in kernel.buffers}
    for statement in statements(kernel.body):
        places = [(statement.buffer, statement.index)] if isinstance(statement, Store) else []
        places += [node.value for value in values_of(statement) for node in nodes(value) if node.op == "load"]
        for name, index in places:
            sizes[name] = max(sizes[name], largest(index, bounds) + 1)
    return sizes


def arrays_of(kernel: Kernel) -> dict[str, Array]:
    generator = np.random.default_rng(len(str(kernel)))
    arrays = {}
    for name, size in array_sizes(kernel).items():
        buffer = kernel.buffer(name)
        values = generator.standard_normal(size) * (1 if buffer.dtype.kind == "float" else 4)
        if buffer.role != "scratch":
            arrays[name] = (values > 0 if buffer.dtype.kind == "bool" else values).astype(buffer.dtype.numpy)
    return arrays


def interpreted(kernel: Kernel, arrays: dict[str, Array]) -> dict[str, Array]:
    mine = {name: array.copy() for name, array in arrays.items()}
    interpret_kernel(kernel, mine, {})
    return mine


def native(kernel: Kernel, arrays: dict[str, Array], target: Target) -> dict[str, Array]:
    mine = {name: array.copy() for name, array in arrays.items()}
    buffers = [
        mine[buffer.name] if buffer.role != "scratch" else np.zeros(known([buffer.size]), buffer.dtype.numpy)
        for buffer in passed_buffers(kernel)
    ]
    module = Module("test")
    emit_kernel(renamed(kernel, "test_kernel"), module, target)
    library = jit.link([jit.compile_module(str(module), target)])
    words = [0, known([kernel.units])[0]] if kernel.units != 0 else []
    prototype = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(buffers), *[ctypes.c_int64] * len(words))
    prototype(library.address("test_kernel"))(*[array.ctypes.data for array in buffers], *words)
    return mine


def same(found: dict[str, Array], expected: dict[str, Array], text: str) -> None:
    for name, array in expected.items():
        tolerance = 4e-3 if array.dtype == np.float16 else 1e-4
        np.testing.assert_allclose(found[name], array, tolerance, tolerance, err_msg=f"{name} of {text}")


def check_kernel(kernel: Kernel, target: Target) -> None:
    """Naive, scheduled and native agree."""
    if any(node.op == "at" for s in statements(kernel.body) for value in values_of(s) for node in nodes(value)):
        return
    arrays = arrays_of(kernel)
    expected = interpreted(kernel, arrays)
    scheduled = schedule(kernel, target).kernel
    same(interpreted(scheduled, arrays), expected, str(scheduled))
    same(native(scheduled, arrays, target), expected, str(scheduled))


def compiled_kernels(program: Program, arguments: list[Any], monkeypatch: pytest.MonkeyPatch, target: Target
                     ) -> tuple[Any, list[Kernel]]:  # fmt: skip
    """The compiled program, and its kernels before they are scheduled."""
    kernels: dict[str, Kernel] = {}

    def note(kernel: Kernel, target: Target) -> Any:
        if not set(kernel.sizes) - {START, STOP}:
            kernels[str(kernel)] = kernel
        return schedule(kernel, target)

    with monkeypatch.context() as patch:
        patch.setattr(jit, "host_target", lambda: target)
        patch.setattr(frame, "schedule", note)
        compiled = optc.compile(program, tuple(arguments), dynamic=False, fallback="error", cache=False)
    return compiled, list(kernels.values())


def check(seed: int, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    program = program_of(seed)
    arguments = operands(seed, random_shape(random.Random(seed)), target)
    compiled, kernels = compiled_kernels(program, arguments, monkeypatch, target)
    for number, (mine, theirs) in enumerate(zip(compiled(*arguments), program(*arguments), strict=True)):
        tolerance = 4e-3 if theirs._array.dtype == np.float16 else 2e-4
        text = f"seed {seed}, result {number}"
        np.testing.assert_allclose(mine._array, theirs._array, tolerance, tolerance, err_msg=text)
    for kernel in kernels:
        check_kernel(kernel, target)


@pytest.mark.parametrize("target", TARGETS, ids=NAMES)
@pytest.mark.parametrize("part", range(2))
def test_random_row_kernels(part: int, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(3 * part, 3 * part + 3):
        check(seed, target, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS, ids=NAMES)
@pytest.mark.parametrize("part", range(6))
def test_many_random_row_kernels(part: int, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(1000 + 10 * part, 1000 + 10 * part + 10):
        check(seed, target, monkeypatch)


# What the loops look like ----------------------------------------------------------------------------------------


def chain(x: Any, w: Any, b: Any) -> Any:
    normal = F.gelu(F.layer_norm(x, [300], w, b)) * 0.5 + x
    return F.softmax(normal, -1) + optc.sigmoid(x) * optc.tanh(x)


HOT: dict[str, Program] = {
    "chain": chain,
    "softmax": lambda x, w, b: F.softmax(x, -1),
    "log softmax": lambda x, w, b: F.log_softmax(x, -1),
    "layer norm": lambda x, w, b: F.layer_norm(x, [300], w, b),
    "gelu": lambda x, w, b: F.gelu(x),
    "softmax of columns": lambda x, w, b: F.softmax(x, 0),
    "transposed": lambda x, w, b: x[:, :200] + x[:, :200].t(),
}


def innermost_loops(assembly: str) -> Iterator[str]:
    """The text between a label and a jump back to it, where no other label lies between."""
    for match in re.finditer(r"^(\.LBB\d+_\d+):((?:(?!^\.LBB).*\n)*?)\s+j\w+\s+\1$", assembly, re.MULTILINE):
        yield f"{match[0]}\n"


SPILL = re.compile(r"^.*%[xyz]mm\d+.*, -?\d*\(%rsp\)", re.MULTILINE)
"""A vector goes to a fixed place on the stack; scratch that lies there is reached through an index."""
RELOAD = re.compile(r"^\s+\w+\s+(?:%\w+, )*-?\d*\(%rsp\),.*%[xyz]mm.*$", re.MULTILINE)
"""A vector comes back. With sixteen registers that may be a constant, which costs what any operand in memory does."""


MOST_SPILLS = {AVX512: 0, AVX2: 1}
"""In a loop. Turns that go abreast may keep a little more than sixteen registers hold (see `WAITING_REGISTERS`)."""


@pytest.mark.parametrize(("target", "traffic"), [(AVX512, [SPILL, RELOAD]), (AVX2, [SPILL])], ids=["avx512", "avx2"])
@pytest.mark.parametrize("name", HOT)
def test_hot_loops_keep_vectors_in_registers(
    name: str, target: Target, traffic: list[re.Pattern[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = [optc.zeros(200, 300), optc.ones(300), optc.zeros(300)]
    _, kernels = compiled_kernels(HOT[name], arguments, monkeypatch, target)
    assert kernels
    for kernel in kernels:
        scheduled = schedule(kernel, target).kernel
        module = Module("test")
        emit_kernel(renamed(scheduled, "test_kernel"), module, target)
        loops = list(innermost_loops(jit.assembly(str(module), target)))
        assert any("mm" in loop for loop in loops)
        for loop in loops:
            found = [found for pattern in traffic for found in pattern.findall(loop)]
            assert len(found) <= MOST_SPILLS[target], f"{scheduled}\n{loop}"


def fetches(name: str, rows: int, columns: int, target: Target, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a program asks for ahead of its use."""
    arguments = [optc.zeros(rows, columns), optc.ones(columns), optc.zeros(columns)]
    _, kernels = compiled_kernels(HOT[name], arguments, monkeypatch, target)
    lines = "\n".join(str(schedule(kernel, target).kernel) for kernel in kernels).splitlines()
    return [line.strip() for line in lines if line.strip().startswith("fetch")]


@pytest.mark.parametrize("target", [AVX512, AVX2], ids=["avx512", "avx2"])
def test_what_comes_next_is_asked_for_while_a_row_is_computed(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next row of the input, and the result's memory shortly before it is written for the first time: by lines of a
    cache, of which four vectors of eight fill two."""
    found = fetches("softmax", 256, 1024, target, monkeypatch)
    written = "fetch out0[1024*i0 + i1 + 512] to write"
    if target is AVX2:
        second = ["fetch in0[1024*i0 + i1 + 1040]", "fetch out0[1024*i0 + i1 + 528] to write"]
        assert sorted(found) == sorted(["fetch in0[1024*i0 + i1 + 1024]", written, *second])
        return
    overlapped = "fetch in0[1024*i0 + i1 + 1536]"  # the pass that reads a row first
    assert found[0] == "fetch in0[1024*i0 + i1 + 512]"
    assert found.count(overlapped) == found.count(written) == 1


def test_processors_that_fetch_by_themselves_are_asked_where_they_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Zen 5, by rows that are walked again: by overlapping passes if they lie in memory, else by those with functions."""
    overlaps, alone = replace(AVX512, cpu="znver5"), replace(AVX2, cpu="znver5")
    assert fetches("softmax", 256, 1024, overlaps, monkeypatch) == []
    assert fetches("softmax", 4096, 1024, overlaps, monkeypatch) == fetches("softmax", 4096, 1024, AVX512, monkeypatch)
    assert fetches("softmax", 256, 1024, alone, monkeypatch) == fetches("softmax", 256, 1024, AVX2, monkeypatch)
    for name in ("layer norm", "gelu"):
        assert fetches(name, 16384, 300, AVX512, monkeypatch)
        assert fetches(name, 16384, 300, alone, monkeypatch) == []
    assert fetches("layer norm", 16384, 300, overlaps, monkeypatch)
    assert fetches("gelu", 16384, 300, overlaps, monkeypatch) == []


def test_of_rows_that_are_near_one_is_asked_for_that_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "fetch in0[16*i0 + i1 + 512]" in fetches("softmax", 16384, 16, AVX2, monkeypatch)


def test_what_lies_between_rows_is_not_asked_for() -> None:
    buffers = (Buffer("in0", FLOAT32, "input"), Buffer("out0", FLOAT32, "output"))
    row, column = symbol("i"), symbol("j")
    value = load(buffers[0], row * 1000 + column)
    inner = Loop("j", 0, 320, 16, (Store("out0", row * 320 + column, value * value),), lanes=16)
    found = str(fetch_ahead(Kernel("squares", buffers, (), (Loop("i", 0, 4096, 1, (inner,)),)), AVX512))
    assert "fetch in0[1000*i + j + 1000]" in found
    assert "fetch out0[320*i + j + 320] to write" in found


def test_of_rows_that_fill_the_cache_blocks_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next block, also of the next row; the result's memory once, where it is written first."""
    assert fetches("softmax", 8, 100_000, AVX2, monkeypatch) == []
    found = fetches("softmax", 8, 102_400, AVX512, monkeypatch)
    place = "102400*i0 + i1 + 1024*i1.part"
    assert found[0] == f"fetch in0[{place} + 512]" and f"fetch in0[{place} + 1536]" in found
    assert found.count(f"fetch out0[{place} + 512] to write") == 1


def test_nothing_is_asked_for_that_fits_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fetches("softmax", 128, 1000, AVX2, monkeypatch) == []
    assert fetches("softmax", 256, 1000, AVX512, monkeypatch) == []


def test_where_little_may_be_done_nothing_beyond_its_end_is_asked_for() -> None:
    """And nothing at all by loops that would take longer for it."""
    buffers = (Buffer("in0", FLOAT32, "input"), Buffer("out0", FLOAT32, "output"))
    value = load(buffers[0], symbol("i"))

    def asked(stored: Expr) -> str:
        loop = Loop("i", 0, symbol("n"), 16, (Store("out0", symbol("i"), stored),), lanes=16)
        return str(fetch_ahead(Kernel("function", buffers, ("n",), (loop,)), AVX512))

    assert "fetch" not in asked(value * value)
    assert "fetch in0[min(i + 512, n + -1)]" in asked(function("exp", value))
    assert "fetch out0[min(i + 512, n + -1)] to write" in asked(function("exp", value))


def test_spills_are_seen() -> None:
    spill, reload = "\tvmovups\t%zmm3, 64(%rsp)", "\tvaddps\t-64(%rsp), %zmm3, %zmm4"
    scratch, scalar = "\tvmovups\t%zmm3, 64(%rsp,%rax,4)", "\tmovq\t%rax, 8(%rsp)"
    text = f".LBB0_1:\n{spill}\n{reload}\n{scratch}\n{scalar}\n\tjb\t.LBB0_1\n"
    (loop,) = innermost_loops(text)
    assert SPILL.findall(loop) == [spill]
    assert RELOAD.findall(loop) == [reload]


@pytest.mark.parametrize("name", ["softmax", "log softmax", "layer norm", "statistics"])
def test_few_long_rows_are_one_kernel(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of sixteen rows fits registers; in the kernel it finds the row where it has just been."""
    programs = {**HOT, "statistics": lambda x, w, b: (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1.0)}
    arguments = [optc.zeros(16, 300), optc.ones(300), optc.zeros(300)]
    _, kernels = compiled_kernels(programs[name], arguments, monkeypatch, AVX512)
    assert len(kernels) == 1


def loop_of(value: Expr, target: Target) -> str:
    """The kernel out[i] = value, scheduled, as text."""
    store = Store("out0", symbol("i0"), value)
    buffers = Buffer("in0", FLOAT32, "input"), Buffer("out0", FLOAT32, "output", 300)
    kernel = Kernel("one", buffers, (), (Loop("i0", 0, 300, 1, (store,), lanes=1),))
    return str(schedule(kernel, target).kernel)


def test_functions_go_abreast_where_registers_are_few() -> None:
    """Each turn of an exponential is one long chain, of which four go abreast; two where each keeps twice as much."""
    x = load(Buffer("in0", FLOAT32, "input"), symbol("i0"))
    gelu = x * (function("erf", x * 0.70710678) + 1.0) * 0.5
    both = function("tanh", x) / (function("exp", -x) + 1.0)
    for four in (function("exp", x), function("tanh", x), gelu, both):
        assert "step 32 lanes 8 abreast 4" in loop_of(four, AVX2)
    for two in (function("erf", x), function("log", x)):
        assert "step 16 lanes 8 abreast 2" in loop_of(two, AVX2)
    assert "abreast" not in loop_of(x * 2.0 + 1.0, AVX2)


@pytest.mark.parametrize(("columns", "rows", "abreast"), [(64, 4, 4), (104, 2, 4), (128, 2, 4)])
def test_short_rows_go_abreast_where_registers_are_few(
    columns: int, rows: int, abreast: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four turns of the exponential at once, of one row or of several; with many registers rows do not go abreast."""

    def softmax(x: Any) -> Any:
        return F.softmax(x, -1)

    _, (kernel,) = compiled_kernels(softmax, [optc.zeros(64, columns)], monkeypatch, AVX2)
    text = str(schedule(kernel, AVX2).kernel)
    assert f" step {rows}:" in text
    assert max(map(int, re.findall(r"abreast (\d+)", text))) == abreast
    assert "abreast" not in str(schedule(kernel, AVX512).kernel)


def test_short_rows_without_functions_are_worked_on_two_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """They wait for memory."""
    _, (kernel,) = compiled_kernels(lambda x: F.layer_norm(x, [64]), [optc.zeros(64, 64)], monkeypatch, AVX2)
    assert " step 2:" in str(schedule(kernel, AVX2).kernel)


def test_long_functions_go_two_abreast_where_registers_are_few() -> None:
    """However little they keep: each turn that goes abreast has to be compiled."""
    x = load(Buffer("in0", FLOAT32, "input"), symbol("i0"))
    value = x
    for _ in range(10):
        value = function("exp", value)
    assert "step 16 lanes 8 abreast 2" in loop_of(value, AVX2)


def test_sums_and_what_surrounds_a_loop_take_registers_of_turns_abreast() -> None:
    """Sums are kept for each turn, results of the loops before for all."""
    x = load(Buffer("in0", FLOAT32, "input"), symbol("i0"))
    value = function("tanh", x * local("factor", FLOAT32)) + local("shift", FLOAT32)
    body = (
        Define("factor", literal(2.0, FLOAT32)), Define("shift", literal(1.0, FLOAT32)), Define("total", literal(0.0, FLOAT32)),
        Loop("i0", 0, 1024, 1, (Accumulate("total", variable(0, FLOAT32) + variable(1, FLOAT32), value),), lanes=1),
        Store("out0", 0, local("total", FLOAT32)),
    )  # fmt: skip
    buffers = Buffer("in0", FLOAT32, "input"), Buffer("out0", FLOAT32, "output", 1)
    assert "abreast 2" in str(schedule(Kernel("sum", buffers, (), body), AVX2).kernel)


def test_functions_go_abreast_where_many_registers_suffice() -> None:
    """As many turns as have registers beside the tables; a branch in a turn keeps it alone. One masked loop does what is
    left, so that long bodies are compiled twice only."""
    x = load(Buffer("in0", FLOAT32, "input"), symbol("i0"))
    exponential = loop_of(function("exp", x), AVX512)
    assert "for i0 in 0..256 step 64 lanes 16 abreast 4" in exponential
    assert "for i0 in 256..300 step 16 lanes 16 masked" in exponential
    assert exponential.count("for i0") == 2
    both = function("tanh", x) * (function("exp", x * 0.5) / (function("exp", -x) + 1.0))
    assert "step 32 lanes 16 abreast 2" in loop_of(both, AVX512)
    assert "abreast" not in loop_of(function("sin", x), AVX512)
    assert "abreast" not in loop_of(x * 2.0 + 1.0, AVX512)
    assert "abreast" not in loop_of(function("exp", x), NEON)


def test_instructions_of_turns_abreast_take_turns() -> None:
    """Every step of the polynomial of an exponential is done for both vectors before the next one."""
    source = Buffer("in0", FLOAT32, "input")
    places = [symbol("i0") + 8 * number for number in range(2)]
    turns = tuple(Store("out0", place, function("exp", load(source, place))) for place in places)
    buffers = source, Buffer("out0", FLOAT32, "output", 160)
    module = Module("test")
    emit_kernel(Kernel("two", buffers, (), (Loop("i0", 0, 160, 16, turns, lanes=8, abreast=2),)), module, AVX2)
    steps = re.findall(r"(%\S+) = call [^@]*@llvm\.fma[^(]*\((.*)\)", str(module))
    assert len(steps) >= 16
    for (result, _), (_, operands) in pairwise(steps):
        assert result not in re.split("[ ,]+", operands)


EXACT: dict[str, Callable[[Any, int], Any]] = {
    "cumsum": np.cumsum,
    "cumprod": np.cumprod,
    "logcumsumexp": lambda x, axis: np.logaddexp.accumulate(x, axis),
}


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("dim", [0, 1])
def test_running_totals_of_single_precision_are_kept_in_double(name: str, dim: int) -> None:
    x = np.random.default_rng(0).standard_normal((5000, 7) if dim == 0 else (7, 5000)).astype(np.float32)
    x = (1 + x / 100).astype(np.float32) if name == "cumprod" else x
    found = optc.compile(lambda x: getattr(optc, name)(x, dim), (optc.from_numpy(x),))(x)
    expected = EXACT[name](x.astype(np.float64), dim)
    assert np.max(np.abs(np.asarray(found) - expected) / np.spacing(np.abs(expected).astype(np.float32))) < 1


@pytest.mark.parametrize(("mean", "deviation"), [(1e6, 1), (0, 1e30), (0, 1e-30)])
@pytest.mark.parametrize("dim", [0, 1])
def test_deviations_are_computed_in_double(mean: float, deviation: float, dim: int) -> None:
    """Squares of single numbers leave their range, and a mean in single precision is off by more than it may be."""
    x = (np.random.default_rng(0).standard_normal((500, 300)) * deviation + mean).astype(np.float32)
    found = optc.compile(lambda x: optc.std_mean(x, dim), (optc.from_numpy(x),))(x)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(np.asarray(found[0]), exact.std(dim, ddof=1), rtol=1e-7)
    np.testing.assert_allclose(np.asarray(found[1]), exact.mean(dim), rtol=1e-6, atol=1e-7 * deviation)
