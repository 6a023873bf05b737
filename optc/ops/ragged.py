"""Operators on parts of unequal sizes: reductions of segments, chunks padded to one size, places up to a fixed number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from optc.ir.dtypes import INT32, INT64
from optc.ir.types import TensorType
from optc.ops.abstract import UndecidedShape, normalize_dim
from optc.ops.composite import declare_composite
from optc.ops.hosted import declare_hosted
from optc.ops.promotion import operand_type
from optc.ops.shapes import known_shape

Array = np.ndarray[Any, Any]


# Segments ------------------------------------------------------------------------------------------------------------

_MEANINGS: dict[str, tuple[Callable[..., Any], float]] = {
    "sum": (np.sum, 0.0), "mean": (np.sum, 0.0), "prod": (np.prod, 1.0), "max": (np.max, -np.inf), "min": (np.min, np.inf),
}  # fmt: skip
"""How a segment is reduced, and what it starts from."""


def _infer_segments(
    data: TensorType, reduce: str, lengths: Any, indices: Any, offsets: Any, axis: int, unsafe: bool, initial: Any
) -> TensorType:
    if reduce not in _MEANINGS:
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    if indices is not None:
        raise RuntimeError("segment_reduce(): indices based reduction is not supported yet.")
    if lengths is None and offsets is None:
        raise RuntimeError("segment_reduce(): Either lengths or offsets must be defined.")
    if operand_type(data).kind != "float":
        raise NotImplementedError(f"\"_segment_reduce_cpu\" not implemented for '{operand_type(data).label}'")
    shape = known_shape(data)
    place = normalize_dim(axis, len(shape))
    given = offsets if lengths is None else lengths
    if operand_type(given) not in (INT32, INT64):
        raise NotImplementedError(f"\"_segment_reduce_cpu\" not implemented for '{operand_type(given).label}'")
    counts = known_shape(given)
    if len(counts) != place + 1:
        raise RuntimeError(f"segment_reduce(): Expected axis to be the last dimension of lengths but got {axis}.")
    number = counts[-1] - (1 if lengths is None else 0)
    return data.with_shape((*counts[:-1], number, *shape[place + 1 :]))


def _segments(
    data: Array, reduce: str, lengths: Any, indices: Any, offsets: Any, axis: int, unsafe: bool, initial: Any
) -> Array:
    place = normalize_dim(axis, data.ndim)
    bounds = _bounds(data, lengths, offsets, place, unsafe)
    combine, neutral = _MEANINGS[reduce]
    start = neutral if initial is None else float(initial)
    batch = data.shape[:place]
    result = np.empty((*batch, bounds.shape[-1] - 1, *data.shape[place + 1 :]))
    for where in np.ndindex(*batch):
        for number, (first, last) in enumerate(zip(bounds[where][:-1], bounds[where][1:])):
            segment = data[where][first:last].astype(np.float64)
            value = combine(segment, axis=0, initial=start)
            empty = np.nan if initial is None and reduce == "mean" else value
            result[where][number] = (value / (last - first) if last > first else empty) if reduce == "mean" else value
    return result


def _bounds(data: Array, lengths: Array | None, offsets: Array | None, place: int, unsafe: bool) -> Array:
    """Where the segments of every row begin, and the end of the last. Raises RuntimeError where they do not fit."""
    if lengths is None:
        assert offsets is not None
        return offsets
    if not unsafe:
        if lengths.size and lengths.min() < 0:
            raise RuntimeError("lengths contains negative value!")
        if np.any(lengths.sum(-1) != data.shape[place]):
            raise RuntimeError(
                "segment_reduce(): Expected all rows of lengths along axis to sum to data.size(lengths.dim()-1) when "
                "!unsafe."
            )
    return np.concatenate([np.zeros((*lengths.shape[:-1], 1), np.int64), np.cumsum(lengths, -1)], -1)


declare_hosted(
    "aten::segment_reduce(Tensor data, str reduce, *, Tensor? lengths=None, Tensor? indices=None, "
    "Tensor? offsets=None, int axis=0, bool unsafe=False, Scalar? initial=None) -> Tensor",
    _infer_segments,
    _segments,
    may_fail=True,
)


# Chunks --------------------------------------------------------------------------------------------------------------


def _build_chunks(b: Any, tensors: Sequence[Any], dim: int, chunks: int) -> Any:
    """Every tensor padded with zeros to a multiple of the number of chunks; the chunks as rows, rows one behind the other."""
    if chunks < 1:
        raise RuntimeError("_chunk_cat expects positive num_chunks")
    if not tensors:
        raise RuntimeError("_chunk_cat expects a non-empty input tensor list")
    if dim < 0 and len({len(b.shape(tensor)) for tensor in tensors}) > 1:
        raise RuntimeError("_chunk_cat expects non-negative dim when input tensors have different ndims")
    place = normalize_dim(dim, len(b.shape(tensors[0])))
    rows = []
    for tensor in tensors:
        shape = b.shape(tensor)
        if not all(isinstance(extent, int) for extent in shape):
            raise UndecidedShape("how much padding do chunks need?")
        if 0 in shape:
            raise RuntimeError("_chunk_cat expects non-empty tensor")
        missing = -shape[place] % chunks
        pad = [0, 0] * (len(shape) - place - 1) + [0, missing]
        padded = b("aten::constant_pad_nd", tensor, pad, 0)
        rows.append(b("aten::reshape", padded, [*shape[:place], chunks, -1]))
    return b("aten::cat", rows, place + 1)


declare_composite("aten::_chunk_cat(Tensor[] tensors, int dim, int num_chunks) -> Tensor", _build_chunks)


# Places --------------------------------------------------------------------------------------------------------------


def _build_places(b: Any, x: Any, size: Any, fill: int) -> Any:
    """The places of nonzero elements, as many rows as asked for: cut off or filled up."""
    if isinstance(size, int) and size < 0:
        raise RuntimeError("nonzero_static: 'size' must be an non-negative integer")
    found = b("aten::nonzero", x)
    spare = b("aten::full", [size, len(b.shape(x))], fill, dtype=INT64.code)
    return b("aten::slice.Tensor", b("aten::cat", [found, spare], 0), 0, 0, size, 1)


declare_composite("aten::nonzero_static(Tensor self, *, SymInt size, int fill_value=-1) -> Tensor", _build_places)
