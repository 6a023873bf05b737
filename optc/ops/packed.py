"""Packed sequences: the rows of step 0 of all sequences, longest first, then those of step 1, and so on.

`sizes[t]` says how many sequences have a step t. What is packed and what is padded differ by which row stands where;
both ways are gathers with indices that are computed from `sizes`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.dims import Symbolic, fresh
from optc.ir.types import TensorType
from optc.ops.abstract import ShapeError, UndecidedShape, Unknown
from optc.ops.elementwise import array_type
from optc.ops.failing import refuse
from optc.ops.promotion import operand_type
from optc.ops.registry import define
from optc.ops.shapes import known_shape

Array = np.ndarray[Any, Any]

UNSORTED = (
    "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
    "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement if you do not need "
    "ONNX exportability."
)
EMPTY = "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0"
TOO_SHORT = "Expected total_length to be at least the length of the longest sequence in input"

# Where rows stand ----------------------------------------------------------------------------------------------------


def _column(b: Any, x: Any) -> Any:
    return b("aten::unsqueeze", x, 1)


def _ends(b: Any, sizes: Any) -> Any:
    """The number of the first packed row behind each step."""
    return b("aten::cumsum", sizes, 0)


def padded_rows(b: Any, data: Any, sizes: Any, batch: Any) -> Any:
    """The packed rows as (steps, batch, *). Where a sequence has no such step stands some other row."""
    starts = b("aten::sub.Tensor", _ends(b, sizes), sizes)
    places = b("aten::add.Tensor", _column(b, starts), b("aten::arange", batch, dtype=dtypes.INT64.code))
    count, *rest = b.shape(data)
    last = b("aten::sub.int", b.value(count), 1)
    places = b("aten::clamp_max", b("aten::reshape", places, [-1]), last)
    return b("aten::reshape", b("aten::index_select", data, 0, places), [b.shape(sizes)[0], batch, *rest])


def is_present(b: Any, sizes: Any, batch: Any) -> Any:
    """True at (step, sequence) where the sequence has that step."""
    return b("aten::lt.Tensor", b("aten::arange", batch, dtype=dtypes.INT64.code), _column(b, sizes))


def packed_rows(b: Any, steps: Any, sizes: Any, count: Any) -> Any:
    """`count` packed rows out of (steps, batch, *)."""
    length, batch, *rest = b.shape(steps)
    rows = b("aten::arange", count, dtype=dtypes.INT64.code)
    ends = _ends(b, sizes)
    times = b("aten::sum.dim_IntList", b("aten::ge.Tensor", _column(b, rows), ends), [1])
    starts = b("aten::index_select", b("aten::sub.Tensor", ends, sizes), 0, times)
    sequences = b("aten::sub.Tensor", rows, starts)
    places = b("aten::add.Tensor", b("aten::mul.Scalar", times, b.value(batch)), sequences)
    flat = b("aten::reshape", steps, [b.multiply(b.value(length), b.value(batch)), *rest])
    return b("aten::index_select", flat, 0, places)


# Packing -------------------------------------------------------------------------------------------------------------


def _require_flag(batch_first: Any) -> None:
    if isinstance(batch_first, Unknown):
        raise UndecidedShape("the order of the dimensions is needed before the program runs")


def _check_lengths(x: TensorType, lengths: TensorType, batch_first: bool) -> None:
    _require_flag(batch_first)
    shape = known_shape(lengths)
    if operand_type(lengths) is not dtypes.INT64 or len(shape) != 1:
        raise RuntimeError(
            f"'lengths' argument should be a 1D CPU int64 tensor, but got {len(shape)}D cpu "
            f"{operand_type(lengths).label} tensor"
        )
    if 0 in known_shape(x):
        raise RuntimeError("Cannot pack empty tensors.")
    batch = known_shape(x)[0 if batch_first else 1]
    if isinstance(shape[0], int) and isinstance(batch, int) and shape[0] != batch:
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {shape[0]} (batch_size={batch})"
        )


def _infer_pack(x: TensorType, lengths: TensorType, batch_first: bool) -> tuple[TensorType, TensorType]:
    _check_lengths(x, lengths, batch_first)
    return TensorType(x.dtype, (fresh(), *known_shape(x)[2:])), TensorType(dtypes.INT64, (fresh(),))


def _reference_pack(x: Array, lengths: Array, batch_first: bool) -> tuple[Array, Array]:
    _check_lengths(array_type(x), array_type(lengths), batch_first)
    if np.any(lengths[:-1] < lengths[1:]):
        raise RuntimeError(UNSORTED)
    if np.any(lengths <= 0):
        raise RuntimeError(EMPTY)
    steps = x.swapaxes(0, 1) if batch_first else x
    present = np.arange(lengths[0])[:, None] < lengths
    return steps[: len(present)][present[: len(steps)]], present.sum(axis=1)


def _decompose_pack(b: Any, x: Any, lengths: Any, batch_first: bool) -> Any:
    entries, batch = b.shape(lengths)[0], b.shape(x)[0 if batch_first else 1]
    if entries != batch:
        refuse(
            b, b("aten::ne.int", b.value(entries), b.value(batch)), "Expected `len(lengths)` to be equal to batch_size"
        )
    last = b("aten::sub.int", b.value(entries), 1)
    behind = b("aten::arange.start", 1, b.value(entries + 1), dtype=dtypes.INT64.code)
    following = b("aten::index_select", lengths, 0, b("aten::clamp_max", behind, last))
    for wrong, message in (
        (b("aten::lt.Tensor", lengths, following), UNSORTED),
        (b("aten::le.Scalar", lengths, 0), EMPTY),
    ):
        refuse(b, b("aten::Bool.Tensor", b("aten::any", wrong)), message)
    steps = b("aten::transpose.int", x, 0, 1) if batch_first else x
    longest = b("aten::Int.Tensor", b("aten::select.int", lengths, 0, 0))
    times = b("aten::arange", longest, dtype=dtypes.INT64.code)
    sizes = b("aten::sum.dim_IntList", b("aten::lt.Tensor", _column(b, times), lengths), [1])
    held = b("aten::clamp_max", lengths, b.value(b.shape(steps)[0]))
    count = b("aten::Int.Tensor", b("aten::sum", held))
    return packed_rows(b, steps, sizes, count), sizes


define(
    "aten::_pack_padded_sequence(Tensor input, Tensor lengths, bool batch_first) -> (Tensor, Tensor)",
    infer=_infer_pack,
    reference=_reference_pack,
    decompose=_decompose_pack,
    may_fail=True,
)

# Padding -------------------------------------------------------------------------------------------------------------


def _length(sizes: TensorType, total: Any) -> Any:
    """How many steps the padded batch has. Raises RuntimeError when more are there than asked for."""
    steps = known_shape(sizes)[0]
    if isinstance(total, Symbolic):
        return fresh()
    if total <= 0:
        return steps
    if isinstance(steps, int) and steps > total:
        raise RuntimeError(f"{TOO_SHORT}, but got total_length={total} and max sequence length being {steps}")
    return total


def _infer_pad(
    data: TensorType, sizes: TensorType, batch_first: bool, value: Any, total: Any
) -> tuple[TensorType, TensorType]:
    _require_flag(batch_first)
    if len(known_shape(sizes)) != 1:
        raise ShapeError("batch_sizes must have one dimension")
    batch, length = fresh(), _length(sizes, total)
    front = (batch, length) if batch_first else (length, batch)
    return TensorType(data.dtype, (*front, *known_shape(data)[1:])), TensorType(dtypes.INT64, (batch,))


def _reference_pad(data: Array, sizes: Array, batch_first: bool, value: Any, total: int) -> tuple[Array, Array]:
    length = _length(array_type(sizes), total)
    present = np.zeros((length, sizes[0]), bool)
    present[: len(sizes)] = np.arange(sizes[0]) < sizes[:, None]
    padded = np.full((*present.shape, *data.shape[1:]), value, data.dtype)
    padded[present] = data
    return np.ascontiguousarray(padded.swapaxes(0, 1)) if batch_first else padded, present.sum(axis=0)


def _decompose_pad(b: Any, data: Any, sizes: Any, batch_first: bool, value: Any, total: Any) -> Any:
    if b.abstract(total) not in (0, -1):
        steps, asked = b.value(b.shape(sizes)[0]), b.value(total)
        refuse(b, b("aten::gt.int", steps, asked), TOO_SHORT)
        missing = b("aten::sub.int", asked, steps)
        sizes = b("aten::cat", [sizes, b("aten::zeros", [missing], dtype=dtypes.INT64.code)], 0)
    batch = b("aten::Int.Tensor", b("aten::select.int", sizes, 0, 0))
    present = is_present(b, sizes, batch)
    lengths = b("aten::sum.dim_IntList", present, [0])
    absent = b("aten::logical_not", present)
    for _ in b.shape(data)[1:]:
        absent = b("aten::unsqueeze", absent, -1)
    padded = b("aten::masked_fill.Scalar", padded_rows(b, data, sizes, batch), absent, value)
    return b("aten::transpose.int", padded, 0, 1) if batch_first else padded, lengths


define(
    "aten::_pad_packed_sequence(Tensor data, Tensor batch_sizes, bool batch_first, Scalar padding_value, "
    "int total_length) -> (Tensor, Tensor)",
    infer=_infer_pad,
    reference=_reference_pad,
    decompose=_decompose_pad,
    may_fail=True,
)
