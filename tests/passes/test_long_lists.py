"""Long lists of known numbers: what passes find out about them, and how much they do for one number more."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest

import optc
from optc.ir import dtypes
from optc.ir.dims import symbol
from optc.ir.types import BOOL, FLOAT, INT, IntType
from optc.ops import registry
from optc.passes.joins import Joins
from optc.passes.pipelines import optimize

NUMBERS = {
    "bool": ([False, True], dtypes.BOOL),
    "int": ([True, 2, False], dtypes.INT64),
    "float": ([1, 2.5, True], dtypes.FLOAT32),
    "complex": ([1j, 2.5, 3], dtypes.COMPLEX64),
    "none": ([], dtypes.FLOAT32),
    "nested": ([[1, 2], [True, 4.0]], dtypes.FLOAT32),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_the_highest_kind_of_number_decides(name: str) -> None:
    numbers, expected = NUMBERS[name]
    tensor = registry.lookup("aten::tensor")
    assert tensor is not None
    assert tensor.infer(numbers, None, None, False).dtype is expected


def test_elements_of_a_list_have_values_of_their_own() -> None:
    joins = Joins({})
    for types in ([IntType(3), IntType(4)], [INT, INT], [IntType(3), IntType(4), IntType(3)]):
        joined = joins.all(types)
        assert isinstance(joined, IntType) and joined.dim == symbol("*")
    same = joins.all([IntType(3), IntType(3)])
    assert isinstance(same, IntType) and same.dim == 3
    assert str(joins.all([FLOAT, FLOAT, BOOL, FLOAT, BOOL])) == str(joins.all([FLOAT, BOOL]))


def _program(count: int) -> Any:
    numbers = ", ".join(str(place * 7 % 100) for place in range(count))
    unit = optc.jit.CompilationUnit(f"def f(x: Tensor):\n    return x + torch.tensor([{numbers}])\n")
    return unit.f


def _calls(count: int) -> int:
    """How many Python functions run while passes work on a list of so many numbers."""
    program = _program(count)
    types = [optc.ops.abstract.tensor_type_of(optc.ones(count)._array)]
    made = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal made
        made += event == "call"

    sys.setprofile(note)
    try:
        optimize(program.graph, input_types=types)
    finally:
        sys.setprofile(None)
    return made


def test_a_number_more_is_little_work() -> None:
    _calls(64)
    per_number = (_calls(2500) - _calls(1500)) / 1000
    assert per_number < 45
