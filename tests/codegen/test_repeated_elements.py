"""Elements that are copied to several places beside each other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import optc
from optc.codegen.driver.copies import copy_kernel
from optc.codegen.kernels.kernel import Loop, pairs_of_stores
from optc.codegen.kernels.native import MemoryTensor
from optc.codegen.kernels.schedule import schedule
from optc.codegen.llvm import Value
from optc.codegen.machine.host import AVX2, AVX512, Target
from optc.ir import dtypes


@pytest.mark.parametrize("target", [AVX2, AVX512], ids=lambda target: target.cpu)
def test_elements_that_are_written_twice_are_written_in_pairs(target: Target) -> None:
    pointer = Value("ptr", "%p")
    source = MemoryTensor(dtypes.FLOAT32, pointer, (100, 2), (1, 0))
    kernel = schedule(copy_kernel(source, replace(source, strides=(2, 1))), target).kernel
    (first, *_) = kernel.body
    assert isinstance(first, Loop) and first.lanes == target.lanes("float")
    assert pairs_of_stores(first)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("dtype", [optc.float32, optc.int8, optc.float64], ids=str)
def test_repeated_elements_are_those_of_numpy(axis: int, dtype: Any) -> None:
    x = (optc.rand(37, 21) * 100).to(dtype)
    fast = optc.compile(lambda x: optc.repeat_interleave(x, 2, axis), (x,), fallback="error")
    np.testing.assert_array_equal(fast(x).numpy(), np.repeat(x.numpy(), 2, axis))
    y = (optc.rand(5, 50) * 100).to(dtype)
    np.testing.assert_array_equal(fast(y).numpy(), np.repeat(y.numpy(), 2, axis))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("times", [2, 3])
def test_places_that_are_all_named_as_often_are_copied_without_a_look_at_an_index(axis: int, times: int) -> None:
    indices = optc.tensor(np.arange(12).repeat(times))
    x = optc.rand(12, 12, 12)
    fast = optc.compile(lambda x: optc.index_select(x, axis, indices), (x,), fallback="error")
    np.testing.assert_array_equal(fast(x).numpy(), x.numpy().repeat(times, axis))
    assert not any("bounds" in operator for kernel in fast.kernels for operator in kernel.operators)
