"""Gradients of sampled functions, torch.gradient: differences of second order inside, of either order at the edges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from optc.ir.dtypes import UINT8
from optc.ops.abstract import UndecidedShape, normalize_dims
from optc.ops.composite import declare_composite
from optc.ops.promotion import operand_type


def _places(b: Any, x: Any, dims: Sequence[int] | None, order: int, spacings: int | None) -> list[int]:
    """The dimensions along which to differentiate. Raises RuntimeError with torch's text."""
    shape = b.shape(x)
    if operand_type(b.type(x)) is UINT8:
        raise RuntimeError("torch.gradient does not support uint8 input.")
    if spacings is not None and dims is None and spacings != len(shape):
        raise RuntimeError(
            "torch.gradient expected spacing to be unspecified, a scalar, or a list of length equal to 'self.dim() = "
            f"{len(shape)}', since dim argument was not given, but got a list of length {spacings}"
        )
    if spacings is not None and dims is not None and spacings != len(dims):
        raise RuntimeError(
            "torch.gradient expected spacing to be unspecified, a scalar or it's spacing and dim arguments to have the "
            f"same length, but got a spacing argument of length {spacings} and a dim argument of length {len(dims)}."
        )
    if order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    places = list(range(len(shape))) if dims is None else list(normalize_dims(dims, len(shape)))
    for place in places:
        if not isinstance(shape[place], int):
            raise UndecidedShape("has a dimension as many elements as differences need?")
        if shape[place] < order + 1:
            raise RuntimeError("torch.gradient expected each dimension size to be at least edge_order+1")
    return places


def _part(b: Any, x: Any, place: int, first: int, last: int) -> Any:
    """The elements from `first` up to `last` along a dimension; `last` counts from the end where it is not positive."""
    extent = b.shape(x)[place]
    start = first if first >= 0 else extent + first
    return b("aten::slice.Tensor", x, place, start, last if last > 0 else extent + last, 1)


def _combined(b: Any, parts: Sequence[Any], weights: Sequence[Any]) -> Any:
    """The sum of parts, each times a number or a tensor."""
    total: Any = None
    for part, weight in zip(parts, weights):
        scaled = b(
            "aten::mul.Scalar" if isinstance(weight, int | float | complex) else "aten::mul.Tensor", part, weight
        )
        total = scaled if total is None else b("aten::add.Tensor", total, scaled)
    return total


def _evenly(b: Any, x: Any, place: int, step: Any, order: int) -> Any:
    """Differences of samples that lie `step` apart."""

    def difference(later: Any, earlier: Any) -> Any:
        return b("aten::div.Scalar", b("aten::sub.Tensor", later, earlier), step)

    def edge(first: int, last: int, weights: Sequence[float]) -> Any:
        parts = [_part(b, x, place, first + k, last + k) for k in range(3)]
        return b("aten::div.Scalar", _combined(b, parts, weights), step)

    inside = b("aten::div.Scalar", difference(_part(b, x, place, 2, 0), _part(b, x, place, 0, -2)), 2)
    if order == 1:
        before = difference(_part(b, x, place, 1, 2), _part(b, x, place, 0, 1))
        after = difference(_part(b, x, place, -1, 0), _part(b, x, place, -2, -1))
    else:
        before = edge(0, 1, (-1.5, 2, -0.5))
        after = edge(-3, -2, (0.5, -2, 1.5))
    return b("aten::cat", [before, inside, after], place)


def _along(b: Any, x: Any, place: int, where: Any, order: int) -> Any:
    """Differences of samples at the coordinates `where`, by the parabola through three neighbours."""
    if len(b.shape(where)) != 1:
        raise RuntimeError("torch.gradient expected each element of spacing to have one dimension")
    column = [-1 if axis == place else 1 for axis in range(len(b.shape(x)))]
    steps = b("aten::diff", where, 1, 0)

    def step(number: int) -> Any:
        return b("aten::select.int", steps, 0, number)

    def add(left: Any, right: Any) -> Any:
        return b("aten::add.Tensor", left, right)

    def multiply(left: Any, right: Any) -> Any:
        return b("aten::mul.Tensor", left, right)

    def quotient(left: Any, right: Any) -> Any:
        return b("aten::div.Tensor", left, right)

    def negative(value: Any) -> Any:
        return b("aten::neg", value)

    left, right = _part(b, steps, 0, 0, -1), _part(b, steps, 0, 1, 0)
    both = add(left, right)
    weights = (
        quotient(negative(right), multiply(left, both)),
        quotient(b("aten::sub.Tensor", right, left), multiply(left, right)),
        quotient(left, multiply(right, both)),
    )
    parts = [_part(b, x, place, k, k - 2) for k in range(3)]
    inside = _combined(b, parts, [b("aten::reshape", weight, column) for weight in weights])
    if order == 1:
        before = quotient(b("aten::sub.Tensor", _part(b, x, place, 1, 2), _part(b, x, place, 0, 1)), step(0))
        after = quotient(b("aten::sub.Tensor", _part(b, x, place, -1, 0), _part(b, x, place, -2, -1)), step(-1))
        return b("aten::cat", [before, inside, after], place)

    def edge(first: int, last: int, near: Any, far: Any) -> tuple[list[Any], list[Any]]:
        """The samples next to an edge, and their weights, beginning with the one at the edge."""
        total = add(near, far)
        at_edge = negative(quotient(add(b("aten::mul.Scalar", near, 2.0), far), multiply(near, total)))
        weights = [at_edge, quotient(total, multiply(near, far)), negative(quotient(near, multiply(far, total)))]
        return [_part(b, x, place, first + k, last + k) for k in range(3)], weights

    parts, factors = edge(0, 1, step(0), step(1))
    before = _combined(b, parts, factors)
    parts, factors = edge(-3, -2, step(-1), step(-2))
    after = _combined(b, parts, [negative(factor) for factor in reversed(factors)])
    return b("aten::cat", [before, inside, after], place)


def _declare(overload: str, arguments: str, read: Callable[..., tuple[Any, Any]]) -> None:
    """Declare an overload; `read` turns its arguments into spacings (None: 1, a number for all, a list) and dimensions."""

    def build(b: Any, x: Any, *given: Any) -> list[Any]:
        spacing, dims = read(*given[:-1])
        order = given[-1]
        is_list = isinstance(spacing, list | tuple)
        places = _places(b, x, dims, order, len(spacing) if is_list else None)
        steps = spacing if is_list else [1 if spacing is None else spacing] * len(places)
        numbers = int | float | complex
        return [
            (_evenly if isinstance(step, numbers) else _along)(b, x, place, step, order)
            for place, step in zip(places, steps)
        ]

    declare_composite(
        f"aten::gradient.{overload}(Tensor self, *, {arguments}int edge_order=1) -> Tensor[]", build, may_fail=True
    )


def _one(spacing: Any, dim: int | None) -> tuple[Any, Any]:
    return spacing, None if dim is None else [dim]


def _several(spacing: Any, dims: Any) -> tuple[Any, Any]:
    return spacing, dims


_declare("scalarint", "Scalar? spacing=None, int? dim=None, ", _one)
_declare("scalararray", "Scalar spacing, int[] dim, ", _several)
_declare("array", "int[] dim, ", lambda dims: (None, dims))
_declare("scalarrayint", "Scalar[] spacing, int? dim=None, ", _one)
_declare("scalarrayarray", "Scalar[] spacing, int[] dim, ", _several)
_declare("tensorarrayint", "Tensor[] spacing, int? dim=None, ", _one)
_declare("tensorarray", "Tensor[] spacing, int[] dim, ", _several)
