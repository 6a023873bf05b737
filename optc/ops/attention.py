"""Scaled dot-product attention: softmax(q k^T * scale + mask) v, over any leading dimensions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.dims import Dim, Symbolic, product
from optc.ir.dtypes import DType
from optc.ir.graph import Value
from optc.ir.types import TensorType
from optc.ops.abstract import UndecidedExtents, UndecidedShape, Unknown, same_dim
from optc.ops.dropping import dropped, dropped_array, drops
from optc.ops.element_types import COMPLEXES, WHOLE, check_type, refusal, unimplemented
from optc.ops.elementwise import array_type
from optc.ops.failing import refuse
from optc.ops.matrix import c_name
from optc.ops.promotion import compute_type, operand_type
from optc.ops.reduction import narrowed
from optc.ops.registry import define
from optc.ops.shapes import Shape, broadcast_shapes, known, known_shape

Array = np.ndarray[Any, Any]


TWO_MASKS = "_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True"


def _check(
    query: TensorType, key: TensorType, value: TensorType, mask: TensorType | None, dropout: Any, causal: Any
) -> None:
    if isinstance(dropout, Unknown):
        raise UndecidedShape("the rate of dropout in attention is needed before the program runs")
    types = [operand_type(item) for item in (query, key, value)]
    if len(set(types)) > 1:
        names = [c_name(dtype) for dtype in types]
        raise RuntimeError(
            "Expected query, key, and value to have the same dtype, but got query.dtype: "
            f"{names[0]} key.dtype: {names[1]} and value.dtype: {names[2]} instead."
        )
    ranks = [len(known_shape(item)) for item in (query, key, value)]
    if min(ranks) < 2:
        raise RuntimeError(
            "Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: "
            f"{ranks[0]}, key.dim: {ranks[1]} and value.dim: {ranks[2]} instead."
        )
    if mask is not None and causal is True:
        raise RuntimeError(TWO_MASKS)
    if not 0 <= dropout <= 1:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {dropout:g}")


def _heads(query: Shape, key: Shape, shared: bool) -> Dim:
    """How many heads of the query share a head of key and value."""
    if not shared:
        return 1
    if len(query) < 3 or len(key) < 3:
        raise RuntimeError("attention with shared heads needs at least 3 dimensions")
    return query[-3] // key[-3]


def _with_heads(shape: Shape, times: Dim) -> Shape:
    return shape if times == 1 else (*shape[:-3], shape[-3] * times, *shape[-2:])


_ONLY_FLOATS = refusal(WHOLE, "expected scalar type Float but found {label}") + unimplemented(
    "softmax_lastdim_kernel_impl", COMPLEXES
)


def _infer(
    query: TensorType, key: TensorType, value: TensorType, mask: TensorType | None, dropout: float, causal: bool,
    scale: Any, shared: bool,
) -> TensorType:  # fmt: skip
    _check(query, key, value, mask, dropout, causal)
    check_type(_ONLY_FLOATS, operand_type(query))
    mine = known_shape(query)
    times = _heads(mine, known_shape(key), shared)
    other, last = _with_heads(known_shape(key), times), _with_heads(known_shape(value), times)
    batch = broadcast_shapes(mine[:-2], other[:-2], last[:-2])
    _check_product(batch, mine[-1], other[-1])
    _check_product(batch, other[-2], last[-2])
    if mask is not None:
        broadcast_shapes((*batch, mine[-2], other[-2]), known_shape(mask))
    return TensorType(operand_type(query), (*batch, mine[-2], last[-1]))


def _check_product(batch: Shape, left: Dim, right: Dim) -> None:
    same = same_dim(left, right)
    if same is None:
        raise UndecidedExtents(f"are the extents {left} and {right} of attention equal?", (left, right))
    if same is False:
        count = product(batch)
        raise RuntimeError(
            "Expected size for first two dimensions of batch2 tensor to be: "
            f"[{count}, {left}] but got: [{count}, {right}]."
        )


def _repeated(x: Array, times: int) -> Array:
    return x if times == 1 else np.repeat(x, times, axis=-3)


def _scale(width: int, given: float | None) -> float:
    """What scores are multiplied by; heads without elements have no scores that it could change."""
    return given if given is not None else 1 / math.sqrt(width) if width else 1.0


def _reference(
    query: Array, key: Array, value: Array, mask: Array | None, dropout: float, causal: bool, scale: float | None,
    shared: bool,
) -> Array:  # fmt: skip
    types = array_type(query), array_type(key), array_type(value)
    _infer(*types, None if mask is None else array_type(mask), dropout, causal, scale, shared)
    (times,) = known([_heads(query.shape, key.shape, shared)])
    q, k, v = query.astype(np.float64), *(_repeated(item.astype(np.float64), times) for item in (key, value))
    with np.errstate(all="ignore"):
        scores = q @ np.swapaxes(k, -1, -2) * _scale(q.shape[-1], scale)
        if causal:
            mask = np.tril(np.ones(scores.shape[-2:], bool))
        if mask is not None:
            scores = np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask.astype(np.float64)
        top = scores.max(axis=-1, keepdims=True, initial=-np.inf)
        powers = np.exp(scores - np.where(np.isinf(top), 0, top))
        total = powers.sum(axis=-1, keepdims=True)
        weights = np.where(total == 0, 0, powers / np.where(total == 0, 1, total))
        if dropout:
            weights = dropped_array(weights, dropout)
        return np.asarray(weights @ v).astype(query.dtype)


def _decompose(
    b: Any, query: Any, key: Any, value: Any, mask: Any, dropout: float, causal: Any, scale: Any, shared: bool
) -> Any:
    """As written above. Rows that may see nothing give zeros, not nan; only masks can bring them about."""
    dtype = b.type(query).dtype
    work = compute_type(dtype)
    times = _heads(b.shape(query), b.shape(key), shared)
    q, k, v = (
        narrowed(b, query, work),
        *(_with_repeated_heads(b, narrowed(b, item, work), times) for item in (key, value)),
    )
    scores = b("aten::matmul", _scaled(b, q, scale), b("aten::transpose.int", k, -2, -1))
    if causal is not False:
        scores = b("aten::masked_fill.Scalar", scores, _later(b, b.shape(scores)[-2:], causal), -math.inf)
    if mask is not None and isinstance(causal, Value):
        refuse(b, causal, TWO_MASKS)
    if mask is None:
        return _weighted(b, b("aten::softmax.int", scores, -1), v, dropout, dtype)
    if b.type(mask).dtype is dtypes.BOOL:
        scores = b("aten::masked_fill.Scalar", scores, b("aten::logical_not", mask), -math.inf)
    else:
        scores = b("aten::add.Tensor", scores, narrowed(b, mask, work))
    blind = b("aten::all.dim", b("aten::eq.Scalar", scores, -math.inf), -1, True)
    weights = b("aten::masked_fill.Scalar", b("aten::softmax.int", scores, -1), blind, 0.0)
    return _weighted(b, weights, v, dropout, dtype)


def _weighted(b: Any, weights: Any, value: Any, dropout: float, dtype: DType) -> Any:
    """Values in proportion to weights, some of which are dropped."""
    given = dropped(b, weights, dropout) if dropout else weights
    return narrowed(b, b("aten::matmul", given, value), dtype)


def _later(b: Any, shape: Shape, causal: bool | Value) -> Any:
    """True where the key comes after the query, if `causal` holds; a program may decide that while it runs."""
    later = b("aten::logical_not", b("aten::tril", b("aten::ones", list(shape), dtype=dtypes.BOOL.code)))
    return later if causal is True else b("aten::logical_and", later, b("prim::NumToTensor.bool", causal))


def _scaled(b: Any, query: Any, scale: Any) -> Any:
    if scale is not None:
        return b("aten::mul.Scalar", query, scale)
    width = b.shape(query)[-1]
    if not isinstance(width, Symbolic):
        return b("aten::mul.Scalar", query, _scale(width, None))
    return b(
        "aten::div.Tensor", query, b("aten::sqrt", b("aten::full", [], b.dim(width), dtype=b.type(query).dtype.code))
    )


def _with_repeated_heads(b: Any, x: Any, times: Dim) -> Any:
    return x if times == 1 else b("aten::repeat_interleave.self_int", x, times, -3)


define(
    "aten::scaled_dot_product_attention(Tensor query, Tensor key, Tensor value, Tensor? attn_mask=None, "
    "float dropout_p=0., bool is_causal=False, *, float? scale=None, bool enable_gqa=False) -> Tensor",
    infer=_infer,
    reference=_reference,
    decompose=_decompose,
    draws_when=lambda node: drops(node, 4),
)
