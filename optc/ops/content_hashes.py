"""Numbers that stand for the contents of tensors, and rows of sparse matrices by where they begin."""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.types import TensorType
from optc.ops.abstract import normalize_dims
from optc.ops.composite import declare_composite
from optc.ops.held import record_of
from optc.ops.promotion import operand_type
from optc.ops.reduction import check_not_empty, reduced
from optc.ops.registry import define
from optc.ops.shapes import known, known_shape

Array = np.ndarray[Any, Any]


def _infer_hash(x: TensorType, dim: list[int], keepdim: bool, mode: int) -> TensorType:
    if mode != 0:
        raise RuntimeError(f"Unknown hash_tensor mode: {mode}")
    if operand_type(x).is_complex:
        raise NotImplementedError(f"\"xor_sum_cpu\" not implemented for '{operand_type(x).label}'")
    check_not_empty("hash_tensor", known_shape(x), dim, call="")
    return reduced(x, dim, keepdim, dtypes.UINT64)


def _hash(x: Array, dim: list[int], keepdim: bool, mode: int) -> Array:
    """Exclusive or of the bits of doubles or of 64-bit whole numbers."""
    kind = _infer_hash(TensorType(dtypes.from_numpy(x.dtype), x.shape), dim, keepdim, mode)
    whole = x.astype(np.int64 if x.dtype.kind in "iub" else np.float64)
    bits = np.ascontiguousarray(whole).view(np.uint64).reshape(x.shape)
    found = np.bitwise_xor.reduce(bits, axis=normalize_dims(dim, x.ndim))
    return np.array(found, np.uint64).reshape(known(known_shape(kind))).view(record_of(dtypes.UINT64))


define(
    "aten::hash_tensor(Tensor self, int[1] dim=[], *, bool keepdim=False, int mode=0) -> Tensor",
    infer=_infer_hash,
    reference=_hash,
    interpreted="native code has no unsigned numbers of 64 bits",
)


def _row_starts(b: Any, rows: Any, size: Any, out_int32: bool) -> Any:
    """How many elements lie in rows before each one, and in all."""
    numbers = b("aten::arange", size + 1, dtype=b.type(rows).dtype.code)
    return b("aten::searchsorted.Tensor", rows, numbers, out_int32)


declare_composite(
    "aten::_convert_indices_from_coo_to_csr(Tensor self, int size, *, bool out_int32=False) -> Tensor", _row_starts
)
