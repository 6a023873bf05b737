"""The memory under an array: strides in elements, and the storage that views share."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def strides_of(array: Array) -> tuple[int, ...]:
    """Strides in elements. Where numpy is free to choose (extent 1 or no elements), the choice is PyTorch's."""
    item = array.itemsize
    if array.size == 0:
        strides = [1] * array.ndim
        for axis in range(array.ndim - 2, -1, -1):
            strides[axis] = strides[axis + 1] * max(array.shape[axis + 1], 1)
        return tuple(strides)
    chosen = [stride // item for stride in array.strides]
    for axis in range(array.ndim - 1, -1, -1):
        if array.shape[axis] == 1 and chosen[axis] == 0:
            chosen[axis] = chosen[axis + 1] * array.shape[axis + 1] if axis + 1 < array.ndim else 1
    return tuple(chosen)


def is_channels_last(array: Array) -> bool:
    """True for four dimensions that lie in memory as batch, height, width, channel."""
    return array.ndim == 4 and bool(array.transpose(0, 2, 3, 1).flags.c_contiguous)


class Storage:
    """The bytes that a tensor and its views share."""

    __slots__ = ("_owner",)

    def __init__(self, owner: Array) -> None:
        self._owner = owner

    def data_ptr(self) -> int:
        """The address of the first byte."""
        return self._owner.ctypes.data

    def nbytes(self) -> int:
        """The number of bytes."""
        return self._owner.nbytes

    size = __len__ = nbytes

    def offset_of(self, array: Array) -> int:
        """Elements from the start to the first element of a view."""
        return 0 if array.size == 0 else (array.ctypes.data - self.data_ptr()) // array.itemsize


def storage_of(array: Array) -> Storage:
    """The storage of an array: the array that owns the memory."""
    owner = array
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    return Storage(owner)
