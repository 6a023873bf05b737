"""Extents of results that follow from those of arguments: a calculation on a stack, which the entry makes before the run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

from optc.dataclass import dataclass
from optc.ir.dims import Dim, Symbol, Symbolic, symbols
from optc.ir.symbols import plain_symbol

LONGEST = 32
"""Extents behind many layers take more steps than that: native code, which knows them, then says what they are."""

NUMBER, SYMBOL, ADD, MULTIPLY, DIVIDE, REMAINDER, LARGER, SMALLER = range(8)
"""Steps: the first two put something on the stack, the others take two things from it; division rounds down."""

_OPERATORS = {"floordiv": DIVIDE, "mod": REMAINDER, "max": LARGER, "min": SMALLER}
_COMPUTED: dict[int, Callable[[int, int], int]] = {
    ADD: lambda x, y: x + y,
    MULTIPLY: lambda x, y: x * y,
    DIVIDE: lambda x, y: x // (y or 1),
    REMAINDER: lambda x, y: x % (y or 1),
    LARGER: max,
    SMALLER: min,
}


@dataclass(frozen=True)
class Calculation:
    """Pairs of a step and what it puts on the stack: a number, or the name of a symbol."""

    steps: tuple[tuple[int, int | str], ...]

    @staticmethod
    def of(dim: Symbolic) -> Calculation | None:
        """The calculation of a dimension, None for one that is too long."""
        steps: list[tuple[int, int | str]] = []
        for step in _steps(dim):
            steps.append(step)
            if len(steps) > LONGEST:
                return None
        return Calculation(tuple(steps))

    def value(self, given: Mapping[str, int]) -> int:
        """The extent; one that would be negative is none at all, and native code does not begin to compute it."""
        stack: list[int] = []
        for step, item in self.steps:
            if isinstance(item, str):
                stack.append(given[item])
            elif step == NUMBER:
                stack.append(item)
            else:
                right, left = stack.pop(), stack.pop()
                stack.append(_COMPUTED[step](left, right))
        return max(stack[0], 0)


def _steps(dim: Dim) -> Iterator[tuple[int, int | str]]:
    if isinstance(dim, int):
        yield NUMBER, dim
        return
    for number, (monomial, coefficient) in enumerate(dim.terms):
        yield NUMBER, coefficient
        for atom in monomial:
            if isinstance(atom, Symbol):
                yield SYMBOL, atom.name
            else:
                yield from _steps(atom.left)
                yield from _steps(atom.right)
                yield _OPERATORS[atom.operator], 0
            yield MULTIPLY, 0
        if number:
            yield ADD, 0


def extent_from(dim: Dim, known: Collection[str]) -> int | str | Calculation | None:
    """The extent of a result as the entry may know it before the run, from symbols that are known then; None where it
    cannot."""
    name = dim if isinstance(dim, int) else plain_symbol(dim)
    if name is not None or isinstance(dim, int):
        return name
    return Calculation.of(dim) if symbols(dim) <= set(known) else None
