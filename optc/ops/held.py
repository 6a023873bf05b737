"""Arrays of element types that optc loads, saves and converts, and does not compute with: 8-bit floats, large unsigned
integers, complex numbers of two halves.

Like quantised arrays (`optc.ops.quantizers`) they are arrays of records, of one field that is called after the type, so
that views and copies keep the type and no arithmetic takes them for something else.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.dtypes import DType

Array = np.ndarray[Any, Any]


@cache
def record_of(dtype: DType) -> np.dtype[Any]:
    """How numpy sees an element of a held type; other types as they are."""
    if not dtype.is_held:
        return dtype.numpy
    return np.dtype([(dtype.name, dtype.numpy), ("guard", "V0")])


def is_held(array: Any) -> bool:
    """True for an array of a held type."""
    return isinstance(array, np.ndarray) and array.dtype.names is not None and dtypes.from_numpy(array.dtype).is_held


def numbers_of(array: Array) -> Array:
    """The numbers in a held array: a view of its memory, except that complex ones are copied to complex64."""
    dtype = dtypes.from_numpy(array.dtype)
    found = np.asarray(array[dtype.name])
    if dtype is not dtypes.COMPLEX32:
        return found
    numbers = np.empty(found.shape, np.complex64)
    numbers.real, numbers.imag = found["real"], found["imag"]
    return numbers
