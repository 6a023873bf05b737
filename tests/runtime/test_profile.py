"""`fast.profile`: the work of known kernels is counted exactly, the rows add up, and nothing else changes."""

from __future__ import annotations

from typing import Any

import pytest

import optc
from optc.errors import OptcError
from optc.runtime import profile as profiling
from optc.runtime.profile import ENTRY, REGISTERS, Profile, ProfileRow
from optc.runtime.roofs import Level, Roofs


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few runs, and roofs that are not measured."""
    monkeypatch.setattr(profiling, "RUN_SECONDS", 0.01)
    levels = (Level("L1", 32 << 10, 200e9), Level("L2", 1 << 20, 100e9), Level("memory", 0, 10e9))
    monkeypatch.setattr(profiling, "roofs", lambda: Roofs("a processor", 100e9, levels, 0.0))


def kernels(found: Profile) -> list[ProfileRow]:
    return [row for row in found.rows if row.name not in (REGISTERS, ENTRY)]


def only_kernel(found: Profile) -> ProfileRow:
    (row,) = kernels(found)
    return row


def profile_of(function: Any, *arguments: Any, **options: Any) -> Profile:
    return optc.compile(optc.jit.script(function), fallback="error", **options).profile(*arguments)  # type: ignore[no-any-return]


def scaled(x):
    return x * 2.0 + 1.0


def halves(x):
    return (x[:, :128] - x[:, 128:]) * x[:, :128]


def row_sums(x, y):
    return (x * y).sum(dim=1)


def doubled_often(x, count: int):
    for _ in range(count):
        x = optc.relu(x) / 2.0
    return x


@pytest.mark.parametrize("rows", [40, 333])
def test_a_pointwise_kernel(rows: int) -> None:
    row = only_kernel(profile_of(scaled, optc.rand(rows, 100)))
    assert (row.flops, row.bytes, row.calls) == (2 * rows * 100, 2 * 4 * rows * 100, 1)
    assert row.operators == ("aten::mul", "aten::add")


def test_operands_that_are_broadcast_move_once() -> None:
    row = only_kernel(profile_of(added, optc.rand(100, 256), optc.rand(256), optc.rand(100, 1)))
    assert row.flops == 2 * 100 * 256
    assert row.bytes == 4 * (100 * 256 + 256 + 100 + 100 * 256)


def added(x, row, column):
    return x + row + column


def test_parts_of_one_operand_count_each_once() -> None:
    row = only_kernel(profile_of(halves, optc.rand(100, 256)))
    assert row.flops == 2 * 100 * 128
    assert row.bytes == 4 * (100 * 256 + 100 * 128)


def test_a_reduction() -> None:
    row = only_kernel(profile_of(row_sums, optc.rand(50, 300), optc.rand(50, 300)))
    assert row.flops == 2 * 50 * 300
    assert row.bytes == 4 * (2 * 50 * 300 + 50)


def test_functions_count_as_what_they_are_made_of() -> None:
    row = only_kernel(profile_of(tangent, optc.rand(64, 64)))
    assert 8 * 64 * 64 <= row.flops <= 60 * 64 * 64


def tangent(x):
    return optc.tanh(x)


def product_with_weights(x, weights, bias):
    return optc.relu(optc.addmm(bias, x, weights))


def test_a_product_with_what_follows_it() -> None:
    row = only_kernel(profile_of(product_with_weights, optc.rand(40, 60), optc.rand(60, 50), optc.rand(50)))
    assert row.flops == 2 * 40 * 60 * 50 + 2 * 40 * 50
    assert row.bytes == 4 * (40 * 60 + 60 * 50 + 50 + 40 * 50)
    assert row.operators == ("aten::addmm", "aten::relu")


def batched(x, y):
    return optc.matmul(x, y)


def test_a_batch_of_products() -> None:
    row = only_kernel(profile_of(batched, optc.rand(5, 40, 60), optc.rand(5, 60, 50)))
    assert row.flops == 5 * 2 * 40 * 60 * 50
    assert row.bytes == 4 * 5 * (40 * 60 + 60 * 50 + 40 * 50)


def test_double_has_half_the_roof() -> None:
    row = only_kernel(profile_of(scaled, optc.rand(400, 1000).double(), threads=1))
    assert row.bytes == 2 * 8 * 400 * 1000
    assert row.roof == "memory"
    assert row.of_roof == pytest.approx(row.bytes / 10e9 / row.seconds)


def test_symbolic_shapes_count_with_the_sizes_of_the_call() -> None:
    fast = optc.compile(optc.jit.script(scaled), dynamic=True)
    for rows, columns in ((40, 70), (90, 33)):
        row = only_kernel(fast.profile(optc.rand(rows, columns)))
        assert (row.flops, row.bytes) == (2 * rows * columns, 8 * rows * columns)
    assert len(fast.specializations) == 1


def test_calls_in_loops_are_summed() -> None:
    rows = kernels(profile_of(doubled_often, optc.rand(60, 60), 7))
    computing = [row for row in rows if row.flops]
    assert sum(row.calls for row in computing) == 7
    assert sum(row.flops for row in computing) == 7 * 2 * 3600


def test_rows_add_up() -> None:
    found = profile_of(doubled_often, optc.rand(60, 60), 7)
    assert sum(row.seconds for row in found.rows) == pytest.approx(found.seconds)
    assert sum(row.share for row in found.rows) == pytest.approx(1)
    assert all(row.seconds >= 0 for row in found.rows)
    assert [row.name for row in found.rows[-2:]] == [REGISTERS, ENTRY]


def test_what_lives_in_registers_is_one_row() -> None:
    found = profile_of(scaled, optc.rand(3, 4))
    assert not kernels(found)
    assert found.rows[0].seconds > 0


@pytest.mark.parametrize("threads", [1, 2])
def test_threads(threads: int) -> None:
    found = profile_of(tangent, optc.rand(512, 512), threads=threads)
    assert found.threads == threads
    assert only_kernel(found).bytes == 2 * 4 * 512 * 512


def test_roofs_of_all_threads_count_for_split_kernels() -> None:
    limits = Roofs("a processor", 100e9, (Level("L1", 1000, 200e9), Level("memory", 0, 10e9)), 0.0)
    alone = profiling._limit(limits, 4, seconds=2.0, calls=1, flops=100e9, bytes_=10)
    together = profiling._limit(limits, 4, seconds=2.0 * 2, calls=2, flops=100e9, bytes_=10)
    assert (alone, together) == (("FMA", 0.5), ("FMA", 0.25))


def test_the_code_that_calls_run_has_no_clocks() -> None:
    fast = optc.compile(optc.jit.script(scaled), (optc.rand(40, 40),))
    fast.profile(optc.rand(40, 40))
    assert "readcyclecounter" not in fast.llvm
    assert "readsteadycounter" not in fast.llvm
    assert len(fast.specializations) == 1


class Counter(optc.nn.Module):
    """Counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", optc.zeros(40, 40))

    def forward(self, x):
        self.count += 1.0
        return x + self.count


