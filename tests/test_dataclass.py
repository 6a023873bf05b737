"""optc's `dataclass` makes what the library's makes."""

import copy
import dataclasses
import pickle
import re
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field, fields, is_dataclass, replace
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

from optc.dataclass import dataclass


@dataclass(frozen=True)
class Point:
    x: int
    y: int = 0


@dataclass(frozen=True, slots=True)
class Slotted:
    x: int
    names: tuple[str, ...] = ()


@dataclass
class Bag:
    items: list[int] = field(default_factory=list)
    seen: int = field(default=0, compare=False)
    secret: str = field(default="", repr=False)


@dataclass(frozen=True)
class Named(Point):
    name: str = "a"


@dataclass(frozen=True, eq=False)
class Identical:
    x: int


@dataclass(frozen=True, order=True)
class Version:
    major: int
    minor: int


@dataclass(frozen=True)
class Nothing:
    """Has no fields."""


@dataclass(frozen=True)
class Own:
    x: int

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Own)

    def __hash__(self) -> int:
        return 7

    def __repr__(self) -> str:
        return "own"


def library(cls: type, **arguments: bool) -> Any:
    """The same class as the library makes it."""
    space: dict[str, Any] = {"__annotations__": {item.name: item.type for item in fields(cls)}, "__module__": __name__}
    space |= {item.name: field(default=item.default, default_factory=item.default_factory, compare=item.compare,
                               repr=item.repr) for item in fields(cls)}  # type: ignore[call-overload]  # fmt: skip
    return dataclasses.dataclass(**arguments)(type(cls.__name__, (), space))  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("cls", "arguments", "values"),
    [
        (Point, {"frozen": True}, [(1, 2), (1,), (2, 1)]),
        (Slotted, {"frozen": True}, [(1, ("a",)), (1,), (1, ("b",))]),
        (Bag, {}, [([1],), ([1], 5), ([1], 0, "s"), ()]),
        (Identical, {"frozen": True, "eq": False}, [(1,), (2,)]),
        (Nothing, {"frozen": True}, [()]),
        (Version, {"frozen": True, "order": True}, [(1, 2), (1, 3), (2, 0)]),
    ],
)
def test_instances_compare_hash_and_show_as_the_librarys(
    cls: type, arguments: dict[str, bool], values: list[tuple[Any, ...]]
) -> None:
    ours = [cls(*given) for given in values + values]
    same = library(cls, **arguments)
    theirs = [same(*given) for given in values + values]
    assert list(map(repr, ours)) == list(map(repr, theirs))
    for left, other_left in zip(ours, theirs):
        assert [left == right for right in ours] == [other_left == right for right in theirs]
        assert left != 3
    hashes: list[Callable[[Any], object]] = [
        lambda item: type(item).__hash__ is None,
        lambda item: type(item).__hash__ is object.__hash__,
    ]
    assert [[ask(item) for ask in hashes] for item in ours] == [[ask(item) for ask in hashes] for item in theirs]
    if arguments.get("frozen") and arguments.get("eq", True):
        assert list(map(hash, ours)) == list(map(hash, theirs))
    if arguments.get("order"):
        assert sorted(values) == [(item.major, item.minor) for item in sorted(ours[: len(values)])]
        assert [left <= right for left in ours for right in ours] == [
            left <= right for left in theirs for right in theirs
        ]


def test_equality_asks_for_the_same_class() -> None:
    assert Named(1, 2) != Point(1, 2)
    assert Named(1, 2) == Named(1, 2, "a")
    assert Point.__eq__(Point(1), 1) is NotImplemented


def test_the_values_of_one_field_are_the_same_where_they_are_one_object() -> None:
    @dataclass(frozen=True)
    class Holds:
        value: float

    nan = float("nan")
    assert Holds(nan) == Holds(nan)


def test_methods_of_the_source_are_kept() -> None:
    assert (Own(1) == Own(2), hash(Own(1)), repr(Own(1))) == (True, 7, "own")


def test_the_library_knows_the_classes() -> None:
    assert [item.name for item in fields(Bag)] == ["items", "seen", "secret"]
    assert replace(Point(1, 2), x=5) == Point(5, 2)
    assert dataclasses.astuple(Slotted(1, ("a",))) == (1, ("a",))
    assert pickle.loads(pickle.dumps(Slotted(1))) == copy.deepcopy(Slotted(1)) == Slotted(1)
    assert not hasattr(Slotted(1), "__dict__")
    assert [item.type for item in fields(Named)] == [int, int, str]
    match Named(1, 2):
        case Named(x, y, name):
            assert (x, y, name) == (1, 2, "a")


def test_nothing_is_made_before_it_is_needed() -> None:
    @dataclass(frozen=True)
    class Waits:
        x: int
        names: list[str] = field(default_factory=list)

    assert isinstance(Waits.__dict__["names"], dataclasses.Field), "the library has seen the class"
    unused = Waits.__init__
    assert Waits(1).names == []
    assert Waits(1).names is not Waits(1).names
    assert Waits.__init__ is not unused
    assert list(signature(Waits).parameters) == ["x", "names"]


@pytest.mark.parametrize(
    "ask",
    [
        lambda cls: cls(1, 2).sum == 3,
        lambda cls: [item.name for item in fields(cls)] == ["x", "y", "z"],
        lambda cls: cls.__hash__(cls(1, 2)) == hash((1, 2, 4)),
        lambda cls: is_dataclass(cls) and replace(cls(1, 2), x=5) == cls(5, 2),
    ],
)
def test_whatever_is_asked_first_finds_the_whole_class(ask: Callable[[Any], bool]) -> None:
    @dataclass(frozen=True)
    class Base:
        x: int
        y: int

        def __post_init__(self) -> None:
            self.sum = self.x + self.y

    @dataclass(frozen=True)
    class Derived(Base):
        z: int = 4

    assert ask(Derived)


def test_wrong_arguments_are_named_by_the_first_call_too() -> None:
    @dataclass
    class Wants:
        x: int

    for _ in range(2):
        with pytest.raises(TypeError, match=re.escape("Wants.__init__() missing 1 required positional argument: 'x'")):
            Wants()  # type: ignore[call-arg]


@pytest.fixture
def quick_switches() -> Iterator[None]:
    """Threads take turns after every few instructions."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("quick_switches")
def test_threads_may_make_the_first_instances_together() -> None:
    for _ in range(100):

        @dataclass
        class Shared:
            x: int
            items: list[int] = field(default_factory=list)

        start = threading.Barrier(4)

        def make(cls: type, start: threading.Barrier = start) -> Any:
            start.wait()
            return cls(1)

        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(make, [Shared] * 4)) == [Shared(1, [])] * 4


def test_what_refers_to_itself_can_be_shown() -> None:
    bag = Bag()
    bag.items = [bag]  # type: ignore[list-item]
    assert repr(bag) == f"{Bag.__qualname__}(items=[...], seen=0)"


def test_optc_makes_its_own_dataclasses_with_it() -> None:
    root = Path(__file__).resolve().parent.parent
    files = [path for folder in ("optc", "passes", "codegen") for path in (root / folder).rglob("*.py")]
    imports = re.compile(r"^from dataclasses import .*\bdataclass\b", re.MULTILINE)
    assert len(files) > 400
    assert {path.name for path in files if imports.search(path.read_text())} <= {"dataclass.py", "data_classes.py"}
