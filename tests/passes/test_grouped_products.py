"""Products of groups of rows, as mixtures of experts compute them: groups may be empty, and change from call to call."""

from __future__ import annotations

from typing import Any

import pytest

import optc
from optc.eager import dispatch


def grouped(x: Any, weights: Any, ends: Any) -> Any:
    return dispatch.call("aten::_grouped_mm", (x, weights, ends), {})


def by_hand(x: Any, weights: Any, ends: list[int]) -> Any:
    starts = [0, *ends[:-1]]
    return optc.cat([x[start:end] @ matrix for start, end, matrix in zip(starts, ends, weights)])


@pytest.fixture(scope="module")
def fast() -> Any:
    example = optc.randn(6, 8), optc.randn(2, 8, 4), optc.tensor([2, 6], dtype=optc.int32)
    return optc.compile(optc.jit.trace(grouped, example), fallback="error")


@pytest.mark.parametrize("ends", [[2, 6], [0, 6], [6, 6], [5, 6]])
@pytest.mark.filterwarnings("error::optc.errors.OptcWarning")
def test_every_group_of_rows_meets_its_own_matrix(fast: Any, ends: list[int]) -> None:
    x, weights = optc.randn(6, 8), optc.randn(2, 8, 4)
    expected = by_hand(x, weights, ends)
    given = optc.tensor(ends, dtype=optc.int32)
    assert optc.allclose(grouped(x, weights, given), expected, atol=1e-5)
    assert optc.allclose(fast(x, weights, given), expected, atol=1e-5)


def test_groups_of_columns_and_of_what_is_summed() -> None:
    x, weights, ends = optc.randn(2, 3, 8), optc.randn(8, 6), optc.tensor([4, 6], dtype=optc.int32)
    columns = optc.cat([x[0] @ weights[:, :4], x[1] @ weights[:, 4:]], 1)
    assert optc.allclose(grouped(x, weights, ends), columns, atol=1e-5)
    left, right = optc.randn(3, 6), optc.randn(6, 5)
    summed = optc.stack([left[:, :4] @ right[:4], left[:, 4:] @ right[4:]])
    assert optc.allclose(grouped(left, right, ends), summed, atol=1e-5)


def test_offsets_are_needed_where_a_matrix_is_shared() -> None:
    with pytest.raises(RuntimeError, match="Have to provide offsets"):
        grouped(optc.randn(2, 3), optc.randn(2, 3, 4), None)
    with pytest.raises(RuntimeError, match="Offsets have to be int32"):
        grouped(optc.randn(2, 3), optc.randn(2, 3, 4), optc.tensor([1, 2]))
