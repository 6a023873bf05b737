"""Reductions and normalisations over the elements that a mask keeps: torch.masked.

Elements that are masked out take a value that changes no result of the operator (0 for sums, -inf for maxima ...), so
that everything here is a `where` and the operator itself. Masks broadcast to their input.
"""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from optc.eager import functions as f
from optc.eager import numerics
from optc.eager.tensor import Tensor
from optc.ir import dtypes
from optc.ir.dtypes import DType
from optc.ops.abstract import normalize_dims

__all__ = [
    "amax", "amin", "argmax", "argmin", "cumprod", "cumsum", "log_softmax", "logaddexp", "logsumexp", "mean", "median",
    "norm", "normalize", "prod", "softmax", "softmin", "std", "sum", "var",
]  # fmt: skip

Dims = int | Sequence[int] | None


def _kept(input: Tensor, mask: Tensor) -> Tensor:
    """The mask in the shape of its input. Raises IndexError for a mask of more dimensions."""
    if mask.shape == input.shape:
        return mask.to(dtypes.BOOL)
    if mask.ndim > input.ndim:
        raise IndexError("_input_mask expected broadcastable mask (got mask dimensionality higher than of the input)")
    return f.broadcast_to(mask.clone(), input.shape).to(dtypes.BOOL)


def _filled(input: Tensor, mask: Tensor | None, identity: float | Callable[[DType], float | None], name: str) -> Tensor:
    """The input with the identity, or what it is for the element type, where it is masked out."""
    if mask is None:
        return input
    value = identity if isinstance(identity, int | float) else identity(input.dtype)
    if value is None:
        raise NotImplementedError(f"identity of {name} on {input.dtype} input")
    return f.where(_kept(input, mask), input, f.tensor(value, dtype=input.dtype))


def _lowest(dtype: DType) -> float | None:
    if dtype.is_floating_point:
        return -math.inf
    return None if dtype.kind == "bool" else int(numerics.iinfo(dtype).min)  # raises TypeError for complex numbers


def _highest(dtype: DType) -> float | None:
    if dtype.is_floating_point:
        return math.inf
    return None if dtype.kind == "bool" else int(numerics.iinfo(dtype).max)


def _dims(dim: Dims, rank: int) -> list[int]:
    """Sorted dimensions from the front; None and () mean all. Raises IndexError and RuntimeError as torch does."""
    return sorted(normalize_dims(dim, rank))


def _single(dim: int, rank: int) -> int:
    return normalize_dims(dim, max(rank, 1))[0]


def _sum_type(dtype: DType) -> DType:
    return dtypes.INT64 if dtype.kind in ("bool", "int") else dtype


# Reductions -----------------------------------------------------------------------------------------------------------


def sum(
    input: Tensor, dim: Dims = None, *, keepdim: bool = False, dtype: DType | None = None, mask: Tensor | None = None
) -> Tensor:
    """The sum of what the mask keeps."""
    dims = _dims(dim, input.ndim)
    return f.sum(_filled(input, mask, 0, "sum"), dims, bool(keepdim), dtype=dtype or _sum_type(input.dtype))


def prod(
    input: Tensor, dim: Dims = None, *, keepdim: bool = False, dtype: DType | None = None, mask: Tensor | None = None
) -> Tensor:
    """The product of what the mask keeps, one dimension after the other."""
    found = _filled(input, mask, 1, "prod").to(dtype or _sum_type(input.dtype))
    for axis in reversed(_dims(dim, input.ndim)):
        found = found.prod(axis, bool(keepdim))
    return found


