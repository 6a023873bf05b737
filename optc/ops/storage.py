"""Other views of the same memory (`as_strided`, `view(dtype)`), and shapes that are changed in place.

`unsqueeze_`, `squeeze_` and `transpose_` give a tensor another shape without writing a number: their references return the array the
tensor has from then on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from optc.ir.dims import Dim
from optc.ir.types import TensorType
from optc.ops.abstract import ShapeError, UndecidedShape, known_dtype
from optc.ops.promotion import operand_type
from optc.ops.registry import Operator, define, lookup
from optc.ops.shape import strided_view
from optc.ops.shapes import format_shape, known_shape, require_same

Array = np.ndarray[Any, Any]


# Strides -------------------------------------------------------------------------------------------------------------


def _storage(x: Array) -> Array:
    """The array that owns the memory of x."""
    while True:
        base = x.base
        if not isinstance(base, np.ndarray):  # numpy's as_strided puts an object between the view and its array
            base = getattr(base, "base", None)
        if not isinstance(base, np.ndarray) or base.dtype != x.dtype:
            return x
        x = base


def _offset(x: Array) -> int:
    """How many elements lie before the first one of x in its memory."""
    return int(x.ctypes.data - _storage(x).ctypes.data) // x.itemsize


def _no_offset(x: TensorType) -> int:
    raise UndecidedShape(_OFFSETS)


_OFFSETS = "where a tensor lies in its memory is known when the program runs"
define(
    "aten::storage_offset(Tensor self) -> int",
    infer=_no_offset,
    reference=_offset,
    interpreted=_OFFSETS,
    needs_strides=True,
)


def _check_strided(size: Sequence[Dim], stride: Sequence[Dim]) -> None:
    if len(size) != len(stride):
        raise RuntimeError("mismatch in length of strides and shape")
    if any(isinstance(step, int) and step < 0 for step in stride):
        raise RuntimeError(
            "as_strided: Negative strides are not supported at the moment, got strides: " + format_shape(stride)
        )


def _infer_strided(x: TensorType, size: Sequence[Dim], stride: Sequence[Dim], offset: Any) -> TensorType:
    _check_strided(size, stride)
    return x.with_shape(tuple(size))


def _reference_strided(x: Array, size: Sequence[int], stride: Sequence[int], offset: int | None) -> Array:
    _check_strided(size, stride)
    storage = _storage(x)
    first = _offset(x)
    start = first if offset is None else offset
    needed = start + 1 + sum((extent - 1) * step for extent, step in zip(size, stride)) if 0 not in size else 0
    if needed > storage.size:
        raise RuntimeError(
            f"setStorage: sizes {format_shape(size)}, strides {format_shape(stride)}, storage offset {start}, and itemsize "
            f"{x.itemsize} requiring a storage size of {needed * x.itemsize} are out of bounds for storage of size "
            f"{storage.nbytes}"
        )
    if 0 in size:
        return np.empty(tuple(size), x.dtype)
    return strided_view(strided_view(storage, [storage.size], [1])[start:], size, stride)


define(
    "aten::as_strided(Tensor(a) self, SymInt[] size, SymInt[] stride, SymInt? storage_offset=None) -> Tensor(a)",
    infer=_infer_strided,
    reference=_reference_strided,
    interpreted="native code does not keep the memory layout that it asks for",
    needs_strides=True,
    may_fail=True,
)


def _infer_strided_scatter(
    x: TensorType, source: TensorType, size: Sequence[Dim], stride: Sequence[Dim], offset: Any
) -> TensorType:
    _check_strided(size, stride)
    shape = known_shape(source)
    message = (
        f"expected src to have a size equal to the slice of self. src size = {format_shape(shape)}, "
        f"slice size = {format_shape(size)}"
    )
    if len(shape) != len(size):
        raise ShapeError(message)
    for mine, other in zip(shape, size):
        require_same(mine, other, message)
    return x.with_shape(x.shape)


def _reference_strided_scatter(
    x: Array, source: Array, size: Sequence[int], stride: Sequence[int], offset: int | None
) -> Array:
    """A copy of the whole memory in which the strided part is `source`."""
    _infer_strided_scatter(
        TensorType(operand_type(x), x.shape), TensorType(operand_type(source), source.shape), size, stride, offset
    )
    storage = _storage(x)
    first = _offset(x)
    memory = strided_view(storage, [storage.size], [1]).copy()
    part = _reference_strided(memory, size, stride, first if offset is None else offset)
    if part.size:
        part[...] = source
    strides = [step // x.itemsize for step in x.strides]
    return strided_view(memory[first:], x.shape, strides).copy() if x.size else x.copy()


define(
    "aten::as_strided_scatter(Tensor self, Tensor src, SymInt[] size, SymInt[] stride, SymInt? storage_offset=None) "
    "-> Tensor",
    infer=_infer_strided_scatter,
    reference=_reference_strided_scatter,
    interpreted="native code does not keep the memory layout that it asks for",
    needs_strides=True,
    may_fail=True,
)


# Element types -------------------------------------------------------------------------------------------------------


def _infer_bits(x: TensorType, code: int) -> TensorType:
    old, new, shape = operand_type(x), known_dtype(code), known_shape(x)
    if old.itemsize == new.itemsize:
        return TensorType(new, shape)
    if not shape:
        raise RuntimeError(f"self.dim() cannot be 0 to view {old.label} as {new.label} (different element sizes)")
    length = shape[-1] * old.itemsize
    if isinstance(length, int) and length % new.itemsize:
        raise ShapeError(
            f"self.size(-1) must be divisible by {new.itemsize // old.itemsize} to view {old.label} as {new.label} "
            f"(different element sizes), but got {shape[-1]}"
        )
    if not isinstance(length, int):
        raise UndecidedShape("does another element type fit the last dimension?")
    return TensorType(new, (*shape[:-1], length // new.itemsize))


def _reference_bits(x: Array, code: int) -> Array:
    _infer_bits(TensorType(operand_type(x), x.shape), code)
    return x.view(known_dtype(code).numpy)


define(
    "aten::view.dtype(Tensor(a) self, ScalarType dtype) -> Tensor(a)",
    infer=_infer_bits,
    reference=_reference_bits,
    interpreted="native code does not reinterpret bits",
)


# Shapes in place -----------------------------------------------------------------------------------------------------


RESHAPED_IN_PLACE: dict[str, str] = {}
"""The views that operators turn their arguments into, by name."""


RESIZING = frozenset({"aten::resize_", "aten::resize_as_"})
"""What gives its argument other extents, and another number of elements."""


def _declare_reshaped_in_place(schema: str, view: Operator | None) -> None:
    assert view is not None
    RESHAPED_IN_PLACE[schema.partition("(")[0]] = view.name
    define(schema, infer=view.rule, reference=view.reference,
           interpreted="it changes the shape of its argument in place")  # fmt: skip


def _infer_resized(x: TensorType, size: Sequence[Dim], memory_format: Any = None) -> TensorType:
    for extent in size:
        if isinstance(extent, int) and extent < 0:
            raise ShapeError(f"Trying to create tensor with negative dimension {extent}: {format_shape(size)}")
    return x.with_shape(tuple(size))


def _reference_resized(x: Array, size: Sequence[int], memory_format: Any = None) -> Array:
    """The elements in memory order, as many as there is room for; new ones are zero here."""
    _infer_resized(TensorType(operand_type(x), x.shape), size)
    count = math.prod(size)
    if tuple(size) == x.shape:
        return x
    flat = x.reshape(-1)[:count]
    return np.concatenate([flat, np.zeros(count - flat.size, x.dtype)]).reshape(tuple(size))


define(
    "aten::resize_(Tensor(a!) self, SymInt[] size, *, MemoryFormat? memory_format=None) -> Tensor(a!)",
    infer=_infer_resized,
    reference=_reference_resized,
    interpreted="it changes the shape of its argument in place",
)
define(
    "aten::resize_as_(Tensor(a!) self, Tensor the_template, *, MemoryFormat? memory_format=None) -> Tensor(a!)",
    infer=lambda x, template, memory_format: _infer_resized(x, known_shape(template)),
    reference=lambda x, template, memory_format: _reference_resized(x, template.shape),
    interpreted="it changes the shape of its argument in place",
)
_declare_reshaped_in_place("aten::unsqueeze_(Tensor(a!) self, int dim) -> Tensor(a!)", lookup("aten::unsqueeze"))
_declare_reshaped_in_place("aten::squeeze_(Tensor(a!) self) -> Tensor(a!)", lookup("aten::squeeze"))
_declare_reshaped_in_place("aten::squeeze_.dim(Tensor(a!) self, int dim) -> Tensor(a!)", lookup("aten::squeeze.dim"))
_declare_reshaped_in_place(
    "aten::squeeze_.dims(Tensor(a!) self, int[] dim) -> Tensor(a!)", lookup("aten::squeeze.dims")
)
_declare_reshaped_in_place("aten::t_(Tensor(a!) self) -> Tensor(a!)", lookup("aten::t"))
_declare_reshaped_in_place(
    "aten::transpose_(Tensor(a!) self, int dim0, int dim1) -> Tensor(a!)", lookup("aten::transpose.int")
)
for _name, _first, _second in (("swapaxes", "axis0", "axis1"), ("swapdims", "dim0", "dim1")):
    _declare_reshaped_in_place(
        f"aten::{_name}_(Tensor(a!) self, int {_first}, int {_second}) -> Tensor(a!)", lookup(f"aten::{_name}")
    )
