"""Sums over samples: covariance, and integrals by the trapezoidal rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optc.ir.dtypes import BOOL
from optc.ops.abstract import normalize_dim, same_dim
from optc.ops.composite import declare_composite

# Covariance -----------------------------------------------------------------------------------------------------------


def _cov(b: Any, x: Any, correction: int, fweights: Any, aweights: Any) -> Any:
    """The covariance of rows (variables) over columns (observations), weighted by `fweights * aweights`."""
    if len(b.shape(x)) > 2:
        raise RuntimeError(
            f"cov(): expected input to have two or fewer dimensions but got an input with {len(b.shape(x))} dimensions"
        )
    if b.type(x).dtype is BOOL:
        raise RuntimeError("cov(): bool dtype is not supported for input")
    rows = b("aten::atleast_2d", x)
    _check_weights(b, rows, fweights, "fweights", ("int",))
    _check_weights(b, rows, aweights, "aweights", ("float",))
    weights = fweights if aweights is None else aweights
    if fweights is not None and aweights is not None:
        weights = b("aten::mul.Tensor", fweights, aweights)
    total, mean = _weighted_mean(b, rows, weights)
    if aweights is None or correction == 0:
        freedom = b("aten::sub.Scalar", total, correction)
    else:
        squares = b("aten::sum", b("aten::mul.Tensor", weights, aweights))
        share = b("aten::div.Tensor", squares, total)
        freedom = b("aten::sub.Tensor", total, b("aten::mul.Scalar", share, correction))
    freedom = b("aten::clamp", freedom, 0, None)
    centred = b("aten::sub.Tensor", rows, b("aten::unsqueeze", mean, 1))
    other = b("aten::t", centred if weights is None else b("aten::mul.Tensor", centred, weights))
    other = b("aten::conj", b("aten::to.dtype", other, b.type(centred).dtype.code))
    products = b("aten::mm", centred, other)
    return b("aten::squeeze", b("aten::true_divide.Tensor", products, freedom))


def _weighted_mean(b: Any, rows: Any, weights: Any) -> tuple[Any, Any]:
    if weights is None:
        count = b("aten::full", [], b.shape(rows)[1])
        return count, b("aten::true_divide.Tensor", b("aten::sum.dim_IntList", rows, [1]), count)
    total = b("aten::sum", weights)
    weighted = b("aten::sum.dim_IntList", b("aten::mul.Tensor", rows, weights), [1])
    return total, b("aten::true_divide.Tensor", weighted, total)


def _check_weights(b: Any, rows: Any, weights: Any, name: str, kinds: tuple[str, ...]) -> None:
    if weights is None:
        return
    shape = b.shape(weights)
    if len(shape) > 1:
        raise RuntimeError(
            f"cov(): expected {name} to have one or fewer dimensions but got {name} with {len(shape)} dimensions"
        )
    observations = b.shape(rows)[1]
    if same_dim(shape[0] if shape else 1, observations) is False:
        raise RuntimeError(
            f"cov(): expected {name} to have the same numel as there are observations in the input but got "
            f"{shape[0] if shape else 1} != {observations}"
        )
    if b.type(weights).dtype.kind not in kinds:
        wanted = "integral" if kinds == ("int",) else "floating point"
        raise RuntimeError(
            f"cov(): expected {name} to have {wanted} dtype but got {name} with {b.type(weights).dtype.label} dtype"
        )


def _check_positive(x: Any, correction: int, fweights: Any, aweights: Any) -> None:
    for name, weights in (("fweights", fweights), ("aweights", aweights)):
        if weights is not None and (weights < 0).any():
            raise RuntimeError(f"cov(): {name} cannot be negative")


def _corrcoef(b: Any, x: Any) -> Any:
    """Covariances divided by both standard deviations, within -1 and 1."""
    if len(b.shape(x)) > 2:
        raise RuntimeError(
            f"corrcoef(): expected input to have two or fewer dimensions but got an input with {len(b.shape(x))} dimensions"
        )
    covariance = _cov(b, x, 1, None, None)
    if not b.shape(covariance):
        return b("aten::div.Tensor", covariance, covariance)
    is_complex = b.type(covariance).dtype.is_complex
    variance = b("aten::diagonal", covariance)
    deviation = b("aten::sqrt", b("aten::real", variance) if is_complex else variance)
    by_rows = b("aten::div.Tensor", covariance, b("aten::unsqueeze", deviation, 1))
    scaled = b("aten::div.Tensor", by_rows, b("aten::unsqueeze", deviation, 0))
    if not is_complex:
        return b("aten::clamp", scaled, -1, 1)
    return b("aten::complex", *(b("aten::clamp", b(part, scaled), -1, 1) for part in ("aten::real", "aten::imag")))


declare_composite(
    "aten::cov(Tensor self, *, int correction=1, Tensor? fweights=None, Tensor? aweights=None) -> Tensor",
    _cov,
    check=_check_positive,
)
declare_composite("aten::corrcoef(Tensor self) -> Tensor", _corrcoef)


# Integrals ------------------------------------------------------------------------------------------------------------


def _neighbours(b: Any, y: Any, dim: int) -> tuple[Any, Any]:
    """All elements along a dimension but the first, and all but the last."""
    return b("aten::slice.Tensor", y, dim, 1, None, 1), b("aten::slice.Tensor", y, dim, 0, -1, 1)


def _by_step(name: str, is_running: bool) -> Callable[..., Any]:
    """Equally spaced samples. Whole numbers overflow where PyTorch's do: in the sum of all, or of two neighbours."""

    def build(b: Any, y: Any, dx: Any, dim: int) -> Any:
        _check_not_bool(b, name, y)
        place = normalize_dim(dim, len(b.shape(y)))
        if is_running:
            right, left = _neighbours(b, y, place)
            halves = b("aten::mul.Scalar", b("aten::add.Tensor", left, right), 0.5)
            return b("aten::cumsum", b("aten::mul.Scalar", halves, dx), place)
        if b.shape(y)[place] == 0:
            return b("aten::sum.dim_IntList", y, [place])
        ends = b("aten::add.Tensor", b("aten::select.int", y, place, 0), b("aten::select.int", y, place, -1))
        inner = b("aten::sub.Tensor", b("aten::sum.dim_IntList", y, [place]), b("aten::mul.Scalar", ends, 0.5))
        return b("aten::mul.Scalar", inner, dx)

    return build


