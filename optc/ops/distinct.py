"""Sets of elements, and of slices: what occurs, how often, and where each element went. Rows are sorted first."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.dims import Dim, fresh, minimum, product
from optc.ir.types import BOOL, IntType, TensorType
from optc.ops.abstract import normalize_dim
from optc.ops.element_types import COMPLEXES, check_type, unimplemented
from optc.ops.masks import true_places
from optc.ops.ordering import sorted_places
from optc.ops.promotion import operand_type
from optc.ops.registry import define
from optc.ops.shapes import Shape, known_shape

Array = np.ndarray[Any, Any]

UNROLLED = 4
"""Slices of so many elements are put in order without a loop over them."""


# Types ---------------------------------------------------------------------------------------------------------------


def _infer_set(
    x: TensorType, shape: tuple[Dim, ...], number: Dim, inverse_shape: tuple[Dim, ...] | None, counted: bool
) -> tuple[TensorType, TensorType, TensorType]:
    """The distinct elements; where each one went, if somebody asks; how often they occur, if somebody asks."""
    return (
        x.with_shape(shape),
        TensorType(dtypes.INT64, (0,) if inverse_shape is None else inverse_shape),
        TensorType(dtypes.INT64, (number,) if counted else (0,)),
    )


def _infer_elements(x: TensorType, inverse: bool, counts: bool) -> tuple[TensorType, TensorType, TensorType]:
    number = fresh()
    return _infer_set(x, (number,), number, known_shape(x) if inverse else None, counts)


def _infer_slices(x: TensorType, dim: int, inverse: bool, counts: bool) -> tuple[TensorType, TensorType, TensorType]:
    shape = known_shape(x)
    place = _check_slices(shape, dim)
    number: Dim = fresh() if shape[place] != 0 else 0
    kept = (*shape[:place], number, *shape[place + 1 :])
    return _infer_set(x, kept, number, (shape[place],) if inverse else None, counts)


def _check_slices(shape: Shape, dim: int) -> int:
    place = normalize_dim(dim, len(shape))
    empty = sum(extent == 0 for extent in shape)
    if shape and shape[place] == 0:
        if empty != 1:
            raise RuntimeError("Number of zero sized dimensions is more than one, so unique cannot be applied ")
    elif empty:
        raise RuntimeError("There are 0 sized dimensions, and they aren't selected, so unique cannot be applied")
    return place


# Meaning -------------------------------------------------------------------------------------------------------------


def _runs(rows: Array) -> Array:
    """Where a row differs from the one before: every run of equal ones starts there."""
    starts = np.ones(len(rows), bool)
    starts[1:] = np.any(rows[1:] != rows[:-1], axis=1)
    return starts


def _distinct(rows: Array, order: Array) -> tuple[Array, Array, Array]:
    """Which rows to keep, where each row went, and how often each one that is kept occurs."""
    starts = _runs(rows[order])
    first = np.flatnonzero(starts)
    inverse = np.empty(len(rows), np.int64)
    inverse[order] = np.cumsum(starts) - 1
    return order[first], inverse, np.diff([*first, len(rows)]).astype(np.int64)


def _lexicographic(rows: Array) -> Array:
    """The stable order of rows, their first elements counting most."""
    order = np.arange(len(rows))
    for column in reversed(range(rows.shape[1])):
        order = order[sorted_places(rows[order, column], 0, False)]
    return order


def _optional(asked: bool, numbers: Array) -> Array:
    return numbers if asked else np.zeros(0, np.int64)


def _reference_elements(x: Array, is_sorted: bool, inverse: bool, counts: bool) -> tuple[Array, Array, Array]:
    flat = x.reshape(-1, 1)
    order = _lexicographic(flat) if is_sorted else np.arange(len(flat))
    chosen, where, numbers = _distinct(flat, order)
    return flat[chosen, 0], _optional(inverse, where.reshape(x.shape)), _optional(counts, numbers)


def _reference_slices(x: Array, dim: int, is_sorted: bool, inverse: bool, counts: bool) -> tuple[Array, Array, Array]:
    place = _check_slices(x.shape, dim)
    moved = np.moveaxis(x, place, 0)
    rows = moved.reshape(len(moved), math.prod(moved.shape[1:]))
    order = _lexicographic(rows) if is_sorted else np.arange(len(rows))
    chosen, where, numbers = _distinct(rows, order)
    values = np.ascontiguousarray(np.moveaxis(moved[chosen], 0, place))
    return values, _optional(inverse, where), _optional(counts, numbers)


# As operators --------------------------------------------------------------------------------------------------------


def _starts(b: Any, rows: Any) -> Any:
    """`_runs` of a matrix, or of a vector of elements."""
    count = b.shape(rows)[0]
    after = b("aten::slice.Tensor", rows, 0, 1, count, 1)
    before = b("aten::narrow", rows, 0, 0, b.shape(after)[0])  # seen to be as long, though there may be no rows
    differs = b("aten::ne.Tensor", after, before)
    if len(b.shape(rows)) > 1:
        differs = b("aten::any.dim", differs, 1, False)
    first = b("aten::ones", [minimum(count, 1)], dtype=dtypes.BOOL.code)
    return b("aten::cat", [first, differs], 0)


def _grouped(b: Any, rows: Any, order: Any, inverse: bool, counts: bool) -> tuple[Any, Any, Any]:
    """Which rows to keep, where each row went, how often each one that is kept occurs. `order`: None for as they are."""
    starts = _starts(b, rows if order is None else b("aten::index_select", rows, 0, order))
    first = true_places(b, starts)
    numbers = b("aten::sub.Scalar", b("aten::cumsum", starts, 0), 1)
    nothing = b("aten::full", [0], 0, dtype=dtypes.INT64.code)
    where, counted = nothing, nothing
    if inverse:
        where = numbers if order is None else b("aten::scatter.src", numbers, 0, order, numbers)
    if counts:
        zeros = b("aten::full", [b.shape(first)[0]], 0, dtype=dtypes.INT64.code)
        counted = b("aten::scatter_add", zeros, 0, numbers, b("aten::ones_like", numbers))
    return first if order is None else b("aten::index_select", order, 0, first), where, counted


def _decompose_elements(b: Any, x: Any, is_sorted: bool, inverse: bool, counts: bool) -> tuple[Any, Any, Any]:
    flat = b("aten::reshape", x, [-1])
    order = b("aten::sort", flat, 0)[1] if is_sorted else None
    chosen, where, counted = _grouped(b, flat, order, inverse, counts)
    if inverse:
        where = b("aten::reshape", where, list(b.shape(x)))
    return b("aten::index_select", flat, 0, chosen), where, counted


def _row_order(b: Any, rows: Any) -> Any:
    """`_lexicographic`: sorted by the last column first, every sort stable."""
    count, columns = b.shape(rows)
    order = b("aten::arange", count)
    if isinstance(columns, int) and columns <= UNROLLED:
        for column in reversed(range(columns)):
            order = _sorted_by(b, rows, order, column)
        return order
    graph = b.graph
    always = graph.insert_constant(True, BOOL)
    loop = graph.insert("prim::Loop", [b.value(columns), always, order], [order.type])
    body = loop.add_block()
    turn, carried = body.add_input(IntType()), body.add_input(order.type)
    with graph.inserting(body):
        following = _sorted_by(b, rows, carried, b("aten::sub.int", b.value(columns - 1), turn))
    for value in (always, following):
        body.add_output(value)
    return loop.output


def _sorted_by(b: Any, rows: Any, order: Any, column: Any) -> Any:
    keys = b("aten::index_select", b("aten::select.int", rows, 1, column), 0, order)
    return b("aten::index_select", order, 0, b("aten::sort", keys, 0)[1])


def _decompose_slices(b: Any, x: Any, dim: int, is_sorted: bool, inverse: bool, counts: bool) -> tuple[Any, Any, Any]:
    shape = b.shape(x)
    place = normalize_dim(dim, len(shape))
    if shape[place] == 0:
        nothing = b("aten::full", [0], 0, dtype=dtypes.INT64.code)
        return b("aten::clone", x), nothing, nothing
    moved = b("aten::movedim.int", x, place, 0)
    width = product((*shape[:place], *shape[place + 1 :]))
    if not isinstance(width, int):
        b.require(b("aten::gt.int", b.value(width), 0), "There are 0 sized dimensions, so unique cannot be applied")
    rows = b("aten::reshape", moved, [shape[place], width])
    order = _row_order(b, rows) if is_sorted else None
    chosen, where, counted = _grouped(b, rows, order, inverse, counts)
    return b("aten::index_select", x, place, chosen), where, counted


# Declarations --------------------------------------------------------------------------------------------------------

define(
    "aten::_unique2(Tensor self, bool sorted=True, bool return_inverse=False, bool return_counts=False) "
    "-> (Tensor, Tensor, Tensor)",
    infer=lambda x, in_order, inverse, counts: _infer_elements(x, inverse, counts),
    reference=lambda x, in_order, inverse, counts: _reference_elements(x, True, inverse, counts),
    decompose=lambda b, x, in_order, inverse, counts: _decompose_elements(b, x, True, inverse, counts),
    refuses=unimplemented("unique", COMPLEXES),
)
define(
    "aten::_unique(Tensor self, bool sorted=True, bool return_inverse=False) -> (Tensor, Tensor)",
    infer=lambda x, in_order, inverse: _infer_elements(x, inverse, False)[:2],
    reference=lambda x, in_order, inverse: _reference_elements(x, True, inverse, False)[:2],
    decompose=lambda b, x, in_order, inverse: _decompose_elements(b, x, True, inverse, False)[:2],
    refuses=unimplemented("unique", COMPLEXES),
)
define(
    "aten::unique_dim(Tensor self, int dim, bool sorted=True, bool return_inverse=False, bool return_counts=False) "
    "-> (Tensor, Tensor, Tensor)",
    infer=lambda x, dim, in_order, inverse, counts: _infer_slices(x, dim, True, True),
    reference=lambda x, dim, in_order, inverse, counts: _reference_slices(x, dim, True, True, True),
    decompose=lambda b, x, dim, in_order, inverse, counts: _decompose_slices(b, x, dim, True, True, True),
    refuses=unimplemented("unique_dim", COMPLEXES),
)
define(
    "aten::unique_dim_consecutive(Tensor self, int dim, bool return_inverse=False, bool return_counts=False) "
    "-> (Tensor, Tensor, Tensor)",
    infer=lambda x, dim, inverse, counts: _infer_slices(x, dim, True, True),
    reference=lambda x, dim, inverse, counts: _reference_slices(x, dim, False, True, True),
    decompose=lambda b, x, dim, inverse, counts: _decompose_slices(b, x, dim, False, True, True),
    refuses=unimplemented("unique_dim", COMPLEXES),
)


def _infer_runs(x: TensorType, inverse: bool, counts: bool, dim: int | None) -> tuple[Any, ...]:
    check_type(unimplemented("unique" if dim is None else "unique_dim", COMPLEXES), operand_type(x))
    return _infer_elements(x, inverse, counts) if dim is None else _infer_slices(x, dim, True, True)


def _reference_runs(x: Array, inverse: bool, counts: bool, dim: int | None) -> tuple[Array, Array, Array]:
    check_type(unimplemented("unique" if dim is None else "unique_dim", COMPLEXES), operand_type(x))
    if dim is None:
        return _reference_elements(x, False, inverse, counts)
    return _reference_slices(x, dim, False, True, True)


def _decompose_runs(b: Any, x: Any, inverse: bool, counts: bool, dim: int | None) -> tuple[Any, Any, Any]:
    if dim is None:
        return _decompose_elements(b, x, False, inverse, counts)
    return _decompose_slices(b, x, dim, False, True, True)


define(
    "aten::unique_consecutive(Tensor self, bool return_inverse=False, bool return_counts=False, int? dim=None) "
    "-> (Tensor, Tensor, Tensor)",
    infer=_infer_runs,
    reference=_reference_runs,
    decompose=_decompose_runs,
)
