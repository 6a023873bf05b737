"""Functions and methods whose flags say how many results there are."""

from __future__ import annotations

from typing import Any

from optc.eager import dispatch


def unique(
    input: Any, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The distinct elements, or slices along `dim`; with them, on demand, where each went and how often it occurs."""
    if dim is None:
        found = dispatch.call("aten::_unique2", (input, sorted, return_inverse, return_counts))
    else:
        found = dispatch.call("aten::unique_dim", (input, dim, sorted, return_inverse, return_counts))
    return _asked_for(found, return_inverse, return_counts)


def unique_consecutive(
    input: Any, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The elements without repetitions that follow each other; with them, on demand, where each went and how often."""
    found = dispatch.call("aten::unique_consecutive", (input, return_inverse, return_counts, dim))
    return _asked_for(found, return_inverse, return_counts)


def _asked_for(found: Any, inverse: bool, counts: bool) -> Any:
    rest = [item for item, wanted in zip(found[1:], (inverse, counts)) if wanted]
    return (found[0], *rest) if rest else found[0]


def nonzero(input: Any, *, out: Any = None, as_tuple: bool = False) -> Any:
    """The places of elements that are not zero: one a row, or a vector for each dimension (at least one)."""
    if as_tuple:
        return tuple(dispatch.call("aten::nonzero_numpy", (input,)))
    return dispatch.call("aten::nonzero", (input,), {} if out is None else {"out": out})


def lu(input: Any, pivot: bool = True, get_infos: bool = False) -> tuple[Any, ...]:
    """The factors L and U in one matrix, and the pivots; with them, on demand, the place of the first zero pivot.

    Raises RuntimeError where there is one and nobody asks for its place.
    """
    found = dispatch.call("aten::_lu_with_info", (input, pivot, not get_infos))
    return tuple(found) if get_infos else tuple(found[:2])
