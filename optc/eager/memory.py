"""The memory under an array: strides in elements, and the storage that views share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from optc.ops.overlaps import READS_WRITTEN, WRITES_TWICE, Overlap, Region, is_refused, may_repeat

Array = npt.NDArray[Any]


def strides_of(array: Array) -> tuple[int, ...]:
    """Strides in elements. Where numpy leaves them 0 (extent 1, no elements), PyTorch's numbers."""
    item = array.itemsize
    if array.size == 0 and not any(array.strides):
        return _standard_strides(array.shape)
    chosen = [stride // item for stride in array.strides]
    for axis in range(array.ndim - 1, -1, -1):
        if array.shape[axis] == 1 and chosen[axis] == 0:
            chosen[axis] = chosen[axis + 1] * array.shape[axis + 1] if axis + 1 < array.ndim else 1
    return tuple(chosen)


def _standard_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of a new tensor: row by row, an extent of 0 counting as 1."""
    strides = [1] * len(shape)
    for axis in range(len(shape) - 2, -1, -1):
        strides[axis] = strides[axis + 1] * max(shape[axis + 1], 1)
    return tuple(strides)


def memory_order(shape: Sequence[int], operand_strides: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """The axes, outermost first, in the order PyTorch walks operands of one shape: by falling stride.

    Earlier operands decide before later ones; a stride of 0 decides nothing; ties stay as they stand.
    """
    innermost_first = list(range(len(shape) - 1, -1, -1))
    for start in range(1, len(shape)):
        moving = start
        for candidate in range(start - 1, -1, -1):
            inner, outer = innermost_first[candidate], innermost_first[moving]
            order = _stride_order(shape, operand_strides, inner, outer)
            if order < 0:
                break
            if order > 0:
                innermost_first[candidate], innermost_first[moving] = outer, inner
                moving = candidate
    return tuple(reversed(innermost_first))


def _stride_order(shape: Sequence[int], operand_strides: Sequence[Sequence[int]], inner: int, outer: int) -> int:
    """1 if axis `inner` must move outside of axis `outer`, -1 if it must not, 0 if the strides do not say."""
    for strides in operand_strides:
        inner_stride, outer_stride = strides[inner], strides[outer]
        if inner_stride == 0 or outer_stride == 0:
            continue
        if inner_stride != outer_stride:
            return 1 if inner_stride > outer_stride else -1
        if shape[inner] > shape[outer]:
            return 1
    return 0


def in_operand_order(result: Array, operands: Sequence[Array]) -> Array:
    """The result of an element-by-element operator, its memory in the order of its operands' as PyTorch lays it out."""
    strides = [_broadcast_strides(operand, result.shape) for operand in operands]
    axes = memory_order(result.shape, strides)
    walked = result.transpose(axes)
    if walked.flags.c_contiguous and (result.flags.c_contiguous or 1 not in result.shape):
        return result
    inverse = [axes.index(axis) for axis in range(result.ndim)]
    packed = np.ascontiguousarray(walked).reshape(-1)  # numpy leaves any stride where there is one element
    return packed.reshape(walked.shape).transpose(inverse)


def new_like(array: Array, dtype: Any = None) -> Array:
    """A new array of the same shape, its memory without gaps and in the order of the array's, as PyTorch lays it out."""
    kind = array.dtype if dtype is None else dtype
    axes = memory_order(array.shape, [strides_of(array)])
    inverse = [axes.index(axis) for axis in range(array.ndim)]
    return np.empty([array.shape[axis] for axis in axes], kind).transpose(inverse)


def _broadcast_strides(operand: Array, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The operand's strides in elements when it is expanded to `shape`."""
    lead = len(shape) - operand.ndim
    own = zip(operand.shape, shape[lead:], strides_of(operand))
    return (*[0] * lead, *(stride if extent == wide else 0 for extent, wide, stride in own))


def overlaps_itself(array: Array) -> bool:
    """True for an expanded array: several elements are one place in memory."""
    return 0 in array.strides and any(stride == 0 and extent > 1 for stride, extent in zip(array.strides, array.shape))


def refuse_overlaps(overlap: Overlap, written: Array, operands: Sequence[Array]) -> None:
    """Raise RuntimeError with PyTorch's text where memory is written that may not be."""
    if overlap is not Overlap.ANY and overlaps_itself(written):
        raise RuntimeError(WRITES_TWICE)
    for operand in operands:
        if np.may_share_memory(written, operand) and is_refused(overlap, region_of(written), region_of(operand)):
            raise RuntimeError(READS_WRITTEN)


def refuse_repeats(written: Array) -> None:
    """Raise NotImplementedError where windows of one memory overlap: what is there would change while it is read."""
    if may_repeat(written.strides, written.shape):
        raise NotImplementedError(
            f"elements of a tensor with sizes {list(written.shape)} and strides {list(strides_of(written))} may share "
            "memory, in which case optc does not change them in place. Please clone() the tensor before performing the "
            "operation."
        )


def region_of(array: Array) -> Region:
    """Where the elements of an array lie."""
    return Region(array.shape, strides_of(array), array.__array_interface__["data"][0], array.itemsize)


def without_repeats(array: Array) -> Array:
    """The part of an expanded array in which every element is there once."""
    extents = zip(array.strides, array.shape)
    return array[
        tuple(slice(0, 1) if stride == 0 and extent > 1 else slice(None) for stride, extent in extents) + (...,)
    ]


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
