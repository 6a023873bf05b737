"""torch's type promotion: which element type an operator's operands are brought to.

Operands fall into three categories, in order of weight: tensors with dimensions, 0-d tensors, Python numbers. A
category only changes the type of a heavier one when it is of a higher kind (bool < int < float < complex).
Operands are abstract values (`TensorType`, numbers, `Symbolic`, `Unknown`) or, in references, numpy arrays and numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.ir.dims import Symbolic
from optc.ir.dtypes import (
    BFLOAT16,
    BOOL,
    COMPLEX64,
    COMPLEX128,
    FLOAT16,
    FLOAT32,
    FLOAT64,
    INT64,
    DType,
    from_numpy,
    promote,
)
from optc.ir.types import BOOL as BOOL_TYPE
from optc.ir.types import TensorType
from optc.ops.abstract import UndecidedShape, Unknown

_default_float = FLOAT32


def default_float() -> DType:
    """The type of floating-point numbers that nobody gave a type: torch.get_default_dtype()."""
    return _default_float


def set_default_float(dtype: DType) -> None:
    """torch.set_default_dtype. Raises TypeError for types without fraction."""
    global _default_float
    if not dtype.is_floating_point:
        raise TypeError("only floating-point types are supported as the default type")
    _default_float = dtype


def default_complex() -> DType:
    """The complex type whose parts have the default type."""
    return COMPLEX128 if _default_float is FLOAT64 else COMPLEX64


def is_operand(value: Any) -> bool:
    """True for what takes part in promotion: tensors and numbers, also those only known by their type."""
    return isinstance(value, TensorType | np.ndarray | int | float | complex | Symbolic) or (
        isinstance(value, Unknown) and value.type is not BOOL_TYPE
    )


def number_type(value: Any) -> DType:
    """The type a Python number has in promotion."""
    if isinstance(value, bool):
        return BOOL
    if isinstance(value, int | Symbolic | np.integer):
        return INT64
    return default_complex() if isinstance(value, complex) else default_float()


def operand_type(value: Any) -> DType:
    """The element type of one operand. Raises UndecidedShape for a tensor of unknown type."""
    if isinstance(value, np.ndarray):
        return from_numpy(value.dtype)
    if isinstance(value, TensorType):
        if value.dtype is None:
            raise UndecidedShape("the element type of a tensor is not known")
        return value.dtype
    return number_type(value)


def _combine(higher: DType | None, lower: DType | None) -> DType | None:
    if higher is None or lower is None:
        return higher or lower
    if higher.is_complex:
        return higher
    if higher.is_floating_point:
        if not lower.is_complex:
            return higher
        return COMPLEX128 if higher is FLOAT64 else COMPLEX64
    if higher is BOOL or lower.kind in ("float", "complex"):
        return promote(higher, lower)
    return higher


def result_type(*operands: Any) -> DType:
    """torch.result_type of any number of operands (None is skipped)."""
    by_category: list[DType | None] = [None, None, None]
    for operand in operands:
        if operand is None:
            continue
        category = _category(operand)
        dtype, known = operand_type(operand), by_category[category]
        by_category[category] = dtype if known is None else promote(known, dtype)
    result = _combine(by_category[0], _combine(by_category[1], by_category[2]))
    if result is None:
        raise ValueError("there is nothing to promote")
    return result


def _category(operand: Any) -> int:
    if isinstance(operand, np.ndarray):
        return 0 if operand.ndim else 1
    if isinstance(operand, TensorType):
        return 0 if operand.shape else 1
    return 2


def float_result(dtype: DType) -> DType:
    """Integers and bools become the default float; the rest stays."""
    return default_float() if dtype.kind in ("bool", "int") else dtype


def real_type(dtype: DType) -> DType:
    """The type of the parts of complex numbers; other types as they are."""
    if not dtype.is_complex:
        return dtype
    return FLOAT32 if dtype is COMPLEX64 else FLOAT64


def complex_type(dtype: DType) -> DType:
    """The type of complex numbers whose parts have a type. Raises RuntimeError for whole numbers."""
    if dtype.is_complex:
        return dtype
    if dtype.kind != "float":
        raise RuntimeError(f"Unknown Complex ScalarType for {dtype.label}")
    return COMPLEX128 if dtype is FLOAT64 else COMPLEX64


def compute_type(dtype: DType) -> DType:
    """The type in which elements are computed: half and bfloat16 widen to float32."""
    return FLOAT32 if dtype in (FLOAT16, BFLOAT16) else dtype


def exact_type(dtype: DType) -> DType:
    """The widest type of a kind, in which references compute: double, or complex of doubles."""
    return COMPLEX128 if dtype.is_complex else FLOAT64


def sum_type(dtype: DType) -> DType:
    """The type of sums and products: integers and bools become int64."""
    return INT64 if dtype.kind in ("bool", "int") else dtype
