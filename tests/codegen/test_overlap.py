"""Passes over neighbouring rows that run side by side: which kernels, and that every row comes out as it did alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import optc
from optc.codegen.kernels import schedule as schedules
from optc.codegen.kernels.interpreter import interpret_kernel
from optc.codegen.kernels.kernel import START, STOP, Accumulate, Buffer, Define, Kernel, Loop, Store, load, local
from optc.codegen.kernels.overlap import overlap
from optc.codegen.kernels.schedule import schedule
from optc.codegen.kernels.vectorise import vectorise
from optc.codegen.machine.host import AVX2, AVX512, Target
from optc.ir.dims import symbol
from optc.ir.dtypes import FLOAT32
from optc.nn import functional as F
from optc.ops.scalar import function, literal, variable

Array = np.ndarray[Any, Any]
SOURCE, RESULT = Buffer("in0", FLOAT32, "input"), Buffer("out0", FLOAT32, "output")
X, Y = variable(0, FLOAT32), variable(1, FLOAT32)
LARGEST, SUM = function("maxnum", X, Y), X + Y
ROW, COLUMN = symbol("row"), symbol("column")


def passes(
    extent: int, is_heavy: bool = True, stores_first: bool = False, reads_result: bool = False, heavy: str = "exp"
) -> Kernel:
    """The softmax of rows, or something like it."""
    place = ROW * extent + COLUMN
    power = load(RESULT if reads_result else SOURCE, place) - local("largest", FLOAT32)
    power = function(heavy, power) if is_heavy else power * 0.5
    first = [Accumulate("largest", LARGEST, load(SOURCE, place))]
    if stores_first:
        first.append(Store("out0", place, load(SOURCE, place)))  # type: ignore[arg-type]
    second = (
        Define("power", power),
        Accumulate("sum", SUM, local("power", FLOAT32)),
        Store("out0", place, local("power", FLOAT32)),
    )
    third = Store("out0", place, load(RESULT, place) * local("factor", FLOAT32))
    body = (
        Define("largest", literal(-np.inf, FLOAT32)), Loop("column", 0, extent, 1, tuple(first), lanes=1),
        Define("sum", literal(0.0, FLOAT32)), Loop("column", 0, extent, 1, second, lanes=1),
        Define("factor", literal(1.0, FLOAT32) / local("sum", FLOAT32)), Loop("column", 0, extent, 1, (third,), lanes=1),
    )  # fmt: skip
    rows = Loop("row", symbol(START), symbol(STOP), 1, body)
    return Kernel("rows", (SOURCE, RESULT), (START, STOP), (rows,), units=64)


def is_overlapped(kernel: Kernel, target: Target = AVX512) -> bool:
    return "overlap" in schedule(kernel, target).applied


def test_which_rows_overlap() -> None:
    assert is_overlapped(passes(1000))
    assert not is_overlapped(passes(1000), AVX2)
    assert is_overlapped(passes(1000, is_heavy=False)), "no pass waits for the last lanes of a sum"
    assert not is_overlapped(passes(4000, is_heavy=False)), "there is nothing to compute while rows come and go"
    assert not is_overlapped(passes(1000, stores_first=True)), "the first pass over the last row runs twice"
    assert not is_overlapped(passes(64)), "several short rows are worked on at once"
    one_row = passes(1000).body[0]
    assert isinstance(one_row, Loop)
    assert not is_overlapped(replace(passes(1000), body=(replace(one_row, start=0, stop=2),)))


def test_of_long_rows_only_the_first_pass_runs_beside_another() -> None:
    """Four rows at once, of 8 KB each, lie in the first-level cache, longer ones do not. Of those the last one has a turn of
    its own, in which no maximum is taken again; the longest ones are gone over in blocks."""
    for extent, together in ((2048, ["erf(", "mul(out0["]), (2064, ["erf("]), (40_000, ["erf("])):
        text = str(schedule(passes(extent, heavy="erf"), AVX512).kernel)
        first, among, last = text.split("for row in")[1:]
        beside = next(part for part in among.split("for column in") if "maxnum= in0[" in part)
        assert [part for part in ("erf(", "mul(out0[") if part in beside] == together, text
        assert "maxnum= in0[" in first and "erf(" not in first
        assert "maxnum= in0[" not in last and ("erf(" in last) == (extent > 2048)


def test_blocks_of_a_row_overlap_like_rows() -> None:
    """Of eight blocks and a half the maximum of each full one is taken beside the exponentials of the one before; what
    comes after the last one is asked for, if anything is."""
    text = str(schedule(passes(8_700), replace(AVX512, cpu="znver5")).kernel)
    first, among, rest = text.split("for column.part in")[1:4]
    assert first.startswith(" 0..1:") and "maxnum= in0[" in first and "exp(" not in first
    assert among.startswith(" 0..8:")
    beside = among.split("for column in")[1]
    assert "min(7, column.part + 1)" in beside and "exp(" in beside
    assert rest.startswith(" 8..9:")
    assert "fetch" not in text
    in_memory = replace(passes(8_700), units=4096)
    fetched = str(schedule(in_memory, replace(AVX512, cpu="znver5")).kernel)
    assert "fetch in0[column + 1024*column.part + 8700*row + 1536]" in fetched
    assert "to write" not in fetched


@pytest.mark.parametrize(
    ("extent", "reads_result"), [(300, False), (333, False), (320, True), (2100, False), (2112, True), (16_640, False)]
)
def test_ranges_of_any_number_of_rows(extent: int, reads_result: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of a range give what they give in any other, to the bit, and what the passes give one after the other, also
    where the second pass reads what was there before the third one stores."""
    merged = schedule(passes(extent, reads_result=reads_result), AVX512).kernel
    monkeypatch.delitem(schedules.SCHEDULES, "overlap")
    apart = schedule(passes(extent, reads_result=reads_result), AVX512).kernel
    assert str(merged) != str(apart)
    source = np.random.default_rng(0).standard_normal((6, extent)).astype(np.float32)

    def computed(kernel: Kernel, start: int, stop: int) -> Array:
        memory = {"in0": source.ravel().copy(), "out0": np.full(source.size, 0.5, np.float32)}
        interpret_kernel(kernel, memory, {START: start, STOP: stop})
        return memory["out0"].reshape(source.shape)

    for start, stop in ((0, 6), (2, 2), (2, 3), (2, 4), (1, 4)):
        expected = computed(apart, start, stop)
        np.testing.assert_array_equal(computed(merged, start, stop), expected)
        assert (expected[:start] == 0.5).all() and (expected[stop:] == 0.5).all()