def _extreme(name: str, identity: Callable[[DType], float | None]) -> Callable[..., Tensor]:
    def reduce(
        input: Tensor,
        dim: Dims = None,
        *,
        keepdim: bool = False,
        dtype: DType | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        filled = _filled(input, mask, identity, name)
        found = getattr(f, name)(filled, _dims(dim, input.ndim), bool(keepdim))
        return found.to(dtype or input.dtype)

    reduce.__name__ = reduce.__qualname__ = name
    reduce.__doc__ = f"`{name}` of what the mask keeps. Raises NotImplementedError for a masked tensor of bools."
    return reduce


def _place(name: str, identity: Callable[[DType], float | None]) -> Callable[..., Tensor]:
    def find(
        input: Tensor, dim: int | None = None, *, keepdim: bool = False, dtype: DType | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        filled = _filled(input, mask, identity, name)
        return getattr(f, name)(filled, dim, bool(keepdim)).to(dtype or input.dtype)

    find.__name__ = find.__qualname__ = name
    find.__doc__ = f"`{name}` among what the mask keeps, in the dtype of the input."
    return find


amax, amin = _extreme("amax", _lowest), _extreme("amin", _highest)
argmax, argmin = _place("argmax", _lowest), _place("argmin", _highest)


def _count(input: Tensor, dim: Dims, keepdim: bool, mask: Tensor | None) -> Tensor:
    if mask is None:
        return sum(f.ones(input.shape, dtype=dtypes.INT64), dim, keepdim=keepdim)
    return f.sum(_kept(input, mask), _dims(dim, input.ndim), bool(keepdim))


def mean(
    input: Tensor, dim: Dims = None, *, keepdim: bool = False, dtype: DType | None = None, mask: Tensor | None = None
) -> Tensor:
    """The mean of what the mask keeps, nan for nothing. Raises ValueError for whole numbers without a `dtype`."""
    chosen = dtype or input.dtype
    if not (chosen.is_floating_point or chosen.is_complex):
        raise ValueError(
            f"mean(): Could not infer output dtype. {'Input' if dtype is None else 'Optional'} dtype must be either a "
            f"floating point or complex dtype. Got: {chosen}"
        )
    total = sum(input, dim, keepdim=keepdim, dtype=chosen, mask=mask)
    return total / _count(input, dim, keepdim, mask)


def median(
    input: Tensor, dim: int = -1, *, keepdim: bool = False, dtype: DType | None = None, mask: Tensor | None = None
) -> Tensor:
    """The lower median of what the mask keeps. Raises ValueError for a row of whole numbers with nothing kept."""
    is_float = input.is_floating_point()
    numbers = input if is_float else input.to(dtypes.FLOAT32)
    found = f.nanmedian(_filled(numbers, mask, math.nan, "median"), _single(dim, input.ndim), keepdim)[0]
    if is_float:
        return found
    if bool(f.isnan(found).any()):
        raise ValueError("masked median expects no fully masked out rows if dtype is not floating point")
    return found.to(dtype or input.dtype)


def logsumexp(
    input: Tensor, dim: Dims = None, *, keepdim: bool = False, dtype: DType | None = None, mask: Tensor | None = None
) -> Tensor:
    """The logarithm of the sum of exponentials of what the mask keeps."""
    nothing = -math.inf if input.is_complex() else _lowest
    filled = _filled(input, mask, nothing, "logsumexp")
    return f.logsumexp(filled, _dims(dim, input.ndim), keepdim).to(dtype or input.dtype)


def logaddexp(
    input: Tensor, other: Tensor, *, dtype: DType | None = None, input_mask: Tensor | None = None,
    other_mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The logarithm of the sum of two exponentials; what is masked out counts as nothing."""
    left = _filled(input, input_mask, _lowest, "logaddexp")
    right = _filled(other, other_mask, _lowest, "logaddexp")
    return f.logaddexp(left, right).to(dtype or input.dtype)


def norm(
    input: Tensor, ord: float | None = 2.0, dim: Dims = None, *, keepdim: bool = False, dtype: DType | None = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The vector norm of what the mask keeps."""
    order = 2.0 if ord is None else ord
    if order == -math.inf and mask is not None and not input.is_floating_point():
        raise AssertionError(f"input must be floating point, got {input.dtype}")
    filled = _filled(input, mask, math.inf if order == -math.inf else 0, "norm")
    return f.linalg_vector_norm(filled, order, _dims(dim, input.ndim), bool(keepdim), dtype=dtype or input.dtype)


def _spread(
    input: Tensor, dim: Dims, correction: float, keepdim: bool, dtype: DType | None, mask: Tensor | None
) -> Tensor:
    """The variance of what the mask keeps."""
    result = dtype or (input.dtype if input.is_floating_point() or input.is_complex() else dtypes.FLOAT32)
    work = result if result.is_floating_point or result.is_complex else dtypes.FLOAT32
    count = _count(input, dim, True, mask)
    centre = sum(input, dim, keepdim=True, dtype=result, mask=mask) / count
    distance = input - centre
    total = sum(distance * distance.conj(), dim, keepdim=keepdim, dtype=work, mask=mask)
    if not keepdim:
        count = count.reshape(total.shape)
    if correction:
        real = {dtypes.COMPLEX64: dtypes.FLOAT32, dtypes.COMPLEX128: dtypes.FLOAT64}.get(work, work)
        count = f.maximum(count.to(real) - correction, f.zeros([], dtype=real))
    return (total / count).to(result)


def _correction(unbiased: bool | None, correction: float | None) -> float:
    if unbiased is not None and correction is not None:
        raise AssertionError("Only one of unbiased and correction may be given")
    if correction is not None:
        return float(correction)
    return 0.0 if unbiased is False else 1.0


def var(
    input: Tensor, dim: Dims = None, unbiased: bool | None = None, *, correction: float | None = None,
    keepdim: bool = False, dtype: DType | None = None, mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The variance of what the mask keeps, with `correction` degrees of freedom taken off."""
    return _spread(input, dim, _correction(unbiased, correction), keepdim, dtype, mask)


def std(
    input: Tensor, dim: Dims = None, unbiased: bool | None = None, *, correction: float | None = None,
    keepdim: bool = False, dtype: DType | None = None, mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The square root of `var`."""
    return f.sqrt(_spread(input, dim, _correction(unbiased, correction), keepdim, dtype, mask))


# Along a dimension ----------------------------------------------------------------------------------------------------


def _running(name: str, identity: int) -> Callable[..., Tensor]:
    def scan(input: Tensor, dim: int, *, dtype: DType | None = None, mask: Tensor | None = None) -> Tensor:
        chosen = dtype or input.dtype
        filled = _filled(input, mask, identity, name)
        return getattr(f, name)(filled, _single(dim, input.ndim), dtype=chosen).to(chosen)

    scan.__name__ = scan.__qualname__ = name
    scan.__doc__ = f"`{name}` that passes over what is masked out, in the dtype of the input."
    return scan


def _normalised(name: str, identity: Callable[[DType], float | None]) -> Callable[..., Tensor]:
    def normalise(input: Tensor, dim: int, *, dtype: DType | None = None, mask: Tensor | None = None) -> Tensor:
        from optc.nn import functional

        filled = _filled(input, mask, identity, "amin" if name == "softmin" else "amax")
        found: Tensor = getattr(functional, name)(filled, _single(dim, input.ndim), dtype=dtype or input.dtype)
        return found

    normalise.__name__ = normalise.__qualname__ = name
    normalise.__doc__ = f"`{name}` over what the mask keeps."
    return normalise


cumsum, cumprod = _running("cumsum", 0), _running("cumprod", 1)
softmax, log_softmax = _normalised("softmax", _lowest), _normalised("log_softmax", _lowest)
softmin = _normalised("softmin", _highest)


def normalize(
    input: Tensor, ord: float, dim: int, *, eps: float = 1e-12, dtype: DType | None = None, mask: Tensor | None = None
) -> Tensor:
    """What the mask keeps divided by its norm, or by `eps` where the norm is smaller."""
    length = norm(input, ord, dim, keepdim=True, dtype=dtype, mask=mask)
    return _filled(input, mask, 0, "sum") / f.maximum(length, length.new_full([], eps))
