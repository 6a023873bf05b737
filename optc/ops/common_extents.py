"""What extents become that are equal, or 1, as only running tells: the extent of what is computed from all of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from optc.ir.dims import Apply, Dim, Symbolic, maximum, minimum


def common_extent(left: Dim, right: Dim) -> Dim:
    """What two extents become that are equal, or one of them 1: 0 where one is 0, else the larger one.

    What has this extent already keeps it, however often it meets what it was made of: programs that add up the turns
    of a loop would get extents twice as long with every turn.
    """
    for known in (left, right):
        if isinstance(known, int) and known != 1:
            return known
    if _is_cut(right, left):
        return left
    if _is_cut(left, right):
        return right
    mine, others = _met(left), _met(right)
    if set(others) <= set(mine):
        return left
    if set(mine) <= set(others):
        return right
    together = [*mine, *(extent for extent in others if extent not in mine)]
    return reduce(maximum, together) * minimum(1, reduce(minimum, together))


def _is_cut(extent: Dim, other: Dim) -> bool:
    """True for what is left of `other` at most so many: it is as long where they may meet.

    A number that is at least 1 cuts off nothing, or else neither the two are equal nor is one of them 1.
    """
    cut = _application(extent, "min")
    sides = () if cut is None else ((cut.left, cut.right), (cut.right, cut.left))
    return any(kept == other and isinstance(most, int) and most >= 1 for kept, most in sides)


def _met(extent: Dim) -> Sequence[Dim]:
    """The extents of which `common_extent` has made this one; itself where it is no such extent."""
    if not isinstance(extent, Symbolic) or len(extent.terms) != 1:
        return [extent]
    atoms, factor = extent.terms[0]
    if factor != 1 or len(atoms) != 2:
        return [extent]
    largest, bounded = atoms
    if not isinstance(bounded, Apply) or (bounded.operator, bounded.left) != ("min", 1):
        return [extent]
    return _folded(Symbolic((((largest,), 1),)), bounded.right) or [extent]


def _folded(largest: Dim, least: Dim) -> list[Dim]:
    """The numbers of which these are the largest and the least one, in the order in which they were taken."""
    if largest == least:
        return [largest]
    upper, lower = _application(largest, "max"), _application(least, "min")
    if upper is None or lower is None or upper.right != lower.right:
        return []
    rest = _folded(upper.left, lower.left)
    return [*rest, upper.right] if rest else []


def _application(dim: Dim, operator: str) -> Apply | None:
    """The atom that a dimension is, where it applies an operator."""
    if not isinstance(dim, Symbolic) or len(dim.terms) != 1:
        return None
    atoms, factor = dim.terms[0]
    if factor != 1 or len(atoms) != 1 or not isinstance(atoms[0], Apply):
        return None
    return atoms[0] if atoms[0].operator == operator else None
