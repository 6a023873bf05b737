"""How products are cut: what is packed on the way, and how many kernels that takes."""

from __future__ import annotations

import pytest

from optc.codegen.gemm.plan import Shape, plan_product
from optc.codegen.machine.host import AVX2, AVX512


@pytest.mark.parametrize(
    ("m", "n", "k", "copies"),
    [
        (200, 200, 200, False),
        (1000, 112, 120, False),
        (200, 128, 200, True),  # rows at a distance of 512 bytes
        (1000, 200, 600, True),  # half a megabyte
        (1000, None, 600, True),
        (40, 1000, 1000, False),  # few tiles
    ],
)
def test_rows_of_b_are_packed_on_the_way_where_they_are_far_or_compete(
    m: int, n: int | None, k: int, copies: bool
) -> None:
    assert plan_product(AVX512, Shape("float", m, n, k, "rows", "rows", k, n)).copies_b == copies


def test_narrow_vectors_pack_before() -> None:
    assert not plan_product(AVX2, Shape("float", 1000, 200, 600, "rows", "rows", 600, 200)).copies_b
