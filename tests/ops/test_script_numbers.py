"""Numbers and lists of the script language as archives write them: complex numbers, lists of tensors, `tolist`."""

from __future__ import annotations

import cmath
import math
from typing import Any

import pytest

import optc
from optc.errors import ExecutionError
from optc.ops.sorted_numbers import sorted_numbers

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
def functions(a: complex):
    return torch.exp(a), torch.sqrt(a), torch.log(a), torch.angle(a), abs(a), -a, torch.isnan(a)
def made(a: int, b: float, c: bool):
    return complex(a, b), complex(b, c), complex(c, c), torch.polar(b, a)
def looked_up(a: complex, x: Tensor):
    numbers = {a: 1, 2j: 2}
    tensors = {x: 3}
    tensors[x] = tensors[x] + 1
    return numbers[a], 1j in numbers, tensors[x], len(tensors)
def sizes(x: Tensor):
    return abs(x)
def parsed(text: str):
    return int(text)
def parsed_float(text: str):
    return float(text)
def padded(text: str):
    return text.zfill(5)
def rows(x: Tensor):
    return annotate(List[List[complex]], x.tolist())
def ordered(numbers: List[float]):
    falling = numbers.copy()
    falling.sort(reverse=True)
    return sorted(numbers), falling
def formatted(x: float, n: int, text: str):
    return "%e|%E|%f|%F|%d|%c|%c" % (x, x, x, x, x, n, text)
def as_character(x: float):
    return "%c" % x
def hash_of_text(x: str):
    return hash(x)
def hash_of_number(x: float):
    return hash(x)
def hash_of_pair(x: Tuple[int, str], y: Tuple[int, Tuple[int, float]]):
    return hash(x), hash(y), hash(-1), hash(True)
def same_hash(x: Tensor, y: Tensor):
    return hash(x) == hash(x), hash(x) == hash(y)
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


def test_functions_of_complex_numbers(unit: Any) -> None:
    a = 1 + 2j
    expected = (cmath.exp(a), cmath.sqrt(a), cmath.log(a), cmath.phase(a), abs(a), -a, False)
    assert unit.functions(a) == pytest.approx(expected)
    assert unit.functions(complex(math.nan, 1))[-1]


def test_complex_numbers_are_made_of_two_numbers(unit: Any) -> None:
    assert unit.made(1, 2.5, True) == pytest.approx((1 + 2.5j, 2.5 + 1j, 1 + 1j, cmath.rect(2.5, 1)))


def test_complex_numbers_and_tensors_are_keys(unit: Any) -> None:
    assert unit.looked_up(1 + 1j, optc.ones(2)) == (1, False, 4, 1)
    assert unit.sizes(optc.tensor([-1.0, 2.0])).tolist() == [1.0, 2.0]


@pytest.mark.parametrize("text", ["12", " 7", "+5", "-5", "007", "9223372036854775807"])
def test_texts_of_integers_are_read(unit: Any, text: str) -> None:
    assert unit.parsed(text) == int(text)


@pytest.mark.parametrize("text", ["7 ", "- 5", "0x10", "1_0", "9223372036854775808", "", "1.5"])
def test_other_texts_are_no_integers(unit: Any, text: str) -> None:
    message = "stoll" if text in ("- 5", "", "9223372036854775808") else "invalid literal for int"
    with pytest.raises(RuntimeError, match=message):
        unit.parsed(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [(" 7", 7.0), ("1e5", 1e5), ("0x1p3", 8.0), ("-inf", -math.inf), ("Infinity", math.inf), (".5", 0.5), ("0e9", 0.0)],
)
def test_texts_of_floats_are_read(unit: Any, text: str, value: float) -> None:
    assert unit.parsed_float(text) == value


@pytest.mark.parametrize("text", ["7 ", "1_0", "", "1.5abc", "1e999", "1e-320"])
def test_other_texts_are_no_floats(unit: Any, text: str) -> None:
    with pytest.raises(RuntimeError, match="stod|could not convert"):
        unit.parsed_float(text)


def test_zeros_are_put_before_signs(unit: Any) -> None:
    assert [unit.padded(text) for text in ("-1", "abc", "toolong")] == ["000-1", "00abc", "toolong"]


def test_shares_of_drawn_windows_are_of_the_inputs_type() -> None:
    text = "def pool(x: Tensor, shares: Tensor):\n    return torch.fractional_max_pool2d(x, [2, 2], [1, 1], shares)\n"
    pool = optc.jit.CompilationUnit(text).pool
    shares = optc.full((1, 1, 2), 0.5)
    assert pool(optc.ones(1, 1, 4, 4), shares)[0].shape == (1, 1, 1, 1)
    with pytest.raises(RuntimeError, match="same dtype as input"):
        pool(optc.ones(1, 1, 4, 4), shares.double())


def test_nan_stands_where_pytorchs_sort_leaves_it(unit: Any) -> None:
    nan = math.nan
    for program in (unit.ordered, optc.compile(unit.ordered, fallback="allow")):
        assert repr(program([2.0, nan, 1.0])) == "([1.0, 2.0, nan], [1.0, nan, 2.0])"
        assert repr(program([nan, 3.0, 1.0, 2.0])) == "([nan, 1.0, 2.0, 3.0], [3.0, 2.0, 1.0, nan])"


def test_many_numbers_with_nan_are_divided_before_they_are_inserted() -> None:
    numbers = [float(place * 7 % 20) for place in range(20)]
    numbers[9] = math.nan
    expected = [*map(float, (0, 1, 2, 4, 5, 6, 7, 8, 9, 10)), math.nan, *map(float, range(11, 20))]
    assert repr(sorted_numbers(numbers)) == repr(expected)


def test_formatting_knows_exponents_and_characters(unit: Any) -> None:
    assert unit.formatted(2.5, 65, "xy") == "2.500000e+00|2.500000E+00|2.500000|2.500000|2|A|xy"
    assert unit.formatted(math.inf, 321, "") == "inf|INF|inf|inf|-2147483648|A|"
    with pytest.raises(ExecutionError, match="%c requires an int or char for formatting, but got Double"):
        unit.as_character(1.0)


def test_hashes_are_those_of_pytorch_in_every_process(unit: Any) -> None:
    assert unit.hash_of_text("a") == 4993892634952068459
    assert unit.hash_of_text("hello world, long") == -2458454629984085849
    assert unit.hash_of_text("") == 6142509188972423790
    assert [unit.hash_of_number(x) for x in (1.5, 0.0, -0.0)] == [4982507072649106663, 0, 0]
    assert unit.hash_of_pair((1, "a"), (1, (2, 1.5))) == (4993892805569072552, 4982507419460309158, -1, 1)
    assert unit.same_hash(optc.ones(2), optc.ones(2)) == (True, False)
