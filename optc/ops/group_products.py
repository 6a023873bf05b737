"""`prim::GroupProducts`: the product of a convolution whose channels come in groups, each with filters of its own.

A row holds `runs` times all channels, as a window does; group g multiplies its channels of every run with a matrix of
its own, and its results lie side by side with those of the other groups. So rows are read where they are, and results
are rows of all channels, whatever the groups.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.ir.types import TensorType
from optc.ops.elementwise import array_type
from optc.ops.matrix import product_array
from optc.ops.promotion import operand_type
from optc.ops.registry import Kernel, define
from optc.ops.shapes import known_shape, require_same

Array = np.ndarray[Any, Any]

GROUP_PRODUCTS = Kernel("group_products")

MATRIX_PRODUCTS = frozenset({Kernel("matmul"), GROUP_PRODUCTS})
"""What sums products of rows and columns, and keeps a row of the result for every row."""


def _infer(rows: TensorType, matrices: TensorType, runs: int) -> TensorType:
    count, length = known_shape(rows)
    groups, inner, columns = known_shape(matrices)
    require_same(length, groups * inner, f"rows of {length} elements do not hold {groups} groups of {inner}")
    return TensorType(operand_type(rows), (count, groups * columns))


def _reference(rows: Array, matrices: Array, runs: int) -> Array:
    result = _infer(array_type(rows), array_type(matrices), runs)
    groups, inner, _ = matrices.shape
    parted = (
        rows.reshape(len(rows), runs, groups, inner // runs).transpose(2, 0, 1, 3).reshape(groups, len(rows), inner)
    )
    found = product_array(parted, matrices).transpose(1, 0, 2)
    return np.ascontiguousarray(found.reshape(known_shape(result)).astype(rows.dtype, copy=False))


define(
    "prim::GroupProducts(Tensor self, Tensor mat2, int runs) -> Tensor",
    infer=_infer,
    reference=_reference,
    kernel=GROUP_PRODUCTS.name,
)
"""self (M, runs * G * C), mat2 (G, runs * C, N) -> (M, G * N), summed as `mm` sums."""
