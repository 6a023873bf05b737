"""What must raise raises in compiled code too: divisors of zero, places outside of a tensor, extremes of nothing."""

from __future__ import annotations

import pytest

import optc
from optc import Tensor
from optc.errors import ExecutionError


def floor_divide(x: Tensor) -> Tensor:
    return x // (x - x)


def remainder_then_sum(x: Tensor) -> Tensor:
    return (x * 2 % (x - 1)).sum()


def truncate(x: Tensor) -> Tensor:
    return optc.div(x, x - 3, rounding_mode="trunc")


def third_row(x: Tensor) -> Tensor:
    return x[2] + 1


def third_column_slice(x: Tensor) -> Tensor:
    return x.narrow(1, 1, 3) * 2


def windows(x: Tensor) -> Tensor:
    return x.unfold(0, 3, 1) + 0


def advanced(x: Tensor) -> Tensor:
    places = optc.arange(3)
    return x[places, places - 2]


@pytest.mark.parametrize("count", [3, 4, 16, 17, 1000])
@pytest.mark.parametrize("program", [floor_divide, remainder_then_sum, truncate])
def test_integers_are_not_divided_by_zero(program: object, count: int) -> None:
    compiled = optc.compile(program, fallback="error")
    with pytest.raises(ExecutionError, match="ZeroDivisionError"):
        compiled(optc.arange(1, count + 1))


@pytest.mark.parametrize("program", [third_row, third_column_slice, windows, advanced])
def test_places_outside_of_a_tensor_of_unknown_extents_are_refused(program: object) -> None:
    compiled = optc.compile(program, dynamic=True, fallback="error")
    eager = optc.jit.script(program)
    for shape in ((3, 4), (20, 30)):
        assert optc.equal(compiled(optc.ones(shape)), eager(optc.ones(shape)))
    for _ in range(2):
        with pytest.raises(ExecutionError):
            compiled(optc.ones(2, 2))


def test_a_tensor_listed_twice_is_released_once() -> None:
    def twice(x: Tensor) -> Tensor:
        y = x * 2
        joined = optc.cat([y[:5], y[5:], y], 0)
        z, w = x + 1, x + 2
        return joined.sum(0) + optc.tanh(z).sum(0) + optc.tanh(w).sum(0) + (z @ w.t()).sum()

    compiled = optc.compile(twice, fallback="error")
    x = optc.arange(200).float().reshape(10, 20) / 100
    assert optc.allclose(compiled(x), optc.jit.script(twice)(x), 1e-5, 1e-5)


def of_ints(a: int, b: int) -> float:
    return a**b


def of_floats(a: float, b: float) -> float:
    return a**b


def of_both(a: int, b: float) -> float:
    return a**b


@pytest.mark.parametrize(
    ("program", "base", "exponent"), [(of_ints, 0, -1), (of_floats, -0.0, -2.0), (of_both, 0, -2.0)]
)
def test_zero_is_not_raised_to_a_negative_power(program: object, base: float, exponent: float) -> None:
    compiled = optc.compile(optc.jit.script(program), fallback="error")
    assert compiled(type(base)(2), exponent) == 2.0**exponent
    assert compiled(base, type(exponent)(0)) == 1.0
    with pytest.raises(ExecutionError, match="0.0 cannot be raised to a negative power"):
        compiled(base, exponent)
