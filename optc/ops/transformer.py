"""The operators behind torch.nn's fast paths: multi-head attention with its projections, and a whole encoder layer.

Unlike in scaled dot-product attention, a mask is true where nothing may be seen, and rows that may see nothing are nan.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from optc.errors import UnsupportedError
from optc.ir import dtypes
from optc.ir.dims import Dim
from optc.ops.abstract import UndecidedShape, Unknown, same_dim
from optc.ops.composite import declare_composite
from optc.ops.promotion import compute_type, operand_type
from optc.ops.reduction import narrowed

_BY_PAIRS, _BY_KEYS, _BY_SCORES = 0, 1, 2
"""Kinds of masks: (L, L) for all of the batch, (B, L) padding, or one entry per score."""

# Attention -----------------------------------------------------------------------------------------------------------


def _require(holds: bool | None, message: str) -> None:
    """Refuse what is certainly wrong. Raises RuntimeError with torch's text."""
    if holds is None:
        raise UndecidedShape(f"only running the program tells about: {message}")
    if not holds:
        raise RuntimeError(message)


def _require_flags(*flags: Any) -> None:
    if any(isinstance(flag, Unknown) for flag in flags):
        raise UndecidedShape("the flags of attention are needed before the program runs")


def _check(b: Any, query: Any, key: Any, value: Any, width: int, heads: int, weight: Any, bias: Any) -> None:
    for name, tensor in (("query", query), ("key", key), ("value", value)):
        rank = len(b.shape(tensor))
        _require(rank == 3, f"expected 3-D `{name}`, got {rank}-D tensor")
    last = b.shape(query)[-1]
    _require(same_dim(last, width), f"passed-in embed_dim {width} didn't match last dim of query {last}")
    pairs = [pair for tensor in (key, value) for pair in zip(b.shape(query), b.shape(tensor))]
    _require(all(same_dim(*pair) is not False for pair in pairs), "expected `query`/`key`/`value` shapes to match")
    matrix, vector = b.shape(weight), b.shape(bias)
    _require(len(matrix) == 2, f"expected 2-D `qkv_weight`, got {len(matrix)}-D tensor")
    _require(same_dim(matrix[0], 3 * width), "expected `qkv_weight` first dim to be 3x embed_dim")
    _require(same_dim(matrix[1], width), "expected `qkv_weight` second dim to be embed_Dim")
    _require(len(vector) == 1, f"expected 1-D `qkv_bias`, got {len(vector)}-D tensor")
    _require(same_dim(vector[0], 3 * width), "expected `qkv_bias` first dim and first dim of query to be equal")
    _require(width % heads == 0, "`embed_dim` must divide evenly by `num_heads`")
    if len({operand_type(b.type(item)) for item in (query, key, value, weight, bias)}) > 1:
        raise UnsupportedError("multi-head attention takes tensors of one element type")


