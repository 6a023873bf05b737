"""Lists in lists, containers that a module holds, tensors that a path never makes, and forks, in compiled programs."""

from __future__ import annotations

from typing import Any

import pytest

import optc as torch

PROGRAMS = """
def first(lists: List[List[int]]):
    one = lists[0]
    one.append(5)
    return lists
def both(lists: List[List[int]]):
    one = lists[0]
    pair = [one, one]
    pair[0].append(6)
    return lists, pair
def held(numbers: List[int]):
    pair = [numbers, [1]]
    pair[0].append(7)
    return numbers, pair
def in_dictionary(numbers: List[int]):
    found = {"a": numbers, "b": numbers}
    numbers.append(8)
    found["a"].append(9)
    return found, numbers
def before(numbers: List[int]):
    pair = [numbers, numbers]
    count = len(pair[1])
    pair[1].append(4)
    pair.append([count])
    return pair
def joined(numbers: List[int]):
    more = [numbers[0]]
    more.append(7)
    whole = numbers + more
    more.append(8)
    return whole, more
def joined_with_copy(numbers: List[int]):
    more = [number for number in numbers]
    more.append(numbers[0])
    return numbers + more
def read_before(numbers: List[int], others: List[int]):
    whole = others + numbers
    others.append(5)
    listed = [others]
    others.append(len(listed))
    whole.extend(numbers)
    return whole, others, listed
def maybe(count: int) -> Optional[Tensor]:
    x: Optional[Tensor] = None
    if count > 1:
        x = torch.ones(count)
    if count > 2:
        assert x is not None
        x = x + 1
    return x
def found(x):
    for i in range(3):
        for j in range(3):
            if bool(x.sum() > 5):
                return x, i * 3 + j
            x = x + 1
    return x, -1
"""


@pytest.fixture(scope="module")
def unit() -> Any:
    return torch.jit.CompilationUnit(PROGRAMS)


@pytest.mark.parametrize(
    ("name", "argument", "expected"),
    [
        ("first", [[1], [2]], [[1, 5], [2]]),
        ("both", [[1], [2]], ([[1, 6], [2]], [[1, 6], [1, 6]])),
        ("held", [1], ([1, 7], [[1, 7], [1]])),
        ("in_dictionary", [1], ({"a": [1, 8, 9], "b": [1, 8, 9]}, [1, 8, 9])),
        ("before", [1], [[1, 4], [1, 4], [1]]),
        ("joined", [1], ([1, 1, 7], [1, 7, 8])),
        ("joined_with_copy", [1], [1, 1, 1]),
    ],
)
def test_a_list_changes_in_all_that_hold_it(unit: Any, name: str, argument: Any, expected: Any) -> None:
    function = getattr(unit, name)
    assert torch.compile(function, fallback="error")(argument) == expected == function(argument)


def test_what_was_read_before_a_change_stays(unit: Any) -> None:
    expected = ([2, 3, 1, 1], [2, 3, 5, 1], [[2, 3, 5, 1]])
    assert torch.compile(unit.read_before, fallback="error")([1], [2, 3]) == expected == unit.read_before([1], [2, 3])


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_a_tensor_that_no_path_made_is_not_read(unit: Any, count: int) -> None:
    expected = unit.maybe(count)
    found = torch.compile(unit.maybe, fallback="error")(count)
    assert (found is None) == (expected is None)
    assert found is None or torch.equal(found, expected)


def test_a_result_that_a_loop_did_not_find_is_not_read(unit: Any) -> None:
    fast = torch.compile(unit.found, fallback="error")
    for x in (torch.zeros(2), torch.full((2,), -100.0), torch.ones(9), torch.ones(100)):
        expected, found = unit.found(x.clone()), fast(x)
        assert torch.equal(found[0], expected[0]) and found[1] == expected[1]


class Journal(torch.nn.Module):
    entries: list[int]
    tensors: dict[str, torch.Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.entries = [1]
        self.tensors = {}
        self.register_buffer("total", torch.zeros(2))

    def forward(self, x):  # type: ignore[no-untyped-def]
        self.total += x
        self.entries.append(len(self.entries))
        self.tensors["n" + str(len(self.entries))] = x * 2
        return self.total + len(self.tensors), self.entries


def test_containers_that_a_module_holds_are_changed_in_place() -> None:
    plain, module = torch.jit.script(Journal()), torch.jit.script(Journal())
    entries = module._object.values["entries"] if hasattr(module, "_object") else None
    fast = torch.compile(module, fallback="allow")
    for _ in range(3):
        expected, found = plain(torch.ones(2)), fast(torch.ones(2))
        assert torch.equal(found[0], expected[0]) and found[1] == expected[1]
    assert module.entries == plain.entries == [1, 1, 2, 3]
    assert list(module.tensors) == list(plain.tensors)
    assert entries is None or entries == [1, 1, 2, 3]


class Forking(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(2, 2)
        self.calls = 0

    def scaled(self, x, factor: int):  # type: ignore[no-untyped-def]
        self.calls += 1
        return self.linear(x) * factor

    def forward(self, x):  # type: ignore[no-untyped-def]
        one = torch.jit.fork(self.linear, x)
        two = torch.jit.fork(self.scaled, x, 3)
        several = [torch.jit.fork(self.scaled, x, i) for i in range(2)]
        total = torch.jit.wait(one) + torch.jit.wait(two)
        for future in several:
            total = total + torch.jit.wait(future)
        return total, self.calls


def refuse(x):  # type: ignore[no-untyped-def]
    if x.numel() > 1:
        raise ValueError("forked")
    return x


def waiting(x, waits: bool):  # type: ignore[no-untyped-def]
    refused = torch.jit.fork(refuse, x)
    if waits:
        x = x + torch.jit.wait(refused)
    return x


def test_forks_run_in_native_code() -> None:
    plain, module = torch.jit.script(Forking()), torch.jit.script(Forking())
    module.load_state_dict(plain.state_dict())
    fast = torch.compile(module, fallback="error")
    for _ in range(2):
        expected, found = plain(torch.ones(1, 2)), fast(torch.ones(1, 2))
        assert torch.allclose(found[0], expected[0]) and found[1] == expected[1]


def test_a_fork_fails_when_somebody_waits() -> None:
    fast = torch.compile(torch.jit.script(waiting), fallback="allow")
    assert torch.equal(fast(torch.ones(2), False), torch.ones(2))
    with pytest.raises(RuntimeError, match="forked"):
        fast(torch.ones(2), True)
