"""Shapes of which only running tells whether they fit: native code checks, and fails as the program itself does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optc as torch


@torch.jit.script
def square(x: torch.Tensor) -> torch.Tensor:
    return x[x > 0].view([2, 3]).sum(0)


@torch.jit.script
def visible(x: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
    return x[~hidden].reshape(x.size(0), -1, x.size(2)) * 2


@torch.jit.script
def in_rows(x: torch.Tensor, rows: int) -> torch.Tensor:
    return x[x > 0].view(rows, -1) + 1


def batch(size: int, shown: int) -> tuple[Any, Any]:
    hidden = np.ones((size, 5), bool)
    for row in range(size):
        hidden[row, (np.arange(shown) * 2 + row) % 5] = False
    return torch.arange(size * 5 * 3).reshape(size, 5, 3).float(), torch.from_numpy(hidden)


def test_what_fits_is_seen_in_the_shape() -> None:
    fast = torch.compile(square, fallback="error")
    assert fast(torch.tensor([1.0, -1, 2, 3, 4, 5, -2, 6])).tolist() == [5.0, 7.0, 9.0]
    assert fast(torch.tensor([6.0, -1, 5, 4, 3, 2, -2, 1])).tolist() == [9.0, 7.0, 5.0]


def test_the_open_dimension_is_worked_out() -> None:
    fast = torch.compile(visible, fallback="error")
    for size, shown in ((2, 3), (2, 2), (3, 3), (3, 0)):
        given = batch(size, shown)
        expected = visible(*given)
        found = fast(*given)
        assert found.shape == expected.shape == (size, shown, 3)
        assert torch.equal(found, expected)


@pytest.mark.parametrize("numbers", [[1.0, 2, 3], [-1.0, -2, -3], [1.0, 2, 3, 4, 5, 6, 7]])
def test_what_does_not_fit_is_refused_in_the_words_of_the_program(numbers: list[float]) -> None:
    fast = torch.compile(square, fallback="error")
    with pytest.raises(RuntimeError, match=r"shape '\[2, 3\]' is invalid for input of size"):
        fast(torch.tensor(numbers))


def test_sizes_that_only_the_call_tells() -> None:
    fast = torch.compile(in_rows, fallback="error")
    for rows in (2, 3, 6):
        assert fast(torch.arange(7.0), rows).shape == (rows, 6 // rows)
    for rows, numbers in (
        (4, torch.arange(7.0)),
        (0, torch.zeros(7)),
        (-1, torch.arange(7.0)),
        (-2, torch.arange(7.0)),
    ):
        with pytest.raises(RuntimeError) as mine:
            fast(numbers, rows)
        with pytest.raises(RuntimeError) as expected:
            in_rows(numbers, rows)
        assert str(mine.value).splitlines()[-1] == str(expected.value).splitlines()[-1]


@torch.jit.script
def expanded(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    shown, wide = x[x > 0], y[y > 0]
    return shown.view(-1, 1).expand(wide.size(0), 3) + wide.unsqueeze(1)


@pytest.mark.parametrize(
    ("x", "y"), [([1.0, 2], [3.0, 4]), ([1.0, -1], [3.0, 4, 5]), ([1.0], [2.0]), ([1.0], []), ([-1.0], [])]
)
def test_extents_that_are_equal_or_one_are_expanded(x: list[float], y: list[float]) -> None:
    fast = torch.compile(expanded, fallback="error")
    given = torch.tensor([*x, -9.0]), torch.tensor([*y, -9.0])
    assert torch.equal(fast(*given), expanded(*given))


def test_extents_that_differ_are_refused_in_the_words_of_the_program() -> None:
    fast = torch.compile(expanded, fallback="error")
    with pytest.raises(RuntimeError, match=r"The expanded size of the tensor \(3\) must match the existing size \(2\)"):
        fast(torch.tensor([1.0, 2]), torch.tensor([3.0, 4, 5]))


@torch.jit.script
def combined(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    shown, wide = x[x > 0], y[y > 0]
    return torch.maximum(shown * wide, wide.unsqueeze(1)) - shown


@pytest.mark.parametrize(
    ("x", "y"),
    [([1.0, 2], [3.0, 4]), ([1.0, -1], [3.0, 4, 5]), ([1.0, 2], [2.0]), ([1.0], []), ([], [1.0]), ([-1.0], [])],
)
def test_operands_whose_extents_are_equal_or_one(x: list[float], y: list[float]) -> None:
    fast = torch.compile(combined, fallback="error")
    given = torch.tensor([*x, -9.0]), torch.tensor([*y, -9.0])
    assert torch.equal(fast(*given), combined(*given))


def test_operands_whose_extents_differ_are_refused() -> None:
    fast = torch.compile(combined, fallback="error")
    with pytest.raises(RuntimeError, match=r"The size of tensor a \(2\) must match the size of tensor b \(3\)"):
        fast(torch.tensor([1.0, 2]), torch.tensor([3.0, 4, 5]))


@torch.jit.script
def gathered_rows(rows: torch.Tensor, width: int) -> torch.Tensor:
    found = torch.zeros(0, width)
    for row in range(rows.size(0)):
        shown = rows[row]
        found = torch.cat((found, shown[shown > 0].unsqueeze(0)))
    return found


def test_joined_tensors_of_extents_that_only_running_tells() -> None:
    """The first value of what a loop carries says how wide it is."""
    fast = torch.compile(gathered_rows, fallback="error")
    for rows in ([[1.0, -1, 2]], [[1.0, 2, -3], [-1, 4, 5]], [[-1.0, 2, 3], [4, -5, 6], [7, 8, -9]]):
        assert torch.equal(fast(torch.tensor(rows), 2), gathered_rows(torch.tensor(rows), 2))
    with pytest.raises(RuntimeError, match="Sizes of tensors must match except in dimension 0"):
        fast(torch.tensor([[1.0, 2, 3]]), 2)


@torch.jit.script
def counted(x: torch.Tensor) -> torch.Tensor:
    shown = x[x > 0]
    rows = int(torch.tensor(shown.view(-1, 2).size(0)))
    return torch.ones(rows, 2) + shown.view(rows, 2)


def test_a_count_that_goes_through_a_tensor_is_the_same_extent() -> None:
    fast = torch.compile(counted, fallback="error")
    for count in (2, 4, 8):
        x = torch.arange(-3, count + 1).float()
        assert torch.equal(fast(x), counted(x))


@torch.jit.script
def padded(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    shown, wide = x[x > 0], y[y > 0]
    result = torch.zeros(wide.size(0))
    result[: shown.size(0)] = shown
    return result


@pytest.mark.parametrize(("x", "y"), [([1.0, 2], [3.0, 4, 5]), ([1.0], [3.0]), ([-1.0], [3.0]), ([1.0], [-1.0])])
def test_what_is_written_to_a_part_of_an_extent_that_only_running_tells(x: list[float], y: list[float]) -> None:
    fast = torch.compile(padded, fallback="error")
    given = torch.tensor([*x, -9.0]), torch.tensor([*y, -9.0])
    assert torch.equal(fast(*given), padded(*given))


def test_what_does_not_fit_where_it_is_written_is_refused() -> None:
    fast = torch.compile(padded, fallback="error")
    with pytest.raises(RuntimeError, match=r"must match the existing size|must match the size"):
        fast(torch.tensor([1.0, 2, 3]), torch.tensor([3.0, 4]))


@torch.jit.script
def taken_apart(x: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> list[torch.Tensor]:
    joined = torch.cat([x[first], x[second]])
    rows = joined[joined.sum(1) > -1e6] * 2
    return rows.split([x[first].size(0), x[second].size(0)])


@torch.jit.script
def halves_of(x: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    return torch.split(x * 2, 2), x.chunk(2, 1)


def test_parts_have_as_many_rows_as_there_are() -> None:
    fast = torch.compile(taken_apart, fallback="error")
    for extent in (5, 8, 3):
        x, first, second = torch.rand(extent, 2), torch.rand(extent) > 0.5, torch.rand(extent) > 0.5
        assert str(fast(x, first, second)) == str(taken_apart(x, first, second))
    x[0] = -1e7
    with pytest.raises(RuntimeError, match="split_with_sizes expects split_sizes to sum exactly"):
        fast(x, torch.ones(3) > 0, second)


def test_lists_that_operators_make_are_returned_item_by_item() -> None:
    fast = torch.compile(halves_of, fallback="error")
    x = torch.rand(5, 4)
    assert str(fast(x)) == str(halves_of(x))


@torch.jit.script
def placed(x: torch.Tensor, places: torch.Tensor, steps: int) -> torch.Tensor:
    past, words, result = 0, x, x
    for _ in range(steps):
        end = past + words.size(1)
        rows = words.unsqueeze(-1) + places[past:end]
        past, words = end, rows[:, -1].sum(-1, keepdim=True)
        result = torch.cat([result, words], 1)
    return result


def test_operands_in_a_loop_that_carries_one_of_them() -> None:
    fast = torch.compile(placed, fallback="error")
    places = torch.rand(8, 2)
    for words, steps in ((3, 4), (5, 3), (1, 8)):
        x = torch.rand(2, words)
        assert torch.allclose(fast(x, places, steps), placed(x, places, steps))


@torch.jit.script
def pasted(parts: torch.Tensor, places: torch.Tensor, shown: torch.Tensor) -> torch.Tensor:
    kept = torch.where(shown > 0)[0]
    images: list[torch.Tensor] = []
    for part, place in zip(parts[kept], places[kept]):
        image = torch.zeros(9, 8)
        first, last = max(place[0], 0), min(place[1], 9)
        image[first:last, 1:4] = part[first - place[0] : last - place[0]]
        images.append(image)
    return torch.stack(images) if len(images) > 0 else torch.zeros(0, 9, 8)


def test_images_that_are_filled_one_by_one_before_a_list_gets_them() -> None:
    fast = torch.compile(pasted, fallback="error")
    parts, places = torch.rand(4, 6, 3), torch.tensor([[-2, 4], [3, 9], [5, 11], [2, 2]])
    for shown in ([1.0, 1, 1, 1], [0.0, 1, 0, 1], [0.0, 0, 0, 0]):
        assert torch.equal(fast(parts, places, torch.tensor(shown)), pasted(parts, places, torch.tensor(shown)))


@torch.jit.script
def only_number(x: torch.Tensor) -> float:
    shown = x[x > 0]
    if bool(shown.unsqueeze(0) > 2):
        return 2.0
    place = int((x > 0).nonzero()[0].item())
    return place + float(shown.item())


def test_the_number_of_a_tensor_that_holds_one_as_only_running_tells() -> None:
    fast = torch.compile(only_number, fallback="error")
    for numbers in ([1.0, -1], [-1.0, 2, -3], [-2.0, -1, 1.5], [3.0, -3]):
        assert fast(torch.tensor(numbers)) == only_number(torch.tensor(numbers))
    for numbers in ([1.0, 2], [-1.0, -2]):
        with pytest.raises(RuntimeError) as mine:
            fast(torch.tensor(numbers))
        with pytest.raises(RuntimeError) as expected:
            only_number(torch.tensor(numbers))
        assert str(mine.value).splitlines()[-1] == str(expected.value).splitlines()[-1]
