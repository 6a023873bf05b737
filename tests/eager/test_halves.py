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