def _by_places(total: Callable[[Any, Any, int], Any], name: str) -> Callable[..., Any]:
    """Samples at the places `x`, which run along `dim` or, where they are fewer dimensions, along the last."""

    def build(b: Any, y: Any, x: Any, dim: int) -> Any:
        _check_not_bool(b, name, y, x)
        rank = len(b.shape(y))
        place = normalize_dim(dim, rank)
        if len(b.shape(x)) == 1 and rank > 1:
            _check_length(b, name, y, x, place)
            x = b("aten::reshape", x, [-1 if axis == place else 1 for axis in range(rank)])
        elif len(b.shape(x)) < rank:
            x = b("aten::reshape", x, [*([1] * (rank - len(b.shape(x)))), *b.shape(x)])
        later, earlier = _neighbours(b, x, place)
        right, left = _neighbours(b, y, place)
        steps = b("aten::sub.Tensor", later, earlier)
        areas = b("aten::mul.Tensor", steps, b("aten::add.Tensor", left, right))
        return b("aten::div.Scalar", total(b, areas, place), 2.0)

    return build


def _check_length(b: Any, name: str, y: Any, x: Any, place: int) -> None:
    mine, other = b.shape(x)[0], b.shape(y)[place]
    if isinstance(mine, int) and isinstance(other, int) and mine != other:
        raise RuntimeError(f"{name}: There must be one `x` value for each sample point")


def _check_not_bool(b: Any, name: str, *tensors: Any) -> None:
    for letter, tensor in zip("yx", tensors):
        if b.type(tensor).dtype is BOOL:
            raise RuntimeError(f"{name}: received a bool input for `{letter}`, but bool is not supported")


def _sum_along(b: Any, areas: Any, dim: int) -> Any:
    return b("aten::sum.dim_IntList", areas, [dim])


def _running_sum(b: Any, areas: Any, dim: int) -> Any:
    return b("aten::cumsum", areas, dim)


for _name, _total, _shown, _step in (
    ("trapezoid", _sum_along, "trapezoid", "Scalar dx=1"),
    ("trapz", _sum_along, "trapezoid", "float dx=1."),
    ("cumulative_trapezoid", _running_sum, "cumulative_trapezoid", "Scalar dx=1"),
):
    declare_composite(f"aten::{_name}.x(Tensor y, Tensor x, *, int dim=-1) -> Tensor", _by_places(_total, _shown))
    declare_composite(
        f"aten::{_name}.dx(Tensor y, *, {_step}, int dim=-1) -> Tensor", _by_step(_shown, _total is _running_sum)
    )
