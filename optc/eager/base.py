"""The slots of a tensor: what native code writes and dispatch reads. `Tensor` (in tensor.py) adds the behaviour."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

NO_GRADIENT: Final = 0
"""The tensor requires no gradient."""
LEAF: Final = 1
"""The user asked for gradients of this tensor."""
COMPUTED: Final = 2
"""The tensor was computed from one that requires gradients."""


class TensorBase:
    """A numpy array and whether the tensor requires gradients.

    `_array` is the elements (always an `ndarray` of a dtype `optc.ir.dtypes` knows, 0-d included); views share its
    memory. `_gradient` is NO_GRADIENT, LEAF or COMPUTED. Both slots must be written for an instance to be valid.
    """

    __slots__ = ("__weakref__", "_array", "_gradient")

    _array: npt.NDArray[Any]
    _gradient: int


def is_number_like(value: Any) -> bool:
    """True for a 0-d tensor that may stand where a number is expected."""
    return isinstance(value, TensorBase) and value._array.ndim == 0 and value._gradient == NO_GRADIENT


def array_of(value: Any) -> Any:
    """The array of a tensor; any other value as it is."""
    return value._array if isinstance(value, TensorBase) else value


def is_number(value: Any) -> bool:
    """True for Python and numpy numbers, bools included."""
    return isinstance(value, int | float | complex | np.number | np.bool_)
