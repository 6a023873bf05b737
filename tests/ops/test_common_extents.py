"""The extent of what is computed from tensors whose extents are equal or 1, as only running tells."""

from __future__ import annotations

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optc.ir.dims import Dim, minimum, substitute, symbol
from optc.ops.common_extents import common_extent

NAMES = ("u0", "u1", "u2", "u3")
EXTENTS: list[Dim] = [*map(symbol, NAMES[:3]), symbol("u3") * 2 + 1]


@given(
    places=st.lists(st.integers(0, 3), min_size=1, max_size=6),
    extent=st.integers(0, 9),
    single=st.lists(st.booleans(), min_size=4, max_size=4),
)
def test_it_is_the_one_extent_that_is_not_1(places: list[int], extent: int, single: list[bool]) -> None:
    extent = extent * 2 + 1 if single[3] is False and 3 in places else extent
    chosen = [1 if one else extent for one in single]
    bindings: dict[str, Dim] = dict(zip(NAMES, [*chosen[:3], (chosen[3] - 1) // 2]))
    found = substitute(reduce(common_extent, [EXTENTS[place] for place in places]), bindings)
    wanted = {chosen[place] for place in places} - {1}
    assert found == (wanted.pop() if wanted else 1)


@pytest.mark.parametrize("first", range(4))
def test_what_met_an_extent_before_stays_as_it_is(first: int) -> None:
    met = reduce(common_extent, EXTENTS)
    assert common_extent(met, EXTENTS[first]) is met
    assert common_extent(EXTENTS[first], met) is met
    assert common_extent(met, common_extent(EXTENTS[first], EXTENTS[first - 1])) is met


def test_a_known_extent_is_the_common_one() -> None:
    assert common_extent(symbol("u0"), 4) == 4
    assert common_extent(0, symbol("u0")) == 0


@given(extent=st.integers(0, 9), most=st.integers(1, 9))
def test_what_is_left_of_an_extent_has_that_extent_where_they_may_meet(extent: int, most: int) -> None:
    whole, left = symbol("u0"), minimum(symbol("u0"), most)
    assert common_extent(whole, left) == common_extent(left, whole) == whole
    meet = {extent, min(extent, most)} - {1}
    assert len(meet) > 1 or meet <= {extent}


def test_of_what_is_left_of_an_extent_nothing_may_be() -> None:
    assert common_extent(symbol("u0"), minimum(symbol("u0"), symbol("u1"))) != symbol("u0")
