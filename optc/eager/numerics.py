"""What a dtype can hold, and what dtypes become together: finfo, iinfo, result_type, promote_types, can_cast."""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.eager import dispatch
from optc.eager.base import TensorBase, is_number
from optc.ir import dtypes
from optc.ir.dtypes import DType
from optc.ops import promotion


class finfo:  # the name is torch's
    """Limits of a floating-point dtype: bits, eps, max, min, tiny, smallest_normal, resolution.

    Raises TypeError for other dtypes.
    """

    __slots__ = ("bits", "dtype", "eps", "max", "min", "resolution", "smallest_normal", "tiny")

    def __init__(self, dtype: DType | None = None) -> None:
        dtype = promotion.default_float() if dtype is None else dtype
        if dtype.kind not in ("float", "complex"):
            raise TypeError(f"torch.finfo() requires a floating point input type. Use torch.iinfo to handle '{dtype}'")
        limits: Any = _bfloat16_limits() if dtype is dtypes.BFLOAT16 else np.finfo(dtype.numpy)
        self.bits = int(limits.bits)
        self.eps = float(limits.eps)
        self.max = float(limits.max)
        self.min = float(limits.min)
        self.tiny = self.smallest_normal = float(limits.tiny)
        self.resolution = float(f"1e-{limits.precision}")
        self.dtype = limits.dtype.name

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, eps={self.eps:g}, "
            f"smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, dtype={self.dtype})"
        )


def _bfloat16_limits() -> Any:
    # Imported when it is needed: see `optc.ir.dtypes`.
    import ml_dtypes

    limits: Any = ml_dtypes.finfo
    return limits(ml_dtypes.bfloat16)


class iinfo:  # the name is torch's
    """Limits of an integer dtype: bits, max, min. Raises TypeError for other dtypes."""

    __slots__ = ("bits", "dtype", "max", "min")

    def __init__(self, dtype: DType) -> None:
        if dtype.kind != "int":
            raise TypeError("torch.iinfo() requires an integer input type. Use torch.finfo to handle 'torch.iinfo'")
        limits = np.iinfo(dtype.numpy)
        self.bits, self.max, self.min, self.dtype = limits.bits, int(limits.max), int(limits.min), dtype.name

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"


def result_type(first: Any, second: Any) -> DType:
    """The dtype of an arithmetic operation on two tensors or numbers."""
    for operand in (first, second):
        if not isinstance(operand, TensorBase) and not is_number(operand):
            raise TypeError(f"result_type(): argument must be Tensor or Number, not {type(operand).__name__}")
    return promotion.result_type(*(_operand(value) for value in (first, second)))


def _operand(value: Any) -> Any:
    if isinstance(value, TensorBase):
        return value._array
    return value.item() if isinstance(value, np.generic) else value


def promote_types(first: DType, second: DType) -> DType:
    """The smallest dtype that holds both."""
    return dtypes.promote(first, second)


def can_cast(from_: DType, to: DType) -> bool:
    """True unless the cast goes down from complex to real, from float to integer, or from a number to bool."""
    return _KIND_ORDER.index(from_.kind) <= _KIND_ORDER.index(to.kind)


_KIND_ORDER = ("bool", "int", "float", "complex")


def equal(input: Any, other: Any) -> bool:
    """True when two tensors have the same shape and elements, whatever their element types are."""
    found: bool = dispatch.call("aten::equal", (input, other))
    return found


def allclose(input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """True when `isclose` holds everywhere. Raises RuntimeError for different dtypes or negative tolerances."""
    return bool(np.all(dispatch.call("aten::isclose", (input, other, rtol, atol, equal_nan))._array))