def test_state_stays_as_it_is() -> None:
    module = optc.jit.script(Counter())
    fast = optc.compile(module, fallback="error")
    fast(optc.rand(40, 40))
    fast.profile(optc.rand(40, 40))
    assert module.count[0, 0].item() == 1
    assert fast(optc.zeros(40, 40))[0, 0].item() == 2


def refuses(x):
    if x.sum() > 0:
        raise ValueError("no")
    return optc.tanh(x)


def test_a_program_that_fails_says_so() -> None:
    fast = optc.compile(optc.jit.script(refuses))
    with pytest.raises(OptcError, match="fails for these arguments"):
        fast.profile(optc.ones(40, 40))
    assert fast.profile(-optc.ones(40, 40)).seconds > 0


@optc.jit.script
class Box:
    def __init__(self, content: optc.Tensor):
        self.content = content


def in_the_interpreter(x):
    return Box(optc.rand_like(optc.tanh(x)) + 1.0)


def test_the_interpreter_is_timed_operator_by_operator() -> None:
    with pytest.warns(optc.errors.OptcWarning):
        found = optc.compile(optc.jit.script(in_the_interpreter)).profile(optc.rand(30, 30))
    assert "CreateObject" in found.interpreted
    assert {"aten::rand_like", "aten::tanh", "aten::add.Scalar"} <= {row.name for row in found.rows}
    assert sum(row.seconds for row in found.rows) == pytest.approx(found.seconds)
    assert "run by the interpreter" in str(found)


def draws_and_tells(x):
    print("drawing")
    return optc.rand_like(optc.tanh(x)) + 1.0


def test_islands_are_timed_and_leave_no_trace(capsys: pytest.CaptureFixture[str]) -> None:
    fast = optc.compile(optc.jit.script(draws_and_tells), fallback="allow")
    optc.manual_seed(5)
    found = fast.profile(optc.rand(30, 30))
    first = optc.rand(2)
    optc.manual_seed(5)
    optc.rand(30, 30)
    assert (first == optc.rand(2)).all()
    assert capsys.readouterr().out == ""
    rows = {row.operators: row for row in found.rows}
    assert rows["prim::uniform",].calls == rows["prim::Print",].calls == 1


def test_it_prints_a_table() -> None:
    text = str(profile_of(scaled, optc.rand(500, 500)))
    first, *_, last = text.splitlines()
    assert "GFLOP/s" in first
    assert "mul, add" in text
    assert "a processor: 100 GFLOP/s; L1 200, L2 100, memory 10 GB/s" in last


def test_an_empty_tensor() -> None:
    found = profile_of(scaled, optc.rand(0, 40))
    assert all(row.flops == 0 for row in found.rows)
