"""Sorting: rows of every length and element type, on one thread and several, against numpy's stable order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optc
from optc import jit
from optc.codegen.operators.sorting_routines import SHORT, Order
from optc.ir import dtypes
from optc.ops.ordering import sorted_places

LENGTHS = (1, 2, SHORT, SHORT + 1, 300)
NAMES = ("float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")


def hurting(name: str, *shape: int) -> np.ndarray[Any, Any]:
    """Numbers with many that are equal, and those that have an order of their own."""
    random = np.random.default_rng([len(name), *shape])
    values = random.integers(-40, 40, shape) / 2
    if dtypes.BY_NAME[name].kind == "float":
        chosen = random.integers(0, 8, shape)
        for number, special in enumerate((np.nan, np.inf, -np.inf, -0.0)):
            values[chosen == number] = special
    return (values % 2 > 0 if name == "bool" else values).astype(dtypes.BY_NAME[name].numpy)


def ascending(x):
    values, places = optc.sort(x, -1)
    return values, places


def descending(x):
    values, places = optc.sort(x, 0, True)
    return values, places


def smallest(x):
    values, places = optc.topk(x, 1, -1, False)
    return values, places


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("program", "axis", "down"), [(ascending, -1, False), (descending, 0, True)])
def test_rows_are_in_the_stable_order(program: Any, axis: int, down: bool, name: str) -> None:
    fast = optc.compile(jit.script(program), dynamic=True)
    for length in LENGTHS:
        x = hurting(name, *((2, length) if axis else (length, 2)))
        values, places = fast(x)
        expected = sorted_places(x, axis % 2, down)
        assert np.array_equal(places, expected)
        assert np.asarray(values).tobytes() == np.take_along_axis(x, expected, axis).tobytes()
    assert not fast.fallbacks


def test_the_few_smallest_are_the_first_of_all() -> None:
    fast = optc.compile(jit.script(smallest))
    x = hurting("float32", 3, 70)
    values, places = fast(x)
    order = sorted_places(x, 1, False)
    assert (
        np.array_equal(places, order[:, :1])
        and np.asarray(values).tobytes() == np.take_along_axis(x, order[:, :1], 1).tobytes()
    )


def largest(x, k: int):
    values, places = optc.topk(x, k, -1)
    return values, places


@pytest.mark.parametrize("name", [name for name in NAMES if name != "bool"])
def test_a_part_of_a_long_row_is_the_first_of_all(name: str) -> None:
    """Numbers that differ in all of their bytes, in some of them, and in none; parts that end among equal ones."""
    random = np.random.default_rng(len(name))
    spread = random.standard_normal((3, 700)) * 10.0 ** random.integers(-3, 3, (3, 700))
    rows = [
        hurting(name, 3, 700),
        np.ones((3, 700)),
        spread * 20,
        random.random((3, 700)),
        np.arange(2100).reshape(3, 700) % 256,
    ]
    fast = optc.compile(jit.script(largest))
    for row in rows:
        with np.errstate(all="ignore"):
            x = np.asarray(row).clip(0 if name == "uint8" else -100, 100).astype(dtypes.BY_NAME[name].numpy)
        for k in (65, 90, 175, 176):
            values, places = fast(x, k)
            order = sorted_places(x, 1, True)[:, :k]
            assert np.array_equal(places, order)
            assert np.asarray(values).tobytes() == np.take_along_axis(x, order, 1).tobytes()
    assert not fast.fallbacks


def test_threads_sort_rows_of_their_own() -> None:
    fast = optc.compile(jit.script(ascending), threads=2)
    x = hurting("float32", 50, 400)
    assert np.array_equal(fast(x)[1], sorted_places(x, 1, False))


def test_a_function_is_made_once_for_an_element_type_and_a_direction() -> None:
    assert Order(dtypes.FLOAT32, False).name != Order(dtypes.FLOAT32, True).name != Order(dtypes.INT32, True).name
    assert "i128" in str(Order(dtypes.FLOAT64, False).module()) and "i128" not in str(
        Order(dtypes.FLOAT32, False).module()
    )
