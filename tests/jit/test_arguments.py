"""What Python passes to compiled programs and gets back, as PyTorch converts it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, List, NamedTuple, Tuple, Union  # noqa: UP035  the script language takes both

import pytest

import optc
from optc.errors import ExecutionError


class Box(NamedTuple):
    place: optc.Tensor
    label: int


@optc.jit.script
class Point:
    def __init__(self, x: int, weights: List[float]):  # noqa: UP006
        self.x = x
        self.weights = weights

    def total(self) -> float:
        return self.x * sum(self.weights)


class Other:
    """Not compiled, but it holds what a point holds."""

    def __init__(self) -> None:
        self.x = 5
        self.weights = [1.0, 2.0]


def boxes(items: List[Box]) -> List[Box]:  # noqa: UP006
    return items


def parts(items: Tuple[float, int, str]):  # noqa: UP006
    return items


def which(x: Union[float, str, List[int]]):  # noqa: UP006, UP007
    if isinstance(x, float):
        return 1
    if isinstance(x, str):
        return 2
    return 3


def number(n: int, k: int = 1):
    return n


def total(point: Point):
    return point.total()


def points(n: int) -> Tuple[Point, List[Point]]:  # noqa: UP006
    first = Point(n, [0.5])
    return first, [first, Point(n + 1, [1.0])]


def elements(x: optc.Tensor):
    found: List[int] = x.tolist()  # noqa: UP006
    return found


def larger(x: optc.Tensor):
    return max(x, x)


def programs(function: Callable[..., Any]) -> list[Callable[..., Any]]:
    scripted = optc.jit.script(function)
    return [scripted, optc.compile(scripted, fallback="allow")]


def test_plain_tuples_become_named_ones() -> None:
    for program in programs(boxes):
        (found,) = program([(optc.ones(2), 3)])
        assert found.label == 3


def test_whatever_can_be_iterated_is_a_tuple() -> None:
    for program in programs(parts):
        assert program([1, 2, "a"]) == (1.0, 2, "a")


@pytest.mark.parametrize(("value", "expected"), [(1.0, 1), ("a", 2), ([1], 3), ([], 3)])
def test_members_of_unions(value: Any, expected: int) -> None:
    assert [program(value) for program in programs(which)] == [expected, expected]


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (which, (optc.tensor(1.0),), r"Expected a member of Union\[.*\] but instead found type Tensor"),
        (which, (1,), r"Expected a member of Union\[.*\] but instead found type int"),
        (number, (2**63,), "Unable to cast Python instance"),
        (parts, (5,), "is not a tuple"),
        (total, (3,), "has no attribute x"),
    ],
)
def test_refused(function: Callable[..., Any], arguments: tuple[Any, ...], message: str) -> None:
    for program in programs(function):
        with pytest.raises(RuntimeError, match=message):
            program(*arguments)


def test_an_argument_given_twice() -> None:
    for program in programs(number):
        with pytest.raises(RuntimeError, match="Argument 'n' specified both as positional and keyword argument"):
            program(1, n=1)


def test_objects_that_hold_what_a_class_declares() -> None:
    for program in programs(total):
        assert program(Point(2, [1.5])) == 3.0
        assert program(Other()) == 15.0


def test_results_are_instances_of_the_class_in_python() -> None:
    for program in programs(points):
        first, both = program(3)
        assert type(first) is Point
        assert [type(each) for each in both] == [Point, Point]
        assert [each.total() for each in both] == [1.5, 4.0]


@pytest.mark.parametrize(
    ("function", "tensor", "message"),
    [
        (elements, optc.tensor([1, 2]).int(), "must match for tolist.*: Long vs Int"),
        (elements, optc.tensor([1.0]), "must match for tolist.*: Long vs Float"),
        (larger, optc.tensor(1.0), "Cannot input a tensor of type Float as an integral argument"),
    ],
)
def test_tensors_of_another_type_are_no_ints(function: Callable[..., Any], tensor: Any, message: str) -> None:
    for program in programs(function):
        with pytest.raises(ExecutionError, match=message):
            program(tensor)
