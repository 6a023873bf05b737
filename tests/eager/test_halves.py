"""Half precision as PyTorch's kernels have it: what is rounded to a half between the steps of one operator."""

from typing import Any

import numpy as np
import pytest

import optc
from optc.ir import dtypes


def halves(*numbers: float, dtype: str = "float16") -> Any:
    return optc.from_numpy(np.array(numbers).astype(dtypes.BY_NAME[dtype].numpy))


def eager_and_native(function: Any, *tensors: Any) -> list[list[float]]:
    compiled = optc.compile(function, tensors, cache=False)
    return [run(*tensors).float().tolist() for run in (function, compiled)]


@pytest.mark.parametrize("mode", ["trunc", "floor"])
def test_quotients_of_tensors_are_rounded_before_they_become_whole(mode: str) -> None:
    # The quotient is 28.9924..., and the nearest half to it is 29.
    x, y = halves(110.25, 1.0), halves(3.802734375, 1.0)
    expected = [29.0, 1.0] if mode == "trunc" else [28.0, 1.0]
    for found in eager_and_native(lambda a, b: optc.div(a, b, rounding_mode=mode), x, y):
        assert found == expected


def test_quotients_by_a_single_number_are_exact() -> None:
    x = halves(110.25, 1.0)
    for divisor in (halves(3.802734375), halves(3.802734375)[0]):
        for found in eager_and_native(lambda a, b: optc.div(a, b, rounding_mode="trunc"), x, divisor):
            assert found == [28.0, 0.0]
    assert optc.div(x, 3.802734375, rounding_mode="trunc").tolist() == [28.0, 0.0]


def test_whole_numbers_beside_halves_are_rounded_to_halves_first() -> None:
    # bfloat16 has 256 and 258, but not 257.
    for found in eager_and_native(lambda a, b: a + b, optc.tensor([257, 1]), halves(1.0, 1.0, dtype="bfloat16")):
        assert found == [256.0, 2.0]


@pytest.mark.parametrize("dtype, number", [("float16", 1.396484375), ("bfloat16", 1.3984375)])
def test_numbers_are_rounded_to_halves_before_they_are_compared(dtype: str, number: float) -> None:
    # 1.396 lies below both halves, which are the nearest to it.
    x = halves(number, 1.0, dtype=dtype)
    for found in eager_and_native(lambda a: optc.stack([a == 1.396, a > 1.396, a <= 1.396]).to(a.dtype), x):
        assert found == [[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]]
    for found in eager_and_native(lambda a, b: (a == b).to(a.dtype), x, optc.tensor(1.396)):
        assert found == [1.0, 0.0]


def test_numbers_are_rounded_to_halves_in_sums_and_not_as_factors_or_divisors() -> None:
    x = halves(0.62890625, dtype="bfloat16")
    for found in eager_and_native(lambda a: optc.cat([a - 8.396, 8.396 - a, a * 8.396, a / 8.396, a**1.396]), x):
        assert found == [-7.75, 7.75, 5.28125, 0.07470703125, 0.5234375]


def test_a_factor_is_a_number_on_the_right_only() -> None:
    x, number = halves(0.53515625), optc.tensor(1.396)
    for found in eager_and_native(lambda a, b: optc.cat([a * b, b * a, a / b, b / a]), x, number):
        assert found == [0.7470703125, 0.74755859375, 0.38330078125, 2.609375]
    constant = optc.compile(lambda a: optc.full((), 1.396) * a, (x,), cache=False)
    assert constant(x).tolist() == [0.74755859375]


def test_spaced_numbers_are_rounded_as_pytorch_counts_them() -> None:
    line = optc.linspace(4.3, -3, 5, dtype=optc.bfloat16)
    assert line.tolist() == [4.3125, 2.484375, 0.65625, -1.171875, -3.0]
    assert optc.linspace(0.1, 2.3, 7, dtype=optc.float16).tolist()[1] == 0.466796875
    powers = optc.logspace(4.3, -3, 5, dtype=optc.float16)
    assert powers.tolist() == [19984.0, 299.0, 4.47265625, 0.06689453125, 0.00100040435791015625]
