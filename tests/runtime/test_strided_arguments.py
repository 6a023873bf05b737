"""Arguments with gaps, or in another order, are copied by native code, whatever their extents and elements."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import optc
from optc.codegen.entry import python_layout
from optc.codegen.entry.function import entry_texts
from optc.runtime.compiled import CompiledFunction

pytestmark = pytest.mark.skipif(not python_layout.is_supported(), reason="this interpreter has no native entry")

Array = np.ndarray[Any, Any]
SHAPES = [(7,), (9, 70), (64, 300), (17, 8, 33), (2, 9, 10, 12), (1, 40, 1, 9)]
TYPES = ["float32", "float64", "float16", "int8", "int32"]


def twice(x: optc.Tensor) -> optc.Tensor:
    return x + x


def orders(shape: tuple[int, ...], dtype: str) -> list[Array]:
    """Arrays of one shape: every order of dimensions in memory, every other element, backwards, one row many times."""
    numbers = (np.arange(np.prod(shape)) % 50).astype(dtype).reshape(shape)
    found = [numbers[::-1], np.repeat(numbers, 2, -1)[..., ::2], np.repeat(numbers, 3, 0)[::3]]
    for order in itertools.permutations(range(len(shape))):
        laid = np.ascontiguousarray(numbers.transpose(order))
        found.append(laid.transpose(np.argsort(order)))
        found.append(np.repeat(laid, 2, 0)[::2].transpose(np.argsort(order)))
    return [*found, np.broadcast_to(numbers[:1], shape)]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_elements_arrive_in_their_places(shape: tuple[int, ...], dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = optc.compile(twice)
    fast(np.zeros(shape, dtype))
    monkeypatch.setattr(CompiledFunction, "_dispatch", None)  # nothing goes through Python
    for array in orders(shape, dtype):
        np.testing.assert_array_equal(fast(array), array + array)


def test_columns_are_turned_in_registers() -> None:
    """Eight of eight four-byte elements, which become rows in three steps."""
    rare = entry_texts()[0]
    assert rare.count("shufflevector <8 x i32>") == 24
