"""How much LLVM does for a module: much for what computes, little for what calls."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import optc
from optc import Tensor
from optc.codegen.gemm.driver import product_modules
from optc.codegen.gemm.plan import Plan
from optc.codegen.gemm.product import Gemm
from optc.codegen.gemm.tiles import Tile
from optc.codegen.machine import jit
from optc.codegen.machine.effort import LARGE_TEXT, effort_for
from optc.codegen.machine.host import AVX2, AVX512, NEON
from optc.codegen.program import generate


def chain(x: Tensor) -> Tensor:
    return (optc.tanh(x) @ x.t()).softmax(1)


def small(x: Tensor) -> Tensor:
    return optc.tanh(x[:2, :4]) * 2.0


def steps(x: Tensor) -> Tensor:
    h = x
    for row in range(x.size(0)):
        h = optc.tanh(h * x[row])
    return h


def texts_of(program: Callable[[Tensor], Tensor]) -> list[str]:
    """The driver's module, and those of kernels."""
    compiled = optc.compile(optc.jit.script(program), fallback="error")
    compiled(optc.from_numpy(np.ones((64, 64), np.float32)))
    return list(generate(compiled.graph).texts.values())


def test_large_drivers_are_spared_value_numbering() -> None:
    """A function of 100,000 loads and stores took LLVM's gvn 15 GB."""
    assert "gvn" in effort_for("; small", AVX2).passes
    assert "gvn" not in effort_for(";" * (LARGE_TEXT + 1), AVX2).passes


def test_a_driver_that_only_calls_is_emitted_fast() -> None:
    driver, *kernels = texts_of(chain)
    assert effort_for(driver, AVX512).level == 0
    assert effort_for(driver, NEON).level == 2
    assert kernels and all(effort_for(text, AVX512).level == 1 for text in kernels)


@pytest.mark.parametrize("program", [small, steps])
def test_a_driver_that_computes_is_emitted_well(program: Callable[[Tensor], Tensor]) -> None:
    assert effort_for(texts_of(program)[0], AVX512).level == 1


def test_a_driver_with_loops_is_emitted_fast_where_it_is_large() -> None:
    driver = texts_of(steps)[0]
    assert effort_for(driver + ";" * LARGE_TEXT, AVX512).level == 0


def test_what_is_no_driver_is_emitted_well() -> None:
    assert effort_for("define void @kernel() {\n  ret void\n}\n", AVX512).level == 1


def test_the_key_of_an_object_tells_the_effort() -> None:
    driver = texts_of(chain)[0]
    assert jit.object_key(driver, AVX512) != jit.object_key(driver, AVX2)


def product(x: Tensor, w: Tensor) -> Tensor:
    return optc.relu(x @ w)


def texts_of_product(steps: int) -> dict[str, str]:
    compiled = optc.compile(optc.jit.script(product), fallback="error")
    compiled(optc.ones(40, steps), optc.ones(steps, 100))
    return generate(compiled.graph).texts


def test_kernels_of_products_are_only_tidied() -> None:
    kernels = [text for name, text in texts_of_product(80).items() if name.startswith("gemm_")]
    assert kernels
    for text in kernels:
        effort = effort_for(text, jit.host_target())
        assert (effort.level, "instcombine" in effort.passes) == (1, False)
        assert effort_for(text, NEON).level == 2


@pytest.mark.parametrize(("steps", "level"), [(130, 0), (80, 1)])
def test_the_driver_of_a_product_is_emitted_fast_where_its_kernels_are_long(steps: int, level: int) -> None:
    plain = Gemm("float", Plan(Tile(6, 2, 8), 6), 40, 100, steps)
    assert effort_for(str(product_modules(plain)[plain.name]), AVX2).level == level


def test_the_driver_of_a_product_that_may_pack_is_emitted_well() -> None:
    packing = Gemm("float", Plan(Tile(6, 2, 8), 6, few=Tile(3, 1, 4), few_along=8), 40, None, 130, source="rows")
    assert effort_for(str(product_modules(packing)[packing.name]), AVX2).level == 1
