"""Numbers and lists of the script language as archives write them: complex numbers, lists of tensors, `tolist`."""

from __future__ import annotations

from typing import Any

import pytest

import optc

FUNCTIONS = """
def literal():
    numbers = {0.+1.j: 3}
    return numbers
def arithmetic(a: complex, b: float):
    return a + b, b - a, 2 * a, a ** b, a / (a + 1), a == b, a != b
def equal(a: List[Tensor], b: List[Tensor]):
    return a == b, a != b
def places(a: List[Tensor], x: Tensor):
    count = a.count(x)
    place = a.index(x)
    a.remove(x)
    return count, place, len(a)
def truths(x: Tensor):
    return annotate(List[bool], x.tolist())
def rows(x: Tensor):
    return annotate(List[List[complex]], x.tolist())
def floats(x: Tensor):
    return annotate(List[float], x.tolist())
"""


@pytest.fixture(scope="module")
def unit() -> Any:
    return optc.jit.CompilationUnit(FUNCTIONS.replace("annotate(", "torch.jit.annotate("))


def test_a_complex_literal_is_complex(unit: Any) -> None:
    assert unit.literal() == {1j: 3}
    assert "Dict[complex, int]" in unit.literal.code


def test_arithmetic_on_complex_numbers_gives_complex_numbers(unit: Any) -> None:
    a, b = 1 + 2j, 0.5
    found = unit.arithmetic(a, b)
    assert found == pytest.approx((a + b, b - a, 2 * a, a**b, a / (a + 1), False, True))
    assert "Tuple[complex, complex, complex, complex, complex, bool, bool]" in unit.arithmetic.code


def test_lists_of_tensors_are_compared_by_their_numbers(unit: Any) -> None:
    one, two = optc.ones(1), optc.tensor([2.0])
    assert unit.equal([one, two], [optc.ones(1), two]) == (True, False)
    assert unit.equal([one], [one, two]) == (False, True)
    with pytest.raises(RuntimeError, match="more than one value is ambiguous"):
        unit.equal([optc.ones(2)], [optc.ones(2)])


def test_tensors_are_found_in_lists(unit: Any) -> None:
    assert unit.places([optc.tensor(4), optc.tensor(1), optc.tensor(4)], optc.tensor(1)) == (1, 1, 2)
    with pytest.raises(RuntimeError, match="is not in list"):
        unit.places([optc.tensor(4)], optc.tensor(5))


def test_tolist_gives_what_is_annotated(unit: Any) -> None:
    assert unit.truths(optc.tensor([True, False])) == [True, False]
    assert unit.rows(optc.tensor([[1j]])) == [[1j]]
    with pytest.raises(RuntimeError, match="element type"):
        unit.truths(optc.tensor([1]))
    with pytest.raises(RuntimeError, match="half"):
        unit.floats(optc.ones(2, dtype=optc.half))
