"""Creating operators that fill a tensor given as `out`: it keeps its element type and takes the new shape."""

from __future__ import annotations

from typing import Any

import pytest

import optc

CASES = [
    ("torch.linspace(0, 1, 3, out=w)", [0.0, 0.5, 1.0]), ("torch.logspace(0, 2, 3, out=w)", [1.0, 10.0, 100.0]),
    ("torch.arange(3, out=w)", [0.0, 1.0, 2.0]), ("torch.arange(1, 5, 2, out=w)", [1.0, 3.0]),
    ("torch.full([2], 7, out=w)", [7.0, 7.0]), ("torch.zeros([1, 2], out=w)", [[0.0, 0.0]]),
    ("torch.ones([2], out=w)", [1.0, 1.0]), ("torch.eye(2, out=w)", [[1.0, 0.0], [0.0, 1.0]]),
]  # fmt: skip


@pytest.mark.parametrize(("call", "wanted"), CASES, ids=[call for call, _ in CASES])
def test_the_tensor_holds_what_is_made(call: str, wanted: list[float]) -> None:
    unit = optc.jit.CompilationUnit(f"def f(w):\n    {call}\n    return w\n")
    for dtype in (optc.float32, optc.int64):
        if dtype is optc.int64 and "space" in call:
            continue
        found = unit.f(optc.empty(3, dtype=dtype))
        assert found.dtype is dtype and found.tolist() == wanted
    assert optc.compile(unit.f, fallback="allow")(optc.zeros(3)).tolist() == wanted


@pytest.mark.filterwarnings("ignore")
def test_whole_powers_between_numbers_that_a_call_gives_lose_fractions_first() -> None:
    def program(start: Any, end: Any) -> Any:
        return optc.logspace(start, end, 2, dtype=optc.int32)

    given = optc.tensor(0), optc.tensor(1.2)
    assert optc.compile(program, given, fallback="allow")(*given).tolist() == program(*given).tolist() == [1, 10]


def test_bounds_and_counts_that_only_running_tells() -> None:
    unit = optc.jit.CompilationUnit("""
def f(x, number):
    count = int(number)
    return torch.linspace(-count * 0.5, float(x) + count, steps=count), torch.linspace(0, 9, count, dtype=4)
""")
    fast = optc.compile(unit.f, fallback="error")
    for count in (0, 1, 2, 3, 8, 41):
        found, expected = (run(optc.tensor(0.3), optc.tensor(count)) for run in (fast, unit.f))
        assert optc.allclose(found[0], expected[0])
        assert found[1].tolist() == expected[1].tolist()
    with pytest.raises(RuntimeError, match="number of steps must be non-negative"):
        fast(optc.tensor(0.3), optc.tensor(-1))
