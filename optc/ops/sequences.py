"""Sequences of several lengths as one batch, filled up to the longest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from optc.ir.dims import Dim, maximum
from optc.ir.types import TensorType
from optc.ops.abstract import ShapeError, UndecidedExtents, same_dim
from optc.ops.registry import define
from optc.ops.shapes import Shape, known_shape

Array = np.ndarray[Any, Any]


def _longest(shapes: Sequence[Shape], side: str) -> Dim:
    """The length that all get. Raises RuntimeError and ShapeError with torch's texts for what makes no batch."""
    if not shapes:
        raise RuntimeError("received an empty list of sequences")
    if side not in ("left", "right"):
        raise RuntimeError(f"Expected padding_side to be one of left or right, but got {side}.")
    if not all(shapes):
        raise RuntimeError("ArrayRef: invalid slice, N = 1; size = 0")
    longest = shapes[0][0]
    for shape in shapes[1:]:
        _check_rows(shapes[0][1:], shape[1:])
        longest = maximum(longest, shape[0])
    return longest


def _check_rows(first: Shape, other: Shape) -> None:
    if len(first) != len(other):
        raise ShapeError(f"sequences of rows of shape {list(first)} and {list(other)} make no batch")
    for place, (mine, theirs) in enumerate(zip(first, other)):
        same = same_dim(mine, theirs)
        if same is False:
            raise ShapeError(
                f"The size of tensor a ({mine}) must match the size of tensor b ({theirs}) at non-singleton dimension "
                f"{place + 1}"
            )
        if same is None:
            raise UndecidedExtents(f"have rows {mine} and {theirs} elements?", (mine, theirs))


def _batch(number: int, longest: Dim, row: Shape, batch_first: bool) -> Shape:
    return (number, longest, *row) if batch_first else (longest, number, *row)


def _infer_padded(sequences: Sequence[TensorType], batch_first: bool, value: Any, side: str) -> TensorType:
    shapes = [known_shape(sequence) for sequence in sequences]
    longest = _longest(shapes, side)
    return sequences[0].with_shape(_batch(len(shapes), longest, shapes[0][1:], batch_first))


def _reference_padded(sequences: Sequence[Array], batch_first: bool, value: float, side: str) -> Array:
    shapes = [sequence.shape for sequence in sequences]
    longest = _longest(shapes, side)
    made = np.full(_batch(len(shapes), longest, shapes[0][1:], True), value, sequences[0].dtype)
    for row, sequence in zip(made, sequences):
        start = len(row) - len(sequence) if side == "left" else 0
        row[start : start + len(sequence)] = sequence
    return made if batch_first else np.ascontiguousarray(made.swapaxes(0, 1))


def _decompose_padded(b: Any, sequences: Sequence[Any], batch_first: bool, value: Any, side: str) -> Any:
    shapes, code = [b.shape(sequence) for sequence in sequences], b.type(sequences[0]).dtype.code
    longest = _longest(shapes, side)
    padded = []
    for shape, sequence in zip(shapes, sequences):
        missing = longest - shape[0]
        sides = [missing, 0] if side == "left" else [0, missing]
        sequence = b("aten::to.dtype", sequence, code)
        padded.append(b("aten::constant_pad_nd", sequence, [0, 0] * (len(shape) - 1) + sides, value))
    return b("aten::stack", padded, 0 if batch_first else 1)


define(
    'aten::pad_sequence(Tensor[] sequences, bool batch_first=False, float padding_value=0.0, str padding_side="right") '
    "-> Tensor",
    infer=_infer_padded,
    reference=_reference_padded,
    decompose=_decompose_padded,
)
