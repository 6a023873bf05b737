"""Which numbers a tensor of an element type takes, in PyTorch's words."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.dtypes import DType

C_NAMES = {
    dtypes.FLOAT32: "float", dtypes.FLOAT64: "double", dtypes.FLOAT16: "c10::Half", dtypes.BFLOAT16: "c10::BFloat16",
    dtypes.INT64: "long int", dtypes.INT32: "int", dtypes.INT16: "short int", dtypes.INT8: "signed char",
    dtypes.UINT8: "unsigned char", dtypes.BOOL: "bool", dtypes.COMPLEX64: "c10::complex<float>",
    dtypes.COMPLEX128: "c10::complex<double>",
}  # fmt: skip
"""What C++ calls the types."""

NUMBER_NAMES = {
    **C_NAMES, dtypes.INT64: "int64_t", dtypes.INT16: "int16_t", dtypes.INT8: "int8_t", dtypes.UINT8: "uint8_t",
}  # fmt: skip
"""What PyTorch's conversions of numbers call the types."""

_BFLOAT16_MAXIMUM = 2.0**127 * (2 - 2.0**-7)


def check_number(value: Any, dtype: DType) -> None:
    """Raises RuntimeError for a Python number that a tensor of `dtype` cannot be filled with. Fractions are cut, infinities
    are numbers where the type has fractions, and what is no Python number is not looked at.
    """
    if isinstance(value, int | float | complex) and not _is_held(value, dtype):
        raise RuntimeError(f"value cannot be converted to type {NUMBER_NAMES.get(dtype, dtype.name)} without overflow")


def _is_held(value: Any, dtype: DType) -> bool:
    if isinstance(value, bool) or dtype.kind not in ("int", "float"):
        return True
    if isinstance(value, complex):
        return value.imag == 0 and _is_held(value.real, dtype)
    if dtype.kind == "float":
        return not math.isfinite(value) or abs(value) <= _maximum(dtype)
    limits = np.iinfo(dtype.numpy)
    wraps = isinstance(value, int) and limits.min == 0  # negative numbers count from above
    return math.isfinite(value) and (-int(limits.max) if wraps else int(limits.min)) <= value <= int(limits.max)


def _maximum(dtype: DType) -> float:
    return _BFLOAT16_MAXIMUM if dtype is dtypes.BFLOAT16 else float(np.finfo(dtype.numpy).max)
