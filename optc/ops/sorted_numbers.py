"""Sorting lists of numbers among which NaN may be: the order is what C++'s std::sort makes of it, as in PyTorch.

NaN is neither less than anything nor equal to it, so the result depends on which elements an implementation compares.
"""

from __future__ import annotations

import math

_FEW = 16
"""So many elements are sorted by insertion."""


def sorted_numbers(numbers: list[float], reverse: bool = False) -> list[float]:
    """The numbers in ascending order, or in descending order for `reverse`."""
    if not any(map(math.isnan, numbers)):
        return sorted(numbers, reverse=reverse)
    sorting = _Sorting(list(numbers), reverse)
    sorting.run()
    return sorting.items


def sort_numbers(numbers: list[float], reverse: bool) -> None:
    """Sort a list in place."""
    numbers[:] = sorted_numbers(numbers, reverse)


class _Sorting:
    """Quicksort down to a few elements, the median of three as pivot, then insertion."""

    def __init__(self, items: list[float], reverse: bool) -> None:
        self.items = items
        self.reverse = reverse

    def run(self) -> None:
        count = len(self.items)
        self.divide(0, count, 2 * (count.bit_length() - 1))
        for place in range(1, count):
            if place < _FEW and self.is_before(self.items[place], self.items[0]):
                self.items.insert(0, self.items.pop(place))
            else:
                self.insert(place)

    def is_before(self, one: float, other: float) -> bool:
        return one != other and (one < other) != self.reverse

    def at(self, place: int) -> float:
        if not 0 <= place < len(self.items):
            raise RuntimeError("a list with NaN cannot be sorted in this direction")
        return self.items[place]

    def divide(self, first: int, last: int, depth: int) -> None:
        while last - first > _FEW:
            if depth == 0:
                raise RuntimeError("a list with NaN cannot be sorted: its order is no order")
            depth -= 1
            cut = self.partition(first, last)
            self.divide(cut, last, depth)
            last = cut

    def partition(self, first: int, last: int) -> int:
        self.swap(first, self.median(first + 1, first + (last - first) // 2, last - 1))
        pivot, low, high = self.items[first], first + 1, last
        while True:
            while self.is_before(self.at(low), pivot):
                low += 1
            high -= 1
            while self.is_before(pivot, self.at(high)):
                high -= 1
            if low >= high:
                return low
            self.swap(low, high)
            low += 1

    def median(self, one: int, two: int, three: int) -> int:
        """Which of three places holds the element between the others."""
        if not self.is_before(self.items[one], self.items[two]):
            one, two = two, one
            if self.is_before(self.items[two], self.items[three]):
                return two
            return three if self.is_before(self.items[one], self.items[three]) else one
        if self.is_before(self.items[two], self.items[three]):
            return two
        return three if self.is_before(self.items[one], self.items[three]) else one

    def swap(self, one: int, other: int) -> None:
        self.items[one], self.items[other] = self.items[other], self.items[one]

    def insert(self, place: int) -> None:
        item, before = self.items[place], place - 1
        while self.is_before(item, self.at(before)):
            self.items[before + 1] = self.items[before]
            before -= 1
        self.items[before + 1] = item
