"""Operands that are copied first: for as long as somebody reads the copy, in memory that the next one takes."""

from __future__ import annotations

from typing import Any

import pytest

import optc
from optc import nn
from optc.codegen.native_program import NativeProgram
from optc.codegen.program import generate

EXTENT = 16
BLOCK = 4 * EXTENT**3


class Turning(nn.Module):
    """Products whose left operand lies in no order that a product can read."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.weight = nn.Parameter(optc.randn(EXTENT, EXTENT, EXTENT))

    def forward(self, x: Any) -> Any:
        for _ in range(self.steps):
            x = optc.bmm(x.transpose(0, 2), self.weight).relu()
        return x


def images(layers: int) -> NativeProgram:
    """Convolutions of as many images as there are."""
    module = nn.Sequential(*[nn.Conv2d(8, 8, 3, padding=1) for _ in range(layers)])
    fast = optc.compile(optc.jit.trace(module, (optc.randn(2, 8, 9, 9),)))
    for batch in (2, 3):
        fast(optc.randn(batch, 8, 9, 9))
    return generate(fast.graph)


@pytest.mark.parametrize("steps", [4, 12])
def test_the_next_copy_lies_where_the_last_one_lay(steps: int) -> None:
    module, x = Turning(steps), optc.randn(EXTENT, EXTENT, EXTENT)
    fast = optc.compile(optc.jit.trace(module, (x,)))
    assert optc.allclose(fast(x), module(x), rtol=1e-4, atol=1e-4 * float(module(x).abs().max()))
    assert generate(fast.graph).arena_bytes < 4 * BLOCK


def test_code_of_programs_with_unknown_extents_grows_with_their_length() -> None:
    """Where a run may fail, it gives back all that it holds; what that is must not be written down there."""
    short, long = (sum(map(len, images(layers).texts.values())) for layers in (12, 24))
    assert long < 2.2 * short


def test_a_view_of_a_copy_keeps_it() -> None:
    def program(x: Any) -> Any:
        rows = x.t().reshape(-1, 64)
        doubled = optc.mm(rows, rows.t().contiguous())
        return doubled, rows.flatten()[5:] + 1

    x = optc.randn(64, 96)
    fast = optc.compile(optc.jit.trace(program, (x,)))
    for given in (x, optc.randn(64, 48), optc.randn(64, 32)):
        for mine, expected in zip(fast(given), program(given), strict=True):
            assert optc.allclose(mine, expected, rtol=1e-4, atol=1e-3)
