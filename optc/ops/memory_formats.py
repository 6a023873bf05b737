"""In which order the elements of a tensor lie, where a program asks for one: in rows, or channels last."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from optc.ops.shapes import contiguous_strides, known

Array = np.ndarray[Any, Any]

CONTIGUOUS: Final = 0
PRESERVE: Final = 1
_CHANNELS_LAST: Final = {2: 4, 3: 5}
"""Code of the format -> how many dimensions it is for."""


def element_strides(x: Array) -> tuple[int, ...]:
    """Strides in elements as torch reports them (row-major for contiguous arrays, also empty ones)."""
    if x.flags.c_contiguous:
        return known(contiguous_strides(x.shape))
    return tuple(stride // x.itemsize for stride in x.strides)


def lies_in(x: Array, code: int) -> bool:
    """True when the elements lie in the order of a format, without gaps."""
    if code not in _CHANNELS_LAST:
        return bool(x.flags.c_contiguous)
    return x.ndim == _CHANNELS_LAST[code] and bool(np.moveaxis(x, 1, -1).flags.c_contiguous)


def in_format(x: Array, code: int) -> Array:
    """x where it lies in the order of a format, and otherwise a copy that does. Raises RuntimeError for a format that is
    for another number of dimensions.
    """
    if code == PRESERVE or lies_in(x, code):
        return x
    if code not in _CHANNELS_LAST:
        return x.copy(order="C")
    rank = _CHANNELS_LAST[code]
    if x.ndim != rank:
        raise RuntimeError(f"required rank {rank} tensor to use channels_last{'_3d' if rank == 5 else ''} format")
    return np.moveaxis(np.moveaxis(x, 1, -1).copy(order="C"), -1, 1)


def stays(x: Array, code: int | None) -> bool:
    """True when a conversion that asks for a format leaves the tensor as it is: gaps between elements do not matter."""
    if code is None or code == PRESERVE:
        return True
    found = next((own for own, rank in _CHANNELS_LAST.items() if x.ndim == rank and has_channels_last(x)), CONTIGUOUS)
    return found == code


def has_channels_last(x: Array) -> bool:
    """True when strides grow from the channels over the last to the first dimension: not where one channel leaves it open."""
    strides, least = element_strides(x), 0
    for axis in (1, *range(x.ndim - 1, 1, -1), 0):
        stride = strides[axis]
        is_open = axis == 0 and least == strides[1]
        if stride == 0 or stride < least or is_open:
            return False
        least = stride * max(x.shape[axis], 1)
    return True
