"""Numbers that stand for one of each dimension: `3` for `(3, 3)`."""

from collections.abc import Sequence

Numbers = int | tuple[int, ...]


def repeated(numbers: Numbers | Sequence[int], count: int) -> tuple[int, ...]:
    """One number per dimension."""
    return tuple(numbers) if isinstance(numbers, Sequence) else (numbers,) * count


def named_or_repeated(padding: str | Numbers, count: int) -> str | tuple[int, ...]:
    """Padding may also be a name: "same" or "valid"."""
    return padding if isinstance(padding, str) else repeated(padding, count)
