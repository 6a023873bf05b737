"""Constant matrices in the order in which kernels read them, arranged once, while a program is compiled or loaded."""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.codegen.process.constant_memory import constant_zeros
from optc.ir.graph import Node
from optc.ops.registry import Kernel, operator_of


def panel_elements(k: int, n: int, columns: int, lanes: int) -> int:
    """How many elements `pack_panels` gives. The last panel is only as wide as its vectors need."""
    panels, rest = divmod(n, columns)
    return k * (panels * columns + -(-rest // lanes) * lanes)


def pack_panels(matrix: np.ndarray[Any, Any], columns: int, lanes: int) -> np.ndarray[Any, Any]:
    """Reorders a K x N matrix into panels of `columns` columns, k-major, padded with zeros to whole vectors.

    The result is flat and aligned to 64 bytes.
    """
    k, n = matrix.shape
    packed = constant_zeros(panel_elements(k, n, columns, lanes), matrix.dtype)
    apart = min(k, _PIECE) + _APART_BYTES // matrix.itemsize
    turned = np.empty((columns, apart), matrix.dtype) if is_transposed(matrix) else None
    position = 0
    for start in range(0, n, columns):
        panel = matrix[:, start : start + columns]
        width = -(-panel.shape[1] // lanes) * lanes
        place = packed[position : position + k * width].reshape(k, width)[:, : panel.shape[1]]
        if turned is None:
            place[...] = panel
        else:
            _turn(panel, turned[: panel.shape[1]], place)
        position += k * width
    return packed


_PIECE = 1024
_APART_BYTES = 64


def _turn(panel: np.ndarray[Any, Any], turned: np.ndarray[Any, Any], place: np.ndarray[Any, Any]) -> None:
    """Copy the columns of a transposed matrix, by way of rows that are an odd number of lines of the cache apart.

    Where they lie they often compete for few places: 1024 x 1024 is packed in a third of the time.
    """
    for start in range(0, len(panel), _PIECE):
        piece = panel[start : start + _PIECE]
        rows = turned[:, : len(piece)]
        rows[...] = piece.T
        place[start : start + _PIECE] = rows.T


def pack_batch(matrices: np.ndarray[Any, Any], columns: int, lanes: int) -> np.ndarray[Any, Any]:
    """The panels of B matrices, B x K x N, one matrix behind the other."""
    panels = [pack_panels(matrix, columns, lanes) for matrix in matrices]
    packed = constant_zeros(sum(panel.size for panel in panels), matrices.dtype)
    return np.concatenate(panels, out=packed)


def contiguous_copy(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The same elements without gaps."""
    return np.ascontiguousarray(array)


def is_transposed(array: np.ndarray[Any, Any]) -> bool:
    """True for a matrix that is only contiguous the other way round."""
    return array.ndim == 2 and array.flags.f_contiguous and not array.flags.c_contiguous


def only_multiplied(node: Node) -> bool:
    """True when nothing but matrix products, which take matrices either way round, reads the node's result."""
    operators = [operator_of(use.node) for use in node.output.uses]
    return all(operator is not None and operator.lowering == Kernel("matmul") for operator in operators)
