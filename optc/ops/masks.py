"""Elements chosen by truth: the places where a tensor is true, and what is read from or written to them.

How many there are is known when the program runs. `prim::TruePlaces` counts and finds them; everything else is made of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.dims import fresh, product
from optc.ir.types import TensorType
from optc.ops.overlaps import Overlap
from optc.ops.promotion import operand_type
from optc.ops.registry import define, define_inplace
from optc.ops.shapes import Shape, broadcast_shapes, contiguous_strides, known, known_shape

Array = np.ndarray[Any, Any]


define(
    "prim::TruePlaces(Tensor mask) -> Tensor",
    infer=lambda mask: TensorType(dtypes.INT64, (fresh(),)),
    reference=lambda mask: np.flatnonzero(mask).astype(np.int64),
    kernel="true_places",
)


def true_places(b: Any, mask: Any) -> Any:
    """The row-major numbers of the places where a tensor is not zero, in order."""
    truth = mask if b.type(mask).dtype is dtypes.BOOL else b("aten::ne.Scalar", mask, 0)
    return b("prim::TruePlaces", truth)


def coordinates(b: Any, mask: Any) -> list[Any]:
    """The places where a tensor of one dimension or more is not zero: one index tensor for every dimension."""
    shape, places = b.shape(mask), true_places(b, mask)
    return [unravelled(b, places, shape, axis) for axis in range(len(shape))]


def unravelled(b: Any, places: Any, shape: Shape, axis: int) -> Any:
    """The coordinate along one dimension of row-major numbers in a shape."""
    step = contiguous_strides(shape)[axis]
    along = places if step == 1 else b("aten::floor_divide.Scalar", places, step)
    return along if axis == 0 else b("aten::remainder.Scalar", along, shape[axis])


def _decompose_nonzero(b: Any, x: Any) -> Any:
    if b.shape(x):
        return b("aten::stack", coordinates(b, x), 1)
    found = true_places(b, b("aten::reshape", x, [1]))
    return b("aten::slice.Tensor", b("aten::unsqueeze", found, 1), 1, 0, 0, 1)


for _name in ("nonzero", "argwhere"):
    define(
        f"aten::{_name}(Tensor self) -> Tensor",
        infer=lambda x: TensorType(dtypes.INT64, (fresh(), len(known_shape(x)))),
        reference=lambda x: np.argwhere(x).astype(np.int64),
        decompose=_decompose_nonzero,
    )


def _infer_places(x: TensorType) -> list[TensorType]:
    count = fresh()
    return [TensorType(dtypes.INT64, (count,))] * max(len(known_shape(x)), 1)


def _decompose_places(b: Any, x: Any) -> list[Any]:
    return coordinates(b, x if b.shape(x) else b("aten::reshape", x, [1]))


for _schema in ("nonzero_numpy(Tensor self) -> Tensor[]", "where(Tensor condition) -> Tensor[]"):
    define(
        f"aten::{_schema}",
        infer=_infer_places,
        reference=lambda x: [np.asarray(places, np.int64) for places in np.nonzero(x if x.ndim else x.reshape(1))],
        decompose=_decompose_places,
    )


# Reading -------------------------------------------------------------------------------------------------------------


def _check_selection_mask(mask: Any) -> None:
    if operand_type(mask) not in (dtypes.BOOL, dtypes.UINT8):
        raise RuntimeError("masked_select: expected BoolTensor for mask")


def _infer_masked_select(x: TensorType, mask: TensorType) -> TensorType:
    _check_selection_mask(mask)
    broadcast_shapes(known_shape(x), known_shape(mask))
    return x.with_shape((fresh(),))


def _reference_masked_select(x: Array, mask: Array) -> Array:
    _check_selection_mask(mask)
    shape = known(broadcast_shapes(x.shape, mask.shape))
    return np.array(np.broadcast_to(x, shape)[np.broadcast_to(mask != 0, shape)])


def _decompose_masked_select(b: Any, x: Any, mask: Any) -> Any:
    shape = broadcast_shapes(b.shape(x), b.shape(mask))
    places = true_places(b, b("aten::expand", mask, list(shape)))
    flat = b("aten::reshape", b("aten::expand", x, list(shape)), [product(shape)])
    return b("aten::index_select", flat, 0, places)


define("aten::masked_select(Tensor self, Tensor mask) -> Tensor", infer=_infer_masked_select,
       reference=_reference_masked_select, decompose=_decompose_masked_select, out="out",
       overlap=Overlap.APART)  # fmt: skip


# Writing -------------------------------------------------------------------------------------------------------------


def _check_masked_scatter(x: Any, mask: Any, source: Any) -> None:
    if operand_type(mask) is not dtypes.BOOL:
        raise RuntimeError(
            f"masked_scatter_ only supports boolean masks, but got mask with dtype {operand_type(mask).label}"
        )
    if operand_type(x) is not operand_type(source):
        raise RuntimeError(
            "masked_scatter: expected self and source to have same dtypes but got"
            f"{operand_type(x).label} and {operand_type(source).label}"
        )


def _infer_masked_scatter(x: TensorType, mask: TensorType, source: TensorType) -> TensorType:
    _check_masked_scatter(x, mask, source)
    return x.with_shape(broadcast_shapes(known_shape(x), known_shape(mask)))


def _reference_masked_scatter(x: Array, mask: Array, source: Array) -> Array:
    _check_masked_scatter(x, mask, source)
    shape = known(broadcast_shapes(x.shape, mask.shape))
    result = np.array(np.broadcast_to(x, shape))
    chosen = np.broadcast_to(mask, shape)
    count = int(np.count_nonzero(chosen))
    if count > source.size:
        raise RuntimeError("Number of elements of source < number of ones in mask")
    result[chosen] = source.reshape(-1)[:count]
    return result


def _decompose_masked_scatter(b: Any, x: Any, mask: Any, source: Any) -> Any:
    """Element number k of the source goes to place number k of the true ones."""
    shape = broadcast_shapes(b.shape(x), b.shape(mask))
    places = true_places(b, b("aten::expand", mask, list(shape)))
    flat = b("aten::reshape", b("aten::expand", x, list(shape)), [product(shape)])
    numbers = b("aten::arange", b.shape(places)[0])
    values = b("aten::index_select", b("aten::reshape", source, [-1]), 0, numbers)
    written = b("aten::index_put", flat, [places], values, False)
    return b("aten::reshape", written, list(shape))


define(
    "aten::masked_scatter(Tensor self, Tensor mask, Tensor source) -> Tensor",
    infer=_infer_masked_scatter,
    reference=_reference_masked_scatter,
    decompose=_decompose_masked_scatter,
    may_fail=True,
    inplace=True,
    overlap=Overlap.APART,
)


# Diagonals -----------------------------------------------------------------------------------------------------------


def _infer_filled_diagonal(x: TensorType, value: Any, wrap: bool) -> TensorType:
    shape = known_shape(x)
    if len(shape) < 2:
        raise RuntimeError("dimensions must larger than 1")
    if len(shape) > 2 and all(isinstance(extent, int) for extent in shape) and len(set(shape)) > 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    return x.with_shape(shape)


def _reference_filled_diagonal(x: Array, value: Any, wrap: bool) -> Array:
    _infer_filled_diagonal(TensorType(operand_type(x), x.shape), value, wrap)
    result = x.copy()
    if x.ndim == 2:
        rows, columns = np.ogrid[: x.shape[0], : x.shape[1]]
        result[rows % (columns.size + 1) == columns if wrap else rows == columns] = value
    else:
        result[(np.arange(x.shape[0]),) * x.ndim] = value
    return result


def _decompose_filled_diagonal(b: Any, x: Any, value: Any, wrap: bool) -> Any:
    shape = b.shape(x)
    places = [b("aten::arange", extent) for extent in shape]
    if wrap and len(shape) == 2:
        places[0] = b("aten::remainder.Scalar", places[0], shape[1] + 1)
    last = places[-1]
    on_diagonal = None
    for axis, place in enumerate(places[:-1]):
        column = b("aten::reshape", place, [shape[axis], *([1] * (len(shape) - 1 - axis))])
        here = b("aten::eq.Tensor", column, last)
        on_diagonal = here if on_diagonal is None else b("aten::logical_and", on_diagonal, here)
    return b("aten::where.self", on_diagonal, b("aten::full", [], value, dtype=b.type(x).dtype.code), x)


define_inplace(
    define(
        "prim::FilledDiagonal(Tensor self, Scalar fill_value, bool wrap=False) -> Tensor",
        infer=_infer_filled_diagonal,
        reference=_reference_filled_diagonal,
        decompose=_decompose_filled_diagonal,
        overlap=Overlap.ANY,
    ),
    "",
    "aten::fill_diagonal_",
)
