"""What programs ask about shapes: extents, ranks, numbers of elements, and how elements lie in memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.ir.dims import Dim, product
from optc.ir.dtypes import INT64
from optc.ir.types import TensorType
from optc.ops.abstract import UndecidedShape, normalize_dim
from optc.ops.memory_formats import Array, element_strides, lies_in
from optc.ops.registry import define
from optc.ops.shapes import (
    Shape,
    known_shape,
)


def _size_of(shape: Shape, dim: int) -> Dim:
    if not shape:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions" if dim in (0, -1) else
                         f"Dimension specified as {dim} but tensor has no dimensions")  # fmt: skip
    return shape[normalize_dim(dim, len(shape))]


for _name in ("size", "sym_size"):
    define(
        f"aten::{_name}(Tensor self) -> int[]",
        infer=lambda x: list(known_shape(x)),
        reference=lambda x: list(x.shape),
        decompose=lambda b, x: [b.dim(dim) for dim in b.shape(x)],
    )
    define(
        f"aten::{_name}.int(Tensor self, int dim) -> int",
        infer=lambda x, dim: _size_of(known_shape(x), dim),
        reference=lambda x, dim: _size_of(x.shape, dim),
        decompose=lambda b, x, dim: b.dim(_size_of(b.shape(x), dim)),
    )
for _name in ("dim", "ndimension"):
    define(
        f"aten::{_name}(Tensor self) -> int",
        infer=lambda x: len(known_shape(x)),
        reference=lambda x: x.ndim,
        decompose=lambda b, x: b.dim(len(b.shape(x))),
    )
define(
    "aten::numel(Tensor self) -> int",
    infer=lambda x: product(known_shape(x)),
    reference=lambda x: x.size,
    decompose=lambda b, x: b.dim(product(b.shape(x))),
)


def _decompose_shape_as_tensor(b: Any, x: Any) -> Any:
    extents = b.shape(x)
    if not extents:
        return b("aten::zeros", [0], dtype=INT64.code)
    return b("aten::stack", [b("prim::NumToTensor.Scalar", b.value(dim)) for dim in extents], 0)


define(
    "aten::_shape_as_tensor(Tensor self) -> Tensor",
    infer=lambda x: TensorType(INT64, (len(known_shape(x)),)),
    reference=lambda x: np.array(x.shape, np.int64),
    decompose=_decompose_shape_as_tensor,
)


def _length(shape: Shape) -> Dim:
    if not shape:
        raise TypeError("len() of a 0-d tensor")
    return shape[0]


define(
    "aten::len.Tensor(Tensor t) -> int",
    infer=lambda x: _length(known_shape(x)),
    reference=lambda x: _length(x.shape),
    decompose=lambda b, x: b.dim(_length(b.shape(x))),
)


def is_contiguous(x: Array) -> bool:
    """True when the elements lie in row-major order without gaps."""
    return bool(x.flags.c_contiguous)


def _stride_of(strides: tuple[int, ...], dim: int) -> int:
    return strides[normalize_dim(dim, len(strides))]


_STRIDES = "strides belong to arrays, which exist when the program runs"


def _unknown_strides(x: TensorType, *rest: Any) -> Any:
    raise UndecidedShape(_STRIDES)


define(
    "aten::stride(Tensor self) -> int[]",
    infer=_unknown_strides,
    reference=lambda x: list(element_strides(x)),
    interpreted=_STRIDES,
    needs_strides=True,
)
define(
    "aten::stride.int(Tensor self, int dim) -> int",
    infer=_unknown_strides,
    reference=lambda x, dim: _stride_of(element_strides(x), dim),
    interpreted=_STRIDES,
    needs_strides=True,
)
define(
    "aten::is_contiguous(Tensor self) -> bool",
    infer=_unknown_strides,
    reference=is_contiguous,
    interpreted=_STRIDES,
    needs_strides=True,
)
define(
    "aten::is_contiguous.memory_format(Tensor self, MemoryFormat memory_format) -> bool",
    infer=_unknown_strides,
    reference=lies_in,
    interpreted=_STRIDES,
    needs_strides=True,
)
define(
    "aten::is_same_size(Tensor self, Tensor other) -> bool",
    infer=lambda x, y: known_shape(x) == known_shape(y),
    reference=lambda x, y: x.shape == y.shape,
    decompose=lambda b, x, y: b.value(b.shape(x) == b.shape(y)),
)