def _build_attention(
    b: Any, query: Any, key: Any, value: Any, width: int, heads: int, weight: Any, bias: Any, out_weight: Any,
    out_bias: Any, mask: Any, need_weights: bool, average: bool, kind: int | None,
) -> Any:  # fmt: skip
    """The attended tensor and the weights, or None where nobody needs them."""
    _require_flags(need_weights, average)
    _check(b, query, key, value, width, heads, weight, bias)
    dtype = operand_type(b.type(query))
    work = compute_type(dtype)
    batch, length, _ = b.shape(query)
    weight, bias, out_weight, out_bias = (narrowed(b, item, work) for item in (weight, bias, out_weight, out_bias))
    is_own = key is query and value is query
    sources = [narrowed(b, query, work)] if is_own else [narrowed(b, item, work) for item in (query, key, value)]
    split = [batch, length, heads, width // heads]
    q, k, v = (
        b("aten::transpose.int", b("aten::reshape", part, split), 1, 2)
        for part in _projections(b, sources, width, weight, bias)
    )
    weights = None
    if mask is None and not need_weights:
        seen = b("aten::scaled_dot_product_attention", q, k, v)
    else:
        weights = _weights(b, b("aten::mul.Scalar", q, 1 / math.sqrt(width // heads)), k, mask, kind)
        seen = b("aten::matmul", weights, v)
    joined = b("aten::reshape", b("aten::transpose.int", seen, 1, 2), [batch, length, width])
    result = narrowed(b, b("aten::linear", joined, out_weight, out_bias), dtype)
    if not need_weights:
        return result, None
    return result, narrowed(b, b("aten::mean.dim", weights, [1], False) if average else weights, dtype)


def _projections(b: Any, sources: Sequence[Any], width: int, weight: Any, bias: Any) -> list[Any]:
    """Queries, keys and values: one product where all of them come from one source."""
    if len(sources) == 1:
        joint = b("aten::linear", sources[0], weight, bias)
        return [b("aten::slice.Tensor", joint, 2, part * width, (part + 1) * width, 1) for part in range(3)]
    rows = [[part * width, (part + 1) * width, 1] for part in range(3)]
    parts = [[b("aten::slice.Tensor", item, 0, *bounds) for item in (weight, bias)] for bounds in rows]
    return [b("aten::linear", source, *part) for source, part in zip(sources, parts)]


def _weights(b: Any, q: Any, k: Any, mask: Any, kind: int | None) -> Any:
    scores = b("aten::matmul", q, b("aten::transpose.int", k, -2, -1))
    if mask is not None:
        scores = b("aten::masked_fill.Scalar", scores, _hidden(b, mask, b.shape(scores), kind), -math.inf)
    return b("aten::softmax.int", scores, -1)


def _hidden(b: Any, mask: Any, scores: Sequence[Dim], kind: int | None) -> Any:
    """The mask as booleans that broadcast against the scores. Raises RuntimeError for one that does not fit."""
    shape = b.shape(mask)
    _require(kind is not None or len(shape) == 4, "Mask Type should be defined")
    kind = _BY_SCORES if kind is None else kind
    _require(
        kind in (_BY_PAIRS, _BY_KEYS, _BY_SCORES),
        "Mask Type should be 0 (src_mask) or 1 (src_key_padding_mask), or 2 (default_mask)",
    )
    wanted, text = {
        _BY_PAIRS: (scores[2:], "For mask_type == 0 mask shape should be (L, L)"),
        _BY_KEYS: ((scores[0], scores[3]), "For mask_type == 1 mask shape should be (B, L)"),
        _BY_SCORES: (scores, "For mask_type == 2 mask shape should match input shape"),
    }[kind]
    _require(len(shape) == len(wanted) and all(same_dim(*pair) is not False for pair in zip(shape, wanted)), text)
    if kind == _BY_KEYS:
        mask = b("aten::unsqueeze", b("aten::unsqueeze", mask, 1), 1)
    return mask if b.type(mask).dtype is dtypes.BOOL else b("aten::ne.Scalar", mask, 0)


declare_composite(
    "aten::_native_multi_head_attention(Tensor query, Tensor key, Tensor value, int embed_dim, int num_head, "
    "Tensor qkv_weight, Tensor qkv_bias, Tensor proj_weight, Tensor proj_bias, Tensor? mask=None, "
    "bool need_weights=True, bool average_attn_weights=True, int? mask_type=None) -> (Tensor, Tensor)",
    _build_attention,
)

# An encoder layer ----------------------------------------------------------------------------------------------------


def _build_layer(
    b: Any, x: Any, width: int, heads: int, qkv_weight: Any, qkv_bias: Any, out_weight: Any, out_bias: Any,
    gelu: bool, norm_first: bool, eps: float, *rest: Any,
) -> Any:  # fmt: skip
    _require_flags(gelu, norm_first)
    weight1, bias1, weight2, bias2, inner, inner_bias, outer, outer_bias, mask, kind = rest

    def attend(y: Any) -> Any:
        projections = (qkv_weight, qkv_bias, out_weight, out_bias)
        return b("aten::_native_multi_head_attention", y, y, y, width, heads, *projections, mask, False, True, kind)[0]

    def feed(y: Any) -> Any:
        y = b("aten::linear", y, inner, inner_bias)
        return b("aten::linear", b("aten::gelu" if gelu else "aten::relu", y), outer, outer_bias)

    def normalise(y: Any, weight: Any, bias: Any) -> Any:
        return b("aten::layer_norm", y, [width], weight, bias, eps)

    if norm_first:
        x = b("aten::add.Tensor", x, attend(normalise(x, weight1, bias1)))
        return b("aten::add.Tensor", x, feed(normalise(x, weight2, bias2)))
    x = normalise(b("aten::add.Tensor", x, attend(x)), weight1, bias1)
    return normalise(b("aten::add.Tensor", x, feed(x)), weight2, bias2)


declare_composite(
    "aten::_transformer_encoder_layer_fwd(Tensor src, int embed_dim, int num_heads, Tensor qkv_weight, "
    "Tensor qkv_bias, Tensor proj_weight, Tensor proj_bias, bool use_gelu, bool norm_first, float eps, "
    "Tensor norm_weight_1, Tensor norm_bias_1, Tensor norm_weight_2, Tensor norm_bias_2, Tensor ffn_weight_1, "
    "Tensor ffn_bias_1, Tensor ffn_weight_2, Tensor ffn_bias_2, Tensor? mask=None, int? mask_type=None) -> Tensor",
    _build_layer,
)
