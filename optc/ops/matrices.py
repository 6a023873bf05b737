"""What the operators of linear algebra share: checks with torch's texts, shapes of batches, numpy on stacks of matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from optc.ir.dims import Dim
from optc.ir.dtypes import DType
from optc.ir.types import TensorType
from optc.ops.abstract import UndecidedExtents, UndecidedShape, same_dim
from optc.ops.element_types import HALVES, check_type, unimplemented
from optc.ops.promotion import operand_type
from optc.ops.shapes import Shape, known_shape

Array = np.ndarray[Any, Any]


class LinAlgError(RuntimeError):
    """A matrix without the factorisation or inverse that was asked for."""


def check_fraction(x: TensorType, name: str, low_precision: bool = False, kernel: str = "") -> DType:
    """The element type, which has a fraction. Raises RuntimeError for others, and half unless it is allowed, or PyTorch
    only finds out in its kernel, of that name, which matrices without elements do not reach.
    """
    dtype = operand_type(x)
    if dtype.kind not in ("float", "complex"):
        raise RuntimeError(f"{name}: Expected a floating point or complex tensor as input. Got {dtype.label}")
    if kernel:
        if 0 not in known_shape(x):
            check_type(unimplemented(kernel, HALVES), dtype)
    elif dtype.itemsize == 2 and not low_precision:
        raise RuntimeError(f"{name}: Low precision dtypes not supported. Got {dtype.label}")
    return dtype


def check_matrix(x: TensorType, name: str, argument: str = "A") -> tuple[Shape, Dim, Dim]:
    """The batch's shape, rows and columns. Raises RuntimeError for less than two dimensions."""
    shape = known_shape(x)
    if len(shape) < 2:
        raise RuntimeError(f"{name}: The input tensor {argument} must have at least 2 dimensions.")
    return shape[:-2], shape[-2], shape[-1]


def check_square(x: TensorType, name: str, argument: str = "A") -> tuple[Shape, Dim]:
    """The batch's shape and the extent of square matrices. Raises RuntimeError for others."""
    batch, rows, columns = check_matrix(x, name, argument)
    same = same_dim(rows, columns)
    if same is None:
        raise UndecidedExtents(f"are the matrices of {rows} by {columns} square?", (rows, columns))
    if not same:
        raise RuntimeError(
            f"{name}: {argument} must be batches of square matrices, but they are {rows} by {columns} matrices"
        )
    return batch, rows


def check_same_type(x: TensorType, y: TensorType, name: str, first: str = "A", second: str = "B") -> None:
    """Both have one element type. Raises RuntimeError otherwise."""
    if x.dtype is not y.dtype:
        raise RuntimeError(
            f"{name}: Expected {first} and {second} to have the same dtype, but found {first} of type "
            f"{operand_type(x).label} and {second} of type {operand_type(y).label} instead"
        )


def minimum_extent(rows: Dim, columns: Dim) -> Dim:
    """The smaller extent. Raises UndecidedShape when only running tells."""
    if rows == columns:
        return rows
    if isinstance(rows, int) and isinstance(columns, int):
        return min(rows, columns)
    raise UndecidedShape(f"which of {rows} and {columns} is smaller?")


def adjoint(x: Array) -> Array:
    """The conjugate transpose."""
    return np.conj(np.swapaxes(x, -1, -2))


def first_failure(info: Array) -> tuple[str, int] | None:
    """Where the first entry of `info` that is not zero lies, as torch's messages say it, and the entry."""
    places = np.argwhere(np.asarray(info).reshape(-1) != 0)
    if not places.size:
        return None
    place = int(places[0, 0])
    return ("" if np.ndim(info) == 0 else f"(Batch element {place}): "), int(np.asarray(info).reshape(-1)[place])


def per_matrix(compute: Callable[..., Any], results: int, *stacks: Array) -> tuple[Array, ...]:
    """Apply `compute` to every matrix of stacks that share their batch; `results` arrays come out, stacked."""
    batch = stacks[0].shape[:-2]
    count = int(np.prod(batch))
    flat = [stack.reshape(count, *stack.shape[len(batch) :]) for stack in stacks]
    found = [compute(*items) for items in zip(*flat)]
    empty = not found
    if empty:
        found = [compute(*(np.zeros(stack.shape[len(batch) :], stack.dtype) for stack in stacks))]
    columns = [
        np.stack([np.asarray(item[place]) for item in found])[: 0 if empty else None] for place in range(results)
    ]
    return tuple(column.reshape((*batch, *column.shape[1:])) for column in columns)
