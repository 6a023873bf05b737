"""Reductions over rows: every number of rows and columns, narrow columns in registers, wide ones through scratch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import optc
from optc.codegen.kernels.kernel import Accumulate, Buffer, Define, Kernel, Loop, Store, load, local, verify_kernel
from optc.codegen.kernels.tall_columns import split_tall_columns
from optc.codegen.machine.host import AVX512, NEON
from optc.ir.dims import symbol
from optc.ir.dtypes import FLOAT32
from optc.ops.scalar import function, literal, variable

I, J, ROW_COUNT = symbol("i"), symbol("j"), symbol("rows")
ROWS, COLUMNS = (1, 4, 5, 33, 131), (1, 3, 16, 30, 127, 129, 200, 257, 2500)
REDUCTIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "sums": (lambda x: x.sum(0), lambda x: x.sum(0)),
    "of squares, added to means": (lambda x: (x * x).sum(0) + x.mean(0), lambda x: (x * x).sum(0) + x.mean(0)),
    "extremes": (lambda x: x.amax(0) - x.amin(0), lambda x: x.max(0) - x.min(0)),
    "places": (lambda x: x.argmax(0), lambda x: x.argmax(0)),
    "running sums": (lambda x: x.cumsum(0), lambda x: x.cumsum(0)),
    "softmax": (lambda x: optc.softmax(x, 0), lambda x: np.exp(x) / np.exp(x).sum(0)),
}


@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("name", REDUCTIONS)
def test_agrees_with_numpy(name: str, columns: int) -> None:
    ours, expected = REDUCTIONS[name]
    for rows in ROWS:
        x = np.random.default_rng(rows).standard_normal((rows, columns)).astype(np.float32)
        tensor = optc.from_numpy(x)
        found = optc.compile(ours, (tensor,), fallback="error")(tensor).numpy()
        np.testing.assert_allclose(found, expected(x.astype(np.float64)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("columns", "sums"), [(3, 4), (16, 4), (17, 2), (32, 2), (33, 1), (64, 1)])
def test_few_columns_have_several_sums_each(columns: int, sums: int) -> None:
    """With one, every addition waits for the one before; more columns have others to wait for."""
    x, out = Buffer("x", FLOAT32, "input"), Buffer("out", FLOAT32, "output")
    add = function("add", variable(0, FLOAT32), variable(1, FLOAT32))
    rows = Loop("i", 0, ROW_COUNT, 1, (Accumulate("total", add, load(x, I * columns + J)),))
    body = (Define("total", literal(0.0, FLOAT32)), rows, Store("out", J, local("total", FLOAT32)))
    kernel = Kernel("sums", (x, out), ("rows",), (Loop("j", 0, columns, 1, body, lanes=1),))
    found = split_tall_columns(kernel, AVX512)
    verify_kernel(found)
    assert str(found).count("add= x[") == (sums + 1 if sums > 1 else 1)
    assert f"total.s{sums - 1} = 0.0" in str(found) or sums == 1
    assert (split_tall_columns(kernel, NEON) == kernel) == (columns > 8)


def test_a_norm_of_each_channel_leaves_channels_beside_each_other() -> None:
    """Between convolutions, which compute rows of channels: nothing is turned around but the result."""
    optc.manual_seed(0)
    layers = optc.nn.Sequential(
        optc.nn.Conv1d(1, 32, 10, 5, bias=False), optc.nn.GroupNorm(32, 32), optc.nn.GELU(), optc.nn.Conv1d(32, 8, 3, 2)
    )
    x = optc.from_numpy(np.random.default_rng(0).standard_normal((1, 1, 400)).astype(np.float32))
    compiled = optc.compile(layers, (x,), fallback="error")
    np.testing.assert_allclose(compiled(x).detach().numpy(), layers(x).detach().numpy(), rtol=1e-4, atol=1e-4)
    assert sum(kernel.operators == ["copy"] for kernel in compiled.kernels) <= 1


@pytest.mark.parametrize("is_dynamic", [False, True])
@pytest.mark.parametrize("shape", [(20000, 33), (20000, 3), (20000, 300)])
def test_sums_of_tall_columns_are_as_good_as_those_of_rows(shape: tuple[int, int], is_dynamic: bool) -> None:
    x = np.random.default_rng(0).random(shape, dtype=np.float32)
    found = optc.compile(lambda x: x.sum(0), (optc.from_numpy(x),), dynamic=is_dynamic)(x)
    exact = x.sum(0, dtype=np.float64)
    assert np.max(np.abs(np.asarray(found) - exact) / exact) < 6e-7


@pytest.mark.parametrize("is_dynamic", [False, True])
@pytest.mark.parametrize(
    ("shape", "dims"),
    [((3000, 5, 9), (0, 2)), ((100, 3, 2000), (0, 2)), ((3000, 9, 20), (0, 1)), ((40, 40, 2, 30), (0, 1, 3))],
)
def test_sums_over_several_dimensions_are_as_good(
    shape: tuple[int, ...], dims: tuple[int, ...], is_dynamic: bool
) -> None:
    x = np.random.default_rng(0).random(shape, dtype=np.float32)
    found = optc.compile(lambda x: x.sum(dims), (optc.from_numpy(x),), dynamic=is_dynamic)(x)
    exact = x.sum(dims, dtype=np.float64)
    assert np.max(np.abs(np.asarray(found) - exact) / exact) < 4e-7


def test_sums_of_columns_with_gaps_are_as_good() -> None:
    x = np.random.default_rng(0).random((20000, 66), dtype=np.float32)
    found = optc.compile(lambda x: x[:, ::2].sum(0), (optc.from_numpy(x),))(x)
    exact = x[:, ::2].sum(0, dtype=np.float64)
    assert np.max(np.abs(np.asarray(found) - exact) / exact) < 4e-7
