"""bfloat16 is native on every processor: LLVM sees sixteen bits, and calls no library for them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import optc
from optc import Tensor
from optc.nn import functional

PROGRAMS: dict[str, Callable[[Tensor], Tensor]] = {
    "pointwise": lambda x: x.floor() + x * 2.5,
    "compared": lambda x: optc.where(x > 0.5, x, 0.0),
    "largest": lambda x: x.max(),
    "smallest of rows": lambda x: x.amin(-1),
    "sum": lambda x: x.sum(0),
    "row kernel": lambda x: functional.layer_norm(x, (12,)),
    "product": lambda x: x @ x.t(),
    "window": lambda x: functional.max_pool1d(x[None], 2),
    "of integers": lambda x: (x * 10).to(optc.int64).to(optc.bfloat16),
    "of doubles": lambda x: x.double().to(optc.bfloat16),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_are_native_and_exact_to_the_last_bits(name: str) -> None:
    program, x = PROGRAMS[name], (optc.arange(96).reshape(8, 12) / 96).to(optc.bfloat16)
    fast = optc.compile(program, example_inputs=(x,), fallback="error")
    assert optc.allclose(fast(x).float(), program(x).float(), rtol=2.0**-7, atol=2.0**-7)