def test_the_first_of_many_passes_runs_beside_one_whose_loops_are_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sum of the next row beside the exponentials of this one; tanh and gelu fill the registers themselves."""
    found: list[Kernel] = []

    def watched(kernel: Kernel, target: Target) -> Kernel:
        found.append(overlap(kernel, AVX512))
        return found[-1]

    monkeypatch.setenv("OPTC_CACHE", "0")
    monkeypatch.setitem(schedules.SCHEDULES, "overlap", watched)
    monkeypatch.setitem(schedules.SCHEDULES, "vectorise", lambda kernel, target: vectorise(kernel, AVX512))
    optc.compile(optc.jit.trace(PROGRAMS["five passes"], (optc.zeros(64, 512),)), fallback="error")(optc.zeros(64, 512))
    text = str(found[0])
    assert text.count("min(i0 + 1, range.stop + -1)") == 4 + 8, "the sum, and that of squares"
    beside, behind = text.split("exp(")[-1].split("tanh(")[0].split("for i1", 1)
    assert "acc0.v add= in0[i1 + 512*min(i0 + 1, range.stop + -1)]" in beside
    assert "min(i0 + 1, range.stop + -1)" in behind, "the squares are there before the next row begins"


PROGRAMS: dict[str, Callable[[Any], Any]] = {
    "softmax": lambda x: optc.softmax(x, -1),
    "log softmax": lambda x: optc.log_softmax(x, -1),
    "of a difference": lambda x: optc.exp(x - x.amax(-1, keepdim=True)),
    "two passes": lambda x: F.silu(x / x.sum(-1, keepdim=True)),
    "five passes": lambda x: optc.softmax(F.gelu(F.layer_norm(x, (x.shape[-1],))) * 0.5 + x, -1) + optc.tanh(x),
    "of three numbers": lambda x: optc.tanh((x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True)),
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("extent", [301, 512])
def test_programs(name: str, extent: int) -> None:
    program = PROGRAMS[name]
    rows = np.random.default_rng(1).standard_normal((40, extent)).astype(np.float32)
    rows[3, 7], rows[5, 300] = -np.inf, np.nan
    is_squared = name in ("five passes", "of three numbers")
    rows[7] = 0.0 if is_squared else -3.0e38  # squares and sums of these are infinite, or not, as sums are rounded
    traced = optc.jit.trace(program, (optc.from_numpy(rows),))
    compiled = optc.compile(traced, fallback="error")
    whole = np.asarray(compiled(rows)).copy()
    np.testing.assert_allclose(whole, program(optc.from_numpy(rows)).numpy(), rtol=2e-5, atol=2e-6)
    for count in (1, 2, 3, 4, 17):
        np.testing.assert_array_equal(np.asarray(compiled(rows[:count])), whole[:count])
    together = optc.compile(traced, fallback="error", threads=2)
    np.testing.assert_array_equal(np.asarray(together(np.tile(rows, (50, 1)))), np.tile(whole, (50, 1)))
