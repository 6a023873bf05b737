"""`tensor[index]` and `tensor[index] = value`, taken apart into the operators PyTorch records.

Ints become `select`, slices `slice`, None `unsqueeze`; tensors, lists, arrays and bools are gathered and end in one
`index` or `index_put_`. Assignment writes through the view that the basic part selects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from optc.eager import dispatch
from optc.eager.base import TensorBase, is_number
from optc.eager.conversion import checked_number, to_tensor_array
from optc.ir import dtypes

_END: Final = 2**63 - 1
_ALLOWED: Final = (
    "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices (got {})"
)


def get_item(tensor: Any, index: Any) -> Any:
    """The part that `index` selects: a view for ints, slices, None and Ellipsis, a copy where a tensor selects.

    Raises IndexError, ValueError or TypeError with PyTorch's texts.
    """
    view, tensors = _basic_part(tensor, _index_tuple(index))
    if tensors:
        return dispatch.call("aten::index", (view, tensors))
    if view is tensor:
        return dispatch.call("aten::alias", (tensor,))
    return view


def set_item(tensor: Any, index: Any, value: Any) -> None:
    """Write `value` (a number or a tensor that fits) where `index` selects. Raises as `get_item`, and RuntimeError for
    a value of a shape that does not fit.
    """
    source = _value_tensor(tensor, value)
    if index is False:
        return
    view, tensors = _basic_part(tensor, _index_tuple(index))
    if tensors:
        source = _without_leading_ones(source, view._array.ndim)
        dispatch.call("aten::index_put_", (view, tensors, source))
        return
    _copy_to(view, source)


def _value_tensor(tensor: Any, value: Any) -> Any:
    if isinstance(value, TensorBase):
        return value
    if not is_number(value):
        kind = f"numpy.{type(value).__name__}" if isinstance(value, np.ndarray) else type(value).__name__
        raise TypeError(f"can't assign a {kind} to a {tensor.type()}")
    return dispatch.wrap(checked_number(value, dtypes.from_numpy(tensor._array.dtype)))


def _copy_to(view: Any, source: Any) -> None:
    if source._array.ndim == 0 and view._array.ndim:
        dispatch.call("aten::fill_", (view, source))
        return
    source = _without_leading_ones(source, view._array.ndim)
    if source._array.shape != view._array.shape:
        source = dispatch.call("aten::expand", (source, list(view._array.shape)))
    dispatch.call("aten::copy_", (view, source))


def _without_leading_ones(source: Any, rank: int) -> Any:
    """The value without the leading dimensions of extent 1 that are more than `rank`."""
    shape = source._array.shape
    surplus = 0
    while surplus < len(shape) - rank and shape[surplus] == 1:
        surplus += 1
    if not surplus:
        return source
    return dispatch.call("aten::view", (source, list(shape[surplus:])))


def _index_tuple(index: Any) -> tuple[Any, ...]:
    if isinstance(index, tuple):
        return index
    if isinstance(index, list) and len(index) < 32 and any(_acts_as_index(item) for item in index):
        return tuple(index)
    return (index,)


def _acts_as_index(item: Any) -> bool:
    """Items that make a list stand for a tuple of indices."""
    return item is None or item is Ellipsis or isinstance(item, TensorBase | slice | list | tuple | np.ndarray)


def _dimensions_used(index: tuple[Any, ...]) -> int:
    used = 0
    for item in index:
        if isinstance(item, TensorBase | np.ndarray):
            array = item._array if isinstance(item, TensorBase) else item
            used += array.ndim if array.dtype.kind == "b" or array.dtype == np.uint8 else 1
        elif item is not None and item is not Ellipsis and not isinstance(item, bool):
            used += 1
    return used


def _basic_part(tensor: Any, index: tuple[Any, ...]) -> tuple[Any, list[Any]]:
    """Apply all but tensors. Returns the view and one entry per leading dimension: an index tensor or None."""
    walk = _Walk(tensor, _dimensions_used(index))
    for place, item in enumerate(index):
        walk.take(item, place)
    if not any(entry is not None for entry in walk.tensors):
        return walk.view, []
    return walk.view, walk.tensors


class _Walk:
    """Goes through an index from left to right, dimension by dimension of the view made so far."""

    def __init__(self, tensor: Any, used: int) -> None:
        self.source = tensor
        self.view = tensor
        self.used = used
        self.dim = 0
        self.place = 0
        self.tensors: list[Any] = []
        self.tracing = dispatch.current_recorder() is not None

    def take(self, item: Any, place: int) -> None:
        """Apply one item, the `place`th of the index (which is the dimension that messages name)."""
        self.place = place
        if item is None:
            self._unsqueeze()
            self.dim += 1
        elif item is Ellipsis:
            self.dim += self.source._array.ndim - self.used
        elif isinstance(item, bool | np.bool_):
            self._unsqueeze()
            self._note(dispatch.wrap(np.array([bool(item)])))
        elif isinstance(item, slice):
            self._slice(item)
        elif isinstance(item, TensorBase):
            self._tensor(item)
        elif isinstance(item, int | np.integer):
            self._select(int(item))
        else:
            self._tensor(_index_tensor(item))

    def _unsqueeze(self) -> None:
        self.view = dispatch.call("aten::unsqueeze", (self.view, self.dim))

    def _require_dimension(self) -> None:
        if self.source._array.ndim == 0:
            raise IndexError(
                "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to convert "
                "a 0-dim tensor to a number"
            )
        if self.dim >= self.view._array.ndim:
            raise IndexError(f"too many indices for tensor of dimension {self.source._array.ndim}")

    def _select(self, place: Any) -> None:
        self._require_dimension()
        number = int(place._array) if isinstance(place, TensorBase) else place
        extent = self.view._array.shape[self.dim]
        if not -extent <= number < extent:
            raise IndexError(f"index {number} is out of bounds for dimension {self.place} with size {extent}")
        self.view = dispatch.call("aten::select", (self.view, self.dim, place))

    def _slice(self, item: slice) -> None:
        if self.source._array.ndim == 0:
            raise IndexError("slice() cannot be applied to a 0-dim tensor.")
        self._require_dimension()
        start = 0 if item.start is None else _bound(item.start)
        stop = _END if item.stop is None else _bound(item.stop)
        step = 1 if item.step is None else _bound(item.step)
        if _plain_int(step) == 0:
            raise ValueError("slice step cannot be zero")
        if _plain_int(step) < 0:
            raise ValueError("step must be greater than zero")
        whole = type(start) is int and start == 0 and stop is _END and _plain_int(step) == 1
        if self.tracing or not whole:
            self.view = dispatch.call("aten::slice", (self.view, self.dim, start, stop, step))
        self.dim += 1

    def _tensor(self, item: Any) -> None:
        kind = item._array.dtype
        if kind.kind not in "biu":
            raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
        is_mask = kind.kind == "b" or kind == np.uint8
        if item._array.ndim == 0 and not is_mask:
            self._select(item)
            return
        if item._array.ndim == 0:
            self._unsqueeze()
            self._note(dispatch.wrap(item._array.astype(np.bool_).reshape(1)))
            return
        self._require_dimension()
        self._note(item)
        if is_mask:
            self.dim += item._array.ndim - 1

    def _note(self, item: Any) -> None:
        """Remember an index tensor at the current dimension. A mask of several dimensions is one entry."""
        entries = self.dim - sum(each._array.ndim - 1 for each in self.tensors if _is_mask(each))
        self.tensors.extend([None] * (entries - len(self.tensors)))
        self.tensors.append(item)
        self.dim += 1


def _is_mask(entry: Any) -> bool:
    return entry is not None and (entry._array.dtype.kind == "b" or entry._array.dtype == np.uint8)


def _plain_int(bound: Any) -> int:
    return int(bound._array) if isinstance(bound, TensorBase) else int(bound)


def _bound(value: Any) -> Any:
    """A bound of a slice: an int, or the 0-d tensor it comes from.

    Raises TypeError for anything that is no index.
    """
    if isinstance(value, TensorBase) and value._array.ndim == 0 and value._array.dtype.kind in "iu":
        return value
    if not hasattr(value, "__index__"):
        raise TypeError("slice indices must be integers or None or have an __index__ method")
    return value.__index__()


def _index_tensor(item: Any) -> Any:
    """A list, range or array as an index tensor. Raises IndexError or TypeError for anything else."""
    if not isinstance(item, Sequence | np.ndarray) or isinstance(item, bytes):
        raise IndexError(_ALLOWED.format(type(item).__name__))
    array = to_tensor_array(item)
    if array.size == 0:
        array = array.astype(np.int64)
    return dispatch.note_constant(dispatch.wrap(array), "")
