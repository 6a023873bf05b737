"""Convolutions whose channels come in groups: one product that reads all windows where they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optc
from optc.codegen.kernels.native import REGISTER_ELEMENTS
from optc.nn import functional

PROGRAMS: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "whole vectors": ((2, 64, 9, 12), (64, 16, 3, 3), {"padding": 1, "groups": 4}),
    "parts of vectors": ((2, 40, 9, 12), (60, 8, 3, 3), {"padding": 1, "groups": 5}),
    "few channels": ((2, 32, 9, 12), (32, 4, 3, 3), {"padding": 1, "groups": 8}),
    "wide": ((1, 48, 6, 5), (200, 24, 3, 3), {"padding": 1, "groups": 2}),
    "steps and gaps": ((3, 16, 15, 14), (16, 8, 3, 3), {"stride": 2, "padding": 2, "dilation": 2, "groups": 2}),
    "sums in parts": ((1, 72, 30), (48, 36, 16), {"padding": 8, "groups": 2}),
    "volumes": ((2, 16, 5, 6, 7), (32, 8, 3, 3, 3), {"padding": 1, "groups": 2}),
    "one place": ((1, 32, 1, 1), (32, 8, 3, 3), {"padding": 1, "groups": 4}),
    "filters of one element": ((2, 64, 7, 9), (48, 16, 1, 1), {"groups": 4}),
    "of every other place": ((2, 64, 7, 9), (48, 16, 1, 1), {"stride": 2, "groups": 4}),
}


def numbers(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def program_of(name: str, weight: Any, bias: Any) -> Any:
    shape, _, arguments = PROGRAMS[name]
    function = getattr(functional, f"conv{len(shape) - 2}d")

    class Program(optc.nn.Module):
        def forward(self, x):  # type: ignore[no-untyped-def]
            y = function(optc.tanh(x), weight, bias, **arguments)
            return optc.relu(y) * 0.5

    return Program()


@pytest.mark.parametrize("name", PROGRAMS)
def test_groups_are_computed_in_one_product(name: str) -> None:
    shape, filters, _ = PROGRAMS[name]
    program = program_of(name, optc.from_numpy(numbers(*filters)), optc.from_numpy(numbers(filters[0])))
    x = optc.from_numpy(numbers(*shape))
    compiled = optc.compile(program, (x,), fallback="error")
    found = compiled(x).numpy()
    np.testing.assert_allclose(found, program(x).numpy(), rtol=1e-4, atol=1e-4)
    (product,) = [kernel for kernel in compiled.kernels if "prim::GroupProducts" in kernel.operators]
    if found.size > REGISTER_ELEMENTS:
        assert product.operators == ["prim::GroupProducts", "aten::add", "aten::relu", "aten::mul"]
    for extra in (0, 3):  # other extents; images that were there have the same bits
        more = np.concatenate([numbers(extra, *shape[1:]), x.numpy()])
        np.testing.assert_array_equal(compiled(optc.from_numpy(more)).numpy()[extra:], found)


@pytest.mark.parametrize("name", ["whole vectors", "parts of vectors", "few channels", "filters of one element"])
def test_filters_may_be_arguments(name: str) -> None:
    shape, filters, arguments = PROGRAMS[name]

    def program(x: Any, weight: Any) -> Any:
        return functional.conv2d(x, weight, **arguments)

    x, plain = optc.from_numpy(numbers(*shape)), optc.from_numpy(numbers(*filters))
    turned = optc.from_numpy(numbers(filters[1], filters[0], *filters[2:])).permute(1, 0, 2, 3)
    compiled = optc.compile(program, (x, plain), fallback="error")
    for weight in (plain, turned):
        np.testing.assert_allclose(compiled(x, weight).numpy(), program(x, weight).numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
def test_other_element_types(dtype: str) -> None:
    shape, filters, arguments = PROGRAMS["whole vectors"]
    tolerance = {"float64": 1e-12, "float16": 1e-2, "bfloat16": 1e-1}[dtype]
    x, weight = (optc.from_numpy(numbers(*extents)).to(getattr(optc, dtype)) for extents in (shape, filters))

    def program(x: Any, weight: Any) -> Any:
        return functional.conv2d(x, weight, **arguments)

    found = optc.compile(program, (x, weight), fallback="error")(x, weight).to(optc.float64)
    np.testing.assert_allclose(
        found.numpy(), program(x, weight).to(optc.float64).numpy(), rtol=tolerance, atol=tolerance
    )


def test_infinity_stays_in_its_group() -> None:
    """What other groups sum has no part of it: not even times zero."""
    x, weight = numbers(1, 16, 5, 5), optc.from_numpy(numbers(16, 4, 3, 3))
    x[0, 5, 2, 2] = np.inf
    arguments = (optc.from_numpy(x),)
    compiled = optc.compile(lambda x: functional.conv2d(x, weight, padding=1, groups=4), arguments, fallback="error")
    found = compiled(*arguments).numpy()
    assert np.isfinite(found[:, :4]).all() and np.isfinite(found[:, 8:]).all()
    assert not np.isfinite(found[:, 4:8]).all()


def test_results_lie_in_the_frame_of_the_next_convolution() -> None:
    first, second = optc.from_numpy(numbers(32, 8, 3, 3)), optc.from_numpy(numbers(16, 32, 3, 3))

    def program(x: Any) -> Any:
        y = optc.relu(functional.conv2d(x, first, padding=1, groups=4))
        return functional.conv2d(y, second, padding=1)

    x = optc.from_numpy(numbers(2, 32, 9, 11))
    compiled = optc.compile(program, (x,), fallback="error")
    np.testing.assert_allclose(compiled(x).numpy(), program(x).numpy(), rtol=1e-4, atol=1e-3)
    (grouped,) = [kernel for kernel in compiled.kernels if "prim::GroupProducts" in kernel.operators]
    assert "places" in grouped.name


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_threads_share_the_groups(name: str) -> None:
    shape, filters, _ = PROGRAMS[name]
    program = program_of(name, optc.from_numpy(numbers(*filters)), optc.from_numpy(numbers(filters[0])))
    x = optc.from_numpy(np.concatenate([numbers(*shape)] * 8))
    compiled, before = optc.compile(program, (x,), fallback="error"), optc.get_num_threads()
    found = []
    for threads in (1, 2):
        optc.set_num_threads(threads)
        found.append(compiled(x).numpy().copy())
    optc.set_num_threads(before)
    np.testing.assert_array_equal(*found)
